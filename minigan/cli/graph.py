"""``minigan graph``: the computation graph of one step as a picture."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from minigan.cli import debug_option, json_option, key_and_value


@click.command(
    epilog="""\b
Examples:
  minigan graph gan --out gan.svg
  minigan graph dcgan-28 --set widths=16,8 --out dcgan.dot
  minigan graph gan-paper --set updates=alternate

One step is played with fresh weights and random images.  Dashed: no gradient flows back; red: the
cut between a player's step and the other network; blue: the parameters that the step moves.""",
    short_help="Draw the computation graph of a step.",
)
@click.argument("recipe")
@click.option("--out", metavar="FILE", help="A name that ends with .svg or with .dot (for "
              "Graphviz).  [default: graph-RECIPE.svg]")  # fmt: skip
@click.option("--channels", type=click.Choice(["1", "3"]), default="1", show_default=True,
              help="Of the images.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
              help="Change a value of the recipe, as in minigan train; repeatable.")  # fmt: skip
@json_option
@debug_option
def graph(
    recipe: str, out: str | None, channels: str, settings: tuple[str, ...], as_json: bool
) -> None:
    """Draw what D and G compute in one step of RECIPE."""
    path = Path(out or f"graph-{recipe}.svg")
    if path.suffix not in (".svg", ".dot"):
        raise click.UsageError(f"--out {out}: expected a file name that ends with .svg or .dot")
    import numpy as np

    from minigan import backends, rand, recipes
    from minigan import graph as graphs
    from minigan.files import write_atomically
    from minigan.train import labels
    from minigan.train.setup import build_game, data_classes, data_shape

    chosen = recipes.override(recipes.get(recipe), dict(map(key_and_value, settings)))
    shape = data_shape(chosen, int(channels))
    backends.manual_seed(0)
    n, classes = chosen.batch_size, data_classes(chosen)
    game = build_game(chosen, shape, classes=classes)
    y = [labels.one_hot(np.arange(n) % classes, classes)] if classes else []
    steps = graphs.record(game, rand(n, *shape), *y)
    text = graphs.svg(steps) if path.suffix == ".svg" else graphs.dot(steps)
    write_atomically(path, text.encode())
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(step) for step in steps]))
    else:
        counts = ", ".join(f"{step.title}: {len(step.nodes)} nodes" for step in steps)
        click.echo(f"{path}  ({counts})")
