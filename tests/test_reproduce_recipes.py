"""The reproduction of all recipes of the family: its rows, and whom its pictures show."""

import numpy as np
import pytest
import tiny
from test_reproduce_modes import draw_small

from minigan import recipes
from minigan import reproduce as reproductions
from minigan.data import Dataset
from minigan.kernels import parallel
from minigan.reproduce import family_recipes
from minigan.reproduce.family_recipes import FULL, QUICK, STEPS, Plan, same_class, shown
from minigan.reproduce.samples import drawn
from minigan.reproduce.training import Training
from minigan.train import record

CHOSEN = {"lsgan": 1, "cdcgan-28": 2, "infogan-28": 1, "wgan-gp-toy": 1}


def test_every_recipe_of_the_family_takes_part():
    others = {"gan", "gan-relu", "gan-paper", "gan-toy", "dcgan", "dcgan-28", "dcgan-32",
              "ae", "vae"}  # fmt: skip
    assert {*STEPS} == {*recipes.RECIPES} - others
    assert {*FULL.steps} == {*QUICK.steps} == {*STEPS}


@pytest.fixture
def small(monkeypatch):
    """Four recipes, narrow, on a few images that are not MNIST."""
    monkeypatch.setattr(parallel, "_num_threads", 1)
    draw_small(monkeypatch)
    images = np.random.default_rng(0).integers(0, 256, (70, 1, 28, 28)).astype(np.uint8)
    part = Dataset("mnist", "train", images, np.arange(70) % 10, tuple("0123456789"))
    load = family_recipes.data.load
    monkeypatch.setattr(
        family_recipes.data,
        "load",
        lambda name, **options: part if name == "mnist" else load(name, **options),
    )
    monkeypatch.setattr(family_recipes, "QUICK", Plan(CHOSEN, samples=40, images=50))

    def narrow(name, seed, steps):
        points = name == "wgan-gp-toy"
        recipe = tiny.narrow(name, batch_size="8", **({} if points else {"data": "mnist"}))
        return Training(f"family-recipe-{name}-seed{seed}", recipe, seed, steps)

    monkeypatch.setattr(family_recipes, "wanted", narrow)


def test_the_rows(small, tmp_path):
    result = reproductions.run("family-recipes", tmp_path / "out", quick=True, runs=tmp_path / "r")
    images = {row["recipe"]: row for row in result["measured"]["images"]}
    (points,) = result["measured"]["points"]
    assert [*images, points["recipe"]] == [*CHOSEN]
    for name in ("cdcgan-28", "infogan-28"):
        assert 0 <= images[name]["right labels, %"] <= 100
        assert images[name]["± right labels, %"] >= 0
    assert images["lsgan"]["right labels, %"] is None
    assert images["cdcgan-28"]["command"] == "`minigan train cdcgan-28 --data mnist --steps 2`"
    assert points["modes"].endswith(" of 25")
    for name, steps in CHOSEN.items():
        assert (tmp_path / "out" / f"{name}.png").exists()
        run = record.Run(tmp_path / "r" / f"family-recipe-{name}-seed0")
        assert max(run.checkpoints()) == steps
    # A conditional G draws what it is asked for.
    checkpoint = record.Run(tmp_path / "r/family-recipe-cdcgan-28-seed0").checkpoints()[2]
    ones, twos = (drawn(checkpoint, 3, labels=np.full(3, y)) for y in (1, 2))
    assert ones.shape == (3, 1, 28, 28)
    assert np.abs(ones - twos).max() > 0


def test_a_row_of_the_picture_is_one_class():
    labels = np.arange(400) % 10
    samples = labels[:, None]
    rows = shown(samples, labels).reshape(10, 16)
    assert np.array_equal(rows, np.repeat(np.arange(10)[:, None], 16, axis=1))
    assert len(shown(samples, None)) == 80


def test_codes_need_no_order():
    codes = np.repeat(np.arange(10), 20)
    assert same_class((codes + 3) % 10, codes) == 1
    assert same_class(np.zeros(200, int), codes) == 1  # all one digit: the entropy tells
    mixed = np.where(np.arange(200) % 4 == 0, (codes + 1) % 10, codes)
    assert same_class(mixed, codes) == pytest.approx(0.75)
