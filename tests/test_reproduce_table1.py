"""Table 1: what the validation chooses, how it is judged, and the page of a run of a few steps."""

import dataclasses
import json
import math

import numpy as np
import pytest
import tiny

from minigan import data, models, nn, recipes, reproduce
from minigan.data import Dataset
from minigan.kernels import parallel
from minigan.reproduce import table1
from minigan.train import launch, quality
from minigan.train.record import Run


@pytest.fixture
def small(monkeypatch):
    """Tiny networks, 120 random digits in each part, runs of four steps."""
    glyphs = data.load("glyphs", count=360)

    def load(name, split="train", **_):
        third = {"paper-train": 0, "valid": 1, "test": 2}[split]
        part = slice(third, None, 3)
        return Dataset(name, split, glyphs.x[part], glyphs.labels[part], glyphs.classes)

    def build(model, image_shape, latent_dim, **_):
        G, D = tiny.build(model, image_shape, latent_dim)
        return nn.Sequential(*list(G)[:3], nn.Linear(8, 784), nn.Sigmoid(), G[5]), D

    monkeypatch.setattr(models, "build", build)
    monkeypatch.setattr(quality, "SAMPLES", 200)
    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(table1, "STEPS_PER_EPOCH", 2)
    monkeypatch.setattr(table1, "QUICK", table1.Plan(2, 2, 1, 1, samples=60, images=100))
    monkeypatch.setattr(parallel, "_num_threads", 1)


def test_the_page(small, tmp_path):
    result = reproduce.run("table1", tmp_path / "out", quick=True, runs=tmp_path / "runs")
    runs = result["measured"]["runs"]
    assert [(row["updates"], row["seed"]) for row in runs] == [
        ("simultaneous", 0), ("alternate", 0), ("simultaneous", 1), ("alternate", 1),
        ("real test images", None),
    ]  # fmt: skip
    assert {row["yardstick"] for row in result["measured"]["yardsticks"]} == set(
        table1.yardsticks.YARDSTICKS
    )
    first, second = result["comparisons"][:2]
    values = [row["log-likelihood, nats"] for row in runs if row["updates"] == "simultaneous"]
    assert first["measured"] == pytest.approx(np.mean(values))
    assert first["error"] == pytest.approx(np.std(values, ddof=1) / math.sqrt(2))
    assert (first["expected"], first["low"], first["high"]) == (225, 215, 235)
    assert second["what"].startswith("log-likelihood, alternate updates, mean of 2 seeds")
    for name in ("table1-samples.png", "table1-validation.png", "result.md"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    orders = {
        path.name: Run(path).read_config().recipe.updates for path in (tmp_path / "runs").iterdir()
    }
    assert orders == {
        f"gan-paper-{order}-seed{seed}": order for order in table1.ORDERS for seed in (0, 1)
    }


def test_the_highest_estimate_is_chosen(small, tmp_path, monkeypatch):
    """The middle one of three: the copy is of that checkpoint, and the row says so."""
    estimates = iter([[1.0], [5.0], [3.0]])
    monkeypatch.setattr(
        table1.parzen, "log_likelihood", lambda *_: np.array(next(estimates))
    )  # fmt: skip
    recipe = dataclasses.replace(recipes.get("gan-paper"), batch_size=10)
    run = Run(tmp_path / "run")
    launch.start(recipe, out=run.folder, steps=2, keep=9, quiet=True)
    ended = []
    for step in (2, 4, 6):
        launch.resume(run.folder, steps=step, quiet=True)
        ended.append(table1.follow(run, 20, 1, None))
    taken = table1.read_validation(run)
    assert {step: nats for step, (nats, _) in taken.items()} == {2: 1.0, 4: 5.0, 6: 3.0}
    assert (run.folder / "chosen.npz").read_bytes() == run.checkpoint_path(4).read_bytes()
    assert ended == [False, False, True]  # an epoch, two steps, without a better one


def test_a_validation_that_was_cut_off_is_repeated(small, tmp_path):
    """``follow`` a second time at the same step: the same record, and the copy stays."""
    recipe = dataclasses.replace(recipes.get("gan-paper"), batch_size=10)
    run = Run(tmp_path / "run")
    launch.start(recipe, out=run.folder, steps=2, quiet=True)
    table1.follow(run, 20, 1, None)
    before = table1.read_validation(run)
    (run.folder / "chosen.npz").unlink()
    table1.follow(run, 20, 1, None)
    assert table1.read_validation(run) == before
    assert (run.folder / "chosen.npz").exists()
    assert json.loads((run.folder / "validation.json").read_text()).keys() == {"2"}
