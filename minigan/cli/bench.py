"""``minigan bench``: how long a step takes on this machine."""

from __future__ import annotations

import json
from typing import Any

import click

from minigan.cli import debug_option, json_option, key_and_value, number_of_threads
from minigan.errors import MiniganError

at_least_1 = click.IntRange(min=1)


def _sizes(ctx: click.Context, parameter: click.Parameter, text: str | None) -> list[int] | None:
    """64,256 -> [64, 256]"""
    if text is None:
        return None
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 1 for part in parts):
        raise click.BadParameter(f"expected numbers above 1, as 64,256,1024, got {text!r}")
    return [int(part) for part in parts]


@click.command(
    epilog="""\b
Examples:
  minigan bench gan --steps 200 --batch-size 64 --threads 1
  minigan bench dcgan --only step
  minigan bench dcgan --set widths=128,64 --set image_size=16 --only layers
  minigan bench wgan-gp --threads 1
  minigan bench --backend numpy --backend cupy --out results
  minigan bench gan --backend cupy --batch-sizes 64,4096 --tf32""",
    short_help="Time the training step of a recipe.",
)
@click.argument("name", required=False)
@click.option("--steps", type=at_least_1, help="How many are timed.  [default: 300, of a DCGAN 10]")
@click.option("--batch-size", type=at_least_1, help="[default: the recipe's]")
@click.option("--threads", type=number_of_threads,
              help="Of every library.  [default: MINIGAN_NUM_THREADS, or one a core]")  # fmt: skip
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True,
              help="Change a hyper-parameter of the recipe; may be repeated.")  # fmt: skip
@click.option("--only", type=click.Choice(["step", "layers"]),
              help="Of a DCGAN: the whole step, or each convolution.  [default: both]")  # fmt: skip
@click.option("--backend", "backends", type=click.Choice(["numpy", "cupy"]), multiple=True,
              help="Compare backends, steps and kernels; may be repeated.")  # fmt: skip
@click.option("--batch-sizes", metavar="N,N,...", callback=_sizes,
              help="With --backend.  [default: 64,256,1024,4096]")  # fmt: skip
@click.option("--budget", type=click.FloatRange(min=0.1), metavar="SECONDS",
              help="With --backend: for one side of one row.  [default: 20]")  # fmt: skip
@click.option("--tf32", is_flag=True, help="With --backend: TF32 on the GPU, on all sides.")
@click.option("--out", metavar="DIR",
              help="With --backend: write bench.json, bench.txt and plots.")  # fmt: skip
@json_option
@debug_option
def bench(
    name: str | None,
    steps: int | None,
    batch_size: int | None,
    threads: int | None,
    settings: tuple[str, ...],
    only: str | None,
    backends: tuple[str, ...],
    batch_sizes: list[int] | None,
    budget: float | None,
    tf32: bool,
    out: str | None,
    as_json: bool,
) -> None:
    """Time the training step of the recipe NAME (default: gan), in milliseconds.

    Where PyTorch is installed, its step is timed in turn with minigan's, in the same process and
    with as many threads; its fastest variant is compared with: default or fused Adam, and of a
    DCGAN contiguous or channels-last memory. Peak memory is that of a process of its own for each
    side. Of a DCGAN, each convolution is timed by itself as well. Of wgan-gp it is an update of the
    critic, with and without the penalty, for the networks of gan and of dcgan-28.

    With --backend, steps (default: of gan and dcgan) and kernels are timed on each backend that is
    named, PyTorch's steps beside them: on a GPU eager and as a CUDA graph.
    """
    try:
        import minigan_bench
    except ImportError:
        raise MiniganError(
            "the benchmarks are not installed: run pip install . in a checkout of minigan"
        ) from None

    if backends:
        _refuse({"--steps": steps, "--batch-size (use --batch-sizes)": batch_size, "--only": only})
        if settings and name is None:
            raise click.UsageError("--set with --backend needs the NAME of a recipe")
        options = {"batch_sizes": batch_sizes, "budget": budget, "tf32": tf32}
        options["settings"] = dict(key_and_value(setting) for setting in settings)
        _compare([name] if name else None, backends, threads, out, as_json, options)
        return
    _refuse({"--batch-sizes": batch_sizes, "--budget": budget, "--tf32": tf32, "--out": out}, False)
    options: dict[str, Any] = {"steps": steps, "batch_size": batch_size, "threads": threads}
    options["settings"] = dict(key_and_value(setting) for setting in settings)
    options["parts"] = None if only is None else [only]
    result = minigan_bench.run(name or "gan", **{k: v for k, v in options.items() if v is not None})
    click.echo(json.dumps(result) if as_json else minigan_bench.table(result))


def _refuse(values: dict[str, Any], with_backend: bool = True) -> None:
    """UsageError for the first option that is given and does not go with the others."""
    for option, value in values.items():
        if value:
            what = "does not go with" if with_backend else "goes with"
            raise click.UsageError(f"{option} {what} --backend")


def _compare(
    names: list[str] | None, backends: tuple[str, ...], threads: int | None, out: str | None,
    as_json: bool, options: dict[str, Any],
) -> None:  # fmt: skip
    """Steps and kernels on several backends."""
    from minigan_bench import devices, showing, using_threads

    from minigan.kernels.parallel import get_num_threads

    def say(text: str, so_far: dict[str, Any]) -> None:
        click.echo(text, err=True)
        if out is not None:  # what was measured stays, whatever happens next
            showing.write(so_far, out, plots=False)

    given = {key: value for key, value in options.items() if value is not None}
    with using_threads(threads or get_num_threads()):
        result = devices.run(
            names or devices.RECIPES,
            backends,
            **given,
            say=say,
        )
    if out is not None:
        showing.write(result, out)
    click.echo(json.dumps(result) if as_json else showing.table(result))
    for line in result["errors"].values():
        raise MiniganError(line)
