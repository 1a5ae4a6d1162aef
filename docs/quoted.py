"""Numbers get onto pages from files: this writes them there, and the tests compare.

    python docs/quoted.py fill                       write every quoted number of every page anew
    python docs/quoted.py record NAME COMMAND ...    run it; docs/results/NAME/output.txt is made

On a page (README.md, docs/*.md, docs/papers/*.md) a quoted number stands between two comments,
which neither GitHub nor Sphinx shows.  The first says where in ``docs/results`` it comes from:

    JSD at distance 0 is <!--= theory/result.json: comparisons / JSD at distance 0 / measured as .1g
    -->4e-18<!--/--> nats.

* In a ``.json`` file the way to a number is its keys, with " / " between them.  In a list, a number
  is a position, and any other text picks the first object that has this text as one of its values.
  ``as .1g`` is a Python format; without it, as result pages print it.  A list is quoted whole.
* In a ``.txt`` file it is a regular expression: its group if it has one, else all lines in which it
  is found; or ``table 2``, the second in Markdown.  The first line of such a file is the command,
  ``$ minigan ...``; it is not quoted.
* Without a way the whole file is quoted.

A quotation that begins on a line of its own is a block: output in a fence, or a table.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results"
QUOTATION = re.compile(r"<!--=\s+(?P<place>.+?)\s*-->(?P<text>.*?)<!--/-->", re.DOTALL)
FENCED = re.compile(r"\n(```(?:text)?)\n(.*)\n```\n", re.DOTALL)

# What a number on a page may be without being quoted: a definition or a setting, not a measurement.
DEFINITIONS = {
    "a year": r"(?<![\w.])(19[89]|20[0-2])\d(?![\w.]\d)\b",
    "a place in a paper": r"\b([Ss]ections?|eq\.|Figures?|Tables?|Algorithm|Theorem|Prop\.)\s"
    r"\d[\d.]*(( and|,)\s\d+)*",
    "a version": r"\b(Python|CUDA|CuPy) \d+(\.\d+)*( to \d+\.\d+)?",
    "a size": r"\b\d+\s?[x×]\s?\d+(\s?[x×]\s?\d+)*\b",
    "a fraction": r"\b\d+/\d+\b",
    "an item of a list": r"^\s*\d+\. ",
    "the two halves of a step": r"\([12]\) [Uu]pdate",
    "a setting": r"\b(batch(es of)?|stride|padding|k =|slope|layers?|a side of)\s\d+\b"
    r"|\b\d+(\s(epochs?|threads?|bits|cores)|-bit)\b",
    "a limit of a test": r"(?<![\w.])1e-\d+\b",
    "a distribution": r"\bN\([^()]*\)",
    "a name": r"\bCIFAR-10\b|\bImageNet-1k\b|\barXiv \d+\.\d+|\bSystems \d+\b|-log 4( \+ 2 JSD)?",
    "0 and 1": r"(?<![\w.])[±-]?[01](?!\w|[.,]\d)",
}
# Where there is no rule: phrases of one page, listed on it, for counts and limits that code fixes.
#     <!-- not measured: one bit of 24; a chain of 100,000 functions -->
NOT_MEASURED = re.compile(r"<!-- not measured:(.*?)-->", re.DOTALL)


def pages() -> list[Path]:
    """All pages that people write; result pages are written by ``minigan reproduce``."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")),
            *sorted((ROOT / "docs/papers").glob("*.md"))]  # fmt: skip


# From the file --------------------------------------------------------------------------------


def look_up(place: str, results: Path = RESULTS) -> str:
    """The text at a place, ``FILE: WAY``; a ValueError in one line if there is none."""
    name, _, way = " ".join(place.split()).partition(": ")
    path = results / name
    if not path.is_file():
        raise ValueError(f"{place}: no file docs/results/{name}")
    text = path.read_text(encoding="utf-8")
    try:
        return _in_json(json.loads(text), way) if path.suffix == ".json" else _in_text(text, way)
    except (KeyError, IndexError, StopIteration, TypeError, ValueError) as error:
        raise ValueError(f"{place}: not found ({error})") from error


def _in_json(found: Any, way: str) -> str:
    way, form = re.fullmatch(r"(.*?)(?: as (\S*[,\w%]))?", way).groups()
    for key in way.split(" / "):
        if isinstance(found, list) and not re.fullmatch(r"-?\d+", key):
            found = next(entry for entry in found if key in entry.values())
        else:
            found = found[int(key) if isinstance(found, list) else key]
    if isinstance(found, dict):
        raise ValueError("not a number but an object with " + ", ".join(found))
    numbers = found if isinstance(found, list) else [found]
    return ", ".join(_written(number, form) for number in numbers)


def _written(number: Any, form: str | None) -> str:
    return format(number, form or (".4g" if isinstance(number, float) else ""))


def _in_text(text: str, way: str) -> str:
    lines = [line for line in text.rstrip("\n").split("\n") if not line.startswith("$ ")]
    if table := re.fullmatch(r"table (\d+)", way):
        tables = re.findall(r"^\|.*(?:\n\|.*)*", "\n".join(lines), re.MULTILINE)
        return tables[int(table[1]) - 1]
    pattern = re.compile(way, re.MULTILINE)
    if not pattern.groups:
        return "\n".join(line for line in lines if pattern.search(line)).strip("\n")
    found = {match[1] for match in pattern.finditer("\n".join(lines))}
    if len(found) != 1:
        raise ValueError(f"{len(found)} different answers")
    return found.pop()


# Onto the page --------------------------------------------------------------------------------


def filled(page: str, results: Path = RESULTS) -> str:
    """The page with what its files say now."""

    def anew(match: re.Match) -> str:
        opening, text = match[0][: match.start("text") - match.start()], match["text"]
        new = look_up(match["place"], results)
        if fence := FENCED.fullmatch(text):
            new = f"\n{fence[1]}\n{new}\n```\n"
        elif text.startswith("\n"):
            new = f"\n\n{new}\n\n"  # a table
        return f"{opening}{new}<!--/-->"

    return QUOTATION.sub(anew, page)


def phrases(page: str) -> list[str]:
    """What the page says is not measured.

    >>> phrases("<!-- not measured: one bit of 24;\\n  limit of 4 -->")
    ['one bit of 24', 'limit of 4']
    """
    found = ";".join(NOT_MEASURED.findall(page)).split(";")
    return [" ".join(phrase.split()) for phrase in found if phrase.strip()]


def typed_numbers(page: str) -> list[str]:
    """Numbers that were typed: neither quoted, nor in code or a formula, nor definitions.

    A number does not become code or a formula by standing alone between backticks or dollars.

    >>> typed_numbers("In 2014 `f(3)` took <!--= a.txt -->5<!--/--> s, $x^2$ `12.5` ms, 3x3 8e-3")
    ['12.5 in: In took s, 12.5 ms, 8e-3', '8e-3 in: In took s, 12.5 ms, 8e-3']
    """
    excepted = phrases(page)
    page = QUOTATION.sub(" ", NOT_MEASURED.sub(" ", page))
    page = re.sub(r"^(```+)(\{|sh$|python$).*?^\1$", " ", page, flags=re.MULTILINE | re.DOTALL)
    page = re.sub(r"<!--.*?-->|\$\$.*?\$\$", " ", page, flags=re.DOTALL)
    for phrase in excepted:
        page = re.sub(re.escape(phrase).replace(r"\ ", r"\s+"), " ", page)
    page = re.sub(r"\]\([^)]*\)|\{\w+\}`[^`]*`", " ", page)  # targets of links
    for mark in ("`", r"\$"):
        page = re.sub(rf"{mark}[^{mark}\n]*[^{mark}\d.,\s-][^{mark}]*?{mark}", " ", page)
    for kind in DEFINITIONS.values():
        page = re.sub(kind, " ", page, flags=re.MULTILINE)
    page = re.sub(r"[`$\s]+", " ", page)
    return [
        f"{match[0]} in: {page[max(0, match.start() - 40) : match.end() + 25].strip()}"
        for match in re.finditer(r"(?<![\w.])\d(?:[\w.,]|(?<=e)-)*(?<![.,])", page)
    ]


# The commands ---------------------------------------------------------------------------------


@click.group()
def main() -> None:
    """Numbers from docs/results onto pages."""


@main.command()
def fill() -> None:
    """Write every quoted number of every page anew."""
    for path in pages():
        page = path.read_text(encoding="utf-8")
        try:
            new = filled(page)
        except ValueError as error:
            raise click.ClickException(f"{path.name}: {error}") from error
        if new != page:
            path.write_text(new, encoding="utf-8")
            click.echo(f"changed: {path.relative_to(ROOT)}")


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("command", nargs=-1, required=True)
def record(name: str, command: tuple[str, ...]) -> None:
    """Run COMMAND and keep what it prints as docs/results/NAME/output.txt."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    except OSError as error:
        raise click.ClickException(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode:
        raise click.ClickException(f"{command[0]} ended with exit code {done.returncode}")
    path = RESULTS / name / "output.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"$ {shlex.join(command)}\n{done.stdout}", encoding="utf-8")
    click.echo(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
