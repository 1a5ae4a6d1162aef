"""WGAN-GP's networks and its kin: what the released code says of them, and short runs."""

import itertools
import json

import numpy as np
import pytest
from click.testing import CliRunner

import minigan
from minigan import MiniganError, models, nn, recipes
from minigan.cli import program
from minigan.train import quality


def main(*args):
    return CliRunner().invoke(program, [str(arg) for arg in args], prog_name="minigan")


@pytest.mark.parametrize(
    ("shape", "widths"),
    [((1, 28, 28), (4, 3, 2)), ((3, 32, 32), (4, 3)), ((1, 9, 14), (5, 2)), ((2, 1, 1), (3,))],
)
def test_g_goes_back_the_way_that_d_goes(shape, widths):
    G, D = models.build("wgan-gp", shape, 7, widths=widths)
    images = G(minigan.randn(5, 7))
    assert images.shape == (5, *shape)
    assert 0 < images.min().item() < images.max().item() < 1
    assert D(images).shape == (5, 1)
    sizes, x = [shape[1:]], images
    for layer in D:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            sizes.append(x.shape[2:])
    for large, small in itertools.pairwise(sizes):
        assert small == tuple(-(-side // 2) for side in large)


def kinds(network):
    return " ".join(type(layer).__name__ for layer in network)


def test_layers_and_first_weights_of_gan_mnist():
    """Filter by filter from tflib: sqrt(4 / (fan_in + fan_out)), with the fans of a stride of 2."""
    minigan.manual_seed(0)
    G, D = models.build("wgan-gp", (1, 28, 28), 128, widths=(256, 128, 64))
    assert kinds(G) == ("Linear ReLU Unflatten ConvTranspose2d ReLU ConvTranspose2d ReLU "
                        "ConvTranspose2d Sigmoid")  # fmt: skip
    assert kinds(D) == "Conv2d LeakyReLU " * 3 + "Flatten Linear"
    assert {layer.negative_slope for layer in D if isinstance(layer, nn.LeakyReLU)} == {0.2}
    expected = [
        (G[0], 2 / (128 + 4096)),
        (G[3], 4 / (256 * 25 / 4 + 128 * 25)),
        (G[5], 4 / (128 * 25 / 4 + 64 * 25)),
        (G[7], 4 / (64 * 25 / 4 + 25)),
        (D[0], 4 / (25 + 64 * 25 / 4)),
        (D[2], 4 / (64 * 25 + 128 * 25 / 4)),
        (D[4], 4 / (128 * 25 + 256 * 25 / 4)),
        (D[7], 2 / (4096 + 1)),
    ]
    for layer, variance in expected:
        assert_uniform(layer, variance)


def assert_uniform(layer, variance):
    w = layer.weight.numpy().ravel()
    bound = np.sqrt(3 * variance)
    assert 0.99 * bound < abs(w).max() <= bound * (1 + 1e-6)
    assert w.var() == pytest.approx(variance, rel=4 * np.sqrt(0.8 / w.size))  # four standard errors
    assert not layer.bias.numpy().any()


def test_layers_and_first_weights_of_gan_toy():
    minigan.manual_seed(0)
    for network, last in zip(models.build("points", (2,), 2, widths=(512, 512, 512)), (2, 1)):
        assert kinds(network) == "Linear ReLU " * 3 + "Linear"
        for layer, variance in zip(network[::2], [2 / 2, 2 / 512, 2 / 512, 2 / (512 + last)]):
            assert_uniform(layer, variance)


def test_what_does_not_fit():
    with pytest.raises(MiniganError, match="wgan-gp makes images and the data are points"):
        models.build("wgan-gp", (2,), 2, widths=(4,))
    with pytest.raises(MiniganError, match="points makes points and the data are images"):
        models.build("points", (1, 28, 28), 2, widths=(4,))
    for name, change, message in [
        ("wgan-gp", {"widths": ""}, "widths must be whole numbers"),
        ("wgan-gp", {"widths": "0,4"}, "the model wgan-gp needs 1 to 10 widths from 1"),
        ("wgan-gp", {"widths": "20000"}, "as in widths=256,128,64"),
        ("wgan-gp", {"pixel_low": "-1"}, "the last activation of wgan-gp makes pixels from 0 to 1"),
        ("wgan-gp-toy", {"model": "gan-toy"}, "gan-toy has no widths to set: only dcgan, "),
        ("gan-toy", {"model": "points"}, "as in widths=512,512,512"),
        ("wgan-gp", {"d_norm": "none"}, "no d_norm to set: only dcgan"),
    ]:
        with pytest.raises(MiniganError, match=message) as error:
            recipes.override(recipes.get(name), change)
        assert "\n" not in str(error.value)


def test_recipes():
    """The papers' settings: a change of one of these is a change of what is reproduced."""
    keys = ("penalty", "penalty_weight", "d_steps", "batch_size", "lr", "betas", "optimizer",
            "objective", "latent_dim")  # fmt: skip
    adam = (1e-4, (0.5, 0.9), "adam")
    found = {
        name: tuple(getattr(recipes.get(name), key) for key in keys)
        for name in ("wgan-gp", "wgan-gp-toy", "dragan")
    }
    assert found == {
        "wgan-gp": ("wgan-gp", 10.0, 5, 50, *adam, "wasserstein", 128),
        "wgan-gp-toy": ("wgan-gp", 0.1, 5, 256, *adam, "wasserstein", 2),
        "dragan": ("dragan", 10.0, 1, 128, *adam, "non-saturating", 100),
    }
    r1 = recipes.get("r1")
    assert (r1.penalty, r1.penalty_weight, r1.d_steps, r1.batch_size) == ("r1", 10.0, 1, 64)
    assert (r1.optimizer, r1.lr, r1.ema, r1.latent_dim) == ("rmsprop", 1e-4, 0.999, 256)
    for name in ("dragan", "r1"):
        assert recipes.get(name).d_norm == "none"


SMALL = {"wgan-gp": "4,4,2", "wgan-gp-toy": "8,8", "dragan": "4,2", "r1": "4,2"}


@pytest.mark.parametrize("name", SMALL)
def test_commands(tmp_path, monkeypatch, name):
    monkeypatch.setattr(quality, "SAMPLES", 200)
    run, is_toy = tmp_path / "run", name == "wgan-gp-toy"
    settings = [f"--set=widths={SMALL[name]}", "--set=batch_size=8"]
    data = [] if is_toy else ["--data", "glyphs"]
    result = main("train", name, *data, "--steps", 2, *settings, "--seed", 1, "--out", run)
    assert result.exit_code == 0, result.output
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert np.isfinite([log[-1]["d_loss"], log[-1]["g_loss"]]).all()
    for command in (
        ["info", run],
        ["sample", run, "--n", 4, "--out", tmp_path / "grid.png"],
        ["graph", name, "--out", tmp_path / "graph.svg"],
    ):
        result = main(*command)
        assert result.exit_code == 0, (command, result.output)


def test_layer_normalisation_in_the_dcgan():
    _, D = models.build("dcgan", (1, 16, 16), 5, widths=(8, 4), d_norm="layer")
    (norm,) = [layer for layer in D.main if isinstance(layer, nn.LayerNorm)]
    assert norm.normalized_shape == (8, 4, 4)
    assert D.main[2].bias is None
    x = minigan.rand(3, 1, 16, 16)
    # An image's output is the same whatever is beside it.
    np.testing.assert_allclose(D(x).numpy()[:1], D(x[:1]).numpy(), rtol=1e-4)
