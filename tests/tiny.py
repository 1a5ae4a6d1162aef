"""Runs that take a fraction of a second: 8 x 8 images, and networks of a few hundred weights."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from minigan import models, nn, recipes, train
from minigan.train import quality


def build(model, image_shape, latent_dim, **_):
    """A pair with everything that has state or draws random numbers: BatchNorm and dropout."""
    pixels = math.prod(image_shape)
    G = nn.Sequential(
        nn.Linear(latent_dim, 8), nn.BatchNorm1d(8), nn.LeakyReLU(0.2), nn.Linear(8, pixels),
        nn.Tanh(), nn.Unflatten(1, image_shape),
    )  # fmt: skip
    D = nn.Sequential(
        nn.Flatten(), nn.Linear(pixels, 8), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(8, 1)
    )
    return G, D


def use(monkeypatch) -> None:
    """From here on, every recipe has the tiny networks."""
    monkeypatch.setattr(models, "build", build)
    monkeypatch.setattr(quality, "SAMPLES", 200)


def narrow(name: str, widths: str = "", **changes) -> recipes.Recipe:
    """That recipe; its layers, if it says how wide they are, have these widths, by default 4."""
    recipe = recipes.get(name)
    if recipe.widths:
        changes["widths"] = widths or ",".join("4" for _ in recipe.widths)
    return recipes.override(recipe, changes)


def write_data(folder: Path) -> str:
    """A data set of 64 images, and its name."""
    folder.mkdir(parents=True, exist_ok=True)
    bright = np.random.default_rng(0).integers(0, 256, (64, 1, 1))
    ramp = np.arange(64).reshape(1, 8, 8) * 4
    images = ((bright + ramp) % 256).astype(np.uint8)
    np.savez(folder / "tiny.npz", images=images)
    return f"npz:{folder / 'tiny.npz'}"


def recipe(folder: Path, **changes) -> recipes.Recipe:
    """A recipe for that data: 8 batches of 8 an epoch."""
    values = {
        "data": write_data(folder), "image_size": 8, "batch_size": 8, "latent_dim": 4, **changes
    }  # fmt: skip
    return recipes.override(recipes.get("gan"), values)


def start(folder: Path, *, steps: int = 4, name: str = "run", changes=None, **options):
    """Train; returns the run and its summary."""
    options = {"sample_every": 1000, "log_every": 1, "quiet": True, "backend": "numpy", **options}
    out = folder / name
    summary = train.start(recipe(folder, **(changes or {})), out=out, steps=steps, **options)
    return train.Run(out), summary
