"""Matrix products: matmul, the fully connected layer, embedding.

Notation: y = x W^T + b, gy = dL/dy, gx = dL/dx, gW = dL/dW, gb = dL/db.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.autograd import Function, Tensor
from minigan.functional.arithmetic import as_tensor, sum, sum_to
from minigan.functional.shaping import getitem, reshape, transpose, unsqueeze


class Matmul(Function):
    """y = x0 @ x1 for matrices and stacks of matrices; gx0 = gy @ x1^T, gx1 = x0^T @ gy."""

    def forward(self, x0, x1):
        self.save_inputs(0, 1)
        return x0 @ x1

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
    """y = x W^T + b.  x: (N, in), W: (out, in), b: (out,) -> y: (N, out)

    gx = gy W,  gW = gy^T x,  gb = sum of gy over the batch.
    """

    def forward(self, x, W, b=None):
        self.save_inputs(0, 1)
        y = x @ W.T
        if b is not None:
            y += b
        return y

    def backward(self, gy):
        x, W = self.saved_inputs()
        gx = Matmul()(gy, W) if self.needs[0] else None
        gW = LinearWeightGrad()(gy, x) if self.needs[1] else None
        gb = sum(gy, 0) if len(self.needs) == 3 and self.needs[2] else None
        return gx, gW, gb


class LinearWeightGrad(Function):
    """gW = gy^T x.  gy: (N, out), x: (N, in) -> (out, in);  ggy = x g^T,  gx = gy g."""

    def forward(self, gy, x):
        self.save_inputs(0, 1)
        return gy.T @ x

    def backward(self, g):
        gy, x = self.saved_inputs()
        ggy = matmul(x, g.T) if self.needs[0] else None
        gx = matmul(gy, g) if self.needs[1] else None
        return ggy, gx


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b.  x: (..., in), weight: (out, in), bias: (out,) -> (..., out).

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
        return reshape(linear(rows, weight, bias), (*x.shape[:-1], weight.shape[0]))
    return Linear()(x, weight) if bias is None else Linear()(x, weight, bias)


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
