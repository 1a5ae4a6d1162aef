"""The kernels with Numba: what runs on NumPy arrays.

Each is the loop of reference.py, ordered so that the innermost loop runs over neighbours in
memory and becomes vector instructions.  Large arrays are shared among the threads of
``parallel``; small ones stay in the calling thread, which is faster.

Sums are kept in float64, so that a float32 mean over many rows loses nothing.
"""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
from numba import njit

from minigan.kernels import parallel
from minigan.kernels.philox import fill_normal, fill_uniform  # noqa: F401
from minigan.kernels.pooling import max_pool, max_pool_put, max_pool_take  # noqa: F401
from minigan.kernels.reference import adam_tick  # noqa: F401  (four numbers: nothing to compile)
from minigan.kernels.resampling import resample  # noqa: F401

# error_model="numpy": division by zero gives inf instead of a check in every iteration;
# nogil: other Python threads may run meanwhile.  Compiled code is cached on disk.
# Kernels turn numbers such as a slope into the arrays' dtype, or float32 loops would be computed
# in float64.  (In Python, NumPy's scalars for that took 4 % of the instructions of a small step.)
_jit = njit(cache=True, nogil=True, error_model="numpy")


LARGE = 2**18  # fewer values take less time than handing half of them to another thread


def _share(kernel, arrays, *others):
    """[kernel(*arrays, *others)], for large arrays with a stretch of their first axis for each
    thread."""
    if arrays[0].size <= LARGE:
        return [kernel(*arrays, *others)]
    parts = parallel.parts(len(arrays[0]), parallel.get_num_threads())
    return parallel.run(lambda part: kernel(*[a[part] for a in arrays], *others), parts)


def leaky_relu(x, slope):
    y = np.empty_like(x)  # compact, its axes in x's order
    flat_x, flat_y = _flat(x, y), y.ravel(order="K")
    _share(_leaky_relu, (flat_x, flat_y), slope)
    return y


def _flat(x, y):
    """The elements of x in the order in which those of the compact y lie in memory."""
    if x.strides != y.strides:  # x has gaps, or repeats its memory as a broadcast array does
        x, original = np.empty_like(y), x
        x[...] = original
    return x.ravel(order="K")


@_jit
def _leaky_relu(x, y, slope):
    slope = x.dtype.type(slope)
    for i in range(x.size):
        y[i] = x[i] if x[i] > 0 else slope * x[i]


def leaky_relu_grad(gy, x, slope):
    gx = np.empty_like(x)
    flat_gy, flat_x, flat_gx = _flat(gy, gx), _flat(x, gx), gx.ravel(order="K")
    _share(_leaky_relu_grad, (flat_gy, flat_x, flat_gx), slope)
    return gx


@_jit
def _leaky_relu_grad(gy, x, gx, slope):
    slope = x.dtype.type(slope)
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


def tanh(x):
    if x.dtype != np.float32:
        return np.tanh(x)
    y = np.empty_like(x)
    _share(_tanh, (_flat(x, y), y.ravel(order="K")))
    return y


@_jit
def _tanh(x, y):
    """tanh(x) = 2t / (1 + t^2) with t = tanh(x/2), and that by the continued fraction of Lambert
    (1761), u / (1 + u^2 / (3 + u^2 / (5 + ...))), down to its 13: within 4 units in the last place
    of float32.  It has no branch and no exponential, so it becomes vector instructions.
    """
    for i in range(x.size):
        u = np.float32(0.5) * min(max(x[i], np.float32(-9.2)), np.float32(9.2))  # beyond: +-1
        s = u * u
        above = np.float32(135135) + s * (np.float32(17325) + s * (np.float32(378) + s))
        below = np.float32(135135) + s * (
            np.float32(62370) + s * (np.float32(3150) + s * np.float32(28))
        )
        t = u * above / below
        y[i] = (t + t) / (np.float32(1) + t * t)


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


# Channels -------------------------------------------------------------------------------------
#
# (N, C, ...) as M rows of C channels.  Each thread takes a stretch of the rows, with sums of its
# own that are added in the order of the rows: the same bits for the same number of threads.


def _rows(x):
    """(N, C, ...) -> (M, C): a view if the channels come last in memory, otherwise a copy."""
    if x.ndim == 2:
        return np.ascontiguousarray(x)
    return np.ascontiguousarray(x.transpose(0, *range(2, x.ndim), 1)).reshape(-1, x.shape[1])


def _from_rows(rows, x):
    """(M, C) -> the shape and the memory order of x."""
    if x.ndim == 2:
        return rows
    N, C, *rest = x.shape
    y = rows.reshape(N, *rest, C).transpose(0, -1, *range(1, x.ndim - 1))
    if y.strides == x.strides:
        return y
    y, original = np.empty_like(x), y
    y[...] = original
    return y


def add_bias_leaky_relu(x, bias, slope):
    rows = _rows(x)
    _share(_add_bias_leaky_relu, (rows,), bias, slope)
    if rows is not x and not np.may_share_memory(rows, x):
        x[...] = _from_rows(rows, x)


@_jit
def _add_bias_leaky_relu(x, bias, slope):
    slope = x.dtype.type(slope)
    M, C = x.shape
    for m in range(M):
        for c in range(C):
            z = x[m, c] + bias[c]
            x[m, c] = z if z > 0 else slope * z


def batch_stats(x):
    rows = _rows(x)
    shift = rows[0].astype(np.float64)
    sums = reduce(np.add, _share(_shifted_sums, (rows,), shift))
    mean, var = np.empty(len(shift), x.dtype), np.empty(len(shift), x.dtype)
    _mean_and_var(sums, shift, len(rows), mean, var)
    return mean, var


@_jit
def _mean_and_var(sums, shift, M, mean, var):
    for c in range(len(shift)):
        deviation, square = sums[0, c] / M, sums[1, c] / M
        mean[c] = shift[c] + deviation
        var[c] = square - deviation * deviation


@_jit
def _shifted_sums(x, shift):
    """Sums of x - shift and of its square: with one of the values as shift, the variance is not
    the difference of two large numbers even if the mean is large."""
    M, C = x.shape
    sums = np.zeros((2, C))
    for m in range(M):
        for c in range(C):
            deviation = x[m, c] - shift[c]
            sums[0, c] += deviation
            sums[1, c] += deviation * deviation
    return sums


def batch_norm(x, mean, inv_std, gamma, beta, slope):
    rows, scale = _rows(x), inv_std * gamma
    y = np.empty(rows.shape, x.dtype)
    _share(_batch_norm, (rows, y), mean, scale, beta, slope)
    return _from_rows(y, x)


@_jit
def _batch_norm(x, y, mean, scale, beta, slope):
    slope = x.dtype.type(slope)
    M, C = x.shape
    for m in range(M):
        for c in range(C):
            z = (x[m, c] - mean[c]) * scale[c] + beta[c]
            y[m, c] = z if z > 0 else slope * z


def batch_norm_sums(gy, x, mean, inv_std, gamma, beta, slope):
    gy, rows, scale = _rows(gy), _rows(x), inv_std * gamma
    sums = reduce(np.add, _share(_batch_norm_sums, (gy, rows), mean, scale, beta, slope))
    sums[1] *= inv_std
    return sums.astype(x.dtype)


@_jit
def _batch_norm_sums(gy, x, mean, scale, beta, slope):
    """Sums of gz and of gz (x - mean)."""
    slope = x.dtype.type(slope)
    M, C = x.shape
    sums = np.zeros((2, C))
    for m in range(M):
        for c in range(C):
            deviation = x[m, c] - mean[c]
            gz = gy[m, c] if deviation * scale[c] + beta[c] > 0 else slope * gy[m, c]
            sums[0, c] += gz
            sums[1, c] += gz * deviation
    return sums


def batch_norm_grad(gy, x, mean, inv_std, gamma, beta, slope, sums):
    gy, rows, scale = _rows(gy), _rows(x), inv_std * gamma
    mean_gz, mean_gz_x_hat = sums / max(len(rows), 1)
    slant = inv_std * mean_gz_x_hat  # times x - mean it is xhat times the mean of gz xhat
    gx = np.empty(rows.shape, x.dtype)
    _share(_batch_norm_grad, (gy, rows, gx), mean, scale, beta, slope, mean_gz, slant)
    return _from_rows(gx, x)


@_jit
def _batch_norm_grad(gy, x, gx, mean, scale, beta, slope, mean_gz, slant):
    slope = x.dtype.type(slope)
    M, C = x.shape
    for m in range(M):
        for c in range(C):
            deviation = x[m, c] - mean[c]
            gz = gy[m, c] if deviation * scale[c] + beta[c] > 0 else slope * gy[m, c]
            gx[m, c] = scale[c] * (gz - mean_gz[c] - slant[c] * deviation)


def adam(p, g, m, v, lr, beta1, beta2, eps, weight_decay, t):
    step_size, v_scale = lr / (1 - beta1**t), 1 / math.sqrt(1 - beta2**t)
    adam_at(p, g, m, v, (lr, t, step_size, v_scale), beta1, beta2, eps, weight_decay)


def adam_at(p, g, m, v, state, beta1, beta2, eps, weight_decay):
    _, _, step_size, v_scale = state
    _adam(p, g, m, v, step_size, 1 - beta1, 1 - beta2, v_scale, eps, weight_decay)


@_jit
def _adam(p, g, m, v, step_size, one_minus_beta1, one_minus_beta2, v_scale, eps, weight_decay):
    real = p.dtype.type
    step_size, v_scale = real(step_size), real(v_scale)
    one_minus_beta1, one_minus_beta2 = real(one_minus_beta1), real(one_minus_beta2)
    eps, weight_decay = real(eps), real(weight_decay)
    for i in range(p.size):
        gradient = g[i] + weight_decay * p[i]
        m[i] += one_minus_beta1 * (gradient - m[i])
        v[i] += one_minus_beta2 * (gradient * gradient - v[i])
        p[i] -= step_size * m[i] / (np.sqrt(v[i]) * v_scale + eps)


def log_sum_exp(x, scale):
    rows, y = np.ascontiguousarray(x), np.empty(len(x), x.dtype)
    _share(_log_sum_exp, (rows, y), float(scale))
    return y


NOTHING = -60.0  # e^-60 of the largest term: millions of those do not change a float64


@_jit
def _log_sum_exp(x, y, scale):
    N, M = x.shape
    for n in range(N):
        largest = -np.inf
        for m in range(M):
            largest = max(largest, scale * x[n, m])
        total = 0.0
        for m in range(M):
            a = scale * x[n, m] - largest
            if a > NOTHING:  # most terms of a Parzen window are not, and skipping them is faster
                total += math.exp(a)
        y[n] = largest + math.log(total)
