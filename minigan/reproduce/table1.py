"""Table 1 of Goodfellow et al. 2014: the Parzen-window log-likelihood of MNIST's test images.

The paper's networks are trained by the released code's protocol, from several seeds and with both
orders of the updates: D and G together from one minibatch (the released code) and in turn
(Algorithm 1 of the paper, k = 1).  The released code keeps a copy of the networks every epoch and
watches a Parzen estimate on validation images; when it was stopped is not said.  So here: every few
epochs the estimate is taken on 1,000 validation images, the networks for which it was highest are
those that are tested, and a run ends when it has not risen for long.

A single number says little, and this one less than most: the estimate ranks ten Gaussians above the
paper's GAN, and real images lower than their k-means centres (Theis et al. 2016 advise against it).
So its yardsticks stand beside it, computed here, and what a classifier sees in the same samples.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from minigan import data, plots, recipes
from minigan.data import Dataset
from minigan.evaluate import classifier, features, parzen, precision_recall, yardsticks
from minigan.evaluate.parzen import flat
from minigan.evaluate.report import shuffled
from minigan.files import write_atomically
from minigan.reproduce.by_step import read_by_step
from minigan.reproduce.drawing import panels, picture
from minigan.reproduce.result import Comparison, Outcome, Picture, Task, counted, mean_and_error
from minigan.reproduce.samples import columns, drawn
from minigan.reproduce.training import Training, train_all
from minigan.train import checkpoint as checkpoints
from minigan.train.record import Run

ORDERS = ("simultaneous", "alternate")  # of the updates, see minigan.train.step
STEPS_PER_EPOCH = 500  # 50,000 images, 100 a batch
PUBLISHED = {  # nats and standard error, Table 1
    "DBN": (138, 2),
    "stacked CAE": (121, 1.6),
    "deep GSN": (214, 1.1),
    "adversarial nets": (225, 2),
}
# The choice of sigma alone moves an estimate by more than this many nats.
TOLERANCE = 10
SHOWN = 50  # samples of each run in the picture


@dataclass(frozen=True)
class Plan:
    """Seeds of each order, epochs of each run at most, epochs between two validations and without
    a better one until the end; samples of each estimate, and images of each part of MNIST that it
    is made with."""

    seeds: int
    epochs: int
    every: int
    patience: int
    samples: int
    images: int


FULL = Plan(seeds=3, epochs=250, every=5, patience=50, samples=10_000, images=50_000)
QUICK = Plan(seeds=1, epochs=1, every=1, patience=1, samples=1000, images=1000)


def wanted(order: str, seed: int, epochs: int) -> Training:
    """The training of the paper's networks in that order of updates."""
    recipe = dataclasses.replace(recipes.get("gan-paper"), updates=order)
    return Training(f"gan-paper-{order}-seed{seed}", recipe, seed, epochs * STEPS_PER_EPOCH)


def train_and_validate(task: Task, trainings: list[Training], plan: Plan) -> list[Run]:
    """The runs, finished, each with its ``chosen.npz``: hours, unless they are there already."""
    after = functools.partial(
        follow, samples=plan.samples, patience=plan.patience, data_dir=task.data_dir
    )
    return train_all(task, trainings, every=plan.every * STEPS_PER_EPOCH, after=after)


# While it trains -----------------------------------------------------------------------------


def follow(run: Run, samples: int, patience: int, data_dir: str | None) -> bool:
    """Take the validation estimate of the newest checkpoint; keep a copy of the best so far.

    True if no estimate of the last ``patience`` epochs was better than one before.

    It is written to ``validation.json`` in the run's folder, {step: [nats, sigma]}; the copy is
    ``chosen.npz``.
    """
    (step, path) = max(run.checkpoints().items())
    taken = read_validation(run)
    images = flat(drawn(path, samples))
    valid = flat(data.load("mnist", split="valid", data_dir=data_dir).x[: parzen.VALID])
    sigma, _ = parzen.choose_sigma(valid, images)
    estimate = float(parzen.log_likelihood(valid, images, sigma).mean())
    if all(estimate > before for s, (before, _) in taken.items() if s != step):
        write_atomically(run.folder / "chosen.npz", path.read_bytes())
    taken[step] = (estimate, sigma)
    text = json.dumps({str(s): values for s, values in sorted(taken.items())})
    write_atomically(run.folder / "validation.json", f"{text}\n".encode())
    best = max(taken, key=lambda s: taken[s][0])
    return step - best >= patience * STEPS_PER_EPOCH


def read_validation(run: Run) -> dict[int, tuple[float, float]]:
    """What ``follow`` wrote: {step: (nats, sigma)}; MiniganError if the file is damaged."""
    found = read_by_step(run.folder / "validation.json", _is_estimate, "estimate and sigma")
    return {step: tuple(values) for step, values in found.items()}


def _is_estimate(entry: Any) -> bool:
    nats, sigma = entry
    return isinstance(nats, float) and isinstance(sigma, float)


# When it is trained --------------------------------------------------------------------------


@dataclass(frozen=True)
class Material:
    """MNIST in the paper's three parts, and how the classifier sees it."""

    train: Dataset
    valid: Dataset
    test: Dataset
    classifier: classifier.Classifier

    @functools.cached_property
    def train_features(self) -> np.ndarray:
        return self.classifier.features(shuffled(self.train.x))

    @functools.cached_property
    def test_features(self) -> np.ndarray:
        return self.classifier.features(shuffled(self.test.x))

    def estimate(self, samples: np.ndarray) -> parzen.ParzenResult:
        """A row of Table 1 for these samples (n, 784)."""
        return parzen.parzen(samples, flat(self.valid.x), flat(self.test.x))

    def seen_by_classifier(self, images: np.ndarray, seen: np.ndarray) -> dict[str, float]:
        """Numbers on images (n, 1, 28, 28) whose features are ``seen``."""
        histogram = features.class_histogram(self.classifier.probabilities(images))
        n = min(len(seen), len(self.train_features))
        spread = precision_recall.precision_recall(self.train_features[:n], seen[:n])
        far = features.classifier_distance(self.train_features, seen, self.test_features)
        return columns(histogram, spread, far)


def reproduce(task: Task) -> Outcome:
    """Train, test what the validation chose, and measure the yardsticks."""
    plan = QUICK if task.quick else FULL
    seeds = range(task.seed, task.seed + plan.seeds)
    trainings = {(order, seed): wanted(order, seed, plan.epochs)
                 for seed in seeds for order in ORDERS}  # fmt: skip
    material = load_material(plan, task.data_dir)  # before hours of work, not after
    runs = train_and_validate(task, list(trainings.values()), plan)
    rows, samples, curves = [], {}, {}
    for (order, seed), run in zip(trainings, runs):
        row, images = judge(run, material, plan.samples)
        rows.append({"updates": order, "seed": seed, **row})
        samples[f"{order}, seed {seed}"] = images[:SHOWN]
        curves[f"{order}, seed {seed}"] = validation_curve(run)
    rows.append({"updates": "real test images", "seed": None, **real_row(material)})
    sticks = measure_yardsticks(material, plan.samples, task)
    return Outcome(
        settings={
            "networks and optimiser": recipes.get("gan-paper").source,
            "trained": f"at most {plan.epochs} epochs of {STEPS_PER_EPOCH} steps, and until the "
            f"validation estimate has not risen for {plan.patience}; each order of updates from "
            f"{counted(plan.seeds, 'seed')}",
            "validation estimate": f"on {min(parzen.VALID, plan.images)} images, every "
            f"{plan.every} epochs",
            "estimate": f"{plan.samples} samples, sigma chosen from "
            "10 values between 0.1 and 1 on the validation images, mean of "
            f"{len(material.test)} test images",
        },
        measured={
            "runs": rows,
            "yardsticks": sticks,
            "published": [{"model": name, "nats": nats, "standard error": se}
                          for name, (nats, se) in PUBLISHED.items()],
            **{f"validation, {name}": curve["nats"] for name, curve in curves.items()},
        },
        comparisons=compare(rows),
        pictures=[
            Picture(
                "table1-validation.png",
                "The validation estimate while the networks learn, and what yardsticks reach on "
                "the test images.",
                draw_validation(curves, sticks),
            ),
            Picture(
                "table1-samples.png",
                "Samples of the chosen networks, drawn at random. A panel that is nearly black is "
                "of a G that draws one image, a few white dots, whatever z.",
                draw_samples(samples),
            ),
        ],
        notes=[
            "The paper's ± 2 and the standard errors in the tables are over the test images only: "
            "what another training gives is seen from the seeds.",
            f"A range of ± {TOLERANCE} nats is accepted, because the choice of sigma alone moves "
            "an estimate by more than that.",
            "A higher estimate is not a better model: k-means centres and ten Gaussians are above "
            "the published value, and real images below the centres. The classifier's columns "
            "compare the same samples with real images in other ways.",
            "The learning rate is applied to the velocity here and to the gradient in the released "
            "code, and the momentum grows at every step instead of every epoch: both differ by "
            "less than 1 % of a step.",
        ],
    )  # fmt: skip


def load_material(plan: Plan, data_dir: str | None) -> Material:
    """The three parts, at most ``plan.images`` of each."""
    train, valid, test = (
        some(data.load("mnist", split=split, data_dir=data_dir), plan.images)
        for split in ("paper-train", "valid", "test")
    )
    return Material(train, valid, test, classifier.load())


def some(dataset: Dataset, n: int) -> Dataset:
    """At most n images, at random; all of them in their own order."""
    if len(dataset) <= n:
        return dataset
    chosen = np.random.default_rng(0).permutation(len(dataset))[:n]
    return dataclasses.replace(dataset, x=dataset.x[chosen], labels=dataset.labels[chosen])


def judge(run: Run, material: Material, n: int) -> tuple[dict[str, Any], np.ndarray]:
    """A row of the table, and the samples (n, 1, 28, 28) that it is about."""
    images = drawn(run.folder / "chosen.npz", n)
    result = material.estimate(flat(images))
    _, last = max(run.checkpoints().items())
    at_the_end = material.estimate(flat(drawn(last, n)))
    row = {
        "epoch chosen": checkpoints.read(run.folder / "chosen.npz").step // STEPS_PER_EPOCH,
        "of": checkpoints.read(last).step // STEPS_PER_EPOCH,
        "log-likelihood, nats": result.mean,
        "standard error": result.se,
        "sigma": result.sigma,
        "at the last epoch, nats": at_the_end.mean,
        **material.seen_by_classifier(images, material.classifier.features(images)),
        "hours": round(checkpoints.read(last).seconds / 3600, 2),
    }
    return row, images


def real_row(material: Material) -> dict[str, Any]:
    """The classifier's columns for images that nobody has learnt from."""
    seen = material.seen_by_classifier(material.test.x, material.test_features)
    floor = features.classifier_distance(material.train_features, material.test_features)
    nothing = dict.fromkeys(
        ["epoch chosen", "of", "log-likelihood, nats", "standard error", "sigma",
         "at the last epoch, nats"]
    )  # fmt: skip
    return {**nothing, **seen, "classifier distance": floor.value, "hours": None}


def validation_curve(run: Run) -> dict[str, list[float]]:
    """The epochs and what was measured after them."""
    taken = read_validation(run)
    return {
        "epochs": [step / STEPS_PER_EPOCH for step in taken],
        "nats": [nats for nats, _ in taken.values()],
    }


def measure_yardsticks(material: Material, n: int, task: Task) -> list[dict[str, Any]]:
    """The estimate for samples of which one knows what they are."""
    rows = []
    for name in task.progress(list(yardsticks.YARDSTICKS), unit="yardstick"):
        rng = np.random.default_rng(task.seed)
        images, labels = flat(material.train.x), material.train.labels
        result = material.estimate(yardsticks.YARDSTICKS[name](images, labels, n, rng))
        rows.append(
            {
                "yardstick": name,
                "log-likelihood, nats": result.mean,
                "standard error": result.se,
                "sigma": result.sigma,
                "samples": result.samples,
            }
        )
    return rows


def compare(rows: list[dict[str, Any]]) -> list[Comparison]:
    """Table 1's row for each order; the classifier's columns beside those of real images."""
    *trained, real = rows
    published, _ = PUBLISHED["adversarial nets"]
    table = {"expected": float(published), "source": "Goodfellow et al. 2014, Table 1"}
    table |= {"low": published - TOLERANCE, "high": published + TOLERANCE}
    comparisons = [of_order(trained, "log-likelihood, nats", order, table) for order in ORDERS]
    for column in ("entropy of classes, nats", "precision", "recall", "classifier distance"):
        truth = {"expected": real[column], "source": "real test images"}
        comparisons += [of_order(trained, column, order, truth) for order in ORDERS]
    return comparisons


def of_order(
    rows: list[dict[str, Any]], column: str, order: str, expected: dict[str, Any]
) -> Comparison:
    """A column's mean over the seeds of one order of updates, beside what is expected of it."""
    values = [row[column] for row in rows if row["updates"] == order]
    mean, error = mean_and_error(values)
    quantity, comma, unit = column.partition(", ")
    what = f"{quantity}, {order} updates, mean of {counted(len(values), 'seed')}{comma}{unit}"
    return Comparison(what=what, measured=mean, error=error, **expected)


# Figures ------------------------------------------------------------------------------------


def draw_validation(
    curves: dict[str, dict[str, list[float]]], sticks: list[dict[str, Any]]
) -> Image.Image:
    """Nats against epochs, a line a run, a colour an order."""
    figure, (ax,) = panels(9, 5)
    for name, curve in curves.items():
        order = name.partition(",")[0]
        colour = plots.SECTIONS[ORDERS.index(order)]
        label = f"{order} updates"
        first = label not in ax.get_legend_handles_labels()[1]
        ax.plot(
            curve["epochs"], curve["nats"], color=colour, linewidth=1.5, marker=".",
            label=label if first else None, clip_on=False,
        )  # fmt: skip
    last = max(curve["epochs"][-1] for curve in curves.values())
    heights = {row["yardstick"]: row["log-likelihood, nats"] for row in sticks}
    lines = [(PUBLISHED["adversarial nets"][0], "published: 225")]
    for name in ("real images", "ten Gaussians", "k-means centres", "one Gaussian"):
        lines.append((heights[name], f"{name}: {heights[name]:.0f}"))
    low = min(60, min(min(curve["nats"]) for curve in curves.values()) - 10)
    high = max(height for height, _ in lines) + 20
    leader = {"arrowstyle": "-", "color": "#777777", "relpos": (0, 0.5)}
    place = math.inf  # of the label above: the next keeps a line's distance
    for height, text in sorted(lines, reverse=True):
        ax.axhline(height, color="#777777", linewidth=1, linestyle=(0, (4, 3)))
        place = min(height, place - 0.045 * (high - low))
        ax.annotate(
            text, (last, height), (1.06 * last, place), va="center", fontsize=9, color="#333333",
            annotation_clip=False, arrowprops=leader,
        )  # fmt: skip
    ax.set(xlim=(0, last), ylim=(low, high), xlabel="epoch", ylabel="log-likelihood, nats")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, ncols=2)
    return picture(figure)


def draw_samples(samples: dict[str, np.ndarray]) -> Image.Image:
    """A grid a run, one row of panels an order."""
    columns = len(samples) // len(ORDERS)
    figure, axes = panels(4 * columns, 4.5, rows=len(ORDERS), columns=columns)
    # By order, then by seed; the dictionary is by seed first.
    names = sorted(samples, key=lambda name: [name.startswith(order) for order in ORDERS][::-1])
    for ax, name in zip(axes, names):
        ax.imshow(plots.grid(samples[name], columns=10, low=0, high=1), cmap="gray")
        ax.set_title(name, fontsize=10, loc="left")
        ax.set_axis_off()
    return picture(figure)
