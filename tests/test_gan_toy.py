"""PacGAN's networks for points: what its released code says of them."""

import numpy as np
import pytest

import minigan
from minigan import MiniganError, nn, recipes
from minigan.models import build
from minigan.train import setup


@pytest.fixture(scope="module")
def pair():
    minigan.manual_seed(0)
    return build("gan-toy", (2,), 2)


def test_first_weights(pair):
    for network in pair:
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                w = layer.weight.numpy()
                # The standard error of a standard deviation is sigma / sqrt(2 n).
                assert abs(w.std() - 0.02) < 4 * 0.02 / np.sqrt(2 * w.size)
                assert abs(w.mean()) < 4 * 0.02 / np.sqrt(w.size)
                assert layer.bias is None or not layer.bias.numpy().any()
            elif isinstance(layer, nn.BatchNorm1d):
                assert (layer.weight.numpy() == 1).all()
                assert not layer.bias.numpy().any()
                assert (layer.eps, layer.momentum) == (1e-4, 0.05)


def test_layers(pair):
    G, D = pair
    kinds = [type(layer).__name__ for layer in G.main]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU"] * 4 + ["Linear"]
    without = [layer.bias is None for layer in G.main if isinstance(layer, nn.Linear)]
    assert without == [True, True, True, True, False]
    assert [type(layer).__name__ for layer in D.main] == ["Maxout"] * 3 + ["Linear"]
    assert [(layer.out_features, layer.num_pieces) for layer in D.main[:3]] == [(200, 5)] * 3


def test_images_are_refused():
    with pytest.raises(MiniganError, match="gan-toy makes points and the data are images"):
        build("gan-toy", (1, 28, 28), 2)


def test_the_recipe():
    recipe = recipes.get("gan-toy")
    assert (recipe.latent, recipe.latent_dim, recipe.batch_size) == ("normal", 2, 100)
    assert (recipe.optimizer, recipe.lr, recipe.betas) == ("adam", 1e-4, (0.8, 0.999))
    assert (recipe.updates, recipe.objective, recipe.d_scale) == (
        "simultaneous", "non-saturating", 1.0,
    )  # fmt: skip
    assert recipe.epochs == 400
    with pytest.raises(MiniganError, match="at least 2 rows a batch"):
        recipes.override(recipe, {"batch_size": 1})


def test_shapes_that_are_known_without_data():
    shapes = {
        "grid25": (2,), "gaussian1d": (1,), "mnist": (1, 28, 28), "stacked-mnist": (3, 28, 28),
    }  # fmt: skip
    for data, shape in shapes.items():
        recipe = recipes.override(recipes.get("gan"), {"data": data})
        assert setup.data_shape(recipe) == shape
    assert setup.data_shape(recipes.get("gan"), 3) == (3, 28, 28)
