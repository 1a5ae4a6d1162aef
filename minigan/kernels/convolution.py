"""Which algorithm convolves: three ways to the same numbers, and the choice between them.

    direct.py     the definition, compiled: the fastest for depthwise convolutions
    im2col.py     columns and a matrix product: works for everything
    winograd.py   fewer multiplications, for 4x4 kernels with stride 2

On CuPy arrays there is one way, columns and a matrix product: made by a CUDA kernel (cuda.py), or
by whole-array operations where the arrays are float64 (array.py).  The definition as plain loops is
in reference.py.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from minigan.kernels.geometry import Geometry, Pair

# With fewer channels or tiles of 2x2 outputs, Winograd's transforms cost more than they save.
WINOGRAD_CHANNELS, WINOGRAD_TILES = 32, 256

ALGORITHMS = ("auto", "im2col", "winograd", "direct")


def convolve(x: Any, w: Any, geometry: Geometry, algorithm: str = "auto") -> Any:
    """x (N, C, H, W), w (O, C/groups, kh, kw) -> y (N, O, P, Q)

    ``algorithm``, here and below: one of ALGORITHMS.  Raises ValueError for one that is unknown
    or cannot do this geometry.
    """
    if not isinstance(x, np.ndarray):
        return _not_numpys(x, algorithm).convolve(x, w, geometry)
    size = geometry.output_size(x.shape[2:], w.shape[2:])
    return _choose(algorithm, len(x), size, w.shape, geometry).forward(x, w, geometry)


def convolve_input_gradient(
    gy: Any, w: Any, size: Pair, geometry: Geometry, algorithm: str = "auto"
) -> Any:
    """gy (N, O, P, Q), w (O, C/groups, kh, kw), size (H, W) -> gx (N, C, H, W)"""
    if not isinstance(gy, np.ndarray):
        return _not_numpys(gy, algorithm).convolve_input_gradient(gy, w, size, geometry)
    module = _choose(algorithm, len(gy), gy.shape[2:], w.shape, geometry)
    return module.input_gradient(gy, w, size, geometry)


def convolve_weight_gradient(
    x: Any, gy: Any, kernel: Pair, geometry: Geometry, algorithm: str = "auto"
) -> Any:
    """x (N, C, H, W), gy (N, O, P, Q), kernel (kh, kw) -> gw (O, C/groups, kh, kw)"""
    if not isinstance(x, np.ndarray):
        return _not_numpys(x, algorithm).convolve_weight_gradient(x, gy, kernel, geometry)
    w_shape = (gy.shape[1], x.shape[1] // geometry.groups, *kernel)
    module = _choose(algorithm, len(gy), gy.shape[2:], w_shape, geometry)
    return module.weight_gradient(x, gy, kernel, geometry)


def _choose(
    algorithm: str, N: int, size: Pair, w_shape: tuple[int, ...], geometry: Geometry
) -> ModuleType:
    """The module that computes, for N images and outputs of ``size``."""
    _check_name(algorithm)
    # Imported at first use: importing Numba takes longer than minigan.
    from minigan.kernels import direct, im2col, winograd

    outputs, channels, *kernel = w_shape
    tiles = N * ((size[0] + 1) // 2) * ((size[1] + 1) // 2)
    winograd_can = winograd.suits(geometry, kernel)
    if algorithm == "auto":
        if outputs == geometry.groups and channels == 1:
            return direct
        pays = min(outputs, channels) >= WINOGRAD_CHANNELS and tiles >= WINOGRAD_TILES
        return winograd if winograd_can and pays else im2col
    if algorithm == "winograd" and not winograd_can:
        raise ValueError(
            "algorithm 'winograd' is for 4x4 kernels with stride 2, dilation 1 and groups=1, got "
            f"weight {w_shape} with stride {geometry.stride}, dilation {geometry.dilation} and "
            f"groups={geometry.groups}: use 'auto'"
        )
    return {"im2col": im2col, "winograd": winograd, "direct": direct}[algorithm]


def _not_numpys(x: Any, algorithm: str) -> ModuleType:
    """The module that computes on CuPy arrays."""
    _check_name(algorithm)
    if algorithm not in ("auto", "im2col"):
        raise ValueError(f"algorithm {algorithm!r} is for NumPy arrays: use 'auto' on CuPy arrays")
    from minigan.kernels import array, cuda

    return cuda if cuda.suits(x) else array


def _check_name(algorithm: str) -> None:
    if algorithm not in ALGORITHMS:
        raise ValueError(f"no algorithm {algorithm!r}: expected one of {', '.join(ALGORITHMS)}")
