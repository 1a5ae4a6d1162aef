"""A penalty on D's gradient, each with the objective and optimiser of its paper."""

from __future__ import annotations

from typing import Any

from minigan.recipes.recipe import Recipe

_GULRAJANI_2017: dict[str, Any] = {
    "objective": "wasserstein",
    "penalty": "wgan-gp",
    "d_steps": 5,  # Algorithm 1: n_critic
    "optimizer": "adam",
    "lr": 1e-4,  # Algorithm 1: alpha ...
    "betas": (0.5, 0.9),  # ... and, in the released code, these; Algorithm 1 has beta1 = 0
    "latent": "normal",  # tf.random_normal
}

RECIPES = [
    Recipe(
        name="wgan-gp",
        summary="WGAN-GP: a critic whose gradient has length 1 between images and fakes",
        source="Gulrajani et al. 2017, eq. 3 and Algorithm 1; igul222/improved_wgan_training, "
        "gan_mnist.py",
        model="wgan-gp",
        widths=(256, 128, 64),  # gan_mnist.py: DIM = 64
        latent_dim=128,  # gan_mnist.py: Generator
        data="mnist",
        split="paper-train",  # tflib/mnist.py: the first 50,000 of the 60,000
        pixel_low=0.0,  # the range of the sigmoid
        batch_size=50,  # gan_mnist.py
        penalty_weight=10.0,  # Algorithm 1: lambda
        epochs=10,  # 2000 steps; gan_mnist.py takes 200,000
        **_GULRAJANI_2017,
    ),
    Recipe(
        name="wgan-gp-toy",
        summary="WGAN-GP for points: grid25, or ring8 with --data (no download)",
        # Its grid has coordinates from -1.4 to 1.4 where PacGAN's, here, go from -4 to 4.
        source="Gulrajani et al. 2017, section 4; igul222/improved_wgan_training, gan_toy.py",
        model="points",
        widths=(512, 512, 512),  # gan_toy.py: DIM = 512
        latent_dim=2,
        data="grid25",
        batch_size=256,
        penalty_weight=0.1,  # gan_toy.py: LAMBDA
        epochs=100,  # 7800 steps; gan_toy.py takes 100,000
        **_GULRAJANI_2017,
    ),
    Recipe(
        name="dragan",
        summary="DRAGAN: a D whose gradient has length 1 around the images",
        source="Kodali et al. 2017; kodalinaveen3/DRAGAN, DRAGAN.ipynb, whose networks are "
        "small MLPs; networks of dcgan-28, D without normalisation",
        model="dcgan",
        widths=(128, 64),
        d_norm="none",
        latent="uniform",  # sample_z: U(-1, 1); here with variance 1
        latent_dim=100,  # z_dim
        batch_size=128,  # mb_size
        penalty="dragan",
        penalty_weight=10.0,  # lambd
        optimizer="adam",
        lr=1e-4,
        betas=(0.5, 0.9),
        epochs=25,  # the notebook takes 200,000 steps
    ),
    Recipe(
        name="r1",
        summary="R1: a D that pays for every slope at the images",
        source="Mescheder et al. 2018, eq. 9; LMescheder/GAN_stability, configs/default.yaml, "
        "for large images; networks of dcgan-28, D without normalisation",
        model="dcgan",
        widths=(128, 64),
        d_norm="none",
        latent="normal",  # z_dist: gauss
        latent_dim=256,
        batch_size=64,
        penalty="r1",
        penalty_weight=10.0,  # gamma
        optimizer="rmsprop",
        lr=1e-4,
        ema=0.999,  # model_average_beta
        epochs=25,
    ),
]
