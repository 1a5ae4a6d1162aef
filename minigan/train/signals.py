"""Ctrl-C and SIGTERM: a training stops after the step that it is in."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stop:
    signal: int | None = None


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Inside the block, Ctrl-C and SIGTERM ask for a stop after the current step.

    A second one raises KeyboardInterrupt at once: nothing more is saved, and what is being written
    is not damaged, because files appear whole or not at all.
    """
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.signal is not None:
            raise KeyboardInterrupt
        stop.signal = number
        # Not print(): the signal may have come while the bar was printing.
        os.write(2, b"\nstopping after this step, which is saved (again: stop at once)\n")

    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python delivers signals to the main thread only
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
