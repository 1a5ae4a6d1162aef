"""The clock: every moment belongs to one section, and only the watched thread counts."""

import json
import threading

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from PIL import Image

from minigan import plots
from minigan.cli import program
from minigan.kernels import clock as clock_module
from minigan.kernels import parallel
from minigan.kernels.clock import REST, Clock, section, table, timed


@pytest.fixture
def time(monkeypatch):
    """A time that passes only when told: ``time(3)`` is three seconds."""
    now = [100.0]

    def passes(seconds):
        now[0] += seconds

    monkeypatch.setattr(clock_module.time, "perf_counter", lambda: now[0])
    return passes


def test_a_second_belongs_to_the_innermost_section(time):
    clock = Clock()
    time(50)
    with clock.running():
        time(1)
        with section("a"):
            time(2)
            with section("b"):
                time(4)
            time(8)
            with section("a"):
                time(16)
        time(32)
    time(50)
    assert clock.seconds == {REST: 33, "a": 26, "b": 4}
    assert clock.runs == 1


def test_runs_add_up_and_errors_close_sections(time):
    clock = Clock()

    def fail():
        with clock.running(), section("a"):
            time(1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert clock.runs == 0  # it was not finished
    with clock.running():
        time(2)
        with section("a"):
            time(4)
    assert clock.seconds == {"a": 5, REST: 2}
    assert clock.runs == 1


def test_without_a_clock_a_section_does_nothing(time):
    @timed("f")
    def f(x, y=1):
        """About f."""
        time(1)
        return x + y

    assert f(1, y=2) == 3
    assert f.__doc__ == "About f."
    clock = Clock()
    with clock.running():
        f(0)
    f(0)
    assert clock.seconds["f"] == 1


def test_one_clock_at_a_time():
    with Clock().running(), pytest.raises(RuntimeError, match="one"), Clock().running():
        pass
    with Clock().running():
        pass


def test_other_threads_are_not_watched(time):
    clock = Clock()

    def work():
        with section("theirs"):
            time(5)

    with clock.running():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert clock.seconds == {REST: 5}


def test_waiting_for_other_threads_is_a_section():
    parallel.set_num_threads(2)
    clock = Clock()
    with clock.running():
        parallel.run(lambda i: np.ones(10).sum(), range(4))
    assert clock.seconds.keys() == {REST, "waiting"}


def test_table():
    lines = table({"a": 0.5, "b": 1.5}, steps=4).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["b", "375.00", "75.0", "%"], ["a", "125.00", "25.0", "%"], ["all", "500.00", "100.0", "%"],
    ]  # fmt: skip


def test_picture_has_a_colour_for_each_section(tmp_path):
    seconds = {f"section {i}": 1.0 + i for i in range(len(plots.SECTIONS))}
    plots.profile(seconds, 3, tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    rows = pixels.reshape(-1, 3)
    for colour in plots.SECTIONS:
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (rows == wanted).all(axis=1).sum() > 100, colour


# Runs ---------------------------------------------------------------------------------------


def train(folder, *options):
    data = tiny.write_data(folder)
    arguments = [
        "train", "gan", "--data", data, "--set", "image_size=8", "--batch-size", "8",
        "--out", str(folder / "run"), *options,
    ]  # fmt: skip
    result = CliRunner().invoke(program, arguments)
    assert result.exit_code == 0, result.output
    return result


def test_profile_of_a_run(tmp_path, monkeypatch):
    tiny.use(monkeypatch)
    result = train(tmp_path, "--steps", "6", "--profile", "--json")
    profile = json.loads(result.stdout)["profile"]
    assert profile["steps"] == 5  # the first is not counted
    assert {"GEMM", "optimiser", "batch norm", "activations", "loss", "data", REST} <= profile[
        "seconds"
    ].keys()
    assert all(value >= 0 for value in profile["seconds"].values())
    assert (tmp_path / "run" / "profile.png").is_file()

    arguments = ["train", "--resume", str(tmp_path / "run"), "--steps", "9", "--profile"]
    result = CliRunner().invoke(program, arguments)
    assert result.exit_code == 0, result.output
    assert "GEMM" in result.stdout
    assert "share" in result.stdout


def test_no_profile_unless_asked_for_or_of_a_single_step(tmp_path, monkeypatch):
    tiny.use(monkeypatch)
    (tmp_path / "a").mkdir()
    result = train(tmp_path / "a", "--steps", "3")
    assert "share" not in result.stdout
    assert not (tmp_path / "a" / "run" / "profile.png").exists()
    result = train(tmp_path / "b", "--steps", "1", "--profile")
    assert "nothing to profile" in result.output
    assert not (tmp_path / "b" / "run" / "profile.png").exists()
