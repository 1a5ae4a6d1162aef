"""One step of the game taken apart: what every layer puts out, learns, costs and keeps."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigan import backends
from minigan.autograd import Function, Tensor
from minigan.backends import array_module
from minigan.kernels.clock import Clock
from minigan.nn import LeakyReLU, Module, ReLU
from minigan.train.step import Game, play_step, read

REPEATS = 3  # the first may compile, and a pause of the machine spoils one at most


@dataclass(frozen=True)
class Weights:
    """A parameter of a layer and its last change.

    Attributes:
        name: "weight", "bias".
        norm: Euclidean, before the change.
        grad_norm: of the gradient that the optimiser got; None if there was none.
        update_norm: of what the optimiser added.
        update_to_weight: update_norm / norm; None if norm is 0.
    """

    name: str
    norm: float
    grad_norm: float | None
    update_norm: float
    update_to_weight: float | None


@dataclass(frozen=True)
class Layer:
    """What one layer did in a step.

    The output and what is kept for backward are those of its own player's turn, the last one if
    there are several: D's on real and fake images together, G's on the noise it learns from.  The
    times are those of all its calls in the step, in both players' turns.

    Attributes:
        name: as in the state dict, after the player: "D.main.0".
        kind: its class, and the activation that it computes in the same pass (see Sequential).
        shape: of one output, with the batch.
        mean, std: of all elements of the output.
        dead: share of the units, the elements of one example's output, that are <= 0 for every
            example; None unless the output is that of a ReLU or LeakyReLU.
        parameters: its own.
        forward_ms, backward_ms: milliseconds.
        kept_bytes: of the arrays that the graph saves here for backward, without parameters; an
            array that several functions save counts where it is saved first.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    mean: float
    std: float
    dead: float | None
    parameters: list[Weights]
    forward_ms: float
    backward_ms: float
    kept_bytes: int


@dataclass(frozen=True)
class Anatomy:
    """A step: its layers in the order of the state dicts, G's first; losses; where time went.

    ``ms``: milliseconds by "forward" and "backward" (of the layers), "optimisers", "rest" (losses,
    autograd) and "step", which is their sum.
    """

    layers: list[Layer]
    losses: dict[str, float]
    ms: dict[str, float]


def take_apart(
    game: Game,
    batches: list[Tensor],
    seed: int | tuple[int, ...] = 0,
    repeats: int = REPEATS,
    labels: Sequence[Tensor] = (),
) -> Anatomy:
    """Play a step on k batches of real images, and measure; afterwards the game is as before.

    Args:
        labels: of a conditional game, one for each batch: (N, classes).
        seed: of everything random in the step.
        repeats: the step is played so often from the same state; the fastest one is reported.
    """
    played = []
    for _ in range(repeats):
        with unchanged(game):
            backends.manual_seed(seed)
            played.append(_Probe(game).play(batches, labels))
    return min(played, key=lambda anatomy: anatomy.ms["step"])


@contextlib.contextmanager
def unchanged(game: Game) -> Iterator[None]:
    """Whatever the block does to the game's weights, statistics and optimisers is undone."""
    owners = (game.G, game.D, game.opt_G, game.opt_D)
    states = [owner.state_dict() for owner in owners]
    try:
        yield
    finally:
        for owner, state in zip(owners, states):
            owner.load_state_dict(state)
        for optimizer in (game.opt_G, game.opt_D):
            optimizer.zero_grad()


@dataclass
class _Output:
    """What is known of a layer's outputs in the turn that is being played."""

    kind: str
    shape: tuple[int, ...] = ()
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    # By the shape of one example's output: which units were > 0 for an example.
    alive: dict[tuple[int, ...], Any] = field(default_factory=dict)
    kept_bytes: int = 0

    def add(self, y: Any) -> None:
        self.shape = y.shape
        self.count += y.size
        self.total += float(y.sum(dtype=np.float64))
        self.squares += float(array_module(y).square(y, dtype=np.float64).sum())
        if "ReLU" in self.kind:
            self.alive[y.shape[1:]] = self.alive.get(y.shape[1:], False) | (y > 0).any(axis=0)

    def describe(self) -> dict[str, Any]:
        """The fields of Layer that are about the output."""
        mean = self.total / self.count
        units = sum(mask.size for mask in self.alive.values())
        alive = sum(int(mask.sum()) for mask in self.alive.values())
        return {
            "kind": self.kind,
            "shape": tuple(self.shape),
            "mean": mean,
            "std": math.sqrt(max(self.squares / self.count - mean * mean, 0.0)),
            "dead": 1 - alive / units if units else None,
            "kept_bytes": self.kept_bytes,
        }


class _Probe:
    """Listens to layers, functions and optimisers while one step is played.

    A turn is all that runs until an optimiser has moved its player.  So D's turn has D's calls on
    real and fake images; simultaneous updates are one turn of both.
    """

    def __init__(self, game: Game):
        self.game = game
        self.networks = {"G": game.G, "D": game.D}
        self.layers = {
            f"{player}.{name}".rstrip("."): layer
            for player, network in self.networks.items()
            for name, layer in network.named_modules()
            if layer._own_parameters() or not any(layer.children())
        }
        self.names = {id(layer): name for name, layer in self.layers.items()}
        self.parameters = {  # ids of the memory that all graphs share
            id(_memory(p.array)) for network in self.networks.values() for p in network.parameters()
        }
        self.clock = Clock()
        self.running: list[str] = []  # layers, the innermost last
        self.outputs: dict[str, _Output] = {}  # of this turn
        self.saved: set[int] = set()  # in this turn: ids of arrays
        self.is_turn_over = False
        self.is_penalty = False
        self.found: dict[str, dict[str, Any]] = {}  # name -> fields of Layer

    def play(self, batches: list[Tensor], labels: Sequence[Tensor]) -> Anatomy:
        with self._listening(), np.errstate(over="ignore", invalid="ignore"), self._timed("rest"):
            (losses,) = read([play_step(self.game, batches, labels)])
        return self._report(losses)

    def _report(self, losses: dict[str, float]) -> Anatomy:
        ms = {name: 1e3 * seconds for name, seconds in self.clock.seconds.items()}
        layers = [
            Layer(
                name=name,
                **self.found[name],
                forward_ms=ms.get(f"{name} forward", 0.0),
                backward_ms=ms.get(f"{name} backward", 0.0),
            )
            for name in self.layers
            if name in self.found
        ]
        parts = {
            "forward": sum(layer.forward_ms for layer in layers),
            "backward": sum(layer.backward_ms for layer in layers),
            "optimisers": ms["optimisers"],
            "rest": ms["rest"],
        }
        return Anatomy(layers, losses, {**parts, "step": sum(parts.values())})

    # Listening ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        backends.synchronize()  # a GPU first finishes what others asked for
        with self.clock.section(name):
            yield
            backends.synchronize()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        apply, call = Function.__call__, Module.__call__

        def apply_and_note(function: Function, *inputs: Tensor) -> Tensor:
            y = apply(function, *inputs)
            if self.running and y.grad_fn is function:
                with self._timed("measuring"):
                    self._note(self.running[-1], function)
            return y

        def call_and_look(layer: Module, *args: Any, **kwargs: Any) -> Any:
            name = self.names.get(id(layer))
            if name is None:
                return call(layer, *args, **kwargs)
            self._enter(name, layer, kwargs)
            try:
                with self._timed(f"{name} forward"):
                    y = call(layer, *args, **kwargs)
            finally:
                self.running.pop()
            if not self.is_penalty:  # of other images, or of the same once more
                with self._timed("measuring"):
                    self.outputs[name].add(y.array)
            return y

        Function.__call__, Module.__call__ = apply_and_note, call_and_look
        optimizers = {"G": self.game.opt_G, "D": self.game.opt_D}
        for player, optimizer in optimizers.items():
            # On the instance: it hides the method until it is deleted.
            optimizer.step = self._watched(player, optimizer.step)
        penalty = self.game.penalty
        if penalty is not None:
            self.game.penalty = self._marked(penalty)
        try:
            yield
        finally:
            self.game.penalty = penalty
            Function.__call__, Module.__call__ = apply, call
            for optimizer in optimizers.values():
                del optimizer.step

    def _marked(self, penalty: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """The penalty, during which D's outputs are not looked at."""

        def marked(*args: Any) -> Tensor:
            self.is_penalty = True
            try:
                return penalty(*args)
            finally:
                self.is_penalty = False

        return marked

    def _enter(self, name: str, layer: Module, kwargs: Mapping[str, Any]) -> None:
        if self.is_turn_over:
            self.outputs, self.saved, self.is_turn_over = {}, set(), False
        self.running.append(name)
        if name not in self.outputs:
            self.outputs[name] = _Output(_kind(layer, kwargs))

    def _note(self, name: str, function: Function) -> None:
        """A function of the layer became a node of the graph: what it saves, how long it takes."""
        for array in _arrays(tuple(vars(function).values())):
            memory = _memory(array)
            if id(memory) not in self.saved | self.parameters:
                self.saved.add(id(memory))
                self.outputs[name].kept_bytes += memory.nbytes

        def timed_backward(gy: Tensor) -> Any:
            with self._timed(f"{name} backward"):
                return type(function).backward(function, gy)

        function.backward = timed_backward

    def _watched(self, player: str, step: Callable[[], None]) -> Callable[[], None]:
        """The optimiser's step, with a look at the player's layers before and after."""

        def step_and_compare() -> None:
            layers = {
                name: layer
                for name, layer in self.layers.items()
                if name.partition(".")[0] == player and name in self.outputs
            }
            with self._timed("measuring"):
                before = {
                    name: {key: p.array.copy() for key, p in layer._own_parameters().items()}
                    for name, layer in layers.items()
                }
                gradients = {
                    name: {key: _norm_of_gradient(p) for key, p in layer._own_parameters().items()}
                    for name, layer in layers.items()
                }
            with self._timed("optimisers"):
                step()
            with self._timed("measuring"):
                for name, layer in layers.items():
                    weights = [
                        _compare(key, before[name][key], p.array, gradients[name][key])
                        for key, p in layer._own_parameters().items()
                    ]
                    self.found[name] = {**self.outputs[name].describe(), "parameters": weights}
            self.is_turn_over = True

        return step_and_compare


def _kind(layer: Module, kwargs: Mapping[str, Any]) -> str:
    """The class of a layer with its activation, its own or one of the call's."""
    name = type(layer).__name__
    if isinstance(layer, (ReLU, LeakyReLU)):
        return _activation(getattr(layer, "negative_slope", 0.0))
    slope = kwargs.get("negative_slope", 1.0)
    return name if slope == 1 else f"{name} + {_activation(slope)}"


def _activation(slope: float) -> str:
    return "ReLU" if slope == 0 else f"LeakyReLU {slope:g}"


def _arrays(values: tuple | list) -> Iterator[Any]:
    """All arrays in what a function keeps: its attributes, and tuples of them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value.array
        elif isinstance(value, (tuple, list)):
            yield from _arrays(value)
        elif hasattr(value, "nbytes") and not isinstance(value, np.generic):
            yield value


def _memory(array: Any) -> Any:
    """The array that owns the memory which a view shows a part of."""
    while getattr(array, "base", None) is not None and hasattr(array.base, "nbytes"):
        array = array.base
    return array


def norm(array: Any) -> float:
    """Euclidean, summed in float64."""
    return math.sqrt(float(array_module(array).square(array, dtype=np.float64).sum()))


def _norm_of_gradient(p: Tensor) -> float | None:
    return None if p.grad is None else norm(p.grad.array)


def _compare(name: str, before: Any, after: Any, grad_norm: float | None) -> Weights:
    size, change = norm(before), norm(after.astype(np.float64) - before)
    return Weights(name, size, grad_norm, change, change / size if size else None)
