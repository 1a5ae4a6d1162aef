"""What all optimisers share: parameters, gradients and state over one flat array.

An optimiser moves its parameters into one flat array and leaves each ``p.array`` a view of its
stretch, in the order in which its values lay in memory (channels-last for the weights of a
convolution).  State (moments, momentum) is flat in the same order.  So the whole network is one
array to an average of weights or an all-reduce.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from minigan.autograd import Tensor, no_grad
from minigan.backends import array_module, moved, to_numpy
from minigan.kernels.clock import timed
from minigan.nn.module import zero_grad


class Optimizer:
    """Base class: a subclass names its settings and flat states, and defines ``_update``.

    Attributes:
        params: the parameters.
        flat: all their values as one array, which the parameters are views of.
        lr: the learning rate; assign to it to change it: ``optimizer.lr = schedule(t)``.
        clock: an array with the numbers that change between steps, after ``use_clock``.
    """

    _settings: tuple[str, ...] = ()  # numbers that the user may change between steps
    _states: tuple[str, ...] = ()  # flat arrays, 0 at first

    def __init__(self, params: Iterable[Tensor], lr: float):
        self.params = _checked(params)
        self.lr = lr
        self.steps = np.zeros(len(self.params), np.int64)  # taken so far, of each parameter
        self.clock: Any = None
        self._in_clock: tuple[float, ...] | None = None  # the numbers that it holds
        self._arrange()

    def _arrange(self) -> None:
        """Move the parameters' values into one array, and make states of 0 beside it."""
        self.flat = flatten(self.params)
        self._views = views(self.flat, self.params)
        for p, view in zip(self.params, self._views):
            p.array = view
        self._axes = [_axes(p) for p in self.params]
        for name in self._states:
            setattr(self, name, array_module(self.flat).zeros_like(self.flat))
        # What ``_update`` gets for each parameter: its stretch of the flat array and of each state.
        flats = [self.flat, *(getattr(self, name) for name in self._states)]
        self._stretches = [[flat[s] for flat in flats] for s in stretches(self.params)]

    @property
    def lr(self) -> float:
        """The learning rate, a finite number >= 0."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        check_setting("lr", value)
        self._lr = float(value)  # a NumPy float64 would make float32 steps compute in float64

    def to(self, backend: str) -> Optimizer:
        """Bring the parameters, their gradients and all state to ``"numpy"`` or ``"cupy"``.

        The next step is the one that would have been taken.  An average of the weights (``EMA``)
        has a ``to`` of its own.
        """
        state = self.state_dict()
        for p in self.params:
            p.data = p.detach().to(backend)
            if p.grad is not None:
                p.grad = p.grad.detach().to(backend)
        self._arrange()
        self.load_state_dict(state)
        if self.clock is not None:
            self.use_clock()
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients (the next backward need not add to them), or set them to 0."""
        zero_grad(self.params, set_to_none)

    @timed("optimiser")
    def step(self) -> None:
        """Change every parameter by its ``.grad``; those without a gradient stay as they are.

        Raises RuntimeError if a parameter was taken out of the flat array, and ValueError if a
        gradient does not fit.
        """
        for i, (p, view) in enumerate(zip(self.params, self._views)):
            if p.array is not view:
                raise RuntimeError(
                    f"parameter {i} of shape {p.shape} left the array of this {type(self).__name__}"
                    ": another optimiser, to(), double(), an EMA swap or .data = replaced it; "
                    "make the optimiser last, and change values with copy_"
                )
            if p.grad is not None:
                _check_gradient(i, p)
        with no_grad():
            self._begin_step()
            for i, (p, (values, *state)) in enumerate(zip(self.params, self._stretches)):
                if p.grad is not None:
                    self.steps[i] += 1
                    g = in_memory_order(p.grad.array, self._axes[i])
                    self._update(values, g, *state, int(self.steps[i]))
                    p.changed_in_place()

    def _begin_step(self) -> None:
        """Once a step, before the first ``_update``."""
        if self.clock is not None:
            self.write_clock()
            self._tick()
            lr, t, *rest = self._in_clock
            self._in_clock = lr, t + 1, *rest

    def _update(self, p: Any, g: Any, *state_and_t: Any) -> None:
        """Change the flat p by the flat gradient g, in place; t counts its steps from 1."""
        raise TypeError(f"{type(self).__name__} does not define _update")

    # Numbers that change between steps, in an array -------------------------------------------

    def use_clock(self) -> None:
        """From here on keep lr and t in ``clock``, an array beside the weights.

        A step that was recorded (a CUDA graph) repeats its Python numbers, but reads arrays anew:
        so the recorded step counts on, and follows a schedule of lr.  ``clock`` (4,) float64 holds
        lr, t and what else an optimiser wants there: Adam the state of ``kernels.adam_tick``, the
        others their momentum.  All parameters then share one t.

        >>> from minigan import optim, tensor
        >>> p = tensor([1.0], requires_grad=True)
        >>> optimizer = optim.Adam([p], lr=0.1)
        >>> optimizer.use_clock()
        >>> for _ in range(2):
        ...     p.grad = tensor([2.0])
        ...     optimizer.step()
        >>> p, optimizer.clock[:2].tolist()
        (tensor([0.8], requires_grad=True), [0.1, 2.0])
        """
        if self.steps.min() != self.steps.max():
            raise ValueError("use_clock: the parameters took different numbers of steps before")
        self.clock, self._in_clock = array_module(self.flat).zeros(4, np.float64), None

    def write_clock(self) -> None:
        """Bring the numbers into ``clock`` if a schedule or a loaded state has changed them."""
        if self._in_clock != (numbers := self._numbers()):
            self._in_clock = numbers
            for i, number in enumerate(numbers):
                self.clock[i] = number

    def count(self, steps: int) -> None:
        """Note steps that were taken by starting a recorded one."""
        self.steps += steps
        self._in_clock = self._numbers()

    def _numbers(self) -> tuple[float, ...]:
        """What ``clock`` holds before a step."""
        return self.lr, int(self.steps[0])

    def _tick(self) -> None:
        """Count a step in ``clock``."""
        self.clock[1] += 1

    # The state ------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Copies of all numbers that the next step depends on, settings too, as NumPy arrays.

        Restored by ``load_state_dict``, training goes on exactly as it would have.
        """
        settings = {name: np.array(getattr(self, name)) for name in self._settings}
        states = {name: unflattened(getattr(self, name), self.params) for name in self._states}
        return {**settings, "sizes": sizes(self.params), "steps": self.steps.copy(), **states}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore ``state_dict()``: all of it, or nothing if it is another optimiser's.

        Raises ValueError if names or sizes differ.
        """
        given = checked_state(type(self).__name__, state_dict, self.state_dict())
        for name in self._settings:
            setattr(self, name, _plain(given[name]))
        self.steps[...] = given["steps"]
        for name in self._states:
            fill(getattr(self, name), self.params, given[name])

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)}" for name in self._settings)
        return f"{type(self).__name__}({len(self.params)} parameters, {settings})"


class WithMomentum(Optimizer):
    """What SGD and RMSprop share: a momentum that a schedule may change, in the clock too."""

    momentum: float

    def _numbers(self) -> tuple[float, ...]:
        return *super()._numbers(), self.momentum

    def _lr_and_momentum(self, p: Any) -> tuple[Any, Any]:
        """Numbers, or one-element arrays of p's dtype if there is a clock."""
        if self.clock is None:
            return self.lr, self.momentum
        clock = self.clock.astype(p.dtype)
        return clock[0], clock[2]

    def _has_velocity(self) -> bool:
        """Momentum 0 needs none; but a recorded step may be repeated with another momentum."""
        return self.clock is not None or self.momentum != 0


# One array for many tensors ------------------------------------------------------------------


def flatten(tensors: list[Tensor]) -> Any:
    """A copy of all values in one array, each tensor's in the order in which they lie in memory."""
    arrays = [in_memory_order(t.array, _axes(t)) for t in tensors]
    return array_module(arrays[0]).concatenate(arrays)


def stretches(tensors: list[Tensor]) -> list[slice]:
    """Where in the flat array each tensor lies."""
    ends = np.cumsum([t.numel() for t in tensors]).tolist()
    return [slice(end - t.numel(), end) for t, end in zip(tensors, ends)]


def views(flat: Any, tensors: list[Tensor]) -> list[Any]:
    """The stretches of a flat array with the shape and the memory order of each tensor."""
    return [_unravelled(flat[s], t) for s, t in zip(stretches(tensors), tensors)]


def in_memory_order(array: Any, axes: list[int]) -> Any:
    """The values of an array as one row: the first of the axes slowest, the last one fastest."""
    return array.transpose(axes).ravel()


def _unravelled(stretch: Any, tensor: Tensor) -> Any:
    """The opposite of ``in_memory_order``, without a copy."""
    axes = _axes(tensor)
    return stretch.reshape([tensor.shape[i] for i in axes]).transpose(np.argsort(axes).tolist())


def _axes(tensor: Tensor) -> list[int]:
    """The axes from the slowest in memory to the fastest."""
    strides = tensor.array.strides
    return sorted(range(len(strides)), key=lambda i: -strides[i])


def unflattened(flat: Any, tensors: list[Tensor]) -> np.ndarray:
    """A copy of a flat array with each tensor's values in the order of its indices, which is what
    is saved: it fits the same network whatever its memory order."""
    return np.concatenate([to_numpy(view).ravel() for view in views(flat, tensors)])


def fill(flat: Any, tensors: list[Tensor], values: np.ndarray) -> None:
    """The opposite of ``unflattened``, in place."""
    for s, view in zip(stretches(tensors), views(flat, tensors)):
        view[...] = moved(values[s], array_module(flat)).reshape(view.shape)


def sizes(tensors: list[Tensor]) -> np.ndarray:
    """The number of values of each tensor: a flat state fits only where these are equal."""
    return np.array([t.numel() for t in tensors], np.int64)


def checked_state(
    owner: str, state_dict: Mapping[str, Any], expected: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """The state as arrays; ValueError unless names, sizes and shapes are the expected ones."""
    if set(state_dict) != set(expected):
        raise ValueError(
            f"the state does not fit {owner}: expected {', '.join(expected)}; "
            f"got {', '.join(map(str, state_dict)) or 'nothing'}"
        )
    given = {name: np.asarray(state_dict[name]) for name in expected}
    theirs, ours = given["sizes"].ravel().tolist(), expected["sizes"].tolist()
    if theirs != ours:
        pairs = enumerate(zip(theirs, ours))
        first = next((i for i, (a, b) in pairs if a != b), min(len(theirs), len(ours)))
        raise ValueError(
            f"the state does not fit {owner}: it is of {len(theirs)} parameters, here are "
            f"{len(ours)}; parameter {first} is the first of another size"
        )
    for name, value in expected.items():
        if given[name].shape != value.shape or given[name].dtype.kind not in "fiu":
            raise ValueError(
                f"the state does not fit {owner}: {name} must be numbers of shape "
                f"{value.shape}, got {given[name].dtype} of shape {given[name].shape}"
            )
    return given


def check_setting(name: str, value: float, below: float = math.inf) -> None:
    """ValueError unless 0 <= value < below."""
    if not 0 <= value < below:
        limit = "a finite number >= 0" if below == math.inf else f"in [0, {below})"
        raise ValueError(f"{name} must be {limit}, got {value}")


def _checked(params: Iterable[Tensor]) -> list[Tensor]:
    if isinstance(params, Tensor):
        raise TypeError("an optimiser takes several parameters: put a single tensor into a list")
    params = list(params)
    if not params:
        raise ValueError(
            "an optimiser needs at least one parameter: "
            "is the network empty, or a generator such as parameters() used up already?"
        )
    for i, p in enumerate(params):
        if not isinstance(p, Tensor):
            raise TypeError(
                f"an optimiser takes tensors, parameter {i} is a {type(p).__name__}"
                + (": make one optimiser for each group" if isinstance(p, dict) else "")
            )
        if not p.is_leaf or p.dtype.kind != "f":
            raise ValueError(
                f"parameter {i} of shape {p.shape} is not a float leaf: an optimiser changes "
                "tensors that were given, not computed"
            )
    if len({id(p) for p in params}) < len(params):
        raise ValueError("a parameter was given twice: pass each one once")
    kinds = sorted({f"{array_module(p.array).__name__} {p.dtype}" for p in params})
    if len(kinds) > 1:
        raise TypeError(f"all parameters must be of one dtype and backend, got {', '.join(kinds)}")
    return params


def _check_gradient(i: int, p: Tensor) -> None:
    g, p = p.grad.array, p.array
    if g.shape != p.shape or g.dtype != p.dtype or type(g) is not type(p):
        raise ValueError(
            f"the gradient of parameter {i} is {array_module(g).__name__} {g.dtype} "
            f"{g.shape}, the parameter {array_module(p).__name__} {p.dtype} {p.shape}"
        )


def _plain(value: np.ndarray) -> Any:
    """A setting as it was before it became an array: a number or a tuple of numbers."""
    return tuple(value.tolist()) if value.ndim else value.item()
