"""Whole training steps of the DCGAN.

``pytest benchmarks/test_dcgan_step.py -n 0 --benchmark-only``

Compare figures of one run only.  ``minigan bench dcgan`` compares with PyTorch in turn, which is
the fairer way; this one is for watching minigan itself.
"""

import pytest
from minigan_bench import _own_step

from minigan import recipes


@pytest.mark.parametrize("algorithm", ["auto", "im2col"])
@pytest.mark.parametrize("name", ["dcgan", "dcgan-28", "dcgan-32"])
def test_training_step(benchmark, name, algorithm):
    benchmark.group = name
    recipe = recipes.override(recipes.get(name), {"algorithm": algorithm})
    step = _own_step(recipe, (1, recipe.image_size, recipe.image_size))
    benchmark.pedantic(step, rounds=5, warmup_rounds=2)
