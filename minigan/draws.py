"""Random numbers as arrays on the current backend: z, initial weights, dropout masks.

    backend    drawn by                                             where
    numpy      numpy.random.default_rng(seed)                       host
    numpy      Philox, after backends.use_random("philox")          host
    cupy       Philox                                               device, no copy

Philox makes number i of draw n in step t of seed s from (s, t, n, i) alone (kernels/philox.py), so
the last two rows draw the same: uniform numbers bit for bit, normal ones but for their last bits.
A run on the CPU with Philox starts as the one on the GPU does and sees the same z and masks, and
their losses can be laid side by side.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigan import backends, kernels


def uniform(shape: tuple[int, ...], low: float = 0.0, high: float = 1.0,
            dtype: Any = np.float32) -> Any:  # fmt: skip
    """Numbers in [low, high).

    >>> backends.manual_seed(0)
    >>> a = uniform((2, 3), -1, 1)
    >>> a.shape, a.dtype, bool((a >= -1).all() and (a < 1).all())
    ((2, 3), dtype('float32'), True)
    """
    if backends.current_random() == "numpy":
        if dtype == np.float64:
            return backends.rng().uniform(low, high, shape)
        x = backends.rng().random(shape, dtype=np.dtype(dtype))
    else:
        x = _philox(kernels.fill_uniform, shape).astype(dtype, copy=False)
    return x if (low, high) == (0, 1) else x * (high - low) + low


def normal(shape: tuple[int, ...], mean: float = 0.0, std: float = 1.0,
           dtype: Any = np.float32) -> Any:  # fmt: skip
    """Normal numbers.

    >>> backends.manual_seed(0)
    >>> normal((2, 3)).shape
    (2, 3)
    """
    if backends.current_random() == "numpy":
        if dtype == np.float64:
            return backends.rng().normal(mean, std, shape)
        x = backends.rng().standard_normal(shape, dtype=np.dtype(dtype))
    else:
        x = _philox(kernels.fill_normal, shape).astype(dtype, copy=False)
    return x if (mean, std) == (0, 1) else x * std + mean


def _philox(fill: Any, shape: tuple[int, ...]) -> Any:
    if _source is not None:
        return _source(fill, shape)
    out = backends.xp().empty(shape, np.float32)
    fill(out, *backends.next_draw())
    return out


Source = Callable[[Callable[..., None], tuple[int, ...]], Any]
_source: Source | None = None


@contextlib.contextmanager
def taken_from(source: Source) -> Iterator[None]:
    """Inside the block Philox's numbers come from ``source(fill, shape)``: an array that
    ``fill(array, *backends.next_draw())`` has filled.  A captured step keeps its arrays so."""
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
