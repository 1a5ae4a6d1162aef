"""The autoencoder's two networks: one makes a code of an image, the other an image of a code.

    encoder    image -> ReLU 400 -> code          VAE: mean and log variance of the code
    decoder    code -> ReLU 400 -> logits of the pixels, whose sigmoids are the image

They stand where a GAN has its pair, the decoder in G's place and the encoder in D's.  The decoder
is all that is needed to draw images, from z ~ N(0, I) as in a GAN:

* The VAE (Kingma & Welling 2014) was trained so that N(0, I) is where its codes lie.
* A plain autoencoder's codes lie anywhere.  So its decoder keeps the mean and the covariance of the
  codes of training images, and takes z from N(0, I) there first (Ghosh et al. 2020, section 4:
  a density fitted after the training).

400 hidden units are those of the usual small VAE (pytorch/examples, vae/main.py).
"""

from __future__ import annotations

import math

import numpy as np

from minigan import nn
from minigan.autograd import Tensor, no_grad
from minigan.creation import from_numpy, zeros
from minigan.errors import MiniganError

Shape = tuple[int, ...]
HIDDEN = 400


class Encoder(nn.Module):
    """Images (N, *image) -> numbers about their codes (N, n)."""

    def __init__(self, shape: Shape, n: int):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(math.prod(shape), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, n)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x.flatten(1))


class Decoder(nn.Module):
    """z (N, latent) -> images (N, *image) in [0, 1]."""

    def __init__(self, shape: Shape, latent_dim: int):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(latent_dim, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, math.prod(shape))
        )
        self.shape = shape

    def logits(self, code: Tensor) -> Tensor:
        """Of the pixels, for the loss.  (N, latent) -> (N, *image)"""
        return self.main(code).view(-1, *self.shape)

    def forward(self, z: Tensor) -> Tensor:
        return self.logits(z).sigmoid()


class FittedDecoder(Decoder):
    """A decoder that takes z ~ N(0, I) to where the codes are: code = mean + z root.

    root root^T, symmetric, is the codes' covariance; ``fit`` sets both.
    """

    def __init__(self, shape: Shape, latent_dim: int):
        super().__init__(shape, latent_dim)
        self.register_buffer("code_mean", zeros(latent_dim))
        self.register_buffer("code_root", zeros(latent_dim, latent_dim))

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z @ self.code_root + self.code_mean)

    def fit(self, codes: Tensor) -> None:
        """From now on z are spread as these codes (N, latent) are, in mean and covariance."""
        x = codes.numpy().astype(np.float64)
        values, vectors = np.linalg.eigh(np.cov(x, rowvar=False, bias=True).reshape(x.shape[1], -1))
        root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
        with no_grad():
            for buffer, value in ((self.code_mean, x.mean(axis=0)), (self.code_root, root)):
                buffer.copy_(from_numpy(value.astype(buffer.dtype)))


def vae(shape: Shape, latent_dim: int) -> tuple[Decoder, Encoder]:
    """Decoder, and encoder to mean and log variance: (N, 2 latent).

    Raises MiniganError for points.

    >>> decoder, encoder = vae((1, 28, 28), 20)
    >>> sum(p.numel() for p in (*decoder.parameters(), *encoder.parameters()))
    652824
    """
    _check_images("vae", shape)
    return Decoder(shape, latent_dim), Encoder(shape, 2 * latent_dim)


def ae(shape: Shape, latent_dim: int) -> tuple[FittedDecoder, Encoder]:
    """Decoder, and encoder to the code itself: (N, latent).

    Raises MiniganError for points.

    >>> from minigan import ones
    >>> decoder, encoder = ae((1, 28, 28), 20)
    >>> decoder(encoder(ones(2, 1, 28, 28))).shape
    (2, 1, 28, 28)
    """
    _check_images("ae", shape)
    return FittedDecoder(shape, latent_dim), Encoder(shape, latent_dim)


def _check_images(model: str, shape: Shape) -> None:
    if len(shape) != 3:
        raise MiniganError(
            f"the model {model} is about pixels in [0, 1] and the data are points: choose images, "
            "or another recipe"
        )
