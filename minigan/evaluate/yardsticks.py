"""Images that no GAN made, to read a Parzen log-likelihood by (``parzen``).

Each is a function (images (N, D) of [0, 1], labels (N,), n, rng) -> float32 images (n or fewer, D),
made from training images alone.  A generator that has learnt the data should lie near
``real_images``; what scores above them resembles k-means, what scores below ``class_gaussians`` is
beaten by ten means and covariances.  Fewer than n rows come back where there are no more: the
Parzen estimate is a mean over rows, so it needs no copies.

>>> rng = np.random.default_rng(0)
>>> images, labels = rng.random((50, 9), np.float32), np.arange(50) % 10
>>> {name: make(images, labels, 20, rng).shape[0] for name, make in YARDSTICKS.items()}
{'real images': 20, 'no digit 1': 20, 'k-means centres': 20, 'ten Gaussians': 20,
 'one Gaussian': 20, 'real images + noise': 20, 'only digit 1': 5, 'mean image': 1}
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigan.evaluate.checks import check_pixels
from minigan.evaluate.distances import block_rows, blocks, squared_distances

Images = np.ndarray  # float (N, D), pixels in [0, 1]
Labels = np.ndarray  # integers (N,)


def real_images(images: Images, labels: Labels, n: int, rng: np.random.Generator) -> Images:
    """n of the training images, each at most once.

    >>> images = np.linspace(0, 1, 6).reshape(3, 2)
    >>> len(np.unique(real_images(images, np.zeros(3, int), 3, np.random.default_rng(0)), axis=0))
    3
    """
    _check(images, labels, n)
    return _some(images, n, rng)


def _some(images: Images, n: int, rng: np.random.Generator) -> Images:
    if len(images) == 0:
        raise ValueError("no image has a label of the kind asked for: expected some")
    return images[rng.permutation(len(images))[:n]].astype(np.float32)


def only_digit_1(images: Images, labels: Labels, n: int, rng: np.random.Generator) -> Images:
    """n of the images with label 1: total collapse onto one class.

    >>> images, labels = np.array([[0.0], [0.5], [1.0]]), np.array([1, 0, 1])
    >>> sorted(only_digit_1(images, labels, 9, np.random.default_rng(0)).ravel().tolist())
    [0.0, 1.0]
    """
    _check(images, labels, n)
    return _some(images[labels == 1], n, rng)


def no_digit_1(images: Images, labels: Labels, n: int, rng: np.random.Generator) -> Images:
    """n of the images with another label than 1: perfect, but for one class that is missing.

    >>> images, labels = np.array([[0.0], [0.5], [1.0]]), np.array([1, 0, 1])
    >>> no_digit_1(images, labels, 9, np.random.default_rng(0))
    array([[0.5]], dtype=float32)
    """
    _check(images, labels, n)
    return _some(images[labels != 1], n, rng)


def mean_image(images: Images, labels: Labels, n: int, rng: np.random.Generator) -> Images:
    """The mean of all training images, once.

    >>> mean_image(np.array([[0.0, 1.0], [0.5, 1.0]]), np.zeros(2, int), 9, None)
    array([[0.25, 1. ]], dtype=float32)
    """
    _check(images, labels, n)
    return images.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32)


def real_plus_noise(images: Images, labels: Labels, n: int, rng: np.random.Generator) -> Images:
    """n training images, N(0, 0.1^2) added to each pixel, clipped to [0, 1].

    Without the clipping these were no images, and much less likely: most pixels of MNIST are 0, and
    there it cuts off half of the noise.

    >>> rng = np.random.default_rng(0)
    >>> noisy = real_plus_noise(np.full((10, 100), 0.5), np.zeros(10, int), 10, rng)
    >>> round(float(noisy.std()), 1)
    0.1
    """
    x = real_images(images, labels, n, rng)
    x += 0.1 * rng.standard_normal(x.shape, np.float32)
    return x.clip(0, 1)


def one_gaussian(images: Images, labels: Labels, n: int, rng: np.random.Generator) -> Images:
    """n draws of the Gaussian with the data's mean and its 50 largest principal components.

    Clipped to [0, 1].

    >>> rng = np.random.default_rng(0)
    >>> images = rng.random((1000, 3))
    >>> x = one_gaussian(images, np.zeros(1000, int), 5000, rng)
    >>> x.shape, bool(np.abs(x.mean(axis=0) - 0.5).max() < 0.05)
    ((5000, 3), True)
    """
    _check(images, labels, n)
    return _gaussian(images, n, 50, rng)


def class_gaussians(images: Images, labels: Labels, n: int, rng: np.random.Generator) -> Images:
    """n draws of a Gaussian for each class, mean and 30 principal components, clipped to [0, 1].

    Classes are as frequent as in the data.

    >>> images = np.repeat([[0.0, 0.0], [1.0, 1.0]], 5, axis=0)  # two classes of equal images
    >>> labels = np.repeat([0, 1], 5)
    >>> x = class_gaussians(images, labels, 100, np.random.default_rng(0))
    >>> np.unique(x, axis=0).tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    _check(images, labels, n)
    drawn = rng.choice(labels, n)
    x = np.empty((n, images.shape[1]), np.float32)
    for c in np.unique(drawn):
        x[drawn == c] = _gaussian(images[labels == c], int((drawn == c).sum()), 30, rng)
    return x


def _gaussian(images: Images, n: int, components: int, rng: np.random.Generator) -> Images:
    """n draws of mean + sum over k of z_k sqrt(variance_k) direction_k, z ~ N(0, I), clipped."""
    D = images.shape[1]
    mean, covariance = images.mean(axis=0, dtype=np.float64), np.zeros((D, D))
    for rows in blocks(len(images), block_rows(D)):
        x = images[rows] - mean
        covariance += x.T @ x / len(images)
    variances, directions = np.linalg.eigh(covariance)  # ascending: the last are the largest
    variances, directions = variances[-components:], directions[:, -components:]
    z = rng.standard_normal((n, len(variances)))
    draws = mean + (z * np.sqrt(np.maximum(variances, 0))) @ directions.T  # rounding: -1e-18
    return draws.clip(0, 1).astype(np.float32)


def k_means_centres(
    images: Images, labels: Labels, n: int, rng: np.random.Generator, *,
    K: int = 1000, iterations: int = 20,
) -> Images:  # fmt: skip
    """At most K centres (and at most n, and N) that k-means puts among the training images.

    Lloyd's algorithm: from K of the images, each image goes to its nearest centre and each centre
    to the mean of its images, until nothing changes or for so many ``iterations``.  A centre
    without images stays where it is.

    >>> images = np.array([[0.0], [0.1], [0.9], [1.0]])
    >>> centres = k_means_centres(images, np.zeros(4, int), 2, np.random.default_rng(0))
    >>> np.sort(centres, axis=0)
    array([[0.05], [0.95]], dtype=float32)
    """
    centres = real_images(images, labels, min(n, K), rng)
    if iterations < 1:
        raise ValueError(f"iterations is {iterations}: expected at least 1")
    before = None
    for _ in range(iterations):
        nearest = _nearest(images, centres)
        if before is not None and (nearest == before).all():
            break
        before = nearest
        # Images in the order of their centres: those of centre k lie between two ends.
        order = np.argsort(nearest, kind="stable")
        ends = np.searchsorted(nearest[order], np.arange(len(centres) + 1))
        for k in range(len(centres)):
            own = order[ends[k] : ends[k + 1]]
            if len(own) > 0:
                centres[k] = images[own].mean(axis=0)
    return centres


def _nearest(images: Images, centres: Images) -> np.ndarray:
    """The number of each image's nearest centre.  float32: a tie may go either way."""
    nearest = np.empty(len(images), np.int64)
    for rows in blocks(len(images), block_rows(images.shape[1])):
        d = squared_distances(images[rows].astype(np.float32), centres)
        nearest[rows] = d.argmin(axis=1)
    return nearest


def _check(images: Images, labels: Labels, n: int) -> None:
    check_pixels(images=images)
    if not isinstance(images, np.ndarray):
        raise TypeError("images lie on the GPU: yardsticks are made with NumPy, call to_numpy")
    if np.shape(labels) != (len(images),):
        raise ValueError(f"labels have shape {np.shape(labels)}: expected ({len(images)},)")
    if n < 1:
        raise ValueError(f"n is {n}: expected at least 1")


YARDSTICKS: dict[str, Callable[[Images, Labels, int, np.random.Generator], Images]] = {
    "real images": real_images,
    "no digit 1": no_digit_1,
    "k-means centres": k_means_centres,
    "ten Gaussians": class_gaussians,
    "one Gaussian": one_gaussian,
    "real images + noise": real_plus_noise,
    "only digit 1": only_digit_1,
    "mean image": mean_image,
}
