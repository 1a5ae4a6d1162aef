"""The trainings that a reproduction needs: several at once, and each goes on where it stopped.

A training is an ordinary run (see :mod:`minigan.train`) in a folder that all reproductions share,
so that a figure made of a trained network finds the one that a table has trained before.  Hours of
work may be stopped at any time and started again with the same command.

Small networks do not fill two cores: two runs on one core each are done sooner than one run after
the other on both.  So every run gets one thread, and as many run at once as there are threads.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from minigan.errors import MiniganError
from minigan.files import LEFTOVER, explained
from minigan.kernels import parallel
from minigan.recipes import Recipe
from minigan.reproduce.result import Task
from minigan.train import launch
from minigan.train.record import Run

PICTURES = 10  # sample grids in a run: of small networks they take longer than the training


@dataclass(frozen=True)
class Training:
    """What is wanted: a run of that name, after so many steps."""

    name: str
    recipe: Recipe
    seed: int
    steps: int


def train(task: Task, wanted: Training) -> Run:
    """One run on all threads, finished.

    Raises MiniganError if the folder of that name holds another training, a longer one, or work
    without a configuration, or if another process is training it.
    """
    with _threads_restored():
        return _advance(task.runs / wanted.name, wanted, wanted.steps, task.data_dir, None, None)


@contextmanager
def _threads_restored() -> Iterator[None]:
    """A run sets its own number of threads; after the block it is again what it was."""
    before = parallel.get_num_threads()
    try:
        yield
    finally:
        parallel.set_num_threads(before)


@dataclass(frozen=True)
class Turn:
    """Steps of one training that are done without a pause: those after ``start``, to ``until``."""

    training: Training
    start: int
    until: int


def train_all(
    task: Task,
    wanted: Sequence[Training],
    *,
    every: int | Sequence[int],
    after: Callable[[Run], bool | None] | None = None,
) -> list[Run]:
    """All runs, finished: several at once, each on one thread, in turns.

    Args:
        every: steps of a turn, or the steps after which a turn ends, in order.
        after: called with the run after each of its turns, in the process that trained it; so it
            must be a function of a module.  It may be called twice for a turn if the first call
            was cut off.  If it returns True the run has ended, before all its steps are done.

    Raises MiniganError as ``train`` does.
    """
    turns = [turn for training in wanted for turn in turns_of(training, every)]
    turns.sort(key=lambda turn: turn.until)  # in step: stopped early, all are about equally far
    with task.bar(total=sum(training.steps for training in wanted)) as bar:
        if min(parallel.get_num_threads(), len(wanted)) == 1:
            with _threads_restored():
                while turns:
                    turn = turns.pop(0)
                    _account(turns, turn, _play(task.runs, turn, task.data_dir, after), bar)
        else:
            _in_processes(task, turns, after, bar)
    return [Run(task.runs / training.name) for training in wanted]


def turns_of(training: Training, every: int | Sequence[int]) -> list[Turn]:
    """The turns of one training.

    >>> from minigan import recipes
    >>> training = Training("demo", recipes.get("gan"), seed=0, steps=10)
    >>> [(turn.start, turn.until) for turn in turns_of(training, 4)]
    [(0, 4), (4, 8), (8, 10)]
    >>> [(turn.start, turn.until) for turn in turns_of(training, [1, 5, 20])]
    [(0, 1), (1, 5), (5, 10)]
    """
    ends = range(every, training.steps, every) if isinstance(every, int) else every
    ends = [*(end for end in ends if end < training.steps), training.steps]
    return [Turn(training, start, until) for start, until in zip([0, *ends], ends)]


def _in_processes(task: Task, turns: list[Turn], after: Callable | None, bar: Any) -> None:
    """As many turns at once as there are threads, but one of each run at a time."""
    busy: dict[Future, Turn] = {}
    workers = parallel.get_num_threads()
    # "spawn": a forked child would inherit the threads' locks, but not the threads.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        while turns or busy:
            for turn in list(turns):
                training = [other.training for other in busy.values()]
                if len(busy) < workers and turn.training not in training:
                    busy[pool.submit(_play, task.runs, turn, task.data_dir, after)] = turn
                    turns.remove(turn)
            done, _ = wait(busy, return_when=FIRST_COMPLETED)
            for future in done:
                _account(turns, busy.pop(future), future.result(), bar)


def _account(turns: list[Turn], turn: Turn, is_over: bool, bar: Any) -> None:
    """Note that the turn is done; if the run is over, so are the rest of its turns."""
    if is_over:
        turns[:] = [other for other in turns if other.training != turn.training]
    bar.update((turn.training.steps if is_over else turn.until) - turn.start)


def _play(runs: Path, turn: Turn, data_dir: str | None, after: Callable | None) -> bool:
    """Train, and do what follows; True if the run has ended with that."""
    run = Run(runs / turn.training.name)
    if max(run.checkpoints(), default=0) > turn.until:
        return False  # a turn of an earlier day
    _advance(run.folder, turn.training, turn.until, data_dir, 1, turn.training.steps)
    return after is not None and after(run) is True


def _advance(
    folder: Path,
    wanted: Training,
    until: int,
    data_dir: str | None,
    threads: int | None,
    total: int | None,
) -> Run:
    """Train up to the step ``until``, from the start or from the last checkpoint."""
    run = Run(folder)
    quiet = threads is not None
    if folder.exists():
        _remove_start(run)
    if run.config_path.exists():
        _check_same(run, wanted)
        last = max(run.checkpoints(), default=0)
        if last > until:
            raise MiniganError(
                f"{folder} is at step {last} already, and step {until} is wanted: remove it, or "
                "name another folder with --runs"
            )
        summary = launch.resume(
            folder, steps=until, data_dir=data_dir, threads=threads, quiet=quiet
        )
    else:
        summary = launch.start(
            wanted.recipe, out=folder, steps=until, seed=wanted.seed, data_dir=data_dir,
            threads=threads, quiet=quiet, log_every=100, keep=1,
            sample_every=max(1, (total or until) // PICTURES),
        )  # fmt: skip
    if summary.signal is not None:
        raise KeyboardInterrupt  # saved; the same command goes on from here
    return run


def _remove_start(run: Run) -> None:
    """Remove a run that was stopped before it began, and so has no configuration; no other one.

    Raises MiniganError if there is work in the folder, or if another process is just beginning.
    """
    if run.config_path.exists():
        return
    with run.locked():
        if run.config_path.exists():  # of another process, which has just ended
            return
        with explained("read", run.folder):
            content = set(run.folder.iterdir()) - set(run.folder.glob(LEFTOVER))
        work = content - {run.folder / name for name in ("samples", "checkpoints", "log.jsonl")}
        if work or max(run.checkpoints(), default=0) > 0:
            raise MiniganError(
                f"{run.folder} has no config.json, but work in it: put config.json back, or move "
                "the folder away"
            )
        with explained("remove", run.folder):
            shutil.rmtree(run.folder)


def _check_same(run: Run, wanted: Training) -> None:
    config = run.read_config()
    now, then = asdict(wanted.recipe) | {"seed": wanted.seed}, asdict(config.recipe)
    then["seed"] = config.seed
    for key in ("summary", "source"):  # words
        del now[key], then[key]
    different = [key for key in now if now[key] != then[key]]
    if different:
        key = different[0]
        raise MiniganError(
            f"{run.folder} is another training: its {key} is {then[key]}, wanted is {now[key]}; "
            "remove it, or name another folder with --runs"
        )
