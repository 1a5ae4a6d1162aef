"""The figures and measured tables of these pages: one command each, run from the checkout's root.

    python docs/figures.py im2col                 docs/images/conv_im2col.png
    python docs/figures.py transposed             docs/images/conv_transposed.png
    python docs/figures.py polyphase              docs/images/conv_polyphase.png
    python docs/figures.py winograd               docs/images/conv_winograd.png
    python docs/figures.py roofline BENCH.json    docs/images/conv_roofline.png
    python docs/figures.py accuracy               tables, on standard output
    python docs/figures.py bits                   a table, on standard output
    python docs/figures.py pools                  a table, on standard output
    python docs/figures.py yardsticks             a table, on standard output (needs MNIST)
    python docs/figures.py stacked                a table, on standard output (needs MNIST)

The drawings are made of what the kernels compute: which pixel went where is read off arrays of
numbered pixels, signs off the transforms' matrices.
"""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from minigan.kernels import im2col as columns_kernel
from minigan.kernels import parallel, reference
from minigan.kernels import winograd as winograd_kernel
from minigan.kernels.geometry import Geometry

IMAGES = Path(__file__).parent / "images"

# Four things told apart, by the colour-blind too: in blue and yellow, dark and light.
FOUR = ("#2166ac", "#edae49", "#d1495b", "#83c5e6")
INK, QUIET, PADDING = "#202020", "#8d96a3", "#e4e7ea"
DOWN_2 = Geometry((2, 2), (1, 1))  # a DCGAN's: stride 2, padding 1; its kernels are 4 x 4


@click.group()
def main() -> None:
    """The figures of the documentation."""


# Drawing: one unit is the side of a cell, y grows downwards -----------------------------------


def board(width: float, height: float, unit: float = 0.36) -> tuple[Figure, Any]:
    """An empty figure of width x height cells, a cell being ``unit`` inches."""
    figure = Figure(figsize=(width * unit, height * unit), dpi=160)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    return figure, ax


def cell(
    ax: Any, x: float, y: float, text: Any = "", fill: str = "white", side: float = 1,
    size: float = 8.5, colour: str | None = None,
) -> None:  # fmt: skip
    """One square; its text is dark on light colours and white on dark ones."""
    ax.add_patch(Rectangle((x, y), side, side, facecolor=fill, edgecolor=INK, linewidth=0.6))
    if text != "":
        colour = colour or ("white" if fill in (FOUR[0], FOUR[2]) else INK)
        middle = x + side / 2, y + side / 2
        ax.text(*middle, text, ha="center", va="center", fontsize=size, color=colour)


def matrix(
    ax: Any, x: float, y: float, texts: Sequence[Sequence[Any]],
    fill: Callable[[int, int], str] = lambda i, j: "white", side: float = 1, size: float = 8.5,
) -> None:  # fmt: skip
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            cell(ax, x + side * j, y + side * i, text, fill(i, j), side, size)


def outline(
    ax: Any, x: float, y: float, width: float, height: float, colour: str, inset: float = 0.0
) -> None:
    ax.add_patch(Rectangle(
        (x + inset, y + inset), width - 2 * inset, height - 2 * inset,
        fill=False, edgecolor=colour, linewidth=2.6, joinstyle="miter", zorder=3,
    ))  # fmt: skip


def write(ax: Any, x: float, y: float, text: str, size: float = 10.5, **options: Any) -> None:
    options = {"ha": "center", "va": "center", "color": INK, **options}
    ax.text(x, y, text, fontsize=size, **options)


def arrow(ax: Any, start: tuple[float, float], end: tuple[float, float], **options: Any) -> None:
    options = {"color": INK, "linewidth": 1.1, "mutation_scale": 11, "shrinkA": 0, "shrinkB": 0,
               "arrowstyle": "-|>", **options}  # fmt: skip
    ax.add_patch(FancyArrowPatch(start, end, **options))


def save(figure: Figure, name: str) -> None:
    path = IMAGES / f"conv_{name}.png"
    figure.savefig(path)
    click.echo(path)


# Drawings -------------------------------------------------------------------------------------


@main.command()
def im2col() -> None:
    """Patches of an image become rows of the columns."""
    x = np.arange(1.0, 17).reshape(1, 1, 4, 4)
    columns = reference.im2col(x, (4, 4), DOWN_2).astype(int)
    padded = np.pad(x[0, 0], 1).astype(int)
    figure, ax = board(28.6, 20.6, 0.33)

    left, top = 3.0, 1.6
    write(ax, left + 3, 0.8, "x, 4 × 4, in its padding of zeros")
    matrix(ax, left, top, padded, lambda i, j: "white" if padded[i, j] else PADDING)
    patches = [(0, 0), (0, 1), (1, 0), (1, 1)]  # output positions, in the order of the rows
    for colour, (p, q), inset in zip(FOUR, patches, (0.06, 0.2, 0.2, 0.06)):
        outline(ax, left + 2 * q, top + 2 * p, 4, 4, colour, inset)
    write(ax, left + 7.2, top + 0.6, "under the kernel at", ha="left")
    for m, (colour, (p, q)) in enumerate(zip(FOUR, patches)):
        cell(ax, left + 7.3, top + 1.35 + 1.2 * m, "", colour, side=0.9)
        write(ax, left + 8.7, top + 1.8 + 1.2 * m, f"(p, q) = ({p}, {q})", ha="left")

    left, top = 0.8, 10.2
    write(ax, left + 8, top - 1.8, "columns: each row is what the kernel sees at one (p, q)")
    matrix(ax, left, top, columns, lambda i, j: FOUR[i] if columns[i, j] else PADDING)
    for k in range(4):
        outline(ax, left + 4 * k, top, 4, 4, INK)
        write(ax, left + 4 * k + 2, top - 0.7, f"k = {k},  l = 0 … 3", 9.5)
    write(ax, 17.7, top + 2, "·", 20)
    kernel = [[f"{k}{l}"] * 3 for k in range(4) for l in range(4)]
    matrix(ax, 18.6, top - 6, kernel, lambda i, j: "#f6f2e8", size=7.5)
    for k in range(4):
        outline(ax, 18.6, top - 6 + 4 * k, 3, 4, INK)
    write(ax, 20.1, top - 6.8, "$W^T$", 12)
    write(ax, 22.8, top + 2, "=", 16)
    matrix(ax, 24.0, top, [[""] * 3 for _ in range(4)], lambda i, j: FOUR[i])
    write(ax, 25.5, top - 0.8, "y", 12)
    write(ax, 25.5, top + 5.1, "one column for each\noutput channel", 9.5)
    save(figure, "im2col")


@main.command()
def transposed() -> None:
    """col2im adds each row of the columns back to the patch that it came from."""
    figure, ax = board(28.5, 12.3, 0.33)
    patches = [(0, 0), (0, 1), (1, 0), (1, 1)]
    names = "abcd"

    write(ax, 2.0, 4.2, "gy", 12)
    matrix(ax, 1.0, 4.9, ["ab", "cd"], lambda i, j: FOUR[2 * i + j], size=11)
    arrow(ax, (3.6, 5.9), (6.0, 5.9))
    write(ax, 4.7, 5.2, "· W")

    write(ax, 11.5, 0.8, "rows of gy W, seen as patches:\na times w, b times w, …", linespacing=1.4)
    for m, (p, q) in enumerate(patches):
        x, y = 7.0 + 5 * q, 1.9 + 4.5 * p
        texts = [[f"{k}{l}" for l in range(4)] for k in range(4)]
        matrix(ax, x, y, texts, lambda i, j, m=m: FOUR[m], size=7.5)
        write(ax, x - 0.4, y + 2, names[m], 11)
    arrow(ax, (16.6, 5.9), (19.0, 5.9))
    write(ax, 17.8, 5.2, "col2im", 10)

    # Each cell of gx: four small squares, filled where the patch of that output position adds.
    left, top = 19.9, 2.9
    write(ax, left + 3, 1.5, "gx in its padding: the patches added,\n"
          "each where im2col would read it", linespacing=1.4)  # fmt: skip
    counted = np.arange(36.0).reshape(1, 1, 6, 6)
    seen = reference.im2col(counted, (4, 4), Geometry((2, 2))).astype(int)
    for i in range(6):
        for j in range(6):
            is_padding = not (0 < i < 5 and 0 < j < 5)
            cell(ax, left + j, top + i, "", PADDING if is_padding else "white")
            for m, (p, q) in enumerate(patches):
                if 6 * i + j in seen[m]:
                    ax.add_patch(Rectangle(
                        (left + j + 0.12 + 0.4 * q, top + i + 0.12 + 0.4 * p), 0.36, 0.36,
                        facecolor=FOUR[m], alpha=0.45 if is_padding else 1, linewidth=0,
                    ))  # fmt: skip
    outline(ax, left + 1, top + 1, 4, 4, INK)
    i, j = 3, 2  # in the padded image
    outline(ax, left + j, top + i, 1, 1, INK)
    outline(ax, left - 2.9, top + 6.95, 0.9, 0.9, INK)
    terms = []
    for m in range(4):
        k, l = divmod(list(seen[m]).index(6 * i + j), 4)
        terms.append(f"{names[m]}$\\,w_{{{k}{l}}}$")
    write(ax, left - 1.7, top + 7.4, f"gx at ({i - 1}, {j - 1}) = " + " + ".join(terms), ha="left")
    write(ax, left - 1.7, top + 8.5, "what falls on the padding is cut off", 9.5, ha="left",
          color="#5b646e")  # fmt: skip
    save(figure, "transposed")


@main.command()
def polyphase() -> None:
    """A 4x4 convolution of stride 2 is the sum of four 2x2 convolutions of stride 1."""
    figure, ax = board(29.6, 16.8, 0.33)
    x = np.array([[f"{i}{j}" for j in range(8)] for i in range(8)])
    w = x[:4, :4]

    def phase_of(i: int, j: int) -> str:
        return FOUR[2 * (i % 2) + j % 2]

    p, q = 1, 2  # the output position whose window is drawn
    write(ax, 5.0, 0.9, "x, with its padding")
    matrix(ax, 1, 1.6, x, phase_of, size=8)
    outline(ax, 1 + 2 * q, 1.6 + 2 * p, 4, 4, INK)
    write(ax, 5.0, 10.7, "w")
    matrix(ax, 3, 11.4, w, phase_of, size=8)
    write(ax, 10.6, 8.2, "=", 18)

    for r in range(2):
        for s in range(2):
            left, top = 12.4 + 8.6 * s, 1.9 + 7.6 * r
            colour = phase_of(r, s)
            matrix(ax, left, top, x[r::2, s::2], lambda i, j, c=colour: c, size=8)
            outline(ax, left + q, top + p, 2, 2, INK)
            write(ax, left + 2, top - 0.7, f"$x_{{{r}{s}}}$", 12)
            write(ax, left + 4.6, top + 2, "∗", 14)
            matrix(ax, left + 5.2, top + 1, w[r::2, s::2], lambda i, j, c=colour: c, size=8)
            write(ax, left + 6.2, top + 0.3, f"$w_{{{r}{s}}}$", 12)
            if (r, s) != (1, 1):
                write(ax, left + 7.9, top + 2, "+", 15)
    write(ax, 20.3, 15.4, f"framed: what output ({p}, {q}) sees, 16 pixels of x,\n"
          "which are the same 4 places of every phase", linespacing=1.4)  # fmt: skip
    save(figure, "polyphase")


@main.command()
def winograd() -> None:
    """Tiles of 3x3 inputs, their nine products, and the 2x2 outputs made of them."""
    A, G, B = transforms((0, 1), outputs=2)  # y = A^T [(G g) (B d)]: rows are components
    figure, ax = board(33.5, 15.4, 0.33)

    left, top = 1.2, 2.6
    write(ax, left + 2.5, 1.3, "one phase of x in tiles\nof 3 × 3 that overlap", linespacing=1.4)
    matrix(ax, left, top, [[""] * 5] * 5)
    ax.add_patch(Rectangle((left, top), 3, 3, facecolor=FOUR[0], alpha=0.35, linewidth=0))
    for m, (t, u) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        outline(ax, left + 2 * u, top + 2 * t, 3, 3, FOUR[m], 0.1)
    for i in range(3):
        for j in range(3):
            write(ax, left + j + 0.5, top + i + 0.5, f"$d_{{{i}{j}}}$", 8.5)
    arrow(ax, (left + 2.5, top + 5.3), (left + 2.5, top + 6.6))
    write(ax, left + 2.5, top + 7.1, "y: 2 × 2 from each")
    matrix(ax, left + 0.5, top + 7.7, [["$y_{00}$", "$y_{01}$", "", ""],
                                       ["$y_{10}$", "$y_{11}$", "", ""], [""] * 4, [""] * 4],
           lambda i, j: (("#b6cde4" if (i, j) < (2, 2) and j < 2 else "white"), "white")[i > 1],
           )  # fmt: skip
    for m, (t, u) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        outline(ax, left + 0.5 + 2 * u, top + 7.7 + 2 * t, 2, 2, FOUR[m], 0.08)

    # The nine products: which inputs with which sign, times which kernel weights.
    write(ax, 15.9, 0.9, "9 products for 4 outputs, where the definition has 16: inputs × weights")
    for k in range(3):
        for l in range(3):
            x, y = 8.2 + 5.35 * l, 2.2 + 4.4 * k
            write(ax, x + 2.4, y, f"$m_{{{k}{l}}}$", 11)
            signs(ax, x, y + 0.6, np.outer(B[k], B[l]))
            write(ax, x + 2.78, y + 1.8, "×", 12)
            signs(ax, x + 3.2, y + 1.0, np.outer(G[k], G[l]))

    left = 25.6
    write(ax, left + 3.15, 0.9, "the outputs, sums of products")
    for i in range(2):
        for j in range(2):
            x, y = left + 3.9 * j, 3.9 + 4.9 * i
            write(ax, x + 1.2, y - 0.6, f"$y_{{{i}{j}}}$", 11)
            signs(ax, x, y, np.outer(A[:, i], A[:, j]))
    write(ax, left + 3.15, 13.1, "here the cell in row k,\ncolumn l stands for $m_{kl}$", 9.5,
          linespacing=1.4)  # fmt: skip
    cell(ax, 8.6, 14.45, "+", FOUR[0], 0.7, 8)
    write(ax, 9.6, 14.8, "added", ha="left", size=9.5)
    cell(ax, 12.4, 14.45, "−", FOUR[1], 0.7, 8)
    write(ax, 13.4, 14.8, "subtracted", ha="left", size=9.5)
    cell(ax, 17.4, 14.45, "", "white", 0.7)
    write(ax, 18.4, 14.8, "not used", ha="left", size=9.5)
    save(figure, "winograd")


def signs(ax: Any, x: float, y: float, values: np.ndarray, side: float = 0.8) -> None:
    """A small matrix of +1, -1 and 0."""
    for (i, j), value in np.ndenumerate(np.rint(values).astype(int)):
        text, fill = {1: ("+", FOUR[0]), -1: ("−", FOUR[1]), 0: ("", "white")}[int(value)]
        cell(ax, x + side * j, y + side * i, text, fill, side, 8)


# Roofline -------------------------------------------------------------------------------------


@main.command()
@click.argument("bench", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def roofline(bench: Path) -> None:
    """Rates of a DCGAN's convolutions, from ``minigan bench dcgan --only layers --json``.

    Memory bandwidth is measured here, with as many threads as the benchmark had.
    """
    result = json.loads(bench.read_text())
    parallel.set_num_threads(result["threads"])
    peak, bandwidth = result["layers"]["gemm_gflops"], memory_bandwidth()
    rows = result["layers"]["rows"]
    names = list(dict.fromkeys(row["layer"] for row in rows))
    where = dict(zip(names, apart([intensity(name, rows, result["batch_size"]) for name in names])))

    figure = Figure(figsize=(8.6, 9.0), dpi=160, layout="constrained")
    panels = figure.subplots(3, sharex=True)
    x = np.array([0.35, peak / bandwidth, 600])
    sides = (("im2col", "s", FOUR[0], 1 / 1.07), ("winograd", "^", FOUR[2], 1.0),
             ("PyTorch", "o", FOUR[1], 1.07))  # fmt: skip
    for ax, which in zip(panels, dict.fromkeys(row["pass"] for row in rows)):
        ax.plot(x, np.minimum(bandwidth * x, peak), color=INK, linewidth=1.4)
        for side, marker, colour, aside in sides:
            at = [(aside * where[row["layer"]], row["sides"][side]["gflops"]) for row in rows
                  if row["pass"] == which and side in row["sides"]]  # fmt: skip
            if at:
                ax.plot(*zip(*at), marker, color=colour, markersize=7, markeredgecolor=INK,
                        markeredgewidth=0.6, label=side)  # fmt: skip
        for number, name in enumerate(names, 1):
            ax.axvline(where[name], color="#dde1e4", linewidth=0.8, zorder=0)
            ax.text(where[name], 1.02, str(number), transform=ax.get_xaxis_transform(),
                    ha="center", fontsize=9, color="#5b646e")  # fmt: skip
        ax.set(xscale="log", yscale="log", xlim=(x[0], x[-1]), ylim=(0.5, 400), ylabel="GFLOP/s")
        ax.text(0.012, 0.9, which, transform=ax.transAxes, fontsize=12)
        ax.spines[["top", "right"]].set_visible(False)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xlabel("arithmetic intensity, flop / byte")
    panels[0].text(13, peak * 1.12, f"matrix product, {peak:.0f} GFLOP/s", fontsize=9)
    panels[0].text(
        0.75, bandwidth * 0.75 * 1.25, f"memory, {bandwidth:.0f} GB/s", fontsize=9,
        rotation=np.degrees(np.arctan(bandwidth)), rotation_mode="anchor",
        transform_rotates_text=True,
    )  # fmt: skip
    key = [f"{number}   {name.replace('->', '→').replace(' x ', ' × ')}"
           for number, name in enumerate(names, 1)]  # fmt: skip
    panels[0].text(26, 0.65, "\n".join(key), va="bottom", fontsize=9, linespacing=1.4,
                   bbox={"facecolor": "white", "edgecolor": "none"})  # fmt: skip
    panels[1].legend(loc="lower right", frameon=False)
    path = IMAGES / "conv_roofline.png"
    figure.savefig(path)
    click.echo(path)


def intensity(name: str, rows: list[dict[str, Any]], N: int) -> float:
    """Flops of the definition for each byte of x, w and y, each moved once, in float32."""
    C, H, _, O, P, _ = (int(n) for n in re.findall(r"\d+", name))
    flop = 1e9 * next(row["gflop"] for row in rows if row["layer"] == name)
    weights = flop / (2 * N * P * P)
    return flop / (4 * (N * C * H * H + weights + N * O * P * P))


def apart(values: list[float], factor: float = 1.15) -> list[float]:
    """Values that coincide are drawn beside each other."""
    return [
        v * factor ** (2 * values[:i].count(v) - (values.count(v) - 1))
        for i, v in enumerate(values)
    ]


def memory_bandwidth(megabytes: int = 256) -> float:
    """GB/s of copying arrays that fit no cache: bytes read and bytes written."""
    a = np.ones((megabytes << 20) // 4, np.float32)
    b = np.empty_like(a)
    pieces = parallel.parts(a.size, parallel.get_num_threads())
    seconds = []
    for _ in range(60):  # the best is the machine, the others are its other work
        start = time.perf_counter()
        parallel.run(lambda piece: np.copyto(b[piece], a[piece]), pieces)
        seconds.append(time.perf_counter() - start)
    return 2e-9 * a.nbytes / min(seconds)


# Tables ---------------------------------------------------------------------------------------

LAYERS = {"64 x 32 x 32 -> 128": (64, 32, 128), "128 x 16 x 16 -> 256": (128, 16, 256),
          "256 x 8 x 8 -> 512": (256, 8, 512)}  # fmt: skip
PASSES = ("forward", "input gradient", "weight gradient")


@main.command()
@click.option("--seeds", default=5, show_default=True, help="Inputs of each kind that are tried.")
def accuracy(seeds: int) -> None:
    """Errors of Winograd's algorithm in float32, in units of the columns' own errors.

    Both against float64, for N(0, 1): the ratio of the root mean squares over all seeds, and in
    brackets the smallest and the largest ratio of the two largest errors.
    """
    click.echo("The kernels, batches of 64:\n")
    rows = []
    for name, shape in LAYERS.items():
        by_pass = zip(*(pass_errors(seed, *shape) for seed in range(seeds)))
        rows.append([name, *map(ratio, by_pass)])
    print_table(["layer", *PASSES], rows)

    click.echo("\nOther tile sizes, simulated for sums over 256 channels x 4 phases:\n")
    parallel.set_num_threads(1)  # small products: threads would only wait for each other
    rows = []
    for m, points in ((2, (0, 1)), (3, (0, 1, -1)), (4, (0, -1, 0.5, 2)), (4, (0, 1, -0.5, -2)),
                      (4, (0, 1, -1, 0.5)), (4, (0, 1, -1, 2))):  # fmt: skip
        named = ", ".join(f"{point:g}" for point in points) + ", ∞"
        found = ratio([tile_errors(seed, points, m) for seed in range(2 * seeds)])
        rows.append([f"F({m}, 2)", named, found, *(products(m, size) for size in (4, 8, 16))])
    print_table(["", "points", "error", "4 × 4 outputs", "8 × 8", "16 × 16"], rows)


Errors = tuple[float, float, float, float]  # mean square and largest: of ours, of the columns


def errors(ours: np.ndarray, columns: np.ndarray, truth: np.ndarray) -> Errors:
    a, b = ours - truth, columns - truth
    return (a**2).mean(), np.abs(a).max(), (b**2).mean(), np.abs(b).max()


def ratio(found: Sequence[Errors]) -> str:
    ours, _, columns, _ = np.mean(found, axis=0)
    largest = [a / b for _, a, _, b in found]
    return f"{np.sqrt(ours / columns):.1f} ({min(largest):.1f} – {max(largest):.1f})"


def products(m: int, size: int) -> str:
    """Multiplications of F(m x m, 2x2) over those of the definition, waste at the edges counted."""
    tiles = -(-size // m)
    return f"{(tiles * (m + 1)) ** 2 / (2 * size) ** 2:.2f}"


def print_table(head: Sequence[str], rows: list[list[str]]) -> None:
    """In Markdown."""
    for row in [head, ["---"] * len(head), *rows]:
        click.echo("| " + " | ".join(row) + " |")


def pass_errors(seed: int, C: int, H: int, O: int) -> list[Errors]:
    """Of Winograd's kernel and im2col's, for each pass."""
    args = seed, C, H, O
    ours, columns = three_passes(winograd_kernel, *args), three_passes(columns_kernel, *args)
    truth = three_passes(columns_kernel, *args, np.float64)
    return [errors(*of_pass) for of_pass in zip(ours, columns, truth)]


def three_passes(
    kernel: Any, seed: int, C: int, H: int, O: int, dtype: type = np.float32
) -> list[np.ndarray]:
    """y, gx and gw of random float32 numbers, computed in ``dtype``."""
    rng = np.random.default_rng(seed)

    def images(N: int, C: int, H: int) -> np.ndarray:
        values = rng.standard_normal((N, H, H, C), dtype=np.float32)
        return values.astype(dtype).transpose(0, 3, 1, 2)

    N = 64
    x, w, gy = images(N, C, H), images(O, C, 4), images(N, O, H // 2)
    return [
        kernel.forward(x, w, DOWN_2),
        kernel.input_gradient(gy, w, (H, H), DOWN_2),
        kernel.weight_gradient(x, gy, (4, 4), DOWN_2),
    ]


def transforms(points: Sequence[float], outputs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A, G, B with y = A^T [(G g) * (B d)] for a kernel g of two, by Toom and Cook.

    Polynomials are multiplied by their values at points, the last of which is infinity; a
    convolution is the transpose of a product.
    """
    n = outputs + 1

    def values_at_points(length: int) -> np.ndarray:
        last = [[0.0] * (length - 1) + [1.0]]
        return np.concatenate([[[float(p) ** j for j in range(length)] for p in points], last])

    return values_at_points(outputs), values_at_points(2), np.linalg.inv(values_at_points(n)).T


def tile_errors(seed: int, points: Sequence[float], m: int, C: int = 1024) -> Errors:
    """Of F(m x m, 2x2) and of the columns: 64 tiles, C channels, phases counted, to 64 outputs."""
    A, G, B = transforms(points, m)
    scale = 2.0 ** np.round(np.log2(np.abs(B).max(axis=1)))[:, None]  # exact, in G instead of B
    B, G = B / scale, G * scale
    rng = np.random.default_rng(seed)
    d = rng.standard_normal((64, m + 1, m + 1, C), dtype=np.float32)
    g = rng.standard_normal((64, 2, 2, C), dtype=np.float32)

    def by_winograd(dtype: type) -> np.ndarray:
        a, b, k = A.astype(dtype), B.astype(dtype), G.astype(dtype)
        V, U = two_ways(b, d.astype(dtype)), two_ways(k, g.astype(dtype))
        return two_ways(a.T, (V @ U.swapaxes(2, 3)).transpose(2, 0, 1, 3))

    def two_ways(T: np.ndarray, tiles: np.ndarray) -> np.ndarray:
        """T over rows, then over columns: (n, i, j, c) -> (i, j, n, c)"""
        rows = np.tensordot(T, tiles, (1, 1))  # (i, n, j, c)
        return np.tensordot(T, rows, (1, 2)).swapaxes(0, 1)

    def by_columns(dtype: type) -> np.ndarray:
        W = g.astype(dtype).reshape(64, -1).T
        return np.array([
            [d[:, i : i + 2, j : j + 2].astype(dtype).reshape(64, -1) @ W for j in range(m)]
            for i in range(m)
        ])  # fmt: skip

    truth = by_columns(np.float64)
    if not np.allclose(by_winograd(np.float64), truth):
        raise AssertionError(f"the transforms for {points} are wrong")
    return errors(by_winograd(np.float32), by_columns(np.float32), truth)


@main.command()
def bits() -> None:
    """Whether the passes give the same bits with other numbers of threads as with one."""
    counts = (2, 3, 4, 8)
    rows = []
    for kernel in (columns_kernel, winograd_kernel):
        for which, found in zip(PASSES, zip(*(same_bits(kernel, *s) for s in LAYERS.values()))):
            rows.append([kernel.__name__.split(".")[-1], which, *map(said, zip(*found))])
    print_table(["", "pass", *(f"{n} threads" for n in counts)], rows)


def same_bits(
    kernel: Any, C: int, H: int, O: int, counts: Sequence[int] = (2, 3, 4, 8)
) -> list[list[bool]]:
    """For each pass, and each number of threads: are they the bits that one thread gives?"""
    parallel.set_num_threads(1)
    expected = three_passes(kernel, 0, C, H, O)
    found: list[list[bool]] = [[] for _ in expected]
    for n in counts:
        parallel.set_num_threads(n)
        results = three_passes(kernel, 0, C, H, O)
        for answers, result, alone in zip(found, results, expected):
            answers.append(np.array_equal(result, alone))
    return found


def said(answers: Sequence[bool]) -> str:
    return "yes" if all(answers) else "no" if not any(answers) else "some layers"


@main.command()
def pools() -> None:
    """A matrix product and a loop after it: in two thread pools by turns, and in one."""
    import numba

    def body(x, out):
        for i in numba.prange(x.size):
            out[i] = x[i] if x[i] > 0 else np.float32(0.2) * x[i]

    def twin(x, out):  # Numba keeps one compiled form of a function
        for i in range(x.size):
            out[i] = x[i] if x[i] > 0 else np.float32(0.2) * x[i]

    in_parallel = numba.njit(body, parallel=True)
    alone = numba.njit(twin, nogil=True)
    numba.set_num_threads(min(parallel.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
    parallel.set_num_threads(parallel.get_num_threads())  # BLAS has as many
    a, b = np.random.default_rng(0).standard_normal((2, 1024, 1024), dtype=np.float32)
    product, y = np.empty_like(a), np.empty_like(a)

    def multiply() -> None:
        np.dot(a, b, out=product)

    def slice_by_slice(part: slice) -> None:
        np.dot(a[part], b, out=product[part])
        alone(product[part].ravel(), y[part].ravel())

    def two_pools() -> None:
        multiply()
        in_parallel(product.ravel(), y.ravel())

    def one_pool() -> None:
        parallel.run(slice_by_slice, parallel.parts(1024, parallel.get_num_threads()))

    rows = [
        ["product, BLAS's threads", median_ms(multiply)],
        ["LeakyReLU, Numba's threads", median_ms(lambda: in_parallel(product.ravel(), y.ravel()))],
        ["both in turn: two pools", median_ms(two_pools)],
        ["both in slices: minigan's pool", median_ms(one_pool)],
    ]
    print_table(["1024 × 1024", "median and quartiles, ms"], rows)


def median_ms(call: Callable[[], object], times: int = 100) -> str:
    call()
    time.sleep(0.3)  # until the threads of what ran before have gone to sleep
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(1e3 * (time.perf_counter() - start))
    low, median, high = statistics.quantiles(seconds, n=4)
    return f"{median:.2f} ({low:.2f} – {high:.2f})"


# Evaluation -----------------------------------------------------------------------------------


@main.command()
def yardsticks() -> None:
    """The Parzen log-likelihood of MNIST's test images under samples that no GAN made."""
    from minigan import data
    from minigan.evaluate.parzen import parzen
    from minigan.evaluate.yardsticks import YARDSTICKS

    def pixels(split: str) -> tuple[np.ndarray, np.ndarray]:
        found = data.load("mnist", split=split)
        return found.x.reshape(len(found), -1) / np.float32(255), found.labels

    (train, labels), (valid, _), (test, _) = map(pixels, ("paper-train", "valid", "test"))
    rows = []
    for name, make in YARDSTICKS.items():
        found = parzen(make(train, labels, 10_000, np.random.default_rng(0)), valid, test)
        rows.append([name, f"{found.mean:.1f} ± {found.se:.1f}", f"{found.sigma:.4f}",
                     f"{found.samples:,}"])  # fmt: skip
    print_table(["samples", "nats", "sigma", "how many"], rows)


@main.command()
def stacked() -> None:
    """What the count of stacked MNIST's modes gives for real images, and for their labels."""
    from minigan import data
    from minigan.evaluate.modes import STACKED_SAMPLES, stacked_modes
    from minigan.evaluate.report import QUESTIONS, Material

    train, test = (data.load("stacked-mnist", split=split, count=STACKED_SAMPLES)
                   for split in ("train", "test"))  # fmt: skip
    found = QUESTIONS["stacked"](Material(samples=test.x, train=train))
    labels = np.stack([train.labels // 100, train.labels // 10 % 10, train.labels % 10], axis=1)
    rows = [
        [what, f"{result.captured:,}", f"{result.kl:.3f} ± {result.kl_se:.3f}",
         f"{result.kl_floor:.3f}", f"{result.samples:,}"]
        for what, result in [
            ("test images, by the classifier", found["samples"]),
            ("training images, by the classifier", found["real"]),
            ("training images, by their labels", stacked_modes(labels)),
        ]
    ]  # fmt: skip
    print_table(["stacks of", "modes", "KL, nats", "even", "how many"], rows)


if __name__ == "__main__":
    main()
