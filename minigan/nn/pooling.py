"""Pooling layers: one value for each window of an image (``minigan.functional.pooling``)."""

from __future__ import annotations

from minigan import functional as F
from minigan.autograd import Tensor
from minigan.kernels.geometry import Pair
from minigan.nn.module import Module


class _Pool2d(Module):
    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
    ):
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool2d):
    """The largest value in each window; ``stride`` is the kernel's size if not given.

    >>> from minigan import zeros
    >>> MaxPool2d(3, stride=2, padding=1)(zeros(2, 8, 16, 16)).shape
    (2, 8, 8, 8)
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_Pool2d):
    """The mean of each window, the zeros of the padding included.

    >>> from minigan import zeros
    >>> AvgPool2d(2)(zeros(2, 8, 16, 16)).shape
    (2, 8, 8, 8)
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding)
