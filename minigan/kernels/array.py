"""The kernels as whole-array operations: what runs on CuPy arrays (and on NumPy arrays too)."""

from __future__ import annotations

from minigan.backends import array_module


def leaky_relu(x, slope):
    return array_module(x).where(x > 0, x, slope * x)


def leaky_relu_grad(gy, x, slope):
    return array_module(x).where(x > 0, gy, slope * gy)


def sigmoid(x):
    xp = array_module(x)
    e = xp.exp(-xp.abs(x))  # never overflows: 1/(1+e) for x >= 0, e/(1+e) for x < 0
    return xp.where(x >= 0, 1, e) / (1 + e)


def bce_with_logits(x, t):
    xp = array_module(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x))) - t * x


def bce_with_logits_grad(gl, x, t):
    return gl * (sigmoid(x) - t)


def batch_stats(x):
    return x.mean(axis=0), x.var(axis=0)


def batch_norm(x, mean, inv_std, gamma, beta):
    return (x - mean) * (inv_std * gamma) + beta


def batch_norm_sums(gy, x, mean, inv_std):
    x_hat = (x - mean) * inv_std
    return array_module(x).stack([gy.sum(axis=0), (gy * x_hat).sum(axis=0)])


def batch_norm_grad(gy, x, mean, inv_std, gamma, sums):
    x_hat = (x - mean) * inv_std
    return gamma * inv_std * (gy - sums[0] / len(x) - x_hat * (sums[1] / len(x)))


def adam(p, g, m, v, lr, beta1, beta2, eps, weight_decay, t):
    if weight_decay:
        g = g + weight_decay * p
    m += (1 - beta1) * (g - m)
    v += (1 - beta2) * (g * g - v)
    v_hat = v * (1 / (1 - beta2**t))
    p -= (lr / (1 - beta1**t)) * m / (v_hat**0.5 + eps)
