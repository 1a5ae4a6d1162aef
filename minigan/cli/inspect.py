"""``minigan inspect``: one step of the game taken apart."""

from __future__ import annotations

import json
from pathlib import Path

import click

from minigan.cli import backend_option, debug_option, json_option, key_and_value
from minigan.errors import MiniganError


@click.command(
    epilog="""\b
Examples:
  minigan inspect gan
  minigan inspect dcgan-28 --set widths=16,8 --json
  minigan inspect runs/gan-mnist-1 --checkpoint last

A recipe is played with fresh weights on its data (on random images if they would have to be
downloaded), a run from its checkpoint on its own data.  The run's files are only read.
dead: share of the units that a (leaky) ReLU leaves <= 0 for every example of the batch.""",
    short_help="Take one step apart, layer by layer.",
)
@click.argument("what", metavar="RUN|RECIPE")
@click.option("--out", metavar="FOLDER", help="For the pictures.  [default: inspect-RECIPE, or "
              "inspect-RUN beside the run]")  # fmt: skip
@click.option("--checkpoint", metavar="WHICH", help="Of a run: best, last, a step, or the path of "
              "a file.  [default: best]")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
              help="Change a value of the recipe, as in minigan train; repeatable.")  # fmt: skip
@click.option("--data-dir", metavar="DIR", help="Folder with the files of mnist, fashion-mnist.")
@backend_option
@json_option
@debug_option
def inspect(
    what: str,
    out: str | None,
    checkpoint: str | None,
    settings: tuple[str, ...],
    data_dir: str | None,
    as_json: bool,
) -> None:
    """Measure every layer of G and D in one step, and where D saturates.

    Outputs, dead units, gradients, updates, time and memory by layer; D's logits on the fakes, and
    the gradient that each objective would get through them.
    """
    from minigan import inspection, recipes, train
    from minigan.inspection.draw import pictures
    from minigan.inspection.report import as_data, table

    if what in recipes.names():  # a folder of that name is meant by ./NAME
        if checkpoint is not None:
            raise click.UsageError(f"--checkpoint is for runs, and {what} is a recipe")
        recipe = recipes.override(recipes.get(what), dict(map(key_and_value, settings)))
        subject = inspection.from_recipe(recipe, data_dir)
        folder = Path(out or f"inspect-{what}")
    elif Path(what).exists():
        if settings:
            raise click.UsageError(f"--set is for recipes, and {what} is a run")
        path = train.choose(what, checkpoint or "best")
        subject = inspection.from_run(path, data_dir)
        folder = Path(out) if out else _beside(path)
    else:
        raise MiniganError(
            f"no run and no recipe {what!r}: expected a folder made by minigan train, a checkpoint "
            f"file, or one of {', '.join(recipes.names())}"
        )
    game, batches, labels = subject.game, subject.batches, subject.labels
    anatomy = inspection.take_apart(game, batches, subject.seed, labels=labels)
    saturation = None
    if game.updates != "together":  # an autoencoder has no D to saturate
        saturation = inspection.saturation(game, len(batches[0]), subject.seed, *labels[:1])
    paths = pictures(anatomy, saturation, folder)
    if as_json:
        found = {"subject": subject.description, "step": anatomy, "saturation": saturation}
        files = [str(path) for path in paths]
        click.echo(json.dumps({**{k: as_data(v) for k, v in found.items()}, "pictures": files}))
    else:
        click.echo(f"{subject.description}\n\n{table(anatomy, saturation)}\n")
        click.echo(", ".join(map(str, paths)))


def _beside(checkpoint: Path) -> Path:
    """A folder next to the run that the checkpoint lies in, or next to a lone file."""
    folder = checkpoint.resolve().parent
    if folder.name == "checkpoints":
        return folder.parent.with_name(f"inspect-{folder.parent.name}")
    return folder / f"inspect-{checkpoint.stem}"
