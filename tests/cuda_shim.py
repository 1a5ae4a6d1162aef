"""The CUDA kernels compiled for the CPU, and a stand-in for ``cuda.launch`` that runs them.

``cuda.py`` runs as it is, on NumPy arrays; only the start of a kernel is exchanged.  So the grid,
the block and the arguments are checked as well as the kernels' text.
"""

from __future__ import annotations

import ctypes
import math
import re
import subprocess
from pathlib import Path

import numpy as np

from minigan.kernels import cuda

HEADER = Path(__file__).with_name("cuda_shim.h")


def kernel_names(text):
    return re.findall(r"__global__\s+void\s+(\w+)\s*\(", text)


def build(folder, compiler, text=None, flags=()):
    """Compile the kernels (or another text) for the CPU; the path of the shared library."""
    text = cuda.source() if text is None else text
    exports = "\n".join(f"EXPORT({name})" for name in kernel_names(text))
    path, library = folder / "kernels.cpp", folder / "kernels.so"
    path.write_text(f'#include "{HEADER}"\n{text}\n#line 1 "exports"\n{exports}\n')
    command = [compiler, "-std=c++17", "-O0", "-shared", "-fPIC"]
    command += [*flags, str(path), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return library


class Shim:
    """A stand-in for ``cuda.launch``.

    Each array is handed over in a piece of memory of its exact size, so that AddressSanitizer sees
    any index beyond it; ``launches`` notes what was started.  With ``backwards`` the threads of a
    block run from the last to the first.
    """

    def __init__(self, library, backwards=False):
        self.library, self.backwards = ctypes.CDLL(str(library)), backwards
        self.launches = []

    def __call__(self, name, grid, block, *args):
        self.launches.append((name, grid, block))
        check_sizes(grid, block)
        types = getattr(self.library, f"{name}_types")
        types.restype = ctypes.c_char_p
        expected = types().decode().split()
        given = [type_of(a) for a in args]
        assert given == [e.removesuffix("!") for e in expected], f"{name} takes {expected}"
        copies = [exact_copy(a) if isinstance(a, np.ndarray) else None for a in args]
        values = [
            np.asarray(a) if copy is None else np.array(copy.ctypes.data, np.uint64)
            for a, copy in zip(args, copies)
        ]
        pointers = (ctypes.c_void_p * len(args))(*[v.ctypes.data for v in values])
        run = getattr(self.library, f"{name}_run")
        failed = run(triple(grid), triple(block), pointers, int(self.backwards))
        assert not failed, f"{name}: some threads ended while others waited at __syncthreads"
        for a, copy, kind in zip(args, copies, expected):
            if kind.endswith("!"):
                a[...] = copy


def type_of(argument):
    assert isinstance(argument, (np.ndarray, np.generic)), f"{argument!r} has no exact type"
    return str(argument.dtype) + ("*" if isinstance(argument, np.ndarray) else "")


def exact_copy(a):
    """The same values in the same order in memory, with nothing before, between and behind."""
    copy = np.empty_like(a)  # compact, its axes in a's order
    assert is_compact(a), "a kernel takes compact arrays"
    copy[...] = a
    return copy


def is_compact(a):
    """Whether the values fill their stretch of memory; lengths of 1 have no stride."""
    strides = sorted((s, n) for s, n in zip(a.strides, a.shape) if n > 1)
    products = [a.itemsize * math.prod(n for _, n in strides[:i]) for i in range(len(strides))]
    return a.size == 0 or [s for s, _ in strides] == products


def check_sizes(grid, block):
    """What CUDA refuses at a launch."""
    assert all(type(n) is int and n >= 1 for n in (*grid, *block)), (grid, block)
    assert grid[0] < 2**31, grid
    assert all(n < 2**16 for n in grid[1:]), grid
    assert math.prod(block) <= 1024, block


def triple(numbers):
    return (ctypes.c_uint * 3)(*numbers, *[1] * (3 - len(numbers)))
