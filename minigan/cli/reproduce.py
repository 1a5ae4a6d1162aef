"""``minigan reproduce``: the papers' figures and numbers, one command each."""

from __future__ import annotations

import json
from pathlib import Path

import click

from minigan.cli import debug_option, json_option


@click.command(
    epilog="""\b
Examples:
  minigan reproduce
  minigan reproduce figure1 --quick
  minigan reproduce theory --out theory-again --seed 1

Some train networks for hours: stop with Ctrl-C whenever you like, the same command goes on with
the runs in --runs.  (What keeps none there begins again: order, half an hour; figure1 and theory,
minutes.)

The folder holds result.json, a page made from it (result.md), and the figures.  A result that is
not reproduced is a result too: the exit code is 0.""",
    short_help="Make a paper's figure or number again.",
)
@click.argument("name", required=False)
@click.option("--quick", is_flag=True, help="A small version, in seconds or few minutes.")
@click.option("--out", metavar="DIR", help="[default: results/NAME, with --quick "
              "results/NAME-quick]")  # fmt: skip
@click.option("--runs", metavar="DIR", help="Where trainings are kept and found again.  [default: "
              "results/runs, with --quick results/runs-quick]")  # fmt: skip
@click.option("--data-dir", metavar="DIR", help="Folder with the files of mnist, fashion-mnist.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@json_option
@debug_option
def reproduce(
    name: str | None,
    quick: bool,
    out: str | None,
    runs: str | None,
    data_dir: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Make the figure or number NAME of a paper again, beside what was published or what theory
    says; without NAME: list what there is.
    """
    from minigan import reproduce as reproductions

    if name is None:
        known = reproductions.REPRODUCTIONS
        width = max(map(len, known))
        lines = [f"{key:{width}}  {title}" for key, title in known.items()]
        click.echo(json.dumps(known) if as_json else "\n".join(lines))
        return
    folder = None if out is None else Path(out)
    result = reproductions.run(
        name, folder, quick=quick, seed=seed, runs=None if runs is None else Path(runs),
        data_dir=data_dir,
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps(result))
        return
    from minigan.reproduce.result import comparison_table

    folder = folder or reproductions.default_folder(name, quick)
    click.echo(comparison_table(result["comparisons"]))
    click.echo(f"\n{result['verdict']}\n{folder / 'result.md'}")
