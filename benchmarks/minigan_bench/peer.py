"""The same games in PyTorch: the yardstick for speed, and for parity in the tests.

Networks have the same layers and state-dict keys as minigan.models, so that weights go over
directly.  The step is written as a good PyTorch user would: losses on logits, D frozen while G
learns, gradients set to None, fakes for D made under no_grad.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F


class Maxout(nn.Linear):
    """A linear layer of out_features * num_pieces, and the largest of each num_pieces."""

    def __init__(self, in_features: int, out_features: int, num_pieces: int):
        super().__init__(in_features, out_features * num_pieces)
        self.num_pieces = num_pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).unflatten(-1, (-1, self.num_pieces)).amax(-1)


class Pair(nn.Module):
    """Layers under the name ``main``, as in minigan's networks."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.main = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.main(x.flatten(1))


def gan(pixels: int, latent_dim: int) -> tuple[Pair, Pair]:
    layers = [nn.Linear(latent_dim, 128), nn.LeakyReLU(0.2, inplace=True)]
    for n_in, n_out in [(128, 256), (256, 512), (512, 1024)]:
        layers += [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.LeakyReLU(0.2, inplace=True)]
    G = Pair(*layers, nn.Linear(1024, pixels), nn.Tanh())
    D = Pair(
        nn.Linear(pixels, 512), nn.LeakyReLU(0.2, inplace=True),
        nn.Linear(512, 256), nn.LeakyReLU(0.2, inplace=True),
        nn.Linear(256, 1),
    )  # fmt: skip
    return G, D


def gan_relu(pixels: int, latent_dim: int) -> tuple[Pair, Pair]:
    widths = [latent_dim, 256, 512, 1024, pixels]
    G, D = [], []
    for n_in, n_out in itertools.pairwise(widths):
        G += [nn.Linear(n_in, n_out), nn.ReLU(inplace=True)]
    widths = [pixels, 1024, 512, 256, 1]
    for n_in, n_out in itertools.pairwise(widths):
        D += [nn.Linear(n_in, n_out), nn.ReLU(inplace=True)]
    return Pair(*G[:-1], nn.Tanh()), Pair(*D[:-1])


def gan_paper(
    pixels: int, latent_dim: int, dropout: Callable[[float], nn.Module] = nn.Dropout
) -> tuple[Pair, Pair]:
    G = Pair(
        nn.Linear(latent_dim, 1200), nn.ReLU(inplace=True),
        nn.Linear(1200, 1200), nn.ReLU(inplace=True),
        nn.Linear(1200, pixels), nn.Sigmoid(),
    )  # fmt: skip
    D = Pair(
        dropout(0.2), Maxout(pixels, 240, 5),
        dropout(0.5), Maxout(240, 240, 5),
        dropout(0.5), nn.Linear(240, 1),
    )  # fmt: skip
    return G, D


def gan_toy(n: int, latent_dim: int) -> tuple[Pair, Pair]:
    G = []
    for n_in in (latent_dim, 400, 400, 400):
        G += [nn.Linear(n_in, 400, bias=False), nn.BatchNorm1d(400, eps=1e-4, momentum=0.05)]
        G += [nn.ReLU(inplace=True)]
    D = Pair(Maxout(n, 200, 5), Maxout(200, 200, 5), Maxout(200, 200, 5), nn.Linear(200, 1))
    return Pair(*G, nn.Linear(400, n)), D


class ConvGenerator(nn.Module):
    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.main = nn.Sequential(*layers)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.main(z[:, :, None, None])


class ConvDiscriminator(nn.Module):
    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.main = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.main(x).flatten(1)


def dcgan(
    shape: tuple[int, int, int], latent_dim: int, widths: tuple[int, ...], d_norm: str = "batch"
) -> tuple[ConvGenerator, ConvDiscriminator]:
    """The networks of minigan.models.dcgan, as in PyTorch's own DCGAN example.

    ``d_norm``: "batch", or "none": no normalisation in D, whose convolutions then have biases.
    """
    channels, side, _ = shape
    top, first, last = side // 2 ** len(widths), widths[0], widths[-1]
    between = {"kernel_size": 4, "stride": 2, "padding": 1, "bias": False}
    ends = {"kernel_size": top, "bias": False}

    up = [nn.ConvTranspose2d(latent_dim, first, **ends), nn.BatchNorm2d(first), nn.ReLU(True)]
    for n_in, n_out in itertools.pairwise(widths):
        up += [nn.ConvTranspose2d(n_in, n_out, **between), nn.BatchNorm2d(n_out), nn.ReLU(True)]
    G = ConvGenerator(*up, nn.ConvTranspose2d(last, channels, **between), nn.Tanh())

    down = [nn.Conv2d(channels, last, **between), nn.LeakyReLU(0.2, inplace=True)]
    for n_in, n_out in itertools.pairwise(reversed(widths)):
        down += [nn.Conv2d(n_in, n_out, **{**between, "bias": d_norm == "none"})]
        down += [nn.BatchNorm2d(n_out)] if d_norm == "batch" else []
        down += [nn.LeakyReLU(0.2, inplace=True)]
    D = ConvDiscriminator(*down, nn.Conv2d(first, 1, **ends))

    for network in (G, D):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1, 0.02)
    return G, D


PAIRS = {"gan": gan, "gan-relu": gan_relu, "gan-paper": gan_paper, "gan-toy": gan_toy}


def alternate(G, D, opt_G, opt_D, x, draw_z, d_scale: float = 1.0):
    """One step of Algorithm 1 with k = 1; returns the two losses."""
    ones, zeros = x.new_ones(len(x), 1), x.new_zeros(len(x), 1)
    bce = F.binary_cross_entropy_with_logits

    with torch.no_grad():
        fake = G(draw_z(len(x)))
    d_loss = (bce(D(x), ones) + bce(D(fake), zeros)) * d_scale
    opt_D.zero_grad()
    d_loss.backward()
    opt_D.step()

    D.requires_grad_(False)
    g_loss = bce(D(G(draw_z(len(x)))), ones)
    opt_G.zero_grad()
    g_loss.backward()
    opt_G.step()
    D.requires_grad_(True)
    return d_loss, g_loss


def simultaneous(G, D, opt_G, opt_D, x, draw_z, d_scale: float = 1.0):
    """One step of the released code of 2014: both gradients first, then both moves."""
    ones, zeros = x.new_ones(len(x), 1), x.new_zeros(len(x), 1)
    bce = F.binary_cross_entropy_with_logits

    fake_logits = D(G(draw_z(len(x))))
    d_loss = (bce(D(x), ones) + bce(fake_logits, zeros)) * d_scale
    g_loss = bce(fake_logits, ones)
    opt_D.zero_grad()
    d_loss.backward(inputs=list(D.parameters()), retain_graph=True)
    opt_G.zero_grad()
    g_loss.backward(inputs=list(G.parameters()))
    opt_D.step()
    opt_G.step()
    return d_loss, g_loss


def step(
    recipe, shape: tuple[int, ...], *, fused: bool, channels_last: bool = False
) -> Callable[[], object]:
    """A training step of the recipe on random images (C, H, W), ready to be timed.

    ``fused``: Adam as one kernel.  ``channels_last``: the memory format of images and weights.
    """
    if recipe.model == "dcgan":
        G, D = dcgan(shape, recipe.latent_dim, recipe.widths)
    else:
        G, D = PAIRS[recipe.model](math.prod(shape), recipe.latent_dim)
    play = _playing(recipe, G, D, shape, "cpu", channels_last, fused)

    def one_step() -> tuple[float, float]:
        d_loss, g_loss = play()
        return d_loss.item(), g_loss.item()

    return one_step


def device_step(
    recipe, device: str, *, graph: bool = False, tf32: bool = False
) -> Callable[[], object]:
    """A training step on a device that reads no loss: fused Adam, channels-last for images.

    ``graph``: recorded as one CUDA graph.  ``tf32``: let products and convolutions round to TF32.
    """
    shape = (1, recipe.image_size, recipe.image_size)
    convolutional = recipe.model == "dcgan"
    if convolutional:
        G, D = dcgan(shape, recipe.latent_dim, recipe.widths)
    else:
        G, D = PAIRS[recipe.model](math.prod(shape), recipe.latent_dim)
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    play = _playing(recipe, G, D, shape, device, convolutional, True)
    if not graph:
        return play
    # As PyTorch's documentation has it: a few steps on a stream of their own, then the recording.
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            play()
    torch.cuda.current_stream().wait_stream(stream)
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded):
        play()

    def replay() -> object:
        recorded.replay()
        return play  # whose networks the graph uses

    return replay


def _playing(
    recipe, G: nn.Module, D: nn.Module, shape: tuple[int, ...], device: str,
    channels_last: bool, fused: bool,
) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:  # fmt: skip
    """A step on random images that stay the same."""
    x = torch.empty(recipe.batch_size, *shape).uniform_(recipe.pixel_low, recipe.pixel_high)
    G, D, x = (each.to(device) for each in (G, D, x))
    if channels_last:
        G, D, x = (each.to(memory_format=torch.channels_last) for each in (G, D, x))
    opt_G, opt_D = (_optimizer(network, recipe, fused, device) for network in (G, D))
    play = alternate if recipe.updates == "alternate" else simultaneous

    def draw_z(n: int) -> torch.Tensor:
        if recipe.latent == "normal":
            return torch.randn(n, recipe.latent_dim, device=device)
        z = torch.empty(n, recipe.latent_dim, device=device)
        return z.uniform_(-math.sqrt(3), math.sqrt(3))

    return lambda: play(G, D, opt_G, opt_D, x, draw_z, recipe.d_scale)


def _optimizer(network: nn.Module, recipe, fused: bool, device: str) -> torch.optim.Optimizer:
    if recipe.optimizer == "adam":
        return torch.optim.Adam(
            network.parameters(), lr=recipe.lr, betas=recipe.betas, fused=fused or None,
            capturable=device == "cuda",
        )  # fmt: skip
    return torch.optim.SGD(
        network.parameters(), lr=recipe.lr, momentum=recipe.momentum, fused=fused or None
    )


def convolution(
    which: str, x, w, gy, stride: int, padding: int, channels_last: bool
) -> Callable[[], torch.Tensor]:
    """One pass of a convolution of NumPy arrays: forward, input gradient or weight gradient."""
    order = torch.channels_last if channels_last else torch.contiguous_format
    x, w, gy = (torch.tensor(array).contiguous(memory_format=order) for array in (x, w, gy))
    if which == "forward":
        return lambda: F.conv2d(x, w, stride=stride, padding=padding)
    wanted = [which == "input gradient", which == "weight gradient", False]

    def backward() -> torch.Tensor:
        gradients = torch.ops.aten.convolution_backward(
            gy, x, w, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, wanted
        )
        return next(g for g in gradients if g is not None)

    return backward
