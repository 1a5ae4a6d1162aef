"""Adam (Kingma & Ba 2015, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigan import kernels
from minigan.autograd import Tensor
from minigan.optim.optimizer import Optimizer, check_setting


class Adam(Optimizer):
    """Adam: each weight's step is its mean gradient over the root of its mean squared gradient.

        m = beta1 m + (1 - beta1) g          v = beta2 v + (1 - beta2) g^2
        p -= lr mhat / (sqrt(vhat) + eps)    mhat = m / (1 - beta1^t), vhat = v / (1 - beta2^t)

    Args:
        params: parameters of one dtype and backend.
        lr: learning rate.
        betas: (beta1, beta2), the decay of the two averages, in [0, 1).
        eps: added to the root.
        weight_decay: adds weight_decay * p to g (L2 penalty).

    >>> from minigan import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = Adam([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.9], requires_grad=True)
    """

    _settings = ("lr", "betas", "eps", "weight_decay")
    _states = ("m", "v")

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        beta1, beta2 = betas
        check_setting("beta1", beta1, below=1)
        check_setting("beta2", beta2, below=1)
        check_setting("eps", eps)
        check_setting("weight_decay", weight_decay)
        super().__init__(params, lr)
        self.betas, self.eps, self.weight_decay = (beta1, beta2), eps, weight_decay

    def _update(self, p: Any, g: Any, m: Any, v: Any, t: int) -> None:
        beta1, beta2 = self.betas
        if self.clock is None:
            kernels.adam(p, g, m, v, self.lr, beta1, beta2, self.eps, self.weight_decay, t)
        else:
            kernels.adam_at(p, g, m, v, self.clock, beta1, beta2, self.eps, self.weight_decay)

    def _tick(self) -> None:
        kernels.adam_tick(self.clock, *self.betas)
