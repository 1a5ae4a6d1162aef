"""All squared distances between two sets of rows, a block at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

MEMORY = 32 * 2**20  # bytes that a pair of blocks and their distances take, in float64


def squared_distances(x: Any, y: Any) -> Any:
    """|x_i - y_j|^2 = |x_i|^2 + |y_j|^2 - 2 x_i y_j: (N, D), (M, D) -> (N, M), one matrix product.

    The error is a rounding of |x_i|^2 + |y_j|^2, so a distance of 0 can come out as -1e-13.

    >>> import numpy as np
    >>> squared_distances(np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[0.0, 4.0]]))
    array([[16.], [25.]])
    """
    d = x @ y.T
    d *= -2
    d += (x * x).sum(axis=1)[:, None]
    d += (y * y).sum(axis=1)
    return d


def block_rows(D: int) -> int:
    """The n for which two blocks (n, D) and two arrays (n, n) of float64 fill ``MEMORY``.

    >>> block_rows(784), block_rows(10**7)
    (1108, 1)
    """
    numbers = MEMORY / 8  # n^2 + n D = numbers / 2
    return max(1, int((math.sqrt(D * D + 2 * numbers) - D) / 2))


def blocks(length: int, rows: int) -> Iterator[slice]:
    """0 .. length in slices of ``rows``, the last one shorter.

    >>> list(blocks(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    for start in range(0, length, rows):
        yield slice(start, min(start + rows, length))
