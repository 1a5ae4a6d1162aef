"""Thousands of damaged files: each is read as it was written, or refused in one line."""

import json
import os
import random

import numpy as np
import pytest
import tiny

from minigan import train
from minigan.cli.train import read_toml
from minigan.errors import MiniganError
from minigan.train import checkpoint as checkpoints
from minigan.train.record import Config

ROUNDS = 1000

TOML = """# a run
recipe = "gan-paper"
data = "npz:images.npz"
steps = 200
seed = 3
backend = "numpy"
lr = 0.1
betas = [0.5, 0.9]
updates = "simultaneous"
latent-dim = 20
"""

JUNK = [
    None, True, False, 0, -1, 1, 2**31, 2**64, 10**400, -(10**400), 0.5, -0.0, 1e308, -1e308, "",
    "x", "nan", "inf", "1e999", "0", "a\nb", "\0", "x" * 10_000, [], [1], [1, 2], ["a"], [[]],
    [1] * 1000, {}, {"a": 1}, {"step": {}},
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.use(monkeypatch)
        run, _ = tiny.start(tmp_path_factory.mktemp("fuzz"), steps=4, changes={"ema": 0.9})
    return run


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    """Cut, flipped, overwritten, doubled, shuffled: what disks and editors do to a file."""
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 5, 30])):
        at = rng.randrange(len(content) + 1)
        end = min(len(content), at + rng.choice([1, 2, 8, 64, 1000]))
        kind = rng.randrange(7)
        if kind == 0:
            del content[at:]
        elif kind == 1:
            del content[at:end]
        elif kind == 2 and at < len(content):
            content[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            content[at:end] = rng.randbytes(end - at)
        elif kind == 4:
            content[at:at] = content[at:end]
        elif kind == 5:
            content[at:end] = bytes(end - at)
        else:
            content[at:at] = rng.choice([b"\n", b'"', b"{", b"[", b"9" * 500, b"\xff", b"e999"])
    return bytes(content)


def places(value):
    """Every (container, key) in nested lists and dicts."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def damaged_value(value, rng: random.Random):
    """The same JSON with something inside replaced, removed or added."""
    value = json.loads(json.dumps(value))
    place, key = rng.choice(list(places(value)))
    kind = rng.randrange(5)
    if kind == 0:
        del place[key]
    elif kind == 1 and isinstance(place, dict):
        place[rng.choice(["odd", "", "__class__"])] = rng.choice(JUNK)
    else:
        place[key] = rng.choice(JUNK)
    return value


def outcome(read, *args):
    """What it returns, or None if it refuses in one line; any other exception is a failure."""
    try:
        return read(*args)
    except MiniganError as error:
        line = str(error)
    assert "\n" not in line
    assert 20 < len(line) < 1500
    return None


def test_checkpoints(run, tmp_path):
    rng = random.Random(0)
    original = run.checkpoint_path(4)
    content, good = original.read_bytes(), checkpoints.read(original)
    path = tmp_path / "a.npz"
    loaded = 0
    for _ in range(ROUNDS):
        path.write_bytes(damaged_bytes(content, rng))
        checkpoints.read_quality(path)
        found = outcome(checkpoints.read, path)
        if found is None:
            continue
        # The damage hit what nobody reads, a date in the zip headers: then all is as it was.
        loaded += 1
        assert (found.step, found.config, found.quality) == (4, good.config, good.quality)
        assert found.arrays.keys() == good.arrays.keys()
        assert all(found.arrays[k].tobytes() == a.tobytes() for k, a in good.arrays.items())
    assert loaded < ROUNDS / 2


def test_checkpoints_whose_digest_fits(run, tmp_path, monkeypatch):
    """Made by somebody who knows the format: wrong types and shapes, but a true sha256."""
    tiny.use(monkeypatch)
    rng = random.Random(1)
    with np.load(run.checkpoint_path(4)) as file:
        good = {name: file[name] for name in file.files if name != "sha256"}
    arrays = [
        np.zeros(0), np.zeros((3, 3), "f4"), np.array(1), np.array("x"), np.zeros(2, bool),
        np.full(4, np.nan), np.array(np.inf), np.zeros((1,) * 20), np.arange(5),
    ]  # fmt: skip
    path = tmp_path / "a.npz"
    for _ in range(ROUNDS // 2):
        contents = dict(good)
        if rng.random() < 0.5:
            meta = damaged_value(json.loads(str(good["meta"])), rng)
            contents["meta"] = np.array(json.dumps(meta))
        else:
            name = rng.choice(list(good))
            if rng.random() < 0.2:
                del contents[name]
            else:
                contents[name] = rng.choice(arrays)
        np.savez(path, **contents, sha256=np.array(checkpoints.digest(contents)))
        found = outcome(train.load_generator, path)
        if found is None:
            continue
        _, config, step = found
        assert isinstance(config, Config)
        assert type(step) is int
        assert step >= 0


def test_config_files(run):
    rng = random.Random(2)
    path = run.config_path
    content = path.read_bytes()
    try:
        for i in range(ROUNDS):
            if i % 2:
                path.write_bytes(damaged_bytes(content, rng))
            else:
                path.write_text(json.dumps(damaged_value(json.loads(content), rng)))
            config = outcome(run.read_config)
            if config is None:
                continue
            for name in ("steps", "seed", "data_count", "keep", "log_every"):
                assert type(getattr(config, name)) is int
            assert type(config.recipe.lr) is float
            assert Config.from_json(config.to_json()) == config
    finally:
        path.write_bytes(content)


def test_logs(run, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # the disk is not what is tested
    rng = random.Random(3)
    path = run.log_path
    content = path.read_bytes()
    entries = run.read_log()
    try:
        for i in range(ROUNDS):
            if i % 2:
                path.write_bytes(damaged_bytes(content, rng))
            else:
                changed = damaged_value(entries, rng)
                path.write_text("".join(json.dumps(entry) + "\n" for entry in changed))
            steps = [entry["step"] for entry in outcome(run.read_log) or []]
            assert steps == sorted(set(steps))
            run.cut_log(3)
            assert all(entry["step"] <= 3 for entry in run.read_log())
    finally:
        path.write_bytes(content)


def test_toml_files(tmp_path):
    rng = random.Random(4)
    path = tmp_path / "run.toml"
    path.write_text(TOML)
    options, fields = read_toml(path)
    assert options["steps"] == 200
    assert fields["latent_dim"] == 20
    lines = TOML.splitlines()
    values = ["1e400", "inf", "nan", "-1", "9" * 400, "true", "1979-05-27", "[[]]", "{a=1}", "''"]
    for i in range(ROUNDS):
        if i % 2:
            path.write_bytes(damaged_bytes(TOML.encode(), rng))
        else:
            line = rng.randrange(1, len(lines))
            key = lines[line].partition("=")[0]
            path.write_text("\n".join([*lines[:line], f"{key} = {rng.choice(values)}"]))
        options, _ = outcome(read_toml, path) or ({}, {})
        assert all(type(value) in (int, str) for value in options.values())


def test_deeply_nested_files_are_refused(run, tmp_path):
    deep = "[" * 100_000
    with pytest.raises(MiniganError):
        Config.from_json([])
    content = run.config_path.read_bytes()
    try:
        run.config_path.write_text(deep)
        with pytest.raises(MiniganError):
            run.read_config()
    finally:
        run.config_path.write_bytes(content)
    (tmp_path / "a.toml").write_text(f"lr = {deep}")
    with pytest.raises(MiniganError):
        read_toml(tmp_path / "a.toml")
