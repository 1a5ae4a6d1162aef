"""Optimisers against PyTorch's, a hundred steps each, and scripts that run on both."""

import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan
from minigan import nn, optim

torch = pytest.importorskip("torch", reason="PyTorch is what these tests compare with")
torch.set_num_threads(1)  # its threads wait for each other on arrays as small as these

few_examples = settings(max_examples=8, deadline=None, derandomize=True)
steps = 100

OPTIMIZERS = {
    "SGD": ("SGD", {"lr": 0.05}),
    "SGD, momentum": ("SGD", {"lr": 0.02, "momentum": 0.9}),
    "SGD, nesterov": ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
    "SGD, weight decay": ("SGD", {"lr": 0.02, "momentum": 0.5, "weight_decay": 0.1}),
    "RMSprop": ("RMSprop", {"lr": 0.01}),
    "RMSprop, WGAN": ("RMSprop", {"lr": 5e-5, "alpha": 0.9, "eps": 1e-3}),
    "RMSprop, momentum": ("RMSprop", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}),
    "Adam": ("Adam", {}),
    "Adam, GAN": ("Adam", {"lr": 2e-4, "betas": (0.5, 0.999)}),
    "Adam, weight decay": ("Adam", {"lr": 0.01, "betas": (0.0, 0.9), "eps": 0.1,
                                    "weight_decay": 0.1}),
}  # fmt: skip
every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)

shapes = st.lists(
    st.lists(st.integers(1, 5), min_size=0, max_size=4).map(tuple), min_size=1, max_size=4
)


def both(name, values):
    kind, arguments = OPTIMIZERS[name]
    ours = [nn.Parameter(v.copy()) for v in values]
    theirs = [torch.nn.Parameter(torch.tensor(v)) for v in values]
    return (
        ours, getattr(optim, kind)(ours, **arguments),
        theirs, getattr(torch.optim, kind)(theirs, **arguments),
    )  # fmt: skip


def sizes(params):
    return np.array([np.abs(p.numpy()).max() for p in params])


def furthest(ours, theirs, largest):
    """The largest difference, relative to the largest value that the parameter ever had: what
    came down from 1 to 0.001 carries the rounding errors of 1."""
    pairs = [(p.numpy(), q.detach().numpy()) for p, q in zip(ours, theirs)]
    return max(np.abs(a - b).max() / size for (a, b), size in zip(pairs, largest))


@every_optimizer
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
@few_examples
@given(shapes=shapes, seed=st.integers(0, 2**32 - 1))
def test_a_hundred_steps(name, dtype, tolerance, shapes, seed):
    rng = np.random.default_rng(seed)
    ours, a, theirs, b = both(name, [rng.normal(size=s).astype(dtype) for s in shapes])
    largest = sizes(ours)
    for _ in range(steps):
        for p, q in zip(ours, theirs):
            g = rng.normal(size=p.shape).astype(dtype)
            if rng.random() < 0.1:  # a parameter without gradient now and then
                p.grad = q.grad = None
            else:
                p.grad, q.grad = minigan.Tensor(g), torch.tensor(g)
        a.step()
        b.step()
        largest = np.maximum(largest, sizes(ours))
    assert furthest(ours, theirs, largest) < tolerance
    assert all(p.dtype == dtype for p in ours)


@pytest.mark.parametrize("name", ["SGD, momentum", "RMSprop, momentum", "Adam"])
def test_settings_changed_on_the_way(name):
    rng = np.random.default_rng(0)
    ours, a, theirs, b = both(name, [rng.normal(size=(3, 2)), rng.normal(size=4)])
    largest = sizes(ours)
    for t in range(steps):
        a.lr = b.param_groups[0]["lr"] = 0.1 / 1.01**t
        if name == "Adam":
            a.betas = b.param_groups[0]["betas"] = (0.5, 0.9 + t / 2000)
        else:
            # PyTorch's RMSprop fails with a KeyError if the momentum is 0 first: start above.
            first = 0.0 if name == "SGD, momentum" else 0.3
            a.momentum = b.param_groups[0]["momentum"] = 0.5 + t / 500 if t > 20 else first
        for p, q in zip(ours, theirs):
            g = rng.normal(size=p.shape)
            p.grad, q.grad = minigan.Tensor(g), torch.tensor(g)
        a.step()
        b.step()
    assert furthest(ours, theirs, largest) < 1e-9


@pytest.mark.parametrize("kind", ["SGD", "RMSprop", "Adam"])
def test_defaults(kind):
    ours = getattr(optim, kind)([nn.Parameter(np.zeros(1))])
    theirs = getattr(torch.optim, kind)([torch.nn.Parameter(torch.zeros(1))]).param_groups[0]
    for setting in ours._settings:
        assert getattr(ours, setting) == theirs[setting], setting


# A game on both -----------------------------------------------------------------------------


def networks(module):
    G = module.Sequential(
        module.Linear(3, 8), module.BatchNorm1d(8), module.LeakyReLU(0.2),
        module.Linear(8, 4), module.Tanh(),
    )  # fmt: skip
    D = module.Sequential(
        module.Linear(4, 8), module.LeakyReLU(0.2), module.Linear(8, 1), module.Sigmoid()
    )
    return G.double(), D.double()


def game(torch, nn, optim, G, D, draws):
    """A plain GAN in PyTorch's words, for either library; the losses of all steps."""
    opt_G = optim.Adam(G.parameters(), lr=0.01, betas=(0.5, 0.999))
    opt_D = optim.Adam(D.parameters(), lr=0.01, betas=(0.5, 0.999))
    bce, losses = nn.BCELoss(), []
    for real, z in draws:
        real, z = torch.tensor(real), torch.tensor(z)
        valid = torch.ones(real.size(0), 1, dtype=real.dtype)
        fake = torch.zeros(real.size(0), 1, dtype=real.dtype)

        opt_D.zero_grad()
        made = G(z)
        loss_D = bce(D(real), valid) + bce(D(made.detach()), fake)
        loss_D.backward()
        opt_D.step()

        opt_G.zero_grad()
        loss_G = bce(D(made), valid)
        loss_G.backward()
        opt_G.step()
        losses.append((loss_D.item(), loss_G.item()))
    return losses


def test_a_gan_takes_the_same_path():
    """Forward, backward, batch norm's statistics and Adam together: 50 steps of both players."""
    rng = np.random.default_rng(0)
    draws = [(rng.normal(2, 0.5, (16, 4)), rng.normal(size=(16, 3))) for _ in range(50)]
    ours, theirs = networks(nn), networks(torch.nn)
    for a, b in zip(ours, theirs):
        a.load_state_dict(b.state_dict())
    start = {name: array.copy() for name, array in ours[0].state_dict().items()}
    losses = game(minigan, nn, optim, *ours, draws)
    their_losses = game(torch, torch.nn, torch.optim, *theirs, draws)
    np.testing.assert_allclose(losses, their_losses, rtol=1e-7)
    for a, b in zip(ours, theirs):
        for name, array in b.state_dict().items():
            np.testing.assert_allclose(
                a.state_dict()[name], array.numpy(), rtol=1e-6, atol=1e-9, err_msg=name
            )
    assert np.abs(ours[0].state_dict()["0.weight"] - start["0.weight"]).max() > 0.05


SCRIPT = """
    torch.manual_seed(1)
    latent_dim, batch_size = 8, 32

    class Generator(nn.Module):
        def __init__(self):
            super(Generator, self).__init__()

            def block(n_in, n_out, normalize=True):
                layers = [nn.Linear(n_in, n_out)]
                if normalize:
                    layers.append(nn.BatchNorm1d(n_out, eps=1e-5, momentum=0.2))
                layers.append(nn.LeakyReLU(0.2, inplace=True))
                return layers

            self.model = nn.Sequential(
                *block(latent_dim, 32, normalize=False), *block(32, 64), nn.Linear(64, 16),
                nn.Tanh()
            )

        def forward(self, z):
            img = self.model(z)
            return img.view(img.size(0), 1, 4, 4)

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = nn.Sequential(
                nn.Flatten(), nn.Linear(16, 64), nn.LeakyReLU(0.2, inplace=True),
                nn.Dropout(0.1), nn.Linear(64, 1), nn.Sigmoid()
            )

        def forward(self, img):
            return self.model(img.view(img.size(0), -1))

    def weights_init(m):
        if type(m).__name__.find("Linear") != -1:
            nn.init.normal_(m.weight.data, 0.0, 0.1)
            nn.init.constant_(m.bias.data, 0)

    generator, discriminator = Generator(), Discriminator()
    generator.apply(weights_init)
    discriminator.apply(weights_init)
    adversarial_loss = nn.BCELoss()
    optimizer_G = optim.Adam(generator.parameters(), lr=0.002, betas=(0.5, 0.999))
    optimizer_D = optim.Adam(discriminator.parameters(), lr=0.002, betas=(0.5, 0.999))

    history = []
    for step in range(200):
        real = torch.ones(batch_size, 1, 4, 4) * 0.5 + 0.1 * torch.randn(batch_size, 1, 4, 4)
        valid, fake = torch.ones(batch_size, 1), torch.zeros(batch_size, 1)

        optimizer_D.zero_grad()
        z = torch.randn(batch_size, latent_dim)
        gen = generator(z)
        out_real, out_fake = discriminator(real), discriminator(gen.detach())
        d_loss = (adversarial_loss(out_real, valid) + adversarial_loss(out_fake, fake)) / 2
        d_loss.backward()
        optimizer_D.step()

        optimizer_G.zero_grad()
        g_loss = adversarial_loss(discriminator(gen), valid)
        g_loss.backward()
        optimizer_G.step()
        history.append((d_loss.item(), g_loss.item(), out_real.mean().item()))

    generator.eval()
    with torch.no_grad():
        samples = generator(torch.randn(256, latent_dim)).numpy()
"""


@pytest.mark.parametrize("package", ["torch", "minigan"])
def test_an_ordinary_script_runs_after_changing_its_imports(package):
    imports = f"import {package} as torch\nimport {package}.nn as nn\n" + (
        f"import {package}.optim as optim\n"
    )
    names = {}
    exec(imports + textwrap.dedent(SCRIPT), names)
    assert np.isfinite(names["history"]).all()
    samples = names["samples"]
    assert samples.shape == (256, 1, 4, 4)
    assert abs(samples.mean() - 0.5) < 0.15  # it has learnt where the data are: 0.5, from 0
