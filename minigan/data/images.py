"""Small operations on stacks of images, uint8 (N, C, H, W)."""

import numpy as np

from minigan.errors import MiniganError


def composite_on_black(rgba: np.ndarray) -> np.ndarray:
    """RGB (..., 3) of uint8 RGBA (..., 4): colour times alpha, rounded.

    >>> composite_on_black(np.array([[200, 100, 50, 255], [200, 100, 50, 51]], np.uint8))
    array([[200, 100,  50],
           [ 40,  20,  10]], dtype=uint8)
    """
    colour, alpha = rgba[..., :3].astype(np.uint16), rgba[..., 3:].astype(np.uint16)
    return ((colour * alpha + 127) // 255).astype(np.uint8)  # 255 * 255 + 127 < 2**16


def with_channels(images: np.ndarray, channels: int | None) -> np.ndarray:
    """The images with 1 (grey) or 3 (RGB) channels; None keeps what there is.

    Grey becomes RGB by repetition, RGB becomes grey with the weights of ITU-R 601, as in Pillow.

    >>> with_channels(np.full((1, 3, 1, 1), 7, np.uint8), 1).ravel()
    array([7], dtype=uint8)
    """
    if channels is None or channels == images.shape[1]:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=1)
    red, green, blue = images.astype(np.uint32).transpose(1, 0, 2, 3)
    grey = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16  # the weights sum to 65536
    return grey.astype(np.uint8)[:, None]


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Square images (N, C, size, size): centre-cropped to a square, then resampled (Lanczos).

    Resampling is linear and the same for rows and columns, so it is W x W^T with one matrix W of
    weights: what Pillow makes of the identity matrix. Thus a whole stack is two products.

    >>> resize(np.full((2, 3, 6, 4), 9, np.uint8), 8).shape
    (2, 3, 8, 8)
    """
    from PIL import Image

    n, c, height, width = images.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(images[:, :, top : top + side, left : left + side])
    if side == size:
        return square
    identity = Image.fromarray(np.eye(side, dtype=np.float32))
    weights = np.asarray(identity.resize((side, size), Image.Resampling.LANCZOS))  # (size, side)
    out = np.empty((n, c, size, size), np.uint8)
    block = max(1, 2**22 // max(side, size) ** 2)  # so many images as floats at a time
    for start in range(0, n, block):
        rows = slice(start, start + block)
        resampled = weights @ square[rows].astype(np.float32) @ weights.T
        out[rows] = np.clip(resampled, 0, 255) + 0.5  # Lanczos overshoots at edges; then round
    return out


def take_first(array: np.ndarray, count: int | None, name: str) -> np.ndarray:
    """The first ``count`` rows, or all for None; MiniganError if there are fewer.

    >>> take_first(np.arange(5), 2, "demo")
    array([0, 1])
    """
    if count is not None and count > len(array):
        raise MiniganError(f"{name} holds {len(array)} rows, not {count}: ask for a smaller count")
    return array[:count]
