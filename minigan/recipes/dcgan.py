"""The DCGANs of Radford et al. 2016, for three sizes of images."""

from __future__ import annotations

from typing import Any

from minigan.recipes.recipe import Recipe

RADFORD_2016: dict[str, Any] = {
    "source": "Radford et al. 2016, sections 3 and 4 and Figure 1; soumith/dcgan.torch, main.lua: "
    "widths, 4x4 kernels, batch 64 (the paper's section 4: 128), normal z (Figure 1: uniform)",
    "latent": "normal",  # main.lua: noise = 'normal'
    "latent_dim": 100,  # Figure 1
    "pixel_low": -1.0,  # section 4: the range of tanh
    "pixel_high": 1.0,
    "batch_size": 64,  # main.lua; section 4: 128
    "optimizer": "adam",
    "lr": 2e-4,  # section 4: the suggested 0.001 was too high ...
    "betas": (0.5, 0.999),  # ... and 0.9 made training oscillate
}

RECIPES = [
    Recipe(
        name="dcgan",
        summary="DCGAN for 64x64 images, grey or colour",
        model="dcgan",
        widths=(512, 256, 128, 64),
        image_size=64,
        epochs=3,
        **RADFORD_2016,
    ),
    Recipe(
        name="dcgan-28",
        summary="DCGAN with two floors, for 28x28 images such as MNIST",
        model="dcgan",
        widths=(128, 64),  # the two floors of the 64x64 networks that are nearest to the image
        epochs=5,
        **RADFORD_2016,
    ),
    Recipe(
        name="dcgan-32",
        summary="DCGAN with three floors, for 32x32 images",
        model="dcgan",
        widths=(256, 128, 64),
        image_size=32,
        epochs=5,
        **RADFORD_2016,
    ),
]
