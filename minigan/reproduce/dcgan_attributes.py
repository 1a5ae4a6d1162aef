"""How slanted and how thick a stroke is, measured: what "smiling" is to faces.

Both work on soft grey images, do not see where the digit lies, and need no threshold.
"""

from __future__ import annotations

import numpy as np


def slant(images: np.ndarray) -> np.ndarray:
    """The shear of each image: how far it leans to the right per row upwards.

    With the ink as masses, -cov(column, row) / var(row): the slope of the line, column as a
    function of height, that fits the ink best.  0 is upright, 1 leans by 45 degrees.

    Args:
        images: (N, 1, H, W), ink > 0 on 0.

    Returns float64 (N,); an image without ink, or with ink in one row only, is upright.

    >>> bar = np.fliplr(np.eye(8))[None, None]  # from the lower left to the upper right
    >>> slant(bar).round(6)
    array([1.])
    """
    ink = images[:, 0].astype(np.float64)
    rows, columns = np.indices(ink.shape[1:])
    mass = np.maximum(ink.sum(axis=(1, 2)), 1e-12)

    def mean(values: np.ndarray) -> np.ndarray:
        return (ink * values).sum(axis=(1, 2)) / mass

    up = mean(rows)[:, None, None] - rows
    across = columns - mean(columns)[:, None, None]
    spread = mean(up * up)
    return np.where(spread > 1e-9, mean(across * up) / np.maximum(spread, 1e-9), 0.0)


def thickness(images: np.ndarray) -> np.ndarray:
    """The mean width of each image's strokes, in pixels.

    A stroke of width w and length L has the area w L and, if it is long, the perimeter 2 L: so
    w = 2 area / perimeter.  The area is the sum of the ink; the perimeter of a soft shape is the
    sum of the lengths of its gradient (the co-area formula).  Paler ink does not change the
    quotient.  On a grid of pixels it is right to about a tenth for strokes from 2 pixels on.

    Args and result as for :func:`slant`; an image without ink has the width 0.

    >>> bar = np.zeros((1, 1, 28, 28))
    >>> bar[..., 4:24, 12:15] = 1  # 20 x 3 pixels
    >>> thickness(bar).round(1)
    array([2.7])
    """
    ink = np.pad(images[:, 0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    # Both differences at the same place, the middle of four pixels.
    down = (ink[:, 1:] - ink[:, :-1])[:, :, :-1] + (ink[:, 1:] - ink[:, :-1])[:, :, 1:]
    right = (ink[:, :, 1:] - ink[:, :, :-1])[:, :-1] + (ink[:, :, 1:] - ink[:, :, :-1])[:, 1:]
    perimeter = np.hypot(down / 2, right / 2).sum(axis=(1, 2))
    return 2 * ink.sum(axis=(1, 2)) / np.maximum(perimeter, 1e-12)


ATTRIBUTES = {"thickness": thickness, "slant": slant}
