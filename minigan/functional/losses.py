"""Losses: one number a batch (or one an element, with ``reduction="none"``)."""

from __future__ import annotations

from typing import Any

from minigan import kernels
from minigan.autograd import Function, Tensor
from minigan.backends import array_module
from minigan.functional.activations import sigmoid
from minigan.functional.arithmetic import abs, as_tensor, broadcast_to, clip, log, mean, sum, sum_to


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return sum(losses)
    if reduction == "none":
        return losses
    raise ValueError(f"no reduction {reduction!r}: expected mean, sum or none")


def _same_shape(name: str, x: Tensor, target: Tensor | float) -> Tensor:
    """The target as a tensor; a number stands for a target that is the same everywhere."""
    target = as_tensor(target, like=x)
    if target.ndim > 0 and target.shape != x.shape:
        raise ValueError(
            f"{name}: input {x.shape} and target {target.shape} must have the same shape"
        )
    return target


class BCEWithLogits(Function):
    """l = softplus(x) - t x = -[t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))]

    gx = (sigmoid(x) - t) gl: bounded, and 0 only where D is right.  gt = -x gl.
    """

    def forward(self, x, t):
        self.save_inputs(0, 1)
        return kernels.bce_with_logits(x, t)

    def backward(self, gl):
        x, t = self.saved_inputs()
        gx = BCEWithLogitsGrad()(gl, x, t) if self.needs[0] else None
        gt = sum_to(-gl * x, t.shape) if self.needs[1] else None
        return gx, gt


class BCEWithLogitsGrad(Function):
    """gx = (s - t) gl with s = sigmoid(x);  its own gradients, with s' = s (1 - s):

    ggl = (s - t) g,  gx = s' gl g,  gt = -gl g.
    """

    def forward(self, gl, x, t):
        self.save_inputs(0, 1, 2)
        return kernels.bce_with_logits_grad(gl, x, t)

    def backward(self, g):
        gl, x, t = self.saved_inputs()
        ggl = BCEWithLogitsGrad()(g, x, t) if self.needs[0] else None
        gt = sum_to(-gl * g, t.shape) if self.needs[2] else None
        if not self.needs[1]:
            return ggl, None, gt
        s = sigmoid(x)
        return ggl, s * (1.0 - s) * gl * g, gt


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor | float, reduction: str = "mean"
) -> Tensor:
    """-[t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))], computed from the logit x.

    The form to train with: in float32 ``binary_cross_entropy(sigmoid(x))`` has the gradient 0
    where a logit is beyond 17 and wrong, this one has 1.

    Args:
        input: logits x, any shape.
        target: t in [0, 1], of the same shape or a number.

    >>> import numpy as np
    >>> binary_cross_entropy_with_logits(Tensor(np.array([0.0])), 1.0).item()  # log 2
    0.6931471805599453
    """
    target = _same_shape("binary_cross_entropy_with_logits", input, target)
    return _reduce(BCEWithLogits()(input, target), reduction)


class BCE(Function):
    """l = -[t log p + (1 - t) log(1 - p)], each logarithm at least -100

    gp = (p - t) / (p (1 - p)) gl, the denominator at least 1e-12: at p = 0 and p = 1 it is huge,
    not 0, so that a discriminator that is sure and wrong still learns.  gt = log((1 - p)/p) gl.
    """

    def forward(self, p, t):
        self.save_inputs(0, 1)
        xp = array_module(p)
        log_p, log_q = _log_at_least_minus_100(xp, p), _log_at_least_minus_100(xp, 1 - p)
        return -(t * log_p + (1 - t) * log_q)

    def backward(self, gl):
        p, t = self.saved_inputs()
        gp = gl * (p - t) / clip(p * (1.0 - p), min=1e-12) if self.needs[0] else None
        gt = gl * (clamped_log(1.0 - p) - clamped_log(p)) if self.needs[1] else None
        return gp, gt


def _log_at_least_minus_100(xp: Any, p: Any) -> Any:
    return xp.log(xp.maximum(p, SMALLEST)).clip(-100)


def binary_cross_entropy(input: Tensor, target: Tensor | float, reduction: str = "mean") -> Tensor:
    """-[t log p + (1 - t) log(1 - p)], values and gradients clamped as in PyTorch.

    Each logarithm is at least -100, and the denominator of the gradient at least 1e-12.

    Args:
        input: probabilities p in [0, 1], any shape; outside, ValueError.
        target: t in [0, 1], of the same shape or a number.

    >>> import numpy as np
    >>> binary_cross_entropy(Tensor(np.array([0.0, 0.5])), 1.0, reduction="none")
    tensor([100.    ,   0.6931], dtype=float64)
    """
    if input.numel() and not (input.array.min() >= 0 and input.array.max() <= 1):
        raise ValueError(
            f"binary_cross_entropy needs probabilities in [0, 1], got values from "
            f"{input.array.min():g} to {input.array.max():g}: apply sigmoid first, "
            "or use binary_cross_entropy_with_logits"
        )
    target = _same_shape("binary_cross_entropy", input, target)
    return _reduce(BCE()(input, broadcast_to(target, input.shape)), reduction)


SMALLEST = 3.7e-44  # its logarithm is just below -100 (also in float32), where the clamp holds


def clamped_log(p: Tensor) -> Tensor:
    """max(log p, -100), and 0 as its derivative where it is clamped (p = 0 included)."""
    return clip(log(clip(p, min=SMALLEST)), min=-100.0)


def mse_loss(input: Tensor, target: Tensor | float, reduction: str = "mean") -> Tensor:
    """(x - t)^2

    Args:
        input: x, any shape.
        target: t, of the same shape or a number.
        reduction: ``"mean"`` or ``"sum"`` over all elements, or ``"none"``.

    >>> import numpy as np
    >>> mse_loss(Tensor(np.array([1.0, 3.0])), 0.0).item()
    5.0
    """
    difference = input - _same_shape("mse_loss", input, target)
    return _reduce(difference * difference, reduction)


def l1_loss(input: Tensor, target: Tensor | float, reduction: str = "mean") -> Tensor:
    """|x - t|; arguments as in ``mse_loss``.

    >>> import numpy as np
    >>> l1_loss(Tensor(np.array([1.0, -3.0])), 0.0).item()
    2.0
    """
    return _reduce(abs(input - _same_shape("l1_loss", input, target)), reduction)
