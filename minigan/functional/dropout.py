"""Dropout (Srivastava et al. 2014), in the inverted form: kept values are scaled up."""

from __future__ import annotations

from minigan import backends
from minigan.autograd import Tensor
from minigan.backends import array_module


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Each value 0 with probability p, otherwise divided by 1 - p; in evaluation x itself.

    The mask is drawn from ``backends.rng()``: uniform float32 numbers below 1 - p keep a value.

    >>> backends.manual_seed(0)
    >>> import numpy as np
    >>> dropout(Tensor(np.ones(4, np.float32)), 0.5).numpy().tolist()
    [0.0, 0.0, 0.0, 2.0]
    """
    if not 0 <= p < 1:
        raise ValueError(f"dropout probability must be in [0, 1), got {p}")
    if not training or p == 0:
        return x
    kept = backends.rng().random(x.shape, dtype="float32") < 1 - p
    mask = (kept / (1 - p)).astype(x.dtype)
    return x * Tensor(array_module(x.array).asarray(mask))
