"""Optimisers, schedules and the average of weights, without another framework."""

import dataclasses
import io
import math

import numpy as np
import pytest

import minigan
from minigan import nn
from minigan.optim import EMA, SGD, Adam, RMSprop, schedules


def parameters(*shapes, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [nn.Parameter(rng.normal(size=shape).astype(dtype)) for shape in shapes]


def set_gradients(params, t):
    """The gradients of step t: random, and the same for every list of the same shapes."""
    rng = np.random.default_rng(t)
    for p in params:
        p.grad = minigan.Tensor(rng.normal(size=p.shape).astype(p.dtype))


OPTIMIZERS = {
    "sgd": lambda params: SGD(params, lr=0.1),
    "momentum": lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda params: SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda params: RMSprop(params, lr=0.01, momentum=0.5),
    "adam": lambda params: Adam(params, lr=0.01, betas=(0.5, 0.999)),
}
every_optimizer = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)


# The formulas, for one number ---------------------------------------------------------------


def sgd(p, gradients, lr, momentum, nesterov, decay):
    velocity = 0.0
    for g in gradients:
        g = g + decay * p
        velocity = momentum * velocity + g
        p -= lr * (g + momentum * velocity if nesterov else velocity)
    return p


def rmsprop(p, gradients, lr, alpha, eps, momentum, decay):
    square = velocity = 0.0
    for g in gradients:
        g = g + decay * p
        square = alpha * square + (1 - alpha) * g**2
        velocity = momentum * velocity + g / (math.sqrt(square) + eps)
        p -= lr * velocity
    return p


def adam(p, gradients, lr, beta1, beta2, eps, decay):
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        g = g + decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        p -= lr * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + eps)
    return p


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(
    ("make", "formula"),
    [
        (lambda p, d: SGD(p, 0.1, weight_decay=d), lambda p, g, d: sgd(p, g, 0.1, 0, False, d)),
        (
            lambda p, d: SGD(p, 0.1, 0.8, weight_decay=d),
            lambda p, g, d: sgd(p, g, 0.1, 0.8, False, d),
        ),
        (
            lambda p, d: SGD(p, 0.1, 0.8, nesterov=True, weight_decay=d),
            lambda p, g, d: sgd(p, g, 0.1, 0.8, True, d),
        ),
        (
            lambda p, d: RMSprop(p, 0.1, 0.7, 0.01, d),
            lambda p, g, d: rmsprop(p, g, 0.1, 0.7, 0.01, 0, d),
        ),
        (
            lambda p, d: RMSprop(p, 0.1, weight_decay=d, momentum=0.6),
            lambda p, g, d: rmsprop(p, g, 0.1, 0.99, 1e-8, 0.6, d),
        ),
        (
            lambda p, d: Adam(p, 0.1, (0.5, 0.9), 0.01, d),
            lambda p, g, d: adam(p, g, 0.1, 0.5, 0.9, 0.01, d),
        ),
        (
            lambda p, d: Adam(p, weight_decay=d),
            lambda p, g, d: adam(p, g, 1e-3, 0.9, 0.999, 1e-8, d),
        ),
    ],
)
def test_the_formula(make, formula, decay):
    gradients = np.random.default_rng(0).normal(size=20)
    (p,) = parameters((1,))
    expected = formula(p.item(), gradients, decay)
    optimizer = make([p], decay)
    for g in gradients:
        p.grad = minigan.Tensor(np.array([g]))
        optimizer.step()
    assert p.item() == pytest.approx(expected, rel=1e-12)


@every_optimizer
def test_a_bowl_is_descended(make):
    params = parameters((3, 2), (4,))
    optimizer = make(params)
    for _ in range(500):
        optimizer.zero_grad()
        sum(((p - 1.0) ** 2).sum() for p in params).backward()
        optimizer.step()
    for p in params:
        np.testing.assert_allclose(p.numpy(), 1, atol=0.1)


# The flat array -----------------------------------------------------------------------------


@every_optimizer
def test_parameters_become_views_of_one_array(make):
    params = parameters((2, 3), (), (4,))
    before = [p.numpy().copy() for p in params]
    optimizer = make(params)
    assert optimizer.flat.shape == (11,)
    for p, values in zip(params, before):
        assert np.shares_memory(p.array, optimizer.flat)
        np.testing.assert_array_equal(p.numpy(), values)
    np.testing.assert_array_equal(optimizer.flat, np.concatenate([b.ravel() for b in before]))
    set_gradients(params, 0)
    optimizer.step()
    for p, values in zip(params, before):
        assert np.shares_memory(p.array, optimizer.flat)
        assert (p.numpy() != values).all()


@every_optimizer
def test_each_parameter_moves_as_if_it_were_alone(make):
    together, alone = parameters((2, 3), (4,)), parameters((2, 3), (4,))
    optimizers = [make(together)], [make([p]) for p in alone]
    for t in range(5):
        for params, group in zip((together, alone), optimizers):
            set_gradients(params, t)
            for optimizer in group:
                optimizer.step()
    for a, b in zip(together, alone):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@every_optimizer
def test_without_gradient_nothing_moves_and_no_step_is_counted(make):
    params, alone = parameters((3,), (2,)), parameters((3,), (2,))[:1]
    still = params[1].numpy().copy()
    optimizer, other = make(params), make(alone)
    for t in range(3):
        set_gradients(params, t)
        params[1].grad = None
        set_gradients(alone, t)
        optimizer.step()
        other.step()
    np.testing.assert_array_equal(params[1].numpy(), still)
    np.testing.assert_array_equal(params[0].numpy(), alone[0].numpy())
    assert optimizer.steps.tolist() == [3, 0]


def test_steps_are_counted_for_each_parameter():
    """Adam's correction 1 / (1 - beta^t): a late parameter's first step is lr, as of an early."""
    params = parameters((1,), (1,))
    optimizer = Adam(params, lr=0.1)
    for _ in range(10):
        params[0].grad = minigan.Tensor(np.ones(1))
        optimizer.step()
    before = params[1].item()
    params[1].grad = minigan.Tensor(np.full(1, 0.3))
    optimizer.step()
    assert params[1].item() == pytest.approx(before - 0.1, rel=1e-6)


@every_optimizer
def test_a_step_is_counted_as_a_change_in_place(make):
    layer = nn.Linear(2, 2)
    optimizer = make(layer.parameters())
    x = minigan.tensor([[1.0, 2.0]], requires_grad=True)
    y = (layer(x) ** 2).sum()
    y.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


@every_optimizer
def test_gradients_are_left_alone(make):
    params = parameters((3,))
    optimizer = make(params)
    set_gradients(params, 0)
    before = params[0].grad.numpy().copy()
    optimizer.step()
    np.testing.assert_array_equal(params[0].grad.numpy(), before)


def test_gradients_in_any_memory_order():
    (p,), (q,) = parameters((3, 2)), parameters((3, 2))
    g = np.random.default_rng(0).normal(size=(3, 2))
    for parameter, gradient in [(p, g), (q, np.asfortranarray(g))]:
        parameter.grad = minigan.Tensor(gradient)
        Adam([parameter]).step()
    np.testing.assert_array_equal(p.numpy(), q.numpy())


def test_zero_grad():
    params = parameters((2,), (2,))
    optimizer = SGD(params, lr=1.0)
    params[0].grad = minigan.Tensor(np.ones(2))
    optimizer.zero_grad(set_to_none=False)
    assert params[0].grad.numpy().tolist() == [0.0, 0.0]
    assert params[1].grad is None
    optimizer.zero_grad()
    assert params[0].grad is None


def test_settings_can_be_changed_between_steps():
    (p,) = parameters((1,))
    optimizer = SGD([p], lr=1.0, momentum=0.5)
    start = p.item()
    for lr, momentum in [(1.0, 0.5), (0.1, 0.9)]:
        optimizer.lr, optimizer.momentum = lr, momentum
        p.grad = minigan.Tensor(np.ones(1))
        optimizer.step()
    assert p.item() == pytest.approx(start - 1.0 - 0.1 * (0.9 + 1), rel=1e-12)


@every_optimizer
def test_a_numpy_number_as_learning_rate_changes_nothing(make):
    results = []
    for number in (float, np.float64):
        params = parameters((50,), dtype=np.float32)
        optimizer = make(params)
        optimizer.lr = number(0.0123)
        for t in range(3):
            set_gradients(params, t)
            optimizer.step()
        results.append(params[0].numpy())
    assert results[0].dtype == np.float32
    np.testing.assert_array_equal(*results)


# Changes from outside -----------------------------------------------------------------------


@every_optimizer
def test_values_may_be_changed_in_place(make):
    layer = nn.Linear(3, 2).double()
    optimizer = make(layer.parameters())
    layer.load_state_dict({"weight": np.full((2, 3), 5.0), "bias": np.zeros(2)})
    with minigan.no_grad():
        layer.weight.clamp_(-0.01, 0.01)  # WGAN
    layer.bias.data.fill_(0.5)
    assert optimizer.flat.tolist() == [0.01] * 6 + [0.5] * 2
    set_gradients(list(layer.parameters()), 0)
    optimizer.step()
    assert (optimizer.flat[:6] != 0.01).all()


def _other_optimizer(layer):
    Adam([layer.bias])


def _other_dtype(layer):
    layer.double()


def _other_data(layer):
    layer.bias.data = minigan.zeros(2)


@pytest.mark.parametrize("take_away", [_other_optimizer, _other_dtype, _other_data])
def test_a_parameter_that_was_taken_away_is_noticed(take_away):
    layer = nn.Linear(3, 2)
    optimizer = SGD(layer.parameters(), lr=0.1)
    set_gradients(list(layer.parameters()), 0)
    take_away(layer)
    weight = layer.weight.numpy().copy()
    with pytest.raises(RuntimeError, match="left the array of this SGD: another optimiser") as e:
        optimizer.step()
    assert "\n" not in str(e.value)
    np.testing.assert_array_equal(layer.weight.numpy(), weight)


def test_the_later_optimiser_wins():
    params = parameters((3,))
    SGD(params, lr=0.1)
    later = SGD(params, lr=1.0)
    before = params[0].numpy().copy()
    params[0].grad = minigan.Tensor(np.ones(3))
    later.step()
    np.testing.assert_allclose(params[0].numpy(), before - 1.0)


# Mistakes -----------------------------------------------------------------------------------


def test_a_generator_can_be_used_once():
    generator = nn.Linear(1, 1).parameters()
    Adam(generator)
    with pytest.raises(ValueError, match="at least one parameter"):
        Adam(generator)


def test_one_dtype():
    mixed = parameters((1,)) + parameters((1,), dtype=np.float32)
    with pytest.raises(TypeError, match="one dtype and backend, got numpy float32, numpy float64"):
        SGD(mixed, lr=0.1)


def test_wrong_parameters():
    p = parameters((1,))[0]
    for wrong, error, message in [
        ([], ValueError, "at least one parameter"),
        (p, TypeError, "put a single tensor into a list"),
        ([p, p], ValueError, "given twice"),
        ([p, np.zeros(1)], TypeError, "takes tensors, parameter 1 is a ndarray"),
        ([{"params": [p]}], TypeError, "one optimiser for each group"),
        ([p * 2.0], ValueError, "not a float leaf"),
        ([minigan.tensor([1])], ValueError, "not a float leaf"),
    ]:
        with pytest.raises(error, match=message):
            SGD(wrong, lr=0.1)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (SGD, "lr"), (SGD, "momentum"), (SGD, "weight_decay"),
        (RMSprop, "lr"), (RMSprop, "alpha"), (RMSprop, "eps"), (RMSprop, "weight_decay"),
        (RMSprop, "momentum"), (Adam, "lr"), (Adam, "eps"), (Adam, "weight_decay"),
    ],
)  # fmt: skip
def test_wrong_settings(kind, name, bad):
    with pytest.raises(ValueError, match=rf"{name} must be .*, got {bad}"):
        kind(parameters((1,)), **{name: bad})


def test_more_wrong_settings():
    for betas, message in [((1.0, 0.9), "beta1"), ((0.9, 1.0), "beta2"), ((-0.1, 0.9), "beta1")]:
        with pytest.raises(ValueError, match=message):
            Adam(parameters((1,)), betas=betas)
    with pytest.raises(ValueError, match="nesterov needs a momentum"):
        SGD(parameters((1,)), lr=0.1, nesterov=True)
    optimizer = SGD(parameters((1,)), lr=0.1)
    with pytest.raises(ValueError, match="lr must be a finite number >= 0, got nan"):
        optimizer.lr = math.nan
    assert optimizer.lr == 0.1


def test_a_rejected_setting_leaves_the_parameters_alone():
    params = parameters((1,))
    array = params[0].array
    for kind, wrong in [(SGD, {"lr": -1}), (Adam, {"eps": -1})]:
        with pytest.raises(ValueError):
            kind(params, **wrong)
        assert params[0].array is array


@every_optimizer
def test_a_gradient_that_does_not_fit(make):
    params = parameters((2,), (3,))
    optimizer = make(params)
    before = optimizer.state_dict()
    for wrong in (np.zeros(2), np.zeros((3, 1)), np.zeros(3, np.float32)):
        set_gradients(params, 0)
        params[1].grad = minigan.Tensor(wrong)
        flat = optimizer.flat.copy()
        with pytest.raises(ValueError, match="the gradient of parameter 1 is numpy"):
            optimizer.step()
        np.testing.assert_array_equal(optimizer.flat, flat)
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


# State --------------------------------------------------------------------------------------


def through_a_file(state):
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    return dict(np.load(file, allow_pickle=False))


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_resuming_is_exact(make, dtype):
    params = parameters((3, 2), (4,), dtype=dtype)
    optimizer = make(params)

    def steps(params, optimizer, first, last):
        for t in range(first, last):
            optimizer.lr = 0.01 / (t + 1)
            set_gradients(params, t)
            if t % 3 == 1:
                params[1].grad = None
            optimizer.step()

    steps(params, optimizer, 0, 5)
    values = [p.numpy().copy() for p in params]
    state = through_a_file(optimizer.state_dict())
    steps(params, optimizer, 5, 9)

    resumed = [nn.Parameter(v) for v in values]
    other = make(resumed)
    other.lr = 123.0
    other.load_state_dict(state)
    assert other.lr == 0.01 / 5
    steps(resumed, other, 5, 9)
    for p, q in zip(params, resumed):
        np.testing.assert_array_equal(p.numpy(), q.numpy())


def test_state_is_arrays_and_a_copy():
    optimizer = Adam(parameters((2,)), betas=(0.5, 0.9))
    state = optimizer.state_dict()
    assert set(state) == {"lr", "betas", "eps", "weight_decay", "sizes", "steps", "m", "v"}
    assert all(isinstance(value, np.ndarray) for value in state.values())
    state["m"][:] = 1
    state["steps"][:] = 1
    assert optimizer.m.tolist() == [0, 0]
    assert optimizer.steps.tolist() == [0]
    optimizer.load_state_dict({**state, "betas": (0.1, 0.2)})
    assert optimizer.betas == (0.1, 0.2)
    assert optimizer.m.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s.pop("m"), "expected lr, betas, .*; got lr, betas"),
        (lambda s: s.update(extra=1), "does not fit Adam: expected"),
        (lambda s: s.update(sizes=np.array([2, 2])), "of 2 parameters, here are 2; parameter 1"),
        (lambda s: s.update(sizes=np.array([2])), "of 1 parameters, here are 2; parameter 1"),
        (lambda s: s.update(sizes=np.array(5)), "of 1 parameters, here are 2; parameter 0"),
        (lambda s: s.update(v=np.zeros(4)), r"v must be numbers of shape \(5,\), got float64"),
        (lambda s: s.update(steps=np.array(["a", "b"])), "steps must be numbers"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(spoil, message):
    optimizer = Adam(parameters((2,), (3,)), lr=0.1)
    before = optimizer.state_dict()
    state = {**{name: value + 1 for name, value in before.items()}, "sizes": before["sizes"]}
    spoil(state)
    with pytest.raises(ValueError, match=message) as error:
        optimizer.load_state_dict(state)
    assert "\n" not in str(error.value)
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_the_state_of_another_optimiser_is_refused():
    params = parameters((2,))
    with pytest.raises(ValueError, match="does not fit SGD: expected lr, momentum"):
        SGD(params, lr=0.1).load_state_dict(Adam(params).state_dict())


@every_optimizer
def test_repr_names_the_settings(make):
    optimizer = make(parameters((1,), (1,)))
    assert repr(optimizer).startswith(f"{type(optimizer).__name__}(2 parameters, lr=0.")


# Schedules ----------------------------------------------------------------------------------


def test_exponential_is_the_papers():
    lr = schedules.exponential(0.1, 1.000004, 1e-6)
    for t in (0, 1, 500, 100_000):
        assert lr(t) == pytest.approx(0.1 / 1.000004**t, rel=1e-12)
    assert lr(10**9) == 1e-6
    assert schedules.exponential(1.0, 10.0)(10**6) == 0.0


def test_linear_ends_exactly():
    momentum = schedules.linear(0.5, 0.7, 125_000)
    assert [momentum(t) for t in (0, 125_000, 125_001, 10**9)] == [0.5, 0.7, 0.7, 0.7]
    values = [momentum(t) for t in range(0, 125_001, 25_000)]
    np.testing.assert_allclose(np.diff(values), 0.04, rtol=1e-12)
    assert schedules.linear(1.0, 0.0, 4)(1) == 0.75


def test_schedules_are_values():
    a = schedules.linear(0.5, 0.7, 10)
    assert a == schedules.linear(0.5, 0.7, 10)
    assert repr(a) == "linear(start=0.5, end=0.7, steps=10)"
    assert schedules.constant(0.3)(10**9) == 0.3
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.start = 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.linear(0, 1, 0), "steps must be at least 1"),
        (lambda: schedules.exponential(0.1, 0.9), "must be at least 1"),
        (lambda: schedules.constant(math.nan), "every number must be finite"),
        (lambda: schedules.linear(math.inf, 1, 2), "every number must be finite"),
        (lambda: schedules.exponential(0.1, 1.1, math.nan), "every number must be finite"),
    ],
)
def test_schedule_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# The average of weights ---------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self):
        self.linear, self.norm = nn.Linear(3, 2), nn.BatchNorm1d(2)

    def forward(self, x):
        return self.norm(self.linear(x))


def train_a_step(net, optimizer, t):
    x = minigan.Tensor(np.random.default_rng(t).normal(size=(6, 3)).astype(np.float32))
    optimizer.zero_grad()
    (net(x) ** 3).sum().backward()
    optimizer.step()


def test_ema_is_the_formula_and_copies_buffers():
    net = Net().double()
    average = {name: p.numpy().copy() for name, p in net.named_parameters()}
    ema, rng = EMA(net, 0.9), np.random.default_rng(0)
    for _ in range(5):
        with minigan.no_grad():
            for name, p in net.named_parameters():
                p.copy_(rng.normal(size=p.shape))
                average[name] = 0.9 * average[name] + 0.1 * p.numpy()
        net(minigan.Tensor(rng.normal(size=(4, 3))))
        ema.update()
    live = net.state_dict()
    with ema.swapped_in():
        swapped = net.state_dict()
    for name, p in average.items():
        np.testing.assert_allclose(swapped[name], p, rtol=1e-12)
        assert not np.allclose(swapped[name], live[name])
    assert swapped["norm.num_batches_tracked"] == 5
    for name in ("norm.running_mean", "norm.running_var"):
        np.testing.assert_array_equal(swapped[name], live[name])


def run_and_fail(net):
    net(minigan.zeros(2, 3))  # moves the average's running statistics, not the network's own
    net(minigan.zeros(2, 4))


def test_swapping_gives_back_the_very_same_arrays():
    net = Net()
    ema = EMA(net, 0.5)
    optimizer = Adam(net.parameters())
    train_a_step(net, optimizer, 0)
    tensors = [*net.parameters(), *net.buffers()]
    own, values = [t.array for t in tensors], net.state_dict()
    with pytest.raises(ValueError, match="linear"), ema.swapped_in():
        run_and_fail(net)
    assert all(t.array is a for t, a in zip(tensors, own))
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, values[name])
    train_a_step(net, optimizer, 1)
    ema.update()


def test_no_training_while_swapped_in():
    net = Net()
    ema, optimizer = EMA(net, 0.5), Adam(net.parameters())
    x = minigan.tensor(np.ones((2, 3), np.float32), requires_grad=True)
    y = net.linear(x).sum()
    with ema.swapped_in():
        with pytest.raises(RuntimeError, match="changed in place"):
            y.backward()
        with pytest.raises(RuntimeError, match="left the array of this Adam"):
            optimizer.step()
        with pytest.raises(RuntimeError, match="swapped in: leave the with block"):
            ema.update()
        with pytest.raises(RuntimeError, match="swapped in: leave the with block"):
            ema.swapped_in().__enter__()
    train_a_step(net, optimizer, 0)


def test_ema_of_parameters_alone():
    params = parameters((2,))
    ema = EMA(params, 0.5)
    start = params[0].numpy().copy()
    with minigan.no_grad():
        params[0].copy_(start + 1.0)
    ema.update()
    with ema.swapped_in():
        np.testing.assert_allclose(params[0].numpy(), start + 0.5, rtol=1e-12)


def test_ema_resumes_exactly():
    net = Net()
    ema, optimizer = EMA(net, 0.9), Adam(net.parameters())
    for t in range(3):
        train_a_step(net, optimizer, t)
        ema.update()
    other_net = Net()
    other = EMA(other_net, 0.1)
    other_net.load_state_dict(net.state_dict())
    other.load_state_dict(through_a_file(ema.state_dict()))
    ema.update()
    other.update()
    with ema.swapped_in(), other.swapped_in():
        for name, array in net.state_dict().items():
            np.testing.assert_array_equal(other_net.state_dict()[name], array)


def test_ema_mistakes():
    for decay in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match=r"decay must be in \[0, 1\)"):
            EMA(Net(), decay)
    with pytest.raises(ValueError, match="at least one parameter"):
        EMA(nn.ReLU(), 0.9)
    with pytest.raises(ValueError, match="the state does not fit EMA"):
        EMA(Net(), 0.9).load_state_dict(EMA(nn.Linear(3, 2), 0.9).state_dict())
    state = EMA(Net(), 0.9).state_dict()
    with pytest.raises(ValueError, match=r"buffer.1 must be numbers of shape \(2,\)"):
        EMA(Net(), 0.9).load_state_dict({**state, "buffer.1": np.zeros(3)})
