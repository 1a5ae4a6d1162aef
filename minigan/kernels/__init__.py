"""Raw array kernels, no gradients: each exists under one name and signature in

    reference.py   plain Python loops: the definition, and the copy to read
    cpu.py         Numba: what runs on NumPy arrays
    array.py       whole-array operations: what runs on CuPy arrays

The functions here look at the array and pass the call on.  The tests hold the three together.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

_cpu: ModuleType | None = None  # imported at first use: importing Numba takes longer than minigan


def _twin(array: Any) -> ModuleType:
    global _cpu
    if not isinstance(array, np.ndarray):
        from minigan.kernels import array as whole_array

        return whole_array
    if _cpu is None:
        from minigan.kernels import cpu

        _cpu = cpu
    return _cpu


def leaky_relu(x: Any, slope: float) -> Any:
    """y = x where x > 0, slope * x elsewhere.  Any shape."""
    return _twin(x).leaky_relu(x, slope)


def leaky_relu_grad(gy: Any, x: Any, slope: float) -> Any:
    """gx = gy where x > 0, slope * gy elsewhere.  Equal shapes."""
    return _twin(x).leaky_relu_grad(gy, x, slope)


def sigmoid(x: Any) -> Any:
    """y = 1 / (1 + e^-x), without overflow.  Any shape."""
    return _twin(x).sigmoid(x)


def bce_with_logits(x: Any, t: Any) -> Any:
    """l = softplus(x) - t x.  x: any shape, t: the same shape or ()."""
    return _twin(x).bce_with_logits(x, t)


def bce_with_logits_grad(gl: Any, x: Any, t: Any) -> Any:
    """gx = gl (sigmoid(x) - t).  gl, x: the same shape, t: that shape or ()."""
    return _twin(x).bce_with_logits_grad(gl, x, t)


def batch_stats(x: Any) -> tuple[Any, Any]:
    """Mean and (biased) variance of each column.  x: (N, C) -> (C,), (C,)."""
    return _twin(x).batch_stats(x)


def batch_norm(x: Any, mean: Any, inv_std: Any, gamma: Any, beta: Any) -> Any:
    """y = (x - mean) * inv_std * gamma + beta.  x: (N, C), the others (C,)."""
    return _twin(x).batch_norm(x, mean, inv_std, gamma, beta)


def batch_norm_sums(gy: Any, x: Any, mean: Any, inv_std: Any) -> Any:
    """Column sums of gy and of gy * (x - mean) * inv_std.  (N, C) -> (2, C)."""
    return _twin(x).batch_norm_sums(gy, x, mean, inv_std)


def batch_norm_grad(gy: Any, x: Any, mean: Any, inv_std: Any, gamma: Any, sums: Any) -> Any:
    """gx = gamma * inv_std * (gy - sums[0] / N - xhat * sums[1] / N), xhat = (x - mean) inv_std."""
    return _twin(x).batch_norm_grad(gy, x, mean, inv_std, gamma, sums)


def adam(p: Any, g: Any, m: Any, v: Any, lr: float, beta1: float, beta2: float, eps: float,
         weight_decay: float, t: int) -> None:  # fmt: skip
    """One step of Adam (Kingma & Ba 2015, Alg. 1) on flat arrays, in place; t counts from 1."""
    _twin(p).adam(p, g, m, v, lr, beta1, beta2, eps, weight_decay, t)
