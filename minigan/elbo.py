"""What an autoencoder minimises: how badly its images come back, and for the VAE where codes lie.

A VAE (Kingma & Welling 2014) is a model of images, p(x) = integral of p(x|z) p(z) dz: a code z is
drawn from p(z) = N(0, I), and the decoder makes of it the probability of each pixel to be 1.  The
encoder proposes for each image where its code may be, q(z|x) = N(mu, diag sigma^2).  For any q

    log p(x)  >=  E_q log p(x|z)  -  KL(q(z|x) || p(z))  =  ELBO(x)             (eqs. 2 and 3)

and the more, the farther q(z|x) is from the true p(z|x).  One z is drawn, in a way that can be
differentiated (section 2.4), and the second term has a closed form (appendix B):

    z = mu + sigma eps,  eps ~ N(0, I)
    KL = 1/2 sum over j of (mu_j^2 + sigma_j^2 - 1 - log sigma_j^2)

Without noise and without the second term what is left is the plain autoencoder (Hinton &
Salakhutdinov 2006), with the same cross-entropy.

Everything is in nats an image: summed over pixels and dimensions, averaged over the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan import draws
from minigan.autograd import Tensor
from minigan.errors import MiniganError
from minigan.functional import binary_cross_entropy_with_logits as bce
from minigan.nn import Module

Parts = dict[str, Tensor]  # the loss is their sum


def reconstruction(logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z) of pixels that are 1 with probability sigmoid(logit).  Twice (N, *image) -> ()

    Grey pixels count as shares of 1: as if each were drawn anew, as 0 or 1, every time.

    >>> from minigan import ones, zeros
    >>> reconstruction(zeros(5, 1, 2, 2), ones(5, 1, 2, 2))               # 4 log 2
    tensor(2.7726)
    """
    return bce(logits, x, reduction="sum") / len(x)


def kl_from_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mu, diag sigma^2) || N(0, I)), appendix B.  Twice (N, latent) -> ()

    >>> from minigan import ones, zeros
    >>> kl_from_standard_normal(ones(5, 3), zeros(5, 3)).item()           # 3 mu^2 / 2
    1.5
    """
    return (mean * mean + log_variance.exp() - 1.0 - log_variance).sum() * (0.5 / len(mean))


def halves(encoded: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log variance, which the encoder puts out side by side.  (N, 2 n) -> twice (N, n)"""
    n = encoded.shape[1] // 2
    return encoded[:, :n], encoded[:, n:]


@dataclass(frozen=True, kw_only=True)
class Elbo:
    """The VAE's loss, -ELBO in two parts.

    Args:
        is_binary: the images are made black and white first, each pixel 1 with its grey value as
            the probability, drawn anew at every step (Burda et al. 2016, section 5).  Then, and
            only then, the ELBO is a bound on the probability of images.
    """

    is_binary: bool = False

    def __call__(self, decoder: Module, encoder: Module, x: Tensor, eps: Tensor) -> Parts:
        """x: images (N, *image) in [0, 1]; eps: noise (N, latent) from N(0, I)."""
        if self.is_binary:
            x = binarised(x)
        mean, log_variance = halves(encoder(x))
        z = mean + (log_variance * 0.5).exp() * eps
        return {
            "reconstruction": reconstruction(decoder.logits(z), x),
            "kl": kl_from_standard_normal(mean, log_variance),
        }


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """The plain autoencoder's loss."""

    def __call__(self, decoder: Module, encoder: Module, x: Tensor, eps: Tensor) -> Parts:
        """x: images (N, *image) in [0, 1]; eps is not used."""
        return {"reconstruction": reconstruction(decoder.logits(encoder(x)), x)}


def binarised(x: Tensor) -> Tensor:
    """Pixels that are 1 with probability x, otherwise 0."""
    return Tensor((draws.uniform(x.shape, dtype=x.dtype) < x.array).astype(x.dtype))


OBJECTIVES = {
    "elbo": Elbo(),
    "elbo-binary": Elbo(is_binary=True),
    "reconstruction": Reconstruction(),
}


def build(name: str) -> Elbo | Reconstruction:
    """The objective of that name; MiniganError if there is none.

    >>> build("elbo-binary").is_binary
    True
    """
    if name not in OBJECTIVES:
        raise MiniganError(f"no objective {name!r}: expected one of {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]
