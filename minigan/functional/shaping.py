"""Functions that move values without changing them: the gradient moves them back.

Notation: x is the input, y the output, gy = dL/dy, gx = dL/dx.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.autograd import Function, Tensor, plain_index
from minigan.backends import array_module
from minigan.functional.arithmetic import axis_of


class Reshape(Function):
    is_view = True

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape

    def forward(self, x):
        self.x_shape = x.shape
        return x.reshape(self.shape)

    def backward(self, gy):
        return reshape(gy, self.x_shape)


def reshape(x: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape; one length may be -1.

    >>> reshape(Tensor(np.arange(6.0)), 2, -1).shape
    (2, 3)
    """
    shape = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    return x if x.shape == shape else Reshape(shape)(x)


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Merge the dimensions from ``start_dim`` to ``end_dim``, both included, into one.

    >>> flatten(Tensor(np.zeros((2, 3, 4))), 1).shape
    (2, 12)
    """
    if x.ndim == 0:
        return reshape(x, (1,))
    start, end = axis_of(start_dim, x.ndim), axis_of(end_dim, x.ndim)
    if start > end:
        raise ValueError(f"flatten needs start_dim <= end_dim, got {start_dim} and {end_dim}")
    merged = math.prod(x.shape[start : end + 1])
    return reshape(x, (*x.shape[:start], merged, *x.shape[end + 1 :]))


def unflatten(x: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Split one dimension into several.

    >>> unflatten(Tensor(np.zeros((2, 12))), 1, (3, 4)).shape
    (2, 3, 4)
    """
    dim = axis_of(dim, x.ndim)
    return reshape(x, x.shape[:dim] + tuple(sizes) + x.shape[dim + 1 :])


def squeeze(x: Tensor, dim: int | None = None) -> Tensor:
    """Without the dimensions of length 1, or without ``dim`` if its length is 1."""
    if dim is None:
        return reshape(x, tuple(n for n in x.shape if n != 1))
    dim = axis_of(dim, x.ndim)
    return reshape(x, x.shape[:dim] + x.shape[dim + 1 :]) if x.shape[dim] == 1 else x


def unsqueeze(x: Tensor, dim: int) -> Tensor:
    """With a new dimension of length 1 at ``dim``."""
    dim = axis_of(dim, x.ndim + 1)
    return reshape(x, (*x.shape[:dim], 1, *x.shape[dim:]))


class Permute(Function):
    """y's axis i is x's axis dims[i]; the gradient goes back by the inverse permutation."""

    is_view = True

    def __init__(self, dims: tuple[int, ...]):
        self.dims = dims

    def forward(self, x):
        return x.transpose(self.dims)

    def backward(self, gy):
        inverse = [0] * len(self.dims)
        for i, d in enumerate(self.dims):
            inverse[d] = i
        return permute(gy, inverse)


def permute(x: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order, all of them named."""
    dims = tuple(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else dims
    dims = tuple(axis_of(d, x.ndim) for d in dims)
    if sorted(dims) != list(range(x.ndim)):
        raise ValueError(f"permute needs each of {x.ndim} dimensions once, got {dims}")
    return Permute(dims)(x)


def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged.

    >>> transpose(Tensor(np.zeros((2, 3, 4))), 0, 2).shape
    (4, 3, 2)
    """
    dims = list(range(x.ndim))
    i, j = axis_of(dim0, x.ndim), axis_of(dim1, x.ndim)
    dims[i], dims[j] = j, i
    return Permute(tuple(dims))(x)


# Indexing: gather and scatter-add -----------------------------------------------------------


class GetItem(Function):
    """y = x[index]: gather.  An element taken twice gets both gradients: scatter-add."""

    is_view = True

    def __init__(self, index: Any):
        self.index = index

    def forward(self, x):
        self.x_shape = x.shape
        return array_module(x).asarray(x[self.index])

    def backward(self, gy):
        return ScatterAdd(self.index, self.x_shape)(gy)


class ScatterAdd(Function):
    """y = zeros, then y[index] += x, where repeated indices add up; its gradient is a gather."""

    def __init__(self, index: Any, shape: tuple[int, ...]):
        self.index, self.shape = index, shape

    def forward(self, x):
        xp = array_module(x)
        y = xp.zeros(self.shape, x.dtype)
        if _may_repeat(self.index):
            xp.add.at(y, self.index, x)
        else:
            y[self.index] = x
        return y

    def backward(self, gy):
        return getitem(gy, self.index)


def _may_repeat(index: Any) -> bool:
    """Whether an index can name an element twice: only arrays of integers can."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(hasattr(i, "dtype") and i.dtype.kind != "b" and i.ndim > 0 for i in parts)


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index] with slices, integers, None, ..., integer arrays and boolean masks.

    >>> x = Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    >>> getitem(x, [0, 0, 1]).sum().backward()
    >>> x.grad
    tensor([2., 1.])
    """
    index = plain_index(index)
    if isinstance(index, tuple):
        index = tuple(_own(i) for i in index)
    else:
        index = _own(index)
    return GetItem(index)(x)


def _own(index: Any) -> Any:
    """Sequences as arrays, arrays as copies: backward needs the index as it is now."""
    if isinstance(index, (list, tuple)):
        return np.array(index) if len(index) else np.zeros(0, np.intp)
    return index.copy() if hasattr(index, "dtype") else index


# Joining ------------------------------------------------------------------------------------


class Concatenate(Function):
    """y = the inputs one after another along an axis; each gets its own slice of gy."""

    def __init__(self, dim: int):
        self.dim = dim

    def forward(self, *xs):
        self.lengths = [x.shape[self.dim] for x in xs]
        return array_module(xs[0]).concatenate(xs, axis=self.dim)

    def backward(self, gy):
        lead = (slice(None),) * self.dim
        ends = np.cumsum(self.lengths).tolist()
        slices = [slice(end - n, end) for n, end in zip(self.lengths, ends)]
        return tuple(
            getitem(gy, (*lead, s)) if needed else None for s, needed in zip(slices, self.needs)
        )


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after another along an existing dimension.

    >>> cat([Tensor(np.zeros((2, 3))), Tensor(np.ones((1, 3)))]).shape
    (3, 3)
    """
    if not tensors:
        raise ValueError("cat needs at least one tensor")
    if tensors[0].ndim == 0:
        raise ValueError("cat needs tensors with a dimension to join along: use stack for numbers")
    return Concatenate(axis_of(dim, tensors[0].ndim))(*tensors)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after another along a new dimension."""
    return cat([unsqueeze(x, dim) for x in tensors], dim)


class Pad(Function):
    """y = x with a border of a constant; the gradient is cut out again."""

    def __init__(self, widths: tuple[tuple[int, int], ...], value: float):
        self.widths, self.value = widths, value

    def forward(self, x):
        self.inside = tuple(slice(a, a + n) for (a, _), n in zip(self.widths, x.shape))
        return array_module(x).pad(x, self.widths, constant_values=self.value)

    def backward(self, gy):
        return getitem(gy, self.inside)


def pad(x: Tensor, pad: Sequence[int], value: float = 0.0) -> Tensor:
    """x with a border of ``value``: (left, right, top, bottom, ...) from the last dimension on.

    >>> pad(Tensor(np.ones((1, 2), np.float32)), (1, 0))
    tensor([[0., 1., 1.]])
    """
    if len(pad) % 2 or len(pad) > 2 * x.ndim or any(n < 0 for n in pad):
        raise ValueError(
            f"pad needs two widths >= 0 a dimension, for at most {x.ndim} dimensions, got {pad}"
        )
    given = [tuple(pad[i : i + 2]) for i in range(0, len(pad), 2)]
    widths = [(0, 0)] * (x.ndim - len(given)) + given[::-1]
    return Pad(tuple(widths), value)(x)
