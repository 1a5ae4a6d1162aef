"""Timing what goes on while Python goes on: from one standstill of the device to the next."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable

import numpy as np

from minigan import backends
from minigan_bench.timing import Timing

BLOCKS = 15  # timed blocks of a side, fewer if the budget does not last
BLOCK = {"numpy": 1, "cupy": 20}  # calls between two standstills, at most
BLOCK_SECONDS = 0.1  # enough for one: beside slow calls the standstill itself does not count
PEAK = {"numpy": (2048, 2**26), "cupy": (8192, 2**30)}  # side of a product, bytes of a copy


def time_blocks(step: Callable[[], object], backend: str, budget: float) -> Timing:
    """Seconds a step: medians of blocks, from standstill to standstill."""

    def block(count: int) -> float:
        wait(backend)
        start = time.perf_counter()
        for _ in range(count):
            step()
        wait(backend)
        return (time.perf_counter() - start) / count

    began = time.perf_counter()
    block(1)  # compiles, and finds its memory
    count = max(1, min(BLOCK[backend], int(BLOCK_SECONDS / block(1))))
    seconds = []
    while len(seconds) < BLOCKS and (len(seconds) < 2 or time.perf_counter() - began < budget / 2):
        seconds.append(block(count))
    return Timing.of(seconds)


def wait(backend: str) -> None:
    """Until the device has done all that it was asked to."""
    if backend == "cupy":
        backends.synchronize()  # of the whole device, so of PyTorch's streams too


def free(backend: str) -> None:
    """Give back what pools keep, so that one side does not take the next one's memory."""
    import gc

    gc.collect()
    if backend == "cupy":
        backends.xp().get_default_memory_pool().free_all_blocks()
        if importlib.util.find_spec("torch") is not None:
            import torch

            torch.cuda.empty_cache()


def peaks(backend: str) -> dict[str, float]:
    """The rates that kernels are compared with, measured: a large product and a large copy."""
    from minigan.functional.linear import product

    side, size = PEAK[backend]
    xp = backends.xp()
    a, b, out = (xp.ones((side, side), np.float32) for _ in range(3))
    gflops = 2e-9 * side**3 / _best(lambda: product(a, b, out=out), backend)
    a = b = out = None
    free(backend)
    x, y = (xp.zeros(size // 4, np.float32) for _ in range(2))

    def copy() -> None:
        y[...] = x

    gbs = 2e-9 * size / _best(copy, backend)
    x = y = None
    free(backend)
    return {"gflops": gflops, "gbs": gbs}


def _best(call: Callable[[], object], backend: str) -> float:
    seconds = []
    for _ in range(6):
        wait(backend)
        start = time.perf_counter()
        call()
        wait(backend)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
