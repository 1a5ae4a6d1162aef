"""Stacked MNIST, from files of a few digits."""

import gzip
import struct

import numpy as np
import pytest

from minigan import data, recipes
from minigan.data.load import is_here, splits
from minigan.errors import MiniganError


def idx(array):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A folder of twelve digits, each one brightness, and its labels."""
    folder = tmp_path_factory.mktemp("data")
    labels = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
    images = np.arange(12)[:, None, None] * np.full((12, 28, 28), 20)
    for prefix in ("train", "t10k"):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            (folder / f"{prefix}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
    return folder, labels


def load(digits, **options):
    return data.load("stacked-mnist", data_dir=digits[0], **options)


def test_each_channel_is_a_digit_and_the_label_spells_them(digits):
    stacked = load(digits, count=500)
    assert stacked.x.shape == (500, 3, 28, 28)
    assert stacked.x.dtype == np.uint8
    assert (stacked.x == stacked.x[:, :, :1, :1]).all()  # none is mixed with another
    rows = stacked.x[:, :, 0, 0] // 20
    spelled = ["".join(map(str, digits[1][row])) for row in rows]
    assert [stacked.classes[label] for label in stacked.labels] == spelled
    # Drawn independently: all twelve in each channel, and all 144 pairs of two of them.
    assert len({tuple(row) for row in rows[:, :2]}) > 130
    assert len({tuple(row) for row in rows[:, 1:]}) > 130
    for channel in range(3):
        assert len(set(rows[:, channel])) == 12


def test_as_many_as_there_are_digits(digits):
    assert len(load(digits)) == 12
    assert len(load(digits, split="test")) == 12


def test_what_decides_the_stacks(digits):
    first = load(digits, count=40)
    assert load(digits, count=40).checksum == first.checksum
    assert load(digits, count=40, seed=1).checksum != first.checksum
    assert (load(digits, count=40, split="test").labels != first.labels).any()


def test_sizes_and_splits(digits):
    assert load(digits, count=2, size=32).x.shape == (2, 3, 32, 32)
    assert splits("stacked-mnist") == ("train", "test", "paper-train", "valid")
    with pytest.raises(MiniganError, match="a digit in each of three channels"):
        load(digits, channels=1)
    with pytest.raises(MiniganError, match="no split 'dev'"):
        load(digits, split="dev")
    with pytest.raises(MiniganError, match="needs 50000"):
        load(digits, split="paper-train")


def test_a_recipe_keeps_its_split():
    paper = recipes.override(recipes.get("gan-paper"), {"data": "stacked-mnist"})
    assert paper.split == "paper-train"


def test_whether_it_is_here(digits, monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path))
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    assert not is_here("stacked-mnist", "train")
    monkeypatch.setenv("MINIGAN_DATA", str(digits[0]))
    assert is_here("stacked-mnist", "train")
    assert is_here("ring8", "train")
