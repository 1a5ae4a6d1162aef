"""Modules, layers, losses and initial weights, without another framework."""

import copy
import math
import re

import numpy as np
import pytest

import minigan
from minigan import nn
from minigan.backends import manual_seed


class Block(nn.Module):
    """A parameter of its own, a buffer, two children: the order of names is tested with it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.scale = nn.Parameter(np.ones(3, np.float32))
        self.register_buffer("count", minigan.zeros(1))
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(self.first(x) * self.scale)


def random(*shape, seed=0):
    return minigan.Tensor(np.random.default_rng(seed).normal(size=shape))


# Module -------------------------------------------------------------------------------------


def test_parameters_and_buffers_are_found_in_pytorchs_order():
    block = Block()
    assert [name for name, _ in block.named_parameters()] == [
        "scale", "first.weight", "first.bias", "norm.weight", "norm.bias",
    ]  # fmt: skip
    assert [name for name, _ in block.named_buffers()] == [
        "count", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked",
    ]  # fmt: skip
    assert [name for name, _ in block.named_modules()] == ["", "first", "norm"]
    assert list(block.children()) == [block.first, block.norm]
    assert list(block.state_dict()) == [
        "scale", "count", "first.weight", "first.bias", "norm.weight", "norm.bias",
        "norm.running_mean", "norm.running_var", "norm.num_batches_tracked",
    ]  # fmt: skip


def test_a_shared_part_is_listed_once_but_saved_under_both_names():
    shared = nn.Linear(2, 2)
    net = nn.Sequential(shared, shared)
    assert len(list(net.parameters())) == 2
    assert len(list(net.modules())) == 2
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    net.load_state_dict(net.state_dict())


def test_none_in_the_place_of_a_parameter_is_no_parameter():
    assert [name for name, _ in nn.Linear(2, 3, bias=False).named_parameters()] == ["weight"]


def test_replacing_a_parameter():
    layer = nn.Linear(2, 3)
    layer.weight = nn.Parameter(np.zeros((3, 2), np.float32))
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    with pytest.raises(TypeError, match="weight is a parameter and cannot become a plain tensor"):
        layer.weight = minigan.zeros(3, 2)
    layer.weight = None
    assert [name for name, _ in layer.named_parameters()] == ["bias"]


@pytest.mark.parametrize("name", ["training", "a.b", "count"])
def test_a_buffer_needs_a_free_name(name):
    with pytest.raises(ValueError, match=f"cannot have a buffer '{name}'"):
        Block().register_buffer(name, minigan.zeros(1))


def test_train_and_eval_reach_every_module():
    net = nn.Sequential(Block(), nn.Dropout())
    assert all(m.training for m in net.modules())
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())


def test_zero_grad_and_requires_grad():
    layer = nn.Linear(2, 1)
    layer(minigan.ones(1, 2)).sum().backward()
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad.numpy().tolist() == [[0.0, 0.0]]
    layer.zero_grad()
    assert layer.weight.grad is None
    layer.requires_grad_(False)
    assert not layer(minigan.ones(1, 2)).requires_grad
    layer.requires_grad_()
    assert layer(minigan.ones(1, 2)).requires_grad


def test_apply_visits_children_first():
    visited = []
    block = Block()
    assert block.apply(visited.append) is block
    assert visited == [block.first, block.norm, block]


def test_double_and_float_change_floats_only():
    block = Block()
    block(minigan.ones(2, 2)).sum().backward()
    block.double()
    kinds = {name: array.dtype for name, array in block.state_dict().items()}
    assert kinds.pop("norm.num_batches_tracked") == np.int64
    assert set(kinds.values()) == {np.dtype(np.float64)}
    assert block.scale.grad.dtype == np.float64
    assert block(random(2, 2)).dtype == np.float64
    assert block.float()(minigan.ones(2, 2)).dtype == np.float32
    with pytest.raises(TypeError, match="float dtype only, not int64"):
        block.to(np.int64)


def test_to_the_same_place_keeps_the_arrays():
    layer = nn.Linear(2, 2)
    array = layer.weight.array
    assert layer.to("numpy").float().weight.array is array


def test_a_deep_copy_is_independent():
    block = Block()
    twin = copy.deepcopy(block)
    before = block.state_dict()
    nn.init.zeros_(twin.scale)
    twin(minigan.ones(4, 2))
    for name, array in block.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert isinstance(twin.scale, nn.Parameter)
    assert twin.scale.requires_grad


def test_a_module_without_forward_says_so():
    with pytest.raises(TypeError, match="Module does not define forward"):
        nn.Module()(1)


# State --------------------------------------------------------------------------------------


def test_state_dict_is_a_copy():
    layer = nn.Linear(2, 2)
    state = layer.state_dict()
    state["weight"][:] = 7
    assert not (layer.weight.numpy() == 7).any()


def test_load_state_dict_changes_values_in_place():
    source, target = Block(), Block()
    source(random(5, 2).float())
    arrays = [t.array for t in (*target.parameters(), *target.buffers())]
    assert target.load_state_dict(source.state_dict()) == ([], [])
    assert all(t.array is a for t, a in zip((*target.parameters(), *target.buffers()), arrays))
    for name, array in source.state_dict().items():
        np.testing.assert_array_equal(target.state_dict()[name], array)
        assert target.state_dict()[name].dtype == array.dtype
    assert target.state_dict()["norm.num_batches_tracked"] == 1


def test_load_state_dict_converts_dtype_and_takes_lists():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": [[1, 2]], "bias": np.array([0.5])})
    assert layer.weight.dtype == np.float32
    assert layer(minigan.ones(1, 2)).item() == 3.5


def _without_bias(state):
    del state["first.bias"]


def _with_more(state):
    state["extra"] = np.zeros(1)


def _reshaped(state):
    state["norm.running_var"] = np.ones((3, 1))


def _words(state):
    state["norm.bias"] = np.array(["a", "b", "c"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_bias, "does not fit Block: missing first.bias, unexpected nothing"),
        (_with_more, "does not fit Block: missing nothing, unexpected extra"),
        (_reshaped, r"norm.running_var is \(3, 1\) instead of \(3,\)"),
        (_words, "norm.bias must be an array of numbers"),
    ],
)
def test_load_state_dict_loads_all_or_nothing(spoil, message):
    block = Block()
    before = block.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    spoil(state)
    with pytest.raises((ValueError, TypeError), match=message) as error:
        block.load_state_dict(state)
    assert "\n" not in str(error.value)
    for name, array in block.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_load_state_dict_error_stays_short():
    deep = nn.Sequential(*[nn.Linear(1, 1) for _ in range(10)])
    with pytest.raises(ValueError, match="does not fit Sequential") as error:
        deep.load_state_dict({})
    assert "2.weight and 15 more" in str(error.value)


def test_load_state_dict_that_is_not_strict():
    layer = nn.Linear(2, 1)
    bias = layer.bias.item()
    result = layer.load_state_dict({"weight": np.ones((1, 2)), "other": np.ones(1)}, strict=False)
    assert result == (["bias"], ["other"])
    assert layer.weight.numpy().tolist() == [[1.0, 1.0]]
    assert layer.bias.item() == bias
    with pytest.raises(ValueError, match="weight is"):
        layer.load_state_dict({"weight": np.ones(2)}, strict=False)


# For the reader -----------------------------------------------------------------------------


def test_repr_of_nested_modules():
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), Block(), nn.Tanh())
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Sequential(\n"
        "    (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "    (1): ReLU()\n"
        "  )\n"
        "  (1): Block(\n"
        "    (first): Linear(in_features=2, out_features=3, bias=True)\n"
        "    (norm): BatchNorm1d(3, eps=1e-05, momentum=0.1)\n"
        "  )\n"
        "  (2): Tanh()\n"
        ")"
    )


def test_repr_of_layers():
    for layer in (
        nn.Linear(2, 3, bias=False), nn.Maxout(2, 3, 4), nn.Embedding(2, 3), nn.Flatten(),
        nn.Unflatten(1, (1, 2)), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Identity(), nn.Sigmoid(),
        nn.Softplus(), nn.BCELoss(),
    ):  # fmt: skip
        assert re.fullmatch(rf"{type(layer).__name__}\(.*\)", repr(layer))
    assert (
        repr(nn.Maxout(2, 3, 4)) == "Maxout(in_features=2, out_features=3, num_pieces=4, bias=True)"
    )


def test_summary_shows_shapes_and_counts_and_leaves_no_trace():
    net = nn.Sequential(Block(), nn.Dropout(), nn.Unflatten(1, (3, 1)))
    net[1].eval()
    before = net.state_dict()
    lines = net.summary((2,)).split("\n")
    assert [line.split() for line in lines] == [
        ["layer", "output", "parameters"],
        ["0.first", "Linear", "(N,", "3)", "9"],
        ["0.norm", "BatchNorm1d", "(N,", "3)", "6"],
        ["0", "Block", "(N,", "3)", "3"],
        ["1", "Dropout", "(N,", "3)", "0"],
        ["2", "Unflatten", "(N,", "3,", "1)", "0"],
        ["total", "18"],
    ]
    assert [m.training for m in net] == [True, False, True]
    assert not any("forward" in vars(m) for m in net.modules())
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_summary_of_a_wrong_shape_leaves_no_trace():
    net = Block()
    with pytest.raises(ValueError, match="linear"):
        net.summary((5,))
    assert net.training
    assert not any("forward" in vars(m) for m in net.modules())


def test_summary_of_double_networks_and_of_one_layer():
    assert "Linear  (N, 3)" in nn.Linear(2, 3).double().summary((2,))
    assert nn.ReLU().summary((1, 28, 28)).split("\n")[1].split() == [
        "ReLU", "(N,", "1,", "28,", "28)", "0",
    ]  # fmt: skip
    assert "1,200" in nn.Linear(1199, 1).summary((1199,))


# Containers ---------------------------------------------------------------------------------


def test_sequential_is_a_list():
    a, b, c = nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)
    net = nn.Sequential(a, b)
    assert net.append(c) is net
    assert len(net) == 3
    assert list(net) == [a, b, c]
    assert net[0] is a
    assert net[-1] is c
    assert isinstance(net[1:], nn.Sequential)
    assert list(net[1:]) == [b, c]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    x = minigan.ones(4, 2)
    np.testing.assert_array_equal(net(x).numpy(), c(b(a(x))).numpy())
    with pytest.raises(IndexError, match="has 3 modules, no number 3"):
        net[3]


@pytest.mark.parametrize("wrong", [nn.ReLU, [nn.ReLU()], None])
def test_sequential_of_something_else(wrong):
    with pytest.raises(TypeError, match="Sequential is made of modules"):
        nn.Sequential(nn.Linear(1, 1), wrong)


def test_module_list_is_found_and_has_no_forward():
    layers = nn.ModuleList(nn.Linear(1, 1) for _ in range(2))
    assert [name for name, _ in layers.named_parameters()] == [
        "0.weight", "0.bias", "1.weight", "1.bias",
    ]  # fmt: skip
    assert isinstance(layers[:1], nn.ModuleList)
    with pytest.raises(TypeError, match="does not define forward"):
        layers(1)


# Layers -------------------------------------------------------------------------------------


def test_linear_by_hand():
    layer = nn.Linear(2, 3)
    layer.load_state_dict({"weight": [[1, 2], [3, 4], [5, 6]], "bias": [0.5, 0, -1]})
    y = layer(minigan.tensor([[1.0, -1.0]]))
    assert y.numpy().tolist() == [[-0.5, -1.0, -2.0]]
    y.sum().backward()
    assert layer.weight.grad.numpy().tolist() == [[1.0, -1.0]] * 3
    assert layer.bias.grad.numpy().tolist() == [1.0] * 3


@pytest.mark.parametrize("make", [nn.Linear, lambda i, o: nn.Maxout(i, o // 5, 5)])
def test_initial_weights_are_pytorchs(make):
    manual_seed(0)
    layer = make(64, 500)
    bound = 1 / 8
    for p in layer.parameters():
        values = p.numpy()
        assert values.dtype == np.float32
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.97 * bound
        assert abs(values.mean()) < 4 * bound / math.sqrt(3 * values.size)
        assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.06)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(0, 1), lambda: nn.Linear(1, -1), lambda: nn.Linear(2.0, 1),
        lambda: nn.Maxout(2, 3, 0), lambda: nn.Embedding(0, 3), lambda: nn.BatchNorm1d(0),
    ],
)  # fmt: skip
def test_sizes_must_be_positive_integers(make):
    with pytest.raises(ValueError, match="must be an integer > 0, got"):
        make()


def test_maxout_takes_the_largest_of_neighbouring_rows():
    layer = nn.Maxout(2, 3, 4).double()
    x = random(5, 2)
    W, b = layer.weight.numpy(), layer.bias.numpy()
    assert W.shape == (12, 2)
    expected = np.empty((5, 3))
    for n in range(5):
        for j in range(3):
            expected[n, j] = max(W[4 * j + k] @ x.numpy()[n] + b[4 * j + k] for k in range(4))
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12)


def test_batch_norm_normalises_and_tracks():
    layer = nn.BatchNorm1d(3, eps=0.0, momentum=0.25).double()
    x = random(10, 3) * 3.0 + 5.0
    y = layer(x).numpy()
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(0), 1, rtol=1e-12)
    batch = x.numpy()
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.25 * batch.mean(0), rtol=1e-12)
    np.testing.assert_allclose(
        layer.running_var.numpy(), 0.75 + 0.25 * batch.var(0, ddof=1), rtol=1e-12
    )
    assert layer.num_batches_tracked.numpy() == 1
    assert layer.num_batches_tracked.dtype == np.int64
    assert layer.num_batches_tracked.shape == ()


def test_batch_norm_in_evaluation_uses_what_it_tracked():
    layer = nn.BatchNorm1d(2, eps=0.5).double()
    layer(random(10, 2))
    before = layer.eval().state_dict()
    x = random(1, 2, seed=1)  # one row is enough now
    expected = (x.numpy() - before["running_mean"]) / np.sqrt(before["running_var"] + 0.5)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_batch_norm_over_positions():
    layer = nn.BatchNorm1d(3).double()
    x = random(4, 3, 5)
    y = layer(x).numpy()
    rows = nn.BatchNorm1d(3).double()(x.permute(0, 2, 1).reshape(-1, 3)).numpy()
    np.testing.assert_allclose(y.transpose(0, 2, 1).reshape(-1, 3), rows, rtol=1e-12)


def test_batch_norm_mistakes():
    with pytest.raises(TypeError, match=r"BatchNorm1d\(64, 0.8\): eps must be named"):
        nn.BatchNorm1d(64, 0.8)
    with pytest.raises(ValueError, match=r"momentum in \[0, 1\], got eps=1e-05, momentum=1.5"):
        nn.BatchNorm1d(64, momentum=1.5)
    with pytest.raises(ValueError, match="got eps=nan"):
        nn.BatchNorm1d(64, eps=math.nan)
    layer = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="at least 2 values per feature"):
        layer(minigan.ones(1, 3))
    with pytest.raises(ValueError, match="takes"):
        layer(minigan.ones(2, 4))
    assert layer.num_batches_tracked.item() == 0


def test_dropout():
    manual_seed(0)
    x = minigan.ones(10_000)
    layer = nn.Dropout(0.2)
    y = layer(x).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1.25)}
    assert abs((y == 0).mean() - 0.2) < 0.02
    assert layer.eval()(x) is x
    for p in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match=r"must be in \[0, 1\)"):
            nn.Dropout(p)


def test_flatten_and_unflatten():
    x = random(2, 3, 4, 5)
    assert nn.Flatten()(x).shape == (2, 60)
    assert nn.Flatten(2)(x).shape == (2, 3, 20)
    assert nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    y = nn.Unflatten(1, [3, 4, 5])(nn.Flatten()(x))
    np.testing.assert_array_equal(y.numpy(), x.numpy())
    assert nn.Identity()(x) is x


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.ReLU(), [0, 0, 2]),
        (nn.ReLU(inplace=True), [0, 0, 2]),
        (nn.LeakyReLU(), [-0.01, 0, 2]),
        (nn.LeakyReLU(0.2, inplace=True), [-0.2, 0, 2]),
        (nn.Tanh(), np.tanh([-1, 0, 2])),
        (nn.Sigmoid(), 1 / (1 + np.exp([1, 0, -2]))),
        (nn.Softplus(), np.log1p(np.exp([-1, 0, 2]))),
    ],
)
def test_activations(layer, expected):
    x = minigan.tensor(np.array([-1.0, 0, 2]))
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12)
    assert x.numpy().tolist() == [-1.0, 0.0, 2.0]


def test_embedding_adds_the_gradients_of_a_row_taken_twice():
    manual_seed(0)
    layer = nn.Embedding(4, 2)
    y = layer(minigan.tensor([[1, 1], [3, 1]]))
    assert y.shape == (2, 2, 2)
    np.testing.assert_array_equal(y.numpy()[1, 0], layer.weight.numpy()[3])
    y.sum().backward()
    assert layer.weight.grad.numpy()[:, 0].tolist() == [0.0, 3.0, 0.0, 1.0]
    with pytest.raises(IndexError, match="rows 0 to 3"):
        layer([4])
    assert nn.Embedding(100, 100).weight.numpy().std() == pytest.approx(1, rel=0.05)


def test_gradients_flow_through_a_whole_network():
    """Directional differences in float64, through every kind of layer with weights."""
    manual_seed(0)
    net = nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.LeakyReLU(0.2), nn.Maxout(6, 5, 3), nn.Softplus(),
        nn.Unflatten(1, (5, 1)), nn.Flatten(), nn.Tanh(), nn.Linear(5, 1), nn.Sigmoid(),
    ).double()  # fmt: skip
    x, target = random(7, 4), minigan.Tensor(np.full((7, 1), 0.9))
    loss = nn.BCELoss()
    loss(net(x), target).backward()
    rng = np.random.default_rng(1)
    for name, p in net.named_parameters():
        direction = rng.normal(size=p.shape)
        value, h = p.numpy().copy(), 1e-6
        with minigan.no_grad():
            p.copy_(value + h * direction)
            above = loss(net(x), target).item()
            p.copy_(value - h * direction)
            below = loss(net(x), target).item()
            p.copy_(value)
        slope = (p.grad.numpy() * direction).sum()
        assert slope == pytest.approx((above - below) / (2 * h), rel=1e-5, abs=1e-9), name


# Losses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        (nn.BCELoss, lambda p, t: -(t * np.log(p) + (1 - t) * np.log(1 - p))),
        (nn.BCEWithLogitsLoss, lambda x, t: np.log1p(np.exp(x)) - t * x),
        (nn.MSELoss, lambda x, t: (x - t) ** 2),
        (nn.L1Loss, lambda x, t: abs(x - t)),
    ],
)
def test_losses(loss, formula):
    x, t = np.random.default_rng(0).uniform(0.1, 0.9, (2, 4, 3))
    expected = formula(x, t)
    x, t = minigan.Tensor(x), minigan.Tensor(t)
    np.testing.assert_allclose(loss(reduction="none")(x, t).numpy(), expected, rtol=1e-12)
    assert loss(reduction="sum")(x, t).item() == pytest.approx(expected.sum(), rel=1e-12)
    assert loss()(x, t).item() == pytest.approx(expected.mean(), rel=1e-12)
    ones = formula(x.numpy(), 1.0).mean()
    assert loss()(x, 1.0).item() == pytest.approx(ones, rel=1e-12)
    with pytest.raises(ValueError, match="must have the same shape"):
        loss()(x, minigan.Tensor(np.ones((4, 1))))
    with pytest.raises(ValueError, match="no reduction 'avg'"):
        loss(reduction="avg")


# Initial weights ----------------------------------------------------------------------------


def _std(tensor):
    return tensor.numpy().std()


@pytest.mark.parametrize("shape", [(300, 200), (40, 25, 3, 4)])
def test_init_has_the_formulas_standard_deviation(shape):
    fan_in, fan_out = (200, 300) if len(shape) == 2 else (25 * 12, 40 * 12)
    assert nn.init.fans(minigan.zeros(*shape)) == (fan_in, fan_out)
    manual_seed(0)
    w, init = minigan.zeros(*shape), nn.init
    mean = (fan_in + fan_out) / 2
    for fill, std in [
        (lambda: init.xavier_uniform_(w), 1 / math.sqrt(mean)),
        (lambda: init.xavier_normal_(w, gain=3), 3 / math.sqrt(mean)),
        (lambda: init.kaiming_uniform_(w), math.sqrt(2 / fan_in)),
        (lambda: init.kaiming_normal_(w, mode="fan_out"), math.sqrt(2 / fan_out)),
        (lambda: init.kaiming_normal_(w, a=2.0), math.sqrt(2 / 5 / fan_in)),
        (lambda: init.kaiming_uniform_(w, nonlinearity="tanh"), 5 / 3 / math.sqrt(fan_in)),
        (lambda: init.uniform_(w, -3, 3), math.sqrt(3)),
        (lambda: init.normal_(w, 1, 0.02), 0.02),
    ]:
        assert fill() is w
        assert _std(w) == pytest.approx(std, rel=0.02)
    assert w.numpy().mean() == pytest.approx(1, abs=1e-3)


def test_init_bounds():
    manual_seed(0)
    w = minigan.zeros(300, 200)
    for fill, bound in [
        (nn.init.xavier_uniform_, math.sqrt(6 / 500)),
        (nn.init.kaiming_uniform_, math.sqrt(6 / 200)),
    ]:
        largest = np.abs(fill(w).numpy()).max()
        assert 0.999 * bound < largest <= np.float32(bound)


def test_init_of_data_changes_the_parameter():
    layer = nn.Linear(3, 3)
    array = layer.weight.array
    nn.init.normal_(layer.weight.data, 0.0, 0.02)
    assert 0 < np.abs(array).max() < 0.1
    nn.init.constant_(layer.bias.data, 0.5)
    nn.init.ones_(layer.weight)
    assert layer.weight.array is array
    assert layer(minigan.zeros(1, 3)).numpy().tolist() == [[0.5] * 3]
    assert nn.init.zeros_(layer.weight).requires_grad


def test_init_gives_the_same_numbers_in_both_dtypes():
    manual_seed(0)
    single = nn.init.normal_(minigan.zeros(5))
    manual_seed(0)
    double = nn.init.normal_(minigan.zeros(5, dtype=np.float64))
    np.testing.assert_array_equal(single.numpy(), double.numpy().astype(np.float32))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.init.xavier_normal_(minigan.zeros(3)), r"a weight \(out, in, ...\)"),
        (lambda: nn.init.kaiming_normal_(minigan.zeros(3, 3), mode="fan"), "no mode 'fan'"),
        (lambda: nn.init.calculate_gain("gelu"), "no gain for 'gelu'"),
        (lambda: nn.init.normal_(minigan.zeros(3), 0, -1), "std >= 0, got -1"),
        (lambda: nn.init.uniform_(minigan.zeros(3), 1, 0), "a <= b, got 1 and 0"),
    ],
)
def test_init_mistakes(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Errors ---------------------------------------------------------------------------------------


def notes_of(module, *args):
    with pytest.raises(ValueError, match="linear") as caught:
        module(*args)
    return caught.value.__notes__


def test_an_error_says_in_which_layer_it_arose():
    class Two(nn.Module):
        def __init__(self):
            self.parts = nn.ModuleList([nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 1))])

        def forward(self, x):
            return self.parts[0](x)  # a list is not called: its layers' names hold all the same

    (note,) = notes_of(Two(), minigan.zeros(5, 2))
    assert note == "in layer parts.0.1 (Linear) of Two, given (5, 3) float32"
    assert notes_of(nn.Linear(4, 1), minigan.zeros(5, 3)) == ["in Linear, given (5, 3) float32"]


def test_an_error_keeps_its_class_its_arguments_and_its_own_notes():
    class Broken(nn.Module):
        def forward(self, x):
            error = OSError(2, "no such file")
            error.__notes__ = ["a hint"]
            raise error

    with pytest.raises(OSError) as caught:
        nn.Sequential(Broken())("text")
    assert caught.value.args == (2, "no such file")
    assert caught.value.__notes__ == [
        "a hint", "in layer 0 (Broken) of Sequential, given str"
    ]  # fmt: skip
