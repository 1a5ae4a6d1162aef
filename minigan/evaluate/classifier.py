"""A classifier of MNIST digits, trained by minigan itself: the eye of the measurements.

    image (N, 1, 28, 28), pixels in [0, 1]
      conv 4x4, stride 2    16 x 14 x 14   BN, LeakyReLU
      conv 4x4, stride 2    32 x  7 x  7   BN, LeakyReLU
      conv 3x3, stride 2    64 x  4 x  4   BN, LeakyReLU
      linear                64             LeakyReLU       the features
      linear                10                             logits; softmax: the probabilities

It says which digit a sample is, and how surely; and its features are the space in which samples
and data are compared.  The convolutions are those of the DCGAN's discriminator (strided, no
pooling), which keeps it small.  Batches are shifted by up to two pixels at random, so that a digit
may lie anywhere; the learning rate falls linearly.

The trained weights are a file of the package, ``mnist_classifier.npz``, with the recipe and the
accuracy measured.  To make it again, in about a minute of one core::

    MINIGAN_NUM_THREADS=1 python -m minigan.evaluate.classifier --data-dir DIR --out FILE.npz

With other numbers of threads, or on another kind of processor, sums are rounded differently, and
the classifier is another one of about the same accuracy.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan import backends, nn, optim
from minigan import functional as F
from minigan.autograd import Tensor, no_grad
from minigan.backends import to_numpy
from minigan.data.loader import Batches, to_float
from minigan.errors import MiniganError
from minigan.evaluate import arrays
from minigan.files import explained, write_atomically

IMAGE = (1, 28, 28)
CLASSES = 10
BATCH = 500  # images looked at a time after training: bounds the memory
SHIPPED = Path(__file__).with_name("mnist_classifier.npz")
FORMAT = "minigan-classifier"
VERSION = 1
MAX_BYTES = 2**24


@dataclass(frozen=True, kw_only=True)
class ClassifierRecipe:
    """Every number of the classifier and of its training.

    * ``widths``: channels of the three convolutions; ``features``: of the layer before the last.
    * ``slope``: of the leaky ReLUs.
    * ``shift``: images are moved by -shift .. shift pixels in both directions while training.
    * ``steps`` of Adam with ``batch_size`` images; the learning rate goes from ``lr`` in equal
      steps to ``lr_end``.
    * ``seed``: of the weights, the order of the images and the shifts.

    Raises ValueError, one line, for numbers with which there is no network or no training.
    """

    widths: tuple[int, int, int] = (16, 32, 64)
    features: int = 64
    slope: float = 0.1
    shift: int = 2
    batch_size: int = 128
    steps: int = 2500
    lr: float = 3e-3
    lr_end: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.999)
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.widths) != 3:
            raise ValueError(f"widths: expected three numbers of channels, got {self.widths}")
        for width in self.widths:
            arrays.at_least_1("widths", width)
        for name in ("features", "batch_size", "steps"):
            arrays.at_least_1(name, getattr(self, name))
        if not 0 <= self.shift < IMAGE[1] or self.seed < 0:
            raise ValueError(
                f"expected a shift of 0 to {IMAGE[1] - 1} pixels and a seed from 0, got "
                f"{self.shift} and {self.seed}"
            )


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained network and where it comes from.

    * ``body``: images (N, 1, 28, 28) in [0, 1] -> features (N, d); ``head``: features -> logits.
    * ``test_accuracy``: the share of ``test_count`` test images that it gets right, if measured.
    * ``data_checksum``: of the training images and labels, as ``Dataset.checksum``.
    """

    body: nn.Module
    head: nn.Module
    recipe: ClassifierRecipe
    test_accuracy: float | None = None
    test_count: int = 0
    data_checksum: str = ""

    def features(self, images: np.ndarray) -> np.ndarray:
        """The layer before the last: images (N, 1, 28, 28) -> float32 (N, d), d = 64.

        Args:
            images: uint8, or floats in [0, 1].

        >>> load().features(np.zeros((2, 1, 28, 28), np.uint8)).shape
        (2, 64)

        Raises ValueError or TypeError, one line, for other shapes, values and types.
        """
        return self._in_batches(images, lambda x: self.body(x))

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """How sure it is of each digit: images as in ``features`` -> float32 (N, 10), sums 1.

        >>> bool(load().probabilities(np.zeros((1, 1, 28, 28))).sum().round(5) == 1)
        True
        """
        return self._in_batches(images, lambda x: F.softmax(self.head(self.body(x)), 1))

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of images whose most probable digit is the label, int (N,) of 0..9."""
        guesses = self.probabilities(images).argmax(axis=1)
        return float((guesses == arrays.labels("labels", labels, len(guesses), CLASSES)).mean())

    def _in_batches(self, images: np.ndarray, look: Callable[[Tensor], Tensor]) -> np.ndarray:
        images = arrays.images("images", images, IMAGE)
        with no_grad():
            seen = [look(_tensor(images[i : i + BATCH])) for i in range(0, len(images), BATCH)]
        return np.concatenate([to_numpy(y.array) for y in seen])


def build(recipe: ClassifierRecipe) -> tuple[nn.Sequential, nn.Sequential]:
    """The network of the module's docstring with fresh weights: features, and logits of them."""
    a, b, c = recipe.widths
    body = nn.Sequential(
        nn.Conv2d(1, a, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(a),
        nn.LeakyReLU(recipe.slope),
        nn.Conv2d(a, b, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(b),
        nn.LeakyReLU(recipe.slope),
        nn.Conv2d(b, c, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(c),
        nn.LeakyReLU(recipe.slope),
        nn.Flatten(),
        nn.Linear(c * 4 * 4, recipe.features),
        nn.LeakyReLU(recipe.slope),
    )
    return body, nn.Sequential(nn.Linear(recipe.features, CLASSES))


def cross_entropy(logits: Tensor, labels: np.ndarray) -> Tensor:
    """The mean of -log softmax(logits)[label].  logits: (N, K), labels: ints (N,) -> ().

    >>> from minigan import tensor
    >>> cross_entropy(tensor([[0.0, 0.0]]), np.array([1]))  # log 2
    tensor(0.6931)
    """
    log_p = F.log_softmax(logits, 1)
    return -log_p[np.arange(len(labels)), labels].mean()


def shifted(images: np.ndarray, by: int, rng: np.random.Generator) -> np.ndarray:
    """Each image moved by its own whole numbers of pixels in [-by, by], down and right; what
    comes in is 0.  (N, 1, H, W) -> the same shape and dtype.

    >>> shifted(np.ones((5, 1, 28, 28), np.uint8), 2, np.random.default_rng(0)).shape
    (5, 1, 28, 28)
    """
    n, _, height, width = images.shape
    framed = np.pad(images[:, 0], ((0, 0), (by, by), (by, by)))
    windows = np.lib.stride_tricks.sliding_window_view(framed, (height, width), axis=(1, 2))
    top, left = rng.integers(0, 2 * by + 1, (2, n))
    return windows[np.arange(n), top, left][:, None]


def train(
    images: np.ndarray,
    labels: np.ndarray,
    recipe: ClassifierRecipe | None = None,
    *,
    report: Callable[[int, float], Any] | None = None,
) -> Classifier:
    """Train a classifier after a recipe, by default the one of the shipped file.

    The same seed, data and number of threads give the same bits; the global random generator is
    restarted for that.  At the end the weights are rounded to float16, as the file holds them, so
    that a classifier and its file are the same.

    Args:
        images: uint8 (N, 1, 28, 28), at least a batch of them.
        labels: whole numbers 0..9, (N,).
        report: called with the number of steps done and the loss, every hundred steps.

    Raises TypeError or ValueError for wrong arrays and MiniganError if the loss is lost to NaN.
    """
    recipe = ClassifierRecipe() if recipe is None else recipe
    images = arrays.images("images", images, IMAGE)
    if images.dtype != np.uint8:
        raise TypeError(f"images: expected uint8 to train on, got {images.dtype}")
    labels = arrays.labels("labels", labels, len(images), CLASSES)
    batches = Batches(len(images), recipe.batch_size, recipe.seed)
    schedule = optim.schedules.linear(recipe.lr, recipe.lr_end, recipe.steps)

    backends.manual_seed(recipe.seed)
    body, head = build(recipe)
    optimizer = optim.Adam([*body.parameters(), *head.parameters()], betas=recipe.betas)
    for step in range(recipe.steps):
        rows = batches.indices(step)
        x = shifted(images[rows], recipe.shift, np.random.default_rng((recipe.seed, step)))
        loss = cross_entropy(head(body(_tensor(x))), labels[rows])
        optimizer.lr = schedule(step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if report is not None and (step + 1) % 100 == 0:
            report(step + 1, loss.item())
    if not np.isfinite(loss.item()):
        raise MiniganError(
            f"the loss is {loss.item()} after {recipe.steps} steps: use a smaller lr"
        )
    for network in (body, head):
        network.load_state_dict(_as_stored(network.state_dict()))
        network.eval()
    return Classifier(body, head, recipe)


def _tensor(images: np.ndarray) -> Tensor:
    """Images, uint8 or in [0, 1], as float32 in [0, 1] on the current backend."""
    x = to_float(images, 0, 1) if images.dtype == np.uint8 else images.astype(np.float32)
    return Tensor(backends.xp().asarray(x))


# The file -----------------------------------------------------------------------------------


def _as_stored(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Matrices and kernels in float16, which halves the file; vectors, few and small, as are."""
    return {name: a.astype(np.float16) if a.ndim > 1 else a for name, a in state.items()}


def save(classifier: Classifier, path: Path | str) -> None:
    """Write the classifier as an ``.npz`` file without pickles: its state and a JSON text."""
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "recipe": dataclasses.asdict(classifier.recipe),
        "test_accuracy": classifier.test_accuracy,
        "test_count": classifier.test_count,
        "data_checksum": classifier.data_checksum,
    }
    state = {
        f"{part}.{name}": array
        for part in ("body", "head")
        for name, array in _as_stored(getattr(classifier, part).state_dict()).items()
    }
    packed = io.BytesIO()
    np.savez(packed, meta=np.array(json.dumps(meta, allow_nan=False)), **state)
    write_atomically(Path(path), packed.getvalue())


def load(path: str | os.PathLike = SHIPPED) -> Classifier:
    """The classifier in a file, by default the one that comes with minigan, in evaluation mode.

    >>> load().test_accuracy >= 0.99
    True

    Raises MiniganError, one line, if the file is missing, damaged or of another shape.
    """
    path = Path(path)
    with explained("read", path):
        if path.stat().st_size > MAX_BYTES:
            raise _unusable(path, f"it is longer than {MAX_BYTES} bytes")
        content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        meta = json.loads(str(found.pop("meta")))
        if (meta["format"], meta["version"]) != (FORMAT, VERSION):
            raise ValueError(f"it is marked as {meta['format']} {meta['version']}")
        numbers = {k: tuple(v) if type(v) is list else v for k, v in meta["recipe"].items()}
        recipe = ClassifierRecipe(**numbers)
        networks = build(recipe)
        for part, network in zip(("body.", "head."), networks):
            state = {k.removeprefix(part): v for k, v in found.items() if k.startswith(part)}
            if not all(np.isfinite(array).all() for array in state.values()):
                raise ValueError("a weight is not finite")
            network.load_state_dict(state)
            network.eval()
        return Classifier(
            *networks, recipe, meta["test_accuracy"], meta["test_count"], meta["data_checksum"]
        )
    # Whatever zipfile, NumPy and JSON raise on damaged bytes: the file is not what it should be.
    except Exception as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise _unusable(path, reason or type(error).__name__) from None


def _unusable(path: Path, reason: str) -> MiniganError:
    return MiniganError(
        f"{path} is not a usable classifier: {' '.join(reason.split())[:200]}; make a new one with "
        "python -m minigan.evaluate.classifier"
    )


# The command --------------------------------------------------------------------------------


def main() -> None:
    """``python -m minigan.evaluate.classifier``"""
    import click

    from minigan.data import load as load_data

    @click.command()
    @click.option("--data-dir", metavar="DIR", help="Folder with the files of MNIST.")
    @click.option("--out", metavar="FILE", required=True, help="The .npz file to write.")
    def command(data_dir: str | None, out: str) -> None:
        """Train the classifier of MNIST digits, measure it on the test images, write its file.

        \b
        Example:
          python -m minigan.evaluate.classifier --data-dir data --out mnist_classifier.npz
        """

        def report(step: int, loss: float) -> None:
            if step % 500 == 0:
                click.echo(f"step {step}  loss {loss:.4f}")

        try:
            training = load_data("mnist", data_dir=data_dir)
            test = load_data("mnist", split="test", data_dir=data_dir)
            classifier = train(training.x, training.labels, report=report)
            classifier = dataclasses.replace(
                classifier,
                test_accuracy=classifier.accuracy(test.x, test.labels),
                test_count=len(test),
                data_checksum=training.checksum,
            )
            save(classifier, out)
        except MiniganError as error:
            raise click.ClickException(str(error)) from None
        click.echo(f"{out}: {100 * classifier.test_accuracy:.2f} % of {len(test)} test images")

    command()


if __name__ == "__main__":
    main()
