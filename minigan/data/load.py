"""From the name on the command line to the data set."""

import difflib
import os

from minigan.data import archive, folder, glyphs, mnist, stacked, toy
from minigan.data.dataset import Dataset, one_line
from minigan.data.images import with_channels
from minigan.errors import MiniganError

NAMES = ("glyphs", *mnist.NAMES, stacked.NAME, *toy.MIXTURES)
PREFIXES = ("folder:", "npz:")

MAX_SIZE = 4096
MAX_COUNT = 10**8


def load(
    name: str,
    *,
    size: int | None = None,
    split: str = "train",
    data_dir: str | os.PathLike | None = None,
    count: int | None = None,
    seed: int = 0,
    channels: int | None = None,
) -> Dataset:
    """A data set by name.

    =================  ========================================  ==============================
    name               rows                                      splits
    =================  ========================================  ==============================
    ``glyphs``         digits drawn from fonts, made here        train, test
    ``mnist``          handwritten digits, 28 x 28               train, test, paper-train, valid
    ``fashion-mnist``  pictures of clothes, 28 x 28              train, test, paper-train, valid
    ``stacked-mnist``  three digits of MNIST as R, G and B       train, test, paper-train, valid
    ``folder:PATH``    all pictures under a folder               train
    ``npz:PATH``       a NumPy archive of images                 train, test
    ``ring8``          2-D points, 8 Gaussians on a circle       train, test
    ``grid25``         2-D points, 25 Gaussians on a grid        train, test
    ``gaussian1d``     1-D points, N(4, 0.5)                     train, test
    =================  ========================================  ==============================

    * ``size``: side of the square images in pixels, 8..4096; None is 28 for made and drawn digits,
      MNIST and folders, and the stored size for archives. Points have none.
    * ``count``: how many rows to make (glyphs, stacks, toys), or to keep, from the first (others).
    * ``seed``: which glyphs, stacks or points are made; the others have no randomness.
    * ``data_dir``: where the MNIST files are; see :func:`minigan.data.mnist.find_files`.
    * ``channels``: 1 grey, 3 RGB, None as it comes.

    >>> points = load("grid25", count=500)
    >>> points.x.shape, len(points.classes)
    ((500, 2), 25)

    Raises MiniganError, one line, for whatever is wrong with the arguments or the files.
    """
    _check(size=size, count=count, seed=seed, channels=channels)
    try:
        return _load(name, size, split, data_dir, count, seed, channels)
    except MemoryError:
        raise MiniganError(
            f"not enough memory for {one_line(name)}: ask for a smaller count or size"
        ) from None


def _load(
    name: str,
    size: int | None,
    split: str,
    data_dir: str | os.PathLike | None,
    count: int | None,
    seed: int,
    channels: int | None,
) -> Dataset:
    if name in PREFIXES:
        raise MiniganError(f"{name} names no path: expected {name}PATH")
    if name.startswith("folder:"):
        _check_split(name, split, ("train",))
        return folder.load_folder(
            name.removeprefix("folder:"),
            size=folder.DEFAULT_SIZE if size is None else size,
            count=count,
            channels=channels,
        )
    if name.startswith("npz:"):
        _check_split(name, split, archive.SPLITS)
        return archive.load_npz(
            name.removeprefix("npz:"), size=size, split=split, count=count, channels=channels
        )
    if name == "glyphs":
        _check_split(name, split, glyphs.SPLITS)
        data = glyphs.load_glyphs(size=size or 28, split=split, count=count, seed=seed)
        return Dataset(name, split, with_channels(data.x, channels), data.labels, data.classes)
    if name in mnist.NAMES:
        _check_split(name, split, tuple(mnist.SPLITS))
        return mnist.load_mnist(
            name, size=size, split=split, data_dir=data_dir, count=count, channels=channels
        )
    if name == stacked.NAME:
        _check_split(name, split, tuple(mnist.SPLITS))
        if channels == 1:
            raise MiniganError(f"{name} has a digit in each of three channels: leave channels out")
        return stacked.make_stacked(
            size=size, split=split, data_dir=data_dir, count=count, seed=seed
        )
    if name in toy.MIXTURES:
        _check_split(name, split, toy.SPLITS)
        if size is not None or channels is not None:
            raise MiniganError(
                f"{name} holds points, not images: choose a recipe for points, or another data set"
            )
        return toy.make_toy(name, count=count or toy.DEFAULT_COUNT, split=split, seed=seed)
    close = difflib.get_close_matches(name, NAMES, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise MiniganError(
        f"no data set {one_line(name)!r}: {hint}expected one of {', '.join(NAMES)}, "
        f"{', '.join(prefix + 'PATH' for prefix in PREFIXES)}"
    )


def splits(name: str) -> tuple[str, ...]:
    """The splits that a data set has (an archive has "test" only if that was put into it).

    >>> splits("glyphs"), splits("folder:holidays")
    (('train', 'test'), ('train',))
    """
    if name in (*mnist.NAMES, stacked.NAME):
        return tuple(mnist.SPLITS)
    if name == "glyphs":
        return glyphs.SPLITS
    if name in toy.MIXTURES:
        return toy.SPLITS
    return ("train",)


def is_here(name: str, split: str) -> bool:
    """Whether the data can be had without a download.

    >>> is_here("glyphs", "train")
    True
    """
    if name == stacked.NAME:
        name = "mnist"
    return name not in mnist.NAMES or mnist.is_here(name, split)


def _check(*, size: int | None, count: int | None, seed: int, channels: int | None) -> None:
    if size is not None and not glyphs.MIN_SIZE <= size <= MAX_SIZE:
        raise MiniganError(
            f"image size {size}: expected a side of {glyphs.MIN_SIZE} to {MAX_SIZE} pixels"
        )
    if count is not None and not 1 <= count <= MAX_COUNT:
        raise MiniganError(f"count {count}: expected 1 to {MAX_COUNT} rows")
    if seed < 0:
        raise MiniganError(f"seed {seed}: expected 0 or more")
    if channels not in (None, 1, 3):
        raise MiniganError(f"{channels} channels: expected 1 (grey) or 3 (colour)")


def _check_split(name: str, split: str, splits: tuple[str, ...]) -> None:
    if split not in splits:
        raise MiniganError(
            f"{one_line(name)} has no split {one_line(split)!r}: expected {' or '.join(splits)}"
        )
