"""What the reproductions of Radford et al. 2016 share: a trained pair, and its images.

The recipe is ``dcgan-28``, the paper's networks with two floors, for 28 x 28 images.  The quick
versions have a quarter of its widths, five times its learning rate and a few hundred steps.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan import backends, recipes
from minigan.autograd import Tensor
from minigan.nn import Module
from minigan.recipes import Recipe
from minigan.reproduce import training
from minigan.reproduce.result import Task
from minigan.reproduce.training import Training
from minigan.train import checkpoint as checkpoints
from minigan.train import sampling
from minigan.train.record import Config
from minigan.train.setup import build_networks

PAPER = "Radford et al. 2016"


@dataclass(frozen=True, eq=False)
class Pair:
    """A trained G and D in evaluation mode, and where they come from."""

    G: Module
    D: Module
    config: Config
    step: int

    @property
    def recipe(self) -> Recipe:
        return self.config.recipe

    def images(self, z: np.ndarray) -> np.ndarray:
        """G(z) with pixels in [0, 1]: float32 (N, latent) -> (N, C, H, W)."""
        x = sampling.generate(self.G, Tensor(backends.xp().asarray(z, dtype=np.float32)))
        return sampling.unit(x, self.recipe)

    def settings(self) -> dict[str, Any]:
        """What is needed to train it again."""
        recipe = self.recipe
        return {
            f"run on {recipe.data}": f"recipe {recipe.name}, widths {recipe.widths}, "
            f"{self.step} steps of {recipe.batch_size} images "
            f"({self.step / self.config.steps_per_epoch:.3g} epochs), seed {self.config.seed}, "
            "the last step"
        }


EPOCHS = {"mnist": 15, "fashion-mnist": 5}
STEPS_PER_EPOCH = 60_000 // 64  # of the images of either data set, and the recipe's batch
QUICK = {"widths": "32,16", "lr": "1e-3", "batch_size": "32"}  # digits of a kind in half a minute
QUICK_STEPS = 700


def trained(task: Task, data: str) -> Pair:
    """The pair for these data, trained now or before; all reproductions of the paper use it."""
    epochs = EPOCHS[data]
    recipe = recipes.override(recipes.get("dcgan-28"), {"data": data, "epochs": epochs})
    steps = epochs * STEPS_PER_EPOCH
    if task.quick:
        recipe = recipes.override(recipe, QUICK)
        steps = QUICK_STEPS
    wanted = Training(f"dcgan-28-{data}-seed{task.seed}", recipe, task.seed, steps)
    run = training.train(task, wanted)
    pair = load(sampling.choose(run.folder, str(steps)))
    # The checkpoint names the folder of data of its day, config.json that of the last call.
    config = dataclasses.replace(pair.config, data_dir=run.read_config().data_dir)
    return dataclasses.replace(pair, config=config)


def load(path: Path) -> Pair:
    """Both networks from a checkpoint; MiniganError if the file is no good."""
    G, config, step = sampling.load_generator(path)
    _, D = build_networks(config.recipe, config.data_shape)
    checkpoints.restore(path, checkpoints.read(path), {"D": D})
    G.eval()
    D.eval()
    return Pair(G, D, config, step)
