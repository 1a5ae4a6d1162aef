"""The pictures of a step: activations and dead units, gradients and updates, cost, saturation."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from minigan.files import explained, write_atomically
from minigan.inspection.anatomy import Anatomy, Layer
from minigan.inspection.saturation import THRESHOLDS, Saturation, slopes
from minigan.plots import D_COLOUR, DATA, G_COLOUR

COLOURS = {"G": G_COLOUR, "D": D_COLOUR}
LIGHT = "#9ab7d6"
CURVES = {
    "minimax": "#d1495b", "non-saturating": "#2166ac",
    "least-squares": "#edae49", "wasserstein": "#5b4636",
}  # fmt: skip


def pictures(anatomy: Anatomy, saturation: Saturation | None, folder: Path | str) -> list[Path]:
    """Draw what there is into the folder; returns the paths.  MiniganError if that fails."""
    folder = Path(folder)
    with explained("make", folder):
        folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        "activations.png": _activations(anatomy.layers),
        "updates.png": _updates(anatomy.layers),
        "cost.png": _cost(anatomy.layers),
    }
    if saturation is not None:
        drawn["saturation.png"] = _saturation(saturation)
    paths = []
    for name, figure in drawn.items():
        content = io.BytesIO()
        figure.savefig(content, format="png")
        write_atomically(folder / name, content.getvalue())
        paths.append(folder / name)
    return paths


def _activations(layers: list[Layer]) -> Any:
    """Mean and spread of each layer's output, and the units of it that never wake."""
    figure, (output, dead) = _rows_of_layers(layers)
    for y, layer in enumerate(layers):
        output.errorbar(layer.mean, y, xerr=layer.std, fmt="o", capsize=3, color=_colour(layer))
        if layer.dead is not None:
            dead.barh(y, 100 * layer.dead, color=_colour(layer))
            # In figures too: a few units of a thousand are a bar that nobody sees.
            dead.text(100 * layer.dead + 1.5, y, f"{100 * layer.dead:.1f} %", va="center")
    output.axvline(0, color="#555555", linewidth=1)
    output.set_xlabel("output: mean ± standard deviation")
    dead.set_xlim(0, 118)
    dead.set_xticks(range(0, 101, 25))
    dead.set_xlabel("dead units in %  (of a ReLU or LeakyReLU)")
    return figure


def _updates(layers: list[Layer]) -> Any:
    """Gradient and relative change of every parameter in this step."""
    layers = [layer for layer in layers if layer.parameters]
    figure, (gradient, update) = _rows_of_layers(layers)
    for y, layer in enumerate(layers):
        for p in layer.parameters:
            face = "none" if p.name == "bias" else _colour(layer)
            for ax, value in ((gradient, p.grad_norm), (update, p.update_to_weight)):
                if value:  # 0 has no place on a logarithmic axis
                    ax.plot(value, y, "o", markersize=7, color=_colour(layer), markerfacecolor=face)
    for ax in (gradient, update):
        ax.set_xscale("log")
    update.axvline(1e-3, color="#555555", linewidth=1, linestyle=(0, (4, 3)))
    gradient.set_xlabel("|gradient|;  filled: weights, open: biases")
    update.set_xlabel("|update| / |weight|;  dashed: 1/1000")
    return figure


def _cost(layers: list[Layer]) -> Any:
    """Time and memory by layer."""
    figure, (time, memory) = _rows_of_layers(layers)
    y = np.arange(len(layers))
    forward = [layer.forward_ms for layer in layers]
    time.barh(y, forward, color=LIGHT, label="forward")
    backward = [layer.backward_ms for layer in layers]
    time.barh(y, backward, left=forward, color=D_COLOUR, label="backward")
    time.set_xlabel("milliseconds in the step")
    time.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, ncols=2)
    memory.barh(y, [layer.kept_bytes / 1024 for layer in layers], color=DATA)
    memory.set_xlabel("KiB kept for backward")
    return figure


def _saturation(saturation: Saturation) -> Any:
    """What reaches G through a logit under each objective; below, where the logits are."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), dpi=100, layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    logits = np.array(saturation.logits)
    logits = logits[np.isfinite(logits)]
    low, high = min([-8, *logits]) - 0.5, max([8, *logits]) + 0.5
    s = np.linspace(low, high, 1001)
    for name, slope in slopes(s).items():
        label = f"{name}, mean {saturation.slope[name]:.3g}"
        dashes = "--" if name == "wasserstein" else "-"  # it lies on others
        above.plot(s, np.abs(slope), dashes, color=CURVES[name], linewidth=2, label=label)
    above.set_yscale("log")
    means = [mean for mean in saturation.slope.values() if math.isfinite(mean)]
    above.set_ylim(max(min([1e-4, *means]) / 10, 1e-12))
    above.set_ylabel("|dL/dlogit| for one logit")
    above.legend(loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False, ncols=2)
    below.hist(logits, bins=60, range=(low, high), color=DATA)
    for threshold in THRESHOLDS:
        for x in (-threshold, threshold):
            if low < x < high:
                below.axvline(x, color="#555555", linewidth=1, linestyle=(0, (1, 2)))
    judged = f"{len(saturation.logits)} {saturation.judged}"
    below.set_xlabel(f"logit of D on {judged} (dotted: the thresholds)")
    below.set_ylabel(saturation.judged.partition(" ")[0])
    for ax in (above, below):
        _plain(ax)
    return figure


def _rows_of_layers(layers: list[Layer]) -> tuple[Any, Any]:
    """A figure with a row for each layer, the first on top, and its two panels side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.3 + 0.28 * len(layers)), dpi=100, layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    axes[0].set_yticks(range(len(layers)), [f"{layer.name}  {layer.kind}" for layer in layers])
    for label, layer in zip(axes[0].get_yticklabels(), layers):
        label.set_color(_colour(layer))
    axes[0].set_ylim(len(layers) - 0.5, -0.5)
    axes[1].tick_params(axis="y", left=False)
    for ax in axes:
        _plain(ax)
    return figure, axes


def _plain(ax: Any) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#e6e6e6", linewidth=0.8)
    ax.set_axisbelow(True)


def _colour(layer: Layer) -> str:
    return COLOURS[layer.name.partition(".")[0]]
