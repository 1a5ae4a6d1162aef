"""Which values of a recipe go together: one line for those that do not."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from minigan.errors import MiniganError

if TYPE_CHECKING:
    from minigan.recipes.recipe import Recipe

_CHOICES = {
    "latent": ("normal", "uniform", "cube"),
    "updates": ("alternate", "simultaneous", "unrolled", "together"),
    "optimizer": ("adam", "sgd", "rmsprop"),
    "algorithm": ("auto", "im2col", "winograd", "direct"),
    "penalty": ("none", "wgan-gp", "dragan", "r1"),
    "d_norm": ("batch", "layer", "instance", "none"),
    "d_minibatch": ("none", "discrimination", "stddev"),
}

MAX_D_STEPS = 1000  # the k batches of a step are in memory together, and a step is not interrupted
MAX_UNROLL = 100  # a step remembers them all, to go back through them
MAX_PACK = 100
MAX_FLOORS, MAX_WIDTH = 10, 10_000  # more is not believed
MAX_CODES = 1000
MIN_CLIP = 1e-6  # below, the product of a deep D's weights is 0 in float32
CONDITIONAL = ("cgan", "cdcgan", "acgan", "infogan")
AUXILIARY = ("acgan", "infogan")  # whose D also says how probable the label is
DCGANS = ("dcgan", "cdcgan", "acgan", "infogan")
# What the last activation, tanh or sigmoid, covers.
PIXELS = {
    "gan": (-1, 1), "gan-relu": (-1, 1), "gan-paper": (0, 1), "cgan": (0, 1), "wgan-gp": (0, 1),
    "ae": (0, 1), "vae": (0, 1), **dict.fromkeys(DCGANS, (-1, 1)),
}  # fmt: skip
# The objectives that are no game (see minigan.elbo), each with its model.
AUTOENCODERS = {"elbo": "vae", "elbo-binary": "vae", "reconstruction": "ae"}
WITH_MINIBATCH = ("gan", "gan-toy", "points", "dcgan")
WITH_WIDTHS = {
    **dict.fromkeys(DCGANS, "256,128,64"), "wgan-gp": "256,128,64", "points": "512,512,512"
}  # fmt: skip


def check(r: Recipe) -> None:
    """MiniganError in one line for a value that cannot work."""
    for part in (
        _check_choices, _check_steps, _check_widths, _check_autoencoder, _check_batch,
        _check_unrolled, _check_momentum, _check_pixels, _check_finite, _check_penalty,
        _check_codes, _check_norm, _check_optimizer,
    ):  # fmt: skip
        part(r)


def _check_choices(r: Recipe) -> None:
    for key, choices in _CHOICES.items():
        if getattr(r, key) not in choices:
            raise MiniganError(f"{key} must be one of {', '.join(choices)}: {getattr(r, key)!r}")


def _check_steps(r: Recipe) -> None:
    """How many of everything, and how often D moves."""
    for key in ("latent_dim", "batch_size", "epochs", "d_steps", "image_size"):
        if getattr(r, key) < 1:
            raise MiniganError(f"{key} must be at least 1, got {getattr(r, key)}")
    for key in ("d_steps_more", "d_steps_first", "d_steps_every"):
        if getattr(r, key) < 0:
            raise MiniganError(f"{key} must be at least 0, got {getattr(r, key)}")
    for key in ("d_steps", "d_steps_more"):
        if getattr(r, key) > MAX_D_STEPS:
            raise MiniganError(f"{key} must be at most {MAX_D_STEPS}, got {getattr(r, key)}")
    if bool(r.d_steps_more) != bool(r.d_steps_first or r.d_steps_every):
        raise MiniganError(
            "d_steps_more is D's updates in the first d_steps_first steps and in every "
            "d_steps_every-th: set it together with one of them"
        )
    if r.model in ("gan", "gan-toy") and r.batch_size < 2:
        raise MiniganError(
            "batch normalisation needs at least 2 rows a batch: set batch_size=2 or more, "
            "or model=gan-relu"
        )


def _check_momentum(r: Recipe) -> None:
    if r.momentum_epochs < 0:
        raise MiniganError(f"momentum_epochs must be at least 0, got {r.momentum_epochs}")
    if r.momentum_end and not r.momentum_epochs:
        raise MiniganError("momentum_end is reached after momentum_epochs: set both")


def _check_pixels(r: Recipe) -> None:
    if r.model in PIXELS and (r.pixel_low, r.pixel_high) != PIXELS[r.model]:
        raise MiniganError(
            "the last activation of {} makes pixels from {:g} to {:g}: set pixel_low={:g} and "
            "pixel_high={:g}".format(r.model, *PIXELS[r.model], *PIXELS[r.model])
        )


def _check_finite(r: Recipe) -> None:
    for field in dataclasses.fields(r):
        value = getattr(r, field.name)
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(n, float) and not math.isfinite(n) for n in numbers):
            raise MiniganError(f"{field.name} must be finite, got {value}")


def _check_penalty(r: Recipe) -> None:
    """What bounds D's slope, and whether D has one."""
    for key in ("penalty_weight", "clip", "d_lr"):
        if getattr(r, key) < 0:
            raise MiniganError(f"{key} must be at least 0, got {getattr(r, key)}")
    if 0 < r.clip < MIN_CLIP:
        raise MiniganError(
            f"clip={r.clip:g} leaves nothing of D's weights, expected 0 (off) or at least "
            f"{MIN_CLIP:g}: set clip=0.01"
        )
    if (r.penalty == "none") != (r.penalty_weight == 0):
        raise MiniganError(
            "penalty and penalty_weight go together: set both, or penalty=none and penalty_weight=0"
        )
    if r.objective == "wasserstein" and r.penalty == "none" and not r.clip:
        raise MiniganError(
            "objective=wasserstein has no optimal D unless D's slope is bounded: set clip=0.01, or "
            "penalty=wgan-gp and penalty_weight=10"
        )
    if r.penalty != "none" and r.model in AUXILIARY:
        raise MiniganError(
            f"the D of {r.model} has two outputs, and a penalty is about the gradient of one: set "
            "penalty=none, or model=cdcgan"
        )


def _check_codes(r: Recipe) -> None:
    if (r.codes > 0) != (r.model == "infogan") or not 0 <= r.codes <= MAX_CODES or r.codes == 1:
        raise MiniganError(
            f"codes is the number of values of InfoGAN's code: expected 2 to {MAX_CODES} with "
            f"model=infogan and 0 without, got {r.codes} with model={r.model}"
        )


def _check_norm(r: Recipe) -> None:
    if r.d_norm != "batch" and r.model not in DCGANS:
        raise MiniganError(f"the model {r.model} has no d_norm to set: only {', '.join(DCGANS)} do")


def _check_optimizer(r: Recipe) -> None:
    """Rates and decays, and whether the updates have a k."""
    for key in ("lr", "d_scale"):
        if getattr(r, key) <= 0:
            raise MiniganError(f"{key} must be above 0, got {getattr(r, key)}")
    if r.optimizer == "adam" and (r.momentum or r.momentum_end):
        raise MiniganError("Adam has no momentum: set betas, or optimizer=sgd")
    if r.pixel_low >= r.pixel_high:
        raise MiniganError(
            f"pixel_low must be below pixel_high, got {r.pixel_low} and {r.pixel_high}"
        )
    for key, value in [("momentum", r.momentum), ("momentum_end", r.momentum_end), ("ema", r.ema),
                       ("betas", r.betas[0]), ("betas", r.betas[1]),
                       ("label_smoothing", r.label_smoothing)]:  # fmt: skip
        if not 0 <= value < 1:
            raise MiniganError(f"{key} must be in [0, 1), got {value}")
    if r.lr_decay < 1 or r.lr_floor < 0:
        raise MiniganError(
            f"lr_decay must be at least 1 and lr_floor at least 0, got {r.lr_decay}, {r.lr_floor}"
        )
    if r.updates == "simultaneous" and (r.d_steps != 1 or r.d_steps_more):
        raise MiniganError("simultaneous updates have no k: set d_steps=1 or updates=alternate")


def _check_autoencoder(r: Recipe) -> None:
    model = AUTOENCODERS.get(r.objective)
    if model is None and (r.model in AUTOENCODERS.values() or r.updates == "together"):
        known = ", ".join(AUTOENCODERS)
        raise MiniganError(
            f"objective={r.objective} is a game of two players and an autoencoder plays none: "
            f"with model=ae or vae and updates=together set objective to one of {known}"
        )
    if model is None:
        return
    if r.model != model:
        raise MiniganError(
            f"objective={r.objective} is that of the model {model}, got model={r.model}: start "
            f"from the recipe {model}"
        )
    of_games = (
        "latent", "d_minibatch", "pack", "d_steps", "d_steps_more", "d_scale", "unroll",
        "label_smoothing", "penalty", "clip", "ema",
    )  # fmt: skip
    needed = {"updates": "together", **{key: getattr(type(r), key) for key in of_games}}
    for key, value in needed.items():
        if getattr(r, key) != value:
            raise MiniganError(
                f"{key}={getattr(r, key)} does not go with the autoencoder {r.model}: set "
                f"{key}={value}"
            )


def _check_batch(r: Recipe) -> None:
    """A D that sees several images at once."""
    if not 1 <= r.pack <= MAX_PACK:
        raise MiniganError(f"pack must be from 1 to {MAX_PACK}, got {r.pack}")
    if r.pack > 1 and r.is_conditional:
        raise MiniganError(
            f"the D of {r.model} judges an image and its label, and a pack has several: set pack=1"
        )
    if r.batch_size % r.pack:
        raise MiniganError(
            f"a batch of {r.batch_size} does not make packs of {r.pack}: set batch_size to a "
            f"multiple of {r.pack}"
        )
    if r.d_minibatch == "none":
        return
    if r.model not in WITH_MINIBATCH:
        raise MiniganError(
            f"the model {r.model} has no d_minibatch to set: only {', '.join(WITH_MINIBATCH)} have"
        )
    packs = r.batch_size // r.pack
    if r.d_minibatch == "stddev" and packs % min(packs, 4):
        raise MiniganError(
            f"d_minibatch=stddev needs batches that fall into groups of 4: set batch_size to a "
            f"multiple of {4 * r.pack}"
        )


def _check_unrolled(r: Recipe) -> None:
    if not 0 <= r.unroll <= MAX_UNROLL:
        raise MiniganError(f"unroll must be from 0 to {MAX_UNROLL}, got {r.unroll}")
    if r.updates != "unrolled":
        if r.unroll:
            raise MiniganError("unroll is how far G looks ahead: set updates=unrolled, or unroll=0")
        return
    if r.model in AUXILIARY:
        raise MiniganError(
            f"G looks ahead in a game about real and fake, and D of {r.model} names labels too: "
            "set updates=alternate and unroll=0"
        )
    if r.optimizer == "rmsprop":
        raise MiniganError("G cannot look through D's RMSprop: set optimizer=adam or sgd")
    if r.objective == "wasserstein":
        raise MiniganError(
            "G looks through updates of D without a penalty or clipping, and objective=wasserstein "
            "needs one of them: set another objective, or updates=alternate"
        )
    if r.penalty != "none" or r.clip:
        raise MiniganError(
            "G looks through updates of D without a penalty or clipping: set penalty=none and "
            "clip=0, or updates=alternate"
        )


def _check_widths(r: Recipe) -> None:
    if r.model not in WITH_WIDTHS:
        if r.widths:
            raise MiniganError(
                f"the model {r.model} has no widths to set: only {', '.join(WITH_WIDTHS)} have"
            )
        return
    if not 1 <= len(r.widths) <= MAX_FLOORS or not all(1 <= w <= MAX_WIDTH for w in r.widths):
        raise MiniganError(
            f"the model {r.model} needs 1 to {MAX_FLOORS} widths from 1 to {MAX_WIDTH}, "
            f"as in widths={WITH_WIDTHS[r.model]}"
        )
    if r.model not in DCGANS:
        return
    top, rest = divmod(r.image_size, 2 ** len(r.widths))
    if rest or top < 2:  # each width doubles the side, and the first layer makes at least 2 x 2
        raise MiniganError(
            f"image_size {r.image_size} does not fit {len(r.widths)} widths: expected "
            f"{2 ** len(r.widths)} times a whole number from 2; change image_size or widths"
        )
