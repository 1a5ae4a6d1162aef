"""Timing two or more sides fairly: in one process, in turn, with the same number of threads.

The machine's speed drifts, so only figures from one run are compared, and as ratios.  The sides
take turns in blocks of steps rather than step by step: after a step the threads of one library
spin for a while, and would disturb the other's next step.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

BLOCK = 12  # steps a turn, the first SETTLE of which are not counted
SETTLE = 4
WARMUP = 20


@dataclass(frozen=True)
class Timing:
    """Seconds a step: the median, and the quarter and three-quarter points as spread."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        low, median, high = statistics.quantiles(seconds, n=4)
        return cls(median, low, high)


def take_turns(
    sides: dict[str, Callable[[], object]],
    steps: int,
    *,
    warmup: int = WARMUP,
    block: int = BLOCK,
    settle: int = SETTLE,
) -> tuple[dict[str, Timing], dict[str, list[float]]]:
    """Time each side's step at least ``steps`` times, in turns of ``block`` steps.

    The first ``settle`` steps of a turn are not counted.  Returns the timing of each side, and each
    turn's median (for ratios turn by turn).
    """
    for step in sides.values():
        for _ in range(warmup):
            step()
    turns = max(2, -(-steps // (block - settle)))
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    medians: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, step in sides.items():
            times = [_time(step) for _ in range(block)][settle:]
            seconds[name] += times
            medians[name].append(statistics.median(times))
    return {name: Timing.of(values) for name, values in seconds.items()}, medians


def _time(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


@contextlib.contextmanager
def limit_threads(count: int) -> Iterator[None]:
    """Limit every thread pool in the process (BLAS, OpenMP) to ``count`` threads."""
    import threadpoolctl

    with threadpoolctl.threadpool_limits(count):
        yield


def cores() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
