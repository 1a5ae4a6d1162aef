"""The kernels with Numba: what runs on NumPy arrays.

Each is the loop of reference.py, ordered so that the innermost loop runs over neighbours in
memory and becomes vector instructions.  They run in the calling thread: alternating OpenBLAS's
threads with Numba's costs more than the parallel loops would save.

Sums are kept in float64, so that a float32 mean over many rows loses nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

# error_model="numpy": division by zero gives inf instead of a check in every iteration;
# nogil: other Python threads may run meanwhile.  Compiled code is cached on disk.
_jit = njit(cache=True, nogil=True, error_model="numpy")


def leaky_relu(x, slope):
    y = np.empty_like(x)  # compact, its axes in x's order
    _leaky_relu(_flat(x, y), x.dtype.type(slope), y.ravel(order="K"))
    return y


def _flat(x, y):
    """The elements of x in the order in which those of the compact y lie in memory."""
    if x.strides != y.strides:  # x has gaps, or repeats its memory as a broadcast array does
        x, original = np.empty_like(y), x
        x[...] = original
    return x.ravel(order="K")


@_jit
def _leaky_relu(x, slope, y):
    for i in range(x.size):
        y[i] = x[i] if x[i] > 0 else slope * x[i]


def leaky_relu_grad(gy, x, slope):
    gx = np.empty_like(x)
    _leaky_relu_grad(_flat(gy, gx), _flat(x, gx), x.dtype.type(slope), gx.ravel(order="K"))
    return gx


@_jit
def _leaky_relu_grad(gy, x, slope, gx):
    for i in range(x.size):
        gx[i] = gy[i] if x[i] > 0 else slope * gy[i]


def sigmoid(x):
    y = np.empty_like(x)
    _sigmoid(_flat(x, y), y.ravel(order="K"))
    return y


@_jit
def _sigmoid(x, y):
    for i in range(x.size):
        e = math.exp(-abs(x[i]))  # never overflows: 1/(1+e) for x >= 0, e/(1+e) for x < 0
        y[i] = (1 if x[i] >= 0 else e) / (1 + e)


def bce_with_logits(x, t):
    y = np.empty(x.shape, x.dtype)
    _bce_with_logits(x.ravel(), t.ravel(), y.reshape(-1))
    return y


@_jit
def _bce_with_logits(x, t, y):
    for i in range(x.size):
        target = t[0] if t.size == 1 else t[i]
        y[i] = max(x[i], 0) + math.log1p(math.exp(-abs(x[i]))) - target * x[i]


def bce_with_logits_grad(gl, x, t):
    gx = np.empty(x.shape, x.dtype)
    _bce_with_logits_grad(gl.ravel(), x.ravel(), t.ravel(), gx.reshape(-1))
    return gx


@_jit
def _bce_with_logits_grad(gl, x, t, gx):
    for i in range(x.size):
        e = math.exp(-abs(x[i]))  # never overflows
        sigmoid = (1 if x[i] >= 0 else e) / (1 + e)
        gx[i] = gl[i] * (sigmoid - (t[0] if t.size == 1 else t[i]))


def batch_stats(x):
    mean, var = np.empty(x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    _batch_stats(np.ascontiguousarray(x), mean, var)
    return mean, var


@_jit
def _batch_stats(x, mean, var):
    N, C = x.shape
    total, squares = np.zeros(C), np.zeros(C)
    for n in range(N):
        for c in range(C):
            total[c] += x[n, c]
    for c in range(C):
        total[c] /= N
        mean[c] = total[c]
    for n in range(N):
        for c in range(C):
            deviation = x[n, c] - total[c]
            squares[c] += deviation * deviation
    for c in range(C):
        var[c] = squares[c] / N


def batch_norm(x, mean, inv_std, gamma, beta):
    y = np.empty(x.shape, x.dtype)
    _batch_norm(np.ascontiguousarray(x), mean, inv_std * gamma, beta, y)
    return y


@_jit
def _batch_norm(x, mean, scale, beta, y):
    N, C = x.shape
    for n in range(N):
        for c in range(C):
            y[n, c] = (x[n, c] - mean[c]) * scale[c] + beta[c]


def batch_norm_sums(gy, x, mean, inv_std):
    sums = np.empty((2, x.shape[1]), x.dtype)
    _batch_norm_sums(np.ascontiguousarray(gy), np.ascontiguousarray(x), mean, inv_std, sums)
    return sums


@_jit
def _batch_norm_sums(gy, x, mean, inv_std, sums):
    N, C = x.shape
    total, weighted = np.zeros(C), np.zeros(C)
    for n in range(N):
        for c in range(C):
            total[c] += gy[n, c]
            weighted[c] += gy[n, c] * ((x[n, c] - mean[c]) * inv_std[c])
    for c in range(C):
        sums[0, c] = total[c]
        sums[1, c] = weighted[c]


def batch_norm_grad(gy, x, mean, inv_std, gamma, sums):
    gx = np.empty(x.shape, x.dtype)
    mean_gy, mean_gy_x_hat = sums / x.dtype.type(max(len(x), 1))
    _batch_norm_grad(
        np.ascontiguousarray(gy), np.ascontiguousarray(x), mean, inv_std, gamma * inv_std,
        mean_gy, mean_gy_x_hat, gx,
    )  # fmt: skip
    return gx


@_jit
def _batch_norm_grad(gy, x, mean, inv_std, scale, mean_gy, mean_gy_x_hat, gx):
    N, C = x.shape
    for n in range(N):
        for c in range(C):
            x_hat = (x[n, c] - mean[c]) * inv_std[c]
            gx[n, c] = scale[c] * (gy[n, c] - mean_gy[c] - x_hat * mean_gy_x_hat[c])


def adam(p, g, m, v, lr, beta1, beta2, eps, weight_decay, t):
    # Scalars in the arrays' dtype, or float32 loops would be computed in float64.
    real = p.dtype.type
    step_size, v_scale = lr / (1 - beta1**t), 1 / math.sqrt(1 - beta2**t)
    _adam(p, g, m, v, real(step_size), real(1 - beta1), real(1 - beta2), real(v_scale),
          real(eps), real(weight_decay))  # fmt: skip


@_jit
def _adam(p, g, m, v, step_size, one_minus_beta1, one_minus_beta2, v_scale, eps, weight_decay):
    for i in range(p.size):
        gradient = g[i] + weight_decay * p[i]
        m[i] += one_minus_beta1 * (gradient - m[i])
        v[i] += one_minus_beta2 * (gradient * gradient - v[i])
        p[i] -= step_size * m[i] / (np.sqrt(v[i]) * v_scale + eps)
