"""The Parzen-window log-likelihood of Goodfellow et al. 2014, Table 1, as their code computes it.

A generator gives samples, not a density.  So put a Gaussian window of width sigma on each of M
samples mu_m, and ask how likely the test images x are under that mixture:

    p(x) = 1/M  sum over m of  N(x; mu_m, sigma^2 I)

    log p(x) = log mean over m of e^(-|x - mu_m|^2 / (2 sigma^2))  -  D log(sigma sqrt(2 pi))

From the released code (goodfeli/adversarial, parzen_ll.py): M = 10,000; sigma is the one of ten
between 0.1 and 1 under which the first 1,000 validation images are most likely; the result is the
mean over all test images, and its standard error std / sqrt(N).  Pixels lie in [0, 1].

The number says little about pictures (Theis et al. 2016): k-means centres score higher than the
training images, and sigma moves it by many nats.  ``yardsticks`` makes the rows to read it by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import kernels
from minigan.backends import array_module
from minigan.evaluate.checks import check_pixels, check_rows
from minigan.evaluate.distances import block_rows, blocks, squared_distances

SIGMAS = np.logspace(-1, 0, 10)
VALID = 1000  # validation images by which sigma is chosen


@dataclass(frozen=True, kw_only=True)
class ParzenResult:
    """``mean`` +- ``se`` nats an image, under windows of width ``sigma``, and from how many rows.

    ``se`` is the standard error over the test images only: another set of samples moves the mean
    too.  ``sigma_at_edge``: no other candidate lies on one side of sigma, so the best may as well.
    """

    mean: float
    se: float
    sigma: float
    sigma_at_edge: bool
    samples: int
    valid: int
    test: int

    def __str__(self) -> str:
        edge = ", AT THE EDGE of the candidates" if self.sigma_at_edge else ""
        return (
            f"{self.mean:.2f} ± {self.se:.2f} nats (sigma {self.sigma:.4f}{edge}; "
            f"{self.samples} samples, {self.valid} validation and {self.test} test images)"
        )


def flat(images: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W), uint8 or floats in [0, 1], as rows (N, C H W) in [0, 1].

    >>> flat(np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3))
    array([[0. , 0.2, 1. ]], dtype=float32)
    """
    x = images.reshape(len(images), -1)
    return x / np.float32(255) if x.dtype == np.uint8 else x


def parzen(samples: Any, valid: Any, test: Any) -> ParzenResult:
    """Choose sigma on ``valid``, then the mean log-likelihood of ``test``: a row of Table 1.

    samples (M, D), valid (V, D), test (N, D): floats in [0, 1], all NumPy or all CuPy.  Only the
    first 1,000 rows of ``valid`` are used.  Takes (V + N) M D multiplications.

    >>> rng = np.random.default_rng(0)
    >>> images = rng.random((3, 200, 4))
    >>> print(parzen(*images))
    -0.66 ± 0.05 nats (sigma 0.1292; 200 samples, 200 validation and 200 test images)

    Raises TypeError if an array holds no floats or lies elsewhere than the others, ValueError for
    a wrong shape, no rows, numbers that are not finite and pixels outside [0, 1].
    """
    check_pixels(samples=samples, valid=valid, test=test)
    sigma, at_edge = choose_sigma(valid, samples)
    values = log_likelihood(test, samples, sigma)
    return ParzenResult(
        mean=float(values.mean()),
        se=float(values.std()) / math.sqrt(len(values)),
        sigma=sigma,
        sigma_at_edge=at_edge,
        samples=len(samples),
        valid=min(len(valid), VALID),
        test=len(test),
    )


def choose_sigma(
    valid: Any, samples: Any, sigmas: Sequence[float] = tuple(SIGMAS)
) -> tuple[float, bool]:
    """The sigma that makes the first 1,000 rows of ``valid`` most likely; is it at an edge?

    valid (V, D), samples (M, D): floats in [0, 1], for which the ten candidates are meant.
    The flag is True if the best is the first or the last: a wider range might hold a better one.

    >>> rng = np.random.default_rng(0)
    >>> sigma, at_edge = choose_sigma(rng.random((100, 4)), rng.random((100, 4)))
    >>> round(sigma, 4), at_edge
    (0.1668, False)

    Raises as ``parzen`` does, and ValueError if a sigma is not > 0, or too small for float64.
    """
    check_pixels(valid=valid, samples=samples)
    means = _log_likelihoods(valid[:VALID], samples, sigmas, None).mean(axis=1)
    best = int(means.argmax())
    return float(sigmas[best]), best in (0, len(sigmas) - 1)


def log_likelihood(points: Any, samples: Any, sigma: float, *, block: int | None = None) -> Any:
    """log p(x) of the formula above for each point, in nats: (N, D), (M, D) -> float64 (N,).

    Works on ``block`` points and as many samples at a time (None: as many as take 32 MiB), so the
    memory needed does not grow with N M.  Points may be anywhere, not only in [0, 1].

    >>> log_likelihood(np.zeros((1, 2)), np.zeros((5, 2)), 1.0)  # -log(2 pi)
    array([-1.83787707])

    Raises TypeError if an array holds no floats or the two do not lie together, ValueError for a
    wrong shape, no rows, numbers that are not finite, and a sigma that is not > 0 or so small that
    the rounding of |x - mu|^2 would show in the result.
    """
    check_rows(points=points, samples=samples)
    return _log_likelihoods(points, samples, [sigma], block)[0]


def _log_likelihoods(points: Any, samples: Any, sigmas: Sequence[float], block: int | None) -> Any:
    """A row for each sigma, from the same distances: (len(sigmas), N)."""
    _check_sigmas(points, samples, sigmas)
    xp, (N, D), M = array_module(points), points.shape, len(samples)
    rows = block_rows(D) if block is None else block
    log_sums = xp.full((len(sigmas), N), -math.inf)
    for i in blocks(N, rows):
        x = points[i].astype(np.float64)
        for j in blocks(M, rows):
            d = squared_distances(x, samples[j].astype(np.float64))
            for log_sum, sigma in zip(log_sums, sigmas):
                of_block = kernels.log_sum_exp(d, -0.5 / sigma**2)
                log_sum[i] = xp.logaddexp(log_sum[i], of_block)
    for log_sum, sigma in zip(log_sums, sigmas):
        log_sum -= math.log(M) + D * math.log(sigma * math.sqrt(2 * math.pi))
    return log_sums


def _check_sigmas(points: Any, samples: Any, sigmas: Sequence[float]) -> None:
    if len(sigmas) == 0 or not all(0 < sigma < math.inf for sigma in sigmas):
        raise ValueError(f"expected sigmas > 0, got {list(map(float, sigmas))}")
    # |x - mu|^2 is off by about 1e-15 |x|^2 or |mu|^2, and the result by that / (2 sigma^2).
    largest = max(float(abs(x).max()) for x in (points, samples)) * math.sqrt(points.shape[1])
    smallest = 3e-6 * largest
    if min(sigmas) < smallest:
        raise ValueError(
            f"sigma {min(sigmas):.3g} is too small for distances between such points: "
            f"expected at least {smallest:.3g}"
        )
