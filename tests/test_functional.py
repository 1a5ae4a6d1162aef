"""Every function's first and second derivative, its dtypes, and that no function is left out."""

import inspect
import types

import numpy as np
import pytest

from minigan import backends
from minigan import functional as F
from minigan.autograd import Function, Tensor, grad
from minigan.gradient_cases import cases, spread
from minigan.gradient_check import gradcheck, gradgradcheck

CASES = cases()
NAMES = [case.name for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_first_derivative(case):
    gradcheck(case.function, case.inputs, name=case.name)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_second_derivative(case):
    gradgradcheck(case.function, case.inputs, name=case.name)


@pytest.mark.parametrize("name", ["mul/itself", "softplus", "tanh"])
def test_third_derivative(name):
    case = CASES[NAMES.index(name)]
    gradcheck(case.function, case.inputs, order=3)


# The catalogue is complete ------------------------------------------------------------------


def test_names_are_unique():
    assert len(set(NAMES)) == len(NAMES)


def test_every_public_function_is_in_the_catalogue():
    assert set(F.__all__) <= {name.split("/")[0] for name in NAMES}


def test_the_public_names_are_listed():
    public = {
        name
        for name, value in vars(F).items()
        if isinstance(value, types.FunctionType) and not name.startswith("_")
    }
    assert public == set(F.__all__)


def function_classes(base=Function):
    """Those that are applied: not what only others are made from."""
    for cls in base.__subclasses__():
        if cls.__module__.startswith("minigan.functional.") and not cls.__subclasses__():
            yield cls
        yield from function_classes(cls)


def test_every_function_class_is_reached(monkeypatch):
    seen = set()
    apply = Function.__call__

    def watched(self, *inputs):
        seen.add(type(self))
        return apply(self, *inputs)

    monkeypatch.setattr(Function, "__call__", watched)
    for _, function, inputs in CASES:
        leaves = [Tensor(x.array, requires_grad=True) for x in inputs if isinstance(x, Tensor)]
        others = iter(leaves)
        y = function(*[next(others) if isinstance(x, Tensor) else x for x in inputs])
        for _ in range(2):
            y = y.sum() + sum((x * x).sum() for x in leaves)
            y = sum((g * g).sum() for g in grad(y, leaves, create_graph=True))
    expected = set(function_classes())
    if backends.why_unavailable("cupy"):
        expected = {cls for cls in expected if cls.__name__ != "_Move"}  # needs two backends
    assert expected - seen == set()


def test_every_method_of_tensor_is_in_the_catalogue():
    # Those that functional/operators.py attaches, without the ones that have no derivative.
    names = {name.split("/")[0] for name in NAMES}
    without = {"lt", "le", "gt", "ge", "eq", "ne"}  # comparisons
    other_names = {"float": "to", "double": "to", "rsub": "sub", "rtruediv": "div"}
    for name, value in vars(Tensor).items():
        if not getattr(value, "__module__", "").startswith("minigan.functional"):
            continue
        plain = name.strip("_")
        is_in_place = name.endswith("_") and (not name.endswith("__") or plain.startswith("i"))
        if not is_in_place and plain not in without:
            assert {plain, value.__name__, other_names.get(plain)} & names, name


# dtypes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [c for c in CASES if c.name != "to"], ids=lambda c: c.name)
def test_float32_stays_float32(case):
    inputs = [
        Tensor(x.array.astype(np.float32), requires_grad=True) if isinstance(x, Tensor) else x
        for x in case.inputs
    ]
    leaves = [x for x in inputs if isinstance(x, Tensor)]
    y = case.function(*inputs)
    for _ in range(3):
        assert y.dtype == np.float32
        y = y.sum() + sum((x * x).sum() for x in leaves)
        gradients = grad(y, leaves, create_graph=True)
        assert {g.dtype for g in gradients} == {np.dtype(np.float32)}
        y = sum((g * g).sum() for g in gradients)


@pytest.mark.parametrize("case", [c for c in CASES if c.name != "to"], ids=lambda c: c.name)
def test_float32_agrees_with_float64(case):
    def values(dtype):
        xs = [Tensor(x.array.astype(dtype)) if isinstance(x, Tensor) else x for x in case.inputs]
        return case.function(*xs).numpy()

    np.testing.assert_allclose(values(np.float32), values(np.float64), rtol=1e-4, atol=1e-5)


# What gradients do not show -----------------------------------------------------------------


def test_maximum_lets_nan_through():
    nan, one = Tensor(np.array([np.nan])), Tensor(np.array([1.0]))
    for pair in [(nan, one), (one, nan)]:
        assert np.isnan(F.maximum(*pair).numpy()).all()
        assert np.isnan(F.minimum(*pair).numpy()).all()


def test_activations_do_not_overflow():
    x = Tensor(np.array([-1e4, -100.0, 0.0, 100.0, 1e4], np.float32))
    assert F.sigmoid(x).numpy().tolist() == pytest.approx([0, 0, 0.5, 1, 1], abs=1e-30)
    assert F.softplus(x).numpy().tolist() == pytest.approx([0, 0, np.log(2), 100, 1e4], abs=1e-7)
    assert F.softmax(x, 0).numpy().tolist() == [0, 0, 0, 0, 1]
    assert np.isfinite(F.log_softmax(x, 0).numpy()).all()


def test_dropout_keeps_the_mean_and_scales_gradients_alike():
    backends.manual_seed(0)
    x = Tensor(np.ones(10_000), requires_grad=True)
    y = F.dropout(x, 0.3)
    (g,) = grad(y.sum(), [x])
    assert y.numpy().mean() == pytest.approx(1.0, abs=0.03)
    assert set(np.unique(y.numpy())) == {0.0, 1 / 0.7}
    np.testing.assert_array_equal(y.numpy(), g.numpy())
    for p in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"in \[0, 1\)"):
            F.dropout(x, p)


def test_batch_norm_moves_the_running_statistics():
    x = spread(6, 2)
    mean, var = Tensor(np.zeros(2)), Tensor(np.ones(2))
    one, zero = Tensor(np.ones(2)), Tensor(np.zeros(2))
    y = F.batch_norm(x, mean, var, one, zero, training=True, momentum=0.25)
    np.testing.assert_allclose(y.numpy().mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(y.numpy().var(0), 1, rtol=1e-4)
    np.testing.assert_allclose(mean.numpy(), 0.25 * x.numpy().mean(0))
    np.testing.assert_allclose(var.numpy(), 0.75 + 0.25 * x.numpy().var(0, ddof=1))


def test_moving_the_statistics_between_forward_and_backward_is_no_matter():
    # Two forwards before one backward, as in a discriminator step on real and fake images.
    x, one, zero = spread(6, 2), Tensor(np.ones(2), True), Tensor(np.zeros(2), True)
    mean, var = Tensor(np.zeros(2)), Tensor(np.ones(2))
    y = F.batch_norm(x, mean, var, one, zero, training=True)
    y = y + F.batch_norm(x * 2.0, mean, var, one, zero, training=True)
    y.sum().backward()
    assert zero.grad.numpy().tolist() == [12.0, 12.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: F.batch_norm(x, None, None, x[0], x[0, :1], training=True),
            r"got \(3,\), \(1,\)",
        ),
        (lambda x: F.batch_norm(x, x[0], x[0, :2], x[0], x[0]), "statistics"),
        (lambda x: F.batch_norm(x[0], None, None, x[0], x[0], training=True), "takes"),
        (lambda x: F.batch_norm(x[:1], None, None, x[0], x[0], training=True), "at least 2"),
        (lambda x: F.maxout(x, 2), "3 features"),
        (lambda x: F.matmul(x, x), "inner lengths"),
        (lambda x: F.binary_cross_entropy(x * 5.0, 1.0), r"probabilities in \[0, 1\]"),
        (lambda x: F.mse_loss(x, 1.0, reduction="avg"), "expected mean, sum or none"),
        (lambda x: F.pad(x, (1,)), "two widths"),
        (lambda x: F.cat([]), "at least one"),
        (lambda x: F.clip(x), "at least one bound"),
        (lambda x: F.mean(x[:0]), "no elements"),
        (lambda x: F.var(x[0, :1]), "more than 1"),
        (lambda x: F.permute(x, 0, 0), "each of 2 dimensions"),
        (lambda x: F.flatten(x, 1, 0), "start_dim <= end_dim"),
        (lambda x: F.batch_norm(x, None, None, x[0], x[0]), "pass training=True"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call(spread(2, 3))
    assert "\n" not in str(caught.value)


def test_embedding_refuses_bad_indices():
    table = spread(3, 2)
    for index in ([3], [-1]):
        with pytest.raises(IndexError, match="rows 0 to 2"):
            F.embedding(np.array(index), table)
    with pytest.raises(TypeError, match="integer indices"):
        F.embedding(np.array([0.0]), table)


def test_every_public_function_has_a_docstring_and_types():
    for name in F.__all__:
        function = getattr(F, name)
        assert function.__doc__, name
        signature = inspect.signature(function)
        assert signature.return_annotation is not signature.empty, name
