"""Autoencoders: the loss and its gradients, the step, the run, and what does not go with them."""

import math

import numpy as np
import pytest
from click.testing import CliRunner

import minigan
from minigan import MiniganError, elbo, models, recipes, train
from minigan.autograd import Tensor
from minigan.cli import program
from minigan.elbo import Elbo, Reconstruction
from minigan.train import checkpoint as checkpoints
from minigan.train import setup
from minigan.train.step import play_step, read

SHAPE, LATENT, N = (1, 3, 4), 3, 5


def networks(model="vae"):
    """Small ones in float64, images and noise."""
    minigan.manual_seed(0)
    decoder, encoder = models.build(model, SHAPE, LATENT)
    rng = np.random.default_rng(1)
    x, eps = rng.random((N, *SHAPE)), rng.standard_normal((N, LATENT))
    return decoder.to(np.float64), encoder.to(np.float64), Tensor(x), Tensor(eps)


def parameters(*networks):
    return [p for network in networks for p in network.parameters()]


# The loss -----------------------------------------------------------------------------------


def torch_loss(torch, decoder, encoder, x, eps, model):
    """From the papers' formulas, with probabilities and standard deviations; and its parameters."""
    theta, phi = (
        [torch.tensor(p.numpy(), requires_grad=True) for p in network.parameters()]
        for network in (decoder, encoder)
    )
    image = torch.tensor(x.numpy()).reshape(N, -1)
    code = torch.relu(image @ phi[0].T + phi[1]) @ phi[2].T + phi[3]
    kl = torch.zeros((), dtype=torch.float64)
    if model == "vae":
        mu, sigma = code[:, :LATENT], torch.exp(code[:, LATENT:]) ** 0.5
        q = torch.distributions.Normal(mu, sigma)
        p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
        kl = torch.distributions.kl_divergence(q, p).sum(1).mean()
        code = mu + sigma * torch.tensor(eps.numpy())
    y = torch.sigmoid(torch.relu(code @ theta[0].T + theta[1]) @ theta[2].T + theta[3])
    log_likelihood = (image * torch.log(y) + (1 - image) * torch.log(1 - y)).sum(1).mean()
    return -log_likelihood, kl, theta + phi


@pytest.mark.parametrize(("model", "objective"), [("vae", Elbo()), ("ae", Reconstruction())])
def test_loss_and_gradients_are_those_of_the_papers_formulas(model, objective):
    torch = pytest.importorskip("torch", reason="PyTorch is what is compared with")
    decoder, encoder, x, eps = networks(model)
    parts = objective(decoder, encoder, x, eps)
    reconstruction, kl, torch_parameters = torch_loss(torch, decoder, encoder, x, eps, model)
    assert parts["reconstruction"].item() == pytest.approx(reconstruction.item(), rel=1e-9)
    if model == "vae":
        assert parts["kl"].item() == pytest.approx(kl.item(), rel=1e-9)
    own = minigan.grad(sum(parts.values()), parameters(decoder, encoder))
    theirs = torch.autograd.grad(reconstruction + kl, torch_parameters)
    for a, b in zip(own, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("model", "objective"), [("vae", Elbo()), ("ae", Reconstruction())])
def test_first_and_second_derivatives(model, objective):
    decoder, encoder, x, eps = networks(model)

    def loss(*inputs):
        return sum(objective(decoder, encoder, *inputs).values())

    x.requires_grad_(), eps.requires_grad_(model == "vae")
    inputs = [x, eps] if model == "vae" else [x, eps.detach()]
    assert minigan.gradcheck(loss, inputs)
    assert minigan.gradgradcheck(loss, inputs)


def test_second_derivatives_of_the_two_terms():
    mean, log_variance = (Tensor(a) for a in np.random.default_rng(0).standard_normal((2, 4, 3)))
    assert minigan.gradgradcheck(elbo.kl_from_standard_normal, (mean, log_variance))
    assert minigan.gradgradcheck(elbo.reconstruction, (mean, log_variance.sigmoid().detach()))


@pytest.mark.parametrize(("mean", "sigma"), [(0.0, 1.0), (1.3, 0.4), (-2.0, 1.7), (0.1, 0.01)])
def test_kl_is_the_integral(mean, sigma):
    t = np.linspace(-40, 40, 400_001)  # in units of sigma: q ends within them
    z = mean + sigma * t
    q = np.exp(-t * t / 2) / (sigma * math.sqrt(2 * math.pi))
    log_ratio = -t * t / 2 - math.log(sigma) + z * z / 2
    integral = (q * log_ratio).sum() * (z[1] - z[0])
    found = elbo.kl_from_standard_normal(
        Tensor(np.array([[mean]])), Tensor(np.array([[2 * math.log(sigma)]]))
    )
    assert found.item() == pytest.approx(integral, rel=1e-9, abs=1e-12)


def test_z_has_the_mean_and_the_variance_that_the_encoder_says():
    class Fixed:
        def __call__(self, x):
            mean, variance = np.full((len(x), 2), [1.0, -3.0]), np.full((len(x), 2), [4.0, 0.25])
            return Tensor(np.concatenate([mean, np.log(variance)], axis=1))

    class Kept:
        def logits(self, z):
            self.z = z.numpy()
            return z

    x = Tensor(np.full((20_000, 2), 0.5))
    eps = Tensor(np.random.default_rng(0).standard_normal((20_000, 2)))
    Elbo()(kept := Kept(), Fixed(), x, eps)
    np.testing.assert_allclose(kept.z.mean(axis=0), [1, -3], atol=0.05)
    np.testing.assert_allclose(kept.z.var(axis=0), [4, 0.25], rtol=0.05)


def test_binarised_pixels_are_one_as_often_as_they_are_bright():
    minigan.manual_seed(0)
    grey = np.tile(np.array([0.0, 0.3, 0.9, 1.0], np.float32), (20_000, 1))
    black_and_white = elbo.binarised(Tensor(grey)).numpy()
    assert set(np.unique(black_and_white)) == {0, 1}
    assert black_and_white.dtype == np.float32
    np.testing.assert_allclose(black_and_white.mean(axis=0), grey[0], atol=0.012)
    assert black_and_white[:, 0].max() == 0
    assert black_and_white[:, 3].min() == 1


def test_the_binary_objective_sees_binary_images():
    decoder, encoder, x, eps = networks()
    seen = []
    encode = type(encoder).forward
    encoder.forward = lambda x: (seen.append(x.numpy()), encode(encoder, x))[1]
    Elbo(is_binary=True)(decoder, encoder, x, eps)
    assert set(np.unique(seen[0])) == {0, 1}
    Elbo()(decoder, encoder, x, eps)
    np.testing.assert_array_equal(seen[1], x.numpy())


def test_far_codes_do_not_overflow_in_float32():
    """A log variance of -200 is no NaN; logits of 1e4 cost what they should."""
    mean, log_variance = Tensor(np.zeros((1, 2), np.float32)), np.full((1, 2), -200, np.float32)
    assert elbo.kl_from_standard_normal(mean, Tensor(log_variance)).item() == pytest.approx(199)
    x = np.array([[0.0, 1.0]], np.float32)
    assert elbo.reconstruction(Tensor(np.full((1, 2), 1e4, np.float32)), Tensor(x)).item() == 1e4


# The networks -------------------------------------------------------------------------------


def test_a_fitted_decoder_spreads_z_as_the_codes_are():
    minigan.manual_seed(0)
    decoder, _ = models.build("ae", SHAPE, 2)
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((500, 2)) @ [[2.0, 1.0], [0.0, 0.5]] + [3.0, -1.0]
    decoder.fit(Tensor(codes))
    seen = []
    decoder.logits = lambda code: (seen.append(code.numpy()), type(decoder).logits(decoder, code))[
        1
    ]
    decoder(Tensor(rng.standard_normal((50_000, 2)).astype(np.float32)))
    np.testing.assert_allclose(seen[0].mean(axis=0), codes.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(np.cov(seen[0].T), np.cov(codes.T), rtol=0.05)


# The step and the run -----------------------------------------------------------------------


def small(name, **changes):
    return recipes.override(recipes.get(name), {"latent_dim": 3, **changes})


@pytest.mark.parametrize(("name", "parts"), [("ae", set()), ("vae", {"kl"})])
def test_a_step_moves_both_networks_down_the_loss(name, parts):
    minigan.manual_seed(0)
    game = setup.build_game(small(name), SHAPE)
    pattern = np.arange(12, dtype=np.float32).reshape(1, *SHAPE) % 2
    x = Tensor(np.concatenate([pattern] * 4 + [1 - pattern] * 4))
    before = [p.numpy().copy() for p in parameters(game.D, game.G)]
    records = read([play_step(game, [x]) for _ in range(30)])
    for record in records:
        assert set(record) == {"loss", "reconstruction", *parts}
        assert record["loss"] == pytest.approx(sum(record.values()) - record["loss"], rel=1e-6)
    assert records[-1]["loss"] < records[0]["loss"] - 1
    after = parameters(game.D, game.G)
    assert all((a != b.numpy()).any() for a, b in zip(before, after, strict=True))


def write_data(folder):
    folder.mkdir(exist_ok=True)
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8), np.uint8)
    np.savez(folder / "tiny.npz", images=images)
    return {"data": f"npz:{folder / 'tiny.npz'}", "image_size": 8, "batch_size": 8}


def start(folder, name, steps, run="run", **changes):
    recipe = small(name, **write_data(folder), **changes)
    options = {"sample_every": 3, "log_every": 1, "quiet": True, "backend": "numpy"}
    train.start(recipe, out=folder / run, steps=steps, **options)
    return train.Run(folder / run)


@pytest.mark.parametrize("name", ["ae", "vae"])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, name):
    whole = start(tmp_path, name, 6, "whole")
    part = start(tmp_path, name, 3)
    train.resume(part.folder, steps=6, quiet=True)
    a, b = (checkpoints.read(run.checkpoint_path(6)).arrays for run in (whole, part))
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[key], b[key]) for key in a)
    own = {"loss", "reconstruction", "encoder_grad_norm", "decoder_grad_norm"}
    for entry in whole.read_log():
        assert own <= entry.keys()
    assert whole.curves_path.exists()
    assert whole.gif_path.exists()


@pytest.mark.parametrize("name", ["ae", "vae"])
def test_the_commands_take_an_autoencoder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    run = str(start(tmp_path, name, 3).folder)
    for command in (
        ["info", run], ["plot", run], ["sample", run, "-n", "4"], ["interpolate", run],
        ["evaluate", run, "--metric", "neighbours", "-n", "50"], ["inspect", run], ["graph", name],
    ):  # fmt: skip
        result = CliRunner().invoke(program, command)
        assert result.exit_code == 0, result.output
    assert not (tmp_path / "inspect-run" / "saturation.png").exists()
    assert "Update decoder (G) and encoder (D)" in (tmp_path / f"graph-{name}.svg").read_text()


def test_a_damaged_line_of_the_log_is_found(tmp_path):
    run = start(tmp_path, "vae", 2)
    text = run.log_path.read_text().replace('"encoder_grad_norm"', '"d_grad_norm"')
    run.log_path.write_text(text)
    with pytest.raises(MiniganError, match="encoder_grad_norm is missing"):
        run.read_log()


def test_a_plain_autoencoder_samples_where_its_codes_are(tmp_path):
    run = start(tmp_path, "ae", 6)
    G, _, _ = train.load_generator(run.checkpoint_path(6))
    assert np.abs(G.code_root.numpy()).max() > 0


def test_divergence_is_said_in_one_line(tmp_path):
    with pytest.raises(MiniganError, match="training was stopped") as error:
        start(tmp_path, "vae", 50, lr="1e18")
    assert "\n" not in str(error.value)


# What does not go together ------------------------------------------------------------------


def test_recipes_know_the_model_of_every_objective():
    assert recipes.AUTOENCODERS.keys() == elbo.OBJECTIVES.keys()


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("vae", {"objective": "hinge"}, "plays none"),
        ("vae", {"objective": "nonsense"}, "plays none"),
        ("gan", {"updates": "together"}, "plays none"),
        ("gan", {"objective": "elbo"}, "is that of the model vae"),
        ("ae", {"objective": "elbo"}, "is that of the model vae"),
        ("vae", {"objective": "reconstruction"}, "is that of the model ae"),
        ("vae", {"updates": "alternate"}, "set updates=together"),
        ("vae", {"latent": "uniform"}, "set latent=normal"),
        ("vae", {"d_steps": "2"}, "set d_steps=1"),
        ("vae", {"label_smoothing": "0.1"}, "set label_smoothing=0.0"),
        ("vae", {"penalty": "r1", "penalty_weight": "1"}, "set penalty=none"),
        ("ae", {"clip": "0.1"}, "set clip=0.0"),
        ("ae", {"pack": "2"}, "set pack=1"),
        ("vae", {"d_minibatch": "stddev"}, "d_minibatch"),
        ("vae", {"unroll": "5"}, "unroll"),
        ("ae", {"ema": "0.9"}, "set ema=0.0"),
        ("ae", {"d_scale": "0.5"}, "set d_scale=1.0"),
        ("vae", {"pixel_low": "-1"}, "makes pixels from 0 to 1"),
        ("vae", {"widths": "4,3"}, "no widths"),
    ],
)
def test_what_does_not_go_with_an_autoencoder(name, values, message):
    with pytest.raises(MiniganError, match=message) as error:
        recipes.override(recipes.get(name), values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["ae", "vae"])
def test_points_are_refused(name):
    recipe = recipes.override(recipes.get(name), {"data": "ring8"})
    with pytest.raises(MiniganError, match="the data are points"):
        setup.build_game(recipe, setup.data_shape(recipe))


def test_an_unknown_objective():
    with pytest.raises(MiniganError, match="expected one of elbo"):
        elbo.build("elbow")
