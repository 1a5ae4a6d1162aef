"""Modes captured, counted where the answer is known."""

import math

import numpy as np
import pytest

from minigan.data.toy import MIXTURES, make_toy
from minigan.evaluate.modes import STACKED_SAMPLES, stacked_modes, toy_modes

TOYS = ("ring8", "grid25")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ring8 and grid25 ---------------------------------------------------------------------------


def by_loops(points, mixture):
    """The high-quality points of each mode."""
    per_mode = [0] * len(mixture.modes)
    for x in points:
        distances = [math.dist(x, mode) for mode in mixture.modes]
        k = distances.index(min(distances))
        if distances[k] <= 3 * mixture.sigma:
            per_mode[k] += 1
    return tuple(per_mode)


@pytest.mark.parametrize("name", TOYS)
def test_counts_by_loops(rng, name):
    """Points around all modes, wider than the modes are; more than a block holds."""
    mixture = MIXTURES[name]
    modes = mixture.modes[rng.integers(len(mixture.modes), size=2000)]
    points = modes + 2 * mixture.sigma * rng.standard_normal((2000, 2))
    result = toy_modes(points, name)
    expected = by_loops(points, mixture)
    assert result.per_mode == expected
    assert result.high_quality == sum(expected) / 2000
    assert 0.5 < result.high_quality < 0.8
    assert result.se == pytest.approx(
        math.sqrt(result.high_quality * (1 - result.high_quality) / 2000)
    )
    assert (result.captured, result.modes, result.samples) == (len(expected), len(expected), 2000)


@pytest.mark.parametrize("name", TOYS)
def test_real_data_reach_the_ceiling(name):
    result = toy_modes(make_toy(name, count=20_000, seed=3).x, name)
    assert result.captured == len(MIXTURES[name].modes)
    assert result.ceiling == pytest.approx(0.98889, abs=1e-5)
    assert abs(result.high_quality - result.ceiling) < 4 * result.se


@pytest.mark.parametrize("name", TOYS)
def test_one_point_captures_a_mode_up_to_three_sigma(name):
    mixture = MIXTURES[name]
    direction = np.array([0.6, 0.8])
    for k, mode in enumerate(mixture.modes):
        inside, outside = (mode + r * mixture.sigma * direction for r in (2.99, 3.01))
        assert toy_modes(inside[None], name).per_mode[k] == 1
        assert toy_modes(outside[None], name).captured == 0
        both = toy_modes(np.stack([inside, outside]), name)
        assert (both.captured, both.high_quality) == (1, 0.5)


def test_the_thresholds_are_those_of_the_two_mixtures():
    """A point 0.1 from a mode of both: far for the ring (sigma 0.01), near for the grid (0.05)."""
    ring, grid = np.array([[1.1, 0.0]]), np.array([[0.1, 0.0]])
    assert toy_modes(ring, "ring8").captured == 0
    assert toy_modes(grid, "grid25").captured == 1


def test_collapse_and_nothing_at_all():
    one = toy_modes(np.tile(MIXTURES["grid25"].modes[7], (2500, 1)), "grid25")
    assert (one.captured, one.high_quality, one.se) == (1, 1.0, 0.0)
    none = toy_modes(np.full((10, 2), 1e6), "grid25")
    assert (none.captured, none.high_quality) == (0, 0.0)


@pytest.mark.parametrize(
    ("points", "name", "error", "message"),
    [
        (np.zeros((3, 2)), "gaussian1d", ValueError, "^no plane mixture 'gaussian1d': expected"),
        (np.zeros((3, 2)), "mnist", ValueError, "^no plane mixture 'mnist': expected ring8 or"),
        (np.zeros((0, 2)), "ring8", ValueError, r"^points has shape \(0, 2\)"),
        (np.zeros(2), "ring8", ValueError, r"^points has shape \(2,\)"),
        (np.zeros((3, 3)), "ring8", ValueError, "^points has rows of 3"),
        (np.array([[np.nan, 0]]), "ring8", ValueError, "^points holds NaN"),
        (np.array([[0, np.inf]]), "grid25", ValueError, "^points holds NaN"),
        (np.zeros((3, 2), int), "ring8", TypeError, "^points is int64: expected"),
        ([[0.0, 0.0]], "ring8", TypeError, "^points is list: expected"),
    ],
)
def test_bad_points_are_refused_in_one_line(points, name, error, message):
    with pytest.raises(error, match=message) as caught:
        toy_modes(points, name)
    assert "\n" not in str(caught.value)


# Stacked MNIST ------------------------------------------------------------------------------

EVERY = np.stack(np.unravel_index(np.arange(1000), (10, 10, 10)), axis=1)


def kl_by_loops(classes):
    counts = {}
    for triple in map(tuple, classes.tolist()):
        counts[triple] = counts.get(triple, 0) + 1
    shares = [count / len(classes) for count in counts.values()]
    return len(counts), sum(p * math.log(p / (1 / 1000)) for p in shares)


@pytest.mark.parametrize("n", [1, 10, 3000])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_triples_and_kl_by_loops(rng, n, dtype):
    classes = rng.binomial(9, [0.1, 0.5, 0.9], (n, 3)).astype(dtype)
    result = stacked_modes(classes)
    captured, kl = kl_by_loops(classes)
    assert (result.captured, result.samples) == (captured, n)
    assert result.kl == pytest.approx(kl, rel=1e-12)


def test_channels_keep_their_order():
    """Triples of the same digits in another order are other triples."""
    assert stacked_modes(np.array([[1, 2, 3], [3, 2, 1], [2, 1, 3], [1, 2, 3]])).captured == 3


def test_closed_forms():
    even = stacked_modes(np.repeat(EVERY, 26, axis=0))
    assert (even.captured, even.kl, even.kl_se) == (1000, 0.0, 0.0)
    one = stacked_modes(np.zeros((50, 3), int))
    assert (one.captured, one.kl) == (1, pytest.approx(math.log(1000)))
    quarter = stacked_modes(EVERY[::4])
    assert (quarter.captured, quarter.kl) == (250, pytest.approx(math.log(4)))


def test_uniform_classes_have_the_floor(rng):
    for n in (300, STACKED_SAMPLES):
        results = [stacked_modes(rng.integers(10, size=(n, 3))) for _ in range(40)]
        kl = np.array([result.kl for result in results])
        assert abs(kl.mean() - results[0].kl_floor) < 4 * kl.std() / math.sqrt(40)
    assert results[0].kl_floor == pytest.approx(999 / 2 / STACKED_SAMPLES, rel=0.01)


def test_the_standard_error_is_the_spread_between_repetitions(rng):
    """Of an uneven distribution; of an even one the first order vanishes."""
    p = [0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01]
    results = [stacked_modes(rng.choice(10, (20_000, 3), p=p)) for _ in range(100)]
    spread = np.std([result.kl for result in results])
    assert results[0].kl_se == pytest.approx(spread, rel=0.3)


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        (np.zeros((0, 3), int), ValueError, r"^classes have shape \(0, 3\)"),
        (np.zeros((5, 2), int), ValueError, r"^classes have shape \(5, 2\)"),
        (np.zeros(3, int), ValueError, r"^classes have shape \(3,\)"),
        (np.array([[0, 0, 10]]), ValueError, r"^classes from 0 to 10: expected 0\.\.9"),
        (np.array([[0, -1, 3]]), ValueError, "^classes from -1 to 3"),
        (np.zeros((2, 3)), TypeError, "^classes are float64: expected an array of integers"),
        ([[0, 0, 0]], TypeError, "^classes are list"),
    ],
)
def test_bad_classes_are_refused_in_one_line(classes, error, message):
    with pytest.raises(error, match=message) as caught:
        stacked_modes(classes)
    assert "\n" not in str(caught.value)
