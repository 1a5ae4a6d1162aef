"""Which rows make up which batch, and how bytes become floats."""

import numpy as np

from minigan.errors import MiniganError


class Batches:
    """Batch number t as a function of (seed, t) alone, so resuming a run needs no saved state.

    Every epoch visits the rows in a fresh random order, keyed by (seed, epoch). The rows left over
    after the last full batch of an epoch are not used in it: every batch has ``batch_size`` rows.

    >>> batches = Batches(n=10, batch_size=4, seed=0)
    >>> batches.per_epoch
    2
    >>> first, second = batches.indices(0), batches.indices(1)
    >>> len(set(first) | set(second))
    8
    >>> bool((Batches(10, 4, seed=0).indices(1) == second).all())
    True

    Raises MiniganError if there are fewer than ``batch_size`` rows, ValueError if ``batch_size`` is
    below 1 or ``seed`` is negative.
    """

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        if batch_size < 1 or seed < 0:
            raise ValueError(f"expected batch_size >= 1 and seed >= 0, got {batch_size} and {seed}")
        if batch_size > n:
            raise MiniganError(
                f"batch size {batch_size} is larger than the data set of {n}: "
                f"choose at most {n} or more data"
            )
        self.n = n
        self.batch_size = batch_size
        self.seed = seed
        self.per_epoch = n // batch_size
        self._epoch = -1  # whose order is kept in _order
        self._order = np.empty(0, np.int64)

    def indices(self, step: int) -> np.ndarray:
        """Row numbers, int64 (batch_size,), of batch ``step`` >= 0; steps in any order."""
        if step < 0:
            raise ValueError(f"expected step >= 0, got {step}")
        epoch, position = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            # The last number keeps this stream apart from others keyed by (seed, something).
            random = np.random.default_rng([self.seed, epoch, STREAM])
            self._order = random.permutation(self.n)
            self._epoch = epoch
        start = position * self.batch_size
        return self._order[start : start + self.batch_size].copy()


STREAM = 0xBA7C4


def to_float(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """Scale uint8 values 0..255 to float32 in [low, high]; 0 and 255 meet the ends exactly.

    The paper's sigmoid generator wants [0, 1], a tanh generator [-1, 1]. Any shape.

    >>> to_float(np.array([0, 51, 255], np.uint8), -1, 1)
    array([-1. , -0.6,  1. ], dtype=float32)

    Raises TypeError if ``images`` is not uint8.
    """
    if images.dtype != np.uint8:
        raise TypeError(f"expected uint8 images, got {images.dtype}")
    x = images.astype(np.float32)
    x *= np.float32(high - low)
    x /= np.float32(255)  # last, so that 255 gives exactly high - low
    x += np.float32(low)
    return x
