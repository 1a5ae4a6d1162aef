"""Does one digit take over late in training?  The MLP GAN on MNIST, watched over many epochs.

At the game's equilibrium p_g = p_data (Goodfellow et al. 2014, section 4.1): samples show every
digit as often as the data do, each with a tenth, and the entropy of the ten shares is near log 10.
Training stops at no equilibrium, and G may find it easier to draw a few digits well than all of
them ("mode collapse", which the paper's section 6 calls the Helvetica scenario).  So the shares
are followed: every few epochs the project's classifier names the digits in samples of the same
noise.  Two parts of the training are compared, from the second tenth on, because G learns to draw
at all in the first::

    early   the second tenth of what was measured        late   its last tenth

The rule, written before the long runs: *a digit takes over* in a run if late more than a fifth of
the samples show it, twice its due, and its share has grown since the early part.

The classifier has learnt clean digits, and an MLP's samples are speckled: of speckle it says "8",
and says so surely.  A median over 3 x 3 pixels takes the speckle away and leaves the strokes, so
the samples are looked at through one.  How well that works is measured on real test images with
speckle put on them; and two other eyes look at the same samples, the classifier without the median
and the label of the nearest training image, which has its own mistakes.
"""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan import data, plots, recipes
from minigan.data import Dataset
from minigan.errors import MiniganError
from minigan.evaluate import classifier, features
from minigan.files import explained, write_atomically
from minigan.reproduce.by_step import read_by_step
from minigan.reproduce.drawing import panels, picture
from minigan.reproduce.result import Comparison, Outcome, Picture, Task, mean_and_error, rounded
from minigan.reproduce.samples import drawn
from minigan.reproduce.speckle import eye_test, eyes, median
from minigan.reproduce.table1 import some
from minigan.reproduce.training import Training, train_all
from minigan.train import checkpoint as checkpoints
from minigan.train.record import Run

DIGITS = 10
TAKEN = 0.2  # of the samples: more is too much for one digit
LEAST_ENTROPY = 2.2  # nats; log 10 = 2.303 is the most
RISE = 0.05  # of the largest share, early to late: half of what a digit is due
RECORD = "digits.json"  # in the folder of a run
NOISE = 0xD161  # of the seed of the noise that is the same after every turn


@dataclass(frozen=True)
class Plan:
    """Runs, turns of each, steps a turn, samples after each turn; at the end so many are looked up
    among so many training images, and so many test images."""

    seeds: int
    turns: int
    steps: int
    samples: int
    looked_up: int
    among: int


EPOCH = 937  # steps: 60,000 images, 64 a batch
FULL = Plan(seeds=3, turns=20, steps=2 * EPOCH, samples=10_000, looked_up=2000, among=20_000)
QUICK = Plan(seeds=2, turns=4, steps=125, samples=1000, looked_up=200, among=2000)


def wanted(seed: int, plan: Plan) -> Training:
    """The recipe ``gan`` on MNIST."""
    recipe = recipes.override(recipes.get("gan"), {"data": "mnist"})
    return Training(f"gan-mnist-seed{seed}", recipe, seed, plan.turns * plan.steps)


# While it trains ----------------------------------------------------------------------------


def count_digits(run: Run, samples: int) -> None:
    """Note in the run's ``digits.json`` how many samples of its last checkpoint show each digit.

    {step: {"median": ClassHistogram, "plain": ClassHistogram}}: as the classifier sees them through
    the median, and as they are.  Called twice after the same step, it writes the same again.
    """
    step, images, eye = max(run.checkpoints()), draw(run, samples), classifier.load()
    found = {
        "median": asdict(features.class_histogram(eye.probabilities(median(images)))),
        "plain": asdict(features.class_histogram(eye.probabilities(images))),
    }
    known = {**read_record(run), step: found}
    text = json.dumps({str(key): known[key] for key in sorted(known)})
    write_atomically(run.folder / RECORD, f"{text}\n".encode())


def draw(run: Run, samples: int) -> np.ndarray:
    """Images (samples, 1, 28, 28) in [0, 1] of the run's last checkpoint, always of the same z."""
    _, path = max(run.checkpoints().items())
    return drawn(path, samples, (run.read_config().seed, NOISE))


def read_record(run: Run) -> dict[int, dict[str, Any]]:
    """What ``count_digits`` wrote.

    Raises MiniganError, one line, if the file is damaged.
    """
    return read_by_step(run.folder / RECORD, _counts_digits, "counts of ten digits")


def _counts_digits(entry: dict[str, Any]) -> bool:
    seen = [entry[eye] for eye in ("median", "plain")]
    return all(len(s["counts"]) == DIGITS and sum(s["counts"]) == s["samples"] for s in seen)


# What is measured ---------------------------------------------------------------------------


@dataclass(frozen=True)
class History:
    """The digits of one run.

    * ``steps``: at which they were counted, (T,).
    * ``shares``: of the ten digits, through the median, (T, 10), each row adding up to 1.
    * ``plain``: the same without it.
    * ``unsure``: share of samples of which the classifier is unsure, through the median, (T,).
    """

    seed: int
    steps: np.ndarray
    shares: np.ndarray
    plain: np.ndarray
    unsure: np.ndarray

    @property
    def entropy(self) -> np.ndarray:
        """Of each row of shares, nats, (T,)."""
        return entropy(self.shares)

    @property
    def early(self) -> slice:
        """The rows of the second tenth: at least one."""
        n = _tenth(len(self.steps))
        return slice(n, 2 * n)

    @property
    def late(self) -> slice:
        """The rows of the last tenth."""
        return slice(len(self.steps) - _tenth(len(self.steps)), None)

    def numbers(self) -> dict[str, Any]:
        """One row of the table."""
        early, late = self.shares[self.early].mean(axis=0), self.shares[self.late].mean(axis=0)
        digit = int(late.argmax())
        return {
            "seed": self.seed,
            "largest share early": float(early.max()),
            "digit early": int(early.argmax()),
            "largest share late": float(late[digit]),
            "digit late": digit,
            "that digit early": float(early[digit]),
            "smallest share late": float(late.min()),
            "entropy early": float(self.entropy[self.early].mean()),
            "entropy late": float(self.entropy[self.late].mean()),
            "largest share from early on": float(self.shares[self.early.start :].max()),
            "unsure late": float(self.unsure[self.late].mean()),
            "one digit": fate(early, late),
        }


TAKES_OVER, HAD_IT, NO = "takes over", "has too much from early on", "has not too much late"


def fate(early: np.ndarray, late: np.ndarray) -> str:
    """The rule of this module, for shares (10,).

    >>> even, skewed = np.full(10, 0.1), np.array([0.3] + 6 * [0.1] + 2 * [0.05] + [0.0])
    >>> fate(even, skewed), fate(skewed, skewed), fate(skewed, even)
    ('takes over', 'has too much from early on', 'has not too much late')
    """
    digit = late.argmax()
    if late[digit] <= TAKEN:
        return NO
    return TAKES_OVER if late[digit] > early[digit] else HAD_IT


def entropy(shares: np.ndarray) -> np.ndarray:
    """-sum p ln p over the last axis, in nats; 0 ln 0 is 0.

    >>> float(entropy(np.array([0.5, 0.5, 0.0])).round(4))
    0.6931
    """
    return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=-1)


def _tenth(turns: int) -> int:
    return max(1, round(turns / 10))


def history(run: Run, training: Training, plan: Plan) -> History:
    """What was noted after each of the run's turns; MiniganError if a turn is missing."""
    found = read_record(run)
    steps = [plan.steps * (turn + 1) for turn in range(plan.turns)]
    missing = [step for step in steps if step not in found]
    if missing:
        raise MiniganError(
            f"{run.folder / RECORD} has nothing about step {missing[0]}: remove {run.folder}, or "
            "name another folder with --runs"
        )
    shares, plain = (
        np.array([np.array(found[step][eye]["counts"]) / found[step][eye]["samples"]
                  for step in steps])
        for eye in ("median", "plain")
    )  # fmt: skip
    unsure = np.array([found[step]["median"]["unsure"] for step in steps])
    return History(training.seed, np.array(steps), shares, plain, unsure)


def other_eyes(run: Run, h: History, train: Dataset, plan: Plan) -> dict[str, Any]:
    """A row for each run: the largest share after its last step, in the opinion of each eye."""
    row: dict[str, Any] = {"seed": h.seed, "samples": plan.looked_up}
    for name, digits in eyes(draw(run, plan.looked_up), train, plan.among).items():
        shares = np.bincount(digits, minlength=DIGITS) / len(digits)
        row |= {
            f"largest share, {name}": float(shares.max()),
            f"digit, {name}": int(shares.argmax()),
            f"entropy, {name}": float(entropy(shares)),
        }
    return row


def hours(run: Run) -> float:
    """Spent on training it, all sittings together."""
    _, last = max(run.checkpoints().items())
    return round(checkpoints.read(last).seconds / 3600, 2)


# The reproduction ---------------------------------------------------------------------------


def reproduce(task: Task) -> Outcome:
    """Train, count, and judge by the rule."""
    plan = QUICK if task.quick else FULL
    train = data.load("mnist", data_dir=task.data_dir)  # before the work, not after
    test = some(data.load("mnist", split="test", data_dir=task.data_dir), plan.looked_up)
    real = np.bincount(train.labels, minlength=DIGITS) / len(train)
    trainings = [wanted(seed, plan) for seed in range(task.seed, task.seed + plan.seeds)]
    runs = train_all(
        task, trainings, every=plan.steps,
        after=functools.partial(count_digits, samples=plan.samples),
    )  # fmt: skip
    histories = [history(run, training, plan) for run, training in zip(runs, trainings)]
    others = [other_eyes(run, h, train, plan) for run, h in zip(runs, histories)]
    rows = [{**h.numbers(), "hours": hours(run)} for run, h in zip(runs, histories)]
    epochs = plan.turns * plan.steps / EPOCH
    tenth = _tenth(plan.turns)
    return Outcome(
        settings={
            "networks": "recipe gan: an MLP with batch normalisation in G, Adam, 64 images a step",
            "seeds": [h.seed for h in histories],
            "epochs": epochs,
            "measured every": f"{plan.steps} steps, {plan.steps / EPOCH:.2g} epochs",
            "samples each time": plan.samples,
            "early": f"the mean of measurements {tenth + 1} to {2 * tenth} of {plan.turns}",
            "late": f"the mean of the last {tenth}",
            "eyes": "median: the classifier, through a median over 3 x 3 pixels; plain: without; "
            f"nearest: the label of the nearest of {min(plan.among, len(train))} training images",
        },
        measured={
            "answer": answer(rows, epochs),
            "runs": rows,
            "shares": [
                {"digit": digit, "data": float(real[digit]),
                 **{f"seed {h.seed}, early": float(h.shares[h.early, digit].mean())
                    for h in histories},
                 **{f"seed {h.seed}, late": float(h.shares[h.late, digit].mean())
                    for h in histories}}
                for digit in range(DIGITS)
            ],
            "three eyes after the last step": others,
            "eye test: the share of real images named rightly": eye_test(
                test, train, plan.among, task.seed
            ),
            "curves": {
                "epoch": (histories[0].steps / EPOCH).tolist(),
                **{f"seed {h.seed}, entropy": rounded(h.entropy, 5) for h in histories},
                **{f"seed {h.seed}, unsure": rounded(h.unsure, 5) for h in histories},
                **{f"seed {h.seed}, largest share, plain": rounded(h.plain.max(axis=1), 5)
                   for h in histories},
                **{f"seed {h.seed}, digit {digit}": rounded(h.shares[:, digit], 5)
                   for h in histories for digit in range(DIGITS)},
            },
        },
        comparisons=compare(rows, others, real),
        pictures=[
            Picture(
                "collapse-shares.png",
                "Shares of the digits in samples, by the classifier through the median, a panel a "
                "seed. On the right their shares in the training data.",
                draw_shares(histories, real),
            ),
            Picture(
                "collapse-measures.png",
                "Above, the share of the most frequent digit at that time; below, the entropy of "
                "the ten shares; faint: without the median. Dotted: the data; dashed: the limits "
                "of the rule.",
                draw_measures(histories, real),
            ),
            Picture(
                "collapse-samples.png",
                "The same 64 z, not picked: above after the first measured epochs, below at the "
                "end.",
                draw_samples(runs, histories),
            ),
        ],
        notes=[
            "No number is published: expected is p_g = p_data, and the ranges say what counts as "
            "one digit taking over.",
            "The ± of a comparison is the standard error over the runs. Within a run the shares "
            f"of {plan.samples} samples have one of at most {100 * 0.5 / plan.samples**0.5:.2g} % "
            "each time; the noise z is the same each time, so what moves is G.",
            "A sample counts for the digit that the classifier finds most probable, also where it "
            "is unsure (a probability below 0.9) because the sample is no digit.",
            "What happens within these epochs says nothing about many more of them.",
        ],
    )  # fmt: skip


def answer(rows: list[dict[str, Any]], epochs: float) -> str:
    """The question of the title, answered by the rule."""
    seeds = {
        what: [str(row["seed"]) for row in rows if row["one digit"] == what]
        for what in (TAKES_OVER, HAD_IT)
    }
    text = f"within {epochs:.3g} epochs a digit takes over in {len(seeds[TAKES_OVER])} of "
    text += f"{len(rows)} runs"
    if seeds[TAKES_OVER]:
        text += f" (seed {', '.join(seeds[TAKES_OVER])})"
    if seeds[HAD_IT]:
        text += f"; one {HAD_IT} with seed {', '.join(seeds[HAD_IT])}"
    return text


def compare(
    rows: list[dict[str, Any]], others: list[dict[str, Any]], real: np.ndarray
) -> list[Comparison]:
    """The largest share late against the data and against early, and the entropy."""
    late, late_error = mean_and_error([row["largest share late"] for row in rows])
    low, low_error = mean_and_error([row["entropy late"] for row in rows])
    rise, rise_error = mean_and_error(
        [row["largest share late"] - row["largest share early"] for row in rows]
    )
    nearest, nearest_error = mean_and_error([row["largest share, nearest"] for row in others])
    equilibrium = "the training data, p_g = p_data"
    return [
        Comparison(
            what="largest share of one digit, late, mean of the runs",
            measured=late, error=late_error, expected=float(real.max()), source=equilibrium,
            high=TAKEN,
        ),
        Comparison(
            what="entropy of the shares, late, mean of the runs, nats",
            measured=low, error=low_error, expected=float(entropy(real)), source=equilibrium,
            low=LEAST_ENTROPY,
        ),
        Comparison(
            what="largest share of one digit, late less early, mean of the runs",
            measured=rise, error=rise_error, expected=0.0, source="no trend", high=RISE,
        ),
        Comparison(
            what=f"runs in which a digit takes over, of {len(rows)}",
            measured=sum(row["one digit"] == TAKES_OVER for row in rows), expected=0,
            source=equilibrium, high=0,
        ),
        Comparison(
            what="largest share of one digit after the last step, by the nearest training image",
            measured=nearest, error=nearest_error, expected=float(real.max()), source=equilibrium,
            high=TAKEN,
        ),
    ]  # fmt: skip


# Figures ------------------------------------------------------------------------------------

COLOURS = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#e69f00",
    "#44aa99", "#332288",
)  # fmt: skip


def draw_shares(histories: list[History], real: np.ndarray) -> Image.Image:
    """A panel of stacked areas for each seed, with a bar of the data beside it."""
    figure, axes = panels(4.2 * len(histories), 4.6, columns=len(histories))
    for ax, h in zip(axes, histories):
        epochs = h.steps / EPOCH
        first, last = epochs[0], epochs[-1]
        ax.stackplot(epochs, h.shares.T, colors=COLOURS, edgecolor="white", linewidth=0.5)
        width = (last - first) / 12
        left = last + width / 2
        below = np.concatenate([[0], np.cumsum(real)[:-1]])
        ax.bar(
            np.full(DIGITS, left), real, width, below, align="edge", color=COLOURS,
            edgecolor="white", linewidth=0.5,
        )  # fmt: skip
        for digit in range(DIGITS):
            middle = below[digit] + real[digit] / 2
            ax.text(left + 1.3 * width, middle, str(digit), va="center", fontsize=10)
        ax.text(left + width / 2, 1.01, "data", ha="center", va="bottom", fontsize=9)
        ax.set(xlim=(first, left + 2.2 * width), ylim=(0, 1), xlabel="epoch")
        ax.set_xticks([tick for tick in ax.get_xticks() if first <= tick <= last])
        ax.set_title(f"seed {h.seed}", fontsize=11, loc="left")
        ax.grid(False)
    axes[0].set_ylabel("share of the samples")
    return picture(figure)


def draw_measures(histories: list[History], real: np.ndarray) -> Image.Image:
    """The largest share, and the entropy, over the epochs."""
    figure, (top, bottom) = panels(8, 6.4, rows=2)
    for h, colour in zip(histories, plots.SECTIONS):
        style = {"color": colour, "linewidth": 1.5, "marker": ".", "label": f"seed {h.seed}"}
        top.plot(h.steps / EPOCH, h.shares.max(axis=1), **style)
        bottom.plot(h.steps / EPOCH, h.entropy, **style)
        faint = {"color": colour, "linewidth": 1, "alpha": 0.4}
        top.plot(h.steps / EPOCH, h.plain.max(axis=1), **faint)
        bottom.plot(h.steps / EPOCH, entropy(h.plain), **faint)
    lines = [(top, real.max(), TAKEN), (bottom, entropy(real), LEAST_ENTROPY)]
    for ax, of_data, limit in lines:
        ax.axhline(of_data, color="#333333", linewidth=1.2, linestyle=(0, (1, 1.5)), label="data")
        ax.axhline(limit, color="#333333", linewidth=1, linestyle=(0, (5, 3)), label="limit")
        ax.set_xlim(0, None)
    top.set(ylabel="largest share of one digit")
    top.set_ylim(0, None)
    bottom.set(ylabel="entropy, nats", xlabel="epoch")
    figure.legend(
        *top.get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False
    )
    return picture(figure)


def draw_samples(runs: list[Run], histories: list[History]) -> Image.Image:
    """The grids that the trainer drew of each run at the end of the first and of the last turn."""
    figure, axes = panels(4 * len(runs), 8.6, rows=2, columns=len(runs))
    for column, (run, h) in enumerate(zip(runs, histories)):
        for row, step in enumerate((h.steps[0], h.steps[-1])):
            ax = axes[row * len(runs) + column]
            ax.imshow(_read(run.sample_path(step)), cmap="gray")
            ax.set_title(f"seed {h.seed}, epoch {step / EPOCH:.2g}", fontsize=11, loc="left")
            ax.set_axis_off()
    return picture(figure)


def _read(path: Path) -> np.ndarray:
    with explained("read", path), Image.open(path) as image:
        return np.asarray(image)
