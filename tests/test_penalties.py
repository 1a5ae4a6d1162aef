"""Penalties on D's gradient: against PyTorch and differences, at a gradient of 0, bad input."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

import minigan
from minigan import MiniganError, backends, draws, models, nn, penalties, recipes
from minigan import functional as F
from minigan.autograd import Tensor
from minigan.cli import program
from minigan.gradient_check import gradcheck
from minigan.penalties import PENALTIES
from minigan.train import setup

IMAGE, POINT, N = (2, 8, 8), (3,), 5


@pytest.fixture
def numbers(monkeypatch):
    """The random numbers of the penalties by their shape: drawn once, then always the same."""
    drawn, rng = {}, np.random.default_rng(0)

    def uniform(shape, low=0.0, high=1.0, dtype=np.float32):
        assert (low, high) == (0, 1)
        return drawn.setdefault(shape, rng.random(shape)).astype(dtype)

    monkeypatch.setattr(penalties, "draws", SimpleNamespace(uniform=uniform))
    return drawn


def data(shape, dtype=np.float64):
    """Images (or points) and fakes."""
    return np.random.default_rng(1).standard_normal((2, N, *shape)).astype(dtype)


# Values and gradients of D's weights, against PyTorch -----------------------------------------


def mlp():
    layers = [nn.Flatten(), nn.Linear(128, 6), nn.LeakyReLU(0.2), nn.Linear(6, 5)]
    return nn.Sequential(*layers, nn.LeakyReLU(0.2), nn.Linear(5, 1)), IMAGE


def smooth():
    return nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 6), nn.Sigmoid(),
                         nn.Linear(6, 1)), POINT  # fmt: skip


def paper():
    D = models.build("gan-paper", (10,), 3)[1].eval()  # without dropout
    return D.main, (10,)


def toy():
    return models.build("gan-toy", POINT, 3)[1].main, POINT


def dcgan(d_norm):
    return models.build("dcgan", IMAGE, 3, widths=(4, 3), d_norm=d_norm)[1].main, IMAGE


NETWORKS = {
    "mlp": mlp,
    "smooth": smooth,
    "gan-paper": paper,
    "gan-toy": toy,
    "dcgan": lambda: dcgan("none"),
    "dcgan/instance": lambda: dcgan("instance"),
    "dcgan/layer": lambda: dcgan("layer"),
    "wgan-gp": lambda: (models.build("wgan-gp", IMAGE, 3, widths=(4, 3, 2))[1], IMAGE),
    "points": lambda: (models.build("points", POINT, 3, widths=(7, 6))[1], POINT),
}


def in_pytorch(torch, D):
    """The same layers with the same weights."""
    network = torch.nn.Sequential(*(layer_in_pytorch(torch.nn, layer) for layer in D)).double()
    with torch.no_grad():
        for theirs, ours in zip(network.parameters(), D.parameters(), strict=True):
            theirs.copy_(torch.tensor(ours.numpy()))
    return network


def layer_in_pytorch(theirs, layer):
    kind, has_bias = type(layer).__name__, getattr(layer, "bias", None) is not None
    if kind == "Maxout":
        joint = theirs.Linear(layer.in_features, layer.out_features * layer.num_pieces)
        # One pool of the pieces for each unit.
        pool = theirs.MaxPool1d(layer.num_pieces)
        rows, units = theirs.Unflatten(1, (1, -1)), theirs.Flatten()
        return theirs.Sequential(joint, rows, pool, units)
    if kind == "Linear":
        return theirs.Linear(layer.in_features, layer.out_features, has_bias)
    if kind == "Conv2d":
        channels = layer.in_channels, layer.out_channels
        return theirs.Conv2d(*channels, layer.kernel_size, layer.stride, layer.padding,
                             bias=has_bias)  # fmt: skip
    if kind == "LeakyReLU":
        return theirs.LeakyReLU(layer.negative_slope)
    if kind == "InstanceNorm2d":
        return theirs.InstanceNorm2d(layer.num_features, affine=layer.affine)
    if kind == "LayerNorm":
        return theirs.LayerNorm(layer.normalized_shape)
    return theirs.Identity() if kind == "Dropout" else getattr(theirs, kind)()


def formula(torch, name, weight, D, real, fake, numbers):
    """The papers' formulas; no square root is guarded here."""
    each = (N, *(1,) * (real.ndim - 1))  # a number for each image
    given = {shape: torch.tensor(values) for shape, values in numbers.items()}
    x = real
    if name == "wgan-gp":
        assert given.keys() == {each}
        x = given[each] * real + (1 - given[each]) * fake
    elif name == "dragan":
        assert given.keys() == {each, tuple(real.shape)}
        perturbed = real + 0.5 * real.std(unbiased=False) * given[tuple(real.shape)]
        x = real + given[each] * (perturbed - real)
    x.requires_grad_()
    (g,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    lengths = g.flatten(1).norm(dim=1)
    assert lengths.min() > 0.05  # so that the guard of the root changes nothing
    if name == "r1":
        return weight / 2 * (lengths**2).mean()
    return weight * ((lengths - 1) ** 2).mean()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", PENALTIES)
def test_values_and_gradients_equal_pytorch(numbers, name, network):
    torch = pytest.importorskip("torch", reason="PyTorch is the yardstick")
    backends.manual_seed(0)
    D, shape = NETWORKS[network]()
    D = D.double()
    for layer in D:
        if isinstance(layer, (nn.Linear, nn.Conv2d)):  # outputs, and lengths, of the order of 1
            layer.weight.data = Tensor(draws.normal(layer.weight.shape, dtype=np.float64) * 0.6)
    torch_D = in_pytorch(torch, D)
    real, fake = data(shape)

    penalty = penalties.build(name, 7.0, D)(D, Tensor(real), Tensor(fake))
    expected = formula(torch, name, 7.0, torch_D, torch.tensor(real), torch.tensor(fake), numbers)
    assert penalty.dtype == np.float64
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-9)
    penalty.backward()
    expected.backward()
    moved = 0
    for ours, theirs in zip(D.parameters(), torch_D.parameters(), strict=True):
        # A bias that only shifts outputs is not in the gradient at all.
        ours = np.zeros(ours.shape) if ours.grad is None else ours.grad.numpy()
        theirs = np.zeros(ours.shape) if theirs.grad is None else theirs.grad.numpy()
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())
        moved += np.abs(ours).max() > 0.01
    assert moved >= 2


# The penalty's own gradient, against differences ----------------------------------------------


def weights(*shapes):
    rng = np.random.default_rng(2)
    return [Tensor(0.7 * rng.standard_normal(shape)) for shape in shapes]


def conv(x, w):
    return F.conv2d(x, w, stride=2, padding=1)


def both(x):
    """The sum of what is in an image: what lies before it has the gradient of all pixels."""
    return (x * x * x).flatten(1).sum(1)


# D as a function of the image and of its weights, so that these can be moved.
FUNCTIONS = {
    "linear, tanh": (
        lambda x, w, b, v: F.linear(F.tanh(F.linear(x, w, b)), v),
        (4,), [(3, 4), (3,), (1, 3)],
    ),
    "linear, leaky_relu": (
        lambda x, w, b, v: F.linear(F.linear(x, w, b, negative_slope=0.2), v),
        (4,), [(3, 4), (3,), (1, 3)],
    ),
    "maxout": (
        lambda x, w, v: F.linear(F.maxout(F.linear(x, w), 2), v), (4,), [(6, 4), (1, 3)],
    ),
    "conv2d, leaky_relu": (
        lambda x, w, v: both(conv(F.leaky_relu(conv(x, w), 0.2), v)),
        (1, 5, 5), [(2, 1, 3, 3), (1, 2, 3, 3)],
    ),
    "conv2d, instance_norm": (
        lambda x, w, v: both(conv(F.instance_norm(conv(x, w)), v)),
        (1, 5, 5), [(2, 1, 3, 3), (1, 2, 3, 3)],
    ),
    "conv2d, layer_norm": (
        lambda x, w, v: both(conv(F.layer_norm(conv(x, w), (2, 3, 3)), v)),
        (1, 5, 5), [(2, 1, 3, 3), (1, 2, 3, 3)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "function"),
    [*(("wgan-gp", f) for f in FUNCTIONS), ("dragan", "linear, tanh"), ("r1", "linear, tanh")],
)
def test_the_gradient_and_its_own_gradient_against_differences(numbers, name, function):
    """The penalty holds D's first derivative, its gradient the second, and that one's the third."""
    D, shape, shapes = FUNCTIONS[function]
    real, fake = (Tensor(x[:3]) for x in data(shape))
    penalty = PENALTIES[name](weight=0.3)

    def of_weights(*w):
        return penalty(lambda x: D(x, *w), real, fake)

    # Kinks are near; second derivatives of maxout's first weights have little to compare.
    assert gradcheck(of_weights, weights(*shapes), order=2, step=1e-5, tolerance=1e-5).passed


# Where the gradient vanishes ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "value"), [("wgan-gp", 10.0), ("dragan", 10.0), ("r1", 0.0)])
def test_a_gradient_of_zero(name, value, dtype):
    """The length 0 is 1 from 1, and there is no direction in which it should grow."""
    D = nn.Linear(3, 1).to(dtype)
    D.weight.data = Tensor(np.zeros((1, 3), dtype))
    real, fake = (Tensor(x) for x in data(POINT, dtype))
    penalty = PENALTIES[name](weight=10.0)(D, real, fake)
    penalty.backward()
    assert penalty.dtype == dtype
    assert penalty.item() == pytest.approx(value, abs=1e-4)
    assert (D.weight.grad.numpy() == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_images_without_a_gradient_do_not_spoil_the_others(dtype):
    D = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
    D.load_state_dict({"0.weight": [[3.0]], "0.bias": [0.0]})
    x = Tensor(np.array([[-1.0], [1.0]], dtype))  # on the left D is flat
    penalty = PENALTIES["wgan-gp"](weight=1.0)(D.to(dtype), x, x)
    penalty.backward()
    assert penalty.item() == pytest.approx(((0 - 1) ** 2 + (3 - 1) ** 2) / 2, rel=1e-5)
    assert D[0].weight.grad.item() == pytest.approx(2 * (3 - 1) / 2, rel=1e-5)


def test_gradients_lie_in_memory_as_the_weights_do():
    """They are added to those of the loss; in another order that would take ten times as long."""
    D = nn.Sequential(nn.Linear(9, 4), nn.LeakyReLU(0.2), nn.Linear(4, 7), nn.Linear(7, 1))
    real, fake = (Tensor(x) for x in data((9,), np.float32))
    PENALTIES["wgan-gp"](weight=1.0)(D, real, fake).backward()
    for layer in (D[0], D[2]):
        assert layer.weight.grad.array.strides == layer.weight.array.strides


# In the game ----------------------------------------------------------------------------------


def test_labels_reach_d():
    """In a conditional game D is given labels, and pays for its gradient with respect to x only."""
    given = []

    def D(x, y):
        given.append(y)
        return (x * x * y).sum(1)

    x, y = Tensor(np.ones((4, 2))), Tensor(np.full((4, 2), 3.0))
    for name, per_image in (("wgan-gp", (72**0.5 - 1) ** 2), ("r1", 72 / 2)):
        assert PENALTIES[name](weight=1.0)(D, x, x, y).item() == pytest.approx(per_image)
        assert given.pop() is y


def test_the_step_pays_it_and_says_so():
    recipe = recipes.override(
        recipes.get("wgan-gp-toy"), {"widths": "8,8", "batch_size": "16", "penalty_weight": "1"}
    )
    backends.manual_seed(0)
    game = setup.build_game(recipe, (2,))
    from minigan.train.step import play_step, read

    x = minigan.randn(16, 2)
    (losses,) = read([play_step(game, [x] * 5)])
    assert losses["penalty"] > 0
    difference = losses["d_fake"] - losses["d_real"]
    assert losses["d_loss"] == pytest.approx(difference + losses["penalty"], rel=1e-4)


# Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["penalty=wgan-gp", "penalty_weight=10"], "batch normalisation mixes the images"),
        (["penalty=r1", "penalty_weight=1", "d_norm=batch"], "batch normalisation mixes"),
        (["penalty=wgan-gp"], "penalty and penalty_weight go together"),
        (["penalty_weight=10"], "penalty and penalty_weight go together"),
        (["penalty=wgan", "penalty_weight=10"], "penalty must be one of none, wgan-gp, dragan, r1"),
        (["penalty=r1", "penalty_weight=-1"], "penalty_weight must be at least 0"),
        (["d_norm=group"], "d_norm must be one of batch, layer, instance, none"),
        (["model=gan", "widths=", "d_norm=layer"], "must be|no d_norm|whole numbers"),
    ],
)
def test_what_cannot_be_paid_is_a_one_line_error(tmp_path, settings, message):
    arguments = ["train", "dcgan-28", "--data", "glyphs", "--steps", 1, "--out", tmp_path / "run"]
    for setting in settings:
        arguments += ["--set", setting]
    result = CliRunner().invoke(program, [str(a) for a in arguments])
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("minigan: error: ")
    assert re.search(message, line), line
    assert not (tmp_path / "run").exists()


def test_build():
    D = nn.Linear(2, 1)
    assert penalties.build("none", 0.0, D) is None
    assert penalties.build("r1", 2.0, D) == penalties.R1(weight=2.0)
    with pytest.raises(MiniganError, match="no penalty 'gp'"):
        penalties.build("gp", 1.0, D)
    for weight in (0.0, -1.0, float("nan")):
        with pytest.raises(MiniganError, match="must be above 0"):
            penalties.build("r1", weight, D)
    with pytest.raises(MiniganError, match="needs D's gradient for each image"):
        penalties.build("r1", 1.0, nn.Sequential(D, nn.Sequential(nn.BatchNorm1d(1))))
