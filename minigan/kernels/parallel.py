"""The one thread pool: everything that runs in parallel runs here.

A layer cuts its batch into slices, and each slice goes from columns to matrix product to
activation in one thread, with the matrix library (BLAS) held to a single thread meanwhile.  Two
pools that take turns, ours and BLAS's, would wait for each other at every change: their idle
threads keep the cores busy waiting (docs/threads.md).

The slices depend on the number of threads only, never on which thread was free first, and sums
over slices are added in the slices' order.  So results are the same bits for the same number of
threads.
"""

from __future__ import annotations

import contextlib
import itertools
import numbers
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

from minigan.errors import MiniganError
from minigan.kernels.clock import section

Item = TypeVar("Item")

_num_threads: int | None = None  # None: MINIGAN_NUM_THREADS has not been read yet
_jobs: SimpleQueue = SimpleQueue()  # what the pool's threads wait for
_pool_size = 0  # how many they are: as many as a run has wanted so far
_lock = threading.RLock()  # while any of these, or of those of BLAS below, is changed
_this_thread = threading.local()  # .inside: it is running a task


def get_num_threads() -> int:
    """How many threads a parallel function uses: all cores unless something else was said."""
    if _num_threads is None:
        value = os.environ.get("MINIGAN_NUM_THREADS", "")
        if not value:
            return _cores()
        if not value.isdecimal() or int(value) < 1:
            raise MiniganError(f"MINIGAN_NUM_THREADS must be an integer > 0, got {value!r}")
        set_num_threads(int(value))
    return _num_threads


def set_num_threads(n: int) -> None:
    """Use n threads from now on, in minigan's own kernels and in NumPy's matrix products.

    Raises ValueError unless n is an integer > 0.

    >>> import minigan
    >>> before = minigan.get_num_threads()
    >>> minigan.set_num_threads(1)
    >>> minigan.get_num_threads()
    1
    >>> minigan.set_num_threads(before)
    """
    global _num_threads, _jobs, _pool_size
    if not isinstance(n, numbers.Integral) or n < 1:
        raise ValueError(f"the number of threads must be an integer > 0, got {n!r}")
    with _lock:
        _num_threads = int(n)
        _jobs.put(None)  # the old pool's threads end, and with them their working memory
        _jobs, _pool_size = SimpleQueue(), 0
        _set_blas_threads(int(n))


def parts(length: int, count: int) -> list[slice]:
    """0 .. length cut into at most ``count`` slices of nearly equal length, none empty.

    >>> parts(10, 4)
    [slice(0, 3, None), slice(3, 5, None), slice(5, 8, None), slice(8, 10, None)]
    """
    count = max(1, min(count, length))
    ends = [(i * length + count // 2) // count for i in range(count + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(ends) if end > start]


def run(task: Callable[[Item], Any], items: Sequence[Item]) -> list[Any]:
    """``[task(item) for item in items]``, several at a time; an exception stops it.

    The calling thread works too.  Inside a task, and for a single item, this is a plain loop.
    If tasks fail, those that were begun are finished and no others are begun; then the exception
    of the first item that failed is raised, the one that the plain loop would have met.  Ctrl-C
    too is raised only when no task is running any more.
    """
    threads = min(get_num_threads(), len(items))
    if threads <= 1 or getattr(_this_thread, "inside", False):
        return [task(item) for item in items]
    job = _Job(task, items)
    with _single_threaded_blas():
        while not job.is_finished:
            try:
                if not job.errors:
                    _ask_for_help(job, threads - 1)
                    job.work()
                job.wait()
            except BaseException as error:  # Ctrl-C: wait all the same
                job.errors[-1] = error  # comes before any item's
    return job.take_results()


class _Job:
    """The items of one run: who takes which, and what became of them.

    An interrupt can come between any two lines of Python, of a standard library's class too.  So
    there are only locks and queues here that are written in C: they let go of what they hold.
    """

    def __init__(self, task: Callable[[Item], Any], items: Sequence[Item]):
        self.task, self.items = task, items
        self.results: list[Any] = [None] * len(items)
        self.errors: dict[int, BaseException] = {}  # by item
        self.next, self.end = 0, len(items)  # the items that nobody has taken
        self.helpers = 0  # threads at work besides the caller's
        self.is_finished = False
        self.lock = threading.Lock()  # while next or helpers is changed
        self.ended: SimpleQueue = SimpleQueue()  # gets something whenever a helper has ended

    def work(self) -> None:
        """Do one item after another until none is left."""
        _this_thread.inside = True
        try:
            while (i := self._take()) < self.end:
                try:
                    self.results[i] = self.task(self.items[i])
                except BaseException as error:
                    self.errors[i] = error
                    self._stop()
        finally:
            _this_thread.inside = False

    def help(self) -> None:
        """Work in another thread; one that comes too late finds nothing left."""
        with self.lock:
            self.helpers += 1
        try:
            self.work()
        finally:
            with self.lock:
                self.helpers -= 1
            self.ended.put(None)

    def _take(self) -> int:
        with self.lock:
            self.next += 1
            return self.next - 1

    def _stop(self) -> None:
        with self.lock:
            self.next = self.end  # nothing is left to take

    def wait(self) -> None:
        """Begin no other item, and wait for those that were begun: they write into arrays that
        the caller goes on with."""
        self._stop()
        with section("waiting"):
            while self.helpers:
                self.ended.get()
        # Threads of the pool may hold the job for longer; the arrays behind it are freed now.
        self.task = self.items = None
        self.is_finished = True

    def take_results(self) -> list[Any]:
        """What the tasks returned, or the first item's exception."""
        results, self.results = self.results, []
        if not self.errors:
            return results
        try:
            raise self.errors[min(self.errors)]
        finally:
            self.errors.clear()  # an exception knows this frame: keeping it would close a circle


def _ask_for_help(job: _Job, count: int) -> None:
    """Offer the job to so many threads of the pool; those that are missing are started.

    (concurrent.futures does the same and more, and takes longer than some of the tasks.)
    """
    global _pool_size
    with _lock:
        while _pool_size < count:
            _pool_size += 1
            threading.Thread(
                target=_serve, args=(_jobs,), name=f"minigan-{_pool_size}", daemon=True
            ).start()
    for _ in range(count):
        _jobs.put(job)


def _serve(jobs: SimpleQueue) -> None:
    while (job := jobs.get()) is not None:
        job.help()
    jobs.put(None)  # for the next thread


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# BLAS ---------------------------------------------------------------------------------------

_blas: list[Any] | None = None  # threadpoolctl's handles, found at first use
_runs: set[object] = set()  # the parallel runs that are going on
_before: list[int] = []  # BLAS's own numbers of threads, to be given back


def _blas_libraries() -> list[Any]:
    global _blas
    if _blas is None:
        import threadpoolctl

        _blas = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
    return _blas


def _set_blas_threads(n: int) -> None:
    global _before
    _before = [n] * len(_blas_libraries())
    if not _runs:
        _limit_blas(_before)


def _limit_blas(counts: Iterable[int]) -> None:
    for library, n in zip(_blas_libraries(), counts):
        # threadpoolctl lets the thread that was the first to set OpenBLAS's number do so again, and
        # ignores all others, until it is told that this one is done.
        done = getattr(library, "clear_controlling_thread", lambda force: None)
        done(force=True)
        library.set_num_threads(n)
        done(force=True)


@contextlib.contextmanager
def _single_threaded_blas() -> Iterator[None]:
    """One thread a matrix product, until the last of the concurrent runs has ended."""
    global _before
    this = object()
    try:
        with _lock:
            if not _runs:
                _before = [library.get_num_threads() for library in _blas_libraries()]
            _runs.add(this)
            _limit_blas(itertools.repeat(1))
        yield
    finally:
        with _lock:
            _runs.discard(this)
            if not _runs:
                _limit_blas(_before)


# Forks --------------------------------------------------------------------------------------


def _hold() -> None:
    """Before a fork: wait until no other thread is changing what the child gets a copy of."""
    _lock.acquire()


def _let_go() -> None:
    _lock.release()


def _forget_threads() -> None:
    """In the child: it has no threads but the one that forked, and so no runs and no pool."""
    global _jobs, _pool_size, _lock, _this_thread
    _jobs, _pool_size = SimpleQueue(), 0
    _lock, _this_thread = threading.RLock(), threading.local()
    if _runs:
        _runs.clear()
        _limit_blas(_before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_forget_threads)
