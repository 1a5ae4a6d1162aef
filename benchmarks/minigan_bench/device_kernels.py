"""Single kernels on the CPU and the GPU, with their share of what the device can do.

A kernel is recorded several times into one graph, so that its own time is measured and not that of
starting it from Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan import backends, kernels
from minigan.errors import first_line
from minigan.kernels import convolution
from minigan.kernels.geometry import Geometry
from minigan_bench.standstill import free, time_blocks
from minigan_bench.timing import Timing

REPEATS = 10  # of a kernel in a graph
LAYER = (64, 32, 128)  # of the DCGAN for 64 x 64 images: C x H x H -> O x H/2 x H/2
WEIGHTS = 3_000_000  # of Adam's arrays
LARGEST = 1024  # images at most: arrays of 256 MiB


def add_kernels(result: dict[str, Any], backend: str, batch: int, budget: float) -> None:
    """Time every kernel on batches of that size, into ``result["kernels"]``."""
    peaks = result["peaks"][backend]
    for name, size, make, flop, moved in _kernels(batch):
        try:
            call = make()
            timing, is_recorded = _time_kernel(call, backend, budget / 10)
        except Exception as error:
            line = first_line(error)
            result["left_out"].append(f"{backend}: kernel {name}, batch {batch}: {line}")
            continue
        finally:
            call = None
            free(backend)
        gflops, gbs = flop / timing.median / 1e9, moved / timing.median / 1e9
        result["kernels"].append({
            "kernel": name, "size": size, "batch": batch, "backend": backend,
            "median_us": 1e6 * timing.median,
            "quartiles_us": [1e6 * timing.low, 1e6 * timing.high],
            "gflops": gflops, "gbs": gbs, "is_recorded": is_recorded,
            "share": max(gflops / peaks["gflops"], gbs / peaks["gbs"]),
        })  # fmt: skip


def _kernels(N: int) -> list[tuple[str, str, Callable[[], Callable[[], object]], float, float]]:
    """(name, size, what makes the call, operations, bytes that must be moved) for batches of N.

    Bytes count each input once and each output once, operations those of the definition."""
    from minigan.functional.linear import product

    some = np.random.default_rng(0).standard_normal(2**20, dtype=np.float32)
    f = 4  # bytes of a float32

    def array(*shape: int) -> Any:
        return backends.xp().asarray(np.resize(some, shape))  # again and again

    def images(C: int, H: int) -> Any:  # channels-last, as the layers hand them on
        return array(N, H, H, C).transpose(0, 3, 1, 2)

    (C, H, O), P, size = LAYER, LAYER[1] // 2, WEIGHTS
    geometry = Geometry((2, 2), (1, 1))
    features = f"{C} x {H} x {H}"
    n = N * C * H * H
    conv = 2.0 * N * P * P * O * C * 16
    conv_bytes = f * (n + N * O * P * P + O * C * 16)

    def channels(call: Callable[..., Any], maps: int) -> Callable[[], Callable[[], object]]:
        def make() -> Callable[[], object]:
            inputs = [images(C, H) for _ in range(maps)]
            vectors = [array(C), abs(array(C)) + 1, array(C), array(C)]
            return lambda: call(*inputs, *vectors)

        return make

    def linear() -> Callable[[], object]:
        x, w, y = array(N, 784), array(1024, 784), array(N, 1024)
        return lambda: product(x, w.T, out=y)

    def forward() -> Callable[[], object]:
        x, w = images(C, H), array(O, 4, 4, C).transpose(0, 3, 1, 2)
        return lambda: convolution.convolve(x, w, geometry)

    def input_gradient() -> Callable[[], object]:
        gy, w = images(O, P), array(O, 4, 4, C).transpose(0, 3, 1, 2)
        return lambda: convolution.convolve_input_gradient(gy, w, (H, H), geometry)

    def weight_gradient() -> Callable[[], object]:
        x, gy = images(C, H), images(O, P)
        return lambda: convolution.convolve_weight_gradient(x, gy, (4, 4), geometry)

    def leaky() -> Callable[[], object]:
        x = images(C, H)
        return lambda: kernels.leaky_relu(x, 0.2)

    def bias() -> Callable[[], object]:
        x, b = images(C, H), array(C)
        return lambda: kernels.add_bias_leaky_relu(x, b, 0.2)

    def stats() -> Callable[[], object]:
        x = images(C, H)
        return lambda: kernels.batch_stats(x)

    def grad() -> Callable[[], object]:
        gy, x, sums = images(C, H), images(C, H), array(2, C)
        vectors = [array(C), abs(array(C)) + 1, array(C), array(C)]
        return lambda: kernels.batch_norm_grad(gy, x, *vectors, 0.2, sums)

    def bce() -> Callable[[], object]:
        x, t = array(N, 1), backends.xp().asarray(np.float32(1))
        return lambda: kernels.bce_with_logits(x, t)

    def adam() -> Callable[[], object]:
        p, g, m, v = (abs(array(size)) for _ in range(4))
        clock = backends.xp().zeros(4, np.float64)
        kernels.adam_tick(clock, 0.5, 0.999)
        return lambda: kernels.adam_at(p, g, m, v, clock, 0.5, 0.999, 1e-8, 0.0)

    def normal() -> Callable[[], object]:
        out = array(N, 100)
        return lambda: kernels.fill_normal(out, 1, 2, 3)

    layer = f"{features} -> {O} x {P} x {P}"
    return [
        ("product", "784 -> 1024", linear, 2.0 * N * 784 * 1024, f * (N * 1808 + 784 * 1024)),
        ("convolution", layer, forward, conv, conv_bytes),
        ("conv. input gradient", layer, input_gradient, conv, conv_bytes),
        ("conv. weight gradient", layer, weight_gradient, conv, conv_bytes),
        ("leaky_relu", features, leaky, n, 2 * f * n),
        ("bias + leaky_relu", features, bias, 2 * n, 2 * f * n),
        ("batch_stats", features, stats, 4 * n, f * n),
        ("batch_norm", features,
         channels(lambda *a: kernels.batch_norm(*a, 0.2), 1), 5 * n, 2 * f * n),
        ("batch_norm_sums", features,
         channels(lambda *a: kernels.batch_norm_sums(*a, 0.2), 2), 8 * n, 2 * f * n),
        ("batch_norm_grad", features, grad, 10 * n, 3 * f * n),
        ("bce_with_logits", "1", bce, 5 * N, 2 * f * N),
        ("adam", f"{size:,} weights", adam, 12 * size, 7 * f * size),
        ("normal numbers", "100", normal, 40 * N * 100, f * N * 100),
    ]  # fmt: skip


def _time_kernel(call: Callable[[], object], backend: str, budget: float) -> tuple[Timing, bool]:
    """Seconds a call, and whether it was recorded: without Python's share of the time."""
    if backend == "cupy":
        call()
        try:
            graph, close = _recorded(call)
        except Exception:  # what cannot be recorded is started from Python
            return time_blocks(call, backend, budget), False
        timing = time_blocks(graph, backend, budget)
        close()
        return Timing(*(t / REPEATS for t in (timing.median, timing.low, timing.high))), True
    return time_blocks(call, backend, budget), True


def _recorded(call: Callable[[], object]) -> tuple[Callable, Callable]:
    """The call, REPEATS times, as one graph, and how to free that.

    minigan/train/capture.py says what may be recorded.
    """
    from minigan.train.capture import recording_stream

    cupy = backends.xp()
    stream, pool = recording_stream(cupy), cupy.cuda.MemoryPool()
    backends.synchronize()
    with stream:
        call()  # a cuBLAS handle for this stream
    stream.synchronize()
    kept = []  # results stay: else one call's memory is the next one's, which a graph may reorder
    with stream, cupy.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        try:
            kept += [call() for _ in range(REPEATS)]
        except Exception:
            stream.end_capture()
            raise
        graph = stream.end_capture()

    def close() -> None:
        kept.clear()
        pool.free_all_blocks()  # a pool that is dropped keeps them

    return graph.launch, close
