"""The networks, one file a paper."""

from __future__ import annotations

import numpy as np

from minigan.errors import MiniganError
from minigan.models.dcgan import dcgan
from minigan.models.gan import gan, gan_paper, gan_relu
from minigan.models.toy import gan_toy
from minigan.models.vae import ae, vae
from minigan.models.wgan_gp import points, wgan_gp
from minigan.nn import Module

MODELS = (
    "gan", "gan-relu", "gan-paper", "gan-toy", "dcgan", "wgan-gp", "points", "ae", "vae",
)  # fmt: skip


def build(
    model: str,
    image_shape: tuple[int, ...],
    latent_dim: int,
    *,
    data_mean: np.ndarray | None = None,
    widths: tuple[int, ...] = (),
    d_norm: str = "batch",
    algorithm: str = "auto",
) -> tuple[Module, Module]:
    """The generator and the discriminator of that name; of an autoencoder decoder and encoder.

    Args:
        image_shape: (C, H, W), or (n,) for points.
        latent_dim: length of z.
        data_mean: the training images' mean in [0, 1]; ``gan-paper`` starts G's output from it.
        widths: of ``dcgan``, ``wgan-gp`` and ``points``; the others have none.
        d_norm, algorithm: of ``dcgan``.

    Raises MiniganError if there is no such model, or the images do not fit it.
    """
    if model not in MODELS:
        raise MiniganError(f"no model {model!r}: expected one of {', '.join(MODELS)}")
    if latent_dim < 1:
        raise MiniganError(f"latent_dim must be at least 1, got {latent_dim}")
    if model == "gan":
        return gan(image_shape, latent_dim)
    if model == "gan-relu":
        return gan_relu(image_shape, latent_dim)
    if model == "gan-toy":
        return gan_toy(image_shape, latent_dim)
    if model == "dcgan":
        return dcgan(image_shape, latent_dim, widths, d_norm=d_norm, algorithm=algorithm)
    if model in ("ae", "vae"):
        return (ae if model == "ae" else vae)(image_shape, latent_dim)
    if model == "wgan-gp":
        return wgan_gp(image_shape, latent_dim, widths)
    if model == "points":
        return points(image_shape, latent_dim, widths)
    return gan_paper(image_shape, latent_dim, data_mean)
