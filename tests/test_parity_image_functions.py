"""Pooling, resampling and normalisation of images against PyTorch's: values, first and second
gradients, on random shapes, windows and memory layouts.

The values are rounded to one decimal, so that ties come up: which one takes the gradient is a
convention, and ours is PyTorch's.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="parity needs PyTorch, which is not installed")

from test_parity_functional import close, compare, seeds  # noqa: E402

from minigan import functional as F  # noqa: E402
from minigan import nn  # noqa: E402
from minigan.autograd import Tensor  # noqa: E402

TF = torch.nn.functional
dtypes = st.sampled_from([np.float64, np.float32])
layouts = st.sampled_from(["channels-first", "channels-last", "every other pixel"])
examples = settings(max_examples=60, deadline=None, derandomize=True)


def laid_out(x, layout):
    """x (N, C, H, W) with the same values in another order in memory."""
    if layout == "channels-last":
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if layout == "every other pixel":
        wide = np.repeat(x, 2, axis=3)
        return wide[:, :, :, ::2]
    return x


def check(x_shape, layout, dtype, seed, ours, theirs):
    def squared(function):
        """y + y^2: these functions are linear (max pooling piecewise), and the second gradient
        of y alone would be 0."""

        def of(x):
            y = function(x)
            return y + y * y

        return of

    def make(m):
        return [laid_out(m.normal(*x_shape), layout)]

    compare(make, squared(ours), squared(theirs), dtype, seed, (1, 1, 1))


# Pooling ------------------------------------------------------------------------------------


@st.composite
def windows(draw):
    """(kernel_size, stride, padding) and the shape of images into which the window fits."""
    kernel = draw(st.tuples(*[st.integers(1, 4)] * 2))
    stride = draw(st.none() | st.integers(1, 4) | st.tuples(*[st.integers(1, 4)] * 2))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = [draw(st.integers(max(1, k - 2 * p), 8)) for k, p in zip(kernel, padding)]
    return (draw(st.integers(0, 3)), draw(st.integers(1, 4)), *size), (kernel, stride, padding)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@examples
@given(windows(), layouts, dtypes, seeds)
def test_pooling(name, window, layout, dtype, seed):
    shape, arguments = window
    check(
        shape, layout, dtype, seed,
        lambda x: getattr(F, name)(x, *arguments), lambda x: getattr(TF, name)(x, *arguments),
    )  # fmt: skip


@pytest.mark.parametrize("channels_last", [False, True])
def test_nan_and_infinity(channels_last):
    x = np.full((1, 2, 4, 4), -np.inf)
    x[0, 0, 1, 2] = np.nan
    x[0, 1, 3, 3] = np.inf
    x = laid_out(x, "channels-last" if channels_last else "channels-first")
    for padding in (0, 1):
        ours, theirs = Tensor(x, True), torch.tensor(x, requires_grad=True)
        y, u = F.max_pool2d(ours, 2, 2, padding), TF.max_pool2d(theirs, 2, 2, padding)
        np.testing.assert_array_equal(y.numpy(), u.detach().numpy())
        v = np.arange(1.0, 1 + y.numel()).reshape(y.shape)
        y.backward(Tensor(v))
        u.backward(torch.tensor(v))
        np.testing.assert_array_equal(ours.grad.numpy(), theirs.grad.numpy())


# Resampling ---------------------------------------------------------------------------------

shapes = st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 8), st.integers(1, 8))
factors = st.sampled_from([1, 2, 3, 4, 1.0, 1.1, 1.5, 2.1, 2.7])


@st.composite
def sizes(draw):
    """The arguments size or scale_factor, so that no image becomes empty."""
    if draw(st.booleans()):
        return {"size": draw(st.integers(1, 12) | st.tuples(*[st.integers(1, 12)] * 2))}
    return {"scale_factor": draw(factors | st.tuples(factors, factors))}


@examples
@given(shapes, sizes(), layouts, dtypes, seeds)
def test_nearest(shape, size, layout, dtype, seed):
    check(
        shape, layout, dtype, seed,
        lambda x: F.interpolate(x, **size), lambda x: TF.interpolate(x, **size),
    )  # fmt: skip


@examples
@given(shapes, sizes(), st.booleans(), layouts, dtypes, seeds)
def test_bilinear(shape, size, align_corners, layout, dtype, seed):
    options = {**size, "mode": "bilinear", "align_corners": align_corners}
    check(
        shape, layout, dtype, seed,
        lambda x: F.interpolate(x, **options), lambda x: TF.interpolate(x, **options),
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_factors_that_make_no_whole_number_of_pixels(mode):
    x = np.random.default_rng(0).standard_normal((2, 3, 7, 10))
    for factor in (0.5, 0.3, (1 / 3, 0.7), 1.01, 1.1, 1.5, 2.1, (2.7, 1.9)):
        y = F.interpolate(Tensor(x), scale_factor=factor, mode=mode)
        close(y, TF.interpolate(torch.tensor(x), scale_factor=factor, mode=mode), np.float64, "y")


@st.composite
def reflections(draw):
    N, C, H, W = draw(shapes)
    across, down = st.integers(0, W - 1), st.integers(0, H - 1)
    return (N, C, H, W), (draw(across), draw(across), draw(down), draw(down))


@examples
@given(reflections(), layouts, dtypes, seeds)
def test_reflection_pad2d(reflection, layout, dtype, seed):
    shape, padding = reflection
    check(
        shape, layout, dtype, seed,
        lambda x: F.reflection_pad2d(x, padding), lambda x: TF.pad(x, padding, mode="reflect"),
    )  # fmt: skip


# Normalisation ------------------------------------------------------------------------------

several_pixels = st.tuples(  # and at least one image: PyTorch fails on an empty batch
    st.integers(1, 3), st.integers(1, 4), st.integers(2, 5), st.integers(1, 5)
)


@examples
@given(several_pixels, st.sampled_from([1e-5, 0.1]), st.booleans(), layouts, seeds)
def test_instance_norm(shape, eps, affine, layout, seed):
    C = shape[1]

    def make(m):
        x = laid_out(m.scattered(*shape), layout)
        return [x, m.positive(C), m.normal(C)] if affine else [x]

    def ours(x, weight=None, bias=None):
        return F.instance_norm(x, weight=weight, bias=bias, eps=eps)

    def theirs(x, weight=None, bias=None):
        return TF.instance_norm(x, weight=weight, bias=bias, eps=eps)

    for dtype in (np.float64, np.float32):
        compare(make, ours, theirs, dtype, seed, (1, 1, 1))


@examples
@given(
    several_pixels, st.integers(1, 3), st.sampled_from([1e-5, 0.1]),
    st.sampled_from(["", "weight", "weight and bias"]), layouts, seeds,
)  # fmt: skip
def test_layer_norm(shape, dims, eps, affine, layout, seed):
    normalized = shape[-dims:] if np.prod(shape[-dims:]) > 1 else shape[1:]

    def make(m):
        x = laid_out(m.scattered(*shape), layout)
        return [x, *[m.positive(*normalized), m.normal(*normalized)][: len(affine.split()[::2])]]

    def ours(x, *parameters):
        return F.layer_norm(x, normalized, *parameters, eps=eps)

    def theirs(x, *parameters):
        return TF.layer_norm(x, normalized, *parameters, eps=eps)

    for dtype in (np.float64, np.float32):
        compare(make, ours, theirs, dtype, seed, (1, 1, 1))


def test_layer_norm_of_what_does_not_fit():
    x = Tensor(np.zeros((2, 3, 4)))
    for shape, weight, message in [
        ((3,), None, "whose shape ends so"), ((), None, "whose shape ends so"),
        ((2, 3, 4, 1), None, "whose shape ends so"), ((4,), (3,), "a weight of shape"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message) as error:
            F.layer_norm(x, shape, None if weight is None else Tensor(np.ones(weight)))
        assert "\n" not in str(error.value)
    for shape, options in (((), {}), ((2, 0), {}), (2.5, {}), (3, {"eps": -1.0})):
        with pytest.raises(ValueError, match="LayerNorm"):
            nn.LayerNorm(shape, **options)


@examples
@given(shapes, layouts, seeds)
def test_pixel_norm(shape, layout, seed):
    def make(m):
        return [laid_out(m.positive(*shape), layout)]

    def theirs(x):  # the paper's formula; PyTorch has no function for it
        return x / torch.sqrt((x**2).mean(1, keepdim=True) + 1e-8)

    for dtype in (np.float64, np.float32):
        compare(make, F.pixel_norm, theirs, dtype, seed, (1, 1, 1))


# Layers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("MaxPool2d", (2,), {}),
        ("MaxPool2d", (3,), {"stride": 2, "padding": 1}),
        ("AvgPool2d", ((2, 3),), {}),
        ("AvgPool2d", (3, 1, 1), {}),
        ("Upsample", (), {"scale_factor": 2}),
        ("Upsample", ((9, 4),), {"mode": "bilinear"}),
        ("Upsample", (), {"scale_factor": 3, "mode": "bilinear", "align_corners": True}),
        ("ReflectionPad2d", (3,), {}),
        ("ReflectionPad2d", ((1, 2, 0, 3),), {}),
        ("InstanceNorm2d", (3,), {}),
        ("InstanceNorm2d", (3,), {"affine": True, "eps": 0.1, "track_running_stats": False}),
        ("LayerNorm", (5,), {}),
        ("LayerNorm", ([3, 6, 5], 0.1), {}),
        ("LayerNorm", ((6, 5),), {"elementwise_affine": False}),
        ("LayerNorm", ((6, 5),), {"bias": False}),
    ],
)
def test_layers(name, arguments, options):
    ours, theirs = (getattr(n, name)(*arguments, **options) for n in (nn, torch.nn))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5)).astype(np.float32)
    for _ in ("training", "evaluation"):
        close(ours(Tensor(x)), theirs(torch.tensor(x)), np.float32, name)
        ours.eval()
        theirs.eval()
