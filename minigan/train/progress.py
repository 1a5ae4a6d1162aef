"""The progress bar of a training, and what is said above it."""

from __future__ import annotations

import sys
import threading

from tqdm import tqdm


class ProgressBar(tqdm):
    """tqdm with a lock of its own and without the thread that watches over slow bars.

    tqdm's lock is shared with forked processes: one of them killed at the wrong moment takes it
    with it, and every other process then waits for ever.
    """

    monitor_interval = 0


ProgressBar.set_lock(threading.RLock())


def say(text: str, quiet: bool = False) -> None:
    """One line to the user, above the progress bar; ``quiet`` is for news, not for warnings."""
    if not quiet:
        ProgressBar.write(text, file=sys.stderr)
