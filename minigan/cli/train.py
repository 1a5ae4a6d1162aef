"""``minigan train``: from options, or a file of them, to a run."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click

from minigan import recipes
from minigan.cli import BACKENDS, debug_option, json_option, key_and_value, number_of_threads
from minigan.errors import MiniganError

# What a TOML file may set besides the fields of the recipe, and of which type.
FILE_OPTIONS = {
    "recipe": str, "data": str, "data_dir": str, "out": str, "backend": str, "random": str,
    "tf32": bool,
    "steps": int, "epochs": int, "batch_size": int, "seed": int, "keep": int,
    "checkpoint_every": int, "sample_every": int, "log_every": int, "threads": int,
}  # fmt: skip
RECIPE_OPTIONS = ("data", "batch_size", "epochs")  # options that are fields of the recipe
RESUME_OPTIONS = ("steps", "epochs", "data_dir", "backend", "tf32", "threads")
RANDOM = ("numpy", "philox")
CHOICES = {"backend": BACKENDS, "random": RANDOM}
MAX_BYTES = 2**20

at_least_1 = click.IntRange(min=1)


def _recipe_list() -> str:
    width = max(map(len, recipes.names()))
    lines = [f"  {name:{width}}  {recipes.get(name).summary}" for name in recipes.names()]
    return "\n".join(["\b", "Recipes:", *lines])


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in recipes.names() if name.startswith(incomplete)]


@click.command(
    epilog=f"""{_recipe_list()}

\b
Data: glyphs, mnist, fashion-mnist, stacked-mnist, folder:PATH, npz:PATH,
      ring8, grid25, gaussian1d

\b
Examples:
  minigan train gan --data mnist --epochs 20
  minigan train gan --data folder:photos --set lr=1e-4 --set betas=0.5,0.9
  minigan train dcgan-28 --data mnist --steps 50 --profile
  minigan train --resume runs/gan-mnist-1 --epochs 40

\b
Ctrl-C finishes the step, saves and exits with 130; SIGTERM likewise, with 143.
While a run goes on, minigan plot RUN draws its curves and its film.""",
    short_help="Train a GAN after a recipe, or go on with a run.",
)
@click.argument("recipe", required=False, shell_complete=_complete)
@click.option("--data", metavar="NAME", help="Data set; by default that of the recipe.")
@click.option("--data-dir", metavar="DIR", help="Folder with the files of mnist, fashion-mnist.")
@click.option("--steps", type=at_least_1, metavar="N", help="Steps in total, also when resuming.")
@click.option("--epochs", type=at_least_1, metavar="N", help="Or times through the data, in total.")
@click.option("--batch-size", type=at_least_1, metavar="N", help="Images in a minibatch.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N",
              help="Of everything random.  [default: 0]")  # fmt: skip
@click.option("--backend", type=click.Choice(BACKENDS),
              help="Array library.  [default: MINIGAN_BACKEND, or auto]")  # fmt: skip
@click.option("--tf32/--no-tf32", default=None, help="Faster, coarser products on a GPU.  "
              "[default: no]")  # fmt: skip
@click.option("--random", type=click.Choice(RANDOM), help="What draws z, weights and masks.  "
              "[default: numpy on numpy, philox on cupy]")  # fmt: skip
@click.option("--threads", type=number_of_threads, metavar="N",
              help="How many compute.  [default: MINIGAN_NUM_THREADS, or one a core]")  # fmt: skip
@click.option("--out", metavar="DIR", help="New folder.  [default: runs/RECIPE-DATA-N]")
@click.option("--resume", metavar="DIR", help="Go on with the run in this folder.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True,
              help="Change a hyper-parameter of the recipe; may be repeated.")  # fmt: skip
@click.option("--config", metavar="FILE.toml",
              help="Options and hyper-parameters from a file; the command line wins.")  # fmt: skip
@click.option("--checkpoint-every", type=at_least_1, metavar="STEPS",
              help="[default: an epoch, at least 500]")  # fmt: skip
@click.option("--keep", type=at_least_1, metavar="K",
              help="Keep the last K checkpoints, and the best.  [default: 3]")  # fmt: skip
@click.option("--sample-every", type=at_least_1, metavar="STEPS",
              help="[default: so that there are about 50 grids]")  # fmt: skip
@click.option("--log-every", type=at_least_1, metavar="STEPS", help="[default: 10]")
@click.option("--profile", is_flag=True, help="Show where a step's time goes; draw profile.png.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@json_option
@debug_option
def train(
    settings: tuple[str, ...],
    config: str | None,
    resume: str | None,
    profile: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a GAN after RECIPE, or go on with a run (--resume).

    The run is a folder with config.json, log.jsonl, samples/, checkpoints/, curves.png and
    training.gif. A file named by --config has lines such as steps = 2000 or lr = 1e-4.
    """
    given = {name: value for name, value in options.items() if value is not None}
    _refuse_both(given)
    if resume is not None:
        wrong = [name for name in given if name not in RESUME_OPTIONS]
        wrong += ["set"] * bool(settings) + ["config"] * bool(config)
        if wrong:
            name = wrong[0] if wrong[0] == "recipe" else "--" + wrong[0].replace("_", "-")
            raise click.UsageError(f"{name} does not go with --resume: the run goes on as it was")
    changes = dict(key_and_value(setting) for setting in settings)
    if config is not None:
        from_file, fields = read_toml(Path(config))
        if "steps" in given or "epochs" in given:
            from_file = {k: v for k, v in from_file.items() if k not in ("steps", "epochs")}
        given, changes = {**from_file, **given}, {**fields, **changes}

    from minigan import train as training

    if not quiet:
        _announce_compilation()
    if resume is not None:
        summary = training.resume(resume, profile=profile, quiet=quiet, **given)
    else:
        if "recipe" not in given:
            raise click.UsageError(f"no RECIPE: expected one of {', '.join(recipes.names())}")
        recipe = recipes.get(given.pop("recipe"))
        changes.update({key: given.pop(key) for key in RECIPE_OPTIONS if key in given})
        recipe = recipes.override(recipe, changes)
        summary = training.start(recipe, profile=profile, quiet=quiet, **given)
    _report(summary, quiet, as_json)


def _announce_compilation() -> None:
    """Say so when the first kernel is compiled: the step that waits for it looks stuck."""
    from numba.core import event

    from minigan.train.progress import say

    class Announcement(event.Listener):
        def on_start(self, event_: Any) -> None:
            event.unregister("numba:compile", self)
            say("compiling the kernels, once; later starts find them in the cache ...")

        def on_end(self, event_: Any) -> None:
            pass

    event.register("numba:compile", Announcement())


def _refuse_both(given: dict[str, Any]) -> None:
    if "steps" in given and "epochs" in given:
        raise click.UsageError("--steps and --epochs were both given: choose one")


def read_toml(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options and recipe fields of a TOML file; MiniganError if it cannot be read or is wrong."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    from minigan.files import explained

    with explained("read", path):
        if path.stat().st_size > MAX_BYTES:
            raise MiniganError(f"{path} is longer than {MAX_BYTES} bytes: expected a few lines")
        content = path.read_bytes()
    try:
        values = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise MiniganError(
            f"{path} is not a TOML file: {error}; expected lines such as steps = 2000"
        ) from None
    values = {key.replace("-", "_"): value for key, value in values.items()}
    options = {key: values.pop(key) for key in FILE_OPTIONS if key in values}
    for key, value in options.items():
        kind = FILE_OPTIONS[key]
        low = 0 if key == "seed" else 1
        if type(value) is not kind or (kind is int and value < low):
            what = {int: f"a whole number from {low}", bool: "true or false"}
            what = what.get(kind, "text in quotes")
            raise MiniganError(f"{path}: {key} is {str(value)[:40]!r}, expected {what}")
    for key, choices in CHOICES.items():
        if options.get(key, choices[0]) not in choices:
            raise MiniganError(f"{path}: {key} must be one of {', '.join(choices)}")
    if "steps" in options and "epochs" in options:
        raise MiniganError(f"{path} sets both steps and epochs: choose one")
    try:
        # Keys and types, which all recipes share; whether the values go together is seen later.
        recipes.parse(recipes.get(recipes.names()[0]), values)
    except MiniganError as error:
        raise MiniganError(f"{path}: {str(error)[:300]}") from None
    return options, values


def _report(summary: Any, quiet: bool, as_json: bool) -> None:
    """What the run came to, on stdout, and the exit code of an interrupted one."""
    if as_json:
        result = {**dataclasses.asdict(summary), "folder": str(summary.folder)}
        click.echo(json.dumps(result))
    elif not quiet:
        click.echo(
            f"{summary.folder}: step {summary.step} of {summary.steps}; "
            f"best checkpoint: step {summary.best_step} (distance {summary.best_quality:.4g})"
        )
    if summary.profile is not None and not as_json:
        from minigan.kernels.clock import table

        click.echo(table(summary.profile.seconds, summary.profile.steps))
    if summary.signal is not None:
        click.echo(
            f"interrupted at step {summary.step} and saved; go on with: "
            f"minigan train --resume {summary.folder}",
            err=True,
        )
        raise click.exceptions.Exit(128 + summary.signal)
