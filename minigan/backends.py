"""Which array library: NumPy or CuPy.

The array decides where a function runs (``array_module``); the backend flag decides where new
arrays are made (``use_backend``).  Random numbers are always drawn by one NumPy generator on the
host, so that a seed means the same numbers on both backends.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from minigan.errors import MiniganError

NAMES = ("numpy", "cupy")

_current: ModuleType | None = None  # None: MINIGAN_BACKEND has not been read yet
_rng: np.random.Generator = np.random.default_rng()


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
    if name not in NAMES:
        raise MiniganError(f"no backend {name!r}: expected one of auto, {', '.join(NAMES)}")
    reason = why_unavailable(name)
    if reason is not None:
        raise MiniganError(f"backend {name!r} cannot be used: {reason}")
    _current = _module(name)


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
        use_backend(os.environ.get("MINIGAN_BACKEND", "numpy"))
    return _current


def array_module(array: Any) -> ModuleType:
    """The library that an array belongs to, so that a function runs where its input lies."""
    return np if isinstance(array, (np.ndarray, np.generic)) else _module("cupy")


def to_numpy(array: Any) -> np.ndarray:
    """The array on the host: itself if it is there, otherwise a copy."""
    return array if isinstance(array, np.ndarray) else array.get()


def synchronize() -> None:
    """Wait until the device has done all that it was asked to (nothing to wait for on the CPU)."""
    if current_backend() == "cupy":
        xp().cuda.Device().synchronize()


def why_unavailable(name: str) -> str | None:
    """None if the backend works here, otherwise the cause and the fix in one line."""
    if name == "numpy":
        return None
    try:
        cupy = _module("cupy")
    except ImportError:
        return "CuPy is not installed; run pip install 'minigan[gpu]' (CUDA 12: [gpu-cuda12])"
    if not cupy.is_available():
        return "CuPy is installed, but finds no NVIDIA GPU or no driver; check nvidia-smi"
    try:
        cupy.zeros(1).sum()  # one tiny kernel: catches a driver too old for this CuPy
    except Exception as error:  # whatever CUDA raises here is the reason that we report
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return f"a first kernel failed: {reason}"
    return None


def manual_seed(seed: int | tuple[int, ...]) -> None:
    """Restart the random generator; the same seed gives the same numbers on every backend.

    >>> manual_seed(0)
    >>> a = rng().random()
    >>> manual_seed(0)
    >>> a == rng().random()
    True
    """
    global _rng
    _rng = np.random.default_rng(seed)


def rng() -> np.random.Generator:
    """The generator behind ``randn``, ``rand``, dropout masks and initial weights."""
    return _rng


def _module(name: str) -> ModuleType:
    if name == "numpy":
        return np
    import cupy

    return cupy
