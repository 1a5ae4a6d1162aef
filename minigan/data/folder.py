"""Any folder of pictures as a data set: ``folder:PATH``."""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minigan.data.dataset import Dataset, one_line
from minigan.data.images import composite_on_black, take_first, with_channels
from minigan.errors import MiniganError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
}
DEFAULT_SIZE = 28


def load_folder(
    path: str | os.PathLike,
    *,
    size: int = DEFAULT_SIZE,
    count: int | None = None,
    channels: int | None = None,
) -> Dataset:
    """All pictures under a folder, uint8 (N, C, size, size), in the order of their sorted paths.

    Each is turned upright (EXIF), laid on black where it is transparent, cropped to the square in
    its middle and scaled (Lanczos); of an animation the first frame counts. C = ``channels``; None
    means 1 if no picture has colour and 3 otherwise. ``count`` reads only the first so many.
    If every picture lies in a sub-folder, the first-level sub-folders are the classes, in sorted
    order. Names that begin with a dot are skipped.
    Raises MiniganError if there is no such folder, no picture in it, or one that cannot be read.
    """
    folder = Path(path).expanduser()
    paths = _list(folder)
    taken = take_first(np.arange(len(paths)), count, f"folder:{one_line(path)}")
    images = np.stack([_read(paths[i], size) for i in taken])  # (N, size, size, 3)
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    if channels is None:
        red = images[:, :1]
        channels = 1 if (images == red).all() else 3
    images = with_channels(images, channels)

    parts = [file.relative_to(folder).parts for file in paths]
    labels, classes = None, ()
    if all(len(part) > 1 for part in parts):
        classes = tuple(sorted({part[0] for part in parts}))
        labels = np.array([classes.index(parts[i][0]) for i in taken], np.int64)
    return Dataset(f"folder:{path}", "train", images, labels, classes)


def _list(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise MiniganError(
            f"cannot read the folder {one_line(error.filename)}: {one_line(error.strerror)}"
        )

    if not os.path.isdir(folder):
        raise MiniganError(f"no folder {one_line(folder)}: expected a folder of pictures")
    paths = []
    for here, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in FORMATS:
                paths.append(Path(here, name))
    if not paths:
        raise MiniganError(
            f"no pictures in {one_line(folder)}: expected files ending in {', '.join(FORMATS)}"
        )
    return sorted(paths, key=lambda path: path.parts)


def _read(path: Path, size: int) -> np.ndarray:
    """One picture as uint8 RGB (size, size, 3)."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # Pillow warns of odd but readable files, which is no news to the user here; its warning
            # of a picture so large that it may be an attack (a "decompression bomb") is an error.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=sorted(set(FORMATS.values()))) as opened:
                picture = _to_eight_bits(ImageOps.exif_transpose(opened))
                # Colour under full transparency must not bleed in, so lay on black before scaling.
                rgb = Image.fromarray(composite_on_black(np.asarray(picture.convert("RGBA"))))
    # Decoders of broken files raise whatever their parsers trip over (OSError, SyntaxError,
    # struct.error, IndexError, ...), and every one means the same to the user.
    except Exception as error:
        reason = one_line(error) or type(error).__name__
        raise MiniganError(
            f"cannot read the picture {one_line(path)}: {reason}; repair it or take it out"
        ) from None
    fitted = ImageOps.fit(rgb, (size, size), Image.Resampling.LANCZOS)
    return np.asarray(fitted)


def _to_eight_bits(picture: "Image.Image") -> "Image.Image":
    # Pillow's own conversion of 16-bit grey clips at 255 instead of scaling.
    from PIL import Image

    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8))
    return picture
