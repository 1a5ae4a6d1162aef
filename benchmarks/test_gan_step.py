"""Whole training steps of the MLP games.

``pytest benchmarks/test_gan_step.py -n 0 --benchmark-only``

Compare figures of one run only.  ``minigan bench gan`` compares with PyTorch in turn, which is
the fairer way; this one is for watching minigan itself.
"""

import pytest
from minigan_bench import _own_step

from minigan import recipes
from minigan.train.setup import data_shape

MLP = [
    name
    for name in recipes.names()
    if not recipes.get(name).widths and not recipes.get(name).is_conditional
]


@pytest.mark.parametrize("name", MLP)
def test_training_step(benchmark, name):
    recipe = recipes.get(name)
    step = _own_step(recipe, data_shape(recipe))
    benchmark.pedantic(step, rounds=60, warmup_rounds=10)
