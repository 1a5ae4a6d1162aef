"""The checker must reject wrong derivatives, however small the error, and accept right ones."""

import os
import subprocess
import sys
import textwrap
from dataclasses import asdict

import numpy as np
import pytest

import minigan
from minigan import functional as F
from minigan import gradient_cases, gradient_check
from minigan.autograd import Function, Tensor
from minigan.errors import MiniganError
from minigan.gradient_cases import positive, spread
from minigan.gradient_check import GradcheckError, NotDifferentiableError, gradcheck, gradgradcheck

# Planted errors -----------------------------------------------------------------------------


class Square(Function):
    """y = x^2, with a factor in its derivative that should be 1."""

    def __init__(self, factor, element=None):
        self.factor, self.element = factor, element

    def forward(self, x):
        self.save_inputs(0)
        return x * x

    def backward(self, gy):
        (x,) = self.saved_inputs()
        factor = np.full(x.shape, self.factor)
        if self.element is not None:
            factor = np.ones(x.shape)
            factor[self.element] = self.factor
        return gy * x * 2.0 * factor


@pytest.mark.parametrize("factor", [1.001, 0.999, 0.0, -1.0, 1.0 + 1e-5])
@pytest.mark.parametrize("size", [1, 6, 1000])
def test_a_slightly_wrong_factor_is_rejected(factor, size):
    with pytest.raises(GradcheckError, match=r"order 1 of .*input 0 .*relative error .*tolerance"):
        gradcheck(lambda x: Square(factor)(x), spread(size))
    assert gradcheck(lambda x: Square(1.0)(x), spread(size), order=2).passed


@pytest.mark.parametrize("size", [6, 64, 1000])
def test_one_wrong_element_among_many_is_rejected(size):
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: Square(1.001, element=size // 2)(x), spread(size))


def test_elements_are_checked_one_by_one():
    # So small an error in one of 64 is within the tolerance of a random direction.
    x = positive(64)
    largest = int(x.numpy().argmax())
    with pytest.raises(GradcheckError, match=f"along element {largest} "):
        gradcheck(lambda x: Square(1.000003, element=largest)(x), x)


def test_every_seed_rejects_and_accepts():
    for seed in range(30):
        with pytest.raises(GradcheckError):
            gradcheck(lambda x: Square(1.001)(x), spread(100), seed=seed)
        assert gradcheck(lambda x: Square(1.0)(x), spread(100), seed=seed).error < 1e-8
    catalogue = {case.name: case for case in gradient_cases.cases()}
    for seed in range(3):
        for name in ("batch_norm", "softmax", "linear", "binary_cross_entropy/mean"):
            _, function, inputs = catalogue[name]
            assert gradcheck(function, inputs, seed=seed, order=2).error < 1e-8


class AddRow(Function):
    """y = x + row; the gradient of the row should be summed over the rows of x."""

    def __init__(self, reduce):
        self.reduce = reduce

    def forward(self, x, row):
        return x + row

    def backward(self, gy):
        return gy, self.reduce(gy)


def test_a_missing_broadcast_sum_is_rejected():
    x, row = spread(3, 2), spread(2)
    with pytest.raises(GradcheckError, match=r"shape \(3, 2\) came back to a leaf of shape \(2,\)"):
        gradcheck(lambda a, b: AddRow(lambda gy: gy)(a, b), (x, row))
    with pytest.raises(GradcheckError, match="with respect to input 1"):
        gradcheck(lambda a, b: AddRow(lambda gy: gy[0])(a, b), (x, row))
    assert gradcheck(lambda a, b: AddRow(lambda gy: gy.sum(0))(a, b), (x, row), order=2).passed

    class Sum(Function):
        def forward(self, x):
            return x.sum()

        def backward(self, gy):
            return gy

    with pytest.raises(GradcheckError, match=r"shape \(\) came back to a leaf of shape \(2,\)"):
        gradcheck(lambda a: Sum()(a), row)


class Normalise(Function):
    """xhat = (x - mean) inv_std, with the gradient of the paper; is inv_std a constant in it?"""

    def __init__(self, is_constant):
        self.is_constant = is_constant

    def forward(self, x):
        self.save_inputs(0)
        return (x - x.mean(0)) / x.std(0)

    def backward(self, gy):
        (x,) = self.saved_inputs()
        deviation = x - x.mean(0)
        inv_std = 1.0 / F.sqrt((deviation * deviation).mean(0))
        if self.is_constant:
            inv_std = inv_std.detach()
        x_hat = deviation * inv_std
        return inv_std * (gy - gy.mean(0) - x_hat * (gy * x_hat).mean(0))


def test_a_constant_that_is_none_is_found_at_second_order():
    x = spread(5, 2)
    assert gradcheck(lambda a: Normalise(True)(a), x).passed  # the first order is right
    with pytest.raises(GradcheckError, match=r"order 2 of .*input 0"):
        gradgradcheck(lambda a: Normalise(True)(a), x)
    assert gradcheck(lambda a: Normalise(False)(a), x, order=2).passed


def test_a_vacuous_contraction_would_not_notice():
    # The sum of normalised values does not change with x: a gradient of 0 looks right in a sum.
    class Cut(Function):
        def forward(self, x):
            return (x - x.mean(0)) / x.std(0)

        def backward(self, gy):
            return gy * 0.0

    assert gradcheck(lambda a: Cut()(a).sum(), spread(5, 2)).passed
    with pytest.raises(GradcheckError):
        gradcheck(lambda a: Cut()(a), spread(5, 2))


def test_a_cut_graph_is_rejected():
    with pytest.raises(GradcheckError, match=r"engine 0, differences -?\d"):
        gradcheck(lambda a: a * 0.0 + (a * 3.0).detach(), spread(3))
    with pytest.raises(GradcheckError, match="input 1"):
        gradcheck(lambda a, b: a * b.detach(), (spread(3), positive(3)))
    # Cut in the gradient only: the first order is right, the second is not.
    with pytest.raises(GradcheckError, match="order 2"):
        gradcheck(lambda a: Square(1.0)(a) + CutGradient()(a), spread(3), order=2)


class CutGradient(Function):
    """y = x^3 with a gradient that cannot be differentiated."""

    def forward(self, x):
        self.save_inputs(0)
        return x**3

    def backward(self, gy):
        (x,) = self.saved_inputs()
        return gy * (x * x * 3.0).detach()


def test_a_gradient_that_does_not_depend_on_gy_is_found_at_second_order():
    class Deaf(Function):
        def forward(self, x):
            return x * 2

        def backward(self, gy):
            return gy.detach() * 2.0

    with pytest.raises(GradcheckError, match=r"order 2 of .* with respect to grad_output 0"):
        gradcheck(lambda a: Deaf()(a), spread(3), order=2)


def test_a_wrong_third_order_is_found():
    class Gradient(Function):
        def forward(self, gy, x):
            self.save_inputs(0, 1)
            return 4 * x**3 * gy

        def backward(self, ggx):
            gy, x = self.saved_inputs()
            return ggx * x * x * x * 4.0, ggx * gy * (x * x).detach() * 12.0

    class Fourth(Function):
        def forward(self, x):
            self.save_inputs(0)
            return x**4

        def backward(self, gy):
            return Gradient()(gy, *self.saved_inputs())

    assert gradcheck(lambda a: Fourth()(a), spread(3), order=2).passed
    with pytest.raises(GradcheckError, match="order 3"):
        gradcheck(lambda a: Fourth()(a), spread(3), order=3)
    assert gradcheck(lambda a: a**4, spread(3), order=3).passed


def test_the_second_of_several_outputs_is_checked():
    with pytest.raises(GradcheckError):
        gradcheck(lambda a: (a * 2.0, Square(1.001)(a)), spread(3))
    assert gradcheck(lambda a: (a * 2.0, [a * a][0]), spread(3), order=2).passed


@pytest.mark.parametrize("order", [1, 2])
def test_an_infinite_gradient_of_a_finite_function_is_rejected(order):
    class Broken(Function):
        def forward(self, x):
            return x * 1.0

        def backward(self, gy):
            return gy * float("nan")

    check = gradcheck if order == 1 else gradgradcheck
    with pytest.raises((GradcheckError, ValueError), match="not finite"):
        check(lambda a: Broken()(a), spread(3))


# Kinks --------------------------------------------------------------------------------------

KINKS = {
    "relu at 0": (F.relu, [0.0, 1.0]),
    "leaky_relu at 0": (lambda a: F.leaky_relu(a, 0.9), [1.0, 0.0]),
    "abs at 0": (F.abs, [0.0]),  # central difference and engine agree: 0 and 0
    "relu beside 0": (F.relu, [3e-5, 1.0]),
    "relu beside 0, below": (F.relu, [-6.7e-5, 1.0]),
    "tie of amax": (F.amax, [1.0, 1.0, 0.0]),  # both say half
    "tie of maxout": (lambda a: F.maxout(a, 2), [1.0, 1.0]),
    "tie of maximum": (lambda a: F.maximum(a, 0.5), [0.5, 1.0]),
    "bound of clip": (lambda a: F.clip(a, -1.0, 1.0), [1.0, 0.0]),
    "a step": (lambda a: F.where(a.numpy() > 0, a + 1.0, a), [0.0, 1.0]),
    "a small step": (lambda a: F.where(a.numpy() > 0.5, a + 1e-6, a), [0.5, 1.0]),
    "l1_loss at its target": (lambda a: F.l1_loss(a, 0.5), [0.5, 2.0]),
}


@pytest.mark.parametrize(("function", "point"), KINKS.values(), ids=KINKS)
def test_a_kink_is_neither_right_nor_wrong(function, point):
    with pytest.raises(NotDifferentiableError, match=r"not smooth .* jumps .*: move the input"):
        gradcheck(function, Tensor(np.array(point)))


def test_no_position_of_a_kink_within_reach_gives_a_false_verdict():
    for offset in np.linspace(-1e-4, 1e-4, 41):
        for function in (F.relu, F.abs, lambda a: F.where(a.numpy() > 0, a + 1e-3, a)):
            with pytest.raises(NotDifferentiableError):
                gradcheck(function, Tensor(np.array([offset, 1.0])))
    for offset in (-1e-3, 1e-3):  # out of reach
        assert gradcheck(F.relu, Tensor(np.array([offset, 1.0]))).passed


def test_a_kink_of_the_first_derivative_is_found_at_second_order():
    x = Tensor(np.array([0.0, 1.0]))
    with pytest.raises(NotDifferentiableError, match="order 2"):
        gradgradcheck(lambda a: a * F.abs(a), x)
    # The first derivative exists, but differences cannot tell it to the tolerance.
    with pytest.raises(NotDifferentiableError, match="order 1"):
        gradcheck(lambda a: a * F.abs(a), x)


def test_curvature_is_no_kink():
    assert gradcheck(lambda a: F.exp(a * 8.0), spread(4), order=2).passed
    assert gradcheck(lambda a: 1.0 / (a * a + 0.01), spread(6), order=2).passed


# What it takes ------------------------------------------------------------------------------


def test_float64_only():
    x = Tensor(np.ones(2, np.float32))
    with pytest.raises(TypeError, match=r"input 0: .* needs float64, got float32 .*\.double\(\)"):
        gradcheck(F.exp, x)
    with pytest.raises(TypeError, match=r"output: .* needs float64, got float32"):
        gradcheck(lambda a: a.float(), Tensor(np.ones(2)))


@pytest.mark.parametrize(
    ("function", "inputs", "error", "message"),
    [
        (F.exp, np.arange(3), ValueError, "no input is a float tensor"),
        (lambda a: 3.0, spread(2), TypeError, "must return tensors, not float"),
        (lambda a: F.dropout(a, 0.5), spread(50), ValueError, "two calls give two results"),
        (lambda a: a * float("inf"), spread(2), ValueError, "is not finite"),
    ],
)
def test_what_cannot_be_checked_is_refused(function, inputs, error, message):
    with pytest.raises(error, match=message):
        gradcheck(function, inputs)


def test_arguments():
    with pytest.raises(ValueError, match="1 or more, got 0"):
        gradcheck(F.exp, spread(2), order=0)
    with pytest.raises(ValueError, match="shapes of the outputs"):
        gradgradcheck(F.exp, spread(2), Tensor(np.ones(3)))
    assert gradgradcheck(F.exp, spread(2), Tensor(np.ones(2))).passed
    x = spread(2)
    gradcheck(lambda a, n, b: a * b, (x, 3, None or x.numpy()))
    assert x.grad is None
    assert not x.requires_grad
    assert minigan.gradcheck is gradcheck
    assert minigan.gradgradcheck is gradgradcheck


def test_empty_and_zero_dimensional_inputs():
    assert gradcheck(lambda a, b: a * b, (Tensor(np.zeros((0, 2))), spread(2)), order=2).passed
    assert gradcheck(F.exp, Tensor(np.array(0.3)), order=2).passed


def test_the_report():
    report = gradcheck(F.exp, spread(3), order=2)
    assert (report.function, report.tolerance, report.passed) == ("exp", 1e-6, True)
    assert 0 <= report.error < 1e-8
    assert report == gradcheck(F.exp, spread(3), order=2)  # the same each time


def test_modules_are_functions_too():
    from minigan import nn

    layer = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh()).double()
    assert gradcheck(layer, spread(5, 3), order=2).passed


# The command's part -------------------------------------------------------------------------


def test_run_selects_functions_and_cases():
    assert [r.function for r in gradient_check.run(["linear/no-bias", "exp"], order=1)] == [
        "exp",
        "linear/no-bias",
    ]
    names = {r.function for r in gradient_check.run(["matmul"], order=1)}
    assert {"matmul", "matmul/vectors"} <= names
    assert all(name.startswith("matmul") for name in names)
    assert [r.order for r in gradient_check.run(["neg"], order=3)] == [1, 2, 3]


def test_run_refuses_unknown_names():
    with pytest.raises(MiniganError, match=r"no function 'liner'.* perhaps linear"):
        gradient_check.run(["exp", "liner"])
    with pytest.raises(MiniganError, match="without a name all are checked"):
        gradient_check.run(["qqqq"])


def test_run_reports_what_is_wrong(monkeypatch):
    planted = [
        gradient_cases.Case("right", F.exp, (spread(2),)),
        gradient_cases.Case("wrong", lambda a: Square(1.001)(a), (spread(2),)),
        gradient_cases.Case("kink", F.abs, (Tensor(np.zeros(1)),)),
    ]
    monkeypatch.setattr(gradient_cases, "cases", lambda: planted)
    right, wrong, kink = gradient_check.run(order=1)
    assert (right.passed, wrong.passed, kink.passed) == (True, False, False)
    assert wrong.error == pytest.approx(1e-3, rel=0.5)
    assert kink.error is None
    assert "\n" not in wrong.message + kink.message
    assert asdict(wrong)["function"] == "wrong"
    text = gradient_check.table([right, wrong, kink])
    assert "FAILED" in text
    assert wrong.message in text
    assert text.endswith("3 checks, 2 failed")


def test_the_shared_random_generator_is_left_alone():
    minigan.manual_seed(0)
    expected = minigan.rand(3).numpy()
    minigan.manual_seed(0)
    gradient_check.run(["dropout"], order=1)
    assert minigan.rand(3).numpy().tolist() == expected.tolist()


# The pytest plugin --------------------------------------------------------------------------


def test_the_fixture_checks_both_orders(tmp_path):
    (tmp_path / "conftest.py").write_text(
        textwrap.dedent("""
        import sys

        heavy = {"numba", "matplotlib", "cupy", "PIL", "minigan.autograd"} & set(sys.modules)
        assert not heavy, heavy
        """)
    )
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent("""
        import numpy as np
        from minigan.autograd import Tensor

        def test_right(gradcheck):
            assert gradcheck(lambda x: x * x, Tensor(np.ones(2))).passed

        def test_wrong_at_second_order(gradcheck):
            def square(x):
                y = x * x.detach() * 2.0
                return y + (x * x - y).detach()

            gradcheck(square, Tensor(np.ones(2)), order=1)
            gradcheck(square, Tensor(np.ones(2)))
        """)
    )
    package = os.path.dirname(os.path.dirname(minigan.__file__))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "minigan.pytest_plugin",
            "-p",
            "no:cacheprovider",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": package, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "GradcheckError: order 2 of square" in done.stdout
