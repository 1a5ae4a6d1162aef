"""The reproduction of the VAE: what is noted meanwhile, tables, pictures, the rule."""

import dataclasses

import numpy as np
import pytest

from minigan import data, plots
from minigan import reproduce as reproductions
from minigan.data import Dataset
from minigan.errors import MiniganError
from minigan.evaluate.importance import Likelihood
from minigan.kernels import parallel
from minigan.reproduce import vae
from minigan.reproduce.result import verdict
from minigan.train import launch, quality

PLAN = vae.Plan(steps=(2, 4), codes=4, images=40, samples=60)


@pytest.fixture
def small(monkeypatch):
    """Four steps, 60 images of each split, and no pictures of the runs."""
    x = np.random.default_rng(0).integers(0, 256, (60, 1, 28, 28), np.uint8)
    labels = np.arange(60) % 10

    def load(name, split="train", **_):
        return Dataset(name, split, x, labels, tuple("0123456789"))

    for place in (data, launch.data):
        monkeypatch.setattr(place, "load", load)
    monkeypatch.setattr(vae, "QUICK", PLAN)
    monkeypatch.setattr(quality, "SAMPLES", 200)
    monkeypatch.setattr(parallel, "_num_threads", 1)
    monkeypatch.setattr(plots, "curves", lambda log, path: None)
    monkeypatch.setattr(plots, "training_gif", lambda samples, path: None)
    changes = {**vae.TRAININGS}
    for name, (base, values) in vae.TRAININGS.items():
        changes[name] = (base, {**values, "batch_size": 20})
    monkeypatch.setattr(vae, "TRAININGS", changes)


def test_the_whole_of_it(small, tmp_path):
    def make(folder):
        return reproductions.run("vae", tmp_path / folder, quick=True, runs=tmp_path / "runs")

    result = make("first")
    assert {path.name for path in (tmp_path / "first").iterdir()} == {
        "result.json", "result.md", "vae-elbo.png", "vae-reconstructions.png", "vae-plane.png",
        "vae-codes.png", "vae-samples.png",
    }  # fmt: skip
    measured = result["measured"]
    (binary, grey) = measured["log-likelihood of binarised test images"]
    assert (binary["k"], binary["images"], grey["k"]) == (4, 40, 2)
    assert binary["L_k, nats"] >= binary["ELBO, nats"]
    assert [row["training"] for row in measured["loss on the test images, nats an image"]] == [
        "vae", "vae, plane", "vae, binary", "ae",
    ]  # fmt: skip
    curves = measured["curves"]
    assert len(curves["epoch"]) == len(curves["vae, kl"]) == len(curves["ae, reconstruction"]) == 2
    assert "ae, kl" not in curves
    sources = [row["from"] for row in measured["samples, as the classifier sees them"]]
    assert sources == ["vae", "vae, binary", "ae, not fitted", "ae"]
    # The same command again finds the trainings and comes to the same numbers.
    again = make("again")
    assert again["measured"] == measured
    # Damage is said, and where.
    record = tmp_path / "runs" / "ae-mnist-seed0" / vae.RECORD
    record.write_text('{"2": 3}')
    with pytest.raises(MiniganError, match=r"elbo\.json is damaged"):
        make("third")
    record.write_text("{}")
    with pytest.raises(MiniganError, match="has nothing about step 2"):
        make("third")


def test_trainings_are_told_apart_by_their_folders():
    folders = [vae.wanted(name, 3, vae.FULL).name for name in vae.TRAININGS]
    assert folders == [
        "vae-mnist-seed3", "vae-plane-mnist-seed3", "vae-binary-mnist-seed3", "ae-mnist-seed3",
    ]  # fmt: skip
    assert vae.wanted("vae, plane", 0, vae.FULL).recipe.latent_dim == 2
    assert vae.wanted("vae, binary", 0, vae.FULL).recipe.objective == "elbo-binary"


# The rule -----------------------------------------------------------------------------------

FOUND = Likelihood(mean=-90.0, se=0.2, elbo=-93.0, elbo_se=0.2, codes=5000, images=10_000)
HISTORIES = {"vae": {"reconstruction": [80.0], "kl": [25.0]}, "ae": {"reconstruction": [70.0]}}
ROWS = [
    {"from": "vae", "distance": 50.0, "standard error": 1.0},
    {"from": "ae, not fitted", "distance": 500.0, "standard error": 1.0},
]
CODES = [{"training": "vae", "variance, mean": 1.02}]


def test_the_rule():
    assert verdict(vae.compare(FOUND, HISTORIES, ROWS, CODES)).startswith("reproduced")
    worse = [
        (dataclasses.replace(FOUND, mean=-97.0, elbo=-99.0), HISTORIES, ROWS, CODES, "log p"),
        (dataclasses.replace(FOUND, mean=-80.0), HISTORIES, ROWS, CODES, "log p"),
        (dataclasses.replace(FOUND, elbo=-89.0), HISTORIES, ROWS, CODES, "less the ELBO"),
        (FOUND, {**HISTORIES, "ae": {"reconstruction": [81.0]}}, ROWS, CODES, "reconstruction"),
        (FOUND, HISTORIES, [{**ROWS[0], "distance": 501.0}, ROWS[1]], CODES, "distance"),
        (FOUND, HISTORIES, ROWS, [{**CODES[0], "variance, mean": 1.3}], "variance"),
    ]
    for *case, what in worse:
        outside = [c.what for c in vae.compare(*case) if not c.holds]
        assert len(outside) == 1
        assert what in outside[0]


# Numbers and pictures -----------------------------------------------------------------------


def test_quantiles_are_steps_of_equal_probability():
    z = vae.quantiles(50)
    assert z.shape == (2500, 2)
    within = (z**2).sum(axis=1) < -2 * np.log(0.5)
    assert within.mean() == pytest.approx(0.5, abs=0.02)
    assert z[0, 0] < 0 < z[0, 1]  # the first row is the upper one


def test_the_spread_of_codes():
    class Known:
        def codes(self, images):
            mean = np.random.default_rng(0).standard_normal((20_000, 2)) * [0.6, 0.0] + [0, 2.0]
            return mean, np.full((20_000, 2), [0.8, 1.0])

    found = vae.spread(Known(), None)
    assert (found["dimensions"], found["active"]) == (2, 1)
    assert found["largest |mean|"] == pytest.approx(2)
    assert found["variance, mean"] == pytest.approx(1, abs=0.02)
