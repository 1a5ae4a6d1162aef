"""The answers to the questions of ``report``: as a table for people, and as JSON."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from minigan.evaluate import features, importance, labels, modes, neighbours, precision_recall
from minigan.evaluate.report import ParzenRow


def as_json(result: Any) -> dict[str, Any]:
    """A result's numbers as plain Python values."""
    if isinstance(result, neighbours.Neighbours):
        return {
            "mean": result.mean, "mean_se": result.mean_se,
            "samples": len(result.indices), "train": result.train,
        }  # fmt: skip
    found = dataclasses.asdict(result)
    if isinstance(result, features.ClassHistogram):
        found |= {"shares": result.shares, "shares_se": result.shares_se}
    return found


@functools.singledispatch
def lines(result: Any) -> list[tuple[str, str]]:
    """(what, value ± standard error and from how many) of a result, for people.

    One function below for each kind of result.  Raises TypeError for any other.

    >>> lines(neighbours.OneNearestNeighbour(accuracy=0.8, se=0.04, train=50, test=100))
    [('teaches', '80.00 ± 4.00 % (1-NN of 50; 100 test images)')]
    """
    raise TypeError(f"no way to write a {type(result).__name__}: register one with lines")


@lines.register(modes.ModesResult)
@lines.register(modes.StackedResult)
def _(result: Any) -> list[tuple[str, str]]:
    return [("modes", str(result))]


@lines.register
def _(result: importance.Likelihood) -> list[tuple[str, str]]:
    return [("likelihood", str(result))]


@lines.register
def _(result: features.ClassHistogram) -> list[tuple[str, str]]:
    n = f"n = {result.samples:,}"
    return [
        *_by_class("classes", result.shares, result.shares_se, f"({n})"),
        ("entropy", f"{result.entropy:.3f} ± {result.entropy_se:.3f} nats, {result.most:.3f} "
                    f"if even ({n})"),
        ("unsure", f"{100 * result.unsure:.1f} ± {100 * result.unsure_se:.1f} % "
                   f"(top probability below {result.threshold:g}; {n})"),
    ]  # fmt: skip


@lines.register
def _(result: features.ClassifierDistance) -> list[tuple[str, str]]:
    counts = f"({result.samples:,} samples, {result.real:,} real)"
    found = [("distance", f"{result.value:.2f} ± {result.se:.2f} {counts}")]
    if result.floor is not None:
        counts = f"({result.held_out:,} held out)"
        found.append(("its floor", f"{result.floor:.2f} ± {result.floor_se:.2f} {counts}"))
    return found


@lines.register
def _(result: precision_recall.PrecisionRecall) -> list[tuple[str, str]]:
    k, samples, real = f"k = {result.k}", f"{result.samples:,}", f"{result.real:,}"
    return [
        ("precision", f"{result.precision:.3f} ± {result.precision_se:.3f} "
                      f"({k}; {samples} among {real} training images)"),
        ("recall", f"{result.recall:.3f} ± {result.recall_se:.3f} "
                   f"({k}; {real} training images among {samples})"),
    ]  # fmt: skip


@lines.register
def _(result: neighbours.Neighbours) -> list[tuple[str, str]]:
    counts = f"({len(result.indices):,} looked up among {result.train:,})"
    return [("to the nearest", f"{result.mean:.2f} ± {result.mean_se:.2f} {counts}")]


@lines.register
def _(result: neighbours.OneNearestNeighbour) -> list[tuple[str, str]]:
    counts = f"(1-NN of {result.train:,}; {result.test:,} test images)"
    return [("teaches", f"{100 * result.accuracy:.2f} ± {100 * result.se:.2f} % {counts}")]


@lines.register
def _(result: labels.LabelAccuracy) -> list[tuple[str, str]]:
    n = f"(n = {min(result.counts):,} to {max(result.counts):,})"
    return [
        ("right label", f"{100 * result.accuracy:.2f} ± {100 * result.se:.2f} % "
                        f"(n = {result.samples:,})"),
        *_by_class("labels", result.by_class, result.by_class_se, n),
    ]  # fmt: skip


@lines.register
def _(result: ParzenRow) -> list[tuple[str, str]]:
    edge = ", AT THE EDGE of the candidates" if result.sigma_at_edge else ""
    counts = (f"(n = {result.samples:,}; sigma {result.sigma:.4f}{edge}, "
              f"by {result.valid:,} {result.sigma_from})")  # fmt: skip
    return [("parzen", f"{result.mean:.2f} ± {result.se:.2f} nats for {result.test:,} test "
                       f"images {counts}")]  # fmt: skip


def _by_class(
    what: str, shares: Sequence[float | None], errors: Sequence[float | None], n: str
) -> list[tuple[str, str]]:
    """Shares in per cent, five a line: all ten with their errors are wider than a terminal."""
    texts = [
        f"{label}: -" if share is None else f"{label}: {100 * share:.1f} ± {100 * error:.1f}"
        for label, (share, error) in enumerate(zip(shares, errors))
    ]
    fives = [range(i, min(i + 5, len(texts))) for i in range(0, len(texts), 5)]
    return [
        (f"{what} {five[0]}-{five[-1]}, %", "  ".join(texts[i] for i in five) + f"  {n}")
        for five in fives
    ]


def table(answers: dict[str, dict[str, Any]]) -> str:
    """All answers below each other: what, of whom, value.

    >>> ours = neighbours.OneNearestNeighbour(accuracy=0.8, se=0.04, train=50, test=100)
    >>> print(table({"one-nn": {"samples": ours}}))
    teaches  samples  80.00 ± 4.00 % (1-NN of 50; 100 test images)
    """
    rows = [
        (what, whose, value)
        for results in answers.values()
        for whose, result in results.items()
        for what, value in lines(result)
    ]
    wide, wide_whose = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
    return "\n".join(f"{what:{wide}}  {whose:{wide_whose}}  {value}" for what, whose, value in rows)
