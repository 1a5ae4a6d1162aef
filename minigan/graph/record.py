"""Recording a step: who computes what from what, and where the gradient is cut."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from minigan.autograd import Function, Tensor, is_grad_enabled
from minigan.errors import MiniganError
from minigan.nn import Dropout, Module
from minigan.train.step import Game, play_step


@dataclass
class Node:
    """One application of a function, or data from outside.

    Attributes:
        title: the function's name with its constants, or what the data are; before the function
            that ends in a loss, "d_loss = ", "g_loss = ".
        layer: the layer that it belongs to, "D.main.0", or "backward of D.main.0", where a penalty
            asks for a gradient; "" outside of all layers.
        parameters: of the layer, as ("weight (512, 784)", whether this step moves it).
        is_data: it comes from outside: images, noise.
        is_recorded: a gradient can flow back through it.
        is_under_no_grad: it ran inside a ``no_grad`` block.
    """

    title: str
    layer: str = ""
    parameters: list[tuple[str, bool]] = field(default_factory=list)
    is_data: bool = False
    is_recorded: bool = True
    is_under_no_grad: bool = False


@dataclass
class Edge:
    """An array on its way from one node to another, both by their number.

    Attributes:
        label: shape and dtype, "(64, 784) float32".
        is_cut: computed, but no gradient flows back: made under ``no_grad``, or detached.
    """

    source: int
    target: int
    label: str
    is_cut: bool


@dataclass
class Graph:
    """What a player computes on the way to its loss; the nodes in the order in which they ran."""

    title: str
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)


def record(game: Game, x: Tensor, *y: Tensor) -> list[Graph]:
    """Play one step on the images x, (N, *image), in a conditional game with the labels y,
    (N, classes), and return what each player computed for it.

    Alternate updates give D's graph and G's; simultaneous ones are two gradients of one graph, and
    an autoencoder has one graph and one gradient.
    The game moves, as in any step.  Raises MiniganError for unrolled updates.
    """
    if game.updates == "unrolled":
        raise MiniganError(
            "unrolled updates of D are thousands of functions, too many for a picture: draw the "
            "game without them, with --set updates=alternate --set unroll=0"
        )
    recorder = _Recorder(game, x, *y)
    with recorder.listening():
        play_step(game, [x], y)
    return recorder.graphs


class _Recorder:
    """Listens to functions, layers and backward; each graph ends with the first backward."""

    def __init__(self, game: Game, x: Tensor, *y: Tensor):
        both = {"G": game.G, "D": game.D}
        self.coming = {
            "alternate": [("(1) Update D", "D"), ("(2) Update G", "G")],
            "simultaneous": [("Update D and G at once", "DG")],
            "together": [("Update decoder (G) and encoder (D)", "DG")],
        }[game.updates]
        self.layer_names = {
            id(layer): f"{player}.{name}".rstrip(".")
            for player, network in both.items()
            for name, layer in network.named_modules()
        }
        self.parameters = {
            id(p.array): (player, *f"{player}.{name}".rpartition(".")[::2], p)
            for player, network in both.items()
            for name, p in network.named_parameters()
        }
        self.losses = iter(["loss"] if game.updates == "together" else ["d_loss", "g_loss"])
        self.game, self.x = game, x
        self.outside = {  # what data are called
            id(x.array): "real images x", **{id(each.array): "labels y" for each in y}
        }  # fmt: skip
        self.layers: list[Module] = []  # that are running, the innermost last
        self.kept: list[Any] = []  # arrays: the id of a freed one would be given to another
        self.graphs: list[Graph] = []
        self.is_open = False
        self._begin()

    def _begin(self) -> None:
        title, self.movers = self.coming.pop(0)
        self.graphs.append(Graph(title))
        self.made_by: dict[int, int] = {}  # the array's id -> the node's number
        self.is_open = True

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        apply, call, backward = Function.__call__, Module.__call__, Tensor.backward
        draw_z = self.game.draw_z

        def apply_and_note(function: Function, *inputs: Tensor) -> Tensor:
            y = apply(function, *inputs)
            if self.is_open:
                self._note(function, inputs, y)
            return y

        def call_inside(module: Module, *args: Any, **kwargs: Any) -> Any:
            self.layers.append(module)
            try:
                return call(module, *args, **kwargs)
            finally:
                self.layers.pop()

        def backward_and_end(loss: Tensor, *args: Any, **kwargs: Any) -> None:
            last = self.graphs[-1].nodes[self.made_by[id(loss.array)]]
            last.title = f"{next(self.losses)} = {last.title}"
            self.is_open = False  # what backward computes is not drawn
            backward(loss, *args, **kwargs)
            if self.coming:
                self._begin()

        def draw_and_name(n: int) -> Tensor:
            z = draw_z(n)
            self.outside[id(z.array)] = "noise z"
            self.kept.append(z.array)
            return z

        self.game.draw_z = draw_and_name
        Function.__call__ = apply_and_note
        Module.__call__ = call_inside
        Tensor.backward = backward_and_end
        try:
            yield
        finally:
            Function.__call__, Module.__call__, Tensor.backward = apply, call, backward
            self.game.draw_z = draw_z

    def _note(self, function: Function, inputs: tuple[Tensor, ...], y: Tensor) -> None:
        graph = self.graphs[-1]
        layer = self.layers[-1] if self.layers else None
        node = Node(describe(function), self.layer_names.get(id(layer), ""))
        node.is_recorded, node.is_under_no_grad = y.requires_grad, not is_grad_enabled()
        edges, arguments = [], []
        for x in inputs:
            arguments.append("·")
            if id(x.array) in self.parameters:
                player, owner, name, p = self.parameters[id(x.array)]
                moves = player in self.movers and node.is_recorded
                node.parameters.append((f"{name} {_shape(p)}", moves))
                node.layer = node.layer or f"backward of {owner}"
            elif x.numel() > 1 or id(x.array) in self.made_by:
                edges.append((self._source(x), x))
            else:  # other numbers are constants
                arguments[-1] = f"{x.item():g}"
        node.title = _with_constants(node.title, arguments)
        number = len(graph.nodes)
        graph.nodes.append(node)
        for source, x in edges:
            made = graph.nodes[source]
            is_detached = made.is_recorded and not x.requires_grad
            is_cut = is_grad_enabled() and (made.is_under_no_grad or is_detached)
            graph.edges.append(Edge(source, number, f"{_shape(x)} {x.dtype}", is_cut))
        self._remember(y, number)

    def _source(self, x: Tensor) -> int:
        """The node that made x; what comes from outside becomes one."""
        if id(x.array) not in self.made_by:
            title = self.outside.get(id(x.array), self._unnamed(x))
            self.graphs[-1].nodes.append(Node(title, is_data=True, is_recorded=False))
            self._remember(x, len(self.graphs[-1].nodes) - 1)
        return self.made_by[id(x.array)]

    def _unnamed(self, x: Tensor) -> str:
        """What data are that nobody has named, by the place where they come in."""
        if self.layers and isinstance(self.layers[-1], Dropout):
            return "dropout mask"
        is_image = x.shape == self.x.shape
        return "x̂, where the penalty looks" if self.game.penalty and is_image else "constant"

    def _remember(self, x: Tensor, number: int) -> None:
        self.made_by[id(x.array)] = number
        self.kept.append(x.array)


def describe(function: Function) -> str:
    """The function's name, with the constants that a reader of the graph looks for.

    >>> from minigan.functional.linear import Linear
    >>> describe(Linear(slope=0.2)), describe(Linear(slope=0.0)), describe(Linear())
    ('Linear + LeakyReLU 0.2', 'Linear + ReLU', 'Linear')
    """
    name = type(function).__name__
    if name == "Sum" and function.c != 1:
        return "Mean"
    if name == "Pow":
        return f"Pow {function.exponent:g}"
    slope = getattr(function, "slope", 1.0)
    if name == "LeakyReLUGrad":
        return f"{name} {slope:g}"
    if slope != 1:
        activation = "ReLU" if slope == 0 else f"LeakyReLU {slope:g}"
        name = activation if name == "LeakyReLU" else f"{name} + {activation}"
    geometry = getattr(function, "geometry", None)
    if geometry is not None:
        name += f", stride {geometry.stride[0]}, padding {geometry.padding[0]}"
    return name


def _with_constants(name: str, arguments: list[str]) -> str:
    """The name with its arguments, of which "·" are tensors, if others are among them.

    >>> _with_constants("Sub", ["1", "·"]), _with_constants("Add", ["·", "·"])
    ('Sub(1, ·)', 'Add')
    >>> _with_constants("BCEWithLogits", ["·", "1"])
    'BCEWithLogits, target 1 (real)'
    """
    if set(arguments) <= {"·"}:
        return name
    if name == "BCEWithLogits":
        meaning = {"0": " (fake)", "1": " (real)"}
        return f"{name}, target {arguments[1]}{meaning.get(arguments[1], '')}"
    return f"{name}({', '.join(arguments)})"


def _shape(x: Tensor) -> str:
    return "scalar" if x.ndim == 0 else f"({', '.join(map(str, x.shape))})"
