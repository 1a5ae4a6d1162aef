"""Who moves first, and with whose noise: the first epochs of the 2014 paper's networks on MNIST.

Algorithm 1 of Goodfellow et al. 2014 moves D, then draws new noise and moves G.  The released code
draws noise once, takes both gradients at the same point and moves both.  With the settings of that
code the first way goes wrong: G's images depend on z less and less.

Two things differ between them, and a third way changes one of the two alone::

    simultaneous              both move at once, the same z      the released code
    alternate                 D, then G, a new z for G           Algorithm 1
    alternate, the same z     D, then G, G's z are D's           neither

What is measured is how much an image depends on z, the *spread*: a pixel's standard deviation over
z, mean over the pixels, divided by that of the training images.  It is 1 where p_g = p_data, and 0
where G draws one image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from minigan import backends, data, plots, recipes
from minigan.autograd import Tensor
from minigan.data import Batches, Dataset, to_float
from minigan.reproduce.drawing import panels, picture
from minigan.reproduce.result import Comparison, Outcome, Picture, Task, counted
from minigan.train.sampling import generate
from minigan.train.setup import build_game, draw_z, set_schedules
from minigan.train.step import play_step, read

WAYS = ("simultaneous", "alternate", "alternate, the same z")
# Set after a few runs of the same networks in PyTorch and before these: there G had .4 to .7 where
# it learnt, and less than .06 where it did not.
LEAST = 0.25
SHOWN = 32  # samples of each way, in the picture


@dataclass(frozen=True)
class Plan:
    """Seeds of each way, steps of each training, steps between measurements; z of each of them."""

    seeds: int
    steps: int
    every: int
    z: int


FULL = Plan(seeds=3, steps=3000, every=250, z=1000)
QUICK = Plan(seeds=1, steps=60, every=20, z=100)


@dataclass(frozen=True, eq=False)
class Played:
    """A training: {step: spread}, D(x) and D(G(z)) in the last step, samples of the last G."""

    spread: dict[int, float]
    d_real: float
    d_fake: float
    samples: np.ndarray


def spread_of(images: np.ndarray) -> float:
    """Standard deviation of a pixel over images (n, ...), mean over the pixels.

    >>> spread_of(np.array([[0.0, 1.0], [0.0, 0.0]]))
    0.25
    """
    return float(images.std(axis=0).mean())


def each_twice(draw: Callable[[int], Tensor]) -> Callable[[int], Tensor]:
    """Draws each z two times in a row: for D, and for G after it.

    >>> import itertools
    >>> draw = each_twice(lambda n, count=itertools.count(): next(count))
    >>> [draw(1) for _ in range(5)]
    [0, 0, 1, 1, 2]
    """
    for_g: list[Tensor] = []

    def drawn(n: int) -> Tensor:
        if for_g:
            return for_g.pop()
        for_g.append(draw(n))
        return for_g[0]

    return drawn


def play(way: str, seed: int, plan: Plan, train: Dataset, task: Task) -> Played:
    """Train from fresh weights, and look at G now and then."""
    order = way.partition(",")[0]
    recipe = dataclasses.replace(recipes.get("gan-paper"), updates=order)
    backends.manual_seed(seed)
    mean = train.x.mean(axis=0) / 255
    game = build_game(recipe, train.x.shape[1:], data_mean=mean)
    if way == "alternate, the same z":
        game.draw_z = each_twice(game.draw_z)
    batches = Batches(len(train), recipe.batch_size, seed)
    z = draw_z(recipe, plan.z, np.random.default_rng(task.seed))  # the same for all
    whole = spread_of(to_float(train.x, 0, 1))
    spread = {0: spread_of(generate(game.G, z)) / whole}
    for step in task.progress(range(plan.steps)):
        set_schedules(game, recipe, step, batches.per_epoch)
        x = to_float(train.x[batches.indices(step)], recipe.pixel_low, recipe.pixel_high)
        record = play_step(game, [Tensor(backends.xp().asarray(x))])
        if (step + 1) % plan.every == 0:
            spread[step + 1] = spread_of(generate(game.G, z)) / whole
    (last,) = read([record])
    return Played(spread, last["d_real"], last["d_fake"], generate(game.G, z)[:SHOWN])


def reproduce(task: Task) -> Outcome:
    """Play each way from each seed."""
    plan = QUICK if task.quick else FULL
    train = data.load("mnist", split="paper-train", data_dir=task.data_dir)
    seeds = range(task.seed, task.seed + plan.seeds)
    played = {(way, seed): play(way, seed, plan, train, task) for seed in seeds for way in WAYS}
    rows = [
        {
            "way": way, "seed": seed, "spread": list(run.spread.values())[-1],
            "D(x)": run.d_real, "D(G(z))": run.d_fake,
        }
        for (way, seed), run in sorted(played.items(), key=lambda item: WAYS.index(item[0][0]))
    ]  # fmt: skip
    return Outcome(
        settings={
            "networks and optimiser": recipes.get("gan-paper").source,
            "trained": f"{plan.steps} steps of 100 images, from {counted(plan.seeds, 'seed')}",
            "spread": f"over {plan.z} z, by that of {len(train)} training images",
        },
        measured={
            "runs": rows,
            **{f"spread, {way}, seed {seed}": list(run.spread.values())
               for (way, seed), run in played.items()},
        },
        comparisons=[compare(way, rows) for way in WAYS],
        pictures=[
            Picture(
                "order-spread.png",
                "The spread of samples while the networks learn, a line a seed; dashed: the rule.",
                draw_spread({key: run.spread for key, run in played.items()}),
            ),
            Picture(
                "order-samples.png",
                f"Samples of the first seed after {plan.steps} steps, a row of panels a way.",
                draw_samples({way: played[way, task.seed].samples for way in WAYS}),
            ),
        ],
        notes=[
            "What is expected is what the paper's convergence proof expects of Algorithm 1, that "
            "p_g becomes p_data; a way holds if from no seed G has stopped depending on z.",
            "What a training of these few steps says is whether G survives them, not how good it "
            "becomes: that is table1.",
            f"The limit, {LEAST}, was set after a few runs of the same networks in PyTorch and "
            "before these.",
            "Three seeds of each way are few: they show that a way may fail, not how often.",
        ],
    )  # fmt: skip


def compare(way: str, rows: list[dict[str, Any]]) -> Comparison:
    """Does G depend on its noise in the end, from every seed?"""
    values = [row["spread"] for row in rows if row["way"] == way]
    return Comparison(
        what=f"spread of samples by that of images, {way}, smallest of "
        f"{counted(len(values), 'seed')}",
        measured=min(values), expected=1.0, source="p_g = p_data", low=LEAST,
    )  # fmt: skip


def draw_spread(curves: dict[tuple[str, int], dict[int, float]]) -> Image.Image:
    """Spread against steps, a colour a way."""
    figure, (ax,) = panels(8, 4)
    for (way, _), spread in curves.items():
        first = way not in ax.get_legend_handles_labels()[1]
        ax.plot(
            list(spread), list(spread.values()), color=plots.SECTIONS[WAYS.index(way)],
            linewidth=1.5, marker=".", label=way if first else None,
        )  # fmt: skip
    ax.axhline(LEAST, color="#777777", linewidth=1, linestyle=(0, (4, 3)))
    ax.set(xlim=(0, None), ylim=(0, None), xlabel="step", ylabel="spread, by that of images")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, ncols=len(WAYS))
    return picture(figure)


def draw_samples(samples: dict[str, np.ndarray]) -> Image.Image:
    """A grid a way, one below the other."""
    figure, axes = panels(8, 4, rows=len(samples))
    for ax, (way, images) in zip(axes, samples.items()):
        ax.imshow(plots.grid(images, columns=16, low=0, high=1), cmap="gray")
        ax.set_title(way, fontsize=10, loc="left")
        ax.set_axis_off()
    return picture(figure)
