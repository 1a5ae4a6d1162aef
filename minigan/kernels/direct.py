"""Convolution by its definition, compiled: the loops of reference.py over channels-last memory.

    y[n, o, p, q]  = sum over c, k, l of  x[n, c, i, j] w[o, c, k, l],   (i, j) as in geometry.py

No columns, no transforms, no matrix product.  That is the fastest way for depthwise convolutions
(each group has one channel in and one out), where a matrix product would have a single column:
there the innermost loop runs over all channels.  For the others it is what to compare with.

The three passes are one loop over positions and kernel, in which another of x, w and y takes the
sum.  One thread adds up one image, always in the same order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minigan.kernels import parallel

_jit = njit(cache=True, nogil=True, error_model="numpy")

SMALL = 200_000  # so few multiplications take less time than handing them to another thread


def forward(x, w, geometry):
    """x (N, C, H, W), w (O, C/groups, kh, kw) -> y (N, O, P, Q)"""
    y = np.zeros((len(x), *geometry.output_size(x.shape[2:], w.shape[2:]), len(w)), x.dtype)
    x = _channels_last(x)
    if _is_depthwise(x.shape[3], len(w), geometry):
        w, loop = np.ascontiguousarray(w[:, 0].transpose(1, 2, 0)), _depthwise_forward
    else:
        w, loop = np.ascontiguousarray(w.transpose(2, 3, 1, 0)), _forward
    _run(lambda n: loop(x[n], w, y[n], *_numbers(geometry)), y, w)
    return y.transpose(0, 3, 1, 2)


def input_gradient(gy, w, size, geometry):
    """gy (N, O, P, Q), w (O, C/groups, kh, kw), size (H, W) -> gx (N, C, H, W)"""
    gx = np.zeros((len(gy), *size, w.shape[1] * geometry.groups), gy.dtype)
    gy = _channels_last(gy)
    if _is_depthwise(gx.shape[3], len(w), geometry):
        w, loop = np.ascontiguousarray(w[:, 0].transpose(1, 2, 0)), _depthwise_input_gradient
    else:
        w, loop = _channels_last(w), _input_gradient
    _run(lambda n: loop(gx[n], w, gy[n], *_numbers(geometry)), gy, w)
    return gx.transpose(0, 3, 1, 2)


def weight_gradient(x, gy, kernel, geometry):
    """x (N, C, H, W), gy (N, O, P, Q), kernel (kh, kw) -> gw (O, C/groups, kh, kw)"""
    x, gy = _channels_last(x), _channels_last(gy)
    is_depthwise = _is_depthwise(x.shape[3], gy.shape[3], geometry)
    if is_depthwise:
        loop, shape = _depthwise_weight_gradient, (*kernel, gy.shape[3])
    else:
        loop, shape = _weight_gradient, (gy.shape[3], *kernel, x.shape[3] // geometry.groups)

    def of_slice(n):
        gw = np.zeros(shape, x.dtype)
        loop(x[n], gw, gy[n], *_numbers(geometry))
        return gw

    total = np.zeros(shape, x.dtype)
    for gw in _run(of_slice, gy, total):
        total += gw
    return total.transpose(2, 0, 1)[:, None] if is_depthwise else total.transpose(0, 3, 1, 2)


def _channels_last(a):
    return np.ascontiguousarray(a.transpose(0, 2, 3, 1))


def _is_depthwise(channels_in, channels_out, geometry):
    return channels_in == channels_out == geometry.groups


def _numbers(geometry):
    return (*geometry.stride, *geometry.padding, *geometry.dilation, geometry.groups)


def _run(task, y, w):
    """The results of ``task`` for slices of the batch; y (N, P, Q, O) and w say how much it is."""
    is_small = y.size * w.size // y.shape[3] <= SMALL
    return parallel.run(task, parallel.parts(len(y), 1 if is_small else parallel.get_num_threads()))


# x (N, H, W, C), y (N, P, Q, O), w (kh, kw, C/groups, O): the inner loop runs over a group's o


@_jit
def _forward(x, w, y, sh, sw, ph, pw, dh, dw, groups):
    N, P, Q, O = y.shape
    _, H, W, _ = x.shape
    kh, kw, C, _ = w.shape
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                for k in range(kh):
                    i = sh * p + dh * k - ph
                    for l in range(kw):
                        j = sw * q + dw * l - pw
                        if 0 <= i < H and 0 <= j < W:
                            for g in range(groups):
                                for c in range(C):
                                    a = x[n, i, j, g * C + c]
                                    for o in range(g * (O // groups), (g + 1) * (O // groups)):
                                        y[n, p, q, o] += a * w[k, l, c, o]


# gx (N, H, W, C), gy (N, P, Q, O), w (O, kh, kw, C/groups): the inner loop runs over a group's c


@_jit
def _input_gradient(gx, w, gy, sh, sw, ph, pw, dh, dw, groups):
    N, P, Q, O = gy.shape
    _, H, W, _ = gx.shape
    _, kh, kw, C = w.shape
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                for o in range(O):
                    a, first = gy[n, p, q, o], o // (O // groups) * C
                    for k in range(kh):
                        i = sh * p + dh * k - ph
                        for l in range(kw):
                            j = sw * q + dw * l - pw
                            if 0 <= i < H and 0 <= j < W:
                                for c in range(C):
                                    gx[n, i, j, first + c] += a * w[o, k, l, c]


@_jit
def _weight_gradient(x, gw, gy, sh, sw, ph, pw, dh, dw, groups):
    N, P, Q, O = gy.shape
    _, H, W, _ = x.shape
    _, kh, kw, C = gw.shape
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                for o in range(O):
                    a, first = gy[n, p, q, o], o // (O // groups) * C
                    for k in range(kh):
                        i = sh * p + dh * k - ph
                        for l in range(kw):
                            j = sw * q + dw * l - pw
                            if 0 <= i < H and 0 <= j < W:
                                for c in range(C):
                                    gw[o, k, l, c] += a * x[n, i, j, first + c]


# Depthwise: x (N, H, W, C), y (N, P, Q, C), w (kh, kw, C): the inner loop runs over all channels


@_jit
def _depthwise_forward(x, w, y, sh, sw, ph, pw, dh, dw, _groups):
    N, P, Q, C = y.shape
    _, H, W, _ = x.shape
    kh, kw, _ = w.shape
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                for k in range(kh):
                    i = sh * p + dh * k - ph
                    for l in range(kw):
                        j = sw * q + dw * l - pw
                        if 0 <= i < H and 0 <= j < W:
                            for c in range(C):
                                y[n, p, q, c] += x[n, i, j, c] * w[k, l, c]


@_jit
def _depthwise_input_gradient(gx, w, gy, sh, sw, ph, pw, dh, dw, _groups):
    N, P, Q, C = gy.shape
    _, H, W, _ = gx.shape
    kh, kw, _ = w.shape
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                for k in range(kh):
                    i = sh * p + dh * k - ph
                    for l in range(kw):
                        j = sw * q + dw * l - pw
                        if 0 <= i < H and 0 <= j < W:
                            for c in range(C):
                                gx[n, i, j, c] += gy[n, p, q, c] * w[k, l, c]


@_jit
def _depthwise_weight_gradient(x, gw, gy, sh, sw, ph, pw, dh, dw, _groups):
    N, P, Q, C = gy.shape
    _, H, W, _ = x.shape
    kh, kw, _ = gw.shape
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                for k in range(kh):
                    i = sh * p + dh * k - ph
                    for l in range(kw):
                        j = sw * q + dw * l - pw
                        if 0 <= i < H and 0 <= j < W:
                            for c in range(C):
                                gw[k, l, c] += gy[n, p, q, c] * x[n, i, j, c]
