"""One step taken apart: every figure against one computed by hand, and that nothing changes."""

import hashlib
import json
import math
import re
import shutil

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from PIL import Image

from minigan import backends, inspection, models, nn, objectives, optim, rand, randn, recipes
from minigan.autograd import Function, Tensor, grad, no_grad
from minigan.cli import program
from minigan.data import Dataset, mnist
from minigan.inspection import anatomy as anatomy_module
from minigan.inspection.draw import pictures
from minigan.inspection.report import as_data, layers_table, saturation_table
from minigan.kernels import clock
from minigan.train import checkpoint
from minigan.train.labels import one_hot
from minigan.train.setup import build_game, data_classes, data_shape
from minigan.train.step import Game, play_step, read

LR = 0.25
Z = np.array([[1.0], [2.0]])
X = np.array([[1.0, 1.0], [0.0, 0.0]])


def sigmoid(s):
    return 1 / (1 + np.exp(-np.asarray(s)))


def filled(layer, weight, bias):
    with no_grad():
        layer.weight.copy_(np.array(weight, float))
        layer.bias.copy_(np.array(bias, float))
    return layer


def small_game(updates="alternate", **changes):
    """G(z) = relu(z, -z - 1) and D(x) = x_1 + x_2, in float64, on the noise 1 and 2."""
    G = nn.Sequential(filled(nn.Linear(1, 2), [[1], [-1]], [0, -1]), nn.ReLU()).double()
    D = nn.Sequential(filled(nn.Linear(2, 1), [[1, 1]], [0])).double()
    G, D = changes.get("G", G), changes.get("D", D)
    return Game(
        G, D, optim.SGD(G.parameters(), lr=LR), optim.SGD(D.parameters(), lr=LR),
        objectives.build("non-saturating"), lambda n: Tensor(Z), updates,
    )  # fmt: skip


def take_apart(game, batches=None, **options):
    batches = [Tensor(X)] if batches is None else batches
    return inspection.take_apart(game, batches, **{"repeats": 1, **options})


def by_name(anatomy):
    return {layer.name: layer for layer in anatomy.layers}


def figures(weights):
    """What is known of a parameter, in the order of the fields, without its name."""
    return [getattr(weights, key) for key in ("norm", "grad_norm", "update_norm")] + [
        weights.update_to_weight
    ]


def d_gradient(w, b, fakes=((1, 0), (2, 0))):
    """Of D's weights and bias in the small game."""
    fakes = np.array(fakes, float)
    real, fake = (sigmoid(X @ w + b) - 1) / 2, sigmoid(fakes @ w + b) / 2
    return real @ X + fake @ fakes, real.sum() + fake.sum()


# The layers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("updates", ["alternate", "simultaneous"])
def test_outputs_by_hand(updates):
    G, D = take_apart(small_game(updates)).layers
    # G's outputs are 1, 0 and 2, 0: its second unit is dead.
    assert (G.name, G.kind, G.shape) == ("G.0", "Linear + ReLU", (2, 2))
    assert (G.mean, G.std, G.dead) == (0.75, pytest.approx(math.sqrt(0.6875)), 0.5)
    # D's logits are 2, 0 on real images and 1, 2 on fake ones, before either player has moved.
    assert (D.name, D.kind, D.shape) == ("D.0", "Linear", (2, 1))
    assert (D.mean, D.std, D.dead) == (1.25, pytest.approx(math.sqrt(0.6875)), None)


@pytest.mark.parametrize("updates", ["alternate", "simultaneous"])
def test_gradients_and_updates_by_hand(updates):
    G, D = take_apart(small_game(updates)).layers
    w, b = np.array([1.0, 1.0]), 0.0
    gw, gb = d_gradient(w, b)
    size = np.linalg.norm(gw)
    weight, bias = D.parameters
    assert (weight.name, bias.name) == ("weight", "bias")
    assert figures(weight) == pytest.approx(
        [math.sqrt(2), size, LR * size, LR * size / math.sqrt(2)]
    )
    assert figures(bias)[:3] == pytest.approx([0, abs(gb), LR * abs(gb)])
    assert bias.update_to_weight is None

    if updates == "alternate":  # then G learns from the D that has moved
        w, b = w - LR * gw, b - LR * gb
    ds = (sigmoid(np.array([[1.0, 0], [2.0, 0]]) @ w + b) - 1) / 2
    first_unit = ds * w[0]  # the second one is dead
    gW, gb = abs(first_unit @ Z[:, 0]), abs(first_unit.sum())
    weight, bias = G.parameters
    assert figures(weight) == pytest.approx([math.sqrt(2), gW, LR * gW, LR * gW / math.sqrt(2)])
    assert figures(bias) == pytest.approx([1, gb, LR * gb, LR * gb])


@pytest.mark.parametrize("updates", ["alternate", "simultaneous"])
def test_memory_by_hand(updates):
    layers = by_name(take_apart(small_game(updates)))
    # Kept are z, two numbers of 8 bytes, and G's output, which the (leaky) ReLU asks for.
    assert layers["G.0"].kept_bytes == 2 * 8 + 4 * 8
    # D keeps its inputs.  In simultaneous updates the fakes are G's output, and count there.
    assert layers["D.0"].kept_bytes == (2 * 4 * 8 if updates == "alternate" else 4 * 8)


def test_views_and_masks_are_kept_too():
    game = small_game(
        D=nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.BatchNorm1d(2), nn.Linear(2, 1)).double()
    )
    game.G = nn.Sequential(game.G, nn.Unflatten(1, (2, 1)))
    game.opt_G = optim.SGD(game.G.parameters(), lr=LR)
    kept = {name: layer.kept_bytes for name, layer in by_name(take_apart(game)).items()}
    # Of real and of fake images each: Flatten nothing, Dropout nothing (no gradient is wanted of
    # its input), BatchNorm its input (2, 2), mean, variance and 1 / std of 2 numbers, D's last
    # layer its input.
    assert [kept[f"D.{i}"] for i in range(4)] == [0, 0, 2 * 8 * (4 + 3 * 2), 2 * 8 * 4]


def test_an_array_and_its_view_are_kept_once():
    plain = small_game()
    game = small_game(
        "simultaneous", G=nn.Sequential(plain.G, nn.Unflatten(1, (1, 2))),
        D=nn.Sequential(nn.Flatten(), plain.D),
    )  # fmt: skip
    layers = by_name(take_apart(game))
    assert layers["G.0.0"].kept_bytes == 2 * 8 + 4 * 8
    assert layers["D.1.0"].kept_bytes == 4 * 8  # of the real images; the fakes are G's output


def test_several_updates_of_d_report_the_last():
    two = [Tensor(X), Tensor(X)]
    first = by_name(take_apart(small_game()))["D.0"]
    second = by_name(take_apart(small_game(), two))["D.0"]
    gw, gb = d_gradient(np.array([1.0, 1.0]), 0.0)
    w, b = np.array([1.0, 1.0]) - LR * gw, -LR * gb
    assert second.parameters[0].norm == pytest.approx(np.linalg.norm(w))
    assert second.parameters[0].grad_norm == pytest.approx(np.linalg.norm(d_gradient(w, b)[0]))
    logits = np.concatenate([X @ w, np.array([1, 2]) * w[0]]) + b
    assert (second.mean, second.std) == (pytest.approx(logits.mean()), pytest.approx(logits.std()))
    assert second.kept_bytes == first.kept_bytes


def test_a_unit_is_dead_if_no_example_of_either_call_wakes_it():
    # Of D's hidden units one likes the real images, one the fakes, one none.
    hidden = filled(nn.Linear(2, 3), [[-1, 1], [1, -1], [-1, -1]], [-0.5, -0.5, 0])
    game = small_game(
        D=nn.Sequential(hidden, nn.LeakyReLU(0.2), filled(nn.Linear(3, 1), [[1, 1, 1]], [0]))
        .double()
    )  # fmt: skip
    D = by_name(take_apart(game, [Tensor(np.array([[0.0, 1.0], [0.0, 0.0]]))]))["D.0"]
    assert (D.kind, D.dead) == ("Linear + LeakyReLU 0.2", pytest.approx(1 / 3))


def test_an_activation_that_is_used_twice():
    class Twice(nn.Module):
        def __init__(self):
            self.first, self.second = nn.Linear(2, 3), nn.Linear(3, 1)
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(self.second(self.act(self.first(x))))

    D = Twice()
    filled(D.first, [[1, 0], [0, 0], [0, 0]], [1, -1, -1])
    filled(D.second, [[1, 1, 1]], [0])
    layers = by_name(take_apart(small_game(D=D.double())))
    assert list(layers) == ["G.0", "D.first", "D.second", "D.act"]
    assert (layers["D.act"].dead, layers["D.act"].shape) == (0.5, (2, 1))  # two of 3 + 1 units
    assert layers["D.first"].dead is None


class Slow(nn.Module):
    """Takes 5 seconds forward and 7 backward, on a clock of its own."""

    class Wait(Function):
        def __init__(self, now):
            self.now = now

        def forward(self, x):
            self.now[0] += 5
            return x.copy()

        def backward(self, gy):
            self.now[0] += 7
            return gy

    def __init__(self, now):
        self.now = now

    def forward(self, x):
        return Slow.Wait(self.now)(x)


@pytest.mark.parametrize("updates", ["alternate", "simultaneous"])
def test_times_are_those_of_the_layers_without_the_measuring(updates, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])
    add, move = anatomy_module._Output.add, optim.SGD.step

    def add_slowly(output, y):
        now[0] += 1000
        add(output, y)

    def move_slowly(sgd):
        now[0] += 3
        move(sgd)

    monkeypatch.setattr(anatomy_module._Output, "add", add_slowly)
    monkeypatch.setattr(optim.SGD, "step", move_slowly)
    plain = small_game()
    game = small_game(
        updates, G=nn.Sequential(plain.G, Slow(now)), D=nn.Sequential(Slow(now), plain.D)
    )
    anatomy = take_apart(game)
    times = {x.name: (x.forward_ms, x.backward_ms) for x in anatomy.layers}
    if updates == "alternate":  # G runs for both; D on real and fake images, and for G
        expected = {"G.1": (2 * 5000, 7000), "D.0": (3 * 5000, 7000)}
    else:
        expected = {"G.1": (5000, 7000), "D.0": (2 * 5000, 7000)}
    # D's first layer has nothing to hand a gradient to in D's own turn.
    assert times == {"G.0.0": (0, 0), **expected, "D.1.0": (0, 0)}
    forward = sum(f for f, _ in expected.values())
    assert anatomy.ms == {"forward": forward, "backward": 14000, "optimisers": 6000, "rest": 0,
                          "step": forward + 20000}  # fmt: skip


def test_the_fastest_of_the_repeats_is_reported(monkeypatch):
    now, waits = [0.0], iter([9, 2, 4])
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])
    game = small_game()
    step = game.opt_G.step

    def step_slowly():
        now[0] += next(waits)
        step()

    monkeypatch.setattr(optim.SGD, "step", lambda sgd: step_slowly() if sgd is game.opt_G else None)
    assert take_apart(game, repeats=3).ms["step"] == 2000


def state(game):
    owners = (game.G, game.D, game.opt_G, game.opt_D)
    return {
        f"{i}.{name}": np.array(value)
        for i, owner in enumerate(owners)
        for name, value in owner.state_dict().items()
    }


def random_game(pack=1):
    """With everything that has state: Adam, batch normalisation, dropout."""
    backends.manual_seed(0)
    G, D = tiny.build("gan", (1, 4, 4), 3)
    if pack > 1:
        _, D = models.build_packed(pack, "gan-relu", (1, 4, 4), 3)
    return Game(
        G, D, optim.Adam(G.parameters(), lr=0.1), optim.Adam(D.parameters(), lr=0.1),
        objectives.build("minimax"), lambda n: randn(n, 3),
    )  # fmt: skip


def test_nothing_is_changed():
    game, x = random_game(), rand(6, 1, 4, 4)
    play_step(game, [x])
    before, methods = state(game), (Function.__call__, nn.Module.__call__)
    inspection.take_apart(game, [x])
    inspection.saturation(game, 6)
    with pytest.raises(ValueError, match="linear"):
        inspection.take_apart(game, [rand(6, 1, 5, 5)])
    after = state(game)
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name], err_msg=name)
    assert (Function.__call__, nn.Module.__call__) == methods
    assert not {"step"} & {*vars(game.opt_G), *vars(game.opt_D)}
    assert all(p.grad is None for p in [*game.G.parameters(), *game.D.parameters()])


def test_the_step_is_the_one_that_would_be_played():
    watched, plain, x = random_game(), random_game(), rand(6, 1, 4, 4)
    found = inspection.take_apart(watched, [x], seed=(3, 4))
    before = state(plain)
    backends.manual_seed((3, 4))
    assert [found.losses] == read([play_step(plain, [x])])
    after = state(plain)
    for i, player in enumerate("GD"):
        for layer in found.layers:
            if layer.name[0] == player:
                for p in layer.parameters:
                    key = f"{i}.{layer.name[2:]}.{p.name}"
                    moved = np.linalg.norm(after[key].astype(float) - before[key])
                    assert p.update_norm == pytest.approx(moved, rel=1e-6)


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe(name):
    recipe = tiny.narrow(name)
    backends.manual_seed(0)
    shape = data_shape(recipe)
    classes = data_classes(recipe)
    game = build_game(recipe, shape, classes=classes)
    labels = [one_hot(np.arange(2), classes)] if classes else []
    anatomy = take_apart(game, [rand(2, *shape)], labels=labels)
    with_weights = {
        f"{player}.{name.rpartition('.')[0]}"
        for player, network in (("G", game.G), ("D", game.D))
        for name, _ in network.named_parameters()
    }
    assert {layer.name for layer in anatomy.layers if layer.parameters} == with_weights
    learns = {
        f"{layer.name}.{p.name}": p.grad_norm > 0
        for layer in anatomy.layers
        for p in layer.parameters
    }
    if recipe.objective == "wasserstein":  # what is added to all outputs of D changes no loss
        learns.pop(f"{anatomy.layers[-1].name}.bias", None)
    assert all(learns.values())
    lines = layers_table(anatomy.layers).splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == [layer.name for layer in anatomy.layers]
    assert len({len(line) for line in lines}) == 1
    json.dumps(as_data(anatomy), allow_nan=False)


def test_pictures(tmp_path):
    game, x = random_game(), rand(6, 1, 4, 4)
    for path in pictures(take_apart(game, [x]), inspection.saturation(game, 6), tmp_path):
        with Image.open(path) as picture:
            assert len(picture.getcolors(2**20)) > 20


def test_dead_units_and_gradients_are_drawn(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, format: figures.append(figure))
    anatomy = take_apart(small_game())
    pictures(anatomy, None, tmp_path)
    (_, dead), (gradient, update) = figures[0].axes, figures[1].axes
    G, D = anatomy.layers
    # Half of G's units are dead, and D, which has no ReLU, gets no bar.
    (bar,) = dead.patches
    assert (bar.get_y() + bar.get_height() / 2, bar.get_width()) == (0, 50)
    assert [text.get_text() for text in dead.texts] == ["50.0 %"]
    points = [(p.get_xdata()[0], p.get_ydata()[0]) for p in gradient.lines]
    assert points == [(p.grad_norm, y) for y, layer in enumerate((G, D)) for p in layer.parameters]
    # D's bias is 0: no share of it is drawn.  The last line is the dashed one.
    points = [(p.get_xdata()[0], p.get_ydata()[0]) for p in update.lines[:-1]]
    drawn = [(0, G.parameters[0]), (0, G.parameters[1]), (1, D.parameters[0])]
    assert points == [(p.update_to_weight, y) for y, p in drawn]


def test_a_step_that_overflows_is_described(tmp_path):
    game = random_game()
    with no_grad():
        game.D[-1].bias.fill_(math.inf)
    anatomy = take_apart(game, [rand(6, 1, 4, 4)])
    saturation = inspection.saturation(game, 6)
    assert by_name(anatomy)["D.4"].mean == math.inf
    assert as_data(anatomy)["layers"][-1]["mean"] is None
    assert "inf" in layers_table(anatomy.layers)
    pictures(anatomy, saturation, tmp_path)
    json.dumps(as_data(saturation), allow_nan=False)


# Saturation -----------------------------------------------------------------------------------


def test_slopes_are_the_derivatives_of_the_losses():
    values = np.linspace(-30, 30, 121)[:, None]
    losses = {
        "minimax": objectives.build("minimax").g_loss,
        "non-saturating": objectives.build("non-saturating").g_loss,
        "least-squares": lambda s: 0.5 * ((s - 1) * (s - 1)).mean(),
        "wasserstein": lambda s: -s.mean(),
    }
    found = inspection.slopes(values)
    assert found.keys() == losses.keys()
    for name, loss in losses.items():
        s = Tensor(values, requires_grad=True)
        (g,) = grad(loss(s), [s])
        np.testing.assert_allclose(found[name], g.numpy() * len(values), rtol=1e-12, atol=1e-15)


def test_saturation_by_hand():
    game = small_game()
    with no_grad():
        game.D[0].weight.copy_(np.array([[3.0, 4.0]]))  # logits on 1, 0 and 2, 0: 3 and 6
    found = inspection.saturation(game, 2)
    s = np.array([3.0, 6.0])
    assert found.logits == [3, 6]
    assert found.histogram == [0] * 19 + [2]  # sigmoid(3) = 0.953
    assert found.share_beyond == {2.0: 1.0, 5.0: 0.5, 10.0: 0.0}
    slopes = {
        "minimax": sigmoid(s), "non-saturating": sigmoid(-s), "least-squares": s - 1,
        "wasserstein": np.ones(2),
    }  # fmt: skip
    for name, slope in slopes.items():
        assert found.slope[name] == pytest.approx(slope.mean())
        # dL/dG(z) = slope / N times D's weights, of length 5.
        assert found.gradient_norm[name] == pytest.approx(5 * np.linalg.norm(slope) / 2)
    assert "50.0 % beyond 5" in saturation_table(found)


def test_outputs_are_of_real_and_fake_images_and_not_of_the_penalty():
    """D(x) = x_1 + x_2: 2 and 0 of the data, 1 and 2 of G; the penalty looks elsewhere."""
    game = small_game()
    elsewhere = Tensor(np.full((2, 2), 50.0))
    game.penalty = lambda D, x, fake: 0.0 * D(elsewhere).mean()
    penalty = game.penalty
    D = by_name(take_apart(game))["D.0"]
    assert (D.mean, D.std) == (1.25, pytest.approx(np.std([2, 0, 1, 2])))
    assert game.penalty is penalty


@pytest.mark.parametrize("pack", [1, 2])
def test_the_gradient_is_that_of_the_game(pack):
    """Of a packed D too, whose loss is the mean over packs."""
    game = random_game(pack)
    backends.manual_seed(5)
    fakes = game.G(game.draw_z(6)).detach().requires_grad_()
    (g,) = grad(game.objective.g_loss(game.D(fakes)), [fakes])
    found = inspection.saturation(random_game(pack), 6, seed=5)
    assert found.gradient_norm["minimax"] == pytest.approx(np.linalg.norm(g.numpy()), rel=1e-5)
    judged = {1: "D's logits on 6 fakes:", 2: "D's logits on 3 packs of 2 fakes:"}[pack]
    assert judged in saturation_table(found)


# Runs, recipes, the command -------------------------------------------------------------------


def run(*args):
    return CliRunner().invoke(program, [str(arg) for arg in args])


@pytest.fixture
def blank(monkeypatch):
    """Pictures are not what these tests are about, and drawing takes time."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", lambda figure, file, format: file.write(b"blank"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Three steps of a run, with schedules and momentum, and what it is after the fourth."""
    folder = tmp_path_factory.mktemp("inspect")
    changes = {"optimizer": "sgd", "lr": 0.05, "lr_decay": 1.5, "momentum": 0.5, "d_steps": 2,
               "momentum_end": 0.9, "momentum_epochs": 2}  # fmt: skip
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.use(monkeypatch)
        tiny.start(folder, steps=4, changes=changes, checkpoint_every=1, keep=4, name="longer")
        three, _ = tiny.start(folder, steps=3, changes=changes, checkpoint_every=1)
    return three, folder / "longer"


def contents(folder):
    return {
        path: hashlib.sha256(path.read_bytes()).digest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_run_is_inspected_at_its_next_step(trained, blank, monkeypatch):
    tiny.use(monkeypatch)
    three, longer = trained
    before = contents(three.folder)
    result = run("inspect", three.folder, "--checkpoint", 3, "--json")
    assert result.exit_code == 0, result.output
    assert contents(three.folder) == before
    told = json.loads(result.stdout)
    assert re.fullmatch(r"step 4 of .*step-000003.npz, on its data, npz:.*", told["subject"])
    assert told["pictures"] == [
        str(three.folder.parent / "inspect-run" / f"{name}.png")
        for name in ("activations", "updates", "cost", "saturation")
    ]
    last = json.loads((longer / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 4
    squares = {"G": 0.0, "D": 0.0}
    old = checkpoint.read(three.checkpoint_path(3)).arrays
    new = checkpoint.read(longer / "checkpoints" / "step-000004.npz").arrays
    for layer in told["step"]["layers"]:
        for p in layer["parameters"]:
            player, key = layer["name"][0], f"{layer['name']}.{p['name']}"
            squares[player] += p["grad_norm"] ** 2
            if player == "G":  # D moves twice
                moved = np.linalg.norm(new[key].astype(float) - old[key])
                assert p["update_norm"] == pytest.approx(moved, rel=1e-5)
    for name, value in told["step"]["losses"].items():
        assert last[name] == pytest.approx(value, rel=1e-6)
    assert last["g_grad_norm"] == pytest.approx(math.sqrt(squares["G"]), rel=1e-5)
    assert last["d_grad_norm"] == pytest.approx(math.sqrt(squares["D"]), rel=1e-5)


def test_a_run_that_draws_by_philox_is_inspected_with_its_noise(tmp_path, blank, monkeypatch):
    tiny.use(monkeypatch)
    monkeypatch.setattr(backends, "_random", "numpy")
    tiny.start(tmp_path, steps=4, random="philox", checkpoint_every=1, name="longer")
    three, _ = tiny.start(tmp_path, steps=3, random="philox", checkpoint_every=1)
    backends.use_random("numpy")
    result = run("inspect", three.folder, "--checkpoint", 3, "--json")
    assert result.exit_code == 0, result.output
    last = json.loads((tmp_path / "longer" / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 4
    for name, value in json.loads(result.stdout)["step"]["losses"].items():
        assert last[name] == pytest.approx(value, rel=1e-6)


def test_pictures_stand_beside_the_run_under_its_whole_name(trained, blank, monkeypatch, tmp_path):
    """Of two runs that differ after a dot, neither's pictures are those of the other."""
    tiny.use(monkeypatch)
    three, _ = trained
    named = shutil.copytree(three.folder, tmp_path / "gan-lr0.0001")
    assert run("inspect", named).exit_code == 0
    assert len(list((tmp_path / "inspect-gan-lr0.0001").glob("*.png"))) == 4
    shutil.copy(three.checkpoint_path(3), tmp_path / "alone.npz")
    assert run("inspect", tmp_path / "alone.npz").exit_code == 0
    assert len(list((tmp_path / "inspect-alone").glob("*.png"))) == 4


def test_the_table_of_a_checkpoint_file(trained, blank, monkeypatch, tmp_path):
    tiny.use(monkeypatch)
    three, _ = trained
    result = run("inspect", three.checkpoint_path(2), "--out", tmp_path / "a" / "b")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("step 3 of ")
    for text in ("G.1", "BatchNorm1d + LeakyReLU 0.2", "(8, 64)", "non-saturating", "optimisers"):
        assert text in result.stdout
    assert len(list((tmp_path / "a" / "b").glob("*.png"))) == 4


def test_other_data_are_refused(trained, monkeypatch, tmp_path):
    tiny.use(monkeypatch)
    three, _ = trained
    other = np.load(three.folder.parent / "tiny.npz")["images"].copy()
    other[0, 0, 0] ^= 1
    monkeypatch.setattr(
        inspection.subject, "load_data",
        lambda *_: Dataset("npz", "train", other[:, None]),
    )  # fmt: skip
    result = run("inspect", three.folder, "--out", tmp_path)
    assert result.exit_code == 1
    assert "its checksum differs" in result.stderr


def test_a_recipe_on_its_data(blank, monkeypatch, tmp_path):
    tiny.use(monkeypatch)
    monkeypatch.chdir(tmp_path)
    data = tiny.write_data(tmp_path)
    options = ("--set", f"data={data}", "--set", "image_size=8", "--set", "batch_size=4")
    result = run("inspect", "gan", *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"step 1 of gan, fresh weights, on {data}\n")
    assert len(list((tmp_path / "inspect-gan").iterdir())) == 4


def test_a_recipe_begins_as_a_run_does(tmp_path, monkeypatch):
    tiny.use(monkeypatch)
    three, _ = tiny.start(tmp_path, steps=1, changes={"lr": 0.01})
    subject = inspection.from_recipe(tiny.recipe(tmp_path, lr=0.01))
    first = json.loads(three.log_path.read_text())
    losses = inspection.take_apart(subject.game, subject.batches, subject.seed).losses
    assert losses == pytest.approx({name: first[name] for name in losses}, rel=1e-6)


def test_without_its_data_a_recipe_gets_random_images(monkeypatch, tmp_path):
    tiny.use(monkeypatch)
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path))
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path))
    subject = inspection.from_recipe(recipes.override(recipes.get("gan"), {"data": "mnist"}))
    assert "on random images (mnist is not here" in subject.description
    (x,) = subject.batches
    assert x.shape == (64, 1, 28, 28)
    assert -1 <= x.numpy().min() < -0.9 < 0.9 < x.numpy().max() <= 1


@pytest.mark.parametrize(("variable", "ending"), [("MINIGAN_DATA", ""), ("MINIGAN_CACHE", ".gz")])
def test_data_are_here_if_images_and_labels_are(variable, ending, monkeypatch, tmp_path):
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv(variable, str(tmp_path))
    (tmp_path / "mnist").mkdir()
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        assert not mnist.is_here("mnist", "paper-train")
        (tmp_path / "mnist" / f"{name}{ending}").touch()
    assert mnist.is_here("mnist", "paper-train")
    assert not mnist.is_here("mnist", "test")


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["nothing"], 1, "no run and no recipe 'nothing': expected a folder made by minigan train"),
        (["."], 1, "holds no checkpoint"),
        (["gan", "--checkpoint", "last"], 2, "--checkpoint is for runs, and gan is a recipe"),
        (["gan", "--set", "lr"], 2, "expected KEY=VALUE"),
        (["gan", "--set", "lr=x"], 1, "lr must be a number"),
        ([".", "--set", "lr=1"], 2, "--set is for recipes, and . is a run"),
        (["file.npz"], 1, "is not a usable checkpoint"),
    ],
)
def test_wrong_input_is_one_line(args, code, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.npz").write_bytes(b"no")
    result = run("inspect", *args)
    assert (result.exit_code, result.stdout) == (code, "")
    (line,) = result.stderr.splitlines()
    assert message in line


def test_the_command_names_the_layer_of_an_error(monkeypatch, tmp_path):
    def build(model, image_shape, latent_dim, **_):
        G = nn.Sequential(nn.Linear(latent_dim, 8), nn.Sequential(nn.Unflatten(1, (3, 3))))
        return G, nn.Linear(64, 1)

    monkeypatch.setattr(models, "build", build)
    result = run(
        "inspect", "gan", "--set", f"data={tiny.write_data(tmp_path)}", "--set", "batch_size=4",
        "--out", tmp_path,
    )  # fmt: skip
    (line,) = result.stderr.splitlines()
    assert "cannot reshape array of size 32 into shape (4,3,3)" in line
    assert line.endswith(
        "(in Reshape, given (4, 8) float32; "
        "in layer 1.0 (Unflatten) of Sequential, given (4, 8) float32)"
    )
