"""The kernels as plain loops: their definition.  Slow, and meant to be read.

NumPy arrays in, NumPy arrays out; see ``minigan.kernels`` for the shapes.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from minigan.kernels.philox import fill_normal, fill_uniform  # noqa: F401


def leaky_relu(x, slope):
    y = np.empty_like(x)
    for i in np.ndindex(x.shape):
        y[i] = x[i] if x[i] > 0 else slope * x[i]
    return y


def leaky_relu_grad(gy, x, slope):
    gx = np.empty_like(gy)
    for i in np.ndindex(x.shape):
        gx[i] = gy[i] if x[i] > 0 else slope * gy[i]
    return gx


def sigmoid(x):
    y = np.empty_like(x)
    for i in np.ndindex(x.shape):
        e = math.exp(-abs(x[i]))  # never overflows: 1/(1+e) for x >= 0, e/(1+e) for x < 0
        y[i] = (1 if x[i] >= 0 else e) / (1 + e)
    return y


def tanh(x):
    y = np.empty_like(x)
    for i in np.ndindex(x.shape):
        y[i] = math.tanh(x[i])
    return y


def bce_with_logits(x, t):
    y, t = np.empty_like(x), np.broadcast_to(t, x.shape)
    for i in np.ndindex(x.shape):
        y[i] = max(x[i], 0) + math.log1p(math.exp(-abs(x[i]))) - t[i] * x[i]
    return y


def bce_with_logits_grad(gl, x, t):
    gx, t, s = np.empty_like(x), np.broadcast_to(t, x.shape), sigmoid(x)
    for i in np.ndindex(x.shape):
        gx[i] = gl[i] * (s[i] - t[i])
    return gx


def add_bias_leaky_relu(x, bias, slope):
    for i in np.ndindex(x.shape):
        z = x[i] + bias[i[1]]
        x[i] = z if z > 0 else slope * z


def batch_stats(x):
    M = x[:, 0].size
    mean, var = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for i in np.ndindex(x.shape):
        mean[i[1]] += x[i] / M
    for i in np.ndindex(x.shape):
        var[i[1]] += (x[i] - mean[i[1]]) ** 2 / M
    return mean.astype(x.dtype), var.astype(x.dtype)


def batch_norm(x, mean, inv_std, gamma, beta, slope):
    y = np.empty_like(x)
    for i in np.ndindex(x.shape):
        c = i[1]
        z = (x[i] - mean[c]) * inv_std[c] * gamma[c] + beta[c]
        y[i] = z if z > 0 else slope * z
    return y


def batch_norm_sums(gy, x, mean, inv_std, gamma, beta, slope):
    sums = np.zeros((2, x.shape[1]))
    for i in np.ndindex(x.shape):
        c = i[1]
        x_hat = (x[i] - mean[c]) * inv_std[c]
        gz = gy[i] if x_hat * gamma[c] + beta[c] > 0 else slope * gy[i]
        sums[0, c] += gz
        sums[1, c] += gz * x_hat
    return sums.astype(x.dtype)


def batch_norm_grad(gy, x, mean, inv_std, gamma, beta, slope, sums):
    gx, M = np.empty_like(x), x[:, 0].size
    for i in np.ndindex(x.shape):
        c = i[1]
        x_hat = (x[i] - mean[c]) * inv_std[c]
        gz = gy[i] if x_hat * gamma[c] + beta[c] > 0 else slope * gy[i]
        gx[i] = gamma[c] * inv_std[c] * (gz - sums[0, c] / M - x_hat * sums[1, c] / M)
    return gx


def adam(p, g, m, v, lr, beta1, beta2, eps, weight_decay, t):
    for i in range(p.size):
        gradient = g[i] + weight_decay * p[i]
        m[i] = beta1 * m[i] + (1 - beta1) * gradient
        v[i] = beta2 * v[i] + (1 - beta2) * gradient**2
        m_hat = m[i] / (1 - beta1**t)
        v_hat = v[i] / (1 - beta2**t)
        p[i] -= lr * m_hat / (math.sqrt(v_hat) + eps)


def adam_tick(state, beta1, beta2):
    lr, t = state[0], state[1] + 1
    state[1:] = t, lr / (1 - beta1**t), 1 / math.sqrt(1 - beta2**t)


def adam_at(p, g, m, v, state, beta1, beta2, eps, weight_decay):
    adam(p, g, m, v, state[0], beta1, beta2, eps, weight_decay, int(state[1]))


def log_sum_exp(x, scale):
    y = np.empty(len(x), x.dtype)
    for n in range(len(x)):
        a = [scale * float(v) for v in x[n]]
        largest = max(a)  # e^(a - largest) is at most 1, and once 1
        y[n] = largest + math.log(sum(math.exp(v - largest) for v in a))
    return y


# Pooling and resampling ---------------------------------------------------------------------


def max_pool(x, kernel, geometry):
    N, C, H, W = x.shape
    P, Q = geometry.output_size((H, W), kernel)
    y, choice = np.empty((N, C, P, Q), x.dtype), np.full((N, C, P, Q), -1, np.int32)
    for n, c, p, q in np.ndindex(y.shape):
        for number, i, j in _window(p, q, kernel, geometry, (H, W)):
            v, largest = x[n, c, i, j], y[n, c, p, q]
            if choice[n, c, p, q] < 0 or v > largest or v != v:  # NaN stays NaN
                y[n, c, p, q], choice[n, c, p, q] = v, number
    return y, choice


def max_pool_take(x, choice, kernel, geometry):
    y = np.empty(choice.shape, x.dtype)
    for n, c, p, q in np.ndindex(y.shape):
        for number, i, j in _window(p, q, kernel, geometry, x.shape[2:]):
            if number == choice[n, c, p, q]:
                y[n, c, p, q] = x[n, c, i, j]
    return y


def max_pool_put(gy, choice, size, kernel, geometry):
    gx = np.zeros((*gy.shape[:2], *size), gy.dtype)
    for n, c, p, q in np.ndindex(gy.shape):
        for number, i, j in _window(p, q, kernel, geometry, size):
            if number == choice[n, c, p, q]:
                gx[n, c, i, j] += gy[n, c, p, q]
    return gx


def _window(p, q, kernel, geometry, size):
    """(number, i, j) of the input positions that output position (p, q) sees, without padding."""
    for number, (k, l) in enumerate(np.ndindex(*kernel)):
        i = geometry.stride[0] * p + k - geometry.padding[0]
        j = geometry.stride[1] * q + l - geometry.padding[1]
        if 0 <= i < size[0] and 0 <= j < size[1]:
            yield number, i, j


def resample(x, A, B):
    N, C, H, W = x.shape
    y = np.zeros((N, C, len(A), len(B)), x.dtype)
    for n, c, p, q in np.ndindex(y.shape):
        for i, j in np.ndindex(H, W):
            y[n, c, p, q] += A[p, i] * x[n, c, i, j] * B[q, j]
    return y


# Convolution --------------------------------------------------------------------------------


def convolve(x, w, geometry):
    size = geometry.output_size(x.shape[2:], w.shape[2:])
    y = np.zeros((len(x), len(w), *size))
    for at_x, at_w, at_y in _places(x.shape, w.shape, size, geometry):
        y[at_y] += float(x[at_x]) * float(w[at_w])
    return y.astype(x.dtype)


def convolve_input_gradient(gy, w, size, geometry):
    gx = np.zeros((len(gy), w.shape[1] * geometry.groups, *size))
    for at_x, at_w, at_y in _places(gx.shape, w.shape, gy.shape[2:], geometry):
        gx[at_x] += float(gy[at_y]) * float(w[at_w])
    return gx.astype(gy.dtype)


def convolve_weight_gradient(x, gy, kernel, geometry):
    gw = np.zeros((gy.shape[1], x.shape[1] // geometry.groups, *kernel))
    for at_x, at_w, at_y in _places(x.shape, gw.shape, gy.shape[2:], geometry):
        gw[at_w] += float(x[at_x]) * float(gy[at_y])
    return gw.astype(x.dtype)


def _places(x_shape, w_shape, size, geometry):
    """Where x (N, C, H, W), w (O, C/groups, kh, kw) and y (N, O, P, Q) meet: all triples."""
    (N, _, H, W), (O, C, kh, kw), (P, Q) = x_shape, w_shape, size
    for n, o, p, q, c, k, l in np.ndindex(N, O, P, Q, C, kh, kw):
        i = geometry.stride[0] * p + geometry.dilation[0] * k - geometry.padding[0]
        j = geometry.stride[1] * q + geometry.dilation[1] * l - geometry.padding[1]
        if 0 <= i < H and 0 <= j < W:
            group = o // (O // geometry.groups)
            yield (n, group * C + c, i, j), (o, c, k, l), (n, o, p, q)


def im2col(x, kernel, geometry):
    (N, C, _, _), (P, Q) = x.shape, geometry.output_size(x.shape[2:], kernel)
    columns = np.zeros((N * P * Q, math.prod(kernel) * C), x.dtype)
    for at_x, at_columns in _copies(x.shape, kernel, geometry):
        columns[at_columns] = x[at_x]
    return columns


def col2im(columns, shape, kernel, geometry):
    x = np.zeros(shape)
    for at_x, at_columns in _copies(shape, kernel, geometry):
        x[at_x] += float(columns[at_columns])
    return x.astype(columns.dtype)


def _copies(x_shape, kernel, geometry):
    """(place in x, place in its columns), for every copy that im2col makes."""
    C, (kh, kw), (P, Q) = x_shape[1], kernel, geometry.output_size(x_shape[2:], kernel)
    # A convolution to one output channel visits each value that im2col copies, once.
    one_output, one_group = (1, C, kh, kw), replace(geometry, groups=1)
    for at_x, at_w, at_y in _places(x_shape, one_output, (P, Q), one_group):
        (_, c, k, l), (n, _, p, q) = at_w, at_y
        yield at_x, ((n * P + p) * Q + q, (k * kw + l) * C + c)
