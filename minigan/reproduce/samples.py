"""What a run's generator draws after some step: always of the same noise, to be compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minigan.evaluate.features import ClassHistogram, ClassifierDistance
from minigan.evaluate.precision_recall import PrecisionRecall
from minigan.train.labels import one_hot
from minigan.train.sampling import generate, load_generator, unit
from minigan.train.setup import draw_z


def drawn(
    checkpoint: Path, n: int, seed: int | Sequence[int] = 0, labels: np.ndarray | None = None
) -> np.ndarray:
    """n samples of its G, of the z of this seed: images (n, C, H, W) in [0, 1], or points (n, 2).

    Those of a conditional G are of these classes or codes (n,).

    MiniganError if the file is no good.
    """
    G, config, _ = load_generator(checkpoint)
    recipe = config.recipe
    y = [] if labels is None else [one_hot(labels, len(config.classes))]
    return unit(generate(G, draw_z(recipe, n, np.random.default_rng(seed)), *y), recipe)


def columns(
    histogram: ClassHistogram, spread: PrecisionRecall, far: ClassifierDistance
) -> dict[str, float]:
    """What the classifier sees in samples, as columns of a table."""
    return {
        "entropy of classes, nats": histogram.entropy,
        "smallest class, %": 100 * min(histogram.counts) / histogram.samples,
        "largest class, %": 100 * max(histogram.counts) / histogram.samples,
        "precision": spread.precision,
        "recall": spread.recall,
        "classifier distance": far.value,
    }
