"""Mode collapse, counted: how many modes of a known distribution do the samples reach?

Two measures of the literature, with the thresholds of PacGAN (Lin et al. 2018), which has them from
VEEGAN (Srivastava et al. 2017) and Unrolled GANs (Metz et al. 2017):

* ring8 and grid25: a point within 3 sigma of its nearest mode is of *high quality*, and a mode is
  *captured* if at least one such point is near it.  2,500 samples.
* stacked MNIST: three digits as the channels of one picture make 1,000 modes.  A classifier names
  the digits; counted are the triples that occur, and the KL divergence from their frequencies to
  the uniform distribution.  26,000 samples.

Neither says anything about how good the samples are beyond that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minigan.data.toy import MIXTURES
from minigan.evaluate.checks import check_rows
from minigan.evaluate.distances import block_rows, blocks, squared_distances

SAMPLES = 2500
RADIUS = 3  # in sigmas
STACKED_SAMPLES = 26_000
TRIPLES = 1000


@dataclass(frozen=True, kw_only=True)
class ModesResult:
    """``captured`` of ``modes`` modes; the ``high_quality`` share of the samples, with its ``se``.

    ``per_mode``: the high-quality samples of each mode.  ``ceiling``: the share that the
    distribution itself has.  How far ``captured`` moves from one training to the next no single
    set of samples tells: take several seeds.
    """

    captured: int
    modes: int
    high_quality: float
    se: float
    ceiling: float
    per_mode: tuple[int, ...]
    samples: int

    def __str__(self) -> str:
        return (
            f"{self.captured} of {self.modes} modes, {self.high_quality:.2%} ± {self.se:.2%} of "
            f"high quality (perfect: {self.ceiling:.2%}; {self.samples} samples)"
        )


def toy_modes(points: np.ndarray, name: str) -> ModesResult:
    """Modes captured and high-quality share of samples of ``ring8`` or ``grid25``.

    points: floats (N, 2); the literature takes N = 2,500.  The standard error is that of a share,
    sqrt(p (1 - p) / N).  The ceiling is the chance that a normal point of the plane lies within
    3 sigma, 1 - e^(-9/2) = 98.89 %.

    >>> modes = MIXTURES["ring8"].modes
    >>> print(toy_modes(np.repeat(modes[:2], 50, axis=0), "ring8"))
    2 of 8 modes, 100.00% ± 0.00% of high quality (perfect: 98.89%; 100 samples)

    Raises ValueError for another name, a wrong shape, no points and numbers that are not finite,
    TypeError for an array without floats.
    """
    known = [k for k, mixture in MIXTURES.items() if mixture.modes.shape[1] == 2]
    if name not in known:
        raise ValueError(f"no plane mixture {name!r}: expected {' or '.join(known)}")
    check_rows(points=points, modes=MIXTURES[name].modes)
    mixture, N = MIXTURES[name], len(points)
    per_mode = np.zeros(len(mixture.modes), np.int64)
    for rows in blocks(N, block_rows(2)):
        d = squared_distances(points[rows].astype(np.float64), mixture.modes)
        nearest = d.argmin(axis=1)
        is_near = d.min(axis=1) <= (RADIUS * mixture.sigma) ** 2
        per_mode += np.bincount(nearest[is_near], minlength=len(per_mode))
    share = int(per_mode.sum()) / N
    return ModesResult(
        captured=int((per_mode > 0).sum()),
        modes=len(per_mode),
        high_quality=share,
        se=math.sqrt(share * (1 - share) / N),
        ceiling=1 - math.exp(-(RADIUS**2) / 2),
        per_mode=tuple(per_mode.tolist()),
        samples=N,
    )


@dataclass(frozen=True, kw_only=True)
class StackedResult:
    """``captured`` of 1,000 triples, and ``kl`` nats from their frequencies to uniform.

    ``kl_floor``: what a uniform distribution itself has with so many samples, on average.
    """

    captured: int
    kl: float
    kl_se: float
    kl_floor: float
    samples: int

    def __str__(self) -> str:
        return (
            f"{self.captured} of {TRIPLES} modes, KL {self.kl:.3f} ± {self.kl_se:.3f} nats "
            f"(perfect: {self.kl_floor:.3f}; {self.samples} samples)"
        )


def stacked_modes(classes: np.ndarray) -> StackedResult:
    """Triples that occur and KL(frequencies || uniform), from the digits a classifier named.

    classes: integers (N, 3) in 0..9, a digit for each channel; the literature takes N = 26,000.
    With p the frequencies of the triples, KL = sum of p log(1000 p), in nats.  Its standard error
    to first order is the standard deviation of log p over the samples, by sqrt(N).  Frequencies of
    N samples are never quite even: those of the uniform distribution itself have ``kl_floor`` on
    average, nearly (1000 - 1) / (2 N) for large N, which is 0.019 for 26,000.

    >>> every = np.stack(np.unravel_index(np.arange(1000), (10, 10, 10)), axis=1)
    >>> print(stacked_modes(every[:500]))  # half of them, equally often: KL = log 2
    500 of 1000 modes, KL 0.693 ± 0.000 nats (perfect: 1.007; 500 samples)

    Raises TypeError if the classes are no integers, ValueError for a wrong shape, no rows, and
    classes other than 0..9.
    """
    if not hasattr(classes, "dtype") or classes.dtype.kind not in "iu":
        what = getattr(classes, "dtype", type(classes).__name__)
        raise TypeError(f"classes are {what}: expected an array of integers")
    if classes.ndim != 2 or classes.shape[1] != 3 or len(classes) == 0:
        raise ValueError(f"classes have shape {classes.shape}: expected (N, 3), N at least 1")
    if classes.min() < 0 or classes.max() > 9:
        raise ValueError(f"classes from {classes.min()} to {classes.max()}: expected 0..9")
    N = len(classes)
    triple = classes.astype(np.int64) @ np.array([100, 10, 1])
    counts = np.bincount(triple, minlength=TRIPLES)
    log_ratio = np.log(TRIPLES * counts[triple] / N)  # of each sample: the mean of it is the KL
    return StackedResult(
        captured=int((counts > 0).sum()),
        kl=float(log_ratio.mean()),
        kl_se=float(log_ratio.std()) / math.sqrt(N),
        kl_floor=_kl_of_uniform(N),
        samples=N,
    )


def _kl_of_uniform(N: int) -> float:
    """E[KL] for N samples, exactly.  A sample's triple has 1 + B of them, B ~ Binomial(N - 1, q),
    q = 1/1000, and the KL is the mean over samples of log(1000 (1 + B) / N)."""
    q, b = 1 / TRIPLES, np.arange(N)
    # P(b + 1) / P(b) = (N - 1 - b) / (b + 1) q / (1 - q), and P(0) = (1 - q)^(N - 1)
    steps = np.log((N - 1 - b[:-1]) / (b[:-1] + 1) * q / (1 - q))
    log_p = (N - 1) * math.log1p(-q) + np.concatenate([[0.0], np.cumsum(steps)])
    return float(np.exp(log_p) @ np.log(TRIPLES * (1 + b) / N))
