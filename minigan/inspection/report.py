"""What was measured, as a table and as plain data for JSON."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from minigan.inspection.anatomy import Anatomy, Layer
from minigan.inspection.saturation import Saturation


def table(anatomy: Anatomy, saturation: Saturation | None) -> str:
    """All figures as aligned text: the layers, where the time went, D's saturation."""
    losses = ", ".join(f"{name} {value:.4g}" for name, value in anatomy.losses.items())
    ms = ", ".join(f"{name} {value:.2f}" for name, value in anatomy.ms.items())
    return "\n\n".join([
        layers_table(anatomy.layers),
        f"losses: {losses}\nmilliseconds: {ms}",
        *([] if saturation is None else [saturation_table(saturation)]),
    ])  # fmt: skip


def layers_table(layers: list[Layer]) -> str:
    """A row for each layer; the columns about weights are those of its first parameter."""
    rows = [("layer", "", "output", "mean", "std", "dead", "|weight|", "|gradient|",
             "update/weight", "forward ms", "backward ms", "kept KiB")]  # fmt: skip
    for layer in layers:
        weight = layer.parameters[0] if layer.parameters else None
        numbers = ("norm", "grad_norm", "update_to_weight")
        rows.append((
            layer.name, layer.kind, f"({', '.join(map(str, layer.shape))})",
            _number(layer.mean), _number(layer.std), _percent(layer.dead),
            *(_number(getattr(weight, name, None)) for name in numbers),
            f"{layer.forward_ms:.2f}", f"{layer.backward_ms:.2f}", f"{layer.kept_bytes / 1024:.0f}",
        ))  # fmt: skip
    sums = (sum(layer.forward_ms for layer in layers), sum(layer.backward_ms for layer in layers))
    kept = sum(layer.kept_bytes for layer in layers) / 1024
    rows.append(("all", *[""] * 8, *(f"{ms:.2f}" for ms in sums), f"{kept:.0f}"))
    return _aligned(rows, texts=3)


def saturation_table(saturation: Saturation) -> str:
    """D's logits on the fakes in a few figures, and what each objective makes of them."""
    s = saturation.logits
    beyond = ", ".join(f"{_percent(v)} beyond {t:g}" for t, v in saturation.share_beyond.items())
    head = (
        f"D's logits on {len(s)} {saturation.judged}: from {_number(min(s))} to "
        f"{_number(max(s))}, mean {_number(sum(s) / len(s))}; |logit|: {beyond}\n"
        f"histogram of D(G(z)) from 0 to 1: {' '.join(map(str, saturation.histogram))}"
    )
    rows = [("G's objective", "mean |dL/dlogit|", "|dL/dG(z)|")]
    for name, slope in saturation.slope.items():
        rows.append((name, _number(slope), _number(saturation.gradient_norm[name])))
    return f"{head}\n\n{_aligned(rows, texts=1)}"


def as_data(result: Any) -> Any:
    """A dataclass as plain data; numbers that JSON does not have (inf, nan) become None."""
    if dataclasses.is_dataclass(result):
        result = dataclasses.asdict(result)
    if isinstance(result, dict):
        return {str(key): as_data(value) for key, value in result.items()}
    if isinstance(result, (list, tuple)):
        return [as_data(value) for value in result]
    return None if isinstance(result, float) and not math.isfinite(result) else result


def _number(value: float | None) -> str:
    """
    >>> _number(0.01234567), _number(-12345.6), _number(None)
    ('0.01235', '-1.235e+04', '-')
    """
    return "-" if value is None else f"{value:.4g}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _aligned(rows: list[tuple[str, ...]], texts: int) -> str:
    """Columns as wide as their widest cell: the first ones to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            f"{cell:<{width}}" if i < texts else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )
