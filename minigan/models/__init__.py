"""The networks, one file a paper."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.errors import MiniganError
from minigan.models.acgan import acgan
from minigan.models.cdcgan import cdcgan
from minigan.models.cgan import cgan
from minigan.models.dcgan import dcgan
from minigan.models.gan import gan, gan_paper, gan_relu
from minigan.models.packing import Packed, packed_shape
from minigan.models.toy import gan_tanh, gan_toy
from minigan.models.vae import ae, vae
from minigan.models.wgan_gp import points, wgan_gp
from minigan.nn import Module

MODELS = (
    "gan", "gan-relu", "gan-paper", "gan-toy", "gan-tanh", "dcgan", "wgan-gp", "points", "ae",
    "vae", "cgan", "cdcgan", "acgan", "infogan",
)  # fmt: skip
CONDITIONAL = {"cgan": cgan, "cdcgan": cdcgan, "acgan": acgan, "infogan": acgan}


def build(
    model: str,
    image_shape: tuple[int, ...],
    latent_dim: int,
    *,
    classes: int = 0,
    data_mean: np.ndarray | None = None,
    widths: tuple[int, ...] = (),
    d_norm: str = "batch",
    d_minibatch: str = "none",
    algorithm: str = "auto",
) -> tuple[Module, Module]:
    """The generator and the discriminator of that name; of an autoencoder decoder and encoder.

    Args:
        image_shape: (C, H, W), or (n,) for points.
        latent_dim: length of z.
        classes: length of y, one-hot, for the conditional models: G(z, y) and D(x, y).
        data_mean: the training images' mean in [0, 1]; ``gan-paper`` and ``cgan`` start G's output
            from it.
        widths: of ``dcgan`` and its conditional relatives, ``wgan-gp`` and ``points``; the others
            have none.
        d_norm, algorithm: of ``dcgan`` and its conditional relatives.
        d_minibatch: of ``gan``, ``gan-toy``, ``points`` and ``dcgan``: see
            ``minigan.models.minibatch``.

    Raises MiniganError if there is no such model, or the images do not fit it.
    """
    if model not in MODELS:
        raise MiniganError(f"no model {model!r}: expected one of {', '.join(MODELS)}")
    if latent_dim < 1:
        raise MiniganError(f"latent_dim must be at least 1, got {latent_dim}")
    if model in CONDITIONAL and classes < 1:
        raise MiniganError(f"the model {model} needs the number of classes, got {classes}")
    if model == "cgan":
        return cgan(image_shape, latent_dim, classes, data_mean)
    if model in CONDITIONAL:
        return CONDITIONAL[model](
            image_shape, latent_dim, classes, widths, d_norm=d_norm, algorithm=algorithm
        )
    if model == "gan":
        return gan(image_shape, latent_dim, d_minibatch=d_minibatch)
    if model == "gan-relu":
        return gan_relu(image_shape, latent_dim)
    if model == "gan-toy":
        return gan_toy(image_shape, latent_dim, d_minibatch=d_minibatch)
    if model == "gan-tanh":
        return gan_tanh(image_shape, latent_dim)
    if model == "dcgan":
        return dcgan(
            image_shape, latent_dim, widths,
            d_norm=d_norm, d_minibatch=d_minibatch, algorithm=algorithm,
        )  # fmt: skip
    if model in ("ae", "vae"):
        return (ae if model == "ae" else vae)(image_shape, latent_dim)
    if model == "wgan-gp":
        return wgan_gp(image_shape, latent_dim, widths)
    if model == "points":
        return points(image_shape, latent_dim, widths, d_minibatch=d_minibatch)
    return gan_paper(image_shape, latent_dim, data_mean)


def build_packed(
    m: int, model: str, image_shape: tuple[int, ...], latent_dim: int, **settings: Any
) -> tuple[Module, Module]:
    """The generator for images, and the discriminator for packs of m of them (PacGAN).

    The settings are those of ``build``.

    >>> G, D = build_packed(2, "gan-toy", (2,), 2)
    >>> list(D.state_dict())[0], D.network.main[0].in_features
    ('network.main.0.weight', 4)
    """
    G, _ = build(model, image_shape, latent_dim, **settings)
    # Each model makes a pair: of this one, for packs, D is taken.  It has no mean to start from.
    settings = {**settings, "data_mean": None}
    _, D = build(model, packed_shape(image_shape, m), latent_dim, **settings)
    return G, Packed(D, m)
