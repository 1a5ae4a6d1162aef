"""Stacked MNIST: three digits as the channels of one image, and so a thousand modes.

A generator of single digits that leaves one out is soon noticed; of three digits it may leave out
hundreds of combinations, which can be counted (see :mod:`minigan.evaluate.modes`).  The data are
those of Unrolled GANs (Metz et al. 2017), VEEGAN and PacGAN: digits drawn independently.
"""

import os

import numpy as np

from minigan.data import mnist
from minigan.data.dataset import Dataset

NAME = "stacked-mnist"
CLASSES = tuple(f"{mode:03d}" for mode in range(1000))


def make_stacked(
    *,
    size: int | None = None,
    split: str = "train",
    data_dir: str | os.PathLike | None = None,
    count: int | None = None,
    seed: int = 0,
) -> Dataset:
    """``count`` images of three digits each, drawn at random from a split of MNIST.

    ``x`` is uint8 (count, 3, 28, 28), or of another ``size``; ``labels`` are 100 a + 10 b + c for
    the digits a, b, c of the three channels, which ``classes`` spells out.  By default there are
    as many as the split has digits: 60,000 of ``train`` take 141 MB.

    Raises MiniganError for what is wrong with MNIST's files, KeyError for an unknown split.
    """
    digits = mnist.load_mnist("mnist", size=size, split=split, data_dir=data_dir)
    random = np.random.default_rng([seed, list(mnist.SPLITS).index(split), STREAM])
    n = len(digits) if count is None else count
    rows = random.integers(len(digits), size=(n, 3))
    labels = digits.labels[rows] @ np.array([100, 10, 1])
    return Dataset(NAME, split, digits.x[rows, 0], labels, CLASSES)


STREAM = 0x57AC
