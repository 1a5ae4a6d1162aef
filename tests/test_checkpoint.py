"""Checkpoint files: what is written comes back, and nothing else is believed."""

import errno
import io
import json
import os
import zipfile

import numpy as np
import pytest

from minigan import nn, optim
from minigan.errors import MiniganError
from minigan.train import checkpoint as checkpoints
from minigan.train.checkpoint import Checkpoint

resource = pytest.importorskip("resource", reason="file size limits are a POSIX matter")


def example(step=3, **arrays):
    rng = np.random.default_rng(0)
    arrays = arrays or {
        "G.weight": rng.standard_normal((3, 4)).astype(np.float32),
        "G.num_batches_tracked": np.array(7, np.int64),
        "opt_G.lr": np.array(0.1),
    }
    return Checkpoint(step=step, config={"seed": 1}, arrays=arrays, quality=0.5, seconds=2.0)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "step-000003.npz"
    checkpoints.write(path, example())
    return path


def rewrite(path, compression=zipfile.ZIP_STORED, **changes):
    """The same archive with other members; bytes are taken as they are."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, content in changes.items():
        members[f"{name}.npy"] = content if isinstance(content, bytes) else npy(content)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            if content:
                archive.writestr(name, content)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def sealed(path, **changes):
    """Rewrite with a digest that fits, as somebody who knows the format could."""
    with np.load(path) as file:
        contents = {name: file[name] for name in file.files if name != "sha256"}
    contents = {k: v for k, v in {**contents, **changes}.items() if v is not None}
    np.savez(path, **contents, sha256=np.array(checkpoints.digest(contents)))


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


# What is written comes back -----------------------------------------------------------------


def test_round_trip_is_exact(path):
    found, written = checkpoints.read(path), example()
    assert found.arrays.keys() == written.arrays.keys()
    for name, array in written.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)
    assert (found.step, found.config, found.quality, found.seconds) == (3, {"seed": 1}, 0.5, 2.0)
    assert checkpoints.read_quality(path) == 0.5


def test_numpy_alone_can_read_it(path):
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["G.weight"], example().arrays["G.weight"])
        assert json.loads(str(file["meta"]))["step"] == 3


def test_network_and_optimiser_are_restored(tmp_path):
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    optimiser = optim.Adam(network.parameters(), lr=0.25, betas=(0.1, 0.2))
    optimiser.m[...] = 5
    owners = {"G": network, "opt_G": optimiser}
    checkpoints.write(tmp_path / "a.npz", example(**checkpoints.arrays_of(owners)))

    other = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    other_optimiser = optim.Adam(other.parameters(), lr=1.0)
    found = checkpoints.read(tmp_path / "a.npz")
    checkpoints.restore(tmp_path / "a.npz", found, {"G": other, "opt_G": other_optimiser})
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)
    assert other_optimiser.lr == 0.25
    assert other_optimiser.betas == (0.1, 0.2)
    assert (other_optimiser.m == 5).all()


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (nn.Linear(5, 3), "G.weight is float32 (3, 4), expected float32 (3, 5)"),
        (nn.Linear(4, 3).double(), "expected float64"),
        (nn.Linear(4, 3, bias=False), "G.bias is unknown"),
        (nn.Sequential(nn.Linear(4, 3)), "G.0.bias is missing"),
    ],
)
def test_another_network_is_refused_and_left_alone(tmp_path, network, reason):
    path = tmp_path / "a.npz"
    checkpoints.write(path, example(**checkpoints.arrays_of({"G": nn.Linear(4, 3)})))
    before = network.state_dict()
    with pytest.raises(MiniganError) as error:
        checkpoints.restore(path, checkpoints.read(path), {"G": network})
    assert reason in one_line(error)
    assert str(path) in str(error.value)
    for name, array in before.items():
        np.testing.assert_array_equal(network.state_dict()[name], array)


# Nothing else is believed -------------------------------------------------------------------


def with_shape(shape):
    """An .npy file of 4 bytes whose header claims another shape."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(4)


DAMAGE = {
    "one weight changed": (lambda p: rewrite(p, **{"G.weight": np.ones((3, 4), "f4")}), "sha256"),
    "a weight added": (lambda p: rewrite(p, **{"G.more": np.ones(3)}), "sha256"),
    "a name changed": (lambda p: rewrite(p, **{"opt_G.lr": b"", "opt_D.lr": np.array(0.1)}), "sha"),
    "no digest": (lambda p: rewrite(p, sha256=b""), "sha256"),
    "no description": (lambda p: sealed(p, meta=None), "meta"),
    "compressed": (lambda p: rewrite(p, compression=zipfile.ZIP_DEFLATED), "compressed"),
    "a pickle": (lambda p: rewrite(p, extra=np.array([{}], object)), "object"),
    "an absurd shape": (lambda p: rewrite(p, extra=with_shape((10**15,))), "bytes"),
    "a negative shape": (lambda p: rewrite(p, extra=with_shape((-1, -1))), "bytes"),
    "a header that is code": (lambda p: rewrite(p, extra=with_shape("f()")), "malformed"),
    "foreign text": (lambda p: p.write_text("hello"), "zip"),
    "empty": (lambda p: p.write_bytes(b""), "zip"),
    "foreign archive": (lambda p: np.savez(p, x=np.zeros(3)), "sha256"),
    "another format": (lambda p: sealed(p, meta=np.array('{"format": "x"}')), "not marked"),
    "not an object": (lambda p: sealed(p, meta=np.array("[]")), "not marked"),
    "a newer version": (
        lambda p: sealed(p, meta=np.array('{"format": "minigan-checkpoint", "version": 2}')),
        "version 2",
    ),
    "not a number": (lambda p: sealed(p, **{"opt_G.lr": np.array(np.nan)}), "not finite"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_one_line(path, damage):
    change, reason = DAMAGE[damage]
    change(path)
    with pytest.raises(MiniganError) as error:
        checkpoints.read(path)
    assert reason in one_line(error)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("key", ["step", "quality", "seconds", "config"])
@pytest.mark.parametrize("value", [None, True, "3", -1, [1]])
def test_description_of_wrong_types_is_refused(path, key, value):
    with np.load(path) as file:
        meta = json.loads(str(file["meta"]))
    meta[key] = value
    sealed(path, meta=np.array(json.dumps(meta)))
    with pytest.raises(MiniganError, match="not a usable checkpoint"):
        checkpoints.read(path)


def test_missing_file_and_folder_are_one_line(tmp_path):
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(MiniganError, match="cannot read") as error:
            checkpoints.read(path)
        one_line(error)


def test_truncated_anywhere(path):
    content = path.read_bytes()
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        with pytest.raises(MiniganError, match="not a usable checkpoint"):
            checkpoints.read(path)


# A failed write loses nothing ---------------------------------------------------------------


def test_state_that_is_not_finite_is_not_written(path):
    before = path.read_bytes()
    with pytest.raises(MiniganError, match=r"step 9: G\.w is no longer finite"):
        checkpoints.write(path, example(step=9, **{"G.w": np.array([1, np.inf], np.float32)}))
    assert path.read_bytes() == before


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_leaves_the_old_file(path, monkeypatch, call):
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(MiniganError, match="No space left on device") as error:
        checkpoints.write(path, example(step=4))
    assert str(path) in one_line(error)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_real_limit_of_the_file_size_leaves_the_old_file(path):
    before = path.read_bytes()
    large = example(**{"G.w": np.zeros(100_000)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(MiniganError, match="File too large"):
            checkpoints.write(path, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MiniganError, match=r"cannot write .*Not a directory"):
        checkpoints.write(tmp_path / "file" / "a.npz", example())
