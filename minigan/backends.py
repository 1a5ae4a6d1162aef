"""Which array library: NumPy or CuPy.

The array decides where a function runs (``array_module``); the backend flag decides where new
arrays are made (``use_backend``).  Both live in one process, side by side.

Random numbers have two sources.  NumPy's own generator, on the host, is that of the CPU.  The other
is counter-based (Philox): each number is a function of the seed, the step and its place, so it can
be computed where the array lies, without a copy.  It is that of the GPU, and a run on the CPU can
ask for it to draw what the GPU would (``use_random("philox")``).  See :mod:`minigan.draws`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from minigan.errors import MiniganError, first_line

NAMES = ("numpy", "cupy")
CHOICES = ("auto", *NAMES)
RANDOM = ("numpy", "philox")

_current: ModuleType | None = None  # None: MINIGAN_BACKEND has not been read yet
_rng: np.random.Generator = np.random.default_rng()
_random = "numpy"  # what draws on NumPy; on CuPy it is always Philox
_place = [int(_rng.integers(2**63)), 0, 0]  # Philox: seed, step, how many draws were made in it
_tf32 = False


# The library --------------------------------------------------------------------------------


def use_backend(name: str) -> None:
    """Choose where new arrays are made: ``"numpy"``, ``"cupy"``, or ``"auto"`` (CuPy if it works).

    Raises MiniganError when the library, the driver or the GPU is missing, with the cause.

    >>> use_backend("numpy")
    >>> current_backend()
    'numpy'
    """
    global _current
    if name == "auto":
        name = "cupy" if why_unavailable("cupy") is None else "numpy"
    _current = library(name)


def library(name: str) -> ModuleType:
    """The array library of that name; MiniganError, with the cause, if it cannot be used."""
    if name not in NAMES:
        raise MiniganError(f"no backend {name!r}: expected one of {', '.join(CHOICES)}")
    reason = why_unavailable(name)
    if reason is not None:
        raise MiniganError(f"backend {name!r} cannot be used: {reason}")
    return _module(name)


def what_auto_took() -> str:
    """A line for the user: which backend is in use, and why it is not CuPy, if it is not."""
    reason = why_unavailable("cupy")
    return f"backend: {current_backend()}" + (f" (cupy: {reason})" if reason else "")


def default_backend(otherwise: str = "numpy") -> str:
    """The name to use where none was given: ``MINIGAN_BACKEND``, or ``otherwise``."""
    return os.environ.get("MINIGAN_BACKEND") or otherwise


def current_backend() -> str:
    """The name of the backend on which new arrays are made."""
    return xp().__name__


@contextlib.contextmanager
def backend(name: str) -> Iterator[None]:
    """Use another backend inside a ``with`` block.

    >>> with backend("numpy"):
    ...     current_backend()
    'numpy'
    """
    global _current
    before = xp()
    use_backend(name)
    try:
        yield
    finally:
        _current = before


def xp() -> ModuleType:
    """The array library in which new arrays are made (``MINIGAN_BACKEND`` sets the first one)."""
    if _current is None:
        use_backend(default_backend())
    return _current


def array_module(array: Any) -> ModuleType:
    """The library that an array belongs to, so that a function runs where its input lies."""
    return np if isinstance(array, (np.ndarray, np.generic)) else _module("cupy")


def to_numpy(array: Any) -> np.ndarray:
    """The array on the host: itself if it is there, otherwise a copy."""
    return array if isinstance(array, np.ndarray) else array.get()


def moved(array: Any, library: ModuleType) -> Any:
    """The array in a library: itself if it is there, otherwise a copy in the same memory order."""
    if array_module(array) is library:
        return array
    axes = sorted(range(array.ndim), key=lambda i: -array.strides[i])  # slowest first
    compact = array.transpose(axes)  # rows after rows, as both libraries write a copy
    copy = to_numpy(compact) if library is np else library.asarray(compact)
    return copy.transpose([axes.index(i) for i in range(array.ndim)])


def synchronize() -> None:
    """Wait until the device has done all that it was asked to (nothing to wait for on the CPU)."""
    if current_backend() == "cupy":
        xp().cuda.Device().synchronize()


# Why not ------------------------------------------------------------------------------------

INSTALL = "pip install 'minigan[gpu]' (for a driver of CUDA 12: 'minigan[gpu-cuda12]')"


def why_unavailable(name: str) -> str | None:
    """None if the backend works here, otherwise the cause and the fix in one line."""
    global _working
    if name == "numpy":
        return None
    try:
        cupy = _module("cupy")
    except ModuleNotFoundError as error:
        if error.name in ("cupy", None):
            return f"CuPy is not installed; run {INSTALL}"
        return f"CuPy is installed, but its part {error.name} is missing; run {INSTALL}"
    except Exception as error:  # whatever a broken installation raises is the reason
        return f"CuPy is installed, but cannot be imported ({first_line(error)}); run {INSTALL}"
    if cupy is _working:
        return None
    try:
        reason = _missing(cupy.cuda.runtime)
        if reason is None:
            _first_kernel(cupy)
    except Exception as error:  # likewise, whatever CUDA raises
        reason = _explained(first_line(error))
    if reason is None:
        _working = cupy
    return reason


_working: ModuleType | None = None  # CuPy, once it has run a kernel: it is asked once a process


def _missing(runtime: Any) -> str | None:
    """The driver, or one that is new enough, or a GPU."""
    driver, needed = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if driver == 0:
        return "no NVIDIA driver was found; install one, and check it with nvidia-smi"
    if driver // 1000 < needed // 1000:
        return (
            f"this CuPy is for CUDA {_dotted(needed)}, and the driver goes up to CUDA "
            f"{_dotted(driver)}; update the driver, or replace CuPy: {INSTALL}"
        )
    try:
        count = runtime.getDeviceCount()
    except Exception as error:
        if "NoDevice" not in str(error):
            raise
        count = 0
    if count == 0:
        return "the driver sees no NVIDIA GPU; check nvidia-smi and CUDA_VISIBLE_DEVICES"
    return None


def _first_kernel(cupy: ModuleType) -> None:
    """One that is compiled, and a matrix product: they load what CuPy loads late."""
    ones = cupy.ones((2, 2), np.float32)
    (ones @ (ones + 1)).get()


def _explained(reason: str) -> str:
    if "nvrtc" in reason.lower() or "cublas" in reason.lower() or "failed to load" in reason:
        return f"a library of CUDA is missing ({reason}); run {INSTALL}: it brings them"
    return f"a first kernel failed ({reason}); check nvidia-smi, and that CuPy fits the driver"


def _dotted(version: int) -> str:
    """12040 -> 12.4, as in CUDA's own messages."""
    return f"{version // 1000}.{version % 1000 // 10}"


def device() -> dict[str, str]:
    """What CuPy computes on: its version, the GPU and its memory, the driver's CUDA."""
    cupy = library("cupy")
    gpu, runtime = cupy.cuda.Device(), cupy.cuda.runtime
    return {
        "cupy": cupy.__version__,
        "gpu": runtime.getDeviceProperties(gpu.id)["name"].decode(),
        "compute capability": f"{gpu.compute_capability[:-1]}.{gpu.compute_capability[-1]}",
        "gpu memory": f"{gpu.mem_info[1] / 2**30:.0f} GiB",
        "cuda": f"{_dotted(runtime.runtimeGetVersion())}, driver up to "
        f"{_dotted(runtime.driverGetVersion())}",
    }


# TF32 ---------------------------------------------------------------------------------------


def use_tf32(enabled: bool) -> None:
    """Whether the GPU may multiply float32 matrices with 10 bits of mantissa instead of 23.

    Off at first: results then agree with the CPU's to float32.  On, products are several times as
    fast, with relative errors around 1e-3.  Raises MiniganError where the backend is NumPy, which
    has no such mode: asked for and not done would be a silent difference.
    """
    global _tf32
    if enabled and current_backend() != "cupy":
        raise MiniganError(
            "TF32 is a mode of NVIDIA GPUs, and the backend is numpy: leave --tf32 out, or use "
            "--backend cupy"
        )
    if current_backend() == "cupy":  # for the products that CuPy makes; see also kernels/
        linalg = xp()._core._routines_linalg
        kind = linalg.COMPUTE_TYPE_TF32 if enabled else linalg.COMPUTE_TYPE_DEFAULT
        linalg.set_compute_type(np.float32, kind)
    _tf32 = enabled


def uses_tf32() -> bool:
    """Whether ``use_tf32(True)`` was asked for last."""
    return _tf32


# Random numbers -----------------------------------------------------------------------------


def manual_seed(seed: int | tuple[int, int]) -> None:
    """Restart the random numbers, of both sources: a seed, or (seed, step), numbers >= 0.

    The same seed gives the same numbers from the same source.  Raises ValueError for other tuples.

    >>> manual_seed(0)
    >>> a = rng().random()
    >>> manual_seed(0)
    >>> a == rng().random()
    True
    """
    global _rng, _place
    place = list(seed) if isinstance(seed, tuple) else [seed, 0]
    if len(place) != 2:
        raise ValueError(f"expected a seed, or a pair (seed, step), got {seed}")
    _rng, _place = np.random.default_rng(seed), [*place, 0]


def rng() -> np.random.Generator:
    """NumPy's generator, on the host; what runs on any backend draws with ``minigan.draws``."""
    return _rng


@contextlib.contextmanager
def random_restored() -> Iterator[None]:
    """After the ``with`` block the next random numbers are those that would have come without it,
    even if a seed was set inside."""
    global _rng, _place
    generator, state, place = _rng, _rng.bit_generator.state, list(_place)
    try:
        yield
    finally:
        _rng, _place = generator, place
        _rng.bit_generator.state = state


def use_random(name: str) -> None:
    """Choose what draws on NumPy: ``"numpy"`` (its own generator), or ``"philox"`` (the GPU's)."""
    global _random
    if name not in RANDOM:
        raise MiniganError(f"no random numbers {name!r}: expected one of {', '.join(RANDOM)}")
    _random = name


def current_random() -> str:
    """What draws now: on CuPy always Philox, which alone can draw there without a copy."""
    return "philox" if current_backend() == "cupy" else _random


def next_draw() -> tuple[int, int, int]:
    """Seed, step and number of a draw by Philox; the number counts from 0 in each step."""
    seed, step, number = _place
    _place[2] += 1
    return seed, step, number


def _module(name: str) -> ModuleType:
    if name == "numpy":
        return np
    import cupy

    return cupy
