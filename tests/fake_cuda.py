"""What a GPU machine has and a test machine has not: cuBLAS, and streams, graphs, pools of CuPy.

Arrays are NumPy arrays with a ``data.ptr``.  The fake cuBLAS is called through ctypes with the C
signature of its header, as the real one is, and multiplies matrices stored by columns.
"""

from __future__ import annotations

import ctypes
import types

import numpy as np


class DeviceArray(np.ndarray):
    """A NumPy array with as much of CuPy's interface as products need."""

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self.ctypes.data, device_id=0)


def on_device(array):
    """A view that looks like a CuPy array."""
    return np.asarray(array).view(DeviceArray)


# cuBLAS -------------------------------------------------------------------------------------

_int, _pointer = ctypes.c_int, ctypes.c_void_p


class FakeCublas:
    """A cuBLAS that works on host memory and notes its calls.

    Attributes:
        calls: the names of the functions called, in order.
        computed: the compute types that products asked for.
        fails: a status by function name, returned instead of working.
    """

    def __init__(self):
        self.calls, self.computed, self.fails = [], [], {}
        self.state = {}  # by handle: stream and workspace
        self._export("cublasCreate_v2", self._create, _pointer)
        self._export("cublasSetStream_v2", self._set_stream, _pointer, _pointer)
        self._export(
            "cublasSetWorkspace_v2", self._set_workspace, _pointer, _pointer, ctypes.c_size_t
        )
        self._export(
            "cublasGemmEx", self._gemm, _pointer, _int, _int, _int, _int, _int,
            _pointer, _pointer, _int, _int, _pointer, _int, _int,
            _pointer, _pointer, _int, _int, _int, _int,
        )  # fmt: skip

    def _export(self, name, function, *types_):
        def entry(*arguments):
            self.calls.append(name)
            return self.fails.get(name) or function(*arguments)

        setattr(self, name, ctypes.CFUNCTYPE(_int, *types_)(entry))

    def _create(self, result):
        handle = 0x7F0000000000 + 16 * len(self.state)  # as long as a real pointer
        self.state[handle] = {"stream": None, "workspace": None}
        ctypes.cast(result, ctypes.POINTER(_pointer))[0] = handle
        return 0

    def _set_stream(self, handle, stream):
        self.state[handle].update(stream=stream, workspace=None)  # the default workspace again
        return 0

    def _set_workspace(self, handle, memory, size):
        if memory % 256:
            return 7
        self.state[handle]["workspace"] = (memory, size)
        return 0

    def _gemm(self, handle, op_a, op_b, m, n, k, alpha, a, type_a, ld_a, b, type_b, ld_b,
              beta, c, type_c, ld_c, compute, algorithm):  # fmt: skip
        """C = alpha op(A) op(B) + beta C by columns; op(A): (m, k), op(B): (k, n), C: (m, n)."""
        if self.state[handle]["workspace"] is None or algorithm != -1:
            return 14
        compute_types = {0: (68, 77), 1: (70,)}
        if not type_a == type_b == type_c or compute not in compute_types[type_c]:
            return 7
        dtype, scalar = [(np.float32, ctypes.c_float), (np.float64, ctypes.c_double)][type_c]
        rows_a, columns_a = (m, k) if op_a == 0 else (k, m)
        rows_b, columns_b = (k, n) if op_b == 0 else (n, k)
        if min(m, n, k) < 0 or ld_a < max(1, rows_a) or ld_b < max(1, rows_b) or ld_c < max(1, m):
            return 7
        self.computed.append(compute)
        A = _by_columns(a, rows_a, columns_a, ld_a, dtype)
        B = _by_columns(b, rows_b, columns_b, ld_b, dtype)
        C = _by_columns(c, m, n, ld_c, dtype)
        alpha, beta = (ctypes.cast(x, ctypes.POINTER(scalar))[0] for x in (alpha, beta))
        if beta == 0:  # what C held is not read, and a factor that lies there is lost
            C[...] = np.nan
        product = alpha * ((A if op_a == 0 else A.T) @ (B if op_b == 0 else B.T))
        C[...] = product if beta == 0 else product + beta * C
        return 0


def _by_columns(pointer, rows, columns, ld, dtype):
    """The matrix whose element (i, j) lies at pointer[i + ld j]."""
    size = ld * (columns - 1) + rows
    memory = (ctypes.c_char * (size * np.dtype(dtype).itemsize)).from_address(pointer)
    flat = np.frombuffer(memory, dtype)
    return np.lib.stride_tricks.as_strided(
        flat, (rows, columns), (flat.itemsize, ld * flat.itemsize)
    )


# CuPy ---------------------------------------------------------------------------------------


class Stream:
    """A stream on which everything happens at once."""

    def __init__(self, cuda, ptr):
        self.cuda, self.ptr, self.capturing = cuda, ptr, False

    def is_capturing(self):
        return self.capturing


class FakeCuda:
    """``cupy.cuda``: one device, a current stream, memory from the host."""

    def __init__(self):
        self.null = Stream(self, 0)
        self.current = self.null
        self.runtime = types.SimpleNamespace(getDevice=lambda: 0, runtimeGetVersion=lambda: 13000)

    def get_current_stream(self):
        return self.current

    def alloc(self, size):
        memory = np.empty(size + 256, np.uint8)
        return types.SimpleNamespace(memory=memory, ptr=-(-memory.ctypes.data // 256) * 256)


def fake_cupy():
    """A module with what ``minigan.kernels.cublas`` uses of CuPy."""
    module = types.ModuleType("cupy")
    module.cuda = FakeCuda()
    module.empty = lambda shape, dtype: on_device(np.full(shape, np.nan, dtype))
    module.ascontiguousarray = lambda x: on_device(np.array(x, order="C"))
    return module
