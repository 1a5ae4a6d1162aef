"""Conditional games against a direct computation in PyTorch, in float64: the networks of Mirza &
Osindero 2014, the conditional DCGAN, and the losses of ACGAN and InfoGAN written out."""

import numpy as np
import pytest

import minigan
from minigan import backends, draws, models, objectives, optim, penalties, recipes
from minigan.autograd import Tensor
from minigan.train.setup import build_game
from minigan.train.step import play_step

torch = pytest.importorskip("torch", reason="PyTorch is the yardstick")
F = torch.nn.functional
torch.set_num_threads(1)

N, CLASSES, LATENT = 6, 3, 5
rng = np.random.default_rng(0)
Y = np.eye(CLASSES)[[0, 1, 2, 1, 0, 2]]
Z = rng.random((N, LATENT))


def images(*shape):
    return np.random.default_rng(1).uniform(-1, 1, (N, *shape))


def weights(network):
    return {k: torch.tensor(p.numpy(), requires_grad=True) for k, p in network.named_parameters()}


def assert_equal(ours, theirs, what=""):
    theirs = theirs.detach().numpy()
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * scale, err_msg=what)


def assert_gradients_equal(loss, torch_loss, network, torch_weights):
    names = [name for name, _ in network.named_parameters()]
    assert loss.item() == pytest.approx(torch_loss.item(), rel=1e-9)
    ours = minigan.grad(loss, list(network.parameters()), retain_graph=True)
    theirs = torch.autograd.grad(
        torch_loss, [torch_weights[name] for name in names], retain_graph=True
    )
    for name, own, other in zip(names, ours, theirs):
        assert float(other.abs().max()) > 0, name
        assert_equal(own.numpy(), other, name)


# Mirza & Osindero -----------------------------------------------------------------------------


class Masks:
    """Dropout with p = .5: the masks that minigan draws, drawn once more."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __call__(self, h):
        kept = self.rng.random(tuple(h.shape), dtype=np.float32) < 0.5
        return h * torch.from_numpy(kept * 2.0)


def mirza_g(w, z, y, drop):
    h_z = F.relu(z @ w["from_z.0.weight"].T + w["from_z.0.bias"])  # 200
    h_y = F.relu(y @ w["from_y.0.weight"].T + w["from_y.0.bias"])  # 1000
    h = drop(torch.cat([h_z, h_y], 1))
    h = drop(F.relu(h @ w["joint.1.weight"].T + w["joint.1.bias"]))  # 1200
    return torch.sigmoid(h @ w["joint.4.weight"].T + w["joint.4.bias"])


def maxout(h, w, name, pieces):
    h = h @ w[f"{name}.weight"].T + w[f"{name}.bias"]
    return h.reshape(len(h), -1, pieces).max(2).values


def mirza_d(w, x, y, drop):
    h_x, h_y = maxout(x, w, "from_x", 5), maxout(y, w, "from_y", 5)  # 240 and 50
    assert (h_x.shape[1], h_y.shape[1]) == (240, 50)
    h = drop(maxout(drop(torch.cat([h_x, h_y], 1)), w, "joint.1", 4))
    assert h.shape[1] == 240
    return h @ w["joint.3.weight"].T + w["joint.3.bias"]


def test_mirza_s_game_equals_pytorch():
    recipe = recipes.get("cgan")
    minigan.manual_seed(0)
    game = build_game(recipe, (1, 4, 4), classes=CLASSES)
    G, D = game.G.double(), game.D.double()
    game.draw_z = lambda n: Tensor(np.pad(Z, ((0, 0), (0, 95))))
    for p in [*G.parameters(), *D.parameters()]:
        p.data = p.data * 10  # away from D = 1/2
    game.opt_G, game.opt_D = (
        optim.SGD(network.parameters(), lr=recipe.lr, momentum=recipe.momentum)
        for network in (G, D)
    )
    g, d = weights(G), weights(D)
    x = (images(16) + 1) / 2
    backends.manual_seed(7)
    fake = G(game.draw_z(N), Tensor(Y))
    fake_logits = D(fake, Tensor(Y))  # first, as in the step: masks are drawn in order
    real_logits = D(Tensor(x.reshape(N, 1, 4, 4)), Tensor(Y))

    drop, y = Masks(7), torch.tensor(Y)
    torch_fake = mirza_g(g, torch.tensor(np.pad(Z, ((0, 0), (0, 95)))), y, drop)
    torch_fake_logits = mirza_d(d, torch_fake, y, drop)
    torch_real = mirza_d(d, torch.tensor(x), y, drop)
    d_loss = 0.5 * (F.softplus(-torch_real).mean() + F.softplus(torch_fake_logits).mean())
    g_loss = F.softplus(-torch_fake_logits).mean()
    assert_equal(fake.flatten(1).numpy(), torch_fake, "fakes")
    assert_gradients_equal(game.objective.d_loss(real_logits, fake_logits), d_loss, D, d)
    assert_gradients_equal(game.objective.g_loss(fake_logits), g_loss, G, g)

    # And as one step of the game, in which both move along these gradients.
    backends.manual_seed(7)
    record = play_step(game, [Tensor(x.reshape(N, 1, 4, 4))], [Tensor(Y)])
    assert record["d_loss"].item() == pytest.approx(d_loss.item(), rel=1e-9)
    assert record["g_loss"].item() == pytest.approx(g_loss.item(), rel=1e-9)
    for loss, own, theirs in ((g_loss, G.joint[1], g), (d_loss, D.joint[1], d)):
        weight = theirs["joint.1.weight"]
        (gradient,) = torch.autograd.grad(loss, weight, retain_graph=True)
        assert_equal(own.weight.numpy(), weight - recipe.lr * gradient)


# The convolutional ones -----------------------------------------------------------------------


def conv_g(w, z, y):
    h = torch.cat([z, y], 1)[:, :, None, None]
    h = F.conv_transpose2d(h, w["main.0.weight"])
    h = F.relu(F.batch_norm(h, None, None, w["main.1.weight"], w["main.1.bias"], True))
    h = F.conv_transpose2d(h, w["main.3.weight"], stride=2, padding=1)
    h = F.relu(F.batch_norm(h, None, None, w["main.4.weight"], w["main.4.bias"], True))
    return torch.tanh(F.conv_transpose2d(h, w["main.6.weight"], stride=2, padding=1))


def conv_d(w, x, norm=True):
    h = F.leaky_relu(F.conv2d(x, w["main.0.weight"], stride=2, padding=1), 0.2)
    h = F.conv2d(h, w["main.2.weight"], w.get("main.2.bias"), stride=2, padding=1)
    if norm:
        h = F.batch_norm(h, None, None, w["main.3.weight"], w["main.3.bias"], True)
    last = "main.5.weight" if norm else "main.4.weight"
    return F.conv2d(F.leaky_relu(h, 0.2), w[last]).flatten(1)


def told(x, y):
    """D of the conditional DCGAN: the image, and a plane for each class."""
    return torch.cat([x, y[:, :, None, None] * torch.ones(1, 1, *x.shape[2:])], 1)


def pair(model, d_norm="batch"):
    minigan.manual_seed(0)
    G, D = models.build(model, (2, 8, 8), LATENT, classes=CLASSES, widths=(4, 3), d_norm=d_norm)
    for network in (G.double(), D.double()):
        for p in network.parameters():
            p.data = p.data * 6
    return G, D


def test_the_conditional_dcgan_equals_pytorch():
    G, D = pair("cdcgan")
    g, d, x, y = weights(G), weights(D), images(2, 8, 8), torch.tensor(Y)
    objective = objectives.build("non-saturating")
    fake = G(Tensor(Z), Tensor(Y))
    torch_fake = conv_g(g, torch.tensor(Z), y)
    assert_equal(fake.numpy(), torch_fake, "fakes")
    real, made = D(Tensor(x), Tensor(Y)), D(fake, Tensor(Y))
    torch_real, torch_made = (conv_d(d, told(each, y)) for each in (torch.tensor(x), torch_fake))
    d_loss = F.softplus(-torch_real).mean() + F.softplus(torch_made).mean()
    assert_gradients_equal(objective.d_loss(real, made), d_loss, D, d)
    assert_gradients_equal(objective.g_loss(made), F.softplus(-torch_made).mean(), G, g)


@pytest.mark.parametrize("model", ["acgan", "infogan"])
@pytest.mark.parametrize("base", ["non-saturating", "hinge"])
def test_the_auxiliary_classifier_equals_pytorch(model, base):
    """ACGAN: D descends -(L_S + L_C) and G the fakes' part of L_S - L_C; InfoGAN: V - L_I."""
    G, D = pair(model)
    g, d, x, y = weights(G), weights(D), images(2, 8, 8), torch.tensor(Y)
    objective = objectives.AuxiliaryClassifier(
        base=objectives.build(base), on_real=model == "acgan"
    )
    fake = G(Tensor(Z), Tensor(Y))
    real, made = D(Tensor(x), Tensor(Y)), D(fake, Tensor(Y))

    torch_real, torch_made = (
        conv_d(d, e) for e in (torch.tensor(x), conv_g(g, torch.tensor(Z), y))
    )
    s_real, s_made = torch_real[:, 0], torch_made[:, 0]
    classes = y.argmax(1)
    c_real, c_made = (F.cross_entropy(h[:, 1:], classes) for h in (torch_real, torch_made))
    if base == "hinge":
        d_loss = F.relu(1 - s_real).mean() + F.relu(1 + s_made).mean() + c_made
        g_loss = -s_made.mean() + c_made
    else:
        d_loss = F.softplus(-s_real).mean() + F.softplus(s_made).mean() + c_made
        g_loss = F.softplus(-s_made).mean() + c_made
    if model == "acgan":
        d_loss = d_loss + c_real
    assert_gradients_equal(objective.d_loss(real, made), d_loss, D, d)
    assert_gradients_equal(objective.g_loss(made), g_loss, G, g)
    opinion = torch.sigmoid(s_real).mean() if base == "non-saturating" else s_real.mean()
    assert objective.opinion(real.array) == pytest.approx(opinion.item(), rel=1e-9)


@pytest.mark.parametrize("name", ["wgan-gp", "r1"])
def test_a_penalty_with_labels_equals_pytorch(monkeypatch, name):
    """Second derivatives: of a penalty on the gradient by the image, by D's weights."""
    G, D = pair("cdcgan", d_norm="none")
    d, x, y = weights(D), images(2, 8, 8), torch.tensor(Y)
    fake = G(Tensor(Z), Tensor(Y)).detach()
    eps = np.random.default_rng(3).random((N, 1, 1, 1))
    monkeypatch.setattr(draws, "uniform", lambda shape, dtype: eps.astype(dtype))
    penalty = penalties.build(name, 10.0, D)(D, Tensor(x), fake, Tensor(Y))

    at = torch.tensor(eps * x + (1 - eps) * fake.numpy() if name == "wgan-gp" else x)
    at.requires_grad_()
    (gradient,) = torch.autograd.grad(
        conv_d(d, told(at, y), norm=False).sum(), at, create_graph=True
    )
    squared = gradient.square().flatten(1).sum(1)
    if name == "wgan-gp":
        torch_penalty = 10 * (torch.sqrt(squared + 1e-12) - 1).square().mean()
    else:
        torch_penalty = 10 / 2 * squared.mean()
    assert penalty.item() == pytest.approx(torch_penalty.item(), rel=1e-9)
    names = ["main.0.weight", "main.2.weight", "main.4.weight"]
    by_name = dict(D.named_parameters())
    ours = minigan.grad(penalty, [by_name[key] for key in names])
    for key, own, other in zip(
        names, ours, torch.autograd.grad(torch_penalty, [d[key] for key in names])
    ):
        assert float(other.abs().max()) > 0
        assert_equal(own.numpy(), other, key)
