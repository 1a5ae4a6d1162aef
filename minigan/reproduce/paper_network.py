"""The network of the paper's figures: the one that Table 1 has tested.

Figures 2 and 3 show samples of "the full model" on MNIST.  Here that is the first run of ``table1``
with the released code's order of updates: it is found among the trainings if table1 was there
before, and trained, with the same name and in the same way, if not.
"""

from __future__ import annotations

import numpy as np

from minigan.autograd import Tensor
from minigan.nn import Module
from minigan.recipes import Recipe
from minigan.reproduce import table1
from minigan.reproduce.result import Task
from minigan.train.sampling import generate, load_generator
from minigan.train.setup import draw_z

UPDATES = "simultaneous"  # the order of the released code


class PaperNetwork:
    """G with the weights that validation chose, and where they come from.

    Args:
        G: z (N, 100) -> images (N, 1, 28, 28) in [0, 1].
        recipe: of its training.
        epoch: after which the weights were taken, of ``epochs``.
    """

    def __init__(self, G: Module, recipe: Recipe, epoch: int, epochs: int):
        self.G, self.recipe, self.epoch, self.epochs = G, recipe, epoch, epochs

    def noise(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """z, float32 (n, 100): U(-sqrt 3, sqrt 3), mean 0 and variance 1."""
        return draw_z(self.recipe, n, rng).numpy()

    def images(self, z: np.ndarray) -> np.ndarray:
        """G(z): float32 (N, 1, 28, 28) in [0, 1]."""
        return generate(self.G, Tensor(z.astype(np.float32)))

    def settings(self, seed: int) -> dict[str, object]:
        """For the page."""
        return {
            "network": f"gan-paper on MNIST, {UPDATES} updates, seed {seed}, of table1",
            "weights": f"after epoch {self.epoch} of {self.epochs}: the highest Parzen estimate "
            "on the validation images",
        }


def obtain(task: Task) -> PaperNetwork:
    """Find the network, or train it, or go on training it: hours from nothing, unless ``quick``."""
    plan = table1.QUICK if task.quick else table1.FULL
    (run,) = table1.train_and_validate(task, [table1.wanted(UPDATES, task.seed, plan.epochs)], plan)
    G, config, step = load_generator(run.folder / "chosen.npz")
    epochs = max(run.checkpoints()) // table1.STEPS_PER_EPOCH
    return PaperNetwork(G, config.recipe, step // table1.STEPS_PER_EPOCH, epochs)
