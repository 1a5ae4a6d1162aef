"""The MLP pairs: two fully connected networks playing the game of Goodfellow et al. 2014.

    gan         LeakyReLU, batch normalisation in G, tanh: the MLP GAN of today's tutorials
    gan-relu    plain ReLU, nothing else
    gan-paper   the networks released with the paper: maxout, dropout, sigmoid

G: z (N, latent) -> images (N, C, H, W), or points (N, n) with no squashing at the end.
D: images or points -> logits (N, 1); D(x) of the paper is sigmoid(logit).
"""

from __future__ import annotations

import math

import numpy as np

from minigan import nn
from minigan.autograd import Tensor, no_grad
from minigan.models.minibatch import minibatch_layers

Shape = tuple[int, ...]


class Generator(nn.Module):
    """A stack of layers from z to one flat row per image, then the image's shape."""

    def __init__(self, layers: list[nn.Module], shape: Shape):
        super().__init__()
        self.main = nn.Sequential(*layers)
        self.shape = shape

    def forward(self, z: Tensor) -> Tensor:
        return self.main(z).view(-1, *self.shape)


class Discriminator(nn.Module):
    """The image as one flat row, then a stack of layers down to one logit."""

    def __init__(self, layers: list[nn.Module]):
        super().__init__()
        self.main = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x.flatten(1))


def squash(shape: Shape, activation: nn.Module) -> list[nn.Module]:
    """Pixels are bounded, so the last activation is too; points of the plane are not."""
    return [activation] if len(shape) == 3 else []


def gan(
    shape: Shape, latent_dim: int, *, d_minibatch: str = "none"
) -> tuple[Generator, Discriminator]:
    """G: latent-128-256-512-1024-pixels, D: pixels-512-256-1; pixels in [-1, 1].

    Args:
        d_minibatch: what D sees of the batch as a whole, see ``minigan.models.minibatch``.

    >>> G, D = gan((1, 28, 28), 100)
    >>> sum(p.numel() for p in G.parameters()), sum(p.numel() for p in D.parameters())
    (1510032, 533505)
    """
    pixels = math.prod(shape)
    layers: list[nn.Module] = [nn.Linear(latent_dim, 128), nn.LeakyReLU(0.2)]
    for n_in, n_out in [(128, 256), (256, 512), (512, 1024)]:
        layers += [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.LeakyReLU(0.2)]
    G = Generator([*layers, nn.Linear(1024, pixels), *squash(shape, nn.Tanh())], shape)
    of_batch, more = minibatch_layers(d_minibatch, 256)
    D = Discriminator([
        nn.Linear(pixels, 512), nn.LeakyReLU(0.2),
        nn.Linear(512, 256), nn.LeakyReLU(0.2),
        *of_batch, nn.Linear(256 + more, 1),
    ])  # fmt: skip
    return G, D


def gan_relu(shape: Shape, latent_dim: int) -> tuple[Generator, Discriminator]:
    """G: latent-256-512-1024-pixels and D its mirror, ReLU between; pixels in [-1, 1]."""
    pixels = math.prod(shape)
    G = Generator([
        nn.Linear(latent_dim, 256), nn.ReLU(),
        nn.Linear(256, 512), nn.ReLU(),
        nn.Linear(512, 1024), nn.ReLU(),
        nn.Linear(1024, pixels), *squash(shape, nn.Tanh()),
    ], shape)  # fmt: skip
    D = Discriminator([
        nn.Linear(pixels, 1024), nn.ReLU(),
        nn.Linear(1024, 512), nn.ReLU(),
        nn.Linear(512, 256), nn.ReLU(),
        nn.Linear(256, 1),
    ])  # fmt: skip
    return G, D


def gan_paper(
    shape: Shape, latent_dim: int, data_mean: np.ndarray | None = None
) -> tuple[Generator, Discriminator]:
    """The networks of goodfeli/adversarial's mnist.yaml; pixels in [0, 1].

    G: latent -> ReLU 1200 -> ReLU 1200 -> sigmoid.  W ~ U(-.05, .05), hidden biases 0, and the
    output bias such that G starts from the data's mean: logit(clip(mean, 1e-7, 1 - 1e-7)).
    D: maxout 240 x 5 twice, then one logit; W ~ U(-.005, .005), biases 0.  Dropout stands on the
    *inputs* of D's layers: pixels are kept with probability .8, hidden units with .5.

    Args:
        data_mean: the training images' mean in [0, 1], any shape with as many elements as
            ``shape``; without it the output bias is 0.

    >>> G, D = gan_paper((1, 28, 28), 100)
    >>> sum(p.numel() for p in G.parameters()), sum(p.numel() for p in D.parameters())
    (2503984, 1231441)
    """
    pixels = math.prod(shape)
    G = Generator([
        nn.Linear(latent_dim, 1200), nn.ReLU(),
        nn.Linear(1200, 1200), nn.ReLU(),
        nn.Linear(1200, pixels), *squash(shape, nn.Sigmoid()),
    ], shape)  # fmt: skip
    D = Discriminator([
        nn.Dropout(0.2), nn.Maxout(pixels, 240, 5),
        nn.Dropout(0.5), nn.Maxout(240, 240, 5),
        nn.Dropout(0.5), nn.Linear(240, 1),
    ])  # fmt: skip
    start_as_paper(G, D, G.main[4], shape, data_mean)
    return G, D


def start_as_paper(
    G: nn.Module, D: nn.Module, last: nn.Linear, shape: Shape, data_mean: np.ndarray | None
) -> None:
    """Weights as ``gan_paper`` says; ``last`` is the layer of G that makes the pixels."""
    _uniform(G, 0.05)
    _uniform(D, 0.005)
    if data_mean is not None and len(shape) == 3:
        p = np.clip(data_mean.astype(np.float64).ravel(), 1e-7, 1 - 1e-7)
        with no_grad():
            last.bias.copy_(np.log(p / (1 - p)))


def _uniform(network: nn.Module, bound: float) -> None:
    """Weights uniform in [-bound, bound], biases 0."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.uniform_(parameter, -bound, bound)
        else:
            nn.init.zeros_(parameter)
