"""Activation functions.

Notation: x is the input, y the output, gy = dL/dy, gx = dL/dx.
"""

from __future__ import annotations

from minigan import kernels
from minigan.autograd import Function, Tensor
from minigan.backends import array_module
from minigan.functional.arithmetic import amax, exp, log, sum, where
from minigan.functional.shaping import unflatten


class LeakyReLU(Function):
    """y = x where x > 0, slope * x elsewhere.  (At 0, as PyTorch: the slope.)"""

    def __init__(self, slope: float):
        self.slope = slope

    def forward(self, x):
        self.save_inputs(0)
        return kernels.leaky_relu(x, self.slope)

    def backward(self, gy):
        (x,) = self.saved_inputs()
        return LeakyReLUGrad(self.slope)(gy, x)


class LeakyReLUGrad(Function):
    """gx = gy where x > 0, slope * gy elsewhere: linear in gy, and flat in x."""

    def __init__(self, slope: float):
        self.slope = slope

    def forward(self, gy, x):
        self.save_inputs(1)
        return kernels.leaky_relu_grad(gy, x, self.slope)

    def backward(self, ggx):
        (x,) = self.saved_inputs()
        return LeakyReLUGrad(self.slope)(ggx, x), None


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, ``negative_slope`` * x elsewhere (Maas et al. 2013).

    >>> import numpy as np
    >>> leaky_relu(Tensor(np.array([-1.0, 2.0], np.float32)), 0.2)
    tensor([-0.2,  2. ])
    """
    return LeakyReLU(negative_slope)(x)


def relu(x: Tensor) -> Tensor:
    """max(x, 0); the derivative at 0 is 0."""
    return LeakyReLU(0.0)(x)


class Tanh(Function):
    """y = tanh(x); gx = (1 - y^2) gy"""

    def forward(self, x):
        self.save_output()
        return kernels.tanh(x)

    def backward(self, gy):
        return TanhGrad()(gy, self.saved_output())


class TanhGrad(Function):
    """gx = (1 - y^2) gy, in one pass; d gx/d gy = 1 - y^2 and d gx/d y = -2 y gy."""

    def forward(self, gy, y):
        self.save_inputs(0, 1)
        xp = array_module(y)
        gx = xp.empty_like(y)  # an array also where y is a number, and y * y a scalar
        xp.multiply(y, y, out=gx)
        xp.subtract(1, gx, out=gx)
        gx *= gy
        return gx

    def backward(self, ggx):
        gy, y = self.saved_inputs()
        ggy = TanhGrad()(ggx, y) if self.needs[0] else None
        ggy_y = ggx * gy * y * -2.0 if self.needs[1] else None
        return ggy, ggy_y


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent, in (-1, 1)."""
    return Tanh()(x)


class Sigmoid(Function):
    """y = 1 / (1 + e^-x); gx = y (1 - y) gy"""

    def forward(self, x):
        self.save_output()
        return kernels.sigmoid(x)

    def backward(self, gy):
        y = self.saved_output()
        return gy * (y * (1.0 - y))


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x), in (0, 1), without overflow."""
    return Sigmoid()(x)


class Softplus(Function):
    """y = log(1 + e^x); gx = sigmoid(x) gy"""

    def forward(self, x):
        self.save_inputs(0)
        xp = array_module(x)
        return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))

    def backward(self, gy):
        (x,) = self.saved_inputs()
        return gy * sigmoid(x)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), without overflow: max(x, 0) + log(1 + e^-|x|)."""
    return Softplus()(x)


def softmax(x: Tensor, dim: int) -> Tensor:
    """e^x / sum e^x over ``dim``."""
    e = exp(x - amax(x, dim, keepdim=True).detach())
    return e / sum(e, dim, keepdim=True)


def log_softmax(x: Tensor, dim: int) -> Tensor:
    """log(softmax(x)), without overflow."""
    x = x - amax(x, dim, keepdim=True).detach()
    return x - log(sum(exp(x), dim, keepdim=True))


class Maxout(Function):
    """y_j = max over the pieces of x_j (Goodfellow et al. 2013, section 3), last axis of x.

    The first of equal pieces takes the gradient.
    """

    def forward(self, x):
        xp = array_module(x)
        y = x[..., 0].copy()
        for k in range(1, x.shape[-1]):
            xp.maximum(y, x[..., k], out=y)
        if self.needs[0]:
            self.mask = xp.empty(x.shape, bool)
            is_free = xp.ones(y.shape, bool)  # no earlier piece was the largest
            for k in range(x.shape[-1]):
                winner = (x[..., k] == y) & is_free
                self.mask[..., k] = winner
                is_free &= ~winner
        return y

    def backward(self, gy):
        return where(self.mask, gy.unsqueeze(-1), 0.0)


def maxout(x: Tensor, num_pieces: int) -> Tensor:
    """The largest of each ``num_pieces`` neighbours in the last dimension.

    x: (..., units * num_pieces) -> (..., units).

    >>> import numpy as np
    >>> maxout(Tensor(np.array([[1.0, 5.0, 2.0, -3.0]], np.float32)), 2)
    tensor([[5., 2.]])
    """
    if x.shape[-1] % num_pieces:
        raise ValueError(
            f"maxout: {x.shape[-1]} features cannot be divided into groups of {num_pieces}"
        )
    return Maxout()(unflatten(x, -1, (x.shape[-1] // num_pieces, num_pieces)))
