"""The game of Goodfellow et al. 2014, with today's layers and with the paper's own."""

from __future__ import annotations

from minigan.recipes.recipe import Recipe

RECIPES = [
    Recipe(
        name="gan",
        summary="MLP GAN: LeakyReLU, batch normalisation, Adam (no download: glyphs)",
        source="Goodfellow et al. 2014, Algorithm 1; Adam's lr and betas: Radford et al. 2016, "
        "section 4; widths: the common MLP tutorial GAN",
        model="gan",
        epochs=5,  # on glyphs: two minutes on two cores, and digits that can be read
    ),
    Recipe(
        name="gan-relu",
        summary="MLP GAN of plain ReLU layers, without any normalisation",
        source="Goodfellow et al. 2014, Algorithm 1; Adam: Radford et al. 2016, section 4",
        model="gan-relu",
    ),
    Recipe(
        name="gan-paper",
        summary="The 2014 paper's own networks: maxout, dropout, SGD with momentum",
        source="Goodfellow et al. 2014; goodfeli/adversarial: mnist.yaml, __init__.py, sgd.py",
        model="gan-paper",
        latent="uniform",  # mnist.yaml: U(-sqrt 3, sqrt 3)^100
        data="mnist",
        split="paper-train",  # train[0:50000]
        pixel_low=0.0,
        batch_size=100,
        epochs=250,  # the released code has no stopping rule; its momentum ramp ends here
        d_scale=0.5,  # __init__.py: half the sum of the two terms
        updates="simultaneous",  # __init__.py: one minibatch, both gradients, then both moves
        optimizer="sgd",
        # sgd.py: lr_t = .1 / 1.000004^t, at least 1e-6.  There the velocity holds lr times the
        # gradient, here (as in PyTorch) lr is applied to the velocity: the same while lr
        # hardly changes from step to step.
        lr=0.1,
        lr_decay=1.000004,
        lr_floor=1e-6,
        momentum=0.5,  # mnist.yaml: .5 -> .7 over epochs 1 to 250; here it moves every step
        momentum_end=0.7,
        momentum_epochs=250,
    ),
]
