"""Choosing an array library and what draws: what is missing is said in one line, with the fix."""

import builtins
import json
import sys
import types

import numpy as np
import pytest
import strict
import tiny
from click.testing import CliRunner

import minigan
from minigan import backends, draws, nn, plots, recipes, train
from minigan.cli import program
from minigan.errors import MiniganError


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    for name in ("_current", "_random", "_tf32", "_rng"):
        monkeypatch.setattr(backends, name, getattr(backends, name))
    monkeypatch.setattr(backends, "_working", None)
    monkeypatch.delenv("MINIGAN_BACKEND", raising=False)


# What is missing ----------------------------------------------------------------------------


class CUDARuntimeError(RuntimeError):
    """As CuPy's: the name of the status, then what it means."""


def fake_cupy(driver=13000, built_for=13000, gpus=1, kernel=None):
    """A module with the functions that are asked, and the answers of a broken machine."""

    def answer(value):
        def function():
            if isinstance(value, Exception):
                raise value
            return value

        return function

    runtime = types.SimpleNamespace(
        driverGetVersion=answer(driver),
        runtimeGetVersion=answer(built_for),
        getDeviceCount=answer(gpus),
    )

    def ones(shape, dtype):
        raise kernel

    return types.SimpleNamespace(
        __name__="cupy", cuda=types.SimpleNamespace(runtime=runtime), ones=ones
    )


NO_DEVICE = CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
NO_DRIVER = CUDARuntimeError(
    "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
)
BROKEN = [
    # a machine, the cause, the fix
    (fake_cupy(driver=0, gpus=NO_DRIVER), "no NVIDIA driver", "install one"),
    (fake_cupy(driver=12040), "this CuPy is for CUDA 13.0, and the driver goes up to CUDA 12.4",
     "update the driver, or replace CuPy: pip install 'minigan[gpu]'"),
    (fake_cupy(gpus=0), "sees no NVIDIA GPU", "check nvidia-smi and CUDA_VISIBLE_DEVICES"),
    (fake_cupy(gpus=NO_DEVICE), "sees no NVIDIA GPU", "CUDA_VISIBLE_DEVICES"),
    (fake_cupy(gpus=CUDARuntimeError("cudaErrorInitializationError: initialization error")),
     "cudaErrorInitializationError", "check nvidia-smi"),
    (fake_cupy(kernel=RuntimeError("CuPy failed to load libnvrtc.so.13: OSError\nmore\nlines")),
     "a library of CUDA is missing (CuPy failed to load libnvrtc.so.13: OSError)", "pip install"),
    (fake_cupy(kernel=CUDARuntimeError("cudaErrorNoKernelImageForDevice: no kernel image")),
     "a first kernel failed (cudaErrorNoKernelImageForDevice: no kernel image)", "fits the driver"),
    (fake_cupy(kernel=MemoryError()), "a first kernel failed (MemoryError)", "check nvidia-smi"),
]  # fmt: skip


def assert_refused(cause, fix):
    with pytest.raises(MiniganError) as error:
        minigan.use_backend("cupy")
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith("backend 'cupy' cannot be used: ")
    assert cause in line
    assert fix in line
    minigan.use_backend("auto")
    assert backends.current_backend() == "numpy"
    return line


@pytest.mark.parametrize(("cupy", "cause", "fix"), BROKEN)
def test_what_does_not_work_is_one_line(monkeypatch, cupy, cause, fix):
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert_refused(cause, fix)


def failing_import(error):
    original = builtins.__import__

    def import_(name, *args, **kwargs):
        if name == "cupy":
            raise error
        return original(name, *args, **kwargs)

    return import_


@pytest.mark.parametrize(("error", "cause"), [
    (ModuleNotFoundError("No module named 'cupy'", name="cupy"), "CuPy is not installed"),
    (ModuleNotFoundError("No module named 'fastrlock'", name="fastrlock"),
     "its part fastrlock is missing"),
    (ImportError("\n====\nCuPy is not correctly installed.\n====\nlibcuda"),
     "cannot be imported (====)"),
    (RuntimeError("numpy 1.0 is too old"), "cannot be imported (numpy 1.0 is too old)"),
])  # fmt: skip
def test_a_missing_or_broken_library_is_one_line(monkeypatch, error, cause):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(builtins, "__import__", failing_import(error))
    assert_refused(cause, "pip install 'minigan[gpu]'")


def test_the_first_kernel_is_run_once(monkeypatch):
    with strict.installed():
        minigan.use_backend("cupy")
        with backends.backend("numpy"), backends.backend("cupy"):
            assert backends.current_backend() == "cupy"
        assert strict.counts.synchronisations == 1


# Choosing -----------------------------------------------------------------------------------


def test_auto_takes_cupy_if_it_works():
    with strict.installed():
        minigan.use_backend("auto")
        assert backends.current_backend() == "cupy"
        with minigan.backend("numpy"):
            assert type(minigan.zeros(2).array) is np.ndarray
        assert type(minigan.zeros(2).array) is strict.ndarray


def test_the_environment_sets_the_first_backend(monkeypatch):
    with strict.installed():
        for name in ("cupy", "numpy"):
            monkeypatch.setattr(backends, "_current", None)
            monkeypatch.setenv("MINIGAN_BACKEND", name)
            assert backends.current_backend() == name
    monkeypatch.setattr(backends, "_current", None)
    monkeypatch.setenv("MINIGAN_BACKEND", "tpu")
    with pytest.raises(MiniganError, match="no backend 'tpu': expected one of auto, numpy, cupy"):
        backends.current_backend()


@pytest.fixture
def no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(gpus=0))


@pytest.fixture
def tiny_runs(monkeypatch):
    tiny.use(monkeypatch)
    monkeypatch.setattr(plots, "curves", lambda log, path: None)


@pytest.mark.parametrize(("environment", "given", "taken"), [
    (None, None, "numpy"), ("numpy", None, "numpy"), ("cupy", "numpy", "numpy"),
    (None, "auto", "numpy"),
])  # fmt: skip
def test_a_run_says_what_auto_took(
    no_cupy, tiny_runs, tmp_path, monkeypatch, capsys, environment, given, taken
):
    if environment:
        monkeypatch.setenv("MINIGAN_BACKEND", environment)
    run, _ = tiny.start(tmp_path, steps=1, backend=given, quiet=False)
    assert run.read_config().backend == taken
    said = capsys.readouterr().err
    is_auto = given == "auto" or (given is None and environment is None)
    assert ("backend: numpy (cupy: the driver sees no NVIDIA GPU" in said) == is_auto


def call(*arguments):
    return CliRunner().invoke(program, [str(a) for a in arguments])


def test_commands_do_not_fall_back(no_cupy, tiny_runs, tmp_path, monkeypatch):
    run, _ = tiny.start(tmp_path, steps=1)
    for command in (
        ["train", "gan", "--steps", 1, "--out", tmp_path / "new"],
        ["train", "--resume", run.folder], ["sample", run.folder], ["interpolate", run.folder],
        ["evaluate", run.folder], ["inspect", run.folder], ["gradcheck", "add"],
    ):  # fmt: skip
        result = call(*command, "--backend", "cupy")
        assert result.exit_code == 1
        assert result.stderr.startswith("minigan: error: backend 'cupy' cannot be used: the driver")
        assert result.stderr.count("\n") == 1
    result = call("gradcheck", "neg", "--backend", "auto")
    assert result.exit_code == 0
    assert result.stderr.startswith("backend: numpy (cupy: the driver sees no NVIDIA GPU")
    assert call("gradcheck", "neg").stderr == ""
    monkeypatch.setenv("MINIGAN_BACKEND", "cupy")
    assert "the driver sees no NVIDIA GPU" in call("sample", run.folder).stderr
    assert not (tmp_path / "new").exists()


def test_info_says_what_is_there_and_why_the_rest_is_not(no_cupy):
    told = json.loads(call("info", "--json").stdout)
    assert told["backends"]["numpy"] == "works"
    assert told["backends"]["cupy"].startswith("the driver sees no NVIDIA GPU")
    assert told["backends"]["auto"] == "takes numpy"
    with strict.installed():
        told = json.loads(call("info", "--json").stdout)
        assert told["backends"] == {"numpy": "works", "cupy": "works", "auto": "takes cupy"}
        assert told["gpu"]["gpu"] == "no GPU, but NumPy"
        assert told["gpu"]["compute capability"] == "9.0"
        assert told["gpu"]["cuda"] == "13.0, driver up to 13.0"
        assert "no GPU, but NumPy" in call("info").stdout


# TF32 ---------------------------------------------------------------------------------------


def test_tf32_is_off_until_asked_for_and_is_no_mode_of_numpy():
    with strict.installed() as cupy:
        minigan.use_backend("cupy")
        assert not backends.uses_tf32()
        backends.use_tf32(True)
        assert backends.uses_tf32()
        assert cupy.compute_types == {np.float32: 7}
        backends.use_tf32(False)
        assert cupy.compute_types == {np.float32: 1}
    minigan.use_backend("numpy")
    backends.use_tf32(False)
    with pytest.raises(MiniganError, match="TF32 is a mode of NVIDIA GPUs, and the backend is"):
        backends.use_tf32(True)


def test_tf32_on_numpy_is_an_error_before_anything_is_written(no_cupy, tiny_runs, tmp_path):
    folder = tmp_path / "run"
    result = call("train", "gan", "--steps", 1, "--backend", "numpy", "--tf32", "--out", folder)
    assert result.exit_code == 1
    assert "leave --tf32 out, or use --backend cupy" in result.stderr
    assert not folder.exists()


# Random numbers -----------------------------------------------------------------------------


def test_numpy_draws_as_it_always_did():
    minigan.use_backend("numpy")
    for dtype in (np.float32, np.float64):
        minigan.manual_seed((3, 4))
        drawn = [minigan.rand(5, dtype=dtype), minigan.randn(2, 3, dtype=dtype)]
        linear = nn.Linear(3, 2)
        kept = nn.Dropout(0.25)(minigan.ones(50))
        z = train.draw_z(recipes.get("gan-paper"), 2)
        rng = np.random.default_rng((3, 4))
        expected = [rng.random(5, dtype=dtype), rng.standard_normal((2, 3), dtype=dtype)]
        for ours, numpys in zip(drawn, expected):
            np.testing.assert_array_equal(ours.numpy(), numpys)
            assert ours.dtype == dtype
        for p, shape in ((linear.weight, (2, 3)), (linear.bias, 2)):
            weights = rng.uniform(-(3**-0.5), 3**-0.5, shape)
            np.testing.assert_allclose(p.numpy(), weights, rtol=1e-6)
        mask = (rng.random(50, dtype=np.float32) < 0.75) / np.float32(0.75)
        np.testing.assert_array_equal(kept.numpy(), mask.astype(np.float32))
        uniform = (rng.random((2, 100), dtype=np.float32) * 2 - 1) * np.float32(3**0.5)
        np.testing.assert_array_equal(z.numpy(), uniform)


def everything_random():
    minigan.manual_seed((3, 4))
    network = nn.Sequential(nn.Linear(3, 2), nn.Conv2d(2, 3, 3))
    return [
        *(p.numpy() for p in network.parameters()),
        minigan.rand(5).numpy(),
        minigan.randn(2, 3, dtype=np.float64).numpy(),
        nn.Dropout(0.25)(minigan.ones(50)).numpy(),
        train.draw_z(recipes.get("gan-paper"), 2).numpy(),
        train.draw_z(recipes.get("gan"), 2).numpy(),
    ]


def test_philox_draws_the_same_on_both_without_a_copy():
    with strict.installed():
        minigan.use_backend("cupy")
        assert backends.current_random() == "philox"
        strict.counts.reset()
        draws.normal((4, 5))
        assert (strict.counts.synchronisations, strict.counts.copies) == (0, 0)
        there = everything_random()
    minigan.use_backend("numpy")
    numpys = everything_random()
    backends.use_random("philox")
    here = everything_random()
    for a, b, c in zip(there, here, numpys, strict=True):
        assert a.dtype == b.dtype == c.dtype
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    assert not np.array_equal(here[-1], here[-2])
    firsts = []
    for seed in (3, (3, 4), (3, 5), (4, 4)):
        minigan.manual_seed(seed)
        firsts += [draws.uniform(()).item(), draws.uniform(()).item()]
    assert len(set(firsts)) == 8


def test_moments_of_what_philox_draws():
    minigan.use_backend("numpy")
    backends.use_random("philox")
    minigan.manual_seed(0)
    x = draws.normal((20_000,), 1.0, 2.0)
    assert (x.mean(), x.std()) == pytest.approx((1.0, 2.0), abs=0.05)
    x = draws.uniform((20_000,), -1.0, 3.0)
    assert -1 <= x.min() < -0.99
    assert 2.99 < x.max() < 3
    assert x.mean() == pytest.approx(1.0, abs=0.05)


def test_random_numbers_can_be_taken_back():
    minigan.use_backend("numpy")
    for name in backends.RANDOM:
        backends.use_random(name)
        with backends.random_restored():
            first = draws.uniform((3,))
        np.testing.assert_array_equal(draws.uniform((3,)), first)
        assert not np.array_equal(draws.uniform((3,)), first)


def test_random_numbers_are_taken_back_past_a_seed():
    minigan.use_backend("numpy")
    for name in backends.RANDOM:
        backends.use_random(name)
        minigan.manual_seed(3)
        expected = draws.uniform((3,)), draws.uniform((3,))
        minigan.manual_seed(3)
        np.testing.assert_array_equal(draws.uniform((3,)), expected[0])
        with backends.random_restored():
            minigan.manual_seed((5, 7))
            draws.uniform((3,))
        np.testing.assert_array_equal(draws.uniform((3,)), expected[1])


def test_a_seed_is_a_number_or_a_pair():
    with pytest.raises(ValueError, match=r"expected a seed, or a pair \(seed, step\), got"):
        minigan.manual_seed((1, 2, 3))


def test_what_draws_is_chosen_by_name():
    with pytest.raises(MiniganError, match="no random numbers 'dice': expected one of numpy, phil"):
        backends.use_random("dice")
    with strict.installed(), pytest.raises(MiniganError, match="leave --random out"):
        train.start(recipes.get("gan"), backend="cupy", random="numpy")


def test_a_run_says_what_drew(tiny_runs, tmp_path):
    runs = {
        random: tiny.start(tmp_path, steps=2, name=str(random), backend="numpy", random=random)[0]
        for random in (None, "numpy", "philox")
    }
    assert [r.read_config().random for r in runs.values()] == ["numpy", "numpy", "philox"]
    losses = {random: run.read_log()[-1]["d_loss"] for random, run in runs.items()}
    assert losses[None] == losses["numpy"] != losses["philox"]
    train.resume(runs["philox"].folder, steps=4, quiet=True)
    whole, _ = tiny.start(tmp_path, steps=4, name="whole", backend="numpy", random="philox")
    assert runs["philox"].read_log()[-1]["d_loss"] == whole.read_log()[-1]["d_loss"]


# Configurations -----------------------------------------------------------------------------


def values(**changes):
    config = train.Config(
        recipe=recipes.get("gan"), data_checksum="", data_shape=(1, 8, 8), data_count=9, steps=1
    )
    return {**config.to_json(), **changes}


def test_runs_of_before_can_be_read():
    older = {k: v for k, v in values().items() if k not in ("random", "tf32")}
    config = train.Config.from_json(older)
    assert (config.random, config.tf32) == ("numpy", False)


@pytest.mark.parametrize(("changes", "message"), [
    ({"backend": "tpu"}, "backend is 'tpu': expected one of numpy, cupy"),
    ({"random": "dice"}, "random is 'dice': expected one of numpy, philox"),
    ({"random": 1}, "random is '1': expected str"),
    ({"tf32": "yes"}, "tf32 is 'yes': expected bool"),
    ({"tf32": True}, "expected false where the backend is numpy"),
    ({"backend": "cupy"}, "on cupy random numbers are drawn by philox"),
    ({"random": "philox", "seed": 2**64}, "takes seeds below 2\\^64"),
])  # fmt: skip
def test_configurations_that_cannot_be(changes, message):
    with pytest.raises(MiniganError, match=message):
        train.Config.from_json(values(**changes))
