"""Pictures: what is where in them."""

import errno
import os

import numpy as np
import pytest
from PIL import Image

from minigan import plots
from minigan.errors import MiniganError


def entry(step, **changes):
    values = {
        "step": step, "d_loss": 1.3, "g_loss": 0.7, "d_real": 0.6, "d_fake": 0.4,
        "d_grad_norm": 1.0, "g_grad_norm": 2.0, "steps_per_second": 1.0, "seconds": 1.0,
    }  # fmt: skip
    return {**values, **changes}


# Grids --------------------------------------------------------------------------------------


def test_every_image_has_its_place():
    images = np.arange(1, 7, dtype=np.uint8).reshape(6, 1, 1, 1) * np.ones((1, 4, 5), np.uint8) * 40
    sheet = np.asarray(plots.grid(images, columns=3, scale=2, padding=3))
    assert sheet.shape == (2 * (8 + 3) + 3, 3 * (10 + 3) + 3)
    expected = np.full(sheet.shape, plots.GAP)
    for i in range(6):
        top, left = 3 + i // 3 * 11, 3 + i % 3 * 13
        expected[top : top + 8, left : left + 10] = 40 * (i + 1)
    np.testing.assert_array_equal(sheet, expected)


def test_pixels_are_repeated_not_blurred():
    image = np.random.default_rng(0).integers(0, 256, (1, 1, 3, 3), np.uint8)
    sheet = np.asarray(plots.grid(image, scale=4, padding=0))
    np.testing.assert_array_equal(sheet[::4, ::4], image[0, 0])
    np.testing.assert_array_equal(sheet[3::4, 3::4], image[0, 0])


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_scaled_and_clipped(low, high, dtype):
    middle = (low + high) / 2
    values = np.array([low - 9, low, middle, high, high + 9, np.nan], dtype).reshape(6, 1, 1, 1)
    sheet = plots.grid(values, columns=6, low=low, high=high, scale=1, padding=0)
    assert np.asarray(sheet).tolist() == [[0, 0, 128, 255, 255, 0]]


def test_bytes_survive_the_way_to_floats_and_back():
    from minigan.data import to_float

    images = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    sheet = plots.grid(to_float(images, -1, 1), low=-1, high=1, scale=1, padding=0)
    np.testing.assert_array_equal(np.asarray(sheet), images[0, 0])


def test_colour_and_shape_of_the_sheet():
    sheet = plots.grid(np.zeros((5, 3, 64, 64), np.uint8))
    assert (sheet.mode, sheet.size) == ("RGB", (3 * 66 + 2, 2 * 66 + 2))
    assert plots.grid(np.zeros((1, 28, 28), np.uint8), padding=0).size == (56, 56)


@pytest.mark.parametrize("shape", [(2, 2, 4, 4), (4, 4), (0, 1, 4, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="expected images"):
        plots.grid(np.zeros(shape))


# Points -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_frame_of_points_does_not_depend_on_the_samples(dimension):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((100, dimension))
    far = np.asarray(plots.points(np.full((50, dimension), 1e6), data)).astype(int)
    near = np.asarray(plots.points(data / 3, data)).astype(int)
    red = (near[..., 0] - near[..., 1] > 60).sum()
    assert red > (far[..., 0] - far[..., 1] > 60).sum()
    labels = np.s_[-50:, :]  # the numbers below the axis
    np.testing.assert_array_equal(far[labels], near[labels])


# Curves -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 500])
@pytest.mark.filterwarnings("error")
def test_curves_of_any_length(tmp_path, count):
    rng = np.random.default_rng(0)
    log = [entry(i + 1, d_loss=rng.exponential(), g_grad_norm=i * 1.0) for i in range(count)]
    plots.curves(log, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (800, 850)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(10**6)}
    assert {(0x21, 0x66, 0xAC), (0xD1, 0x49, 0x5B)} <= colours


@pytest.mark.parametrize(("parts", "height"), [({}, 566), ({"kl": 5.0}, 850)])
def test_curves_of_autoencoders(tmp_path, parts, height):
    norms = {"encoder_grad_norm": 1.0, "decoder_grad_norm": 2.0}
    log = [{"step": i, "loss": 90.0, "reconstruction": 85.0, **parts, **norms} for i in (1, 2)]
    plots.curves(log, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (800, height)


def test_curves_of_nothing(tmp_path):
    with pytest.raises(MiniganError, match="the log is empty"):
        plots.curves([], tmp_path / "curves.png")


def test_running_mean():
    values = np.random.default_rng(0).standard_normal(200)
    found = plots.smooth(values)
    assert found[0] == pytest.approx(values[0])
    assert found[2] == pytest.approx(values[:5].mean())
    assert found[100] == pytest.approx(values[95:106].mean())
    assert found[-1] == pytest.approx(values[-1])


# Films --------------------------------------------------------------------------------------


def frames_of(path):
    with Image.open(path) as film:
        for i in range(film.n_frames):
            film.seek(i)
            yield film.info["duration"], np.asarray(film.convert("L"))


def test_film_of_the_sample_grids(tmp_path):
    samples = {}
    for step in range(0, 200, 2):
        samples[step] = tmp_path / f"{step}.png"
        plots.save(Image.new("L", (120, 40), step), samples[step])
    plots.training_gif(samples, tmp_path / "a.gif")
    frames = list(frames_of(tmp_path / "a.gif"))
    assert len(frames) == plots.FRAMES
    assert [time for time, _ in frames[:-1]] == [plots.FRAME_MS] * (plots.FRAMES - 1)
    assert frames[-1][0] == plots.LAST_MS
    greys = [int(frame[20, 20]) for _, frame in frames]
    assert greys == sorted(greys)
    assert (greys[0], abs(greys[-1] - 198) <= 5) == (0, True)
    assert frames[0][1].shape == (68, 120)
    assert frames[0][1][40:].min() < 100  # the caption is there


def test_film_in_colour_keeps_the_colours(tmp_path):
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "red")]
    frames[-1].paste("blue", (0, 0, 10, 10))
    plots.gif(frames, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as film:
        assert film.info["loop"] == 0
        film.seek(1)
        assert film.convert("RGB").getpixel((5, 5)) == (0, 0, 255)


def test_film_of_nothing_or_of_a_damaged_picture(tmp_path):
    with pytest.raises(MiniganError, match="no sample grids"):
        plots.training_gif({}, tmp_path / "a.gif")
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(MiniganError, match=r"1\.png: .*remove it"):
        plots.training_gif({1: tmp_path / "1.png"}, tmp_path / "a.gif")
    with pytest.raises(MiniganError, match="same size"):
        plots.gif([Image.new("L", (2, 2)), Image.new("L", (3, 3))], tmp_path / "a.gif")


# Files --------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    plots.save(Image.new("L", (4, 4)), path)
    before = path.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MiniganError, match="No space left"):
        plots.save(Image.new("L", (5, 5)), path)
    with pytest.raises(MiniganError, match="No space left"):
        plots.curves([entry(1)], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a", "a.txt", "a.xyz"])
def test_unknown_kind_of_picture(tmp_path, name):
    with pytest.raises(MiniganError, match="expected a name that ends in"):
        plots.save(Image.new("L", (4, 4)), tmp_path / name)


def test_picture_in_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(MiniganError, match="cannot write"):
        plots.save(Image.new("L", (4, 4)), tmp_path / "a" / "b.png")
