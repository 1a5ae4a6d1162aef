"""``minigan bench``: how long a step takes on this machine."""

from __future__ import annotations

import json

import click

from minigan.cli import debug_option, json_option
from minigan.errors import MiniganError

at_least_1 = click.IntRange(min=1)


@click.command(
    epilog="""\b
Example:
  minigan bench gan --steps 200 --batch-size 64 --threads 1""",
    short_help="Time the training step of a recipe.",
)
@click.argument("name", required=False, default="gan")
@click.option("--steps", type=at_least_1, help="How many are timed.  [default: 300]")
@click.option("--batch-size", type=at_least_1, help="[default: the recipe's]")
@click.option("--threads", type=at_least_1, help="Of every library.  [default: one a core]")
@json_option
@debug_option
def bench(
    name: str, steps: int | None, batch_size: int | None, threads: int | None, as_json: bool
) -> None:
    """Time the training step of the recipe NAME (default: gan), in milliseconds.

    Where PyTorch is installed, its step is timed in turn with minigan's, in the same process and
    with as many threads; the faster of its default and its fused Adam is compared with. Peak
    memory is that of a process of its own for each side.
    """
    try:
        import minigan_bench
    except ImportError:
        raise MiniganError(
            "the benchmarks are not installed: run pip install . in a checkout of minigan"
        ) from None

    options = {"steps": steps, "batch_size": batch_size, "threads": threads}
    result = minigan_bench.run(name, **{k: v for k, v in options.items() if v is not None})
    click.echo(json.dumps(result) if as_json else minigan_bench.table(result))
