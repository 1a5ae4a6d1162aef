"""A result is a folder that explains itself.

    result.json     all that was measured, what was expected of it, the verdict, how to repeat it
    result.md       the same as a page: made from result.json and from nothing else
    *.png, *.gif    the figures

The verdict is a rule, not an opinion: every comparison names the range in which its number must
lie, that range is written in the code of the reproduction and shown on the page, and the result is
*reproduced* if all numbers lie in theirs, *partly reproduced* if some do.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan import plots
from minigan.files import explained, write_atomically
from minigan.train.progress import ProgressBar
from minigan.train.record import versions

FORMAT = "minigan-result"
VERSION = 1


def processor_seconds() -> float:
    """Spent by this process and by those it has started and waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@dataclass(frozen=True)
class Task:
    """What is to be done, and where: see :func:`minigan.reproduce.run`."""

    name: str
    title: str
    folder: Path
    quick: bool = False
    seed: int = 0
    runs: Path = Path("results", "runs")
    data_dir: str | None = None
    started: float = field(default_factory=time.perf_counter)
    started_cpu: float = field(default_factory=processor_seconds)

    def __post_init__(self) -> None:
        with explained("write", self.folder):  # before hours of work, not after
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()

    def progress(self, steps: Sequence[Any] | range, unit: str = "step") -> Iterator[Any]:
        """The steps one by one, with a progress bar on stderr."""
        return iter(self.bar(steps, unit=unit))

    def bar(self, steps: Sequence[Any] | range | None = None, **options: Any) -> ProgressBar:
        """The progress bar; ``options`` are tqdm's."""
        interval = 0.2 if sys.stderr.isatty() else 10  # a log file wants few lines
        options = {"unit": "step", "dynamic_ncols": True, "mininterval": interval, **options}
        return ProgressBar(steps, self.name, **options)

    @property
    def command(self) -> str:
        """The line that repeats it.

        >>> Task("theory", "", Path("."), quick=True).command
        'minigan reproduce theory --quick --seed 0'
        """
        return f"minigan reproduce {self.name}{' --quick' if self.quick else ''} --seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A measured number beside the expected one, and the range in which it must lie.

    Args:
        what: the quantity and its unit.
        measured: None if it is not defined: such a number is in no range.
        source: where the expected value comes from.
        error: standard error of the measured value, if it is an estimate.
        low, high: the accepted range, ends included; None is no limit.  With neither the number
            is reported and not judged.

    >>> Comparison(what="pi", measured=3.14, expected=math.pi, source="", high=3.2).holds
    True
    """

    what: str
    measured: float | None
    expected: float | None
    source: str
    error: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether it lies in the accepted range; None if there is none."""
        if self.low is None and self.high is None:
            return None
        if self.measured is None:
            return False
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return low <= self.measured <= high


def mean_and_error(values: Sequence[float] | np.ndarray) -> tuple[float | None, float | None]:
    """The mean of independent values, (n,), and its standard error s / sqrt(n).

    s^2 is the unbiased variance, so one value has no error; nothing has no mean either.

    >>> mean_and_error([1.0, 3.0]), mean_and_error([1.0]), mean_and_error([])
    ((2.0, 1.0), (1.0, None), (None, None))
    """
    n = len(values)
    mean = float(np.mean(values)) if n > 0 else None
    return mean, float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else None


def rounded(values: np.ndarray, digits: int) -> list[float]:
    """A curve for ``result.json``, (n,), to so many significant digits.

    >>> rounded(np.array([1 / 3, 20.0]), 5)
    [0.33333, 20.0]
    """
    return [float(f"{value:.{digits}g}") for value in values]


def counted(n: int, what: str) -> str:
    """A number and its noun.

    >>> counted(1, "seed"), counted(3, "seed")
    ('1 seed', '3 seeds')
    """
    return f"{n} {what}{'s' * (n != 1)}"


@dataclass(frozen=True)
class Picture:
    """A figure: its file, what it shows, and the image, or the frames of a film (``.gif``)."""

    file: str
    caption: str
    image: Image.Image | list[Image.Image]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a reproduction hands back.

    Args:
        settings: the numbers that it was done with.
        measured: everything that came out.  The page shows numbers as a list and lists of dicts as
            tables; a dict of lists, a curve, is only in result.json.
        notes: what a reader must know to judge the verdict: departures from the paper, limits.
    """

    settings: dict[str, Any]
    measured: dict[str, Any]
    comparisons: list[Comparison]
    pictures: list[Picture]
    notes: list[str]


def verdict(comparisons: Sequence[Comparison]) -> str:
    """The rule of this module, in words.

    >>> verdict([Comparison(what="x", measured=2.0, expected=1.0, source="", high=1.5)])
    'not reproduced: 0 of 1 numbers lie in their accepted range; outside: x'
    """
    judged = [c for c in comparisons if c.holds is not None]
    outside = [c.what for c in judged if not c.holds]
    if not judged:
        return "not judged: no number has an accepted range"
    if not outside:
        return f"reproduced: all {len(judged)} numbers lie in their accepted range"
    word = "partly" if len(outside) < len(judged) else "not"
    return (
        f"{word} reproduced: {len(judged) - len(outside)} of {len(judged)} numbers lie in their "
        f"accepted range; outside: {'; '.join(outside)}"
    )


def finish(task: Task, outcome: Outcome) -> dict[str, Any]:
    """Write the folder and return the content of ``result.json``.

    Every file is written whole; ``result.json`` goes first and comes last, so a folder that has
    one is complete.
    """
    result = {
        "format": FORMAT,
        "version": VERSION,
        "name": task.name,
        "title": task.title,
        "verdict": verdict(outcome.comparisons),
        "comparisons": [{**dataclasses.asdict(c), "holds": c.holds} for c in outcome.comparisons],
        "measured": outcome.measured,
        "settings": outcome.settings,
        "notes": outcome.notes,
        "figures": [{"file": p.file, "caption": p.caption} for p in outcome.pictures],
        "command": task.command,
        "quick": task.quick,
        "seed": task.seed,
        "seconds": round(time.perf_counter() - task.started, 1),
        "processor_seconds": round(processor_seconds() - task.started_cpu, 1),
        "versions": versions(),
    }
    text = to_json(result)  # before anything is removed: it refuses NaN
    with explained("write", task.folder):
        (task.folder / "result.json").unlink(missing_ok=True)
    for picture in outcome.pictures:
        if isinstance(picture.image, list):
            plots.gif(picture.image, task.folder / picture.file)
        else:
            plots.save(picture.image, task.folder / picture.file)
    write_atomically(task.folder / "result.md", page(json.loads(text)).encode())
    write_atomically(task.folder / "result.json", text.encode())
    return json.loads(text)


def to_json(result: Mapping[str, Any]) -> str:
    """As text with one line a list of numbers; ValueError if there is a NaN or an infinity.

    >>> print(to_json({"x": [1, 2.5]}), end="")
    {
      "x": [1, 2.5]
    }
    """
    text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
    # A list without a list, dict or text in it.  No text holds a line break, so none is touched.
    flat = re.sub(r"\[\n([^\[\]{}\"]*)\]", lambda m: f"[{' '.join(m[1].split())}]", text)
    return flat + "\n"


# The page -----------------------------------------------------------------------------------


def page(result: Mapping[str, Any]) -> str:
    """``result.md``: a page in Markdown about the content of a ``result.json``."""
    size = "the quick version" if result["quick"] else "the full version"
    versions = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    parts = [
        f"# {result['name']}\n\n{result['title']}",
        f"**Verdict: {result['verdict']}.**",
        comparison_table(result["comparisons"]) if result["comparisons"] else "",
        *(f"![{f['caption']}]({f['file']})\n\n{f['caption']}" for f in result["figures"]),
        *_measured(result["measured"]),
        "## How it was made",
        f"`{result['command']}`: {size}; {result['seconds']:g} seconds by the clock and "
        f"{result['processor_seconds']:g} of processor time, all cores together, without "
        f"trainings that were there already; {versions}.",
        "\n".join(f"- {name}: {_text(value)}" for name, value in result["settings"].items()),
        "\n".join(f"- {note}" for note in result["notes"]),
        "Made from `result.json`, which holds every number here and the curves. A number is "
        "accepted if it lies in the range shown; that range is the same for every seed and for "
        "the quick version.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def comparison_table(comparisons: Sequence[Mapping[str, Any]]) -> str:
    """Measured and expected side by side, as a table in Markdown; empty columns are left out."""
    rows = []
    for c in comparisons:
        expected = "" if c["expected"] is None else number(c["expected"])
        holds = {None: "not judged", True: "yes", False: "no"}[c["holds"]]
        measured = with_error(c["measured"], c["error"])
        rows.append([c["what"], measured, expected, c["source"], _range(c), holds])
    rows = [["", "measured", "expected", "by", "accepted", "holds"], *rows]
    empty = ("", "not judged")
    filled = [i for i in range(6) if i < 2 or any(row[i] not in empty for row in rows[1:])]
    return markdown_table([[row[i] for i in filled] for row in rows])


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text, the first of them the head; a bar in a text is escaped."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def number(value: float) -> str:
    """Four digits, which is what a page needs.

    >>> number(0.69314718), number(4.6e-06), number(3)
    ('0.6931', '4.6e-06', '3')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def with_error(value: float | None, error: float | None) -> str:
    """A number and its standard error, which has two digits; the number ends where it ends.

    >>> with_error(12.2, 1.0677), with_error(1234.7, 45.2), with_error(8.0, 0.0)
    ('12.2 ± 1.1', '1235 ± 45', '8 ± 0')
    """
    if value is None:
        return "undefined"
    if error is None:
        return number(value)
    if not error > 0:
        return f"{number(value)} ± 0"
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{places}f} ± {error:.{places}f}"


def _range(comparison: Mapping[str, Any]) -> str:
    low, high = comparison["low"], comparison["high"]
    if low is None and high is None:
        return ""
    if low is None:
        return f"at most {number(high)}"
    if high is None:
        return f"at least {number(low)}"
    return f"{number(low)} to {number(high)}"


def _measured(measured: Mapping[str, Any]) -> Iterator[str]:
    numbers = {name: v for name, v in measured.items() if isinstance(v, (int, float, str))}
    yield "\n".join(f"- {name}: {_text(value)}" for name, value in numbers.items())
    for name, value in measured.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            errors = {f"± {head}" for head in value[0]}
            heads = [head for head in value[0] if head not in errors]
            rows = [[_cell(row, head) for head in heads] for row in value]
            yield f"## {name[0].upper()}{name[1:]}\n\n{markdown_table([heads, *rows])}"


def _cell(row: Mapping[str, Any], head: str) -> str:
    """What a row has there; ``± head``, if it has that too, is its standard error."""
    if row[head] is not None and row.get(f"± {head}") is not None:
        return with_error(row[head], row[f"± {head}"])
    return _text(row[head])


def _text(value: Any) -> str:
    """In Markdown, where two underscores would begin bold letters.

    >>> print(_text(["__init__.py", 3.0]))
    \\_\\_init\\_\\_.py, 3
    """
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return number(value)
    return str(value).replace("__", "\\_\\_")
