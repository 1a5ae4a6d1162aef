"""The result of ``devices.run`` as a table, as JSON and as two plots."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

from minigan.files import write_atomically


def table(result: dict[str, Any]) -> str:
    """The result of ``run`` as text."""
    lines = [
        f"{result['machine']}; GPU: {result['gpu'] or 'none'}; {result['threads']} threads; TF32 "
        + ("on" if result["tf32"] else "off"),
        "  ".join(f"{k} {v}" for k, v in result["versions"].items()),
    ]
    for backend, peaks in result["peaks"].items():
        lines.append(
            f"peak of {backend}, measured: {peaks['gflops']:,.0f} GFLOP/s (product), "
            f"{peaks['gbs']:,.0f} GB/s (copy)"
        )
    if result["steps"]:
        lines += [
            "",
            f"{'one training step':34}{'median ms':>12}{'quartiles ms':>22}{'images/s':>12}",
        ]
        for r in sorted(result["steps"], key=lambda r: (r["recipe"], r["batch"])):
            low, high = r["quartiles_ms"]
            what = f"{r['recipe']:7}{r['batch']:5}  {_label(r)}"
            lines.append(
                f"{what:34}{r['median_ms']:12.3f}{f'{low:.3f} - {high:.3f}':>22}"
                f"{r['images_per_second']:12,.0f}"
            )
    if result["kernels"]:
        lines += ["", f"{'kernel':22}{'size':32}{'batch':>6}{'backend':>9}{'us':>12}"
                  f"{'GFLOP/s':>10}{'GB/s':>8}{'of peak':>9}"]  # fmt: skip
        for r in sorted(result["kernels"], key=lambda r: (r["batch"], r["kernel"], r["backend"])):
            lines.append(
                f"{r['kernel']:22}{r['size']:32}{r['batch']:6}{r['backend']:>9}"
                f"{r['median_us']:12,.1f}{r['gflops']:10,.0f}{r['gbs']:8,.0f}{r['share']:9.0%}"
                + ("" if r["is_recorded"] else "  (started from Python)")
            )
    bars = [bar for bar in result["bars"] if bar["ratio"] is not None]
    if bars:
        lines.append("")
    for bar in bars:
        verdict = "met" if bar["met"] else "NOT MET"
        lines.append(f"{bar['text']}: {bar['ratio']:.2f} times, {verdict}")
    for what in ("left_out", "errors"):
        values = result[what].values() if what == "errors" else result[what]
        lines += [f"not measured: {line}" for line in values]
    return "\n".join(lines)


def _label(row: dict[str, Any]) -> str:
    return f"{row['side']}, {'CPU' if row['backend'] == 'numpy' else 'GPU'}"


def write(result: dict[str, Any], folder: str | Path, *, plots: bool = True) -> list[Path]:
    """bench.json, bench.txt, steps.png and kernels.png in a folder, as far as there is anything."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "bench.json": json.dumps(result, indent=1).encode(),
        "bench.txt": (table(result) + "\n").encode(),
    }
    if plots and result["steps"]:
        files["steps.png"] = _plot_steps(result)
    if plots and result["kernels"]:
        files["kernels.png"] = _plot_kernels(result)
    for name, content in files.items():
        write_atomically(folder / name, content)
    return [folder / name for name in files]


COLOURS = {
    "minigan": "#d1495b", "minigan graph": "#d1495b", "minigan eager": "#edae49",
    "PyTorch": "#2166ac", "PyTorch graph": "#2166ac", "PyTorch eager": "#83c5e6",
}  # fmt: skip


def _plot_steps(result: dict[str, Any]) -> bytes:
    """Milliseconds a step over the batch size, a panel for each recipe; the CPU's are dashed."""
    names = list(dict.fromkeys(r["recipe"] for r in result["steps"]))
    figure = _figure(5.2 * len(names), 4.2)
    for ax, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        rows = [r for r in result["steps"] if r["recipe"] == name]
        for label in dict.fromkeys(_label(r) for r in rows):
            line = [r for r in rows if _label(r) == label]
            ax.plot(
                [r["batch"] for r in line], [r["median_ms"] for r in line], label=label,
                marker="o", markersize=4, color=COLOURS[line[0]["side"]],
                linestyle="--" if line[0]["backend"] == "numpy" else "-",
            )  # fmt: skip
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        times = [r["median_ms"] for r in rows]
        ax.set_ylim(
            10 ** math.floor(math.log10(min(times))), 10 ** math.ceil(math.log10(max(times)))
        )
        ax.yaxis.set_major_formatter("{x:g}")
        batches = sorted({r["batch"] for r in rows})
        ax.set_xticks(batches, [str(b) for b in batches])
        ax.minorticks_off()
        ax.set_title(name, loc="left", fontsize=11)
        ax.set_xlabel("batch size")
        ax.set_ylabel("milliseconds a step")
        ax.grid(color="#e6e6e6", linewidth=0.8, which="both")
        ax.legend(frameon=False, fontsize=8)
    return _png(figure)


def _plot_kernels(result: dict[str, Any]) -> bytes:
    """Microseconds of each kernel at the largest batch that was measured, CPU beside GPU."""
    batch = max(r["batch"] for r in result["kernels"])
    rows = [r for r in result["kernels"] if r["batch"] == batch]
    names = list(dict.fromkeys(r["kernel"] for r in rows))
    figure = _figure(8.5, 1.2 + 0.42 * len(names))
    ax = figure.subplots()
    for shift, backend, colour in ((0.2, "numpy", "#8d96a3"), (-0.2, "cupy", "#d1495b")):
        own = {r["kernel"]: r for r in rows if r["backend"] == backend}
        places = [i for i, name in enumerate(names) if name in own]
        if not places:
            continue
        bars = ax.barh(
            [-i + shift for i in places], [own[names[i]]["median_us"] for i in places], 0.38,
            color=colour, label="CPU" if backend == "numpy" else "GPU",
        )  # fmt: skip
        found = [own[names[i]] for i in places]
        texts = [f"{_short(r['median_us'])}, {r['share']:.0%}" for r in found]
        ax.bar_label(bars, texts, padding=3, fontsize=7)
    ax.set_xscale("log")
    ax.set_xlim(right=ax.get_xlim()[1] * 8)
    ax.set_yticks([-i for i in range(len(names))], names, fontsize=8)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}")
    ax.set_xlabel("microseconds; beside it, the share of the device's measured peak")
    ax.set_title(f"kernels, batch {batch}", loc="left", fontsize=11)
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return _png(figure)


def _short(us: float) -> str:
    """4.42 us, 83.0 ms"""
    return f"{us:.3g} us" if us < 999.5 else f"{us / 1000:,.3g} ms"


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _png(figure: Any) -> bytes:
    content = io.BytesIO()
    for ax in figure.axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_axisbelow(True)
    figure.savefig(content, format="png")
    return content.getvalue()
