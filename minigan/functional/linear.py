"""Matrix products: matmul, the fully connected layer, embedding.

Notation: y = x W^T + b, gy = dL/dy, gx = dL/dx, gW = dL/dW, gb = dL/db.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan import kernels
from minigan.autograd import Function, Tensor
from minigan.backends import array_module
from minigan.functional.activations import LeakyReLUGrad, leaky_relu
from minigan.functional.arithmetic import Sum, as_tensor, sum_to
from minigan.functional.shaping import getitem, reshape, transpose, unsqueeze
from minigan.kernels import cublas
from minigan.kernels.clock import timed


@timed("GEMM")
def product(a: Any, b: Any, out: Any = None) -> Any:
    """a @ b, into ``out`` if given."""
    xp = array_module(a)
    if a.shape[-1] == 1:  # each element is one product: BLAS would fill up its blocks with zeros
        return xp.multiply(a, b, out=out)
    # CuPy's own product cannot be captured, see train/capture.py.
    if type(a) is not np.ndarray and cublas.takes(a, b):
        return cublas.gemm(a, b, out)
    return xp.matmul(a, b, out=out)


class Matmul(Function):
    """y = x0 @ x1 for matrices and stacks of matrices; gx0 = gy @ x1^T, gx1 = x0^T @ gy."""

    def forward(self, x0, x1):
        self.save_inputs(0, 1)
        return product(x0, x1)

    def backward(self, gy):
        x0, x1 = self.saved_inputs()
        gx0 = sum_to(matmul(gy, transpose(x1, -1, -2)), x0.shape) if self.needs[0] else None
        gx1 = sum_to(matmul(transpose(x0, -1, -2), gy), x1.shape) if self.needs[1] else None
        return gx0, gx1


def matmul(x0: Tensor, x1: Tensor) -> Tensor:
    """The matrix product: (..., n, k) @ (..., k, m) -> (..., n, m), stacks broadcast.

    A vector (k,) stands for a row on the left and a column on the right, as in NumPy.

    >>> a = Tensor(np.array([[1.0, 2.0]], np.float32))
    >>> matmul(a, a.T)
    tensor([[5.]])
    """
    x1 = as_tensor(x1, like=x0)
    if x0.ndim == 0 or x1.ndim == 0:
        raise ValueError(f"matmul needs vectors or matrices, got shapes {x0.shape} and {x1.shape}")
    if x1.ndim == 1:
        return reshape(y := matmul(x0, unsqueeze(x1, 1)), y.shape[:-1])
    if x0.ndim == 1:
        return reshape(y := matmul(unsqueeze(x0, 0), x1), y.shape[:-2] + y.shape[-1:])
    if x0.shape[-1] != x1.shape[-2]:
        raise ValueError(
            f"matmul: the inner lengths of {x0.shape} and {x1.shape} differ: "
            f"{x0.shape[-1]} and {x1.shape[-2]}"
        )
    return Matmul()(x0, x1)


class Linear(Function):
    """y = leaky_relu(x W^T + b, slope).  x: (N, in), W: (out, in), b: (out,) -> y: (N, out)

    gx = gz W,  gW = gz^T x,  gb = sum of gz over the batch;  gz = gy where y > 0, else slope gy.

    The activation that mostly follows is computed in one pass with the bias; slope 1 is none.
    """

    def __init__(self, slope: float = 1.0):
        self.slope = slope

    def forward(self, x, W, b=None):
        self.save_inputs(0, 1)
        y = product(x, W.T)
        if b is not None:
            kernels.add_bias_leaky_relu(y, b, self.slope)
        if self.slope != 1:
            self.save_output()
        return y

    def backward(self, gy):
        x, W = self.saved_inputs()
        gz = gy if self.slope == 1 else LeakyReLUGrad(self.slope)(gy, self.saved_output())
        gx = LinearInputGrad()(gz, W) if self.needs[0] else None
        gW = LinearWeightGrad()(gz, x) if self.needs[1] else None
        gb = Sum((0,), keepdim=False)(gz) if len(self.needs) == 3 and self.needs[2] else None
        return gx, gW, gb


# As with convolutions, the gradients are differentiated by one another: to any order it is one of
# the three, Linear without a bias, LinearInputGrad and LinearWeightGrad.


class LinearInputGrad(Function):
    """gx = gy W.  gy: (N, out), W: (out, in) -> (N, in);  ggy = g W^T,  gW = gy^T g."""

    def forward(self, gy, W):
        self.save_inputs(0, 1)
        return product(gy, W)

    def backward(self, g):
        gy, W = self.saved_inputs()
        ggy = Linear()(g, W) if self.needs[0] else None
        gW = LinearWeightGrad()(gy, g) if self.needs[1] else None
        return ggy, gW


class LinearWeightGrad(Function):
    """gW = gy^T x.  gy: (N, out), x: (N, in) -> (out, in);  ggy = x g^T,  gx = gy g."""

    def forward(self, gy, x):
        self.save_inputs(0, 1)
        if gy.shape[1] >= x.shape[1]:
            return product(gy.T, x)
        # The longer side comes first in memory, as in nn.Linear's weight: OpenBLAS gives each
        # thread rows of its own if there are more rows than columns, otherwise its threads share
        # blocks and wait for each other.
        gW = array_module(x).empty((gy.shape[1], x.shape[1]), x.dtype, order="F")
        product(x.T, gy, out=gW.T)
        return gW

    def backward(self, g):
        gy, x = self.saved_inputs()
        ggy = Linear()(x, g) if self.needs[0] else None
        gx = LinearInputGrad()(gy, g) if self.needs[1] else None
        return ggy, gx


def linear(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, negative_slope: float = 1.0
) -> Tensor:
    """x W^T + b.  x: (..., in), weight: (out, in), bias: (out,) -> (..., out).

    With a ``negative_slope`` other than 1, leaky_relu follows in the same pass (0: relu).

    >>> x = Tensor(np.array([[1.0, 2.0]], np.float32))
    >>> linear(x, Tensor(np.array([[3.0, 4.0]], np.float32)))
    tensor([[11.]])
    """
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: a weight (out, in) takes x of shape (..., in), got weight {weight.shape} "
            f"and x {x.shape}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: weight {weight.shape} does not go with bias {bias.shape}")
    if x.ndim != 2:
        rows = reshape(x, (-1, x.shape[-1]))
        y = linear(rows, weight, bias, negative_slope=negative_slope)
        return reshape(y, (*x.shape[:-1], weight.shape[0]))
    if bias is not None and negative_slope >= 0:  # then y > 0 exactly where leaky_relu's input is
        return Linear(negative_slope)(x, weight, bias)
    y = Linear()(x, weight) if bias is None else Linear()(x, weight, bias)
    return y if negative_slope == 1 else leaky_relu(y, negative_slope)


def embedding(indices: Any, weight: Tensor) -> Tensor:
    """Rows of a table.  indices: integers of any shape, weight: (num, dim) -> (..., dim).

    Raises IndexError for an index outside 0 .. num-1.
    """
    array = indices.array if isinstance(indices, Tensor) else np.asarray(indices)
    if array.dtype.kind not in "iu":
        raise TypeError(f"embedding needs integer indices, got {array.dtype}")
    if array.size and not (array.min() >= 0 and array.max() < weight.shape[0]):
        raise IndexError(
            f"embedding has rows 0 to {weight.shape[0] - 1}, "
            f"got indices from {array.min()} to {array.max()}"
        )
    return getitem(weight, array)
