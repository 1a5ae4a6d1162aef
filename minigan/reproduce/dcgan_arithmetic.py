"""Figures 7 and 8 of Radford et al. 2016: arithmetic on z, with attributes that can be measured.

The paper:   z(man with glasses) - z(man without glasses) + z(woman without glasses)
Here:        z(thick A) - z(thin A) + z(thin B)            should be a thick B, A and B two digits,

and the same for slanted right and left.  Each z(...) is the average over a few samples that show
the concept, which :mod:`minigan.reproduce.dcgan_concepts` finds.

So success can be counted, in hundreds of random trials: the result is a B, and its attribute is
nearer to the high B's mean than to the low B's.

Section 6.3.2 finds that "experiments working on only single samples per concept were unstable, but
averaging the Z vector for three exemplars showed consistent and stable generations".  One reason is
plain arithmetic: a sum of three independent z from N(0, I) is N(0, 3 I), longer than any z that G
has seen; of averages over three exemplars each it is N(0, I) again, and of averages over more it
is too short.  So every result is also tried at the length sqrt(d) of a typical z.

Figure 8, the turn vector, is in :mod:`minigan.reproduce.dcgan_turn`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minigan import plots
from minigan.evaluate import classifier
from minigan.evaluate.classifier import Classifier
from minigan.evaluate.features import share_se
from minigan.plots import SECTIONS
from minigan.reproduce.dcgan_attributes import ATTRIBUTES
from minigan.reproduce.dcgan_concepts import EXEMPLARS, SHARE, SURE, Concepts, find_concepts
from minigan.reproduce.dcgan_networks import PAPER, Pair, trained
from minigan.reproduce.dcgan_turn import (
    TURN,
    Turn,
    axes,
    compare_turns,
    draw_axis,
    draw_turns,
    turn,
    turn_rows,
)
from minigan.reproduce.drawing import panels, picture
from minigan.reproduce.result import Comparison, Outcome, Picture, Task, counted, mean_and_error

STREAM = 0xA217  # of all random choices here, apart from other streams of the seed

NOTHING, ARITHMETIC, RESCALED = "z(low B) alone", "arithmetic", "arithmetic, |z| = sqrt(d)"
RANDOM, IN_PIXELS = "z(low B) + random vector as long", "arithmetic on the pixels"


@dataclass(frozen=True)
class Plan:
    """How many samples the concepts are chosen from, how many trials, and how many random samples
    are moved along the axes."""

    pool: int = 10_000
    trials: int = 500
    moved: int = 300


FULL = Plan()
QUICK = Plan(pool=6000, trials=200, moved=100)


# Arithmetic ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Trials:
    """Random equations, n exemplars for each of their three concepts.

    ``B``: (trials,) digits; ``high_A``, ``low_A``, ``low_B``: row numbers (trials, n).
    """

    B: np.ndarray
    high_A: np.ndarray
    low_A: np.ndarray
    low_B: np.ndarray


def draw_trials(concepts: Concepts, trials: int, n: int, rng: np.random.Generator) -> Trials:
    """Two different digits for each trial, and exemplars without repetition."""
    pairs = [rng.choice(concepts.digits, 2, replace=False) for _ in range(trials)]

    def exemplars(group: dict[int, np.ndarray], which: int) -> np.ndarray:
        return np.stack([rng.choice(group[p[which]], n, replace=False) for p in pairs])

    return Trials(
        np.array([b for _, b in pairs]),
        exemplars(concepts.high, 0), exemplars(concepts.low, 0), exemplars(concepts.low, 1),
    )  # fmt: skip


def results(concepts: Concepts, t: Trials, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The z of each way to answer the equations: name -> (trials, d)."""
    high_A, low_A, low_B = (concepts.z[rows].mean(axis=1) for rows in (t.high_A, t.low_A, t.low_B))
    change = high_A - low_A
    length = np.linalg.norm(change, axis=1, keepdims=True)
    random = rng.standard_normal(change.shape)
    random *= length / np.linalg.norm(random, axis=1, keepdims=True)
    z = low_B + change
    typical = math.sqrt(z.shape[1])
    return {
        NOTHING: low_B,
        RANDOM: low_B + random,
        ARITHMETIC: z,
        RESCALED: z * typical / np.linalg.norm(z, axis=1, keepdims=True),
    }


def on_pixels(concepts: Concepts, t: Trials) -> np.ndarray:
    """The same equations on the images themselves, cut to [0, 1]: (trials, 1, H, W)."""
    high_A, low_A, low_B = (
        concepts.images[rows].mean(axis=1) for rows in (t.high_A, t.low_A, t.low_B)
    )
    return np.clip(high_A - low_A + low_B, 0, 1)


@dataclass(frozen=True, eq=False)
class Judgement:
    """Of each trial: is it still a B, and has the attribute moved.  bool (trials,)"""

    kept: np.ndarray
    moved: np.ndarray

    @property
    def success(self) -> np.ndarray:
        return self.kept & self.moved


def judge(
    images: np.ndarray, B: np.ndarray, concepts: Concepts, attribute: Callable, eye: Classifier
) -> Judgement:
    """Images (trials, 1, H, W) as answers to equations about the digits B."""
    middle = (concepts.low_mean + concepts.high_mean)[B] / 2
    return Judgement(
        eye.probabilities(images).argmax(axis=1) == B,
        attribute(images) > middle,
    )


Judged = dict[tuple[int, str], Judgement]


def count(
    pair: Pair,
    concepts: Concepts,
    attribute: Callable,
    eye: Classifier,
    plan: Plan,
    rng: np.random.Generator,
) -> tuple[Judged, list[dict[str, Any]], dict[int, Trials]]:
    """All ways with 1, 3 and 10 exemplars: judgements, rows of the table, the trials."""
    judged, rows, drawn = {}, [], {}
    for n in EXEMPLARS:
        t = drawn[n] = draw_trials(concepts, plan.trials, n, rng)
        answers = {name: (z, pair.images(z)) for name, z in results(concepts, t, rng).items()}
        answers[IN_PIXELS] = None, on_pixels(concepts, t)
        for name, (z, images) in answers.items():
            found = judged[n, name] = judge(images, t.B, concepts, attribute, eye)
            success = float(found.success.mean())
            rows.append({
                "exemplars": n,
                "way": name,
                "mean |z|": None if z is None else float(np.linalg.norm(z, axis=1).mean()),
                "digit kept, %": 100 * float(found.kept.mean()),
                "attribute moved, %": 100 * float(found.moved.mean()),
                "both, %": 100 * success,
                "±": 100 * share_se(success, len(t.B)),
            })  # fmt: skip
    return judged, rows, drawn


# The reproduction ---------------------------------------------------------------------------


def reproduce(task: Task) -> Outcome:
    """Both attributes: the equations, counted, and the axes."""
    plan = QUICK if task.quick else FULL
    pair, eye = trained(task, "mnist"), classifier.load()
    done = task.progress(range(2 + 2 * len(ATTRIBUTES)), unit="part")
    next(done)
    rng = np.random.default_rng((task.seed, STREAM))
    z = rng.standard_normal((plan.pool, pair.recipe.latent_dim))
    images = pair.images(z)
    probabilities = eye.probabilities(images)
    next(done)

    tables, turns, comparisons, shown, pictures = {}, [], [], {}, []
    curves: dict[str, dict[str, Turn]] = {}
    for name, attribute in ATTRIBUTES.items():
        concepts = find_concepts(z, images, probabilities, attribute(images))
        judged, tables[name], drawn = count(pair, concepts, attribute, eye, plan, rng)
        comparisons += compare(name, judged)
        shown[name] = draw_equations(pair, concepts, drawn[3])
        next(done)

        samples = rng.standard_normal((plan.moved, z.shape[1]))
        found = axes(concepts, plan.moved, rng)
        curves[name] = {
            kind: turn(pair, samples, axis, attribute, eye) for kind, axis in found.items()
        }
        between = float((concepts.high_mean - concepts.low_mean)[concepts.digits].mean())
        comparisons += compare_turns(name, curves[name], between)
        turns += turn_rows(name, curves[name], between)
        pictures.append(
            Picture(
                f"dcgan-arithmetic-{name}-axis.png",
                f"Random samples (in the middle column) moved along an axis of {name}, from -1 to "
                f"1; each of the upper five has an axis of its own, of {TURN} exemplars a side, "
                "the lower five have that of all.",
                draw_axis(pair, samples, list(found.values())[:2]),
            )
        )
        next(done)
    next(done, None)  # the bar ends
    return Outcome(
        settings={
            **pair.settings(),
            "pool": f"{plan.pool:,} samples; exemplars are those with a top probability of at "
            f"least {SURE:g}",
            "concepts": f"the lowest and the highest {100 * SHARE:g} % of each digit",
            "trials": f"{plan.trials} for each number of exemplars, A and B two digits at random",
            "moved along an axis": f"{plan.moved} samples",
        },
        measured={**tables, "axes": turns},
        comparisons=comparisons,
        pictures=[
            *(
                Picture(
                    f"dcgan-arithmetic-{name}.png",
                    f"{title}: the first six equations with three exemplars a concept. Of each "
                    "concept: three samples, and G of their average z; then the result, and "
                    "beside it the same arithmetic on the pixels.",
                    shown[name],
                )
                for name, title in (
                    ("thickness", "Thick A - thin A + thin B"),
                    ("slant", "Right-leaning A - left-leaning A + left-leaning B"),
                )
            ),
            *pictures,
            Picture(
                "dcgan-arithmetic-success.png",
                "How often the result is a B and its attribute has moved; the bars are standard "
                "errors.",
                draw_success(tables),
            ),
            Picture(
                "dcgan-arithmetic-turn.png",
                "The attribute's mean along the axes, and the share of samples that are still the "
                "digit that they were.",
                draw_turns(curves),
            ),
        ],
        notes=[
            "The paper's concepts are faces, chosen by eye, and it shows examples; digits have no "
            "glasses, so here are two attributes that can be measured, and counts.",
            "Success: the classifier's digit is B, and the attribute lies above the middle between "
            "the means of B's low and high samples. What z(low B) alone gets, and what any other "
            "change of the same length brings, are the first two ways of the tables.",
            "The length of z tells the ways apart: with one exemplar a concept the sum has sqrt(3) "
            "times the length of a typical z, with three just that length, with ten half of it. "
            "What is left of the difference between one and three after all are brought to the "
            "same length is the averaging itself.",
            "Rules, fixed before the numbers were seen: with three exemplars more often right than "
            "not, by 20 points more often than with a random vector as long, and by 5 points more "
            "often than with one exemplar; an axis moves the attribute by at least half of the "
            "difference between the concepts, and twice as many samples keep their digit as "
            "change it.",
        ],
    )


def compare(name: str, judged: Judged) -> list[Comparison]:
    """The claims about Figure 7."""
    text = f"{PAPER}, section 6.3.2"
    three = judged[3, ARITHMETIC].success
    return [
        Comparison(
            what=f"{name}: success with three exemplars",
            measured=float(three.mean()), error=share_se(float(three.mean()), len(three)),
            expected=None, source=text, low=0.5,
        ),
        Comparison(
            what=f"{name}: the same, less with a random vector as long",
            **_difference(three, judged[3, RANDOM].success, paired=True),
            expected=None, source=text, low=0.2,
        ),
        Comparison(
            what=f"{name}: success with three exemplars, less with one",
            **_difference(three, judged[1, ARITHMETIC].success),
            expected=None, source=f"{text}: single samples are unstable", low=0.05,
        ),
        Comparison(
            what=f"{name}: the same, all at the length of a typical z",
            **_difference(judged[3, RESCALED].success, judged[1, RESCALED].success),
            expected=None, source="control",
        ),
    ]  # fmt: skip


def _difference(a: np.ndarray, b: np.ndarray, paired: bool = False) -> dict[str, float]:
    """Of two shares, with its standard error: from the same trials, or from independent ones."""
    if paired:
        mean, error = mean_and_error(a.astype(float) - b)
        return {"measured": mean, "error": error}
    p, q = float(a.mean()), float(b.mean())
    return {"measured": p - q, "error": math.hypot(share_se(p, len(a)), share_se(q, len(b)))}


# Figures ------------------------------------------------------------------------------------


def draw_equations(pair: Pair, concepts: Concepts, t: Trials, rows: int = 6) -> Image.Image:
    """Rows of three exemplars and their average, three times, the result, and that on pixels."""
    parts = []
    for chosen in (t.high_A, t.low_A, t.low_B):
        average = pair.images(concepts.z[chosen[:rows]].mean(axis=1))
        parts.append(np.concatenate([concepts.images[chosen[:rows]], average[:, None]], axis=1))
    result = results(concepts, t, np.random.default_rng(0))[ARITHMETIC][:rows]
    parts += [pair.images(result)[:, None], on_pixels(concepts, t)[:rows, None]]
    sheets = [plots.grid(np.concatenate(part), part.shape[1], low=0) for part in parts]
    gap = 26
    width = sum(sheet.width for sheet in sheets) + gap * (len(sheets) - 1)
    drawn = Image.new("L", (width, sheets[0].height), "white")
    pen, x = ImageDraw.Draw(drawn), 0
    for sheet, sign in zip(sheets, ["-", "+", "=", "", ""]):
        drawn.paste(sheet, (x, 0))
        x += sheet.width
        for row in range(rows):
            at = (x + gap / 2, (row + 0.5) * sheet.height / rows)
            pen.text(at, sign, fill="black", font=ImageFont.load_default(20), anchor="mm")
        x += gap
    return drawn


def draw_success(tables: dict[str, list[dict[str, Any]]]) -> Image.Image:
    """A panel for each attribute: groups of bars by the number of exemplars."""
    figure, found = panels(11, 4, columns=len(tables))
    for ax, (name, rows) in zip(found, tables.items()):
        ways = list(dict.fromkeys(row["way"] for row in rows))
        for i, (way, colour) in enumerate(zip(ways, SECTIONS)):
            mine = [row for row in rows if row["way"] == way]
            at = np.arange(len(mine)) + (i - (len(ways) - 1) / 2) * 0.16
            heights = [row["both, %"] for row in mine]
            errors = [row["±"] for row in mine]
            ax.bar(at, heights, 0.15, color=colour, label=way, yerr=errors,
                   error_kw={"linewidth": 0.8})  # fmt: skip
        ax.set_xticks(range(len(EXEMPLARS)), [counted(n, "exemplar") for n in EXEMPLARS])
        ax.grid(visible=False, axis="x")
        ax.set(ylim=(0, 100), ylabel="success, %")
        ax.set_title(name, fontsize=11, loc="left")
    handles, labels = found[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return picture(figure)
