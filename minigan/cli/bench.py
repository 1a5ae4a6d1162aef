"""``minigan bench``: how long a step takes on this machine."""

from __future__ import annotations

import json

import click

from minigan.cli import debug_option, json_option

at_least_1 = click.IntRange(min=1)


@click.command(
    epilog="""\b
Example:
  minigan bench gan --steps 200 --batch-size 64 --threads 1""",
    short_help="Time the training step of a recipe.",
)
@click.argument("name", required=False, default="gan")
@click.option("--steps", type=at_least_1, help="How many are timed.")
@click.option("--batch-size", type=at_least_1, help="[default: the recipe's]")
@click.option("--threads", type=at_least_1, help="[default: as many as the libraries take]")
@json_option
@debug_option
def bench(
    name: str, steps: int | None, batch_size: int | None, threads: int | None, as_json: bool
) -> None:
    """Time the training step of the recipe NAME (default: gan)."""
    from minigan import bench as benchmark

    options = {"steps": steps, "batch_size": batch_size, "threads": threads}
    result = benchmark.run(name, **{k: v for k, v in options.items() if v is not None})
    click.echo(json.dumps(result) if as_json else benchmark.table(result))
