"""The importance-weighted likelihood against integrals, and what it refuses."""

import math
import tracemalloc

import numpy as np
import pytest
from click.testing import CliRunner

from minigan import MiniganError, data, models, recipes, train
from minigan.cli import program
from minigan.evaluate import report
from minigan.evaluate.importance import LatentModel, binarised, bounds, likelihood, of_networks
from minigan.train import launch

A, B = np.array([2.0, -1.0, 0.5]), np.array([0.3, -0.2, 1.0])  # logits = a z + b
X = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)], float)  # all there are


def line(mean=0.2, variance=0.7):
    """Three pixels, a code of one number, and the same q for each image, not the best one."""
    return LatentModel(
        encode=lambda x: (np.full((len(x), 1), mean), np.full((len(x), 1), math.log(variance))),
        decode=lambda z: z * A + B,
    )


def exact(x):
    """log of the integral of p(x|z) p(z), by a fine sum over z."""
    z = np.linspace(-12, 12, 200_001)
    logits = z[:, None] * A + B
    log_joint = (x * logits - np.logaddexp(0, logits)).sum(axis=1) - z * z / 2
    return math.log(np.exp(log_joint).sum() * (z[1] - z[0]) / math.sqrt(2 * math.pi))


def test_many_codes_reach_the_integral():
    truth = np.array([exact(x) for x in X])
    assert np.exp(truth).sum() == pytest.approx(1, abs=1e-9)  # over all images there are
    L_k, _ = bounds(line(), X, 100_000)
    np.testing.assert_allclose(L_k, truth, atol=0.01)


def test_l_1_is_the_elbo_in_closed_form():
    mean, variance = 0.2, 0.7
    t = np.linspace(-12, 12, 20_001)
    q = np.exp(-t * t / 2) / math.sqrt(2 * math.pi) * (t[1] - t[0])
    logits = (mean + math.sqrt(variance) * t)[:, None] * A + B
    kl = 0.5 * (mean**2 + variance - 1 - math.log(variance))
    expected = [(q @ (x * logits - np.logaddexp(0, logits)).sum(axis=1)) - kl for x in X]
    _, L_1 = bounds(line(mean, variance), X, 200_000)
    np.testing.assert_allclose(L_1, expected, atol=0.01)


def test_more_codes_are_nearer_from_below():
    truth = np.mean([exact(x) for x in X])
    many = np.repeat(X, 2000, axis=0)
    means = [bounds(line(), many, k)[0].mean() for k in (1, 4, 16)]
    assert means[0] < means[1] < means[2] < truth + 0.002
    assert means[0] < truth - 0.05


@pytest.mark.parametrize("pixels", [1, 7, 30, 100, 10_000])
def test_the_size_of_the_blocks_does_not_matter(pixels):
    whole = bounds(line(), X, 13)
    np.testing.assert_allclose(bounds(line(), X, 13, pixels=pixels), whole, rtol=1e-12)


def test_improbable_images_do_not_underflow():
    """-40,000 nats: the weights themselves are 0 in any precision."""
    model = LatentModel(line().encode, lambda z: np.full((len(z), 1000), -40.0, np.float32))
    found = likelihood(model, np.ones((2, 1000), np.float32), 50)
    assert -40_001 < found.mean < -39_999


def test_float32_networks_are_summed_in_float64():
    """The same numbers as with a float64 model, up to the rounding of its logits."""
    model = line()
    single = LatentModel(
        encode=lambda x: tuple(a.astype(np.float32) for a in model.encode(x)),
        decode=lambda z: model.decode(z).astype(np.float32),
    )
    ours, double = bounds(single, X.astype(np.float32), 500), bounds(model, X, 500)
    np.testing.assert_allclose(ours, double, rtol=1e-5)
    assert ours[0].dtype == np.float64


def test_memory_does_not_grow_with_the_codes():
    model = LatentModel(
        encode=lambda x: (np.zeros((len(x), 2)), np.zeros((len(x), 2))),
        decode=lambda z: np.zeros((len(z), 784), np.float32),
    )
    x = np.zeros((2, 784), np.float32)
    bounds(model, x, 10, pixels=100_000)  # compiles
    tracemalloc.start()
    bounds(model, x, 10_000, pixels=100_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20  # all logits at once: 63 MB


def test_the_networks_of_a_vae():
    decoder, encoder = models.build("vae", (1, 2, 2), 3)
    x = binarised(np.random.default_rng(0).integers(0, 256, (5, 1, 2, 2), np.uint8))
    mean, log_variance = of_networks(decoder, encoder).encode(x)
    assert mean.shape == log_variance.shape == (5, 3)
    encoded = encoder.main[2].bias.numpy()
    assert not np.array_equal(encoded[:3], encoded[3:])
    found = likelihood(of_networks(decoder, encoder), x, 4)
    assert (found.codes, found.images) == (4, 5)
    assert found.elbo <= found.mean < 0


def test_binarised_pixels():
    grey = np.tile(np.array([0, 51, 255], np.uint8), (20_000, 1, 1))
    x = binarised(grey)
    assert x.shape == (20_000, 3)
    assert set(np.unique(x)) == {0, 1}
    np.testing.assert_allclose(x.mean(axis=0), [0, 0.2, 1], atol=0.01)
    assert (binarised(grey) == x).all()
    assert (binarised(grey, seed=1) != x).any()


@pytest.mark.parametrize(
    ("x", "k", "message"),
    [
        (X * 0.5, 10, "pixels 0 or 1"),
        (X * np.nan, 10, "pixels 0 or 1"),
        (X[:0], 10, "at least 1 rows"),
        (X[0], 10, "shape"),
        (X, 0, "whole number from 1"),
        (X, 2.5, "whole number from 1"),
    ],
)
def test_bad_input_is_one_line(x, k, message):
    with pytest.raises(ValueError, match=message) as error:
        bounds(line(), x, k)
    assert "\n" not in str(error.value)


def test_a_model_that_gives_nan_is_no_number():
    model = LatentModel(line().encode, lambda z: z * A * np.nan)
    with pytest.raises(ValueError, match="not finite"):
        likelihood(model, X, 3)


# The command --------------------------------------------------------------------------------


def images():
    x = np.random.default_rng(0).integers(0, 256, (60, 1, 8, 8), np.uint8)
    return data.Dataset("demo", "train", x)


def test_material_without_a_density():
    material = report.Material(samples=np.zeros((60, 1, 8, 8)), train=images(), test=images())
    assert "likelihood" not in report.suitable(material.train, has_test=True)
    with pytest.raises(MiniganError, match="density of a VAE"):
        report.model_likelihood(material)


def test_the_command_prints_k_and_the_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "load_data", lambda recipe, data_dir: images())
    recipe = recipes.override(recipes.get("vae"), {"batch_size": 20, "latent_dim": 2})
    train.start(recipe, out=tmp_path / "run", steps=2, quiet=True, backend="numpy")
    arguments = ["evaluate", str(tmp_path / "run"), "-n", "60", "--metric", "likelihood"]
    result = CliRunner().invoke(program, [*arguments, "--codes", "7"])
    assert result.exit_code == 0, result.output
    assert "k = 7" in result.output
    assert "60 binarised images" in result.output
