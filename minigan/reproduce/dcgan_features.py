"""Section 5 of Radford et al. 2016: what D has learnt, asked with few labels.

D is trained on images without labels, to tell real ones from G's.  Then its weights are left as
they are, and a linear classifier is trained on its features with a few labelled images:

    1. the outputs of all of D's convolutional layers, after their LeakyReLU
    2. each max-pooled to a grid of 4 x 4, whatever its size
    3. flattened and concatenated: for ``dcgan-28`` (64 + 128) * 4 * 4 = 3072 numbers an image
    4. a regularised linear L2-SVM on them (:mod:`minigan.reproduce.dcgan_svm`), its lambda chosen
       on validation images

A low error alone says little about D: convolutions and pooling help whatever the weights are.  So
beside it stand the same classifier on the features of the same D before its first step, the same
classifier on the pixels, and the nearest neighbour in pixels.  All see the same labelled images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from minigan import backends, data, nn, plots
from minigan import functional as F
from minigan.autograd import Tensor, no_grad
from minigan.backends import to_numpy
from minigan.data import Dataset, to_float
from minigan.evaluate.neighbours import one_nearest_neighbour
from minigan.plots import SECTIONS
from minigan.reproduce import dcgan_svm
from minigan.reproduce.dcgan_networks import PAPER, Pair, trained
from minigan.reproduce.drawing import panels, picture
from minigan.reproduce.result import Comparison, Outcome, Picture, Task, mean_and_error
from minigan.train.setup import build_networks

DATA = ("mnist", "fashion-mnist")
CLASSES = 10
GRID = 4
BATCH = 500  # images looked at a time
LABELS = (100, 1000)
PENALTIES = tuple(10.0**power for power in range(-6, 1))  # lambda
STREAM = 0xFEA  # of the draws of labelled images, apart from other streams of the seed
GAIN = 0.5  # percentage points: what an error must be lower by to count as lower

TRAINED, UNTRAINED, PIXELS = "D, trained", "D, untrained", "pixels"
NEAREST = "pixels, nearest neighbour"
METHODS = (TRAINED, UNTRAINED, PIXELS, NEAREST)


@dataclass(frozen=True)
class Plan:
    """``draws`` of labelled images for each number of them; how many images choose lambda and
    measure the error."""

    draws: int = 5
    valid: int = 5000
    test: int = 10_000


FULL = Plan()
QUICK = Plan(draws=3, valid=2000, test=2000)


# Features -----------------------------------------------------------------------------------


def layers(D: nn.Module, x: Tensor) -> list[Tensor]:
    """The outputs of D's convolutional layers after their LeakyReLU, without the last layer, which
    makes the logit.  x: (N, C, H, W)."""
    found = []
    for layer in D.main:
        x = layer(x)
        if isinstance(layer, nn.LeakyReLU):
            found.append(x)
    return found


def pooled(x: Tensor) -> Tensor:
    """The largest value in each field of a 4 x 4 grid.  (N, C, H, H) -> (N, C, 4, 4), H >= 4

    The fields do not overlap and together are the whole image; where 4 does not divide H, those at
    the edge are smaller: of 7 rows 1, 2, 2 and 2, of 14 rows 3, 4, 4 and 3.

    >>> pooled(Tensor(np.arange(49.0).reshape(1, 1, 7, 7))).numpy()[0, 0, :, 0]
    array([ 0., 14., 28., 42.])
    """
    side = math.ceil(x.shape[2] / GRID)
    return F.max_pool2d(x, side, padding=math.ceil((GRID * side - x.shape[2]) / 2))


def features_of(pair: Pair, D: nn.Module) -> Callable[[np.ndarray], list[np.ndarray]]:
    """The function from images, uint8 (N, C, H, W), to features, float32 (N, 16 C_l) a layer l."""

    def look(images: np.ndarray) -> list[np.ndarray]:
        seen = []
        for i in range(0, len(images), BATCH):
            with no_grad():
                found = layers(D, _tensor(pair, images[i : i + BATCH]))
                seen.append([to_numpy(pooled(x).array).reshape(len(x), -1) for x in found])
        return [np.concatenate(parts) for parts in zip(*seen)]

    return look


def untrained(pair: Pair, images: np.ndarray) -> nn.Module:
    """The D from which the run began.  Its batch normalisation has seen 3,200 of the images, so
    that it is one; the weights are as they were drawn.
    """
    backends.manual_seed((pair.config.seed, 0))
    _, D = build_networks(pair.recipe, pair.config.data_shape)
    D.train()
    with no_grad():
        for i in range(0, min(3200, len(images) - 63), 64):
            D(_tensor(pair, images[i : i + 64]))
    return D.eval()


def _tensor(pair: Pair, images: np.ndarray) -> Tensor:
    x = to_float(images, pair.recipe.pixel_low, pair.recipe.pixel_high)
    return Tensor(backends.xp().asarray(x))


def pixels(images: np.ndarray) -> list[np.ndarray]:
    """The pixels themselves as one layer: uint8 (N, C, H, W) -> [float32 (N, C H W)]."""
    return [to_float(images, 0, 1).reshape(len(images), -1)]


@dataclass(frozen=True, eq=False)
class Scaling:
    """From features to the rows that the classifier sees.

    Each layer is centred and divided by one number, so that its rows have the mean squared length
    1 and layers count alike; then they are concatenated, and a 1 is added for the bias.
    """

    means: list[np.ndarray]
    lengths: list[float]

    @staticmethod
    def of(parts: list[np.ndarray]) -> Scaling:
        """That of these features, (N, d_l) for each layer l; no label is looked at."""
        means = [part.mean(axis=0) for part in parts]
        squares = [((part - m) ** 2).sum(axis=1).mean() for part, m in zip(parts, means)]
        return Scaling(means, [max(math.sqrt(square), 1e-12) for square in squares])

    def rows(self, parts: list[np.ndarray]) -> np.ndarray:
        """float32 (N, sum of d_l + 1)"""
        ones = np.ones((len(parts[0]), 1), np.float32)
        scaled = [(p - m) / np.float32(s) for p, m, s in zip(parts, self.means, self.lengths)]
        return np.concatenate([*scaled, ones], axis=1)


# One data set -------------------------------------------------------------------------------


def balanced(labels: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """The row numbers of n examples, as many of each class, at random.

    >>> rows = balanced(np.arange(100) % 10, 20, np.random.default_rng(0))
    >>> np.bincount(rows % 10)
    array([2, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    """
    classes = [np.flatnonzero(labels == c) for c in range(CLASSES)]
    return np.concatenate([rng.choice(rows, n // CLASSES, replace=False) for rows in classes])


@dataclass(frozen=True, eq=False)
class Material:
    """The images of one data set: D learnt from all training images; ``pool``, of which labelled
    ones are drawn, and ``valid`` are parts of them, ``test`` is not."""

    pool: Dataset
    valid: Dataset
    test: Dataset

    @staticmethod
    def load(pair: Pair, plan: Plan) -> Material:
        name, data_dir = pair.recipe.data, pair.config.data_dir
        return Material(
            data.load(name, split="paper-train", data_dir=data_dir),
            data.load(name, split="valid", data_dir=data_dir, count=plan.valid),
            data.load(name, split="test", data_dir=data_dir, count=plan.test),
        )


def measure(
    pair: Pair, plan: Plan, seed: int, done: Iterator[Any]
) -> dict[tuple[str, int], tuple[np.ndarray, float]]:
    """(method, labels) -> the share of wrong test images of each draw, and the lambda chosen.

    ``done`` is told of each of ``len(METHODS)`` steps.
    """
    material = Material.load(pair, plan)
    draws = {
        n: [balanced(material.pool.labels, n, np.random.default_rng((seed, STREAM, n, i)))
            for i in range(plan.draws)]
        for n in LABELS
    }  # fmt: skip
    looks = {
        TRAINED: features_of(pair, pair.D),
        UNTRAINED: features_of(pair, untrained(pair, material.pool.x)),
        PIXELS: pixels,
    }
    found = {}
    for method, look in looks.items():
        for n, values in linear(look, material, draws).items():
            found[method, n] = values
        next(done)
    pool, test = material.pool, material.test
    for n, chosen in draws.items():
        wrong = [
            1 - one_nearest_neighbour(pool.x[rows], pool.labels[rows], test.x, test.labels).accuracy
            for rows in chosen
        ]
        found[NEAREST, n] = np.array(wrong), None
    next(done)
    return found


def linear(
    look: Callable[[np.ndarray], list[np.ndarray]],
    material: Material,
    draws: dict[int, list[np.ndarray]],
) -> dict[int, tuple[np.ndarray, float]]:
    """The linear classifier on these features: labels -> errors of the draws, lambda.

    One lambda for all draws of as many labels: that with the lowest mean validation error.
    """
    valid = look(material.valid.x)
    scaling = Scaling.of(valid)
    valid, test = scaling.rows(valid), scaling.rows(look(material.test.x))
    found = {}
    for n, chosen in draws.items():
        on_valid, on_test = [], []
        for rows in chosen:
            x = scaling.rows(look(material.pool.x[rows]))
            W, _ = dcgan_svm.fit(x, material.pool.labels[rows], CLASSES, PENALTIES)
            on_valid.append(dcgan_svm.errors(W, valid, material.valid.labels))
            on_test.append(dcgan_svm.errors(W, test, material.test.labels))
        best = int(np.mean(on_valid, axis=0).argmin())
        found[n] = np.array(on_test)[:, best], PENALTIES[best]
    return found


# The reproduction ---------------------------------------------------------------------------


def reproduce(task: Task) -> Outcome:
    """Train D on both data sets, and measure."""
    plan = QUICK if task.quick else FULL
    pairs = {name: trained(task, name) for name in DATA}
    done = task.progress(range(len(DATA) * len(METHODS) + 1), unit="part")
    next(done)
    found = {name: measure(pair, plan, task.seed, done) for name, pair in pairs.items()}
    next(done, None)  # the bar ends

    settings: dict[str, Any] = {}
    for pair in pairs.values():
        settings |= pair.settings()
    settings |= {
        "labelled images": f"from the first 50,000 training images, as many of each class, "
        f"{plan.draws} draws",
        "lambda": f"one of {', '.join(f'{p:g}' for p in PENALTIES)}, the lowest mean error on "
        f"{plan.valid:,} validation images (of the last 10,000 training images)",
        "test images": plan.test,
    }
    return Outcome(
        settings=settings,
        measured={
            "errors": table(found),
            "published, on other data and not to be compared": PUBLISHED,
        },
        comparisons=compare(found),
        pictures=[
            Picture(
                "dcgan-features.png",
                "Test error by the number of labels: the mean of the draws, and a dot for each.",
                draw_errors(found),
            ),
            Picture(
                "dcgan-features-kernels.png",
                "The 4 x 4 kernels of D's first layer: left before training, right after it, on "
                "MNIST above and on Fashion-MNIST below; each scaled to its own range. To the eye "
                "they hardly change.",
                draw_kernels(pairs),
            ),
        ],
        notes=[
            "The paper's D was trained on Imagenet-1k, larger and other images than those it was "
            "tested on; here D is trained on the training images of the data set it is tested on, "
            "without their labels.",
            "As in the paper, many more labelled images choose lambda than train the classifier. "
            "It is one number of seven, and all methods have the same advantage.",
            "The untrained D is the one from which the run began; its batch normalisation has "
            "seen images, its weights are random.",
            "The errors' ± is the spread (standard deviation) of the draws; that of a difference "
            "is the standard error of its mean over the draws. The test images are the same for "
            "all, so their choice hardly matters to a difference.",
            f"Rule: with D's features the error must be at least {GAIN:g} percentage points lower "
            "than with each of the others. Where only the untrained D is as good, what helps is "
            "the architecture, not what D learnt.",
        ],
    )


PUBLISHED = [
    {"data": "CIFAR-10", "labels": "all", "accuracy, %": 82.8, "error, %": 17.2},
    {"data": "CIFAR-10", "labels": "400 a class", "accuracy, %": 73.8, "error, %": 26.2},
    {"data": "SVHN", "labels": "1000", "accuracy, %": 77.52, "error, %": 22.48},
]

Found = dict[str, dict[tuple[str, int], tuple[np.ndarray, float]]]


def table(found: Found) -> list[dict[str, Any]]:
    """One row for each data set, number of labels and method."""
    return [
        {
            "data": name,
            "labels": n,
            "classified by": method,
            "error, %": 100 * float(errors.mean()),
            "± between draws": 100 * float(errors.std(ddof=1)),
            "draws": len(errors),
            "lambda": penalty,
        }
        for name, values in found.items()
        for (method, n), (errors, penalty) in sorted(values.items(), key=lambda item: item[0][1])
    ]


def compare(found: Found) -> list[Comparison]:
    """D's features against each of the others, with few labels."""
    return [
        difference(name, n, method, values[TRAINED, n][0], values[method, n][0])
        for name, values in found.items()
        for n in LABELS
        for method in METHODS[1:]
    ]


def difference(name: str, n: int, method: str, ours: np.ndarray, other: np.ndarray) -> Comparison:
    """The errors of the same draws, one less the other, in percentage points."""
    mean, error = mean_and_error(100 * (ours - other))
    return Comparison(
        what=f"{name}, {n:,} labels: error with D's features less that of: {method}, points",
        measured=mean,
        expected=None,
        source=f"{PAPER}, section 5",
        error=error,
        high=-GAIN,
    )


# Figures ------------------------------------------------------------------------------------


def draw_errors(found: Found) -> Image.Image:
    """A panel for each data set: groups of bars, one group for each number of labels."""
    figure, axes = panels(11, 4, columns=len(found))
    for ax, (name, values) in zip(axes, found.items()):
        counts = sorted({n for _, n in values})
        for i, (method, colour) in enumerate(zip(METHODS, SECTIONS)):
            at = np.arange(len(counts)) + (i - 1.5) * 0.2
            errors = [100 * values[method, n][0] for n in counts]
            means = [e.mean() for e in errors]
            ax.bar(at, means, 0.18, color=colour, label=method)
            for x, mean, e in zip(at, means, errors):
                ax.plot([x] * len(e), e, "o", color="#202020", markersize=2.5, zorder=3)
                ax.text(x, e.max() + 0.4, f"{mean:.1f}", ha="center", va="bottom", fontsize=8)
        ax.set_xticks(range(len(counts)), [f"{n:,} labels" for n in counts])
        ax.grid(visible=False, axis="x")
        ax.set(ylabel="test error, %")
        ax.set_title(name, fontsize=11, loc="left")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return picture(figure)


def draw_kernels(pairs: dict[str, Pair]) -> Image.Image:
    """The kernels of the first layer, before and after: a grid each."""
    sheets = []
    for pair in pairs.values():
        backends.manual_seed((pair.config.seed, 0))
        _, fresh = build_networks(pair.recipe, pair.config.data_shape)
        for D in (fresh, pair.D):
            kernels = D.main[0].weight.numpy().mean(axis=1, keepdims=True)  # (n, 1, 4, 4)
            low = kernels.min(axis=(1, 2, 3), keepdims=True)
            high = kernels.max(axis=(1, 2, 3), keepdims=True)
            shown = (kernels - low) / np.maximum(high - low, 1e-12)
            sheets.append(plots.grid(shown, columns=16, low=0, scale=5))
    width, height = sheets[0].size
    rows = len(sheets) // 2
    sheet = Image.new("L", (2 * width + 12, rows * height + 12 * (rows - 1)), "white")
    for i, part in enumerate(sheets):
        sheet.paste(part, ((i % 2) * (width + 12), i // 2 * (height + 12)))
    return sheet
