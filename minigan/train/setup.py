"""From a recipe to a game that can be played: networks, optimisers, noise, schedules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigan import backends, draws, elbo, models, objectives, optim, penalties
from minigan.autograd import Tensor
from minigan.data.stacked import NAME as STACKED
from minigan.data.toy import MIXTURES
from minigan.nn import Module
from minigan.recipes import AUXILIARY, Recipe
from minigan.train.game import Game


def build_game(
    recipe: Recipe,
    image_shape: tuple[int, ...],
    *,
    classes: int = 0,
    data_mean: np.ndarray | None = None,
) -> Game:
    """The recipe's networks with fresh weights, ready for ``play_step``.

    Args:
        image_shape: (C, H, W), or (n,) for points.
        classes: how many different labels y there are, in a conditional game.
        data_mean: the training images' mean in [0, 1], for the models that start from it.

    Weights are drawn by ``minigan.draws``: seed it first.
    """
    G, D = build_networks(recipe, image_shape, classes=classes, data_mean=data_mean)
    return Game(
        G=G,
        D=D,
        opt_G=_optimizer(recipe, G, recipe.lr),
        opt_D=_optimizer(recipe, D, recipe.d_lr or recipe.lr),
        objective=_objective(recipe),
        draw_z=lambda n: draw_z(recipe, n),
        updates=recipe.updates,
        penalty=penalties.build(recipe.penalty, recipe.penalty_weight, D),
        clip=recipe.clip,
        unroll=recipe.unroll,
    )


def build_networks(
    recipe: Recipe,
    image_shape: tuple[int, ...],
    *,
    classes: int = 0,
    data_mean: np.ndarray | None = None,
) -> tuple[Module, Module]:
    """The recipe's G and D with fresh weights; the arguments are those of ``build_game``."""
    settings = {
        "classes": classes, "data_mean": data_mean, "widths": recipe.widths,
        "d_norm": recipe.d_norm, "d_minibatch": recipe.d_minibatch, "algorithm": recipe.algorithm,
    }  # fmt: skip
    if recipe.pack > 1:
        return models.build_packed(
            recipe.pack, recipe.model, image_shape, recipe.latent_dim, **settings
        )
    return models.build(recipe.model, image_shape, recipe.latent_dim, **settings)


def data_shape(recipe: Recipe, channels: int = 1) -> tuple[int, ...]:
    """The shape of one row of the recipe's data, as far as it is known without them.

    Args:
        channels: of images, where the data do not decide it.

    >>> from minigan import recipes
    >>> data_shape(recipes.get("gan")), data_shape(recipes.get("gan-toy"))
    ((1, 28, 28), (2,))
    """
    if recipe.data in MIXTURES:
        return MIXTURES[recipe.data].modes.shape[1:]
    return (3 if recipe.data == STACKED else channels, recipe.image_size, recipe.image_size)


def data_classes(recipe: Recipe) -> int:
    """How many labels a conditional recipe has, as far as that is known without its data: 10 as
    MNIST where it is not; 0 for a recipe that is not conditional.

    >>> from minigan import recipes
    >>> [data_classes(recipes.get(name)) for name in ("gan", "cgan")]
    [0, 10]
    """
    if not recipe.is_conditional:
        return 0
    if recipe.data in MIXTURES:
        return len(MIXTURES[recipe.data].modes)
    return recipe.codes or (1000 if recipe.data == STACKED else 10)


def draw_z(recipe: Recipe, n: int, rng: np.random.Generator | None = None) -> Tensor:
    """Noise (n, latent_dim), float32, by ``minigan.draws``: mean 0 and variance 1, or in [0, 1).

    With an ``rng`` it is drawn on the host: the same z on every backend.
    """
    shape = (n, recipe.latent_dim)
    if recipe.latent == "normal":
        z = draws.normal(shape) if rng is None else rng.standard_normal(shape, dtype=np.float32)
    else:
        z = draws.uniform(shape) if rng is None else rng.random(shape, dtype=np.float32)
        if recipe.latent == "uniform":
            z = (z * 2 - 1) * math.sqrt(3)
    return Tensor(backends.xp().asarray(z))


def d_updates(recipe: Recipe, step: int) -> int:
    """How often D moves in step 0, 1, 2, ...: k of Algorithm 1.

    WGAN's critic is given more at first, and now and then later, to be near its optimum.

    >>> from minigan import recipes
    >>> wgan = recipes.get("wgan")
    >>> [d_updates(wgan, t) for t in (0, 24, 25, 499, 500, 501)]
    [100, 100, 5, 5, 100, 5]
    """
    is_more = step < recipe.d_steps_first or (
        recipe.d_steps_every and step % recipe.d_steps_every == 0
    )
    return recipe.d_steps_more if is_more else recipe.d_steps


def d_updates_before(recipe: Recipe, step: int) -> int:
    """How often D has moved when ``step`` steps are over: the number of its next batch.

    >>> from minigan import recipes
    >>> wgan = recipes.get("wgan")
    >>> d_updates_before(wgan, 501) == sum(d_updates(wgan, t) for t in range(501))
    True
    """
    first, every = recipe.d_steps_first, recipe.d_steps_every
    more = min(step, first)
    if every:  # multiples of every from 0 on, less those among the first
        more += -(-step // every) - -(-min(step, first) // every)
    return recipe.d_steps * (step - more) + recipe.d_steps_more * more


def set_schedules(game: Game, recipe: Recipe, step: int, steps_per_epoch: int) -> None:
    """Learning rate and momentum for step 0, 1, 2, ...: functions of the step alone."""
    for optimizer, lr in ((game.opt_D, recipe.d_lr or recipe.lr), (game.opt_G, recipe.lr)):
        optimizer.lr = optim.schedules.exponential(lr, recipe.lr_decay, recipe.lr_floor)(step)
        if recipe.optimizer != "adam" and recipe.momentum_epochs:
            ramp = optim.schedules.linear(
                recipe.momentum, recipe.momentum_end, recipe.momentum_epochs * steps_per_epoch
            )
            optimizer.momentum = ramp(step)


def _objective(recipe: Recipe) -> Any:
    if recipe.updates == "together":
        return elbo.build(recipe.objective)
    objective = objectives.build(
        recipe.objective, label_smoothing=recipe.label_smoothing, d_scale=recipe.d_scale
    )
    if recipe.model in AUXILIARY:
        return objectives.AuxiliaryClassifier(base=objective, on_real=not recipe.codes)
    return objective


def _optimizer(recipe: Recipe, network: Module, lr: float) -> Any:
    parameters = network.parameters()
    if recipe.optimizer == "adam":
        return optim.Adam(parameters, lr=lr, betas=recipe.betas)
    if recipe.optimizer == "sgd":
        return optim.SGD(parameters, lr=lr, momentum=recipe.momentum)
    return optim.RMSprop(parameters, lr=lr, momentum=recipe.momentum)
