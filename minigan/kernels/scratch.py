"""Working memory of a thread, kept from call to call.

Columns are needed for the time of one matrix product only.  Memory that is new each time would
have to be cleared by the operating system each time, which costs as much as filling it.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

_of_this_thread = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array with arbitrary contents, valid until this thread asks for ``name`` again."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffers = _of_this_thread.__dict__
    if name not in buffers or buffers[name].size < size:
        buffers[name] = np.empty(size, np.uint8)
    return buffers[name][:size].view(dtype).reshape(shape)
