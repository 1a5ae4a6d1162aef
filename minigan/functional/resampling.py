"""Images of another size: linear maps that treat rows and columns separately.

Upsampling, reflection padding and average pooling all give output pixel (p, q) a weighted sum of
input pixels (i, j), and the weight is a product of one for the rows and one for the columns:

    y_pq = sum over i, j of A_pi x_ij B_qj          y = A x B^T       for each channel of each image

The gradient gx = A^T gy B is the same function with both matrices transposed, so all that is
left to each of them is to say what A and B are.  For instance A for two rows of pixels:

    upsampling by 2,   [1 0]    upsampling by 2,   [1    0  ]    reflection padding   [0 1]
    nearest            [1 0]    bilinear           [0.75 .25]    by 1                 [1 0]
                       [0 1]                       [.25 0.75]                         [0 1]
                       [0 1]                       [0   1   ]                         [1 0]

Notation: x (N, C, H, W) is the input, y (N, C, P, Q) the output, gy = dL/dy, gx = dL/dx.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan import kernels
from minigan.autograd import Function, Tensor


class Resample(Function):
    """y = A x B^T, A (P, H) and B (Q, W); gx = A^T gy B."""

    def __init__(self, A: np.ndarray, B: np.ndarray):
        self.A, self.B = A, B

    def forward(self, x):
        return kernels.resample(x, self.A, self.B)

    def backward(self, gy):
        return Resample(self.A.T, self.B.T)(gy)


def check_images(function: str, x: Tensor) -> None:
    """ValueError unless x has the dimensions (N, C, H, W), of which N alone may be 0."""
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise ValueError(
            f"{function} takes images of shape (N, C, H, W) with C, H, W > 0, got {x.shape}"
        )


# Upsampling ---------------------------------------------------------------------------------


def interpolate(
    x: Tensor,
    size: int | tuple[int, int] | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: str = "nearest",
    align_corners: bool = False,
) -> Tensor:
    """The images in another size.  (N, C, H, W) -> (N, C, P, Q)

    Args:
        x: float images.
        size: (P, Q), or one number for both; or instead of it
        scale_factor: P/H and Q/W, or one number for both; P and Q are rounded down.
        mode: ``"nearest"`` copies pixel floor(p / scale_factor); ``"bilinear"`` weighs the two
            nearest in each direction: pixels are squares of area 1, the edge goes on outwards.
        align_corners: bilinear only: pixels are points, and the corners stay where they are.

    As in PyTorch, bilinear downsampling weighs the two nearest pixels too, and skips the others.
    Raises ValueError for other shapes, sizes and modes.

    >>> x = Tensor(np.array([[[[1.0, 2.0]]]], np.float32))
    >>> interpolate(x, scale_factor=2)
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    >>> interpolate(x, size=(1, 4), mode="bilinear")
    tensor([[[[1.  , 1.25, 1.75, 2.  ]]]])
    """
    check_images("interpolate", x)
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"interpolate: mode must be 'nearest' or 'bilinear', got {mode!r}")
    if align_corners and mode == "nearest":
        raise ValueError("interpolate: align_corners goes with mode='bilinear', not 'nearest'")
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "interpolate needs either size or scale_factor, "
            f"got size={size} and scale_factor={scale_factor}"
        )
    if size is None:
        scales = _two("scale_factor", scale_factor)
        size = tuple(math.floor(n * s) for n, s in zip(x.shape[2:], scales))
    else:
        size, scales = _two("size", size), (None, None)  # None: what the sizes say
    if not all(isinstance(p, (int, np.integer)) and p > 0 for p in size):
        raise ValueError(
            f"interpolate: images of shape {x.shape} cannot become (P, Q) = {size}: "
            "both must be integers > 0"
        )
    weights = _nearest if mode == "nearest" else functools.partial(_bilinear, align_corners)
    A, B = (weights(n, p, s) for n, p, s in zip(x.shape[2:], size, scales))
    return Resample(A, B)(x)


def _two(name: str, value: Any) -> tuple:
    pair = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2 or not all(v > 0 for v in pair):
        raise ValueError(f"interpolate: {name} must be one number > 0 or two, got {value}")
    return pair


def _nearest(n: int, p: int, scale: float | None) -> np.ndarray:
    """A (p, n): output pixel k is a copy of input pixel floor(k / scale)."""
    k = np.arange(p)
    if scale is None or p in (n, 2 * n):  # 2-fold is 2-fold, also by a scale of 2.1: as PyTorch
        source = k * n // p
    else:
        source = np.minimum((k / scale).astype(int), n - 1)
    return np.eye(n)[source]


def _bilinear(align_corners: bool, n: int, p: int, scale: float | None) -> np.ndarray:
    """A (p, n): output pixel k lies at a place between two input pixels, and each weighs the more
    the nearer it is."""
    k = np.arange(p)
    if scale is None or p == n:
        scale = p / n
    if align_corners:
        place = k * ((n - 1) / max(p - 1, 1))
    else:
        place = np.maximum((k + 0.5) / scale - 0.5, 0)  # centres are at 0.5, 1.5, ...
    left = np.minimum(place.astype(int), n - 1)
    right = np.minimum(left + 1, n - 1)
    share = np.minimum(place - left, 1)[:, None]
    return np.eye(n)[left] * (1 - share) + np.eye(n)[right] * share


# Padding ------------------------------------------------------------------------------------


def reflection_pad2d(x: Tensor, padding: int | tuple[int, int, int, int]) -> Tensor:
    """The images with a border in which they are mirrored at their outermost pixels.

    (N, C, H, W) -> (N, C, H + top + bottom, W + left + right), padding (left, right, top, bottom)
    or one width for all (``torch.nn.ReflectionPad2d``).  The widths must be >= 0 and smaller than
    the image, or there is nothing to mirror: ValueError.

    >>> reflection_pad2d(Tensor(np.array([[[[1.0, 2.0, 3.0]]]], np.float32)), (2, 1, 0, 0))
    tensor([[[[3., 2., 1., 2., 3., 2.]]]])
    """
    check_images("reflection_pad2d", x)
    widths = tuple(padding) if isinstance(padding, Sequence) else (padding,) * 4
    if len(widths) != 4 or not all(isinstance(w, (int, np.integer)) and w >= 0 for w in widths):
        raise ValueError(
            "reflection_pad2d: padding must be one integer >= 0 or four, "
            f"(left, right, top, bottom), got {padding}"
        )
    left, right, top, bottom = widths
    H, W = x.shape[2:]
    if max(left, right) >= W or max(top, bottom) >= H:
        raise ValueError(
            f"reflection_pad2d: the padding (left, right, top, bottom) = {widths} must be smaller "
            f"than the images, got images of shape {x.shape}"
        )
    return Resample(_reflection(H, top, bottom), _reflection(W, left, right))(x)


def _reflection(n: int, before: int, after: int) -> np.ndarray:
    """A (before + n + after, n): output pixel k is a copy of the pixel that the mirrors show."""
    i = np.abs(np.arange(-before, n + after))  # mirrored at 0
    return np.eye(n)[np.minimum(i, 2 * (n - 1) - i)]  # and at n - 1
