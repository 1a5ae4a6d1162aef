"""Datasets, batches, scaling, the small image operations, and names that do not exist."""

import errno

import numpy as np
import pytest

from minigan.data import Batches, Dataset, load, to_float
from minigan.data.cache import cache_folder
from minigan.data.images import composite_on_black, resize, with_channels
from minigan.errors import MiniganError
from minigan.files import write_atomically


def images(n=4, channels=1, side=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, channels, side, side), np.uint8)


# --- batches ---


def test_an_epoch_visits_every_row_once_when_the_batches_divide_it():
    batches = Batches(12, 4, seed=3)
    seen = np.concatenate([batches.indices(step) for step in range(batches.per_epoch)])
    assert sorted(seen) == list(range(12))


def test_the_short_batch_is_dropped_and_no_row_comes_twice():
    batches = Batches(11, 4, seed=3)
    assert batches.per_epoch == 2
    seen = np.concatenate([batches.indices(step) for step in range(2)])
    assert seen.shape == (8,)
    assert len(set(seen)) == 8


def test_a_batch_depends_on_seed_and_step_alone():
    forward = Batches(100, 7, seed=5)
    expected = [forward.indices(step) for step in range(60)]
    backward = Batches(100, 7, seed=5)
    for step in reversed(range(60)):  # as after resuming, and worse
        np.testing.assert_array_equal(backward.indices(step), expected[step])


def test_epochs_and_seeds_have_orders_of_their_own():
    def order(seed, epoch):
        return tuple(Batches(50, 50, seed=seed).indices(epoch))

    assert len({order(seed, epoch) for seed in range(5) for epoch in range(5)}) == 25


def test_writing_into_a_batch_does_not_disturb_the_next():
    batches = Batches(10, 5, seed=0)
    expected = batches.indices(0).copy()
    batches.indices(0)[:] = -1
    np.testing.assert_array_equal(batches.indices(0), expected)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(MiniganError, match="batch size 11 is larger than the data set of 10"):
        Batches(10, 11, seed=0)
    assert Batches(10, 10, seed=0).per_epoch == 1


@pytest.mark.parametrize(("batch_size", "seed"), [(0, 0), (-1, 0), (1, -1)])
def test_batches_check_their_arguments(batch_size, seed):
    with pytest.raises(ValueError, match="expected batch_size >= 1 and seed >= 0"):
        Batches(10, batch_size, seed)


def test_a_negative_step_is_refused():
    with pytest.raises(ValueError, match="step >= 0"):
        Batches(10, 2, 0).indices(-1)


# --- scaling ---


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 1)])
def test_to_float_is_linear_with_exact_ends(low, high):
    values = np.arange(256, dtype=np.uint8)
    x = to_float(values, low, high)
    assert x.dtype == np.float32
    assert x[0] == low
    assert x[255] == high
    exact = low + (high - low) * (values / 255.0)
    np.testing.assert_allclose(x, exact, rtol=0, atol=1e-7)


def test_to_float_refuses_floats():
    with pytest.raises(TypeError, match="expected uint8 images, got float32"):
        to_float(np.zeros(3, np.float32), 0, 1)


# --- the data set ---


def test_checksum_sees_every_byte_shape_and_label():
    x, labels = images(), np.arange(4)
    base = Dataset("a", "train", x, labels).checksum
    assert base == Dataset("b", "test", x.copy(), labels.copy()).checksum  # the content only
    changed = x.copy()
    changed[3, 0, 7, 7] ^= 1
    others = [
        Dataset("a", "train", changed, labels),
        Dataset("a", "train", x, labels[::-1].copy()),
        Dataset("a", "train", x),
        Dataset("a", "train", x.reshape(4, 1, 4, 16), labels),
    ]
    assert len({base, *(data.checksum for data in others)}) == 5


def test_the_arrays_cannot_be_changed():
    data = Dataset("a", "train", images(), np.arange(4))
    for array in (data.x, data.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    "x", [images().astype(np.float32), images()[:, 0], images(channels=2), np.zeros((3, 2))]
)
def test_only_images_or_points_make_a_data_set(x):
    with pytest.raises(ValueError, match="expected uint8 images"):
        Dataset("a", "train", x)


@pytest.mark.parametrize("labels", [np.arange(3), np.arange(4.0), np.zeros((4, 1), np.int64)])
def test_labels_must_fit(labels):
    with pytest.raises(ValueError, match=r"expected int64 \(4,\)"):
        Dataset("a", "train", images(), labels)


# --- image operations ---


@pytest.mark.parametrize("size", [5, 12, 20, 33])
def test_resize_agrees_with_pillow_in_floats(size):
    from PIL import Image

    x = images(n=3, channels=3, side=12)
    resized = resize(x, size)
    for source, result in zip(x.reshape(-1, 12, 12), resized.reshape(-1, size, size)):
        picture = Image.fromarray(source.astype(np.float32))
        exact = np.clip(picture.resize((size, size), Image.Resampling.LANCZOS), 0, 255)
        np.testing.assert_allclose(result, exact, rtol=0, atol=0.501)


def test_resize_crops_the_middle():
    x = images(n=2, side=9)
    np.testing.assert_array_equal(resize(x[:, :, :, 2:7], 5), x[:, :, 2:7, 2:7])
    np.testing.assert_array_equal(resize(x[:, :, 2:7], 5), x[:, :, 2:7, 2:7])


def test_grey_becomes_colour_and_back_unchanged():
    x = images(n=2)
    colour = with_channels(x, 3)
    assert colour.shape == (2, 3, 8, 8)
    np.testing.assert_array_equal(with_channels(colour, 1), x)
    assert with_channels(x, None) is x


def test_grey_weights_are_pillows():
    from PIL import Image

    x = images(n=1, channels=3, side=16)
    pillow = np.asarray(Image.fromarray(x[0].transpose(1, 2, 0)).convert("L"))
    np.testing.assert_array_equal(with_channels(x, 1)[0, 0], pillow)


def test_composite_on_black_is_colour_times_alpha():
    rgba = np.random.default_rng(0).integers(0, 256, (50, 4), np.uint8)
    exact = rgba[:, :3] * (rgba[:, 3:] / 255.0)
    np.testing.assert_allclose(composite_on_black(rgba), exact, rtol=0, atol=0.501)


# --- the cache ---


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"MINIGAN_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ("linux", {"XDG_CACHE_HOME": "/b"}, "/b/minigan"),
        ("linux", {"HOME": "/home/me"}, "/home/me/.cache/minigan"),
        ("darwin", {"HOME": "/home/me"}, "/home/me/Library/Caches/minigan"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/minigan"),
    ],
)
def test_where_the_cache_is(monkeypatch, platform, variables, expected):
    for variable in ("MINIGAN_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("sys.platform", platform)
    assert cache_folder().as_posix() == expected


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(handle):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr("minigan.files.os.fsync", fail)
    with pytest.raises(MiniganError, match=r"cannot write .*file: disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# --- names and arguments ---


def one_line_error(**arguments):
    with pytest.raises(MiniganError) as caught:
        load(**arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_unknown_name_lists_what_exists():
    message = one_line_error(name="something\nelse")
    for name in ("glyphs", "mnist", "fashion-mnist", "ring8", "grid25", "gaussian1d", "npz:PATH"):
        assert name in message
    assert "did you mean" not in message


def test_a_near_miss_is_named():
    assert "did you mean mnist?" in one_line_error(name="mnits")
    assert "did you mean glyphs?" in one_line_error(name="glyph")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": 7}, "image size 7: expected a side of 8 to 4096"),
        ({"size": 5000}, "image size 5000"),
        ({"count": 0}, "count 0: expected 1 to 100000000 rows"),
        ({"count": 2**60}, "expected 1 to 100000000 rows"),
        ({"seed": -1}, "seed -1: expected 0 or more"),
        ({"channels": 2}, "2 channels: expected 1"),
        ({"split": "valid"}, "glyphs has no split 'valid': expected train or test"),
        ({"name": "ring8", "size": 28}, "ring8 holds points, not images"),
        ({"name": "mnist", "split": "x"}, "expected train or test or paper-train or valid"),
        ({"name": "folder:x", "split": "test"}, "no split 'test'"),
        ({"name": "folder:"}, "expected folder:PATH"),
        ({"name": "npz:"}, "expected npz:PATH"),
    ],
)
def test_wrong_arguments_are_said_in_one_line(arguments, words):
    assert words in one_line_error(**{"name": "glyphs", **arguments})


def test_a_count_beyond_memory_is_said_in_one_line():
    message = one_line_error(name="glyphs", count=10**8, size=4096)  # 1.7 petabytes
    assert message == "not enough memory for glyphs: ask for a smaller count or size"
