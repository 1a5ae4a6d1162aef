"""The twins of each kernel - loops, Numba, whole arrays - compute the same."""

import inspect
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import kernels
from minigan.kernels import array, cpu, cuda, philox, reference
from minigan.kernels.geometry import Geometry

PUBLIC = {
    name
    for name, value in vars(kernels).items()
    if inspect.isfunction(value) and value.__module__ == kernels.__name__ and name[0] != "_"
}
TWINS = (reference, cpu, array)  # cuda is tested in test_cuda.py, on the same arrays
examples = settings(max_examples=50, deadline=None, derandomize=True)


def test_each_kernel_exists_four_times_with_one_signature():
    for name in PUBLIC:
        expected = list(inspect.signature(getattr(kernels, name)).parameters)
        for twin in (*TWINS, cuda):
            assert list(inspect.signature(getattr(twin, name)).parameters) == expected, name


def test_each_kernel_is_tested_here():
    tests = " ".join(name for name in globals() if name.startswith("test_"))
    assert all(f"test_{name}_" in tests + "_" for name in PUBLIC)


# Arrays of all shapes, dtypes and memory layouts --------------------------------------------

dtypes = st.sampled_from([np.float32, np.float64])
float32 = st.just(np.float32)
seeds = st.integers(0, 2**32 - 1)
layouts = st.sampled_from(["C", "F", "every other", "backwards", "middle axis first", "broadcast"])
orders = layouts | st.just("channels-last")  # of images


def laid_out(values, layout):
    """The same values in another order in memory."""
    if values.ndim == 0:
        return values
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "every other":
        wide = np.zeros([2 * n for n in values.shape], values.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in values.shape)]
        view[...] = values
        return view
    if layout == "backwards":
        flip = (slice(None, None, -1),) * values.ndim
        return values[flip].copy()[flip]
    if layout == "middle axis first" and values.ndim > 1:
        return np.moveaxis(np.moveaxis(values, 1, 0).copy(), 0, 1)
    if layout == "channels-last":
        return np.moveaxis(np.moveaxis(values, 1, -1).copy(), -1, 1)
    if layout == "broadcast" and len(values):
        return np.broadcast_to(values[:1], values.shape)  # rows that are one row in memory
    return values


@st.composite
def elementwise(draw, size=1, dtypes=dtypes):
    """(gy, x) of equal shape (also empty and 0-dimensional), x with zeros and of that size."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    rng, dtype = np.random.default_rng(draw(seeds)), draw(dtypes)
    x = np.asarray(size * np.round(rng.standard_normal(shape), 1), dtype)
    gy = np.asarray(rng.standard_normal(shape), dtype)
    return laid_out(gy, draw(layouts)), laid_out(x, draw(layouts))


@st.composite
def batch(draw, smallest=1, dtypes=dtypes):
    """(gy, x, mean, inv_std, gamma, beta) for N rows of C features, or images of C channels."""
    N, C = draw(st.integers(smallest, 9)), draw(st.integers(1, 6))
    shape = (N, C, *draw(st.sampled_from([(), (), (3,), (2, 3), (1, 1)])))
    rng, dtype = np.random.default_rng(draw(seeds)), draw(dtypes)
    rows = [laid_out(rng.standard_normal(shape).astype(dtype), draw(orders)) for _ in range(2)]
    mean, gamma, beta = (rng.standard_normal(C).astype(dtype) for _ in range(3))
    return *rows, mean, rng.uniform(0.5, 2, C).astype(dtype), gamma, beta


def agree(name, *arguments):
    """All twins, and the dispatcher, give the same; no argument is changed."""
    before = [np.copy(a) for a in arguments]
    expected = getattr(reference, name)(*arguments)
    several = expected if isinstance(expected, tuple) else (expected,)
    rtol = 2e-5 if several[0].dtype == np.float32 else 1e-12
    for twin in (cpu, array, kernels):
        result = getattr(twin, name)(*arguments)
        for a, e in zip(result if isinstance(result, tuple) else (result,), several):
            assert a.dtype == e.dtype
            assert a.shape == e.shape
            size = np.abs(e).max(initial=1.0)
            np.testing.assert_allclose(a, e, rtol=0, atol=rtol * size, err_msg=twin.__name__)
    for a, b in zip(arguments, before):
        np.testing.assert_array_equal(a, b)


@examples
@given(elementwise(), st.sampled_from([0.0, 0.01, 0.2, 1.0, -0.5]))
def test_leaky_relu_twins(arrays, slope):
    agree("leaky_relu", arrays[1], slope)


@examples
@given(elementwise(), st.sampled_from([0.0, 0.01, 0.2, 1.0, -0.5]))
def test_leaky_relu_grad_twins(arrays, slope):
    agree("leaky_relu_grad", *arrays, slope)


@examples
@given(elementwise(size=50))
def test_sigmoid_twins(arrays):
    agree("sigmoid", arrays[1])


@examples
@given(elementwise(size=5))
def test_tanh_twins(arrays):
    agree("tanh", arrays[1])


@examples
@given(elementwise(size=20), st.booleans())
def test_bce_with_logits_twins(arrays, one_target_for_all):
    x, t = arrays[1], abs(arrays[0]) % 1
    agree("bce_with_logits", x, np.full((), 0.9, t.dtype) if one_target_for_all else t)


@examples
@given(elementwise(size=20), st.booleans())
def test_bce_with_logits_grad_twins(arrays, one_target_for_all):
    gl, x = arrays
    agree(
        "bce_with_logits_grad",
        gl,
        x,
        np.full((), 0.9, x.dtype) if one_target_for_all else abs(gl) % 1,
    )


@examples
@given(batch())
def test_batch_stats_twins(arrays):
    agree("batch_stats", arrays[1])


slopes = st.sampled_from([1.0, 0.2, 0.0])


@examples
@given(batch(smallest=0), slopes)
def test_add_bias_leaky_relu_twins(arrays, slope):
    _, x, *_, bias = arrays
    results = []
    for twin in (*TWINS, kernels):
        y = x.copy(order="K")  # in x's memory order, but no value shares its place with another
        twin.add_bias_leaky_relu(y, bias, slope)
        results.append(y)
    for y in results[1:]:
        np.testing.assert_allclose(y, results[0], rtol=1e-6)


@examples
@given(batch(smallest=0), slopes)
def test_batch_norm_twins(arrays, slope):
    _, x, *others = arrays
    agree("batch_norm", x, *others, slope)


@examples
@given(batch(smallest=0), slopes)
def test_batch_norm_sums_twins(arrays, slope):
    agree("batch_norm_sums", *arrays, slope)


@examples
@given(batch(), slopes, st.integers(0, 2**31))
def test_batch_norm_grad_twins(arrays, slope, seed):
    sums = np.random.default_rng(seed).standard_normal((2, arrays[1].shape[1]))
    agree("batch_norm_grad", *arrays, slope, sums.astype(arrays[1].dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 2, 2), (2, 3, 0, 2)])
def test_no_rows(shape, dtype):
    x, channels = np.zeros(shape, dtype), np.ones(3, dtype)
    agree("batch_norm", x, *[channels] * 4, 0.2)
    agree("batch_norm_sums", x, x, *[channels] * 4, 0.2)


@pytest.mark.parametrize("mean", [0.0, 1e6])
def test_the_variance_does_not_suffer_from_a_large_mean(mean):
    x = mean + np.random.default_rng(0).standard_normal((1000, 2, 3))
    np.testing.assert_allclose(cpu.batch_stats(x)[1], x.var((0, 2)), rtol=1e-9)


@examples
@given(
    st.integers(0, 20), dtypes, seeds, st.integers(1, 1000),
    st.sampled_from([0.0, 0.1]), st.sampled_from([(0.5, 0.999), (0.0, 0.9), (0.9, 0.99)]),
)  # fmt: skip
def test_adam_twins(size, dtype, seed, t, weight_decay, betas):
    rng = np.random.default_rng(seed)
    p, g, m = (rng.standard_normal(size).astype(dtype) for _ in range(3))
    v = rng.uniform(0.01, 1, size).astype(dtype)
    results = []
    for twin in (*TWINS, kernels):
        state = [a.copy() for a in (p, m, v)]
        twin.adam(state[0], g, state[1], state[2], 1e-2, *betas, 1e-8, weight_decay, t)
        results.append(state)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for result in results[1:]:
        for a, e in zip(result, results[0]):
            np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance)


def test_adam_tick_twins():
    for twin in (*TWINS, kernels):
        state = np.zeros(4)
        for t in range(1, 6):
            state[0] = 1e-2 / t
            twin.adam_tick(state, 0.9, 0.999)
        expected = [2e-3, 5, 2e-3 / (1 - 0.9**5), (1 - 0.999**5) ** -0.5]
        np.testing.assert_allclose(state, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adam_at_twins(dtype):
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((5, 7)).astype(dtype)
    expected = [rng.standard_normal(7).astype(dtype), *np.zeros((2, 7), dtype)]
    start = [a.copy() for a in expected]
    for t, g in enumerate(gradients, 1):
        reference.adam(expected[0], g, *expected[1:], 1e-2 / t, 0.9, 0.999, 1e-8, 0.1, t)
    for twin in (*TWINS, kernels):
        (p, m, v), state = [a.copy() for a in start], np.zeros(4)
        for t, g in enumerate(gradients, 1):
            state[0] = 1e-2 / t
            twin.adam_tick(state, 0.9, 0.999)
            twin.adam_at(p, g, m, v, state, 0.9, 0.999, 1e-8, 0.1)
        for a, e in zip((p, m, v), expected):
            assert a.dtype == dtype
            np.testing.assert_allclose(a, e, rtol=1e-5 if dtype == np.float32 else 1e-12)


def fills(name):
    """All twins fill arrays of any layout and dtype with the same."""
    expected = getattr(philox, name.removeprefix("fill_"))(7, 8, 9, (3, 5, 2))
    for twin in (*TWINS, kernels):
        for layout, dtype in itertools.product(("C", "F", "every other"), (np.float32, np.float64)):
            out = laid_out(np.full((3, 5, 2), np.nan, dtype), layout)
            getattr(twin, name)(out, 7, 8, 9)
            np.testing.assert_array_equal(out, expected.astype(dtype))


def test_fill_uniform_twins():
    fills("fill_uniform")


def test_fill_normal_twins():
    fills("fill_normal")


def test_float32_means_lose_nothing_over_many_rows():
    # 1 + many rows of 1e-4 noise: float32 sums of 100,000 values would be off by 1e-3.
    x = (1 + 1e-4 * np.random.default_rng(0).standard_normal((100_000, 2))).astype(np.float32)
    mean, var = cpu.batch_stats(x)
    np.testing.assert_allclose(mean, x.mean(0, dtype=np.float64), rtol=1e-7)
    np.testing.assert_allclose(var, x.var(0, dtype=np.float64), rtol=1e-5)


# Each row's terms from equal to 700 e-foldings apart, whose exponential is no more a normal number.
@examples
@given(
    st.tuples(st.integers(0, 4), st.integers(1, 6)), layouts, dtypes, seeds,
    st.sampled_from([1.0, -0.5, 30.0, -700.0, 0.0]),
)  # fmt: skip
def test_log_sum_exp_twins(shape, layout, dtype, seed, scale):
    x = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    agree("log_sum_exp", laid_out(x, layout), scale)


@pytest.mark.parametrize("twin", [*TWINS, kernels])
def test_log_sum_exp_neither_overflows_nor_vanishes(twin):
    x = np.array([[1e5, 1e5], [-1e5, -1e5], [0.0, -1e5]])
    expected = [1e5 + np.log(2), -1e5 + np.log(2), 0]
    np.testing.assert_allclose(twin.log_sum_exp(x, 1.0), expected, rtol=1e-15)


# Pooling and resampling ---------------------------------------------------------------------


@st.composite
def windows(draw):
    """(x, gy, choice, kernel, geometry): images, also none, into which the windows fit."""
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel = draw(pair)
    geometry = Geometry(draw(pair), tuple(draw(st.integers(0, k // 2)) for k in kernel))
    size = [draw(st.integers(max(1, k - 2 * p), 5)) for k, p in zip(kernel, geometry.padding)]
    N, C = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    rng, dtype = np.random.default_rng(draw(seeds)), draw(dtypes)
    x = np.round(rng.standard_normal((N, C, *size)), 1).astype(dtype)
    y, choice = reference.max_pool(x, kernel, geometry)
    gy = rng.standard_normal(y.shape).astype(dtype)
    return laid_out(x, draw(orders)), laid_out(gy, draw(orders)), choice, kernel, geometry


@examples
@given(windows())
def test_max_pool_twins(arrays):
    x, _, _, kernel, geometry = arrays
    agree("max_pool", x, kernel, geometry)


@examples
@given(windows())
def test_max_pool_take_twins(arrays):
    x, _, choice, kernel, geometry = arrays
    agree("max_pool_take", x, choice, kernel, geometry)


@examples
@given(windows())
def test_max_pool_put_twins(arrays):
    x, gy, choice, kernel, geometry = arrays
    agree("max_pool_put", gy, choice, x.shape[2:], kernel, geometry)


@examples
@given(st.tuples(*[st.integers(0, 3)] * 2, *[st.integers(1, 4)] * 4), orders, dtypes, seeds)
def test_resample_twins(lengths, order, dtype, seed):
    N, C, H, W, P, Q = lengths
    rng = np.random.default_rng(seed)
    A, B = (rng.integers(-1, 2, shape) * 0.3 for shape in ((P, H), (Q, W)))  # with zeros
    agree("resample", laid_out(rng.standard_normal((N, C, H, W)).astype(dtype), order), A, B)
