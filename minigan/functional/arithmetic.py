"""Elementwise arithmetic with NumPy's broadcasting, reductions, comparisons.

Notation: x, x0, x1 are inputs, y is the output, gy is dL/dy and gx = dL/dx.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigan.autograd import Function, Tensor, check_together
from minigan.backends import array_module

Operand = Tensor | float | int


def as_tensor(value: Any, like: Tensor) -> Tensor:
    """A number or array as a tensor of the dtype and backend of ``like``; tensors as they are.

    Integer tensors take part in float arithmetic as floats, as in PyTorch; float32 and float64
    are never mixed silently (Function refuses that).
    """
    xp, value = array_module(like.array), _number(value)
    if isinstance(value, (bool, int, float)):
        # An integer tensor times 0.5 is a float, as in PyTorch.
        is_float_of_int = isinstance(value, float) and like.dtype.kind != "f"
        return Tensor(xp.asarray(value, np.float32 if is_float_of_int else like.dtype))
    if not isinstance(value, Tensor):
        value = Tensor(xp.asarray(value))
    if value.dtype.kind in "biu" and like.dtype.kind == "f":
        return Tensor(value.array.astype(like.dtype))
    return value


def _pair(x0: Any, x1: Any) -> tuple[Tensor, Tensor]:
    if isinstance(x0, Tensor) and isinstance(x1, Tensor) and x0.array.dtype == x1.array.dtype:
        return x0, x1
    if not isinstance(x0, Tensor) and not isinstance(x1, Tensor):
        raise TypeError(
            f"one of two operands must be a tensor, got {type(x0).__name__} and "
            f"{type(x1).__name__}: wrap one with tensor()"
        )
    if not isinstance(x0, Tensor):
        x0 = as_tensor(x0, like=x1)
    x1 = as_tensor(x1, like=x0)
    return as_tensor(x0, like=x1), x1


def _number(value: Any) -> Any:
    """A NumPy scalar as a Python number: it would bring its own dtype into float32 arithmetic."""
    return value.item() if isinstance(value, np.generic) else value


# Broadcasting -------------------------------------------------------------------------------


class BroadcastTo(Function):
    """y = x repeated along axes of length 1; the gradient of a repeated value is a sum."""

    is_view = True

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape

    def forward(self, x):
        self.x_shape = x.shape
        return array_module(x).broadcast_to(x, self.shape)

    def backward(self, gy):
        return sum_to(gy, self.x_shape)


class SumTo(Function):
    """The opposite of broadcasting: sum over the axes that broadcasting would repeat."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape

    def forward(self, x):
        self.x_shape = x.shape
        lead = x.ndim - len(self.shape)
        repeated = tuple(
            i for i, n in enumerate(x.shape) if i < lead or (self.shape[i - lead] == 1 and n != 1)
        )
        return x.sum(axis=repeated, keepdims=True).reshape(self.shape)

    def backward(self, gy):
        return broadcast_to(gy, self.x_shape)


def broadcast_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x repeated to ``shape`` (NumPy's rules); ValueError if the shapes do not fit."""
    return x if x.shape == tuple(shape) else BroadcastTo(tuple(shape))(x)


def sum_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x summed down to ``shape``, which could be broadcast to x's.

    >>> sum_to(Tensor(np.ones((2, 3), np.float32)), (3,))
    tensor([2., 2., 2.])
    """
    return x if x.shape == tuple(shape) else SumTo(tuple(shape))(x)


# The four operations ------------------------------------------------------------------------


class Add(Function):
    def forward(self, x0, x1):
        self.shapes = x0.shape, x1.shape
        return x0 + x1

    def backward(self, gy):
        return sum_to(gy, self.shapes[0]), sum_to(gy, self.shapes[1])


class Sub(Function):
    def forward(self, x0, x1):
        self.shapes = x0.shape, x1.shape
        return x0 - x1

    def backward(self, gy):
        gx1 = sum_to(neg(gy), self.shapes[1]) if self.needs[1] else None
        return sum_to(gy, self.shapes[0]), gx1


class Mul(Function):
    def forward(self, x0, x1):
        self.save_inputs(0, 1)
        return x0 * x1

    def backward(self, gy):
        x0, x1 = self.saved_inputs()
        gx0 = sum_to(gy * x1, x0.shape) if self.needs[0] else None
        gx1 = sum_to(gy * x0, x1.shape) if self.needs[1] else None
        return gx0, gx1


class Div(Function):
    def forward(self, x0, x1):
        self.save_inputs(0, 1)
        return x0 / x1

    def backward(self, gy):
        x0, x1 = self.saved_inputs()
        gx0 = sum_to(gy / x1, x0.shape) if self.needs[0] else None
        gx1 = sum_to(-gy * x0 / (x1 * x1), x1.shape) if self.needs[1] else None
        return gx0, gx1


class Neg(Function):
    def forward(self, x):
        return -x

    def backward(self, gy):
        return -gy


class Pow(Function):
    """y = x^c with a constant exponent; gx = c x^(c-1) gy."""

    def __init__(self, exponent: float):
        self.exponent = exponent

    def forward(self, x):
        self.save_inputs(0)
        return x**self.exponent

    def backward(self, gy):
        (x,) = self.saved_inputs()
        c = self.exponent
        if c == 0:
            return None
        return gy * c if c == 1 else gy * (pow(x, c - 1) * c)


def add(x0: Operand, x1: Operand) -> Tensor:
    """x0 + x1, broadcast."""
    return Add()(*_pair(x0, x1))


def sub(x0: Operand, x1: Operand) -> Tensor:
    """x0 - x1, broadcast."""
    return Sub()(*_pair(x0, x1))


def mul(x0: Operand, x1: Operand) -> Tensor:
    """x0 * x1, broadcast."""
    return Mul()(*_pair(x0, x1))


def div(x0: Operand, x1: Operand) -> Tensor:
    """x0 / x1, broadcast."""
    return Div()(*_pair(x0, x1))


def neg(x: Tensor) -> Tensor:
    """-x"""
    return Neg()(x)


def pow(x: Tensor, exponent: Operand) -> Tensor:
    """x^exponent; a tensor as exponent needs x > 0 (it is computed as exp(exponent log x)).

    >>> pow(Tensor(np.array([1.0, 2.0, 3.0], np.float32)), 2)
    tensor([1., 4., 9.])
    """
    if isinstance(exponent, Tensor):
        return exp(exponent * log(x))
    return Pow(_number(exponent))(x)


# Elementary functions -----------------------------------------------------------------------


class Exp(Function):
    def forward(self, x):
        self.save_output()
        return array_module(x).exp(x)

    def backward(self, gy):
        return gy * self.saved_output()


class Log(Function):
    def forward(self, x):
        self.save_inputs(0)
        return array_module(x).log(x)

    def backward(self, gy):
        (x,) = self.saved_inputs()
        return gy / x


class Sqrt(Function):
    def forward(self, x):
        self.save_output()
        return array_module(x).sqrt(x)

    def backward(self, gy):
        return gy / (self.saved_output() * 2.0)


class Abs(Function):
    """y = |x|; gx = sign(x) gy, and 0 at x = 0."""

    def forward(self, x):
        self.save_inputs(0)
        return array_module(x).abs(x)

    def backward(self, gy):
        (x,) = self.saved_inputs()
        return gy * Tensor(array_module(x.array).sign(x.array))


def exp(x: Tensor) -> Tensor:
    """e^x"""
    return Exp()(x)


def log(x: Tensor) -> Tensor:
    """The natural logarithm, x > 0."""
    return Log()(x)


def sqrt(x: Tensor) -> Tensor:
    """The square root, x >= 0; its derivative is infinite at 0."""
    return Sqrt()(x)


def abs(x: Tensor) -> Tensor:
    """|x|"""
    return Abs()(x)


# Choice -------------------------------------------------------------------------------------


class Where(Function):
    """y = x0 where the condition holds, x1 elsewhere: each gets its own share of gy."""

    def __init__(self, condition: Any):
        self.condition = condition

    def forward(self, x0, x1):
        self.shapes = x0.shape, x1.shape
        return array_module(x0).where(self.condition, x0, x1)

    def backward(self, gy):
        gx0 = sum_to(where(self.condition, gy, 0.0), self.shapes[0]) if self.needs[0] else None
        gx1 = sum_to(where(self.condition, 0.0, gy), self.shapes[1]) if self.needs[1] else None
        return gx0, gx1


def where(condition: Any, x0: Operand, x1: Operand) -> Tensor:
    """x0 where ``condition`` (a bool array or tensor) holds, x1 elsewhere, all broadcast.

    >>> where(np.array([True, False]), 1.0, Tensor(np.zeros(2, np.float32)))
    tensor([1., 0.])
    """
    x0, x1 = _pair(x0, x1)
    if isinstance(condition, Tensor):
        condition = condition.array
        check_together("where", condition, x0.array)
    # A copy: backward needs it as it is now.
    return Where(array_module(x0.array).array(condition, dtype=bool))(x0, x1)


def maximum(x0: Operand, x1: Operand) -> Tensor:
    """The larger of the two, broadcast; where they are equal, each gets half the gradient."""
    x0, x1 = _pair(x0, x1)
    check_together("maximum", x0.array, x1.array)
    larger = where((x0.array > x1.array) | (x0.array != x0.array), x0, x1)  # NaN stays NaN
    # Also where there are no ties: to ask whether there are, a GPU would have to be waited for.
    return where(x0.array == x1.array, x0 * 0.5 + x1 * 0.5, larger)


def minimum(x0: Operand, x1: Operand) -> Tensor:
    """The smaller of the two, broadcast; where they are equal, each gets half the gradient."""
    return -maximum(-as_tensor(x0, x1), -as_tensor(x1, x0))


class Clip(Function):
    """y = min(max(x, low), high); the gradient passes where x lies inside, the bounds included."""

    def __init__(self, low: float | None, high: float | None):
        self.low, self.high = low, high

    def forward(self, x):
        xp = array_module(x)
        y = xp.clip(x, self.low, self.high)
        if self.needs[0]:
            self.inside = y == x
        return y

    def backward(self, gy):
        return where(self.inside, gy, 0.0)


def clip(x: Tensor, min: float | None = None, max: float | None = None) -> Tensor:
    """x limited to [min, max]; either bound may be None.

    >>> clip(Tensor(np.array([-2.0, 0.5, 2.0], np.float32)), -1, 1)
    tensor([-1. ,  0.5,  1. ])
    """
    if min is None and max is None:
        raise ValueError("clip needs at least one bound: give min, max or both")
    return Clip(_number(min), _number(max))(x)


# Reductions ---------------------------------------------------------------------------------


def axis_of(dim: int, ndim: int) -> int:
    """``dim`` counted from the front; IndexError if there is no such dimension."""
    if not -ndim <= dim < ndim:
        raise IndexError(f"dim {dim} does not exist in a tensor of {ndim} dimensions")
    return dim % ndim


def _axes(dim: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    if dim is None:
        return tuple(range(ndim))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    return tuple(axis_of(d, ndim) for d in dims)


def _kept_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


class Sum(Function):
    """y = c * (sum of x over some axes); every summand gets c gy.  c = 1/n makes it a mean."""

    def __init__(self, axes: tuple[int, ...], keepdim: bool, c: float = 1.0):
        self.axes, self.keepdim, self.c = axes, keepdim, c

    def forward(self, x):
        self.x_shape = x.shape
        y = array_module(x).asarray(x.sum(axis=self.axes, keepdims=self.keepdim))
        return y if self.c == 1 else y * self.c

    def backward(self, gy):
        return Spread(self.axes, self.keepdim, self.c, self.x_shape)(gy)


class Spread(Function):
    """gx = c gy repeated along the axes that were summed; its own gradient is Sum again."""

    def __init__(self, axes: tuple[int, ...], keepdim: bool, c: float, shape: tuple[int, ...]):
        self.axes, self.keepdim, self.c, self.shape = axes, keepdim, c, shape

    def forward(self, gy):
        gx = array_module(gy).empty(self.shape, gy.dtype)
        gx[...] = (gy * self.c).reshape(_kept_shape(self.shape, self.axes))
        return gx

    def backward(self, ggx):
        return Sum(self.axes, self.keepdim, self.c)(ggx)


class Max(Function):
    """y = the largest element along axes; equal largest ones share gy evenly."""

    def __init__(self, axes: tuple[int, ...], keepdim: bool):
        self.axes, self.keepdim = axes, keepdim

    def forward(self, x):
        y = x.max(axis=self.axes, keepdims=True)
        self.x_shape, self.kept_shape = x.shape, y.shape
        if self.needs[0]:
            is_max = x == y
            self.share = is_max.astype(x.dtype) / is_max.sum(axis=self.axes, keepdims=True)
            self.share = self.share.astype(x.dtype)
        xp = array_module(x)
        return y if self.keepdim else xp.asarray(y.squeeze(self.axes))

    def backward(self, gy):
        gy = broadcast_to(gy.reshape(self.kept_shape), self.x_shape)
        return gy * Tensor(self.share)


def sum(x: Tensor, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> Tensor:
    """The sum over ``dim`` (one, several, or all)."""
    return Sum(_axes(dim, x.ndim), keepdim)(x)


def mean(x: Tensor, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> Tensor:
    """The mean over ``dim`` (one, several, or all); an empty tensor has none (ValueError)."""
    axes = _axes(dim, x.ndim)
    count = math.prod([x.shape[i] for i in axes])
    if count == 0:
        raise ValueError(f"the mean over dim {dim} of a tensor of shape {x.shape} has no elements")
    return Sum(axes, keepdim, 1.0 / count)(x)


def var(
    x: Tensor,
    dim: int | tuple[int, ...] | None = None,
    unbiased: bool = True,
    keepdim: bool = False,
) -> Tensor:
    """The variance over ``dim``: the squared deviations' sum by n - 1, or by n if not unbiased.

    >>> var(Tensor(np.array([1.0, 3.0], np.float32))).item()
    2.0
    """
    axes = _axes(dim, x.ndim)
    count = math.prod([x.shape[i] for i in axes])
    if count <= unbiased:
        raise ValueError(f"the variance needs more than {int(unbiased)} elements, got {count}")
    deviation = x - mean(x, axes, keepdim=True)
    return Sum(axes, keepdim, 1.0 / (count - unbiased))(deviation * deviation)


def std(
    x: Tensor,
    dim: int | tuple[int, ...] | None = None,
    unbiased: bool = True,
    keepdim: bool = False,
) -> Tensor:
    """The standard deviation over ``dim``: sqrt(var)."""
    return sqrt(var(x, dim, unbiased, keepdim))


def amax(x: Tensor, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> Tensor:
    """The largest element over ``dim`` (``torch.amax``); equal ones share the gradient evenly."""
    return Max(_axes(dim, x.ndim), keepdim)(x)


def amin(x: Tensor, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> Tensor:
    """The smallest element over ``dim`` (``torch.amin``)."""
    return -amax(-x, dim, keepdim)
