"""What only a GPU can show; elsewhere it is skipped.  ``pytest -n 0 -m gpu tests/test_gpu.py``

NumPy in float64 is the yardstick.  float64 on the GPU has to agree to rounding, float32 to the
rounding of float32; a captured step has to agree with an eager one to the last bit.
"""

import gc

import numpy as np
import pytest
import tiny
from click.testing import CliRunner

import minigan
from minigan import backends, gradient_cases, kernels, nn, optim, recipes, train
from minigan.autograd import Tensor, grad
from minigan.backends import to_numpy
from minigan.cli import program
from minigan.gradient_check import gradcheck
from minigan.kernels import convolution, cublas, reference
from minigan.kernels.geometry import Geometry
from minigan.train import setup
from minigan.train.capture import CapturedStep
from minigan.train.step import play_step, read

REASON = backends.why_unavailable("cupy")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REASON is not None, reason=str(REASON))]

TOLERANCE = {np.float64: 1e-10, np.float32: 2e-4}


@pytest.fixture(autouse=True)
def cupy():
    """CuPy in use, NumPy drawing the same random numbers, and everything back afterwards."""
    before = backends.current_backend()
    backends.use_backend("cupy")
    backends.use_random("philox")
    yield backends.xp()
    backends.use_backend(before)
    backends.use_random("numpy")
    backends.xp()


def cases(backend):
    with backends.backend(backend):
        return {case.name: case for case in gradient_cases.cases()} if REASON is None else {}


NAMES = sorted({case.name for case in gradient_cases.cases()})


# Functions ----------------------------------------------------------------------------------


def outputs_and_gradients(case, dtype):
    """The value, and the gradients of the sum of value * cos(0, 1, 2, ...), as NumPy arrays."""
    inputs = [x.detach() if isinstance(x, Tensor) else x for x in case.inputs]
    inputs = [x.to(dtype) if isinstance(x, Tensor) else x for x in inputs]
    wanted = [x.requires_grad_() for x in inputs if isinstance(x, Tensor)]
    backends.manual_seed((7, 1))
    y = case.function(*inputs)
    weights = np.cos(np.arange(y.numel(), dtype=np.float64)).reshape(y.shape)
    factor = Tensor(backends.array_module(y.array).asarray(weights.astype(y.dtype)))
    gradients = grad([y], wanted, [factor])
    return [y.numpy(), *(g.numpy() for g in gradients)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_functions_equal_numpy(name, dtype):
    if dtype is np.float32 and name == "to":
        pytest.skip("its function converts to float64 by itself")
    with backends.backend("numpy"):
        expected = outputs_and_gradients(cases("numpy")[name], np.float64)
    found = outputs_and_gradients(cases("cupy")[name], dtype)
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        assert a.shape == b.shape
        scale = max(1.0, float(np.abs(b).max(initial=0)))
        np.testing.assert_allclose(a, b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("name", NAMES)
def test_first_derivatives(name):
    case = cases("cupy")[name]
    gradcheck(case.function, case.inputs, order=1)


SECOND = ["linear/leaky", "conv2d", "conv_transpose2d", "batch_norm/images", "matmul", "tanh",
          "binary_cross_entropy_with_logits/mean"]  # fmt: skip


@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives(name):
    case = cases("cupy")[name]
    gradcheck(case.function, case.inputs, order=2)


# Kernels ------------------------------------------------------------------------------------


def values(rng, *shape, low=-2.0, high=2.0):
    return rng.uniform(low, high, shape).astype(np.float32)


def channels_last(x):
    """The same values (N, C, ...), C fastest in memory."""
    axes = (0, *range(2, x.ndim), 1)
    back = (0, x.ndim - 1, *range(1, x.ndim - 1))
    return np.ascontiguousarray(x.transpose(axes)).transpose(back)


def compare(cupy, name, *args, rtol=2e-5, changed=()):
    """A kernel against its reference in float64; ``changed``: which arguments it changes."""

    def convert(x, make):
        return make(x) if isinstance(x, np.ndarray) else x

    device = [convert(x, cupy.asarray) for x in args]
    exact = [convert(x, lambda a: np.array(a, np.float64, copy=True)) for x in args]
    found, expected = getattr(kernels, name)(*device), getattr(reference, name)(*exact)
    found, expected = (x if isinstance(x, tuple) else (x,) for x in (found, expected))
    pairs = [(device[i], exact[i]) for i in changed] or list(zip(found, expected))
    for a, b in pairs:
        a, b = to_numpy(a), np.asarray(b)
        assert a.shape == b.shape
        scale = max(1.0, float(np.abs(b).max(initial=0)))
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale, err_msg=name)


SHAPES = [(1, 1), (3, 5), (64, 784), (257, 33), (4, 3, 5, 7), (2, 64, 9, 9), (33, 130, 3, 2)]


@pytest.mark.parametrize("order", [np.ascontiguousarray, channels_last])
@pytest.mark.parametrize("shape", SHAPES)
def test_kernels_equal_their_reference(cupy, shape, order):
    rng = np.random.default_rng(shape)
    x, gy = (order(values(rng, *shape)) for _ in range(2))
    C = shape[1]
    gamma, beta, mean = values(rng, C), values(rng, C), values(rng, C)
    inv_std = values(rng, C, low=0.5, high=2.0)
    target = values(rng, *shape, low=0.0, high=1.0)
    for name, args in {
        "leaky_relu": (x, 0.2), "leaky_relu_grad": (gy, x, 0.2), "sigmoid": (x,), "tanh": (x,),
        "bce_with_logits": (x, target), "bce_with_logits_grad": (gy, x, target),
        "batch_stats": (x,), "batch_norm": (x, mean, inv_std, gamma, beta, 0.2),
        "batch_norm_sums": (gy, x, mean, inv_std, gamma, beta, 1.0),
    }.items():  # fmt: skip
        compare(cupy, name, *args, rtol=1e-4)
    compare(cupy, "bce_with_logits", x, np.asarray(np.float32(0.9)))
    compare(cupy, "add_bias_leaky_relu", x, beta, 0.2, changed=(0,))
    sums = values(rng, 2, C)
    compare(cupy, "batch_norm_grad", gy, x, mean, inv_std, gamma, beta, 1.0, sums, rtol=1e-4)


def test_adam_equals_its_reference(cupy):
    rng = np.random.default_rng(0)
    p, g, m = (values(rng, 1000) for _ in range(3))
    v = values(rng, 1000, low=0.1, high=1.0)
    compare(cupy, "adam", p, g, m, v, 1e-3, 0.5, 0.999, 1e-8, 0.01, 7, changed=(0, 2, 3))
    state = cupy.asarray(np.array([1e-3, 6.0, 0.0, 0.0]))
    by_clock = [cupy.asarray(x) for x in (p, g, m, v)]
    kernels.adam_tick(state, 0.5, 0.999)
    kernels.adam_at(*by_clock, state, 0.5, 0.999, 1e-8, 0.01)
    by_number = [cupy.asarray(x) for x in (p, g, m, v)]
    kernels.adam(*by_number, 1e-3, 0.5, 0.999, 1e-8, 0.01, 7)
    assert float(state[1]) == 7
    for a, b in zip(by_clock, by_number):
        np.testing.assert_allclose(a.get(), b.get(), rtol=1e-6)


@pytest.mark.parametrize("size", [1, 5, 4096, 100_003])
def test_philox_draws_the_same_on_both(cupy, size):
    for name, check in (("fill_uniform", 0.0), ("fill_normal", 1e-5)):
        device, host = cupy.empty(size, np.float32), np.empty(size, np.float32)
        for out in (device, host):
            getattr(kernels, name)(out, 2**40 + 3, 2**33 + 1, 5)
        np.testing.assert_allclose(device.get(), host, rtol=check, atol=check)


GEOMETRIES = [
    # N, C, O, size, kernel, stride, padding, dilation, groups
    (2, 3, 4, (9, 8), (4, 4), (2, 2), (1, 1), (1, 1), 1),
    (3, 4, 6, (7, 7), (3, 2), (1, 2), (0, 1), (1, 1), 2),
    (1, 2, 2, (8, 9), (3, 3), (2, 1), (2, 1), (2, 1), 1),
    (4, 5, 3, (1, 1), (4, 4), (1, 1), (3, 3), (1, 1), 1),
    (2, 8, 8, (16, 16), (5, 5), (3, 3), (2, 2), (1, 1), 8),
]


@pytest.mark.parametrize("case", GEOMETRIES)
def test_convolutions_equal_their_reference(cupy, case):
    N, C, O, size, kernel, stride, padding, dilation, groups = case
    geometry = Geometry(stride, padding, dilation, groups)
    rng = np.random.default_rng(case[:3])
    x, w = values(rng, N, C, *size), values(rng, O, C // groups, *kernel)
    gy = values(rng, N, O, *geometry.output_size(size, kernel))
    for name, args in {
        "convolve": (x, w, geometry),
        "convolve_input_gradient": (gy, w, size, geometry),
        "convolve_weight_gradient": (x, gy, kernel, geometry),
    }.items():
        exact = [a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in args]
        expected = getattr(reference, name)(*exact)
        found = getattr(convolution, name)(
            *(cupy.asarray(a) if isinstance(a, np.ndarray) else a for a in args)
        )
        np.testing.assert_allclose(
            found.get(), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
        )


# Products -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_equal_numpy(cupy, dtype):
    rng = np.random.default_rng(0)
    for n, k, m in [(1, 1, 1), (64, 100, 128), (33, 7, 1), (1, 512, 65), (257, 129, 63), (3, 0, 2)]:
        a, b = rng.standard_normal((n, k)), rng.standard_normal((k, m))
        for order_a in "CF":
            for order_b in "CF":
                x = cupy.asarray(np.asarray(a, dtype, order=order_a), order=order_a)
                y = cupy.asarray(np.asarray(b, dtype, order=order_b), order=order_b)
                for out in (None, cupy.empty((n, m), dtype), cupy.empty((m, n), dtype).T):
                    found = cublas.gemm(x, y, out)
                    rtol = 1e-5 if dtype is np.float32 else 1e-13
                    np.testing.assert_allclose(found.get(), a @ b, rtol=rtol, atol=rtol * 30)


def test_tf32_is_coarser_and_off_at_first(cupy):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((256, 256)).astype(np.float32) for _ in range(2))
    exact = a.astype(np.float64) @ b.astype(np.float64)

    def error():
        return np.abs(cublas.gemm(cupy.asarray(a), cupy.asarray(b)).get() - exact).max()

    plain = error()
    backends.use_tf32(True)
    try:
        coarse = error()
    finally:
        backends.use_tf32(False)
    assert plain < 1e-4
    assert error() == plain
    if int(cupy.cuda.Device().compute_capability) >= 80:
        assert plain * 10 < coarse < 0.5


# The captured step --------------------------------------------------------------------------

MODELS = {
    "gan": {"batch_size": "16"},
    "dcgan": {"batch_size": "8", "widths": "32,16", "image_size": "16"},
    "gan-paper": {"batch_size": "16"},  # dropout, both players at once, and momentum
}


def make_game(name):
    """A game of that recipe, and a function that makes batch t."""
    recipe = recipes.override(recipes.get(name), MODELS[name])
    backends.manual_seed((0, 0))
    shape = (1, recipe.image_size, recipe.image_size)
    game = setup.build_game(recipe, shape)

    def batch(t):
        rng = np.random.default_rng(t)
        return [minigan.tensor(rng.random((recipe.batch_size, *shape), dtype=np.float32) * 2 - 1)]

    return game, batch


def play(step, batch, first, last):
    records = []
    for t in range(first, last):
        real = batch(t)
        backends.manual_seed((0, t + 1))
        records.append(step(real))
    return read(records)


def state(game):
    parts = {}
    for name in ("G", "D", "opt_G", "opt_D"):
        items = getattr(game, name).state_dict().items()
        parts |= {f"{name}.{key}": np.array(value) for key, value in items}
    return parts


@pytest.mark.parametrize("name", MODELS)
def test_100_captured_steps_equal_100_eager_ones(name):
    (eager, batch), (captured, _) = make_game(name), make_game(name)
    eager.opt_D.use_clock()
    eager.opt_G.use_clock()
    step = CapturedStep(captured, batch(0))
    expected = play(lambda real: play_step(eager, real), batch, 0, 100)
    found = play(step, batch, 0, 100)
    assert found == expected
    for (key, a), b in zip(state(captured).items(), state(eager).values()):
        np.testing.assert_array_equal(a, b, err_msg=key)
    assert np.isfinite(list(found[-1].values())).all()
    step.close()


def test_work_between_captured_steps_changes_nothing(cupy):
    (alone, batch), (disturbed, _) = make_game("gan"), make_game("gan")
    step, other = CapturedStep(alone, batch(0)), CapturedStep(disturbed, batch(0))
    expected = play(step, batch, 0, 50)
    found, kept = [], []
    for t in range(50):
        found += play(other, batch, t, t + 1)
        # As much memory as a step takes, in many sizes, written and held for a while.
        kept = [cupy.full(n, np.nan, np.float32) for n in (1, 100, 16 * 1024, 10**6)] + kept[:8]
        z = disturbed.draw_z(64)
        disturbed.G(z).array @ cupy.full((28, 28), np.nan, np.float32)
        disturbed.opt_D.zero_grad()
    # G saw other images in training mode in between: its running statistics may differ.
    for key, value in state(alone).items():
        if "running" not in key and "num_batches" not in key:
            np.testing.assert_array_equal(state(disturbed)[key], value, err_msg=key)
    assert found == expected
    step.close()
    other.close()


def test_the_graph_has_the_kernels_of_a_step(cupy):
    game, batch = make_game("gan")
    step = CapturedStep(game, batch(0))
    text = step.graph.debug_dot_str()
    assert "adam_at" in text
    assert text.count("label") > 50
    step.close()


def test_training_captures_its_step(cupy, tmp_path, monkeypatch, capsys):
    tiny.use(monkeypatch)
    _, summary = tiny.start(tmp_path, steps=6, backend="cupy")
    assert summary.step == 6
    assert "not captured" not in capsys.readouterr().err


# Runs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "then"), [("cupy", "numpy"), ("numpy", "cupy")])
def test_checkpoints_move_between_backends(tmp_path, monkeypatch, first, then):
    tiny.use(monkeypatch)
    run, _ = tiny.start(tmp_path, steps=5, backend=first)
    z = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    images = []
    for backend in (first, then):
        with backends.backend(backend):
            G, _, step = train.load_generator(run.checkpoint_path(5))
            assert step == 5
            images.append(train.generate(G, minigan.tensor(z)))
    np.testing.assert_allclose(images[0], images[1], atol=1e-5)
    summary = train.resume(run.folder, steps=8, backend=then, quiet=True)
    assert summary.step == 8
    assert np.isfinite(list(summary.losses.values())).all()


@pytest.mark.parametrize("name", ["gan", "dcgan"])
@pytest.mark.parametrize("captures", [True, False], ids=["captured", "eager"])
def test_1000_steps_leak_nothing(cupy, name, captures):
    game, batch = make_game(name)
    step = CapturedStep(game, batch(0)) if captures else lambda real: play_step(game, real)
    real, pool = batch(0), cupy.get_default_memory_pool()

    def used():
        gc.collect()
        backends.synchronize()
        return pool.used_bytes(), pool.total_bytes(), cupy.cuda.Device().mem_info[0]

    for _ in range(50):
        step(real)
    used_before, total_before, free_before = used()
    for _ in range(1000):
        step(real)
    used_after, total_after, free_after = used()
    assert used_after <= used_before
    assert total_after <= total_before
    assert free_after >= free_before - 16 * 2**20  # of the whole card, where others may work
    if captures:
        step.close()


def test_too_little_memory_is_an_error_of_one_line(cupy, tmp_path, monkeypatch):
    tiny.use(monkeypatch)
    data = tiny.write_data(tmp_path)
    cublas.gemm(*(cupy.ones((2, 2), np.float32),) * 2)  # cuBLAS has its workspace
    pool = cupy.get_default_memory_pool()
    before = pool.get_limit()
    pool.free_all_blocks()
    pool.set_limit(size=max(pool.used_bytes(), 1) + 2**16)
    try:
        options = ["--data", data, "--set", "image_size=8", "--batch-size", "64", "--steps", "2"]
        result = CliRunner().invoke(
            program,
            ["train", "gan", *options, "--backend", "cupy", "--out", str(tmp_path / "run")],
        )
    finally:
        pool.set_limit(size=before)
    assert result.exit_code == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("minigan: error: not enough memory")
    assert "Traceback" not in result.output


def test_training_goes_on_where_a_graph_finds_no_memory(cupy, monkeypatch):
    from minigan.train import capture

    class Full:
        def malloc(self, size):
            raise cupy.cuda.memory.OutOfMemoryError(size, size, size)

        def free_all_blocks(self):
            pass

    game, batch = make_game("gan")
    monkeypatch.setattr(cupy.cuda, "MemoryPool", Full)
    said = []
    step = capture.player(game, said.append)
    play(step, batch, 0, 3)
    assert len(said) == 1
    assert "not captured" in said[0]
    assert game.opt_G.steps[0] == 3


def test_modules_move(cupy):
    layer = nn.Linear(3, 2)
    assert isinstance(layer.weight.array, cupy.ndarray)
    there = layer.to("numpy")
    optim.Adam(there.parameters())
    assert isinstance(there.weight.array, np.ndarray)
