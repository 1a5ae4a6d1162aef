"""Modules made of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from minigan.autograd import Tensor
from minigan.nn.layers import BatchNorm1d, BatchNorm2d, LeakyReLU, Linear, ReLU
from minigan.nn.module import Module


class ModuleList(Module):
    """A list of modules whose parameters are found; it has no forward of its own.

    >>> from minigan import nn
    >>> layers = nn.ModuleList([nn.Linear(2, 3)])
    >>> layers.append(nn.Linear(3, 1)) is layers, len(layers), list(layers[1].state_dict())
    (True, 2, ['weight', 'bias'])
    """

    def __init__(self, modules: Iterable[Module] = ()):
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> Any:
        """Add a module at the end; returns the list."""
        if not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__} is made of modules, "
                f"got {module if isinstance(module, type) else type(module).__name__}"
            )
        setattr(self, str(len(self)), module)
        return self

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __getitem__(self, index: int | slice) -> Any:
        modules = list(self.children())
        if isinstance(index, slice):
            return type(self)._of(modules[index])
        if not -len(modules) <= index < len(modules):
            raise IndexError(f"{type(self).__name__} has {len(modules)} modules, no number {index}")
        return modules[index]

    @classmethod
    def _of(cls, modules: list[Module]) -> ModuleList:
        return cls(modules)


class Sequential(ModuleList):
    """Modules one after another: the output of each is the input of the next.

    >>> from minigan import nn, ones
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU(0.2))
    >>> net(ones(5, 2)).shape
    (5, 3)
    >>> net
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): LeakyReLU(negative_slope=0.2)
    )
    """

    def __init__(self, *modules: Module):
        super().__init__(modules)

    @classmethod
    def _of(cls, modules: list[Module]) -> Sequential:
        return cls(*modules)

    def forward(self, x: Tensor) -> Tensor:
        # A layer computes a (leaky) ReLU behind it in the same pass over its output: the passes
        # cost more than the arithmetic.
        modules = [*self.children()]  # list(self) would walk them twice: it asks for the length
        followers = [*modules[1:], None]
        is_done = False
        for module, follower in zip(modules, followers):
            if is_done:
                is_done = False
            elif is_done := _joins(module, follower):
                x = module(x, negative_slope=getattr(follower, "negative_slope", 0.0))
            else:
                x = module(x)
        return x


def _joins(layer: Module, activation: Module | None) -> bool:
    """Whether the layer computes the activation too; not where ``forward`` is another one, of a
    subclass or, as in summary(), of the instance."""
    return (
        type(activation) in (LeakyReLU, ReLU)
        and type(layer) in (BatchNorm1d, BatchNorm2d, Linear)
        and "forward" not in vars(activation)
    )
