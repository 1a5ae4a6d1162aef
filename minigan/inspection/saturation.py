"""Where D saturates, and what that does to G's gradient under four objectives.

G learns through D's logit s = D(G(z)) before the sigmoid.  With dL/ds = 0 nothing comes back to G,
whatever D knows.  The losses of G on one fake and their slopes, D = sigmoid(s):

    minimax          log(1 - D)     -D           vanishes where D is sure of a fake
    non-saturating   -log D         -(1 - D)     vanishes where D is fooled      (both: Goodfellow
    least-squares    1/2 (s - 1)^2  s - 1        vanishes at its target only      et al. 2014)
    wasserstein      -s             -1           never

Least squares (Mao et al. 2017, eq. 9, b = c = 1) and Wasserstein (Arjovsky et al. 2017) take D's
output as it is, without a sigmoid; here that is the logit of a D that was trained with one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import backends, kernels
from minigan.autograd import Tensor, grad, no_grad
from minigan.backends import array_module, to_numpy
from minigan.inspection.anatomy import norm, unchanged
from minigan.train.step import Game

THRESHOLDS = (2.0, 5.0, 10.0)  # |logit|: D is sure to 88 %, 99.3 %, 99.995 %
BINS = 20


def slopes(logits: Any) -> dict[str, Any]:
    """dL/ds for each logit s and each objective, see above: arrays of the logits' shape.

    >>> {name: slope.tolist() for name, slope in slopes(np.array([0.0])).items()}
    {'minimax': [-0.5], 'non-saturating': [-0.5], 'least-squares': [-1.0], 'wasserstein': [-1.0]}
    """
    return {
        "minimax": -kernels.sigmoid(logits),
        "non-saturating": -kernels.sigmoid(-logits),
        "least-squares": logits - 1,
        "wasserstein": -array_module(logits).ones_like(logits),
    }


@dataclass(frozen=True)
class Saturation:
    """D's logits on a batch of fakes, and the gradients that they let through.

    Attributes:
        judged: what D gives a logit to, in words: "fakes", or "packs of 2 fakes".
        logits: one for each of the N fakes, or for each of their packs.
        histogram: how many of the D(G(z)) lie in each of 20 equal bins of [0, 1].
        share_beyond: share of the logits with |logit| > 2, 5, 10.
        slope: by objective, the mean of |dL/ds| over the logits.
        gradient_norm: by objective, the Euclidean norm of the gradient that arrives at G's output,
            (N, *image), for the mean of the loss over the logits.
    """

    judged: str
    logits: list[float]
    histogram: list[int]
    share_beyond: dict[float, float]
    slope: dict[str, float]
    gradient_norm: dict[str, float]


def saturation(game: Game, count: int, seed: int | tuple[int, ...] = 0, *y: Tensor) -> Saturation:
    """Ask D about ``count`` fakes, as it is, in training mode; the game is as before afterwards.

    Args:
        y: of a conditional game, the labels (count, classes) that the fakes are made for.
    """
    with unchanged(game), np.errstate(over="ignore", invalid="ignore"):
        backends.manual_seed(seed)
        with no_grad():
            fakes = game.G(game.draw_z(count), *y)
        fakes = fakes.detach().requires_grad_()
        logits = game.D(fakes, *y)[:, :1]  # what else D says is not about real or fake
        norms = {}
        for name, slope in slopes(logits.array).items():
            (g,) = grad(logits, fakes, Tensor(slope / len(logits)), retain_graph=True)
            norms[name] = norm(g.array)
    s = to_numpy(logits.array).ravel().astype(np.float64)
    pack = count // len(s)
    return Saturation(
        judged="fakes" if pack == 1 else f"packs of {pack} fakes",
        logits=s.tolist(),
        histogram=np.histogram(kernels.sigmoid(s), BINS, (0, 1))[0].tolist(),
        share_beyond={t: float((np.abs(s) > t).mean()) for t in THRESHOLDS},
        slope={name: float(np.abs(slope).mean()) for name, slope in slopes(s).items()},
        gradient_norm=norms,
    )
