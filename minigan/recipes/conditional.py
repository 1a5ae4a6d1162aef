"""Images of a given class, and of a class found without labels."""

from __future__ import annotations

from minigan.recipes.dcgan import RADFORD_2016
from minigan.recipes.recipe import Recipe

RECIPES = [
    Recipe(
        name="cgan",
        summary="Conditional GAN: images of a given class; maxout, dropout, SGD",
        source="Mirza & Osindero 2014, section 4.1; what it leaves open (weights but those "
        "of y, halved loss of D, updates, momentum's ramp): goodfeli/adversarial, mnist.yaml",
        model="cgan",
        latent="cube",  # 4.1: uniform within the unit hypercube
        latent_dim=100,
        data="mnist",
        split="paper-train",  # 4.1: stopped by the likelihood of a validation set
        pixel_low=0.0,  # 4.1: a sigmoid makes the pixels
        batch_size=100,
        epochs=250,
        d_scale=0.5,  # __init__.py: half the sum of the two terms
        updates="simultaneous",  # __init__.py
        optimizer="sgd",
        lr=0.1,
        lr_decay=1.00004,
        lr_floor=1e-6,
        momentum=0.5,
        momentum_end=0.7,
        momentum_epochs=250,  # mnist.yaml; the paper does not say how fast
    ),
    Recipe(
        name="cdcgan-28",
        summary="Conditional DCGAN: 28x28 images of a given class",
        model="cdcgan",
        widths=(128, 64),
        epochs=5,
        **{
            **RADFORD_2016,
            "source": "Radford et al. 2016, networks and optimiser of dcgan-28; labels beside "
            "z and image: Newmu/dcgan_code, train_cond_dcgan.py, there in every layer",
        },
    ),
    Recipe(
        name="acgan-28",
        summary="ACGAN: D also names the class; networks of dcgan-28",
        # The paper's tasks are ImageNet and CIFAR-10, with larger networks.
        model="acgan",
        widths=(128, 64),
        epochs=5,
        **{
            **RADFORD_2016,
            "source": "Odena et al. 2017, section 3, L_S + L_C and L_C - L_S; networks and "
            "optimiser of dcgan-28",
        },
    ),
    Recipe(
        name="infogan-28",
        summary="InfoGAN: a code that D can read off the image, learnt without labels",
        model="infogan",
        widths=(128, 64),
        codes=10,  # Chen et al. 2016, section 7.2: Cat(K = 10, p = 0.1)
        epochs=11,  # 5,148 steps; run_mnist_exp.py: 50 x 100
        **{
            **RADFORD_2016,
            "source": "Chen et al. 2016, eq. 6 with lambda 1, section 7.2, of whose codes the "
            "categorical one; openai/InfoGAN, run_mnist_exp.py; networks of dcgan-28",
            "latent": "uniform",  # Uniform(62): U(-1, 1), here with variance 1
            "latent_dim": 62,
            "batch_size": 128,
            "lr": 1e-3,  # generator_learning_rate
            "d_lr": 2e-4,  # discriminator_learning_rate
        },
    ),
]
