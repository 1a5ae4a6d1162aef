"""Figure 3 of Goodfellow et al. 2014: digits on a straight line in z.

"Digits obtained by linearly interpolating between coordinates in z space of the full model": from
two random z, not chosen,

    z(t) = (1 - t) z_0 + t z_1,    x(t) = G(z(t)),    0 <= t <= 1

A G that had learnt images by heart would jump from one to the next; one that has learnt what digits
are shows digits on the way.  Besides drawing a few walks, many are measured:

* does x(t) jump?  Length of each step between neighbours on the way, in pixels.
* is x(t) a digit?  How sure the classifier is, and the Fréchet distance in its features from real
  images, for all x(t) of the same t.  The yardstick is the cross-fade (1 - t) x_0 + t x_1, a line
  too, but between the pixels: in its middle are two digits on top of each other.
* where is z(t)?  Its n coordinates are independent, of mean 0 and variance 1, so
  E |z(t)|^2 = n ((1 - t)^2 + t^2): in the middle |z| is sqrt(1/2) of what G has met in training.
  Stretched to the usual |z|, the same directions show what that alone does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from minigan import data, plots
from minigan.evaluate import classifier
from minigan.evaluate.features import frechet_with_error, share_se
from minigan.reproduce.drawing import panels, picture
from minigan.reproduce.paper_network import PaperNetwork, obtain
from minigan.reproduce.result import Comparison, Outcome, Picture, Task, mean_and_error
from minigan.reproduce.speckle import median
from minigan.reproduce.table1 import some

ROWS, COLUMNS = 10, 13  # walks in the figure, images of each
STEPS = 16  # of a measured walk
T = np.linspace(0, 1, STEPS + 1)
MIDDLE = STEPS // 2
SURE = 0.9  # probability of the most probable digit
FILMED, FILM_STEPS, FILM_STOPS = 24, 12, 4  # walks in the film; frames between z and z; z of each
WAYS = ("walk", "cross-fade", "stretched")

# The rules, written before the numbers were known.
NORM = (0.69, 0.72)  # |z(1/2)| by |z| at the ends; expected sqrt(1/2)
LEAST_SURE = 0.75  # of the middles, by those of the ends
LONGEST = 3 / STEPS  # of the way in one step: three times an even one


@dataclass(frozen=True)
class Plan:
    """Walks that are measured, real images for the Fréchet distance."""

    walks: int
    real: int


FULL = Plan(walks=1000, real=50_000)
QUICK = Plan(walks=200, real=2000)


# Walks --------------------------------------------------------------------------------------


def between(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(1 - t) start + t end for each t: two arrays (n, ...) and (T,) -> (n, T, ...).

    >>> between(np.array([[0.0, 0.0]]), np.array([[2.0, 4.0]]), np.array([0.0, 0.5])).tolist()
    [[[0.0, 0.0], [1.0, 2.0]]]
    """
    t = t.reshape(1, -1, *[1] * (start.ndim - 1))
    return (1 - t) * start[:, None] + t * end[:, None]


def stretched(z: np.ndarray) -> np.ndarray:
    """The same directions at norms that go evenly from that of the start to that of the end.

    z: (n, T, d) -> (n, T, d).

    >>> stretched(between(np.array([[3.0, 0.0]]), np.array([[0.0, 3.0]]), T))[0, MIDDLE].round(3)
    array([2.121, 2.121])
    """
    norms = np.linalg.norm(z, axis=2)
    wanted = between(norms[:, 0], norms[:, -1], np.linspace(0, 1, z.shape[1]))
    return z * (wanted / norms)[..., None]


def walk(network: PaperNetwork, z: np.ndarray) -> np.ndarray:
    """G of all z (n, T, d): images (n, T, 1, 28, 28) in [0, 1]."""
    images = network.images(z.reshape(-1, z.shape[-1]))
    return images.reshape(*z.shape[:2], *images.shape[1:])


@dataclass(frozen=True)
class Seen:
    """What the classifier makes of walks: ``digits`` and ``confidence`` (n, T), and for each t the
    Fréchet distance in its features from real images, with its standard error, (T, 2)."""

    digits: np.ndarray
    confidence: np.ndarray
    distance: np.ndarray

    @property
    def sure(self) -> np.ndarray:
        """The share of images that the classifier is sure of, (T,)."""
        return (self.confidence >= SURE).mean(axis=0)


def see(eye: classifier.Classifier, images: np.ndarray, real: np.ndarray) -> Seen:
    """images: (n, T, 1, 28, 28); real: features (m, d) of data.  Digits are looked at through the
    median, because of speckle; the distance is that of the images as they are."""
    n, steps = images.shape[:2]
    flat = images.reshape(-1, *images.shape[2:])
    probabilities = eye.probabilities(median(flat))
    features = eye.features(flat).reshape(n, steps, -1)
    return Seen(
        digits=probabilities.argmax(axis=1).reshape(n, steps),
        confidence=probabilities.max(axis=1).reshape(n, steps),
        distance=np.array([frechet_with_error(real, features[:, i]) for i in range(steps)]),
    )


def step_lengths(images: np.ndarray) -> np.ndarray:
    """Euclidean, between neighbours on the way: (n, T, ...) -> (n, T - 1)."""
    steps = np.diff(images.astype(np.float64), axis=1)
    return np.sqrt((steps.reshape(*steps.shape[:2], -1) ** 2).sum(axis=2))


def straight(digits: np.ndarray) -> np.ndarray:
    """Which walks show the digit of their start and then that of their end: (n, T) -> bool (n,).

    >>> straight(np.array([[1, 1, 7, 7], [1, 4, 7, 7], [1, 7, 1, 7]])).tolist()
    [True, False, False]
    """
    changes = (np.diff(digits, axis=1) != 0).sum(axis=1)
    return changes == (digits[:, 0] != digits[:, -1])


def share(which: np.ndarray) -> float | None:
    """Of True among the values; None of nothing."""
    return float(which.mean()) if len(which) else None


# The reproduction ---------------------------------------------------------------------------


def reproduce(task: Task) -> Outcome:
    """Draw walks, measure more of them, and judge."""
    plan = QUICK if task.quick else FULL
    train = some(data.load("mnist", split="paper-train", data_dir=task.data_dir), plan.real)
    network = obtain(task)
    rng = np.random.default_rng(task.seed)
    start, end = network.noise(plan.walks, rng), network.noise(plan.walks, rng)
    drawn = walk(network, between(start[:ROWS], end[:ROWS], np.linspace(0, 1, COLUMNS)))

    z = between(start, end, T)
    images = walk(network, z)
    eye = classifier.load()
    real = eye.features(train.x)
    seen = {
        "walk": see(eye, images, real),
        "cross-fade": see(eye, between(images[:, 0], images[:, -1], T), real),
        "stretched": see(eye, walk(network, stretched(z)), real),
    }
    numbers = measure(z, images, seen)
    return Outcome(
        settings={
            **network.settings(task.seed),
            "walks measured": plan.walks,
            "steps of each": STEPS,
            "real images for the Fréchet distance": len(train),
            "classifier": "through a median over 3 x 3 pixels where it names digits",
        },
        measured={**numbers, "along the way": along(z, seen)},
        comparisons=compare(numbers, seen),
        pictures=[
            Picture(
                "figure3.png",
                "Each row: from one random z to another, in equal steps; not chosen.",
                plots.grid(drawn.reshape(-1, *drawn.shape[2:]), columns=COLUMNS, low=0, high=1),
            ),
            Picture(
                "figure3-measured.png",
                f"{plan.walks} walks. Left: |z| on the way, dotted what is expected. Middle: "
                "share of images of which the classifier is sure. Right: Fréchet distance in its "
                "features from real images.",
                draw_measures(z, seen),
            ),
            Picture(
                "figure3.gif",
                "Walks from z to z and back to the first.",
                film(network, rng),
            ),
        ],
        notes=[
            "The paper shows its walks and gives no number: expected is what the caption says, "
            "digits all along the way, and for |z| what follows from independent coordinates.",
            "Cross-fade: (1 - t) x_0 + t x_1 of the two images at the ends. Stretched: the "
            "directions of the walk's z, but with |z| as at the ends.",
            "A stretched z can lie outside the cube that G's noise fills.",
            "The Fréchet distance is not FID; from as few images as there are walks it is too "
            "large, of all three ways and at every t alike.",
            "A walk between two different digits has to pass what is neither: an unsure "
            "classifier in the middle is no fault by itself. Nor is a sure one a proof: it can be "
            "surer of two digits on top of each other than of either.",
        ],
    )


def measure(z: np.ndarray, images: np.ndarray, seen: dict[str, Seen]) -> dict[str, Any]:
    """The numbers on all walks."""
    norms = np.sqrt((z.astype(np.float64) ** 2).sum(axis=2).mean(axis=0))  # (T,), root mean square
    steps = step_lengths(images)
    lengths = steps.sum(axis=1)
    moves = lengths > 0  # a G that draws one image stands still: of a way of 0 there is no share
    longest = steps.max(axis=1)[moves] / lengths[moves]
    longest_mean, longest_error = mean_and_error(longest)
    ends = np.sqrt(((images[:, -1] - images[:, 0]) ** 2).sum(axis=(1, 2, 3)))
    digits = seen["walk"].digits
    other = digits[:, 0] != digits[:, -1]
    return {
        "|z| in the middle by |z| at the ends": float(norms[MIDDLE] / norms[[0, -1]].mean()),
        "longest step, share of the way": longest_mean,
        "its standard error": longest_error,
        "longest step of any walk": float(longest.max()) if moves.any() else None,
        "way by distance of its ends": mean_and_error(lengths[moves] / ends[moves])[0],
        "walks that end at another digit": float(other.mean()),
        "of these, straight from one to the other": share(straight(digits[other])),
        "of the others, that stay": share(straight(digits[~other])),
        "digits on a walk, mean": float(np.mean([len(set(row)) for row in digits.tolist()])),
    }


def along(z: np.ndarray, seen: dict[str, Seen]) -> list[dict[str, float]]:
    """A row for every other t."""
    norms = np.linalg.norm(z, axis=2).mean(axis=0)
    return [
        {
            "t": float(T[i]),
            "|z|": float(norms[i]),
            **{f"sure, {way}": float(seen[way].sure[i]) for way in WAYS},
            **{f"distance, {way}": float(seen[way].distance[i, 0]) for way in WAYS},
            "standard error": float(seen["walk"].distance[i, 1]),
        }
        for i in range(0, STEPS + 1, 2)
    ]


def compare(numbers: dict[str, Any], seen: dict[str, Seen]) -> list[Comparison]:
    """No jumps, digits on the way, and the norm in the middle."""
    caption = "Figure 3, caption: digits"
    walked, faded = seen["walk"], seen["cross-fade"]
    n = len(walked.digits)
    at_ends, in_middle = float(walked.sure[[0, -1]].mean()), float(walked.sure[MIDDLE])
    (walk_value, walk_error), (fade_value, fade_error) = (
        way.distance[MIDDLE] for way in (walked, faded)
    )
    return [
        Comparison(
            what="longest step of a walk, share of its way, mean of the walks",
            measured=numbers["longest step, share of the way"],
            error=numbers["its standard error"], expected=1 / STEPS,
            source=f"no jumps: {STEPS} even steps", high=LONGEST,
        ),
        Comparison(
            what="images in the middle of which the classifier is sure, by those at the ends",
            measured=in_middle / at_ends if at_ends else 0.0,
            error=share_se(in_middle, n) / at_ends if at_ends else None,
            expected=1.0, source=caption, low=LEAST_SURE,
        ),
        Comparison(
            what="distance from real images in the middle, less that of cross-fades",
            measured=float(walk_value - fade_value),
            error=math.hypot(walk_error, fade_error), expected=None, source=caption, high=0.0,
        ),
        Comparison(
            what="|z| in the middle by |z| at the ends",
            measured=numbers["|z| in the middle by |z| at the ends"],
            expected=math.sqrt(0.5), source="independent coordinates", low=NORM[0], high=NORM[1],
        ),
    ]  # fmt: skip


# Figures ------------------------------------------------------------------------------------


def draw_measures(z: np.ndarray, seen: dict[str, Seen]) -> Image.Image:
    """|z|, how sure, how far: over t."""
    figure, (left, middle, right) = panels(12, 3.8, columns=3)
    styles = dict(zip(WAYS, [
        {"color": plots.SAMPLES, "linewidth": 2},
        {"color": "#777777", "linewidth": 1.5},
        {"color": "#2166ac", "linewidth": 1.5, "linestyle": (0, (4, 2))},
    ]))  # fmt: skip
    dimensions = z.shape[2]
    for way, path in [("walk", z), ("stretched", stretched(z))]:
        left.plot(T, np.linalg.norm(path, axis=2).mean(axis=0), **styles[way])
    expected = np.sqrt(dimensions * ((1 - T) ** 2 + T**2))
    left.plot(T, expected, color="k", linestyle=(0, (1, 1.5)), linewidth=1.5)
    left.set(ylabel="|z|", ylim=(0, None))
    for way in WAYS:
        middle.plot(T, seen[way].sure, label=way, **styles[way])
        value, error = seen[way].distance.T
        right.plot(T, value, **styles[way])
        right.fill_between(T, value - error, value + error, color=styles[way]["color"], alpha=0.15)
    middle.set(ylabel="share the classifier is sure of", ylim=(0, 1))
    right.set(ylabel="classifier distance", ylim=(0, None))
    for ax in (left, middle, right):
        ax.set(xlabel="t", xlim=(0, 1))
    figure.legend(
        *middle.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False
    )
    return picture(figure)


def film(network: PaperNetwork, rng: np.random.Generator) -> list[Image.Image]:
    """Several walks at once, each from z to z and back to its first."""
    stops = [network.noise(FILMED, rng) for _ in range(FILM_STOPS)]
    t = np.arange(FILM_STEPS) / FILM_STEPS  # without the end: it is the next start
    z = np.concatenate(
        [between(a, b, t) for a, b in zip(stops, [*stops[1:], stops[0]])], axis=1
    )  # (FILMED, FILM_STOPS * FILM_STEPS, d)
    images = walk(network, z)
    return [plots.grid(images[:, i], columns=6, low=0, high=1) for i in range(images.shape[1])]
