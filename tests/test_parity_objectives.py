"""Objectives against a direct computation in PyTorch: losses, and gradients through networks."""

import numpy as np
import pytest

import minigan
from minigan import nn, objectives
from minigan.autograd import Tensor

torch = pytest.importorskip("torch", reason="PyTorch is the yardstick")
F = torch.nn.functional

FORMULAS = {
    "non-saturating": (
        lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
        lambda fake: F.softplus(-fake).mean(),
    ),
    "minimax": (
        lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
        lambda fake: -F.softplus(fake).mean(),
    ),
    "least-squares": (
        lambda real, fake: 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean(),
        lambda fake: 0.5 * ((fake - 1) ** 2).mean(),
    ),
    "hinge": (
        lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        lambda fake: -fake.mean(),
    ),
    "wasserstein": (
        lambda real, fake: fake.mean() - real.mean(),
        lambda fake: -fake.mean(),
    ),
}


def test_every_objective_has_a_formula():
    assert set(FORMULAS) == set(objectives.OBJECTIVES)


@pytest.mark.parametrize("name", FORMULAS)
def test_losses_and_gradients_equal_pytorch(name):
    d_formula, g_formula = FORMULAS[name]
    rng = np.random.default_rng(0)
    x, fake_x = rng.standard_normal((2, 16, 5))
    minigan.manual_seed(0)
    D = nn.Sequential(nn.Linear(5, 7), nn.LeakyReLU(0.2), nn.Linear(7, 1)).double()
    D[2].weight.data = D[2].weight.data * 6  # outputs on both sides of the hinge's margins
    torch_D = torch.nn.Sequential(
        torch.nn.Linear(5, 7), torch.nn.LeakyReLU(0.2), torch.nn.Linear(7, 1)
    ).double()
    torch_D.load_state_dict({k: torch.tensor(v) for k, v in D.state_dict().items()})
    fake, torch_fake = (
        Tensor(fake_x, requires_grad=True),
        torch.tensor(fake_x, requires_grad=True),
    )
    objective = objectives.build(name)

    d_loss = objective.d_loss(D(Tensor(x)), D(fake.detach()))
    torch_d_loss = d_formula(torch_D(torch.tensor(x)), torch_D(torch_fake.detach()))
    assert d_loss.item() == pytest.approx(torch_d_loss.item(), rel=1e-9)
    gradients = minigan.grad(d_loss, list(D.parameters()))
    for own, theirs in zip(gradients, torch.autograd.grad(torch_d_loss, torch_D.parameters())):
        np.testing.assert_allclose(own.numpy(), theirs.numpy(), rtol=1e-9, atol=1e-12)

    g_loss = objective.g_loss(D(fake))
    torch_g_loss = g_formula(torch_D(torch_fake))
    assert g_loss.item() == pytest.approx(torch_g_loss.item(), rel=1e-9)
    (own,) = minigan.grad(g_loss, [fake])
    (theirs,) = torch.autograd.grad(torch_g_loss, torch_fake)
    np.testing.assert_allclose(own.numpy(), theirs.numpy(), rtol=1e-9, atol=1e-12)
