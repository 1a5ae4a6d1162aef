"""Where the time goes: sections of the code with a name, and the seconds spent in each.

    with section("columns"):                    in a kernel
        ...

    clock = Clock()                             around what is looked at
    with clock.running():
        play_step(game, batches)
    clock.seconds                               {"GEMM": 0.71, "columns": 0.05, ...}

A second belongs to the innermost section that is open; ``REST`` takes those outside of all.  So the
sections sum to the whole.  Only the thread that runs the clock is watched.  It takes its share of
all parallel work, so where its time goes is where the step's goes, and what it spends until the
other threads have finished is a section too, "waiting".

Without a running clock a section is an object that does nothing, and costs less than half a
microsecond.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

REST = "Python and the rest"

_running: Clock | None = None
_NOTHING = contextlib.nullcontext()


def section(name: str) -> Any:
    """A context manager: the time inside belongs to ``name``, except for sections inside it."""
    clock = _running
    if clock is None or clock.thread != threading.get_ident():
        return _NOTHING
    return clock.section(name)


def timed(name: str) -> Callable[[Callable], Callable]:
    """A decorator: every call of the function is a section."""

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if _running is None:
                return function(*args, **kwargs)
            with section(name):
                return function(*args, **kwargs)

        return call

    return decorate


class Clock:
    """``seconds`` by section, summed over all ``runs``.

    >>> clock = Clock()
    >>> with clock.running():
    ...     with section("outer"):
    ...         with section("inner"):
    ...             time.sleep(0.01)
    >>> sorted(clock.seconds)
    ['Python and the rest', 'inner', 'outer']
    >>> clock.seconds["inner"] >= 0.01 > clock.seconds["outer"]
    True
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.runs = 0
        self.thread: int | None = None  # which one is watched
        self._open: list[str] = []  # names of the sections that are open, the innermost last
        self._since = 0.0  # the seconds before this moment are accounted for

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Inside the block, sections of this thread count.  RuntimeError if one runs already."""
        global _running
        if _running is not None:
            raise RuntimeError("a clock is running already: only one can")
        self.thread, self._since = threading.get_ident(), time.perf_counter()
        _running = self
        try:
            with self.section(REST):
                yield
            self.runs += 1
        finally:
            _running = None

    @contextlib.contextmanager
    def section(self, name: str) -> Iterator[None]:
        """See the function of this name."""
        self._account()
        self._open.append(name)
        try:
            yield
        finally:
            self._account()
            self._open.pop()

    def _account(self) -> None:
        """The time since the last call belongs to the innermost section."""
        now = time.perf_counter()
        if self._open:
            name = self._open[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now


def in_order(seconds: Mapping[str, float]) -> dict[str, float]:
    """The largest section first."""
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def table(seconds: Mapping[str, float], steps: int) -> str:
    """Milliseconds a step and shares, the largest first, as text.  steps: at least 1.

    >>> print(table({"GEMM": 3.0, REST: 1.0}, steps=10))
    section                ms a step   share
    GEMM                      300.00  75.0 %
    Python and the rest       100.00  25.0 %
    all                       400.00 100.0 %
    """
    total = sum(seconds.values())
    rows = [*in_order(seconds).items(), ("all", total)]
    lines = [f"{'section':20}{'ms a step':>12}{'share':>8}"]
    for name, value in rows:
        share = f"{100 * value / total:.1f} %"
        lines.append(f"{name:20}{1e3 * value / steps:12.2f}{share:>8}")
    return "\n".join(lines)
