"""The game on the table: two players, what they want, and what a step leaves behind.

Nothing here looks at a number.  On a GPU the CPU only hands out work, and is ahead of it; to read
a loss it would have to wait until all that was handed out is done.  So the losses come back as
tensors, and whoever wants numbers calls ``read``, seldom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minigan.autograd import Tensor
from minigan.backends import array_module, to_numpy
from minigan.elbo import Elbo, Reconstruction
from minigan.nn import Module
from minigan.objectives import Objective
from minigan.penalties import Penalty

Record = dict[str, Tensor]  # d_loss, g_loss, d_real, d_fake, ...: of one element, on the device


@dataclass
class Game:
    """Two players, their optimisers, what they want, and where the noise comes from.

    Args:
        G: (N, latent) -> (N, *image).  In a conditional game, latent and labels (N, classes).
        D: (N, *image) -> (N, 1) logits.  In a conditional game, images and labels.
        draw_z: N -> noise (N, latent).
        updates: ``"alternate"`` (Algorithm 1), ``"simultaneous"`` (the released code),
            ``"unrolled"`` (``minigan.train.unrolled``), or ``"together"``: no game, G is the
            decoder and D the encoder of an autoencoder.
        penalty: what D pays for its gradient, see ``minigan.penalties``.
        clip: D's weights are kept in [-clip, clip] after each of its updates; 0: they are free.
        unroll: how many updates of D ahead G looks, with unrolled updates.
    """

    G: Module
    D: Module
    opt_G: Any
    opt_D: Any
    objective: Objective | Elbo | Reconstruction
    draw_z: Callable[[int], Tensor]
    updates: str = "alternate"
    penalty: Penalty | None = None
    clip: float = 0.0
    unroll: int = 0


def record(
    game: Game,
    d_loss: Tensor,
    g_loss: Tensor,
    real_logits: Tensor,
    fake_logits: Tensor,
    penalty: Tensor | None = None,
) -> Record:
    """What a step returns: both losses, what D thought of images and fakes, the penalty if any."""
    values = {
        "d_loss": d_loss.detach(),
        "g_loss": g_loss.detach(),
        "d_real": Tensor(game.objective.opinion(real_logits.array)),
        "d_fake": Tensor(game.objective.opinion(fake_logits.array)),
    }
    return values if penalty is None else {**values, "penalty": penalty.detach()}


def read(records: list[Record]) -> list[dict[str, float]]:
    """What steps returned as numbers: in one copy, which waits until the device has played them.

    >>> read([{"d_loss": Tensor(1.5), "g_loss": Tensor(0.5)}])
    [{'d_loss': 1.5, 'g_loss': 0.5}]
    """
    if not records:
        return []
    arrays = [value.array for record in records for value in record.values()]
    numbers = iter(to_numpy(array_module(arrays[0]).stack(arrays)).tolist())
    return [{name: next(numbers) for name in record} for record in records]
