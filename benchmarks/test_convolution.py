"""Each convolution of the 64 x 64 DCGAN by itself, beside PyTorch where it is installed:
``pytest benchmarks/test_convolution.py -n 0 --benchmark-only``.

``minigan bench dcgan --only layers`` prints the same in turn, as one table.
"""

import pytest
from minigan_bench import layers

from minigan import recipes

LAYERS = layers.layers(recipes.get("dcgan"))


@pytest.mark.parametrize("side", ["im2col", "winograd", "PyTorch", "PyTorch channels-last"])
@pytest.mark.parametrize("which", layers.PASSES)
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_convolution(benchmark, layer, which, side):
    calls = layers.calls(layer, which)
    if side not in calls:
        pytest.skip(f"{side} is not installed, or not for this kernel and stride")
    benchmark.group = f"{layer}, {which}"
    benchmark.pedantic(calls[side], rounds=8, warmup_rounds=2)
