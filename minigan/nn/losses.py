"""Losses as modules; the formulas are in ``minigan.functional``.

Each takes ``(input, target)``: tensors of one shape, or a number as target.
"""

from __future__ import annotations

from minigan import functional as F
from minigan.autograd import Tensor
from minigan.nn.module import Module


class _Loss(Module):
    def __init__(self, *, reduction: str = "mean"):
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"no reduction {reduction!r}: expected mean, sum or none")
        self.reduction = reduction


class BCELoss(_Loss):
    """-[t log p + (1 - t) log(1 - p)] of probabilities p in [0, 1].

    To train, ``BCEWithLogitsLoss`` is better: its gradient does not vanish where D is sure.

    >>> from minigan import tensor
    >>> BCELoss()(tensor([0.5, 0.5]), tensor([1.0, 0.0]))
    tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor | float) -> Tensor:
        return F.binary_cross_entropy(input, target, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """-[t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))] of logits x."""

    def forward(self, input: Tensor, target: Tensor | float) -> Tensor:
        return F.binary_cross_entropy_with_logits(input, target, self.reduction)


class MSELoss(_Loss):
    """(x - t)^2"""

    def forward(self, input: Tensor, target: Tensor | float) -> Tensor:
        return F.mse_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """|x - t|"""

    def forward(self, input: Tensor, target: Tensor | float) -> Tensor:
        return F.l1_loss(input, target, self.reduction)
