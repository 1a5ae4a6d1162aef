"""The pair of PacGAN's experiments with points of the plane (Lin et al. 2018, section 4.1).

VEEGAN's table (Srivastava et al. 2017) and PacGAN's are about the same two mixtures, but with
other networks, and these alone move a plain GAN on the ring from 1 mode to 6.3 of 8.  So whoever
counts modes says with which networks: these are PacGAN's, as in its released code.

G: z (N, latent) -> points (N, n): four hidden layers of 400 units, batch normalisation and ReLU.
D: points (N, n) -> logits (N, 1): three layers of maxout, 200 units of 5 pieces.
"""

from __future__ import annotations

from minigan import nn
from minigan.errors import MiniganError
from minigan.models.gan import Discriminator, Generator


def gan_toy(shape: tuple[int, ...], latent_dim: int) -> tuple[Generator, Discriminator]:
    """PacGAN's networks for points; all weights ~ N(0, 0.02^2), all biases 0.

    A hidden layer of G has no bias of its own, batch normalisation has one; G's last layer is
    linear.  Nothing is scaled: D sees the points as they are.

    Args:
        shape: (n,), the dimension of a point.

    Raises MiniganError for images.

    >>> G, D = gan_toy((2,), 2)
    >>> sum(p.numel() for p in G.parameters()), sum(p.numel() for p in D.parameters())
    (484802, 405201)
    """
    if len(shape) != 1:
        raise MiniganError(
            "the model gan-toy makes points and the data are images: choose another recipe"
        )
    (n,) = shape
    layers: list[nn.Module] = []
    for n_in in (latent_dim, 400, 400, 400):
        layers += [
            nn.Linear(n_in, 400, bias=False),
            # In Blocks, the library of the released code, eps is 1e-4; the code's own running
            # averages take a share of 0.05 from each batch.
            nn.BatchNorm1d(400, eps=1e-4, momentum=0.05),
            nn.ReLU(),
        ]
    G = Generator([*layers, nn.Linear(400, n)], shape)
    D = Discriminator([
        nn.Maxout(n, 200, 5), nn.Maxout(200, 200, 5), nn.Maxout(200, 200, 5), nn.Linear(200, 1),
    ])  # fmt: skip
    for network in (G, D):
        _start(network)
    return G, D


def _start(network: nn.Module) -> None:
    """Weights ~ N(0, 0.02^2), biases 0; gamma = 1 and beta = 0 stay as they are."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
