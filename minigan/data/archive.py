"""Images in a NumPy archive as a data set: ``npz:PATH``.

The archive may come from anywhere, so nothing in it is trusted: no pickles, and memory for what an
array's bytes unpack to (8 GiB at most), not for what its header promises.
"""

import math
import os
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from minigan.data.dataset import Dataset, one_line
from minigan.data.images import composite_on_black, resize, take_first, with_channels
from minigan.errors import MiniganError

IMAGE_KEYS = {"train": ("images", "x", "x_train", "data"), "test": ("x_test",)}
LABEL_KEYS = {"train": ("labels", "y", "y_train"), "test": ("y_test",)}
SPLITS = tuple(IMAGE_KEYS)

MAX_BYTES = 2**33  # an array of more than 8 GiB is not believed
MAX_RATIO = 1032  # and deflate cannot pack tighter than this
MAX_CLASSES = 10_000


def load_npz(
    path: str | os.PathLike,
    *,
    size: int | None = None,
    split: str = "train",
    count: int | None = None,
    channels: int | None = None,
) -> Dataset:
    """The images of an ``.npz`` file, uint8 (N, C, size, size); ``size=None`` keeps square ones.

    The images are under the key ``images``, ``x``, ``x_train`` or ``data`` (split ``test``:
    ``x_test``), or else the only uint8 array of 3 or 4 dimensions: (N, H, W), (N, H, W, C) or
    (N, C, H, W), with C = 1, 3 or 4 (RGBA, which is laid on black). They are uint8, or floats in
    [0, 1]. Labels, if any, are under ``labels``, ``y`` or ``y_train`` (``y_test``): N whole numbers
    from 0 to 9999. ``count`` keeps the first so many rows.
    Raises MiniganError if the file cannot be read or holds something else.
    """
    path = Path(path).expanduser()
    where = one_line(path)
    images, labels = _read(path, split)
    images = _to_nchw(_to_uint8(images, where), where)
    classes: tuple[str, ...] = ()
    if labels is not None:
        labels = _to_classes(labels, len(images), where)
        classes = tuple(str(label) for label in range(labels.max() + 1))
        labels = take_first(labels, count, where)
    images = take_first(images, count, where)
    images = resize(images, min(images.shape[2:]) if size is None else size)
    return Dataset(f"npz:{path}", split, with_channels(images, channels), labels, classes)


def _read(path: Path, split: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The arrays of images and labels as they are in the file."""
    try:
        with warnings.catch_warnings(), zipfile.ZipFile(path) as archive:
            # A header is parsed as Python text; oddities in it, if they matter, end in an error.
            warnings.simplefilter("ignore")
            members = {
                member.filename.removesuffix(".npy"): member for member in archive.infolist()
            }
            image_key = _find_images(archive, members, path, split)
            images = _read_member(archive, members[image_key])
            label_key = next((key for key in LABEL_KEYS[split] if key in members), None)
            labels = None if label_key is None else _read_member(archive, members[label_key])
    # What zipfile and the parsers of a NumPy header have been seen to raise on damaged bytes.
    except (
        OSError,
        ValueError,
        TypeError,
        SyntaxError,
        EOFError,
        IndexError,
        RuntimeError,
        tokenize.TokenError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        reason = one_line(getattr(error, "strerror", None) or error) or type(error).__name__
        raise MiniganError(
            f"cannot read {one_line(path)}: {reason[:200]}; expected an .npz file of plain arrays"
        ) from None
    return images, labels


def _find_images(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], path: Path, split: str
) -> str:
    for key in IMAGE_KEYS[split]:
        if key in members:
            return key
    candidates = []
    if split == "train":
        for key, member in members.items():
            with _open(archive, member) as file:
                shape, _, dtype = _read_header(file)
            if len(shape) in (3, 4) and dtype == np.uint8:
                candidates.append(key)
    if len(candidates) != 1:
        found = one_line(", ".join(members))[:200] or "nothing"
        raise MiniganError(
            f"{one_line(path)} holds {found}: expected the images of the split {split} under "
            f"{' or '.join(IMAGE_KEYS[split])}"
        )
    return candidates[0]


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"array format {version} is not supported")


def _open(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # as NumPy writes
        raise ValueError(f"array {member.filename} is packed by method {member.compress_type}")
    if member.file_size > min(MAX_BYTES, MAX_RATIO * member.compress_size):
        raise ValueError(f"array {member.filename} claims {member.file_size} bytes")
    return archive.open(member)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with _open(archive, member) as file:
        shape, fortran, dtype = _read_header(file)
        if dtype.kind not in "uif":
            raise ValueError(f"array {member.filename} is of type {dtype}, expected numbers")
        expected = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 1:
            raise ValueError(f"array {member.filename} claims the shape {shape}")
        values = file.read()  # to the end, where zipfile checks the CRC-32
    if len(values) != expected:
        raise ValueError(f"array {member.filename} has {len(values)} bytes, not {expected}")
    return np.frombuffer(values, dtype).reshape(shape, order="F" if fortran else "C")


def _to_uint8(images: np.ndarray, where: str) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise MiniganError(
            f"{where} holds images of type {images.dtype}: expected uint8, or floats in [0, 1]"
        )
    with np.errstate(invalid="ignore"):  # NaN shows in the result
        low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):  # also if they are NaN
        raise MiniganError(
            f"{where} holds float images with values from {low:g} to {high:g}: expected [0, 1]"
        )
    return np.rint(images.astype(np.float64) * 255).astype(np.uint8)


def _to_nchw(images: np.ndarray, where: str) -> np.ndarray:
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4:
        raise MiniganError(
            f"{where} holds images of shape {images.shape}: "
            "expected (N, H, W), (N, H, W, C) or (N, C, H, W)"
        )
    last, first = images.shape[3] in (1, 3, 4), images.shape[1] in (1, 3, 4)
    if last and first:  # one of the two is an image side: square images settle it
        first = images.shape[2] == images.shape[3]
        last = images.shape[1] == images.shape[2]
    if last == first:
        raise MiniganError(
            f"{where} holds images of shape {images.shape}: expected 1, 3 or 4 channels, "
            "either last or after the first axis"
        )
    nhwc = images if last else images.transpose(0, 2, 3, 1)
    if nhwc.shape[3] == 4:
        nhwc = composite_on_black(nhwc)
    return np.ascontiguousarray(nhwc.transpose(0, 3, 1, 2))


def _to_classes(labels: np.ndarray, n: int, where: str) -> np.ndarray:
    if labels.size != n or labels.dtype.kind not in "ui":
        raise MiniganError(
            f"{where} holds labels of type {labels.dtype} and shape {labels.shape}: "
            f"expected {n} whole numbers, one an image"
        )
    low, high = labels.min(), labels.max()
    if low < 0 or high >= MAX_CLASSES:
        raise MiniganError(
            f"{where} holds labels from {low} to {high}: expected class numbers from 0 to "
            f"{MAX_CLASSES - 1}"
        )
    return labels.reshape(n).astype(np.int64)
