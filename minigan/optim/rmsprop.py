"""RMSprop (Tieleman & Hinton 2012, lecture 6.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigan.autograd import Tensor
from minigan.backends import array_module
from minigan.optim.optimizer import WithMomentum, check_setting


class RMSprop(WithMomentum):
    """Each weight's gradient over the root of its mean square, in PyTorch's form.

        square = alpha square + (1 - alpha) g^2
        velocity = momentum velocity + g / (sqrt(square) + eps)        p -= lr velocity

    Args:
        params: parameters of one dtype and backend.
        lr: learning rate.
        alpha: decay of the mean square, in [0, 1).
        eps: added to the root.
        weight_decay: adds weight_decay * p to g (L2 penalty).
        momentum: share of the velocity that is kept, >= 0.

    >>> from minigan import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = RMSprop([p], lr=0.01)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.9], requires_grad=True)
    """

    _settings = ("lr", "alpha", "eps", "weight_decay", "momentum")
    _states = ("square", "velocity")

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ):
        check_setting("alpha", alpha, below=1)
        check_setting("eps", eps)
        check_setting("weight_decay", weight_decay)
        check_setting("momentum", momentum)
        super().__init__(params, lr)
        self.alpha, self.eps = alpha, eps
        self.weight_decay, self.momentum = weight_decay, momentum

    def _update(self, p: Any, g: Any, square: Any, velocity: Any, t: int) -> None:
        if self.weight_decay:
            g = g + self.weight_decay * p
        square *= self.alpha
        square += (1 - self.alpha) * (g * g)
        direction = g / (array_module(p).sqrt(square) + self.eps)
        lr, momentum = self._lr_and_momentum(p)
        if self._has_velocity():
            velocity *= momentum
            velocity += direction
            direction = velocity
        p -= lr * direction
