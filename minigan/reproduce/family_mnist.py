"""All objectives of the family on MNIST: the same two networks, the same number of G's steps.

What the samples are asked, beside real images that no network has seen: how evenly the digits come
(entropy of the classes, at most log 10), how good and how varied they are (precision and recall),
and how far they lie from the data (a Fréchet distance in the features of the project's classifier,
which is not FID).  See ``minigan.evaluate``.

Nothing is judged: the papers give no such numbers for these networks.  Which row is best is what
the table is for.  It is of one run each, and the errors are over the samples: what another seed
gives is not in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from minigan import data, plots, recipes
from minigan.evaluate import features, report
from minigan.reproduce.family import ENTRANTS, Entrant
from minigan.reproduce.result import Outcome, Picture, Task, counted
from minigan.reproduce.samples import columns, drawn
from minigan.reproduce.speckle import median
from minigan.reproduce.table1 import some
from minigan.reproduce.training import Training, train_all
from minigan.train.record import Run

SHOWN = 30  # samples of each entrant in the picture


@dataclass(frozen=True)
class Plan:
    """Seeds of each entrant, steps of G, samples of each, and images of each part of MNIST."""

    seeds: int
    steps: int
    samples: int
    images: int


FULL = Plan(seeds=1, steps=5000, samples=10_000, images=60_000)
QUICK = Plan(seeds=1, steps=20, samples=500, images=500)


def wanted(entrant: Entrant, seed: int, steps: int) -> Training:
    """The training of an entrant."""
    base = recipes.override(recipes.get("gan"), {"data": "mnist"})
    recipe = entrant.recipe(base, points=False)
    return Training(
        f"family-{entrant.name.replace(' ', '-')}-mnist-seed{seed}", recipe, seed, steps
    )


def reproduce(task: Task) -> Outcome:
    """Train all, and ask the same of their samples."""
    plan = QUICK if task.quick else FULL
    train, test = (
        some(data.load("mnist", split=split, data_dir=task.data_dir), plan.images)
        for split in ("train", "test")
    )
    seeds = range(task.seed, task.seed + plan.seeds)
    runs = train_all(
        task,
        [wanted(entrant, seed, plan.steps) for seed in seeds for entrant in ENTRANTS],
        every=1000,
    )
    rows, shown = [], {}
    for entrant, run in zip(ENTRANTS * plan.seeds, runs):
        images = drawn(max(run.checkpoints().items())[1], plan.samples)
        material = report.Material(samples=images, train=train, test=test)
        rows.append(row(entrant, run, material))
        shown.setdefault(entrant.name, images[:SHOWN])
    return Outcome(
        settings={
            "networks and optimiser": recipes.get("gan").source,
            "trained": f"{plan.steps} steps of G with batches of 64 images, "
            f"{counted(plan.seeds, 'seed')} each; wgan: RMSprop, lr 0.00005",
            "asked of": f"{plan.samples} samples each",
        },
        measured={"entrants": rows, "real test images": [real_row(train, test)]},
        comparisons=[],
        pictures=[
            Picture(
                "family-mnist.png",
                "Samples of every entrant, drawn at random.",
                draw_samples(shown),
            )
        ],
        notes=[
            "Steps of G are the same for all. D moves five times in a step of wgan and wgan-gp, "
            "and a penalty costs a second backward pass. The minutes are by the clock on the wall, "
            "whatever else the machine did.",
            "One run each: the errors are over the samples, and what another seed would give is "
            "not in them.",
            "What an entrant changes has the value of its paper and was not tuned here. The "
            "networks are those of the plain GAN, fully connected, with batch normalisation in G.",
            "The classes are seen through a 3 x 3 median: of speckled digits the classifier says "
            "8 (see the reproduction collapse). The distance and precision and recall are of the "
            "images as they are.",
            "The distance is of this project's classifier: it compares rows here, and nothing "
            "with other tables.",
        ],
    )  # fmt: skip


def row(entrant: Entrant, run: Run, material: report.Material) -> dict[str, Any]:
    """An entrant's numbers, each with its standard error over the samples."""
    seconds = [entry["seconds"] for entry in run.read_log()]
    config = run.read_config()
    return {
        "entrant": entrant.name,
        "seed": config.seed,
        **asked(material),
        "minutes": round(seconds[-1] / 60, 2),
        "by": entrant.source,
    }


def asked(material: report.Material) -> dict[str, float]:
    """Entropy, precision and recall, distance, of these samples."""
    seen = material.classifier.probabilities(median(material.samples))
    histogram = features.class_histogram(seen)
    spread = report.precision_and_recall(material)["samples"]
    far = report.distance(material)["samples"]
    return {
        **columns(histogram, spread, far),
        "± entropy of classes, nats": histogram.entropy_se,
        "± precision": spread.precision_se,
        "± recall": spread.recall_se,
        "± classifier distance": far.se,
    }


def real_row(train: data.Dataset, test: data.Dataset) -> dict[str, float]:
    """What real images get that nobody has trained on: the floor of the distance is theirs."""
    images = report.shuffled(test.x) / np.float32(255)
    return asked(report.Material(samples=images, train=train, test=test))


def draw_samples(shown: dict[str, np.ndarray]) -> Image.Image:
    """A captioned grid of samples for each entrant, two beside each other."""
    tiles = [
        plots.captioned(plots.grid(images, 10, 0, 1, scale=1).resize((453, 138)), name)
        for name, images in shown.items()
    ]
    width, height = tiles[0].size
    sheet = Image.new("RGB", (2 * width, height * -(-len(tiles) // 2)), "white")
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % 2 * width, i // 2 * height))
    return sheet
