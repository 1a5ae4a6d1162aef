"""The kernel of resampling with Numba: y = A x B^T for every channel of every image.

A and B have few nonzeros (one or two a row for upsampling), and only those are visited.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minigan.kernels import parallel
from minigan.kernels.layout import compact, is_channels_last, restored, slices

_jit = njit(cache=True, nogil=True, error_model="numpy")


def resample(x, A, B):
    (N, C), is_last = x.shape[:2], is_channels_last(x)
    x = compact(x, is_last)
    y = np.zeros((len(x), len(A), len(B), x.shape[3]), x.dtype)
    rows, columns = _nonzeros(A, x.dtype), _nonzeros(B, x.dtype)
    parallel.run(
        lambda part: _resample(x[part], *rows, *columns, y[part]),
        slices(len(x), y.size // max(len(A) * len(B), 1) * len(rows[1]) * len(columns[1])),
    )
    return restored(y, N, C, is_last)


def _nonzeros(A, dtype):
    """(starts, i, a): row p of A has its nonzeros a[s] at i[s], s from starts[p] to starts[p+1]."""
    p, i = A.nonzero()
    return np.searchsorted(p, np.arange(len(A) + 1)), i, A[p, i].astype(dtype)


@_jit
def _resample(x, row_starts, i, a, column_starts, j, b, y):
    M, P, Q, K = y.shape
    for m in range(M):
        for p in range(P):
            for q in range(Q):
                for s in range(row_starts[p], row_starts[p + 1]):
                    for t in range(column_starts[q], column_starts[q + 1]):
                        weight = a[s] * b[t]
                        for c in range(K):
                            y[m, p, q, c] += weight * x[m, i[s], j[t], c]
