"""The toy distributions are the ones of the papers."""

import numpy as np
import pytest

from minigan.data import load
from minigan.data.toy import MIXTURES


def test_the_ring_has_eight_distinct_modes_on_the_unit_circle():
    modes = MIXTURES["ring8"].modes
    assert len(np.unique(modes.round(9), axis=0)) == 8
    np.testing.assert_allclose(np.linalg.norm(modes, axis=1), 1)
    gaps = np.linalg.norm(modes - np.roll(modes, 1, axis=0), axis=1)
    np.testing.assert_allclose(gaps, 2 * np.sin(np.pi / 8))  # evenly spaced
    assert MIXTURES["ring8"].sigma == 0.01


def test_the_grid_is_five_by_five_from_minus_four_to_four():
    modes = {tuple(mode) for mode in MIXTURES["grid25"].modes}
    ticks = (-4, -2, 0, 2, 4)
    assert modes == {(x, y) for x in ticks for y in ticks}
    assert MIXTURES["grid25"].sigma == 0.05


@pytest.mark.parametrize("name", list(MIXTURES))
def test_points_follow_the_mixture(name):
    data, mixture = load(name), MIXTURES[name]
    k, dimension = mixture.modes.shape
    assert data.x.shape == (100_000, dimension)
    assert data.x.dtype == np.float32
    assert not data.is_images
    assert len(data.classes) == k
    counts = np.bincount(data.labels, minlength=k)
    p = 1 / k
    assert np.abs(counts - 1e5 * p).max() <= 5 * np.sqrt(1e5 * p * (1 - p))
    noise = (data.x - mixture.modes[data.labels]) / mixture.sigma
    assert np.abs(noise.mean(axis=0)).max() < 5 / np.sqrt(1e5)
    # A variance over 1e5 samples has a standard error of sqrt(2 / 1e5) = 0.0045.
    np.testing.assert_allclose(noise.var(axis=0), 1, atol=5 * 0.0045)


def test_perfect_data_reaches_the_known_ceiling():
    # Within 3 sigma of its mode in two dimensions: 1 - exp(-4.5) = 98.89 %.
    data, mixture = load("ring8"), MIXTURES["ring8"]
    distance = np.linalg.norm(data.x[:, None] - mixture.modes, axis=2).min(axis=1)
    quality = (distance < 3 * mixture.sigma).mean()
    assert quality == pytest.approx(1 - np.exp(-4.5), abs=5 * np.sqrt(0.011 / 1e5))


def test_seed_and_split_choose_the_points():
    base = load("grid25", count=100)
    assert load("grid25", count=100).checksum == base.checksum
    others = [load("grid25", count=100, seed=1), load("grid25", count=100, split="test")]
    assert len({base.checksum, *(other.checksum for other in others)}) == 3
