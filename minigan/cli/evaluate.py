"""``minigan evaluate``: how good are a run's samples?"""

from __future__ import annotations

import json
from typing import Any

import click

from minigan.cli import backend_option, debug_option, json_option
from minigan.cli.sample import at_least_1, checkpoint_option, seed_option

MAX_CODES = 100_000  # more than a day of one core
METRICS = (
    "classes", "distance", "precision-recall", "neighbours", "parzen", "likelihood", "modes",
    "stacked", "labels", "one-nn",
)  # fmt: skip


@click.command(
    epilog="""\b
The metrics:
  classes           which digits, how evenly, how surely     (digits of MNIST)
  distance          Fréchet distance in the features of minigan's classifier, not FID; with the
                    floor that real images held out reach     (digits of MNIST)
  precision-recall  share of good samples, share of the data reached, k = 3  (digits of MNIST)
  neighbours        pixel distance to the nearest training image: is it memorising?
  parzen            the log-likelihood of Goodfellow et al. 2014, Table 1: best avoided, but theirs;
                    --yardsticks adds k-means centres, ten Gaussians, the mean image and others
                    that no GAN made  (digits; about a minute)
  likelihood        of binarised test images under a VAE, by importance sampling with --codes
                    codes an image (Burda et al. 2016: 5000)
  modes             modes captured, share of samples near one  (ring8, grid25)
  stacked           combinations of digits, of 1000, and how evenly  (stacked-mnist)
  labels            does the classifier see the classes that were asked for?  (conditional runs
                    on digits)
  one-nn            accuracy on test images of a 1-nearest-neighbour rule that has only seen
                    samples  (conditional runs on data with labels and a test split)

\b
Examples:
  minigan evaluate runs/gan-mnist-1
  minigan evaluate runs/gan-mnist-1 --metric classes --n 2000 --json
  minigan evaluate runs/gan-mnist-1 --metric neighbours --picture pairs.png""",
    short_help="Measure a run's samples.",
)
@click.argument("run")
@click.option("--metric", "metrics", multiple=True, type=click.Choice(METRICS),
              help="Which; repeatable.  [default: all that suit the data]")  # fmt: skip
@click.option("--n", "-n", type=at_least_1, help="How many samples.  [default: what the literature "
              "takes: 2500 for modes, 26000 for stacked, otherwise 10000]")  # fmt: skip
@click.option("--codes", type=click.IntRange(1, MAX_CODES), default=100, show_default=True,
              help="k of the metric likelihood.")  # fmt: skip
@click.option("--yardsticks", is_flag=True,
              help="With parzen: also of images that no GAN made.")  # fmt: skip
@click.option("--data-dir", metavar="DIR", help="Where MNIST's files are, if not where they were.")
@click.option("--picture", metavar="FILE", help="Samples beside their nearest training images.")
@seed_option
@checkpoint_option
@backend_option
@json_option
@debug_option
def evaluate(
    run: str,
    metrics: tuple[str, ...],
    n: int | None,
    codes: int,
    yardsticks: bool,
    data_dir: str | None,
    picture: str | None,
    seed: int,
    checkpoint: str,
    as_json: bool,
) -> None:
    """Draw samples from RUN, a folder or a checkpoint file, and measure them."""
    import functools

    import numpy as np

    from minigan import plots, train
    from minigan.errors import MiniganError
    from minigan.evaluate import answers, importance, neighbours, report
    from minigan.train import labels
    from minigan.train.launch import load_data
    from minigan.train.progress import ProgressBar
    from minigan.train.sampling import unit

    path = train.choose(run, checkpoint)
    G, config, step = train.load_generator(path)
    recipe = config.recipe
    dataset = load_data(recipe, data_dir or config.data_dir)
    if dataset.checksum != config.data_checksum:
        raise MiniganError(
            f"{recipe.data} is not the data that {run} was trained on (its checksum differs): "
            "name the folder of the same data with --data-dir"
        )
    unseen = _unseen(recipe, data_dir or config.data_dir)
    is_vae, is_asked = recipe.model == "vae", bool(config.classes and not recipe.codes)
    names = list(dict.fromkeys(metrics)) or report.suitable(
        dataset, has_test=unseen["test"] is not None, has_density=is_vae, has_labels=is_asked
    )
    if not names and not picture:
        raise MiniganError(
            f"no metric suits {recipe.data}: look at its samples, with minigan sample {run}"
        )
    if yardsticks and "parzen" not in names:
        raise click.UsageError("--yardsticks belongs to parzen: add --metric parzen")
    n = n or report.samples_for(names)
    rng = np.random.default_rng(seed)
    z = train.draw_z(recipe, n, rng)
    asked = labels.drawn(recipe, dataset, n, rng) if config.classes else None
    y = [] if asked is None else [labels.one_hot(asked, len(config.classes))]
    samples = unit(train.generate(G, z, *y), recipe)
    asked = asked if is_asked else None  # codes are no classes of the data
    material = report.Material(
        samples=samples, labels=asked, train=dataset, **unseen,
        model=importance.of_networks(*train.load_autoencoder(path)[:2]) if is_vae else None,
        codes=codes, yardsticks=yardsticks,
        # Minutes of work: on a terminal it shows how far it is.
        progress=functools.partial(ProgressBar, desc="likelihood", disable=None, leave=False),
    )  # fmt: skip
    for name in names:
        _check_suits(name, material)
    if picture:
        _check_suits("neighbours", material)
        plots.save(neighbours.picture(samples[:30], material.train.x), picture)
    found = {name: report.QUESTIONS[name](material) for name in names}
    if as_json:
        numbers = {
            name: {whose: answers.as_json(result) for whose, result in results.items()}
            for name, results in found.items()
        }
        facts = {"checkpoint": str(path), "step": step, "data": recipe.data, "seed": seed, "n": n}
        click.echo(json.dumps({**facts, **numbers}))
    else:
        click.echo(f"{path}, step {step}: {n:,} samples against {recipe.data}, "
                   f"split {recipe.split}")  # fmt: skip
        click.echo(answers.table(found))


def _unseen(recipe: Any, data_dir: str | None) -> dict[str, Any]:
    """The splits test and valid of the run's data, or None for one that is not, or was learnt."""
    import dataclasses

    from minigan.data.load import splits
    from minigan.train.launch import load_data

    def other(split: str, unseen_by: tuple[str, ...]) -> Any:
        if recipe.split not in unseen_by or split not in splits(recipe.data):
            return None
        return load_data(dataclasses.replace(recipe, split=split), data_dir)

    return {
        "test": other("test", unseen_by=("train", "paper-train", "valid")),
        "valid": other("valid", unseen_by=("paper-train",)),  # they are images of "train", too
    }


def _check_suits(name: str, material: Any) -> None:
    """MiniganError for a question that has no meaning, or no answer, here."""
    from minigan.errors import MiniganError
    from minigan.evaluate.report import LEAST, suitable

    least = LEAST.get(name, 1)
    counts = {"samples": len(material.samples), "training images": len(material.train)}
    if material.test is not None:
        counts["test images"] = len(material.test)
    for what, count in counts.items():
        if count < least:
            raise MiniganError(
                f"--metric {name} needs at least {least} {what}, got {count}: "
                f"{'raise --n' if what == 'samples' else 'take more data'}, or name other metrics"
            )
    if (name == "modes") == material.train.is_images:
        kind = "images" if material.train.is_images else "points"
        raise MiniganError(f"--metric {name} does not suit {material.train.name}, which is {kind}")
    if name == "modes" and "modes" not in suitable(material.train):
        raise MiniganError(
            f"--metric modes counts modes in the plane, and {material.train.name} is not in it: "
            "look at its samples, with minigan sample"
        )
