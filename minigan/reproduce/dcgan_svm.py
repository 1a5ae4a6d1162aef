"""A linear classifier for few labels: the L2-SVM of Radford et al. 2016, section 5.

One row of W for each class, one class against the rest, y = +1 or -1, f = x . w:

    J(w) = lambda |w|^2 + mean_i max(0, 1 - y_i f_i)^2                  the squared hinge

An example beyond the margin, y f >= 1, costs nothing; the others cost their squared distance from
it.  So the loss is a squared error against the nearest target that is right,

    max(0, 1 - y f)^2 = min over t with y t >= 1 of (f - t)^2,     reached at t = y max(1, y f)

and J falls when t and w are chosen in turn: the targets as above, then w by ridge regression, whose
solution is known.  With the singular vectors of X, taken once, that is a division for all classes
and all lambdas together.  Nesterov's momentum makes it fast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ROUNDS = 200  # at most
TOLERANCE = 1e-4  # of the gradient of J beside that at w = 0
BLOCK = 5000  # rows at a time, where products are summed in float64


def fit(
    x: np.ndarray, labels: np.ndarray, classes: int, penalties: Sequence[float]
) -> tuple[np.ndarray, float]:
    """The classifiers for several lambdas.

    Args:
        x: float32 (N, d); a column of ones makes a bias, which is then held small like the rest.
        labels: whole numbers (N,) from 0 to ``classes`` - 1.
        penalties: the lambdas, above 0.

    Returns W, float32 (len(penalties), d, classes), and the norm of J's gradient, relative to that
    at w = 0, the largest of all.

    >>> x = np.array([[-1.0], [1.0]], np.float32)
    >>> W, _ = fit(x, np.array([0, 1]), 2, [1.0])  # w^2 + (1 - w)^2 is least at 1/2
    >>> W.round(4)
    array([[[-0.5,  0.5]]], dtype=float32)
    """
    n = len(x)
    values, Z, V = rotated(x)  # x = Z V^T
    y = np.where(labels[:, None] == np.arange(classes), 1, -1).astype(np.float32)[:, None]
    shrink = (1 / (values[:, None] / n + np.asarray(penalties))).astype(np.float32)[..., None]
    shape = (Z.shape[1], len(penalties), classes)

    def times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.reshape(len(b), -1)).reshape(len(a), *b.shape[1:])

    w = ahead = np.zeros(shape, np.float32)
    first, momentum, worst = None, 1.0, np.inf
    for _ in range(ROUNDS):
        f = times(Z, ahead)
        t = y * np.maximum(1, y * f)
        # The ridge solution minus where we are is -gradient/2 times ``shrink``.
        half = times(Z.T, t - f) / n - np.asarray(penalties, np.float32)[:, None] * ahead
        norm = np.sqrt((half**2).sum(axis=(0, 2)))
        first = norm if first is None else first
        worst = float((norm / first).max())
        if worst < TOLERANCE:
            break
        last, w = w, ahead + shrink * half
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = w + np.float32((momentum - 1) / following) * (w - last)
        momentum = following
    return times(V, ahead).transpose(1, 0, 2), worst


def rotated(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The eigenvalues s^2 (r,) of X^T X above 0, Z (N, r) with Z^T Z = diag(s^2), and V (d, r) with
    orthonormal columns: X = Z V^T.  From the smaller of X^T X and X X^T.
    """
    tall = len(x) > x.shape[1]
    values, vectors = np.linalg.eigh(_products(x) if tall else _products(x.T))
    kept = values > 1e-9 * values[-1]
    values, vectors = values[kept], vectors[:, kept].astype(np.float32)
    if tall:
        return values, x @ vectors, vectors
    root = np.sqrt(values).astype(np.float32)
    return values, vectors * root, x.T @ (vectors / root)


def _products(x: np.ndarray) -> np.ndarray:
    """X^T X in float64, without a copy of all of X in it."""
    blocks = (x[i : i + BLOCK].astype(np.float64) for i in range(0, len(x), BLOCK))
    return sum(block.T @ block for block in blocks)


def errors(W: np.ndarray, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The share of wrong rows for each lambda: W as from :func:`fit` -> float64 (penalties,)."""
    guesses = np.stack([(x @ w).argmax(axis=1) for w in W])
    return (guesses != labels).mean(axis=1)
