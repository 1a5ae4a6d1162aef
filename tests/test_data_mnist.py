"""MNIST: the idx format, where the files are looked for, the splits; never the network."""

import gzip
import hashlib
import os
import struct

import numpy as np
import pytest

from minigan.data import load, mnist
from minigan.data.mnist import read_idx
from minigan.errors import MiniganError

STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No data from the surroundings, and a download that fails the test."""
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    pooch = pytest.importorskip("pooch", reason="pooch (extra 'data') is not installed")

    def no_network(*args, **kwargs):
        raise AssertionError("a test went to the network")

    monkeypatch.setattr(pooch, "retrieve", no_network)


def idx(array):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def sample(n=12, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (n, 28, 28), np.uint8), random.integers(0, 10, n, np.uint8)


def write_set(folder, n=12, seed=0, prefix="train", suffix=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = sample(n, seed)
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        data = idx(array)
        path = folder / f"{prefix}-{kind}-ubyte{suffix}"
        path.write_bytes(gzip.compress(data, 1) if suffix else data)
    return images, labels


def error_of(function, *args, **kwargs):
    with pytest.raises(MiniganError) as caught:
        function(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- read_idx ---


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_what_was_written(tmp_path, shape, pack):
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    path = tmp_path / "any name"
    path.write_bytes(pack(idx(array)))
    result = read_idx(path)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, array)


GOOD = idx(np.arange(12).reshape(3, 4))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not an idx file"),
        (b"\0\0\x08", "is not an idx file"),
        (b"\1" + GOOD[1:], "is not an idx file"),
        (b"\0\0\x0d" + GOOD[3:], "values of type 0x0d, expected 0x08"),
        (b"\0\0\x08\0" + GOOD[4:], "has 0 dimensions"),
        (b"\0\0\x08\x05" + GOOD[4:], "has 5 dimensions"),
        (GOOD[:9], "ends inside its header"),
        (GOOD[:-1], "should hold 12 values of shape (3, 4), but holds only 11"),
        (GOOD + b"\0", "should hold 12 values of shape (3, 4), but holds more"),
        (struct.pack(">BBBBII", 0, 0, 8, 2, 0, 4), "claims the shape (0, 4)"),
        (struct.pack(">BBBBII", 0, 0, 8, 2, 2**31, 2**31), "is not believable"),
        (struct.pack(">BBBBII", 0, 0, 8, 2, 2**16, 2**16) + b"\0", "holds only 1"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_broken_files_are_named_in_one_line(tmp_path, data, words, pack):
    path = tmp_path / "broken"
    path.write_bytes(pack(data))
    message = error_of(read_idx, path)
    assert words in message
    assert str(path) in message


def test_broken_gzip(tmp_path):
    path = tmp_path / "broken.gz"
    sound = gzip.compress(idx(np.arange(600) % 251))
    bad_sum = bytearray(gzip.compress(GOOD))
    bad_sum[-8] ^= 1
    for data in (sound[:-10], bytes(bad_sum), b"\x1f\x8b", sound[:100] + b"\xff" * 9 + sound[109:]):
        path.write_bytes(data)
        assert "cannot read" in error_of(read_idx, path)


def test_missing_file_and_folder(tmp_path):
    assert "cannot read" in error_of(read_idx, tmp_path / "missing")
    assert "cannot read" in error_of(read_idx, tmp_path)


# --- where the files are ---


@pytest.mark.parametrize("suffix", [".gz", ""])
@pytest.mark.parametrize("inside", ["", "mnist"])
def test_found_in_data_dir(tmp_path, suffix, inside):
    images, labels = write_set(tmp_path / "data" / inside, suffix=suffix)
    data = load("mnist", data_dir=tmp_path / "data")
    np.testing.assert_array_equal(data.x, images[:, None])
    np.testing.assert_array_equal(data.labels, labels)
    assert data.labels.dtype == np.int64
    assert data.classes == tuple("0123456789")


def test_found_in_minigan_data(tmp_path, monkeypatch):
    images, _ = write_set(tmp_path / "data" / "fashion-mnist")
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path / "data"))
    data = load("fashion-mnist")
    np.testing.assert_array_equal(data.x[:, 0], images)
    assert data.classes[9] == "ankle boot"


def test_data_dir_goes_before_minigan_data(tmp_path, monkeypatch):
    write_set(tmp_path / "a", seed=1)
    images, _ = write_set(tmp_path / "b", seed=2)
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path / "a"))
    np.testing.assert_array_equal(load("mnist", data_dir=tmp_path / "b").x[:, 0], images)


def test_the_folder_of_that_name_goes_first(tmp_path):
    write_set(tmp_path, seed=1)
    images, _ = write_set(tmp_path / "fashion-mnist", seed=2)
    np.testing.assert_array_equal(load("fashion-mnist", data_dir=tmp_path).x[:, 0], images)


def test_an_explicit_folder_without_files_is_an_error(tmp_path):
    message = error_of(load, "mnist", data_dir=tmp_path)
    assert str(tmp_path) in message
    assert STEMS[0] in message
    write_set(tmp_path)
    (tmp_path / f"{STEMS[1]}.gz").unlink()
    assert STEMS[1] in error_of(load, "mnist", data_dir=tmp_path)


def test_broken_files_in_data_dir_are_an_error_not_a_download(tmp_path):
    write_set(tmp_path)
    path = tmp_path / f"{STEMS[0]}.gz"
    path.write_bytes(path.read_bytes()[:100])
    assert str(path) in error_of(load, "mnist", data_dir=tmp_path)


def test_the_two_sets_are_not_taken_for_each_other(tmp_path):
    images, labels = sample(20)
    labels[:10] = [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]  # as MNIST begins
    (tmp_path / STEMS[0]).write_bytes(idx(images))
    (tmp_path / STEMS[1]).write_bytes(idx(labels))
    assert len(load("mnist", data_dir=tmp_path)) == 20
    assert "belongs to mnist, not to fashion-mnist" in error_of(
        load, "fashion-mnist", data_dir=tmp_path
    )


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (sample()[0][:, 0], sample()[1], "has 2 dimensions, expected 3"),
        (sample()[0], sample()[0], "has 3 dimensions, expected 1"),
        (sample()[0][:, :27], sample()[1], "27 x 28, expected 28 x 28"),
        (sample()[0], sample()[1][:11], "12 images but"),
        (sample()[0], sample()[1] + 10, "expected 0 to 9"),
    ],
)
def test_files_that_do_not_fit(tmp_path, images, labels, words):
    (tmp_path / STEMS[0]).write_bytes(idx(images))
    (tmp_path / STEMS[1]).write_bytes(idx(labels))
    assert words in error_of(load, "mnist", data_dir=tmp_path)


# --- download ---


def fake_mirrors(monkeypatch, contents, dead=()):
    """Let pooch serve ``contents`` (by file name) except from the mirrors numbered in ``dead``."""
    import pooch

    asked = []

    def retrieve(url, known_hash, fname, path, progressbar):
        asked.append(url)
        mirror = [base for base in mnist.MIRRORS["mnist"] if url.startswith(base)]
        if mnist.MIRRORS["mnist"].index(mirror[0]) in dead:
            raise OSError("no route\nto host")
        assert url.endswith(fname)
        assert known_hash == f"sha256:{mnist.SHA256['mnist'][fname.removesuffix('.gz')]}"
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(contents[fname])
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    return asked


def fake_files(tmp_path, monkeypatch):
    images, _ = write_set(tmp_path / "served")
    contents = {path.name: path.read_bytes() for path in (tmp_path / "served").iterdir()}
    sums = {
        name.removesuffix(".gz"): hashlib.sha256(data).hexdigest()
        for name, data in contents.items()
    }
    monkeypatch.setitem(mnist.SHA256, "mnist", sums)
    return images, contents


def test_downloaded_once_into_the_cache(tmp_path, monkeypatch):
    images, contents = fake_files(tmp_path, monkeypatch)
    asked = fake_mirrors(monkeypatch, contents)
    np.testing.assert_array_equal(load("mnist").x[:, 0], images)
    np.testing.assert_array_equal(load("mnist").x[:, 0], images)
    assert len(asked) == 2  # images and labels


def test_a_damaged_download_is_fetched_again(tmp_path, monkeypatch):
    images, contents = fake_files(tmp_path, monkeypatch)
    asked = fake_mirrors(monkeypatch, contents)
    load("mnist")
    path = tmp_path / "cache" / "mnist" / f"{STEMS[0]}.gz"
    path.write_bytes(path.read_bytes()[:-1])
    np.testing.assert_array_equal(load("mnist").x[:, 0], images)
    assert len(asked) == 3


def test_a_dead_mirror_is_passed_over(tmp_path, monkeypatch):
    images, contents = fake_files(tmp_path, monkeypatch)
    asked = fake_mirrors(monkeypatch, contents, dead={0})
    np.testing.assert_array_equal(load("mnist").x[:, 0], images)
    assert [url.startswith(mnist.MIRRORS["mnist"][1]) for url in asked] == [False, True] * 2


def test_no_network_is_one_line_that_says_what_to_do(monkeypatch):
    fake_mirrors(monkeypatch, {}, dead={0, 1})
    message = error_of(load, "mnist")
    for words in (f"{STEMS[0]}.gz", "no route to host", "--data-dir", "MINIGAN_DATA"):
        assert words in message


def test_without_pooch_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pooch", None)
    message = error_of(load, "mnist")
    assert "pip install 'minigan[data]'" in message
    assert f"{STEMS[0]}.gz" in message


def test_every_file_has_a_checksum_and_two_mirrors():
    assert set(mnist.SHA256) == set(mnist.MIRRORS) == set(mnist.CLASSES) == set(mnist.NAMES)
    for name in mnist.NAMES:
        assert len(mnist.MIRRORS[name]) >= 2
        assert all(url.endswith("/") for url in mnist.MIRRORS[name])
        assert len(set(mnist.SHA256[name].values())) == 4
        assert all(len(digest) == 64 for digest in mnist.SHA256[name].values())


# --- splits, counts, sizes ---


def test_the_papers_splits(tmp_path):
    # 60,000 images, each 28 x 28 zeros but for its own number in the first pixels.
    images = np.zeros((60_000, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(60_000), 256)
    for path, array in zip(STEMS, (images, np.arange(60_000) % 10)):
        (tmp_path / path).write_bytes(idx(array))

    def numbers(split):
        data = load("mnist", split=split, data_dir=tmp_path)
        result = data.x[:, 0, 0, 0].astype(int) * 256 + data.x[:, 0, 0, 1]
        np.testing.assert_array_equal(data.labels, result % 10)
        return result

    np.testing.assert_array_equal(numbers("train"), np.arange(60_000))
    np.testing.assert_array_equal(numbers("paper-train"), np.arange(50_000))
    np.testing.assert_array_equal(numbers("valid"), np.arange(50_000, 60_000))


def test_the_test_split_has_files_of_its_own(tmp_path):
    write_set(tmp_path, seed=1)
    images, _ = write_set(tmp_path, seed=2, prefix="t10k")
    np.testing.assert_array_equal(load("mnist", split="test", data_dir=tmp_path).x[:, 0], images)


@pytest.mark.parametrize("split", ["paper-train", "valid"])
def test_the_papers_splits_need_the_complete_file(tmp_path, split):
    write_set(tmp_path)
    assert "holds 12 images, but the split" in error_of(
        load, "mnist", split=split, data_dir=tmp_path
    )


def test_count_keeps_the_first(tmp_path):
    images, labels = write_set(tmp_path)
    data = load("mnist", count=5, data_dir=tmp_path)
    np.testing.assert_array_equal(data.x[:, 0], images[:5])
    np.testing.assert_array_equal(data.labels, labels[:5])
    assert "mnist holds 12 rows, not 13" in error_of(load, "mnist", count=13, data_dir=tmp_path)


def test_sizes_and_channels(tmp_path):
    images, _ = write_set(tmp_path)
    padded = load("mnist", size=32, data_dir=tmp_path).x
    np.testing.assert_array_equal(padded[:, 0, 2:-2, 2:-2], images)
    assert padded.sum(dtype=int) == images.sum(dtype=int)  # the rest is black
    assert load("mnist", size=64, data_dir=tmp_path).x.shape == (12, 1, 64, 64)
    assert load("mnist", size=28, channels=3, data_dir=tmp_path).x.shape == (12, 3, 28, 28)


# --- the real files ---

MINIGAN_DATA = os.environ.get("MINIGAN_DATA")


@pytest.mark.skipif(not MINIGAN_DATA, reason="MINIGAN_DATA names no folder with the real files")
@pytest.mark.parametrize(("name", "mean"), [("mnist", 0.1307), ("fashion-mnist", 0.2860)])
def test_the_real_files(name, mean):
    for split, stop in (("train", 60_000), ("test", 10_000)):
        prefix = mnist.SPLITS[split][0]
        for path in mnist.find_files(name, prefix, MINIGAN_DATA):
            if path.suffix == ".gz":
                assert (
                    hashlib.sha256(path.read_bytes()).hexdigest() == mnist.SHA256[name][path.stem]
                )
        data = load(name, split=split, data_dir=MINIGAN_DATA)
        assert data.x.shape == (stop, 1, 28, 28)
        begins = "".join(str(label) for label in data.labels[:10])
        assert begins == mnist.FIRST_LABELS[name][prefix]
        if split == "train":
            assert data.x.mean() / 255 == pytest.approx(mean, abs=5e-5)
