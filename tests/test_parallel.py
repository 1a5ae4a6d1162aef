"""The thread pool: results in order, errors, interrupts, nesting, forks, and BLAS meanwhile.

Threads are made to meet with barriers and events.  Their timeouts only end a test that has
failed: where everything is right nobody waits for one.
"""

import contextlib
import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl

import minigan
from minigan import functional as F
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError
from minigan.kernels import parallel

LONG = 60  # seconds, after which a test that hangs fails


@pytest.fixture(autouse=True)
def threads():
    """Three threads here."""
    parallel.set_num_threads(3)
    return parallel.set_num_threads


def blas_threads():
    """How many threads each of BLAS's libraries uses at the moment."""
    return {library["num_threads"] for library in threadpoolctl.threadpool_info()
            if library["user_api"] == "blas"}  # fmt: skip


def is_caller():
    return threading.current_thread() is threading.main_thread()


def current_threads():
    """The three threads of a run with three tasks at the same time."""
    barrier = threading.Barrier(3)
    return parallel.run(lambda i: (barrier.wait(LONG), threading.current_thread())[1], "abc")


# What is computed ---------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
def test_results_are_in_the_items_order(threads, n, count):
    threads(n)
    done = []

    def task(i):
        done.append(i)
        return 10 * i

    assert parallel.run(task, range(count)) == [10 * i for i in range(count)]
    assert sorted(done) == list(range(count))


def test_tasks_run_at_the_same_time():
    assert len(set(current_threads())) == 3
    assert threading.current_thread() in current_threads()  # the caller works too


def test_the_pool_is_kept():
    expected = set(current_threads())
    alive = set(threading.enumerate())
    assert set(current_threads()) == expected
    assert set(threading.enumerate()) <= alive  # threads of other tests may have ended


def test_another_number_of_threads_ends_the_old_ones(threads):
    before = {thread for thread in current_threads() if thread is not threading.current_thread()}
    threads(3)
    assert len(before) == 2
    assert not before & set(current_threads())
    for thread in before:
        thread.join(LONG)
        assert not thread.is_alive()


def test_one_thread_or_one_item_stays_in_the_caller(threads):
    assert parallel.run(lambda i: threading.get_ident(), "a") == [threading.get_ident()]
    threads(1)
    assert set(parallel.run(lambda i: threading.get_ident(), "abcd")) == {threading.get_ident()}


def test_inside_a_task_it_is_a_plain_loop(monkeypatch):
    jobs, barrier = [], threading.Barrier(3)

    class Job(parallel._Job):
        def __init__(self, task, items):
            super().__init__(task, items)
            jobs.append(items)

    def outer(i):
        barrier.wait(LONG)
        return threading.get_ident(), parallel.run(lambda j: (i, j, threading.get_ident()), "xy")

    monkeypatch.setattr(parallel, "_Job", Job)
    for _ in range(2):  # and the second time all is as the first time
        for i, (ident, inner) in zip("abc", parallel.run(outer, "abc")):
            assert inner == [(i, "x", ident), (i, "y", ident)]
    assert jobs == ["abc", "abc"]


def test_inside_a_single_item_it_is_parallel():
    barrier = threading.Barrier(2)
    inner = parallel.run(lambda i: parallel.run(lambda j: barrier.wait(LONG), "xy"), "a")[0]
    assert sorted(inner) == [0, 1]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 10, 64])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 100])
def test_parts_cover_everything_once(length, count):
    slices = parallel.parts(length, count)
    assert [i for s in slices for i in range(length)[s]] == list(range(length))
    assert len(slices) == min(length, count)
    sizes = [s.stop - s.start for s in slices]
    assert not sizes or max(sizes) - min(sizes) <= 1


def test_the_same_bits_each_time():
    rng = np.random.default_rng(0)
    x = Tensor(rng.standard_normal((7, 6, 20, 20)).astype(np.float32), requires_grad=True)
    w = Tensor(rng.standard_normal((9, 6, 4, 4)).astype(np.float32), requires_grad=True)

    def bits():
        y = F.conv2d(x, w, stride=2, padding=1)
        return [a.numpy().tobytes() for a in (y, *grad((y * y).sum(), [x, w]))]

    expected = bits()
    for _ in range(10):
        assert bits() == expected


# What goes wrong ----------------------------------------------------------------------------


def test_the_first_items_exception_is_raised():
    second_failed = threading.Event()

    def task(i):
        if i == "a":
            assert second_failed.wait(LONG)
        if i == "b":
            second_failed.set()
        raise ValueError(i)

    with pytest.raises(ValueError, match="a"):  # though b's came earlier
        parallel.run(task, "ab")


@pytest.mark.parametrize("who", ["the caller", "a helper"])
def test_an_exception_stops_the_others(monkeypatch, who):
    begun, stopped, barrier = [], threading.Event(), threading.Barrier(3)
    stop = parallel._Job._stop
    monkeypatch.setattr(parallel._Job, "_stop", lambda job: (stop(job), stopped.set()))

    def task(i):
        begun.append(i)
        barrier.wait(LONG)
        if is_caller() == (who == "the caller"):
            raise ValueError(i)
        assert stopped.wait(LONG)

    with pytest.raises(ValueError, match=r"[012]"):
        parallel.run(task, range(100))
    assert sorted(begun) == [0, 1, 2]
    assert blas_threads() == {3}
    monkeypatch.undo()
    assert parallel.run(lambda i: i, range(5)) == list(range(5))


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, StopIteration])
def test_unusual_exceptions_are_raised_too(error):
    barrier = threading.Barrier(3)

    def task(i):
        barrier.wait(LONG)
        if not is_caller():
            raise error

    with pytest.raises(error):
        parallel.run(task, "abc")


class Array:
    """Something that weakrefs can point to."""


@contextlib.contextmanager
def no_garbage_collection():
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_arrays_are_freed_at_once_though_the_pool_is_busy():
    # Its threads are held up, so that they come too late for this run, and still have to look.
    barrier, done = threading.Barrier(4), threading.Event()
    other = threading.Thread(
        target=parallel.run, args=(lambda i: (barrier.wait(LONG), done.wait(LONG)), "abc")
    )
    other.start()
    barrier.wait(LONG)
    with no_garbage_collection():
        array, result = Array(), Array()
        refs = [weakref.ref(array), weakref.ref(result)]
        parallel.run(lambda i, a=array, r=result: r, range(10))
        del array, result
        assert [ref() for ref in refs] == [None, None]
    done.set()
    other.join(LONG)


def test_a_failure_keeps_nothing():
    def task(i, a):
        raise ValueError

    with no_garbage_collection():
        array = Array()
        ref = weakref.ref(array)
        with contextlib.suppress(ValueError):
            parallel.run(lambda i, a=array: task(i, a), range(10))
        del array
        assert ref() is None


# Ctrl-C -------------------------------------------------------------------------------------


def test_an_interrupt_in_the_callers_task_waits_for_the_others(monkeypatch):
    waiting, finished, barrier = threading.Event(), [], threading.Barrier(3)
    wait = parallel._Job.wait
    monkeypatch.setattr(parallel._Job, "wait", lambda job: (waiting.set(), wait(job)))

    def task(i):
        barrier.wait(LONG)
        if is_caller():
            raise KeyboardInterrupt
        assert waiting.wait(LONG)
        finished.append(i)

    with pytest.raises(KeyboardInterrupt):
        parallel.run(task, range(100))
    assert len(finished) == 2  # those that were begun; no other was


def test_an_interrupt_between_tasks_begins_no_other(monkeypatch):
    begun, late, interrupts = [], [], []
    at_work, stopped = threading.Event(), threading.Event()
    take, stop = parallel._Job._take, parallel._Job._stop
    monkeypatch.setattr(parallel._Job, "_stop", lambda job: (stop(job), stopped.set()))

    def interrupted(job):
        if is_caller() and len(interrupts) < 3:
            interrupts.append("Ctrl-C")
            at_work.wait(LONG)
            raise KeyboardInterrupt
        return take(job)

    def task(i):
        begun.append(i)
        if len(begun) == 2:
            at_work.set()
        if not stopped.wait(LONG):
            late.append(i)
            stopped.set()

    monkeypatch.setattr(parallel._Job, "_take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        parallel.run(task, range(100))
    assert not late
    assert len(begun) == 2
    assert len(interrupts) == 1  # and the caller began none


def test_an_interrupt_while_waiting_leaves_no_task_running(monkeypatch):
    interrupts, waits_again = [], threading.Event()
    finished, barrier = [], threading.Barrier(2)

    class Interrupted:
        """Ctrl-C comes while the caller waits for the first time."""

        def __init__(self, queue):
            self.put, self._get = queue.put, queue.get

        def get(self):
            if not interrupts:
                interrupts.append("Ctrl-C")
                raise KeyboardInterrupt
            waits_again.set()
            return self._get()

    make = parallel._Job.__init__

    def make_interrupted(job, *arguments):
        make(job, *arguments)
        job.ended = Interrupted(job.ended)

    monkeypatch.setattr(parallel._Job, "__init__", make_interrupted)

    def task(i):
        barrier.wait(LONG)
        if not is_caller():
            assert waits_again.wait(LONG)
            finished.append(i)

    with pytest.raises(KeyboardInterrupt):
        parallel.run(task, "ab")
    assert len(finished) == 1
    assert blas_threads() == {3}
    assert parallel.run(lambda i: i, "abc") == ["a", "b", "c"]


# BLAS ---------------------------------------------------------------------------------------


def test_blas_has_one_thread_inside_and_its_own_number_after():
    assert blas_threads() == {3}
    assert parallel.run(lambda i: blas_threads(), range(5)) == [{1}] * 5
    assert blas_threads() == {3}
    threadpoolctl.threadpool_limits(2)  # somebody else's choice comes back too
    parallel.run(lambda i: i, range(5))
    assert blas_threads() == {2}


def test_a_number_set_meanwhile_holds_afterwards(threads):
    barrier = threading.Barrier(3)

    def task(i):
        barrier.wait(LONG)
        if i == 0:
            threads(2)
        barrier.wait(LONG)
        return blas_threads()

    assert parallel.run(task, range(3)) == [{1}] * 3
    assert blas_threads() == {2}
    assert parallel.get_num_threads() == 2


def test_two_python_threads_at_once():
    # Every thread of the pool is busy with the first run until the second has ended: that one
    # must come along alone, and BLAS stays at one thread until both have ended.
    barrier, second_ended, during = threading.Barrier(4), threading.Event(), []

    def first(i):
        barrier.wait(LONG)
        assert second_ended.wait(LONG)
        return blas_threads()

    def second():
        barrier.wait(LONG)
        during.extend(parallel.run(lambda i: blas_threads(), range(5)))
        second_ended.set()

    other = threading.Thread(target=second)
    other.start()
    assert parallel.run(first, range(3)) == [{1}] * 3
    other.join(LONG)
    assert during == [{1}] * 5
    assert blas_threads() == {3}


def test_blas_is_limited_whichever_thread_runs():
    # threadpoolctl heeds one thread only, until that one is declared done.
    seen, limited, checked = [], threading.Event(), threading.Event()

    def work():
        seen.extend(parallel.run(lambda i: blas_threads(), range(5)))
        seen.append(blas_threads())
        minigan.set_num_threads(2)
        seen.append(blas_threads())
        limited.set()
        assert checked.wait(LONG)

    threadpoolctl.threadpool_limits(4)  # by this thread
    other = threading.Thread(target=work)
    other.start()
    assert limited.wait(LONG)
    assert seen == [{1}] * 5 + [{4}, {2}]
    threadpoolctl.threadpool_limits(3)  # by this thread again, while the other one lives
    assert blas_threads() == {3}
    checked.set()
    other.join(LONG)


def test_many_runs_of_many_python_threads():
    wrong = []

    def caller(k):
        for j in range(50):
            if parallel.run(lambda i, j=j: (k, j, i), range(7)) != [(k, j, i) for i in range(7)]:
                wrong.append((k, j))

    callers = [threading.Thread(target=caller, args=(k,)) for k in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(LONG)
    assert not wrong
    assert blas_threads() == {3}


# How many -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, -1, 1.5, 2.0, "2", None])
def test_impossible_numbers_are_refused(n):
    with pytest.raises(ValueError, match="must be an integer > 0, got ") as error:
        minigan.set_num_threads(n)
    assert str(error.value).endswith(repr(n))
    assert minigan.get_num_threads() == 3


def test_numbers_of_any_integer_type():
    minigan.set_num_threads(np.int64(2))
    assert repr(minigan.get_num_threads()) == "2"
    assert blas_threads() == {2}


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "two", " 2", "2 3"])
def test_a_bad_environment_variable_is_one_line(monkeypatch, value):
    monkeypatch.setattr(parallel, "_num_threads", None)
    monkeypatch.setenv("MINIGAN_NUM_THREADS", value)
    for function in (parallel.get_num_threads, lambda: parallel.run(lambda i: i, "ab")):
        with pytest.raises(MiniganError) as error:
            function()
        expected = f"MINIGAN_NUM_THREADS must be an integer > 0, got {value!r}"
        assert str(error.value) == expected


def test_the_environment_variable_sets_blas_too(monkeypatch):
    monkeypatch.setattr(parallel, "_num_threads", None)
    monkeypatch.setenv("MINIGAN_NUM_THREADS", "2")
    assert parallel.get_num_threads() == 2
    assert blas_threads() == {2}


def test_by_default_all_cores(monkeypatch):
    monkeypatch.setattr(parallel, "_num_threads", None)
    for value in (None, ""):
        if value is None:
            monkeypatch.delenv("MINIGAN_NUM_THREADS", raising=False)
        else:
            monkeypatch.setenv("MINIGAN_NUM_THREADS", value)
        assert 1 <= parallel.get_num_threads() <= os.cpu_count()
    assert parallel.run(lambda i: i, range(9)) == list(range(9))


# fork ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_after_a_fork():
    """The child has neither the pool's threads nor those that would give BLAS its own back."""
    script = '''
        import os, signal, sys, threading, warnings
        import numpy as np, threadpoolctl
        from minigan.kernels import parallel
        from minigan.kernels.pooling import max_pool
        from minigan.kernels.geometry import Geometry

        warnings.simplefilter("ignore", DeprecationWarning)  # Python's, about threads and forks

        class Lock:
            """Writes down who takes it: a fork has to wait for those who are changing things."""

            def __init__(self):
                self.calls, self.lock = [], threading.RLock()

            def acquire(self):
                self.calls.append("acquire")
                self.lock.acquire()

            def release(self):
                self.calls.append("release")
                self.lock.release()

            __enter__ = acquire

            def __exit__(self, *_):
                self.release()

        x = np.random.default_rng(0).standard_normal((8, 16, 32, 32))

        def compute():
            products = parallel.run(lambda i: x[i, 0] @ x[i, 1], range(8))
            return np.stack(products), max_pool(x, (3, 3), Geometry((1, 1), (1, 1)))[0]

        def blas():
            return {i["num_threads"] for i in threadpoolctl.threadpool_info()}

        parallel.set_num_threads(2)
        before, expected = blas(), compute()  # the pool has been used

        # Another thread is in the middle of a run.
        busy, done = threading.Barrier(3), threading.Event()
        def task(i):
            busy.wait(60)
            done.wait(60)
        other = threading.Thread(target=lambda: parallel.run(task, "ab"))
        other.start()
        busy.wait(60)
        lock = parallel._lock = Lock()
        child = os.fork()
        assert not child or lock.calls == ["acquire", "release"], lock.calls
        if not child:
            signal.alarm(60)  # kills a child that hangs
        done.set()
        assert child or blas() == before, blas()
        for a, e in zip(compute(), expected):
            assert (a == e).all()
        both = threading.Barrier(2)  # two threads at work, in the child too
        parallel.run(lambda i: both.wait(60), "ab")
        if child:
            other.join()
            assert blas() == before
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    '''
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True,
        cwd=Path(minigan.__file__).parents[1], timeout=3 * LONG,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
