"""``minigan plot``: the curves and the film of a run, from its log and its samples."""

from __future__ import annotations

import json

import click

from minigan.cli import debug_option, json_option


@click.command(
    epilog="""\b
Example, also while the run goes on:
  minigan plot runs/gan-mnist-1""",
    short_help="Draw the curves and the film of a run again.",
)
@click.argument("run")
@json_option
@debug_option
def plot(run: str, as_json: bool) -> None:
    """Draw curves.png and training.gif of RUN again."""
    from minigan import plots
    from minigan.train.record import Run

    folder = Run(run)
    folder.read_config()  # says so if this is no run
    plots.curves(folder.read_log(), folder.curves_path)
    plots.training_gif(folder.samples(), folder.gif_path)
    paths = {"curves": str(folder.curves_path), "film": str(folder.gif_path)}
    click.echo(json.dumps(paths) if as_json else " and ".join(paths.values()))
