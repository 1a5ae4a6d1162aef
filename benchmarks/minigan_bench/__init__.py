"""Benchmarks of minigan, and of PyTorch beside it where it is installed.

``minigan bench NAME`` calls ``run`` and prints ``table``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import minigan
from minigan import recipes
from minigan.errors import MiniganError
from minigan_bench.timing import cores, limit_threads, take_turns

# Each side, and how it differs from the recipe or from PyTorch's defaults.
OWN = {"minigan": {}, "minigan im2col": {"algorithm": "im2col"}}
PEERS = {
    "PyTorch": {"fused": False},
    "PyTorch fused": {"fused": True},
    "PyTorch channels-last": {"fused": True, "channels_last": True},
}
MLP_SIDES = ("minigan", "PyTorch", "PyTorch fused")
DCGAN_SIDES = ("minigan", "minigan im2col", "PyTorch fused", "PyTorch channels-last")
PARTS = ("step", "layers")
CRITIC = "wgan-gp"  # of this recipe the critic's update is timed, see critic.py

# A step of a DCGAN takes about a second: a few are enough, and a turn is one step, because the
# threads of the library before wait for work, and disturb, for some milliseconds only.
DCGAN_STEPS = 10
DCGAN_TURNS = {"warmup": 2, "block": 1, "settle": 0}
MEMORY_STEPS = 3
BUSY = 0.5  # processes that ran in the minute before


def run(
    name: str = "gan",
    *,
    steps: int | None = None,
    batch_size: int | None = None,
    threads: int | None = None,
    settings: Mapping[str, Any] | None = None,
    parts: Sequence[str] = PARTS,
) -> dict[str, Any]:
    """Time a training step of a recipe: minigan and, where installed, PyTorch, in turn.

    Of ``wgan-gp`` an update of the critic is timed, for two other pairs: see ``critic.run``.

    Args:
        steps: how many are timed of each side; by default 300, or 10 of a DCGAN.
        threads: of every library; by default ``minigan.get_num_threads()``.
        settings: other values of the recipe, as for ``minigan train --set``.
        parts: ``"step"``, and of a DCGAN also ``"layers"``: every convolution by itself.

    Returns a dictionary fit for JSON: machine, versions; per side the median and quartiles in
    milliseconds and the peak memory in MiB; PyTorch's best median over each of minigan's; and what
    ``layers.run`` returns.
    """
    recipe = recipes.override(recipes.get(name), dict(settings or {}))
    if name == CRITIC and settings:
        raise MiniganError(
            f"bench {CRITIC} times the critic of two fixed pairs of networks: leave out --set"
        )
    if recipe.is_conditional:
        raise MiniganError(f"{name} takes labels, and bench has no peer that does: choose gan")
    if batch_size is not None:
        recipe = recipes.override(recipe, {"batch_size": batch_size})
    if recipe.updates == "together":
        raise MiniganError(f"bench times games of two players, and {name} is an autoencoder")
    if importlib.util.find_spec("threadpoolctl") is None:
        raise MiniganError("bench needs threadpoolctl: run pip install threadpoolctl")
    count = threads or minigan.get_num_threads()
    result: dict[str, Any] = {
        "name": name,
        "batch_size": recipe.batch_size,
        "threads": count,
        "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": versions(),
    }
    if name == CRITIC:
        from minigan_bench import critic

        with using_threads(count):
            pairs = critic.run(steps, batch_size)
        return {**result, "batch_size": batch_size or critic.BATCH, "pairs": pairs}
    with using_threads(count):
        if "step" in parts:
            result.update(_compare_steps(recipe, count, steps))
        if "layers" in parts and recipe.model == "dcgan":
            from minigan_bench import layers

            result["layers"] = layers.run(recipe)
    return result


def _compare_steps(recipe: recipes.Recipe, count: int, steps: int | None) -> dict[str, Any]:
    convolutional = recipe.model == "dcgan"
    steps = steps or (DCGAN_STEPS if convolutional else 300)
    names = DCGAN_SIDES if convolutional else MLP_SIDES
    if importlib.util.find_spec("torch") is None or not _has_peer(recipe):
        names = tuple(side for side in names if side in OWN)
    calls = {side: _step(side, recipe) for side in names}
    timings, turns = take_turns(calls, steps, **(DCGAN_TURNS if convolutional else {}))
    calls.clear()
    memory_steps = MEMORY_STEPS if convolutional else steps
    result: dict[str, Any] = {
        "sides": {
            side: {
                "median_ms": 1e3 * timing.median,
                "quartiles_ms": [1e3 * timing.low, 1e3 * timing.high],
                "peak_mib": peak_memory(side, recipe, count, memory_steps),
            }
            for side, timing in timings.items()
        },
    }
    peers = [side for side in names if side in PEERS]
    if peers:
        best = min(peers, key=lambda side: timings[side].median)
        result["best_peer"] = best
        result["ratios"] = {}
        for side in names:
            if side in OWN:
                ratios = [peer / own for peer, own in zip(turns[best], turns[side])]
                low, _, high = statistics.quantiles(ratios, n=4)
                result["ratios"][side] = {
                    "median": timings[best].median / timings[side].median,
                    "quartiles": [low, high],
                }
    return result


def table(result: dict[str, Any]) -> str:
    """The result of ``run`` as text."""
    lines = [
        f"{result['name']}: batch {result['batch_size']}, {result['threads']} threads "
        f"({result['machine']})",
        "  ".join(f"{k} {v}" for k, v in result["versions"].items()),
    ]
    if (result["load_before"] or 0) > BUSY:
        lines.append(
            f"the machine is busy (load {result['load_before']:.1f} in the minute before): whoever "
            "shares a core is slowed down, PyTorch most; measure again on an idle one"
        )
    if "pairs" in result:
        from minigan_bench import critic

        lines += critic.lines(result["pairs"])
    if "sides" in result:
        lines += ["", *_step_lines(result)]
    if "layers" in result:
        from minigan_bench import layers

        lines += ["", *layers.lines(result["layers"])]
    return "\n".join(lines)


def _step_lines(result: dict[str, Any]) -> list[str]:
    lines = [f"{'one training step':24}{'median ms':>12}{'quartiles ms':>20}{'peak MiB':>12}"]
    for side, figures in result["sides"].items():
        low, high = figures["quartiles_ms"]
        lines.append(
            f"{side:24}{figures['median_ms']:12.2f}{f'{low:.2f} - {high:.2f}':>20}"
            f"{figures['peak_mib']:12.0f}"
        )
    lines.append("")
    for side, ratio in result.get("ratios", {}).items():
        low, high = ratio["quartiles"]
        lines.append(
            f"{side} is {ratio['median']:.2f} times as fast as {result['best_peer']} "
            f"(ratio of medians; turn by turn {low:.2f} - {high:.2f})"
        )
    if "ratios" not in result:
        lines.append(
            "Nothing to compare with: PyTorch is not installed, or its side does not play this game"
        )
    return lines


def _has_peer(recipe: recipes.Recipe) -> bool:
    """Whether peer.py plays this recipe's game: that of 2014, with these networks."""
    return recipe.model in ("gan", "gan-relu", "gan-paper", "gan-toy", "dcgan") and (
        recipe.objective, recipe.penalty, recipe.clip, recipe.d_norm
    ) == ("non-saturating", "none", 0, "batch")  # fmt: skip


def _step(side: str, recipe: recipes.Recipe) -> Callable[[], object]:
    from minigan.train.setup import data_shape

    shape = data_shape(recipe)
    if side in OWN:
        return _own_step(recipes.override(recipe, OWN[side]), shape)
    from minigan_bench import peer

    return peer.step(recipe, shape, **PEERS[side])


def _own_step(recipe: recipes.Recipe, shape: tuple[int, ...]) -> Callable[[], object]:
    from minigan.train import setup
    from minigan.train.step import play_step

    game = setup.build_game(recipe, shape)
    low, high = recipe.pixel_low, recipe.pixel_high
    x = minigan.rand(recipe.batch_size, *shape) * (high - low) + low
    return lambda: play_step(game, [x])


@contextlib.contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Inside the block minigan, BLAS, OpenMP and PyTorch have ``count`` threads each."""
    before = minigan.get_num_threads()
    with limit_threads(count):
        minigan.set_num_threads(count)
        if importlib.util.find_spec("torch") is not None:
            import torch

            torch.set_num_threads(count)
        try:
            yield
        finally:
            minigan.set_num_threads(before)


def peak_memory(side: str, recipe: recipes.Recipe, count: int, steps: int) -> float:
    """The largest resident memory, in MiB, of a process of its own that only trains this side."""
    given = json.dumps([side, dataclasses.asdict(recipe), count, steps])
    done = subprocess.run(
        [sys.executable, "-c", f"import minigan_bench as b; b.measure_own_memory({given!r})"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "OMP_NUM_THREADS": str(count),
            "MINIGAN_NUM_THREADS": str(count),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def measure_own_memory(given: str) -> None:
    """Train for so many steps and print this process's peak memory in MiB."""
    side, values, count, steps = json.loads(given)
    for key, value in values.items():
        values[key] = tuple(value) if isinstance(value, list) else value
    if side in PEERS:
        import torch

        torch.set_num_threads(count)
    step = _step(side, recipes.Recipe(**values))
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


def versions() -> dict[str, str]:
    """Of Python, of minigan and of the packages that compute, as far as they are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "minigan": minigan.__version__}
    for package in ("numpy", "numba", "cupy-cuda13x", "cupy-cuda12x", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
