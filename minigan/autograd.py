"""Reverse-mode automatic differentiation: Tensor, Function, no_grad, backward, grad.

A Tensor is an array and, if it was computed, the Function that made it.  A Function computes
forward on arrays and backward on *Tensors*: the gradient is computed with the same functions as
everything else, so it can be differentiated again, as often as one likes.

The graph points only backwards, from a result to what it was made from:

    Tensor --grad_fn--> Function --edges--> Functions and leaf Tensors

Nothing points forward, so there are no reference cycles: dropping the loss frees the graph at
once.  An edge is the Function behind an input, not the input itself; an input's array stays alive
only if the Function saves it by name (``save_inputs``, ``save_output``).
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from minigan.backends import array_module, moved, to_numpy, xp


class Tensor:
    """An array that remembers how it was made.

    Args:
        array: a NumPy or CuPy array (taken as it is, not copied) or anything ``asarray`` takes.
        requires_grad: whether ``backward`` shall leave the derivative in ``.grad``.

    A tensor that was given rather than computed is a *leaf*; gradients are kept for leaves only.

    >>> x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    tensor([2., 4.], dtype=float64)
    """

    __slots__ = ("__weakref__", "_version", "array", "grad", "grad_fn", "requires_grad")
    __array_ufunc__ = None  # ndarray + Tensor must come to Tensor.__radd__, not loop over elements

    def __init__(self, array: Any, requires_grad: bool = False):
        if not isinstance(array, np.ndarray):
            if isinstance(array, np.generic):
                # NumPy turns 0-dimensional results into scalars; they stay on NumPy.
                array = np.asarray(array)
            elif isinstance(array, Tensor):
                raise TypeError("a Tensor is made of an array: use detach() or clone() on a tensor")
            elif not hasattr(array, "dtype"):
                array = xp().asarray(array)
        self.array = array
        self.grad: Tensor | None = None
        self.grad_fn: Function | None = None
        self._version = [0]  # counts in-place changes; shared by all tensors on the same memory
        self.requires_grad = False
        if requires_grad:
            self.requires_grad_()

    # What it is -----------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def is_leaf(self) -> bool:
        """Given, not computed: its gradient is kept by ``backward``."""
        return self.grad_fn is None

    def dim(self) -> int:
        return self.array.ndim

    def numel(self) -> int:
        return self.array.size

    def size(self, dim: int | None = None) -> tuple[int, ...] | int:
        """The shape, or one length of it."""
        return self.array.shape if dim is None else self.array.shape[dim]

    def item(self) -> float:
        """The only element, as a Python number."""
        return self.array.item()

    def numpy(self) -> np.ndarray:
        """The values as a read-only NumPy array (a copy from the GPU, the memory itself here).

        Read-only, because a change behind the graph's back would give wrong gradients; change
        a tensor with ``copy_``, ``fill_``, ``+=`` and so on, which are counted.
        """
        array = to_numpy(self.array).view()
        array.flags.writeable = False
        return array

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for the gradient, or stop asking; returns the tensor itself."""
        if requires_grad and self.array.dtype.kind != "f":
            raise TypeError(f"only float tensors have gradients, not {self.array.dtype}")
        if not self.is_leaf and not requires_grad:
            raise RuntimeError("a computed tensor cannot stop requiring grad: use detach()")
        self.requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """The same values, cut from the graph: no gradient flows back from here."""
        cut = Tensor(self.array)
        cut._version = self._version
        return cut

    @property
    def data(self) -> Tensor:
        """``detach()`` under the name that older scripts use."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f".data takes a tensor, not {type(value).__name__}: use from_numpy")
        self.array, self._version = value.array, value._version

    # Gradients ------------------------------------------------------------------------------

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Iterable[Tensor] | None = None,
    ) -> None:
        """Add d self / d leaf to ``leaf.grad`` for every leaf that requires grad.

        Args:
            gradient: the factor in front, of this tensor's shape; 1 for a scalar.
            retain_graph: keep the graph for another backward (default: ``create_graph``).
                Without it the graph is freed as it is consumed, and a second backward through
                it raises RuntimeError.
            create_graph: record the gradient's own graph, for second order.
            inputs: only these leaves get their gradient, and only what lies on the way to them
                is computed.

        Raises RuntimeError if this tensor does not require grad, if it has several elements and
        ``gradient`` is missing or does not fit, if ``inputs`` are not leaves behind it, if the
        graph was freed, or if a value that is needed was changed in place.
        """
        if inputs is not None:
            inputs = list(inputs)
            if not all(x.is_leaf for x in inputs):
                raise RuntimeError("backward(inputs=...) takes leaves only: use grad() for others")
        _backpropagate([self], [gradient], inputs, retain_graph, create_graph, into_leaves=True)

    # In-place changes -----------------------------------------------------------------------

    def changed_in_place(self, source: Any = None) -> Tensor:
        """Count a change of the values, so that a backward that needs the old ones can object.

        Raises RuntimeError if this tensor, or the source of the new values, requires grad and
        functions are being recorded: the change would be missing from the graph.
        """
        if isinstance(source, Tensor) and source.requires_grad and is_grad_enabled():
            raise RuntimeError(
                f"in-place change with a tensor of shape {source.shape} that requires grad: "
                "do it inside no_grad(), with source.detach(), or make a new tensor instead"
            )
        if self.requires_grad and is_grad_enabled():
            raise RuntimeError(
                f"in-place change of a tensor of shape {self.shape} that requires grad: "
                "do it inside no_grad(), or make a new tensor instead"
            )
        self._version[0] += 1
        return self

    def copy_(self, source: Tensor | np.ndarray) -> Tensor:
        """Overwrite the values with those of ``source`` (broadcast, converted to this dtype), which
        may be on another backend."""
        self.changed_in_place(source)
        array = source.array if isinstance(source, Tensor) else source
        if not hasattr(array, "strides"):  # numbers, lists, tensors of PyTorch
            array = np.asarray(array)
        self.array[...] = moved(array, array_module(self.array))
        return self

    def fill_(self, value: float) -> Tensor:
        """Set every element to ``value``."""
        self.changed_in_place()
        self.array.fill(value)
        return self

    def zero_(self) -> Tensor:
        """Set every element to 0."""
        return self.fill_(0)

    def clamp_(self, min: float, max: float) -> Tensor:
        """Clip every element to [min, max]."""
        self.changed_in_place()
        array_module(self.array).clip(self.array, min, max, out=self.array)
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        self.changed_in_place(value)
        self.array[plain_index(index)] = value.array if isinstance(value, Tensor) else value

    # Python protocol ------------------------------------------------------------------------

    def __repr__(self) -> str:
        text = np.array2string(to_numpy(self.array), precision=4, separator=", ", prefix="tensor(")
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        if self.grad_fn is not None:
            made_by = f", grad_fn={type(self.grad_fn).__name__}"
        else:
            made_by = ", requires_grad=True" if self.requires_grad else ""
        return f"tensor({text}{dtype}{made_by})"

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __float__(self) -> float:
        return float(self.array.item())

    def __int__(self) -> int:
        return int(self.array.item())

    def __bool__(self) -> bool:
        return bool(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=True if copy is None else copy)

    def __deepcopy__(self, memo: dict) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError("only leaf tensors can be deep-copied: use detach() first")
        copy = type(self).__new__(type(self))
        Tensor.__init__(copy, self.array.copy(order="K"))
        copy.requires_grad = self.requires_grad
        memo[id(self)] = copy
        return copy


def plain_index(index: Any) -> Any:
    """An index with its Tensors replaced by their arrays."""
    if isinstance(index, tuple):
        return tuple(plain_index(i) for i in index)
    return index.array if isinstance(index, Tensor) else index


# The record ---------------------------------------------------------------------------------


class _GradMode(threading.local):
    enabled = True


_mode = _GradMode()


def is_grad_enabled() -> bool:
    """Whether functions are being recorded in this thread."""
    return _mode.enabled


@contextlib.contextmanager
def set_grad_enabled(enabled: bool) -> Iterator[None]:
    """Record functions, or do not, inside a ``with`` block (per thread)."""
    before = _mode.enabled
    _mode.enabled = enabled
    try:
        yield
    finally:
        _mode.enabled = before


def no_grad() -> contextlib.AbstractContextManager:
    """Compute without recording, as a ``with`` block or a decorator.

    >>> x = Tensor(np.ones(2), requires_grad=True)
    >>> with no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """
    return set_grad_enabled(False)


def enable_grad() -> contextlib.AbstractContextManager:
    """Record again inside a ``no_grad`` block."""
    return set_grad_enabled(True)


_numbers = itertools.count()


class Function:
    """One differentiable operation and, once applied, one node of the graph.

    A subclass writes two methods.  ``forward`` takes and returns arrays; ``backward`` takes the
    gradient of the output and returns the gradients of the inputs, all Tensors, one for each
    input, None where there is none.  Constants (axes, slopes) go through ``__init__``.

    In ``forward``, name what backward needs: ``save_inputs(0, 1)`` or ``save_output()``; get it
    back in ``backward`` from ``saved_inputs()`` or ``saved_output()``, as Tensors with their
    history.  ``needs[i]`` says whether the gradient of input i is wanted at all.

    >>> class Cube(Function):
    ...     def forward(self, x):
    ...         self.save_inputs(0)
    ...         return x**3
    ...
    ...     def backward(self, gy):
    ...         (x,) = self.saved_inputs()
    ...         return gy * 3.0 * x * x
    >>> x = Tensor(np.array(2.0), requires_grad=True)
    >>> (g,) = grad(Cube()(x), [x], create_graph=True)
    >>> (gg,) = grad(g, [x])
    >>> g.item(), gg.item()
    (12.0, 12.0)
    """

    is_view = False  # True: the output is (or may be) another view of the first input's memory

    number = -1  # position in the order of creation, once recorded
    edges: Sequence | None = ()  # what each input came from; None once the graph is freed
    needs: tuple[bool, ...] = (False, False, False)  # for forwards that are not recorded
    _saved_inputs: Sequence = ()  # of (Tensor, its version list, how often it had been changed)
    _saved_output: tuple | None = None  # (array, its version list, how often ...)
    _input_indices: tuple[int, ...] = ()
    _keeps_output = False

    def forward(self, *inputs: Any) -> Any:
        raise TypeError(f"{type(self).__name__} does not define forward")

    def backward(self, gy: Tensor) -> Any:
        raise TypeError(f"{type(self).__name__} does not define backward")

    def save_inputs(self, *indices: int) -> None:
        """Keep these inputs for backward."""
        self._input_indices = indices

    def save_output(self) -> None:
        """Keep the output for backward."""
        self._keeps_output = True

    def saved_inputs(self) -> list[Tensor]:
        """The inputs named in ``save_inputs``; RuntimeError if one was changed in place since."""
        for x, version, changes in self._saved_inputs:
            # Another list means other memory: .data was assigned.
            if x._version is not version or version[0] != changes:
                raise self._changed(x.array)
        return [x for x, _, _ in self._saved_inputs]

    def saved_output(self) -> Tensor:
        """The output, with this function as its history; RuntimeError if it was changed."""
        array, version, changes = self._saved_output
        if version[0] != changes:
            raise self._changed(array)
        # A new Tensor each time: keeping the one that forward returned would close a cycle.
        y = Tensor(array)
        y._version, y.requires_grad, y.grad_fn = version, True, self
        return y

    def _changed(self, array: Any) -> RuntimeError:
        return RuntimeError(
            f"a value of shape {array.shape} that the backward of {type(self).__name__} "
            "needs was changed in place after forward: call backward before the change, "
            "or change a copy"
        )

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Apply the function and, if a gradient may be wanted, record it."""
        if self.number >= 0:
            raise RuntimeError(
                f"this {type(self).__name__} was applied before and is a node of a graph: "
                f"make a new one for each use, {type(self).__name__}(...)(x)"
            )
        arrays = [x.array for x in inputs]
        first = arrays[0]
        for other in arrays[1:]:
            if other.dtype != first.dtype or type(other) is not type(first):
                raise TypeError(_mixture(type(self).__name__, arrays))
        recorded = False
        if _mode.enabled:
            needs = tuple([x.requires_grad for x in inputs])
            if recorded := True in needs:
                self.needs = needs
        try:
            y = Tensor(self.forward(*arrays))
        except Exception as error:  # NumPy says what is wrong, but not where
            notes = getattr(error, "__notes__", [])  # Python 3.11 prints them below the error
            error.__notes__ = [*notes, f"in {type(self).__name__}, given {described(inputs)}"]
            raise
        if self.is_view and array_module(first).may_share_memory(y.array, first):
            y._version = inputs[0]._version
        if recorded:
            self._record(inputs, y)
        return y

    def _record(self, inputs: Sequence[Tensor], y: Tensor) -> None:
        """Become a node of the graph: number, edges, and what forward asked to keep."""
        self.number = next(_numbers)
        self.edges = [_edge(x) for x in inputs]
        if self._input_indices:
            saved = [inputs[i] for i in self._input_indices]
            self._saved_inputs = [(x, x._version, x._version[0]) for x in saved]
        if self._keeps_output:
            self._saved_output = (y.array, y._version, y._version[0])
        y.requires_grad = True
        y.grad_fn = self

    def _free(self) -> None:
        """Let go of all that forward kept, masks and shapes in attributes included."""
        number = self.number
        self.__dict__.clear()
        self.number, self.edges = number, None


def described(inputs: Sequence[Any]) -> str:
    """Shapes and dtypes of at most five tensors, for messages; of other things their type.

    >>> described([Tensor(np.zeros((2, 3))), 1])
    '(2, 3) float64, int'
    """
    texts = [f"{x.shape} {x.dtype}" if isinstance(x, Tensor) else type(x).__name__ for x in inputs]
    more = [f"{len(texts) - 5} more"] if len(texts) > 5 else []
    return ", ".join([*texts[:5], *more]) or "nothing"


def _edge(x: Tensor) -> Tensor | Function | None:
    """What the gradient of x flows into: its Function, x itself if it is a leaf, or nothing."""
    if not x.requires_grad:
        return None
    return x if x.grad_fn is None else x.grad_fn


def check_together(function: str, *arrays: Any) -> None:
    """TypeError, naming the function, unless the arrays are all NumPy's or all CuPy's."""
    if len({type(array) for array in arrays}) > 1:
        raise TypeError(_mixture(function, arrays))


def _mixture(function: str, arrays: Sequence[Any]) -> str:
    kinds = ", ".join(f"{array_module(a).__name__} {a.dtype}" for a in arrays)
    return (
        f"{function} got a mixture of {kinds}: "
        "bring them together first, with .float(), .double() or .to('numpy' | 'cupy')"
    )


# The backward pass --------------------------------------------------------------------------


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> list[Tensor]:
    """The gradients of ``outputs`` with respect to ``inputs``, returned instead of stored.

    Only functions between inputs and outputs are run.  Leaves' ``.grad`` are not touched.

    Args:
        outputs: a tensor or several; their gradients are added.
        inputs: leaves or computed tensors.
        grad_outputs: factors of the outputs' shapes; None stands for 1 (scalars only).
        retain_graph: keep the graph for another pass (default: ``create_graph``).
        create_graph: record the gradients, so that they can be differentiated.

    Raises RuntimeError if an input has no influence on the outputs, or the graph was freed.

    >>> x = Tensor(np.array(3.0), requires_grad=True)
    >>> (g,) = grad(x * x * x, [x], create_graph=True)
    >>> (gg,) = grad(g, [x])
    >>> g.item(), gg.item()
    (27.0, 18.0)
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if grad_outputs is None:
        grad_outputs = [None] * len(outputs)
    elif isinstance(grad_outputs, Tensor):
        grad_outputs = [grad_outputs]
    if len(grad_outputs) != len(outputs):
        raise ValueError(f"{len(outputs)} outputs need as many grad_outputs: {len(grad_outputs)}")
    return _backpropagate(
        outputs, list(grad_outputs), inputs, retain_graph, create_graph, into_leaves=False
    )


def _backpropagate(
    outputs: list[Tensor],
    gradients: list[Tensor | None],
    inputs: list[Tensor] | None,
    retain_graph: bool | None,
    create_graph: bool,
    into_leaves: bool,
) -> list[Tensor]:
    """Walk the graph from the last function made to the first, handing gradients back.

    The gradients of ``inputs`` (None: of all leaves) are added to the leaves' ``.grad``, or
    else returned.
    """
    gradients = [_first_gradient(y, g) for y, g in zip(outputs, gradients)]
    retain_graph = create_graph if retain_graph is None else retain_graph
    nodes = _reachable(outputs)
    targets = None if inputs is None else _targets(inputs, outputs, nodes)
    wanted = None if targets is None else _on_the_way(nodes, targets)
    table: dict[Any, Tensor] = {}  # the gradient of each node that is still to be visited
    found: dict[Any, Tensor] = {}  # the gradients of the targets

    def hand_to(edge: Any, g: Tensor, is_alias: bool) -> None:
        if isinstance(edge, Function):
            table[edge] = table[edge] + g if edge in table else g
            return
        if targets is not None and id(edge) not in targets:
            return
        if g.array.shape != edge.array.shape:
            raise RuntimeError(
                f"a gradient of shape {g.shape} came back to a leaf of shape {edge.shape}: "
                "the backward of a function on the way does not undo its broadcasting"
            )
        if into_leaves:
            _add_to_leaf(edge, g, is_alias)
        else:
            found[id(edge)] = found[id(edge)] + g if id(edge) in found else g

    with set_grad_enabled(create_graph):
        for y, g in zip(outputs, gradients):
            hand_to(_edge(y), g, True)
        while nodes:
            node = nodes.pop()  # popped, not iterated: what is consumed is freed at once
            gy = table.pop(node, None)
            if gy is None:
                continue
            if targets is not None and id(node) in targets:
                found[id(node)] = gy
            edges = node.edges
            if wanted is None:
                node.needs = tuple([edge is not None for edge in edges])
            else:
                node.needs = tuple([id(edge) in wanted for edge in edges])
            if True not in node.needs:
                continue
            gxs = node.backward(gy)
            if not retain_graph:
                node._free()
            gxs = gxs if isinstance(gxs, (tuple, list)) else (gxs,)
            if len(gxs) < len(edges):
                raise RuntimeError(
                    f"the backward of {type(node).__name__} returned {len(gxs)} gradients "
                    f"for {len(edges)} inputs: return one each, None where there is none"
                )
            handed = {id(gy)}  # what somebody else holds too
            for edge, g in zip(edges, gxs):
                if g is not None and edge is not None:
                    hand_to(edge, g, id(g) in handed)
                    handed.add(id(g))
    if into_leaves:
        return []
    # Reached, but only through derivatives that are zero everywhere (a step function's, say).
    return [found[id(_edge(x))] if id(_edge(x)) in found else _zeros_like(x) for x in inputs]


def _zeros_like(x: Tensor) -> Tensor:
    return Tensor(array_module(x.array).zeros_like(x.array))


def _first_gradient(y: Tensor, g: Tensor | None) -> Tensor:
    if not y.requires_grad:
        raise RuntimeError(
            f"backward from a tensor of shape {y.shape} that does not require grad: "
            "nothing in it depends on a tensor with requires_grad=True, or it was made in no_grad"
        )
    if g is None:
        if y.array.size != 1:
            raise RuntimeError(
                f"backward from a tensor of shape {y.shape} needs a gradient of that shape: "
                "reduce it to a scalar first, for example with .mean()"
            )
        return Tensor(array_module(y.array).ones_like(y.array))
    if not isinstance(g, Tensor):
        raise TypeError(f"the gradient of an output must be a tensor, not {type(g).__name__}")
    if g.shape != y.shape or g.dtype != y.dtype:
        raise RuntimeError(
            f"the gradient has shape {g.shape} and dtype {g.dtype}, "
            f"the output shape {y.shape} and dtype {y.dtype}: they must be equal"
        )
    return g


def _reachable(outputs: list[Tensor]) -> list[Function]:
    """All functions behind the outputs, in the order of their creation.

    A function is always created after those it takes its inputs from, so descending creation
    order is an order in which every gradient is complete before it is handed on.  That replaces
    a recursive topological sort, and a chain of 100,000 functions is no problem.
    """
    seen = {y.grad_fn for y in outputs if y.grad_fn is not None}
    stack = list(seen)
    while stack:
        node = stack.pop()
        if node.edges is None:
            raise RuntimeError(
                f"backward a second time through a graph that was freed at {type(node).__name__}: "
                "pass retain_graph=True to the first backward, or compute the output again"
            )
        for edge in node.edges:
            if isinstance(edge, Function) and edge not in seen:
                seen.add(edge)
                stack.append(edge)
    return sorted(seen, key=lambda node: node.number)


def _targets(
    inputs: list[Tensor], outputs: list[Tensor], nodes: list[Function]
) -> dict[int, Tensor | Function]:
    """The edges at which ``grad`` stops, each checked to lie behind the outputs."""
    reached = {id(_edge(y)) for y in outputs}
    reached.update(id(edge) for node in nodes for edge in node.edges)
    targets = {}
    for i, x in enumerate(inputs):
        if not x.requires_grad:
            raise RuntimeError(f"input {i} of grad, of shape {x.shape}, does not require grad")
        edge = _edge(x)
        if id(edge) not in reached:
            raise RuntimeError(
                f"input {i} of grad, of shape {x.shape}, has no influence on the outputs: "
                "was it detached, or replaced by a copy, on the way?"
            )
        targets[id(edge)] = edge
    return targets


def _on_the_way(nodes: list[Function], targets: dict) -> set[int]:
    """The ids of the targets, and of the functions through which their gradients must pass."""
    wanted = set(targets)
    for node in nodes:
        if not wanted.isdisjoint([id(edge) for edge in node.edges]):
            wanted.add(id(node))
    return wanted


def _add_to_leaf(leaf: Tensor, g: Tensor, is_alias: bool) -> None:
    if leaf.grad is None:
        # A gradient that is somebody else's memory too is copied: an optimiser may change it.
        if is_alias or g.array.base is not None:
            g = g.clone() if g.requires_grad else Tensor(g.array.copy(order="K"))
        leaf.grad = g
    elif is_grad_enabled():
        leaf.grad = leaf.grad + g
    else:
        leaf.grad.array += g.array
        leaf.grad._version[0] += 1


def backward_by_definition(
    definition: Callable[..., Tensor], inputs: Sequence[Tensor], gy: Tensor
) -> list[Tensor]:
    """The gradients of a fused function, from its plain definition in Tensors.

    A fused function that is itself a gradient (batch normalisation's, say) is differentiated only
    for second order.  Speed does not matter there; being right does.  So the definition is run
    once more, recorded, and differentiated by the engine itself, to any order.
    """
    create_graph = is_grad_enabled()
    with enable_grad():
        if create_graph:
            cut = [_Alias()(x) if x.requires_grad else x.detach().requires_grad_() for x in inputs]
        else:
            cut = [x.detach().requires_grad_() for x in inputs]
        return grad(definition(*cut), cut, gy, create_graph=create_graph)


class _Alias(Function):
    """The identity: a node of its own, at which ``grad`` can stop."""

    is_view = True

    def forward(self, x: Any) -> Any:
        return x

    def backward(self, gy: Tensor) -> Tensor:
        return gy
