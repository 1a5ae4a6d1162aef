"""Layers that compute the activation behind them too, and batch normalisation of images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan
from minigan import Tensor, nn
from minigan import functional as F
from minigan.autograd import grad
from minigan.kernels import cpu

examples = settings(max_examples=25, deadline=None, derandomize=True)
rng = np.random.default_rng(0)


def channels_last(array):
    """The same (N, C, H, W) with the channels of a pixel as neighbours in memory."""
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def one_by_one(network, x):
    for module in network:
        x = module(x)
    return x


def derivatives(forward, x, parameters):
    """The output, the gradients of its weighted sum, and the gradients of *their* weighted sum."""
    x = Tensor(x, requires_grad=True)
    y = forward(x)
    inputs = [x, *parameters]
    first = grad((y * weights(y)).sum(), inputs, create_graph=True)
    influences = sum((t * 0.0).sum() for t in inputs)  # the gradient may not depend on all of them
    second = grad(sum((g * weights(g)).sum() for g in first) + influences, inputs)
    return [t.numpy() for t in (y, *first, *second)]


def weights(y):
    return Tensor(np.cos(np.arange(y.numel(), dtype=y.dtype)).reshape(y.shape))


# Sequential joins neighbours ----------------------------------------------------------------

LAYERS = {
    "linear": (lambda: nn.Linear(3, 4), (5, 3)),
    "linear, stacked rows": (lambda: nn.Linear(3, 4), (2, 5, 3)),
    "linear without bias": (lambda: nn.Linear(3, 4, bias=False), (5, 3)),
    "batch norm": (lambda: nn.BatchNorm1d(3), (5, 3)),
    "batch norm (N, C, L)": (lambda: nn.BatchNorm1d(3), (5, 3, 2)),
    "batch norm of images": (lambda: nn.BatchNorm2d(3), (2, 3, 4, 2)),
}
ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky relu": lambda: nn.LeakyReLU(0.2),
    "slope 1": lambda: nn.LeakyReLU(1.0),
    "slope below 0": lambda: nn.LeakyReLU(-0.3),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layer", LAYERS)
def test_joined_layers_compute_what_they_compute_one_by_one(layer, activation, training):
    make, shape = LAYERS[layer]
    minigan.manual_seed(3)
    network = nn.Sequential(make(), ACTIVATIONS[activation]()).double().train(training)
    for p in network.parameters():
        nn.init.normal_(p)
    x, parameters = rng.standard_normal(shape), list(network.parameters())
    joined = derivatives(network, x, parameters)
    apart = derivatives(lambda x: one_by_one(network, x), x, parameters)
    for a, b in zip(joined, apart):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def count_functions(y):
    """How many functions of each type are behind y."""
    seen, stack = set(), [y.grad_fn]
    while stack:
        function = stack.pop()
        if function is not None and not isinstance(function, Tensor) and function not in seen:
            seen.add(function)
            stack.extend(function.edges)
    return sorted(type(function).__name__ for function in seen)


def test_which_layers_are_joined():
    class Doubled(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 2.0

    class Shifted(nn.ReLU):
        def forward(self, x):
            return super().forward(x) + 1.0

    x = Tensor(rng.standard_normal((4, 3)))

    def functions(*modules):
        return count_functions(nn.Sequential(*modules).double()(x))

    assert functions(nn.Linear(3, 2), nn.LeakyReLU(0.2)) == ["Linear"]
    assert functions(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.ReLU()) == ["BatchNorm", "Linear"]
    assert functions(nn.Linear(3, 2), nn.ReLU(), nn.ReLU()) == ["LeakyReLU", "Linear"]
    assert functions(nn.Linear(3, 2), nn.Tanh()) == ["Linear", "Tanh"]
    # Subclasses compute what they say.
    assert "Mul" in functions(Doubled(3, 2), nn.ReLU())
    assert "Add" in functions(nn.Linear(3, 2), Shifted())


def test_joining_changes_neither_the_state_nor_the_text():
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.LeakyReLU(0.2))
    network(minigan.ones(4, 2))
    assert [name for name, _ in network.named_children()] == ["0", "1", "2"]
    assert "(2): LeakyReLU(negative_slope=0.2)" in repr(network)
    assert list(network.state_dict())[:3] == ["0.weight", "0.bias", "1.weight"]


def test_a_weight_and_its_gradient_have_one_memory_order():
    for shape in ((3, 5), (5, 3), (4, 4), (1, 6), (6, 1)):
        layer = nn.Linear(*shape)
        layer(minigan.ones(2, shape[0])).sum().backward()
        gradient, weight = layer.weight.grad.array, layer.weight.array
        assert gradient.strides == weight.strides, shape
        assert gradient.base is None  # its own memory: the engine need not copy it


# Batch normalisation of images --------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@examples
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(2, 4)),
    st.sampled_from(["first", "last", "backwards"]),
    st.sampled_from([None, 0.2, 0.0]),
    st.integers(0, 2**32 - 1),
)
def test_batch_norm_of_images_equals_pytorch(dtype, shape, memory, slope, seed):
    torch = pytest.importorskip("torch", reason="PyTorch is what this test compares with")
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(dtype)
    x = {"first": x, "last": channels_last(x), "backwards": x[:, ::-1, :, ::-1]}[memory]
    gamma, beta = rng.standard_normal((2, shape[1])).astype(dtype)
    gy = rng.standard_normal(shape).astype(dtype)

    ours = nn.Sequential(
        nn.BatchNorm2d(shape[1]), nn.Identity() if slope is None else nn.LeakyReLU(slope)
    )
    ours.to(dtype)
    theirs = torch.nn.BatchNorm2d(shape[1], dtype=torch.from_numpy(gamma).dtype)
    state = {"weight": gamma, "bias": beta}
    for name, value in state.items():
        getattr(ours[0], name).array[...] = value
        getattr(theirs, name).data = torch.from_numpy(value.copy())

    a = Tensor(x, requires_grad=True)
    y = ours(a)
    b = torch.tensor(x.copy(), requires_grad=True)
    t = theirs(b)
    t = t if slope is None else torch.nn.functional.leaky_relu(t, slope)
    first = grad(y, [a, ours[0].weight, ours[0].bias], Tensor(gy), create_graph=True)
    expected = torch.autograd.grad(
        t, [b, theirs.weight, theirs.bias], torch.from_numpy(gy), create_graph=True
    )
    results = [y, *first, ours[0].running_mean, ours[0].running_var]
    references = [t, *expected, theirs.running_mean, theirs.running_var]
    if dtype == np.float64:  # in float32, an input on the kink may fall to either side
        results += grad((first[0] * Tensor(x)).sum(), [a, ours[0].weight])
        references += torch.autograd.grad(
            (expected[0] * torch.tensor(x.copy())).sum(), [b, theirs.weight]
        )
    for ours_, theirs_ in zip(results, references):
        reference = theirs_.detach().numpy()
        size = max(1.0, abs(reference).max())
        tolerance = 1e-9 if dtype == np.float64 else 2e-5
        np.testing.assert_allclose(ours_.numpy(), reference, rtol=0, atol=tolerance * size)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 1)])
@pytest.mark.parametrize("order", [np.ascontiguousarray, channels_last])
def test_images_keep_their_memory_order(shape, order):
    x = Tensor(order(rng.standard_normal(shape)), requires_grad=True)
    one, zero = Tensor(np.ones(shape[1])), Tensor(np.zeros(shape[1]))
    y = F.batch_norm(x, None, None, one, zero, training=True)
    (gx,) = grad(y, [x], Tensor(order(rng.standard_normal(shape))))
    assert order(y.array).strides == y.array.strides
    assert order(gx.array).strides == gx.array.strides


def test_channels_last_images_are_not_copied():
    x = channels_last(rng.standard_normal((2, 3, 4, 5)))
    assert np.shares_memory(cpu._rows(x), x)


def test_batch_norm_of_images_refuses_other_shapes():
    with pytest.raises(
        ValueError, match=r"BatchNorm2d takes 4 dimensions, got x of shape \(2, 3\)"
    ):
        nn.BatchNorm2d(3)(minigan.ones(2, 3))
    with pytest.raises(ValueError, match=r"BatchNorm1d takes 2 or 3 dimensions"):
        nn.BatchNorm1d(3)(minigan.ones(2, 3, 4, 4))
    with pytest.raises(ValueError, match="at least 2 values per feature"):
        nn.BatchNorm2d(3)(minigan.ones(1, 3, 1, 1))


# In parallel --------------------------------------------------------------------------------


def everything(x, gy):
    """All that the kernels for large arrays make of x."""
    C = x.shape[1]
    mean, var = cpu.batch_stats(x)
    gamma, beta = np.linspace(-1, 1, C), np.linspace(0.5, -0.5, C)
    gamma, beta, inv_std = gamma.astype(x.dtype), beta.astype(x.dtype), 1 / np.sqrt(var)
    sums = cpu.batch_norm_sums(gy, x, mean, inv_std, gamma, beta, 0.2)
    biased = x.copy(order="K")
    cpu.add_bias_leaky_relu(biased, beta, 0.2)
    return [
        mean, var, sums, biased,
        cpu.batch_norm(x, mean, inv_std, gamma, beta, 0.2),
        cpu.batch_norm_grad(gy, x, mean, inv_std, gamma, beta, 0.2, sums),
        cpu.leaky_relu(x, 0.2), cpu.leaky_relu_grad(gy, x, 0.2),
    ]  # fmt: skip


@pytest.mark.parametrize("order", [np.ascontiguousarray, channels_last])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_arrays_in_parallel(monkeypatch, dtype, order):
    x, gy = (order(rng.standard_normal((3, 5, 4, 7)).astype(dtype)) for _ in range(2))
    minigan.set_num_threads(1)
    expected = everything(x, gy)
    monkeypatch.setattr(cpu, "LARGE", 0)
    for threads in (2, 3, 100):
        minigan.set_num_threads(threads)
        results, again = everything(x, gy), everything(x, gy)
        for a, b, e in zip(results, again, expected):
            np.testing.assert_array_equal(a, b)  # the same bits for the same number of threads
            np.testing.assert_allclose(a, e, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)
