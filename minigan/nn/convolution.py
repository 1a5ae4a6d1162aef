"""Convolutional layers: the parameters live here, the arithmetic in ``functional/convolution.py``.

Names, defaults, shapes and initial weights are PyTorch's.  In memory the channels of a weight come
last, as those of the images do: so the kernels can use it as it is.
"""

from __future__ import annotations

import math

import numpy as np

from minigan import functional as F
from minigan.autograd import Tensor
from minigan.creation import zeros
from minigan.functional.convolution import Size, geometry_of, pair_of
from minigan.nn import init
from minigan.nn.module import Module, Parameter


class Conv2d(Module):
    """A convolution of images.  (N, in_channels, H, W) -> (N, out_channels, P, Q)

    weight: (out_channels, in_channels/groups, kh, kw), bias: (out_channels,), both from U(-k, k)
    with k = 1 / sqrt(in_channels/groups kh kw).

    Args:
        kernel_size: kh and kw, a number or a pair; stride, padding, dilation likewise.
        stride, padding, dilation, groups, algorithm: see ``functional.conv2d``.
        bias: False for a layer that batch normalisation follows, which has its own.

    Raises ValueError for numbers that do not go together.

    >>> Conv2d(3, 64, 4, stride=2, padding=1)(zeros(2, 3, 32, 32)).shape
    (2, 64, 16, 16)
    """

    output_padding = (0, 0)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        algorithm: str = "auto",
    ):
        self._set(in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        self.algorithm = algorithm
        self._make_parameters(out_channels, in_channels // groups, bias)

    def _set(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size,
        dilation: Size,
        groups: int,
    ) -> None:
        """Check the numbers and keep them under PyTorch's names."""
        name = type(self).__name__
        geometry = geometry_of(name, stride, padding, dilation, groups)
        for n in (in_channels, out_channels):
            if not isinstance(n, (int, np.integer)) or n < 1 or n % groups:
                raise ValueError(
                    f"{name}: in_channels and out_channels must be integers > 0 that "
                    f"groups={groups} divides, got {in_channels!r} and {out_channels!r}"
                )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair_of(name, "kernel_size", kernel_size, 1)
        self.stride, self.padding = geometry.stride, geometry.padding
        self.dilation = geometry.dilation

    def _make_parameters(self, rows: int, channels: int, bias: bool) -> None:
        """The weight of shape (rows, channels, kh, kw), and the bias."""
        self.weight = Parameter(zeros(rows, *self.kernel_size, channels).permute(0, 3, 1, 2))
        # PyTorch's choice: He's gain for slope sqrt(5) is sqrt(1/3): the bound is 1/sqrt(fan_in).
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.bias = None
        if bias:
            k = 1 / math.sqrt(init.fans(self.weight)[0])
            self.bias = init.uniform_(Parameter(zeros(self.out_channels)), -k, k)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups,
            algorithm=self.algorithm,
        )  # fmt: skip

    def extra_repr(self) -> str:
        usual = {"padding": (0, 0), "dilation": (1, 1), "output_padding": (0, 0), "groups": 1}
        special = [
            f"{name}={getattr(self, name)}"
            for name, value in usual.items()
            if getattr(self, name) != value
        ]
        return ", ".join([
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}, stride={self.stride}",
            *special,
            *([] if self.bias is not None else ["bias=False"]),
        ])  # fmt: skip


class ConvTranspose2d(Conv2d):
    """A transposed convolution of images.  (N, in_channels, H, W) -> (N, out_channels, P, Q)

    weight: (in_channels, out_channels/groups, kh, kw), bias: (out_channels,), both from U(-k, k)
    with k = 1 / sqrt(out_channels/groups kh kw), as in PyTorch.

    Args:
        output_padding: see ``functional.conv_transpose2d``; the others as for ``Conv2d``.

    >>> ConvTranspose2d(64, 3, 4, stride=2, padding=1)(zeros(2, 64, 16, 16)).shape
    (2, 3, 32, 32)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        *,
        algorithm: str = "auto",
    ):
        self._set(in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        self.output_padding = pair_of("ConvTranspose2d", "output_padding", output_padding, 0)
        self.algorithm = algorithm
        self._make_parameters(in_channels, out_channels // groups, bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding,
            self.groups, self.dilation, algorithm=self.algorithm,
        )  # fmt: skip
