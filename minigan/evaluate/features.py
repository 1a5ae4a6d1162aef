"""Samples as the classifier sees them: which digits they are, and how far from the data.

Two measurements of what :mod:`minigan.evaluate.classifier` says about images:

* :func:`class_histogram` of its probabilities: does a digit take over, are samples digits at all?
* :func:`classifier_distance` of its features: the Fréchet distance of two Gaussians (Dowson &
  Landau 1982), one fitted to the features of data, one to those of samples::

      |m1 - m2|^2 + trace(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2)

The second is the formula behind FID (Heusel et al. 2017), but *not* FID: that is a name for the
features of one network, Inception, trained on ImageNet.  Numbers from other features, or from other
versions of this classifier, cannot be compared with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.evaluate import arrays

# Class histogram ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ClassHistogram:
    """How many samples of each class there are, and how even that is.

    * ``counts``: by class; they add up to ``samples``.
    * ``entropy``, ``entropy_se``: -sum of p ln p of the shares p, in nats, and its standard error.
    * ``most``: the largest possible entropy, ln K.
    * ``unsure``, ``unsure_se``: share of samples whose most probable class has a probability below
      ``threshold``, and its standard error.
    """

    counts: tuple[int, ...]
    entropy: float
    entropy_se: float
    most: float
    unsure: float
    unsure_se: float
    threshold: float
    samples: int

    @property
    def shares(self) -> tuple[float, ...]:
        """Of the samples, by class."""
        return tuple(count / self.samples for count in self.counts)

    @property
    def shares_se(self) -> tuple[float, ...]:
        """Their standard errors."""
        return tuple(share_se(share, self.samples) for share in self.shares)


def class_histogram(probabilities: np.ndarray, *, threshold: float = 0.9) -> ClassHistogram:
    """Count the most probable classes.

    Args:
        probabilities: (N, K), K >= 2, rows that add up to 1, as ``Classifier.probabilities``.
        threshold: in [0, 1]; below it the classifier counts as unsure.

    With p the shares of N samples, the entropy H = -sum p ln p has the variance

        (sum p (ln p)^2 - H^2) / N + (k - 1) / (2 N^2)

    for k classes that occur (Harris 1975): to second order, because the first term is 0 for equal
    shares.  H is too small by about (k - 1) / (2 N), which is left as it is.

    >>> found = class_histogram(np.eye(4)[[0, 0, 1, 3]])
    >>> found.counts, round(found.entropy, 4), found.unsure
    ((2, 1, 0, 1), 1.0397, 0.0)

    Raises ValueError, one line, for other shapes and values.
    """
    p = arrays.rows("probabilities", probabilities)
    if p.shape[1] < 2 or p.min() < 0 or np.abs(p.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError(
            f"probabilities: expected (N, K >= 2), from 0, rows adding up to 1, got {p.shape} "
            f"from {p.min():.4g}, rows of {p.sum(axis=1).min():.4g} to {p.sum(axis=1).max():.4g}"
        )
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: expected a number in [0, 1], got {threshold!r}")
    n, k = p.shape
    counts = np.bincount(p.argmax(axis=1), minlength=k)
    shares = counts[counts > 0] / n
    logs = np.log(shares)
    entropy = -np.sum(shares * logs)
    variance = max(np.sum(shares * logs**2) - entropy**2, 0) / n + (len(shares) - 1) / (2 * n**2)
    unsure = float((p.max(axis=1) < threshold).mean())
    return ClassHistogram(
        counts=tuple(int(count) for count in counts),
        entropy=float(entropy) + 0.0,  # of one class: 0.0, not -0.0
        entropy_se=math.sqrt(variance),
        most=math.log(k),
        unsure=unsure,
        unsure_se=share_se(unsure, n),
        threshold=threshold,
        samples=n,
    )


def share_se(share: float, n: int) -> float:
    """The standard error sqrt(p (1 - p) / n) of a share p of n independent cases.

    >>> share_se(0.5, 100)
    0.05
    """
    return math.sqrt(share * (1 - share) / n)


# Fréchet distance ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ClassifierDistance:
    """A Fréchet distance in the classifier's features, its error, and what real data would get.

    * ``value``, ``se``: between ``real`` images of the data and ``samples``.
    * ``floor``, ``floor_se``: the same between those images of the data and ``held_out`` others,
      or None if there are none: a perfect generator gets this, not 0.
    """

    value: float
    se: float
    real: int
    samples: int
    floor: float | None = None
    floor_se: float | None = None
    held_out: int = 0


def classifier_distance(
    real: np.ndarray,
    samples: np.ndarray,
    held_out: np.ndarray | None = None,
    *,
    groups: int = 20,
) -> ClassifierDistance:
    """The Fréchet distance of samples from data in the features of the classifier.  Not FID.

    A distance estimated from few rows is too large, by an amount that falls as 1/N: compare only
    numbers from equally many.  For that reason as many held-out rows are used for the floor as
    there are samples, if there are enough.  They are drawn at random, always the same, because the
    order of a file need not be: from MNIST's first 50,000 training images the first 5,000 test
    images are at a distance of 8.2, 5,000 of them at random at 1.5.

    Args:
        real: features (N, d) of training images, as of ``Classifier.features``; of a file's rows
            all or some at random, not the first.
        samples: features (M, d) of what a generator made.
        held_out: features (L, d) of real images that are not in ``real``, for the floor.
        groups: of the jackknife, see :func:`frechet_with_error`.

    >>> random = np.random.default_rng(0)
    >>> a, b, c = (random.normal(size=(1000, 2)) for _ in range(3))
    >>> found = classifier_distance(a, b + [1, 0], c)
    >>> round(found.value, 1), round(found.floor, 1), found.held_out
    (1.0, 0.0, 1000)

    Raises ValueError, one line, for other shapes, too few rows, NaN and infinity.
    """
    value, se = frechet_with_error(real, samples, groups=groups)
    found = {"value": value, "se": se, "real": len(real), "samples": len(samples)}
    if held_out is not None:
        held_out = arrays.rows("held_out", held_out)
        held_out = np.random.default_rng(0).permutation(held_out)[: len(samples)]
        floor, floor_se = frechet_with_error(real, held_out, groups=groups)
        found |= {"floor": floor, "floor_se": floor_se, "held_out": len(held_out)}
    return ClassifierDistance(**found)


def frechet_with_error(
    first: np.ndarray, second: np.ndarray, *, groups: int = 20
) -> tuple[float, float]:
    """The Fréchet distance of the Gaussians fitted to two sets of rows, and its standard error.

    The error is the delete-a-group jackknife's: each set is divided at random into g groups, the
    distance d_i is taken without group i, and the variance is (g - 1)/g sum (d_i - mean d)^2, of
    one set plus of the other.  It takes 2 g distances, and no row is looked at twice, because the
    moments of a set without a group are those of the set minus those of the group.  It holds for
    independent rows.

    Args:
        first, second: (N, d) and (M, d), at least 2 * groups rows each.
        groups: g >= 2.

    >>> random = np.random.default_rng(0)
    >>> x = random.normal(size=(500, 3))
    >>> distance, error = frechet_with_error(x, x + 2)
    >>> round(distance, 6), bool(0.3 < error < 1.2)
    (12.0, True)

    Raises ValueError, one line, for other shapes, too few rows, NaN and infinity.
    """
    if arrays.at_least_1("groups", groups) < 2:
        raise ValueError(f"groups: expected 2 or more, got {groups}")
    first = arrays.rows("first", first, least=2 * groups)
    second = arrays.rows("second", second, least=2 * groups)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"the two sets have {first.shape[1]} and {second.shape[1]} features: "
            "expected as many of both"
        )
    middle = first.mean(axis=0)  # moments about it: no digits are lost in their differences
    a, b = _Moments(first - middle, groups), _Moments(second - middle, groups)
    variance = 0.0
    for d in (
        np.array([frechet(*a.without(i), *b.all()) for i in range(groups)]),
        np.array([frechet(*a.all(), *b.without(i)) for i in range(groups)]),
    ):
        variance += (groups - 1) / groups * np.sum((d - d.mean()) ** 2)
    return frechet(*a.all(), *b.all()), math.sqrt(variance)


class _Moments:
    """Counts, sums and sums of products of the groups of a set of rows (N, d)."""

    def __init__(self, x: np.ndarray, groups: int):
        # In random order: data is often sorted, and its groups would be of one class each.
        order = np.random.default_rng(0).permutation(len(x))
        parts = [x[rows] for rows in np.array_split(order, groups)]
        self.groups = [(len(part), part.sum(axis=0), part.T @ part) for part in parts]
        self.total = tuple(sum(values) for values in zip(*self.groups))

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        return _gaussian(*self.total)

    def without(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        return _gaussian(*(whole - part for whole, part in zip(self.total, self.groups[i])))


def _gaussian(n: int, sums: np.ndarray, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and unbiased covariance (d, d) from n rows' sums and sums of products."""
    mean = sums / n
    return mean, (products - n * np.outer(mean, mean)) / (n - 1)


def frechet(m1: Any, s1: Any, m2: Any, s2: Any) -> float:
    """The Fréchet distance of N(m1, S1) and N(m2, S2) (Dowson & Landau 1982).

    |m1 - m2|^2 + trace(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2), in float64.

    Args:
        m1, m2: means (d,).
        s1, s2: covariances (d, d), symmetric, no eigenvalue below 0.

    >>> frechet([0, 0], np.eye(2), [3, 0], 4 * np.eye(2))
    11.0

    Raises ValueError, one line, for other shapes, NaN and infinity.
    """
    m1, s1, m2, s2 = (np.asarray(x, np.float64) for x in (m1, s1, m2, s2))
    d = m1.size
    if m1.shape != (d,) or m2.shape != (d,) or s1.shape != (d, d) or s2.shape != (d, d):
        raise ValueError(
            f"expected means (d,) and covariances (d, d), got {m1.shape}, {s1.shape}, "
            f"{m2.shape}, {s2.shape}"
        )
    if not all(np.isfinite(x).all() for x in (m1, s1, m2, s2)):
        raise ValueError("expected finite means and covariances, got NaN or infinity")
    root = symmetric_sqrt(s1)
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ s2 @ root), 0)).sum()
    distance = np.sum((m1 - m2) ** 2) + np.trace(s1) + np.trace(s2) - 2 * cross
    return max(float(distance), 0.0)  # of equal Gaussians rounding leaves about -1e-14


def symmetric_sqrt(matrix: np.ndarray) -> np.ndarray:
    """The symmetric R with R R = S: V sqrt(L) V^T from the eigenvalues L and vectors V of S.

    S is symmetric with no eigenvalue below 0; those that rounding has left there count as 0.

    >>> symmetric_sqrt(np.array([[4.0, 0.0], [0.0, 9.0]]))
    array([[2., 0.],
           [0., 3.]])
    """
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
