"""One step of an autoencoder: no game, both networks descend the same loss.

The decoder stands in G's place and the encoder in D's.  Each has an optimiser of its own; an
optimiser that moves every weight by its own gradient alone, as all of ours do, does not notice.
"""

from __future__ import annotations

from collections.abc import Sequence

from minigan.autograd import Tensor, no_grad
from minigan.train.game import Game, Record


def together(game: Game, batches: list[Tensor], labels: Sequence[Tensor] = ()) -> Record:
    """Encode and decode one batch; the gradient goes back the whole way, and is cut nowhere.

    Returns ``{"loss", "reconstruction"}``, and for the VAE ``"kl"``: nats an image.
    """
    (x,) = batches
    parts = game.objective(game.G, game.D, x, game.draw_z(len(x)))
    first, *others = parts.values()
    loss = sum(others, first)
    game.opt_G.zero_grad()
    game.opt_D.zero_grad()
    loss.backward()
    game.opt_G.step()
    game.opt_D.step()
    return {"loss": loss.detach(), **{name: part.detach() for name, part in parts.items()}}


def fit_codes(game: Game, x: Tensor) -> None:
    """Tell a plain autoencoder's decoder where the codes of the images x lie."""
    with no_grad():
        game.G.fit(game.D(x))
