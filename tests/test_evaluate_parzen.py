"""The Parzen estimate against loops and closed forms, and the yardsticks to read it by."""

import math
import tracemalloc

import numpy as np
import pytest

from minigan.data import load, to_float
from minigan.evaluate.distances import MEMORY, block_rows
from minigan.evaluate.parzen import SIGMAS, choose_sigma, flat, log_likelihood, parzen
from minigan.evaluate.yardsticks import YARDSTICKS, k_means_centres


def by_loops(points, samples, sigma):
    """The formula, word for word."""
    D, result = points.shape[1], []
    for x in points:
        density = 0.0
        for mu in samples:
            square = sum((float(a) - float(b)) ** 2 for a, b in zip(x, mu))
            density += math.exp(-square / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi)) ** D
        result.append(math.log(density / len(samples)))
    return np.array(result)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# The log-likelihood -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_the_formula_by_loops(rng, dtype, sigma):
    points, samples = (rng.random((n, 5)).astype(dtype) for n in (7, 11))
    result = log_likelihood(points, samples, sigma)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, by_loops(points, samples, sigma), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block", [1, 3, 10, 11, 12, 1000])
def test_the_size_of_the_blocks_does_not_matter(rng, block):
    points, samples = rng.random((10, 4)), rng.random((23, 4))
    np.testing.assert_allclose(
        log_likelihood(points, samples, 0.1, block=block),
        by_loops(points, samples, 0.1),
        rtol=1e-12, atol=1e-12,
    )  # fmt: skip


def test_all_corners_of_a_cube_are_ten_independent_mixtures(rng):
    """Windows on all of {0, 1}^D: the density is a product over the axes, each with two windows."""
    D, sigma = 10, 0.3
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * D), axis=-1).reshape(-1, D)
    x = rng.random((50, D))
    windows = [np.exp(-((x - at) ** 2) / (2 * sigma**2)) for at in (0, 1)]
    axis = (windows[0] + windows[1]) / (2 * sigma * math.sqrt(2 * math.pi))
    np.testing.assert_allclose(
        log_likelihood(x, corners, sigma, block=100), np.log(axis).sum(axis=1), rtol=1e-12
    )


def test_samples_of_a_gaussian_give_that_gaussian_widened_by_the_window(rng):
    """Samples N(m, s^2 I) and windows sigma: N(m, (s^2 + sigma^2) I) for many samples."""
    s, sigma = 0.2, 0.1
    samples = 0.5 + s * rng.standard_normal((100_000, 2))
    x = rng.random((20, 2))
    variance = s**2 + sigma**2
    expected = -((x - 0.5) ** 2).sum(axis=1) / (2 * variance) - math.log(2 * math.pi * variance)
    np.testing.assert_allclose(log_likelihood(x, samples, sigma), expected, atol=0.05)


def test_a_point_far_from_all_samples_has_a_finite_likelihood():
    """The density itself, e^-5,000,000, is 0 in float64."""
    points, samples = np.full((1, 4), 1000.0), np.zeros((3, 4))
    expected = -4 * 1000**2 / (2 * 0.5**2) - 4 * math.log(0.5 * math.sqrt(2 * math.pi))
    np.testing.assert_allclose(log_likelihood(points, samples, 0.5), [expected], rtol=1e-14)


def test_more_samples_than_a_block_and_memory_that_stays(rng):
    points, samples = rng.random((6000, 16)), rng.random((6000, 16))
    assert block_rows(16) < 6000  # several blocks each way
    log_likelihood(points[:1], samples[:1], 0.1)  # whatever is loaded or compiled once
    tracemalloc.start()
    result = log_likelihood(points, samples, 0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * MEMORY  # all distances would take 275 MiB
    some = [0, 1, 5998, 5999]
    np.testing.assert_allclose(result[some], by_loops(points[some], samples, 0.1), rtol=1e-10)


@pytest.mark.parametrize("sigma", [0.0, -0.1, math.nan, math.inf, 1e-7])
def test_a_sigma_that_gives_no_number_is_refused(sigma):
    with pytest.raises(ValueError, match=r"^(expected sigmas > 0|sigma 1e-07 is too small).*$"):
        log_likelihood(np.ones((2, 3)), np.ones((2, 3)), sigma)


def test_the_smallest_sigma_is_still_exact(rng):
    points = rng.random((5, 784))
    samples = points[:1] + 1e-4 * rng.standard_normal((3, 784))
    sigma = 3.1e-6 * math.sqrt(784) * max(points.max(), samples.max())
    squares = ((points[:, None] - samples) ** 2).sum(axis=2) / (2 * sigma**2)
    expected = -squares.min(axis=1) + np.log(
        np.exp(squares.min(axis=1)[:, None] - squares).mean(axis=1)
    )
    expected -= 784 * math.log(sigma * math.sqrt(2 * math.pi))
    np.testing.assert_allclose(
        log_likelihood(points, samples, sigma), expected, rtol=1e-12, atol=1e-3
    )


# The choice of sigma, and the row of the table -----------------------------------------------


def test_sigma_is_the_candidate_with_the_highest_mean(rng):
    valid, samples = rng.random((30, 3)), rng.random((40, 3))
    means = [by_loops(valid, samples, sigma).mean() for sigma in SIGMAS]
    assert choose_sigma(valid, samples) == (SIGMAS[np.argmax(means)], False)


def test_the_candidates_are_those_of_the_paper():
    np.testing.assert_allclose(SIGMAS[[0, 2, 9]], [0.1, 0.16681005, 1.0], rtol=1e-7)
    assert len(SIGMAS) == 10


def test_a_sigma_at_the_edge_is_flagged(rng):
    x = rng.random((5, 3))
    assert choose_sigma(x, x) == (0.1, True)  # windows on the points themselves: ever narrower
    ends = np.array([[0.0, 0.0]]), np.array([[1.0, 1.0]])
    assert choose_sigma(*ends, [0.2, 0.5]) == (0.5, True)
    assert choose_sigma(*ends, [0.2, 1.0, 5.0]) == (1.0, False)
    assert "AT THE EDGE" in str(parzen(x, x, x))
    assert "EDGE" not in str(parzen(rng.random((99, 3)), rng.random((99, 3)), x))


def test_only_the_first_thousand_validation_images_count(rng):
    samples, valid = 0.1 * rng.random((50, 3)), 0.1 * rng.random((1100, 3))
    valid[1000:] = 1.0
    result = parzen(samples, valid, samples)
    assert result == parzen(samples, valid[:1000], samples)
    assert result.valid == 1000
    assert choose_sigma(valid, samples) == choose_sigma(valid[:1000], samples)
    assert choose_sigma(valid[::-1], samples) != choose_sigma(valid, samples)


def test_the_row_is_mean_and_standard_error_over_the_test_images(rng):
    samples, valid, test = (rng.random((n, 4), np.float32) for n in (60, 50, 40))
    result = parzen(samples, valid, test)
    values = by_loops(test, samples, result.sigma)
    assert result.mean == pytest.approx(values.mean(), rel=1e-10)
    assert result.se == pytest.approx(values.std() / math.sqrt(40), rel=1e-10)
    assert (result.samples, result.valid, result.test) == (60, 50, 40)


@pytest.fixture(scope="module")
def digits():
    """(images (2000, 784) in [0, 1], labels): half to make samples of, then to judge them by."""
    data = load("glyphs", count=2000, seed=1)
    return to_float(data.x, 0, 1).reshape(2000, -1), data.labels


def test_real_images_are_likelier_than_noise_and_than_their_mean(digits):
    images, labels = digits
    make, valid, test = images[:1000], images[1000:1200], images[1200:1400]
    score = {
        name: parzen(f(make, labels[:1000], 1000, np.random.default_rng(0)), valid, test)
        for name, f in YARDSTICKS.items()
    }
    noise = parzen(np.random.default_rng(0).random((1000, 784)), valid, test)
    real = score["real images"].mean
    assert real > score["no digit 1"].mean > score["only digit 1"].mean
    assert real > score["real images + noise"].mean > score["one Gaussian"].mean
    assert real > score["mean image"].mean > noise.mean
    assert score["ten Gaussians"].mean > score["one Gaussian"].mean
    assert parzen(test, valid, test).mean > real  # a cheat: the test images as samples


# Yardsticks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", YARDSTICKS)
def test_every_yardstick_is_images_and_repeatable(digits, name):
    images, labels = digits[0][:500, ::8], digits[1][:500]  # every eighth pixel is enough here
    one, same, other = (
        YARDSTICKS[name](images, labels, 40, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert one.dtype == np.float32
    assert one.shape == (1 if name == "mean image" else 40, 98)
    assert one.min() >= 0
    assert one.max() <= 1
    np.testing.assert_array_equal(one, same)
    assert name == "mean image" or (one != other).any()


def numbered(n):
    """n images of two pixels, of which the first says which image it is."""
    return np.stack([np.arange(n) / n, np.zeros(n)], axis=1).astype(np.float32)


def numbers(samples, n):
    return sorted(np.rint(samples[:, 0] * n).astype(int).tolist())


def test_real_images_are_drawn_once_each(rng):
    images, labels = numbered(100), np.arange(100) % 10
    draw = {name: YARDSTICKS[name](images, labels, 200, rng) for name in YARDSTICKS}
    assert numbers(draw["real images"], 100) == list(range(100))
    assert numbers(draw["only digit 1"], 100) == list(range(1, 100, 10))
    assert numbers(draw["no digit 1"], 100) == [i for i in range(100) if i % 10 != 1]
    np.testing.assert_allclose(draw["mean image"], [[0.495, 0]], rtol=1e-6)
    ten = numbers(YARDSTICKS["real images"](images, labels, 10, rng), 100)
    assert len(set(ten)) == 10
    assert ten != list(range(10))


def test_a_gaussian_has_the_mean_and_the_covariance_of_its_images(rng):
    mixing = 0.02 * rng.standard_normal((4, 4))
    images = 0.5 + rng.standard_normal((3000, 4)) @ mixing
    x = YARDSTICKS["one Gaussian"](images, np.zeros(3000, int), 50_000, rng)
    np.testing.assert_allclose(x.mean(axis=0), images.mean(axis=0), atol=2e-3)
    np.testing.assert_allclose(np.cov(x.T), np.cov(images.T), atol=1e-4)


def test_a_gaussian_keeps_the_components_of_largest_variance(rng):
    scales = np.linspace(0.001, 0.1, 60)
    images = np.clip(0.5 + scales * rng.standard_normal((2000, 60)), 0, 1)
    for name, components in [("one Gaussian", 50), ("ten Gaussians", 30)]:
        x = YARDSTICKS[name](images, np.zeros(2000, int), 500, rng).astype(np.float64)
        singular = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
        assert singular[components - 1] > 1e-2 > 1e-3 > singular[components], name
        assert x.std(axis=0)[-1] > 0.05


def test_ten_gaussians_follow_the_labels(rng):
    """Class 0 lies near (0.2, 0.2) three times as often as class 1 near (0.8, 0.8)."""
    labels = np.array([0, 0, 0, 1] * 100)
    images = np.where(labels[:, None] == 0, 0.2, 0.8) + 0.01 * rng.standard_normal((400, 2))
    x = YARDSTICKS["ten Gaussians"](images, labels, 4000, rng)
    is_near = [(np.abs(x - at) < 0.1).all(axis=1) for at in (0.2, 0.8)]
    assert (is_near[0] | is_near[1]).all()
    assert is_near[0].mean() == pytest.approx(0.75, abs=0.03)


def test_noise_is_added_to_real_images_and_clipped(rng):
    images = np.full((200, 100), 0.5)
    noise = YARDSTICKS["real images + noise"](images, np.zeros(200, int), 200, rng) - 0.5
    assert noise.mean() == pytest.approx(0, abs=0.005)
    assert noise.std() == pytest.approx(0.1, abs=0.005)


def test_centres_are_the_means_of_the_images_nearest_to_them(rng):
    """Where nothing changes any more; more images than one block holds."""
    images = rng.random((3000, 2))
    assert block_rows(2) < 3000
    centres = k_means_centres(images, np.zeros(3000, int), 5, rng, iterations=500)
    nearest = ((images[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    for k in range(5):
        np.testing.assert_allclose(centres[k], images[nearest == k].mean(axis=0), atol=1e-4)


def test_centres_come_closer_to_the_images_with_every_iteration(rng):
    images, labels = rng.random((400, 3)), np.zeros(400, int)

    def spread(iterations):
        centres = k_means_centres(
            images, labels, 20, np.random.default_rng(0), iterations=iterations
        )
        return ((images[:, None] - centres) ** 2).sum(axis=2).min(axis=1).mean()

    spreads = [spread(n) for n in (1, 2, 4, 8)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] > spreads[-1]


def test_k_means_finds_separate_clusters_and_survives_equal_images(rng):
    at = np.array([0.1, 0.5, 0.9])
    images = np.repeat(at, 100)[:, None] + 0.001 * rng.standard_normal((300, 1))
    centres = k_means_centres(images, np.zeros(300, int), 30, rng, K=30)
    assert [round(float(x), 1) for x in sorted({*centres.ravel().round(1)})] == [0.1, 0.5, 0.9]
    same = np.full((10, 4), 0.25)  # all go to one centre: nine have no images
    np.testing.assert_array_equal(k_means_centres(same, np.zeros(10, int), 10, rng), same)


def test_there_are_at_most_K_centres_and_no_more_than_images(rng):
    images, labels = rng.random((20, 3)), np.zeros(20, int)
    assert len(k_means_centres(images, labels, 10, rng, K=4)) == 4
    assert len(k_means_centres(images, labels, 10, rng)) == 10
    assert len(k_means_centres(images, labels, 50, rng)) == 20


# Bad input: one line each -------------------------------------------------------------------

GOOD = np.full((3, 2), 0.5)
BAD = [
    (np.zeros((0, 2)), ValueError, r"has shape \(0, 2\): expected \(N, D\)"),
    (np.zeros((2, 0)), ValueError, r"has shape \(2, 0\): expected \(N, D\)"),
    (np.zeros(4), ValueError, r"has shape \(4,\): expected \(N, D\)"),
    (np.zeros((2, 1, 1, 2)), ValueError, r"has shape \(2, 1, 1, 2\): expected \(N, D\)"),
    (np.array([[0.5, np.nan]]), ValueError, "holds NaN or infinite numbers"),
    (np.array([[0.5, np.inf]]), ValueError, "holds NaN or infinite numbers"),
    (np.zeros((2, 2), np.uint8), TypeError, "is uint8: expected an array of floats"),
    (np.zeros((2, 2), np.complex128), TypeError, "is complex128: expected an array of floats"),
    ([[0.5, 0.5]], TypeError, "is list: expected an array of floats"),
]
OUTSIDE = [np.array([[-0.01, 0.5]]), np.array([[0.5, 1.01]]), np.array([[255.0, 0.0]])]


def refused(error, message, function, *arguments):
    with pytest.raises(error, match=message) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("bad", "error", "message"), BAD)
def test_arrays_that_are_no_rows_of_finite_floats_are_refused(bad, error, message):
    refused(error, "^points " + message, log_likelihood, bad, GOOD, 0.1)
    refused(error, "^samples " + message, log_likelihood, GOOD, bad, 0.1)
    refused(error, "^valid " + message, choose_sigma, bad, GOOD)
    refused(error, "^samples " + message, parzen, bad, GOOD, GOOD)
    refused(error, "^valid " + message, parzen, GOOD, bad, GOOD)
    refused(error, "^test " + message, parzen, GOOD, GOOD, bad)
    for make in YARDSTICKS.values():
        labels = np.zeros(len(bad), int)
        refused(error, "^images " + message, make, bad, labels, 2, np.random.default_rng(0))


@pytest.mark.parametrize("bad", OUTSIDE)
def test_pixels_outside_0_and_1_are_refused(bad):
    message = r"has pixels from \S+ to \S+: expected them in \[0, 1\]$"
    refused(ValueError, "^samples " + message, parzen, bad, GOOD, GOOD)
    refused(ValueError, "^valid " + message, parzen, GOOD, bad, GOOD)
    refused(ValueError, "^test " + message, parzen, GOOD, GOOD, bad)
    refused(ValueError, "^valid " + message, choose_sigma, bad, GOOD)
    for make in YARDSTICKS.values():
        refused(ValueError, "^images " + message, make, bad, np.zeros(1, int), 2, None)


def test_rows_of_unequal_length_are_refused():
    refused(ValueError, "rows of 2 and samples of 3", log_likelihood, GOOD, np.ones((2, 3)), 0.1)
    refused(ValueError, "rows of 2 and test of 3", parzen, GOOD, GOOD, np.ones((2, 3)))


@pytest.mark.parametrize("sigmas", [[], [0.1, 0.0], [0.1, -1.0], [math.nan]])
def test_candidates_that_are_not_positive_are_refused(sigmas):
    refused(ValueError, "^expected sigmas > 0", choose_sigma, GOOD, GOOD, sigmas)


@pytest.mark.parametrize("name", YARDSTICKS)
def test_a_yardstick_refuses_labels_and_counts_that_do_not_fit(name):
    make, rng = YARDSTICKS[name], np.random.default_rng(0)
    refused(ValueError, r"^labels have shape \(2,\)", make, GOOD, np.zeros(2, int), 2, rng)
    refused(ValueError, "^n is 0: expected at least 1", make, GOOD, np.zeros(3, int), 0, rng)


def test_a_class_without_images_is_named(rng):
    refused(ValueError, "^no image has", YARDSTICKS["only digit 1"], GOOD, np.zeros(3, int), 2, rng)
    refused(ValueError, "^no image has", YARDSTICKS["no digit 1"], GOOD, np.ones(3, int), 2, rng)
    with pytest.raises(ValueError, match=r"^iterations is 0"):
        k_means_centres(GOOD, np.zeros(3, int), 2, rng, iterations=0)


def test_images_as_rows():
    images = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1)
    assert flat(images).ravel() == pytest.approx([0, 0.2, 1])
    assert flat(images).dtype == np.float32
    assert flat(np.full((2, 1, 2, 2), 0.5, np.float32)).shape == (2, 4)
