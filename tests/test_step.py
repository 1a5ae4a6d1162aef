"""The two-player step: where the gradient is cut, what each order of updates does."""

import numpy as np
import pytest

import minigan
from minigan import objectives, recipes
from minigan.autograd import Tensor
from minigan.functional.linear import Linear
from minigan.train import setup
from minigan.train.step import play_step, read


def make_game(name="gan", shape=(1, 6, 6), **values):
    minigan.manual_seed(0)
    recipe = recipes.override(recipes.get(name), {"latent_dim": 5, **values})
    return setup.build_game(recipe, shape)


def weights(network):
    return [p.numpy().copy() for p in network.parameters()]


def batch(n=8, shape=(1, 6, 6)):
    return Tensor(np.random.default_rng(0).random((n, *shape), dtype=np.float32))


def same(before, network):
    return all(np.array_equal(a, b.numpy()) for a, b in zip(before, network.parameters()))


@pytest.mark.parametrize("updates", ["alternate", "simultaneous"])
@pytest.mark.parametrize("name", ["gan", "gan-relu", "gan-paper"])
def test_both_players_learn(name, updates):
    game = make_game(name, updates=updates)
    before_g, before_d = weights(game.G), weights(game.D)
    record = play_step(game, [batch()])
    assert not same(before_g, game.G)
    assert not same(before_d, game.D)
    assert set(record) == {"d_loss", "g_loss", "d_real", "d_fake"}
    assert all(np.isfinite(value.item()) for value in record.values())


def test_what_steps_returned_is_read_together():
    game = make_game()
    records = [play_step(game, [batch()]) for _ in range(3)]
    numbers = read(records)
    assert numbers == [{name: value.item() for name, value in r.items()} for r in records]
    assert len({step["d_loss"] for step in numbers}) == 3
    assert {type(value) for step in numbers for value in step.values()} == {float}
    assert read([]) == []


def test_d_step_leaves_gradients_of_g_untouched(monkeypatch):
    game = make_game()
    monkeypatch.setattr(game.opt_G, "step", lambda: None)
    monkeypatch.setattr(game.opt_G, "zero_grad", lambda: None)
    gradients_after_d = []
    step_d = game.opt_D.step
    monkeypatch.setattr(
        game.opt_D,
        "step",
        lambda: (gradients_after_d.extend(p.grad for p in game.G.parameters()), step_d()),
    )
    play_step(game, [batch()])
    assert gradients_after_d == [None] * len(gradients_after_d)
    assert gradients_after_d


def test_g_step_leaves_d_and_its_gradients_untouched(monkeypatch):
    game = make_game()
    seen = {}
    step_d = game.opt_D.step

    def step_d_and_look():
        step_d()
        seen["weights"] = weights(game.D)
        seen["gradients"] = [p.grad.numpy().copy() for p in game.D.parameters()]

    monkeypatch.setattr(game.opt_D, "step", step_d_and_look)
    play_step(game, [batch()])
    assert same(seen["weights"], game.D)
    for before, p in zip(seen["gradients"], game.D.parameters()):
        np.testing.assert_array_equal(before, p.grad.numpy())


@pytest.mark.parametrize("updates", ["alternate", "simultaneous"])
def test_g_step_costs_no_weight_gradients_of_d(monkeypatch, updates):
    """D's four layers owe a weight gradient for the real and the fake batch, and no third one."""
    game = make_game("gan-relu", updates=updates)
    own_weights = {id(p) for p in game.D.parameters()}
    asked = []
    backward = Linear.backward

    def count(self, gy):
        _, W = self.saved_inputs()
        if id(W) in own_weights and self.needs[1]:
            asked.append(W.shape)
        return backward(self, gy)

    monkeypatch.setattr(Linear, "backward", count)
    play_step(game, [batch()])
    assert len(asked) == 2 * 4


def test_k_discriminator_steps(monkeypatch):
    game = make_game(d_steps=3)
    counts = {"D": 0, "G": 0}
    for player, optimizer in (("D", game.opt_D), ("G", game.opt_G)):
        original = optimizer.step

        def step(player=player, original=original):
            counts[player] += 1
            original()

        monkeypatch.setattr(optimizer, "step", step)
    play_step(game, [batch(), batch(), batch()])
    assert counts == {"D": 3, "G": 1}


def test_simultaneous_gradients_are_taken_at_the_same_point():
    """G's gradient is the one at D's old weights, with the same fakes as D saw."""
    game = make_game("gan-relu", updates="simultaneous")
    reference = make_game("gan-relu", updates="simultaneous")
    x = batch()
    minigan.manual_seed(1)
    play_step(game, [x])
    minigan.manual_seed(1)
    fake_logits = reference.D(reference.G(reference.draw_z(len(x))))
    parameters = list(reference.G.parameters())
    expected = minigan.grad(reference.objective.g_loss(fake_logits), parameters)
    for g, p in zip(expected, game.G.parameters()):
        np.testing.assert_allclose(p.grad.numpy(), g.numpy(), rtol=1e-5, atol=1e-8)


def test_objectives_against_the_formulas():
    rng = np.random.default_rng(0)
    real, fake = (Tensor(rng.standard_normal((7, 1))) for _ in range(2))
    D_x, D_Gz = (1 / (1 + np.exp(-t.numpy())) for t in (real, fake))
    for name, expected in [
        ("non-saturating", -np.log(D_Gz).mean()),
        ("minimax", np.log(1 - D_Gz).mean()),
    ]:
        objective = objectives.build(name)
        assert objective.g_loss(fake).item() == pytest.approx(expected, rel=1e-12)
        assert objective.d_loss(real, fake).item() == pytest.approx(
            -(np.log(D_x) + np.log(1 - D_Gz)).mean(), rel=1e-12
        )
    smoothed = objectives.build("minimax", label_smoothing=0.1, d_scale=0.5)
    expected = -0.5 * (0.9 * np.log(D_x) + 0.1 * np.log(1 - D_x) + np.log(1 - D_Gz)).mean()
    assert smoothed.d_loss(real, fake).item() == pytest.approx(expected, rel=1e-12)


def test_objectives_on_plain_outputs_against_the_formulas():
    rng = np.random.default_rng(0)
    real, fake = (Tensor(2 * rng.standard_normal((50, 1))) for _ in range(2))
    d_x, d_gz = real.numpy(), fake.numpy()
    squares = objectives.build("least-squares", label_smoothing=0.1, d_scale=0.5)
    expected = 0.5 * (0.5 * ((d_x - 0.9) ** 2).mean() + 0.5 * (d_gz**2).mean())
    assert squares.d_loss(real, fake).item() == pytest.approx(expected, rel=1e-12)
    assert squares.g_loss(fake).item() == pytest.approx(0.5 * ((d_gz - 1) ** 2).mean(), rel=1e-12)
    hinge = objectives.build("hinge", d_scale=0.5)
    expected = 0.5 * (np.maximum(0, 1 - d_x).mean() + np.maximum(0, 1 + d_gz).mean())
    assert hinge.d_loss(real, fake).item() == pytest.approx(expected, rel=1e-12)
    assert hinge.g_loss(fake).item() == pytest.approx(-d_gz.mean(), rel=1e-12)
    assert hinge.opinion(d_x) == squares.opinion(d_x) == d_x.mean()


def test_minimax_saturates_and_non_saturating_does_not():
    """D is sure that the fakes are fakes (logit -20): eq. 1 gives G almost no gradient."""
    norms = {}
    for name in ("minimax", "non-saturating"):
        fake = Tensor(np.full((4, 1), -20.0), requires_grad=True)
        objectives.build(name).g_loss(fake).backward()
        norms[name] = np.abs(fake.grad.numpy()).sum()
    assert norms["minimax"] < 1e-8
    assert norms["non-saturating"] == pytest.approx(1.0, rel=1e-6)


def test_bad_objectives_are_one_line_errors():
    for arguments in [{"name": "maximin"}, {"name": "minimax", "label_smoothing": 1.0},
                      {"name": "hinge", "label_smoothing": 0.1}]:  # fmt: skip
        with pytest.raises(minigan.MiniganError) as error:
            objectives.build(**arguments)
        assert "\n" not in str(error.value)


def test_paper_network_starts_from_the_mean_image():
    mean = np.linspace(0, 1, 36).reshape(1, 6, 6)
    minigan.manual_seed(0)
    game = setup.build_game(
        recipes.override(recipes.get("gan-paper"), {}), (1, 6, 6), data_mean=mean
    )
    bias = game.G.main[4].bias.numpy()
    np.testing.assert_allclose(
        1 / (1 + np.exp(-bias)), np.clip(mean.ravel(), 1e-7, 1 - 1e-7), rtol=1e-5
    )
    assert np.abs(game.G.main[0].weight.numpy()).max() <= 0.05
    assert np.abs(game.D.main[1].weight.numpy()).max() <= 0.005


def test_uniform_noise_has_unit_variance_inside_its_cube():
    recipe = recipes.get("gan-paper")
    z = setup.draw_z(recipe, 2000, np.random.default_rng(0)).numpy()
    assert np.abs(z).max() <= 3**0.5 + 1e-6
    assert z.var() == pytest.approx(1.0, abs=0.01)


def test_schedules_of_the_paper():
    recipe = recipes.override(recipes.get("gan-paper"), {"latent_dim": 5})
    minigan.manual_seed(0)
    game = setup.build_game(recipe, (1, 6, 6))
    setup.set_schedules(game, recipe, 500 * 250, 500)
    assert game.opt_G.momentum == pytest.approx(0.7)
    assert game.opt_D.lr == pytest.approx(0.1 / 1.000004 ** (500 * 250))
    setup.set_schedules(game, recipe, 10**8, 500)
    assert game.opt_D.lr == 1e-6
    setup.set_schedules(game, recipe, 0, 500)
    assert (game.opt_G.momentum, game.opt_G.lr) == (0.5, 0.1)
