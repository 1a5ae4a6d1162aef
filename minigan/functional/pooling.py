"""Pooling: one value for each window of an image, the largest or the mean.

Output position (p, q) sees the window of the size ``kernel_size`` that starts at row
stride * p - padding and column stride * q - padding of the input.

Notation: x (N, C, H, W) is the input, y (N, C, P, Q) the output, gy = dL/dy, gx = dL/dx.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan import kernels
from minigan.autograd import Function, Tensor
from minigan.functional.resampling import Resample, check_images
from minigan.kernels.geometry import Geometry, Pair

# The largest --------------------------------------------------------------------------------


class MaxPool(Function):
    """y = the largest value in each window; the first of equal ones takes the gradient."""

    def __init__(self, kernel: Pair, geometry: Geometry):
        self.kernel, self.geometry = kernel, geometry

    def forward(self, x):
        self.size = x.shape[2:]
        y, self.choice = kernels.max_pool(x, self.kernel, self.geometry)
        return y

    def backward(self, gy):
        return PutChosen(self.choice, self.size, self.kernel, self.geometry)(gy)


class PutChosen(Function):
    """gx = zeros, and each gy added where its window's choice was."""

    def __init__(self, choice: Any, size: Pair, kernel: Pair, geometry: Geometry):
        self.choice, self.size, self.kernel, self.geometry = choice, size, kernel, geometry

    def forward(self, gy):
        return kernels.max_pool_put(gy, self.choice, self.size, self.kernel, self.geometry)

    def backward(self, ggx):
        return TakeChosen(self.choice, self.kernel, self.geometry)(ggx)


class TakeChosen(Function):
    """y = the value where each window's choice was: the opposite of PutChosen."""

    def __init__(self, choice: Any, kernel: Pair, geometry: Geometry):
        self.choice, self.kernel, self.geometry = choice, kernel, geometry

    def forward(self, x):
        self.size = x.shape[2:]
        return kernels.max_pool_take(x, self.choice, self.kernel, self.geometry)

    def backward(self, gy):
        return PutChosen(self.choice, self.size, self.kernel, self.geometry)(gy)


def max_pool2d(
    x: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
) -> Tensor:
    """The largest value in each window.  (N, C, H, W) -> (N, C, P, Q)

    P = (H + 2 padding - kernel_size) // stride + 1, and Q likewise; a pair is (vertical,
    horizontal).  ``stride`` is the kernel's size if not given.  The padding never wins; it is
    at most half the kernel.  Raises ValueError for other shapes and windows that do not fit.

    >>> max_pool2d(Tensor(np.arange(16.0).reshape(1, 1, 4, 4)), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]], dtype=float64)
    """
    kernel, geometry = _windows("max_pool2d", x, kernel_size, stride, padding)
    return MaxPool(kernel, geometry)(x)


# The mean -----------------------------------------------------------------------------------


def avg_pool2d(
    x: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
) -> Tensor:
    """The mean of each window, the zeros of the padding included.  (N, C, H, W) -> (N, C, P, Q)

    Sizes, arguments and errors as in ``max_pool2d``.

    >>> avg_pool2d(Tensor(np.arange(16.0).reshape(1, 1, 4, 4)), 2)
    tensor([[[[ 2.5,  4.5],
              [10.5, 12.5]]]], dtype=float64)
    """
    (kh, kw), geometry = _windows("avg_pool2d", x, kernel_size, stride, padding)
    (H, W), (P, Q) = x.shape[2:], geometry.output_size(x.shape[2:], (kh, kw))
    A = _means(H, P, kh, geometry.stride[0], geometry.padding[0])
    B = _means(W, Q, kw, geometry.stride[1], geometry.padding[1])
    return Resample(A, B)(x)


def _means(n: int, p: int, kernel: int, stride: int, padding: int) -> np.ndarray:
    """A (p, n): each of the pixels in a window has the weight 1/kernel."""
    starts = np.arange(p)[:, None] * stride - padding
    i = np.arange(n)
    return ((i >= starts) & (i < starts + kernel)) / kernel


# Windows ------------------------------------------------------------------------------------


def _windows(
    function: str, x: Tensor, kernel_size: Any, stride: Any, padding: Any
) -> tuple[Pair, Geometry]:
    """The windows' size and geometry; ValueError if they are not what pooling can do."""
    check_images(function, x)
    kernel = _pair(function, "kernel_size", kernel_size, smallest=1)
    stride = kernel if stride is None else _pair(function, "stride", stride, smallest=1)
    padding = _pair(function, "padding", padding, smallest=0)
    if any(2 * p > k for p, k in zip(padding, kernel)):
        raise ValueError(
            f"{function}: the padding {padding} must be at most half the kernel_size {kernel}"
        )
    geometry = Geometry(stride, padding)
    if min(geometry.output_size(x.shape[2:], kernel)) < 1:
        raise ValueError(
            f"{function}: a window of {kernel} does not fit into images of shape {x.shape} "
            f"with padding {padding}"
        )
    return kernel, geometry


def _pair(function: str, name: str, value: Any, smallest: int) -> Pair:
    pair = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2 or not all(isinstance(v, (int, np.integer)) and v >= smallest for v in pair):
        raise ValueError(
            f"{function}: {name} must be one integer >= {smallest} or two, got {value}"
        )
    return pair
