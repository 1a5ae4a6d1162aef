"""Batch normalisation (Ioffe & Szegedy 2015).

    mu = mean of x over the batch          var = mean of (x - mu)^2 over the batch
    xhat = (x - mu) / sqrt(var + eps)      y = gamma xhat + beta          (Algorithm 1)

Notation: N rows, C features; gy = dL/dy, gx = dL/dx.  mu and var depend on x, and every
derivative here, of first or higher order, takes that into account.
"""

from __future__ import annotations

from typing import Any

from minigan import kernels
from minigan.autograd import Function, Tensor, backward_by_definition
from minigan.backends import array_module
from minigan.functional.arithmetic import mean, sqrt, sum
from minigan.functional.shaping import permute, reshape, stack


def normalise(x: Tensor, eps: float) -> Tensor:
    """xhat, spelled out in Tensors: the definition that the fused functions are held to."""
    deviation = x - mean(x, 0)
    return deviation / sqrt(mean(deviation * deviation, 0) + eps)


class BatchNorm(Function):
    """y = gamma xhat + beta.  x: (N, C), gamma, beta: (C,) -> (N, C)"""

    def __init__(self, eps: float):
        self.eps = eps

    def forward(self, x, gamma, beta):
        self.save_inputs(0, 1)
        self.mean, self.var = kernels.batch_stats(x)
        self.inv_std = 1 / array_module(x).sqrt(self.var + self.eps)
        return kernels.batch_norm(x, self.mean, self.inv_std, gamma, beta)

    def backward(self, gy):
        # gbeta = sum of gy, ggamma = sum of gy xhat, and gx below: section 3 of the paper
        x, gamma = self.saved_inputs()
        sums = BatchNormSums(self.eps, self.mean, self.inv_std)(gy, x)
        gx = None
        if self.needs[0]:
            gradient = BatchNormInputGrad(self.eps, self.mean, self.inv_std, sums.array)
            gx = gradient(gy, x, gamma)
        return gx, sums[1], sums[0]


class BatchNormSums(Function):
    """(sum of gy, sum of gy xhat), each over the batch.  (N, C), (N, C) -> (2, C)"""

    def __init__(self, eps: float, mean: Any, inv_std: Any):
        self.eps, self.mean, self.inv_std = eps, mean, inv_std

    def forward(self, gy, x):
        self.save_inputs(0, 1)
        return kernels.batch_norm_sums(gy, x, self.mean, self.inv_std)

    def backward(self, g):
        return backward_by_definition(self.definition, self.saved_inputs(), g)

    def definition(self, gy, x):
        return stack([sum(gy, 0), sum(gy * normalise(x, self.eps), 0)])


class BatchNormInputGrad(Function):
    """gx = gamma / sqrt(var + eps) (gy - mean of gy - xhat * mean of (gy xhat))"""

    def __init__(self, eps: float, mean: Any, inv_std: Any, sums: Any):
        self.eps, self.mean, self.inv_std, self.sums = eps, mean, inv_std, sums

    def forward(self, gy, x, gamma):
        self.save_inputs(0, 1, 2)
        return kernels.batch_norm_grad(gy, x, self.mean, self.inv_std, gamma, self.sums)

    def backward(self, g):
        return backward_by_definition(self.definition, self.saved_inputs(), g)

    def definition(self, gy, x, gamma):
        deviation = x - mean(x, 0)
        std = sqrt(mean(deviation * deviation, 0) + self.eps)
        x_hat = deviation / std
        return gamma / std * (gy - mean(gy, 0) - x_hat * mean(gy * x_hat, 0))


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each feature shifted and scaled to mean 0 and variance 1, then to ``bias`` and ``weight``.

    x: (N, C) or (N, C, L); all others (C,).  In training the batch's own statistics are used,
    and the running ones, if given, move towards them by ``momentum`` in place (with the unbiased
    variance, as in PyTorch).  Otherwise the running statistics are used.

    Raises ValueError for wrong shapes, in training for a batch with one value per feature, and
    otherwise without running statistics.

    >>> import numpy as np
    >>> one, zero = Tensor(np.ones(1)), Tensor(np.zeros(1))
    >>> x = Tensor(np.array([[1.0], [3.0]]))
    >>> batch_norm(x, None, None, one, zero, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]], dtype=float64)
    """
    if x.ndim not in (2, 3) or x.shape[1] != weight.shape[0]:
        raise ValueError(
            f"batch_norm over {weight.shape[0]} features takes (N, {weight.shape[0]}) or "
            f"(N, {weight.shape[0]}, L), got {x.shape}"
        )
    if (running_mean is None) != (running_var is None) or (running_mean is None and not training):
        raise ValueError(
            "batch_norm takes running_mean and running_var together; without them it can only "
            "normalise by the batch: pass training=True"
        )
    others = [v for v in (running_mean, running_var, weight, bias) if v is not None]
    if any(v.shape != (x.shape[1],) for v in others):
        raise ValueError(
            f"batch_norm over {x.shape[1]} features takes statistics, weight and bias of shape "
            f"({x.shape[1]},), got {', '.join(str(v.shape) for v in others)}"
        )
    if x.ndim == 3:  # (N, C, L) -> (N L, C) and back
        N, C, L = x.shape
        rows = reshape(permute(x, 0, 2, 1), (N * L, C))
        y = batch_norm(rows, running_mean, running_var, weight, bias, training, momentum, eps)
        return permute(reshape(y, (N, L, C)), 0, 2, 1)
    if not training:
        return (x - running_mean) * (weight / sqrt(running_var + eps)) + bias
    if x.shape[0] < 2:
        raise ValueError(
            f"batch_norm in training needs at least 2 values per feature, got x of shape {x.shape}"
            ": use a larger batch or eval()"
        )
    function = BatchNorm(eps)
    y = function(x, weight, bias)
    if running_mean is not None:
        unbiased = function.var * (x.shape[0] / (x.shape[0] - 1))
        _move(running_mean, function.mean, momentum)
        _move(running_var, unbiased, momentum)
    return y


def _move(running: Tensor, value: Any, momentum: float) -> None:
    running.changed_in_place().array += momentum * (value - running.array)
