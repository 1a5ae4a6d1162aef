"""Several questions asked of one set of samples.

Beside each number stands what real images get that the generator has not seen: no measure here has
a perfect value that one could know without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minigan import backends
from minigan.data import Dataset, stacked
from minigan.data.images import resize
from minigan.data.toy import MIXTURES
from minigan.errors import MiniganError
from minigan.evaluate import (
    classifier,
    features,
    importance,
    modes,
    neighbours,
    parzen,
    precision_recall,
    yardsticks,
)
from minigan.evaluate import labels as labels_

LOOKED_UP = 500  # samples whose nearest training image is looked for
PAIRED = 10_000  # real images, at most, for precision and recall
DIGITS = tuple("0123456789")


@dataclass(frozen=True, kw_only=True)
class Material:
    """What the questions are asked of.

    Args:
        samples: float32 images (N, C, H, W) in [0, 1], or points (N, 2).
        train: what the generator learnt from.
        test: data of the same kind that it has not seen, or None if there are none.
        valid: others that it has not seen, which choose the width of a Parzen window, or None: a
            tenth of ``test`` does that, and the estimate is of the rest.
        model: of a VAE, which has a density; otherwise None.
        codes: k, by which that is estimated.
        yardsticks: the Parzen estimate is taken of images that no generator made, too.
        progress: hands out the pieces of long work one by one, for a progress bar.
        labels: the classes (N,) that the samples were made for, or None if nobody asked for any.
    """

    samples: np.ndarray
    train: Dataset
    test: Dataset | None = None
    valid: Dataset | None = None
    model: importance.LatentModel | None = None
    codes: int = importance.CODES
    yardsticks: bool = False
    progress: Callable[[list[Any]], Iterable[Any]] = iter
    labels: np.ndarray | None = None

    @cached_property
    def classifier(self) -> classifier.Classifier:
        return classifier.load()

    @cached_property
    def sample_features(self) -> np.ndarray:
        return self.classifier.features(digits(self.samples))

    @cached_property
    def train_features(self) -> np.ndarray:
        return self.classifier.features(shuffled(digits(self.train.x)))

    @cached_property
    def test_features(self) -> np.ndarray | None:
        return (
            None if self.test is None else self.classifier.features(shuffled(digits(self.test.x)))
        )

    def unseen(self, question: str) -> Dataset:
        """The test images; MiniganError if there are none."""
        if self.test is None:
            raise MiniganError(
                f"{question} needs images that the generator has not seen, and {self.train.name} "
                "has no test split, or the run learnt from that: leave this metric out"
            )
        return self.test

    def asked_for(self, question: str) -> np.ndarray:
        """The samples' labels; MiniganError if they have none."""
        if self.labels is None:
            raise MiniganError(
                f"--metric {question} needs samples of given classes, and these have none: take a "
                "run of cgan, cdcgan-28 or acgan-28, or leave this metric out"
            )
        return self.labels


def shuffled(rows: np.ndarray) -> np.ndarray:
    """The rows in random order, always the same.  A part of a data set must not be its first rows:
    of MNIST's test images the first half is of other writers than the second, and easier."""
    return rows[np.random.default_rng(0).permutation(len(rows))]


def digits(images: np.ndarray) -> np.ndarray:
    """The images as the classifier takes them: grey, 28 x 28; MiniganError for colour."""
    if images.ndim != 4 or images.shape[1] != 1:
        raise MiniganError(
            f"the classifier knows grey digits: expected images of one channel, got {images.shape}"
        )
    if images.shape[2:] == (28, 28):
        return images
    if images.dtype != np.uint8:
        images = np.rint(255 * images).astype(np.uint8)
    return resize(images, 28)


# The questions --------------------------------------------------------------------------------
#
# Each takes the material and returns {name: result}: the samples' first, then what real images get.


def classes(material: Material) -> dict[str, Any]:
    """Which digits there are, as the classifier sees them."""

    def count(images: np.ndarray) -> features.ClassHistogram:
        return features.class_histogram(material.classifier.probabilities(digits(images)))

    found = {"samples": count(material.samples)}
    return found if material.test is None else {**found, "real": count(material.test.x)}


def distance(material: Material) -> dict[str, Any]:
    """Fréchet distance in the classifier's features (not FID), with its floor."""
    return {
        "samples": features.classifier_distance(
            material.train_features, material.sample_features, material.test_features
        )
    }


def precision_and_recall(material: Material) -> dict[str, Any]:
    """Share of good samples, share of the data that they reach (k = 3)."""
    n = min(PAIRED, len(material.samples), len(material.train))
    real = material.train_features[:n]
    found = {"samples": precision_recall.precision_recall(real, material.sample_features[:n])}
    if material.test_features is not None:
        found["real"] = precision_recall.precision_recall(real, material.test_features[:n])
    return found


def nearest(material: Material) -> dict[str, Any]:
    """How far the nearest training image is, in pixels: is the generator memorising?"""
    found = {"samples": neighbours.nearest(material.samples[:LOOKED_UP], material.train.x)}
    if material.test is not None:
        unseen = shuffled(material.test.x)[:LOOKED_UP]
        found["real"] = neighbours.nearest(unseen, material.train.x)
    return found


@dataclass(frozen=True, kw_only=True)
class ParzenRow(parzen.ParzenResult):
    """``sigma_from``: which images chose sigma."""

    sigma_from: str


def likelihood(material: Material) -> dict[str, Any]:
    """Parzen-window log-likelihood of the test images (Goodfellow et al. 2014, Table 1).

    Sigma is chosen by images that are not scored, and that the generator has not seen: otherwise
    samples that are copies would get a narrower window than others.  As the windows of real images
    serve training images, which are neither of these; the yardsticks are made from training images.

    Raises MiniganError if there are no unseen images, or yardsticks are asked for and the data are
    no labelled digits.
    """

    def rows(images: np.ndarray) -> Any:  # on the current backend: 10,000 x 10,000 distances
        return backends.xp().asarray(parzen.flat(images))

    n, train = len(material.samples), material.train
    if material.yardsticks and train.classes != DIGITS:
        raise MiniganError(
            f"--yardsticks is about labelled digits, and {train.name} holds none: leave it out"
        )
    test, sigma_from = material.unseen("parzen").x, "validation images"
    if material.valid is not None:
        valid = material.valid.x
    else:
        test, sigma_from = shuffled(test), "other test images"
        tenth = max(1, len(test) // 10)
        valid, test = test[:tenth], test[tenth:]
    valid, test = rows(valid), rows(test)

    def row(images: np.ndarray) -> ParzenRow:
        return ParzenRow(**vars(parzen.parzen(rows(images), valid, test)), sigma_from=sigma_from)

    found = {"samples": row(material.samples), "real": row(shuffled(train.x)[:n])}
    if material.yardsticks:
        images = parzen.flat(train.x)
        others = [name for name in yardsticks.YARDSTICKS if name != "real images"]
        for name in material.progress(others):
            rng = np.random.default_rng(0)
            found[name] = row(yardsticks.YARDSTICKS[name](images, train.labels, n, rng))
    return found


def model_likelihood(material: Material) -> dict[str, Any]:
    """The log-likelihood of binarised test images under a VAE, by importance sampling."""
    if material.model is None:
        raise MiniganError(
            "--metric likelihood needs the density of a VAE, and this run has none: expected a run "
            "of minigan train vae; parzen needs samples only"
        )
    x = importance.binarised(material.unseen("likelihood").x)
    x = backends.xp().asarray(x)
    found = importance.likelihood(material.model, x, material.codes, progress=material.progress)
    return {"test": found}


def toy_modes(material: Material) -> dict[str, Any]:
    """Modes captured and the share of samples near one, of ring8 and grid25."""
    name = material.train.name
    return {
        "samples": modes.toy_modes(material.samples, name),
        "real": modes.toy_modes(material.train.x[: len(material.samples)], name),
    }


def stacked_modes(material: Material) -> dict[str, Any]:
    """Which of the thousand combinations of stacked MNIST there are, as the classifier sees them.

    Raises MiniganError if the images have not three channels.
    """

    def count(images: np.ndarray) -> modes.StackedResult:
        if images.shape[1] != 3:
            raise MiniganError(
                "stacked takes a digit in each of three channels, as stacked-mnist has them: "
                f"got images of {images.shape[1]}"
            )
        named = [
            material.classifier.probabilities(digits(images[:, c : c + 1])).argmax(axis=1)
            for c in range(3)
        ]
        return modes.stacked_modes(np.stack(named, axis=1))

    return {
        "samples": count(material.samples),
        "real": count(material.train.x[: len(material.samples)]),  # drawn at random, each of them
    }


def right_labels(material: Material) -> dict[str, Any]:
    """Share of samples that the classifier names as the class they were made for.

    Raises MiniganError if they were made for none, or for others than the ten digits.
    """
    asked = material.asked_for("labels")
    if material.train.classes != DIGITS:
        raise MiniganError(
            f"--metric labels asks a classifier of digits, and the classes of {material.train.name}"
            " are others: name other metrics, as one-nn"
        )

    def share(images: np.ndarray, labels: np.ndarray) -> labels_.LabelAccuracy:
        return labels_.label_accuracy(material.classifier.probabilities(digits(images)), labels)

    found = {"samples": share(material.samples, asked)}
    if material.test is not None:
        found["real"] = share(material.test.x, material.test.labels)
    return found


def one_nn(material: Material) -> dict[str, Any]:
    """Accuracy on test images of the 1-nearest-neighbour rule that knows the samples only.

    Raises MiniganError if the samples were made for no classes or there are no test images.
    """
    asked = material.asked_for("one-nn")
    test, train = material.unseen("one-nn"), material.train
    rows = shuffled(np.arange(len(train)))[: len(asked)]
    return {
        "samples": neighbours.one_nearest_neighbour(material.samples, asked, test.x, test.labels),
        "real": neighbours.one_nearest_neighbour(
            train.x[rows], train.labels[rows], test.x, test.labels
        ),
    }


QUESTIONS: dict[str, Callable[[Material], dict[str, Any]]] = {
    "classes": classes,
    "distance": distance,
    "precision-recall": precision_and_recall,
    "neighbours": nearest,
    "parzen": likelihood,
    "likelihood": model_likelihood,
    "modes": toy_modes,
    "stacked": stacked_modes,
    "labels": right_labels,
    "one-nn": one_nn,
}


# Below so many samples, or training images, there is no answer: two in each group of the jackknife,
# and more than k neighbours.
LEAST = {"distance": 40, "precision-recall": 4}


# How many samples the literature takes.  Where it does not agree: as many as MNIST's test images.
SAMPLES = {"modes": modes.SAMPLES, "stacked": modes.STACKED_SAMPLES}
USUAL_SAMPLES = 10_000


def samples_for(names: Iterable[str]) -> int:
    """How many samples to draw for these questions, if nobody says.

    >>> samples_for(["modes"]), samples_for(["stacked", "neighbours"]), samples_for([])
    (2500, 26000, 10000)
    """
    return max((SAMPLES.get(name, USUAL_SAMPLES) for name in names), default=USUAL_SAMPLES)


def suitable(
    train: Dataset, *, has_test: bool = False, has_density: bool = False, has_labels: bool = False
) -> list[str]:
    """The questions that make sense for samples of a run on these data.

    The classifier knows MNIST's digits and nothing else; the Parzen estimate is about grey ones.

    Args:
        train: what the generator learnt from.
        has_test: there are data that it has not seen.
        has_density: it is a VAE's.
        has_labels: it is asked for classes.
    """
    if train.name == stacked.NAME:
        return ["stacked", "neighbours"]
    if not train.is_images:
        return ["modes"] if MIXTURES[train.name].modes.shape[1] == 2 else []
    is_mnist = train.name == "mnist"
    names = ["classes", "distance", "precision-recall"] if is_mnist else []
    names += ["neighbours", *(["parzen"] if has_test else [])]
    if has_density and has_test:
        names.append("likelihood")
    if has_labels:
        names += [*(["labels"] if is_mnist else []), *(["one-nn"] if has_test else [])]
    return names
