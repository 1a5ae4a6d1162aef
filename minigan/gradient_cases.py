"""The catalogue of gradient checks: every differentiable function and operator, where it is smooth.

Inputs are small, float64, and stay away from kinks: all values are distinct and none is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigan import backends
from minigan import functional as F
from minigan.autograd import Tensor


class Case(NamedTuple):
    """One check: ``function(*inputs)``; the name is that of the function, "/", what is special."""

    name: str
    function: Callable[..., Any]
    inputs: tuple


def spread(*shape: int, low: float = -1.29, high: float = 1.73) -> Tensor:
    """Values evenly spread from low to high, in a mixed but fixed order: no ties, and no 0."""
    n = int(np.prod(shape))
    values = np.random.default_rng(n).permutation(np.linspace(low, high, n))
    return Tensor(backends.xp().asarray(values.reshape(shape)))


def positive(*shape: int) -> Tensor:
    """Values from 0.4 to 2.1."""
    return spread(*shape, low=0.4, high=2.1)


def probabilities(*shape: int) -> Tensor:
    """Values from 0.15 to 0.83."""
    return spread(*shape, low=0.15, high=0.83)


def _dropout(x: Tensor) -> Tensor:
    """Dropout with the same mask each time; the source of random numbers is left as it was."""
    with backends.random_restored():
        return F.dropout(x, 0.4)


def cases() -> list[Case]:
    """All checks, each function's together.

    >>> name, function, inputs = cases()[0]
    >>> name, function(*inputs).shape
    ('add', (2, 3))
    """
    return [
        *_arithmetic(),
        *_elementary(),
        *_choices(),
        *_reductions(),
        *_activations(),
        *_shaping(),
        *_indexing(),
        *_products(),
        *_convolutions(),
        *_layers(),
        *_images(),
        *_batches(),
        *_losses(),
    ]


def _arithmetic() -> list[Case]:
    x, row, column = spread(2, 3), spread(3, low=-1.1, high=2.0), spread(2, 1, low=-0.8, high=1.4)
    divisor = positive(3)
    # There and back: float32 on the way would round, a wider type does not; a GPU has none.
    wider = np.longdouble if backends.current_backend() == "numpy" else np.float64
    return [
        Case("add", lambda a, b: a + b, (x, x + 0.5)),
        Case("add/broadcast", lambda a, b: a + b, (column, row)),
        Case("add/number", lambda a: 2.0 + a + 1, (x,)),
        Case("sub", lambda a, b: a - b, (x, x * 0.5)),
        Case("sub/broadcast", lambda a, b: a - b, (x, row)),
        Case("sub/from-number", lambda a: 2.0 - a, (x,)),
        Case("mul", lambda a, b: a * b, (x, x + 0.5)),
        Case("mul/broadcast", lambda a, b: a * b, (column, row)),
        Case("mul/itself", lambda a: a * a * a, (x,)),
        Case("mul/number", lambda a: 3 * a * 0.5, (x,)),
        Case("div", lambda a, b: a / b, (x, positive(2, 3))),
        Case("div/broadcast", lambda a, b: a / b, (column, divisor)),
        Case("div/of-number", lambda a: 2.0 / a, (divisor,)),
        Case("neg", lambda a: -a, (x,)),
        Case("pow", lambda a: a**3, (x,)),
        Case("pow/0", lambda a: a**0 * a, (x,)),
        Case("pow/1", lambda a: a**1, (x,)),
        Case("pow/2", lambda a: a**2, (x,)),
        Case("pow/fraction", lambda a: a**-1.5, (positive(2, 3),)),
        Case("pow/tensor", F.pow, (positive(2, 3), row)),
        Case("broadcast_to", lambda a: F.broadcast_to(a, (4, 2, 3)), (column,)),
        Case("broadcast_to/number", lambda a: F.broadcast_to(a, (2, 3)), (spread(),)),
        Case("expand", lambda a: a.expand(2, 3), (row,)),
        Case("sum_to", lambda a: F.sum_to(a, (2, 1)), (spread(3, 2, 3),)),
        Case("sum_to/number", lambda a: F.sum_to(a, ()), (x,)),
        Case("clone", lambda a: a.clone(), (x,)),
        Case("to", lambda a: a.to(wider).to(np.float64), (x,)),
    ]


def _elementary() -> list[Case]:
    x, p = spread(2, 3), positive(2, 3)
    return [
        Case("exp", F.exp, (x,)),
        Case("log", F.log, (p,)),
        Case("sqrt", F.sqrt, (p,)),
        Case("abs", F.abs, (x,)),
    ]


def _choices() -> list[Case]:
    x, y, row = spread(2, 3), spread(2, 3, low=-1.7, high=1.2), spread(3, low=-0.9, high=1.0)
    mask = np.array([[True, False, True], [False, False, True]])
    return [
        Case("where", lambda a, b: F.where(mask, a, b), (x, y)),
        Case("where/broadcast", lambda a, b: F.where(mask, a, b), (spread(), row)),
        Case("where/number", lambda a: F.where(mask, a, 0.0), (x,)),
        Case("maximum", F.maximum, (x, y)),
        Case("maximum/broadcast", F.maximum, (x, row)),
        Case("maximum/number", lambda a: F.maximum(a, 0.1), (x,)),
        Case("minimum", F.minimum, (x, y)),
        Case("minimum/broadcast", F.minimum, (row, x)),
        Case("clip", lambda a: F.clip(a, -0.7, 0.9), (x,)),
        Case("clip/one-sided", lambda a: F.clip(a, min=0.2), (x,)),
    ]


def _reductions() -> list[Case]:
    x = spread(2, 3, 2)
    several = [
        Case(f"{name}/{label}", lambda a, f=function, k=options: f(a, **k), (x,))
        for name, function in {
            "sum": F.sum,
            "mean": F.mean,
            "var": F.var,
            "std": F.std,
            "amax": F.amax,
            "amin": F.amin,
        }.items()
        for label, options in {
            "all": {},
            "dim": {"dim": 1},
            "dims": {"dim": (0, -1), "keepdim": True},
        }.items()
    ]
    return [
        *several,
        Case("var/biased", lambda a: F.var(a, 0, unbiased=False), (x,)),
        Case("max", lambda a: a.max(), (x,)),
        Case("min", lambda a: a.min(), (x,)),
    ]


def _activations() -> list[Case]:
    x = spread(2, 4)
    return [
        Case("tanh", F.tanh, (x,)),
        Case("tanh/number", F.tanh, (spread(),)),
        Case("sigmoid", F.sigmoid, (x,)),
        Case("softplus", F.softplus, (x,)),
        Case("relu", F.relu, (x,)),
        Case("leaky_relu", lambda a: F.leaky_relu(a, 0.2), (x,)),
        Case("softmax", lambda a: F.softmax(a, 1), (x,)),
        Case("log_softmax", lambda a: F.log_softmax(a, 0), (x,)),
        Case("maxout", lambda a: F.maxout(a, 2), (x,)),
        Case("maxout/three", lambda a: F.maxout(a, 3), (spread(2, 6),)),
    ]


def _shaping() -> list[Case]:
    x, y = spread(2, 3, 2), spread(1, 3, 2)
    return [
        Case("reshape", lambda a: F.reshape(a, 3, -1), (x,)),
        Case("flatten", lambda a: F.flatten(a, 1), (x,)),
        Case("unflatten", lambda a: F.unflatten(a, 1, (3, 1)), (x,)),
        Case("squeeze", lambda a: F.squeeze(a), (y,)),
        Case("squeeze/dim", lambda a: F.squeeze(a, 0), (y,)),
        Case("unsqueeze", lambda a: F.unsqueeze(a, -1), (x,)),
        Case("permute", lambda a: F.permute(a, 2, 0, 1), (x,)),
        Case("transpose", lambda a: F.transpose(a, 0, -1), (x,)),
        Case("t", lambda a: a.t(), (spread(2, 3),)),
        Case("cat", lambda a, b: F.cat([a, b]), (x, y)),
        Case("cat/dim", lambda a, b: F.cat([a, b, a], -1), (x, spread(2, 3, 1))),
        Case("stack", lambda a, b: F.stack([a, b], 1), (x, x * 2.0)),
        Case("pad", lambda a: F.pad(a, (1, 0, 2, 1), 3.0), (x,)),
    ]


def _indexing() -> list[Case]:
    x = spread(3, 4)
    mask = np.array([True, False, True])
    rows, columns = np.array([2, 0, 2]), np.array([1, 3, 1])
    return [
        Case("getitem/number", lambda a: a[1], (x,)),
        Case("getitem/slices", lambda a: a[::2, 1:-1], (x,)),
        Case("getitem/backwards", lambda a: a[::-1], (x,)),
        Case("getitem/ellipsis", lambda a: a[..., None, 0], (x,)),
        Case("getitem/mask", lambda a: a[mask], (x,)),
        Case("getitem/repeated", lambda a: a[rows], (x,)),
        Case("getitem/pairs", lambda a: a[rows, columns], (x,)),
        Case("getitem/mixed", lambda a: a[1:, rows], (x,)),
        Case("embedding", F.embedding, (np.array([[0, 2], [2, 1]]), x)),
    ]


def _products() -> list[Case]:
    a, b, v = spread(2, 3), spread(3, 4), spread(3)
    return [
        Case("matmul", lambda x, y: x @ y, (a, b)),
        Case("matmul/stacks", F.matmul, (spread(2, 1, 2, 3), spread(2, 3, 1))),
        Case("matmul/vector-left", F.matmul, (v, b)),
        Case("matmul/vector-right", F.matmul, (a, v)),
        Case("matmul/vectors", F.matmul, (v, v + 0.3)),
        Case("linear", F.linear, (a, spread(4, 3), spread(4))),
        Case("linear/no-bias", F.linear, (a, spread(4, 3))),
        Case(
            "linear/leaky",
            lambda x, w, b: F.linear(x, w, b, negative_slope=0.2),
            (a, spread(4, 3), spread(4)),
        ),
        Case("linear/stack", F.linear, (spread(2, 2, 3), spread(2, 3), spread(2))),
        Case("linear/vector", F.linear, (v, spread(2, 3), spread(2))),
    ]


def _convolutions() -> list[Case]:
    x, bias = spread(2, 2, 3, 4), spread(2)
    weight, wide = spread(2, 2, 2, 3), spread(2, 1, 3, 3)
    odd = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}
    depthwise, enlarge = {"padding": 1, "groups": 2}, {"stride": 2, "output_padding": (1, 0)}
    is_numpy = backends.current_backend() == "numpy"  # Winograd's algorithm is for the CPU
    polyphase = {"stride": 2, "padding": 1, "algorithm": "winograd" if is_numpy else "auto"}
    kernel = spread(2, 2, 4, 4)
    return [
        Case("conv2d", F.conv2d, (x, weight, bias)),
        Case("conv2d/no-bias", lambda a, w: F.conv2d(a, w, **odd), (x, weight)),
        Case("conv2d/depthwise", lambda a, w, b: F.conv2d(a, w, b, **depthwise), (x, wide, bias)),
        Case("conv2d/winograd", lambda a, w: F.conv2d(a, w, **polyphase), (x, kernel)),
        Case("conv_transpose2d", F.conv_transpose2d, (x, weight, bias)),
        Case("conv_transpose2d/no-bias", lambda a, w: F.conv_transpose2d(a, w, **odd), (x, weight)),
        Case(
            "conv_transpose2d/groups",
            lambda a, w, b: F.conv_transpose2d(a, w, b, groups=2, **enlarge),
            (x, wide, bias),
        ),
        Case(
            "conv_transpose2d/much-output_padding",
            lambda a, w: F.conv_transpose2d(a, w, padding=1, output_padding=1, dilation=2),
            (x, weight),
        ),
        Case(
            "conv2d_weight_grad",
            lambda a, g: F.conv2d_weight_grad(a, g, (2, 3), **odd),
            (x, spread(2, 2, 2, 4)),
        ),
        Case(
            "conv2d_weight_grad/groups",
            lambda a, g: F.conv2d_weight_grad(a, g, 2, groups=2),
            (x, spread(2, 4, 2, 3)),
        ),
    ]


def _layers() -> list[Case]:
    x, gamma, beta = spread(4, 2), positive(2), spread(2)
    mean, var = spread(2), positive(2)

    def train(x, gamma, beta):
        return F.batch_norm(x, None, None, gamma, beta, training=True)

    def train_leaky(x, gamma, beta):
        return F.batch_norm(x, None, None, gamma, beta, training=True, negative_slope=0.2)

    return [
        Case("batch_norm", train, (x, gamma, beta)),
        Case("batch_norm/leaky", train_leaky, (x, gamma, beta)),
        Case("batch_norm/images", train_leaky, (spread(2, 2, 2, 1), gamma, beta)),
        Case("batch_norm/3-d", train, (spread(2, 2, 2), gamma, beta)),
        Case("batch_norm/eval", F.batch_norm, (x, mean, var, gamma, beta)),
        Case("dropout", _dropout, (spread(3, 4),)),
        Case("dropout/eval", lambda a: F.dropout(a, 0.4, training=False), (x,)),
    ]


def _images() -> list[Case]:
    x, tall = spread(2, 2, 4, 3), spread(1, 2, 5, 1)
    return [
        Case("max_pool2d", lambda a: F.max_pool2d(a, 2, stride=1), (x,)),
        Case("max_pool2d/padding", lambda a: F.max_pool2d(a, (3, 2), (2, 1), 1), (x,)),
        Case("max_pool2d/squared", lambda a: F.max_pool2d(a, 2) ** 2, (x,)),
        Case("avg_pool2d", lambda a: F.avg_pool2d(a, 2), (x,)),
        Case("avg_pool2d/padding", lambda a: F.avg_pool2d(a, (3, 2), (2, 1), 1), (x,)),
        Case("interpolate/nearest", lambda a: F.interpolate(a, scale_factor=2), (x,)),
        Case("interpolate/bilinear", lambda a: F.interpolate(a, (6, 5), mode="bilinear"), (x,)),
        Case(
            "interpolate/align_corners",
            lambda a: F.interpolate(a, (3, 2), mode="bilinear", align_corners=True),
            (tall,),
        ),
        Case("reflection_pad2d", lambda a: F.reflection_pad2d(a, (1, 2, 3, 0)), (x,)),
        Case("instance_norm", F.instance_norm, (x,)),
        Case(
            "instance_norm/affine",
            lambda a, gamma, beta: F.instance_norm(a, weight=gamma, bias=beta),
            (x, positive(2), spread(2)),
        ),
        Case("layer_norm", lambda a: F.layer_norm(a, a.shape[1:]), (x,)),
        Case(
            "layer_norm/affine",
            lambda a, gamma, beta: F.layer_norm(a, (3,), gamma, beta),
            (x, positive(3), spread(3)),
        ),
        Case("pixel_norm", F.pixel_norm, (x,)),
    ]


def _batches() -> list[Case]:
    x, images = spread(4, 3), spread(4, 2, 2, 1)
    return [
        Case("minibatch_discrimination", F.minibatch_discrimination, (x, spread(3, 2, 2))),
        Case("minibatch_stddev", lambda a: F.minibatch_stddev(a, 2), (x,)),
        Case("minibatch_stddev/images", F.minibatch_stddev, (images,)),
    ]  # fmt: skip


def _losses() -> list[Case]:
    x, t, p = spread(2, 3), probabilities(2, 3), probabilities(2, 3) * 0.9
    functions = {
        "binary_cross_entropy": (F.binary_cross_entropy, p),
        "binary_cross_entropy_with_logits": (F.binary_cross_entropy_with_logits, x),
        "mse_loss": (F.mse_loss, x),
        "l1_loss": (F.l1_loss, x),
    }
    return [
        *(
            Case(f"{name}/{reduction}", lambda a, b, f=f, r=reduction: f(a, b, r), (value, t))
            for name, (f, value) in functions.items()
            for reduction in ("mean", "sum", "none")
        ),
        *(
            Case(f"{name}/number", lambda a, f=f: f(a, 1.0), (value,))
            for name, (f, value) in functions.items()
        ),
        *(
            Case(f"{name}/one-target", f, (value, probabilities()))
            for name, (f, value) in functions.items()
        ),
    ]
