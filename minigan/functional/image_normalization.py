"""Normalisation of each image by itself: what comes out does not depend on the rest of the batch.

Instance normalisation works over the pixels of each channel (Ulyanov et al. 2016), pixel
normalisation over the channels of each pixel (Karras et al. 2018, section 4.2), layer normalisation
over all of a row or an image (Ba et al. 2016).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from minigan.autograd import Tensor
from minigan.functional.arithmetic import sqrt, sum_to
from minigan.functional.shaping import reshape


def instance_norm(
    x: Tensor, *, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Each channel of each image shifted and scaled to mean 0 and variance 1.

    x: (N, C, H, W); weight, bias: (C,), the new deviation and mean, 1 and 0 if not given.
    ``eps`` is added to the (biased) variance.  Raises ValueError for other shapes, and for images
    of one pixel, which have no variance.

    >>> from minigan import tensor
    >>> x = tensor([[[[1.0, 3.0]], [[10.0, 30.0]]]])
    >>> instance_norm(x, eps=0.0)
    tensor([[[[-1.,  1.]],
             [[-1.,  1.]]]])
    """
    if x.ndim != 4 or x.shape[2] * x.shape[3] < 2:
        raise ValueError(
            "instance_norm takes images of shape (N, C, H, W) with more than one pixel, "
            f"got {x.shape}"
        )
    C = x.shape[1]
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.shape != (C,):
            raise ValueError(
                f"instance_norm over images of shape {x.shape} takes a {name} of shape ({C},), "
                f"got {parameter.shape}"
            )
    per_channel = (x.shape[0], C, 1, 1)
    deviation = x - _mean_to(x, per_channel)
    var = _mean_to(deviation * deviation, per_channel)
    y = deviation / sqrt(var + eps)
    if weight is not None:
        y = y * reshape(weight, (C, 1, 1))
    return y if bias is None else y + reshape(bias, (C, 1, 1))


def layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """The last dimensions of x, all of them together, shifted and scaled to mean 0 and variance 1.

    x: (N, ..., *normalized_shape); weight, bias: of ``normalized_shape``, the new deviations and
    means, 1 and 0 if not given.  ``eps`` is added to the (biased) variance.  Raises ValueError for
    other shapes.

    >>> from minigan import tensor
    >>> layer_norm(tensor([[1.0, 3.0], [10.0, 30.0]]), (2,), eps=0.0)
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    normalized_shape = tuple(normalized_shape)
    lead = x.ndim - len(normalized_shape)
    if not normalized_shape or lead < 0 or x.shape[lead:] != normalized_shape:
        raise ValueError(
            f"layer_norm over {normalized_shape} takes x whose shape ends so, got {x.shape}"
        )
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.shape != normalized_shape:
            raise ValueError(
                f"layer_norm takes a {name} of shape {normalized_shape}, got {parameter.shape}"
            )
    per_row = (*x.shape[:lead], *[1] * len(normalized_shape))
    deviation = x - _mean_to(x, per_row)
    y = deviation / sqrt(_mean_to(deviation * deviation, per_row) + eps)
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


def pixel_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    """b = a / sqrt(mean over the channels of a^2 + eps): each pixel's features get length sqrt(C).

    (N, C, ...) -> (N, C, ...).  Karras et al. 2018, section 4.2.  Raises ValueError without
    channels.

    >>> from minigan import tensor
    >>> pixel_norm(tensor([[3.0, 4.0]]))
    tensor([[0.8485, 1.1314]])
    """
    if x.ndim < 2 or x.shape[1] == 0:
        raise ValueError(f"pixel_norm takes (N, C, ...) with C > 0, got {x.shape}")
    return x / sqrt(_mean_to(x * x, (x.shape[0], 1, *x.shape[2:])) + eps)


def _mean_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The means of x over the axes in which ``shape`` has the length 1.

    Unlike ``mean``, whose gradient is an array of its own, this one's is a broadcast view: it
    takes on the memory order of what it is added to, and channels-last stays channels-last.
    """
    return sum_to(x, shape) * (math.prod(shape) / x.numel() if x.numel() else 1.0)
