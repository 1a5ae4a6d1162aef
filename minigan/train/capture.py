"""A training step as one CUDA graph: recorded once, then started as a whole.

A step of the MLP GAN is some two hundred small kernels.  To start one from Python takes longer than
the GPU needs to run it, so the GPU waits.  A graph is the list of these kernels with their
arguments, which the driver starts with one call.

What a graph repeats is *the same kernels on the same memory*.  So everything that changes from step
to step must lie in memory that stays where it is:

    images x, labels  copied into ``inputs`` before each start
    random numbers    drawn into ``Noise``'s buffers before each start: z, and dropout's masks
    lr, momentum, t   a few numbers on the device, see ``Optimizer.use_clock``
    weights, moments, running statistics    the optimisers' flat arrays and the modules' buffers

and what is computed on the way has memory of its own, a pool from which nobody else is ever given
any: outside of the graph it looks free.

To record a step is to run its Python code once while the stream notes what it is asked to do, and
does nothing.  Before that the step is played twice for real, to compile and load all kernels
(``WARMUP``); these steps are taken back, or they would count as training.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigan import backends, draws
from minigan.autograd import Tensor
from minigan.backends import to_numpy
from minigan.errors import first_line
from minigan.train.game import Game, Record
from minigan.train.step import play_step

WARMUP = 2  # steps: the first compiles, the second has found all memory that it needs


class NotCaptured(Exception):
    """Why a step cannot be recorded, in one line."""


class Noise:
    """The random numbers of a step, in buffers that stay where they are.

    The first step fills one for each draw; ``refill`` draws all of them anew, in the same order and
    so with the same numbers as a step that is not captured.
    """

    def __init__(self) -> None:
        self.buffers: list[tuple[Callable[..., None], Any]] = []  # what fills it, and the buffer
        self._handed_out = 0

    @contextlib.contextmanager
    def handed_out(self) -> Iterator[None]:
        """Inside the block each draw gets its buffer, which is filled if it is a new one."""
        self._handed_out = 0
        with draws.taken_from(self._next):
            yield

    def _next(self, fill: Callable[..., None], shape: tuple[int, ...]) -> Any:
        if self._handed_out == len(self.buffers):
            buffer = backends.xp().empty(shape, np.float32)
            fill(buffer, *backends.next_draw())
            self.buffers.append((fill, buffer))
        expected, buffer = self.buffers[self._handed_out]
        if expected is not fill or buffer.shape != shape:
            raise NotCaptured("its random numbers are not the same kind and number in each step")
        self._handed_out += 1
        return buffer

    def refill(self) -> None:
        """Draw new numbers."""
        for fill, buffer in self.buffers:
            fill(buffer, *backends.next_draw())


class CapturedStep:
    """``play_step`` of one game, recorded; called with batches like those it was recorded with.

    Args:
        game: networks, optimisers and noise.
        batches: real images; the shapes of all later ones.
        labels: theirs, in a conditional game.

    Recording leaves weights, moments, running statistics and random numbers as they were.  Raises
    NotCaptured if something in the step cannot be recorded; the game can still be played eagerly.
    """

    def __init__(self, game: Game, batches: list[Tensor], labels: Sequence[Tensor] = ()):
        if game.updates == "unrolled":
            raise NotCaptured("its unrolled updates of D count their steps on the CPU")
        self.game = game
        self.optimizers = [game.opt_D, game.opt_G]
        self.inputs = [[Tensor(x.array.copy()) for x in given] for given in (batches, labels)]
        self.noise = Noise()
        xp = backends.xp()
        self.names: list[str] = []  # of the losses, found out by playing
        self.losses: Any = None
        self.stream = recording_stream(xp)
        self.pool = xp.cuda.MemoryPool()  # lives as long as the graph, which uses its memory
        self.graph: Any = None
        before = [optimizer.clock for optimizer in self.optimizers]
        for optimizer in self.optimizers:
            optimizer.use_clock()
        state = _State(game)
        try:
            with backends.random_restored():
                self._warm_up()
                state.restore()
                self._record(state)
                self._try(state)
        except BaseException:
            for optimizer, clock in zip(self.optimizers, before):
                optimizer.clock = clock
            self.close()
            raise
        finally:
            state.restore()
            backends.synchronize()

    def close(self) -> None:
        """Give back the graph's memory (a pool keeps its free blocks for ever, even when dropped);
        the step cannot be played any more."""
        backends.synchronize()
        self.graph, self.gradients = None, []
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        self.pool.free_all_blocks()

    def fits(self, batches: list[Tensor], labels: Sequence[Tensor] = ()) -> bool:
        """Whether these batches are as many and as large as those it was recorded with."""
        return _shapes([batches, labels]) == _shapes(self.inputs)

    def __call__(self, batches: list[Tensor], labels: Sequence[Tensor] = ()) -> Record:
        """Play a step; returns what ``play_step`` does."""
        if not self.fits(batches, labels):
            shapes, _ = _shapes(self.inputs)
            raise ValueError(f"the step was captured with batches of shape {shapes}")
        for own, x in zip(itertools.chain(*self.inputs), [*batches, *labels]):
            own.array[...] = x.array
        self.noise.refill()
        self._replay()
        losses = self.losses.copy()  # the next step overwrites them
        return {name: Tensor(losses[i]) for i, name in enumerate(self.names)}

    # Recording --------------------------------------------------------------------------

    def _warm_up(self) -> None:
        """Play for real, on the stream that will record: its cuBLAS handle is made here."""
        backends.synchronize()
        with self.stream:
            for _ in range(WARMUP):
                self._play()
        self.stream.synchronize()

    def _record(self, state: _State) -> None:
        """Run the step's code while the stream only takes notes."""
        steps = [optimizer.steps.copy() for optimizer in self.optimizers]
        next_random = _next_random()
        for optimizer in self.optimizers:
            optimizer.write_clock()  # now, or writing it would be part of the recording
        backends.synchronize()
        # What the warm-up took is kept for this stream, where nothing is played any more.
        backends.xp().get_default_memory_pool().free_all_blocks(self.stream)
        with self.stream, backends.xp().cuda.using_allocator(self.pool.malloc):
            self.stream.begin_capture()
            try:
                self._play()
            except Exception as error:
                with contextlib.suppress(Exception):  # the recording is broken: that it is, we know
                    self.stream.end_capture()
                raise NotCaptured(first_line(error)) from error
            self.graph = self.stream.end_capture()
        backends.synchronize()
        if _next_random() != next_random:
            raise NotCaptured("it draws random numbers that would be the same in each step")
        if not state.is_unchanged():
            raise NotCaptured("part of it was done at once instead of being recorded")
        taken = [after.steps - before for after, before in zip(self.optimizers, steps)]
        if any((count != count[0]).any() for count in taken):
            raise NotCaptured("its optimisers do not move all of their weights in each step")
        self.taken = [int(count[0]) for count in taken]
        for optimizer, count in zip(self.optimizers, steps):
            optimizer.steps[...] = count
        parameters = [p for optimizer in self.optimizers for p in optimizer.params]
        self.gradients = [(p, p.grad) for p in parameters]
        self.versions = [p._version for p in parameters]

    def _try(self, state: _State) -> None:
        """Two steps (one could not tell a count from a constant): all must move and count on."""
        self._replay()
        self._replay()
        backends.synchronize()
        for optimizer in self.optimizers:
            if float(optimizer.clock[1]) != optimizer.steps[0]:
                raise NotCaptured("the recorded step does not count its optimisers' steps")
        if state.is_unchanged():
            raise NotCaptured("the recorded step changes nothing")

    def _play(self) -> None:
        with self.noise.handed_out():
            losses = play_step(self.game, *self.inputs)
        if self.losses is None:
            self.names, self.losses = list(losses), backends.xp().empty(len(losses), np.float32)
        for i, name in enumerate(self.names):
            self.losses[i] = losses[name].array

    # Playing ----------------------------------------------------------------------------

    def _replay(self) -> None:
        """Start the graph on the current stream, after all that was asked of it before, and do
        what the step's Python code did: count steps and changes, leave gradients."""
        for optimizer in self.optimizers:
            optimizer.write_clock()
        self.graph.launch()
        for optimizer, taken in zip(self.optimizers, self.taken):
            optimizer.count(taken)
        for p, gradient in self.gradients:
            p.grad = gradient
        for version in self.versions:
            version[0] += 1


class _State:
    """A copy of all that a step changes, to take it back."""

    def __init__(self, game: Game):
        optimizers = [game.opt_D, game.opt_G]
        self.arrays = [
            *(array for o in optimizers for array in (o.flat, *(getattr(o, s) for s in o._states))),
            *(buffer.array for network in (game.D, game.G) for buffer in network.buffers()),
        ]
        self.copies = [array.copy() for array in self.arrays]
        self.steps = [(optimizer, optimizer.steps.copy()) for optimizer in optimizers]
        self.gradients = [(p, p.grad) for optimizer in optimizers for p in optimizer.params]

    def restore(self) -> None:
        for array, copy in zip(self.arrays, self.copies):
            array[...] = copy
        for optimizer, steps in self.steps:
            optimizer.steps[...] = steps
        for p, gradient in self.gradients:
            p.grad = gradient

    def is_unchanged(self) -> bool:
        """Whether the arrays are still what they were."""
        return all(
            np.array_equal(to_numpy(array), to_numpy(copy), equal_nan=True)
            for array, copy in zip(self.arrays, self.copies)
        )


def _shapes(inputs: Any) -> list[list[tuple[int, ...]]]:
    return [[x.shape for x in given] for given in inputs]


def player(game: Game, say: Callable[[str], None], *, d_steps: int = 1) -> Callable[..., Record]:
    """What plays a step: ``play_step``, on CuPy recorded at the first call with ``d_steps`` batches
    (a step in which D moves more often than usual is not worth recording).

    ``say`` is told once, in one line, if the step cannot be recorded, and why.
    """
    if backends.current_backend() == "numpy":
        return lambda *inputs: play_step(game, *inputs)
    return _Player(game, say, d_steps)


class _Player:
    """Records at the first usual step; plays eagerly what cannot be recorded."""

    def __init__(self, game: Game, say: Callable[[str], None], d_steps: int):
        self.game, self.say, self.d_steps = game, say, d_steps
        self.captured: CapturedStep | None = None
        self.has_tried = False

    def __call__(self, batches: list[Tensor], labels: Sequence[Tensor] = ()) -> Record:
        if not self.has_tried and len(batches) == self.d_steps:
            self.has_tried = True
            try:
                self.captured = CapturedStep(self.game, batches, labels)
            except NotCaptured as reason:
                self.say(f"the training step is not captured as a CUDA graph: {reason}")
        if self.captured is not None and self.captured.fits(batches, labels):
            return self.captured(batches, labels)
        return play_step(self.game, batches, labels)


@functools.cache
def recording_stream(cupy: Any) -> Any:
    """The stream that records: one for all, since each that multiplies has a cuBLAS workspace.  Not
    the default stream, which cannot be recorded, nor one that waits for it."""
    return cupy.cuda.Stream(non_blocking=True)


def _next_random() -> Any:
    """What each source of random numbers would give next."""
    with backends.random_restored():
        return backends.next_draw(), backends.rng().random()
