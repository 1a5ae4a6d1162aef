"""What a graph holds: no cycles, nothing longer than needed, and chains of any length."""

import gc
import tracemalloc
import weakref
from collections import Counter

import numpy as np
import pytest

from minigan import functional as F
from minigan.autograd import Function, Tensor, grad
from minigan.gradient_cases import cases

LONG = 100_000


@pytest.fixture
def _no_collector():
    """Only reference counting frees memory: whatever is in a cycle stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def living():
    """How many tensors and functions of each type exist."""
    types = map(type, gc.get_objects())  # isinstance() would run other libraries' code
    return Counter(t.__name__ for t in types if issubclass(t, (Tensor, Function)))


def chain(x, length):
    for _ in range(length):
        x = -x
    return x


# No reference cycles ------------------------------------------------------------------------


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("order", [0, 1, 2])
def test_no_function_closes_a_cycle(order):
    catalogue = cases()
    before = living()
    for _, function, inputs in catalogue:
        inputs = [
            Tensor(x.array, requires_grad=True) if isinstance(x, Tensor) else x for x in inputs
        ]
        y = function(*inputs)
        leaves = [x for x in inputs if isinstance(x, Tensor)]
        for _ in range(order):
            # + 0 x: so that every gradient depends on every input
            y = y.sum() + sum((x * 0.0).sum() for x in leaves)
            y = sum((g * g).sum() for g in grad(y, leaves, create_graph=True))
        del inputs, leaves, y
    assert living() == before


@pytest.mark.usefixtures("_no_collector")
def test_a_cycle_would_be_noticed():
    class Cyclic(Function):
        def forward(self, x):
            self.result = [x]
            return x * 2

    before = living()
    function = Cyclic()
    y = function(Tensor(np.ones(2), requires_grad=True))
    function.result.append(y)  # what save_output() avoids
    del y, function
    assert living() - before == {"Cyclic": 1, "Tensor": 2}  # y and the leaf
    gc.collect()


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("differentiate", [False, True])
def test_dropping_the_loss_frees_the_arrays_at_once(differentiate):
    x = Tensor(np.ones(10), requires_grad=True)
    hidden = x.exp()
    activation = weakref.ref(hidden.array)
    loss = (hidden * hidden).sum()
    del hidden
    assert activation() is not None  # kept for backward
    if differentiate:
        loss.backward()
        assert activation() is None  # used up, though the loss is still here
    del loss
    assert activation() is None


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_training_step_leaves_nothing_but_gradients(create_graph):
    x = Tensor(np.ones((4, 3)))
    weights = [Tensor(np.full((3, 3), 0.1 * k + 0.1), requires_grad=True) for k in range(3)]
    before = living()
    for _ in range(3):
        h = x
        for w in weights:
            h = F.leaky_relu(F.linear(h, w))
        gradients = grad(h.mean(), weights, create_graph=create_graph)
        del h
        if not create_graph:
            assert living() - before == {"Tensor": len(weights)}
        del gradients
        assert living() == before


# Only what backward needs -------------------------------------------------------------------


@pytest.mark.usefixtures("_no_collector")
def test_an_addition_keeps_no_array():
    x = Tensor(np.ones(10), requires_grad=True)
    doubled = x * 2.0
    array = weakref.ref(doubled.array)
    y = doubled + 1.0
    del doubled
    assert array() is None
    y.sum().backward()


@pytest.mark.usefixtures("_no_collector")
def test_a_used_up_graph_keeps_nothing_even_if_it_is_held():
    x = Tensor(np.ones(10), requires_grad=True)
    hidden = x.exp()
    activation = weakref.ref(hidden.array)
    held = hidden * hidden
    del hidden
    held.sum().backward()
    assert activation() is None


class Probe(Function):
    """The identity; its backward, the last to run, sees how much memory is in use."""

    def forward(self, x):
        return x * 1

    def backward(self, gy):
        Probe.in_use = tracemalloc.get_traced_memory()[0]
        return gy * 1.0


def activations(x, depth):
    x = Probe()(x)
    for _ in range(depth):
        x = F.clip(F.tanh(x), -0.9, 0.9)  # an array saved by name, and a mask
    return x


@pytest.mark.parametrize(
    "differentiate",
    [lambda x, y: y.backward(), lambda x, y: grad(y, [x])],
    ids=["backward", "grad"],
)
def test_activations_are_freed_as_they_are_consumed(differentiate):
    x = Tensor(np.linspace(-1, 1, 10_000), requires_grad=True)
    size, depth = x.array.nbytes, 40
    tracemalloc.start()
    try:
        loss = activations(x, depth).sum()
        kept = tracemalloc.get_traced_memory()[0]
        assert kept > depth * size  # the graph is what occupies the memory
        tracemalloc.reset_peak()
        differentiate(x, loss)
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < kept + 6 * size  # a few gradients on top, whatever the depth
    assert Probe.in_use < 6 * size  # at the end nothing of the activations is left
    assert left < 3 * size  # x.grad; the loss is still here, its graph is not


def test_two_leaves_never_share_the_memory_of_a_gradient():
    class Both(Function):
        def forward(self, a, b):
            return a * 2 + b * 2

        def backward(self, gy):
            g = gy * 2.0
            return g, g

    ways = {
        "sum": lambda a, b: a + b,
        "square": lambda a, b: (a + b) ** 2,
        "broadcast": lambda a, b: (a + b).sum(),
        "cat": lambda a, b: F.cat([a, b]),
        "stack": lambda a, b: F.stack([a, b]).sum(0),
        "views": lambda a, b: a.view(3, 1) + b.view(3, 1),
        "both": lambda a, b: Both()(a, b),
        "where": lambda a, b: F.where(np.array([True, False, True]), a, b),
    }
    for name, f in ways.items():
        for create_graph in (False, True):
            for use_inputs in (False, True):
                a, b = (Tensor(np.arange(1.0, 4.0), requires_grad=True) for _ in range(2))
                front = Tensor(np.ones(f(a, b).shape))
                y = f(a, b)
                y.backward(front, create_graph=create_graph, inputs=[a, b] if use_inputs else None)
                for other in (b.grad.array, front.array, a.array, b.array):
                    assert not np.shares_memory(a.grad.array, other), (name, create_graph)
                assert not np.shares_memory(b.grad.array, front.array), (name, create_graph)
                assert a.grad.array.flags.writeable


def test_accumulating_does_not_change_what_others_hold():
    a, b = (Tensor(np.ones(3), requires_grad=True) for _ in range(2))
    front = Tensor(np.ones(3))
    for _ in range(2):
        (a + b).backward(front)
    assert front.numpy().tolist() == [1.0] * 3
    assert a.grad.numpy().tolist() == [2.0] * 3


# Long chains --------------------------------------------------------------------------------


@pytest.mark.usefixtures("_no_collector")
def test_a_long_chain_backward():
    x = Tensor(np.array(1.0), requires_grad=True)
    chain(x, LONG + 1).backward()
    assert x.grad.item() == -1.0


@pytest.mark.usefixtures("_no_collector")
def test_a_long_chain_with_create_graph():
    x = Tensor(np.array(3.0), requires_grad=True)
    y = chain(x, LONG)
    (g,) = grad(y * y, [x], create_graph=True)
    (gg,) = grad(g, [x])
    assert (g.item(), gg.item()) == (6.0, 2.0)


@pytest.mark.usefixtures("_no_collector")
def test_a_long_chain_dropped_undifferentiated():
    y = chain(Tensor(np.array(1.0), requires_grad=True), LONG)
    function = weakref.ref(y.grad_fn.edges[0])
    del y
    assert function() is None


@pytest.mark.usefixtures("_no_collector")
def test_a_long_chain_dropped_while_a_middle_is_held():
    x = Tensor(np.array(1.0), requires_grad=True)
    middle = chain(x, LONG // 2)
    y = chain(middle, LONG // 2)
    del y
    middle.backward()
    assert x.grad is not None


def test_a_wide_graph():
    x = Tensor(np.array(1.0), requires_grad=True)
    total = x * 0.0
    for _ in range(2_000):
        total = total + x
    total.backward()
    assert x.grad.item() == 2_000
