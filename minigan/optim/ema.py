"""Exponential moving average of weights: the network to sample from, not the one to train."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from minigan.autograd import Tensor, no_grad
from minigan.backends import array_module, moved, to_numpy
from minigan.nn import Module
from minigan.optim.optimizer import (
    check_setting,
    checked_state,
    fill,
    flatten,
    sizes,
    unflattened,
    views,
)


class EMA:
    """average = decay average + (1 - decay) weights, at every ``update()``.

    The average starts as the weights are.  Karras et al. 2018 (appendix A.1) sample from
    the average of G with decay 0.999.

    Args:
        network: a module, whose buffers (running statistics) are copied along as they are; or
            parameters.
        decay: in [0, 1).

    >>> from minigan import nn
    >>> G = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(G.weight)
    >>> ema = EMA(G, decay=0.75)
    >>> _ = nn.init.ones_(G.weight)
    >>> ema.update()
    >>> with ema.swapped_in():
    ...     G.weight.item()
    0.25
    >>> G.weight.item()
    1.0
    """

    def __init__(self, network: Module | Iterable[Tensor], decay: float):
        check_setting("decay", decay, below=1)
        self.decay = decay
        is_module = isinstance(network, Module)
        self.params = list(network.parameters() if is_module else network)
        self.buffers = list(network.buffers()) if is_module else []
        if not self.params:
            raise ValueError("an EMA needs at least one parameter: is the network empty?")
        self._is_swapped_in = False
        self._arrange()

    def _arrange(self) -> None:
        """Start from the weights and buffers as they are."""
        self.average = flatten(self.params)
        self._averages = views(self.average, self.params)
        self._buffer_copies = [b.array.copy() for b in self.buffers]

    def to(self, backend: str) -> EMA:
        """Bring the average, and the buffers of its network, to ``"numpy"`` or ``"cupy"``; the
        parameters must be there already (``optimizer.to`` or ``network.to``)."""
        self._check_not_swapped_in()
        state = self.state_dict()
        for b in self.buffers:
            b.data = b.detach().to(backend)
        self._arrange()
        self.load_state_dict(state)
        return self

    def update(self) -> None:
        """Move the average towards the weights, and copy the buffers."""
        self._check_not_swapped_in()
        for average, p in zip(self._averages, self.params):
            average += (1 - self.decay) * (p.array - average)
        for copy, b in zip(self._buffer_copies, self.buffers):
            copy[...] = b.array

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Inside the ``with`` block the network has the averaged weights.

        Only references are exchanged.  An optimiser's step inside the block raises RuntimeError.
        """
        self._check_not_swapped_in()
        tensors = [*self.params, *self.buffers]
        own = [t.array for t in tensors]
        self._is_swapped_in = True
        try:
            _exchange(tensors, [*self._averages, *self._buffer_copies])
            yield
        finally:
            _exchange(tensors, own)
            self._is_swapped_in = False

    def _check_not_swapped_in(self) -> None:
        if self._is_swapped_in:
            raise RuntimeError("the averaged weights are swapped in: leave the with block first")

    def state_dict(self) -> dict[str, Any]:
        """Copies of the average, the buffers and the decay as NumPy arrays."""
        copies = {f"buffer.{i}": to_numpy(b).copy() for i, b in enumerate(self._buffer_copies)}
        decay, average = np.array(self.decay), unflattened(self.average, self.params)
        return {"decay": decay, "sizes": sizes(self.params), "average": average, **copies}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore ``state_dict()``, or raise ValueError if it is of another network."""
        given = checked_state("EMA", state_dict, self.state_dict())
        self.decay = given["decay"].item()
        fill(self.average, self.params, given["average"])
        for i, copy in enumerate(self._buffer_copies):
            copy[...] = moved(given[f"buffer.{i}"], array_module(copy))


def _exchange(tensors: list[Tensor], arrays: list[Any]) -> None:
    """Give each tensor another array, and count that as a change of its values."""
    with no_grad():
        for tensor, array in zip(tensors, arrays):
            tensor.array = array
            tensor.changed_in_place()
