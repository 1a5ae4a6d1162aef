"""Raw array kernels, no gradients: each exists under one name and signature in

    reference.py   plain Python loops: the definition, and the copy to read
    cpu.py         Numba: what runs on NumPy arrays
    cuda.py, *.cu  CUDA: what runs on CuPy arrays of float32
    array.py       whole-array operations: what runs on all others

The functions here look at the array and pass the call on.  The tests hold the four together.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from minigan.kernels.clock import timed
from minigan.kernels.geometry import Geometry, Pair

_cpu: ModuleType | None = None  # imported at first use: importing Numba takes longer than minigan


def _twin(array: Any, dtype: type = np.float32) -> ModuleType:
    """The module for an array; the CUDA kernels are for arrays of this dtype."""
    global _cpu
    if not isinstance(array, np.ndarray):
        from minigan.kernels import array as whole_array
        from minigan.kernels import cuda

        return cuda if cuda.suits(array, dtype) else whole_array
    if _cpu is None:
        from minigan.kernels import cpu

        _cpu = cpu
    return _cpu


@timed("activations")
def leaky_relu(x: Any, slope: float) -> Any:
    """y = x where x > 0, slope * x elsewhere.  Any shape."""
    return _twin(x).leaky_relu(x, slope)


@timed("activations")
def leaky_relu_grad(gy: Any, x: Any, slope: float) -> Any:
    """gx = gy where x > 0, slope * gy elsewhere.  Equal shapes."""
    return _twin(x).leaky_relu_grad(gy, x, slope)


@timed("activations")
def sigmoid(x: Any) -> Any:
    """y = 1 / (1 + e^-x), without overflow.  Any shape."""
    return _twin(x).sigmoid(x)


@timed("activations")
def tanh(x: Any) -> Any:
    """y = tanh(x).  Any shape."""
    return _twin(x).tanh(x)


@timed("loss")
def bce_with_logits(x: Any, t: Any) -> Any:
    """l = softplus(x) - t x.  x: any shape, t: the same shape or ()."""
    return _twin(x).bce_with_logits(x, t)


@timed("loss")
def bce_with_logits_grad(gl: Any, x: Any, t: Any) -> Any:
    """gx = gl (sigmoid(x) - t).  gl, x: the same shape, t: that shape or ()."""
    return _twin(x).bce_with_logits_grad(gl, x, t)


@timed("activations")
def add_bias_leaky_relu(x: Any, bias: Any, slope: float) -> None:
    """x = leaky_relu(x + bias, slope) in place; slope 1 adds the bias only.

    x: (N, C, ...), bias: (C,)."""
    _twin(x).add_bias_leaky_relu(x, bias, slope)


@timed("batch norm")
def batch_stats(x: Any) -> tuple[Any, Any]:
    """Mean and (biased) variance of each channel.  x: (N, C, ...) -> (C,), (C,)."""
    return _twin(x).batch_stats(x)


@timed("batch norm")
def batch_norm(x: Any, mean: Any, inv_std: Any, gamma: Any, beta: Any, slope: float) -> Any:
    """y = leaky_relu(z, slope), z = (x - mean) * inv_std * gamma + beta; slope 1 leaves y = z.

    x: (N, C, ...), mean, inv_std, gamma, beta: (C,)."""
    return _twin(x).batch_norm(x, mean, inv_std, gamma, beta, slope)


@timed("batch norm")
def batch_norm_sums(gy: Any, x: Any, mean: Any, inv_std: Any, gamma: Any, beta: Any,
                    slope: float) -> Any:  # fmt: skip
    """Sums over each channel of gz, the gradient of z above, and of gz * xhat.

    gy, x: (N, C, ...), mean, inv_std, gamma, beta: (C,) -> (2, C).
    gz = gy where z > 0, slope * gy elsewhere; xhat = (x - mean) * inv_std."""
    return _twin(x).batch_norm_sums(gy, x, mean, inv_std, gamma, beta, slope)


@timed("batch norm")
def batch_norm_grad(gy: Any, x: Any, mean: Any, inv_std: Any, gamma: Any, beta: Any, slope: float,
                    sums: Any) -> Any:  # fmt: skip
    """gx = gamma * inv_std * (gz - sums[0] / M - xhat * sums[1] / M), gz and xhat as above.

    M is the number of values in a channel."""
    return _twin(x).batch_norm_grad(gy, x, mean, inv_std, gamma, beta, slope, sums)


def adam(p: Any, g: Any, m: Any, v: Any, lr: float, beta1: float, beta2: float, eps: float,
         weight_decay: float, t: int) -> None:  # fmt: skip
    """One step of Adam (Kingma & Ba 2015, Alg. 1) on flat arrays, in place; t counts from 1."""
    _twin(p).adam(p, g, m, v, lr, beta1, beta2, eps, weight_decay, t)


def adam_tick(state: Any, beta1: float, beta2: float) -> None:
    """Count a step of ``adam_at``, in place.  state (4,) float64: lr, t, and what comes out,
    lr / (1 - beta1^t) and 1 / sqrt(1 - beta2^t).  To start: (lr, 0, 0, 0).

    All that changes from step to step then lies in an array, where a captured step finds it."""
    _twin(state, np.float64).adam_tick(state, beta1, beta2)


def adam_at(p: Any, g: Any, m: Any, v: Any, state: Any, beta1: float, beta2: float, eps: float,
            weight_decay: float) -> None:  # fmt: skip
    """``adam`` with lr and t from a state that ``adam_tick`` has counted on."""
    _twin(p).adam_at(p, g, m, v, state, beta1, beta2, eps, weight_decay)


def fill_uniform(out: Any, seed: int, step: int, stream: int) -> None:
    """Random numbers in [0, 1), in the order of out's indices, by Philox (see philox.py): the
    same three numbers give the same bits on every backend.  seed, step < 2^64, stream < 2^32."""
    _twin(out).fill_uniform(out, seed, step, stream)


def fill_normal(out: Any, seed: int, step: int, stream: int) -> None:
    """Standard normal numbers, equal on all backends but for the last digits; as above."""
    _twin(out).fill_normal(out, seed, step, stream)


def max_pool(x: Any, kernel: Pair, geometry: Geometry) -> tuple[Any, Any]:
    """The largest value of each window, and its number in the window, row by row (the first of
    equal ones; NaN counts as largest; padding never).  (N, C, H, W) -> (N, C, P, Q), int32 too."""
    return _twin(x).max_pool(x, kernel, geometry)


def max_pool_take(x: Any, choice: Any, kernel: Pair, geometry: Geometry) -> Any:
    """The value at the chosen position of each window.  (N, C, H, W) -> (N, C, P, Q)"""
    return _twin(x).max_pool_take(x, choice, kernel, geometry)


def max_pool_put(gy: Any, choice: Any, size: Pair, kernel: Pair, geometry: Geometry) -> Any:
    """Zeros (N, C, *size), and each value of gy (N, C, P, Q) added at its window's choice."""
    return _twin(gy).max_pool_put(gy, choice, size, kernel, geometry)


def resample(x: Any, A: np.ndarray, B: np.ndarray) -> Any:
    """y[n, c, p, q] = sum over i, j of A[p, i] x[n, c, i, j] B[q, j], A (P, H) and B (Q, W)."""
    return _twin(x).resample(x, A, B)


def log_sum_exp(x: Any, scale: float) -> Any:
    """y[n] = log of the sum over m of e^(scale x[n, m]), without overflow.

    x: (N, M), finite, M > 0 -> (N,)."""
    return _twin(x).log_sum_exp(x, scale)
