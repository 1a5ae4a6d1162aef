"""What a GPU machine has and a test machine has not: cuBLAS, and streams, graphs, pools of CuPy.

Arrays are NumPy arrays with a ``data.ptr``.  The fake cuBLAS is called through ctypes with the C
signature of its header, as the real one is, and multiplies matrices stored by columns.
"""

from __future__ import annotations

import contextlib
import ctypes
import types

import numpy as np


class DeviceArray(np.ndarray):
    """A NumPy array with as much of CuPy's interface as products need."""

    __module__ = "cupy"

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


def fake_cupy():
    """A module with what ``minigan.kernels.cublas`` uses of CuPy."""
    module = types.ModuleType("cupy")
    module.cuda = Cuda()
    module.empty = lambda shape, dtype: on_device(np.full(shape, np.nan, dtype))
    module.ascontiguousarray = lambda x: on_device(np.array(x, order="C"))
    return module


class Cuda:
    """``cupy.cuda``: one device, streams on which everything happens at once, graphs, pools.

    Attributes:
        log: what was called, in order.
        step: the CapturedStep that is being recorded; ``recording`` sets it.
    """

    def __init__(self):
        self.log = []
        self.null = Stream(self, ptr=0)
        self.current = self.null
        self.allocator = None
        self.step = None
        self.runtime = types.SimpleNamespace(
            getDevice=lambda: 0, getDeviceCount=lambda: 1,
            driverGetVersion=lambda: 13000, runtimeGetVersion=lambda: 13000,
            getDeviceProperties=lambda number: {"name": b"no GPU, but NumPy"},
        )  # fmt: skip

    def get_current_stream(self):
        return self.current

    def alloc(self, size):
        memory = np.empty(size + 256, np.uint8)
        return types.SimpleNamespace(memory=memory, ptr=-(-memory.ctypes.data // 256) * 256)

    def Stream(self, non_blocking=False):
        self.log.append(f"Stream(non_blocking={non_blocking})")
        return Stream(self, ptr=0x5000 + 16 * len(self.log))

    def MemoryPool(self):
        self.log.append("MemoryPool")
        return Pool(self)

    @contextlib.contextmanager
    def using_allocator(self, allocator):
        self.log.append("own pool")
        before, self.allocator = self.allocator, allocator
        try:
            yield
        finally:
            self.log.append("shared pool")
            self.allocator = before


@contextlib.contextmanager
def recording(cuda):
    """Inside the block steps are recorded by this ``cupy.cuda``."""
    from minigan.train import capture

    play = capture.CapturedStep._play

    def noting(step):
        cuda.step = step
        play(step)

    capture.CapturedStep._play = noting
    capture.recording_stream.cache_clear()
    try:
        yield
    finally:
        capture.CapturedStep._play = play
        capture.recording_stream.cache_clear()


class Pool:
    def __init__(self, cuda, name=""):
        self.cuda, self.name = cuda, name

    def malloc(self, size):
        raise AssertionError("the fake never allocates")

    def free_all_blocks(self, stream=None):
        assert not self.cuda.current.is_capturing()
        whose = "" if stream is None else " (stream)"
        self.cuda.log.append(f"{self.name}free_all_blocks{whose}")


class Stream:
    """A stream; while it records, memory stays as it was, as on a GPU that only takes notes."""

    def __init__(self, cuda, ptr):
        self.cuda, self.ptr, self.capturing = cuda, ptr, False

    def __enter__(self):
        self.cuda.log.append("enter")
        self.before, self.cuda.current = self.cuda.current, self
        return self

    def __exit__(self, *_):
        self.cuda.log.append("exit")
        self.cuda.current = self.before

    def synchronize(self):
        if self.capturing:
            raise RuntimeError("cudaErrorStreamCaptureUnsupported")
        self.cuda.log.append("stream.synchronize")

    def is_capturing(self):
        return self.capturing

    def begin_capture(self):
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        assert self.cuda.current is self, "the stream that records must be the current one"
        assert self.cuda.allocator is not None, "a recording needs a pool of its own"
        if self.cuda.step is not None:
            _check_clocks(self.cuda.step)  # a graph would repeat the writing
        self.cuda.log.append("begin_capture")
        self.capturing = True
        self.memory = [(array, array.copy()) for array in _memory(self.cuda.step)]

    def end_capture(self):
        self.cuda.log.append("end_capture")
        self.capturing = False
        for array, copy in self.memory:
            array[...] = copy
        graph, self.cuda.step = Graph(self.cuda), None
        return graph


class Graph:
    """Starts the recorded step: it runs the Python code again, and takes back all that a GPU, which
    runs no Python, would not do."""

    def __init__(self, cuda):
        self.cuda, self.step = cuda, cuda.step
        optimizers = [] if self.step is None else self.step.optimizers  # something else: a kernel
        parameters = [p for o in optimizers for p in o.params if p.grad is not None]
        self.gradients = [(p, p.grad.array) for p in parameters]
        self.settings = [{name: getattr(o, name) for name in o._settings} for o in optimizers]

    def launch(self):
        if self.step is None:
            return
        _check_clocks(self.step)  # a graph would go on from what is there
        self.cuda.log.append("launch")
        host = [(o, o.steps.copy(), o._in_clock) for o in self.step.optimizers]
        with self._recorded_settings():
            self._play()
        for optimizer, steps, in_clock in host:
            optimizer.steps[...], optimizer._in_clock = steps, in_clock
        self.cuda.step = None

    def _play(self):
        versions = [(p._version, p._version[0]) for p, _ in self.gradients]
        self.step._play()
        for p, array in self.gradients:  # always the same memory
            array[...] = p.grad.array
            p.grad = None
        for version, changes in versions:
            version[0] = changes

    @contextlib.contextmanager
    def _recorded_settings(self):
        """Inside the block Python's lr and momentum are what they were when the step was recorded:
        a graph repeats its numbers.  Only what is in the clock is new."""
        optimizers = self.step.optimizers
        now = [{name: getattr(o, name) for name in o._settings} for o in optimizers]
        for optimizer, settings in zip(optimizers, self.settings):
            vars(optimizer).update(_plain(settings), write_clock=lambda: None)
        yield
        for optimizer, settings in zip(optimizers, now):
            vars(optimizer).update(_plain(settings))
            del optimizer.write_clock


def _plain(settings):
    """Settings as attributes, lr past the property that checks it."""
    return {"_lr" if name == "lr" else name: value for name, value in settings.items()}


def _check_clocks(step):
    for optimizer in step.optimizers:
        # Past the strict library, which would count this as waiting for the GPU.
        assert optimizer.clock._a[:2].tolist() == [optimizer.lr, optimizer.steps[0]]


def _memory(step):
    """All arrays that a step changes and that outlive it."""
    if step is None:
        return []
    networks = step.game.G, step.game.D
    return [
        step.losses,
        *(array for o in step.optimizers for array in (o.flat, o.clock)),
        *(getattr(o, name) for o in step.optimizers for name in o._states),
        *(buffer.array for network in networks for buffer in network.buffers()),
    ]
