"""Concepts, for the arithmetic of Radford et al. 2016: which samples are thin, which lean right.

The paper's authors chose theirs by eye.  Here which digit a sample is says the classifier, and how
thick and how slanted its strokes are, :mod:`minigan.reproduce.dcgan_attributes`.  For each digit,
the fifth of its samples with the smallest values is the low concept (thin, left), that with the
largest the high one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigan.errors import MiniganError

SURE = 0.9  # the classifier's top probability from which a sample is an exemplar of its digit
SHARE = 0.2  # of a digit's samples that make the low concept, and the high one
EXEMPLARS = (1, 3, 10)  # of a concept, to be averaged
LEAST = max(EXEMPLARS)  # samples of each concept; a digit with fewer is left out


@dataclass(frozen=True, eq=False)
class Concepts:
    """The low and the high samples of each digit by one attribute.

    * ``z`` (N, d), ``images`` (N, 1, H, W): the pool.
    * ``low``, ``high``: digit -> row numbers in it.
    * ``low_mean``, ``high_mean``: float64 (10,), the attribute's mean in the concepts, by digit.
    """

    z: np.ndarray
    images: np.ndarray
    low: dict[int, np.ndarray]
    high: dict[int, np.ndarray]
    low_mean: np.ndarray
    high_mean: np.ndarray

    @property
    def digits(self) -> list[int]:
        return list(self.low)


def find_concepts(
    z: np.ndarray, images: np.ndarray, probabilities: np.ndarray, values: np.ndarray
) -> Concepts:
    """The fifths of each digit with the smallest and the largest values.

    Raises MiniganError if fewer than two digits have enough samples.
    """
    digits, sure = probabilities.argmax(axis=1), probabilities.max(axis=1) >= SURE
    low, high = {}, {}
    low_mean, high_mean = np.zeros(10), np.zeros(10)
    for digit in range(10):
        rows = np.flatnonzero(sure & (digits == digit))
        count = int(SHARE * len(rows))
        if count >= LEAST:
            rows = rows[values[rows].argsort(kind="stable")]
            low[digit], high[digit] = rows[:count], rows[-count:]
            low_mean[digit] = values[low[digit]].mean()
            high_mean[digit] = values[high[digit]].mean()
    if len(low) < 2:
        raise MiniganError(
            f"G makes digits that the classifier is sure of for {len(low)} of ten classes, and two "
            "are needed: remove the run, and try another seed"
        )
    return Concepts(z, images, low, high, low_mean, high_mean)
