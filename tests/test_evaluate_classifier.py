"""The classifier of the measurements: training, the file, and what it says about MNIST."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigan import data
from minigan.autograd import Tensor
from minigan.errors import MiniganError
from minigan.evaluate import classifier as c
from minigan.evaluate.classifier import Classifier, ClassifierRecipe, cross_entropy, shifted

TINY = ClassifierRecipe(
    widths=(2, 3, 4), features=8, shift=1, batch_size=16, steps=60, lr=0.02, seed=3
)


def bars(n, seed=0):
    """Ten classes that are easy to tell: a bright bar at one of ten places, with noise."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 10
    images = random.integers(0, 60, (n, 1, 28, 28), np.uint8)
    for image, label in zip(images, labels):
        top, left = 2 + 5 * (label // 2), 2 + 13 * (label % 2)
        image[0, top : top + 3, left : left + 10] += 180
    return images, labels


@pytest.fixture(scope="module")
def tiny():
    return c.train(*bars(160), TINY)


@pytest.fixture(scope="module")
def shipped():
    return c.load()


def state(classifier):
    return {**classifier.body.state_dict(), **classifier.head.state_dict()}


# Parts --------------------------------------------------------------------------------------


def test_cross_entropy_is_minus_the_log_of_the_probability_and_its_gradient():
    random = np.random.default_rng(0)
    logits = Tensor(random.normal(size=(5, 4)), requires_grad=True)
    labels = np.array([0, 3, 1, 1, 2])
    loss = cross_entropy(logits, labels)
    loss.backward()
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(axis=1, keepdims=True)
    assert loss.item() == pytest.approx(-np.log(p[np.arange(5), labels]).mean(), rel=1e-12)
    np.testing.assert_allclose(logits.grad.numpy(), (p - np.eye(4)[labels]) / 5, atol=1e-14)


def test_a_shift_moves_every_image_by_its_own_amount_and_loses_nothing_inside():
    images = np.zeros((200, 1, 28, 28), np.uint8)
    images[:, 0, 14, 10] = 255
    moved = shifted(images, 2, np.random.default_rng(0))
    assert moved.shape == images.shape
    assert (moved.sum(axis=(1, 2, 3), dtype=int) == 255).all()
    _, _, rows, columns = np.nonzero(moved)
    assert set(zip(rows, columns)) == {(14 + i, 10 + j) for i in range(-2, 3) for j in range(-2, 3)}
    assert (shifted(images, 0, np.random.default_rng(0)) == images).all()


# Training -----------------------------------------------------------------------------------


def test_training_learns_and_the_result_is_ready_for_use(tiny):
    images, labels = bars(100, seed=1)
    assert tiny.accuracy(images, labels) > 0.9
    assert not tiny.body.training
    assert not tiny.head.training
    p, features = tiny.probabilities(images), tiny.features(images)
    assert (p.shape, features.shape) == ((100, 10), (100, 8))
    assert (p.dtype, features.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    logits = features @ tiny.head.state_dict()["0.weight"].T + tiny.head.state_dict()["0.bias"]
    assert (logits.argmax(axis=1) == p.argmax(axis=1)).all()


def test_training_is_a_function_of_the_seed(tiny):
    reports = []
    again = c.train(*bars(160), TINY, report=lambda *args: reports.append(args))
    for name, array in state(tiny).items():
        np.testing.assert_array_equal(state(again)[name], array, err_msg=name)
    other = c.train(*bars(160), dataclasses.replace(TINY, seed=4))
    assert (state(other)["0.weight"] != state(tiny)["0.weight"]).any()
    assert reports == []  # every hundred steps, and there are 60


def test_images_may_be_bytes_or_floats_and_batches_do_not_matter(tiny, monkeypatch):
    images, _ = bars(30, seed=2)
    whole = tiny.features(images)
    np.testing.assert_allclose(tiny.features(images / 255), whole, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(c, "BATCH", 7)
    np.testing.assert_allclose(tiny.features(images), whole, rtol=1e-4, atol=1e-5)


IMAGES, LABELS = bars(20)


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        (IMAGES[:, 0], ValueError, "28"),
        (IMAGES[:0], ValueError, "N >= 1"),
        (IMAGES[..., :20], ValueError, "1, 28, 28"),
        (IMAGES.astype(int), TypeError, "int64"),
        (IMAGES / 100, ValueError, r"\[0, 1\]"),
        (IMAGES / -255, ValueError, r"\[0, 1\]"),
        (np.full((2, 1, 28, 28), np.nan), ValueError, "nan"),
    ],
)
def test_wrong_images_are_told_in_one_line(tiny, images, error, words):
    for function in (tiny.features, tiny.probabilities):
        with pytest.raises(error, match=words) as caught:
            function(images)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("images", "labels", "error", "words"),
    [
        (IMAGES / 255, LABELS, TypeError, "uint8"),
        (IMAGES, LABELS[:5], ValueError, r"\(20,\)"),
        (IMAGES, LABELS + 1, ValueError, "0 to 9"),
        (IMAGES, LABELS - 1, ValueError, "0 to 9"),
        (IMAGES, LABELS / 2, ValueError, "whole numbers"),
        (IMAGES[:8], LABELS[:8], MiniganError, "batch size 16"),
    ],
)
def test_wrong_training_data_is_told_in_one_line(images, labels, error, words):
    with pytest.raises(error, match=words) as caught:
        c.train(images, labels, TINY)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [{"steps": 0}, {"widths": (1, 2)}, {"widths": (0, 1, 2)}, {"features": 0}, {"batch_size": 1.5},
     {"shift": -1}, {"shift": 28}, {"seed": -1}],
)  # fmt: skip
def test_a_recipe_without_sense_is_refused(change):
    with pytest.raises(ValueError, match=r"expected"):
        ClassifierRecipe(**change)


def test_a_lost_loss_is_an_error():
    with pytest.warns(RuntimeWarning), pytest.raises(MiniganError, match="smaller lr"):
        c.train(*bars(32), dataclasses.replace(TINY, lr=1e30))


# The file -----------------------------------------------------------------------------------


def test_a_classifier_and_its_file_are_the_same(tiny, tmp_path):
    path = tmp_path / "tiny.npz"
    noted = dataclasses.replace(tiny, test_accuracy=0.5, test_count=7, data_checksum="ab")
    c.save(noted, path)
    loaded = c.load(path)
    assert (loaded.recipe, loaded.test_accuracy) == (TINY, 0.5)
    assert (loaded.test_count, loaded.data_checksum) == (7, "ab")
    images, _ = bars(20, seed=5)
    np.testing.assert_array_equal(loaded.features(images), tiny.features(images))
    np.testing.assert_array_equal(loaded.probabilities(images), tiny.probabilities(images))
    c.save(loaded, tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def rewritten(path, **changes):
    """The file with other arrays (None: left out) or, under ``meta``, another description."""
    with np.load(path) as file:
        arrays = dict(file)
    meta = json.loads(str(arrays["meta"])) | changes.pop("meta", {})
    arrays["meta"] = np.array(json.dumps(meta))
    arrays |= {key.replace("__", "."): value for key, value in changes.items()}
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head__0__bias": None}, "missing 0.bias"),
        ({"head__0__bias": np.zeros(9)}, r"\(9,\) instead of \(10,\)"),
        ({"head__0__bias": np.full(10, np.nan)}, "not finite"),
        ({"body__0__weight": np.array(["x"])}, "not a usable classifier"),
        ({"head__0__bias": np.array([None] * 10)}, "allow_pickle"),
        ({"meta": {"format": "other"}}, "other 1"),
        ({"meta": {"version": 2}}, "minigan-classifier 2"),
        ({"meta": {"recipe": {"nonsense": 1}}}, "nonsense"),
        ({"meta": {"recipe": {"widths": [2, 3, 5]}}}, "instead of"),
        ({"meta": {"recipe": None}}, "not a usable classifier"),
    ],
)
def test_a_file_that_does_not_fit_is_told_in_one_line(tiny, tmp_path, changes, words):
    path = tmp_path / "tiny.npz"
    c.save(tiny, path)
    rewritten(path, **changes)
    with pytest.raises(MiniganError, match=words) as caught:
        c.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 nonsense", b"\x93NUMPY", None])
def test_damaged_and_missing_files_are_told_in_one_line(tiny, tmp_path, content):
    path = tmp_path / "damaged.npz"
    if content is None:
        c.save(tiny, path)
        content = path.read_bytes()[:-200]
    path.write_bytes(content)
    with pytest.raises(MiniganError, match="not a usable classifier") as caught:
        c.load(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(MiniganError, match=r"cannot read .*missing\.npz: No such file"):
        c.load(tmp_path / "missing.npz")


def test_the_shipped_file_is_small_and_says_how_it_was_made(shipped):
    assert isinstance(shipped, Classifier)
    assert c.SHIPPED.stat().st_size < 300_000
    assert shipped.recipe == ClassifierRecipe(), "make the file again: the recipe has changed"
    assert shipped.test_accuracy >= 0.99
    assert shipped.test_count == 10_000
    assert len(shipped.data_checksum) == 64


def test_the_pages_say_of_the_shipped_file_what_it_says_of_itself(shipped):
    """Its accuracy is measured again below, where MNIST is."""
    path = Path(__file__).parents[1] / "docs/results/classifier/noted.json"
    noted = json.loads(path.read_text(encoding="utf-8"))[c.SHIPPED.name]
    assert noted["right, % of the test images"] == round(100 * shipped.test_accuracy, 2)
    assert noted["size, KiB"] == round(c.SHIPPED.stat().st_size / 1024)


def test_the_command_tells_an_error_in_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "minigan.evaluate.classifier", "--data-dir", tmp_path / "none",
         "--out", tmp_path / "out.npz"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


# MNIST --------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not os.environ.get("MINIGAN_DATA"), reason="MINIGAN_DATA names no folder with MNIST"
)
def test_at_least_99_percent_of_the_test_images_of_mnist(shipped):
    try:
        test = data.load("mnist", split="test")
    except MiniganError as error:
        pytest.skip(f"no MNIST: {error}")
    accuracy = shipped.accuracy(test.x, test.labels)
    assert accuracy >= 0.99
    assert accuracy == pytest.approx(shipped.test_accuracy, abs=3e-4)
