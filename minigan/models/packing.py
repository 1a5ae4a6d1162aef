"""Packing: D judges m samples at once (PacGAN, Lin et al. 2018).

A D that sees one image at a time can only ask whether it looks real.  Given m images at once it can
also ask whether they differ as real ones do.  If G collapses to a few modes, m of its images agree
too often, and that is easy to see.  So D's input is m images, one behind the other as channels,
and nothing else about the game changes:

    x (N, C, H, W)  ->  packs (N/m, m C, H, W)  ->  logits (N/m, 1)
    points (N, n)   ->  packs (N/m, m n)        ->  logits (N/m, 1)

All m are real or all are fakes.  Neighbours in the batch make a pack; both batches are in random
order.
"""

from __future__ import annotations

from minigan.autograd import Tensor
from minigan.errors import MiniganError
from minigan.nn import Module

Shape = tuple[int, ...]


class Packed(Module):
    """D before which m images are put together.  (N, *image) -> (N/m, 1)

    Args:
        network: D for images of ``packed_shape(image_shape, m)``.
        m: images in a pack.

    >>> from minigan import nn, ones
    >>> D = Packed(nn.Linear(6, 1), 3)
    >>> D(ones(12, 2)).shape
    (4, 1)
    """

    def __init__(self, network: Module, m: int):
        self.network, self.m = network, m

    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        if labels:
            raise MiniganError(
                f"pack={self.m} lets D judge several images at once, and a label is of one: set "
                "pack=1, or a recipe without labels"
            )
        return self.network(self.packs(x))

    def packs(self, x: Tensor) -> Tensor:
        """m neighbours as one.  (N, C, ...) -> (N/m, m C, ...)"""
        if len(x) % self.m:
            raise ValueError(
                f"{len(x)} images do not make packs of {self.m}: expected a multiple of {self.m}"
            )
        return x.reshape(len(x) // self.m, *packed_shape(x.shape[1:], self.m))

    def extra_repr(self) -> str:
        return f"m={self.m}"


def packed_shape(image_shape: Shape, m: int) -> Shape:
    """The shape of a pack of m images (C, H, W), or of m points (n,).

    >>> packed_shape((1, 28, 28), 2), packed_shape((2,), 4)
    ((2, 28, 28), (8,))
    """
    channels, *pixels = image_shape
    return (m * channels, *pixels)
