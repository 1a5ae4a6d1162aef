"""Making tensors: from values, filled, random.  On the current backend, float32 by default."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan import backends, draws
from minigan.autograd import Tensor
from minigan.backends import array_module


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of ``data``: numbers, nested lists, an array.

    Python floats become float32, Python integers int64; arrays keep their dtype.

    >>> tensor([[1, 2], [3, 4]]).dtype, tensor(0.5).dtype, tensor(np.zeros(2)).dtype
    (dtype('int64'), dtype('float32'), dtype('float64'))
    """
    if isinstance(data, Tensor):
        data = data.array
    if dtype is None and not hasattr(data, "dtype"):
        kind = np.asarray(data).dtype
        dtype = np.float32 if kind.kind == "f" else np.int64 if kind.kind in "iu" else kind
        if kind.kind not in "fiub":
            raise TypeError(f"a tensor is made of numbers of one shape, not {kind}")
    return Tensor(backends.xp().array(data, dtype=dtype), requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares memory with a NumPy array (a copy if the backend is CuPy)."""
    return Tensor(backends.xp().asarray(array))


def _shape(sizes: tuple) -> tuple[int, ...]:
    return tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes


def full(
    size: tuple[int, ...], fill_value: float, dtype: Any = np.float32, requires_grad: bool = False
) -> Tensor:
    """A tensor of the given shape with the same value everywhere."""
    return Tensor(backends.xp().full(size, fill_value, dtype), requires_grad)


def zeros(*size: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros.

    >>> zeros(2, 3).shape
    (2, 3)
    """
    return full(_shape(size), 0, dtype, requires_grad)


def ones(*size: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return full(_shape(size), 1, dtype, requires_grad)


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of the shape, dtype and backend of x."""
    return Tensor(array_module(x.array).zeros_like(x.array))


def ones_like(x: Tensor) -> Tensor:
    """Ones of the shape, dtype and backend of x."""
    return Tensor(array_module(x.array).ones_like(x.array))


def rand(*size: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Uniform random numbers in [0, 1)."""
    return Tensor(draws.uniform(_shape(size), dtype=dtype), requires_grad)


def randn(*size: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Normal random numbers with mean 0 and variance 1.

    >>> from minigan.backends import manual_seed
    >>> manual_seed(0)
    >>> a = randn(3)
    >>> manual_seed(0)
    >>> bool((randn(3).numpy() == a.numpy()).all())
    True
    """
    return Tensor(draws.normal(_shape(size), dtype=dtype), requires_grad)
