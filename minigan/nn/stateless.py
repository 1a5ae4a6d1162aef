"""A module called with other weights than its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from minigan.autograd import Tensor
from minigan.nn.module import Module


def functional_call(
    module: Module,
    parameters_and_buffers: Mapping[str, Tensor],
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """``module(*args)`` as if these tensors were its parameters and buffers (``torch.func``).

    The tensors may be computed ones: gradients flow through them to whatever they were made from.
    Afterwards, also after an error, the module has its own again.

    Args:
        parameters_and_buffers: by their names in the state dict; those not named stay the
            module's own, and one that the module has in several places is replaced in all.
        args: a tuple of arguments, or a single one.

    Raises ValueError for a name that the module does not have, or a tensor of another shape;
    TypeError for what is no tensor.

    >>> from minigan import nn, ones, tensor
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> w = tensor([[3.0, 4.0]], requires_grad=True)
    >>> y = functional_call(layer, {"weight": w}, ones(1, 2))
    >>> y.backward()
    >>> y.item(), w.grad, layer.weight.grad
    (7.0, tensor([[1., 1.]]), None)
    """
    with _replaced(module, parameters_and_buffers):
        return module(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))


@contextlib.contextmanager
def _replaced(module: Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside the block the tensors stand in the places of the module's own."""
    own = dict(module._named(Module._own_state))
    for name, tensor in tensors.items():
        _check(module, name, tensor, own.get(name))
    new = {id(own[name]): tensor for name, tensor in tensors.items()}
    places = [
        (vars(part), name, tensor)
        for part in module.modules()
        for name, tensor in part._own_state().items()
        if id(tensor) in new
    ]
    # Past __setattr__, which lets a parameter be replaced by a parameter only.
    for attributes, name, tensor in places:
        attributes[name] = new[id(tensor)]
    try:
        yield
    finally:
        for attributes, name, tensor in places:
            attributes[name] = tensor


def _check(module: Module, name: str, tensor: Any, own: Tensor | None) -> None:
    if own is None:
        raise ValueError(f"{type(module).__name__} has no parameter or buffer {name!r}")
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor, not {type(tensor).__name__}")
    if tensor.shape != own.shape:
        raise ValueError(f"{name} is {own.shape}, the tensor in its place {tensor.shape}")
