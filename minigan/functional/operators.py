"""Tensor's operators and methods: ``x + y``, ``x.sum()``, ``x[i]`` and so on.

Tensor lies below the functions and does not know them, so they are attached from here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan import backends
from minigan.autograd import Function, Tensor, is_grad_enabled, no_grad
from minigan.backends import array_module
from minigan.functional import activations, arithmetic, linear, shaping


class _Cast(Function):
    """y = x in another float dtype; the gradient goes back in x's."""

    def __init__(self, dtype: Any):
        self.dtype = dtype

    def forward(self, x):
        self.x_dtype = x.dtype
        return x.astype(self.dtype)

    def backward(self, gy):
        return _Cast(self.x_dtype)(gy)


class _Move(Function):
    """y = x on another backend; the gradient goes back to x's."""

    def __init__(self, name: str):
        self.name = name

    def forward(self, x):
        self.x_name = array_module(x).__name__
        return backends.moved(x, backends.library(self.name))

    def backward(self, gy):
        return _Move(self.x_name)(gy)


def to(x: Tensor, target: Any) -> Tensor:
    """x as another dtype (``np.float64``) or on another backend (``"numpy"``, ``"cupy"``)."""
    if isinstance(target, str) and target in backends.NAMES:
        return x if array_module(x.array).__name__ == target else _Move(target)(x)
    dtype = np.dtype(target)
    if x.dtype == dtype:
        return x
    return _Cast(dtype)(x) if dtype.kind == "f" else Tensor(x.array.astype(dtype))


def clone(x: Tensor) -> Tensor:
    """A copy of the values, still connected to x."""
    return x * 1.0 if x.dtype.kind == "f" else Tensor(x.array.copy())


def _in_place(function: Any) -> Any:
    """``x.add_(y)``: the values of x are overwritten, and the change is counted."""

    def method(self: Tensor, other: Any) -> Tensor:
        self.changed_in_place(other)
        with no_grad():
            result = function(self, other).array
        if not np.can_cast(result.dtype, self.dtype, "same_kind"):
            raise TypeError(
                f"{function.__name__}_ gives {result.dtype}, which does not fit into a tensor of "
                f"{self.dtype}: convert it first, with .float()"
            )
        self.array[...] = result
        return self

    method.__name__ = f"{function.__name__}_"
    return method


def _augmented(function: Any) -> Any:
    """``x += y``: in place, except in the graph, where x becomes the name of a new tensor."""
    in_place = _in_place(function)

    def operator(self: Tensor, other: Any) -> Tensor:
        in_graph = not self.is_leaf or (isinstance(other, Tensor) and other.requires_grad)
        is_parameter = self.is_leaf and self.requires_grad
        if is_grad_enabled() and in_graph and not is_parameter:
            return function(self, other)
        return in_place(self, other)

    return operator


def _comparison(name: str) -> Any:
    def operator(self: Tensor, other: Any) -> Tensor:
        other = other.array if isinstance(other, Tensor) else other
        result = getattr(self.array, name)(other)
        return result if result is NotImplemented else Tensor(result)

    operator.__name__ = name
    return operator


def _reversed(function: Any) -> Any:
    return lambda self, other: function(arithmetic.as_tensor(other, like=self), self)


def install() -> None:
    """Attach the functions to Tensor."""
    a, s = arithmetic, shaping
    Tensor.__add__ = Tensor.__radd__ = Tensor.add = a.add
    Tensor.__mul__ = Tensor.__rmul__ = Tensor.mul = a.mul
    Tensor.__sub__ = Tensor.sub = a.sub
    Tensor.__truediv__ = Tensor.div = a.div
    Tensor.__matmul__ = Tensor.matmul = linear.matmul
    Tensor.__pow__ = Tensor.pow = a.pow
    Tensor.__neg__ = Tensor.neg = a.neg
    Tensor.__rsub__, Tensor.__rtruediv__ = _reversed(a.sub), _reversed(a.div)
    Tensor.__getitem__ = s.getitem
    for function in (a.add, a.sub, a.mul, a.div):
        name = function.__name__
        setattr(Tensor, f"{name}_", _in_place(function))
        setattr(Tensor, f"__i{'truediv' if name == 'div' else name}__", _augmented(function))
    for name in ("__lt__", "__le__", "__gt__", "__ge__"):
        setattr(Tensor, name, _comparison(name))
    # x == y compares elements, as in NumPy and PyTorch; as a key, a tensor is still itself.
    Tensor.__eq__ = Tensor.eq = _comparison("__eq__")
    Tensor.__ne__ = Tensor.ne = _comparison("__ne__")
    Tensor.__hash__ = object.__hash__

    for function in (a.exp, a.log, a.sqrt, a.abs, a.sum, a.mean, a.var, a.std, a.clip):
        setattr(Tensor, function.__name__, function)
    Tensor.clamp, Tensor.amax, Tensor.amin, Tensor.__abs__ = a.clip, a.amax, a.amin, a.abs
    Tensor.max, Tensor.min = lambda self: a.amax(self), lambda self: a.amin(self)
    for function in (activations.tanh, activations.sigmoid, activations.relu):
        setattr(Tensor, function.__name__, function)
    for function in (s.reshape, s.flatten, s.squeeze, s.unsqueeze, s.permute, s.transpose):
        setattr(Tensor, function.__name__, function)
    Tensor.view, Tensor.unflatten = s.reshape, s.unflatten
    Tensor.expand = lambda self, *shape: a.broadcast_to(
        self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
    )
    Tensor.t = lambda self: s.permute(self, tuple(range(self.ndim))[::-1])
    Tensor.T = property(Tensor.t)
    Tensor.to, Tensor.clone = to, clone
    Tensor.float = lambda self: to(self, np.float32)
    Tensor.double = lambda self: to(self, np.float64)
