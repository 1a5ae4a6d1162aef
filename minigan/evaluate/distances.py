"""All squared distances between two sets of rows, a block at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

MEMORY = 32 * 2**20  # bytes that a pair of blocks and their distances take, in float64


def squared_distances(x: Any, y: Any) -> Any:
    """|x_i - y_j|^2 = |x_i|^2 + |y_j|^2 - 2 x_i y_j: (N, D), (M, D) -> (N, M), one matrix product.

    The error is a rounding of |x_i|^2 + |y_j|^2.  What is as small as that becomes 0, so that the
    distance of a row from its copy is 0.

    >>> import numpy as np
    >>> squared_distances(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[3.0, 4.0]]))
    array([[25.],
           [ 0.]])
    """
    norms = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1)
    d = x @ y.T
    d *= -2
    d += norms
    norms *= 500 * np.finfo(d.dtype).eps
    d *= d >= norms
    return d


def block_rows(D: int) -> int:
    """The n for which two blocks (n, D) and three arrays (n, n) of float64 fill ``MEMORY``.

    >>> block_rows(784), block_rows(10**7)
    (949, 1)
    """
    numbers = MEMORY / 8  # 3 n^2 + 2 n D of them
    return max(1, int((math.sqrt(D * D + 3 * numbers) - D) / 3))


def blocks(length: int, rows: int) -> Iterator[slice]:
    """0 .. length in slices of ``rows``, the last one shorter.

    >>> list(blocks(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    for start in range(0, length, rows):
        yield slice(start, min(start + rows, length))
