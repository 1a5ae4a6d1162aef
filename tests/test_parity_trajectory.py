"""Fifty steps of each game beside PyTorch, twenty of the DCGAN: same weights, batches, noise and
dropout masks."""

import numpy as np
import pytest

import minigan
from minigan import backends, objectives, optim, recipes
from minigan.autograd import Tensor
from minigan.models import build
from minigan.train import step as game_step

torch = pytest.importorskip("torch", reason="PyTorch is the yardstick here, and not installed")
from minigan_bench import peer  # noqa: E402

torch.set_num_threads(1)

STEPS, BATCH, PIXELS, LATENT = 50, 16, 64, 10


class GivenDropout(torch.nn.Module):
    """Dropout that draws its masks from a NumPy generator, as minigan's does."""

    rng: np.random.Generator

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        kept = GivenDropout.rng.random(tuple(x.shape), dtype=np.float32) < 1 - self.p
        return x * torch.from_numpy(kept / (1 - self.p))


@pytest.mark.parametrize("updates", ["alternate", "simultaneous"])
@pytest.mark.parametrize("name", ["gan", "gan-relu", "gan-paper", "gan-toy"])
def test_fifty_steps_equal_pytorch(name, updates):
    recipe = recipes.get(name)
    rng = np.random.default_rng(0)
    batches = rng.uniform(recipe.pixel_low, recipe.pixel_high, (STEPS, BATCH, PIXELS))
    noise = rng.standard_normal((2 * STEPS, BATCH, LATENT))

    # minigan
    minigan.manual_seed(0)
    shape = (PIXELS,) if name == "gan-toy" else (1, 8, 8)
    G, D = (network.double() for network in build(name, shape, LATENT))
    dropout = {"dropout": GivenDropout} if name == "gan-paper" else {}
    torch_G, torch_D = peer.PAIRS[name](PIXELS, LATENT, **dropout)
    for own, other in ((G, torch_G.double()), (D, torch_D.double())):
        other.load_state_dict({k: torch.tensor(v) for k, v in own.state_dict().items()})

    given = iter(noise)
    adam = recipe.optimizer == "adam"
    optimizers = [
        optim.Adam(network.parameters(), lr=recipe.lr, betas=recipe.betas)
        if adam
        else optim.SGD(network.parameters(), lr=recipe.lr, momentum=recipe.momentum)
        for network in (G, D)
    ]
    game = game_step.Game(
        G, D, *optimizers, objectives.build(recipe.objective, d_scale=recipe.d_scale),
        lambda n: Tensor(next(given)), updates,
    )  # fmt: skip
    backends.manual_seed(1)
    losses = []
    for x in batches:
        record = game_step.play_step(game, [Tensor(x.reshape(BATCH, *shape))])
        losses.append((record["d_loss"].item(), record["g_loss"].item()))

    # PyTorch
    GivenDropout.rng = np.random.default_rng(1)
    given_again = iter(torch.from_numpy(noise))
    torch_optimizers = [
        torch.optim.Adam(network.parameters(), lr=recipe.lr, betas=recipe.betas)
        if adam
        else torch.optim.SGD(network.parameters(), lr=recipe.lr, momentum=recipe.momentum)
        for network in (torch_G, torch_D)
    ]
    play = peer.alternate if updates == "alternate" else peer.simultaneous
    torch_losses = []
    for x in torch.from_numpy(batches):
        d_loss, g_loss = play(
            torch_G, torch_D, *torch_optimizers, x, lambda n: next(given_again), recipe.d_scale
        )
        torch_losses.append((d_loss.item(), g_loss.item()))

    np.testing.assert_allclose(losses, torch_losses, rtol=1e-8)
    for own, other in ((G, torch_G), (D, torch_D)):
        for key, value in other.state_dict().items():
            np.testing.assert_allclose(
                own.state_dict()[key], value.numpy(), rtol=1e-8, atol=1e-10, err_msg=key
            )


@pytest.mark.parametrize(
    ("shape", "widths", "algorithm"),
    [
        ((1, 16, 16), (6, 4), "auto"),
        ((3, 16, 16), (5, 4, 3), "im2col"),
        ((3, 14, 14), (6,), "winograd"),
    ],
)
def test_twenty_steps_of_a_dcgan_equal_pytorch(shape, widths, algorithm):
    steps, recipe = 20, recipes.get("dcgan")
    rng = np.random.default_rng(0)
    batches = rng.uniform(-1, 1, (steps, BATCH, *shape))
    noise = rng.standard_normal((2 * steps, BATCH, LATENT))

    # minigan
    minigan.manual_seed(0)
    G, D = (
        network.double()
        for network in build("dcgan", shape, LATENT, widths=widths, algorithm=algorithm)
    )
    torch_G, torch_D = peer.dcgan(shape, LATENT, widths)
    for own, other in ((G, torch_G.double()), (D, torch_D.double())):
        other.load_state_dict({k: torch.tensor(v) for k, v in own.state_dict().items()})
    given = iter(noise)
    game = game_step.Game(
        G, D,
        *(optim.Adam(n.parameters(), lr=recipe.lr, betas=recipe.betas) for n in (G, D)),
        objectives.build(recipe.objective), lambda n: Tensor(next(given)), recipe.updates,
    )  # fmt: skip
    losses = []
    for x in batches:
        record = game_step.play_step(game, [Tensor(x)])
        losses.append((record["d_loss"].item(), record["g_loss"].item()))

    # PyTorch
    given_again = iter(torch.from_numpy(noise))
    torch_optimizers = [
        torch.optim.Adam(network.parameters(), lr=recipe.lr, betas=recipe.betas)
        for network in (torch_G, torch_D)
    ]
    torch_losses = []
    for x in torch.from_numpy(batches):
        d_loss, g_loss = peer.alternate(
            torch_G, torch_D, *torch_optimizers, x, lambda n: next(given_again)
        )
        torch_losses.append((d_loss.item(), g_loss.item()))

    np.testing.assert_allclose(losses, torch_losses, rtol=1e-7)
    for own, other in ((G, torch_G), (D, torch_D)):
        for key, value in other.state_dict().items():
            np.testing.assert_allclose(
                own.state_dict()[key], value.numpy(), rtol=1e-7, atol=1e-9, err_msg=key
            )
