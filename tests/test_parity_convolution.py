"""Convolutions against PyTorch's: outputs, gradients and second gradients, layers.

Random configurations of everything: sizes, kernels, strides, padding, dilation, groups, algorithm.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="parity needs PyTorch, which is not installed")

from minigan import functional as F  # noqa: E402
from minigan import nn  # noqa: E402
from minigan.autograd import Tensor, grad  # noqa: E402
from minigan.kernels import winograd  # noqa: E402
from minigan.kernels.geometry import Geometry  # noqa: E402

torch.set_num_threads(1)  # its threads wait for each other on arrays as small as these

TF = torch.nn.functional
TOLERANCE = {np.float64: 1e-9, np.float32: 1e-4}  # relative to the largest element

# Configurations -----------------------------------------------------------------------------


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def geometries(draw):
    """(kernel, geometry): anything, or depthwise, or what the Winograd algorithm can do."""
    kind = draw(st.sampled_from(["any", "any", "groups", "4x4"]))
    if kind == "4x4":
        return (4, 4), Geometry((2, 2), draw(pairs(0, 5)))
    groups = draw(st.integers(2, 3)) if kind == "groups" else 1
    stride, padding, dilation = draw(pairs(1, 3)), draw(pairs(0, 3)), draw(pairs(1, 3))
    return draw(pairs(1, 4)), Geometry(stride, padding, dilation, groups)


def channels(groups):
    """(of the input, of the output); one of each in every group is as likely as all others."""
    several = st.tuples(st.integers(1, 3), st.integers(1, 3))
    pair = st.just((1, 1)) | several
    return pair.map(lambda counts: (groups * counts[0], groups * counts[1]))


def algorithms(kernel, geometry):
    known = ["auto", "im2col", "direct"]
    return st.sampled_from([*known, *["winograd"] * (2 * winograd.suits(geometry, kernel))])


def keywords(geometry):
    """The geometry as PyTorch's functions and ours take it."""
    return {
        "stride": geometry.stride,
        "padding": geometry.padding,
        "dilation": geometry.dilation,
        "groups": geometry.groups,
    }


@st.composite
def convolutions(draw):
    """(x's shape, weight's shape, geometry, algorithm), the kernel not larger than the image."""
    kernel, geometry = draw(geometries())
    C, O = draw(channels(geometry.groups))
    smallest = [max(1, e - 2 * p) for e, p in zip(geometry.extent(kernel), geometry.padding)]
    size = [n + draw(st.integers(0, 5)) for n in smallest]
    x_shape = (draw(st.integers(1, 3)), C, *size)
    weight_shape = (O, C // geometry.groups, *kernel)
    return x_shape, weight_shape, geometry, draw(algorithms(kernel, geometry))


@st.composite
def transposed_convolutions(draw):
    """The same and the output_padding; something is left after the padding is cut off."""
    kernel, geometry = draw(geometries())
    C, O = draw(channels(geometry.groups))
    extra = tuple(
        draw(st.integers(0, max(s, d) - 1)) for s, d in zip(geometry.stride, geometry.dilation)
    )
    smallest = [
        # (n - 1) stride - 2 padding + extent + extra >= 1
        max(1, -(-(1 - o - e + 2 * p) // s) + 1)
        for o, e, p, s in zip(extra, geometry.extent(kernel), geometry.padding, geometry.stride)
    ]
    size = [n + draw(st.integers(0, 4)) for n in smallest]
    x_shape = (draw(st.integers(1, 3)), C, *size)
    weight_shape = (C, O // geometry.groups, *kernel)
    return x_shape, weight_shape, geometry, extra, draw(algorithms(kernel, geometry))


# The comparison -----------------------------------------------------------------------------


def close(ours, theirs, what):
    """Equal to the tolerance, relative to the largest element."""
    theirs, tolerance = theirs.detach().numpy(), TOLERANCE[ours.dtype.type]
    assert ours.dtype == theirs.dtype, what
    assert ours.shape == theirs.shape, what
    atol = tolerance * np.abs(theirs).max(initial=0)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=atol, err_msg=what)


def channels_last_in_memory(a):
    return np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def compare(ours, theirs, shapes, dtype, rng, channels_last):
    """Value, all first and all second derivatives of a function of tensors of these shapes."""
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    if channels_last:
        arrays = [channels_last_in_memory(a) if a.ndim == 4 else a for a in arrays]
    xs = [Tensor(a, requires_grad=True) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, u = ours(*xs), theirs(*ts)
    close(y, u, "output")

    v = rng.standard_normal(y.shape).astype(dtype)
    g = grad(y, xs, Tensor(v), create_graph=True)
    h = torch.autograd.grad(u, ts, torch.tensor(v), create_graph=True)
    for i, (a, b) in enumerate(zip(g, h)):
        close(a, b, f"gradient {i}")

    # The gradient of a bias does not depend on any input, so it has no gradient of its own.
    g, h, xs, ts = g[:2], h[:2], xs[:2], ts[:2]
    ws = [rng.standard_normal(a.shape).astype(dtype) for a in g]
    y = sum((a * w).sum() for a, w in zip(g, ws))
    u = sum((a * torch.tensor(w)).sum() for a, w in zip(h, ws))
    for i, (a, b) in enumerate(zip(grad(y, xs), torch.autograd.grad(u, ts))):
        close(a, b, f"second gradient {i}")


seeds = st.integers(0, 2**32 - 1)


def many(count):
    return settings(max_examples=count, deadline=None, derandomize=True)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@many(160)
@given(convolutions(), st.booleans(), st.booleans(), seeds)
def test_conv2d(dtype, configuration, has_bias, channels_last, seed):
    x, weight, geometry, algorithm = configuration
    settings = keywords(geometry)
    compare(
        lambda x, w, b=None: F.conv2d(x, w, b, **settings, algorithm=algorithm),
        lambda x, w, b=None: TF.conv2d(x, w, b, **settings),
        [x, weight, weight[:1]] if has_bias else [x, weight],
        dtype, np.random.default_rng(seed), channels_last,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@many(160)
@given(transposed_convolutions(), st.booleans(), st.booleans(), seeds)
def test_conv_transpose2d(dtype, configuration, has_bias, channels_last, seed):
    x, weight, geometry, extra, algorithm = configuration
    settings = {**keywords(geometry), "output_padding": extra}
    bias = (weight[1] * geometry.groups,)
    compare(
        lambda x, w, b=None: F.conv_transpose2d(x, w, b, **settings, algorithm=algorithm),
        lambda x, w, b=None: TF.conv_transpose2d(x, w, b, **settings),
        [x, weight, bias] if has_bias else [x, weight],
        dtype, np.random.default_rng(seed), channels_last,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@many(50)
@given(convolutions(), st.booleans(), seeds)
def test_conv2d_weight_grad(dtype, configuration, channels_last, seed):
    x, weight, geometry, algorithm = configuration
    settings = keywords(geometry)

    def theirs(x, gy):
        w = torch.zeros(weight, dtype=x.dtype, requires_grad=True)
        return torch.autograd.grad(TF.conv2d(x, w, **settings), w, gy, create_graph=True)[0]

    gy = (x[0], weight[0], *geometry.output_size(x[2:], weight[2:]))
    compare(
        lambda x, gy: F.conv2d_weight_grad(x, gy, weight[2:], **settings, algorithm=algorithm),
        theirs, [x, gy], dtype, np.random.default_rng(seed), channels_last,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("algorithm", ["auto", "im2col", "winograd", "direct"])
@pytest.mark.parametrize(("C", "O", "size"), [(32, 64, 16), (48, 40, 14)])
def test_the_large_layers_of_a_dcgan(dtype, algorithm, C, O, size):
    settings = {"stride": 2, "padding": 1}
    compare(
        lambda x, w: F.conv2d(x, w, **settings, algorithm=algorithm),
        lambda x, w: TF.conv2d(x, w, **settings),
        [(6, C, size, size), (O, C, 4, 4)],
        dtype, np.random.default_rng(0), channels_last=True,
    )  # fmt: skip


# Layers -------------------------------------------------------------------------------------

LAYERS = [
    ("Conv2d", (4, 6, 3), {}),
    ("Conv2d", (4, 6, (2, 3)), {"stride": 2, "padding": (0, 1), "dilation": 2, "bias": False}),
    ("Conv2d", (4, 8, 3, 1, 1), {"groups": 4}),
    ("ConvTranspose2d", (4, 6, 4, 2, 1), {"bias": False}),
    ("ConvTranspose2d", (4, 6, (3, 2), 2, 0, 1), {"groups": 2}),
    ("ConvTranspose2d", (4, 6, 3, 2, 1, (1, 0), 2, True, 2), {}),
]


@pytest.mark.parametrize(("name", "arguments", "options"), LAYERS)
def test_layers(name, arguments, options):
    ours = getattr(nn, name)(*arguments, **options).double()
    theirs = getattr(torch.nn, name)(*arguments, **options).double()
    assert repr(ours) == repr(theirs)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }
    x = np.random.default_rng(0).standard_normal((3, 4, 7, 6))
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in ours.state_dict().items()})
    close(ours(Tensor(x)), theirs(torch.tensor(x)), "after our weights went over")
    theirs.reset_parameters()
    ours.load_state_dict(theirs.state_dict())
    close(ours(Tensor(x)), theirs(torch.tensor(x)), "after their weights came back")


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
def test_initial_weights_come_from_the_same_distribution(name):
    # 12,800 numbers of U(-k, k): the largest is within 0.1 % of k, their standard deviation 1 %.
    ours = getattr(nn, name)(32, 64, (5, 5), groups=4)
    theirs = getattr(torch.nn, name)(32, 64, (5, 5), groups=4)
    a, b = ours.weight.numpy(), theirs.weight.detach().numpy()
    np.testing.assert_allclose(np.abs(a).max(), np.abs(b).max(), rtol=3e-3)
    np.testing.assert_allclose(a.std(), b.std(), rtol=0.05)
    assert np.abs(ours.bias.numpy()).max() <= np.abs(b).max() * 1.001
    assert np.abs(ours.bias.numpy()).max() > 0.8 * np.abs(b).max()
