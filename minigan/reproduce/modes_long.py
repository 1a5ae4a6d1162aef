"""``modes`` at PacGAN's own length: 400 epochs.

It goes on with the runs of ``modes`` and reports the rows on the way; it may be stopped and started
again.  A step takes about 25 ms of one core, ten runs of 400,000 steps a little over a day.
"""

from __future__ import annotations

from minigan.reproduce.modes import PACGAN_EPOCHS, QUICK, Plan, study
from minigan.reproduce.result import Outcome, Task

FULL = Plan(seeds=5, epochs=PACGAN_EPOCHS)


def reproduce(task: Task) -> Outcome:
    """Train from several seeds, count, and film."""
    return study(task, QUICK if task.quick else FULL)
