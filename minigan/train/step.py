"""One step of the game: Algorithm 1 of Goodfellow et al. 2014.

    for k steps:  update D by descending its loss on a minibatch x and fakes G(z)
    then:         update G by descending its own loss on new fakes

Where the gradient is cut.  Each player's loss depends on both networks, but each may move only
itself.  D's loss stops at the fakes, which are made without recording (``no_grad``), as if they
were given images.  G's loss must pass *through* D to reach G; ``backward(inputs=G)`` walks that
way only, so D's weights neither change nor cost a weight gradient.

Nothing here looks at a number.  On a GPU the CPU only hands out work, and is ahead of it; to read
a loss it would have to wait until all that was handed out is done.  So the losses come back as
tensors, and whoever wants numbers calls ``read``, seldom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minigan.autograd import Tensor, no_grad
from minigan.backends import array_module, to_numpy
from minigan.nn import Module
from minigan.objectives import Objective

Record = dict[str, Tensor]  # d_loss, g_loss, d_real, d_fake: of one element each, on the device


@dataclass
class Game:
    """Two players, their optimisers, what they want, and where the noise comes from.

    Args:
        G: (N, latent) -> (N, *image).
        D: (N, *image) -> (N, 1) logits.
        draw_z: N -> noise (N, latent).
        updates: ``"alternate"`` (Algorithm 1) or ``"simultaneous"`` (the released code).
    """

    G: Module
    D: Module
    opt_G: Any
    opt_D: Any
    objective: Objective
    draw_z: Callable[[int], Tensor]
    updates: str = "alternate"


def play_step(game: Game, batches: list[Tensor]) -> Record:
    """One update of G, and one of D for each of the k batches of real images.

    Returns the losses and mean D(x), mean D(G(z)) as D saw them in its last update:
    ``{"d_loss", "g_loss", "d_real", "d_fake"}``, tensors of one element.
    """
    play = alternate if game.updates == "alternate" else simultaneous
    return play(game, batches)


def alternate(game: Game, batches: list[Tensor]) -> Record:
    """Algorithm 1: D first, k times, then G against the D that has just learnt."""
    G, D = game.G, game.D

    ##########################################################################
    # (1) Update D: minimise -[E log D(x) + E log(1 - D(G(z)))]
    ##########################################################################
    for x in batches:
        with no_grad():  # the cut: to D, a fake is just an image
            fake = G(game.draw_z(len(x)))
        real_logits, fake_logits = D(x), D(fake)
        d_loss = game.objective.d_loss(real_logits, fake_logits)
        game.opt_D.zero_grad()
        d_loss.backward()
        game.opt_D.step()

    ##########################################################################
    # (2) Update G: minimise -E log D(G(z)), through D, which stays as it is
    ##########################################################################
    g_loss = game.objective.g_loss(D(G(game.draw_z(len(x)))))
    game.opt_G.zero_grad()
    g_loss.backward(inputs=G.parameters())
    game.opt_G.step()

    return _record(game.objective, d_loss, g_loss, real_logits, fake_logits)


def simultaneous(game: Game, batches: list[Tensor]) -> Record:
    """The released code of 2014: both gradients at the same point, same z, same dropout masks.

    Both players learn from one batch, so there is no k here: ``batches`` holds one.
    """
    G, D, (x,) = game.G, game.D, batches
    fake_logits = D(G(game.draw_z(len(x))))
    real_logits = D(x)
    d_loss = game.objective.d_loss(real_logits, fake_logits)
    g_loss = game.objective.g_loss(fake_logits)

    ##########################################################################
    # (1) D's gradient, which ends at D's weights: G is not asked for
    ##########################################################################
    game.opt_D.zero_grad()
    d_loss.backward(inputs=D.parameters(), retain_graph=True)

    ##########################################################################
    # (2) G's gradient, through the same D, before either has moved
    ##########################################################################
    game.opt_G.zero_grad()
    g_loss.backward(inputs=G.parameters())

    game.opt_D.step()
    game.opt_G.step()
    return _record(game.objective, d_loss, g_loss, real_logits, fake_logits)


def _record(
    objective: Objective, d_loss: Tensor, g_loss: Tensor, real: Tensor, fake: Tensor
) -> Record:
    return {
        "d_loss": d_loss.detach(),
        "g_loss": g_loss.detach(),
        "d_real": Tensor(objective.opinion(real.array)),
        "d_fake": Tensor(objective.opinion(fake.array)),
    }


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
