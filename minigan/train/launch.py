"""Where a training begins: in a new folder, or in that of a run which goes on."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from minigan import backends, data
from minigan.data import Batches, Dataset
from minigan.data.toy import MIXTURES
from minigan.errors import MiniganError
from minigan.files import explained
from minigan.kernels import parallel
from minigan.recipes import Recipe
from minigan.train import checkpoint as checkpoints
from minigan.train import labels as label
from minigan.train.progress import say
from minigan.train.record import Config, Run
from minigan.train.trainer import Summary, Trainer

FRAMES = 50  # sample grids in a run, by default


def start(
    recipe: Recipe,
    *,
    out: str | Path | None = None,
    steps: int | None = None,
    seed: int = 0,
    data_dir: str | None = None,
    backend: str | None = None,
    tf32: bool = False,
    random: str | None = None,
    threads: int | None = None,
    checkpoint_every: int | None = None,
    keep: int = 3,
    sample_every: int | None = None,
    log_every: int = 10,
    profile: bool = False,
    quiet: bool = False,
) -> Summary:
    """Train from the beginning, into a new folder.

    Args:
        out: the folder; by default ``runs/<recipe>-<data>-<n>`` with the next free number.
        steps: in total; by default ``recipe.epochs`` times through the data.
        backend: "numpy", "cupy", or "auto", which is CuPy if it works here and says so if not; by
            default ``MINIGAN_BACKEND``, or "auto".
        tf32: see :func:`minigan.backends.use_tf32`.
        random: what draws z, weights and masks, see :mod:`minigan.draws`: "numpy" or "philox"; by
            default "numpy" on NumPy.  On CuPy it is always "philox".
        threads: by default those that are set, see :func:`minigan.set_num_threads`.
        checkpoint_every: by default an epoch, but at least 500 steps.
        keep: how many of the last checkpoints are kept, beside the best one.
        sample_every: by default so that there are about 50 sample grids.
        profile: note where the time of the steps goes, see :mod:`minigan.kernels.clock`.

    Raises MiniganError for all that the user can do about: data, disk, divergence.
    """
    backend = backend or backends.default_backend("auto")
    backends.use_backend(backend)
    taken = backends.current_backend()
    backends.use_tf32(tf32)
    random = _draw_by(random, taken)
    if threads is not None:
        parallel.set_num_threads(threads)
    run = Run(next_free(recipe) if out is None else out)
    run.check_free()
    dataset = load_data(recipe, data_dir)
    per_epoch = max(1, Batches(len(dataset), recipe.batch_size, seed).per_epoch // recipe.d_steps)
    steps = recipe.epochs * per_epoch if steps is None else steps
    config = Config(
        recipe=recipe,
        data_checksum=dataset.checksum,
        data_shape=dataset.x.shape[1:],
        data_count=len(dataset),
        classes=label.names(recipe, dataset),
        data_dir=None if data_dir is None else os.path.abspath(data_dir),
        steps=steps,
        seed=seed,
        backend=taken,
        random=random,
        tf32=tf32,
        threads=parallel.get_num_threads(),
        checkpoint_every=checkpoint_every or max(per_epoch, 500),
        keep=keep,
        sample_every=sample_every or max(1, steps // FRAMES),
        log_every=log_every,
    )
    trainer = Trainer(run, config, dataset, profile=profile, quiet=quiet)
    run.create()
    if backend == "auto":
        say(backends.what_auto_took(), quiet)
    with run.locked():
        # The configuration comes last: where there is one, there is a checkpoint to start from.
        trainer.save()
        trainer.draw_samples()
        run.write_config(config)
        return trainer.train()


def resume(
    folder: str | Path,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    data_dir: str | None = None,
    backend: str | None = None,
    tf32: bool | None = None,
    threads: int | None = None,
    profile: bool = False,
    quiet: bool = False,
) -> Summary:
    """Go on from the last loadable checkpoint, up to ``steps`` or ``epochs`` in total.

    The number of threads is the run's too, unless another is given: sums are grouped by thread, so
    only the same number gives the same bits.  So is the backend.  On another one the run goes on
    from the same weights; on NumPy it draws as it did before, on CuPy always by Philox.

    Raises MiniganError if the folder is no run, its data has changed, or no checkpoint is whole.
    """
    run = Run(folder)
    config = run.read_config()
    if epochs is not None:
        steps = epochs * config.steps_per_epoch
    backends.use_backend(backend or config.backend)
    taken = backends.current_backend()
    tf32 = config.tf32 and taken == "cupy" if tf32 is None else tf32
    backends.use_tf32(tf32)
    random = _draw_by("philox" if taken == "cupy" else config.random, taken)
    news = [backends.what_auto_took()] if backend == "auto" else []
    if random != config.random:
        news += [f"from here on {random} draws z and dropout masks, no longer {config.random}"]
    config = dataclasses.replace(
        config,
        steps=config.steps if steps is None else steps,
        data_dir=config.data_dir if data_dir is None else os.path.abspath(data_dir),
        backend=taken,
        random=random,
        tf32=tf32,
        threads=config.threads if threads is None else threads,
    )
    if threads is not None or config.threads != parallel.get_num_threads():
        parallel.set_num_threads(config.threads)
    with run.locked():
        path, last = last_good(run)
        check_same(run, config, last)
        if config.steps < last.step:
            raise MiniganError(
                f"{run.folder} is at step {last.step} already: --steps and --epochs are totals, "
                f"expected more than {last.step} steps, got {config.steps}"
            )
        dataset = load_data(config.recipe, config.data_dir)
        if dataset.checksum != config.data_checksum:
            raise MiniganError(
                f"{config.recipe.data} is not the data that {run.folder} was trained on (its "
                "checksum differs): give the same data with --data-dir, or start a new run"
            )
        trainer = Trainer(run, config, dataset, profile=profile, quiet=quiet)
        trainer.restore(path, last)
        for line in news:
            say(line, quiet)
        run.remove_leftovers()
        if damage := run.cut_log(last.step):
            say(damage)
        run.write_config(config)
        return trainer.train()


def _draw_by(random: str | None, backend: str) -> str:
    """Choose what draws, and return it; by default what the backend has of its own."""
    random = random or ("philox" if backend == "cupy" else "numpy")
    if backend == "cupy" and random != "philox":
        raise MiniganError(
            "NumPy's random numbers are drawn on the CPU, and on cupy they are drawn on the GPU, "
            "by philox: leave --random out"
        )
    backends.use_random(random)
    return random


def load_data(recipe: Recipe, data_dir: str | None) -> Dataset:
    """The recipe's data; points have no image size."""
    size = None if recipe.data in MIXTURES else recipe.image_size
    return data.load(recipe.data, size=size, split=recipe.split, data_dir=data_dir)


def next_free(recipe: Recipe) -> Path:
    """``runs/<recipe>-<data>-<n>`` with the smallest n >= 1 that no run has."""
    source = Path(recipe.data.partition(":")[2] or recipe.data).stem
    n = 1
    while (path := Path("runs", f"{recipe.name}-{source}-{n}")).exists():
        n += 1
    return path


def last_good(run: Run) -> tuple[Path, checkpoints.Checkpoint]:
    """The newest checkpoint that is whole.  Damaged newer ones are renamed, out of the way."""
    damaged = []
    for path in reversed(run.checkpoints().values()):
        try:
            found = checkpoints.read(path)
        except MiniganError as error:
            say(f"{error}; going back to the one before")
            damaged.append(path)
            continue
        for bad in damaged:
            with explained("rename", bad):
                bad.rename(bad.with_name(f"{bad.name}.damaged"))
        return path, found
    raise MiniganError(f"{run.folder} holds no loadable checkpoint: start a new run")


def check_same(run: Run, config: Config, checkpoint: checkpoints.Checkpoint) -> None:
    """MiniganError if config.json is not what the checkpoint was trained with."""
    now, then = config.to_json(), Config.from_json(checkpoint.config).to_json()
    for part in ("recipe", "seed", "data_checksum", "data_shape", "data_count", "classes"):
        if json.dumps(now[part], sort_keys=True) != json.dumps(then[part], sort_keys=True):
            raise MiniganError(
                f"{run.config_path} was changed: its {part} is not that of the checkpoints; "
                "restore it, or start a new run"
            )
