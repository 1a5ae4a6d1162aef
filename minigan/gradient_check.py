"""Gradient checks: the engine's derivatives against differences of function values, in float64.

A function f of several tensors is contracted with a random, fixed c, so that L = sum of c f(x) is
one number.  (The plain sum would not do: that of a batch-normalised x has gradient 0, and so has
many a wrong one.)  Along a direction v of one input, with s a small step,

    D(s) = (L(x + s v) - L(x - s v)) / 2s = L'  + O(s^2)        the central difference
    (4 D(s/2) - D(s)) / 3                 = L'  + O(s^4)        Richardson's extrapolation

is compared with <dL/dx, v> from ``minigan.grad``: along random unit vectors and, where the input is
small, along every element.

The second order is the first order of the gradient: (x, gy) -> dL/dx is a function like any other.

Differences mean nothing at a kink, so each point is tested for one.  The slopes on the right and on
the left differ by

    J(s) = (L(x + s v) - 2 L(x) + L(x - s v)) / s,

which curvature makes proportional to s, and D(s) changes in proportion to s^2.  Where either is not
so, the slope or the curvature jumps: then neither "right" nor "wrong" is reported, but
``NotDifferentiableError``.
"""

from __future__ import annotations

import difflib
import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import functional as F
from minigan.autograd import Tensor, enable_grad, grad
from minigan.backends import array_module, to_numpy
from minigan.errors import MiniganError

ELEMENTWISE = 64  # inputs of up to this size are checked element by element too
EPS = float(np.finfo(np.float64).eps)

Point = Sequence[np.ndarray]


class GradcheckError(AssertionError):
    """A derivative is wrong: the message says which and by how much."""


class NotDifferentiableError(ValueError):
    """The point of the check lies on a kink, too near for differences: move the inputs."""


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        function: its name.
        order: of the derivative.
        error: the worst relative error; None where nothing can be compared (a kink, NaN).
        tolerance: what the error may be.
        passed: whether the derivative is right.
        message: one line that says what is wrong; empty if nothing is.
    """

    function: str
    order: int
    error: float | None
    tolerance: float
    passed: bool
    message: str = ""


# The two checks -----------------------------------------------------------------------------


def gradcheck(
    function: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    order: int = 1,
    tolerance: float = 1e-6,
    step: float = 1e-4,
    directions: int = 3,
    seed: int = 0,
    name: str | None = None,
) -> Report:
    """Check the derivatives of ``function`` at ``inputs``, from the first to the given order.

    Args:
        function: takes the inputs, returns a float64 tensor or several.  It must give the same
            values each time: seed random numbers inside it.
        inputs: every float tensor or array among them is differentiated, and must be float64;
            everything else (integers, None, shapes) is passed on as it is.  Values of the order
            of 1, away from kinks.
        order: 1, 2, ... : derivatives of this order and all below are checked, also with respect
            to the gradients handed back (``grad_outputs``).
        tolerance: of the error, relative to the derivative along the direction or to the root
            mean square of the input's gradient, whichever is larger.
        step: s above.
        directions: random unit vectors for each input.
        seed: of c and the directions: the same check gives the same figures each time.
        name: of the function, for the messages.

    Returns:
        The report of the worst order.

    Raises:
        GradcheckError: a derivative is wrong.
        NotDifferentiableError: the inputs lie on a kink or a jump, or nearer to it than 2 steps.
        TypeError: an input or output is not float64.
        ValueError: nothing to differentiate, values not finite or not repeatable.

    >>> x = Tensor(np.array([0.5, -1.0]))
    >>> gradcheck(lambda x: x * x * x, x, order=3).passed
    True
    >>> gradcheck(F.relu, Tensor(np.array([0.0])))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    minigan.gradient_check.NotDifferentiableError: order 1 of relu: not smooth at this point: ...
    """
    if order < 1:
        raise ValueError(f"the order of a derivative is 1 or more, got {order}")
    settings = _Settings(tolerance, step, directions, seed)
    reports = []
    for k in range(1, order + 1):
        reports.append(_passed(_check(function, inputs, k, settings, name)))
    return max(reports, key=lambda report: report.error)


def gradgradcheck(
    function: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    tolerance: float = 1e-6,
    step: float = 1e-4,
    directions: int = 3,
    seed: int = 0,
    name: str | None = None,
) -> Report:
    """Check the second derivatives: the gradient's, with respect to inputs and ``grad_outputs``.

    Arguments, result and errors are those of ``gradcheck``; ``grad_outputs`` (float64, of the
    outputs' shapes) is where the gradient is differentiated, random by default.

    >>> gradgradcheck(F.tanh, Tensor(np.array([0.5, -1.0]))).order
    2
    """
    settings = _Settings(tolerance, step, directions, seed)
    return _passed(_check(function, inputs, 2, settings, name, grad_outputs))


def _passed(report: Report) -> Report:
    if not report.passed:
        raise GradcheckError(report.message)
    return report


@dataclass(frozen=True)
class _Settings:
    tolerance: float
    step: float
    directions: int
    seed: int


def _check(
    function: Callable[..., Any],
    inputs: Any,
    order: int,
    settings: _Settings,
    name: str | None,
    grad_outputs: Any = None,
) -> Report:
    title = f"order {order} of {name or getattr(function, '__name__', type(function).__name__)}"
    inputs = _tuple(inputs)
    function, point, names = _of_floats_only(function, inputs, title)
    rng = np.random.default_rng(settings.seed)
    given = None if grad_outputs is None else [_float64(v, title) for v in _tuple(grad_outputs)]
    for k in range(2, order + 1):
        outputs = _outputs(function, point, title)
        factors = _random_like(outputs, rng) if given is None else given
        if [v.shape for v in factors] != [y.shape for y in outputs]:
            raise ValueError(f"{title}: grad_outputs must have the shapes of the outputs")
        label = "grad_output" if k == 2 else f"grad_output (of order {k - 1})"
        names = [*names, *(f"{label} {i}" for i in range(len(factors)))]
        function, point = _gradient_of(function, len(point)), [*point, *factors]
        given = None
    return _compare(function, point, names, order, settings, title, rng)


# Functions of float64 arrays ----------------------------------------------------------------


def _tuple(tensors: Any) -> tuple:
    return tuple(tensors) if isinstance(tensors, (tuple, list)) else (tensors,)


def _of_floats_only(
    function: Callable[..., Any], inputs: tuple, title: str
) -> tuple[Callable[..., Any], list[np.ndarray], list[str]]:
    """The function of its float inputs alone, those inputs as arrays, and their names."""
    places = [i for i, x in enumerate(inputs) if getattr(x, "dtype", np.dtype(int)).kind == "f"]
    if not places:
        raise ValueError(f"{title}: no input is a float tensor, so there is no derivative")

    def of_floats(*floats: Tensor) -> Any:
        arguments = list(inputs)
        for i, x in zip(places, floats):
            arguments[i] = x
        return function(*arguments)

    point = [_float64(inputs[i], f"{title}, input {i}") for i in places]
    return of_floats, point, [f"input {i}" for i in places]


def _float64(x: Any, title: str) -> Any:
    array = x.array if isinstance(x, Tensor) else x
    if array.dtype != np.float64:
        raise TypeError(
            f"{title}: a gradient check needs float64, got {array.dtype} (differences of "
            "float32 values are mostly rounding): use .double()"
        )
    return array


def _outputs(function: Callable[..., Any], point: Point, title: str) -> list[Tensor]:
    """The function's outputs at arrays, computed with a graph."""
    with enable_grad():
        outputs = list(_tuple(function(*[Tensor(x, requires_grad=True) for x in point])))
    for y in outputs:
        if not isinstance(y, Tensor):
            raise TypeError(f"{title}: the function must return tensors, not {type(y).__name__}")
        _float64(y, f"{title}, output")
        if not np.isfinite(to_numpy(y.array)).all():
            raise ValueError(f"{title}: a value of the function is not finite: move the inputs")
    return outputs


def _gradients(
    function: Callable[..., Any], inputs: Sequence[Tensor], factors: Sequence[Tensor]
) -> list[Tensor]:
    """dL/dx for each input, as tensors with a graph, L = sum of factor * output."""
    with enable_grad():
        terms = [F.sum(c * y) for c, y in zip(factors, _tuple(function(*inputs)))]
        # Plus 0 of each input: one that a function has cut off has the gradient 0, and no error.
        terms += [F.sum(x * 0.0) for x in inputs]
        return grad(functools.reduce(operator.add, terms), inputs, create_graph=True)


def _gradient_of(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    """(inputs, grad_outputs) -> gradients of the inputs: again a function to be checked."""

    def gradients(*arguments: Tensor) -> list[Tensor]:
        return _gradients(function, arguments[:number], arguments[number:])

    return gradients


def _random_like(tensors: Sequence[Tensor], rng: np.random.Generator) -> list[Any]:
    """Normal random numbers as arrays of the tensors' shapes, on the backend of each."""
    return [array_module(y.array).asarray(rng.standard_normal(y.shape)) for y in tensors]


# The comparison -----------------------------------------------------------------------------


def _compare(
    function: Callable[..., Any],
    point: Point,
    names: Sequence[str],
    order: int,
    settings: _Settings,
    title: str,
    rng: np.random.Generator,
) -> Report:
    c = _random_like(_outputs(function, point, title), rng)

    def summands(point: Point) -> np.ndarray:
        """All c f(x) in one array, whose sum is L: differences are taken before the sum."""
        outputs = _outputs(function, point, title)
        return np.concatenate([to_numpy((a * y.array).reshape(-1)) for a, y in zip(c, outputs)])

    L = summands(point)
    if not np.array_equal(L, summands(point)):
        raise ValueError(f"{title}: two calls give two results: seed random numbers inside it")

    def report(error: float | None, message: str = "") -> Report:
        function_name = title.removeprefix(f"order {order} of ")
        return Report(function_name, order, error, settings.tolerance, not message, message)

    leaves = [Tensor(x, requires_grad=True) for x in point]
    try:
        gradients = _gradients(function, leaves, [Tensor(a) for a in c])
    except RuntimeError as error:  # the engine's own objection to a backward is a finding
        return report(None, f"{title}: backward fails: {error}")
    rounding = _rounding(summands, point, L, c, rng) / settings.step  # in a slope, absolute
    worst, description = 0.0, ""
    for i, (name, x, gradient) in enumerate(zip(names, point, gradients)):
        g = to_numpy(gradient.array)
        failed = f"{title}: wrong derivative with respect to {name} of shape {x.shape}:"
        if not np.isfinite(g).all():
            return report(None, f"{failed} the gradient is not finite, the function is")
        typical = float(np.sqrt((g * g).mean())) if g.size else 0.0

        for label, v in _directions(x, settings.directions, rng):

            def along(s: float, i: int = i, x: Any = x, v: Any = v) -> np.ndarray:
                step = array_module(x).asarray(s * v)
                return summands([*point[:i], x + step, *point[i + 1 :]])

            slope, left, right, jump = _slopes(along, L, settings.step)
            expected = float((g * v).sum())
            scale = max(abs(slope), abs(expected), typical)
            # A kink spoils the slope by less than its jump, and shows as 1/6 of it at least.
            if jump > 0.1 * settings.tolerance * scale + rounding:
                raise NotDifferentiableError(
                    f"{title}: not smooth at this point: along {label} of {name} the slope or the "
                    f"curvature jumps (slope {left:.3g} on the left, {right:.3g} on the right): "
                    "move the input away from the kink"
                )
            difference = abs(slope - expected)
            error = difference / (scale + rounding / settings.tolerance) if difference else 0.0
            if error > worst:
                worst = error
                description = (
                    f"{failed} worst relative error {error:.1e} along {label} (engine "
                    f"{expected:.6g}, differences {slope:.6g}), tolerance {settings.tolerance:.0e}"
                )
    return report(worst, description if worst > settings.tolerance else "")


def _rounding(
    summands: Callable[[Point], np.ndarray],
    point: Point,
    L: np.ndarray,
    c: Sequence[Any],
    rng: np.random.Generator,
) -> float:
    """How far off L may be by rounding.

    L can be small by cancellation of large values that are rounded, so the size of L says too
    little: how L answers to a change of the inputs in the last digits says the rest.
    """
    changes = []
    for _ in range(3):
        near = [x + array_module(x).asarray(EPS * rng.standard_normal(x.shape)) for x in point]
        changes.append(abs(float((summands(near) - L).sum())))
    size = float(np.linalg.norm(L))
    # A step of the function may lie in between; that is no rounding.
    largest = 1000 * EPS * (size + sum(float((a * a).sum()) ** 0.5 for a in c))
    return 100 * EPS * size + 10 * min(max(changes), largest)


def _directions(
    x: np.ndarray, count: int, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """Unit vectors of x's shape with a label: random ones and, if x is small, the axes."""
    if x.size == 0:
        return
    for k in range(count):
        v = rng.standard_normal(x.shape)
        yield f"random direction {k}", v / np.sqrt((v * v).sum())
    if x.size <= ELEMENTWISE:
        for index in np.ndindex(x.shape):
            v = np.zeros(x.shape)
            v[index] = 1.0
            yield f"element {', '.join(map(str, index)) or '()'}", v


def _slopes(
    along: Callable[[float], np.ndarray], L: np.ndarray, step: float
) -> tuple[float, float, float, float]:
    """(slope, slope on the left, slope on the right, what smoothness does not explain)."""
    central, gap = [], []
    for s in (step / 2, step, 2 * step):
        right, left = along(s), along(-s)
        central.append(float((right - left).sum()) / (2 * s))
        gap.append(float((right - 2 * L + left).sum()) / s)
        if s == step:
            sides = float((L - left).sum()) / s, float((right - L).sum()) / s
    slope = (4 * central[0] - central[1]) / 3
    jumps = gap[0] - gap[1] / 2, gap[1] - gap[2] / 2
    bend = (central[2] - central[1]) - 4 * (central[1] - central[0])
    return slope, *sides, max(map(abs, (*jumps, bend)))


# The command --------------------------------------------------------------------------------


def run(names: Iterable[str] = (), order: int = 2) -> list[Report]:
    """Check the catalogue (``minigan.gradient_cases``), or the functions named, to ``order``.

    A name is that of a function (``"linear"``) or of one of its cases (``"linear/no-bias"``).
    Wrong derivatives are reported, not raised.  MiniganError for a name that is not there.

    >>> [(r.function, r.order, r.passed) for r in run(["exp"])]
    [('exp', 1, True), ('exp', 2, True)]
    """
    from minigan.gradient_cases import cases

    catalogue = cases()
    known = {case.name for case in catalogue} | {case.name.split("/")[0] for case in catalogue}
    names = list(names)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), n=3)
            raise MiniganError(
                f"no function {name!r} to check: expected "
                + (f"perhaps {' or '.join(close)}" if close else "a name from minigan.functional")
                + "; without a name all are checked"
            )
    chosen = [
        case
        for case in catalogue
        if not names or case.name in names or case.name.split("/")[0] in names
    ]
    return [_report(*case, k) for case in chosen for k in range(1, order + 1)]


def _report(name: str, function: Callable[..., Any], inputs: tuple, order: int) -> Report:
    settings = _Settings(tolerance=1e-6, step=1e-4, directions=3, seed=0)
    try:
        return _check(function, inputs, order, settings, name)
    except NotDifferentiableError as error:
        return Report(name, order, None, settings.tolerance, passed=False, message=str(error))


def table(reports: Sequence[Report]) -> str:
    """The reports as text: a line each, what is wrong below.

    >>> print(table([Report("exp", 1, 2e-12, 1e-6, True)]))
    function  order  worst relative error  result
    exp           1               2.0e-12  passed
    1 check, 0 failed
    """
    width = max([len("function"), *(len(r.function) for r in reports)])
    lines = [f"{'function':{width}}  order  worst relative error  result"]
    for r in reports:
        error = "-" if r.error is None else f"{r.error:.1e}"
        result = "passed" if r.passed else "FAILED"
        lines.append(f"{r.function:{width}}  {r.order:5}  {error:>20}  {result}")
    failed = [r for r in reports if not r.passed]
    lines += [r.message for r in failed]
    lines.append(f"{len(reports)} check{'s' if len(reports) != 1 else ''}, {len(failed)} failed")
    return "\n".join(lines)
