"""Layers that normalise each image by itself (``minigan.functional.image_normalization``)."""

from __future__ import annotations

from collections.abc import Sequence

from minigan import functional as F
from minigan.autograd import Tensor
from minigan.creation import ones, zeros
from minigan.nn.layers import _positive
from minigan.nn.module import Module, Parameter


class InstanceNorm2d(Module):
    """Each channel of each image shifted and scaled to mean 0 and variance 1, in training and in
    evaluation alike (Ulyanov et al. 2016).  (N, C, H, W) -> (N, C, H, W)

    Args:
        num_features: C.
        eps: added to the variance.
        affine: with weight (C,), first 1, and bias (C,), first 0: the new deviation and mean.
        track_running_stats: accepted for PyTorch's scripts, which often spell out its default;
            running statistics are not kept: True is a ValueError.

    >>> InstanceNorm2d(3)(ones(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    def __init__(
        self,
        num_features: int,
        *,
        eps: float = 1e-5,
        affine: bool = False,
        track_running_stats: bool = False,
    ):
        _positive(self, num_features=num_features)
        if not eps >= 0:
            raise ValueError(f"InstanceNorm2d: eps must be >= 0, got {eps}")
        if track_running_stats:
            raise ValueError(
                "InstanceNorm2d normalises by the image's own statistics and keeps no running "
                "ones: leave out track_running_stats"
            )
        self.num_features, self.eps, self.affine = num_features, eps, affine
        self.weight = Parameter(ones(num_features)) if affine else None
        self.bias = Parameter(zeros(num_features)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 4 and x.shape[1] != self.num_features:
            raise ValueError(
                f"InstanceNorm2d of {self.num_features} features takes images of shape "
                f"(N, {self.num_features}, H, W), got {x.shape}"
            )
        return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, affine={self.affine}"


class LayerNorm(Module):
    """Each row or image, all its values together, shifted and scaled to mean 0 and variance 1, in
    training and in evaluation alike (Ba et al. 2016).  (N, ..., *normalized_shape) -> the same

    Args:
        normalized_shape: the last dimensions of x, as (C, H, W), or a number n for (n,).
        eps: added to the variance.
        elementwise_affine: with weight, first 1, and bias, first 0, both of ``normalized_shape``:
            the new deviations and means.
        bias: whether there is one beside the weight.

    Raises ValueError for lengths below 1 or a negative eps, and when called, if the last dimensions
    of x are others.

    >>> LayerNorm((3, 4, 4))(ones(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ):
        shape = normalized_shape if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        if not shape:
            raise ValueError("LayerNorm: normalized_shape needs at least one length")
        for length in shape:
            _positive(self, normalized_shape=length)
        if not eps >= 0:
            raise ValueError(f"LayerNorm: eps must be >= 0, got {eps}")
        self.normalized_shape, self.eps = tuple(shape), eps
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(ones(*shape)) if elementwise_affine else None
        self.bias = Parameter(zeros(*shape)) if elementwise_affine and bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class PixelNorm(Module):
    """Each pixel's features scaled to mean square 1 (Karras et al. 2018, section 4.2).

    >>> PixelNorm()(ones(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    def __init__(self, eps: float = 1e-8):
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_norm(x, self.eps)

    def extra_repr(self) -> str:
        return f"eps={self.eps}"
