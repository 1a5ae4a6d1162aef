"""Convolution: three functions, each of which is differentiated by the other two.

    Conv2d              y[n, o, p, q]  = sum over c, k, l of  x[n, c, i, j] w[o, c, k, l]
    ConvTranspose2d     gx[n, c, i, j] = sum over o and all p, q, k, l that lead to i, j
                                         of  gy[n, o, p, q] w[o, c, k, l]
    Conv2dWeightGrad    gw[o, c, k, l] = sum over n, p, q of  x[n, c, i, j] gy[n, o, p, q]

with i = stride p + dilation k - padding and j alike (kernels/geometry.py).  All three are linear in
each argument: they are the derivatives of the one number  s = sum of gy y  with respect to
gy, x and w.  So whatever is differentiated, and however often, what comes out is one of the three:

    function            of        d/d first                 d/d second
    Conv2d              x, w      ConvTranspose2d(g, w)     Conv2dWeightGrad(x, g)
    ConvTranspose2d     gy, w     Conv2d(g, w)              Conv2dWeightGrad(g, gy)
    Conv2dWeightGrad    x, gy     ConvTranspose2d(gy, g)    Conv2d(x, g)

where g is the gradient of the function's output.

Notation: N images, C channels of H x W in x, O channels of P x Q in y; with groups, output channels
o of one group see only the C/groups input channels of the same group.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.autograd import Function, Tensor
from minigan.functional.arithmetic import sum
from minigan.functional.shaping import pad
from minigan.kernels.convolution import (
    convolve,
    convolve_input_gradient,
    convolve_weight_gradient,
)
from minigan.kernels.geometry import Geometry, Pair

Size = int | tuple[int, int]


class Conv2d(Function):
    """y = x convolved with w, + b.  x: (N, C, H, W), w: (O, C/groups, kh, kw), b: (O,)"""

    def __init__(self, geometry: Geometry, algorithm: str):
        self.geometry, self.algorithm = geometry, algorithm

    def forward(self, x, w, b=None):
        self.save_inputs(0, 1)
        y = convolve(x, w, self.geometry, self.algorithm)
        return _add_bias(y, b)

    def backward(self, gy):
        x, w = self.saved_inputs()
        how = self.geometry, self.algorithm
        gx = ConvTranspose2d(x.shape[2:], *how)(gy, w) if self.needs[0] else None
        gw = Conv2dWeightGrad(w.shape[2:], *how)(x, gy) if self.needs[1] else None
        return gx, gw, _bias_gradient(self, gy)


class ConvTranspose2d(Function):
    """gx from gy and w, + b.  gy: (N, O, P, Q), w: (O, C/groups, kh, kw), b: (C,), size: (H, W)"""

    def __init__(self, size: Pair, geometry: Geometry, algorithm: str):
        self.size, self.geometry, self.algorithm = size, geometry, algorithm

    def forward(self, gy, w, b=None):
        self.save_inputs(0, 1)
        gx = convolve_input_gradient(gy, w, self.size, self.geometry, self.algorithm)
        return _add_bias(gx, b)

    def backward(self, g):
        gy, w = self.saved_inputs()
        how = self.geometry, self.algorithm
        ggy = Conv2d(*how)(g, w) if self.needs[0] else None
        gw = Conv2dWeightGrad(w.shape[2:], *how)(g, gy) if self.needs[1] else None
        return ggy, gw, _bias_gradient(self, g)


class Conv2dWeightGrad(Function):
    """gw from x and gy.  x: (N, C, H, W), gy: (N, O, P, Q), kernel: (kh, kw)"""

    def __init__(self, kernel: Pair, geometry: Geometry, algorithm: str):
        self.kernel, self.geometry, self.algorithm = kernel, geometry, algorithm

    def forward(self, x, gy):
        self.save_inputs(0, 1)
        return convolve_weight_gradient(x, gy, self.kernel, self.geometry, self.algorithm)

    def backward(self, g):
        x, gy = self.saved_inputs()
        how = self.geometry, self.algorithm
        gx = ConvTranspose2d(x.shape[2:], *how)(gy, g) if self.needs[0] else None
        ggy = Conv2d(*how)(x, g) if self.needs[1] else None
        return gx, ggy


def _add_bias(y, b):
    if b is not None:
        y += b[:, None, None]
    return y


def _bias_gradient(function: Function, gy: Tensor) -> Tensor | None:
    return sum(gy, (0, 2, 3)) if len(function.needs) == 3 and function.needs[2] else None


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    algorithm: str = "auto",
) -> Tensor:
    """Each output position: the sum of the input under the kernel, weighted.

    Args:
        x: (N, C, H, W), float32 or float64.
        weight: (O, C/groups, kh, kw).
        bias: (O,), added to each output channel.
        stride, padding, dilation: a number, or a pair (vertical, horizontal).  The padding is
            zeros on both sides.
        groups: channels are cut into so many groups that do not see each other.
        algorithm: "im2col", "winograd" (4x4 kernels with stride 2), "direct", or "auto": the one
            that is expected to be the fastest (kernels/convolution.py).

    Returns (N, O, P, Q) with P = (H + 2 padding - dilation (kh - 1) - 1) // stride + 1, Q alike.
    Raises ValueError for shapes and numbers that do not go together, TypeError for other dtypes.

    >>> x = Tensor(np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3))
    >>> conv2d(x, Tensor(np.ones((1, 1, 2, 2), np.float32)))
    tensor([[[[ 8., 12.],
              [20., 24.]]]])
    >>> conv2d(x, Tensor(np.ones((4, 1, 3, 3), np.float32)), stride=2, padding=1).shape
    (1, 4, 2, 2)
    """
    geometry = geometry_of("conv2d", stride, padding, dilation, groups)
    _check_shapes("conv2d", "weight (O, C/groups, kh, kw)", x, weight, groups)
    if x.shape[1] != weight.shape[1] * groups:
        raise ValueError(
            f"conv2d: weight {weight.shape} with groups={groups} takes {weight.shape[1] * groups} "
            f"channels, got {x.shape[1]} in x {x.shape}"
        )
    _check_bias("conv2d", bias, weight, weight.shape[0])
    _output_size("conv2d", x, weight.shape[2:], geometry)
    function = Conv2d(geometry, algorithm)
    return function(x, weight) if bias is None else function(x, weight, bias)


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    *,
    algorithm: str = "auto",
) -> Tensor:
    """The gradient of ``conv2d`` with respect to its input, used forward to enlarge images.

    Each input value adds the kernel, weighted, to the output at ``stride`` times its position.

    Args:
        x: (N, C, H, W), float32 or float64.
        weight: (C, O/groups, kh, kw): that of the conv2d from O to C channels.
        bias: (O,), added to each output channel.
        padding: so many rows and columns are cut off the output on each side.
        output_padding: so many are added at the bottom and the right: conv2d with a stride makes
            the same size of several, and this says which.  Smaller than stride or dilation.
        stride, dilation, groups, algorithm: as for ``conv2d``.

    Returns (N, O, P, Q) with P = (H - 1) stride - 2 padding + dilation (kh - 1) + 1 +
    output_padding, Q alike.
    Raises ValueError for shapes and numbers that do not go together, TypeError for other dtypes.

    >>> x = Tensor(np.array([[[[1.0, 2.0]]]], np.float32))
    >>> conv_transpose2d(x, Tensor(np.ones((1, 1, 1, 3), np.float32)), stride=2)
    tensor([[[[1., 1., 3., 2., 2.]]]])
    """
    geometry = geometry_of("conv_transpose2d", stride, padding, dilation, groups)
    extra = pair_of("conv_transpose2d", "output_padding", output_padding, 0)
    _check_shapes("conv_transpose2d", "weight (C, O/groups, kh, kw)", x, weight, groups)
    if x.shape[1] != weight.shape[0]:
        raise ValueError(
            f"conv_transpose2d: weight {weight.shape} takes {weight.shape[0]} channels, "
            f"got {x.shape[1]} in x {x.shape}"
        )
    _check_bias("conv_transpose2d", bias, weight, weight.shape[1] * groups)
    if any(o >= max(s, d) for o, s, d in zip(extra, geometry.stride, geometry.dilation)):
        raise ValueError(
            f"conv_transpose2d: output_padding {extra} must be smaller than the stride "
            f"{geometry.stride} or the dilation {geometry.dilation}"
        )
    size = geometry.input_size(x.shape[2:], weight.shape[2:], extra)
    if min(size) < 1:
        raise ValueError(
            f"conv_transpose2d: nothing is left of x {x.shape} with weight {weight.shape} after "
            f"padding {geometry.padding} is cut off: the output would be {size[0]} x {size[1]}"
        )
    # With output_padding >= stride (allowed if dilation is larger) a convolution of that size
    # would have a row or column more than x: there x is 0.
    P, Q = geometry.output_size(size, weight.shape[2:])
    if x.shape[2:] != (P, Q):
        x = pad(x, (0, Q - x.shape[3], 0, P - x.shape[2]))
    function = ConvTranspose2d(size, geometry, algorithm)
    return function(x, weight) if bias is None else function(x, weight, bias)


def conv2d_weight_grad(
    x: Tensor,
    gy: Tensor,
    kernel_size: Size,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    algorithm: str = "auto",
) -> Tensor:
    """The gradient of ``conv2d`` with respect to its weight: how x and gy go together.

    x: (N, C, H, W), gy: (N, O, P, Q), the size that ``conv2d`` makes of x -> (O, C/groups, kh, kw).
    The other arguments and the errors are those of ``conv2d``.

    >>> x = Tensor(np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3))
    >>> conv2d_weight_grad(x, Tensor(np.ones((1, 1, 2, 2), np.float32)), 2)
    tensor([[[[ 8., 12.],
              [20., 24.]]]])
    """
    name = "conv2d_weight_grad"
    geometry = geometry_of(name, stride, padding, dilation, groups)
    kernel = pair_of(name, "kernel_size", kernel_size, 1)
    _check_shapes(name, "gy (N, O, P, Q)", x, gy, groups)
    if x.shape[1] % groups or gy.shape[1] % groups:
        raise ValueError(
            f"{name}: groups={groups} must divide the channels of x {x.shape} and gy {gy.shape}"
        )
    size = _output_size(name, x, kernel, geometry)
    if gy.shape != (x.shape[0], gy.shape[1], *size):
        raise ValueError(
            f"{name}: of x {x.shape} a kernel of {kernel} makes ({x.shape[0]}, O, {size[0]}, "
            f"{size[1]}), got gy {gy.shape}"
        )
    return Conv2dWeightGrad(kernel, geometry, algorithm)(x, gy)


# Checks: one line each that names the shapes ---------------------------------------------------


def pair_of(name: str, what: str, value: Any, smallest: int) -> Pair:
    """A number as a pair of it, a pair as it is; ValueError unless integers >= smallest."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(isinstance(v, (int, np.integer)) and v >= smallest for v in pair):
        raise ValueError(
            f"{name}: {what} must be an integer >= {smallest} or a pair of them, got {value!r}"
        )
    return int(pair[0]), int(pair[1])


def geometry_of(name: str, stride: Size, padding: Size, dilation: Size, groups: int) -> Geometry:
    if not isinstance(groups, (int, np.integer)) or groups < 1:
        raise ValueError(f"{name}: groups must be an integer >= 1, got {groups!r}")
    return Geometry(
        pair_of(name, "stride", stride, 1),
        pair_of(name, "padding", padding, 0),
        pair_of(name, "dilation", dilation, 1),
        int(groups),
    )


def _check_shapes(name: str, second: str, x: Tensor, other: Tensor, groups: int) -> None:
    """Both have 4 dimensions, no length but N is 0, and they are float32 or float64."""
    what, form = second.split(" ", 1)
    got = f"got x {x.shape} and {what} {other.shape}"
    if x.ndim != 4 or other.ndim != 4:
        raise ValueError(f"{name} takes x (N, C, H, W) and {second}, {got}")
    if 0 in x.shape[1:] or 0 in other.shape[1:] or (what == "weight" and not other.shape[0]):
        raise ValueError(f"{name}: no length but the batch's may be 0, {got}")
    if what == "weight" and other.shape[0] % groups:
        raise ValueError(f"{name}: groups={groups} must divide the first length of {form}, {got}")
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"{name} computes in float32 or float64, got x of {x.dtype}")


def _check_bias(name: str, bias: Tensor | None, weight: Tensor, channels: int) -> None:
    if bias is not None and bias.shape != (channels,):
        raise ValueError(
            f"{name}: weight {weight.shape} makes {channels} channels and takes a bias "
            f"({channels},), got {bias.shape}"
        )


def _output_size(name: str, x: Tensor, kernel: Pair, geometry: Geometry) -> Pair:
    size = geometry.output_size(x.shape[2:], kernel)
    if min(size) < 1:
        (H, W), (ph, pw), (eh, ew) = x.shape[2:], geometry.padding, geometry.extent(kernel)
        raise ValueError(
            f"{name}: a kernel that spans {eh} x {ew} is larger than the padded image of "
            f"{H + 2 * ph} x {W + 2 * pw}, x being {x.shape}"
        )
    return size
