"""Layers by which D sees a batch as a whole (``minigan.functional.minibatch``)."""

from __future__ import annotations

import math

from minigan import functional as F
from minigan.autograd import Tensor
from minigan.creation import zeros
from minigan.nn import init
from minigan.nn.layers import _positive
from minigan.nn.module import Module, Parameter


class MinibatchDiscrimination(Module):
    """Appends to each image's features how near it lies to all others of the batch, by B measures
    that are learnt (Salimans et al. 2016, section 3.2).

    (N, A) -> (N, A + B).
    weight: T (A, B, C), from N(0, 1/A): M is as large as the features are.  In the released code
    (openai/improved-gan, nn.py) columns of T have length 1 too, and are then scaled so that in the
    first batch nearest images are at the distance 2 on average; here that is left to training.

    Args:
        in_features: A.
        out_features: B.
        kernel_dims: C, the dimensions in which one measure is taken.

    >>> from minigan import ones
    >>> MinibatchDiscrimination(6, 3, 2)(ones(4, 6)).shape
    (4, 9)
    """

    def __init__(self, in_features: int, out_features: int, kernel_dims: int):
        _positive(self, in_features=in_features, out_features=out_features, kernel_dims=kernel_dims)
        self.in_features, self.out_features = in_features, out_features
        self.kernel_dims = kernel_dims
        self.weight = Parameter(zeros(in_features, out_features, kernel_dims))
        init.normal_(self.weight, 0.0, 1 / math.sqrt(in_features))

    def forward(self, x: Tensor) -> Tensor:
        return F.minibatch_discrimination(x, self.weight)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"kernel_dims={self.kernel_dims}"
        )


class MinibatchStdDev(Module):
    """Appends to each image how far the images of its group differ: one number, the mean standard
    deviation of the features (Karras et al. 2018, section 3).

    (N, A) -> (N, A + 1) or (N, channels, H, W) -> (N, channels + 1, H, W).

    Args:
        group_size: images in a group, 4 in the released code; it divides N.

    >>> from minigan import ones
    >>> MinibatchStdDev()(ones(8, 3, 4, 4)).shape
    (8, 4, 4, 4)
    """

    def __init__(self, group_size: int = 4):
        _positive(self, group_size=group_size)
        self.group_size = group_size

    def forward(self, x: Tensor) -> Tensor:
        return F.minibatch_stddev(x, self.group_size)

    def extra_repr(self) -> str:
        return f"group_size={self.group_size}"
