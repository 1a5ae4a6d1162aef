"""What the measurements of images and features ask of their arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK_VALUES = 4_000_000  # float64 values in a block of distances: 32 MB


def rows(name: str, x: Any, least: int = 1) -> np.ndarray:
    """``x`` as float64 (N, d), N >= ``least``, all finite; otherwise ValueError, one line.

    >>> rows("features", [[1, 2], [3, 4]]).dtype
    dtype('float64')
    """
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[1] == 0 or x.dtype.kind not in "fiub":
        raise ValueError(f"{name}: expected numbers of shape (N, d), got {x.dtype} {x.shape}")
    if len(x) < least:
        raise ValueError(f"{name}: expected at least {least} rows, got {len(x)}")
    x = x.astype(np.float64, copy=False)
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    return x


def images(name: str, x: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """``x`` itself, which must be images (N, C, H, W), N >= 1: uint8, or floats in [0, 1].

    Args:
        shape: (C, H, W), if it must be this one.

    Raises TypeError for other dtypes and ValueError for other shapes and values, one line each.

    >>> images("samples", np.zeros((2, 1, 28, 28), np.uint8)).shape
    (2, 1, 28, 28)
    """
    x = np.asarray(x)
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise TypeError(f"{name}: expected uint8 or floats in [0, 1], got {x.dtype}")
    wanted = "C, H, W" if shape is None else ", ".join(map(str, shape))
    if x.ndim != 4 or x.size == 0 or (shape is not None and x.shape[1:] != shape):
        raise ValueError(f"{name}: expected images (N, {wanted}), N >= 1, got {x.shape}")
    if x.dtype != np.uint8 and not (x.min() >= 0 and x.max() <= 1):  # false for NaN too
        raise ValueError(
            f"{name}: expected floats in [0, 1], got {x.min():.4g} to {x.max():.4g}; "
            "scale a tanh generator's images by (x + 1) / 2"
        )
    return x


def labels(name: str, y: Any, count: int, classes: int | None = None) -> np.ndarray:
    """``y`` as int64 (count,), values from 0 (to ``classes`` - 1); else ValueError, one line."""
    y = np.asarray(y)
    if y.shape != (count,) or y.dtype.kind not in "iu":
        raise ValueError(
            f"{name}: expected whole numbers of shape ({count},), got {y.dtype} {y.shape}"
        )
    y = y.astype(np.int64)
    if y.min() < 0 or (classes is not None and y.max() >= classes):
        limits = "0 or more" if classes is None else f"0 to {classes - 1}"
        raise ValueError(f"{name}: expected {limits}, got {y.min()} to {y.max()}")
    return y


def at_least_1(name: str, value: Any) -> int:
    """``value``, an int >= 1; otherwise ValueError, one line."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}: expected a whole number from 1, got {value!r}")
    return int(value)


def block_rows(columns: int, block: int | None) -> int:
    """How many rows of distances to so many columns are held at a time."""
    return max(1, BLOCK_VALUES // columns) if block is None else at_least_1("block", block)
