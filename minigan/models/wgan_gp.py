"""The networks of WGAN-GP (Gulrajani et al. 2017), for digits and for points.

The critic pays for its gradient on single images, so nothing here mixes the images of a batch:
there is no batch normalisation, in G neither.  Both pairs are those of the released code,
igul222/improved_wgan_training.

    wgan-gp   gan_mnist.py, for 28 x 28 pixels and widths 256, 128, 64; 5x5 kernels, biases

        G     z (N, 128)                               D     image (N, C, 28, 28)
              linear         256 x  4 x  4  ReLU             stride 2    64 x 14 x 14  LeakyReLU
              5x5, stride 2  128 x  7 x  7  ReLU             stride 2   128 x  7 x  7  LeakyReLU
              5x5, stride 2   64 x 14 x 14  ReLU             stride 2   256 x  4 x  4  LeakyReLU
              5x5, stride 2    C x 28 x 28  sigmoid          linear     output (N, 1)

    points    gan_toy.py: three hidden layers of 512 units and ReLU in each network

What differs from TensorFlow's arithmetic there: its padding "SAME" puts one row of zeros above and
two below where it needs three, here it is two and two, so kernels of the first layers see the image
shifted by a pixel; and its G makes 8 x 8 from 4 x 4 and cuts off a row and a column, here the same
layer makes 7 x 7 at once.
"""

from __future__ import annotations

import itertools
import math

from minigan import nn
from minigan.errors import MiniganError
from minigan.models.minibatch import minibatch_layers

WIDTHS = (256, 128, 64)
HIDDEN = (512, 512, 512)


def wgan_gp(
    image_shape: tuple[int, ...], latent_dim: int = 128, widths: tuple[int, ...] = WIDTHS
) -> tuple[nn.Sequential, nn.Sequential]:
    """The pair for images: z (N, latent) -> pixels in (0, 1), and images -> outputs (N, 1).

    Args:
        image_shape: (C, H, W); each of D's layers halves the sides, rounding up, and G goes back
            the same way.
        widths: channels of G's layers from the first, and of D's from the last.

    Weights are uniform.  A linear layer's have the variance 2 / (fan_in + fan_out), a
    convolution's twice that, because half of what follows is cut off; biases are 0.
    Raises MiniganError for points.

    >>> G, D = wgan_gp((1, 28, 28))
    >>> sum(p.numel() for p in G.parameters()), sum(p.numel() for p in D.parameters())
    (1554177, 1030145)
    """
    if len(image_shape) != 3:
        raise MiniganError(
            "the model wgan-gp makes images and the data are points: choose model=points"
        )
    channels, *size = image_shape
    sizes = [tuple(size)]  # of D's layers: 28, 14, 7, 4
    for _ in widths:
        sizes.append(tuple(-(-side // 2) for side in sizes[-1]))
    layer = {"kernel_size": 5, "stride": 2, "padding": 2}

    first, top = widths[0], sizes[-1]
    flat = first * math.prod(top)
    G = [nn.Linear(latent_dim, flat), nn.ReLU(), nn.Unflatten(1, (first, *top))]
    for (n_in, n_out), large in zip(itertools.pairwise([*widths, channels]), reversed(sizes[:-1])):
        more = tuple(1 - side % 2 for side in large)  # of 4, a stride of 2 can make 7 or 8
        G += [nn.ConvTranspose2d(n_in, n_out, **layer, output_padding=more), nn.ReLU()]
    G[-1] = nn.Sigmoid()

    D = []
    for n_in, n_out in itertools.pairwise([channels, *reversed(widths)]):
        D += [nn.Conv2d(n_in, n_out, **layer), nn.LeakyReLU(0.2)]
    return _start(nn.Sequential(*G)), _start(nn.Sequential(*D, nn.Flatten(), nn.Linear(flat, 1)))


def points(
    shape: tuple[int, ...],
    latent_dim: int = 2,
    widths: tuple[int, ...] = HIDDEN,
    *,
    d_minibatch: str = "none",
) -> tuple[nn.Sequential, nn.Sequential]:
    """The pair for points: z (N, latent) -> (N, n), and (N, n) -> outputs (N, 1).

    Args:
        shape: (n,), the dimension of a point.
        widths: of the hidden layers, in both networks from the first to the last.
        d_minibatch: what D sees of the batch as a whole, see ``minigan.models.minibatch``.

    Weights are uniform with the variance 2 / fan_in, in the last layers 2 / (fan_in + fan_out);
    biases are 0.  Raises MiniganError for images.

    >>> G, D = points((2,))
    >>> sum(p.numel() for p in G.parameters()), sum(p.numel() for p in D.parameters())
    (527874, 527361)
    """
    if len(shape) != 1:
        raise MiniganError(
            "the model points makes points and the data are images: choose model=wgan-gp"
        )
    G = nn.Sequential(*_hidden(latent_dim, widths), nn.Linear(widths[-1], shape[0]))
    of_batch, more = minibatch_layers(d_minibatch, widths[-1])
    D = nn.Sequential(*_hidden(shape[0], widths), *of_batch, nn.Linear(widths[-1] + more, 1))
    return _start(G, he=True), _start(D, he=True)


def _hidden(n: int, widths: tuple[int, ...]) -> list[nn.Module]:
    pairs = itertools.pairwise([n, *widths])
    return [layer for n_in, n_out in pairs for layer in (nn.Linear(n_in, n_out), nn.ReLU())]


def _start(network: nn.Sequential, he: bool = False) -> nn.Sequential:
    """Uniform weights as in the released code, biases 0.

    Args:
        he: hidden linear layers start after He et al. 2015 instead of Glorot & Bengio 2010.
    """
    layers = [m for m in network if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))]
    for layer in layers:
        nn.init.zeros_(layer.bias)
        if isinstance(layer, nn.Linear) and he and layer is not layers[-1]:
            nn.init.kaiming_uniform_(layer.weight)
        elif isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
        else:
            # An input pixel reaches only every stride-th output, so one of the fans is smaller:
            # fan_out of a convolution, fan_in of a transposed one, whose weight is (in, out, ...).
            fan_in, fan_out = nn.init.fans(layer.weight)
            bound = math.sqrt(3 * 4 / (fan_in + fan_out / math.prod(layer.stride)))
            nn.init.uniform_(layer.weight, -bound, bound)
    return network
