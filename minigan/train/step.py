"""One step of the game: Algorithm 1 of Goodfellow et al. 2014.

    for k steps:  update D by descending its loss on a minibatch x and fakes G(z)
    then:         update G by descending its own loss on new fakes

Where the gradient is cut.  Each player's loss depends on both networks, but each may move only
itself.  D's loss stops at the fakes, which are made without recording (``no_grad``), as if they
were given images.  G's loss must pass *through* D to reach G; ``backward(inputs=G)`` walks that
way only, so D's weights neither change nor cost a weight gradient.

In a conditional game both networks are also given labels, y: G makes images of these classes, and D
judges whether an image fits its class.  Without labels y is nothing: ``*y`` passes no argument.
"""

from __future__ import annotations

from collections.abc import Sequence

from minigan.autograd import Tensor, no_grad
from minigan.train.autoencode import together
from minigan.train.game import Game, Record, read, record
from minigan.train.unrolled import unrolled

__all__ = ["Game", "Record", "alternate", "play_step", "read", "simultaneous"]


def play_step(game: Game, batches: list[Tensor], labels: Sequence[Tensor] = ()) -> Record:
    """One update of G, and one of D for each of the k batches of real images.

    Args:
        batches: k of images, (N, *image).
        labels: of a conditional game, one for each batch: (N, classes), one-hot.

    Returns the losses and mean D(x), mean D(G(z)) as D saw them in its last update:
    ``{"d_loss", "g_loss", "d_real", "d_fake"}``, tensors of one element; where D pays a penalty
    ``"penalty"`` too, which is part of d_loss.  An autoencoder plays no game and returns other
    names, see :mod:`minigan.train.autoencode`.
    """
    return PLAYS[game.updates](game, batches, labels)


def alternate(game: Game, batches: list[Tensor], labels: Sequence[Tensor] = ()) -> Record:
    """Algorithm 1: D first, k times, then G against the D that has just learnt."""
    G, D = game.G, game.D

    ##########################################################################
    # (1) Update D: minimise -[E log D(x) + E log(1 - D(G(z)))]
    ##########################################################################
    for x, *y in zip(batches, labels) if labels else zip(batches):
        with no_grad():  # the cut: to D, a fake is just an image
            fake = G(game.draw_z(len(x)), *y)
        real_logits, fake_logits = D(x, *y), D(fake, *y)
        d_loss = game.objective.d_loss(real_logits, fake_logits)
        d_loss, penalty = _add_penalty(game, d_loss, x, fake, *y)
        game.opt_D.zero_grad()
        d_loss.backward()
        game.opt_D.step()
        _clip(game)

    ##########################################################################
    # (2) Update G: minimise -E log D(G(z)), through D, which stays as it is
    ##########################################################################
    g_loss = game.objective.g_loss(D(G(game.draw_z(len(x)), *y), *y))
    game.opt_G.zero_grad()
    g_loss.backward(inputs=G.parameters())
    game.opt_G.step()

    return record(game, d_loss, g_loss, real_logits, fake_logits, penalty)


def simultaneous(game: Game, batches: list[Tensor], labels: Sequence[Tensor] = ()) -> Record:
    """The released code of 2014: both gradients at the same point, same z, same dropout masks.

    Both players learn from one batch, so there is no k here: ``batches`` holds one.
    """
    G, D, (x,), y = game.G, game.D, batches, labels
    fake = G(game.draw_z(len(x)), *y)
    fake_logits = D(fake, *y)  # first: the order in which dropout masks are drawn
    real_logits = D(x, *y)
    d_loss = game.objective.d_loss(real_logits, fake_logits)
    d_loss, penalty = _add_penalty(game, d_loss, x, fake, *y)
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
    _clip(game)
    return record(game, d_loss, g_loss, real_logits, fake_logits, penalty)


PLAYS = {
    "alternate": alternate,
    "simultaneous": simultaneous,
    "unrolled": unrolled,
    "together": together,
}


def _add_penalty(
    game: Game, d_loss: Tensor, x: Tensor, fake: Tensor, *y: Tensor
) -> tuple[Tensor, Tensor | None]:
    """What D minimises with the penalty in it, if it pays one, and that alone."""
    if game.penalty is None:
        return d_loss, None
    penalty = game.penalty(game.D, x, fake, *y)
    return d_loss + penalty, penalty


def _clip(game: Game) -> None:
    """WGAN's Lipschitz bound: all of D's weights stay in [-clip, clip]."""
    if game.clip:
        with no_grad():
            for weight in game.D.parameters():
                weight.clamp_(-game.clip, game.clip)
