"""How far samples are from the data: a cheap distance, to tell a run's checkpoints apart.

No loss of a GAN measures quality: each is relative to the other player.  So at every checkpoint
the *pixel Fréchet distance* is taken: images are shrunk to 7 x 7 pixels in [0, 1], a Gaussian is
fitted to those of the data and one to those of 2,000 samples, and the two are compared by the
Fréchet distance (Dowson & Landau 1982), the formula behind FID:

    |m1 - m2|^2 + trace(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2)

It is *not* FID: no network looks at the images, and sharp edges and shapes do not show at 7 x 7.
It sees brightness, layout, variety and collapse.  Points are compared by their coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SIDE = 7
SAMPLES = 2000
REAL = 10_000  # rows of the data at most, drawn once and for all


def name(is_images: bool) -> str:
    """What the number is called in reports."""
    return "pixel Fréchet distance (7x7, not FID)" if is_images else "Fréchet distance of points"


def features(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Images (N, C, H, W) in [low, high] -> float64 (N, C * 49) in [0, 1]; points stay.

    A side of fewer than 7 pixels keeps what it has.

    >>> features(np.ones((2, 1, 28, 28)), -1, 1).shape
    (2, 49)
    """
    if x.ndim == 2:
        return x.astype(np.float64)
    rows, columns = _averages(x.shape[2]), _averages(x.shape[3])
    small = rows @ x.astype(np.float32) @ columns.T  # (N, C, 7, 7)
    return ((small - low) / (high - low)).reshape(len(x), -1).astype(np.float64)


def _averages(n: int) -> np.ndarray:
    """The matrix (min(7, n), n) that averages n pixels in 7 runs, as equal as can be."""
    side = min(SIDE, n)
    weights = np.zeros((side, n), np.float32)
    for i in range(side):
        start, end = i * n // side, (i + 1) * n // side
        weights[i, start:end] = 1 / (end - start)
    return weights


def gaussian(batches: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean (F,) and covariance (F, F) of features that come in batches (N, F)."""
    x = np.concatenate(list(batches))
    return x.mean(axis=0), np.cov(x, rowvar=False, bias=True).reshape(x.shape[1], x.shape[1])


def frechet(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> float:
    """The Fréchet distance of two Gaussians, each (mean, covariance).

    >>> round(frechet((np.zeros(2), np.eye(2)), (np.array([3.0, 0.0]), 4 * np.eye(2))), 6)
    11.0
    """
    (m1, s1), (m2, s2) = first, second
    root = _sqrt(s1)
    cross = np.trace(_sqrt(root @ s2 @ root))
    return float(np.sum((m1 - m2) ** 2) + np.trace(s1) + np.trace(s2) - 2 * cross)


def _sqrt(matrix: np.ndarray) -> np.ndarray:
    """The square root of a symmetric matrix whose eigenvalues are not negative."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T  # rounding can leave -1e-18


def of_data(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Gaussian of a data set's array, uint8 images or points."""
    if len(x) > REAL:
        # At random: every sixth of the glyphs, whose classes repeat 0 ... 9, would all be even.
        x = x[np.random.default_rng(0).permutation(len(x))[:REAL]]
    return gaussian(features(x[i : i + 500], 0, 255) for i in range(0, len(x), 500))
