"""Matrix products on the GPU, through a cuBLAS handle of our own.

CuPy refuses every cuBLAS call while a stream is being captured into a CUDA graph, although cuBLAS
itself can be captured.  So the library is called directly (ctypes), in and outside of a capture
alike: both then run the same kernels and give the same bits.

A handle belongs to one stream and has a workspace of its own, in cuBLAS's order: create, set the
stream, set the workspace (setting the stream takes a workspace away again).  With the library's
default workspace a graph would keep memory that cuBLAS may free or share.

Rows and columns.  cuBLAS stores matrices by columns, NumPy by rows.  The memory of a row-major
(r, c) matrix X whose rows lie ``ld`` elements apart is, read by columns, X^T with leading dimension
``ld``.  So instead of C = A B we ask for

    C^T = B^T A^T        first operand B, second operand A, and C's rows come out as C^T's columns.

An operand that is row-major already reads as its transpose: no flag ("N").  One whose columns lie
together, as those of ``x.T``, reads as itself and is transposed by cuBLAS ("T"): nothing is copied.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np

from minigan import backends
from minigan.errors import MiniganError, first_line

WORKSPACE = 32 * 2**20  # bytes: what NVIDIA recommends for Hopper, and more than others need

# Values of cublas_api.h and library_types.h.
NO_TRANSPOSE, TRANSPOSE = 0, 1  # CUBLAS_OP_N, CUBLAS_OP_T
DEFAULT_ALGORITHM = -1  # CUBLAS_GEMM_DEFAULT
COMPUTE_32F, COMPUTE_32F_TF32, COMPUTE_64F = 68, 77, 70
R_32F, R_64F = 0, 1  # CUDA_R_32F, CUDA_R_64F
STATUS = {
    1: "not initialised",
    3: "out of memory",
    7: "invalid value",
    8: "this GPU lacks the feature",
    11: "memory could not be accessed",
    13: "the kernel failed",
    14: "internal error",
    15: "not supported",
    16: "licence error",
}
_LARGEST = 2**31 - 1  # lengths are C ints

_scalars = {  # C types and constants by dtype; the pointers are read during the call
    np.dtype(np.float32): (R_32F, COMPUTE_32F, ctypes.c_float(1), ctypes.c_float(0)),
    np.dtype(np.float64): (R_64F, COMPUTE_64F, ctypes.c_double(1), ctypes.c_double(0)),
}
_loaded: Any = None
_handles: dict[tuple[int, int], _Handle] = {}  # by device and stream


def takes(a: Any, b: Any) -> bool:
    """Whether ``gemm`` multiplies these arrays: CuPy's matrices, both float32 or both float64."""
    return is_cupys(a) and is_cupys(b) and _fit(a, b)


def is_cupys(array: Any) -> bool:
    """Whether it is an array of CuPy's own, not one that a test has put in its place."""
    return type(array).__module__.partition(".")[0] == "cupy"


def _fit(a: Any, b: Any) -> bool:
    return a.ndim == b.ndim == 2 and a.dtype == b.dtype and a.dtype in _scalars


def gemm(a: Any, b: Any, out: Any = None) -> Any:
    """a @ b for CuPy matrices (n, k) and (k, m) of one dtype, float32 or float64 -> (n, m).

    Transposed and sliced matrices are multiplied where they lie, if their rows or their columns are
    contiguous; others are copied first.  ``out`` may lie in any way, too.

    Factors are rounded to TF32 only if ``backends.use_tf32`` asked for it; a graph that was
    captured keeps the setting it was captured with.

    Raises TypeError or ValueError where the dtypes or shapes do not fit, and MiniganError if cuBLAS
    reports an error, such as a lack of memory.
    """
    import cupy

    if not _fit(a, b) or a.shape[1] != b.shape[0]:
        raise _misfit(a, b)
    n, k, m = *a.shape, b.shape[1]
    if out is not None and (out.shape != (n, m) or out.dtype != a.dtype):
        raise ValueError(
            f"gemm of {a.shape} and {b.shape} {a.dtype} needs an out of shape {(n, m)} {a.dtype}, "
            f"got {out.shape} {out.dtype}"
        )
    if 0 in (n, k, m):
        out = cupy.empty((n, m), a.dtype) if out is None else out
        out.fill(0)  # a sum of no products
        return out
    if out is None:
        return _multiply(a, b, cupy.empty((n, m), a.dtype))
    if _layout(out) is None or _overlap(out, a) or _overlap(out, b):
        out[...] = gemm(a, b)
    elif _layout(out).flag == TRANSPOSE:  # out is stored by columns, so out^T = b^T a^T by rows
        _multiply(b.T, a.T, out.T)
    else:
        _multiply(a, b, out)
    return out


class Layout(NamedTuple):
    """How cuBLAS reads a matrix's memory: the flag that makes it the transpose, and the leading
    dimension."""

    flag: int
    ld: int


def _multiply(a: Any, b: Any, out: Any) -> Any:
    """out = a @ b; no dimension is 0, ``out`` is row-major."""
    import cupy

    operands = []
    for x in (b, a):  # C^T = B^T A^T
        if _layout(x) is None:
            x = cupy.ascontiguousarray(x)
        operands.append((x, *_layout(x)))
    (b, flag_b, ld_b), (a, flag_a, ld_a) = operands
    kind, compute, one, zero = _scalars[out.dtype]
    if compute == COMPUTE_32F and backends.uses_tf32():
        compute = COMPUTE_32F_TF32
    (n, k), m, ld_out = a.shape, b.shape[1], _layout(out).ld
    if max(n, k, m, ld_a, ld_b, ld_out) > _LARGEST:
        raise ValueError(f"gemm: {a.shape} and {b.shape} have more rows or columns than cuBLAS has")
    handle = _handle()
    _check(
        "cublasGemmEx",
        handle.library.cublasGemmEx(
            handle.pointer, flag_b, flag_a, m, n, k,
            ctypes.byref(one), b.data.ptr, kind, ld_b, a.data.ptr, kind, ld_a,
            ctypes.byref(zero), out.data.ptr, kind, ld_out, compute, DEFAULT_ALGORITHM,
        ),
    )  # fmt: skip
    return out


def _layout(x: Any) -> Layout | None:
    """The layout of a matrix, or None if neither its rows nor its columns are contiguous.

    A length of 1 has no stride: whatever NumPy and CuPy say it is, nothing is ever stepped over.
    """
    (r, c), (down, right) = x.shape, x.strides
    size = x.itemsize
    if (c == 1 or right == size) and (r == 1 or (down >= c * size and down % size == 0)):
        return Layout(NO_TRANSPOSE, c if r == 1 else down // size)
    if (r == 1 or down == size) and right >= r * size and right % size == 0:
        return Layout(TRANSPOSE, right // size)
    return None


def _overlap(x: Any, y: Any) -> bool:
    """Whether the stretches of memory from first to last element have a byte in common."""
    (first_x, end_x), (first_y, end_y) = _stretch(x), _stretch(y)
    return first_x < end_y and first_y < end_x


def _stretch(x: Any) -> tuple[int, int]:
    first = end = x.data.ptr
    for length, stride in zip(x.shape, x.strides):
        step = (length - 1) * stride
        first, end = first + min(step, 0), end + max(step, 0)
    return first, end + x.itemsize


def _misfit(a: Any, b: Any) -> Exception:
    given = f"{a.shape} {a.dtype} and {b.shape} {b.dtype}"
    if a.ndim == b.ndim == 2 and a.shape[1] != b.shape[0]:
        return ValueError(f"gemm takes (n, k) and (k, m), got {given}")
    return TypeError(f"gemm takes two matrices, both float32 or both float64, got {given}")


# The library --------------------------------------------------------------------------------


class _Handle:
    """A cuBLAS handle for one stream.  Stream and workspace live as long as the handle, which is
    never destroyed: a graph may still use them."""

    def __init__(self, stream: Any):
        import cupy

        if stream.is_capturing():
            raise RuntimeError("cuBLAS was not used on this stream before its capture: warm up")
        self.library, self.stream = _library(), stream
        self.pointer = ctypes.c_void_p()
        self.workspace = cupy.cuda.alloc(WORKSPACE)
        created = self.library.cublasCreate_v2(ctypes.byref(self.pointer))
        _check("cublasCreate_v2", created)
        _check("cublasSetStream_v2", self.library.cublasSetStream_v2(self.pointer, stream.ptr))
        _check(
            "cublasSetWorkspace_v2",
            self.library.cublasSetWorkspace_v2(self.pointer, self.workspace.ptr, WORKSPACE),
        )


def _handle() -> _Handle:
    """The handle of the current stream; made at its first product."""
    import cupy

    stream = cupy.cuda.get_current_stream()
    key = cupy.cuda.runtime.getDevice(), stream.ptr
    found = _handles.get(key)
    if found is None:
        found = _handles[key] = _Handle(stream)
    return found


def _library() -> Any:
    """cuBLAS with the signatures of the functions that are used; loaded once."""
    global _loaded
    if _loaded is None:
        _loaded = declared(_find())
    return _loaded


def declared(library: Any) -> Any:
    """The library with the C signatures of its functions, so that ctypes passes 64-bit pointers."""
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    matrix = [pointer, integer, integer]  # memory, data type, leading dimension
    signatures = {
        "cublasCreate_v2": [ctypes.POINTER(pointer)],
        "cublasSetStream_v2": [pointer, pointer],
        "cublasSetWorkspace_v2": [pointer, pointer, ctypes.c_size_t],
        # handle, flags, m, n, k, alpha, A, B, beta, C, compute type, algorithm
        "cublasGemmEx": [
            pointer, *[integer] * 5, pointer, *matrix, *matrix, pointer, *matrix, integer, integer
        ],
    }  # fmt: skip
    for name, types in signatures.items():
        function = getattr(library, name)
        function.argtypes, function.restype = types, integer
    return library


def _find() -> Any:
    """The cuBLAS of this installation, or else the one that CuPy has loaded."""
    import cupy

    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
    except Exception as error:  # whatever pathfinder raises (many types): CuPy may know better
        reason = first_line(error)
    try:
        import cupy_backends.cuda.libs.cublas  # noqa: F401  (loads the library)

        major = cupy.cuda.runtime.runtimeGetVersion() // 1000
        return ctypes.CDLL(f"libcublas.so.{major}")  # by name: the one that is loaded
    except (ImportError, OSError):
        raise MiniganError(
            f"cuBLAS was not found ({reason}): run pip install 'minigan[gpu]' (CUDA 12: "
            "[gpu-cuda12]), which brings it"
        ) from None


def _check(function: str, status: int) -> None:
    """MiniganError for a status other than success."""
    if status:
        reason = STATUS.get(status, "unknown error")
        hint = ": use a smaller batch" if status == 3 else ""
        raise MiniganError(f"{function} failed with status {status}, {reason}{hint}")
