"""Every convolution of a DCGAN by itself, in its three passes, beside PyTorch's.

A transposed convolution is another convolution's input gradient, so G's layers are D's with the
passes exchanged, and only one of them has a shape of its own: G's first.

GFLOP counts the multiplications and additions of the definition, also for Winograd, which does
fewer; so GFLOP/s compares times, and may exceed what the machine can multiply.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.kernels import convolution, winograd
from minigan.kernels.geometry import Geometry
from minigan.recipes import Recipe
from minigan_bench.timing import take_turns

PASSES = ("forward", "input gradient", "weight gradient")
TURNS = {"steps": 12, "warmup": 2, "block": 4, "settle": 1}
PEAK_SIDE = 2048  # of the matrices whose product is the yardstick


@dataclass(frozen=True)
class Layer:
    """A convolution C x H x H -> O x P x P of a batch of N."""

    N: int
    C: int
    H: int
    O: int
    kernel: int
    stride: int
    padding: int

    @property
    def P(self) -> int:
        return (self.H + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def gflop(self) -> float:
        return 2e-9 * self.N * self.P**2 * self.O * self.C * self.kernel**2

    def __str__(self) -> str:
        return f"{self.C} x {self.H} x {self.H} -> {self.O} x {self.P} x {self.P}"


def layers(recipe: Recipe) -> list[Layer]:
    """D's convolutions for grey images, from the image on, and G's first seen as one."""
    N, top = recipe.batch_size, recipe.image_size // 2 ** len(recipe.widths)
    found, side = [], recipe.image_size
    for C, O in itertools.pairwise([1, *reversed(recipe.widths)]):
        found.append(Layer(N, C, side, O, kernel=4, stride=2, padding=1))
        side //= 2
    ends = {"H": top, "kernel": top, "stride": 1, "padding": 0}
    found.append(Layer(N, C=recipe.widths[0], O=1, **ends))
    found.append(Layer(N, C=recipe.widths[0], O=recipe.latent_dim, **ends))
    return found


def run(recipe: Recipe) -> dict[str, Any]:
    """Time every layer and pass with each algorithm and, where installed, with PyTorch, in turn.

    ``{"gemm_gflops": the rate of a large matrix product, "rows": [...]}``, a row for each layer and
    pass: ``layer``, ``pass``, ``gflop`` and ``sides``, by side ``median_ms``, ``quartiles_ms`` and
    ``gflops`` (a second).  PyTorch's is the better of its two memory formats.
    """
    rows = []
    for layer in layers(recipe):
        for which in PASSES:
            timings, _ = take_turns(calls(layer, which), **TURNS)
            peers = [side for side in timings if side.startswith("PyTorch")]
            if peers:
                best = min(peers, key=lambda side: timings[side].median)
                kept = {side: timing for side, timing in timings.items() if side not in peers}
                timings = {**kept, "PyTorch": timings[best]}
            rows.append({
                "layer": str(layer),
                "pass": which,
                "gflop": layer.gflop,
                "sides": {
                    side: {
                        "median_ms": 1e3 * timing.median,
                        "quartiles_ms": [1e3 * timing.low, 1e3 * timing.high],
                        "gflops": layer.gflop / timing.median,
                    }
                    for side, timing in timings.items()
                },
            })  # fmt: skip
    return {"gemm_gflops": gemm_gflops(), "rows": rows}


def calls(layer: Layer, which: str) -> dict[str, Callable[[], object]]:
    """What is timed: one pass of the layer, by side."""
    geometry = Geometry((layer.stride, layer.stride), (layer.padding, layer.padding))
    kernel = (layer.kernel, layer.kernel)
    x = _images(layer.N, layer.C, layer.H)
    w = _images(layer.O, layer.C, layer.kernel)
    gy = _images(layer.N, layer.O, layer.P)
    algorithms = ["im2col"] + ["winograd"] * winograd.suits(geometry, kernel)
    found: dict[str, Callable[[], object]] = {}
    for algorithm in algorithms:
        found[algorithm] = {
            "forward": functools.partial(convolution.convolve, x, w, geometry, algorithm),
            "input gradient": functools.partial(
                convolution.convolve_input_gradient, gy, w, x.shape[2:], geometry, algorithm
            ),
            "weight gradient": functools.partial(
                convolution.convolve_weight_gradient, x, gy, kernel, geometry, algorithm
            ),
        }[which]
    if importlib.util.find_spec("torch") is not None:
        from minigan_bench import peer

        found["PyTorch"] = peer.convolution(which, x, w, gy, layer.stride, layer.padding, False)
        found["PyTorch channels-last"] = peer.convolution(
            which, x, w, gy, layer.stride, layer.padding, True
        )
    return found


def _images(N: int, C: int, H: int) -> np.ndarray:
    """Random values (N, C, H, H), channels-last in memory."""
    values = np.random.default_rng(0).standard_normal((N, H, H, C), dtype=np.float32)
    return values.transpose(0, 3, 1, 2)


def gemm_gflops() -> float:
    """The best rate of a large float32 matrix product with the threads that are set."""
    a, b = (_images(1, 1, PEAK_SIDE)[0, 0] for _ in range(2))
    out = np.empty_like(a)
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        np.dot(a, b, out=out)
        seconds.append(time.perf_counter() - start)
    return 2e-9 * PEAK_SIDE**3 / min(seconds)


def lines(result: dict[str, Any]) -> list[str]:
    """The result of ``run`` as text."""
    rows = result["rows"]
    sides = [side for side in ("im2col", "winograd", "PyTorch") if side in rows[0]["sides"]]
    header = f"{'layer':32}{'pass':18}{'GFLOP':>7}"
    text = [header + "".join(f"{side + ' ms':>14}{'GFLOP/s':>9}" for side in sides)]
    totals = dict.fromkeys(["best of minigan", "im2col", "PyTorch"], 0.0)
    for row in rows:
        line = f"{row['layer']:32}{row['pass']:18}{row['gflop']:7.2f}"
        for side in sides:
            figures = row["sides"].get(side)
            line += f"{'-':>14}{'':9}" if figures is None else (
                f"{figures['median_ms']:14.2f}{figures['gflops']:9.0f}"
            )  # fmt: skip
        text.append(line)
        medians = {side: figures["median_ms"] for side, figures in row["sides"].items()}
        peer = medians.pop("PyTorch", 0.0)
        totals["PyTorch"] += peer
        totals["im2col"] += medians["im2col"]
        totals["best of minigan"] += min(medians.values())
    text.append("")
    text += [f"sum, {side}: {total:.1f} ms" for side, total in totals.items() if total]
    text.append(f"a matrix product of {PEAK_SIDE}^3: {result['gemm_gflops']:.0f} GFLOP/s")
    return text
