"""Batch normalisation (Ioffe & Szegedy 2015).

    mu = mean of x over the batch          var = mean of (x - mu)^2 over the batch
    xhat = (x - mu) / sqrt(var + eps)      y = gamma xhat + beta          (Algorithm 1)

Notation: x is (N, C, ...) of C channels, the batch is all else: the pixels of N images, say.
gy = dL/dy, gx = dL/dx.  mu and var depend on x, and every derivative here, of first or higher
order, takes that into account.
"""

from __future__ import annotations

from typing import Any

from minigan import kernels
from minigan.autograd import Function, Tensor, backward_by_definition
from minigan.backends import array_module
from minigan.functional.activations import LeakyReLUGrad, leaky_relu
from minigan.functional.arithmetic import mean, sqrt, sum
from minigan.functional.shaping import reshape, stack


class BatchNorm(Function):
    """y = leaky_relu(z, slope), z = gamma xhat + beta.  x, y: (N, C, ...), gamma, beta: (C,)

    The activation that mostly follows is computed in the same pass; slope 1 leaves y = z.
    """

    def __init__(self, eps: float, slope: float = 1.0):
        self.eps, self.slope = eps, slope

    def forward(self, x, gamma, beta):
        self.save_inputs(0, 1, 2)
        self.mean, self.var = kernels.batch_stats(x)
        self.inv_std = 1 / array_module(x).sqrt(self.var + self.eps)
        return kernels.batch_norm(x, self.mean, self.inv_std, gamma, beta, self.slope)

    def backward(self, gy):
        # gbeta = sum of gz, ggamma = sum of gz xhat, and gx below: section 3 of the paper
        inputs = (gy, *self.saved_inputs())
        sums = BatchNormSums(self)(*inputs)
        gx = BatchNormInputGrad(self, sums.array)(*inputs) if self.needs[0] else None
        return gx, sums[1], sums[0]


class _BatchNormGrad(Function):
    """What the two gradients share: (gy, x, gamma, beta) and the statistics of forward.

    gz = gy where z > 0, else slope gy.
    """

    def __init__(self, forward: BatchNorm, *sums: Any):
        self.eps, self.slope = forward.eps, forward.slope
        self.statistics, self.sums = (forward.mean, forward.inv_std), sums

    def forward(self, gy, x, gamma, beta):
        self.save_inputs(0, 1, 2, 3)
        return self.kernel(gy, x, *self.statistics, gamma, beta, self.slope, *self.sums)

    def backward(self, g):
        return backward_by_definition(self.definition, self.saved_inputs(), g)

    def _spelled_out(self, gy, x, gamma, beta):
        """(gz, xhat, gamma / std) in Tensors: the definition, from which second order comes."""
        gamma, beta = (reshape(v, (-1, *[1] * (x.ndim - 2))) for v in (gamma, beta))
        deviation = x - _mean(x)
        std = sqrt(_mean(deviation * deviation) + self.eps)
        x_hat = deviation / std
        return LeakyReLUGrad(self.slope)(gy, gamma * x_hat + beta), x_hat, gamma / std


def _mean(x: Tensor) -> Tensor:
    """Over all but the channels.  (N, C, ...) -> (1, C, ...), of lengths 1"""
    return mean(x, (0, *range(2, x.ndim)), keepdim=True)


class BatchNormSums(_BatchNormGrad):
    """(sum of gz, sum of gz xhat), each over all but the channels.  -> (2, C)"""

    kernel = staticmethod(kernels.batch_norm_sums)

    def definition(self, gy, x, gamma, beta):
        gz, x_hat, _ = self._spelled_out(gy, x, gamma, beta)
        axes = (0, *range(2, x.ndim))
        return stack([sum(gz, axes), sum(gz * x_hat, axes)])


class BatchNormInputGrad(_BatchNormGrad):
    """gx = gamma / sqrt(var + eps) (gz - mean of gz - xhat * mean of (gz xhat))"""

    kernel = staticmethod(kernels.batch_norm_grad)

    def definition(self, gy, x, gamma, beta):
        gz, x_hat, scale = self._spelled_out(gy, x, gamma, beta)
        return scale * (gz - _mean(gz) - x_hat * _mean(gz * x_hat))


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    negative_slope: float = 1.0,
) -> Tensor:
    """Each feature shifted and scaled to mean 0 and variance 1, then to ``bias`` and ``weight``.

    x: (N, C) or (N, C, ...); all others (C,).  In training the batch's own statistics are used,
    and the running ones, if given, move towards them by ``momentum`` in place (with the unbiased
    variance, as in PyTorch).  Otherwise the running statistics are used.  With a
    ``negative_slope`` other than 1, leaky_relu follows in the same pass (0: relu).

    Raises ValueError for wrong shapes, in training for a batch with one value per feature, and
    otherwise without running statistics.

    >>> import numpy as np
    >>> one, zero = Tensor(np.ones(1)), Tensor(np.zeros(1))
    >>> x = Tensor(np.array([[1.0], [3.0]]))
    >>> batch_norm(x, None, None, one, zero, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]], dtype=float64)
    """
    if x.ndim < 2 or x.shape[1] != weight.shape[0]:
        raise ValueError(
            f"batch_norm over {weight.shape[0]} features takes (N, {weight.shape[0]}) or "
            f"(N, {weight.shape[0]}, ...), got {x.shape}"
        )
    if (running_mean is None) != (running_var is None) or (running_mean is None and not training):
        raise ValueError(
            "batch_norm takes running_mean and running_var together; without them it can only "
            "normalise by the batch: pass training=True"
        )
    shapes = [v.shape for v in (running_mean, running_var, weight, bias) if v is not None]
    if set(shapes) != {(x.shape[1],)}:
        raise ValueError(
            f"batch_norm over {x.shape[1]} features takes statistics, weight and bias of shape "
            f"({x.shape[1]},), got {', '.join(map(str, shapes))}"
        )
    if not training:
        per_channel = (-1, *[1] * (x.ndim - 2))
        scale = weight / sqrt(running_var + eps)
        z = (x - reshape(running_mean, per_channel)) * reshape(scale, per_channel)
        z = z + reshape(bias, per_channel)
        return z if negative_slope == 1 else leaky_relu(z, negative_slope)
    M = x.numel() // x.shape[1]
    if M < 2:
        raise ValueError(
            f"batch_norm in training needs at least 2 values per feature, got x of shape {x.shape}"
            ": use a larger batch or eval()"
        )
    function = BatchNorm(eps, negative_slope)
    y = function(x, weight, bias)
    if running_mean is not None:
        unbiased = function.var * (M / (M - 1))
        _move(running_mean, function.mean, momentum)
        _move(running_var, unbiased, momentum)
    return y


def _move(running: Tensor, value: Any, momentum: float) -> None:
    running.changed_in_place().array += momentum * (value - running.array)
