"""Who takes part in the tables of the family: the same networks, and one idea more or other each.

An entrant is a recipe with a few settings changed.  Nothing is tuned for one of them: what all
share (networks, batch, number of G's steps) was chosen for the plain GAN, and what an entrant
changes has the value of its paper, or a reason beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minigan import recipes
from minigan.recipes import Recipe


@dataclass(frozen=True)
class Entrant:
    """A row of the tables.

    Args:
        name: as the tables and files have it.
        source: of the idea.
        settings: what it changes.
        on_points, on_images: what it changes there besides.
    """

    name: str
    source: str
    settings: dict[str, Any]
    on_points: dict[str, Any]
    on_images: dict[str, Any]

    def recipe(self, base: Recipe, *, points: bool) -> Recipe:
        """The base with the entrant's settings.

        >>> wgan = next(entrant for entrant in ENTRANTS if entrant.name == "wgan")
        >>> wgan.recipe(recipes.get("gan"), points=False).clip
        0.01
        """
        special = self.on_points if points else self.on_images
        return recipes.override(base, {**self.settings, **special})


_CRITIC = {"objective": "wasserstein", "d_steps": 5}
ENTRANTS = [
    Entrant("non-saturating", "Goodfellow et al. 2014, section 3", {}, {}, {}),
    Entrant("minimax", "Goodfellow et al. 2014, eq. 1", {"objective": "minimax"}, {}, {}),
    Entrant("least-squares", "Mao et al. 2017", {"objective": "least-squares"}, {}, {}),
    Entrant("hinge", "Lim & Ye 2017", {"objective": "hinge"}, {}, {}),
    Entrant(
        "wgan",
        "Arjovsky et al. 2017",
        {**_CRITIC, "optimizer": "rmsprop", "lr": 5e-5},
        # The paper's 0.01 is of convolutional networks with batch normalisation; with it hardly a
        # sample of these small ones came near a mode of ring8.
        {"clip": 0.1},
        {"clip": 0.01},
    ),
    Entrant(
        "wgan-gp",
        "Gulrajani et al. 2017",
        {**_CRITIC, "penalty": "wgan-gp"},
        {"penalty_weight": 0.1},  # gan_toy.py of the released code
        {"penalty_weight": 10.0},
    ),
    Entrant(
        "dragan",
        "Kodali et al. 2017",
        {"penalty": "dragan", "penalty_weight": 10.0},
        {},
        {},
    ),
    Entrant("r1", "Mescheder et al. 2018", {"penalty": "r1", "penalty_weight": 10.0}, {}, {}),
    Entrant("pacgan2", "Lin et al. 2018", {"pack": 2}, {}, {}),
    # The short form of minibatch discrimination, whose steps take many times as long here.
    Entrant("minibatch stddev", "Karras et al. 2018", {"d_minibatch": "stddev"}, {}, {}),
]
