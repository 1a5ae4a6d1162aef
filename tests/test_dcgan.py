"""The DCGAN: its networks, its recipes, and short runs from the command line."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import minigan
from minigan import MiniganError, models, recipes
from minigan.cli import program
from minigan.models.dcgan import dcgan

SMALL = ("--set", "widths=8,4")


def main(*args):
    return CliRunner().invoke(program, [str(arg) for arg in args], prog_name="minigan")


def parameters(network):
    return sum(p.numel() for p in network.parameters())


# The networks -------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("side", "widths"), [(64, (16, 8, 4, 2)), (32, (8, 4, 2)), (28, (8, 4)), (12, (4, 2))]
)
def test_shapes(side, widths, channels):
    G, D = dcgan((channels, side, side), 7, widths)
    images = G(minigan.randn(5, 7))
    assert images.shape == (5, channels, side, side)
    assert images.dtype == np.float32
    assert abs(images.numpy()).max() <= 1
    assert D(images).shape == (5, 1)
    assert G.eval()(minigan.randn(1, 7)).shape == (1, channels, side, side)


@pytest.mark.parametrize(
    ("name", "channels", "in_G", "in_D"),
    [
        # Of PyTorch's DCGAN example with nc = 3, by hand: every weight is 4 * 4 * in * out, and a
        # normalised layer adds 2 * out.
        ("dcgan", 3, 3_576_704, 2_765_568),
        ("dcgan", 1, 3_574_656, 2_763_520),
        ("dcgan-32", 3, 1_068_928, 663_296),
        # The ends have 7 x 7 kernels.
        ("dcgan-28", 1, 100 * 128 * 49 + 16 * 128 * 64 + 16 * 64 + 2 * (128 + 64),
         16 * 64 + 16 * 64 * 128 + 2 * 128 + 128 * 49),
    ],
)  # fmt: skip
def test_numbers_of_parameters(name, channels, in_G, in_D):
    recipe = recipes.get(name)
    shape = (channels, recipe.image_size, recipe.image_size)
    G, D = models.build(recipe.model, shape, recipe.latent_dim, widths=recipe.widths)
    assert (parameters(G), parameters(D)) == (in_G, in_D)


def test_keys_are_those_of_the_usual_pytorch_dcgan():
    G, D = dcgan((1, 64, 64), 10, (16, 8, 4, 2))
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    # In G a convolution, normalisation and ReLU are three places; the last two places are the
    # convolution to pixels and tanh.  D's first layer has no normalisation.
    expected = [f"main.{i}.weight" for i in (0, 3, 6, 9, 12)]
    expected += [f"main.{i}.{key}" for i in (1, 4, 7, 10) for key in norm]
    assert sorted(G.state_dict()) == sorted(expected)
    expected = [f"main.{i}.weight" for i in (0, 2, 5, 8, 11)]
    expected += [f"main.{i}.{key}" for i in (3, 6, 9) for key in norm]
    assert sorted(D.state_dict()) == sorted(expected)
    assert G.state_dict()["main.0.weight"].shape == (10, 16, 4, 4)
    assert D.state_dict()["main.11.weight"].shape == (1, 16, 4, 4)


def test_initial_weights():
    minigan.manual_seed(0)
    for network in dcgan((1, 64, 64), 100, (256, 128, 64, 32)):
        gammas = []
        for name, value in network.state_dict().items():
            if value.ndim == 4:
                n = value.size  # four standard errors of the mean and of the deviation
                assert abs(value.mean()) < 4 * 0.02 / n**0.5, name
                assert abs(value.std() - 0.02) < 4 * 0.02 / (2 * n) ** 0.5, name
            elif name.endswith(".weight"):
                gammas.append(value)
            elif name.endswith(".bias"):
                assert not value.any(), name
        gammas = np.concatenate(gammas)
        assert abs(gammas.mean() - 1) < 4 * 0.02 / len(gammas) ** 0.5
        assert abs(gammas.std() - 0.02) < 4 * 0.02 / (2 * len(gammas)) ** 0.5


def test_the_algorithms_compute_the_same_networks():
    outputs = []
    for algorithm in ("auto", "im2col", "winograd", "direct"):
        minigan.manual_seed(0)
        G, D = dcgan((1, 16, 16), 5, (8, 4), algorithm=algorithm)
        assert (G.main[3].algorithm, D.main[0].algorithm) == (algorithm, algorithm)
        G, D, z = G.double(), D.double(), minigan.randn(3, 5).double()
        outputs.append(D(G(z)).numpy())
    for output in outputs[1:]:
        np.testing.assert_allclose(output, outputs[0], rtol=1e-10)


def test_what_does_not_fit():
    for shape, widths, message in [
        ((1, 30, 30), (8, 4), "do not fit 2 widths"),
        ((1, 28, 20), (8, 4), "expected a square"),
        ((1, 4, 4), (8, 4), "4 times 2, 3"),
        ((1, 28, 28), (), "needs widths"),
        ((1, 28, 28), (8, 0), "needs widths"),
        ((2,), (8, 4), "data are points"),
    ]:
        with pytest.raises(MiniganError, match=message):
            dcgan(shape, 5, widths)


# The recipes --------------------------------------------------------------------------------


def test_recipes_are_the_papers():
    for name, side, widths in [
        ("dcgan", 64, (512, 256, 128, 64)), ("dcgan-32", 32, (256, 128, 64)),
        ("dcgan-28", 28, (128, 64)),
    ]:  # fmt: skip
        r = recipes.get(name)
        assert (r.model, r.image_size, r.widths) == ("dcgan", side, widths)
        assert (r.optimizer, r.lr, r.betas, r.batch_size) == ("adam", 2e-4, (0.5, 0.999), 64)
        assert (r.latent, r.latent_dim, r.pixel_low, r.pixel_high) == ("normal", 100, -1, 1)
        assert (r.updates, r.objective, r.d_steps) == ("alternate", "non-saturating", 1)


def test_widths_are_parsed():
    r = recipes.override(recipes.get("dcgan-28"), {"widths": "64, 32", "batch_size": "128"})
    assert (r.widths, r.batch_size) == ((64, 32), 128)
    assert recipes.override(r, {"widths": [16, 8]}).widths == (16, 8)
    assert recipes.override(r, {"widths": "8", "image_size": "4"}).widths == (8,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image_size": "30"}, "image_size 30 does not fit 2 widths: expected 4 times"),
        ({"image_size": "4"}, "does not fit"),
        ({"widths": "64,32,16"}, "image_size 28 does not fit 3 widths"),
        ({"widths": ""}, "whole numbers"),
        ({"widths": []}, "widths from 1"),
        ({"widths": "64,0"}, "widths from 1"),
        ({"widths": "64,99999"}, "widths from 1"),
        ({"widths": "64,x"}, "whole numbers, as 256,128,64"),
        ({"widths": [64, 32.5]}, "whole numbers"),
        ({"widths": [64, True]}, "whole numbers"),
        ({"widths": 64}, "whole numbers"),
        ({"widths": [1] * 100_000}, "1 to 10 widths"),
        ({"algorithm": "fft"}, "algorithm must be one of auto, im2col, winograd, direct"),
        ({"pixel_low": "0"}, "pixels from -1 to 1"),
        ({"model": "gan"}, "gan has no widths"),
    ],
)
def test_values_that_do_not_fit_are_one_line_errors(values, message):
    with pytest.raises(MiniganError, match=message) as error:
        recipes.override(recipes.get("dcgan-28"), values)
    assert "\n" not in str(error.value)


# Runs ---------------------------------------------------------------------------------------


@pytest.fixture
def colour(tmp_path):
    """The name of a data set of 40 images of 28 x 28 with three channels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 1, 1, 3)) * np.linspace(0, 1, 28)[:, None, None]
    np.savez(tmp_path / "c.npz", images=np.broadcast_to(images, (40, 28, 28, 3)).astype(np.uint8))
    return f"npz:{tmp_path / 'c.npz'}"


def train(run, data, steps, *more):
    result = main(
        "train", "dcgan-28", *SMALL, "--data", data, "--steps", steps, "--batch-size", 8,
        "--set", "latent_dim=6", "--out", run, "--log-every", 1, "--quiet", *more,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return result


def test_train_resume_and_sample_in_colour(tmp_path, colour):
    train(tmp_path / "whole", colour, 4)
    train(tmp_path / "half", colour, 2)
    result = main("train", "--resume", tmp_path / "half", "--steps", 4, "--quiet")
    assert result.exit_code == 0, result.output

    whole, half = (
        np.load(tmp_path / run / "checkpoints" / "step-000004.npz") for run in ("whole", "half")
    )
    names = [name for name in whole.files if name[:2] in ("G.", "D.", "op")]
    assert len(names) > 20
    for name in names:
        np.testing.assert_array_equal(whole[name], half[name], err_msg=name)
    assert whole["G.main.3.weight"].shape == (8, 4, 4, 4)
    config = json.loads((tmp_path / "half" / "config.json").read_text())
    assert config["recipe"]["widths"] == [8, 4]
    assert config["data_shape"] == [3, 28, 28]

    out = tmp_path / "s.npz"
    result = main("sample", tmp_path / "half", "--n", 6, "--out", tmp_path / "s.png", "--npz", out)
    assert result.exit_code == 0, result.output
    images = np.load(out)["images"]
    assert images.shape == (6, 3, 28, 28)
    assert 0 <= images.min() < images.max() <= 1


def test_threads_are_set_recorded_and_kept(tmp_path, colour):
    run = tmp_path / "run"
    train(run, colour, 1, "--threads", 3)
    assert minigan.get_num_threads() == 3
    assert json.loads((run / "config.json").read_text())["threads"] == 3
    minigan.set_num_threads(1)
    assert main("train", "--resume", run, "--steps", 2, "--quiet").exit_code == 0
    assert minigan.get_num_threads() == 3
    result = main("train", "--resume", run, "--steps", 3, "--threads", 2, "--quiet")
    assert result.exit_code == 0
    assert json.loads((run / "config.json").read_text())["threads"] == 2
    assert main("train", "gan", "--threads", 0).exit_code == 2


def test_errors_of_a_run_are_one_line(tmp_path):
    for options, message in [
        (["--set", "image_size=30"], "image_size 30 does not fit"),
        (["--set", "widths=9,x"], "widths must be whole numbers"),
        (["--data", "ring8"], "the data are points"),
    ]:
        result = main("train", "dcgan-28", *options, "--steps", 1, "--out", tmp_path / "no")
        assert result.exit_code == 1
        assert message in result.output
        assert result.output.count("\n") == 1
        assert not (tmp_path / "no").exists()
