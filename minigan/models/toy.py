"""Pairs of experiments with points of the plane, where every mode can be counted.

    gan-toy     PacGAN's (Lin et al. 2018, section 4.1)
    gan-tanh    those of unrolled GANs' released notebook (Metz et al. 2017)

VEEGAN's table (Srivastava et al. 2017) and PacGAN's are about the same two mixtures, but with
other networks, and these alone move a plain GAN on the ring from 1 mode to 6.3 of 8.  So whoever
counts modes says with which networks.

G: z (N, latent) -> points (N, n).
    gan-toy     four hidden layers of 400 units, batch normalisation and ReLU
    gan-tanh    two hidden layers of 128 units, tanh
D: points (N, n) -> logits (N, 1).
    gan-toy     three layers of maxout, 200 units of 5 pieces
    gan-tanh    two hidden layers of 128 units, tanh
"""

from __future__ import annotations

from minigan import nn
from minigan.errors import MiniganError
from minigan.models.gan import Discriminator, Generator
from minigan.models.minibatch import minibatch_layers


def gan_toy(
    shape: tuple[int, ...], latent_dim: int, *, d_minibatch: str = "none"
) -> tuple[Generator, Discriminator]:
    """PacGAN's networks for points; all weights ~ N(0, 0.02^2), all biases 0.

    A hidden layer of G has no bias of its own, batch normalisation has one; G's last layer is
    linear.  Nothing is scaled: D sees the points as they are.

    Args:
        shape: (n,), the dimension of a point.
        d_minibatch: what D sees of the batch as a whole, see ``minigan.models.minibatch``.

    Raises MiniganError for images.

    >>> G, D = gan_toy((2,), 2)
    >>> sum(p.numel() for p in G.parameters()), sum(p.numel() for p in D.parameters())
    (484802, 405201)
    """
    (n,) = _point("gan-toy", shape)
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
    of_batch, more = minibatch_layers(d_minibatch, 200)
    D = Discriminator([
        nn.Maxout(n, 200, 5), nn.Maxout(200, 200, 5), nn.Maxout(200, 200, 5),
        *of_batch, nn.Linear(200 + more, 1),
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


def gan_tanh(shape: tuple[int, ...], latent_dim: int) -> tuple[Generator, Discriminator]:
    """The networks of the notebook released with unrolled GANs (poolio/unrolled_gan).

    Weights are orthogonal with gain 1.4, all biases 0.  The notebook says that its networks are not
    those of the paper.

    Args:
        shape: (n,), the dimension of a point.

    Raises MiniganError for images.

    >>> G, D = gan_tanh((2,), 256)
    >>> sum(p.numel() for p in G.parameters()), sum(p.numel() for p in D.parameters())
    (49666, 17025)
    """
    (n,) = _point("gan-tanh", shape)
    G = Generator(_tanh_layers(latent_dim, n), shape)
    D = Discriminator(_tanh_layers(n, 1))
    for parameter in [*G.parameters(), *D.parameters()]:
        if parameter.ndim > 1:
            nn.init.orthogonal_(parameter, 1.4)
        else:
            nn.init.zeros_(parameter)
    return G, D


def _tanh_layers(n_in: int, n_out: int) -> list[nn.Module]:
    return [
        nn.Linear(n_in, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh(), nn.Linear(128, n_out)
    ]  # fmt: skip


def _point(model: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape; MiniganError unless it is that of a point."""
    if len(shape) != 1:
        raise MiniganError(
            f"the model {model} makes points and the data are images: choose another recipe"
        )
    return shape
