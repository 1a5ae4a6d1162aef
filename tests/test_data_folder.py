"""The user's own pictures: folder:PATH and npz:PATH."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan.data import load
from minigan.errors import MiniganError


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path, **options)


def grey(value, height=10, width=10):
    return np.full((height, width), value, np.uint8)


def colour(value, height=10, width=10):
    return np.broadcast_to(np.array(value, np.uint8), (height, width, len(value)))


def error_of(name, **arguments):
    with pytest.raises(MiniganError) as caught:
        load(name, **arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- folders ---


def test_every_format_in_sorted_order(tmp_path):
    names = ["a.png", "b.JPG", "c.jpeg", "d.bmp", "e.gif", "f.webp"]
    for i, name in enumerate(names):
        save(tmp_path / name, grey(40 * i))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._a.png").write_text("what macOS leaves behind")
    data = load(f"folder:{tmp_path}", size=8)
    assert data.x.shape == (6, 1, 8, 8)  # grey throughout, so one channel
    np.testing.assert_allclose(data.x.mean(axis=(1, 2, 3)), 40 * np.arange(6), atol=3)
    assert data.labels is None
    assert data.classes == ()


def test_one_coloured_picture_makes_all_colour(tmp_path):
    save(tmp_path / "a.png", grey(100))
    save(tmp_path / "b.png", colour([200, 0, 50]))
    x = load(f"folder:{tmp_path}", size=8).x
    assert x.shape == (2, 3, 8, 8)
    np.testing.assert_array_equal(x[:, :, 4, 4], [[100, 100, 100], [200, 0, 50]])
    assert load(f"folder:{tmp_path}", size=8, channels=1).x.shape == (2, 1, 8, 8)


def test_sub_folders_are_classes(tmp_path):
    save(tmp_path / "dog" / "1.png", grey(1))
    save(tmp_path / "cat" / "deep" / "2.png", grey(2))
    save(tmp_path / "cat" / "1.png", grey(3))
    (tmp_path / "empty").mkdir()
    data = load(f"folder:{tmp_path}", size=8)
    assert data.classes == ("cat", "dog")
    np.testing.assert_array_equal(data.labels, [0, 0, 1])
    np.testing.assert_array_equal(data.x[:, 0, 0, 0], [3, 2, 1])
    few = load(f"folder:{tmp_path}", size=8, count=2)
    assert (len(few), few.classes) == (2, ("cat", "dog"))


def test_a_picture_outside_the_sub_folders_leaves_no_classes(tmp_path):
    save(tmp_path / "dog" / "1.png", grey(1))
    save(tmp_path / "1.png", grey(2))
    assert load(f"folder:{tmp_path}", size=8).labels is None


def test_wide_and_tall_pictures_are_cropped_in_the_middle(tmp_path):
    wide = np.repeat(grey(0, 12, 12), 3, axis=1)
    wide[:, 12:24] = 200
    save(tmp_path / "a.png", wide)
    save(tmp_path / "b.png", wide.T)
    x = load(f"folder:{tmp_path}", size=12).x
    assert (x == 200).all()


def test_transparency_is_laid_on_black(tmp_path):
    save(tmp_path / "a.png", colour([200, 100, 50, 51]))
    hidden = colour([255, 0, 0, 255]).copy()
    hidden[:5, :, 3] = 0  # bright red, but not to be seen
    save(tmp_path / "b.png", hidden)
    palette = Image.fromarray(grey(1)).convert("P")
    palette.putpalette([9, 9, 9, 250, 120, 60])
    palette.save(tmp_path / "c.png", transparency=bytes([255, 0]))
    x = load(f"folder:{tmp_path}", size=10).x
    np.testing.assert_array_equal(x[0, :, 0, 0], [40, 20, 10])
    assert x[1, 0, :5].max() == 0
    assert x[1, 0, 5:].min() == 255
    assert x[2].max() == 0


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    deep = Image.fromarray(np.full((10, 10), 0x4000, np.uint16))
    deep.save(tmp_path / "a.png")
    x = load(f"folder:{tmp_path}", size=10).x
    assert (x == 0x40).all()


def test_pictures_are_turned_upright(tmp_path):
    picture = grey(0, 16, 16).copy()
    picture[:8] = 255  # white above in the file, and to be turned by 180 degrees
    exif = Image.Exif()
    exif[0x0112] = 3
    save(tmp_path / "a.png", picture, exif=exif)
    x = load(f"folder:{tmp_path}", size=16).x[0, 0]
    assert x[:8].max() == 0
    assert x[8:].min() == 255


def test_count(tmp_path):
    for i in range(3):
        save(tmp_path / f"{i}.png", grey(i))
    np.testing.assert_array_equal(load(f"folder:{tmp_path}", count=2).x[:, 0, 0, 0], [0, 1])
    assert "holds 3 rows, not 4" in error_of(f"folder:{tmp_path}", count=4)


def test_missing_and_empty_folders(tmp_path):
    assert "expected a folder of pictures" in error_of(f"folder:{tmp_path / 'missing'}")
    (tmp_path / "notes.txt").write_text("not a picture")
    assert "no pictures in" in error_of(f"folder:{tmp_path}")
    assert "expected a folder" in error_of(f"folder:{tmp_path / 'notes.txt'}")


@pytest.mark.parametrize("name", ["b.png", "b.jpg", "b.gif", "b.bmp", "b.webp"])
def test_a_broken_picture_is_named(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3))
    save(tmp_path / "a.png", noise)
    path = tmp_path / name
    save(path, noise)
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], b"", b"nothing of the kind", whole[:20]):
        path.write_bytes(data)
        assert name in error_of(f"folder:{tmp_path}")


def test_damaged_pictures_load_or_are_refused_in_one_line(tmp_path):
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (12, 12, 3))
    for suffix in ("png", "jpg", "gif", "bmp", "webp"):
        path = tmp_path / suffix / f"a.{suffix}"
        save(path, noise)
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            damaged[random.integers(len(whole), size=4)] = random.integers(0, 256, 4)
            path.write_bytes(damaged.tobytes())
            with warnings.catch_warnings(record=True) as leaked:
                warnings.simplefilter("always")
                refusal = ""
                try:
                    assert load(f"folder:{path.parent}", size=8).x.shape[2:] == (8, 8)
                except MiniganError as error:
                    refusal = str(error)
            assert "\n" not in refusal
            assert not leaked


@pytest.mark.parametrize("factor", [1.5, 3])  # Pillow warns above its limit, refuses above twice it
def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch, factor):
    save(tmp_path / "bomb.png", grey(0, 30, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(900 / factor))
    message = error_of(f"folder:{tmp_path}")
    assert "bomb.png" in message
    assert "decompression bomb" in message


# --- archives ---


def pictures(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def write(tmp_path, **arrays):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return f"npz:{path}"


@pytest.mark.parametrize("key", ["images", "x", "x_train", "data", "the_only_one"])
def test_keys(tmp_path, key):
    x = pictures(5, 9, 9)
    others = {"names": np.array(["a", "b"]), "table": np.zeros((2, 3, 4))}
    data = load(write(tmp_path, **{key: x}, **others))
    np.testing.assert_array_equal(data.x, x[:, None])
    assert data.labels is None


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_first_and_last(tmp_path, channels):
    x = pictures(5, channels, 9, 9)
    np.testing.assert_array_equal(load(write(tmp_path, x=x)).x, x)
    np.testing.assert_array_equal(load(write(tmp_path, x=x.transpose(0, 2, 3, 1))).x, x)
    fortran = np.asfortranarray(x)
    np.testing.assert_array_equal(load(write(tmp_path, x=fortran)).x, x)


def test_a_side_of_three_is_not_taken_for_colour(tmp_path):
    x = pictures(5, 3, 4, 4)  # RGB, or 3 x 4 images of 4 channels? squares decide
    np.testing.assert_array_equal(load(write(tmp_path, x=x)).x, x)
    assert "either last or after the first" in error_of(write(tmp_path, x=pictures(5, 3, 8, 3)))


def test_rgba_is_laid_on_black(tmp_path):
    x = pictures(2, 9, 9, 4)
    expected = np.rint(x[..., :3] * (x[..., 3:] / 255.0)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(load(write(tmp_path, x=x)).x, expected, atol=0.501)
    channels_first = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(load(write(tmp_path, x=channels_first)).x, expected, atol=0.501)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_floats_between_nought_and_one(tmp_path, dtype):
    x = pictures(4, 9, 9)
    data = load(write(tmp_path, x=(x / 255.0).astype(dtype)))
    np.testing.assert_allclose(data.x[:, 0].astype(int), x, atol=0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.01, 1.01, 255])
def test_floats_outside_are_refused(tmp_path, value):
    x = np.full((4, 9, 9), 0.5)
    x[3, 4, 5] = value
    assert "expected [0, 1]" in error_of(write(tmp_path, x=x))


def test_labels(tmp_path):
    x, y = pictures(5, 9, 9), np.array([[2], [0], [1], [2], [2]], np.uint8)
    for key in ("labels", "y", "y_train"):
        data = load(write(tmp_path, x=x, **{key: y}))
        np.testing.assert_array_equal(data.labels, [2, 0, 1, 2, 2])
        assert data.classes == ("0", "1", "2")
    data = load(write(tmp_path, x=x, y=y), count=2)
    np.testing.assert_array_equal(data.labels, [2, 0])
    assert data.classes == ("0", "1", "2")


def test_the_test_split(tmp_path):
    x, y = pictures(8, 9, 9), np.arange(8)
    name = write(tmp_path, x_train=x[:5], y_train=y[:5], x_test=x[5:], y_test=y[5:])
    np.testing.assert_array_equal(load(name).labels, y[:5])
    np.testing.assert_array_equal(load(name, split="test").x[:, 0], x[5:])
    np.testing.assert_array_equal(load(name, split="test").labels, y[5:])
    assert "split test under x_test" in error_of(write(tmp_path, x=x), split="test")


def test_resized_and_cropped(tmp_path):
    assert load(write(tmp_path, x=pictures(3, 12, 20, 3)), size=16).x.shape == (3, 3, 16, 16)
    x = pictures(3, 12, 20)
    np.testing.assert_array_equal(load(write(tmp_path, x=x)).x[:, 0], x[:, :, 4:16])


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": pictures(5, 9)}, "shape"),
        ({"x": pictures(0, 9, 9)}, "claims the shape (0, 9, 9)"),
        ({"x": pictures(5, 9, 9, 2)}, "expected 1, 3 or 4 channels"),
        ({"x": pictures(5, 9, 9).astype(np.int32)}, "type int32: expected uint8"),
        ({"x": np.array([["a"]])}, "expected numbers"),
        ({"x": np.array([{"a": 1}], object)}, "expected numbers"),
        ({"a": pictures(5, 9, 9), "b": pictures(5, 9, 9)}, "holds a, b: expected the images"),
        ({"y": np.arange(5)}, "expected the images"),
        ({}, "holds nothing"),
        ({"x": pictures(5, 9, 9), "y": np.arange(4)}, "expected 5 whole numbers"),
        ({"x": pictures(5, 9, 9), "y": np.arange(5.0)}, "expected 5 whole numbers"),
        ({"x": pictures(5, 9, 9), "y": np.arange(5) - 1}, "labels from -1 to 3"),
        ({"x": pictures(5, 9, 9), "y": np.arange(5) * 2**40}, "expected class numbers"),
    ],
)
def test_archives_of_something_else(tmp_path, arrays, words):
    assert words in error_of(write(tmp_path, **arrays))


def test_files_that_are_no_archives(tmp_path):
    path = tmp_path / "data.npz"
    assert "No such file" in error_of(f"npz:{path}")
    assert "cannot read" in error_of(f"npz:{tmp_path}")
    for data in (b"", b"nothing of the kind", b"PK\3\4"):
        path.write_bytes(data)
        assert "expected an .npz file" in error_of(f"npz:{path}")


def test_real_tiles():
    folder = os.environ.get("MINIGAN_DATA", "")
    path = Path(folder, "dcss-tiles-cc0", "dcss_tiles_32x32_rgba.npz")
    if not folder or not path.is_file():
        pytest.skip("MINIGAN_DATA names no folder with dcss-tiles-cc0")
    data = load(f"npz:{path}")
    assert data.x.shape == (3931, 3, 32, 32)
    assert len(data.checksum) == 64
