"""Toy distributions whose every mode is known: a ring, a grid, and a Gaussian on a line.

The ring of 8 and the grid of 25 are those of VEEGAN (Srivastava et al. 2017) with the sizes and
noise used by PacGAN (Lin et al. 2018); the line is the usual stand-in for Figure 1 of Goodfellow et
al. 2014, data N(4, 0.5).
"""

from dataclasses import dataclass

import numpy as np

from minigan.data.dataset import Dataset

DEFAULT_COUNT = 100_000
SPLITS = ("train", "test")


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of equally likely round Gaussians: centres float64 (K, D), one ``sigma``."""

    modes: np.ndarray
    sigma: float


def _ring(k: int) -> np.ndarray:
    # k distinct angles: a linspace to 2 pi would name the first point twice and leave k - 1 modes.
    angle = 2 * np.pi * np.arange(k) / k
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _grid(ticks: np.ndarray) -> np.ndarray:
    x, y = np.meshgrid(ticks, ticks, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


MIXTURES = {
    "ring8": Mixture(modes=_ring(8), sigma=0.01),
    "grid25": Mixture(modes=_grid(np.arange(-4.0, 5.0, 2.0)), sigma=0.05),
    "gaussian1d": Mixture(modes=np.array([[4.0]]), sigma=0.5),
}


def make_toy(
    name: str, *, count: int = DEFAULT_COUNT, split: str = "train", seed: int = 0
) -> Dataset:
    """Sample ``count`` points of ``ring8``, ``grid25`` (D = 2) or ``gaussian1d`` (D = 1).

    ``x`` is float32 (count, D), ``labels`` the mode each point was drawn around. The centres and
    the noise are in ``MIXTURES[name]``. The two splits are independent draws.

    >>> data = make_toy("ring8", count=1000)
    >>> data.x.shape, data.x.dtype, len(data.classes)
    ((1000, 2), dtype('float32'), 8)
    >>> distance = np.linalg.norm(data.x - MIXTURES["ring8"].modes[data.labels], axis=1)
    >>> bool(distance.max() < 6 * MIXTURES["ring8"].sigma)
    True

    Raises KeyError for an unknown name, ValueError for an unknown split.
    """
    mixture = MIXTURES[name]
    random = np.random.default_rng([seed, SPLITS.index(split), STREAM])
    k, dimension = mixture.modes.shape
    labels = random.integers(k, size=count)
    noise = random.standard_normal((count, dimension))
    x = (mixture.modes[labels] + mixture.sigma * noise).astype(np.float32)
    return Dataset(name, split, x, labels, tuple(str(mode) for mode in range(k)))


STREAM = 0x70F
