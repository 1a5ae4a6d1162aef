"""The Numba kernels beside their whole-array twins: ``pytest benchmarks -n 0 --benchmark-only``."""

import numpy as np
import pytest

from minigan.kernels import array, cpu

rng = np.random.default_rng(0)
x, gy = (rng.standard_normal((64, 1024), dtype=np.float32) for _ in range(2))
mean, var = cpu.batch_stats(x)
inv_std = (var + np.float32(1e-5)) ** np.float32(-0.5)
gamma, beta = np.ones_like(mean), np.zeros_like(mean)
slope = 0.2  # of the activation that is part of these kernels
sums = cpu.batch_norm_sums(gy, x, mean, inv_std, gamma, beta, slope)
p, g, m, v = (rng.random(2_000_000, dtype=np.float32) for _ in range(4))

CALLS = {
    "leaky_relu": (x, 0.2),
    "leaky_relu_grad": (gy, x, 0.2),
    "batch_stats": (x,),
    "batch_norm": (x, mean, inv_std, gamma, beta, slope),
    "batch_norm_sums": (gy, x, mean, inv_std, gamma, beta, slope),
    "batch_norm_grad": (gy, x, mean, inv_std, gamma, beta, slope, sums),
    "adam": (p, g, m, v, 2e-4, 0.5, 0.999, 1e-8, 0.0, 1),
}


@pytest.mark.parametrize("twin", [cpu, array], ids=["numba", "whole-array"])
@pytest.mark.parametrize("name", CALLS)
def test_kernel(benchmark, name, twin):
    benchmark.group = name
    benchmark(getattr(twin, name), *CALLS[name])
