"""Conditional DCGAN: the networks of Radford et al. 2016, which also see a label.

The label y is one-hot, (N, K).  G gets it beside z, as K further coordinates; D gets it beside the
image, as K further channels, of which one is full of ones and the others of zeros:

    G(z, y)    (z, y) seen as (100 + K) x 1 x 1, then as the DCGAN's
    D(x, y)    (x, planes of y)  (C + K) x H x W, then as the DCGAN's

The code that the authors released for MNIST (Newmu/dcgan_code, mnist/train_cond_dcgan.py) appends y
in these two ways to the input of *every* layer.  Here only the first layer sees it, which is the
least that a conditional game needs.
"""

from __future__ import annotations

from minigan.autograd import Tensor
from minigan.functional import broadcast_to, cat
from minigan.models.dcgan import Discriminator as PlainDiscriminator
from minigan.models.dcgan import Generator as PlainGenerator
from minigan.models.dcgan import dcgan


class Generator(PlainGenerator):
    """z (N, latent) and y (N, K) -> images (N, C, H, W) in (-1, 1)."""

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return super().forward(cat([z, y], 1))


class Discriminator(PlainDiscriminator):
    """Images (N, C, H, W) and y (N, K) -> logits (N, 1)."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        planes = broadcast_to(y.view(*y.shape, 1, 1), (*y.shape, *x.shape[2:]))
        return super().forward(cat([x, planes], 1))


def cdcgan(
    image_shape: tuple[int, ...],
    latent_dim: int,
    classes: int,
    widths: tuple[int, ...],
    *,
    d_norm: str = "batch",
    algorithm: str = "auto",
) -> tuple[Generator, Discriminator]:
    """The pair for images of that shape and K = ``classes``; all else as for ``dcgan``.

    Raises MiniganError if widths and image do not fit, or the data are points.

    >>> G, D = cdcgan((1, 28, 28), 100, 10, (128, 64))
    >>> G.main[0].weight.shape, D.main[0].weight.shape
    ((110, 128, 7, 7), (64, 11, 4, 4))
    """
    given = {"d_norm": d_norm, "algorithm": algorithm}
    G, _ = dcgan(image_shape, latent_dim + classes, widths, **given)
    channels, *size = image_shape
    _, D = dcgan((channels + classes, *size), latent_dim, widths, **given)
    return Generator([*G.main]), Discriminator([*D.main])
