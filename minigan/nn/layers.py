"""Layers: the parameters live here, the arithmetic in ``minigan.functional``.

Names, defaults and layouts of weights are PyTorch's.  N is the batch, ``...`` any dimensions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigan import backends
from minigan import functional as F
from minigan.autograd import Tensor
from minigan.creation import ones, zeros
from minigan.nn import init
from minigan.nn.module import Module, Parameter


def _positive(layer: Module, **sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"{type(layer).__name__}: {name} must be an integer > 0, got {size!r}")


# With weights -------------------------------------------------------------------------------


class Linear(Module):
    """y = x W^T + b.  (..., in_features) -> (..., out_features)

    weight: (out_features, in_features), bias: (out_features,), both from U(-k, k) with
    k = 1 / sqrt(in_features).

    >>> Linear(3, 5)(ones(2, 3)).shape
    (2, 5)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        _positive(self, in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        # In memory the longer side comes first, as in its gradient (see F's LinearWeightGrad).
        if in_features > out_features:
            self.weight = Parameter(zeros(in_features, out_features).T)
        else:
            self.weight = Parameter(zeros(out_features, in_features))
        # PyTorch's choice: He's gain for slope sqrt(5) is sqrt(1/3), so the bound is 1/sqrt(in).
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.bias = None
        if bias:
            k = 1 / math.sqrt(in_features)
            self.bias = Parameter(zeros(out_features))
            init.uniform_(self.bias, -k, k)

    def forward(self, x: Tensor, negative_slope: float = 1.0) -> Tensor:
        return F.linear(x, self.weight, self.bias, negative_slope=negative_slope)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Maxout(Linear):
    """y_j = max over k of (x W^T + b)_jk (Goodfellow et al. 2013, section 3).

    (..., in_features) -> (..., out_features): ``num_pieces`` linear units compete for each output.
    weight: (out_features * num_pieces, in_features), bias: (out_features * num_pieces,); the
    pieces of output j are the neighbouring rows j * num_pieces to (j + 1) * num_pieces - 1.
    Initial weights as in ``Linear``.

    >>> Maxout(784, 240, 5)(ones(2, 784)).shape
    (2, 240)
    """

    def __init__(self, in_features: int, out_features: int, num_pieces: int, bias: bool = True):
        _positive(self, out_features=out_features, num_pieces=num_pieces)
        super().__init__(in_features, out_features * num_pieces, bias)
        self.out_features, self.num_pieces = out_features, num_pieces

    def forward(self, x: Tensor) -> Tensor:
        return F.maxout(super().forward(x), self.num_pieces)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"num_pieces={self.num_pieces}, bias={self.bias is not None}"
        )


class Embedding(Module):
    """Rows of a table, one for each class.  integers (...) -> (..., embedding_dim)

    weight: (num_embeddings, embedding_dim), from N(0, 1).

    >>> Embedding(10, 4)([3, 1, 3]).shape
    (3, 4)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int):
        _positive(self, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = init.normal_(Parameter(zeros(num_embeddings, embedding_dim)))

    def forward(self, indices: Any) -> Tensor:
        return F.embedding(indices, self.weight)

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}"


class BatchNorm1d(Module):
    """Batch normalisation (Ioffe & Szegedy 2015).  (N, C) -> (N, C) or (N, C, L) -> (N, C, L)

    In training each feature is normalised by the mean and variance of the batch, and
    ``running_mean`` and ``running_var`` move towards them (running = (1 - momentum) running +
    momentum batch, with the unbiased variance); in evaluation these are used instead.
    weight: (C,), first 1; bias: (C,), first 0.

    Args:
        num_features: C.
        eps: added to the variance.  By name only: in many copies of PyTorch-GAN
            ``BatchNorm1d(128, 0.8)`` sets eps = 0.8 where Keras' momentum was meant.
        momentum: share of the new batch in the running statistics, in [0, 1].

    >>> BatchNorm1d(3)(zeros(2, 3)).shape
    (2, 3)
    >>> BatchNorm1d(128, 0.8)
    Traceback (most recent call last):
    TypeError: BatchNorm1d(128, 0.8): eps must be named, eps=0.8 ... or was momentum=0.8 meant?
    """

    _dimensions: tuple[int, ...] = (2, 3)

    def __init__(
        self, num_features: int, *unnamed: float, eps: float = 1e-5, momentum: float = 0.1
    ):
        if unnamed:
            value = unnamed[0]
            raise TypeError(
                f"{type(self).__name__}({num_features}, {value}): eps must be named, "
                f"eps={value} ... or was momentum={value} meant?"
            )
        _positive(self, num_features=num_features)
        if not eps >= 0 or not 0 <= momentum <= 1:
            raise ValueError(
                f"{type(self).__name__} needs eps >= 0 and momentum in [0, 1], "
                f"got eps={eps}, momentum={momentum}"
            )
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = Parameter(ones(num_features))
        self.bias = Parameter(zeros(num_features))
        self.register_buffer("running_mean", zeros(num_features))
        self.register_buffer("running_var", ones(num_features))
        self.register_buffer("num_batches_tracked", Tensor(backends.xp().zeros((), np.int64)))

    def forward(self, x: Tensor, negative_slope: float = 1.0) -> Tensor:
        if x.ndim not in self._dimensions:
            expected = " or ".join(map(str, self._dimensions))
            raise ValueError(
                f"{type(self).__name__} takes {expected} dimensions, got x of shape {x.shape}"
            )
        y = F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training, self.momentum, self.eps, negative_slope=negative_slope,
        )  # fmt: skip
        if self.training:
            self.num_batches_tracked.changed_in_place().array += 1
        return y

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class BatchNorm2d(BatchNorm1d):
    """Batch normalisation of images: one mean and variance for each channel, over the batch and
    all pixels.  (N, C, H, W) -> (N, C, H, W); all else as in ``BatchNorm1d``.

    >>> BatchNorm2d(3)(zeros(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    _dimensions = (4,)


# Without weights ----------------------------------------------------------------------------


class Identity(Module):
    """y = x"""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Flatten(Module):
    """(N, C, H, W) -> (N, C H W): the dimensions ``start_dim`` to ``end_dim`` become one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        return F.flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One dimension becomes several: the opposite of ``Flatten``.

    >>> Unflatten(1, (1, 28, 28))(zeros(5, 784)).shape
    (5, 1, 28, 28)
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]):
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x: Tensor) -> Tensor:
        return F.unflatten(x, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class ReLU(Module):
    """max(x, 0).  ``inplace`` is accepted for PyTorch's scripts and has no effect: it would
    only save memory, at the price of a value that another function may still need."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)


class LeakyReLU(Module):
    """x where x > 0, ``negative_slope`` * x elsewhere.  ``inplace`` has no effect: see ReLU.

    >>> from minigan import tensor
    >>> LeakyReLU(0.2, inplace=True)(tensor([-1.0, 2.0]))
    tensor([-0.2,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Tanh(Module):
    """The hyperbolic tangent, in (-1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.tanh(x)


class Sigmoid(Module):
    """1 / (1 + e^-x), in (0, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.sigmoid(x)


class Softplus(Module):
    """log(1 + e^x), > 0."""

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(x)


class Dropout(Module):
    """In training each value is 0 with probability p, otherwise divided by 1 - p
    (Srivastava et al. 2014); in evaluation it is left alone.  ``inplace`` has no effect: see ReLU.

    >>> Dropout(0.5).eval()(ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False):
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: the probability p must be in [0, 1), got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
