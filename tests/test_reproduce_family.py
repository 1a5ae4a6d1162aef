"""The tables of the family: who takes part, with what, and what is made of their runs."""

import json

import numpy as np
import pytest
import tiny
from PIL import Image
from test_reproduce_modes import draw_small

from minigan import reproduce as reproductions
from minigan.data import Dataset
from minigan.data.toy import MIXTURES
from minigan.evaluate import report
from minigan.kernels import parallel
from minigan.objectives import OBJECTIVES
from minigan.penalties import PENALTIES
from minigan.reproduce import family, family_mnist, family_points
from minigan.reproduce.modes import Story, real_points
from minigan.train import record


def test_every_objective_and_penalty_takes_part():
    on_points = [e.recipe(family_points.base("ring8"), points=True) for e in family.ENTRANTS]
    assert {recipe.objective for recipe in on_points} == set(OBJECTIVES)
    assert {recipe.penalty for recipe in on_points} == {"none", *PENALTIES}
    assert len({e.name for e in family.ENTRANTS}) == len(family.ENTRANTS)


@pytest.mark.parametrize("entrant", family.ENTRANTS, ids=lambda e: e.name)
def test_an_entrant_changes_its_idea_and_nothing_else(entrant):
    allowed = {"objective", "penalty", "penalty_weight", "clip", "d_steps", "pack", "d_minibatch",
               "updates", "unroll", "optimizer", "lr"}  # fmt: skip
    assert {*entrant.settings, *entrant.on_points, *entrant.on_images} <= allowed
    if entrant.name != "wgan":  # whose critic momentum made unstable
        assert not {"optimizer", "lr"} & {*entrant.settings}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(parallel, "_num_threads", 1)
    draw_small(monkeypatch)


def test_points(small, tmp_path, monkeypatch):
    """Some of them, from two seeds, with their own networks: two steps each."""
    chosen = [e for e in family.ENTRANTS if e.name in ("non-saturating", "wgan-gp", "pacgan2")]
    monkeypatch.setattr(family_points, "ENTRANTS", chosen)
    monkeypatch.setattr(family_points, "SETTINGS", {"widths": (4,), "batch_size": 8})
    monkeypatch.setattr(family_points, "QUICK", family_points.Plan(seeds=2, steps=2))
    monkeypatch.setattr(family_points, "MIXTURES", {"ring8": 8})
    result = reproductions.run("family-points", tmp_path / "out", quick=True, runs=tmp_path / "r")
    rows = result["measured"]["entrants"]
    assert [row["entrant"] for row in rows] == [entrant.name for entrant in chosen]
    runs = result["measured"]["runs"]
    assert len(runs) == 2 * len(rows)
    for row in rows:
        own = [run for run in runs if run["entrant"] == row["entrant"]]
        assert [run["seed"] for run in own] == [0, 1]
        assert row["ring8 modes"] == np.mean([run["modes"] for run in own])
        config = record.Run(tmp_path / "r" / f"family-{row['entrant']}-ring8-seed1").read_config()
        assert (config.recipe.data, config.steps) == ("ring8", 2)
    assert (tmp_path / "out" / "family-points-ring8.gif").exists()
    assert "not judged" in result["verdict"]


def test_differences_to_the_plain_gan():
    def story(mixture, captured, seed):
        modes = MIXTURES[mixture].modes[:captured].astype(np.float32)
        return Story(mixture, seed, {10: modes}, 0.1)

    found = {
        name: [
            story(mixture, n + seed, seed) for seed in (0, 1) for mixture in family_points.MIXTURES
        ]
        for name, n in (("non-saturating", 3), ("r1", 5))
    }
    ring, grid = family_points.compare(found)
    assert (ring.what, ring.measured) == ("ring8: modes of r1, less those of non-saturating", 2.0)
    assert grid.error == pytest.approx(np.hypot(0.5, 0.5))
    assert ring.holds is None


def test_the_pictures_of_points_have_a_panel_for_each():
    """Six entrants: five panels, and one below the first of them."""
    real = {mixture: real_points(mixture) for mixture in family_points.MIXTURES}
    found = {
        name: [Story(mixture, 0, {10: real[mixture]}, 0.1) for mixture in real]
        for name in (family_points.PLAIN, "b", "c", "d", "e", "f")
    }
    frame = family_points.frame(found, real["grid25"], "grid25", 10)
    bottom = np.asarray(frame.convert("L"))[-30:]
    fifth = frame.width // 5
    assert bottom[:, :fifth].std() > 5
    assert bottom[:, fifth:].std() == 0
    sheet = family_points.draw_samples(found, real)
    assert sheet.size == (frame.width, 2 * frame.height)
    assert np.array_equal(np.asarray(sheet)[frame.height :], np.asarray(frame))


def test_a_frame_shows_the_samples_of_its_step():
    real = real_points("ring8")
    away = np.full_like(real, 100.0)
    story = Story("ring8", 0, {5: away, 10: real}, 0.1)
    red = []
    for step in (5, 10):
        pixels = np.asarray(family_points.frame({"a": [story]}, real, "ring8", step), np.int16)
        red.append(int((pixels[..., 0] - pixels[..., 2] > 60).sum()))
    assert red[0] == 0
    assert red[1] > 100


def test_mnist(small, tmp_path, monkeypatch):
    tiny.use(monkeypatch)
    images = np.random.default_rng(0).integers(0, 256, (70, 1, 28, 28)).astype(np.uint8)
    labels = np.arange(70) % 10
    part = Dataset("mnist", "train", images, labels, tuple("0123456789"))
    monkeypatch.setattr(family_mnist.data, "load", lambda *a, **k: part)
    monkeypatch.setattr(family_mnist, "QUICK", family_mnist.Plan(1, 2, 40, 50))
    monkeypatch.setattr(family_mnist, "ENTRANTS", family.ENTRANTS[:2])
    result = reproductions.run("family-mnist", tmp_path / "out", quick=True, runs=tmp_path / "r")
    rows = result["measured"]["entrants"]
    assert [row["entrant"] for row in rows] == ["non-saturating", "minimax"]
    for row in rows:
        assert 0 <= row["entropy of classes, nats"] <= np.log(10)
        assert row["classifier distance"] > 0
    page = (tmp_path / "out" / "result.md").read_text()
    assert "| measured |" not in page  # nothing is compared: no empty table
    saved = json.loads((tmp_path / "out" / "result.json").read_text())
    (real,) = saved["measured"]["real test images"]
    assert real["recall"] > rows[0]["recall"]


def test_the_classes_are_seen_through_a_median(monkeypatch):
    """A speck beside a stroke must not change what is seen."""
    seen = []
    monkeypatch.setattr(
        family_mnist, "median", lambda images: seen.append(images) or np.zeros_like(images)
    )
    rng = np.random.default_rng(0)
    part = Dataset("mnist", "train", rng.integers(0, 256, (60, 1, 28, 28)).astype(np.uint8))
    images = rng.random((50, 1, 28, 28)).astype(np.float32)
    found = family_mnist.asked(report.Material(samples=images, train=part, test=part))
    assert len(seen) == 1
    assert found["largest class, %"] == 100  # all alike, being black


def test_the_sheet_of_digits():
    shown = {name: np.ones((30, 1, 28, 28), np.float32) for name in ("a", "b", "c")}
    sheet = family_mnist.draw_samples(shown)
    assert isinstance(sheet, Image.Image)
    width, height = sheet.size
    assert np.asarray(sheet)[height // 2 + 20 : -40, width // 2 + 20 :].min() == 255  # no fourth
