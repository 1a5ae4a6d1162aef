"""The likelihood of images under a model with codes, by importance sampling (Burda et al. 2016).

A VAE has a density, p(x) = integral of p(x|z) p(z) dz, but no formula for it.  Its encoder knows
where the integrand is large: draw k codes z_i from q(z|x) instead of p(z), and correct by weights,

    L_k(x) = E log 1/k  sum over i of  w_i,      w_i = p(x|z_i) p(z_i) / q(z_i|x)       (eq. 8)

L_1 is the ELBO.  Every L_k is below log p(x), on average over the draws, none is below those with
fewer codes, and they reach it in the limit (Theorem 1).  5,000 codes an image are theirs.

The images must be black and white: p(x|z) is a probability of pixels that are 0 or 1.  MNIST is
grey, so ``binarised`` draws each pixel once, 1 with its grey value as the probability; another draw
is another test set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import kernels
from minigan.autograd import Tensor, no_grad
from minigan.backends import array_module, to_numpy
from minigan.elbo import halves
from minigan.evaluate.arrays import at_least_1, rows
from minigan.evaluate.distances import blocks
from minigan.nn import Module

CODES = 100  # k, if nothing else is said: the paper's 5,000 take half an hour of one core
PIXELS = 500_000  # logits in a block: they stay in the cache


@dataclass(frozen=True)
class LatentModel:
    """p(x|z) and q(z|x), as functions of arrays; p(z) is N(0, I).

    Args:
        encode: x (N, D) -> mean and log variance of q, twice (N, latent).
        decode: z (M, latent) -> logits of the pixels, (M, D).
    """

    encode: Callable[[Any], tuple[Any, Any]]
    decode: Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """``mean`` +- ``se`` nats an image is L_k; ``elbo`` is L_1, from the same draws.

    ``se`` is the standard error over the images alone.
    """

    mean: float
    se: float
    elbo: float
    elbo_se: float
    codes: int
    images: int

    def __str__(self) -> str:
        return (
            f"{self.mean:.2f} ± {self.se:.2f} nats (L_k, k = {self.codes:,}; ELBO {self.elbo:.2f} "
            f"± {self.elbo_se:.2f}; {self.images:,} binarised images)"
        )


def of_networks(decoder: Any, encoder: Module) -> LatentModel:
    """The model that a VAE's two networks are, see :mod:`minigan.models.vae`."""

    def encode(x: Any) -> tuple[Any, Any]:
        with no_grad():
            mean, log_variance = halves(encoder(Tensor(x)))
        return mean.array, log_variance.array

    def decode(z: Any) -> Any:
        with no_grad():
            return decoder.logits(Tensor(z)).flatten(1).array

    return LatentModel(encode, decode)


def likelihood(
    model: LatentModel,
    x: Any,
    k: int = CODES,
    *,
    rng: np.random.Generator | None = None,
    progress: Callable[[list[slice]], Iterable[slice]] = iter,
) -> Likelihood:
    """The mean of L_k over images x (N, D) of zeros and ones; arguments as in ``bounds``.

    >>> coin = LatentModel(lambda x: (0 * x, 0 * x), lambda z: 0 * z)     # no use for its code
    >>> print(likelihood(coin, np.array([[1.0], [0.0]]), k=3))
    -0.69 ± 0.00 nats (L_k, k = 3; ELBO -0.69 ± 0.00; 2 binarised images)

    Raises ValueError as ``bounds`` does.
    """
    L_k, L_1 = bounds(model, x, k, rng=rng, progress=progress)
    root = math.sqrt(len(L_k))
    return Likelihood(
        mean=float(L_k.mean()), se=float(L_k.std()) / root,
        elbo=float(L_1.mean()), elbo_se=float(L_1.std()) / root, codes=k, images=len(L_k),
    )  # fmt: skip


def bounds(
    model: LatentModel,
    x: Any,
    k: int,
    *,
    rng: np.random.Generator | None = None,
    pixels: int = PIXELS,
    progress: Callable[[list[slice]], Iterable[slice]] = iter,
) -> tuple[np.ndarray, np.ndarray]:
    """L_k and L_1 of each image: x (N, D) of zeros and ones -> twice float64 (N,), in nats.

    Args:
        k: codes an image.
        rng: draws them; by default from the seed 0.
        pixels: logits that are in memory at a time; the result does not depend on it.
        progress: hands out the blocks of images one by one, for a progress bar.

    The networks, and the product of their logits with x, work in the networks' precision; the sums
    of logarithms in float64.

    Raises ValueError for other shapes and values, and if the model gives NaN.
    """
    at_least_1("k", k)
    xp = array_module(x)
    if not ((x == 0) | (x == 1)).all():
        raise ValueError(
            "the likelihood is one of black and white images: expected pixels 0 or 1, see binarised"
        )
    rows("x", to_numpy(x))
    rng = np.random.default_rng(0) if rng is None else rng
    N, D = x.shape
    at_once = max(1, pixels // D)
    L_k, L_1 = np.empty(N), np.empty(N)
    # Many images with all their codes, or one image with some of its codes: in either case the
    # codes are drawn image by image.
    for i in progress(list(blocks(N, max(1, at_once // k)))):
        mean, log_variance = model.encode(x[i])
        log_w = [
            _log_weights(model, x[i], mean, log_variance, rng, j.stop - j.start)
            for j in blocks(k, at_once)
        ]
        log_w = xp.concatenate(log_w, axis=1)
        L_k[i] = to_numpy(kernels.log_sum_exp(log_w, 1.0)) - math.log(k)
        L_1[i] = to_numpy(log_w.mean(axis=1))
    if not np.isfinite(L_k).all():
        raise ValueError("the likelihood is not finite: the model gives NaN or infinite numbers")
    return L_k, L_1


def _log_weights(
    model: LatentModel, x: Any, mean: Any, log_variance: Any, rng: np.random.Generator, k: int
) -> Any:
    """log w of k new codes for each image: (N, D) -> float64 (N, k).

    With z = mu + sigma eps the constants of the two normal densities cancel:
    log p(z) - log q(z|x) = sum of (eps^2 - z^2) / 2 + log sigma.
    """
    xp = array_module(x)
    N, latent = mean.shape
    eps = xp.asarray(rng.standard_normal((N, k, latent)))
    half = 0.5 * log_variance.astype(np.float64)[:, None]
    z = mean.astype(np.float64)[:, None] + xp.exp(half) * eps
    log_prior_by_q = (0.5 * (eps * eps - z * z) + half).sum(axis=2)
    logits = model.decode(z.reshape(N * k, latent).astype(mean.dtype))
    return log_prior_by_q + log_p(x.astype(logits.dtype), logits.reshape(N, k, -1))


def log_p(x: Any, logits: Any) -> Any:
    """log p(x | z) of pixels 0 or 1: x (N, D) and logits (N, k, D) -> float64 (N, k).

    It is the binary cross-entropy, sum of x l - log(1 + e^l), as a product and a sum: there is no
    copy of x for each code, and array functions of exp and log take several numbers at once.

    >>> np.exp(log_p(np.array([[1.0, 0.0]]), np.zeros((1, 1, 2)))).tolist()
    [[0.25]]
    """
    xp = array_module(x)
    softplus = xp.maximum(logits, 0) + xp.log(1 + xp.exp(-abs(logits)))
    return (logits @ x[:, :, None])[:, :, 0] - softplus.sum(axis=2, dtype=np.float64)


def binarised(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """uint8 images (N, ...) -> float32 (N, D), each pixel 1 with probability value / 255, else 0.

    >>> binarised(np.array([[[0, 255, 0]]], np.uint8))
    array([[0., 1., 0.]], dtype=float32)
    """
    x = images.reshape(len(images), -1)
    u = np.random.default_rng(seed).random(x.shape, dtype=np.float32)
    return (u * 255 < x).astype(np.float32)
