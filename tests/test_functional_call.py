"""``nn.functional_call``: other weights for one call, and the module's own again afterwards."""

import numpy as np
import pytest

import minigan
from minigan import nn
from minigan.autograd import Tensor


class Twice(nn.Module):
    """A layer under two names."""

    def __init__(self, layer):
        self.first, self.second = layer, layer

    def forward(self, x, scale=1.0):
        return self.second(self.first(x)) * scale


def network():
    minigan.manual_seed(0)
    layers = [nn.Linear(3, 4), nn.Tanh(), nn.BatchNorm1d(4), nn.Linear(4, 2)]
    return nn.Sequential(*layers).double()


def others(module, seed=1):
    rng = np.random.default_rng(seed)
    return {
        name: Tensor(rng.standard_normal(p.shape), requires_grad=True)
        for name, p in module.named_parameters()
    }


X = np.random.default_rng(0).standard_normal((5, 3))


def test_it_is_the_network_with_these_weights():
    module, weights = network(), others(network())
    before, places = module.state_dict(), [id(p) for p in module.parameters()]
    y = nn.functional_call(module, weights, Tensor(X))
    for name in before:
        if "running" not in name and "num" not in name:  # statistics were not given
            np.testing.assert_array_equal(module.state_dict()[name], before[name])
    assert [id(p) for p in module.parameters()] == places
    loaded = network()
    loaded.load_state_dict({**loaded.state_dict(), **{k: w.numpy() for k, w in weights.items()}})
    np.testing.assert_array_equal(y.numpy(), loaded(Tensor(X)).numpy())
    np.testing.assert_array_equal(
        module[2].running_mean.numpy(), loaded[2].running_mean.numpy()
    )  # the module's own, as in PyTorch


def test_gradients_go_to_the_weights_that_were_given():
    module, weights = network(), others(network())
    scaled = {name: w * 2.0 for name, w in weights.items()}
    (nn.functional_call(module, scaled, (Tensor(X),)) ** 2).sum().backward()
    assert all(p.grad is None for p in module.parameters())
    loaded = network()
    loaded.load_state_dict({**loaded.state_dict(), **{k: w.numpy() for k, w in scaled.items()}})
    (loaded(Tensor(X)) ** 2).sum().backward()
    for name, p in loaded.named_parameters():
        np.testing.assert_allclose(weights[name].grad.numpy(), 2 * p.grad.numpy(), rtol=1e-12)


def test_only_some_weights_and_a_buffer():
    module = network().eval()
    mean = Tensor(np.full(4, 7.0))
    y = nn.functional_call(module, {"2.running_mean": mean}, Tensor(X))
    assert not module[2].running_mean.numpy().any()
    module[2].running_mean.fill_(7.0)
    np.testing.assert_array_equal(y.numpy(), module(Tensor(X)).numpy())


@pytest.mark.parametrize("name", ["first.weight", "second.weight"])
def test_a_shared_weight_is_replaced_in_all_places(name):
    module = Twice(nn.Linear(3, 3, bias=False).double())
    w = Tensor(np.random.default_rng(2).standard_normal((3, 3)))
    y = nn.functional_call(module, {name: w}, (Tensor(X),), {"scale": 2.0})
    np.testing.assert_allclose(y.numpy(), 2 * X @ w.numpy().T @ w.numpy().T, rtol=1e-12)
    assert module.first is module.second
    assert isinstance(module.first.weight, nn.Parameter)


def test_after_an_error_the_module_has_its_own():
    module = network()
    own = [id(p) for p in module.parameters()]
    with pytest.raises(ValueError, match="linear: a weight"):
        nn.functional_call(module, others(module), Tensor(np.zeros((5, 2))))
    assert [id(p) for p in module.parameters()] == own


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        ({"0.wieght": Tensor(np.zeros((4, 3)))}, ValueError),
        ({"0.weight": Tensor(np.zeros((3, 4)))}, ValueError),
        ({"0.weight": np.zeros((4, 3))}, TypeError),
    ],
)
def test_bad_weights_are_one_line(weights, error):
    module = network()
    with pytest.raises(error, match=r"0\.w") as caught:
        nn.functional_call(module, weights, Tensor(X))
    assert "\n" not in str(caught.value)


def test_it_is_pytorchs():
    torch = pytest.importorskip("torch", reason="PyTorch is the yardstick")
    layers = [torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.BatchNorm1d(4)]
    theirs = torch.nn.Sequential(*layers, torch.nn.Linear(4, 2)).double()
    module, weights = network(), others(network())
    torch_weights = {k: torch.tensor(w.numpy()) for k, w in weights.items()}
    expected = torch.func.functional_call(theirs, torch_weights, torch.tensor(X))
    found = nn.functional_call(module, weights, Tensor(X))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)
    with pytest.raises(RuntimeError):
        torch.func.functional_call(theirs, {"0.wieght": torch_weights["0.weight"]}, X, strict=True)
