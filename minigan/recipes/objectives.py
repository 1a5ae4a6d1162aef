"""Other losses than the logarithms of 2014, with the networks of dcgan-28."""

from __future__ import annotations

from minigan.recipes.dcgan import RADFORD_2016
from minigan.recipes.recipe import Recipe

RECIPES = [
    Recipe(
        name="lsgan",
        summary="LSGAN: the DCGAN for 28x28 images with least squares instead of logarithms",
        # The paper's tasks are 112x112 scenes and Chinese characters, with other networks.
        objective="least-squares",  # Mao et al. 2017, eq. 9
        model="dcgan",
        widths=(128, 64),
        epochs=5,
        **{
            **RADFORD_2016,
            "source": "Mao et al. 2017, eq. 9; networks and optimiser of dcgan-28",
        },
    ),
    Recipe(
        name="wgan",
        summary="WGAN: the DCGAN for 28x28 images, its critic's weights clipped",
        objective="wasserstein",  # Arjovsky et al. 2017, eqs. 2 and 3
        clip=0.01,  # Algorithm 1: c
        d_steps=5,  # Algorithm 1: n_critic ...
        d_steps_more=100,  # ... and, in the released main.py, more at the beginning
        d_steps_first=25,
        d_steps_every=500,
        model="dcgan",
        widths=(128, 64),
        epochs=25,
        **{
            **RADFORD_2016,
            "source": "Arjovsky et al. 2017, Algorithm 1; martinarjovsky/WassersteinGAN, "
            "main.py; networks of dcgan-28",
            "optimizer": "rmsprop",  # section 4: momentum made the critic unstable
            "lr": 5e-5,  # Algorithm 1: alpha
        },
    ),
    Recipe(
        name="hinge",
        summary="The DCGAN for 28x28 images with a margin instead of logarithms",
        objective="hinge",
        model="dcgan",
        widths=(128, 64),
        epochs=5,
        **{
            **RADFORD_2016,
            "source": "Lim & Ye 2017, eq. 4; networks and optimiser of dcgan-28",
        },
    ),
]
