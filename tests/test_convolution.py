"""Convolutions without another framework: kernels, sizes, errors, layers."""

import inspect
import threading
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.backends import manual_seed
from minigan.functional import convolution as functions
from minigan.kernels import array, convolution, direct, im2col, parallel, reference, winograd
from minigan.kernels.geometry import Geometry

ALGORITHMS = {"im2col": im2col, "direct": direct, "winograd": winograd}


def random(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def channels_last(a):
    """The same values, the channels neighbours in memory."""
    return np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


# The algorithms and the definition ----------------------------------------------------------


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def problems(draw):
    """(x, w, gy, geometry); also no images, 1x1 images, kernels larger than the image."""
    kernel, geometry = draw(
        st.tuples(
            pairs(1, 4),
            st.builds(Geometry, pairs(1, 3), pairs(0, 3), pairs(1, 2), st.integers(1, 3)),
        )
        | st.tuples(st.just((4, 4)), st.builds(Geometry, st.just((2, 2)), pairs(0, 4)))
    )
    G, (C, O) = geometry.groups, draw(st.just((1, 1)) | pairs(1, 2))
    smallest = [max(1, e - 2 * p) for e, p in zip(geometry.extent(kernel), geometry.padding)]
    H, W = (n + draw(st.integers(0, 3)) for n in smallest)
    N, seed = draw(st.sampled_from([1, 2, 3, 0])), draw(st.integers(0, 2**32 - 1))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    layout = draw(st.sampled_from(["channels first", "channels last", "flipped"]))

    x, w = random(N, G * C, H, W, seed=seed), random(G * O, C, *kernel, seed=seed + 1)
    gy = random(N, G * O, *geometry.output_size((H, W), kernel), seed=seed + 2)
    x, w, gy = (a.astype(dtype) for a in (x, w, gy))
    if layout == "channels last":
        x, w, gy = map(channels_last, (x, w, gy))
    elif layout == "flipped":
        x, w, gy = (a[:, :, ::-1, ::-1] for a in (x, w, gy))
    return x, w, gy, geometry


def close(a, b, what):
    """Equal to the last digits, relative to the largest element."""
    assert a.shape == b.shape, what
    assert a.dtype == b.dtype, what
    tolerance = (2e-6 if a.dtype == np.float32 else 1e-14) * np.abs(b).max(initial=0)
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance, err_msg=what)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(problems())
def test_every_algorithm_computes_the_definition(problem):
    x, w, gy, geometry = problem
    kernel, size = w.shape[2:], x.shape[2:]
    y = reference.convolve(x, w, geometry)
    gx = reference.convolve_input_gradient(gy, w, size, geometry)
    gw = reference.convolve_weight_gradient(x, gy, kernel, geometry)
    before = [a.copy() for a in (x, w, gy)]
    for name, module in ALGORITHMS.items():
        if module is winograd and not winograd.suits(geometry, kernel):
            continue
        close(module.forward(x, w, geometry), y, name)
        close(module.input_gradient(gy, w, size, geometry), gx, name)
        close(module.weight_gradient(x, gy, kernel, geometry), gw, name)
    close(array.convolve(x, w, geometry), y, "array")
    close(array.convolve_input_gradient(gy, w, size, geometry), gx, "array")
    close(array.convolve_weight_gradient(x, gy, kernel, geometry), gw, "array")
    for a, b in zip((x, w, gy), before):
        np.testing.assert_array_equal(a, b)


def test_the_definition_on_numbers_that_can_be_checked_by_hand():
    # One row, kernel (1, 10), stride 2, padding 1: outputs see (0, 1), (2, 3) and (4, 0).
    geometry = Geometry((1, 2), (0, 1))
    x, w = np.array([[[[1.0, 2.0, 3.0, 4.0]]]]), np.array([[[[1.0, 10.0]]]])
    y = reference.convolve(x, w, geometry)
    assert y.tolist() == [[[[10.0, 32.0, 4.0]]]]
    gy = np.array([[[[1.0, 100.0, 1000.0]]]])
    gx = reference.convolve_input_gradient(gy, w, (1, 4), geometry)
    assert gx.tolist() == [[[[10.0, 100.0, 1000.0, 1000.0]]]]
    gw = reference.convolve_weight_gradient(x, gy, (1, 2), geometry)
    assert gw.tolist() == [[[[4200.0, 301.0]]]]
    columns = reference.im2col(x, (1, 2), geometry)
    assert columns.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 0.0]]
    assert reference.col2im(columns, x.shape, (1, 2), geometry).tolist() == x.tolist()


def test_groups_and_dilation_by_hand():
    # Two groups of one channel; dilation 2 skips the middle pixel.
    geometry = Geometry(dilation=(1, 2), groups=2)
    x = np.array([[[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0]]]])
    w = np.array([[[[1.0, 10.0]]], [[[1.0, 100.0]]]])
    assert reference.convolve(x, w, geometry).tolist() == [[[[31.0]], [[604.0]]]]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems())
def test_col2im_is_the_adjoint_of_im2col(problem):
    x, w, _, geometry = problem
    x, kernel = x.astype(np.float64), w.shape[2:]
    columns = reference.im2col(x, kernel, geometry)
    others = random(*columns.shape)
    back = reference.col2im(others, x.shape, kernel, geometry)
    np.testing.assert_allclose((columns * others).sum(), (x * back).sum(), rtol=1e-12, atol=1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems())
def test_the_compiled_columns_are_those_of_the_definition(problem):
    x, w, _, geometry = problem
    (N, C, H, W), kernel = x.shape, w.shape[2:]
    images, size = im2col.channels_last(x), geometry.output_size((H, W), kernel)
    numbers = (*geometry.stride, *geometry.padding, *geometry.dilation, *size)

    expected = reference.im2col(x, kernel, geometry)
    columns = np.full_like(expected, np.nan)
    im2col._im2col(images, *kernel, 0, kernel[0] * kernel[1], *numbers, columns)
    np.testing.assert_array_equal(columns, expected)
    last_row = columns[:, : kernel[1] * C]  # the columns of one row of the kernel alone
    last_row[...] = np.nan
    first = (kernel[0] - 1) * kernel[1]
    im2col._im2col(images, *kernel, first, first + kernel[1], *numbers, last_row)
    np.testing.assert_array_equal(last_row, expected[:, first * C :])

    columns = random(*expected.shape).astype(x.dtype)
    back = np.full((N, H, W, C), np.nan, x.dtype)
    sources = im2col._sources((H, W), kernel, size, geometry)
    im2col._col2im(columns, *sources, *size, back)
    expected = reference.col2im(columns, x.shape, kernel, geometry)
    close(im2col.channels_first(back), expected, "col2im")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problems())
def test_columns_times_weights_are_the_convolution(problem):
    x, w, _, geometry = problem
    x, w = x.astype(np.float64)[:, : w.shape[1]], w.astype(np.float64)
    geometry = Geometry(geometry.stride, geometry.padding, geometry.dilation)
    columns = reference.im2col(x, w.shape[2:], geometry)
    y = columns @ w.transpose(0, 2, 3, 1).reshape(len(w), columns.shape[1]).T
    expected = reference.convolve(x, w, geometry)
    N, O, P, Q = expected.shape
    close(y.reshape(N, P, Q, O).transpose(0, 3, 1, 2), expected, "columns")


# Threads ------------------------------------------------------------------------------------

LARGE = {  # enough to be cut into slices
    "im2col": ((9, 8, 20, 20), (16, 8, 4, 4), Geometry((2, 2), (1, 1))),
    "winograd": ((9, 8, 20, 20), (16, 8, 4, 4), Geometry((2, 2), (1, 1))),
    "direct": ((9, 32, 20, 20), (32, 1, 3, 3), Geometry((1, 1), (1, 1), groups=32)),
}


def three_passes(name, dtype=np.float32):
    module, (x_shape, w_shape, geometry) = ALGORITHMS[name], LARGE[name]
    x, w = random(*x_shape, dtype=dtype), random(*w_shape, seed=1, dtype=dtype)
    gy = random(9, w_shape[0], *geometry.output_size(x_shape[2:], w_shape[2:]), seed=2, dtype=dtype)
    return (
        module.forward(x, w, geometry),
        module.input_gradient(gy, w, x_shape[2:], geometry),
        module.weight_gradient(x, gy, w_shape[2:], geometry),
    )


@pytest.mark.parametrize("name", LARGE)
def test_the_number_of_threads_changes_nothing_but_rounding(name):
    parallel.set_num_threads(1)
    expected = three_passes(name, np.float64)
    for n in (2, 3, 5):
        parallel.set_num_threads(n)
        for a, b in zip(three_passes(name, np.float64), expected):
            close(a, b, f"{n} threads")


@pytest.mark.parametrize("name", LARGE)
def test_the_same_bits_each_time(name):
    parallel.set_num_threads(3)
    expected = three_passes(name)
    for _ in range(5):
        for a, b in zip(three_passes(name), expected):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", LARGE)
def test_two_python_threads_at_once(name):
    parallel.set_num_threads(2)
    expected, found = three_passes(name), []
    workers = [threading.Thread(target=lambda: found.append(three_passes(name))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for result in found:
        for a, b in zip(result, expected):
            np.testing.assert_array_equal(a, b)
    assert len(found) == 2


# The choice ---------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch):
    """The names of the algorithms, in the order in which they are called."""
    names = []
    for name, module in ALGORITHMS.items():
        for key in ("forward", "input_gradient", "weight_gradient"):
            kernel = getattr(module, key)

            def watched(*arguments, kernel=kernel, name=name):
                names.append(name)
                return kernel(*arguments)

            monkeypatch.setattr(module, key, watched)
    return names


@pytest.mark.parametrize(
    ("x", "w", "options", "expected"),
    [
        ((16, 64, 16, 16), (32, 64, 4, 4), {"stride": 2, "padding": 1}, "winograd"),
        ((16, 1, 16, 16), (64, 1, 4, 4), {"stride": 2, "padding": 1}, "im2col"),
        ((1, 64, 8, 8), (64, 64, 4, 4), {"stride": 2, "padding": 1}, "im2col"),
        ((8, 64, 16, 16), (64, 64, 3, 3), {"padding": 1}, "im2col"),
        ((8, 64, 16, 16), (64, 64, 4, 4), {"padding": 1}, "im2col"),
        ((8, 64, 16, 16), (64, 1, 3, 3), {"padding": 1, "groups": 64}, "direct"),
        ((8, 64, 16, 16), (64, 32, 3, 3), {"padding": 1, "groups": 2}, "im2col"),
    ],
)
def test_the_algorithm_that_auto_chooses(calls, x, w, options, expected):
    F.conv2d(Tensor(random(*x), True), Tensor(random(*w), True), **options).sum().backward()
    assert calls == [expected] * 3


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("function", [F.conv2d, F.conv_transpose2d])
def test_an_algorithm_is_used_in_all_derivatives(calls, function, name):
    x, w = Tensor(random(2, 2, 6, 6), True), Tensor(random(2, 2, 4, 4), True)
    y = function(x, w, stride=2, padding=1, algorithm=name)
    g = grad((y * y).sum(), [x, w], create_graph=True)
    grad(sum((a * a).sum() for a in g), [x, w])
    assert len(calls) > 3
    assert set(calls) == {name}


# Only what is needed ------------------------------------------------------------------------


@pytest.mark.parametrize("function", [F.conv2d, F.conv_transpose2d, F.conv2d_weight_grad])
@pytest.mark.parametrize("needs", [(True, False), (False, True), (True, True)])
def test_no_gradient_is_computed_that_nobody_wants(monkeypatch, function, needs):
    x, w = (Tensor(random(2, 2, 3, 3), needed) for needed in needs)
    y = function(x, w, 1) if function is F.conv2d_weight_grad else function(x, w)
    count = []
    for name in ("convolve", "convolve_input_gradient", "convolve_weight_gradient"):
        kernel = getattr(functions, name)

        def counted(*arguments, kernel=kernel):
            count.append(1)
            return kernel(*arguments)

        monkeypatch.setattr(functions, name, counted)
    y.sum().backward()
    assert len(count) == sum(needs)
    assert [t.grad is not None for t in (x, w)] == list(needs)


# Sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "kernel", "options", "expected"),
    [
        ((5, 5), (3, 3), {}, (3, 3)),
        ((1, 1), (1, 1), {}, (1, 1)),
        ((1, 1), (3, 3), {"padding": 1}, (1, 1)),
        ((1, 1), (4, 4), {"padding": 2, "stride": 2}, (1, 1)),
        ((2, 1), (5, 4), {"padding": (2, 2)}, (2, 2)),
        ((64, 64), (4, 4), {"stride": 2, "padding": 1}, (32, 32)),
        ((7, 9), (2, 3), {"stride": (3, 2), "dilation": (2, 1), "padding": (0, 1)}, (2, 5)),
        ((5, 5), (2, 2), {"stride": 9}, (1, 1)),
        ((3, 3), (3, 1), {"stride": np.int64(2), "padding": [1, 0]}, (2, 2)),
    ],
)
def test_sizes_of_convolutions(size, kernel, options, expected):
    x, w = Tensor(random(2, 3, *size)), Tensor(random(4, 3, *kernel))
    assert F.conv2d(x, w, **options).shape == (2, 4, *expected)


@pytest.mark.parametrize(
    ("size", "kernel", "options", "expected"),
    [
        ((1, 1), (4, 4), {}, (4, 4)),
        ((4, 4), (4, 4), {"stride": 2, "padding": 1}, (8, 8)),
        ((3, 2), (3, 3), {"stride": 2, "padding": 1, "output_padding": (1, 0)}, (6, 3)),
        ((3, 3), (1, 1), {"stride": 3, "output_padding": 2}, (9, 9)),
        ((2, 2), (2, 2), {"dilation": 3, "output_padding": 2}, (7, 7)),
        ((2, 3), (1, 2), {"padding": (0, 1)}, (2, 2)),
    ],
)
def test_sizes_of_transposed_convolutions(size, kernel, options, expected):
    x, w = Tensor(random(2, 3, *size)), Tensor(random(3, 4, *kernel))
    assert F.conv_transpose2d(x, w, **options).shape == (2, 4, *expected)


@pytest.mark.parametrize("algorithm", ["auto", *ALGORITHMS])
@pytest.mark.parametrize("function", [F.conv2d, F.conv_transpose2d])
def test_an_empty_batch(function, algorithm):
    x, w, b = (Tensor(random(*s), True) for s in [(0, 3, 6, 6), (3, 3, 4, 4), (3,)])
    y = function(x, w, b, stride=2, padding=1, algorithm=algorithm)
    assert y.shape == (0, 3, *((3, 3) if function is F.conv2d else (12, 12)))
    y.sum().backward()
    assert x.grad.shape == x.shape
    for t in (w, b):
        np.testing.assert_array_equal(t.grad.numpy(), np.zeros(t.shape))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_keep_the_dtype_and_have_their_channels_last(algorithm, dtype):
    x, w = Tensor(random(2, 3, 6, 6, dtype=dtype), True), Tensor(random(5, 3, 4, 4, dtype=dtype))
    w.requires_grad_()
    y = F.conv2d(x, w, stride=2, padding=1, algorithm=algorithm)
    gx, gw = grad((y * y).sum(), [x, w])
    for t in (y, gx, gw):
        assert t.dtype == dtype
        assert t.array.transpose(0, 2, 3, 1).flags.c_contiguous


# Errors -------------------------------------------------------------------------------------

X, W = (2, 6, 5, 7), (4, 6, 3, 3)


def conv2d(x=X, w=W, b=None, **options):
    return lambda: F.conv2d(Tensor(random(*x)), Tensor(random(*w)),
                            b and Tensor(random(*b)), **options)  # fmt: skip


def transposed(x=X, w=(6, 4, 3, 3), b=None, **options):
    return lambda: F.conv_transpose2d(Tensor(random(*x)), Tensor(random(*w)),
                                      b and Tensor(random(*b)), **options)  # fmt: skip


def weight_grad(x=X, gy=(2, 4, 3, 5), kernel=3, **options):
    return lambda: F.conv2d_weight_grad(Tensor(random(*x)), Tensor(random(*gy)), kernel, **options)


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (conv2d(x=(6, 5, 7)), ["(6, 5, 7)", "(4, 6, 3, 3)", "x (N, C, H, W)"]),
        (conv2d(w=(4, 6, 3)), ["(2, 6, 5, 7)", "(4, 6, 3)"]),
        (conv2d(w=(4, 5, 3, 3)), ["takes 5 channels", "got 6", "(4, 5, 3, 3)", "(2, 6, 5, 7)"]),
        (conv2d(groups=2), ["takes 12 channels", "got 6"]),
        (conv2d(w=(5, 3, 3, 3), groups=2), ["groups=2 must divide", "(5, 3, 3, 3)"]),
        (conv2d(groups=0), ["groups must be an integer >= 1, got 0"]),
        (conv2d(groups=1.0), ["groups", "got 1.0"]),
        (conv2d(w=(4, 6, 6, 3)), ["6 x 3", "5 x 7", "(2, 6, 5, 7)"]),
        (conv2d(dilation=3, padding=(0, 3)), ["7 x 7", "5 x 13"]),
        (conv2d(stride=0), ["stride must be an integer >= 1", "got 0"]),
        (conv2d(stride=(1, 2, 3)), ["stride", "got (1, 2, 3)"]),
        (conv2d(stride=1.5), ["stride", "got 1.5"]),
        (conv2d(dilation=(1, 0)), ["dilation must be an integer >= 1", "got (1, 0)"]),
        (conv2d(padding=-1), ["padding must be an integer >= 0", "got -1"]),
        (conv2d(padding="same"), ["padding", "'same'"]),
        (conv2d(b=(3,)), ["4 channels", "(4,)", "got (3,)", "(4, 6, 3, 3)"]),
        (conv2d(b=(4, 1)), ["got (4, 1)"]),
        (conv2d(x=(2, 0, 5, 7), w=(4, 0, 3, 3)), ["(2, 0, 5, 7)", "may be 0"]),
        (conv2d(x=(2, 6, 0, 7), padding=3), ["(2, 6, 0, 7)", "may be 0"]),
        (conv2d(w=(0, 6, 3, 3)), ["(0, 6, 3, 3)", "may be 0"]),
        (conv2d(w=(4, 6, 0, 3)), ["(4, 6, 0, 3)", "may be 0"]),
        (conv2d(algorithm="fft"), ["'fft'", "auto, im2col, winograd, direct"]),
        (conv2d(algorithm="winograd"), ["4x4", "stride 2", "(4, 6, 3, 3)", "(1, 1)"]),
        (conv2d(w=(4, 3, 4, 4), stride=2, groups=2, algorithm="winograd"), ["groups=2"]),
        (conv2d(w=(4, 6, 4, 4), stride=(2, 1), algorithm="winograd"), ["(2, 1)"]),
        (conv2d(w=(4, 6, 4, 4), stride=2, padding=3, dilation=2, algorithm="winograd"),
         ["dilation (2, 2)"]),
        (transposed(x=(6, 5, 7)), ["(6, 5, 7)", "(6, 4, 3, 3)"]),
        (transposed(w=(5, 4, 3, 3)), ["takes 5 channels", "got 6", "(5, 4, 3, 3)"]),
        (transposed(w=(6, 2, 3, 3), groups=4), ["groups=4 must divide", "(6, 2, 3, 3)"]),
        (transposed(b=(6,)), ["4 channels", "got (6,)"]),
        (transposed(b=(4,), groups=2), ["8 channels", "(8,)", "got (4,)"]),
        (transposed(output_padding=1), ["output_padding (1, 1)", "stride (1, 1)"]),
        (transposed(stride=2, output_padding=(0, 2)), ["output_padding (0, 2)", "(2, 2)"]),
        (transposed(output_padding=-1), ["output_padding must be an integer >= 0"]),
        (transposed(padding=5), ["nothing is left", "-3 x -1", "(2, 6, 5, 7)"]),
        (transposed(stride=0), ["stride must be an integer >= 1"]),
        (transposed(padding=-1), ["padding must be an integer >= 0"]),
        (transposed(algorithm="fft"), ["'fft'"]),
        (transposed(algorithm="winograd"), ["4x4", "(6, 4, 3, 3)"]),
        (weight_grad(gy=(2, 4, 3)), ["(2, 4, 3)", "gy (N, O, P, Q)"]),
        (weight_grad(gy=(2, 4, 4, 5)), ["(2, O, 3, 5)", "got gy (2, 4, 4, 5)"]),
        (weight_grad(gy=(1, 4, 3, 5)), ["(2, O, 3, 5)", "got gy (1, 4, 3, 5)"]),
        (weight_grad(groups=4), ["groups=4", "(2, 6, 5, 7)", "(2, 4, 3, 5)"]),
        (weight_grad(kernel=0), ["kernel_size must be an integer >= 1"]),
        (weight_grad(kernel=(6, 1)), ["6 x 1", "5 x 7"]),
        (weight_grad(algorithm="winograd"), ["(4, 6, 3, 3)"]),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_one_line_with_the_shapes(call, parts):
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert [part for part in parts if part not in message] == [], message


def test_dtypes_are_not_mixed_and_only_floats_are_taken():
    x, w = random(1, 2, 4, 4), random(3, 2, 2, 2)
    for function in (F.conv2d, lambda x, w: F.conv_transpose2d(x, F.transpose(w, 0, 1))):
        with pytest.raises(TypeError, match="mixture of numpy float32, numpy float64"):
            function(Tensor(x.astype(np.float32)), Tensor(w))
        for dtype in (np.int64, np.longdouble):
            with pytest.raises(TypeError, match=f"float32 or float64, got x of {np.dtype(dtype)}"):
                function(Tensor(x.astype(dtype)), Tensor(w.astype(dtype)))


def test_on_other_arrays_than_numpys_there_is_one_algorithm():
    x = np.zeros(3)  # stands for one of CuPy's, of float64
    with pytest.raises(ValueError, match="'direct' is for NumPy arrays"):
        convolution._not_numpys(x, "direct")
    assert convolution._not_numpys(x, "auto") is convolution._not_numpys(x, "im2col") is array


# Layers -------------------------------------------------------------------------------------


def memory(weight):
    """The order of the dimensions in memory, from the outermost."""
    return tuple(np.argsort(weight.array.strides)[::-1])


@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose2d])
def test_the_weights_memory_is_channels_last_and_stays_so(layer):
    net = layer(3, 5, (4, 2))
    assert net.weight.shape == ((5, 3, 4, 2) if layer is nn.Conv2d else (3, 5, 4, 2))
    assert memory(net.weight) == (0, 2, 3, 1)
    array = net.weight.array
    net.load_state_dict({k: v + 1 for k, v in net.state_dict().items()})
    assert net.weight.array is array
    assert net.double().float() is net
    assert memory(net.weight) == (0, 2, 3, 1)
    assert all(a.flags.c_contiguous for a in net.state_dict().values())


@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_seed_means_the_same_weights(layer):
    manual_seed(3)
    first = layer(3, 5, 4).state_dict()
    manual_seed(3)
    second = layer(3, 5, 4).state_dict()
    assert all((first[name] == second[name]).all() for name in first)
    assert set(first) == {"weight", "bias"}


@pytest.mark.parametrize(
    ("layer", "fan_in"), [(nn.Conv2d(8, 64, 3, groups=2), 36), (nn.ConvTranspose2d(8, 64, 2), 256)]
)
def test_initial_weights(layer, fan_in):
    bound = fan_in**-0.5
    for p in (layer.weight, layer.bias):
        assert 0.9 * bound < np.abs(p.numpy()).max() <= bound
        assert p.numpy().min() < 0


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: nn.Conv2d(0, 4, 3), ["in_channels", "got 0 and 4"]),
        (lambda: nn.Conv2d(4, 4.5, 3), ["got 4 and 4.5"]),
        (lambda: nn.Conv2d(4, 6, 3, groups=4), ["groups=4 divides", "got 4 and 6"]),
        (lambda: nn.ConvTranspose2d(3, 6, 3, groups=2), ["groups=2 divides", "got 3 and 6"]),
        (lambda: nn.Conv2d(4, 6, 0), ["Conv2d: kernel_size", ">= 1", "got 0"]),
        (lambda: nn.Conv2d(4, 6, 3, stride=0), ["Conv2d: stride"]),
        (lambda: nn.Conv2d(4, 6, 3, padding=(1, -1)), ["Conv2d: padding", "(1, -1)"]),
        (lambda: nn.ConvTranspose2d(4, 6, 3, output_padding=-1), ["output_padding"]),
    ],
)
def test_layers_of_impossible_numbers_cannot_be_made(make, parts):
    with pytest.raises(ValueError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    assert [part for part in parts if part not in message] == [], message


def test_layers_pass_all_their_numbers_on():
    x = Tensor(random(2, 4, 7, 6))
    layer = nn.Conv2d(4, 6, (3, 2), 2, (2, 1), 2, 2).double()
    expected = F.conv2d(x, layer.weight, layer.bias, 2, (2, 1), 2, 2)
    np.testing.assert_array_equal(layer(x).numpy(), expected.numpy())
    layer = nn.ConvTranspose2d(4, 6, (3, 2), 2, (2, 1), (1, 0), 2, dilation=2).double()
    expected = F.conv_transpose2d(x, layer.weight, layer.bias, 2, (2, 1), (1, 0), 2, 2)
    np.testing.assert_array_equal(layer(x).numpy(), expected.numpy())


# The ONNX operators' own test data ----------------------------------------------------------


def onnx_function(node, arguments):
    """Our function for an ONNX node, or None for what we do not have."""
    from onnx.helper import get_attribute_value

    options = {a.name: get_attribute_value(a) for a in node.attribute}
    n = arguments[1].ndim - 2
    pads = options.get("pads", [0] * 2 * n)
    if n != 2 or options.get("auto_pad", b"NOTSET") != b"NOTSET" or pads[:n] != pads[n:]:
        return None
    settings = {
        "stride": options.get("strides", 1),
        "padding": pads[:n],
        "dilation": options.get("dilations", 1),
        "groups": options.get("group", 1),
    }
    if node.op_type == "Conv":
        return lambda *tensors: F.conv2d(*tensors, **settings)
    if "output_shape" in options and "output_padding" not in options:
        return None
    settings["output_padding"] = options.get("output_padding", 0)
    return lambda *tensors: F.conv_transpose2d(*tensors, **settings)


def compare_with_onnx(node, arguments, expected):
    function = onnx_function(node, arguments)
    if function is not None:
        y = function(*[Tensor(np.array(a, np.float64)) for a in arguments])
        assert y.shape == expected.shape
        size = np.abs(expected).max()
        np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=1e-6 * size)
    return function is not None


@pytest.mark.parametrize(("name", "count"), [("Conv", 4), ("ConvTranspose", 6)])
def test_the_examples_of_the_onnx_operators(monkeypatch, name, count):
    pytest.importorskip("onnx", reason="the examples are in the onnx package")
    module = import_module(f"onnx.backend.test.case.node.{name.lower()}")
    found = []
    monkeypatch.setattr(
        module, "expect",
        lambda node, inputs, outputs, name: found.append((node, inputs, outputs[0])),
    )  # fmt: skip
    for key, export in inspect.getmembers(getattr(module, name), inspect.isfunction):
        if key.startswith("export"):
            export()
    assert sum(compare_with_onnx(*example) for example in found) >= count


def test_the_convolutions_that_pytorch_exported_to_onnx():
    onnx = pytest.importorskip("onnx", reason="the files are in the onnx package")
    from onnx.numpy_helper import to_array

    count = 0
    for folder in sorted(Path(onnx.__file__).parent.glob("backend/test/data/*/*[cC]onv*")):
        graph = onnx.load(folder / "model.onnx").graph
        (node,) = graph.node
        values = {i.name: to_array(i) for i in graph.initializer}
        data = folder / "test_data_set_0"
        names = [i.name for i in graph.input if i.name not in values]
        for i, name in enumerate(names):
            values[name] = to_array(onnx.load_tensor(data / f"input_{i}.pb"))
        expected = to_array(onnx.load_tensor(data / "output_0.pb"))
        count += compare_with_onnx(node, [values[name] for name in node.input], expected)
    assert count >= 12
