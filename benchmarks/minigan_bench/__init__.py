"""Benchmarks of minigan, and of PyTorch beside it where it is installed.

``minigan bench NAME`` calls ``run`` and prints ``table``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minigan import recipes
from minigan.errors import MiniganError
from minigan_bench.timing import cores, limit_threads, take_turns


def run(
    name: str = "gan",
    *,
    steps: int = 300,
    batch_size: int | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Time a training step of a recipe: minigan and, where installed, PyTorch, in turn.

    Returns a dictionary fit for JSON: machine, versions, per side the median and quartiles in
    milliseconds and the peak memory in MiB, and PyTorch's best median over minigan's.
    """
    recipe = recipes.get(name)
    if batch_size is not None:
        recipe = recipes.override(recipe, {"batch_size": batch_size})
    if importlib.util.find_spec("threadpoolctl") is None:
        raise MiniganError("bench needs threadpoolctl: run pip install threadpoolctl")
    count = threads or cores()

    names = ["minigan"]
    if importlib.util.find_spec("torch") is not None:
        names += ["PyTorch", "PyTorch fused"]
        import torch

        torch.set_num_threads(count)
    with limit_threads(count):
        timings, turns = take_turns({side: _step(side, recipe) for side in names}, steps)
    result: dict[str, Any] = {
        "name": name,
        "batch_size": recipe.batch_size,
        "threads": count,
        "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
        "versions": _versions(),
        "sides": {
            side: {
                "median_ms": 1e3 * timing.median,
                "quartiles_ms": [1e3 * timing.low, 1e3 * timing.high],
                "peak_mib": peak_memory(side, name, recipe.batch_size, count, steps),
            }
            for side, timing in timings.items()
        },
    }
    if len(names) > 1:
        best = min(names[1:], key=lambda side: timings[side].median)
        ratios = [peer / own for peer, own in zip(turns[best], turns["minigan"])]
        low, _, high = statistics.quantiles(ratios, n=4)
        result["best_peer"] = best
        result["ratio"] = timings[best].median / timings["minigan"].median
        result["ratio_quartiles"] = [low, high]
    return result


def table(result: dict[str, Any]) -> str:
    """The result of ``run`` as text."""
    lines = [
        f"{result['name']}: one training step, batch {result['batch_size']}, "
        f"{result['threads']} threads ({result['machine']})",
        "  ".join(f"{k} {v}" for k, v in result["versions"].items()),
        "",
        f"{'':16}{'median ms':>12}{'quartiles ms':>20}{'peak MiB':>12}",
    ]
    for side, figures in result["sides"].items():
        low, high = figures["quartiles_ms"]
        lines.append(
            f"{side:16}{figures['median_ms']:12.2f}{f'{low:.2f} - {high:.2f}':>20}"
            f"{figures['peak_mib']:12.0f}"
        )
    if "ratio" in result:
        low, high = result["ratio_quartiles"]
        lines += [
            "",
            f"minigan is {result['ratio']:.2f} times as fast as {result['best_peer']} "
            f"(ratio of medians; turn by turn {low:.2f} - {high:.2f})",
        ]
    else:
        lines += ["", "PyTorch is not installed, so there is nothing to compare with."]
    return "\n".join(lines)


def _step(side: str, recipe: recipes.Recipe) -> Callable[[], object]:
    shape = (1, recipe.image_size, recipe.image_size)
    if side == "minigan":
        return _own_step(recipe, shape)
    from minigan_bench import peer

    return peer.step(recipe, int(np.prod(shape)), fused=side == "PyTorch fused")


def _own_step(recipe: recipes.Recipe, shape: tuple[int, ...]) -> Callable[[], object]:
    import minigan
    from minigan.train import setup
    from minigan.train.step import play_step

    game = setup.build_game(recipe, shape)
    low, high = recipe.pixel_low, recipe.pixel_high
    x = minigan.rand(recipe.batch_size, *shape) * (high - low) + low
    return lambda: play_step(game, [x])


def peak_memory(side: str, name: str, batch_size: int, count: int, steps: int) -> float:
    """The largest resident memory, in MiB, of a process of its own that only trains this side."""
    code = (
        "import minigan_bench as b; "
        f"b.measure_own_memory({side!r}, {name!r}, {batch_size}, {count}, {steps})"
    )
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(count)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def measure_own_memory(side: str, name: str, batch_size: int, count: int, steps: int) -> None:
    """Train for so many steps and print this process's peak memory in MiB."""
    if side != "minigan":
        import torch

        torch.set_num_threads(count)
    step = _step(side, recipes.override(recipes.get(name), {"batch_size": batch_size}))
    for _ in range(steps):
        step()
    print(_peak_mib())


def _peak_mib() -> float:
    """This process's peak resident memory."""
    try:
        # Not getrusage: on Linux a process inherits the peak of the one that started it.
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s*(\d+) kB", status).group(1)) / 1024
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS: in bytes


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("minigan", "numpy", "numba", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
