"""``minigan info``: what is installed here, or what is in a run."""

from __future__ import annotations

import json
import math
import os
import platform
from pathlib import Path
from typing import Any

import click

from minigan.cli import debug_option, json_option


@click.command(
    epilog="""\b
Examples:
  minigan info
  minigan info runs/gan-mnist-1 --json""",
    short_help="Describe this installation, or a run.",
)
@click.argument("run", required=False)
@json_option
@debug_option
def info(run: str | None, as_json: bool) -> None:
    """Describe this installation, or RUN: its recipe, steps, figures and checkpoints."""
    facts = _installation() if run is None else _run(run)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        click.echo("\n".join(_lines(facts)))


def _lines(facts: dict[str, Any], indent: str = "") -> list[str]:
    """Name and value in two columns; a dict inside as an indented block of the same kind."""
    width = max([len(name) for name in facts], default=0)
    lines = []
    for name, value in facts.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name:{width}}  {_text(value)}")
    return lines


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return "none" if value is None else str(value)


# The installation ---------------------------------------------------------------------------


def _installation() -> dict[str, Any]:
    import numba
    import numpy

    from minigan import __version__, backends
    from minigan.data.cache import cache_folder
    from minigan.kernels.parallel import get_num_threads

    blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    reasons = {name: backends.why_unavailable(name) for name in backends.NAMES}
    return {
        "minigan": __version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "numpy": f"{numpy.__version__}, BLAS {blas.get('name')} {blas.get('version')}",
        "numba": numba.__version__,
        "threads": f"{get_num_threads()} of {os.cpu_count()} processors",
        "backends": {
            **{name: reason or "works" for name, reason in reasons.items()},
            "auto": "takes " + ("numpy" if reasons["cupy"] else "cupy"),
        },
        **({} if reasons["cupy"] else {"gpu": backends.device()}),
        "cache": str(cache_folder()),
        "data": _data_found(),
    }


def _data_found() -> dict[str, str]:
    """Where the data sets that are not made are, without downloading one."""
    from minigan.data.cache import cache_folder
    from minigan.data.mnist import NAMES

    chosen = os.environ.get("MINIGAN_DATA")
    folders = [cache_folder()]
    if chosen:
        folders.insert(0, Path(chosen).expanduser())
    found = {"glyphs": "made when first used"}
    for name in NAMES:
        places = [f / name for f in folders if any((f / name).glob("*-images-idx3-ubyte*"))]
        found[name] = str(places[0]) if places else "not here; downloaded when first used"
    return found


# A run --------------------------------------------------------------------------------------


def _run(name: str) -> dict[str, Any]:
    import dataclasses

    from minigan.train.quality import name as quality_name
    from minigan.train.record import Run

    run = Run(name)
    config = run.read_config()
    log = run.read_log()
    recipe = dataclasses.asdict(config.recipe)
    return {
        "run": str(run.folder),
        "recipe": {key: list(v) if isinstance(v, tuple) else v for key, v in recipe.items()},
        "data": {
            "name": config.recipe.data,
            "split": config.recipe.split,
            "count": config.data_count,
            "shape": list(config.data_shape),
            "sha256": config.data_checksum,
        },
        **({"labels": list(config.classes)} if config.classes else {}),
        "seed": config.seed,
        "backend": config.backend,
        "tf32": config.tf32,
        "random": config.random,
        "steps": config.steps,
        "steps per epoch": config.steps_per_epoch,
        "last logged": log[-1] if log else None,
        "sample grids": len(run.samples()),
        "quality": quality_name(len(config.data_shape) == 3),
        "checkpoints": _checkpoints(run.checkpoints()),
    }


def _checkpoints(paths: dict[int, Path]) -> dict[str, Any]:
    """Each file's quality, or what is wrong with it; all are read and checked."""
    from minigan.errors import MiniganError
    from minigan.train import checkpoint

    described: dict[str, Any] = {}
    best, lowest = None, math.inf
    for path in paths.values():
        try:
            quality = checkpoint.read(path).quality
        except MiniganError as error:
            described[path.name] = str(error)
            continue
        described[path.name] = quality
        if quality < lowest:
            best, lowest = path.name, quality
    return {**described, "best": best}
