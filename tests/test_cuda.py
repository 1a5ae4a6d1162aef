"""The CUDA kernels without a GPU: compiled for two of them, and run on the CPU through a shim
(cuda_shim.h), on the arrays on which the other twins are tested."""

import configparser
import ctypes
import glob
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import types
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from cuda_shim import Shim, build, kernel_names
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_convolution import close, problems
from test_kernels import batch, elementwise, float32, seeds, slopes

import minigan
from minigan import kernels, recipes
from minigan.functional import convolution as convolution_functions
from minigan.kernels import array, convolution, cuda, philox, reference
from minigan.kernels.geometry import Geometry
from minigan.train import setup
from minigan.train.step import play_step

SANITIZED = os.environ.get("MINIGAN_SHIM")  # a library, in the process that a test below starts
COMPILER = sys.platform == "linux" and (shutil.which("g++") or shutil.which("clang++"))
NO_COMPILER = "the shim needs Linux and a C++ compiler, g++ or clang++"
examples = settings(
    max_examples=8 if SANITIZED else 50, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # one shim for all examples
)  # fmt: skip


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The kernels compiled for the CPU."""
    if SANITIZED:
        return SANITIZED
    if not COMPILER:
        pytest.skip(NO_COMPILER)
    return build(tmp_path_factory.mktemp("kernels"), COMPILER)


@pytest.fixture
def backwards():
    """The order of the threads in a block, for kernels whose threads do not wait for each other."""
    return False


both_orders = pytest.mark.parametrize("backwards", [False, True])


@pytest.fixture
def shim(library, backwards, monkeypatch):
    shim = Shim(library, backwards)
    monkeypatch.setattr(cuda, "launch", shim)
    return shim


def agree(name, *arguments):
    """The CUDA twin gives what the definition gives; no argument is changed."""
    before = [np.copy(a) for a in arguments]
    expected, result = (getattr(twin, name)(*arguments) for twin in (reference, cuda))
    several = [r if isinstance(r, tuple) else (r,) for r in (expected, result)]
    for e, a in zip(*several):
        assert a.dtype == e.dtype
        assert a.shape == e.shape
        size = np.abs(e).max(initial=1.0)
        np.testing.assert_allclose(a, e, rtol=0, atol=2e-5 * size)
    for a, b in zip(arguments, before):
        np.testing.assert_array_equal(a, b)


# The twins ------------------------------------------------------------------------------------


@examples
@given(elementwise(dtypes=float32), st.sampled_from([0.0, 0.01, 0.2, 1.0, -0.5]))
def test_leaky_relu_twins(shim, arrays, slope):
    agree("leaky_relu", arrays[1], slope)
    agree("leaky_relu_grad", *arrays, slope)


@examples
@given(elementwise(size=50, dtypes=float32))
def test_sigmoid_twins(shim, arrays):
    agree("sigmoid", arrays[1])


@examples
@given(elementwise(size=20, dtypes=float32), st.booleans())
def test_bce_with_logits_twins(shim, arrays, one_target_for_all):
    gl, x = arrays
    t = np.full((), 0.9, np.float32) if one_target_for_all else abs(gl) % 1
    agree("bce_with_logits", x, t)
    agree("bce_with_logits_grad", gl, x, t)


@examples
@given(batch(smallest=0, dtypes=float32), slopes)
def test_add_bias_leaky_relu_twins(shim, arrays, slope):
    _, x, *_, bias = arrays
    y, expected = x.copy(order="K"), x.copy(order="K")
    reference.add_bias_leaky_relu(expected, bias, slope)
    cuda.add_bias_leaky_relu(y, bias, slope)
    np.testing.assert_allclose(y, expected, rtol=1e-6)


@both_orders
@examples
@given(batch(dtypes=float32))
def test_batch_stats_twins(shim, arrays):
    agree("batch_stats", arrays[1])


@both_orders
@examples
@given(batch(smallest=0, dtypes=float32), slopes, st.integers(0, 2**31))
def test_batch_norm_twins(shim, arrays, slope, seed):
    gy, x, *channels = arrays
    sums = np.random.default_rng(seed).standard_normal((2, x.shape[1])).astype(np.float32)
    agree("batch_norm", x, *channels, slope)
    agree("batch_norm_sums", gy, x, *channels, slope)
    if x.size:
        agree("batch_norm_grad", gy, x, *channels, slope, sums)


@examples
@given(
    st.integers(0, 20), seeds, st.integers(1, 1000), st.sampled_from([0.0, 0.1]),
    st.sampled_from([(0.5, 0.999), (0.0, 0.9), (0.9, 0.99)]),
)  # fmt: skip
def test_adam_twins(shim, size, seed, t, weight_decay, betas):
    rng = np.random.default_rng(seed)
    p, g, m = (rng.standard_normal(size).astype(np.float32) for _ in range(3))
    v = rng.uniform(0.01, 1, size).astype(np.float32)
    settings = (1e-2, *betas, 1e-8, weight_decay)
    results = []
    for twin in (reference, cuda):
        state = [a.copy() for a in (p, m, v)]
        twin.adam(state[0], g, *state[1:], *settings, t)
        results.append(state)
    # and with its step count on the device
    (p, m, v), clock = (a.copy() for a in (p, m, v)), np.array([1e-2, t - 1, 0, 0])
    cuda.adam_tick(clock, *betas)
    cuda.adam_at(p, g, m, v, clock, *betas, 1e-8, weight_decay)
    assert clock[:2].tolist() == [1e-2, t]
    for a, b, e in zip((p, m, v), results[1], results[0]):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-5)


def test_adam_counts_its_steps_as_the_definition_does(shim):
    ours, expected = (np.array([1e-3, 0.0, 0.0, 0.0]) for _ in range(2))
    for _ in range(100):
        cuda.adam_tick(ours, 0.5, 0.999)
        reference.adam_tick(expected, 0.5, 0.999)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_adam_changes_arrays_where_they_lie(shim):
    p, g, m, v = np.zeros((4, 6), np.float32)
    with pytest.raises(ValueError, match="takes contiguous arrays"):
        cuda.adam(p[::2], g[::2], m[::2], v[::2], 1e-3, 0.9, 0.999, 1e-8, 0.0, 1)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 1021, 4 * 256, 10_000])
def test_random_numbers_are_philoxs(shim, size):
    place = (size + 2**40, 2**33 + 5, 7)  # seed and step of two words each
    u, z = np.empty((2, size), np.float32)
    cuda.fill_uniform(u, *place)
    cuda.fill_normal(z, *place)
    np.testing.assert_array_equal(u, philox.uniform(*place, (size,)))
    np.testing.assert_allclose(z, philox.normal(*place, (size,)), rtol=1e-5, atol=2e-6)


def test_random_numbers_in_any_memory_order(shim):
    out = np.empty((6, 8), np.float32)[::2, ::2]
    cuda.fill_uniform(out, 1, 2, 3)
    np.testing.assert_array_equal(out, philox.uniform(1, 2, 3, (3, 4)))
    cuda.fill_normal(np.empty((0, 3), np.float32), 1, 2, 3)
    with pytest.raises(ValueError, match="stream must be in"):
        cuda.fill_normal(out, 1, 2, -1)


# Convolution ------------------------------------------------------------------------------------


def single(a):
    return a.astype(np.float32)  # keeps the order in memory


@examples
@given(problems())
def test_convolution_twins(shim, problem):
    x, w, gy, geometry = problem
    x, w, gy, kernel, size = single(x), single(w), single(gy), w.shape[2:], x.shape[2:]
    before = [a.copy() for a in (x, w, gy)]
    columns = reference.im2col(x, kernel, geometry)
    np.testing.assert_array_equal(cuda.im2col(x, kernel, geometry), columns)
    columns = np.random.default_rng(0).standard_normal(columns.shape).astype(np.float32)
    arguments = (columns, x.shape, kernel, geometry)
    close(cuda.col2im(*arguments), reference.col2im(*arguments), "col2im")
    for name, arguments in {
        "convolve": (x, w, geometry),
        "convolve_input_gradient": (gy, w, size, geometry),
        "convolve_weight_gradient": (x, gy, kernel, geometry),
    }.items():
        close(getattr(cuda, name)(*arguments), getattr(reference, name)(*arguments), name)
    for a, b in zip((x, w, gy), before):
        np.testing.assert_array_equal(a, b)


def test_columns_in_slices_change_nothing_but_rounding(shim, monkeypatch):
    rng = np.random.default_rng(0)
    geometry = Geometry((2, 2), (1, 1), groups=2)
    x, w = (single(rng.standard_normal(s)) for s in ((7, 4, 8, 6), (6, 2, 4, 4)))
    gy = single(rng.standard_normal((7, 6, 4, 3)))

    def passes():
        del shim.launches[:]
        return (
            cuda.convolve(x, w, geometry),
            cuda.convolve_input_gradient(gy, w, (8, 6), geometry),
            cuda.convolve_weight_gradient(x, gy, (4, 4), geometry),
        )

    whole = passes()
    assert len(shim.launches) == 3 * 2  # a launch for each group
    monkeypatch.setattr(cuda, "COLUMN_BYTES", 3 * 4 * 3 * 2 * 16 * 4)  # of three images
    sliced = passes()
    assert len(shim.launches) == 3 * 2 * 3
    for a, b in zip(sliced, whole):
        close(a, b, "slices")
    monkeypatch.setattr(cuda, "COLUMN_BYTES", 1)  # less than one image: one at a time
    for a, b in zip(passes(), whole):
        close(a, b, "images")
    monkeypatch.setattr(cuda, "LARGEST", 4 * 3 * 16)
    with pytest.raises(ValueError, match="one image of this convolution has 192 columns"):
        passes()


def test_results_are_channels_last_and_copied_only_when_the_input_is_not(shim):
    rng = np.random.default_rng(0)
    x = single(rng.standard_normal((2, 5, 4, 3))).transpose(0, 3, 1, 2)  # channels-last
    assert np.shares_memory(cuda._rows(x), x)
    assert np.shares_memory(cuda._channels_last(x), x)
    w = single(rng.standard_normal((6, 3, 2, 2)))
    channels = [np.ones(6, np.float32)] * 4
    y = cuda.batch_norm(cuda.convolve(x, w, Geometry()), *channels, 0.2)
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous


# A step of the game -----------------------------------------------------------------------------


RECIPES = {
    "gan-paper": ((1, 6, 6), {}),
    "dcgan": ((1, 8, 8), {"image_size": "8", "widths": "6,4"}),
}


USED = {
    "gan-paper": {"add_bias_leaky_relu", "bce_with_logits_grad"},
    "dcgan": {"im2col", "col2im", "batch_stats_total", "batch_norm_grad", "leaky_relu", "adam"},
}


def weights_after_a_step(name):
    minigan.manual_seed(0)
    shape, values = RECIPES[name]
    recipe = recipes.override(recipes.get(name), {"latent_dim": "5", **values})
    game = setup.build_game(recipe, shape)
    images = np.random.default_rng(0).uniform(-1, 1, (4, *shape)).astype(np.float32)
    # Where the gradient is 0 but for rounding (of a bias before batch norm), Adam's quotient of two
    # such numbers would be anything.
    game.opt_G.eps = game.opt_D.eps = 1e-3
    play_step(game, [minigan.tensor(images)])
    return {**game.G.state_dict(), **{f"D.{k}": v for k, v in game.D.state_dict().items()}}


@pytest.mark.parametrize("name", RECIPES)
def test_the_game_is_played_as_on_the_cpu(shim, monkeypatch, name):
    expected = weights_after_a_step(name)
    monkeypatch.setattr(kernels, "_twin", lambda array, dtype=np.float32: cuda)
    for function in ("convolve", "convolve_input_gradient", "convolve_weight_gradient"):
        cudas = getattr(cuda, function)
        monkeypatch.setattr(
            convolution_functions, function, lambda *arguments, f=cudas: f(*arguments[:-1])
        )
    weights = weights_after_a_step(name)
    assert weights.keys() == expected.keys()
    for key, value in weights.items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-4, atol=2e-5, err_msg=key)
    started = {name for name, _, _ in shim.launches}
    assert started >= USED[name]


# More values than threads: every loop goes round more than once ----------------------------------


@pytest.fixture
def few_blocks(monkeypatch):
    monkeypatch.setattr(cuda, "BLOCKS", 2)


def test_more_values_than_threads(shim, few_blocks):
    rng = np.random.default_rng(0)
    gy, x = single(rng.standard_normal((2, 50, 7, 5, 2)))
    channels = [single(rng.uniform(0.5, 2, 7)) for _ in range(4)]
    sums = single(rng.standard_normal((2, 7)))
    for name, arguments in {
        "leaky_relu": (x, 0.2),
        "leaky_relu_grad": (gy, x, 0.2),
        "sigmoid": (x,),
        "bce_with_logits": (x, abs(gy) % 1),
        "bce_with_logits_grad": (gy, x, abs(gy) % 1),
        "batch_norm": (x, *channels, 0.2),
        "batch_norm_grad": (gy, x, *channels, 0.2, sums),
    }.items():
        result, expected = (getattr(twin, name)(*arguments) for twin in (cuda, array))
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5, err_msg=name)
    y, expected = x.copy(), x.copy()
    cuda.add_bias_leaky_relu(y, channels[0], 0.2)
    array.add_bias_leaky_relu(expected, channels[0], 0.2)
    np.testing.assert_allclose(y, expected, rtol=1e-6)

    u = np.empty(9000, np.float32)
    cuda.fill_uniform(u, 1, 2, 3)
    np.testing.assert_array_equal(u, philox.uniform(1, 2, 3, (9000,)))
    p, g = single(rng.standard_normal((2, 2000)))
    state = [p.copy(), np.zeros_like(p), np.zeros_like(p)]
    cuda.adam(state[0], g, *state[1:], 0.1, 0.9, 0.999, 1e-8, 0.0, 1)
    np.testing.assert_allclose(state[0], p - 0.1 * np.sign(g), rtol=1e-4, atol=1e-5)

    images, geometry = single(rng.standard_normal((3, 40, 9, 8))), Geometry((2, 1), (1, 2))
    columns = cuda.im2col(images, (3, 3), geometry)
    np.testing.assert_array_equal(columns, reference.im2col(images, (3, 3), geometry))
    # col2im of columns of ones counts how often each pixel was copied
    result = cuda.col2im(np.ones_like(columns), images.shape, (3, 3), geometry)
    counts = reference.col2im(np.ones_like(columns[:, ::40]), (3, 1, 9, 8), (3, 3), geometry)
    np.testing.assert_array_equal(result, np.broadcast_to(counts, images.shape))
    assert max(grid[0] for _, grid, _ in shim.launches) == 2


@both_orders
@pytest.mark.parametrize(("M", "C"), [(1000, 3), (130, 70), (64 * 40, 1), (1, 33)])
def test_sums_over_many_rows_and_channels(shim, M, C):
    rng = np.random.default_rng(0)
    gy, x = single(rng.standard_normal((2, M, C)))
    x += 100  # a large mean: float32 sums of squares would lose four digits
    mean, var = cuda.batch_stats(x)
    np.testing.assert_allclose(mean, x.mean(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(var, x.var(0, dtype=np.float64), rtol=1e-5, atol=1e-6)
    channels = [single(rng.uniform(0.5, 2, C)) for _ in range(4)]
    gz_sums = cuda.batch_norm_sums(gy, x, mean, *channels[1:], 0.2)
    exact = [a.astype(np.float64) for a in (gy, x, mean, *channels[1:])]
    expected = array.batch_norm_sums(*exact, 0.2)
    np.testing.assert_allclose(gz_sums, expected, rtol=1e-4, atol=1e-4 * M**0.5)


# How kernels are found, compiled and started ------------------------------------------------------


def test_every_cu_file_is_used_and_installed():
    folder = resources.files("minigan.kernels")
    found = {path.name.removesuffix(".cu") for path in folder.iterdir() if path.suffix == ".cu"}
    assert found == set(cuda.FILES)
    config = configparser.ConfigParser()
    config.read(Path(__file__).parents[1] / "setup.cfg")
    assert config["options.package_data"]["minigan.kernels"].split() == ["*.cu"]


def test_every_kernel_of_the_text_is_started_by_cuda_py():
    python = Path(cuda.__file__).read_text(encoding="utf-8")
    assert [n for n in kernel_names(cuda.source()) if f'"{n}"' not in python] == []


def test_sums_have_one_order():
    assert "atomic" not in re.sub("//.*", "", cuda.source())


class FakeCupy(types.ModuleType):
    """As much of CuPy as compiles and starts kernels."""

    def __init__(self):
        super().__init__("cupy")
        self.modules, self.found, self.started = [], [], []
        self.RawModule = self._raw_module

    def _raw_module(self, **options):
        self.modules.append(options)
        return self

    def get_function(self, name):
        self.found.append(name)
        return lambda *arguments: self.started.append((name, *arguments))


def test_the_text_is_compiled_once_and_started_as_cupy_wants_it(monkeypatch):
    cupy = FakeCupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    for cache in (cuda._compiled, cuda._kernel):
        cache.cache_clear()
    try:
        x = np.zeros(1000, np.float32)
        cuda.leaky_relu(x, 0.2)
        y = cuda.leaky_relu(x, 0.2)
    finally:
        for cache in (cuda._compiled, cuda._kernel):
            cache.cache_clear()
    assert cupy.modules == [{"code": cuda.source(), "options": cuda.OPTIONS}]
    assert cupy.found == ["leaky_relu"]
    name, grid, block, args = cupy.started[1]
    assert (name, grid, block) == ("leaky_relu", (4,), (256,))
    assert args[0] is x
    assert args[2] is y
    assert (args[1], args[3]) == (np.float32(0.2), 1000)
    assert (type(args[1]), type(args[3])) == (np.float32, np.uint32)


class FakeArray:
    """A CuPy array as the choice of a twin sees it."""

    def __init__(self, dtype, size):
        self.dtype, self.size = np.dtype(dtype), size


@pytest.mark.parametrize(
    ("module", "dtype", "size", "expected"),
    [
        ("cupy", np.float32, 5, cuda),
        ("cupy._core.core", np.float32, 2**31 - 1, cuda),
        ("cupy", np.float32, 2**31, array),
        ("cupy", np.float64, 5, array),
        ("tests", np.float32, 5, array),
    ],
)
def test_which_twin_an_array_is_for(monkeypatch, module, dtype, size, expected):
    monkeypatch.setattr(FakeArray, "__module__", module)
    a = FakeArray(dtype, size)
    assert kernels._twin(a) is expected
    assert convolution._not_numpys(a, "auto") is expected
    assert kernels._twin(a, np.float64) is (cuda if dtype == np.float64 else array)


# Compilers ----------------------------------------------------------------------------------------

ARCHITECTURES = ("80", "90")


def find_nvrtc():
    """The path of NVIDIA's run-time compiler in this Python's packages, or None."""
    spec = importlib.util.find_spec("nvidia")
    folders = list(spec.submodule_search_locations) if spec else []
    found = [p for f in folders for p in glob.glob(f"{f}/*/lib/libnvrtc.so.*")]
    return found[0] if found else None


def nvrtc_output(path, text, architecture):
    """(whether NVRTC compiles the text as CuPy does, what it says)"""
    nvrtc, program, size = ctypes.CDLL(path), ctypes.c_void_p(), ctypes.c_size_t()
    options = [f"--gpu-architecture=sm_{architecture}", *cuda.OPTIONS]
    values = (ctypes.c_char_p * len(options))(*[o.encode() for o in options])
    created = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None
    )
    assert created == 0
    status = nvrtc.nvrtcCompileProgram(program, len(options), values)
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    return status == 0, log.value.decode()


def nvcc_output(path, text, folder):
    """(whether nvcc compiles the text for all architectures, what it says)"""
    (folder / "kernels.cu").write_text(text)
    codes = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in ARCHITECTURES]
    done = subprocess.run(
        [path, *cuda.OPTIONS, *codes, "-fatbin", "kernels.cu", "-o", "kernels.fatbin"],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode == 0, done.stdout + done.stderr


def test_the_text_compiles_for_two_generations_of_gpus(tmp_path):
    nvrtc = find_nvrtc()
    nvcc = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if nvrtc is not None:
        outputs = [nvrtc_output(nvrtc, cuda.source(), a) for a in ARCHITECTURES]
    elif nvcc is not None:
        outputs = [nvcc_output(nvcc, cuda.source(), tmp_path)]
    else:
        pytest.skip("neither NVRTC (pip install nvidia-cuda-nvrtc) nor nvcc was found")
    for succeeded, output in outputs:
        assert succeeded, output
        assert ".cu" not in output  # where a warning points to


# AddressSanitizer ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    """(environment, library): kernels that report every access outside of an array.  One of them,
    ``careless``, is leaky_relu with a mistake in its bounds check."""
    if not COMPILER:
        pytest.skip(NO_COMPILER)
    done = subprocess.run(
        [COMPILER, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    runtime = Path(done.stdout.strip())
    if not runtime.is_file():
        pytest.skip(f"{COMPILER} has no AddressSanitizer")
    text = cuda.source()
    correct = re.search(r'extern "C" __global__ void leaky_relu\(.*?\n}', text, re.DOTALL).group()
    careless = correct.replace("leaky_relu(", "careless(").replace("i < n", "i < n + 1")
    flags = ("-g", "-fsanitize=address")
    library = build(tmp_path_factory.mktemp("sanitized"), COMPILER, f"{text}\n{careless}", flags)
    # The sanitizer must be loaded before Python, whose own memory is not looked at.
    options = {"LD_PRELOAD": str(runtime), "ASAN_OPTIONS": "detect_leaks=0"}
    return {**os.environ, **options, "MINIGAN_SHIM": str(library)}, library


@pytest.mark.skipif(SANITIZED, reason="this is the run that the test itself starts")
def test_no_kernel_reads_or_writes_beyond_its_arrays(sanitized):
    environment, _ = sanitized
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", __file__,
         "-k", "twins or random_numbers or more_values or many_rows"],
        env=environment, capture_output=True, text=True, timeout=200,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.skipif(SANITIZED, reason="starts a process of its own")
@pytest.mark.parametrize("kernel", ["leaky_relu", "careless"])
def test_a_mistake_in_a_bounds_check_would_be_found(sanitized, kernel):
    environment, library = sanitized
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import numpy as np; from cuda_shim import *\n"
        "x = np.ones(5, np.float32)\n"
        "arguments = x, np.float32(0.2), np.ones_like(x), np.uint32(5)\n"
        "Shim(sys.argv[2])(sys.argv[3], (1,), (256,), *arguments)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(library), kernel],
        env=environment, capture_output=True, text=True, timeout=100,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert (done.returncode == 0) == (kernel == "leaky_relu"), done.stderr
    assert ("heap-buffer-overflow" in done.stderr) == (kernel == "careless"), done.stderr
