"""Layers, losses, initial weights and weight files against PyTorch's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan
from minigan import nn

torch = pytest.importorskip("torch", reason="PyTorch is what these tests compare with")
torch.set_num_threads(1)  # its threads wait for each other on arrays as small as these

few_examples = settings(max_examples=10, deadline=None, derandomize=True)


class TorchMaxout(torch.nn.Linear):
    """Maxout with the layout that minigan documents: neighbouring rows compete."""

    def __init__(self, in_features, out_features, num_pieces):
        super().__init__(in_features, out_features * num_pieces)
        self.num_pieces = num_pieces

    def forward(self, x):
        y = super().forward(x)
        return y.unflatten(-1, (-1, self.num_pieces)).max(-1).values


#: name -> (ours, theirs, shape of the input without the batch)
LAYERS = {
    "linear": (nn.Linear(4, 3), torch.nn.Linear(4, 3), (4,)),
    "linear, no bias": (nn.Linear(4, 3, bias=False), torch.nn.Linear(4, 3, bias=False), (4,)),
    "linear, 3 dimensions": (nn.Linear(4, 3), torch.nn.Linear(4, 3), (2, 4)),
    "maxout": (nn.Maxout(4, 3, 5), TorchMaxout(4, 3, 5), (4,)),
    "batch norm": (nn.BatchNorm1d(4), torch.nn.BatchNorm1d(4), (4,)),
    "batch norm, settings": (
        nn.BatchNorm1d(4, eps=0.3, momentum=0.7),
        torch.nn.BatchNorm1d(4, eps=0.3, momentum=0.7),
        (4,),
    ),
    "batch norm (N, C, L)": (nn.BatchNorm1d(4), torch.nn.BatchNorm1d(4), (4, 3)),
    "relu": (nn.ReLU(), torch.nn.ReLU(), (4,)),
    "leaky relu": (nn.LeakyReLU(), torch.nn.LeakyReLU(), (4,)),
    "leaky relu 0.2": (nn.LeakyReLU(0.2), torch.nn.LeakyReLU(0.2), (4,)),
    "tanh": (nn.Tanh(), torch.nn.Tanh(), (4,)),
    "sigmoid": (nn.Sigmoid(), torch.nn.Sigmoid(), (4,)),
    "softplus": (nn.Softplus(), torch.nn.Softplus(), (4,)),
    "flatten": (nn.Flatten(), torch.nn.Flatten(), (2, 3)),
    "unflatten": (nn.Unflatten(1, (2, 3)), torch.nn.Unflatten(1, (2, 3)), (6,)),
    "identity": (nn.Identity(), torch.nn.Identity(), (4,)),
    "dropout, evaluated": (nn.Dropout(0.5).eval(), torch.nn.Dropout(0.5).eval(), (4,)),
    "a generator": (
        nn.Sequential(
            nn.Linear(4, 6), nn.BatchNorm1d(6), nn.LeakyReLU(0.2), nn.Linear(6, 3), nn.Tanh()
        ),
        torch.nn.Sequential(
            torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.LeakyReLU(0.2),
            torch.nn.Linear(6, 3), torch.nn.Tanh(),
        ),
        (4,),
    ),
}  # fmt: skip


def same_weights(ours, theirs, rng):
    """Both in float64 with the same random weights; what is positive stays so."""
    ours.double()
    theirs.double()
    ours.load_state_dict(
        {
            name: rng.uniform(0.5, 1.5, a.shape) if a.dtype.kind == "f" else np.array(3)
            for name, a in ours.state_dict().items()
        }
    )
    for name, p in ours.named_parameters():
        if "weight" in name:
            nn.init.normal_(p)
    theirs.load_state_dict({k: torch.from_numpy(a) for k, a in ours.state_dict().items()})


def close(ours, theirs, rtol=1e-9):
    theirs = theirs.detach().numpy()
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=rtol, atol=rtol)


def gradients(outputs, inputs):
    """d outputs / d inputs in either framework; zeros where there is no way from one to other."""
    for x in inputs:
        x.grad = None
    if outputs.requires_grad:
        outputs.backward(retain_graph=True)
    return [x * 0 if x.grad is None else x.grad for x in inputs]


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", LAYERS)
def test_outputs_first_and_second_gradients(name, training):
    ours, theirs, shape = LAYERS[name]
    rng = np.random.default_rng(len(name))
    same_weights(ours, theirs, rng)
    if not name.startswith("dropout"):
        ours.train(training)
        theirs.train(training)
    x = rng.normal(size=(5, *shape))
    a = minigan.tensor(x, requires_grad=True)
    b = torch.tensor(x, requires_grad=True)
    y_a, y_b = ours(a), theirs(b)
    close(y_a, y_b)
    for buffer_a, buffer_b in zip(ours.buffers(), theirs.buffers()):
        close(buffer_a, buffer_b)

    factor = rng.normal(size=y_a.shape)
    loss_a = (y_a * y_a * minigan.tensor(factor)).sum()
    loss_b = (y_b * y_b * torch.tensor(factor)).sum()
    in_a, in_b = [a, *ours.parameters()], [b, *theirs.parameters()]
    assert len(in_a) == len(in_b)
    first_a = minigan.grad(loss_a, in_a, create_graph=True)
    first_b = torch.autograd.grad(loss_b, in_b, create_graph=True)
    for g_a, g_b in zip(first_a, first_b):
        close(g_a, g_b)

    penalty_a = (first_a[0] * first_a[0]).sum()
    penalty_b = (first_b[0] * first_b[0]).sum()
    for g_a, g_b in zip(gradients(penalty_a, in_a), gradients(penalty_b, in_b)):
        close(g_a, g_b)


LOSSES = {
    "BCELoss": (nn.BCELoss, torch.nn.BCELoss),
    "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss, torch.nn.BCEWithLogitsLoss),
    "MSELoss": (nn.MSELoss, torch.nn.MSELoss),
    "L1Loss": (nn.L1Loss, torch.nn.L1Loss),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses(name, reduction):
    ours, theirs = (loss(reduction=reduction) for loss in LOSSES[name])
    rng = np.random.default_rng(0)
    low, high = (0.01, 0.99) if name == "BCELoss" else (-30, 30)
    x, t = rng.uniform(low, high, (6, 2)), rng.uniform(0, 1, (6, 2))
    a, b = minigan.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y_a, y_b = ours(a, minigan.tensor(t)), theirs(b, torch.tensor(t))
    close(y_a, y_b)
    (g_a,) = minigan.grad((y_a * y_a).sum(), [a], create_graph=True)
    (g_b,) = torch.autograd.grad((y_b * y_b).sum(), [b], create_graph=True)
    close(g_a, g_b)
    for gg_a, gg_b in zip(gradients(g_a.sum(), [a]), gradients(g_b.sum(), [b])):
        close(gg_a, gg_b)


def test_bce_at_the_ends():
    """log 0 is -100 in both, and 1 and 0 as probabilities give no infinite gradient."""
    for p, t in [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (1.0, 1.0)]:
        a, b = minigan.tensor([p], requires_grad=True), torch.tensor([p], requires_grad=True)
        ours = nn.BCELoss()(a, minigan.tensor([t]))
        close(ours, torch.nn.BCELoss()(b, torch.tensor([t])))
        ours.backward()
        assert np.isfinite(a.grad.numpy()).all()


@few_examples
@given(n=st.integers(1, 9), c_in=st.integers(1, 9), c_out=st.integers(1, 9), k=st.integers(1, 4))
def test_linear_and_maxout_of_any_size(n, c_in, c_out, k):
    rng = np.random.default_rng(n)
    for ours, theirs in [
        (nn.Linear(c_in, c_out), torch.nn.Linear(c_in, c_out)),
        (nn.Maxout(c_in, c_out, k), TorchMaxout(c_in, c_out, k)),
    ]:
        same_weights(ours, theirs, rng)
        x = rng.normal(size=(n, c_in))
        y_a, y_b = ours(minigan.tensor(x)), theirs(torch.tensor(x))
        close(y_a, y_b)
        (y_a * y_a).sum().backward()
        (y_b * y_b).sum().backward()
        for p, q in zip(ours.parameters(), theirs.parameters()):
            close(p.grad, q.grad)


@few_examples
@given(
    n=st.integers(2, 9),
    c=st.integers(1, 9),
    length=st.integers(0, 4),
    eps=st.sampled_from([1e-5, 1e-3, 0.8]),
    momentum=st.floats(0, 1),
)
def test_batch_norm_tracks_the_same_statistics(n, c, length, eps, momentum):
    rng = np.random.default_rng(n)
    ours = nn.BatchNorm1d(c, eps=eps, momentum=momentum)
    theirs = torch.nn.BatchNorm1d(c, eps=eps, momentum=momentum)
    same_weights(ours, theirs, rng)
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        x = rng.normal(2, 3, size=(n, c, length) if length else (n, c))
        close(ours(minigan.tensor(x)), theirs(torch.tensor(x)))
    for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values()):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-9, err_msg=name)
        assert a.shape == tuple(b.shape)
        assert str(a.dtype) == str(b.dtype).removeprefix("torch.")


def test_batch_norm_in_float32():
    rng = np.random.default_rng(0)
    ours, theirs = nn.BatchNorm1d(8), torch.nn.BatchNorm1d(8)
    for _ in range(20):
        x = rng.normal(3, 0.1, size=(64, 8)).astype(np.float32)
        close(ours(minigan.tensor(x)), theirs(torch.tensor(x)), rtol=1e-4)
    close(ours.running_mean, theirs.running_mean, rtol=1e-5)
    close(ours.running_var, theirs.running_var, rtol=1e-5)


def test_embedding():
    ours, theirs = nn.Embedding(5, 3), torch.nn.Embedding(5, 3)
    same_weights(ours, theirs, np.random.default_rng(0))
    i = np.array([[1, 1], [4, 0]])
    y_a, y_b = ours(minigan.tensor(i)), theirs(torch.tensor(i))
    close(y_a, y_b)
    (y_a**3).sum().backward()
    (y_b**3).sum().backward()
    close(ours.weight.grad, theirs.weight.grad)


# Weight files -------------------------------------------------------------------------------


def networks(module):
    return module.Sequential(
        module.Linear(3, 4),
        module.BatchNorm1d(4),
        module.Sequential(module.LeakyReLU(0.2), module.Linear(4, 2, bias=False)),
        module.Identity(),
    )


def test_weights_go_to_pytorch():
    ours, theirs = networks(nn), networks(torch.nn)
    ours(minigan.ones(4, 3))
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    close(ours.eval()(minigan.tensor(x)), theirs.eval()(torch.tensor(x)), rtol=1e-6)


def test_weights_come_from_pytorch():
    ours, theirs = networks(nn), networks(torch.nn)
    theirs(torch.randn(4, 3))
    ours.load_state_dict(theirs.state_dict())  # PyTorch's tensors as they are
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    close(ours.eval()(minigan.tensor(x)), theirs.eval()(torch.tensor(x)), rtol=1e-6)
    for name, b in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name], b.numpy())


# Initial weights ----------------------------------------------------------------------------


def moments(values):
    values = np.asarray(values, np.float64)
    return values.mean(), values.std(), np.abs(values).max()


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("uniform_", {"a": -0.3, "b": 0.5}),
        ("normal_", {"mean": 0.5, "std": 0.2}),
        ("constant_", {"val": 0.25}),
        ("zeros_", {}),
        ("ones_", {}),
        ("xavier_uniform_", {"gain": 2.0}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": 0.2}),
        ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("kaiming_normal_", {"nonlinearity": "tanh"}),
        ("kaiming_normal_", {"a": 0.2, "mode": "fan_out"}),
    ],
)
@pytest.mark.parametrize("shape", [(400, 300), (60, 40, 5, 10)])
def test_init_draws_from_the_same_distribution(function, arguments, shape):
    minigan.manual_seed(0)
    torch.manual_seed(0)
    ours = getattr(nn.init, function)(minigan.zeros(*shape), **arguments).numpy()
    theirs = getattr(torch.nn.init, function)(torch.zeros(*shape), **arguments).numpy()
    (mean, std, largest), (their_mean, their_std, their_largest) = moments(ours), moments(theirs)
    assert mean == pytest.approx(their_mean, abs=0.015 * max(std, 1e-3))
    assert std == pytest.approx(their_std, rel=0.01, abs=1e-12)
    if "normal" not in function:
        assert largest == pytest.approx(their_largest, rel=1e-3)


@pytest.mark.parametrize("nonlinearity", ["linear", "sigmoid", "tanh", "relu", "leaky_relu"])
def test_gains(nonlinearity):
    assert nn.init.calculate_gain(nonlinearity) == pytest.approx(
        torch.nn.init.calculate_gain(nonlinearity), rel=1e-12
    )
    assert nn.init.calculate_gain("leaky_relu", 0.3) == pytest.approx(
        torch.nn.init.calculate_gain("leaky_relu", 0.3), rel=1e-12
    )


@pytest.mark.parametrize("sizes", [(50, 400), (900, 40)])
def test_default_weights_have_the_same_distribution(sizes):
    minigan.manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = nn.Linear(*sizes), torch.nn.Linear(*sizes)
    for p, q in zip(ours.parameters(), theirs.parameters()):
        (mean, std, largest), (their_mean, their_std, their_largest) = (
            moments(p.numpy()), moments(q.detach().numpy())
        )  # fmt: skip
        assert p.shape == tuple(q.shape)
        assert std == pytest.approx(their_std, rel=0.15)
        assert abs(mean - their_mean) < 6 * std / np.sqrt(p.numel())
        assert largest == pytest.approx(their_largest, rel=0.1)
        assert largest <= 1 / np.sqrt(sizes[0]) + 1e-7


@pytest.mark.parametrize("name", ["LeakyReLU", "Dropout", "Flatten", "BCELoss", "MSELoss", "Tanh"])
def test_defaults(name):
    ours, theirs = getattr(nn, name)(), getattr(torch.nn, name)()
    for setting in ("negative_slope", "p", "start_dim", "end_dim", "reduction"):
        assert getattr(ours, setting, None) == getattr(theirs, setting, None)


def test_batch_norm_defaults():
    ours, theirs = nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    assert (ours.eps, ours.momentum) == (theirs.eps, theirs.momentum)
    for (name, a), (their_name, b) in zip(ours.state_dict().items(), theirs.state_dict().items()):
        assert name == their_name
        np.testing.assert_array_equal(a, b.numpy())
