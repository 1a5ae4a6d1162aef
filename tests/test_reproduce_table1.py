"""Table 1 and the order of updates: what is chosen, how it is judged, and pages of a few steps."""

import dataclasses
import json
import math

import numpy as np
import pytest
import tiny

from minigan import data, models, nn, recipes, reproduce
from minigan.data import Dataset
from minigan.errors import MiniganError
from minigan.kernels import parallel
from minigan.reproduce import order, result, table1
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
    recall = [c for c in result["comparisons"] if c["what"].startswith("recall, alternate")]
    values = [row["recall"] for row in runs if row["updates"] == "alternate"]
    assert [c["measured"] for c in recall] == [pytest.approx(np.mean(values))]
    assert recall[0]["expected"] == runs[-1]["recall"]
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


@pytest.mark.parametrize("text", ["", "{", "[]", '{"2": 1.0}', '{"2": [1.0]}', '{"x": [1.0, 0.2]}'])
def test_a_damaged_validation_is_one_line(tmp_path, text):
    (tmp_path / "validation.json").write_text(text)
    with pytest.raises(MiniganError, match=r"validation\.json is damaged: expected estimate"):
        table1.read_validation(Run(tmp_path))


# order ----------------------------------------------------------------------------------------


def test_the_page_of_order(small, monkeypatch, tmp_path):
    monkeypatch.setattr(order, "QUICK", order.Plan(seeds=2, steps=5, every=2, z=50))
    page = reproduce.run("order", tmp_path / "out", quick=True)
    rows = page["measured"]["runs"]
    assert [(row["way"], row["seed"]) for row in rows] == [
        (way, seed) for way in order.WAYS for seed in (0, 1)
    ]
    for row, comparison in zip(rows[::2], page["comparisons"]):
        values = [other["spread"] for other in rows if other["way"] == row["way"]]
        assert comparison["measured"] == min(values)
        curve = page["measured"][f"spread, {row['way']}, seed 0"]
        assert len(curve) == 3
        assert curve[-1] == row["spread"]
    starts = {page["measured"][f"spread, {way}, seed 0"][0] for way in order.WAYS}
    assert len(starts) == 1  # the same weights
    assert len({row["spread"] for row in rows}) == 6
    for name in ("order-spread.png", "order-samples.png", "result.md"):
        assert (tmp_path / "out" / name).stat().st_size > 0


@pytest.mark.parametrize("way", order.WAYS)
def test_each_way_moves_and_draws_as_it_says(small, monkeypatch, tmp_path, way):
    drawn, moved = [], []
    play_step = order.play_step

    def watch(game, batches):
        draw = game.draw_z

        def noted(n):
            drawn.append(draw(n))
            return drawn[-1]

        game.draw_z = noted
        record = play_step(game, batches)
        game.draw_z = draw
        moved.append(game.updates)
        return record

    monkeypatch.setattr(order, "play_step", watch)
    train = data.load("mnist", split="paper-train")
    task = result.Task("order", "", tmp_path)
    order.play(way, 0, order.Plan(1, steps=2, every=1, z=5), train, task)
    z = [each.numpy() for each in drawn]
    assert moved == [way.partition(",")[0]] * 2
    assert len(z) == (2 if way == "simultaneous" else 4)
    if way != "simultaneous":
        assert np.array_equal(z[0], z[1]) is (way == "alternate, the same z")
    assert not np.array_equal(z[-1], z[0])


def test_spread_is_that_of_pixels_over_images():
    images = np.random.default_rng(0).random((50, 1, 2, 2))
    expected = np.mean([images[:, 0, i, j].std() for i in range(2) for j in range(2)])
    assert order.spread_of(images) == pytest.approx(expected)
    assert order.spread_of(np.repeat(images[:1], 9, axis=0)) == 0
