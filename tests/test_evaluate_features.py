"""Class histogram, Fréchet distance, precision and recall, nearest neighbours: closed forms,
plain loops, and data against itself."""

import math
import os

import numpy as np
import pytest
from PIL import Image

from minigan.data import load
from minigan.errors import MiniganError
from minigan.evaluate import arrays, neighbours
from minigan.evaluate.features import (
    class_histogram,
    classifier_distance,
    frechet,
    frechet_with_error,
    symmetric_sqrt,
)
from minigan.evaluate.neighbours import nearest, one_nearest_neighbour, picture
from minigan.evaluate.precision_recall import covered, precision_recall, radii


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def covariance(d, seed):
    a = normal(d, d + 2, seed=seed)
    return a @ a.T


# Class histogram ----------------------------------------------------------------------------


def sure(labels, k=10, p=0.95):
    """Probabilities with p for the label and the rest shared by the others."""
    rows = np.full((len(labels), k), (1 - p) / (k - 1))
    rows[np.arange(len(labels)), labels] = p
    return rows


def test_even_classes_have_the_largest_entropy_and_one_class_none():
    even = class_histogram(sure(np.arange(1000) % 10))
    assert even.counts == (100,) * 10
    assert even.entropy == pytest.approx(math.log(10), abs=1e-12)
    assert even.most == pytest.approx(math.log(10))
    assert even.entropy_se == pytest.approx(math.sqrt(9 / 2) / 1000)  # of the second order
    one = class_histogram(sure(np.full(1000, 3)))
    assert (one.counts[3], one.entropy, one.entropy_se) == (1000, 0, 0)


def test_the_error_of_the_entropy_is_its_spread():
    shares = np.array([0.5, 0.2, 0.2, 0.1])
    random = np.random.default_rng(0)
    found = [class_histogram(sure(random.choice(4, 400, p=shares), 4)) for _ in range(300)]
    spread = np.std([f.entropy for f in found])
    assert np.mean([f.entropy_se for f in found]) == pytest.approx(spread, rel=0.15)
    expected = -np.sum(shares * np.log(shares)) - 3 / 800  # and its bias
    assert np.mean([f.entropy for f in found]) == pytest.approx(expected, abs=4 * spread / 17)


def test_unsure_samples_are_those_below_the_threshold():
    p = np.concatenate([sure(np.zeros(30, int), p=0.95), sure(np.zeros(10, int), p=0.6)])
    found = class_histogram(p)
    assert (found.unsure, found.threshold, found.samples) == (0.25, 0.9, 40)
    assert found.unsure_se == pytest.approx(math.sqrt(0.25 * 0.75 / 40))
    assert class_histogram(p, threshold=0.5).unsure == 0
    assert class_histogram(p, threshold=0.97).unsure == 1


# Fréchet distance ---------------------------------------------------------------------------


def test_the_square_root_of_a_symmetric_matrix():
    s = covariance(6, 0)
    root = symmetric_sqrt(s)
    np.testing.assert_allclose(root @ root, s, atol=1e-12)
    np.testing.assert_allclose(root, root.T, atol=1e-12)
    singular = np.outer([1.0, 2, 2], [1, 2, 2])  # whose root is itself over 3
    np.testing.assert_allclose(symmetric_sqrt(singular), singular / 3, atol=1e-7)


def test_frechet_in_closed_form():
    # Diagonal: sum (m1 - m2)^2 + (sd1 - sd2)^2.
    m1, m2, sd1, sd2 = normal(4, 5)
    expected = np.sum((m1 - m2) ** 2) + np.sum((abs(sd1) - abs(sd2)) ** 2)
    assert frechet(m1, np.diag(sd1**2), m2, np.diag(sd2**2)) == pytest.approx(expected, rel=1e-12)
    # Two dimensions: trace (A^1/2 B A^1/2)^1/2 = sqrt(trace AB + 2 sqrt(det AB)).
    a, b = covariance(2, 1), covariance(2, 2)
    ab = a @ b
    cross = math.sqrt(np.trace(ab) + 2 * math.sqrt(np.linalg.det(ab)))
    expected = np.trace(a) + np.trace(b) - 2 * cross
    assert frechet([0, 0], a, [0, 0], b) == pytest.approx(expected, rel=1e-10)
    assert frechet([0, 0], b, [0, 0], a) == pytest.approx(expected, rel=1e-10)


def test_frechet_does_not_change_with_the_axes():
    a, b, (m1, m2) = covariance(5, 1), covariance(5, 2), normal(2, 5)
    q, _ = np.linalg.qr(normal(5, 5, seed=3))
    turned = frechet(q @ m1, q @ a @ q.T, q @ m2, q @ b @ q.T)
    assert turned == pytest.approx(frechet(m1, a, m2, b), rel=1e-10)
    assert frechet(m1, a, m1, a) == pytest.approx(0, abs=1e-10)
    flat = np.diag([1.0, 0, 0, 0, 0])  # singular, as of features that are always 0
    assert frechet(m1, flat, m1, flat) == pytest.approx(0, abs=1e-7)


def test_frechet_of_rows_is_that_of_their_moments():
    x, y = normal(300, 4), normal(200, 4, seed=1) * 2 + 1
    value, _ = frechet_with_error(x, y)
    moments = x.mean(axis=0), np.cov(x.T), y.mean(axis=0), np.cov(y.T)
    assert value == pytest.approx(frechet(*moments), rel=1e-10)
    value, _ = frechet_with_error(x + 1e7, y + 1e7)  # the mean is taken off first
    assert value == pytest.approx(frechet(*moments), rel=1e-6)


def test_data_against_itself_is_0():
    x = normal(300, 6)
    found = classifier_distance(x, x, x)
    assert found.value == pytest.approx(0, abs=1e-10)
    assert found.floor == pytest.approx(0, abs=1e-10)


def test_the_jackknife_is_a_plain_loop_over_groups():
    x, y, g = normal(45, 3), normal(50, 3, seed=1) + 1, 4
    _, se = frechet_with_error(x, y, groups=g)

    def distance(a, b):
        return frechet(a.mean(axis=0), np.cov(a.T), b.mean(axis=0), np.cov(b.T))

    def parts(n):
        return np.array_split(np.random.default_rng(0).permutation(n), g)

    without_x = [distance(np.delete(x, rows, axis=0), y) for rows in parts(45)]
    without_y = [distance(x, np.delete(y, rows, axis=0)) for rows in parts(50)]
    assert se**2 == pytest.approx((g - 1) * (np.var(without_x) + np.var(without_y)), rel=1e-9)


def test_the_error_of_the_distance_is_its_spread():
    random = np.random.default_rng(0)
    found = np.array([
        frechet_with_error(random.normal(size=(300, 3)), random.normal(size=(200, 3)) + 0.5)
        for _ in range(60)
    ])  # fmt: skip
    values, errors = found.T
    assert errors.mean() == pytest.approx(values.std(), rel=0.3)
    assert values.mean() == pytest.approx(3 * 0.25, abs=0.06)


def test_the_floor_takes_as_many_rows_as_there_are_samples():
    real, samples, held_out = normal(400, 2), normal(100, 2, seed=1) + 3, normal(300, 2, seed=2)
    found = classifier_distance(real, samples, held_out)
    assert (found.real, found.samples, found.held_out) == (400, 100, 100)
    chosen = np.random.default_rng(0).permutation(held_out)[:100]  # a file may be sorted
    assert (found.floor, found.floor_se) == frechet_with_error(real, chosen)
    assert (found.value, found.se) == frechet_with_error(real, samples)
    assert found.value > 10 * found.floor > 0
    assert classifier_distance(real, samples).floor is None


# Precision and recall -----------------------------------------------------------------------


def naive_precision_recall(real, samples, k):
    def distance(a, b):
        return math.sqrt(sum((p - q) ** 2 for p, q in zip(a, b)))

    def is_in(v, region):  # f(v, S), eq. 1
        for i, s in enumerate(region):
            others = [distance(s, o) for j, o in enumerate(region) if j != i]
            if distance(v, s) <= sorted(others)[k - 1]:
                return True
        return False

    precision = sum(is_in(v, real) for v in samples) / len(samples)
    return precision, sum(is_in(v, samples) for v in real) / len(real)


@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_are_those_of_plain_loops(k):
    real, samples = normal(25, 3), normal(20, 3, seed=1) * 0.7 + 0.4
    found = precision_recall(real, samples, k=k)
    assert (found.precision, found.recall) == naive_precision_recall(real, samples, k)
    assert 0 < found.recall < 1
    assert found.precision > 0
    p = found.precision
    assert found.precision_se == pytest.approx(math.sqrt(p * (1 - p) / 20))
    assert found.recall_se == pytest.approx(math.sqrt(found.recall * (1 - found.recall) / 25))
    assert (found.k, found.real, found.samples) == (k, 25, 20)


def test_identical_sets_are_covered_and_distant_ones_not():
    x = normal(200, 5)
    same = precision_recall(x, x)
    assert (same.precision, same.recall) == (1, 1)
    far = precision_recall(x, x + 1000)
    assert (far.precision, far.recall) == (0, 0)


def test_copies_have_balls_of_radius_0_and_are_still_covered():
    x = normal(10, 4, seed=3).repeat(5, axis=0) * 1e3 + 1e5
    found = precision_recall(x, x)
    assert (found.precision, found.recall) == (1, 1)
    assert (radii(x, 3) == 0).all()


def test_one_good_image_is_precise_and_recalls_only_itself():
    real = normal(100, 3)
    samples = real[:1] + 1e-6 * normal(100, 3, seed=1)
    found = precision_recall(real, samples)
    assert (found.precision, found.recall) == (1, 0.01)


def test_blocks_do_not_change_precision_and_recall():
    real, samples = normal(60, 4), normal(50, 4, seed=1) + 0.5
    whole = precision_recall(real, samples)
    for block in (1, 7, 50, 1000):
        assert precision_recall(real, samples, block=block) == whole
    assert covered(samples, real, radii(real, 3), 7).tolist() == [
        bool((((s - real) ** 2).sum(axis=1) <= radii(real, 3)).any()) for s in samples
    ]


def test_a_block_is_bounded():
    assert arrays.block_rows(10_000, None) * 10_000 <= arrays.BLOCK_VALUES
    assert arrays.block_rows(10**9, None) == 1
    assert arrays.block_rows(10, 3) == 3


# Nearest neighbours -------------------------------------------------------------------------


def bytes_of(n, seed=0, shape=(1, 6, 5)):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), np.uint8)


def test_the_nearest_are_those_of_plain_loops_whatever_the_block():
    samples, train = bytes_of(11), bytes_of(23, seed=1)
    train[20] = train[3]  # of equally near ones the first
    samples[0] = train[3]
    difference = samples[:, None].astype(float) - train[None].astype(float)
    distances = np.sqrt((difference**2).sum(axis=(2, 3, 4))) / 255
    whole = nearest(samples, train)
    assert (whole.indices == distances.argmin(axis=1)).all()
    np.testing.assert_allclose(whole.distances, distances.min(axis=1), rtol=1e-12)
    assert (whole.indices[0], whole.distances[0], whole.train) == (3, 0, 23)
    assert whole.mean == pytest.approx(distances.min(axis=1).mean())
    assert whole.mean_se == pytest.approx(distances.min(axis=1).std(ddof=1) / math.sqrt(11))
    for block in (1, 4, 23, 100):
        found = nearest(samples, train, block=block)
        assert (found.indices == whole.indices).all()
        assert (found.distances == whole.distances).all()


def test_floats_and_bytes_are_the_same_images():
    samples, train = bytes_of(7), bytes_of(9, seed=1)
    as_bytes, as_floats = nearest(samples, train), nearest(samples / 255, train)
    assert (as_bytes.indices == as_floats.indices).all()
    np.testing.assert_allclose(as_bytes.distances, as_floats.distances, rtol=1e-10)
    black, white = np.zeros((1, 1, 4, 4)), np.ones((1, 1, 4, 4))
    assert nearest(black, white).distances[0] == 4  # sqrt(16) in pixels of [0, 1]


def test_the_picture_has_each_sample_left_of_its_neighbour():
    train = np.stack([np.full((1, 28, 28), grey, np.uint8) for grey in (0, 100, 200)])
    samples = np.stack([np.full((1, 28, 28), grey / 255) for grey in (190, 10, 110, 90, 205)])
    shown = picture(samples, train, columns=3)
    assert isinstance(shown, Image.Image)
    assert shown.size == (3 * (112 + 8) + 8, 2 * (56 + 8) + 8 + 28)
    pixels = np.asarray(shown)
    for i, (left, right) in enumerate([(190, 200), (10, 0), (110, 100), (90, 100), (205, 200)]):
        y, x = 8 + 30 + i // 3 * 64, 8 + i % 3 * 120
        assert (pixels[y, x + 30], pixels[y, x + 56 + 30]) == (left, right)
    with pytest.raises(ValueError, match="do not belong"):
        picture(samples, train, nearest(samples[:2], train))


def test_one_nearest_neighbour_is_right_where_the_nearest_has_the_label():
    train = np.stack([np.full((1, 4, 4), grey, np.uint8) for grey in (0, 100, 200)])
    test = np.stack([np.full((1, 4, 4), grey, np.uint8) for grey in (10, 90, 120, 220, 140)])
    found = one_nearest_neighbour(train, [7, 8, 9], test, [7, 8, 8, 9, 9])
    assert (found.accuracy, found.train, found.test) == (0.8, 3, 5)
    assert found.se == pytest.approx(math.sqrt(0.8 * 0.2 / 5))
    data = bytes_of(30)
    assert one_nearest_neighbour(data, np.arange(30), data, np.arange(30)).accuracy == 1


@pytest.mark.skipif(
    not os.environ.get("MINIGAN_DATA"), reason="MINIGAN_DATA names no folder with MNIST"
)
def test_one_nearest_neighbour_of_a_thousand_images_of_mnist():
    try:
        train, test = load("mnist", count=1000), load("mnist", split="test")
    except MiniganError as error:
        pytest.skip(f"no MNIST: {error}")
    found = one_nearest_neighbour(train.x, train.labels, test.x, test.labels)
    assert found.accuracy == 0.869


# Errors -------------------------------------------------------------------------------------

X, IMAGES = normal(50, 3), bytes_of(4)
NAN = np.where(np.arange(150).reshape(50, 3) == 7, np.nan, X)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: class_histogram(np.zeros((0, 10))), "at least 1 rows, got 0"),
        (lambda: class_histogram(np.ones((3, 10))), "adding up to 1"),
        (lambda: class_histogram(np.ones((3, 1))), "K >= 2"),
        (lambda: class_histogram(np.array([[1.5, -0.5]])), "from -0.5"),
        (lambda: class_histogram(np.full((3, 2), np.nan)), "finite"),
        (lambda: class_histogram(np.full((3, 2), 0.5), threshold=2), "threshold"),
        (lambda: frechet_with_error(X[:10], X), "at least 40 rows, got 10"),
        (lambda: frechet_with_error(X, X[:, :2]), "3 and 2 features"),
        (lambda: frechet_with_error(X, NAN), "second: expected finite"),
        (lambda: frechet_with_error(X, X, groups=1), "2 or more"),
        (lambda: classifier_distance(X[:, 0], X), r"shape \(N, d\)"),
        (lambda: classifier_distance(X, X, X[:, 0]), r"shape \(N, d\)"),
        (lambda: frechet([0], np.eye(2), [0, 0], np.eye(2)), "covariances"),
        (lambda: frechet([0], [[np.inf]], [0], [[1]]), "infinity"),
        (lambda: precision_recall(X, X[:3]), "samples: expected at least 4 rows"),
        (lambda: precision_recall(X[:0], X), "real: expected at least 4 rows"),
        (lambda: precision_recall(X, X[:, :2]), "3 and 2 features"),
        (lambda: precision_recall(X, NAN), "samples: expected finite"),
        (lambda: precision_recall(X, X, k=0), "k: expected a whole number from 1"),
        (lambda: precision_recall(X, X, block=0), "block: expected a whole number from 1"),
        (lambda: precision_recall(X.astype(str), X), "expected numbers"),
        (lambda: nearest(IMAGES[:0], IMAGES), "samples: expected images"),
        (lambda: nearest(IMAGES, IMAGES[:0]), "train: expected images"),
        (lambda: nearest(IMAGES, IMAGES[..., :3]), r"train: .*\(N, 1, 6, 5\)"),
        (lambda: nearest(IMAGES / 100, IMAGES), r"samples: expected floats in \[0, 1\]"),
        (lambda: nearest(IMAGES / np.nan, IMAGES), r"samples: expected floats in \[0, 1\]"),
        (lambda: nearest(IMAGES, IMAGES, block=True), "block"),
        (lambda: picture(IMAGES, IMAGES, columns=0), "columns"),
        (lambda: one_nearest_neighbour(IMAGES, [0], IMAGES, [0] * 4), r"train_labels: .*\(4,\)"),
        (lambda: one_nearest_neighbour(IMAGES, [0] * 4, IMAGES, [-1] * 4), "test_labels: .*0 or"),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_images_of_other_types_are_refused():
    for call in (lambda x: nearest(x, IMAGES), lambda x: neighbours.nearest(IMAGES, x)):
        with pytest.raises(TypeError, match="uint8 or floats"):
            call(IMAGES.astype(np.int32))
