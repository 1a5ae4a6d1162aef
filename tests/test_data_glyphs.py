"""Glyphs: they look like labelled digits, come from a seed, and survive a bad cache."""

import os
import subprocess
import sys

import numpy as np
import pytest

from minigan.data import load
from minigan.data.glyphs import DEFAULT_COUNT, FONTS, _distance, atlas, draw, make_glyphs


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# --- the pictures ---


def test_form_and_labels():
    data = load("glyphs", count=25)
    assert data.x.shape == (25, 1, 28, 28)
    assert data.x.dtype == np.uint8
    assert data.classes == tuple("0123456789")
    np.testing.assert_array_equal(data.labels, np.arange(25) % 10)
    assert load("glyphs", count=3, channels=3).x.shape == (3, 3, 28, 28)


def test_margins_and_ink_are_those_of_mnist():
    x = make_glyphs(5000)[:, 0]
    assert not x[:, [0, -1]].any()  # nothing is cropped
    assert not x[:, :, [0, -1]].any()
    assert x.max(axis=(1, 2)).min() > 200  # every digit is white somewhere
    ink = x > 127
    columns, rows = ink.any(axis=1), ink.any(axis=2)
    sides = np.maximum(
        28 - columns.argmax(axis=1) - columns[:, ::-1].argmax(axis=1),
        28 - rows.argmax(axis=1) - rows[:, ::-1].argmax(axis=1),
    )
    assert 19 <= sides.mean() <= 21  # MNIST: 20 by construction
    assert sides.min() >= 14
    assert sides.max() <= 25
    assert 0.11 <= x.mean() / 255 <= 0.16  # MNIST: 0.1307


def nearest_neighbour_accuracy(train, train_labels, test, test_labels):
    a, b = (x.reshape(len(x), -1).astype(np.float32) for x in (train, test))
    squared = (a**2).sum(axis=1) - 2 * b @ a.T
    return (train_labels[squared.argmin(axis=1)] == test_labels).mean()


def test_digits_can_be_told_apart_by_their_neighbours():
    train, test = load("glyphs", count=4000), load("glyphs", count=500, split="test")
    assert nearest_neighbour_accuracy(train.x, train.labels, test.x, test.labels) > 0.93


def test_the_labels_name_the_digits():
    # Counting holes (black regions not joined to the border) knows nothing of our labels.
    x, labels = make_glyphs(300, 64)[:, 0] > 100, np.arange(300) % 10
    holes = np.array([_count_holes(picture) for picture in x])
    expected = np.array([1, 0, 0, 0, 1, 0, 1, 0, 2, 1])[labels]
    assert (holes == expected).mean() > 0.9  # thick strokes close a hole now and then


def _count_holes(ink):
    black = np.pad(~ink, 1, constant_values=True)
    regions = 0
    while black.any():
        regions += 1
        region = np.zeros_like(black)
        region[np.unravel_index(black.argmax(), black.shape)] = True
        size = 0
        while region.sum() != size:
            size = region.sum()
            region[1:] |= region[:-1]
            region[:-1] |= region[1:]
            region[:, 1:] |= region[:, :-1]
            region[:, :-1] |= region[:, 1:]
            region &= black
        black &= ~region
    return regions - 1  # the first is the surroundings


def test_no_two_digits_are_alike():
    x = make_glyphs(2000).reshape(2000, -1)
    assert len(np.unique(x, axis=0)) == 2000


def test_a_digit_is_the_same_at_every_size():
    large, small = make_glyphs(200, 56), make_glyphs(200, 28)
    halved = large.reshape(200, 1, 28, 2, 28, 2).mean(axis=(3, 5))
    difference = np.abs(halved - small).mean(axis=(1, 2, 3))
    assert difference.max() < 12  # of 255; two different digits differ by about 50
    assert np.abs(halved - np.roll(small, 1, axis=0)).mean() > 30


@pytest.mark.parametrize("size", [8, 11, 32, 64, 100])
def test_any_size(size):
    x = make_glyphs(20, size)
    assert x.shape == (20, 1, size, size)
    assert x.std(axis=(1, 2, 3)).min() > 20


def test_every_font_has_ten_different_digits():
    fields = atlas()
    assert len(FONTS) >= 12
    assert len(set(FONTS)) == len(FONTS)
    assert len(fields.distance) == 10 * len(FONTS)
    inside = (fields.distance < 0).reshape(10 * len(FONTS), -1)
    assert len(np.unique(inside, axis=0)) == 10 * len(FONTS)


def test_distance_is_euclidean():
    mask = np.random.default_rng(0).random((2, 20, 24)) < 0.02
    mask[:, 5, 5] = True
    points = np.indices((20, 24)).transpose(1, 2, 0)
    for one, result in zip(mask, _distance(mask)):
        to_each = np.linalg.norm(points[:, :, None] - np.argwhere(one), axis=3)
        np.testing.assert_allclose(result, to_each.min(axis=2), rtol=1e-6)


# --- seeds, splits, prefixes ---


def test_a_shorter_set_is_the_beginning_of_a_longer_one():
    long = make_glyphs(2100, 16)  # over the border of two chunks
    for count in (1, 7, 999, 1000, 1001, 2050):
        np.testing.assert_array_equal(make_glyphs(count, 16), long[:count])


def test_seeds_and_splits_share_no_digits():
    sets = [
        make_glyphs(200, 16, seed=0),
        make_glyphs(200, 16, seed=1),
        make_glyphs(200, 16, seed=0, split="test"),
    ]
    pictures = np.concatenate(sets).reshape(600, -1)
    assert len(np.unique(pictures, axis=0)) == 600


def test_chunks_share_no_numbers():
    first, second = draw(0, "train", 0), draw(0, "train", 1)
    assert not np.isin(first.box, second.box).any()


def test_the_displacement_is_bounded():
    bend = draw(0, "train", 0).bend
    assert np.abs(bend).sum(axis=(2, 3)).max() <= 2.8 + 1e-9


def test_default_counts_are_those_of_mnist():
    assert DEFAULT_COUNT == {"train": 60_000, "test": 10_000}
    assert len(load("glyphs", split="test", size=8)) == 10_000


@pytest.mark.parametrize("arguments", [{"count": 0}, {"size": 7}, {"seed": -1}, {"split": "x"}])
def test_make_glyphs_checks_its_arguments(arguments):
    with pytest.raises(ValueError):
        make_glyphs(**{"count": 1, **arguments})


# --- the cache ---


def test_the_second_time_comes_from_the_cache(monkeypatch):
    first = load("glyphs", count=30)
    monkeypatch.setattr("minigan.data.glyphs.make_glyphs", None)  # would fail if called
    assert load("glyphs", count=30).checksum == first.checksum


def test_each_set_has_a_file_of_its_own(cache):
    load("glyphs", count=10)
    for other in ({"count": 11}, {"size": 16}, {"seed": 1}, {"split": "test"}):
        load("glyphs", **{"count": 10, **other})
    assert len(list(cache.iterdir())) == 5


def test_a_damaged_cache_is_made_anew(cache):
    expected = load("glyphs", count=30).checksum
    (path,) = cache.iterdir()
    sound = path.read_bytes()
    flipped = bytearray(sound)
    flipped[len(sound) // 2] ^= 1  # one bit of one pixel
    unknown = bytearray(sound)  # a compression that there is not: NotImplementedError of zipfile
    for header, method in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        unknown[sound.index(header) + method] = 99
    for damaged in (
        bytes(flipped), bytes(unknown), sound[: len(sound) // 2], b"", b"PK\3\4 nothing like it"
    ):  # fmt: skip
        path.write_bytes(damaged)
        assert load("glyphs", count=30).checksum == expected
        assert path.read_bytes() != damaged  # and put right
    assert list(cache.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        {"images": np.zeros((30, 1, 28, 28), np.float32)},
        {"images": np.zeros((29, 1, 28, 28), np.uint8)},
        {"other": np.zeros((30, 1, 28, 28), np.uint8)},
        {"images": np.array([{"a": "pickle"}], object)},
    ],
)
def test_a_cache_of_something_else_is_made_anew(cache, content):
    expected = load("glyphs", count=30).checksum
    (path,) = cache.iterdir()
    np.savez(path, **content)
    assert load("glyphs", count=30).checksum == expected


def test_a_cache_that_cannot_be_written_is_only_a_warning(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match=r"glyphs are not cached.*MINIGAN_CACHE") as caught:
        data = load("glyphs", count=10)
    assert len(data) == 10
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)


def test_two_processes_at_once(cache):
    program = "from minigan.data import load; print(load('glyphs', count=3000).checksum)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    checksums = {stdout.strip() for stdout, _ in outputs}
    assert checksums == {load("glyphs", count=3000).checksum}
    assert len(list(cache.iterdir())) == 1
