"""The kernels as plain loops: their definition.  Slow, and meant to be read.

NumPy arrays in, NumPy arrays out; see ``minigan.kernels`` for the shapes.
"""

from __future__ import annotations

import math

import numpy as np


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


def batch_stats(x):
    N, C = x.shape
    mean, var = np.zeros(C, x.dtype), np.zeros(C, x.dtype)
    for c in range(C):
        total = 0.0
        for n in range(N):
            total += float(x[n, c])
        mean[c] = total / N
        squares = 0.0
        for n in range(N):
            squares += (float(x[n, c]) - total / N) ** 2
        var[c] = squares / N
    return mean, var


def batch_norm(x, mean, inv_std, gamma, beta):
    N, C = x.shape
    y = np.empty_like(x)
    for n in range(N):
        for c in range(C):
            y[n, c] = (x[n, c] - mean[c]) * inv_std[c] * gamma[c] + beta[c]
    return y


def batch_norm_sums(gy, x, mean, inv_std):
    N, C = x.shape
    sums = np.zeros((2, C), x.dtype)
    for c in range(C):
        total, weighted = 0.0, 0.0
        for n in range(N):
            total += float(gy[n, c])
            weighted += float(gy[n, c]) * float((x[n, c] - mean[c]) * inv_std[c])
        sums[0, c], sums[1, c] = total, weighted
    return sums


def batch_norm_grad(gy, x, mean, inv_std, gamma, sums):
    N, C = x.shape
    gx = np.empty_like(x)
    for n in range(N):
        for c in range(C):
            x_hat = (x[n, c] - mean[c]) * inv_std[c]
            gx[n, c] = gamma[c] * inv_std[c] * (gy[n, c] - sums[0, c] / N - x_hat * sums[1, c] / N)
    return gx


def adam(p, g, m, v, lr, beta1, beta2, eps, weight_decay, t):
    for i in range(p.size):
        gradient = g[i] + weight_decay * p[i]
        m[i] = beta1 * m[i] + (1 - beta1) * gradient
        v[i] = beta2 * v[i] + (1 - beta2) * gradient**2
        m_hat = m[i] / (1 - beta1**t)
        v_hat = v[i] / (1 - beta2**t)
        p[i] -= lr * m_hat / (math.sqrt(v_hat) + eps)
