"""Unrolled updates: against alternate ones, PyTorch's graph and finite differences."""

import numpy as np
import pytest

import minigan
from minigan import MiniganError, inspection, nn, objectives, optim, plots, recipes, train
from minigan.autograd import Tensor
from minigan.train import capture, quality, setup
from minigan.train.step import Game, play_step, read
from minigan.train.unrolled import Ahead

LATENT, WIDTH, BATCH = 3, 6, 8
OPTIMIZERS = {
    "adam": lambda p, lr: optim.Adam(p, lr=lr, betas=(0.5, 0.9)),
    "sgd": lambda p, lr: optim.SGD(p, lr=lr),
    "momentum": lambda p, lr: optim.SGD(p, lr=lr, momentum=0.7, weight_decay=0.1),
    "nesterov": lambda p, lr: optim.SGD(p, lr=lr, momentum=0.7, nesterov=True),
    "decay": lambda p, lr: optim.Adam(p, lr=lr, betas=(0.5, 0.9), weight_decay=0.1),
}


def pair():
    G = nn.Sequential(nn.Linear(LATENT, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 2))
    D = nn.Sequential(nn.Linear(2, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(),
                      nn.Linear(WIDTH, 1))  # fmt: skip
    return G, D


def odd_pair():
    """With all that changes from call to call."""
    G = nn.Sequential(nn.Linear(LATENT, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(),
                      nn.Linear(WIDTH, 2))  # fmt: skip
    D = nn.Sequential(nn.Linear(2, WIDTH), nn.BatchNorm1d(WIDTH), nn.LeakyReLU(0.2),
                      nn.Dropout(0.3), nn.Linear(WIDTH, 1))  # fmt: skip
    return G, D


def make_game(k, *, networks=pair, objective="minimax", make="adam", updates="unrolled", lr=0.02):
    minigan.manual_seed(0)
    G, D = (network.double() for network in networks())
    return Game(
        G=G, D=D, opt_G=OPTIMIZERS[make](G.parameters(), lr),
        opt_D=OPTIMIZERS[make](D.parameters(), lr), objective=objectives.build(objective),
        draw_z=lambda n: minigan.randn(n, LATENT).double(), updates=updates, unroll=k,
    )  # fmt: skip


def batch(seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal((BATCH, 2)))


def play(game, steps, first=0):
    records = []
    for t in range(first, first + steps):
        minigan.manual_seed((0, t))
        records.append(play_step(game, [batch(t)]))
    return read(records)


def state(game):
    owners = {"G": game.G, "D": game.D, "opt_G": game.opt_G, "opt_D": game.opt_D}
    return {
        f"{name}.{key}": np.array(value)
        for name, owner in owners.items()
        for key, value in owner.state_dict().items()
    }


# Against alternate updates ------------------------------------------------------------------


@pytest.mark.parametrize("networks", [pair, odd_pair])
@pytest.mark.parametrize("objective", objectives.OBJECTIVES)
def test_without_looking_ahead_it_is_alternate(networks, objective):
    ours = make_game(0, networks=networks, objective=objective)
    plain = make_game(0, networks=networks, objective=objective, updates="alternate")
    found, expected = play(ours, 3), play(plain, 3)
    for key, value in state(plain).items():
        np.testing.assert_array_equal(state(ours)[key], value, err_msg=key)
    for step, other in zip(found, expected, strict=True):
        assert step == other


def test_d_moves_once_and_only_on_its_ordinary_loss():
    ahead, plain = make_game(4), make_game(0, updates="alternate")
    play(ahead, 1)
    play(plain, 1)
    ours, theirs = state(ahead), state(plain)
    for key, value in theirs.items():
        if key.startswith(("D.", "opt_D.")):
            np.testing.assert_array_equal(ours[key], value, err_msg=key)
    assert np.abs(ours["G.0.weight"] - theirs["G.0.weight"]).max() > 1e-6
    for mine, other in zip(ahead.D.parameters(), plain.D.parameters(), strict=True):
        np.testing.assert_array_equal(mine.grad.numpy(), other.grad.numpy())


def test_one_more_update_of_d_for_each_batch():
    game = make_game(1)
    minigan.manual_seed(0)
    play_step(game, [batch(0), batch(1), batch(2)])
    assert game.opt_D.steps.tolist() == [3] * 6
    assert game.opt_G.steps.tolist() == [1] * 4


class Conditional(nn.Module):
    """A network that is given labels beside."""

    def __init__(self, network):
        self.network = network

    def forward(self, x, y):
        return self.network(minigan.cat([x, y], 1))


def conditional_pair():
    G, D = pair()
    G = nn.Sequential(nn.Linear(LATENT + 4, WIDTH), *G[1:])
    D = nn.Sequential(nn.Linear(2 + 4, WIDTH), *D[1:])
    return Conditional(G), Conditional(D)


def test_labels_go_to_both_networks():
    labels = np.eye(4)[np.arange(BATCH) % 4]
    games = {k: make_game(k, networks=conditional_pair) for k in (0, 2)}
    games["plain"] = make_game(0, networks=conditional_pair, updates="alternate")
    for game in games.values():
        minigan.manual_seed(5)
        play_step(game, [batch(), batch(1)], [Tensor(labels), Tensor(labels[::-1].copy())])
    states = {k: state(game) for k, game in games.items()}
    for key, value in states["plain"].items():
        np.testing.assert_array_equal(states[0][key], value, err_msg=key)
    first, ahead = (next(games[k].G.parameters()).grad.numpy() for k in (0, 2))
    assert 1e-6 < np.abs(ahead - first).max() < np.inf


# Looking ahead ------------------------------------------------------------------------------


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_what_an_optimiser_will_do_it_does(make):
    """Three steps from a state with history, thought of and then done."""
    rng = np.random.default_rng(0)
    params = [nn.Parameter(rng.standard_normal(s)) for s in [(3, 2), (4,)]]
    params.append(nn.Parameter(rng.standard_normal((5, 3)).T))  # another memory order
    optimizer = OPTIMIZERS[make](params, 0.1)
    gradients = [[Tensor(rng.standard_normal(p.shape)) for p in params] for _ in range(5)]

    def step(gs):
        for p, g in zip(params, gs):
            p.grad = g
        optimizer.step()

    for gs in gradients[:2]:
        step(gs)
    before = optimizer.state_dict()
    ahead, weights = Ahead(optimizer), [p.detach() + 0.0 for p in params]
    for gs in gradients[2:]:
        weights = ahead.step(weights, gs)
    for key, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
    for gs in gradients[2:]:
        step(gs)
    for thought, done in zip(weights, params, strict=True):
        np.testing.assert_allclose(thought.numpy(), done.numpy(), rtol=1e-11)


def gradients_of_g(game, seed=5):
    """(f, its gradient, D's weights after D's own move) of a step in which G does not move."""
    game.opt_G.step = lambda: None
    minigan.manual_seed((0, seed))
    (record,) = read([play_step(game, [batch(seed)])])
    del game.opt_G.step
    return record["g_loss"], [p.grad.numpy().copy() for p in game.G.parameters()]


@pytest.mark.parametrize("objective", ["minimax", "non-saturating", "wasserstein"])
@pytest.mark.parametrize("make", ["adam", "momentum", "nesterov"])
def test_the_gradient_equals_pytorchs(make, objective):
    torch = pytest.importorskip("torch", reason="PyTorch is the yardstick")
    game = make_game(3, objective=objective, make=make)
    play(game, 2)  # so that moments and velocities are not 0
    f, found = gradients_of_g(game)
    minigan.manual_seed((0, 5))
    game.draw_z(BATCH)
    z = torch.tensor(game.draw_z(BATCH).numpy())  # G's: D's own move has had the first
    expected_f, expected = torch_unrolled(torch, game, z, 3, objective, make)
    assert f == pytest.approx(expected_f, rel=1e-9)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def torch_unrolled(torch, game, z, k, objective, make):
    """f(theta_G, theta_D^k) and its gradient, from the formulas; D is as after its own move."""
    F = torch.nn.functional

    def as_torch(network):
        layers = [
            torch.nn.Linear(layer.in_features, layer.out_features)
            if isinstance(layer, nn.Linear) else torch.nn.Tanh()
            for layer in network
        ]  # fmt: skip
        copy = torch.nn.Sequential(*layers).double()
        copy.load_state_dict({n: torch.tensor(v) for n, v in network.state_dict().items()})
        return copy

    G, D = as_torch(game.G), as_torch(game.D)
    x = torch.tensor(batch(5).numpy())
    fake = G(z)
    theta = dict(D.named_parameters())
    saved, t, lr = game.opt_D.state_dict(), int(game.opt_D.steps[0]), game.opt_D.lr

    def at(theta, images):
        return torch.func.functional_call(D, theta, (images,))

    def d_loss(theta):
        real, fakes = at(theta, x), at(theta, fake)
        if objective == "wasserstein":
            return fakes.mean() - real.mean()
        return F.softplus(-real).mean() + F.softplus(fakes).mean()

    def parts(name):
        ends = np.cumsum([p.numel() for p in theta.values()])[:-1]
        flat = np.split(saved[name], ends)
        return [torch.tensor(a.reshape(p.shape)) for a, p in zip(flat, theta.values())]

    states = [parts(name) for name in (("m", "v") if make == "adam" else ("velocity",))]
    for i in range(1, k + 1):
        gs = torch.autograd.grad(d_loss(theta), [*theta.values()], create_graph=True)
        if make == "adam":
            (b1, b2), eps = game.opt_D.betas, game.opt_D.eps
            m = [b1 * m + (1 - b1) * g for m, g in zip(states[0], gs)]
            v = [b2 * v + (1 - b2) * g**2 for v, g in zip(states[1], gs)]
            states = [m, v]
            moves = [
                (m / (1 - b1 ** (t + i))) / ((v / (1 - b2 ** (t + i))).sqrt() + eps)
                for m, v in zip(m, v)
            ]
        else:
            mu, decay = game.opt_D.momentum, game.opt_D.weight_decay
            gs = [g + decay * w for g, w in zip(gs, theta.values())]
            states = [[mu * u + g for u, g in zip(states[0], gs)]]
            moves = states[0]
            if make == "nesterov":
                moves = [g + mu * u for u, g in zip(states[0], gs)]
        theta = {n: w - lr * move for (n, w), move in zip(theta.items(), moves)}
    real, fakes = at(theta, x), at(theta, fake)
    f = {
        "minimax": lambda: -F.softplus(-real).mean() - F.softplus(fakes).mean(),
        "non-saturating": lambda: F.softplus(-fakes).mean(),
        "wasserstein": lambda: real.mean() - fakes.mean(),
    }[objective]()
    return f.item(), [g.numpy() for g in torch.autograd.grad(f, [*G.parameters()])]


@pytest.mark.parametrize("networks", [pair, odd_pair])
def test_the_gradient_equals_finite_differences(networks):
    """Of f as a function of G's weights, along a random direction; D's own move comes first and
    depends on G too, but that is not differentiated: there it has the unmoved G."""
    k, h = 2, 1e-6
    rng = np.random.default_rng(0)

    def f(shift):
        game = make_game(k, networks=networks)
        play(game, 1)
        move = game.opt_D.step
        own = [p.numpy().copy() for p in game.G.parameters()]

        def move_and_shift():  # between D's own move and G's turn
            move()
            with minigan.no_grad():
                for p, w, d in zip(game.G.parameters(), own, directions):
                    p.copy_(w + shift * d)

        game.opt_D.step = move_and_shift
        return gradients_of_g(game)

    game = make_game(k, networks=networks)
    directions = [rng.standard_normal(p.shape) for p in game.G.parameters()]
    _, gradient = f(0.0)
    slope = sum((g * d).sum() for g, d in zip(gradient, directions))
    measured = (f(h)[0] - f(-h)[0]) / (2 * h)
    assert slope == pytest.approx(measured, rel=1e-6)
    assert abs(slope) > 1e-4


def test_the_gradient_has_the_second_part():
    """Against the same D^k, but held fixed, G's gradient is another one."""
    game = make_game(3, lr=0.2)
    play(game, 2)
    _, through = gradients_of_g(game)
    fixed = make_game(3, lr=0.2)
    play(fixed, 2)
    step = Ahead.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Ahead, "step",
            lambda self, w, g: [t.detach().requires_grad_() for t in step(self, w, g)],
        )  # fmt: skip
        _, without = gradients_of_g(fixed)
    assert max(np.abs(a - b).max() for a, b in zip(through, without)) > 1e-3


def test_a_weight_without_any_gradient_does_no_harm():
    """A unit of D that is dead from the start: Adam's v is 0, and its root has no derivative."""
    game = make_game(3, networks=lambda: (pair()[0], nn.Sequential(
        nn.Linear(2, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1)
    )))  # fmt: skip
    with minigan.no_grad():
        game.D[0].bias[2] = -1e3
    losses = play(game, 3)
    assert np.isfinite([list(step.values()) for step in losses]).all()
    assert all(np.isfinite(p.grad.numpy()).all() for p in game.G.parameters())


# Recipes, runs, tools -----------------------------------------------------------------------


def test_the_recipe_is_the_notebooks():
    r = recipes.get("unrolled")
    assert (r.latent, r.latent_dim, r.batch_size, r.unroll) == ("normal", 256, 512, 5)
    assert (r.lr, r.d_lr, r.betas, r.objective) == (1e-3, 1e-4, (0.5, 0.999), "minimax")
    assert abs(r.epochs * (100_000 // r.batch_size) - 25_000) < 100
    minigan.manual_seed(0)
    game = setup.build_game(r, (2,))
    assert (game.opt_G.lr, game.opt_D.lr, game.unroll) == (1e-3, 1e-4, 5)
    setup.set_schedules(game, r, 10, 195)
    assert (game.opt_G.lr, game.opt_D.lr) == (1e-3, 1e-4)
    for network in (game.G, game.D):
        kinds = [type(layer).__name__ for layer in network.main]
        assert kinds == ["Linear", "Tanh", "Linear", "Tanh", "Linear"]
        for layer in network.main:
            if isinstance(layer, nn.Linear):
                w = layer.weight.numpy().astype(np.float64)
                small = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
                np.testing.assert_allclose(small, 1.4**2 * np.eye(len(small)), atol=1e-5)
                assert not layer.bias.numpy().any()


def test_learning_rates_of_the_players():
    both = recipes.override(recipes.get("gan"), {"d_lr": "5e-4", "lr_decay": "1.1"})
    minigan.manual_seed(0)
    game = setup.build_game(recipes.override(both, {"latent_dim": 3}), (1, 4, 4))
    setup.set_schedules(game, both, 2, 10)
    assert game.opt_D.lr == pytest.approx(5e-4 / 1.1**2, rel=1e-12)
    assert game.opt_G.lr == pytest.approx(2e-4 / 1.1**2, rel=1e-12)
    setup.set_schedules(game, recipes.get("gan"), 2, 10)
    assert game.opt_D.lr == game.opt_G.lr == 2e-4


def test_a_d_that_names_labels_is_one_line():
    for name in ("acgan-28", "infogan-28"):
        with pytest.raises(MiniganError, match="names labels too: set updates=alternate"):
            recipes.override(recipes.get(name), {"updates": "unrolled", "unroll": 1})


@pytest.mark.parametrize("values", [
    {"unroll": "-1"}, {"unroll": "101"}, {"optimizer": "rmsprop"}, {"clip": "0.1"},
    {"penalty": "r1", "penalty_weight": "1"}, {"updates": "alternate"}, {"d_lr": "-1"},
    {"d_lr": "nan"}, {"data": "mnist"},
])  # fmt: skip
def test_bad_values_are_one_line(values):
    recipe = recipes.get("unrolled")
    with pytest.raises(MiniganError) as error:
        setup.build_networks(recipes.override(recipe, values), (1, 28, 28))
    assert "\n" not in str(error.value)


def test_other_optimisers_are_one_line():
    with pytest.raises(TypeError, match="only updates of Adam and SGD"):
        Ahead(optim.RMSprop([Tensor(np.zeros(2), requires_grad=True)]))


def test_it_is_not_captured(monkeypatch):
    """Counted on the CPU, the steps of D's Adam would be the same in each replay."""
    monkeypatch.setattr(minigan.backends, "current_backend", lambda: "cupy")
    said = []
    player = capture.player(make_game(1), said.append)
    monkeypatch.undo()
    for t in range(2):
        player([batch(t)])
    assert said == [
        "the training step is not captured as a CUDA graph: its unrolled updates of D count their "
        "steps on the CPU"
    ]


def test_a_step_is_taken_apart():
    game = make_game(2)
    before = state(game)
    anatomy = inspection.take_apart(game, [batch()])
    assert [layer.name for layer in anatomy.layers][:2] == ["G.0", "G.1"]
    assert all(np.isfinite(layer.mean) for layer in anatomy.layers)
    for key, value in state(game).items():
        np.testing.assert_array_equal(value, before[key], err_msg=key)


def test_a_run_goes_on_as_if_it_had_not_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "SAMPLES", 200)
    monkeypatch.setattr(plots, "curves", lambda log, path: None)
    recipe = recipes.override(
        recipes.get("unrolled"), {"batch_size": 16, "unroll": 1, "latent_dim": 4}
    )
    options = {"quiet": True, "backend": "numpy", "sample_every": 100, "checkpoint_every": 3}
    whole = train.start(recipe, out=tmp_path / "whole", steps=6, **options)
    part = train.start(recipe, out=tmp_path / "part", steps=3, **options)
    train.resume(part.folder, steps=6, quiet=True)
    for name in ("whole", "part"):
        assert train.Run(tmp_path / name).read_config().recipe == recipe
    arrays = [np.load(train.Run(s.folder).checkpoint_path(6)) for s in (whole, part)]
    for key in arrays[0].files:
        if "weight" in key or "bias" in key:
            np.testing.assert_array_equal(arrays[0][key], arrays[1][key], err_msg=key)
