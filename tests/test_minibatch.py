"""Minibatch discrimination and standard deviation: formulas, models, and what they exclude."""

import numpy as np
import pytest

import minigan
from minigan import MiniganError, models, nn, penalties, recipes
from minigan import functional as F
from minigan.autograd import Tensor
from minigan.train import setup
from minigan.train.step import play_step, read

SHAPES = [(6, 5), (4, 2, 3, 2)]


def spread(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# Formulas -----------------------------------------------------------------------------------


def test_discrimination_by_hand():
    """Salimans et al. 2016, section 3.2, pair by pair."""
    x, T = spread(4, 3), spread(3, 5, 2)
    y = F.minibatch_discrimination(Tensor(x), Tensor(T)).numpy()
    np.testing.assert_array_equal(y[:, :3], x)
    M = np.einsum("na,abc->nbc", x, T)
    for i in range(4):
        for b in range(5):
            o = sum(np.exp(-np.abs(M[i, b] - M[j, b]).sum()) for j in range(4))
            assert y[i, 3 + b] == pytest.approx(o, rel=1e-12)


def test_stddev_by_hand():
    """Karras et al. 2018, section 3, with the released code's groups: 0, 2, 4, 6 and 1, 3, 5, 7."""
    x = spread(8, 3, 2, 2)
    y = F.minibatch_stddev(Tensor(x), 4).numpy()
    assert y.shape == (8, 4, 2, 2)
    np.testing.assert_array_equal(y[:, :3], x)
    for i in range(8):
        std = np.sqrt(x[i % 2 :: 2].var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(y[i, 3], std, rtol=1e-12)


def test_they_see_what_one_image_does_not_show():
    """A batch of one and the same image, against a batch of many."""
    same, many = np.repeat(spread(1, 5), 8, axis=0), spread(8, 5)
    T = Tensor(spread(5, 3, 2))
    nearness = [F.minibatch_discrimination(Tensor(x), T).numpy()[:, 5:] for x in (same, many)]
    np.testing.assert_allclose(nearness[0], 8)
    assert nearness[1].max() < 4
    deviation = [F.minibatch_stddev(Tensor(x)).numpy()[:, 5] for x in (same, many)]
    assert deviation[0].max() < 1e-3
    assert deviation[1].min() > 0.3


@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_two_orders_of_gradients_equal_pytorchs(shape):
    torch = pytest.importorskip("torch", reason="PyTorch is the yardstick")
    values = spread(*shape), spread(shape[1], 3, 2, seed=1)

    def discrimination(x, T):
        M = (x @ T.flatten(1)).reshape(-1, 3, 2)
        return torch.cat([x, torch.exp(-(M[:, None] - M[None]).abs().sum(3)).sum(1)], 1)

    def stddev(x, T):
        G = 2
        groups = x.reshape(G, len(x) // G, *shape[1:])
        std = (groups.var(0, unbiased=False) + 1e-8).sqrt().flatten(1).mean(1)
        std = std.repeat(G).reshape(-1, *[1] * (x.ndim - 1)).expand(len(x), 1, *shape[2:])
        return torch.cat([x, std], 1) * T.sum()

    pairs = [(lambda x, T: F.minibatch_stddev(x, 2) * T.sum(), stddev)]
    if len(shape) == 2:
        pairs.append((F.minibatch_discrimination, discrimination))
    for ours, theirs in pairs:
        own = [Tensor(v, requires_grad=True) for v in values]
        other = [torch.tensor(v, requires_grad=True) for v in values]
        y, torch_y = ours(*own), theirs(*other)
        np.testing.assert_allclose(y.numpy(), torch_y.detach().numpy(), rtol=1e-11)
        first = minigan.grad((y**3).sum(), own, create_graph=True)
        torch_first = torch.autograd.grad((torch_y**3).sum(), other, create_graph=True)
        second = minigan.grad(sum(((g**2).sum() for g in first), Tensor(np.zeros(()))), own)
        torch_second = torch.autograd.grad(sum((g**2).sum() for g in torch_first), other)
        for g, torch_g in zip([*first, *second], [*torch_first, *torch_second], strict=True):
            np.testing.assert_allclose(g.numpy(), torch_g.detach().numpy(), rtol=1e-9, atol=1e-9)


def test_images_that_agree_have_a_gradient():
    x = Tensor(np.ones((4, 3)), requires_grad=True)
    F.minibatch_stddev(x).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_a_small_batch_is_one_group():
    x = Tensor(spread(3, 2))
    np.testing.assert_array_equal(
        F.minibatch_stddev(x, 4).numpy(), F.minibatch_stddev(x, 3).numpy()
    )


def test_what_does_not_fit_is_one_line():
    x, T = Tensor(spread(6, 5)), Tensor(spread(5, 3, 2))
    for attempt in (
        lambda: F.minibatch_stddev(x, 4), lambda: F.minibatch_stddev(Tensor(spread(0, 2))),
        lambda: F.minibatch_discrimination(x[:, :4], T), lambda: nn.MinibatchStdDev(0),
        lambda: F.minibatch_discrimination(x, T[0]), lambda: nn.MinibatchDiscrimination(5, 3, 0),
        lambda: F.minibatch_discrimination(x.view(6, 5, 1), T),
        lambda: nn.MinibatchDiscrimination(5, 0, 2),
    ):  # fmt: skip
        with pytest.raises(ValueError) as error:
            attempt()
        assert "\n" not in str(error.value)


# Models -------------------------------------------------------------------------------------

MODELS = [
    ("gan", (1, 8, 8), {}, 256), ("gan-toy", (2,), {}, 200),
    ("dcgan", (1, 8, 8), {"widths": (4, 3)}, 4),  # of 2 x 2 pixels each
]  # fmt: skip


@pytest.mark.parametrize("d_minibatch", ["discrimination", "stddev"])
@pytest.mark.parametrize(("model", "shape", "settings", "features"), MODELS)
def test_the_layer_stands_before_the_last_of_d(model, shape, settings, features, d_minibatch):
    minigan.manual_seed(0)
    plain_G, plain_D = models.build(model, shape, 5, **settings)
    G, D = models.build(model, shape, 5, **settings, d_minibatch=d_minibatch)
    assert list(G.state_dict()) == list(plain_G.state_dict())
    kinds = [type(layer).__name__ for layer in D.main]
    added = {"discrimination": "MinibatchDiscrimination", "stddev": "MinibatchStdDev"}[d_minibatch]
    assert kinds[-2] == added
    more = {"discrimination": 100, "stddev": 1}[d_minibatch]
    if (model, d_minibatch) == ("dcgan", "discrimination"):  # of rows, so it ends as an MLP does
        features *= 2 * 2
        assert kinds[-3:] == ["Flatten", added, "Linear"]
        assert D.main[-1].bias is None
    else:
        assert kinds[:-2] + kinds[-1:] == [type(layer).__name__ for layer in plain_D.main]
    assert D.main[-1].weight.shape[1] == features + more
    x = minigan.randn(8, *shape)
    logits = D(x).numpy()
    assert logits.shape == (8, 1)
    D.eval()
    plain_D.eval()
    other = D(minigan.cat([x[:1], x[1:] * 0.3])).numpy()
    assert abs(other[0, 0] - D(x).numpy()[0, 0]) > 1e-7  # it sees the others


def test_the_first_weights_of_a_dcgan():
    minigan.manual_seed(0)
    _, D = models.build("dcgan", (1, 8, 8), 5, widths=(40, 3), d_minibatch="discrimination")
    assert D.main[-2].weight.numpy().std() == pytest.approx(1 / np.sqrt(160), rel=0.05)
    assert D.main[-1].weight.numpy().std() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("d_minibatch", ["discrimination", "stddev"])
def test_both_players_learn(d_minibatch):
    recipe = recipes.override(
        recipes.get("gan"), {"batch_size": "8", "latent_dim": "3", "d_minibatch": d_minibatch}
    )
    minigan.manual_seed(0)
    game = setup.build_game(recipe, (1, 6, 6))
    assert any(type(layer).__name__.startswith("Minibatch") for layer in game.D.modules())
    before = {name: n.state_dict() for name, n in (("G", game.G), ("D", game.D))}
    (losses,) = read([play_step(game, [minigan.rand(8, 1, 6, 6)])])
    assert np.isfinite(list(losses.values())).all()
    for name, network in (("G", game.G), ("D", game.D)):
        for key, value in network.state_dict().items():
            if "weight" in key:
                assert np.abs(value - before[name][key]).max() > 0, key


def test_a_penalty_excludes_discrimination_but_not_stddev():
    minigan.manual_seed(0)
    _, D = models.build("gan", (1, 6, 6), 3, d_minibatch="discrimination")
    with pytest.raises(MiniganError, match="minibatch discrimination mixes") as error:
        penalties.build("wgan-gp", 10.0, D)
    assert "\n" not in str(error.value)
    _, D = models.build("gan", (1, 6, 6), 3, d_minibatch="stddev")
    penalty = penalties.build("wgan-gp", 10.0, D)
    loss = penalty(D, minigan.rand(4, 1, 6, 6), minigan.rand(4, 1, 6, 6))
    loss.backward()  # twice through the standard deviation
    assert np.isfinite(D.main[0].weight.grad.numpy()).all()


@pytest.mark.parametrize("values", [
    {"d_minibatch": "all"}, {"d_minibatch": "stddev", "batch_size": "6"},
    {"d_minibatch": "stddev", "model": "gan-relu"}, {"d_minibatch": "stddev", "batch_size": "12",
                                                     "pack": "2"},
    {"d_minibatch": "discrimination", "model": "gan-paper", "pixel_low": "0"},
])  # fmt: skip
def test_bad_values_are_one_line(values):
    with pytest.raises(MiniganError) as error:
        recipes.override(recipes.get("gan"), values)
    assert "\n" not in str(error.value)
    assert "d_minibatch" in str(error.value)
