"""The kernels of max pooling with Numba: the loops of reference.py, for either memory order.

Every loop runs over output positions (p, q), over the window's positions (k, l) and, innermost,
over the channels, which are neighbours in memory: its choices become vector instructions.
One thread works through whole images, so no two of them write to the same place.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minigan.kernels import parallel
from minigan.kernels.layout import compact, is_channels_last, restored, slices

_jit = njit(cache=True, nogil=True, error_model="numpy")


def max_pool(x, kernel, geometry):
    (N, C), is_last = x.shape[:2], is_channels_last(x)
    x = compact(x, is_last)
    M, H, W, K = x.shape
    shape = (M, *geometry.output_size((H, W), kernel), K)
    y, choice = np.empty(shape, x.dtype), np.empty(shape, np.int32)
    parallel.run(
        lambda part: _max_pool(x[part], kernel, geometry.stride, geometry.padding,
                               y[part], choice[part]),
        slices(M, y.size * kernel[0] * kernel[1]),
    )  # fmt: skip
    return restored(y, N, C, is_last), restored(choice, N, C, is_last)


@_jit
def _max_pool(x, kernel, stride, padding, y, choice):
    _, H, W, K = x.shape
    M, P, Q, _ = y.shape
    for m in range(M):
        for p in range(P):
            for q in range(Q):
                is_first = True
                for k in range(kernel[0]):
                    for l in range(kernel[1]):
                        i, j = stride[0] * p + k - padding[0], stride[1] * q + l - padding[1]
                        if i < 0 or i >= H or j < 0 or j >= W:
                            continue
                        number = k * kernel[1] + l
                        for c in range(K):
                            v = x[m, i, j, c]
                            is_larger = is_first or v > y[m, p, q, c] or v != v  # NaN stays NaN
                            y[m, p, q, c] = v if is_larger else y[m, p, q, c]
                            choice[m, p, q, c] = number if is_larger else choice[m, p, q, c]
                        is_first = False


def max_pool_take(x, choice, kernel, geometry):
    (N, C), is_last = x.shape[:2], is_channels_last(x)
    x, choice = compact(x, is_last), compact(choice, is_last)
    y = np.empty(choice.shape, x.dtype)
    parallel.run(
        lambda part: _max_pool_take(x[part], choice[part], kernel, geometry.stride,
                                    geometry.padding, y[part]),
        slices(len(y), y.size * kernel[0] * kernel[1]),
    )  # fmt: skip
    return restored(y, N, C, is_last)


@_jit
def _max_pool_take(x, choice, kernel, stride, padding, y):
    _, H, W, K = x.shape
    M, P, Q, _ = y.shape
    for m in range(M):
        for p in range(P):
            for q in range(Q):
                for k in range(kernel[0]):
                    for l in range(kernel[1]):
                        i, j = stride[0] * p + k - padding[0], stride[1] * q + l - padding[1]
                        if i < 0 or i >= H or j < 0 or j >= W:
                            continue
                        number = k * kernel[1] + l
                        for c in range(K):
                            is_chosen = choice[m, p, q, c] == number
                            y[m, p, q, c] = x[m, i, j, c] if is_chosen else y[m, p, q, c]


def max_pool_put(gy, choice, size, kernel, geometry):
    (N, C), is_last = gy.shape[:2], is_channels_last(gy)
    gy, choice = compact(gy, is_last), compact(choice, is_last)
    gx = np.zeros((len(gy), *size, gy.shape[3]), gy.dtype)
    parallel.run(
        lambda part: _max_pool_put(gy[part], choice[part], kernel, geometry.stride,
                                   geometry.padding, gx[part]),
        slices(len(gy), gy.size * kernel[0] * kernel[1]),
    )  # fmt: skip
    return restored(gx, N, C, is_last)


@_jit
def _max_pool_put(gy, choice, kernel, stride, padding, gx):
    _, H, W, K = gx.shape
    M, P, Q, _ = gy.shape
    zero = gy.dtype.type(0)
    for m in range(M):
        for p in range(P):
            for q in range(Q):
                for k in range(kernel[0]):
                    for l in range(kernel[1]):
                        i, j = stride[0] * p + k - padding[0], stride[1] * q + l - padding[1]
                        if i < 0 or i >= H or j < 0 or j >= W:
                            continue
                        number = k * kernel[1] + l
                        for c in range(K):
                            is_chosen = choice[m, p, q, c] == number
                            gx[m, i, j, c] += gy[m, p, q, c] if is_chosen else zero
