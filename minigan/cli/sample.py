"""``minigan sample`` and ``minigan interpolate``: pictures from a trained generator."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import click

from minigan.cli import backend_option, debug_option, json_option
from minigan.errors import MiniganError

at_least_1 = click.IntRange(min=1)
checkpoint_option = click.option(
    "--checkpoint",
    default="best",
    show_default=True,
    metavar="WHICH",
    help="best, last, a step, or the path of a file.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the noise."
)


label_option = click.option(
    "--label",
    "label_texts",
    multiple=True,
    metavar="CLASS",
    help="Of a conditional run: only this class, by name or number; repeatable.",
)


@click.command(
    epilog="""\b
Examples:
  minigan sample runs/gan-mnist-1 --n 100 --out grid.png
  minigan sample runs/gan-mnist-1 --checkpoint last --seed 7 --npz samples.npz
  minigan sample runs/cgan-mnist-1 --label 7

A run of a conditional recipe shows a class a row, all classes in turn or those of --label.
The best checkpoint is the one whose samples had the smallest Fréchet distance from the data;
see minigan info RUN.""",
    short_help="Draw new samples from a run.",
)
@click.argument("run")
@click.option("--n", "-n", type=at_least_1, help="How many.  [default: 64; of a conditional run a "
              "row for each class]")  # fmt: skip
@click.option("--out", metavar="FILE", default="grid.png", show_default=True, help="Picture.")
@click.option("--columns", type=at_least_1, help="Of the grid.  [default: about square; 8 with "
              "a class a row]")  # fmt: skip
@label_option
@click.option("--npz", metavar="FILE",
              help="Also write the samples as they are: images in [0, 1], or points.")  # fmt: skip
@seed_option
@checkpoint_option
@backend_option
@json_option
@debug_option
def sample(
    run: str,
    n: int | None,
    out: str,
    columns: int | None,
    label_texts: tuple[str, ...],
    npz: str | None,
    seed: int,
    checkpoint: str,
    as_json: bool,
) -> None:
    """Draw new samples from RUN, a folder or a checkpoint file."""
    import numpy as np

    from minigan import plots, train
    from minigan.files import write_atomically
    from minigan.train import labels
    from minigan.train.launch import load_data
    from minigan.train.sampling import unit
    from minigan.train.trainer import POINTS

    path = train.choose(run, checkpoint)
    if npz is not None:
        if Path(npz).suffix != ".npz":
            raise click.UsageError(f"--npz {npz}: expected a file name that ends with .npz")
        if Path(npz).resolve().parent == path.resolve().parent:
            raise click.UsageError(f"--npz {npz}: expected a place apart from the checkpoints")
    G, config, step = train.load_generator(path)
    recipe = config.recipe
    chosen = _chosen_labels(label_texts, config, path)
    if chosen:
        columns = columns or labels.COLUMNS
        n = n or columns * (8 if len(chosen) == 1 else min(len(chosen), labels.MOST_ROWS))
    n = n or 64
    z = train.draw_z(recipe, n, np.random.default_rng(seed))
    is_images = len(config.data_shape) == 3
    found = labels.in_rows(chosen, n, columns if is_images else 1) if chosen else None
    y = [labels.one_hot(found, len(config.classes))] if chosen else []
    samples = train.generate(G, z, *y)
    if is_images:
        picture = plots.grid(samples, columns, recipe.pixel_low, recipe.pixel_high)
        samples = unit(samples, recipe)
    else:
        picture = plots.points(samples, load_data(recipe, config.data_dir).x[:POINTS])
    plots.save(picture, out)
    if npz is not None:
        packed = io.BytesIO()
        arrays = {"images" if is_images else "points": samples, "z": z.numpy()}
        np.savez(packed, **arrays, **({"labels": found} if chosen else {}))
        write_atomically(Path(npz), packed.getvalue())
    _report(as_json, out=out, npz=npz, n=n, checkpoint=path, step=step)


@click.command(
    epilog="""\b
Example:
  minigan interpolate runs/gan-mnist-1 --rows 4 --columns 12 --out strip.png""",
    short_help="Draw walks from one z to another.",
)
@click.argument("run")
@click.option("--out", metavar="FILE", default="strip.png", show_default=True, help="Picture.")
@click.option("--rows", type=at_least_1, default=5, show_default=True, help="Pairs of z.")
@click.option("--columns", type=click.IntRange(min=2), default=10, show_default=True,
              help="Images a row, from one z to the other.")  # fmt: skip
@label_option
@seed_option
@checkpoint_option
@backend_option
@json_option
@debug_option
def interpolate(
    run: str,
    out: str,
    rows: int,
    columns: int,
    label_texts: tuple[str, ...],
    seed: int,
    checkpoint: str,
    as_json: bool,
) -> None:
    """Walk in a straight line from one z to another, with RUN's generator.

    Each row begins and ends with a random z, as in Figure 3 of Goodfellow et al. 2014.
    In a conditional run it keeps one label.
    """
    import numpy as np

    from minigan import plots, train
    from minigan.autograd import Tensor
    from minigan.train import labels

    path = train.choose(run, checkpoint)
    G, config, step = train.load_generator(path)
    recipe = config.recipe
    if len(config.data_shape) != 3:
        raise MiniganError(f"{path} makes points: interpolate expects a run on images; use sample")
    ends = train.draw_z(recipe, 2 * rows, np.random.default_rng(seed)).array
    t = np.linspace(0, 1, columns, dtype=np.float32)[:, None]
    # (rows, columns, latent): between two points of a cube the line stays inside it.
    z = Tensor(_line(ends[:rows, None], ends[rows:, None], t).reshape(rows * columns, -1))
    chosen = _chosen_labels(label_texts, config, path)
    y = []
    if chosen:
        found = labels.in_rows(chosen, rows * columns, columns)
        y = [labels.one_hot(found, len(config.classes))]
    samples = train.generate(G, z, *y)
    plots.save(plots.grid(samples, columns, recipe.pixel_low, recipe.pixel_high), out)
    _report(as_json, out=out, rows=rows, columns=columns, checkpoint=path, step=step)


def _chosen_labels(texts: tuple[str, ...], config: Any, path: Path) -> list[int]:
    """The classes that are asked for, by default all; none for a run that is not conditional."""
    from minigan.train import labels

    if texts and not config.classes:
        raise MiniganError(
            f"{path} is of {config.recipe.name}, which is not conditional: leave --label out, or "
            "choose a run of a conditional recipe such as cgan"
        )
    if texts:
        return [labels.find(text, config.classes) for text in texts]
    return list(range(len(config.classes)))


def _line(start: Any, end: Any, t: Any) -> Any:
    from minigan.backends import array_module

    t = array_module(start).asarray(t)
    return (1 - t) * start + t * end


def _report(as_json: bool, **result: Any) -> None:
    if as_json:
        click.echo(json.dumps({k: str(v) if isinstance(v, Path) else v for k, v in result.items()}))
        return
    files = " and ".join(result[key] for key in ("out", "npz") if result.get(key))
    click.echo(f"{files}, from step {result['step']} ({result['checkpoint']})")
