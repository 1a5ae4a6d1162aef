"""DCGAN: two convolutional networks (Radford, Metz & Chintala 2016).

For 64 x 64 pixels and widths 512, 256, 128, 64; C is the number of channels, 1 or 3.  Every
convolution has 4 x 4 kernels and no bias, because the batch normalisation after it has one:

    G     z (N, 100)                                  D     image (N, C, 64, 64)
          seen as        100 x  1 x  1                      4x4, stride 2      64 x 32 x 32
          4x4            512 x  4 x  4  BN, ReLU              LeakyReLU
          4x4, stride 2  256 x  8 x  8  BN, ReLU            4x4, stride 2     128 x 16 x 16
          4x4, stride 2  128 x 16 x 16  BN, ReLU              BN, LeakyReLU
          4x4, stride 2   64 x 32 x 32  BN, ReLU            4x4, stride 2     256 x  8 x  8
          4x4, stride 2    C x 64 x 64  tanh                  BN, LeakyReLU
                                                            4x4, stride 2     512 x  4 x  4
                                                              BN, LeakyReLU
                                                            4x4                 1 x  1 x  1
          image (N, C, 64, 64)                              logit (N, 1)

G's convolutions are transposed ones.  Each width is a floor of the building: G doubles the side
from one to the next, D halves it.  What is left at the top, 4 x 4 here, is the kernel of G's first
and D's last layer, which see nothing else: fully connected layers in the form of a convolution.
So other sizes need other widths only: 256, 128, 64 make 32 x 32 from 4 x 4, and 256, 128 make
28 x 28 from 7 x 7.

The paper's guidelines, section 3:

    no pooling            strided convolutions in D, fractionally strided (transposed) ones in G
    batch normalisation   in both, but not on G's output nor on D's input: on all layers it made
                          samples oscillate and training unstable
    no hidden fully connected layers
    ReLU in G             with tanh at its end
    LeakyReLU in D        with slope 0.2 (section 4)

and section 4: weights from N(0, 0.02^2), pixels in [-1, 1].  The paper's Figure 1 draws twice these
widths and 5 x 5 kernels; 4 x 4 kernels, the widths here and gamma from N(1, 0.02^2) are those of
the code that its authors released for Torch (soumith/dcgan.torch, main.lua: ngf = ndf = 64).
"""

from __future__ import annotations

import itertools

from minigan import nn
from minigan.autograd import Tensor
from minigan.errors import MiniganError
from minigan.models.minibatch import minibatch_layers

WIDTHS = (512, 256, 128, 64)


class Generator(nn.Module):
    """z (N, latent) -> images (N, C, H, W) in (-1, 1)."""

    def __init__(self, layers: list[nn.Module]):
        super().__init__()
        self.main = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        return self.main(z.view(-1, z.shape[1], 1, 1))


class Discriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N, 1); D(x) of the paper is sigmoid(logit)."""

    def __init__(self, layers: list[nn.Module]):
        super().__init__()
        self.main = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x).view(-1, 1)


def dcgan(
    image_shape: tuple[int, ...],
    latent_dim: int = 100,
    widths: tuple[int, ...] = WIDTHS,
    *,
    d_norm: str = "batch",
    d_minibatch: str = "none",
    algorithm: str = "auto",
) -> tuple[Generator, Discriminator]:
    """The pair for images of that shape, with fresh weights.

    Args:
        image_shape: (C, H, W) with H = W = s * 2^len(widths) for a whole s >= 2.
        widths: channels of G's layers from the first, and of D's from the last.
        d_norm: what normalises D's layers: "batch" as in the paper; for a D that pays for its
            gradient (``minigan.penalties``) "none", or "layer", which Gulrajani et al. 2017,
            section 4, recommend then, or "instance".  Without a normalisation after it a
            convolution has a bias.
        d_minibatch: what D sees of the batch as a whole, see ``minigan.models.minibatch``.
        algorithm: of the convolutions, see ``functional.conv2d``.

    Keys of the state dicts are those of the usual PyTorch DCGAN, ``main.0.weight`` and so on, where
    layers without weights count too.  Raises MiniganError if widths and image do not fit.

    >>> G, D = dcgan((1, 64, 64))
    >>> sum(p.numel() for p in G.parameters()), sum(p.numel() for p in D.parameters())
    (3574656, 2763520)
    """
    channels, top = _fit(image_shape, widths)
    between = {"kernel_size": 4, "stride": 2, "padding": 1, "bias": False, "algorithm": algorithm}
    # Winograd's is for stride 2, so it cannot be asked of the first and last layers.
    ends = {"kernel_size": top, "bias": False}
    ends["algorithm"] = "auto" if algorithm == "winograd" else algorithm

    first, last = widths[0], widths[-1]
    up = [nn.ConvTranspose2d(latent_dim, first, **ends), nn.BatchNorm2d(first), nn.ReLU()]
    for n_in, n_out in itertools.pairwise(widths):
        up += [nn.ConvTranspose2d(n_in, n_out, **between), nn.BatchNorm2d(n_out), nn.ReLU()]
    G = Generator([*up, nn.ConvTranspose2d(last, channels, **between), nn.Tanh()])

    down, side = [nn.Conv2d(channels, last, **between), nn.LeakyReLU(0.2)], image_shape[1] // 2
    for n_in, n_out in itertools.pairwise(reversed(widths)):
        side //= 2
        conv = nn.Conv2d(n_in, n_out, **{**between, "bias": d_norm == "none"})
        down += [conv, *_norm(d_norm, n_out, side), nn.LeakyReLU(0.2)]
    features = first * top * top
    of_batch, more = minibatch_layers(d_minibatch, features)
    if d_minibatch == "discrimination":  # it takes rows of features, no images
        down += [nn.Flatten(), *of_batch, nn.Linear(features + more, 1, bias=False)]
    else:
        down += [*of_batch, nn.Conv2d(first + more, 1, **ends)]
    D = Discriminator(down)

    for network in (G, D):
        _start(network)
    return G, D


def _norm(name: str, features: int, side: int) -> list[nn.Module]:
    """What normalises images of so many features and side x side pixels."""
    if name == "batch":
        return [nn.BatchNorm2d(features)]
    if name == "instance":
        return [nn.InstanceNorm2d(features, affine=True)]
    return [nn.LayerNorm((features, side, side))] if name == "layer" else []


def _fit(image_shape: tuple[int, ...], widths: tuple[int, ...]) -> tuple[int, int]:
    """Channels, and the side of the images that G's first layer makes."""
    if len(image_shape) != 3:
        raise MiniganError("the DCGAN makes images and the data are points: choose another recipe")
    channels, height, width = image_shape
    if not widths or min(widths) < 1:
        raise MiniganError(f"the DCGAN needs widths above 0, as 256,128,64, got {widths}")
    top, rest = divmod(height, 2 ** len(widths))
    if height != width or rest or top < 2:
        raise MiniganError(
            f"images of {height} x {width} pixels do not fit {len(widths)} widths, each of which "
            f"doubles the side: expected a square of {2 ** len(widths)} times 2, 3, 4, ... pixels"
        )
    return channels, top


def _start(network: nn.Module) -> None:
    """Weights ~ N(0, 0.02^2), gamma ~ N(1, 0.02^2), beta = 0, the last as it is from the start."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, (nn.BatchNorm2d, nn.InstanceNorm2d)):
            nn.init.normal_(layer.weight, 1.0, 0.02)
