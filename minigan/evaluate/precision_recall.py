"""Improved precision and recall (Kynkäänniemi et al. 2019): quality and variety, apart.

A set of feature vectors stands for the region that its balls cover: around each vector a ball that
reaches its k-th nearest neighbour in the same set (section 3, k = 3).

    precision   share of the samples that lie in the region of the data: are they good?
    recall      share of the data that lies in the region of the samples: is all of it there?

with f(v, S) = 1 if |v - s| <= |s - NN_k(s, S)| for any s in S, else 0 (eq. 1), and the two shares
eq. 2.  A generator that makes one perfect image has precision 1 and recall near 0; one that makes
noise as wide as the data has the reverse.

The paper takes the features of VGG-16.  Here they are those of the classifier that minigan trains
on MNIST: compare numbers only with others from the same features and as many images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigan.evaluate import arrays
from minigan.evaluate.distances import squared_distances
from minigan.evaluate.features import share_se


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """Two shares with standard errors, and from how many images and neighbours they come.

    The errors are sqrt(p (1 - p) / n) with the n vectors that were looked up.  That the balls would
    lie elsewhere for other images is not in them.
    """

    precision: float
    precision_se: float
    recall: float
    recall_se: float
    k: int
    real: int
    samples: int


def precision_recall(
    real: np.ndarray, samples: np.ndarray, *, k: int = 3, block: int | None = None
) -> PrecisionRecall:
    """Precision and recall of samples against data.

    Both depend on the sizes of the two sets: the paper takes 50,000 of each.  Take as many of one
    as of the other, and beside the result that of real images held out: it is below 1 too.  In the
    features of the shipped classifier, 10,000 test images of MNIST against the first 10,000 for
    training have a precision of 0.862 and a recall of 0.865.

    Args:
        real: features (N, d), N > k, of data.
        samples: features (M, d), M > k, of what a generator made.
        k: which neighbour a ball reaches, 1 or more.
        block: rows of distances held at a time, by default about 32 MB of them.  It does not change
            the result.

    >>> x = np.arange(10.0)[:, None]
    >>> found = precision_recall(x, x[:5])
    >>> found.precision, found.recall  # the balls of 0 ... 4 reach 7
    (1.0, 0.8)

    Raises ValueError, one line, for other shapes, too few rows, NaN and infinity.
    """
    k = arrays.at_least_1("k", k)
    real = arrays.rows("real", real, least=k + 1)
    samples = arrays.rows("samples", samples, least=k + 1)
    if real.shape[1] != samples.shape[1]:
        raise ValueError(
            f"data and samples have {real.shape[1]} and {samples.shape[1]} features: "
            "expected as many of both"
        )
    middle = real.mean(axis=0)  # distances stay; they are rounded less near the origin
    real, samples = real - middle, samples - middle
    precision = float(covered(samples, real, radii(real, k, block), block).mean())
    recall = float(covered(real, samples, radii(samples, k, block), block).mean())
    return PrecisionRecall(
        precision=precision,
        precision_se=share_se(precision, len(samples)),
        recall=recall,
        recall_se=share_se(recall, len(real)),
        k=k,
        real=len(real),
        samples=len(samples),
    )


def radii(x: np.ndarray, k: int, block: int | None = None) -> np.ndarray:
    """Squared distance of each row from its k-th nearest other: (N, d) -> (N,), N > k.

    >>> radii(np.array([[0.0], [1.0], [5.0]]), 1)
    array([ 1.,  1., 16.])
    """
    step = arrays.block_rows(len(x), block)
    # The nearest of all is the row itself, at 0: so the k-th other is number k from 0.
    return np.concatenate([
        np.partition(squared_distances(x[i : i + step], x), k, axis=1)[:, k]
        for i in range(0, len(x), step)
    ])  # fmt: skip


def covered(
    x: np.ndarray, centres: np.ndarray, squared_radii: np.ndarray, block: int | None = None
) -> np.ndarray:
    """Which rows lie in a ball, on its surface included: (M, d), (N, d), (N,) -> bool (M,).

    >>> covered(np.array([[0.0], [3.0]]), np.array([[1.0]]), np.array([1.0]))
    array([ True, False])
    """
    step = arrays.block_rows(len(centres), block)
    return np.concatenate([
        (squared_distances(x[i : i + step], centres) <= squared_radii).any(axis=1)
        for i in range(0, len(x), step)
    ])  # fmt: skip
