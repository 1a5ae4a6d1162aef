"""What the gradient penalty costs: one update of a WGAN-GP critic, minigan beside PyTorch.

An update is lines 4 to 9 of Gulrajani et al. 2017, Algorithm 1, for one batch: fakes without a
record, the critic's loss with its penalty, and a step of Adam.  Here for the networks of the recipe
``gan`` and, without normalisation in D, of ``dcgan-28``; without the penalty too.
"""

from __future__ import annotations

import importlib.util
import math
import statistics
from collections.abc import Callable
from typing import Any

import minigan
from minigan import recipes
from minigan.autograd import no_grad
from minigan.train.setup import build_game, data_shape
from minigan_bench.timing import take_turns

BATCH = 64
_WGAN_GP = {
    "objective": "wasserstein", "penalty": "wgan-gp", "penalty_weight": 10.0, "lr": 1e-4,
    "betas": (0.5, 0.9),
}  # fmt: skip
PAIRS = {"gan": {}, "dcgan-28": {"d_norm": "none"}}
# A side's name, and what PyTorch does differently there.
PEERS = {
    "PyTorch": {"fused": False},
    "PyTorch fused": {"fused": True},
    "PyTorch channels-last": {"fused": True, "channels_last": True},
}
PLAIN = ", no penalty"
STEPS = {"gan": 200, "dcgan-28": 20}
TURNS = {"gan": {}, "dcgan-28": {"warmup": 2, "block": 2, "settle": 1}}


def run(steps: int | None = None, batch_size: int | None = None) -> dict[str, Any]:
    """Time updates of both pairs, all sides in turn; to be called in ``using_threads``.

    Returns for each pair the sides' medians and quartiles in milliseconds, the best median of
    PyTorch over minigan's with the quartiles of this ratio turn by turn, and how many times as long
    as the plain update the one with the penalty takes.
    """
    return {name: _pair(name, steps or STEPS[name], batch_size or BATCH) for name in PAIRS}


def _pair(name: str, steps: int, batch_size: int) -> dict[str, Any]:
    recipe = recipes.override(
        recipes.get(name), {**_WGAN_GP, **PAIRS[name], "batch_size": batch_size}
    )
    calls = {}
    for extra, weight in (("", recipe.penalty_weight), (PLAIN, 0.0)):
        calls[f"minigan{extra}"] = own_update(recipe, weight)
        if importlib.util.find_spec("torch") is not None:
            for side, how in PEERS.items():
                if recipe.model == "dcgan" or "channels_last" not in how:
                    calls[side + extra] = peer_update(recipe, weight, **how)
    timings, turns = take_turns(calls, steps, **TURNS[name])
    result: dict[str, Any] = {
        "batch_size": batch_size,
        "sides": {
            side: {"median_ms": 1e3 * t.median, "quartiles_ms": [1e3 * t.low, 1e3 * t.high]}
            for side, t in timings.items()
        },
        "penalty_costs": {
            side: timings[side].median / timings[side + PLAIN].median
            for side in calls
            if PLAIN not in side
        },
    }
    for extra in ("", PLAIN):
        peers = [side for side in calls if side.removesuffix(PLAIN) in PEERS]
        peers = [side for side in peers if side.endswith(PLAIN) == bool(extra)]
        if peers:
            own, best = f"minigan{extra}", min(peers, key=lambda side: timings[side].median)
            ratios = [theirs / ours for theirs, ours in zip(turns[best], turns[own])]
            low, _, high = statistics.quantiles(ratios, n=4)
            result.setdefault("ratios", {})[own] = {
                "best_peer": best,
                "median": timings[best].median / timings[own].median,
                "quartiles": [low, high],
            }
    return result


def lines(pairs: dict[str, Any]) -> list[str]:
    """The result of ``run`` as lines of text."""
    text = []
    for name, pair in pairs.items():
        text += [
            "",
            f"{f'{name}: one update of D':36}{'median ms':>12}{'quartiles ms':>20}{'penalty':>12}",
        ]
        for side, figures in pair["sides"].items():
            low, high = figures["quartiles_ms"]
            cost = pair["penalty_costs"].get(side)
            text.append(
                f"{side:36}{figures['median_ms']:12.2f}{f'{low:.2f} - {high:.2f}':>20}"
                + (f"{f'x {cost:.2f}':>12}" if cost else "")
            )
        for own, ratio in pair.get("ratios", {}).items():
            low, high = ratio["quartiles"]
            text.append(
                f"{own} is {ratio['median']:.2f} times as fast as {ratio['best_peer']} "
                f"(ratio of medians; turn by turn {low:.2f} - {high:.2f})"
            )
        if "ratios" not in pair:
            text.append("PyTorch is not installed, so there is nothing to compare with.")
    return text


def own_update(recipe: recipes.Recipe, weight: float) -> Callable[[], float]:
    """An update of D in minigan; without the penalty if its weight is 0."""
    shape = data_shape(recipe)
    game = build_game(recipe, shape)
    G, D, objective = game.G, game.D, game.objective
    x = minigan.rand(recipe.batch_size, *shape) * 2.0 - 1.0

    def update() -> float:
        with no_grad():
            fake = G(game.draw_z(len(x)))
        loss = objective.d_loss(D(x), D(fake))
        if weight:
            loss = loss + game.penalty(D, x, fake)
        game.opt_D.zero_grad()
        loss.backward()
        game.opt_D.step()
        return loss.item()

    return update


def peer_update(
    recipe: recipes.Recipe, weight: float, *, fused: bool, channels_last: bool = False
) -> Callable[[], float]:
    """The same in PyTorch.  ``fused``: Adam in one kernel; ``channels_last``: the memory format."""
    import torch

    from minigan_bench import peer

    shape = data_shape(recipe)
    if recipe.model == "dcgan":
        G, D = peer.dcgan(shape, recipe.latent_dim, recipe.widths, d_norm=recipe.d_norm)
    else:
        G, D = peer.PAIRS[recipe.model](math.prod(shape), recipe.latent_dim)
    x = torch.rand(recipe.batch_size, *shape) * 2 - 1
    if channels_last:
        G, D, x = (each.to(memory_format=torch.channels_last) for each in (G, D, x))
    optimizer = torch.optim.Adam(
        D.parameters(), lr=recipe.lr, betas=recipe.betas, fused=fused or None
    )

    def update() -> float:
        with torch.no_grad():
            fake = G(torch.randn(len(x), recipe.latent_dim)).view_as(x)
        loss = D(fake).mean() - D(x).mean()
        if weight:
            loss = loss + weight * peer_penalty(D, x, fake, torch.rand(len(x), *[1] * (x.ndim - 1)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return update


def peer_penalty(D: Any, x: Any, fake: Any, eps: Any) -> Any:
    """E (|| grad D || - 1)^2 between images and fakes, in PyTorch."""
    import torch

    between = (eps * x + (1 - eps) * fake).requires_grad_()
    (g,) = torch.autograd.grad(D(between).sum(), between, create_graph=True)
    return ((g.flatten(1).norm(dim=1) - 1) ** 2).mean()
