"""What is looked at: the next step of a run, or the first step of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigan import backends, creation
from minigan.autograd import Tensor
from minigan.data import Batches, Dataset, to_float
from minigan.data.load import is_here
from minigan.errors import MiniganError
from minigan.recipes import Recipe
from minigan.train import checkpoint as checkpoints
from minigan.train import labels as label
from minigan.train.launch import load_data
from minigan.train.record import Config
from minigan.train.setup import (
    build_game,
    d_updates,
    d_updates_before,
    data_classes,
    data_shape,
    set_schedules,
)
from minigan.train.step import Game


@dataclass
class Subject:
    """A game about to be played: its k batches and, if it is conditional, their labels, the seed of
    its next step, and a line about it."""

    game: Game
    batches: list[Tensor]
    labels: list[Tensor]
    seed: tuple[int, int]
    description: str


def from_run(path: Path, data_dir: str | None = None) -> Subject:
    """The step that a run would play after this checkpoint, on its own data.

    Files are read only.  From here on random numbers are drawn as the run draws them.

    Raises MiniganError if the checkpoint is damaged, or the data are not here or not the run's.
    """
    checkpoint = checkpoints.read(path)
    try:
        config = Config.from_json(checkpoint.config)
    except MiniganError as error:
        raise checkpoints.unusable(path, str(error)) from None
    recipe, t = config.recipe, checkpoint.step
    backends.use_random(config.random)
    dataset = load_data(recipe, data_dir or config.data_dir)
    if dataset.checksum != config.data_checksum:
        raise MiniganError(
            f"{recipe.data} is not the data that {path} was trained on (its checksum differs): "
            "name the folder of the same data with --data-dir"
        )
    game = build_game(recipe, config.data_shape, classes=len(config.classes))
    owners = {"G": game.G, "D": game.D, "opt_G": game.opt_G, "opt_D": game.opt_D}
    checkpoints.restore(path, checkpoint, owners)
    set_schedules(game, recipe, t, config.steps_per_epoch)
    return Subject(
        game,
        *_batches(recipe, dataset, config.seed, t),
        (config.seed, t + 1),
        f"step {t + 1} of {path}, on its data, {recipe.data}",
    )


def from_recipe(recipe: Recipe, data_dir: str | None = None) -> Subject:
    """A recipe's first step, with the weights and the batches of a run with seed 0.

    Nothing is downloaded: without the recipe's data it is played on uniform random images.
    """
    can_load = is_here(recipe.data, recipe.split)
    dataset = load_data(recipe, data_dir) if can_load or data_dir is not None else None
    backends.manual_seed((0, 0))
    if dataset is None:
        shape, classes = data_shape(recipe), data_classes(recipe)
        game = build_game(recipe, shape, classes=classes)
        k, n = d_updates(recipe, 0), recipe.batch_size
        low, high = recipe.pixel_low, recipe.pixel_high
        batches = [creation.rand(n, *shape) * (high - low) + low for _ in range(k)]
        given = [label.one_hot(np.arange(n) % classes, classes)] * k if classes else []
        place = f"random images ({recipe.data} is not here; minigan train would download it)"
    else:
        mean = dataset.x.mean(axis=0) / 255 if dataset.is_images else None
        classes = len(label.names(recipe, dataset))
        game = build_game(recipe, dataset.x.shape[1:], classes=classes, data_mean=mean)
        batches, given = _batches(recipe, dataset, 0, 0)
        place = recipe.data
    set_schedules(game, recipe, 0, 1)
    return Subject(
        game, batches, given, (0, 1), f"step 1 of {recipe.name}, fresh weights, on {place}"
    )


def _batches(
    recipe: Recipe, dataset: Dataset, seed: int, t: int
) -> tuple[list[Tensor], list[Tensor]]:
    """The k batches of the step that follows t steps, and their labels if it takes some."""
    first, k = d_updates_before(recipe, t), d_updates(recipe, t)
    order = Batches(len(dataset), recipe.batch_size, seed)
    rows = [order.indices(first + i) for i in range(k)]
    images = [dataset.x[chosen] for chosen in rows]
    if dataset.is_images:
        images = [to_float(x, recipe.pixel_low, recipe.pixel_high) for x in images]
    batches = [creation.from_numpy(np.ascontiguousarray(x)) for x in images]
    classes = len(label.names(recipe, dataset))
    if not classes:
        return batches, []
    found = [label.of_batch(recipe, dataset, rows[i], seed, first + i) for i in range(k)]
    return batches, [label.one_hot(y, classes) for y in found]
