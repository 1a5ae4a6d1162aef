"""Counting modes: what is kept while it trains, the tables made of it, and the rule."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tiny
from PIL import Image

from minigan import data, plots
from minigan import reproduce as reproductions
from minigan.data.toy import MIXTURES
from minigan.errors import MiniganError
from minigan.evaluate.modes import toy_modes
from minigan.kernels import parallel
from minigan.reproduce import modes, modes_long
from minigan.reproduce.modes import Plan, Story, compare, means, read_story
from minigan.reproduce.result import Task
from minigan.reproduce.training import train_all
from minigan.train.sampling import generate, load_generator
from minigan.train.setup import draw_z


@pytest.fixture
def small(monkeypatch):
    """Tiny networks, small pictures, and an epoch of four steps, looked at after two and four."""
    tiny.use(monkeypatch)
    draw_small(monkeypatch)
    monkeypatch.setattr(parallel, "_num_threads", 1)
    monkeypatch.setattr(modes, "STEPS_PER_EPOCH", 4)
    monkeypatch.setattr(modes, "looks", lambda steps: list(range(2, steps + 1, 2)))


def draw_small(monkeypatch):
    """Most of the time would go into pictures of the runs, which other tests look at."""
    monkeypatch.setattr(plots, "points", lambda samples, data: Image.new("RGB", (480, 40)))
    monkeypatch.setattr(plots, "curves", lambda log, path: None)
    monkeypatch.setattr(plots, "training_gif", lambda samples, path: None)


def points_on(mixture, captured, good, n=1000):
    """n points: a share ``good`` of them on so many modes, the others far away."""
    on = MIXTURES[mixture].modes[np.arange(round(good * n)) % captured]
    return np.concatenate([on, np.full((n - len(on), 2), 50.0)]).astype(np.float32)


def stories(ring=(6, 7), grid=(17, 18), ring_good=0.982, grid_good=0.948):
    """Two seeds of each mixture, after one epoch and at the end."""
    made = []
    for seed in (0, 1):
        for mixture, captured, good in [
            ("ring8", ring[seed], ring_good), ("grid25", grid[seed], grid_good),
        ]:  # fmt: skip
            early = points_on(mixture, 2, 0.1)
            end = points_on(mixture, captured, good)
            made.append(Story(mixture, seed, {1000: early, 10_000: end}, 0.5))
    return made


REAL = {mixture: modes.real_points(mixture) for mixture in MIXTURES if mixture != "gaussian1d"}


def test_the_whole_of_it(small, tmp_path, monkeypatch):
    monkeypatch.setattr(modes, "FULL", Plan(seeds=2, epochs=2))
    result = reproductions.run("modes", tmp_path / "out", runs=tmp_path / "runs", seed=3)
    rows = result["measured"]["runs"]
    assert [(row["data"], row["seed"]) for row in rows] == [
        ("ring8", 3), ("grid25", 3), ("ring8", 4), ("grid25", 4),
    ]  # fmt: skip
    curves = result["measured"]["curves"]
    assert curves["step"] == [2, 4, 6, 8]
    for row in rows:
        name = f"{row['data']}, seed {row['seed']}"
        assert row["modes"] == curves[f"modes, {name}"][-1]
        assert row["high quality, %"] == pytest.approx(100 * curves[f"high quality, {name}"][-1])
        assert row["hours"] >= 0
    epochs = [(row["data"], row["epochs"]) for row in result["measured"]["while it trains"]]
    assert epochs == [("ring8", 1), ("ring8", 2), ("grid25", 1), ("grid25", 2)]
    with Image.open(tmp_path / "out" / "modes-ring8.gif") as film:
        assert film.n_frames == 4
    page = (tmp_path / "out" / "result.md").read_text()
    assert "| PacGAN2 | 7.9 ± 0.1 |" in page
    assert "2 epochs of 4 steps (PacGAN: 400), each mixture from 2 seeds" in page


def test_longer_runs_tell_the_same_of_their_beginning(small, tmp_path, monkeypatch):
    monkeypatch.setattr(modes, "FULL", Plan(seeds=1, epochs=1))
    monkeypatch.setattr(modes_long, "FULL", Plan(seeds=1, epochs=2))
    first, longer, again = (
        reproductions.run(name, tmp_path / f"{i}", runs=tmp_path / "runs")["measured"]
        for i, name in enumerate(["modes", "modes-long", "modes"])
    )
    for key, values in first["curves"].items():
        assert longer["curves"][key][: len(values)] == values
        assert len(longer["curves"][key]) == 2 * len(values)
    assert {**again, "runs": None} == {**first, "runs": None}
    for row, before in zip(again["runs"], first["runs"]):
        assert {**row, "hours": 0} == {**before, "hours": 0}


def test_the_points_are_those_of_the_checkpoint(small, tmp_path):
    task = Task("modes", "", tmp_path / "out", runs=tmp_path / "runs")
    (run,) = train_all(task, [modes.wanted("ring8", 0, 4)], every=[2], after=modes.follow)
    G, config, step = load_generator(run.checkpoint_path(4))
    z = draw_z(config.recipe, 2500, np.random.default_rng(0))
    kept = np.load(modes.points_path(run, step))
    assert kept.shape == (2500, 2)
    assert np.array_equal(kept, generate(G, z))
    assert (config.recipe.name, config.recipe.data) == ("gan-toy", "ring8")
    assert not np.array_equal(np.load(modes.points_path(run, 2)), kept)

    shutil.copy(run.checkpoint_path(4), run.checkpoint_path(3))  # the best one is kept too
    modes.points_path(run, 4).unlink()
    modes.follow(run)
    assert np.array_equal(np.load(modes.points_path(run, 4)), kept)
    assert not modes.points_path(run, 3).exists()

    (entry,) = run.read_log()
    run.append_log({**entry, "step": 4, "seconds": 3600})
    run.append_log({**entry, "step": 5, "seconds": 7200})  # of a longer training
    assert read_story(run, modes.looks(4)).hours == 1

    modes.points_path(run, 2).write_bytes(b"broken")
    with pytest.raises(MiniganError, match=r"cannot read .*step-000002\.npy.* trained again"):
        read_story(run, modes.looks(4))
    modes.points_path(run, 2).unlink()
    with pytest.raises(MiniganError, match=r"No such file.* trained again"):
        read_story(run, modes.looks(4))


def test_means_and_errors_over_the_seeds():
    rows = {(row["data"], row["epochs"]): row for row in means(stories(ring=(5, 8)))}
    assert list(rows) == [("ring8", 1), ("ring8", 10), ("grid25", 1), ("grid25", 10)]
    assert rows["ring8", 10]["modes"] == 6.5
    assert rows["ring8", 10]["± modes"] == pytest.approx(1.5)
    assert rows["ring8", 10]["high quality, %"] == pytest.approx(98.2)
    assert rows["grid25", 10]["high quality, %"] == pytest.approx(94.8)
    assert (rows["ring8", 1]["modes"], rows["grid25", 1]["high quality, %"]) == (2, 10)
    (alone, *_) = means([s for s in stories() if s.seed == 0])
    assert alone["± modes"] is None


def outside(made):
    return [c.what.partition(", mean")[0] for c in compare(made, REAL) if c.holds is False]


def test_the_rule():
    assert outside(stories()) == []
    assert [c.holds for c in compare(stories(), REAL)] == [True] * 4 + [None] * 4
    assert outside(stories(ring=(8, 8))) == ["ring8: modes"]  # no collapse is no reproduction
    assert outside(stories(ring=(1, 1))) == ["ring8: modes"]
    assert outside(stories(grid=(25, 25))) == ["grid25: modes"]
    assert outside(stories(ring_good=0.5)) == ["ring8: high quality, %"]
    assert outside(stories(grid_good=0.8)) == ["grid25: high quality, %"]


def test_the_ranges_are_two_errors_of_the_difference():
    published = {}
    for model, source, *numbers in modes.PUBLISHED:
        if (model, source) == ("GAN", modes.PACGAN):
            values = [tuple(map(float, number.split(" ± "))) for number in numbers]
            published = dict(zip(modes.EXPECTED, values))
    for key, (expected, low, high) in modes.EXPECTED.items():
        value, error = published[key]
        assert value == expected
        reach = 2 * error * np.sqrt(1 + 10 / 5)
        assert low == pytest.approx(expected - reach, abs=0.06)
        ceiling = 7.8 if key == ("ring8", "modes") else 100
        assert high == pytest.approx(min(expected + reach, ceiling), abs=0.06)


def test_real_points_have_all_modes():
    for mixture, points in REAL.items():
        count = toy_modes(points, mixture)
        assert (count.captured, count.samples) == (modes.MIXTURES[mixture], 2500)
        assert abs(count.high_quality - count.ceiling) < 4 * count.se
        seen = data.load(mixture, count=2500, seed=modes.MIXTURES[mixture]).x
        assert not np.array_equal(points, seen)


def test_the_film_is_of_the_run_that_lost_most():
    points = {captured: points_on("ring8", captured, 0.5) for captured in (8, 3, 5)}
    stories = [Story("ring8", seed, {1: points[n]}, 0.1) for seed, n in enumerate(points)]
    other = Story("grid25", 9, {1: points_on("grid25", 1, 0.5)}, 0.1)
    assert modes.fewest([other, *stories], "ring8").seed == 1


def test_a_long_film_is_thinned_out(monkeypatch):
    draw_small(monkeypatch)
    points = points_on("ring8", 3, 0.5)
    story = Story("ring8", 0, dict.fromkeys(range(100, 20_100, 100), points), 0.1)
    frames = modes.film(story, REAL["ring8"])
    assert len(frames) == 60


def test_the_long_one(small, tmp_path):
    assert dataclasses.replace(modes.FULL, epochs=400) == modes_long.FULL
    task = Task("modes", "", tmp_path / "out", quick=True, runs=tmp_path / "runs")
    outcome = modes_long.reproduce(task)
    assert len(outcome.measured["runs"]) == 2
    assert {row["by"] for row in outcome.measured["published"]} == {modes.VEEGAN, modes.PACGAN}
    json.dumps(outcome.measured, allow_nan=False)
