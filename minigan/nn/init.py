"""Initial weights, in place, drawn by ``minigan.draws``.

Notation: fan_in is the number of inputs of one output, fan_out the number of outputs that one
input reaches.  Every function returns the tensor that it has filled.

The numbers are drawn in float64 (by Philox in float32) and then rounded, so that a network starts
from the same weights in float32 and float64.
"""

from __future__ import annotations

import math

import numpy as np

from minigan import draws
from minigan.autograd import Tensor, no_grad
from minigan.backends import to_numpy


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Fill with U(a, b).

    >>> from minigan import zeros
    >>> w = uniform_(zeros(100), -0.05, 0.05)
    >>> -0.05 <= w.min().item() < w.max().item() <= 0.05
    True
    """
    if not a <= b:
        raise ValueError(f"uniform_ needs a <= b, got {a} and {b}")
    with no_grad():
        return tensor.copy_(draws.uniform(tensor.shape, a, b, np.float64))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Fill with N(mean, std^2)."""
    if not std >= 0:
        raise ValueError(f"normal_ needs std >= 0, got {std}")
    with no_grad():
        return tensor.copy_(draws.normal(tensor.shape, mean, std, np.float64))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with ``val``."""
    with no_grad():
        return tensor.fill_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1."""
    return constant_(tensor, 1.0)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """U(-a, a) with the variance gain^2 * 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 16)."""
    fan_in, fan_out = fans(tensor)
    a = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(tensor, -a, a)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """N(0, gain^2 * 2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 12)."""
    fan_in, fan_out = fans(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2 / (fan_in + fan_out)))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """U(-b, b) with the variance gain^2 / fan (He et al. 2015, eq. 10 and 15).

    Args:
        a: negative slope of the leaky ReLU that follows.
        mode: ``"fan_in"`` keeps the variance forward, ``"fan_out"`` backward.
        nonlinearity: see ``calculate_gain``.
    """
    b = calculate_gain(nonlinearity, a) * math.sqrt(3 / _fan(tensor, mode))
    return uniform_(tensor, -b, b)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """N(0, gain^2 / fan) (He et al. 2015); the arguments of ``kaiming_uniform_``."""
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)))


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """gain times a random matrix whose rows (or columns, the fewer) are orthonormal: no direction
    is stretched or shrunk more than another (Saxe et al. 2014).

    A weight (out, in, *kernel) is seen as a matrix of ``out`` rows.

    >>> from minigan import zeros
    >>> w = orthogonal_(zeros(2, 3))
    >>> bool(np.allclose(w @ w.t(), np.eye(2), atol=1e-6))
    True
    """
    if tensor.ndim < 2 or tensor.numel() == 0:
        raise ValueError(f"orthogonal_ needs a matrix (out, in, ...), got {tensor.shape}")
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    tall = to_numpy(draws.normal((max(rows, columns), min(rows, columns)), dtype=np.float64))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))  # LAPACK's choice of signs would make some matrices more likely
    with no_grad():
        return tensor.copy_(gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def calculate_gain(nonlinearity: str, param: float = 0.01) -> float:
    """By how much a layer's weights must grow to make up for what the activation takes away.

    Args:
        nonlinearity: linear, sigmoid, tanh, relu, or leaky_relu with negative slope ``param``.

    >>> calculate_gain("leaky_relu", 0.0) == math.sqrt(2)
    True
    """
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + param**2)),
    }
    if nonlinearity not in gains:
        raise ValueError(f"no gain for {nonlinearity!r}: expected one of {', '.join(gains)}")
    return gains[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight of shape (out, in) or (out, in, *kernel).

    >>> from minigan import zeros
    >>> fans(zeros(8, 3, 5, 5))
    (75, 200)
    """
    if tensor.ndim < 2 or tensor.numel() == 0:
        raise ValueError(f"a weight (out, in, ...) without zero lengths is needed: {tensor.shape}")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def _fan(tensor: Tensor, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"no mode {mode!r}: expected fan_in or fan_out")
    return fans(tensor)[mode == "fan_out"]
