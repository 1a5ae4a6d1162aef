"""``minigan bench``: how long a step takes on this machine."""

from __future__ import annotations

import json
from typing import Any

import click

from minigan.cli import debug_option, json_option, key_and_value, number_of_threads
from minigan.errors import MiniganError

at_least_1 = click.IntRange(min=1)


@click.command(
    epilog="""\b
Examples:
  minigan bench gan --steps 200 --batch-size 64 --threads 1
  minigan bench dcgan --only step
  minigan bench dcgan --set widths=128,64 --set image_size=16 --only layers""",
    short_help="Time the training step of a recipe.",
)
@click.argument("name", required=False, default="gan")
@click.option("--steps", type=at_least_1, help="How many are timed.  [default: 300, of a DCGAN 10]")
@click.option("--batch-size", type=at_least_1, help="[default: the recipe's]")
@click.option("--threads", type=number_of_threads,
              help="Of every library.  [default: MINIGAN_NUM_THREADS, or one a core]")  # fmt: skip
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True,
              help="Change a hyper-parameter of the recipe; may be repeated.")  # fmt: skip
@click.option("--only", type=click.Choice(["step", "layers"]),
              help="Of a DCGAN: the whole step, or each convolution.  [default: both]")  # fmt: skip
@json_option
@debug_option
def bench(
    name: str,
    steps: int | None,
    batch_size: int | None,
    threads: int | None,
    settings: tuple[str, ...],
    only: str | None,
    as_json: bool,
) -> None:
    """Time the training step of the recipe NAME (default: gan), in milliseconds.

    Where PyTorch is installed, its step is timed in turn with minigan's, in the same process and
    with as many threads; its fastest variant is compared with: default or fused Adam, and of a
    DCGAN contiguous or channels-last memory. Peak memory is that of a process of its own for each
    side. Of a DCGAN, each convolution is timed by itself as well.
    """
    try:
        import minigan_bench
    except ImportError:
        raise MiniganError(
            "the benchmarks are not installed: run pip install . in a checkout of minigan"
        ) from None

    options: dict[str, Any] = {"steps": steps, "batch_size": batch_size, "threads": threads}
    options["settings"] = dict(key_and_value(setting) for setting in settings)
    options["parts"] = None if only is None else [only]
    result = minigan_bench.run(name, **{k: v for k, v in options.items() if v is not None})
    click.echo(json.dumps(result) if as_json else minigan_bench.table(result))
