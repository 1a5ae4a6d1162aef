"""``minigan gradcheck``: every derivative against differences of function values."""

from __future__ import annotations

import dataclasses
import json

import click

from minigan.cli import backend_option, debug_option, json_option


@click.command(
    epilog="""\b
Examples:
  minigan gradcheck
  minigan gradcheck linear batch_norm --order 2""",
    short_help="Check the derivatives of all functions.",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--order", type=click.IntRange(1, 3), default=2, show_default=True,
              help="Check derivatives up to this order.")  # fmt: skip
@backend_option
@json_option
@debug_option
def gradcheck(names: tuple[str, ...], order: int, as_json: bool) -> None:
    """Check the derivatives of all functions, or of those named, in float64.

    Exits with 1 if one is wrong.
    """
    from minigan import gradient_check

    reports = gradient_check.run(names, order)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(report) for report in reports]))
    else:
        click.echo(gradient_check.table(reports))
    if not all(report.passed for report in reports):
        raise click.exceptions.Exit(1)
