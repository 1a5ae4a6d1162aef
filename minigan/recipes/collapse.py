"""A G that makes few kinds of samples, and two cures, on mixtures of points."""

from __future__ import annotations

from minigan.recipes.recipe import Recipe

RECIPES = [
    Recipe(
        name="gan-toy",
        summary="PacGAN's plain GAN for points: grid25, or ring8 with --data (no download)",
        source="Lin et al. 2018, section 4.1; fjxmlzn/PacGAN, synthetic_data_experiments: "
        "config.py, pacgan_task.py, bricks.py, num_packing 1",
        model="gan-toy",
        latent_dim=2,
        data="grid25",
        batch_size=100,
        epochs=400,
        updates="simultaneous",  # ali_algorithm: one minibatch, both gradients, then both moves
        optimizer="adam",
        lr=1e-4,
        betas=(0.8, 0.999),
    ),
    Recipe(
        name="pacgan2",
        summary="PacGAN2: gan-toy, whose D judges two points at once (no download)",
        source="Lin et al. 2018, section 4.1; fjxmlzn/PacGAN, synthetic_data_experiments: "
        "config.py, pacgan_task.py, streams.py, bricks.py, num_packing 2",
        model="gan-toy",
        pack=2,
        latent_dim=2,
        data="grid25",
        # streams.py: 100 packs, which are 200 points.  G sees them as one batch here and as
        # two of 100 there, each with its own batch statistics.
        batch_size=200,
        epochs=800,  # datasets.py: an epoch is 100,000 packs, here points; the same steps
        updates="simultaneous",
        optimizer="adam",
        lr=1e-4,
        betas=(0.8, 0.999),
    ),
    Recipe(
        name="unrolled",
        summary="Unrolled GAN: G looks 5 updates of D ahead; ring8 (no download)",
        source="Metz et al. 2017, section 2; poolio/unrolled_gan, Unrolled GAN demo.ipynb, "
        "whose networks and settings, as it says, are not those of the paper's appendix",
        model="gan-tanh",
        latent_dim=256,  # z_dim; Normal
        data="ring8",  # sample_mog: radius 1, deviation 0.01 (there one mode stands for two)
        batch_size=512,
        epochs=128,  # max_iter: 25,000
        objective="minimax",  # -unrolled_loss: the value of the game itself
        updates="unrolled",
        unroll=5,  # unrolling_steps
        optimizer="adam",
        lr=1e-3,  # gen_learning_rate
        d_lr=1e-4,  # disc_learning_rate
        betas=(0.5, 0.999),  # beta1; Keras' beta2
    ),
]
