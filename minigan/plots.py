"""Pictures: grids of images, clouds of points, curves, and the film of a training run.

Everything is drawn into memory and written whole.  Matplotlib is used by its objects, without
pyplot, so nothing here depends on a display or changes a global setting.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minigan.errors import MiniganError
from minigan.files import explained, write_atomically
from minigan.kernels.clock import in_order

GAP = 40  # grey level between the images of a grid: neither ink nor paper
DATA, SAMPLES = "#aab0b6", "#d1495b"  # grey and red, apart for the colour-blind too
D_COLOUR, G_COLOUR = "#2166ac", "#d1495b"
# Of the sections of a profile: told apart by the colour-blind too, and by lightness.
SECTIONS = (
    "#2166ac", "#d1495b", "#edae49", "#66a182", "#8d96a3", "#7b4d8b", "#83c5e6", "#5b4636",
    "#c2d94c", "#f2a6c2", "#1b1b1b",
)  # fmt: skip
FRAMES = 60  # at most, in a film
FRAME_MS = 100
LAST_MS = 2000


# Images -------------------------------------------------------------------------------------


def grid(
    images: np.ndarray,
    columns: int | None = None,
    low: float = -1.0,
    high: float = 1.0,
    scale: int | None = None,
    padding: int = 2,
) -> Image.Image:
    """Many images as one.

    Args:
        images: (N, C, H, W) or (N, H, W), C = 1 grey or 3 RGB; uint8, or floats in [low, high]
            (those outside are clipped).
        columns: by default as many as make the grid about square.
        scale: every pixel becomes so many; by default 2 for small images, 1 from 56 pixels on.
        padding: pixels between the images and around the grid.

    >>> grid(np.zeros((10, 1, 28, 28)), columns=5).size
    (292, 118)

    Raises ValueError for other shapes.
    """
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ValueError(f"expected images (N, 1 or 3, H, W), got {images.shape}")
    if images.dtype != np.uint8:
        # In float64, so that low and high meet 0 and 255 exactly.
        images = (images.astype(np.float64) - low) / (high - low)
        images = np.rint(np.clip(np.nan_to_num(images), 0, 1) * 255).astype(np.uint8)
    n, channels, height, width = images.shape
    if scale is None:
        scale = max(1, 56 // max(height, width))
    columns = math.ceil(math.sqrt(n)) if columns is None else columns
    rows = math.ceil(n / columns)
    images = images.repeat(scale, axis=2).repeat(scale, axis=3)
    down, right = height * scale + padding, width * scale + padding
    sheet = np.full((rows * down + padding, columns * right + padding, channels), GAP, np.uint8)
    for i, image in enumerate(images.transpose(0, 2, 3, 1)):
        top, left = padding + i // columns * down, padding + i % columns * right
        sheet[top : top + height * scale, left : left + width * scale] = image
    return Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet)


def points(samples: np.ndarray, data: np.ndarray) -> Image.Image:
    """Samples among the data they should look like; the axes depend on the data alone.

    Args:
        samples, data: (N, n) for any n >= 1: one coordinate is drawn as a histogram, of more
            than two the first two as a cloud.

    >>> points(np.zeros((5, 2)), np.ones((5, 2))).size
    (480, 480)
    """
    figure, (ax,) = _figure(4.8, 4.8)
    low, high = data.min(axis=0), data.max(axis=0)
    middle, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-3) * 1.35
    ax.set_xlim(middle[0] - half, middle[0] + half)
    if data.shape[1] == 1:
        bins = np.linspace(middle[0] - half, middle[0] + half, 61)
        heights, _ = np.histogram(data[:, 0], bins, density=True)
        ax.stairs(heights, bins, fill=True, color=DATA, alpha=0.6, label="data")
        inside = samples[:, 0].clip(bins[0], bins[-1])  # those outside pile up at the edges
        found, _ = np.histogram(inside, bins, density=True)
        ax.stairs(found, bins, color=SAMPLES, linewidth=1.8, label="samples")
        ax.set_ylim(0, 2 * heights.max())
        ax.set(xlabel="x", ylabel="density")
    else:
        ax.set_ylim(middle[1] - half, middle[1] + half)
        ax.set_aspect("equal")
        dots = {"markeredgewidth": 0, "linestyle": "", "marker": "o"}
        ax.plot(*data.T[:2], color=DATA, alpha=0.25, markersize=7, label="data", **dots)
        ax.plot(*samples.T[:2], color=SAMPLES, alpha=0.7, markersize=3, label="samples", **dots)
        ax.set(xlabel="x₁", ylabel="x₂")
    legend = ax.legend(loc="lower right", bbox_to_anchor=(1, 0.97), frameon=False, ncols=2)
    for handle in legend.legend_handles:
        handle.set_alpha(1)
    return Image.open(io.BytesIO(_png(figure))).convert("RGB")


def save(image: Image.Image, path: Path | str) -> None:
    """Write an image as its name says (``.png``, ``.gif``, ``.jpg`` ...), whole or not at all.

    Raises MiniganError for an unknown ending or if the file cannot be written.
    """
    path = Path(path)
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in Image.SAVE:
        raise MiniganError(f"cannot write {path}: expected a name that ends in .png, .jpg or .gif")
    content = io.BytesIO()
    image.save(content, kind)
    with explained("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.getvalue())


# Curves -------------------------------------------------------------------------------------

# (label of the axis, [(what is logged, its name in the legend, colour)]); gradient norms last.
Panels = list[tuple[str, list[tuple[str, str, str]]]]
GAME_PANELS: Panels = [
    ("loss", [("d_loss", "D", D_COLOUR), ("g_loss", "G", G_COLOUR)]),
    ("mean opinion of D", [("d_real", "D(x), data", D_COLOUR),
                           ("d_fake", "D(G(z)), samples", G_COLOUR)]),
    ("gradient norm", [("d_grad_norm", "D", D_COLOUR), ("g_grad_norm", "G", G_COLOUR)]),
]  # fmt: skip
VAE_PANELS: Panels = [
    ("nats an image", [("loss", "loss, -ELBO", "#202020"),
                       ("reconstruction", "reconstruction", G_COLOUR)]),
    ("nats an image", [("kl", "KL of the codes from N(0, I)", D_COLOUR)]),
    ("gradient norm", [("encoder_grad_norm", "encoder", D_COLOUR),
                       ("decoder_grad_norm", "decoder", G_COLOUR)]),
]  # fmt: skip
AUTOENCODER_PANELS: Panels = [
    ("nats an image", [("loss", "reconstruction", G_COLOUR)]), VAE_PANELS[-1],
]  # fmt: skip


def curves(log: Sequence[Mapping[str, Any]], path: Path | str) -> None:
    """Draw a run's log: the losses, D's opinion, and the gradient norms, against the step.

    The faint line is what was logged, the strong one its running mean.  Of an autoencoder: the loss
    and its parts, and the gradient norms.

    Args:
        log: entries as in ``log.jsonl``, see :class:`minigan.train.Run`.

    Raises MiniganError if the log is empty or the file cannot be written.
    """
    if not log:
        raise MiniganError("the log is empty: there is nothing to draw before the first step")
    from matplotlib.ticker import FuncFormatter

    panels = GAME_PANELS
    if "loss" in log[0]:
        panels = VAE_PANELS if "kl" in log[0] else AUTOENCODER_PANELS
    figure, axes = _figure(8, 8.5 / 3 * len(panels), rows=len(panels))
    plain = FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "125" else "")
    steps = np.array([entry["step"] for entry in log])

    def draw(ax: Any, key: str, label: str, colour: str) -> None:
        values = np.array([entry[key] for entry in log], float)
        ax.plot(steps, values, color=colour, alpha=0.22, linewidth=0.8)
        marker = "o" if len(log) < 3 else None
        ax.plot(steps, smooth(values), color=colour, linewidth=1.8, label=label, marker=marker)

    for ax, (ylabel, lines) in zip(axes, panels):
        for key, label, colour in lines:
            draw(ax, key, label, colour)
        ax.set_ylabel(ylabel)
        seen = [entry[key] for entry in log for key, _, _ in lines]
        if "d_real" in [key for key, _, _ in lines] and min(seen) >= 0 and max(seen) <= 1:
            # Probabilities, or near the targets of least squares.
            undecided = {"color": "#555555", "linewidth": 1, "linestyle": (0, (4, 3))}
            ax.axhline(0.5, label="½, undecided", **undecided)
            ax.set_ylim(-0.03, 1.03)
        if ax is axes[-1] and min(seen) > 0:  # the norms
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter(plain)
            ax.yaxis.set_minor_formatter(plain)
    axes[-1].set_xlabel("step")
    for ax in axes:
        ax.set_xlim(0, max(steps[-1], 1))
        # Above the panel, where no curve runs.
        ax.legend(loc="lower right", bbox_to_anchor=(1, 0.97), frameon=False, ncols=3)
    write_atomically(Path(path), _png(figure))


def profile(seconds: Mapping[str, float], steps: int, path: Path | str) -> None:
    """Draw where the time of a step goes: one bar, its sections side by side, the largest first.

    Args:
        seconds: by section, in all steps, see :mod:`minigan.kernels.clock`.
        steps: how many there were, at least 1.

    Raises MiniganError if the file cannot be written.
    """
    figure, (ax,) = _figure(8, 2.6)
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.46, top=0.86)
    total, left = sum(seconds.values()), 0.0
    for (name, value), colour in zip(in_order(seconds).items(), itertools.cycle(SECTIONS)):
        width, share = 1e3 * value / steps, value / total
        label = f"{name}  {100 * share:.1f} %"
        ax.barh(0, width, left=left, color=colour, edgecolor="white", linewidth=0.8, label=label)
        left += width
    ax.set_xlim(0, left)
    ax.set_yticks([])
    ax.grid(False)
    ax.spines["left"].set_visible(False)
    ax.set_title(f"a training step, {left:.4g} ms (mean of {steps:,})", fontsize=11, loc="left")
    ax.set_xlabel("milliseconds")
    ax.legend(loc="upper left", bbox_to_anchor=(-0.01, -0.5), ncols=4, frameon=False, fontsize=9)
    write_atomically(Path(path), _png(figure))


def smooth(values: np.ndarray) -> np.ndarray:
    """The running mean over a twentieth of the values, narrower towards both ends.

    >>> smooth(np.array([1.0, 2.0, 3.0]))
    array([1., 2., 3.])
    """
    n = len(values)
    reach = np.minimum(n // 40, np.minimum(np.arange(n), np.arange(n)[::-1]))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    i = np.arange(n)
    return (sums[i + reach + 1] - sums[i - reach]) / (2 * reach + 1)


def _figure(width: float, height: float, rows: int = 1) -> tuple[Any, Any]:
    """A figure of width x height inches, 100 dots each, and its panels one above the other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained" if rows > 1 else None)
    axes = figure.subplots(rows, sharex=True, squeeze=False)[:, 0]
    if rows == 1:  # a fixed frame, so that the pictures of a film do not jump
        figure.subplots_adjust(left=0.15, right=0.97, bottom=0.12, top=0.92)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#e6e6e6", linewidth=0.8)
        ax.set_axisbelow(True)
    return figure, axes


def _png(figure: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


# Films --------------------------------------------------------------------------------------


def training_gif(samples: Mapping[int, Path], path: Path | str) -> None:
    """The sample grids of a run as a film, each with its step written below.

    Args:
        samples: step -> picture; at most 60 of them, evenly chosen, become frames.

    Raises MiniganError if there are none or one cannot be read.
    """
    if not samples:
        raise MiniganError("there are no sample grids: expected samples/step-*.png in the run")
    steps = list(samples)
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), FRAMES)).round().astype(int))
    frames = []
    for i in chosen:
        try:
            with Image.open(samples[steps[i]]) as picture:
                kept = picture if picture.mode == "L" else picture.convert("RGB")
                frames.append(captioned(kept, f"step {steps[i]:,}"))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            reason = " ".join(str(error).split())
            raise MiniganError(
                f"cannot read the picture {samples[steps[i]]}: {reason}; remove it and try again"
            ) from None
    gif(frames, path)


def captioned(picture: Image.Image, text: str) -> Image.Image:
    """The picture with a line of text on a strip below it.

    >>> captioned(Image.new("L", (100, 50)), "step 1").size
    (100, 78)
    """
    strip = 28
    framed = Image.new(picture.mode, (picture.width, picture.height + strip), "white")
    framed.paste(picture, (0, 0))
    ImageDraw.Draw(framed).text(
        (picture.width / 2, picture.height + strip / 2),
        text, fill="#202020", font=ImageFont.load_default(15), anchor="mm",
    )  # fmt: skip
    return framed


def gif(frames: Sequence[Image.Image], path: Path | str) -> None:
    """Write frames as a film that repeats; the last one stays for two seconds.

    Grey frames (mode L) are drawn in 32 levels of grey, which halves the file; colours share one
    palette, made from the last frame, so that they do not flicker.

    Raises MiniganError if there are no frames, sizes differ, or the file cannot be written.
    """
    if not frames or len({(frame.size, frame.mode) for frame in frames}) > 1:
        raise MiniganError(f"cannot draw {path}: expected one or more frames of the same size")
    if frames[0].mode == "L":
        flat = [f.point(lambda grey: round(grey / 255 * 31) * 255 // 31) for f in frames]
    else:
        palette = frames[-1].convert("RGB").quantize(256, dither=Image.Dither.NONE)
        flat = [
            f.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE) for f in frames
        ]
    durations = [FRAME_MS] * (len(flat) - 1) + [LAST_MS]
    content = io.BytesIO()
    flat[0].save(
        content, "GIF", save_all=True, append_images=flat[1:], duration=durations, loop=0
    )  # fmt: skip
    write_atomically(Path(path), content.getvalue())
