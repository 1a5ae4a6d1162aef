"""Does a conditional generator make what it was asked for?

Two views of the same question, from both sides:

* :func:`label_accuracy`: samples are shown to a classifier that learnt from real images, and the
  share is counted that it names as the label they were made for.  A generator that makes one good
  picture of each class gets everything right.
* :func:`minigan.evaluate.neighbours.one_nearest_neighbour` with the samples as its memory: real
  images are classified by the nearest sample.  A generator that makes one picture of each class
  fails here, because its samples do not stand for the variety of the data.

The second is the score of Radford et al. 2016 for their conditional networks; with a network in
place of the nearest neighbour it is Ravuri & Vinyals' (2019) Classification Accuracy Score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigan.evaluate import arrays
from minigan.evaluate.features import share_se


@dataclass(frozen=True, kw_only=True)
class LabelAccuracy:
    """The share of images that the classifier names as their labels say.

    * ``accuracy``, ``se``: over all, sqrt(p (1 - p) / ``samples``).
    * ``by_class``, ``by_class_se``, ``counts``: for each label; None for one of which no image is.
    """

    accuracy: float
    se: float
    samples: int
    by_class: tuple[float | None, ...]
    by_class_se: tuple[float | None, ...]
    counts: tuple[int, ...]


def label_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> LabelAccuracy:
    """How often the most probable class is the label.

    Args:
        probabilities: (N, K), as of ``Classifier.probabilities``.
        labels: whole numbers (N,) from 0 to K - 1.

    >>> found = label_accuracy(np.eye(3)[[0, 1, 1, 1]], np.array([0, 0, 1, 1]))
    >>> found.accuracy, found.by_class, found.counts
    (0.75, (0.5, 1.0, None), (2, 2, 0))

    Raises ValueError, one line, for other shapes and values.
    """
    probabilities = arrays.rows("probabilities", probabilities)
    n, classes = probabilities.shape
    labels = arrays.labels("labels", labels, n, classes)
    is_right = probabilities.argmax(axis=1) == labels
    counts = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[is_right], minlength=classes)
    shares = [int(r) / int(count) if count else None for r, count in zip(right, counts)]
    errors = [None if p is None else share_se(p, int(c)) for p, c in zip(shares, counts)]
    accuracy = float(is_right.mean())
    return LabelAccuracy(
        accuracy=accuracy,
        se=share_se(accuracy, n),
        samples=n,
        by_class=tuple(shares),
        by_class_se=tuple(errors),
        counts=tuple(counts.tolist()),
    )
