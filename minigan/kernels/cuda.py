"""The kernels in CUDA: what runs on CuPy's float32 arrays.

The kernels themselves are the ``.cu`` files beside this one: read as text, compiled once by CuPy
(RawModule), started by ``launch``.  Here is what surrounds them: shapes, memory order, and how many
threads.  A kernel gets compact arrays and their sizes; it checks every index against a size.

Memory is channels-last, as in im2col.py: images (N, C, H, W) are rows of C channels, neighbours in
memory, and so is what comes out of a convolution.  No layer then has to turn its input around.

Few arrays are ever as large as 2^31 values; those go to array.py, and indices here are 32 bits.
"""

from __future__ import annotations

import functools
import math
from importlib import resources
from typing import Any

import numpy as np

from minigan.backends import array_module
from minigan.kernels import cublas

# No kernels of our own: one CuPy operation each, or outside of a training step.
from minigan.kernels.array import (  # noqa: F401
    log_sum_exp,
    max_pool,
    max_pool_put,
    max_pool_take,
    resample,
    tanh,
)
from minigan.kernels.geometry import Geometry, Pair
from minigan.kernels.philox import check_key

FILES = (  # in this order: channel_sums has what the next two share
    "activations",
    "bias",
    "channel_sums",
    "batch_stats",
    "batch_norm",
    "loss",
    "adam",
    "im2col",
    "col2im",
    "philox",
)
OPTIONS = ("-std=c++14",)

THREADS = 256  # in a block
BLOCKS = 4096  # at most: more than fit on a GPU at once; the loops in the kernels do the rest
LARGEST = 2**31  # values of an array: below, an index and one more round of threads fit 32 bits
COLUMN_BYTES = 256 * 2**20  # of columns at a time: enough to fill a GPU, little of its memory


def suits(array: Any, dtype: type = np.float32) -> bool:
    """Whether this is the module for an array: CuPy's, float32, of fewer than 2^31 values."""
    return cublas.is_cupys(array) and array.dtype == dtype and array.size < LARGEST


# Compiling and starting -----------------------------------------------------------------------


def source() -> str:
    """The text of all kernels, as it is compiled."""
    folder = resources.files("minigan.kernels")
    texts = [(folder / f"{name}.cu").read_text(encoding="utf-8") for name in FILES]
    # An error of the compiler then names the file and its line.
    return "\n".join(f'#line 1 "{name}.cu"\n{text}' for name, text in zip(FILES, texts))


@functools.cache
def _compiled() -> Any:
    import cupy

    return cupy.RawModule(code=source(), options=OPTIONS)


@functools.cache
def _kernel(name: str) -> Any:
    return _compiled().get_function(name)


def launch(name: str, grid: tuple[int, ...], block: tuple[int, ...], *args: Any) -> None:
    """Start a kernel on the current stream.

    ``args`` are compact arrays and NumPy scalars of the exact types of the kernel's parameters.
    All launches pass through here: the tests put the kernels compiled for the CPU in its place.
    """
    _kernel(name)(grid, block, args)


def _start(name: str, n: int, *args: Any) -> None:
    """A kernel with one thread for each of n values; n is also its last argument."""
    if n:
        launch(name, (min(-(-n // THREADS), BLOCKS),), (THREADS,), *args, np.uint32(n))


# Memory order -----------------------------------------------------------------------------------


def _in_order_of(y: Any, x: Any) -> Any:
    """x with its values in memory as in the compact y: x itself, or a copy."""
    if x.strides == y.strides:
        return x
    copy = array_module(x).empty_like(y)
    copy[...] = x
    return copy


def _rows(x: Any) -> Any:
    """(N, C, ...) -> (M, C): a view if the channels come last in memory, otherwise a copy."""
    axes = (0, *range(2, x.ndim), 1)
    return array_module(x).ascontiguousarray(x.transpose(axes)).reshape(-1, x.shape[1])


def _from_rows(rows: Any, x: Any) -> Any:
    """(M, C) -> the shape of x (N, C, ...), a view: channels-last."""
    N, C, *rest = x.shape
    return rows.reshape(N, *rest, C).transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def _channels_last(x: Any) -> Any:
    """(N, C, H, W) -> (N, H, W, C), contiguous: a copy unless the memory is channels-last."""
    return array_module(x).ascontiguousarray(x.transpose(0, 2, 3, 1))


def _channels_first(x: Any) -> Any:
    """(N, H, W, C) -> (N, C, H, W), a view."""
    return x.transpose(0, 3, 1, 2)


# Activations and loss ---------------------------------------------------------------------------


def leaky_relu(x: Any, slope: float) -> Any:
    y = array_module(x).empty_like(x)  # compact, its axes in x's order
    _start("leaky_relu", x.size, _in_order_of(y, x), np.float32(slope), y)
    return y


def leaky_relu_grad(gy: Any, x: Any, slope: float) -> Any:
    gx = array_module(x).empty_like(x)
    gy, x = _in_order_of(gx, gy), _in_order_of(gx, x)
    _start("leaky_relu_grad", x.size, gy, x, np.float32(slope), gx)
    return gx


def sigmoid(x: Any) -> Any:
    y = array_module(x).empty_like(x)
    _start("sigmoid", x.size, _in_order_of(y, x), y)
    return y


def bce_with_logits(x: Any, t: Any) -> Any:
    xp = array_module(x)
    loss = xp.empty(x.shape, x.dtype)
    x, t = xp.ascontiguousarray(x), xp.ascontiguousarray(t)
    _start("bce_with_logits", x.size, x, t, _target_step(t), loss)
    return loss


def bce_with_logits_grad(gl: Any, x: Any, t: Any) -> Any:
    xp = array_module(x)
    gx = xp.empty(x.shape, x.dtype)
    gl, x, t = (xp.ascontiguousarray(a) for a in (gl, x, t))
    _start("bce_with_logits_grad", x.size, gl, x, t, _target_step(t), gx)
    return gx


def _target_step(t: Any) -> np.uint32:
    return np.uint32(0 if t.size == 1 else 1)


# Channels ---------------------------------------------------------------------------------------


def add_bias_leaky_relu(x: Any, bias: Any, slope: float) -> None:
    is_rows = x.transpose(0, *range(2, x.ndim), 1).flags.c_contiguous
    rows, bias = _rows(x), array_module(x).ascontiguousarray(bias)
    C = np.uint32(x.shape[1])
    _start("add_bias_leaky_relu", x.size, rows, bias, np.float32(slope), C)
    if not is_rows:
        x[...] = _from_rows(rows, x)


def batch_stats(x: Any) -> tuple[Any, Any]:
    xp, rows = array_module(x), _rows(x)
    partial, slices = _channel_sums("batch_stats_partial", rows, rows)
    M, C = rows.shape
    mean, var = xp.empty(C, x.dtype), xp.empty(C, x.dtype)
    sizes = np.uint32(M), np.uint32(C)
    launch("batch_stats_total", *_a_thread_each(C), partial, slices, rows, *sizes, mean, var)
    return mean, var


def batch_norm(x: Any, mean: Any, inv_std: Any, gamma: Any, beta: Any, slope: float) -> Any:
    rows, channels = _rows(x), _compact(mean, inv_std, gamma, beta)
    y = array_module(x).empty_like(rows)
    C = np.uint32(x.shape[1])
    _start("batch_norm", x.size, rows, *channels, np.float32(slope), y, C)
    return _from_rows(y, x)


def batch_norm_sums(gy: Any, x: Any, mean: Any, inv_std: Any, gamma: Any, beta: Any,
                    slope: float) -> Any:  # fmt: skip
    gy, rows, channels = _rows(gy), _rows(x), _compact(mean, inv_std, gamma, beta)
    partial, slices = _channel_sums(
        "batch_norm_sums_partial", rows, gy, rows, *channels, np.float32(slope)
    )
    C = x.shape[1]
    sums = array_module(x).empty((2, C), x.dtype)
    inv_std = channels[1]
    launch(
        "batch_norm_sums_total", *_a_thread_each(C), partial, slices, inv_std, np.uint32(C), sums
    )
    return sums


def batch_norm_grad(gy: Any, x: Any, mean: Any, inv_std: Any, gamma: Any, beta: Any, slope: float,
                    sums: Any) -> Any:  # fmt: skip
    gy, rows, channels = _rows(gy), _rows(x), _compact(mean, inv_std, gamma, beta)
    gx, (sums,) = array_module(x).empty_like(rows), _compact(sums)
    inv_M, C = np.float32(1 / max(len(rows), 1)), np.uint32(x.shape[1])
    _start("batch_norm_grad", x.size, gy, rows, *channels, np.float32(slope), sums, inv_M, gx, C)
    return _from_rows(gx, x)


def _compact(*arrays: Any) -> list[Any]:
    return [array_module(a).ascontiguousarray(a) for a in arrays]


CHANNELS, TURNS = 32, 8  # the block of channel_sums.cu
SLICES = 256  # at most: the second kernel adds them one after the other


def _channel_sums(name: str, rows: Any, *args: Any) -> tuple[Any, np.uint32]:
    """The first of the two kernels: two sums of each slice and channel, (2, slices, C) float64."""
    M, C = rows.shape
    across = -(-C // CHANNELS)
    # As many blocks as keep a GPU busy, but eight rows for each thread if there are so many.  The
    # number depends on nothing but the shape: on every GPU the same sums, added in the same order.
    most = min(SLICES, max(1, 1024 // across))
    slice_rows = max(8 * TURNS, -(-M // most))
    slices = max(1, -(-M // slice_rows))  # one, of nothing, if there are no rows: it writes zeros
    partial = array_module(rows).empty((2, slices, C), np.float64)
    sizes = np.uint32(M), np.uint32(C), np.uint32(slice_rows)
    launch(name, (across, slices), (CHANNELS, TURNS), *args, *sizes, partial)
    return partial, np.uint32(slices)


def _a_thread_each(n: int) -> tuple[tuple[int], tuple[int]]:
    """Grid and block for n threads and the rest of the last block."""
    return (-(-n // THREADS),), (THREADS,)


# Adam -------------------------------------------------------------------------------------------


def adam(p: Any, g: Any, m: Any, v: Any, lr: float, beta1: float, beta2: float, eps: float,
         weight_decay: float, t: int) -> None:  # fmt: skip
    step_size, v_scale = lr / (1 - beta1**t), 1 / math.sqrt(1 - beta2**t)
    constants = map(np.float32, (step_size, v_scale, 1 - beta1, 1 - beta2, eps, weight_decay))
    _start("adam", p.size, *_flat(p, g, m, v), *constants)


def adam_tick(state: Any, beta1: float, beta2: float) -> None:
    launch("adam_tick", (1,), (1,), *_flat(state), np.float64(beta1), np.float64(beta2))


def adam_at(p: Any, g: Any, m: Any, v: Any, state: Any, beta1: float, beta2: float, eps: float,
            weight_decay: float) -> None:  # fmt: skip
    constants = map(np.float32, (1 - beta1, 1 - beta2, eps, weight_decay))
    _start("adam_at", p.size, *_flat(p, g, m, v), *_flat(state), *constants)


def _flat(*arrays: Any) -> tuple[Any, ...]:
    """The arrays, which are changed where they lie, so copies would not do."""
    if not all(a.flags.c_contiguous for a in arrays):
        raise ValueError("Adam on the GPU takes contiguous arrays: p, g, m, v and its state")
    return arrays


# Random numbers ---------------------------------------------------------------------------------


def fill_uniform(out: Any, seed: int, step: int, stream: int) -> None:
    _fill("fill_uniform", out, seed, step, stream)


def fill_normal(out: Any, seed: int, step: int, stream: int) -> None:
    _fill("fill_normal", out, seed, step, stream)


def _fill(name: str, out: Any, seed: int, step: int, stream: int) -> None:
    key, counter = check_key(seed, step, stream, out.size)
    drawn = out if out.flags.c_contiguous else array_module(out).empty(out.shape, out.dtype)
    blocks = min(-(-out.size // (4 * THREADS)), BLOCKS)  # a thread makes four numbers
    if out.size:
        words = map(np.uint32, (*key, *counter))
        launch(name, (blocks,), (THREADS,), drawn, *words, np.uint32(out.size))
    if drawn is not out:
        out[...] = drawn


# Convolution: columns and a matrix product, as in im2col.py --------------------------------------


def gemm(a: Any, b: Any, out: Any) -> None:
    """out = a b for matrices; all products of a convolution pass through here."""
    if cublas.takes(a, b):
        cublas.gemm(a, b, out)
    else:  # NumPy's arrays, in the tests
        array_module(a).matmul(a, b, out=out)


def convolve(x: Any, w: Any, geometry: Geometry) -> Any:
    (O, C, *kernel), images, weights = w.shape, _channels_last(x), _channels_last(w)
    P, Q = geometry.output_size(x.shape[2:], kernel)
    y = array_module(x).empty((len(x), P, Q, O), x.dtype)
    K = C * math.prod(kernel)
    for part in _slices(len(x), P * Q * K * x.itemsize):
        rows = y[part].reshape(-1, O)
        for g, outputs in _groups(O, geometry):
            columns = _im2col(images[part], g * C, C, kernel, geometry)
            gemm(columns, weights[outputs].reshape(-1, K).T, rows[:, outputs])
    return _channels_first(y)


def convolve_input_gradient(gy: Any, w: Any, size: Pair, geometry: Geometry) -> Any:
    (O, C, *kernel), gradients, weights = w.shape, _channels_last(gy), _channels_last(w)
    (N, P, Q, _), xp = gradients.shape, array_module(gy)
    gx = xp.empty((N, *size, C * geometry.groups), gy.dtype)
    K = C * math.prod(kernel)
    for part in _slices(N, P * Q * K * gy.itemsize):
        rows = gradients[part].reshape(-1, O)
        for g, outputs in _groups(O, geometry):
            columns = xp.empty((len(rows), K), gy.dtype)
            gemm(rows[:, outputs], weights[outputs].reshape(-1, K), columns)
            _col2im(columns, gx[part], g * C, C, kernel, geometry)
    return _channels_first(gx)


def convolve_weight_gradient(x: Any, gy: Any, kernel: Pair, geometry: Geometry) -> Any:
    images, gradients, xp = _channels_last(x), _channels_last(gy), array_module(x)
    N, P, Q, O = gradients.shape
    C = x.shape[1] // geometry.groups
    K = C * math.prod(kernel)
    gw = xp.zeros((O, K), x.dtype)  # a sum over all positions; 0 if there are no images
    for part in _slices(N, P * Q * K * x.itemsize):
        rows = gradients[part].reshape(-1, O)
        for g, outputs in _groups(O, geometry):
            columns = _im2col(images[part], g * C, C, kernel, geometry)
            total = gw[outputs]
            if part.start == 0:
                gemm(rows[:, outputs].T, columns, total)
            else:
                product = xp.empty_like(total)
                gemm(rows[:, outputs].T, columns, product)
                total += product
    return _channels_first(gw.reshape(O, *kernel, C))


def im2col(x: Any, kernel: Pair, geometry: Geometry) -> Any:
    """(N, C, H, W) -> (N P Q, kh kw C)"""
    return _im2col(_channels_last(x), 0, x.shape[1], kernel, geometry)


def col2im(columns: Any, shape: tuple[int, ...], kernel: Pair, geometry: Geometry) -> Any:
    """(N P Q, kh kw C) -> (N, C, H, W), the shape"""
    N, C, H, W = shape
    x = array_module(columns).empty((N, H, W, C), columns.dtype)
    _col2im(*_compact(columns), x, 0, C, kernel, geometry)
    return _channels_first(x)


def _im2col(images: Any, first: int, C: int, kernel: Pair, geometry: Geometry) -> Any:
    """The columns of channels first .. first + C - 1.  images: (N, H, W, channels), compact"""
    N, H, W, _ = images.shape
    positions = N * math.prod(geometry.output_size((H, W), kernel)) * math.prod(kernel)
    columns = array_module(images).empty((positions // math.prod(kernel), math.prod(kernel) * C),
                                         images.dtype)  # fmt: skip
    numbers = _numbers(images, first, C, kernel, geometry)
    _start_rows("im2col", positions, C, images, columns, np.uint32(positions), *numbers)
    return columns


def _col2im(
    columns: Any, images: Any, first: int, C: int, kernel: Pair, geometry: Geometry
) -> None:
    """Writes channels first .. first + C - 1 of the images."""
    pixels = math.prod(images.shape[:3])
    numbers = _numbers(images, first, C, kernel, geometry)
    # Kernel positions that see one pixel lie so far apart: dilation d and stride s meet again.
    steps = [np.int32(s // math.gcd(s, d)) for s, d in zip(geometry.stride, geometry.dilation)]
    _start_rows("col2im", pixels, C, columns, images, np.uint32(pixels), *numbers, *steps)


def _numbers(
    images: Any, first: int, C: int, kernel: Pair, geometry: Geometry
) -> tuple[np.int32, ...]:
    """H, W, pixel, first, C, P, Q, kh, kw, sh, sw, ph, pw, dh, dw"""
    _, H, W, channels = images.shape
    size = geometry.output_size((H, W), kernel)
    pairs = (size, kernel, geometry.stride, geometry.padding, geometry.dilation)
    return tuple(map(np.int32, (H, W, channels, first, C, *(n for pair in pairs for n in pair))))


def _start_rows(name: str, rows: int, C: int, *args: Any) -> None:
    """A kernel whose blocks are rows of threads, each row for C neighbours in memory."""
    if rows >= LARGEST:
        raise ValueError(f"one image of this convolution has {rows} columns: too large for a GPU")
    width = min(32, 1 << (C - 1).bit_length())  # a power of two, and no wider than needed
    height = THREADS // width
    if rows:
        launch(name, (min(-(-rows // height), BLOCKS),), (width, height), *args)


def _groups(O: int, geometry: Geometry) -> list[tuple[int, slice]]:
    """Each group's number and its output channels."""
    size = O // geometry.groups
    return [(g, slice(g * size, (g + 1) * size)) for g in range(geometry.groups)]


def _slices(N: int, image_bytes: int) -> list[slice]:
    """The images in slices of at most COLUMN_BYTES of columns, but at least one image each."""
    images = max(1, COLUMN_BYTES // max(image_bytes, 1))
    return [slice(start, min(start + images, N)) for start in range(0, N, images)]
