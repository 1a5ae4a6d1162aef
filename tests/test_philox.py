"""Philox4x32-10: the authors' known answers, and numbers that are distributed as they should be."""

import numpy as np
import pytest

from minigan.kernels import philox

# Salmon et al.'s Random123, known-answer vectors of philox4x32 with 10 rounds: counter, key, words.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_known_answers(counter, key, expected):
    assert tuple(int(word) for word in philox.philox(counter, key)) == expected


def test_many_counters_at_once_give_the_same_as_one_by_one():
    counters = np.array([counter for counter, _, _ in KNOWN_ANSWERS], np.uint32)
    together = philox.philox(tuple(counters.T), (7, 9))
    for i, counter in enumerate(counters):
        alone = philox.philox(tuple(counter), (7, 9))
        assert [int(word[i]) for word in together] == [int(word) for word in alone]


def test_each_number_of_the_key_reaches_its_word():
    # counter (block, stream, step, high word of step), key (low, high word of the seed)
    seed, step = 0x299F31D0_A4093822, 0x03707344_13198A2E
    block = philox.philox((1, 5, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0))
    words = philox.words(seed, step, 5, 8)
    assert words.shape == (2, 4)
    assert words[1].tolist() == [int(word) for word in block]


@pytest.mark.parametrize("draw", [philox.uniform, philox.normal])
def test_a_draw_is_a_function_of_seed_step_and_stream(draw):
    first = draw(1, 2, 3, (5, 7))
    assert first.shape == (5, 7)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, draw(1, 2, 3, (5, 7)))
    # the number at a place does not depend on how many are drawn
    np.testing.assert_array_equal(first.ravel()[:11], draw(1, 2, 3, (11,)))
    for other in [(9, 2, 3), (1, 9, 3), (1, 2, 9), (1 + 2**32, 2, 3), (1, 2 + 2**32, 3)]:
        assert abs(np.corrcoef(first.ravel(), draw(*other, (35,)))[0, 1]) < 0.6
    assert draw(1, 2, 3, (0, 4)).shape == (0, 4)
    assert draw(1, 2, 3, ()).shape == ()


def test_uniform_numbers_have_the_moments_of_the_uniform_distribution():
    u = philox.uniform(3, 1, 4, (400_000,)).astype(np.float64)
    assert 0 <= u.min() < 1e-4
    assert 1 - 1e-4 < u.max() < 1
    error = len(u) ** -0.5  # four standard errors of each moment
    assert abs(u.mean() - 1 / 2) < 4 * error * (1 / 12) ** 0.5
    assert abs((u**2).mean() - 1 / 3) < 4 * error * (4 / 45) ** 0.5
    assert abs((u[1:] * u[:-1]).mean() - 1 / 4) < 4 * error * (7 / 144) ** 0.5


def test_normal_numbers_have_the_moments_of_the_normal_distribution():
    z = philox.normal(3, 1, 4, (400_000,)).astype(np.float64)
    error = len(z) ** -0.5  # the variances of z, z^2, z^3, z^4 are 1, 2, 15, 96
    for power, (moment, variance) in enumerate([(0, 1), (1, 2), (0, 15), (3, 96)], 1):
        assert abs((z**power).mean() - moment) < 4 * error * variance**0.5, power
    for lag in (1, 2, 3, 4):
        assert abs((z[lag:] * z[:-lag]).mean()) < 4 * error, lag
    # P(|z| > 3) = 0.0026998
    assert abs((abs(z) > 3).mean() - 0.0026998) < 4 * error * 0.0026998**0.5


def test_the_extreme_words_give_finite_numbers():
    extremes = np.array([0, 1, 2**31, 2**32 - 1], np.uint32)
    u = philox.to_uniform(extremes)
    assert u[0] == 0
    assert u[-1] == np.float32(1 - 2**-24)
    for word0 in extremes:
        z = np.array(philox.to_normal(np.full(4, word0, np.uint32), extremes))
        assert np.isfinite(z).all()
        assert (abs(z) < 6.8).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0, 0, 1), r"seed must be in 0 \.\. 2\^64 - 1, got -1"),
        ((2**64, 0, 0, 1), "seed must be in"),
        ((0, -1, 0, 1), "step must be in"),
        ((0, 0, 2**32, 1), r"stream must be in 0 \.\. 2\^32 - 1, got 4294967296"),
        ((0, 0, 0, 2**34 + 1), "at most 17179869184 numbers"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        philox.words(*arguments)
