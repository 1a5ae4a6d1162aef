"""Module and Parameter: where a network keeps its weights.

A module keeps its parameters, buffers and sub-modules as ordinary attributes, and finds them by
their type, in the order of assignment.  There is no registry beside them that could disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from minigan import backends
from minigan.autograd import Tensor, described, no_grad
from minigan.backends import array_module, to_numpy


class Parameter(Tensor):
    """A tensor that a module's ``parameters()`` finds and an optimiser changes.

    Args:
        array: a float array or tensor; it is not copied.
        requires_grad: False for weights that stay as they are.

    >>> Parameter(np.zeros(2, np.float32))
    tensor([0., 0.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, array: Any, requires_grad: bool = True):
        super().__init__(array.array if isinstance(array, Tensor) else array, requires_grad)


class Module:
    """A part of a network: parameters, buffers, sub-modules and a ``forward``.

    A subclass assigns its parts in ``__init__`` and computes in ``forward``.  Buffers are tensors
    that belong to the state but are not trained (``register_buffer``).  Parts inside a plain list
    or dict are not found: use ``ModuleList`` or ``Sequential``.

    >>> from minigan import nn
    >>> class Generator(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(2, 3)
    ...         self.out = nn.Linear(3, 1, bias=False)
    ...
    ...     def forward(self, z):
    ...         return self.out(self.hidden(z).relu())
    >>> G = Generator()
    >>> [(name, p.shape) for name, p in G.named_parameters()]
    [('hidden.weight', (3, 2)), ('hidden.bias', (3,)), ('out.weight', (1, 3))]
    """

    training: bool = True
    _buffer_names: tuple[str, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.forward(*args, **kwargs)
        except Exception as error:
            _note_layer(error, self, args)
            raise

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines it."""
        raise TypeError(f"{type(self).__name__} does not define forward")

    def __setattr__(self, name: str, value: Any) -> None:
        is_plain = isinstance(value, Tensor) and not isinstance(value, Parameter)
        if is_plain and isinstance(vars(self).get(name), Parameter):
            raise TypeError(
                f"{type(self).__name__}.{name} is a parameter and cannot become a plain tensor: "
                "assign nn.Parameter(...), or change its values with copy_ inside no_grad()"
            )
        super().__setattr__(name, value)

    # The parts ------------------------------------------------------------------------------

    def register_buffer(self, name: str, tensor: Tensor) -> None:
        """Keep ``tensor`` as attribute ``name``: part of the state, but not trained."""
        if "." in name or hasattr(self, name):
            raise ValueError(
                f"{type(self).__name__} cannot have a buffer {name!r}: "
                "a name without dots that is not taken is needed"
            )
        self._buffer_names = (*self._buffer_names, name)
        setattr(self, name, tensor)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct sub-modules with their names."""
        return ((name, part) for name, part in vars(self).items() if isinstance(part, Module))

    def children(self) -> Iterator[Module]:
        """The direct sub-modules."""
        return iter([part for part in vars(self).values() if isinstance(part, Module)])

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module (under the name "") and all below it, each once, parents first."""
        return _unique(self._tree())

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once, parents first."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their full names; one that is shared appears once."""
        return _unique(self._named(Module._own_parameters))

    def parameters(self) -> Iterator[Parameter]:
        """All parameters, each once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their full names; one that is shared appears once."""
        return _unique(self._named(Module._own_buffers))

    def buffers(self) -> Iterator[Tensor]:
        """All buffers, each once."""
        return (b for _, b in self.named_buffers())

    def _own_parameters(self) -> dict[str, Parameter]:
        return {name: part for name, part in vars(self).items() if isinstance(part, Parameter)}

    def _own_buffers(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in self._buffer_names}

    def _own_state(self) -> dict[str, Tensor]:
        return {**self._own_parameters(), **self._own_buffers()}

    def _tree(self, prefix: str = "") -> list[tuple[str, Module]]:
        """(name, module) for this module and all below it; a shared one under every name."""
        tree = [(prefix, self)]
        for name, part in vars(self).items():
            if isinstance(part, Module):
                tree += part._tree(f"{prefix}.{name}" if prefix else name)
        return tree

    def _named(self, own: Callable[[Module], dict]) -> Iterator[tuple[str, Any]]:
        for prefix, module in self._tree():
            for name, tensor in own(module).items():
                yield (f"{prefix}.{name}" if prefix else name), tensor

    # The state ------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers as NumPy arrays, under PyTorch's names.

        >>> from minigan import nn
        >>> list(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).state_dict())
        ['0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean', '1.running_var',
         '1.num_batches_tracked']
        """
        return {
            name: np.array(to_numpy(tensor.array), order="C")
            for name, tensor in self._named(Module._own_state)
        }

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> tuple[list[str], list[str]]:
        """Overwrite parameters and buffers in place: with all of ``state_dict``, or with nothing.

        Args:
            state_dict: arrays, or anything ``np.asarray`` takes, such as PyTorch's CPU tensors;
                they are converted to the dtype of this module.
            strict: False to pass over names that only one side has.

        Returns the names missing in ``state_dict`` and the names that this module does not have.
        Raises ValueError for such names if strict, and for arrays of another shape;
        TypeError for values that are not numbers.
        """
        own = dict(self._named(Module._own_state))
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        if strict and (missing or unexpected):
            raise ValueError(
                f"the state does not fit {type(self).__name__}: "
                f"missing {_listed(missing)}, unexpected {_listed(unexpected)}"
            )
        arrays = {name: np.asarray(state_dict[name]) for name in own if name in state_dict}
        wrong = [
            f"{name} is {array.shape} instead of {own[name].shape}"
            for name, array in arrays.items()
            if array.shape != own[name].shape
        ]
        if wrong:
            raise ValueError(
                f"the state does not fit {type(self).__name__}: {'; '.join(wrong[:3])}"
                + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
            )
        for name, array in arrays.items():
            if array.dtype.kind not in "fiub":
                raise TypeError(
                    f"the state's {name} must be an array of numbers, not {array.dtype}"
                )
        with no_grad():  # in place, because an optimiser may keep parameters in its own buffer
            for name, array in arrays.items():
                own[name].copy_(array)
        return missing, unexpected

    # All parts at once ----------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call ``fn`` with every module below and with this one last; returns the module."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Module:
        """Training mode for all modules: dropout drops, batch normalisation uses the batch."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Evaluation mode for all modules."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to 0."""
        zero_grad(self.parameters(), set_to_none)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Ask for the gradients of all parameters, or stop asking."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def to(self, target: Any) -> Module:
        """Bring all parameters and float buffers to a float dtype, or everything to a backend.

        Each gets a new array: make the optimiser afterwards, or bring it along with its own
        ``to``, which moves the parameters too.

        Args:
            target: ``np.float32``, ``np.float64``, ``"numpy"`` or ``"cupy"``.
        """
        to_backend = isinstance(target, str) and target in backends.NAMES
        if not to_backend and np.dtype(target).kind != "f":
            raise TypeError(f"a module can be of a float dtype only, not {np.dtype(target)}")
        for tensor in [*self.parameters(), *self.buffers()]:
            if to_backend or tensor.dtype.kind == "f":
                tensor.data = tensor.detach().to(target)
                if tensor.grad is not None:
                    tensor.grad = tensor.grad.detach().to(target)
        return self

    def float(self) -> Module:
        """To float32, to train."""
        return self.to(np.float32)

    def double(self) -> Module:
        """To float64, to check."""
        return self.to(np.float64)

    # For the reader -------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What ``repr`` says in the parentheses of a module without children."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in
                 self.named_children()]  # fmt: skip
        name, extra = type(self).__name__, self.extra_repr()
        if not lines:
            return f"{name}({extra})"
        return "\n  ".join([f"{name}(", *([extra] if extra else []), *lines]) + "\n)"

    def summary(self, input_shape: tuple[int, ...]) -> str:
        """A table of the layers in the order in which they run.

        A batch of 2 inputs of zeros is sent through in evaluation mode.

        Args:
            input_shape: the shape of one input, without the batch dimension.

        >>> from minigan import nn
        >>> print(nn.Sequential(nn.Linear(2, 3), nn.ReLU()).summary((2,)))
        layer      output  parameters
        0 Linear   (N, 3)           9
        1 ReLU     (N, 3)           0
        total                       9
        """
        from minigan.nn.summary import summary

        return summary(self, input_shape)


def zero_grad(parameters: Iterable[Tensor], set_to_none: bool = True) -> None:
    """Forget the gradients (so the next backward need not add), or set them to 0."""
    for p in parameters:
        if set_to_none or p.grad is None:
            p.grad = None
        else:
            p.grad = Tensor(array_module(p.array).zeros_like(p.array))


def _note_layer(error: Exception, module: Module, args: tuple[Any, ...]) -> None:
    """Note on an error in which layer it arose, as the outermost call that it passes sees it.

    Notes are what Python 3.11 prints below an error; the command line prints them everywhere.
    """
    layer, shapes, before = getattr(error, "_layer", (module, described(args), None))
    name = next((name for name, part in module.named_modules() if part is layer), "")
    kind, root = type(layer).__name__, type(module).__name__
    note = f"in {f'layer {name} ({kind}) of {root}' if name else kind}, given {shapes}"
    others = [text for text in getattr(error, "__notes__", []) if text != before]
    error.__notes__ = [*others, note]
    error._layer = layer, shapes, note


def _unique(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    seen = set()
    for name, part in named:
        if id(part) not in seen:
            seen.add(id(part))
            yield name, part


def _listed(names: list[str]) -> str:
    """At most five names, so that an error stays one line."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (", ".join(names[:5]) + more) or "nothing"
