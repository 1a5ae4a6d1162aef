"""MNIST and Fashion-MNIST: the four original idx files, found on the disk or downloaded.

The idx format (LeCun): two zero bytes, a type byte (8 = unsigned bytes), the number of dimensions,
each dimension as a big-endian 32-bit number, then the values in row-major order.
"""

import gzip
import hashlib
import math
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from minigan.data.cache import cache_folder
from minigan.data.dataset import Dataset, one_line
from minigan.data.images import resize, take_first, with_channels
from minigan.errors import MiniganError

NAMES = ("mnist", "fashion-mnist")

# What each split is made of: file prefix, first row, end row (None: all there are). The last two
# are those of Goodfellow et al. 2014, who hold out the last 10,000 training images for validation.
SPLITS = {
    "train": ("train", 0, None),
    "test": ("t10k", 0, None),
    "paper-train": ("train", 0, 50_000),
    "valid": ("train", 50_000, 60_000),
}

CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        "t-shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
}

# The files of the two sets have the same names. Their first ten labels tell them apart.
FIRST_LABELS = {
    "mnist": {"train": "5041921314", "t10k": "7210414959"},
    "fashion-mnist": {"train": "9003027255", "t10k": "9211614657"},
}

MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
}

SHA256 = {
    "mnist": {
        "train-images-idx3-ubyte": (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte": (
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        "t10k-images-idx3-ubyte": (
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        "t10k-labels-idx1-ubyte": (
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        "train-labels-idx1-ubyte": (
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        "t10k-images-idx3-ubyte": (
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        "t10k-labels-idx1-ubyte": (
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        ),
    },
}

# ---------------------------------------------------------------------------------------------
# The idx format
# ---------------------------------------------------------------------------------------------

MAX_BYTES = 2**32  # a header that promises more than 4 GiB is not believed


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """The uint8 array in an idx file of unsigned bytes, plain or gzipped (whatever its name).

    Memory is used for what the file holds, not for what its header promises.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "labels-idx1-ubyte")
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    >>> read_idx(path)
    array([7, 2, 1], dtype=uint8)

    Raises MiniganError, naming the file, if it cannot be read, is not such an idx file, or is
    shorter or longer than its header says.
    """
    path = Path(path)
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if zipped else raw as file:
                return _parse_idx(file, path)
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
        raise MiniganError(
            f"cannot read {one_line(path)}: {one_line(error)}; get a fresh copy of the file"
        ) from None


def _parse_idx(file: BinaryIO, path: Path) -> np.ndarray:
    def broken(what: str) -> MiniganError:
        return MiniganError(f"{one_line(path)} {what}; get a fresh copy of the file")

    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0":
        raise broken("is not an idx file (it does not begin with two zero bytes)")
    kind, ndim = head[2], head[3]
    if kind != 8:
        raise broken(f"holds values of type {kind:#04x}, expected 0x08 (unsigned bytes)")
    if not 1 <= ndim <= 4:
        raise broken(f"has {ndim} dimensions, expected 1 (labels) to 4")
    sizes = file.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise broken("ends inside its header")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    expected = math.prod(shape)
    if not 0 < expected <= MAX_BYTES:
        raise broken(f"claims the shape {shape}, which is not believable")
    values = _read_at_most(file, expected + 1)  # one more, to see whether there is more
    if len(values) != expected:
        found = f"only {len(values)}" if len(values) < expected else "more"
        raise broken(f"should hold {expected} values of shape {shape}, but holds {found}")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _read_at_most(file: BinaryIO, limit: int) -> bytearray:
    # read(limit) may allocate the limit before it finds the file short: take a mebibyte at a time.
    values = bytearray()
    while len(values) < limit:
        piece = file.read(min(2**20, limit - len(values)))
        if not piece:
            break
        values += piece
    return values


# ---------------------------------------------------------------------------------------------
# Where the files are
# ---------------------------------------------------------------------------------------------


def find_files(name: str, prefix: str, data_dir: str | os.PathLike | None) -> tuple[Path, Path]:
    """Paths of the images and the labels whose names begin with ``prefix`` (train or t10k).

    Looked for in this order: in ``data_dir`` (its sub-folder ``name`` first), where they must be if
    it is given; in ``$MINIGAN_DATA`` likewise; in the cache; on the mirrors, with a checksum.
    Raises MiniganError if they are nowhere.
    """
    stems = (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
    if data_dir is not None:
        images, labels = (_find(Path(data_dir).expanduser(), name, stem) for stem in stems)
        for stem, path in zip(stems, (images, labels)):
            if path is None:
                raise MiniganError(
                    f"no file {stem} or {stem}.gz in {one_line(data_dir)} or its sub-folder "
                    f"{name}: put it there, or leave --data-dir out to download it"
                )
        return images, labels
    if chosen := os.environ.get("MINIGAN_DATA"):
        images, labels = (_find(Path(chosen).expanduser(), name, stem) for stem in stems)
        if images is not None and labels is not None:
            return images, labels
    images, labels = (_cached_or_downloaded(name, stem) for stem in stems)
    return images, labels


def is_here(name: str, split: str) -> bool:
    """Whether ``$MINIGAN_DATA`` or the cache has the files, so that nothing is downloaded."""
    prefix, _, _ = SPLITS.get(split, SPLITS["train"])
    stems = (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
    chosen = os.environ.get("MINIGAN_DATA")
    if chosen and all(_find(Path(chosen).expanduser(), name, stem) for stem in stems):
        return True
    return all((cache_folder() / name / f"{stem}.gz").is_file() for stem in stems)


def _find(folder: Path, name: str, stem: str) -> Path | None:
    # The folder of that name first: the files of both sets are named alike.
    for place in (folder / name, folder):
        for path in (place / stem, place / f"{stem}.gz"):
            if os.path.isfile(path):
                return path
    return None


def _cached_or_downloaded(name: str, stem: str) -> Path:
    folder = cache_folder() / name
    path = folder / f"{stem}.gz"
    if _sha256(path) == SHA256[name][stem]:
        return path
    where = f"or put {stem}.gz into a folder and name it with --data-dir or MINIGAN_DATA"
    try:
        import pooch
    except ImportError:
        raise MiniganError(
            f"{name} is not on this machine, and downloading it takes pooch: "
            f"pip install 'minigan[data]', {where}"
        ) from None
    pooch.get_logger().setLevel("WARNING")  # the progress bar says what is going on
    reason = ""
    for mirror in MIRRORS[name]:
        try:
            return Path(
                pooch.retrieve(
                    mirror + path.name,
                    known_hash=f"sha256:{SHA256[name][stem]}",
                    fname=path.name,
                    path=folder,
                    progressbar=True,
                )
            )
        # requests' errors are OSErrors (no network, 404, ...); a wrong checksum is a ValueError.
        except (OSError, ValueError) as error:
            reason = one_line(error)[:200]
    raise MiniganError(
        f"cannot download {path.name} of {name} from any of {len(MIRRORS[name])} mirrors "
        f"(the last said: {reason}): try again with a network, {where}"
    )


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # not there, or not readable: the same as not there
        return None


# ---------------------------------------------------------------------------------------------
# The data set
# ---------------------------------------------------------------------------------------------


def load_mnist(
    name: str = "mnist",
    *,
    size: int | None = None,
    split: str = "train",
    data_dir: str | os.PathLike | None = None,
    count: int | None = None,
    channels: int | None = None,
) -> Dataset:
    """``mnist`` or ``fashion-mnist``: uint8 (N, 1, 28, 28), or resized to ``size``.

    Splits: ``train`` (60,000), ``test`` (10,000), and the 2014 paper's ``paper-train`` (the first
    50,000 of train) and ``valid`` (its last 10,000). ``size=32`` adds two pixels of black on each
    side, as LeNet does; other sizes are resampled. ``count`` keeps the first so many.
    Raises MiniganError if files are missing, broken, do not belong together or belong to the other
    of the two sets; KeyError for an unknown split.
    """
    prefix, start, stop = SPLITS[split]
    image_path, label_path = find_files(name, prefix, data_dir)
    images, labels = read_idx(image_path), read_idx(label_path)
    for path, array, ndim in ((image_path, images, 3), (label_path, labels, 1)):
        if array.ndim != ndim:
            raise MiniganError(
                f"{one_line(path)} has {array.ndim} dimensions, expected {ndim}: "
                "get a fresh copy of the file"
            )
    if images.shape[1:] != (28, 28):
        raise MiniganError(
            f"{one_line(image_path)} holds images of {images.shape[1]} x {images.shape[2]}, "
            "expected 28 x 28: get a fresh copy of the file"
        )
    if len(images) != len(labels):
        raise MiniganError(
            f"{one_line(image_path)} holds {len(images)} images but {one_line(label_path)} "
            f"{len(labels)} labels: get fresh copies of both"
        )
    if labels.max() > 9:
        raise MiniganError(
            f"{one_line(label_path)} has the label {labels.max()}, expected 0 to 9: "
            "get a fresh copy of the file"
        )
    begins = "".join(str(label) for label in labels[:10])
    for other in NAMES:
        if other != name and begins == FIRST_LABELS[other][prefix]:
            raise MiniganError(
                f"{one_line(label_path)} belongs to {other}, not to {name}: "
                f"keep the files of {name} in a folder of that name"
            )
    if stop is not None and len(images) < stop:
        raise MiniganError(
            f"{one_line(image_path)} holds {len(images)} images, but the split {split} needs "
            f"{stop}: use the split train, or the complete file"
        )
    rows = slice(start, stop)
    images, labels = take_first(images[rows], count, name), take_first(labels[rows], count, name)
    images = with_channels(_sized(images[:, None], size), channels)
    return Dataset(name, split, images, labels.astype(np.int64), CLASSES[name])


def _sized(images: np.ndarray, size: int | None) -> np.ndarray:
    if size is None:
        return images
    if size == 32:
        return np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    return resize(images, size)
