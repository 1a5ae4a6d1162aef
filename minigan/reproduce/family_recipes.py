"""The family's recipes, each trained for a while: its samples, the command, the time, numbers.

The tables ``family-points`` and ``family-mnist`` compare ideas on the same networks.  Here every
recipe has its own networks and settings, those of its paper, and nothing is compared: how far it
comes in minutes is what a reader who types the command will see.  Autoencoders have a reproduction
of their own, ``vae``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import data, plots, recipes
from minigan.data.toy import MIXTURES
from minigan.evaluate import report
from minigan.evaluate.features import share_se
from minigan.evaluate.labels import label_accuracy
from minigan.evaluate.modes import SAMPLES, toy_modes
from minigan.recipes import Recipe
from minigan.reproduce.family_mnist import asked, real_row
from minigan.reproduce.modes import real_points
from minigan.reproduce.result import Outcome, Picture, Task
from minigan.reproduce.samples import drawn
from minigan.reproduce.table1 import some
from minigan.reproduce.training import Training, train_all
from minigan.train.record import Run

STEPS = {  # of G, each as many as take up to half an hour of one core
    "lsgan": 2000,
    "hinge": 2000,
    "wgan": 4000,  # an hour: the learning rate is low, and its critic moves 23,040 times
    "wgan-gp": 400,  # and of the critic five times as many
    "dragan": 1000,
    "r1": 3000,
    "cgan": 10_000,
    "cdcgan-28": 2000,
    "acgan-28": 2000,
    "infogan-28": 1500,
    "wgan-gp-toy": 1000,
    "pacgan2": 10_000,
    "unrolled": 12_500,
}
CLASSES = 10
COLUMNS, ROWS = 16, 5  # of the samples in a picture; with classes, one a row


@dataclass(frozen=True)
class Plan:
    """Steps of G of each recipe, samples of each, images of each part of MNIST."""

    steps: Mapping[str, int]
    samples: int
    images: int


FULL = Plan(steps=STEPS, samples=10_000, images=60_000)
QUICK = Plan(steps=dict.fromkeys(STEPS, 2), samples=500, images=500)


def wanted(name: str, seed: int, steps: int) -> Training:
    """The recipe as it is, but images are MNIST's."""
    recipe = recipes.get(name)
    if recipe.data not in MIXTURES:
        recipe = recipes.override(recipe, {"data": "mnist"})
    return Training(f"family-recipe-{name}-seed{seed}", recipe, seed, steps)


def command(training: Training) -> str:
    """What a user types for it.

    >>> command(wanted("lsgan", 0, 2000)), command(wanted("unrolled", 0, 9))
    ('minigan train lsgan --data mnist --steps 2000', 'minigan train unrolled --steps 9')
    """
    name, given = training.recipe.name, training.recipe.data
    other = "" if given == recipes.get(name).data else f" --data {given}"
    return f"minigan train {name}{other} --steps {training.steps}"


def reproduce(task: Task) -> Outcome:
    """Train all, look at their samples, count."""
    plan = QUICK if task.quick else FULL
    train, test = (
        some(data.load("mnist", split=split, data_dir=task.data_dir), plan.images)
        for split in ("train", "test")
    )
    trainings = [wanted(name, task.seed, steps) for name, steps in plan.steps.items()]
    runs = train_all(task, trainings, every=500)
    images, points, pictures = [], [], []
    for training, run in zip(trainings, runs):
        recipe, facts = training.recipe, trained(training, run)
        _, newest = max(run.checkpoints().items())
        if recipe.data in MIXTURES:
            samples = drawn(newest, SAMPLES)
            points.append({**facts, **near_modes(samples, recipe.data)})
            drawing = plots.points(samples, real_points(recipe.data)[:1000])
        else:
            labels = np.arange(plan.samples) % CLASSES if recipe.is_conditional else None
            samples = drawn(newest, plan.samples, labels=labels)
            material = report.Material(samples=samples, train=train, test=test)
            images.append({**facts, **asked(material), **heard(recipe, material, labels)})
            drawing = plots.grid(shown(samples, labels), COLUMNS, 0, 1)
        caption = f"{recipe.name} on {recipe.data}, after {training.steps:,} steps."
        pictures.append(Picture(f"{recipe.name}.png", caption, drawing))
    return Outcome(
        settings={
            "recipes": "as they are, MNIST for images",
            "trained": "each on one thread, from one seed",
            "asked of": f"{plan.samples} samples of images each, {SAMPLES} points",
        },
        measured={
            "images": images,
            "real test images": [real_row(train, test)],
            "points": points,
        },
        comparisons=[],
        pictures=pictures,
        notes=[
            "The minutes are by the clock on the wall, two trainings at a time on two cores, "
            "whatever else the machine did.",
            "Each recipe has networks and settings of its own, and another number of steps: the "
            "rows are not a comparison (that is family-mnist).",
            "Right labels: of samples that were made for a class, the share that the classifier "
            "names so; a class is asked for as often as any other. Of the codes of infogan-28, "
            "which nobody gave a meaning, it is the share of samples that are of their code's "
            "most frequent class.",
            "In the pictures of conditional recipes each row is of one class or code.",
            "Entropy is of classes seen through a 3 x 3 median, as in family-mnist.",
        ],
    )  # fmt: skip


def trained(training: Training, run: Run) -> dict[str, Any]:
    """How it was made."""
    seconds = run.read_log()[-1]["seconds"]
    return {
        "recipe": training.recipe.name,
        "command": f"`{command(training)}`",
        "minutes": round(seconds / 60, 1),
    }


def near_modes(points: np.ndarray, mixture: str) -> dict[str, Any]:
    """Modes and high quality, as in family-points."""
    count = toy_modes(points, mixture)
    return {
        "data": mixture,
        "modes": f"{count.captured} of {count.modes}",
        "high quality, %": 100 * count.high_quality,
        "± high quality, %": 100 * count.se,
    }


def heard(recipe: Recipe, material: report.Material, labels: np.ndarray | None) -> dict[str, Any]:
    """Does G make what it is asked for?  Per cent, or None for a recipe that is not asked."""
    if labels is None:
        return {"right labels, %": None, "± right labels, %": None}
    probabilities = material.classifier.probabilities(material.samples)
    if recipe.codes:
        share = same_class(probabilities.argmax(axis=1), labels)
        error = share_se(share, len(labels))
    else:
        found = label_accuracy(probabilities, labels)
        share, error = found.accuracy, found.se
    return {"right labels, %": 100 * share, "± right labels, %": 100 * error}


def same_class(classes: np.ndarray, codes: np.ndarray) -> float:
    """The share of samples that are of their code's most frequent class.

    >>> same_class(np.array([7, 7, 1, 1]), np.array([0, 0, 0, 1]))
    0.75
    """
    most = sum(np.bincount(classes[codes == code]).max() for code in np.unique(codes))
    return float(most / len(codes))


def shown(samples: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Those in the picture: the first ones, or the first of each class in a row."""
    if labels is None:
        return samples[: COLUMNS * ROWS]
    return np.concatenate([samples[labels == y][:COLUMNS] for y in range(CLASSES)])
