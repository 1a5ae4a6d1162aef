"""Features of a batch as a whole: by them D sees whether images agree more than real ones do.

Both are appended to what D knows of each image, and both are sums and means over *other* images:
the output for one image depends on the batch that it is in.
"""

from __future__ import annotations

import functools
import operator

from minigan.autograd import Tensor
from minigan.functional.arithmetic import abs, broadcast_to, exp, mean, sqrt, sum
from minigan.functional.linear import matmul
from minigan.functional.shaping import cat, permute, reshape, unsqueeze

TINY = 1e-8  # under the root, whose derivative at 0 is infinite; that of the released code


def minibatch_discrimination(x: Tensor, T: Tensor) -> Tensor:
    """How near each image lies to all others, appended to its features.

    Salimans et al. 2016, section 3.2, with x_i the features f(x_i) of image i:

        M_i = x_i T                               (A,) (A, B, C) -> (B, C)
        c_b(x_i, x_j) = exp(-|| M_ib - M_jb ||_1)
        o(x_i)_b = sum over j of c_b(x_i, x_j)    (B,)

    j = i is one of the sum, a constant 1.

    Args:
        x: features (N, A).
        T: (A, B, C).

    Returns (N, A + B).  Memory and time grow with N^2 B C.  Raises ValueError if x and T do not
    fit.

    >>> from minigan import ones, tensor
    >>> x = tensor([[0.0], [0.0], [9.0]])       # two that agree, and one far away
    >>> minibatch_discrimination(x, ones(1, 1, 1))[:, 1]
    tensor([2.0001, 2.0001, 1.0002])
    """
    if x.ndim != 2 or T.ndim != 3 or x.shape[1] != T.shape[0]:
        raise ValueError(
            f"minibatch_discrimination takes features (N, A) and T (A, B, C), got {x.shape} and "
            f"{T.shape}"
        )
    A, B, C = T.shape
    M = reshape(matmul(x, reshape(permute(T, 0, 2, 1), (A, C * B))), (len(x), C, B))
    # The 1-norm's terms one by one: (N, N, B) at a time is three times as fast as (N, N, B, C).
    terms = [abs(unsqueeze(M[:, c], 1) - unsqueeze(M[:, c], 0)) for c in range(C)]
    distances = functools.reduce(operator.add, terms)
    return cat([x, sum(exp(-distances), 1)], 1)


def minibatch_stddev(x: Tensor, group_size: int = 4) -> Tensor:
    """How far the images of a group differ, as one more feature of each.

    Karras et al. 2018, section 3: over a group of images the standard deviation of each feature at
    each pixel, and the mean of all these: one number, the same for every image and pixel of the
    group.  Images i, i + N/G, i + 2N/G, ... make a group of G, as in the released code.

    Args:
        x: features (N, A) or (N, channels, H, W).
        group_size: G, which divides N; a smaller batch is one group.

    Returns x with one more feature or channel.  Raises ValueError if G does not divide N.

    >>> from minigan import tensor
    >>> minibatch_stddev(tensor([[1.0], [2.0], [3.0], [6.0]]), 2)[:, 1]     # of 1, 3 and of 2, 6
    tensor([1., 2., 1., 2.])
    """
    N, G = len(x), min(group_size, len(x))
    if G < 1 or N % G:
        raise ValueError(f"{N} images do not make groups of {group_size}: expected a multiple")
    groups = reshape(x, (G, N // G, *x.shape[1:]))
    deviation = groups - mean(groups, 0, keepdim=True)
    std = sqrt(mean(deviation * deviation, 0) + TINY)  # (N/G, *features)
    of_group = mean(std, tuple(range(1, x.ndim)))  # (N/G,)
    of_each = reshape(broadcast_to(of_group, (G, N // G)), (N, *(1 for _ in x.shape[1:])))
    return cat([x, broadcast_to(of_each, (N, 1, *x.shape[2:]))], 1)
