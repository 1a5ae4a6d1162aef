"""What every number of this package asks of its arrays, with one line when it does not get it."""

from __future__ import annotations

from typing import Any

from minigan.backends import array_module


def check_rows(**arrays: Any) -> None:
    """Each is an array (N, D) of finite floats, N and D at least 1; all of one D and one library.

    >>> import numpy as np
    >>> check_rows(points=np.zeros((3, 2)), samples=np.zeros((0, 2)))
    Traceback (most recent call last):
    ValueError: samples has shape (0, 2): expected (N, D) with at least one row and one column

    Raises TypeError or ValueError, with the array's name.
    """
    first, *others = arrays
    for name, x in arrays.items():
        if not hasattr(x, "dtype") or x.dtype.kind != "f":
            what = getattr(x, "dtype", type(x).__name__)
            raise TypeError(f"{name} is {what}: expected an array of floats (to_float makes them)")
        if x.ndim != 2 or x.size == 0:
            raise ValueError(
                f"{name} has shape {x.shape}: expected (N, D) with at least one row and one column"
            )
        if not array_module(x).isfinite(x).all():
            raise ValueError(f"{name} holds NaN or infinite numbers: expected finite ones")
    for name in others:
        x, y = arrays[first], arrays[name]
        if x.shape[1] != y.shape[1]:
            raise ValueError(
                f"{first} has rows of {x.shape[1]} and {name} of {y.shape[1]}: expected the same"
            )
        if array_module(x) is not array_module(y):
            libraries = f"{array_module(x).__name__} and {name} in {array_module(y).__name__}"
            raise TypeError(f"{first} lies in {libraries}: bring them together first")


def check_pixels(**arrays: Any) -> None:
    """As ``check_rows``, and all numbers lie in [0, 1].

    >>> import numpy as np
    >>> check_pixels(images=np.array([[-1.0, 1.0]]))
    Traceback (most recent call last):
    ValueError: images has pixels from -1 to 1: expected them in [0, 1]
    """
    check_rows(**arrays)
    for name, x in arrays.items():
        low, high = float(x.min()), float(x.max())
        if low < 0 or high > 1:
            raise ValueError(f"{name} has pixels from {low:g} to {high:g}: expected them in [0, 1]")
