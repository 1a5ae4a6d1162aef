"""Values that change with the step t = 0, 1, 2 ...: ``optimizer.lr = schedule(t)``.

A schedule is a pure function of t, so resuming a run at step t needs no state.  The names are
lower case because they are read as functions: ``linear(0.5, 0.7, 1000)(t)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class constant:
    """Always ``value``.

    >>> constant(0.1)(1000)
    0.1
    """

    value: float

    def __post_init__(self) -> None:
        _check_finite(self)

    def __call__(self, t: int) -> float:
        return self.value


@dataclass(frozen=True)
class linear:
    """From ``start`` at t = 0 in equal steps to ``end`` at t = ``steps``, and ``end`` after it.

    >>> momentum = linear(0.5, 0.7, 100)
    >>> momentum(0), momentum(50), momentum(1000)
    (0.5, 0.6, 0.7)
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        _check_finite(self)
        if self.steps < 1:
            raise ValueError(f"{self}: steps must be at least 1")

    def __call__(self, t: int) -> float:
        if t >= self.steps:
            return self.end  # exactly, whatever the rounding below
        return self.start + (self.end - self.start) * (t / self.steps)


@dataclass(frozen=True)
class exponential:
    """``start`` / ``decay_factor``^t, but not below ``floor``.

    Goodfellow et al. 2014 train with lr_t = 0.1 / 1.000004^t and the floor 1e-6:

    >>> lr = exponential(0.1, 1.000004, floor=1e-6)
    >>> lr(0), round(lr(250_000), 6), lr(100_000_000)
    (0.1, 0.036788, 1e-06)
    """

    start: float
    decay_factor: float
    floor: float = 0.0

    def __post_init__(self) -> None:
        _check_finite(self)
        if self.decay_factor < 1:
            raise ValueError(f"{self}: decay_factor divides, so it must be at least 1")

    def __call__(self, t: int) -> float:
        # A negative power goes to 0 for large t, where decay_factor**t would overflow.
        return max(self.start * self.decay_factor**-t, self.floor)


def _check_finite(schedule: constant | linear | exponential) -> None:
    if not all(math.isfinite(value) for value in vars(schedule).values()):
        raise ValueError(f"{schedule}: every number must be finite")
