"""Nearest neighbours in pixels: does the generator copy, and what do its labels teach?

* :func:`nearest` finds the training image nearest to each sample, by the Euclidean distance of the
  pixels in [0, 1], and :func:`picture` shows the pairs.  The paper of 2014 does so in the last
  columns of its Figure 2: samples that are not their neighbours were not memorised.  Distances mean
  something beside those of held-out real images from the same training images.
* :func:`one_nearest_neighbour` classifies real images by the nearest of a labelled set.  On samples
  of a conditional model it says how much of the data they stand for; real images are the yardstick.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from minigan.evaluate import arrays
from minigan.evaluate.distances import squared_distances
from minigan.evaluate.features import share_se

if TYPE_CHECKING:
    from PIL import Image

BLOCK = 1000  # images of either set at a time: 8 MB of distances, 13 MB of 28 x 28 pixels


@dataclass(frozen=True, eq=False, kw_only=True)
class Neighbours:
    """The training image nearest to each of N samples.

    * ``indices``: int64 (N,), row numbers of the training images; of equally near ones the first.
    * ``distances``: float64 (N,), the root of the summed squared differences of pixels in [0, 1].
    * ``train``: how many training images were looked at.
    """

    indices: np.ndarray
    distances: np.ndarray
    train: int

    @property
    def mean(self) -> float:
        """The mean distance."""
        return float(self.distances.mean())

    @property
    def mean_se(self) -> float:
        """Its standard error, std / sqrt(N); of one sample 0."""
        n = len(self.distances)
        return float(self.distances.std(ddof=min(1, n - 1)) / np.sqrt(n))


def nearest(samples: np.ndarray, train: np.ndarray, *, block: int = BLOCK) -> Neighbours:
    """The nearest training image of each sample, in pixels.

    Args:
        samples: (N, C, H, W), uint8 or floats in [0, 1].
        train: (M, C, H, W), likewise.
        block: how many of each are compared at a time; it does not change the result.

    >>> train = np.stack([np.full((1, 4, 4), grey, np.uint8) for grey in (0, 100, 200)])
    >>> found = nearest(train[[2, 0]], train)
    >>> found.indices, found.distances
    (array([2, 0]), array([0., 0.]))

    Raises ValueError or TypeError, one line, for other shapes, values and types.
    """
    samples = arrays.images("samples", samples)
    train = arrays.images("train", train, samples.shape[1:])
    block = arrays.at_least_1("block", block)
    indices, distances = [], []
    for i in range(0, len(samples), block):
        some = _grey_levels(samples[i : i + block])
        best = np.full(len(some), np.inf)
        where = np.zeros(len(some), np.int64)
        for j in range(0, len(train), block):
            squared = squared_distances(some, _grey_levels(train[j : j + block]))
            candidates = squared.argmin(axis=1)
            values = squared[np.arange(len(some)), candidates]
            is_nearer = values < best
            best[is_nearer] = values[is_nearer]
            where[is_nearer] = candidates[is_nearer] + j
        indices.append(where)
        distances.append(np.sqrt(best) / 255)
    return Neighbours(
        indices=np.concatenate(indices), distances=np.concatenate(distances), train=len(train)
    )


def _grey_levels(images: np.ndarray) -> np.ndarray:
    """Pixels as float64 0..255, (N, C H W).  Of bytes these are whole numbers, and so are their
    squared distances: exact, however they are summed."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    return flat if images.dtype == np.uint8 else 255 * flat


def picture(
    samples: np.ndarray,
    train: np.ndarray,
    neighbours: Neighbours | None = None,
    *,
    columns: int = 6,
) -> Image.Image:
    """Pairs side by side, left a sample and right its nearest training image, with a caption.

    Args:
        samples, train: as for :func:`nearest`, C = 1 or 3.
        neighbours: of these samples; None to look for them.
        columns: of pairs.

    >>> images = np.zeros((3, 1, 28, 28), np.uint8)
    >>> picture(images, images, columns=3).size
    (368, 100)

    Raises ValueError or TypeError, one line, for other shapes, values and types.
    """
    from minigan import plots

    columns = arrays.at_least_1("columns", columns)
    samples = arrays.images("samples", samples)
    train = arrays.images("train", train, samples.shape[1:])
    found = nearest(samples, train) if neighbours is None else neighbours
    if len(found.indices) != len(samples) or found.train != len(train):
        raise ValueError(
            f"neighbours of {len(found.indices)} samples among {found.train} images do not belong "
            f"to {len(samples)} samples and {len(train)} images"
        )
    pairs = np.concatenate([_bytes(samples), _bytes(train[found.indices])], axis=3)
    scale = max(1, 56 // max(samples.shape[2:]))
    sheet = plots.grid(pairs, columns=min(columns, len(pairs)), scale=scale, padding=8)
    return plots.captioned(sheet, "left: sample    right: its nearest training image")


def _bytes(images: np.ndarray) -> np.ndarray:
    return images if images.dtype == np.uint8 else np.rint(255 * images).astype(np.uint8)


# Classification -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OneNearestNeighbour:
    """The share of test images that the nearest labelled image classifies rightly.

    ``se`` is sqrt(p (1 - p) / ``test``); the chance in the choice of ``train`` is not in it.
    """

    accuracy: float
    se: float
    train: int
    test: int


def one_nearest_neighbour(
    train_images: np.ndarray,
    train_labels: np.ndarray,
    test_images: np.ndarray,
    test_labels: np.ndarray,
    *,
    block: int = BLOCK,
) -> OneNearestNeighbour:
    """Accuracy of the 1-nearest-neighbour rule (Cover & Hart 1967), in pixels.

    On MNIST's 10,000 test images, the first 1,000, 10,000 and 50,000 of the real training images
    have errors of 13.10 %, 5.37 % and 3.34 %.

    Args:
        train_images: (N, C, H, W), of data or of a conditional generator; ``train_labels``: whole
            numbers (N,), for samples the labels that were asked for.
        test_images: (M, C, H, W), real; ``test_labels``: whole numbers (M,).
        block: see :func:`nearest`.

    >>> images = np.stack([np.full((1, 4, 4), grey, np.uint8) for grey in (0, 90, 160, 250)])
    >>> one_nearest_neighbour(images[[0, 3]], np.array([0, 1]), images, np.array([0, 0, 1, 1]))
    OneNearestNeighbour(accuracy=1.0, se=0.0, train=2, test=4)

    Raises ValueError or TypeError, one line, for other shapes, values and types.
    """
    train_labels = arrays.labels("train_labels", train_labels, len(train_images))
    test_labels = arrays.labels("test_labels", test_labels, len(test_images))
    found = nearest(test_images, train_images, block=block)
    accuracy = float((train_labels[found.indices] == test_labels).mean())
    return OneNearestNeighbour(
        accuracy=accuracy,
        se=share_se(accuracy, len(test_images)),
        train=len(train_images),
        test=len(test_images),
    )
