"""Dropout (Srivastava et al. 2014), in the inverted form: kept values are scaled up."""

from __future__ import annotations

from minigan import draws
from minigan.autograd import Tensor


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Each value 0 with probability p, otherwise divided by 1 - p; in evaluation x itself.

    The mask is drawn by ``minigan.draws``: uniform float32 numbers below 1 - p keep a value.

    >>> import numpy as np
    >>> from minigan.backends import manual_seed
    >>> manual_seed(0)
    >>> dropout(Tensor(np.ones(4, np.float32)), 0.5).numpy().tolist()
    [0.0, 0.0, 0.0, 2.0]
    """
    if not 0 <= p < 1:
        raise ValueError(f"dropout probability must be in [0, 1), got {p}")
    if not training or p == 0:
        return x
    kept = draws.uniform(x.shape) < 1 - p
    return x * Tensor(kept.astype(x.dtype) * (1 / (1 - p)))
