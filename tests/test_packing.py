"""PacGAN: what a pack is, that gradients are those of packs, and one line for what does not fit."""

import itertools

import numpy as np
import pytest
from click.testing import CliRunner

import minigan
from minigan import MiniganError, models, nn, penalties, recipes
from minigan.autograd import Tensor
from minigan.cli import program
from minigan.models.packing import Packed, packed_shape
from minigan.train import setup
from minigan.train.step import play_step


def images(n=6, channels=2):
    return np.random.default_rng(0).standard_normal((n, channels, 4, 4))


@pytest.mark.parametrize("channels_last", [False, True])
def test_neighbours_become_channels(channels_last):
    x = images()
    given = x
    if channels_last:  # in memory, as images lie that come from a convolution
        given = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    packs = Packed(nn.Identity(), 3)(Tensor(given)).numpy()
    assert packs.shape == (2, 6, 4, 4)
    for i in range(2):
        np.testing.assert_array_equal(packs[i], np.concatenate(x[3 * i : 3 * i + 3]))


def test_points_become_one_row():
    points = np.arange(12.0).reshape(6, 2)
    packs = Packed(nn.Identity(), 2)(Tensor(points)).numpy()
    assert packs.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_packs_of_one_are_the_images():
    x = Tensor(images())
    assert Packed(nn.Identity(), 1)(x).numpy().tolist() == x.numpy().tolist()
    assert packed_shape((3, 8, 8), 1) == (3, 8, 8)


MODELS = [
    ("gan", (1, 8, 8), {}), ("gan-relu", (1, 8, 8), {}),
    ("gan-paper", (1, 8, 8), {"data_mean": np.full((1, 8, 8), 0.3)}),
    ("gan-toy", (2,), {}), ("gan-tanh", (2,), {}), ("dcgan", (3, 8, 8), {"widths": (4, 3)}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "shape", "settings"), MODELS)
def test_every_model_can_be_packed(model, shape, settings):
    minigan.manual_seed(0)
    plain_G, _ = models.build(model, shape, 5, **settings)
    minigan.manual_seed(0)
    G, D = models.build_packed(2, model, shape, 5, **settings)
    for name, value in plain_G.state_dict().items():  # the same G, with the same first weights
        np.testing.assert_array_equal(G.state_dict()[name], value)
    fake = G(minigan.randn(6, 5))
    assert fake.shape == (6, *shape)
    assert D(fake).shape == (3, 1)
    _, for_packs = models.build(model, packed_shape(shape, 2), 5, **{**settings, "data_mean": None})
    keys = [f"network.{key}" for key in for_packs.state_dict()]
    assert list(D.state_dict()) == keys


def test_the_step_equals_pytorchs():
    """PacGAN2 on points, played simultaneously: losses and gradients of the released formula."""
    torch = pytest.importorskip("torch", reason="PyTorch is the yardstick")
    F = torch.nn.functional
    recipe = recipes.override(recipes.get("pacgan2"), {"model": "gan-tanh", "batch_size": "8"})
    minigan.manual_seed(0)
    game = setup.build_game(recipe, (2,))
    game.G.double()
    game.D.double()
    game.opt_D.step = game.opt_G.step = lambda: None
    game.draw_z = lambda n: Tensor(np.random.default_rng(1).standard_normal((n, 2)))
    x = np.random.default_rng(0).standard_normal((8, 2))
    record = play_step(game, [Tensor(x)])

    def as_torch(network, sizes):
        layers = []
        for n_in, n_out in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.Tanh()]
        copy = torch.nn.Sequential(*layers[:-1]).double()
        copy.load_state_dict({k: torch.tensor(v) for k, v in network.state_dict().items()})
        return copy

    G = as_torch(game.G.main, [2, 128, 128, 2])
    D = as_torch(game.D.network.main, [4, 128, 128, 1])
    fake = G(torch.tensor(game.draw_z(8).numpy()))
    real_logits = D(torch.cat([torch.tensor(x[0::2]), torch.tensor(x[1::2])], 1))
    fake_logits = D(torch.cat([fake[0::2], fake[1::2]], 1))
    d_loss = (F.softplus(-real_logits) + F.softplus(fake_logits)).mean()
    g_loss = F.softplus(-fake_logits).mean()
    assert record["d_loss"].item() == pytest.approx(d_loss.item(), rel=1e-9)
    assert record["g_loss"].item() == pytest.approx(g_loss.item(), rel=1e-9)
    for network, loss, theirs in ((game.D, d_loss, D), (game.G, g_loss, G)):
        gradients = torch.autograd.grad(loss, [*theirs.parameters()], retain_graph=True)
        for ours, g in zip(network.parameters(), gradients, strict=True):
            np.testing.assert_allclose(ours.grad.numpy(), g.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", penalties.PENALTIES)
def test_a_penalty_is_about_packs(name):
    """It is what it would be for the network without packing, given packs as images."""
    minigan.manual_seed(0)
    _, D = models.build_packed(2, "gan-relu", (1, 4, 4), 5)
    real, fake = (Tensor(a.astype(np.float32)) for a in images(8, 1).reshape(2, 4, 1, 4, 4))
    found = penalties.build(name, 10.0, D)
    plain = penalties.build(name, 10.0, D.network)
    minigan.manual_seed(3)
    ours = found(D, real, fake)
    minigan.manual_seed(3)
    expected = plain(D.network, D.packs(real), D.packs(fake))
    assert ours.item() == expected.item() > 0
    # The length of a pack's gradient is not that of its images.
    per_image = penalties.squared_lengths(D, real).numpy()
    per_pack = penalties.squared_lengths(D.network, D.packs(real)).numpy()
    np.testing.assert_allclose(per_image.reshape(2, 2).sum(1), per_pack, rtol=1e-5)


def test_a_penalty_and_batch_normalisation_are_one_line_still():
    minigan.manual_seed(0)
    _, D = models.build_packed(2, "dcgan", (1, 8, 8), 5, widths=(4, 3))
    with pytest.raises(MiniganError, match="batch normalisation mixes"):
        penalties.build("r1", 1.0, D)


def test_the_recipe():
    packed, plain = recipes.get("pacgan2"), recipes.get("gan-toy")
    assert (packed.pack, packed.batch_size) == (2, 2 * plain.batch_size)  # as many packs
    assert packed.epochs * 100_000 // packed.batch_size == plain.epochs * 100_000 // 100
    for key in ("model", "lr", "betas", "updates", "latent_dim", "data"):
        assert getattr(packed, key) == getattr(plain, key)


@pytest.mark.parametrize("values", [
    {"pack": "3"}, {"pack": "0"}, {"pack": "-2"}, {"pack": "200", "batch_size": "200"},
    {"pack": "1.5"}, {"batch_size": "101"},
])  # fmt: skip
def test_bad_values_are_one_line(values):
    with pytest.raises(MiniganError) as error:
        recipes.override(recipes.get("pacgan2"), values)
    assert "\n" not in str(error.value)


def test_what_does_not_fit_is_one_line():
    with pytest.raises(ValueError, match="5 images do not make packs of 2"):
        Packed(nn.Identity(), 2)(Tensor(images(5)))
    with pytest.raises(MiniganError, match="a label is of one: set pack=1"):
        Packed(nn.Identity(), 2)(Tensor(images()), Tensor(np.zeros((6, 10))))


def test_tools(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = ["pacgan2", "--set", "batch_size=20"]
    for command in (["inspect", *common, "--json"], ["graph", *common]):
        result = CliRunner().invoke(program, command)
        assert result.exit_code == 0, result.output
    assert "D.network.main.0" in (tmp_path / "graph-pacgan2.svg").read_text(encoding="utf-8")
