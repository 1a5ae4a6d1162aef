"""Autoencoders, which play no game: the variational one and the plain one."""

from __future__ import annotations

from typing import Any

from minigan.recipes.recipe import Recipe

_VAE: dict[str, Any] = {
    "source": "Kingma & Welling 2014, eq. 10 and appendices B and C.1; pytorch/examples, "
    "vae/main.py: widths, Adam, batch (the paper: 500 tanh units, Adagrad, batch 100)",
    "model": "vae",
    "latent_dim": 20,  # main.py; one of the sizes in the paper's Figure 2
    "data": "mnist",
    "pixel_low": 0.0,  # probabilities of Bernoulli pixels: appendix C.1
    "batch_size": 128,  # main.py; the paper's section 5: 100
    "epochs": 50,  # ours: main.py stops after 10, where the ELBO still rises by nats
    "updates": "together",
    "optimizer": "adam",
    "lr": 1e-3,  # main.py
    "betas": (0.9, 0.999),  # main.py: Adam's own
}

RECIPES = [
    Recipe(
        name="ae",
        summary="Autoencoder: a code of 20 numbers, from which the image comes back",
        objective="reconstruction",
        **{
            **_VAE,
            "model": "ae",
            "source": "Hinton & Salakhutdinov 2006, cross-entropy; networks and optimiser of vae",
        },
    ),
    Recipe(
        name="vae",
        summary="Variational autoencoder: its codes are spread as N(0, I)",
        objective="elbo",  # Kingma & Welling 2014, eqs. 3 and 10
        **_VAE,
    ),
]
