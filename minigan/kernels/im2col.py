"""Convolution as a matrix product (Chellapilla et al. 2006): im2col.

For each output position p, the input under the kernel is copied into one row of a matrix, the
*columns* of the usual name; then every output is a product of a row with the weights:

    columns[(n, p, q), (k, l, c)] = x[n, i, j, c]     i = stride p + dilation k - padding, j alike

    forward          y  = columns W^T
    input gradient   gx = col2im(gy W)                col2im is the adjoint: it adds where im2col
    weight gradient  gW = gy^T columns                copied.  It is the transposed convolution.

Memory is channels-last, (N, H, W, C): then the c of one (k, l) are neighbours in both matrices.
The columns are 16 times as large as the image for a 4x4 kernel, so they are made for a few
images at a time, small enough to stay in the processor's cache until the product has used them.

Notation: N images, O output and C input channels, (kh, kw) the kernel, P x Q the output's size.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minigan.kernels import parallel
from minigan.kernels.clock import timed
from minigan.kernels.geometry import Geometry, Pair
from minigan.kernels.scratch import scratch

COLUMN_BYTES = 2 << 20  # of one slice: half of what a core has of the last-level cache, or less

_dot = timed("GEMM")(np.dot)
_jit = njit(cache=True, nogil=True, error_model="numpy")


def channels_last(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) -> (N, H, W, C), contiguous: a copy unless the memory is channels-last."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def channels_first(x: np.ndarray) -> np.ndarray:
    """(N, H, W, C) -> (N, C, H, W), a view."""
    return x.transpose(0, 3, 1, 2)


def forward(x: np.ndarray, w: np.ndarray, geometry: Geometry) -> np.ndarray:
    """y = columns W^T.  x: (N, C, H, W), w: (O, C/groups, kh, kw) -> (N, O, P, Q)"""
    (O, C, *kernel), images, weights = w.shape, channels_last(x), channels_last(w)
    P, Q = geometry.output_size(x.shape[2:], kernel)
    y = np.empty((len(x), P, Q, O), x.dtype)
    K = C * kernel[0] * kernel[1]

    def task(part: slice) -> None:
        columns = scratch("columns", (len(y[part]) * P * Q, K), x.dtype)
        for g, outputs in enumerate(parallel.parts(O, geometry.groups)):
            group = images[part, ..., g * C : (g + 1) * C]
            _im2col(group, *kernel, 0, kernel[0] * kernel[1], *_numbers(geometry), P, Q, columns)
            W = weights[outputs].reshape(-1, K)
            _product(columns, W.T, y[part].reshape(-1, O), outputs)

    parallel.run(task, _slices(len(x), P * Q * K * x.itemsize))
    return channels_first(y)


def input_gradient(gy: np.ndarray, w: np.ndarray, size: Pair, geometry: Geometry) -> np.ndarray:
    """gx = col2im(gy W).  gy: (N, O, P, Q), w: (O, C/groups, kh, kw) -> (N, C, *size)"""
    (O, C, *kernel), gradients, weights = w.shape, channels_last(gy), channels_last(w)
    N, P, Q, _ = gradients.shape
    gx = np.empty((N, *size, C * geometry.groups), gy.dtype)
    K = C * kernel[0] * kernel[1]
    sources = _sources(size, kernel, (P, Q), geometry)

    def task(part: slice) -> None:
        columns = scratch("columns", (len(gx[part]) * P * Q, K), gy.dtype)
        for g, outputs in enumerate(parallel.parts(O, geometry.groups)):
            W = weights[outputs].reshape(-1, K)
            _dot(gradients[part].reshape(-1, O)[:, outputs], W, out=columns)
            group = gx[part, ..., g * C : (g + 1) * C]
            _col2im(columns, *sources, P, Q, group)

    parallel.run(task, _slices(N, P * Q * K * gy.itemsize))
    return channels_first(gx)


def weight_gradient(x: np.ndarray, gy: np.ndarray, kernel: Pair, geometry: Geometry) -> np.ndarray:
    """gW = gy^T columns.  x: (N, C, H, W), gy: (N, O, P, Q) -> (O, C/groups, kh, kw)

    A sum over all positions.  Each task makes the columns of some kernel positions (k, l), so
    that no two tasks add to the same weight, whichever thread is free first.
    """
    images, gradients = channels_last(x), channels_last(gy)
    N, P, Q, O = gradients.shape
    C = x.shape[1] // geometry.groups
    gw = np.empty((O, kernel[0] * kernel[1], C), x.dtype)

    def task(positions: slice) -> None:
        first, last = positions.start, positions.stop
        K = (last - first) * C
        # Large results are added up seldom: the slices are at least as large as the result.
        slice_bytes = max(COLUMN_BYTES, O * K * x.itemsize)
        images_per_slice = max(1, slice_bytes // max(P * Q * K * x.itemsize, 1))
        for g, outputs in enumerate(parallel.parts(O, geometry.groups)):
            total = gw[outputs, first:last]
            for start in range(0, max(N, 1), images_per_slice):  # a sum of nothing is 0
                part = slice(start, start + images_per_slice)
                group = images[part, ..., g * C : (g + 1) * C]
                columns = scratch("columns", (len(group) * P * Q, K), x.dtype)
                _im2col(group, *kernel, first, last, *_numbers(geometry), P, Q, columns)
                product = scratch("product", (len(total), K), x.dtype)
                _dot(gradients[part].reshape(-1, O)[:, outputs].T, columns, out=product)
                if start == 0:
                    total[...] = product.reshape(total.shape)
                else:
                    total += product.reshape(total.shape)

    parallel.run(task, parallel.parts(kernel[0] * kernel[1], parallel.get_num_threads()))
    return channels_first(gw.reshape(O, *kernel, C))


def _numbers(geometry: Geometry) -> tuple[int, ...]:
    return (*geometry.stride, *geometry.padding, *geometry.dilation)


def _slices(N: int, image_bytes: int) -> list[slice]:
    """The images in slices of at most COLUMN_BYTES of columns, as many for each thread."""
    threads = parallel.get_num_threads()
    rounds = -(-N * image_bytes // (COLUMN_BYTES * threads))
    return parallel.parts(N, threads * max(rounds, 1))


def _product(a: np.ndarray, b: np.ndarray, out: np.ndarray, columns: slice) -> None:
    """out[:, columns] = a b"""
    if columns.stop - columns.start == out.shape[1]:
        _dot(a, b, out=out)
    else:
        out[:, columns] = _dot(a, b)


@timed("columns")
@_jit
def _im2col(x, kh, kw, first, last, sh, sw, ph, pw, dh, dw, P, Q, columns):
    """The columns of kernel positions first .. last-1, counted row by row."""
    N, H, W, C = x.shape
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                m = (n * P + p) * Q + q
                for k in range(kh):
                    for l in range(kw):
                        if k * kw + l < first or k * kw + l >= last:
                            continue
                        start = (k * kw + l - first) * C
                        i, j = sh * p + dh * k - ph, sw * q + dw * l - pw
                        is_inside = 0 <= i < H and 0 <= j < W
                        if C < 8:  # to name a run of memory would take longer than to copy it
                            for c in range(C):
                                columns[m, start + c] = x[n, i, j, c] if is_inside else 0
                        elif is_inside:
                            _copy(x[n, i, j], columns[m, start : start + C])
                        else:
                            _clear(columns[m, start : start + C])


@_jit
def _clear(out):
    for c in range(out.size):
        out[c] = 0


@_jit
def _copy(a, out):
    """A loop over one index from 0 becomes vector instructions."""
    for c in range(out.size):
        out[c] = a[c]


def _sources(size: Pair, kernel: Pair, outputs: Pair, geometry: Geometry) -> list[np.ndarray]:
    """For rows [i, k] and for columns [j, l]: the output position that sees input position i
    through kernel position k, or -1 if none does."""
    tables = []
    for dim in range(2):
        i = np.arange(size[dim])[:, None] + geometry.padding[dim]
        p, rest = np.divmod(
            i - geometry.dilation[dim] * np.arange(kernel[dim]), geometry.stride[dim]
        )
        tables.append(np.where((rest == 0) & (p >= 0) & (p < outputs[dim]), p, -1))
    return tables


@timed("columns")
@_jit
def _col2im(columns, p_of, q_of, P, Q, x):
    """Each input position gathers what im2col copied from it: no two threads add to one place."""
    N, H, W, C = x.shape
    kh, kw = p_of.shape[1], q_of.shape[1]
    for n in range(N):
        for i in range(H):
            for j in range(W):
                for c in range(C):
                    x[n, i, j, c] = 0
                for k in range(kh):
                    if p_of[i, k] < 0:
                        continue
                    for l in range(kw):
                        if q_of[j, l] < 0:
                            continue
                        m, start = (n * P + p_of[i, k]) * Q + q_of[j, l], (k * kw + l) * C
                        if C < 8:
                            for c in range(C):
                                x[n, i, j, c] += columns[m, start + c]
                        else:
                            _add(columns[m, start : start + C], x[n, i, j])


@_jit
def _add(a, out):
    for c in range(out.size):
        out[c] += a[c]
