"""ACGAN and InfoGAN: D is not told the label but has to find it.

Odena, Olah & Shlens 2017: G(z, y) is given the class; D(x) says from the image alone whether it is
real and, with a second head on the same body, which class it shows.  Chen et al. 2016 (section 6):
likewise, but y is a code c that means nothing beforehand, and the second head is Q(c | x).

Both heads are one convolution with 1 + K outputs.  The objective needs of the K log-probabilities
only that of the label in question, so D(x, y) picks it with y, one-hot:

    D(x, y) = (logit of "real",  log P(y | x)),       P = softmax of the K logits

which makes the game's step the one of any conditional game; see
:class:`minigan.objectives.AuxiliaryClassifier`.  The body is the DCGAN's; G is the conditional
DCGAN's.
"""

from __future__ import annotations

from minigan import nn
from minigan.autograd import Tensor
from minigan.functional import cat, log_softmax
from minigan.models.cdcgan import Generator
from minigan.models.dcgan import dcgan


class Discriminator(nn.Module):
    """Images (N, C, H, W) and y (N, K) -> (N, 2): the logit of real, and log P(y | image)."""

    def __init__(self, layers: list[nn.Module]):
        self.main = nn.Sequential(*layers)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        heads = self.main(x).flatten(1)  # (N, 1 + K)
        log_p = (log_softmax(heads[:, 1:], 1) * y).sum(1, keepdim=True)
        return cat([heads[:, :1], log_p], 1)


def acgan(
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

    >>> G, D = acgan((1, 28, 28), 100, 10, (128, 64))
    >>> D.main[-1].weight.shape
    (11, 128, 7, 7)
    """
    given = {"d_norm": d_norm, "algorithm": algorithm}
    G, _ = dcgan(image_shape, latent_dim + classes, widths, **given)
    _, D = dcgan(image_shape, latent_dim, widths, **given)
    *body, head = D.main
    heads = nn.Conv2d(
        head.in_channels, 1 + classes, head.kernel_size, bias=False, algorithm=head.algorithm
    )
    nn.init.normal_(heads.weight, 0.0, 0.02)
    return Generator([*G.main]), Discriminator([*body, heads])
