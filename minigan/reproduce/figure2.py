"""Figure 2 of Goodfellow et al. 2014: samples, and the training images nearest to them.

The paper shows a grid of samples, "fair random draws, not cherry-picked"; in its rightmost column
stands the training image nearest to the sample beside it, "in order to demonstrate that the model
has not memorized the training set".  Panel (a), MNIST, is made again here.

A few pairs demonstrate little, so the distances are counted too, all of them Euclidean between
pixels in [0, 1], and beside those of real images that G has not seen:

* how far is it to the nearest training image, from samples and from test images?  A G that
  memorises is at distance 0; one that blurs may be nearer than real images without any copying.
* how many samples are nearer than the nearest 1 % of the test images of the same digit are?  If
  p_g = p_data: 1 %.
* is a sample nearer to the images that G was trained on than to as many that it was not?  If G
  knows only p_data, that is a toss of a coin, whatever its samples look like; a G that memorises
  gives 1 (the idea of Meehan et al. 2020, "A non-parametric test to detect data-copying").  It is
  one toss for all samples that have the same neighbour, so a G that always draws the same tosses
  only once: the standard error says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from minigan import data, plots
from minigan.data import Dataset
from minigan.evaluate import neighbours
from minigan.evaluate.features import share_se
from minigan.evaluate.neighbours import Neighbours
from minigan.reproduce.drawing import panels, picture
from minigan.reproduce.paper_network import obtain
from minigan.reproduce.result import Comparison, Outcome, Picture, Task, mean_and_error
from minigan.reproduce.table1 import some

DIGITS = 10
ROWS, COLUMNS = 8, 9  # of samples in the figure; one more column for the neighbours
CLOSEST = 10  # pairs in the second picture
NEAR = 0.01  # quantile of the test images' distances
SHARES = np.linspace(0, 1, 51)

# The rules, written before the numbers were known: what would be memorising.
LEAST_RATIO = 0.8  # of the mean distances, samples by test images of the same digits
MOST_NEAR = 0.1  # of the samples are nearer than the nearest 1 % of the test images: ten times NEAR
MOST_COIN = 0.55  # of the samples nearer to trained-on images, instead of a half


@dataclass(frozen=True)
class Plan:
    """How many samples, test images and training images are looked at."""

    samples: int
    test: int
    train: int


FULL = Plan(samples=2000, test=10_000, train=50_000)
QUICK = Plan(samples=500, test=1000, train=5000)


# What is measured ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Looked:
    """Images and their nearest neighbours.

    * ``digits``: the labels of their nearest training images, int (n,).
    * ``train``: their neighbours among all training images.
    * ``seen``, ``unseen``: those among equally many images that G was, and was not, trained on.
    """

    digits: np.ndarray
    train: Neighbours
    seen: Neighbours
    unseen: Neighbours

    @property
    def distances(self) -> np.ndarray:
        """To the nearest training image, (n,)."""
        return self.train.distances

    @property
    def nearer(self) -> np.ndarray:
        """How much nearer than the unseen images those are that G was trained on, (n,)."""
        return self.unseen.distances - self.seen.distances

    @property
    def coin(self) -> tuple[float, float]:
        """The share that is nearer to what G was trained on, and the standard error of that share
        for a fair coin.

        Images whose neighbours are the same in both sets are one group and one toss: of groups of
        n_1, n_2, ... images, n in all, it is sqrt(n_1^2 + n_2^2 + ...) / 2n.
        """
        heads = (self.nearer > 0) + 0.5 * (self.nearer == 0)
        pairs = np.stack([self.seen.indices, self.unseen.indices], axis=1)
        _, sizes = np.unique(pairs, axis=0, return_counts=True)
        return float(heads.mean()), float(np.sqrt((sizes**2).sum()) / (2 * len(heads)))


def look(images: np.ndarray, train: Dataset, unseen: Dataset) -> Looked:
    """Look for the neighbours of images (n, 1, 28, 28)."""
    n = min(len(train), len(unseen))
    found = neighbours.nearest(images, train.x)
    return Looked(
        digits=train.labels[found.indices],
        train=found,
        seen=neighbours.nearest(images, some(train, n).x),
        unseen=neighbours.nearest(images, some(unseen, n).x),
    )


def by_digit(samples: Looked, test: Looked) -> list[dict[str, Any]]:
    """A row a digit: how many, how far, and how many are nearer than the test images' nearest."""
    rows = []
    for digit in range(DIGITS):
        ours = samples.distances[samples.digits == digit]
        real = test.distances[test.digits == digit]
        near = nearer_than_most(ours, real)
        (mean, error), (real_mean, real_error) = mean_and_error(ours), mean_and_error(real)
        rows.append(
            {
                "digit": digit,
                "samples": len(ours),
                "test images": len(real),
                "distance of samples": mean,
                "standard error": error,
                "distance of test images": real_mean,
                "its standard error": real_error,
                "near, %": None if near is None else 100 * near,
            }
        )
    return rows


def nearer_than_most(ours: np.ndarray, real: np.ndarray) -> float | None:
    """The share of ``ours`` below the quantile NEAR of ``real``; None if either is empty.

    >>> nearer_than_most(np.array([0.5, 50.0]), np.arange(101.0))
    0.5
    """
    if not len(ours) or not len(real):
        return None
    return float((ours < np.quantile(real, NEAR)).mean())


@dataclass(frozen=True)
class Findings:
    """The three numbers of the docstring, each with its standard error, and the coin of real
    test images, which G has not seen either: not quite a half, if the two sets of images differ."""

    ratio: tuple[float, float]
    near: tuple[float, float]
    coin: tuple[float, float]
    real_coin: tuple[float, float]


def find(samples: Looked, test: Looked) -> Findings:
    """Each sample is compared with the test images of the same digit, so that it does not matter
    how often G draws a 1, to which all are near."""
    expected, near = np.zeros(len(samples.digits)), np.zeros(len(samples.digits))
    for digit in range(DIGITS):
        ours, real = samples.digits == digit, test.distances[test.digits == digit]
        if not len(real):  # in a small version: then with all test images
            real = test.distances
        expected[ours] = real.mean()
        near[ours] = samples.distances[ours] < np.quantile(real, NEAR)
    n = len(expected)
    ratio = float(samples.distances.mean() / expected.mean())
    # Of a ratio: the standard error of what is left of its numerator, by its denominator.
    left = samples.distances - ratio * expected
    ratio_error = float(left.std() / np.sqrt(n) / expected.mean())
    share = float(near.mean())
    return Findings(
        ratio=(ratio, ratio_error),
        near=(share, share_se(share, n)),
        coin=samples.coin,
        real_coin=test.coin,
    )


# The reproduction ---------------------------------------------------------------------------


def reproduce(task: Task) -> Outcome:
    """Draw samples, look for their neighbours, and compare them with those of unseen images."""
    plan = QUICK if task.quick else FULL
    train, unseen, test = (
        some(data.load("mnist", split=split, data_dir=task.data_dir), n)
        for split, n in [
            ("paper-train", plan.train), ("valid", plan.train), ("test", plan.test)
        ]
    )  # fmt: skip
    network = obtain(task)
    images = network.images(network.noise(plan.samples, np.random.default_rng(task.seed)))
    samples, reference = look(images, train, unseen), look(test.x, train, unseen)
    found = find(samples, reference)
    return Outcome(
        settings={
            **network.settings(task.seed),
            "samples": plan.samples,
            "training images": len(train),
            "unseen images": f"{len(unseen)}, of the validation part",
            "test images": len(test),
            "distance": "Euclidean, between pixels in [0, 1]",
        },
        measured={
            "mean distance of samples": float(samples.distances.mean()),
            "mean distance of test images": float(reference.distances.mean()),
            "smallest distance of a sample": float(samples.distances.min()),
            "smallest distance of a test image": float(reference.distances.min()),
            "share of test images nearer to images trained on than to unseen ones": (
                found.real_coin[0]
            ),
            "its standard error": found.real_coin[1],
            "digits": by_digit(samples, reference),
            "quantiles of the distances": {
                "share": SHARES.tolist(),
                "samples": np.quantile(samples.distances, SHARES).round(4).tolist(),
                "test images": np.quantile(reference.distances, SHARES).round(4).tolist(),
            },
        },
        comparisons=compare(found),
        pictures=[
            Picture(
                "figure2.png",
                "Samples, drawn at random and not chosen. In the rightmost column, apart: the "
                "training image nearest to the sample on its left.",
                draw_grid(images, train.x[samples.train.indices]),
            ),
            Picture(
                "figure2-closest.png",
                f"Of all samples those {CLOSEST} that are nearest to a training image (below).",
                draw_closest(images, train.x, samples),
            ),
            Picture(
                "figure2-distances.png",
                "Distance to the nearest training image, of samples and of test images.",
                draw_distances(samples, reference),
            ),
        ],
        notes=[
            "The paper's Figure 2 has also faces (TFD) and CIFAR-10: the first is not free, the "
            "second not among this project's data, and the paper's networks for them are not "
            "implemented here.",
            "The digit of a sample, and of a test image, is the label of its nearest training "
            "image.",
            "A distance of samples that is smaller than that of test images need not mean copies: "
            "smooth and typical digits are nearer to everything. Which of two sets they are nearer "
            "to does not depend on that.",
            "The share of test images that are nearer to images trained on says how far from a "
            "half it lies when nothing was learnt by heart: the unseen images are the last 10,000 "
            "of the file, and not quite like the others.",
        ],
    )


def compare(found: Findings) -> list[Comparison]:
    """Is it memorising?"""
    caption = 'Figure 2, caption: "has not memorized"; p_g = p_data'
    return [
        Comparison(
            what="mean distance to the nearest training image, samples by test images of the "
            "same digit",
            measured=found.ratio[0], error=found.ratio[1], expected=1.0, source=caption,
            low=LEAST_RATIO,
        ),
        Comparison(
            what="share of samples nearer than the nearest 1 % of the test images of the same "
            "digit",
            measured=found.near[0], error=found.near[1], expected=NEAR, source=caption,
            high=MOST_NEAR,
        ),
        Comparison(
            what="share of samples nearer to images G was trained on than to as many it was not",
            measured=found.coin[0], error=found.coin[1], expected=0.5, source=caption,
            high=MOST_COIN,
        ),
    ]  # fmt: skip


# Figures ------------------------------------------------------------------------------------


def draw_grid(images: np.ndarray, nearest: np.ndarray) -> Image.Image:
    """The first ROWS x COLUMNS images, and beside the last of each row its neighbour.

    >>> black = np.zeros((100, 1, 28, 28), np.uint8)
    >>> draw_grid(black, black).size
    (608, 466)
    """
    images = images[: ROWS * COLUMNS]
    last = np.arange(COLUMNS - 1, len(images), COLUMNS)
    left = plots.grid(images, columns=COLUMNS, low=0, high=1)
    right = plots.grid(nearest[last], columns=1, low=0, high=1)
    gap = 24
    sheet = Image.new("L", (left.width + gap + right.width, left.height), "white")
    sheet.paste(left, (0, 0))
    sheet.paste(right, (left.width + gap, 0))
    return sheet


def draw_closest(images: np.ndarray, train: np.ndarray, samples: Looked) -> Image.Image:
    """The samples nearest to a training image, the nearest first; below, that image."""
    order = np.argsort(samples.distances, kind="stable")[:CLOSEST]
    above = plots.grid(images[order], columns=len(order), low=0, high=1)
    below = plots.grid(train[samples.train.indices[order]], columns=len(order), low=0, high=1)
    sheet = Image.new("L", (above.width, 2 * above.height + 12), "white")
    sheet.paste(above, (0, 0))
    sheet.paste(below, (0, above.height + 12))
    return sheet


def draw_distances(samples: Looked, test: Looked) -> Image.Image:
    """Both as densities: on the left to the nearest training image; on the right how much nearer
    the training images are than the unseen ones."""
    figure, (left, right) = panels(10, 3.8, columns=2)
    pairs = [
        (left, samples.distances, test.distances, "distance to the nearest training image"),
        (right, samples.nearer, test.nearer, "how much nearer the images trained on are"),
    ]  # fmt: skip
    for ax, ours, real, label in pairs:
        both = np.concatenate([ours, real])
        bins = np.linspace(both.min(), both.max() + 1e-9, 50)
        real_heights, _ = np.histogram(real, bins, density=True)
        heights, _ = np.histogram(ours, bins, density=True)
        ax.stairs(real_heights, bins, fill=True, color=plots.DATA, alpha=0.6, label="test images")
        ax.stairs(heights, bins, color=plots.SAMPLES, linewidth=1.8, label="samples")
        ax.set(xlabel=label, yticks=[])
    left.set_ylabel("density")
    right.axvline(0, color="#333333", linewidth=1, linestyle=(0, (4, 3)))
    left.legend(loc="upper right", frameon=False)
    return picture(figure)
