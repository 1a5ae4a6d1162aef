"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigan.autograd import Tensor
from minigan.optim.optimizer import WithMomentum, check_setting


class SGD(WithMomentum):
    """Gradient descent with momentum, in PyTorch's form: the learning rate is outside.

        velocity = momentum velocity + g        p -= lr velocity

    Papers often put it inside, velocity = momentum velocity - lr g: the same while lr is constant.

    Args:
        params: parameters of one dtype and backend.
        lr: learning rate.
        momentum: share of the velocity that is kept, >= 0; 0 is plain descent, p -= lr g.
        weight_decay: adds weight_decay * p to g (L2 penalty).
        nesterov: p -= lr (g + momentum velocity) instead (Sutskever et al. 2013).

    >>> from minigan import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = SGD([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.8], requires_grad=True)
    """

    _settings = ("lr", "momentum", "weight_decay")
    _states = ("velocity",)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        *,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ):
        check_setting("momentum", momentum)
        check_setting("weight_decay", weight_decay)
        if nesterov and momentum == 0:
            raise ValueError("nesterov needs a momentum > 0")
        super().__init__(params, lr)
        self.momentum, self.weight_decay, self.nesterov = momentum, weight_decay, nesterov

    def _update(self, p: Any, g: Any, velocity: Any, t: int) -> None:
        if self.weight_decay:
            g = g + self.weight_decay * p
        lr, momentum = self._lr_and_momentum(p)
        if not self._has_velocity():
            p -= lr * g
            return
        velocity *= momentum
        velocity += g
        p -= lr * (g + momentum * velocity if self.nesterov else velocity)
