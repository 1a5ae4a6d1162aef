"""Layers that give images another size (``minigan.functional.resampling``)."""

from __future__ import annotations

from minigan import functional as F
from minigan.autograd import Tensor
from minigan.nn.module import Module


class Upsample(Module):
    """Images in another size: ``size`` or a multiple of the old one.  See ``F.interpolate``.

    >>> from minigan import zeros
    >>> Upsample(scale_factor=2, mode="bilinear")(zeros(2, 8, 16, 16)).shape
    (2, 8, 32, 32)
    """

    def __init__(
        self,
        size: int | tuple[int, int] | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        mode: str = "nearest",
        align_corners: bool = False,
    ):
        self.size, self.scale_factor = size, scale_factor
        self.mode, self.align_corners = mode, align_corners

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, self.size, self.scale_factor, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        name = "scale_factor" if self.size is None else "size"
        return f"{name}={getattr(self, name)}, mode={self.mode!r}"


class ReflectionPad2d(Module):
    """A border in which the image is mirrored: (left, right, top, bottom), or one width for all.

    >>> from minigan import zeros
    >>> ReflectionPad2d(3)(zeros(2, 8, 16, 16)).shape
    (2, 8, 22, 22)
    """

    def __init__(self, padding: int | tuple[int, int, int, int]):
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        return F.reflection_pad2d(x, self.padding)

    def extra_repr(self) -> str:
        return f"{self.padding}"
