"""The report of benchmarks/gpu.sh: one page about what its parts left in a folder.

``python -m minigan_bench.report FOLDER`` writes report.md there; exit status 0 if all parts ended
well and no bar was missed, 1 otherwise.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from minigan.files import write_atomically
from minigan_bench import showing

TAIL = 30  # lines of a part that failed
TIMED_OUT = (124, 137)
TESTS = ("tests", "float32", "float64", "derivatives")  # the parts that are pytest's


def report(folder: Path) -> tuple[str, bool]:
    """The page, and whether all is well."""
    parts = [line.split("\t") for line in (folder / "parts.tsv").read_text().splitlines()]
    bench, tf32 = (_read(folder / name) for name in ("bench.json", "tf32/bench.json"))
    is_well = all(status == "0" for _, status, _, _ in parts)
    tests = {name: _last_line(folder / f"{name}.log") for name in TESTS}
    if bench is not None and bench["gpu"]:  # then skipped tests had no reason to be
        is_well = is_well and all("passed" in tests[name] for name, *_ in parts if name in tests)
    lines = ["# minigan on a GPU", ""]
    if bench is None:
        lines += ["No benchmark came to an end.", ""]
    else:
        lines += [
            f"- GPU: {bench['gpu'] or 'none'}",
            f"- machine: {bench['machine']}",
            "- versions: " + ", ".join(f"{k} {v}" for k, v in bench["versions"].items()),
        ]
        for backend, peaks in bench["peaks"].items():
            lines.append(
                f"- peak of {backend}, measured: {peaks['gflops']:,.0f} GFLOP/s (product), "
                f"{peaks['gbs']:,.0f} GB/s (copy)"
            )
        lines.append("")
    lines += ["| part | result | seconds | at most |", "| --- | --- | ---: | ---: |"]
    for name, status, seconds, limit in parts:
        lines.append(f"| {name} | {_verdict(status)} | {seconds} | {limit} |")
    lines += ["", *(f"- {name}: {tests[name]}" for name, *_ in parts if name in tests), ""]
    if bench is not None:
        lines += _bars(bench) + _steps(bench, "TF32 off") + _kernels(bench)
        is_well = is_well and not any(bar["met"] is False for bar in bench["bars"])
    if tf32 is not None:
        lines += _steps(tf32, "TF32 on")
    for name, status, _, _ in parts:
        if status != "0":
            log = (folder / f"{name}.log").read_text(errors="replace").splitlines()[-TAIL:]
            lines += [f"## {name}: the last lines", "", "```", *log, "```", ""]
    return "\n".join(lines), is_well


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.exists() else None


def _verdict(status: str) -> str:
    if status == "0":
        return "passed"
    return "out of time" if int(status) in TIMED_OUT else f"FAILED ({status})"


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1].strip("= ") if lines else "nothing was printed"


def _bars(bench: dict[str, Any]) -> list[str]:
    lines = ["## The bars", "", "| bar | measured | |", "| --- | ---: | --- |"]
    for bar in bench["bars"]:
        ratio = "not measured" if bar["ratio"] is None else f"{bar['ratio']:.2f} times"
        verdict = {True: "met", False: "**not met**", None: ""}[bar["met"]]
        lines.append(f"| {bar['text']} | {ratio} | {verdict} |")
    return [*lines, ""]


def _steps(bench: dict[str, Any], title: str) -> list[str]:
    """A row for each recipe and batch, a column for each side."""
    columns = list(dict.fromkeys((r["backend"], r["side"]) for r in bench["steps"]))
    cells = {(r["recipe"], r["batch"], r["backend"], r["side"]): r for r in bench["steps"]}
    heads = [f"{side}, {'CPU' if backend == 'numpy' else 'GPU'}" for backend, side in columns]
    lines = [
        f"## Training steps, {title}", "",
        "Milliseconds, medians of whole steps.", "",
        "| recipe | batch | " + " | ".join(heads) + " |",
        "| --- | ---: |" + " ---: |" * len(heads),
    ]  # fmt: skip
    for recipe, batch in dict.fromkeys((r["recipe"], r["batch"]) for r in bench["steps"]):
        row = [cells.get((recipe, batch, *column)) for column in columns]
        texts = ["" if r is None else f"{r['median_ms']:.3f}" for r in row]
        lines.append(f"| {recipe} | {batch} | " + " | ".join(texts) + " |")
    lines.append("")
    if bench["left_out"]:
        lines += ["Not measured:", "", *(f"- {line}" for line in bench["left_out"]), ""]
    return lines


def _kernels(bench: dict[str, Any]) -> list[str]:
    lines = [
        "## Kernels", "",
        "Of peak: the larger of the shares of the measured GFLOP/s and GB/s; above 100 % the data "
        "came out of a cache.", "",
        "| kernel | size | batch | backend | us | GFLOP/s | GB/s | of peak |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    for r in sorted(bench["kernels"], key=lambda r: (r["batch"], r["kernel"], r["backend"])):
        lines.append(
            f"| {r['kernel']} | {r['size']} | {r['batch']} | {r['backend']} | "
            f"{r['median_us']:,.1f} | {r['gflops']:,.0f} | {r['gbs']:,.0f} | {r['share']:.0%} |"
        )
    return [*lines, ""]


def main() -> int:
    folder = Path(sys.argv[1])
    text, is_well = report(folder)
    bench = _read(folder / "bench.json")
    if bench is not None:  # if the time was out before its end, there are no plots yet
        showing.write(bench, folder)
    write_atomically(folder / "report.md", text.encode())
    print(f"{'all is well' if is_well else 'NOT ALL IS WELL'}: see {folder / 'report.md'}")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
