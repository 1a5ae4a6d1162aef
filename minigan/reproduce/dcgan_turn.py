"""Figure 8 of Radford et al. 2016, the turn vector.

The average z over samples that lean right, less that over those that lean left, is an axis; random
samples are moved along it.  Thickness has such an axis too, and a random one is the control.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from minigan import plots
from minigan.evaluate.classifier import Classifier
from minigan.evaluate.features import share_se
from minigan.plots import SECTIONS
from minigan.reproduce.dcgan_concepts import Concepts
from minigan.reproduce.dcgan_networks import PAPER, Pair
from minigan.reproduce.drawing import panels, picture
from minigan.reproduce.result import Comparison, mean_and_error

TURN = 4  # exemplars on each side of the turn vector, as in the paper
AXIS = np.linspace(-1, 1, 9)  # how far along it


def axes(concepts: Concepts, samples: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """An axis for each sample, (samples, d): from four exemplars a side, as in the paper; from all;
    and at random, as long as the first."""
    low, high = (np.concatenate(list(group.values())) for group in (concepts.low, concepts.high))

    def average(rows: np.ndarray) -> np.ndarray:
        chosen = np.stack([rng.choice(rows, TURN, replace=False) for _ in range(samples)])
        return concepts.z[chosen].mean(axis=1)

    few = average(high) - average(low)
    every = concepts.z[high].mean(axis=0) - concepts.z[low].mean(axis=0)
    random = rng.standard_normal(few.shape)
    random *= np.linalg.norm(few, axis=1, keepdims=True) / np.linalg.norm(
        random, axis=1, keepdims=True
    )
    return {
        f"{TURN} exemplars a side": few,
        f"all {len(low):,} a side": np.broadcast_to(every, few.shape),
        "random": random,
    }


@dataclass(frozen=True, eq=False)
class Turn:
    """Samples along an axis: ``values`` (len(AXIS), samples) of the attribute, the share of samples
    that keep their digit, and the rise from -1/2 to 1/2, of each sample."""

    values: np.ndarray
    kept: np.ndarray
    length: float

    @property
    def rise(self) -> np.ndarray:
        return self.values[_at(0.5)] - self.values[_at(-0.5)]


def _at(t: float) -> int:
    return int(np.abs(AXIS - t).argmin())


def turn(pair: Pair, z: np.ndarray, axis: np.ndarray, attribute: Callable, eye: Classifier) -> Turn:
    """z (samples, d), each moved along its axis."""
    frames = [pair.images(z + t * axis) for t in AXIS]
    digits = np.stack([eye.probabilities(images).argmax(axis=1) for images in frames])
    return Turn(
        np.stack([attribute(images) for images in frames]),
        (digits == digits[_at(0)]).mean(axis=1),
        float(np.linalg.norm(axis, axis=1).mean()),
    )


def compare_turns(name: str, found: dict[str, Turn], between: float) -> list[Comparison]:
    """The claims about Figure 8; ``between``: the attribute's difference, high less low concept."""
    few, _, random = found.values()
    source = f"{PAPER}, Figure 8"
    rise, rise_error = mean_and_error(few.rise / between)
    by_chance, chance_error = mean_and_error(random.rise / between)
    kept = float(few.kept[[_at(-0.5), _at(0.5)]].mean())
    return [
        Comparison(
            what=f"{name}: rise along the axis of {TURN} a side, of the concepts' difference",
            measured=rise, error=rise_error, expected=1.0, source=source, low=0.5,
        ),
        Comparison(
            what=f"{name}: the same along a random axis",
            measured=by_chance, error=chance_error,
            expected=0.0, source="control", low=-0.25, high=0.25,
        ),
        Comparison(
            what=f"{name}: share that keeps its digit at -1/2 and 1/2",
            measured=kept, error=share_se(kept, few.values.shape[1]),
            expected=1.0, source=source, low=2 / 3,
        ),
    ]  # fmt: skip


def turn_rows(name: str, found: dict[str, Turn], between: float) -> list[dict[str, Any]]:
    """One row for each axis."""
    return [
        {
            "attribute": name,
            "axis": kind,
            "length": t.length,
            **{f"at {AXIS[i]:g}": float(t.values[i].mean()) for i in range(0, len(AXIS), 2)},
            "rise, of the concepts' difference": float(t.rise.mean() / between),
            "digit kept at ±1/2, %": 100 * float(t.kept[[_at(-0.5), _at(0.5)]].mean()),
            "at ±1, %": 100 * float(t.kept[[0, -1]].mean()),
        }
        for kind, t in found.items()
    ]


# Figures ------------------------------------------------------------------------------------


def draw_axis(pair: Pair, z: np.ndarray, found: list[np.ndarray]) -> Image.Image:
    """Five samples along each kind of axis."""
    frames = [np.stack([pair.images(z[:5] + t * axis[:5]) for t in AXIS], axis=1) for axis in found]
    rows = np.concatenate(frames)
    return plots.grid(rows.reshape(-1, *rows.shape[2:]), len(AXIS), low=0)


def draw_turns(curves: dict[str, dict[str, Turn]]) -> Image.Image:
    """Above the attribute, below the digits, a column for each attribute."""
    figure, found = panels(10, 6, rows=2, columns=len(curves))
    for column, (name, turns) in enumerate(curves.items()):
        above, below = found[column], found[column + len(curves)]
        for (kind, t), colour in zip(turns.items(), SECTIONS):
            mean = t.values.mean(axis=1)
            error = t.values.std(axis=1, ddof=1) / math.sqrt(t.values.shape[1])
            above.plot(AXIS, mean, color=colour, linewidth=2, label=kind.split(" ")[0])
            above.fill_between(AXIS, mean - 2 * error, mean + 2 * error, color=colour, alpha=0.2)
            below.plot(AXIS, 100 * t.kept, color=colour, linewidth=2)
        above.set_title(name, fontsize=11, loc="left")
        above.set(ylabel="mean of the attribute")
        below.set(xlabel="along the axis", ylabel="digit kept, %", ylim=(0, 103))
    labels = [f"axis: {kind}" for kind in next(iter(curves.values()))]
    labels[1] = "axis: all exemplars"
    handles, _ = found[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return picture(figure)
