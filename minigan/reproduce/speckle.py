"""Speckle: single bright pixels that a fully connected G leaves beside its strokes.

The classifier has learnt clean digits.  Of speckle it says "8", and says so surely: of real test
images with a tenth of their pixels at random brightness it names about half rightly and calls most
others 8 (``minigan reproduce collapse`` measures it).  Through a median over 3 x 3 pixels it names
them as well as clean ones.  Beside that eye are two more: the classifier without the median, and
the label of the nearest training image, which has its own mistakes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.data import Dataset
from minigan.evaluate import classifier, neighbours
from minigan.reproduce.table1 import some

SPECKLE = (0.0, 0.05, 0.1)  # shares of the pixels in the test of the eyes


def median(images: np.ndarray) -> np.ndarray:
    """The median of each pixel and its eight neighbours; beyond the edge is 0.

    (N, 1, H, W) -> the same.

    >>> dot, stroke = np.zeros((1, 1, 5, 5)), np.zeros((1, 1, 5, 5))
    >>> dot[0, 0, 2, 2], stroke[0, 0, :, 1:4] = 1, 1
    >>> median(dot).max(), bool((median(stroke)[0, 0, 1:4] == stroke[0, 0, 1:4]).all())
    (np.float64(0.0), True)
    """
    framed = np.pad(images[:, 0], ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(framed, (3, 3), axis=(1, 2))
    # Some at a time: the median copies its windows, nine times the images.
    return np.concatenate(
        [np.median(windows[i : i + 500], axis=(3, 4)) for i in range(0, len(images), 500)]
    )[:, None].astype(images.dtype)


def eyes(images: np.ndarray, train: Dataset, among: int) -> dict[str, np.ndarray]:
    """Which digits images (n, 1, 28, 28) in [0, 1] show, ints (n,), in the opinion of each eye.

    The training images of the third are drawn at random, always the same.
    """
    eye, known = classifier.load(), some(train, among)
    return {
        "median": eye.probabilities(median(images)).argmax(axis=1),
        "plain": eye.probabilities(images).argmax(axis=1),
        "nearest": known.labels[neighbours.nearest(images, known.x).indices],
    }


def eye_test(test: Dataset, train: Dataset, among: int, seed: int) -> list[dict[str, Any]]:
    """How many of these test images each eye names rightly, when a share of their pixels, chosen at
    random, has a random brightness."""
    rng, rows = np.random.default_rng(seed), []
    for share in SPECKLE:
        images = test.x / np.float32(255)
        hit = rng.random(images.shape) < share
        images[hit] = rng.random(int(hit.sum()), dtype=np.float32)
        seen = eyes(images, train, among)
        right = {name: float((digits == test.labels).mean()) for name, digits in seen.items()}
        rows.append(
            {"speckle": share, "test images": len(test), **right,
             "named 8, plain": float((seen["plain"] == 8).mean())}
        )  # fmt: skip
    return rows
