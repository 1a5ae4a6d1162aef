"""What a data set is here: one array, perhaps labels, and a name that says where it came from."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images or points in memory, as they were stored: scaling to floats is the loader's business.

    * ``x``: uint8 images (N, C, H, W) with values 0..255, C = 1 grey or 3 RGB;
      or float32 points (N, D) of a toy distribution.
    * ``labels``: int64 (N,), the class of each row as an index into ``classes``, or None.
    * ``name``, ``split``: what was asked of :func:`minigan.data.load`.
    * ``classes``: the names of the classes, empty without labels.

    The arrays are read-only views, so ``checksum`` stays true.

    >>> data = Dataset("demo", "train", np.zeros((3, 1, 8, 8), np.uint8))
    >>> len(data), data.is_images, data.labels is None, data.checksum[:8]
    (3, True, True, '41e642d8')

    Raises ValueError if the arrays are not of the shapes and types above.
    """

    name: str
    split: str
    x: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        images = self.x.dtype == np.uint8 and self.x.ndim == 4 and self.x.shape[1] in (1, 3)
        points = self.x.dtype == np.float32 and self.x.ndim == 2
        if not (images or points):
            raise ValueError(
                f"x is {self.x.dtype} {self.x.shape}: expected uint8 images (N, 1 or 3, H, W) "
                "or float32 points (N, D)"
            )
        object.__setattr__(self, "x", _read_only(self.x))
        if self.labels is not None:
            if self.labels.dtype != np.int64 or self.labels.shape != (len(self.x),):
                raise ValueError(
                    f"labels are {self.labels.dtype} {self.labels.shape}: "
                    f"expected int64 ({len(self.x)},)"
                )
            object.__setattr__(self, "labels", _read_only(self.labels))

    def __len__(self) -> int:
        return len(self.x)

    @property
    def is_images(self) -> bool:
        """True for uint8 images (N, C, H, W), False for float32 points (N, D)."""
        return self.x.ndim == 4

    @cached_property
    def checksum(self) -> str:
        """sha256, 64 hex digits, of types, shapes and bytes; computed when first asked for."""
        digest = hashlib.sha256()
        for array in (self.x, self.labels):
            if array is not None:
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def one_line(text: object) -> str:
    """Text from elsewhere (a file name, another library's message), fit to stand in one line.

    >>> one_line("cannot read:\\n  broken\\tdata")
    'cannot read: broken data'
    """
    return " ".join(str(text).split())
