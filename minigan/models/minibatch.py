"""What a D sees of the batch as a whole, before its last layer: ``d_minibatch`` of a recipe."""

from __future__ import annotations

from minigan import nn

# openai/improved-gan, train_cifar_minibatch_discrimination.py and nn.py: measures, and dimensions
# of each.
NUM_KERNELS, DIM_PER_KERNEL = 100, 5
GROUP_SIZE = 4  # Karras et al. 2018, released code


def minibatch_layers(d_minibatch: str, features: int) -> tuple[list[nn.Module], int]:
    """The layers before D's last one, and how many features (of images channels) they append.

    Args:
        d_minibatch: "none", "discrimination" or "stddev", see ``minigan.nn.minibatch``.
        features: of one image, all pixels' together.

    >>> minibatch_layers("stddev", 200)
    ([MinibatchStdDev(group_size=4)], 1)
    """
    if d_minibatch == "discrimination":
        return [nn.MinibatchDiscrimination(features, NUM_KERNELS, DIM_PER_KERNEL)], NUM_KERNELS
    return ([nn.MinibatchStdDev(GROUP_SIZE)], 1) if d_minibatch == "stddev" else ([], 0)
