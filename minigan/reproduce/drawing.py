"""Figures of several panels, drawn into memory; the style is that of ``minigan.plots``."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image


def panels(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    """A figure of width x height inches, 100 dots each, and its rows * columns axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#e6e6e6", linewidth=0.8)
        ax.set_axisbelow(True)
    return figure, axes


def picture(figure: Any) -> Image.Image:
    """The figure as an image.

    >>> figure, axes = panels(4, 3)
    >>> picture(figure).size
    (400, 300)
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
