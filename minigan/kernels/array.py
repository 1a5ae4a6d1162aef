"""The kernels as whole-array operations: what runs on CuPy arrays of float64, and of float32 where
cuda.py has no kernel (and on NumPy arrays too)."""

from __future__ import annotations

import numpy as np

from minigan.backends import array_module
from minigan.kernels import philox


def leaky_relu(x, slope):
    return array_module(x).where(x > 0, x, slope * x)


def leaky_relu_grad(gy, x, slope):
    return array_module(x).where(x > 0, gy, slope * gy)


def sigmoid(x):
    xp = array_module(x)
    e = xp.exp(-xp.abs(x))  # never overflows: 1/(1+e) for x >= 0, e/(1+e) for x < 0
    return xp.where(x >= 0, 1, e) / (1 + e)


def tanh(x):
    return array_module(x).tanh(x)


def bce_with_logits(x, t):
    xp = array_module(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x))) - t * x


def bce_with_logits_grad(gl, x, t):
    return gl * (sigmoid(x) - t)


def add_bias_leaky_relu(x, bias, slope):
    x += _per_channel(bias, x)
    x[...] = leaky_relu(x, slope)


def _per_channel(v, x):
    """(C,) in a shape that goes with x (N, C, ...)."""
    return v.reshape(-1, *[1] * (x.ndim - 2))


def _all_but_channels(x):
    return 0, *range(2, x.ndim)


def batch_stats(x):
    axes = _all_but_channels(x)
    return x.mean(axis=axes), x.var(axis=axes)


def batch_norm(x, mean, inv_std, gamma, beta, slope):
    mean, scale, beta = (_per_channel(v, x) for v in (mean, inv_std * gamma, beta))
    return leaky_relu((x - mean) * scale + beta, slope)


def batch_norm_sums(gy, x, mean, inv_std, gamma, beta, slope):
    gz, x_hat = _batch_norm_parts(gy, x, mean, inv_std, gamma, beta, slope)
    axes = _all_but_channels(x)
    return array_module(x).stack([gz.sum(axis=axes), (gz * x_hat).sum(axis=axes)])


def batch_norm_grad(gy, x, mean, inv_std, gamma, beta, slope, sums):
    gz, x_hat = _batch_norm_parts(gy, x, mean, inv_std, gamma, beta, slope)
    mean_gz, mean_gz_x_hat = (_per_channel(v, x) / x[:, 0].size for v in sums)
    return _per_channel(gamma * inv_std, x) * (gz - mean_gz - x_hat * mean_gz_x_hat)


def _batch_norm_parts(gy, x, mean, inv_std, gamma, beta, slope):
    """(gz, xhat)"""
    mean, inv_std, gamma, beta = (_per_channel(v, x) for v in (mean, inv_std, gamma, beta))
    x_hat = (x - mean) * inv_std
    return leaky_relu_grad(gy, x_hat * gamma + beta, slope), x_hat


def adam(p, g, m, v, lr, beta1, beta2, eps, weight_decay, t):
    if weight_decay:
        g = g + weight_decay * p
    m += (1 - beta1) * (g - m)
    v += (1 - beta2) * (g * g - v)
    v_hat = v * (1 / (1 - beta2**t))
    p -= (lr / (1 - beta1**t)) * m / (v_hat**0.5 + eps)


def adam_tick(state, beta1, beta2):
    state[1] += 1
    state[2] = state[0] / (1 - beta1 ** state[1])
    state[3] = (1 - beta2 ** state[1]) ** -0.5


def adam_at(p, g, m, v, state, beta1, beta2, eps, weight_decay):
    step_size, v_scale = (state[i].astype(p.dtype) for i in (2, 3))
    if weight_decay:
        g = g + weight_decay * p
    m += (1 - beta1) * (g - m)
    v += (1 - beta2) * (g * g - v)
    p -= step_size * m / (v**0.5 * v_scale + eps)


def fill_uniform(out, seed, step, stream):
    out[...] = array_module(out).asarray(philox.uniform(seed, step, stream, out.shape), out.dtype)


def fill_normal(out, seed, step, stream):
    out[...] = array_module(out).asarray(philox.normal(seed, step, stream, out.shape), out.dtype)


def log_sum_exp(x, scale):
    xp = array_module(x)
    a = scale * x
    largest = a.max(axis=1)
    a -= largest[:, None]
    return largest + xp.log(xp.exp(a, out=a).sum(axis=1))


# Convolution: columns by one strided slice for each kernel position, then a matrix product ----


def convolve(x, w, geometry):
    P, Q = geometry.output_size(x.shape[2:], w.shape[2:])
    y = _columns(x, w.shape[2:], (P, Q), geometry) @ _by_group(w, geometry)
    return y.transpose(1, 0, 2).reshape(len(x), P, Q, len(w)).transpose(0, 3, 1, 2)


def convolve_input_gradient(gy, w, size, geometry):
    (N, _, P, Q), (_, C, kh, kw), G = gy.shape, w.shape, geometry.groups
    columns = _rows(gy, geometry) @ _by_group(w, geometry).transpose(0, 2, 1)
    columns = columns.reshape(G, N, P, Q, kh, kw, C).transpose(4, 5, 1, 0, 6, 2, 3)
    (ph, pw), (H, W) = geometry.padding, size
    gx = array_module(gy).zeros((N, G * C, H + 2 * ph, W + 2 * pw), gy.dtype)
    for k, l, seen in _seen((kh, kw), (P, Q), geometry):
        gx[seen] += columns[k, l].reshape(N, G * C, P, Q)
    return gx[:, :, ph : ph + H, pw : pw + W]


def convolve_weight_gradient(x, gy, kernel, geometry):
    O, C = gy.shape[1], x.shape[1] // geometry.groups
    rows = _rows(gy, geometry).transpose(0, 2, 1)  # (groups, O/groups, N P Q)
    gw = rows @ _columns(x, kernel, gy.shape[2:], geometry)
    return gw.reshape(O, *kernel, C).transpose(0, 3, 1, 2)


def _columns(x, kernel, size, geometry):
    """What each output position sees: (groups, N P Q, kh kw C/groups)."""
    (N, C, _, _), (kh, kw), (P, Q), G = x.shape, kernel, size, geometry.groups
    xp, (ph, pw) = array_module(x), geometry.padding
    padded = xp.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    columns = xp.empty((kh, kw, N, C, P, Q), x.dtype)
    for k, l, seen in _seen(kernel, size, geometry):
        columns[k, l] = padded[seen]
    columns = columns.reshape(kh, kw, N, G, C // G, P, Q).transpose(3, 2, 5, 6, 0, 1, 4)
    return columns.reshape(G, N * P * Q, kh * kw * (C // G))


def _seen(kernel, size, geometry):
    """(k, l, the part of the padded images that kernel position (k, l) sees), for all k and l"""
    (sh, sw), (dh, dw), (P, Q) = geometry.stride, geometry.dilation, size
    for k in range(kernel[0]):
        for l in range(kernel[1]):
            rows = slice(dh * k, dh * k + sh * (P - 1) + 1, sh)
            columns = slice(dw * l, dw * l + sw * (Q - 1) + 1, sw)
            yield k, l, (slice(None), slice(None), rows, columns)


def _by_group(w, geometry):
    """(O, C/groups, kh, kw) -> (groups, kh kw C/groups, O/groups)"""
    (O, C, kh, kw), G = w.shape, geometry.groups
    w = w.reshape(G, O // G, C, kh, kw).transpose(0, 3, 4, 2, 1)
    return w.reshape(G, kh * kw * C, O // G)


def _rows(gy, geometry):
    """(N, O, P, Q) -> (groups, N P Q, O/groups)"""
    (N, O, P, Q), G = gy.shape, geometry.groups
    rows = gy.reshape(N, G, O // G, P, Q).transpose(1, 0, 3, 4, 2)
    return rows.reshape(G, N * P * Q, O // G)


# Pooling and resampling ---------------------------------------------------------------------


def max_pool(x, kernel, geometry):
    xp = array_module(x)
    shape = (*x.shape[:2], *geometry.output_size(x.shape[2:], kernel))
    y, choice = xp.empty(shape, x.dtype), xp.full(shape, -1, np.int32)
    for number, seen, seeing in _window_slices(kernel, geometry, x.shape[2:]):
        v = x[seen]
        is_larger = (choice[seeing] < 0) | (v > y[seeing]) | (v != v)  # NaN stays NaN
        y[seeing] = xp.where(is_larger, v, y[seeing])
        choice[seeing] = xp.where(is_larger, number, choice[seeing])
    return y, choice


def max_pool_take(x, choice, kernel, geometry):
    xp = array_module(x)
    y = xp.empty(choice.shape, x.dtype)
    for number, seen, seeing in _window_slices(kernel, geometry, x.shape[2:]):
        y[seeing] = xp.where(choice[seeing] == number, x[seen], y[seeing])
    return y


def max_pool_put(gy, choice, size, kernel, geometry):
    xp = array_module(gy)
    gx = xp.zeros((*gy.shape[:2], *size), gy.dtype)
    for number, seen, seeing in _window_slices(kernel, geometry, size):
        gx[seen] += xp.where(choice[seeing] == number, gy[seeing], 0)
    return gx


def _window_slices(kernel, geometry, size):
    """For each position in the window: its number, the input positions that are seen there, and
    the output positions that see them, as slices of (N, C, H, W) and (N, C, P, Q)."""
    outputs = geometry.output_size(size, kernel)
    for number, offsets in enumerate(np.ndindex(*kernel)):
        pairs = [
            _axis_slices(k, n, m, s, padding)
            for k, n, m, s, padding in zip(
                offsets, size, outputs, geometry.stride, geometry.padding
            )
        ]
        yield number, (..., *[seen for seen, _ in pairs]), (..., *[seeing for _, seeing in pairs])


def _axis_slices(k, n, m, stride, padding):
    """The i = stride p + k - padding with 0 <= i < n, and their p, of 0 <= p < m."""
    first = max(0, -((k - padding) // stride))
    last = min(m - 1, (n - 1 + padding - k) // stride)
    if last < first:
        return slice(0), slice(0)
    i = stride * first + k - padding
    return slice(i, i + stride * (last - first) + 1, stride), slice(first, last + 1)


def resample(x, A, B):
    xp = array_module(x)
    return xp.asarray(A, x.dtype) @ x @ xp.asarray(B.T, x.dtype)
