"""Outputs, gradients and second gradients against PyTorch's, on random shapes and values.

The values are rounded to one decimal, so that ties, zeros and bounds come up: there a derivative
is a convention, and ours is PyTorch's.
"""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="parity needs PyTorch, which is not installed")

from minigan import functional as F  # noqa: E402
from minigan.autograd import Tensor, grad  # noqa: E402

TF = torch.nn.functional
TOLERANCE = {np.float64: 1e-9, np.float32: 1e-5}  # relative to the largest element


# Making inputs ------------------------------------------------------------------------------


class Maker:
    """Random arrays of random shapes: a, b, c are lengths, ``normal`` and the others values."""

    def __init__(self, seed, lengths):
        self.rng = np.random.default_rng(seed)
        self.a, self.b, self.c = lengths

    def normal(self, *shape):
        return np.round(self.rng.standard_normal(shape), 1)

    def smooth(self, *shape):
        return self.rng.standard_normal(shape)

    def scattered(self, *shape):
        """Never all alike along an axis: the derivative of a deviation of 0 is infinite."""
        return 0.3 * self.smooth(*shape) + 2.0 * (np.indices(shape).sum(0) % 3)

    def positive(self, *shape):
        return self.rng.uniform(0.5, 2.0, shape)

    def probability(self, *shape):
        return self.rng.uniform(0.2, 0.8, shape)

    def indices(self, n, *shape):
        return self.rng.integers(0, n, shape)


lengths = st.tuples(*[st.integers(1, 4)] * 3)
seeds = st.integers(0, 2**32 - 1)


# One entry a function: how its inputs are made, ours, theirs ---------------------------------

PARITY = {}


def entry(name, make, ours, theirs=None):
    PARITY[name] = (make, ours, theirs or ours)


def matrix(m):
    return [m.normal(m.a, m.b)]


def stack_of(m):
    return [m.normal(m.a, m.b, m.c)]


def two(m):
    return [m.normal(m.a, m.b), m.normal(m.a, m.b)]


def broadcast(m):
    return [m.normal(m.a, 1, m.c), m.normal(m.b, 1)]


entry("add", broadcast, lambda x, y: x + y)
entry("sub", broadcast, lambda x, y: x - y)
entry("mul", broadcast, lambda x, y: x * y)
entry("div", lambda m: [m.normal(m.a, 1), m.positive(m.b)], lambda x, y: x / y)
entry("numbers", matrix, lambda x: (1.5 - x) / 2 + 3 * x - 1 / (x * x + 1))
entry("neg", matrix, lambda x: -x)
for exponent in (0, 1, 2, 3):
    entry(f"pow/{exponent}", matrix, lambda x, c=exponent: x**c)
entry("pow/fraction", lambda m: [m.positive(m.a)], lambda x: x**-1.5)
entry("pow/tensor", lambda m: [m.positive(m.a, m.b), m.smooth(m.b)], lambda x, y: x**y)
entry("exp", matrix, F.exp, torch.exp)
entry("log", lambda m: [m.positive(m.a)], F.log, torch.log)
entry("sqrt", lambda m: [m.positive(m.a)], F.sqrt, torch.sqrt)
entry("abs", matrix, F.abs, torch.abs)
entry("tanh", matrix, F.tanh, torch.tanh)
entry("sigmoid", lambda m: [m.normal(m.a, m.b) * 30], F.sigmoid, torch.sigmoid)
entry(
    "softplus",
    lambda m: [m.normal(m.a, m.b) * 30],
    F.softplus,
    lambda x: TF.softplus(x, threshold=80),  # PyTorch replaces it by x from there on
)
entry("relu", matrix, F.relu, torch.relu)
for slope in (0.01, 0.2):
    entry(
        f"leaky_relu/{slope}",
        matrix,
        functools.partial(F.leaky_relu, negative_slope=slope),
        functools.partial(TF.leaky_relu, negative_slope=slope),
    )
entry("softmax", matrix, lambda x: F.softmax(x, 1), lambda x: torch.softmax(x, 1))
entry("log_softmax", matrix, lambda x: F.log_softmax(x, 0), lambda x: torch.log_softmax(x, 0))

entry("maximum", broadcast, F.maximum, torch.maximum)
entry("minimum", broadcast, F.minimum, torch.minimum)
entry("maximum/tied", lambda m: [m.normal(m.a)] * 2, F.maximum, torch.maximum)
entry("clip", matrix, lambda x: F.clip(x, -0.5, 0.7), lambda x: torch.clamp(x, -0.5, 0.7))
entry("clip/min", matrix, lambda x: F.clip(x, min=0.0), lambda x: torch.clamp(x, min=0.0))
entry(
    "where",
    lambda m: [m.rng.random((m.a, m.b)) < 0.5, m.normal(m.b), m.normal(m.a, 1)],
    F.where,
    torch.where,
)

DIMS = {"all": {}, "one": {"dim": 1}, "two": {"dim": (0, -1)}, "kept": {"dim": -1, "keepdim": True}}
for label, dims in DIMS.items():
    for name in ("sum", "mean", "amax", "amin"):
        entry(
            f"{name}/{label}",
            stack_of,
            functools.partial(getattr(F, name), **dims),
            functools.partial(getattr(torch, name), **dims),
        )
    entry(
        f"var/{label}",
        lambda m: [m.scattered(m.a + 2, m.b + 2, m.c + 2)],
        functools.partial(F.var, **dims),
        functools.partial(torch.var, **dims),
    )
    entry(
        f"std/{label}",
        lambda m: [m.scattered(m.a + 2, m.b + 2, m.c + 2)],
        functools.partial(F.std, **dims),
        functools.partial(torch.std, **dims),
    )
entry("var/biased", stack_of, functools.partial(F.var, dim=0, unbiased=False),
      functools.partial(torch.var, dim=0, unbiased=False))  # fmt: skip
entry("amax/tied", lambda m: [np.ones((m.a, m.b))], lambda x: F.amax(x, 1), lambda x: x.amax(1))
entry("max", lambda m: [np.round(m.normal(m.a, m.b))], lambda x: x.max())
entry("min", lambda m: [np.round(m.normal(m.a, m.b))], lambda x: x.min())
entry("expand", lambda m: [m.normal(m.b, 1)], lambda x: x.expand(3, x.shape[0], 2))
entry("broadcast_to", matrix, lambda x: F.broadcast_to(x, (2, *x.shape)),
      lambda x: torch.broadcast_to(x, (2, *x.shape)))  # fmt: skip
entry("sum_to", stack_of, lambda x: F.sum_to(x, (x.shape[1], 1)),
      lambda x: x.sum_to_size((x.shape[1], 1)))  # fmt: skip

entry("reshape", stack_of, lambda x: x.reshape(x.shape[0], -1))
entry("flatten", stack_of, lambda x: x.flatten(1))
entry("unflatten", lambda m: [m.normal(m.a, 6)], lambda x: x.unflatten(1, (2, 3)))
entry("squeeze", lambda m: [m.normal(1, m.a, 1)], lambda x: x.squeeze(-1) * x.squeeze().sum())
entry("unsqueeze", matrix, lambda x: x.unsqueeze(-1) * x.unsqueeze(0).sum())
entry("permute", stack_of, lambda x: x.permute(2, 0, 1) * x.permute(2, 0, 1))
entry("transpose", stack_of, lambda x: x.transpose(0, -1).exp())
entry("cat", lambda m: [m.normal(m.a, m.b), m.normal(m.a, m.c)],
      lambda x, y: F.cat([x, y, x], 1), lambda x, y: torch.cat([x, y, x], 1))  # fmt: skip
entry("stack", two, lambda x, y: F.stack([x, y], -1), lambda x, y: torch.stack([x, y], -1))
entry("pad", stack_of, lambda x: F.pad(x, (1, 0, 2, 1), value=3.0),
      lambda x: TF.pad(x, (1, 0, 2, 1), value=3.0))  # fmt: skip

entry("getitem/slices", stack_of, lambda x: x[::2, -1, None])
entry("getitem/repeated", lambda m: [m.normal(m.a, m.b), m.indices(m.a, 5)],
      lambda x, i: x[i] * x[i])  # fmt: skip
entry("getitem/pairs", lambda m: [m.normal(m.a, m.b), m.indices(m.a, 2, 3), m.indices(m.b, 3)],
      lambda x, i, j: x[i, j].exp())  # fmt: skip
entry("getitem/mask", lambda m: [m.normal(m.a, m.b), m.rng.random(m.a) < 0.5],
      lambda x, mask: x[mask])  # fmt: skip
entry("embedding", lambda m: [m.indices(m.a, m.b, m.c), m.normal(m.a, 3)],
      F.embedding, TF.embedding)  # fmt: skip

entry("matmul", lambda m: [m.normal(m.a, m.b), m.normal(m.b, m.c)], F.matmul, torch.matmul)
entry("matmul/stacks", lambda m: [m.normal(2, 1, m.a, m.b), m.normal(3, m.b, m.c)],
      F.matmul, torch.matmul)  # fmt: skip
entry("matmul/vectors", lambda m: [m.normal(m.a), m.normal(m.a)], F.matmul, torch.matmul)
entry("matmul/vector-left", lambda m: [m.normal(m.a), m.normal(2, m.a, m.b)],
      F.matmul, torch.matmul)  # fmt: skip
entry("matmul/vector-right", lambda m: [m.normal(2, m.a, m.b), m.normal(m.b)],
      F.matmul, torch.matmul)  # fmt: skip
entry("linear", lambda m: [m.normal(m.a, m.b), m.normal(m.c, m.b), m.normal(m.c)],
      F.linear, TF.linear)  # fmt: skip
entry("linear/no-bias", lambda m: [m.normal(m.a, m.b), m.normal(m.c, m.b)],
      F.linear, TF.linear)  # fmt: skip
entry("linear/stack", lambda m: [m.normal(2, m.a, m.b), m.normal(m.c, m.b), m.normal(m.c)],
      F.linear, TF.linear)  # fmt: skip


def normalised(m, *shape):
    C = shape[1]
    return [m.smooth(*shape), m.smooth(C), m.positive(C), m.positive(C), m.normal(C)]


def train(batch_norm, x, mean, var, weight, bias):
    return batch_norm(x, None, None, weight, bias, training=True)


entry("batch_norm/train", lambda m: normalised(m, m.a + 3, m.b),
      functools.partial(train, F.batch_norm), functools.partial(train, TF.batch_norm))  # fmt: skip
entry("batch_norm/train-3-d", lambda m: normalised(m, m.a + 1, m.b, m.c + 2),
      functools.partial(train, F.batch_norm), functools.partial(train, TF.batch_norm))  # fmt: skip

LOSSES = {
    "binary_cross_entropy": lambda m: [m.probability(m.a, m.b), m.probability(m.a, m.b)],
    "binary_cross_entropy_with_logits": lambda m: [
        m.normal(m.a, m.b) * 30,
        m.probability(m.a, m.b),
    ],
    "mse_loss": two,
    "l1_loss": two,
}
for name, make in LOSSES.items():
    for reduction in ("mean", "sum", "none"):
        entry(
            f"{name}/{reduction}",
            make,
            functools.partial(getattr(F, name), reduction=reduction),
            functools.partial(getattr(TF, name), reduction=reduction),
        )


# The comparison -----------------------------------------------------------------------------


def close(ours, theirs, dtype, what, terms=()):
    """Equal to the tolerance, relative to the largest element.

    A sum may be small, or 0, although its terms are not: it is allowed the rounding of those.
    """
    theirs = theirs.detach().numpy()
    assert ours.dtype == theirs.dtype == dtype, what
    assert ours.shape == theirs.shape, what
    largest = np.abs(theirs).max(initial=0)
    largest_term = max([np.abs(a).max(initial=0) for a in terms], default=0)
    atol = max(TOLERANCE[dtype] * largest, 100 * np.finfo(dtype).eps * largest_term)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=atol, err_msg=what)


def compare(make, ours, theirs, dtype, seed, lengths):
    m = Maker(seed, lengths)
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in make(m)]
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    xs = [Tensor(a, i in floats) for i, a in enumerate(arrays)]
    ts = [torch.tensor(a, requires_grad=i in floats) for i, a in enumerate(arrays)]

    y, u = ours(*xs), theirs(*ts)
    close(y, u, dtype, "output", [arrays[i] for i in floats])
    xs, ts = ([z[i] for i in floats] for z in (xs, ts))
    v = m.smooth(*y.shape).astype(dtype)
    # An input that is not used has the gradient None there: 0 times it makes that 0 on both sides.
    y = (y * v).sum() + sum((x * 0.0).sum() for x in xs)
    u = (u * torch.tensor(v)).sum() + sum((t * 0.0).sum() for t in ts)
    g, h = grad(y, xs, create_graph=True), torch.autograd.grad(u, ts, create_graph=True)
    for i, (a, b) in enumerate(zip(g, h)):
        close(a, b, dtype, f"gradient {i}", [v])

    w = [m.smooth(*a.shape).astype(dtype) for a in g]
    y = sum((a * b).sum() for a, b in zip(g, w)) + sum((x * 0.0).sum() for x in xs)
    u = sum((a * torch.tensor(b)).sum() for a, b in zip(h, w)) + sum((t * 0.0).sum() for t in ts)
    for i, (a, b) in enumerate(zip(grad(y, xs), torch.autograd.grad(u, ts))):
        close(a, b, dtype, f"second gradient {i}", [v, *w, *(x.detach().numpy() for x in h)])


@pytest.mark.parametrize("name", PARITY)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(dtype=st.sampled_from([np.float64, np.float32]), seed=seeds, lengths=lengths)
def test_parity(name, dtype, seed, lengths):
    compare(*PARITY[name], dtype, seed, lengths)


def test_every_function_that_pytorch_has_is_compared():
    names = {name.split("/")[0] for name in PARITY} | {"getitem", "batch_norm"}
    without = {"maxout", "dropout"}  # not there; another random generator
    # Compared in test_parity_image_functions.py:
    without |= {"avg_pool2d", "instance_norm", "interpolate", "layer_norm", "max_pool2d"}
    without |= {"pixel_norm", "reflection_pad2d"}
    # Compared in test_parity_convolution.py:
    without |= {"conv2d", "conv_transpose2d", "conv2d_weight_grad"}
    # Compared in test_minibatch.py:
    without |= {"minibatch_discrimination", "minibatch_stddev"}
    assert set(F.__all__) - without <= names


# Special points -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_binary_cross_entropy_of_certain_answers(dtype, reduction):
    p = np.array([0, 1, 0, 1, 0.5, 0, 1, 1e-20, 1e-44, 1 - 1e-7], dtype)
    t = np.array([0, 1, 1, 0, 0.5, 0.3, 0.3, 1, 1, 0], dtype)
    x, u = Tensor(p, True), torch.tensor(p, requires_grad=True)
    loss = F.binary_cross_entropy(x, Tensor(t), reduction)
    expected = TF.binary_cross_entropy(u, torch.tensor(t), reduction=reduction)
    rtol = TOLERANCE[dtype]
    np.testing.assert_allclose(loss.numpy(), expected.detach().numpy(), rtol=rtol)
    loss.sum().backward()
    expected.sum().backward()
    theirs = u.grad.numpy()
    # PyTorch's smallest p (1 - p), 1e-12, is a float32 number; ours is 1e-12.
    theirs[p * (1 - p) < 1e-12] *= float(np.float32(1e-12)) / 1e-12
    np.testing.assert_allclose(x.grad.numpy(), theirs, rtol=rtol)
    assert np.abs(x.grad.numpy()[2:4]).min() > 1e9  # sure and wrong: the gradient does not die


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seeds, lengths, st.booleans(), st.sampled_from([0.1, 0.5]))
def test_batch_norm_statistics(seed, lengths, training, momentum):
    m = Maker(seed, lengths)
    arrays = normalised(m, m.a + 1, m.b, m.c + 1)
    xs = [Tensor(a.copy(), i not in (1, 2)) for i, a in enumerate(arrays)]
    ts = [torch.tensor(a, requires_grad=i not in (1, 2)) for i, a in enumerate(arrays)]
    y = F.batch_norm(*xs, training=training, momentum=momentum)
    u = TF.batch_norm(*ts, training=training, momentum=momentum)
    close(y, u, np.float64, "output")
    for i in (1, 2):
        close(xs[i], ts[i], np.float64, "running statistics")
    v = m.smooth(*y.shape)
    y.backward(Tensor(v))
    u.backward(torch.tensor(v))
    for i in (0, 3, 4):
        close(xs[i].grad, ts[i].grad, np.float64, f"gradient {i}")


def test_a_constant_batch():
    # Variance 0: only eps keeps the gradient finite.
    x, u = Tensor(np.ones((4, 2)), True), torch.ones(4, 2, dtype=torch.float64, requires_grad=True)
    one, zero = np.ones(2), np.zeros(2)
    v = np.arange(8.0).reshape(4, 2)
    F.batch_norm(x, None, None, Tensor(one), Tensor(zero), True).backward(Tensor(v))
    TF.batch_norm(u, None, None, torch.tensor(one), torch.tensor(zero), True).backward(
        torch.tensor(v)
    )
    close(x.grad, u.grad, np.float64, "gradient")
