"""A pytest plugin, active where minigan is installed: the fixture ``gradcheck``.

    def test_my_function(gradcheck):
        gradcheck(my_function, [minigan.tensor(np.array([0.5, -1.0]))])

It loads nothing of minigan before a test asks for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def gradcheck() -> Callable[..., Any]:
    """``minigan.gradcheck`` for the first and second derivative (``order=1`` for the first only).

    The test fails with one line if a derivative is wrong.
    """
    from minigan.gradient_check import gradcheck as check

    return functools.partial(check, order=2)
