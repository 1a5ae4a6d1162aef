"""Thousands of damaged files: each loads as valid data or is refused in one line, cheaply."""

import gzip
import io
import struct
import tracemalloc
import warnings
import zipfile
from collections import Counter

import numpy as np
import pytest

from minigan.data import load
from minigan.errors import MiniganError

MEMORY = 32 * 2**20  # bytes; the sound files hold some ten thousand


def mutate(data, random):
    """One of the ways files go bad."""
    damaged = bytearray(data)
    way = random.integers(6)
    if way == 0:  # flipped bits
        for _ in range(random.integers(1, 4)):
            damaged[random.integers(len(damaged))] ^= 1 << random.integers(8)
    elif way == 1:  # truncation
        del damaged[random.integers(len(damaged)) :]
    elif way == 2:  # another header
        for _ in range(random.integers(1, 5)):
            damaged[random.integers(min(len(damaged), 140))] = random.choice([0, 1, 8, 127, 255])
    elif way == 3:  # a hole
        start = random.integers(len(damaged))
        del damaged[start : start + random.integers(1, 20)]
    elif way == 4:  # rubbish in the middle
        start = random.integers(len(damaged))
        damaged[start:start] = random.bytes(random.integers(1, 20))
    else:  # something after the end
        damaged += random.bytes(random.integers(1, 20))
    return bytes(damaged)


def outcome(name, **arguments):
    """Load and return the data set, or None if it was refused as it should be."""
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        data, refusal = None, ""
        try:
            data = load(name, **arguments)
        except MiniganError as error:
            refusal = str(error)
    assert not leaked, [str(warning.message) for warning in leaked]
    if data is None:
        assert refusal.strip()
        assert len(refusal.splitlines()) == 1
    else:
        assert data.x.dtype == np.uint8
        assert data.x.ndim == 4
        assert data.x.size > 0
        assert data.labels is None or 0 <= data.labels.min() <= data.labels.max() < 10_000
    return data


@pytest.fixture
def little_memory():
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.usefixtures("little_memory")
def test_damaged_idx_files(tmp_path):
    random = np.random.default_rng(0)
    sound = {
        "train-images-idx3-ubyte": idx(random.integers(0, 256, (10, 28, 28), np.uint8)),
        "train-labels-idx1-ubyte": idx(random.integers(0, 10, 10, np.uint8)),
    }
    for name, data in sound.items():
        (tmp_path / name).write_bytes(data)
    assert outcome("mnist", data_dir=tmp_path) is not None
    counts = Counter()
    for trial in range(1400):
        name = list(sound)[trial % 4 == 0]
        data = sound[name]
        if trial % 2:
            damaged = mutate(gzip.compress(data, 1), random)
        else:
            damaged = mutate(data, random)
        if trial % 7 == 0:  # sound gzip around damaged idx
            damaged = gzip.compress(damaged, 1)
        (tmp_path / name).write_bytes(damaged)
        loaded = outcome("mnist", data_dir=tmp_path)
        counts[loaded is not None] += 1
        if loaded is not None:
            assert loaded.x.shape == (10, 1, 28, 28)
            assert loaded.labels.max() <= 9
        (tmp_path / name).write_bytes(data)
    assert counts[True] > 50  # a flipped pixel is still an image
    assert counts[False] > 700


@pytest.mark.usefixtures("little_memory")
def test_idx_headers_that_promise_too_much(tmp_path):
    labels = idx(np.zeros(4, np.uint8))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(labels)
    path = tmp_path / "train-images-idx3-ubyte"
    for shape in ((2**31, 2**31), (2**31, 1), (2**32 - 1,) * 3, (2**20, 28, 28), (1, 2**30, 4)):
        head = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
        for data in (head, head + bytes(1000), gzip.compress(head + bytes(10**6))):
            path.write_bytes(data)
            assert outcome("mnist", data_dir=tmp_path) is None


def archive(compressed, **arrays):
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def with_member(name, payload):
    """A sound zip, with a correct checksum, around whatever bytes an array file should have."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, payload)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.usefixtures("little_memory")
def test_damaged_npz_files(tmp_path):
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (4, 9, 9, 3), np.uint8)
    labels = random.integers(0, 3, 4)
    whole = [archive(packed, images=images, labels=labels) for packed in (False, True)]
    arrays = [npy(images), npy(images[..., 0] / np.float32(255)), npy(np.asfortranarray(images))]
    path = tmp_path / "data.npz"
    for sound in (*whole, *(with_member("images.npy", array) for array in arrays)):
        path.write_bytes(sound)
        assert outcome(f"npz:{path}", size=8) is not None
    counts = Counter()
    for trial in range(1600):
        if trial % 2:  # damage the zip
            damaged = mutate(whole[trial % 4 == 1], random)
        else:  # damage the array inside, beyond the reach of the checksum
            name = ("images.npy", "any.npy")[trial % 4 == 0]
            damaged = with_member(name, mutate(arrays[trial % 3], random))
        path.write_bytes(damaged)
        counts[outcome(f"npz:{path}", size=8) is not None] += 1
    assert counts[True] > 50
    assert counts[False] > 700


def header(text):
    data = text.encode("latin1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(data)) + data


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2147483648, 2147483648)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 4611686018427387904, 9)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 1180591620717411303424, 9)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 9, 9)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, -9, 9)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (9.0, 9, 9)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (True, 9, 9)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000, 1000)}",
        "{'descr': '|V1000000000', 'fortran_order': False, 'shape': (1, 9, 9)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 9, 9)}",
        "{'descr': [('a', '<i4'), ('a', '<i4')], 'fortran_order': False, 'shape': (1, 9, 9)}",
        "{'descr': '\\d', 'fortran_order': False, 'shape': (1, 9, 9)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (9L, 9L, 9L)}",
        "{'descr': '|u1', 'fortran_order': 7, 'shape': (1, 9, 9)}",
        "{'descr': '|u1', 'shape': (1, 9, 9)}",
        "{'descr': (), 'fortran_order': False, 'shape': (1, 9, 9)}",
        "{'descr': {'a': 1}, 'fortran_order': False, 'shape': (1, 9, 9)}",
        "{1: 2, 'a': 3}",
        "{[]: 1}",
        "  a\n b\n",
        "-" * 3000 + "1",
        "(" * 3000,
        "'" * 500,
        "__import__('os')",
        "{**{}}",
        "",
    ],
)
@pytest.mark.parametrize("name", ["images.npy", "any.npy"])
def test_array_headers_that_lie(tmp_path, text, name):
    path = tmp_path / "data.npz"
    for values in (bytes(200), b""):
        path.write_bytes(with_member(name, header(text) + values))
        assert outcome(f"npz:{path}", size=8) is None


@pytest.mark.usefixtures("little_memory")
def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path):
    sound = bytearray(archive(True, images=np.zeros((1, 9, 9), np.uint8)))
    at = sound.index(b"PK\1\2") + 24  # the uncompressed size in the directory
    sound[at : at + 4] = struct.pack("<I", 2**31)
    path = tmp_path / "data.npz"
    path.write_bytes(bytes(sound))
    assert outcome(f"npz:{path}") is None


@pytest.mark.usefixtures("little_memory")
def test_zip_features_that_numpy_does_not_write(tmp_path):
    path = tmp_path / "data.npz"
    for key in ("images", "any"):
        sound = archive(False, **{key: np.zeros((4, 9, 9), np.uint8)})
        at = sound.index(b"PK\1\2")
        for offset, value in ((8, 1), (10, 9), (10, 12), (10, 14), (10, 99), (6, 255)):
            odd = bytearray(sound)  # encrypted; packed by other methods; of a later version
            odd[at + offset] = value
            path.write_bytes(bytes(odd))
            assert outcome(f"npz:{path}") is None
