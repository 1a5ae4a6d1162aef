"""The CPU against the GPU: training steps and kernels on NumPy and CuPy, PyTorch beside each.

``minigan bench --backend numpy --backend cupy`` calls ``run`` here, and ``table`` and ``write`` of
:mod:`minigan_bench.showing`.

A GPU works on while Python goes on, so a block of steps is timed from one standstill to the next
and divided by their number (:mod:`minigan_bench.standstill`); nobody reads a loss inside.  The
kernels are in :mod:`minigan_bench.device_kernels`.
"""

from __future__ import annotations

import importlib.util
import itertools
import platform
from collections.abc import Callable, Sequence
from typing import Any

import minigan
from minigan import backends, recipes
from minigan.errors import first_line
from minigan_bench import versions
from minigan_bench.device_kernels import LARGEST, add_kernels
from minigan_bench.standstill import free, peaks, time_blocks
from minigan_bench.timing import cores

RECIPES = ("gan", "dcgan")
BATCH_SIZES = (64, 256, 1024, 4096)
BUDGET = 20.0  # seconds for one side of one row, at most

# What has to hold on a current data-centre GPU: recipe, batch, ours, theirs, how often as fast.
BARS = (
    ("gan", 64, "minigan graph", "PyTorch eager", 4.0),
    ("gan", 64, "minigan graph", "PyTorch graph", 1.0),
    ("dcgan", 64, "minigan graph", "PyTorch eager", 1.5),
    ("dcgan", 64, "minigan graph", "PyTorch graph", 0.9),
)


def run(
    names: Sequence[str] = RECIPES,
    chosen: Sequence[str] = ("numpy", "cupy"),
    *,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    settings: dict[str, str] | None = None,
    budget: float = BUDGET,
    tf32: bool = False,
    with_kernels: bool = True,
    say: Callable[[str, dict[str, Any]], None] = lambda text, so_far: None,
) -> dict[str, Any]:
    """Time steps and kernels on each backend.

    Args:
        budget: seconds for one side of one row; what would take longer is left out, and said.
        settings: other values of the recipes, as for ``minigan train --set``.
        tf32: let both libraries round factors to TF32 on the GPU; the CPU knows no such thing.
        say: is told what comes next, and the result so far.

    Returns a dictionary fit for JSON: ``machine``, ``versions``, ``peaks`` (by backend: GFLOP/s of
    a large product, GB/s of a large copy), ``steps``, ``kernels``, ``bars``, ``left_out``,
    ``errors`` (by backend, why it could not be used).
    """
    result: dict[str, Any] = {
        "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
        "gpu": None,
        "threads": minigan.get_num_threads(),
        "tf32": tf32,
        "versions": versions(),
        "peaks": {}, "steps": [], "kernels": [], "bars": [], "left_out": [], "errors": {},
    }  # fmt: skip

    def note(text: str) -> None:
        result["bars"] = _bars(result["steps"])
        say(text, result)

    before = backends.current_backend()
    for backend in chosen:
        reason = backends.why_unavailable(backend)
        if reason is not None:
            result["errors"][backend] = f"backend {backend!r} cannot be used: {reason}"
            continue
        try:
            backends.use_backend(backend)
            if backend == "cupy":
                result["gpu"] = backends.device()["gpu"]
                backends.use_tf32(tf32)
            note(f"{backend}: peaks")
            result["peaks"][backend] = peaks(backend)
            for name in names:
                _add_steps(result, name, backend, batch_sizes, settings or {}, budget, note)
            if with_kernels:
                for batch in sorted({min(batch_sizes), min(max(batch_sizes), LARGEST)}):
                    note(f"{backend}: kernels, batch {batch}")
                    add_kernels(result, backend, batch, budget)
        finally:
            if backend == "cupy":
                backends.use_tf32(False)
            backends.use_backend(before)
    result["bars"] = _bars(result["steps"])
    return result


# Steps --------------------------------------------------------------------------------------


def _add_steps(
    result: dict[str, Any], name: str, backend: str, batch_sizes: Sequence[int],
    settings: dict[str, str], budget: float, say: Callable[[str], None],
) -> None:  # fmt: skip
    for side, make in _sides(backend, result["tf32"]).items():
        expected = 0.0  # seconds a step
        for batch, after in itertools.zip_longest(batch_sizes, batch_sizes[1:]):
            recipe = recipes.override(recipes.get(name), {**settings, "batch_size": batch})
            row = {"recipe": name, "batch": batch, "backend": backend, "side": side}
            what = f"{backend}: {name}, batch {batch}, {side}"
            if 3 * expected > budget:
                result["left_out"].append(f"{what}: would take more than {budget:g} s")
                continue
            say(what)
            try:
                step, close = make(recipe)
                timing = time_blocks(step, backend, budget)
                close()
            except Exception as error:  # no memory, say: the other rows are still of interest
                result["left_out"].append(f"{what}: {first_line(error)}")
                break
            finally:
                free(backend)
            expected = timing.median * (after or batch) / batch
            row |= {
                "median_ms": 1e3 * timing.median,
                "quartiles_ms": [1e3 * timing.low, 1e3 * timing.high],
                "images_per_second": batch / timing.median,
            }
            result["steps"].append(row)


Step = tuple[Callable[[], object], Callable[[], object]]  # a step, and how to free what it holds


def _sides(backend: str, tf32: bool) -> dict[str, Callable[[recipes.Recipe], Step]]:
    if backend == "numpy":
        sides = {"minigan": lambda recipe: _own(recipe, graph=False)}
    else:
        sides = {
            "minigan graph": lambda recipe: _own(recipe, graph=True),
            "minigan eager": lambda recipe: _own(recipe, graph=False),
        }
    if importlib.util.find_spec("torch") is None:
        return sides
    from minigan_bench import peer

    if backend == "numpy":
        return {**sides, "PyTorch": lambda recipe: (peer.device_step(recipe, "cpu"), _nothing)}
    return {
        **sides,
        "PyTorch graph": lambda recipe: (
            peer.device_step(recipe, "cuda", graph=True, tf32=tf32), _nothing
        ),
        "PyTorch eager": lambda recipe: (peer.device_step(recipe, "cuda", tf32=tf32), _nothing),
    }  # fmt: skip


def _nothing() -> None:
    pass


def _own(recipe: recipes.Recipe, *, graph: bool) -> Step:
    from minigan.train import setup
    from minigan.train.capture import CapturedStep
    from minigan.train.step import play_step

    shape = (1, recipe.image_size, recipe.image_size)
    game = setup.build_game(recipe, shape)
    low, high = recipe.pixel_low, recipe.pixel_high
    x = minigan.rand(recipe.batch_size, *shape) * (high - low) + low
    if not graph:
        return lambda: play_step(game, [x]), _nothing
    step = CapturedStep(game, [x])
    return lambda: step([x]), step.close


def _bars(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = {(r["recipe"], r["batch"], r["side"]): r["median_ms"] for r in steps}
    bars = []
    for name, batch, own, peer, needed in BARS:
        own_ms, peer_ms = found.get((name, batch, own)), found.get((name, batch, peer))
        ratio = peer_ms / own_ms if own_ms and peer_ms else None
        text = f"{name}, batch {batch}: {own} at least {needed:g} times as fast as {peer}"
        met = None if ratio is None else ratio >= needed
        bars.append({"text": text, "needed": needed, "ratio": ratio, "met": met})
    return bars
