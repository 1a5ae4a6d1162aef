"""Images in either memory order as one kind of array for the loops: (M, H, W, K), compact.

    channels-last    M = N,    K = C    the channels of a pixel are neighbours
    any other        M = N C,  K = 1    each channel is an image of its own

So a loop over K runs over neighbours in memory, and a result comes back in its input's order.
"""

from __future__ import annotations

import numpy as np

from minigan.kernels import parallel

SMALL = 200_000  # so few steps of a loop take less time than handing them to another thread


def is_channels_last(x):
    """x (N, C, H, W): whether the channels of a pixel are neighbours in memory."""
    return x.shape[1] > 1 and x.strides[1] == x.itemsize


def compact(x, channels_last):
    """x (N, C, H, W) -> (M, H, W, K): a view where the memory is so already, otherwise a copy."""
    if channels_last:
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    N, C, H, W = x.shape
    return np.ascontiguousarray(x).reshape(N * C, H, W, 1)


def restored(y, N, C, channels_last):
    """(M, H, W, K) -> (N, C, H, W), a view: the way back from ``compact``."""
    return y.transpose(0, 3, 1, 2) if channels_last else y.reshape(N, C, *y.shape[1:3])


def slices(M, steps):
    """The slices of M images that the threads share; one slice if all takes few ``steps``."""
    return parallel.parts(M, 1 if steps <= SMALL else parallel.get_num_threads())
