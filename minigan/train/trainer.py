"""The run: plays the game step by step, writes it down, and can stop and go on at any step.

Nothing random is carried from one step to the next: step t restarts the generator from (seed, t),
and batch t is a function of (seed, t).  So N steps, a stop, and M steps are N + M steps bit for
bit; a checkpoint holds weights and moments, and no state of a generator.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan import backends, creation
from minigan.autograd import Tensor
from minigan.backends import array_module
from minigan.data import Batches, Dataset, to_float
from minigan.elbo import Reconstruction
from minigan.errors import MiniganError
from minigan.kernels.clock import Clock, section
from minigan.optim import EMA
from minigan.train import checkpoint as checkpoints
from minigan.train import labels as label
from minigan.train import quality
from minigan.train.autoencode import fit_codes
from minigan.train.capture import player
from minigan.train.progress import ProgressBar, say
from minigan.train.record import Config, Run
from minigan.train.sampling import generate
from minigan.train.setup import (
    build_game,
    d_updates,
    d_updates_before,
    draw_z,
    set_schedules,
)
from minigan.train.signals import stop_on_signals
from minigan.train.step import Record, read

GRID = 64  # images in a sample grid
POINTS = 1000  # points in a picture of points
CODED = 2000  # training images whose codes a plain autoencoder's decoder is fitted to

# Step t >= 1 draws from the seed (seed, t); the third number keeps these streams apart from it.
SAMPLE_STREAM = 0x5A
QUALITY_STREAM = 0xF1
CODES_STREAM = 0xC0


@dataclass(frozen=True)
class Profile:
    """Where the time of the steps went; the first, in which code is compiled, is not counted."""

    steps: int
    seconds: dict[str, float]  # by section, see minigan.kernels.clock


@dataclass(frozen=True)
class Summary:
    """How a run ended."""

    folder: Path
    step: int
    steps: int
    losses: dict[str, float]  # of the last step played; empty if none was
    quality: float
    best_step: int
    best_quality: float
    signal: int | None  # the signal that stopped it, if one did
    profile: Profile | None = None  # if asked for


class Trainer:
    """Networks, optimisers and data of one run, between two of its steps."""

    def __init__(
        self,
        run: Run,
        config: Config,
        dataset: Dataset,
        *,
        profile: bool = False,
        quiet: bool = False,
    ):
        recipe = config.recipe
        self.run, self.config, self.dataset, self.quiet = run, config, dataset, quiet
        self.clock = Clock() if profile else None
        self.step = 0  # how many were played
        self.reads_each_step = backends.current_backend() == "numpy"  # there it costs nothing
        self.batches = Batches(len(dataset), recipe.batch_size, config.seed)

        # What G makes the pictures and the measured samples from.
        self.sample_inputs = self._inputs(SAMPLE_STREAM, GRID if dataset.is_images else POINTS)
        self.quality_inputs = self._inputs(QUALITY_STREAM, quality.SAMPLES)
        self.real_gaussian = quality.of_data(dataset.x)

        backends.manual_seed((config.seed, 0))
        mean = dataset.x.mean(axis=0) / 255 if dataset.is_images else None
        self.game = build_game(
            recipe, config.data_shape, classes=len(config.classes), data_mean=mean
        )
        self.ema = EMA(self.game.G, recipe.ema) if recipe.ema else None
        self.play = player(self.game, say, d_steps=recipe.d_steps)

        self.unread: list[Record] = []  # of the last steps, on the device still
        self.losses: dict[str, float] = {}  # of the last step that was read
        self.seconds_before = 0.0  # spent on this run by earlier processes
        self.began = time.perf_counter()
        self.qualities = {
            step: checkpoints.read_quality(path) for step, path in run.checkpoints().items()
        }

    # The loop -----------------------------------------------------------------------------

    def train(self) -> Summary:
        """Play up to ``config.steps`` or a signal; save and draw at the end in either case."""
        config = self.config
        self.began = time.perf_counter()
        logged_at = self.step, self.began
        # Overflow is looked for in the losses; NumPy's warnings would come before our message.
        with stop_on_signals() as stop, np.errstate(over="ignore", invalid="ignore"):
            with self._progress_bar() as bar:
                while self.step < config.steps and stop.signal is None:
                    with self._watched():
                        self._play()
                    step = self.step
                    is_logged = step % config.log_every == 0 or step == 1
                    if is_logged or self.reads_each_step:
                        self._read()
                        bar.set_postfix_str(_in_short(self.losses), refresh=False)
                    bar.update()
                    if is_logged:
                        logged_at = self._log(logged_at)
                    if step % config.sample_every == 0 or step == config.steps:
                        self.draw_samples()
                    if step % config.checkpoint_every == 0:
                        self.save()
            self._read()
            if self.step not in self.qualities:
                self.save()
            if self.losses:
                self._draw_record()
            profile = self._draw_profile()
        best = min(self.qualities, key=self.qualities.__getitem__)
        return Summary(
            folder=self.run.folder,
            step=self.step,
            steps=config.steps,
            losses=self.losses,
            quality=self.qualities[self.step],
            best_step=best,
            best_quality=self.qualities[best],
            signal=stop.signal,
            profile=profile,
        )

    def _watched(self) -> contextlib.AbstractContextManager[None]:
        """With a clock on, except in the first step of this process."""
        is_first = not self.unread and not self.losses
        return contextlib.nullcontext() if self.clock is None or is_first else self.clock.running()

    def _play(self) -> None:
        """One step of the game: the schedules, k batches, both players, the average."""
        t = self.step  # steps played before this one
        set_schedules(self.game, self.config.recipe, t, self.config.steps_per_epoch)
        first, k = d_updates_before(self.config.recipe, t), d_updates(self.config.recipe, t)
        with section("data"):
            inputs = [[self._batch(first + i) for i in range(k)]]
            if self.config.classes:
                inputs.append([self._labels(first + i) for i in range(k)])
        backends.manual_seed((self.config.seed, t + 1))
        self.unread.append(self.play(*inputs))
        if self.ema:
            self.ema.update()
        self.step = t + 1

    def _read(self) -> None:
        """Bring the losses of all steps since the last reading to the CPU, and look at each.

        Reading waits for a GPU, so it is done where something is written: a line of the log, a
        picture, a checkpoint.  No step is passed over; what is unread is read before a checkpoint.
        """
        numbers = read(self.unread)
        for step, losses in enumerate(numbers, self.step - len(numbers) + 1):
            for name, value in losses.items():
                if not math.isfinite(value):
                    self._diverged(step, _NAMES[name], value)
        self.unread.clear()
        self.losses = numbers[-1] if numbers else self.losses

    def _batch(self, number: int) -> Tensor:
        return self._rows(self.batches.indices(number))

    def _rows(self, indices: np.ndarray) -> Tensor:
        x = self.dataset.x[indices]
        if self.dataset.is_images:
            x = to_float(x, self.config.recipe.pixel_low, self.config.recipe.pixel_high)
        return creation.from_numpy(x)

    def _labels(self, number: int) -> Tensor:
        rows, seed = self.batches.indices(number), self.config.seed
        found = label.of_batch(self.config.recipe, self.dataset, rows, seed, number)
        return label.one_hot(found, len(self.config.classes))

    def _inputs(self, number: int, n: int) -> tuple[Tensor, ...]:
        """What G takes for n samples: noise and, in a conditional run, labels; from a generator of
        their own, so the same every time.

        A grid has a class a row; all else has each label as often as the data.
        """
        recipe, classes = self.config.recipe, self.config.classes
        rng = stream(self.config.seed, number)
        if not classes:
            return (draw_z(recipe, n, rng),)
        if number == SAMPLE_STREAM and self.dataset.is_images:
            shown = list(range(min(len(classes), label.MOST_ROWS)))
            found = label.in_rows(shown, len(shown) * label.COLUMNS)
        else:
            found = label.drawn(recipe, self.dataset, n, rng)
        return draw_z(recipe, len(found), rng), label.one_hot(found, len(classes))

    def _diverged(self, step: int, what: str, value: float) -> None:
        last = max(self.qualities)
        raise MiniganError(
            f"step {step}: {what} is {value}, so training was stopped; the last good "
            f"checkpoint is {self.run.checkpoint_path(last)}; try a smaller lr (--set lr=...), "
            "a larger batch or another recipe"
        )

    def _progress_bar(self) -> ProgressBar:
        return ProgressBar(
            total=self.config.steps,
            initial=self.step,
            unit="step",
            disable=self.quiet,
            dynamic_ncols=True,
            mininterval=0.2 if sys.stderr.isatty() else 10,  # a log file wants few lines
        )

    # The record ---------------------------------------------------------------------------

    def _log(self, logged_at: tuple[int, float]) -> tuple[int, float]:
        """Append an entry about the step just played; returns when that was."""
        now = time.perf_counter()
        steps, seconds = self.step - logged_at[0], now - logged_at[1]
        is_game = self.game.updates != "together"
        of_d, of_g = ("d", "g") if is_game else ("encoder", "decoder")
        norms = {
            f"{of_d}_grad_norm": gradient_norm(self.game.opt_D.params),
            f"{of_g}_grad_norm": gradient_norm(self.game.opt_G.params),
        }
        for name, value in norms.items():
            if not math.isfinite(value):
                self._diverged(self.step, _NAMES[name], value)
        entry = {
            "step": self.step,
            "epoch": round(self.step / self.config.steps_per_epoch, 4),
            **self.losses,
            **norms,
            "steps_per_second": round(steps / seconds, 3),
            "seconds": round(self.seconds(), 3),
        }
        self.run.append_log(entry)
        return self.step, now

    def seconds(self) -> float:
        """Spent on this run so far, by this process and those before."""
        return self.seconds_before + time.perf_counter() - self.began

    def draw_samples(self) -> None:
        """Write the picture of what G makes of the fixed noise now."""
        from minigan import plots

        self._read()
        recipe = self.config.recipe
        samples = self._generate(self.sample_inputs)
        if self.dataset.is_images:
            columns = label.COLUMNS if self.config.classes else None
            picture = plots.grid(samples, columns, recipe.pixel_low, recipe.pixel_high)
        else:
            picture = plots.points(samples, self.dataset.x[:POINTS])
        plots.save(picture, self.run.sample_path(self.step))

    def _draw_record(self) -> None:
        from minigan import plots

        plots.curves(self.run.read_log(), self.run.curves_path)
        plots.training_gif(self.run.samples(), self.run.gif_path)

    def _draw_profile(self) -> Profile | None:
        if self.clock is None:
            return None
        if not self.clock.runs:
            say("nothing to profile: the first step of a process is not counted; play more steps")
            return None
        from minigan import plots

        profile = Profile(steps=self.clock.runs, seconds=self.clock.seconds)
        plots.profile(profile.seconds, profile.steps, self.run.profile_path)
        return profile

    def _generate(self, inputs: tuple[Tensor, ...]) -> np.ndarray:
        if isinstance(self.game.objective, Reconstruction):
            order = stream(self.config.seed, CODES_STREAM).permutation(len(self.dataset))
            fit_codes(self.game, self._rows(order[:CODED]))
        with self.ema.swapped_in() if self.ema else contextlib.nullcontext():
            return generate(self.game.G, *inputs)

    # Checkpoints --------------------------------------------------------------------------

    def _owners(self) -> dict[str, Any]:
        game = self.game
        owners = {"G": game.G, "D": game.D, "opt_G": game.opt_G, "opt_D": game.opt_D}
        return {**owners, "ema": self.ema} if self.ema else owners

    def save(self) -> None:
        """Write a checkpoint, then remove those that are neither among the last nor the best."""
        self._read()
        # Nothing is learnt at step 0: a few samples will do, so that a large G starts at once.
        samples = self._generate(self.quality_inputs if self.step else self.sample_inputs)
        distance = self._distance(samples)
        self.run.sync_log()  # the log reaches the disk before a checkpoint that stands on it
        checkpoints.write(
            self.run.checkpoint_path(self.step),
            checkpoints.Checkpoint(
                step=self.step,
                config=self.config.to_json(),
                arrays=checkpoints.arrays_of(self._owners()),
                quality=distance,
                seconds=self.seconds(),
            ),
        )
        self.qualities[self.step] = distance
        if self.step:
            say(
                f"step {self.step}: saved; {quality.name(self.dataset.is_images)} {distance:.4g}",
                self.quiet,
            )
        self._remove_old()

    def _distance(self, samples: np.ndarray) -> float:
        if not np.isfinite(samples).all():
            self._diverged(self.step, "a sample of G", math.nan)
        recipe = self.config.recipe
        x = quality.features(samples, recipe.pixel_low, recipe.pixel_high)
        return quality.frechet(self.real_gaussian, quality.gaussian(iter([x])))

    def _remove_old(self) -> None:
        best = min(self.qualities, key=self.qualities.__getitem__)
        kept = {best, *sorted(self.qualities)[-self.config.keep :]}
        for step in self.qualities.keys() - kept:
            self.run.remove_checkpoint(step)
            del self.qualities[step]

    def restore(self, path: Path, checkpoint: checkpoints.Checkpoint) -> None:
        """Go on from there."""
        checkpoints.restore(path, checkpoint, self._owners())
        self.step = checkpoint.step
        self.seconds_before = checkpoint.seconds


_NAMES = {
    "d_loss": "D's loss",
    "g_loss": "G's loss",
    "d_real": "mean D(x)",
    "d_fake": "mean D(G(z))",
    "penalty": "the penalty on D's gradient",
    "d_grad_norm": "the norm of D's gradient",
    "g_grad_norm": "the norm of G's gradient",
    "loss": "the loss",
    "reconstruction": "the loss of reconstruction",
    "kl": "the divergence of the codes from N(0, I)",
    "encoder_grad_norm": "the norm of the encoder's gradient",
    "decoder_grad_norm": "the norm of the decoder's gradient",
}


def _in_short(losses: dict[str, float]) -> str:
    if "loss" in losses:
        return ", ".join(f"{name} {value:.2f}" for name, value in losses.items())
    return (
        f"D {losses['d_loss']:.3f}, G {losses['g_loss']:.3f}, "
        f"D(x) {losses['d_real']:.2f}, D(G(z)) {losses['d_fake']:.2f}"
    )


def stream(seed: int, number: int) -> np.random.Generator:
    """A generator apart from those of all steps."""
    return np.random.default_rng((seed, 0, number))


def gradient_norm(params: list[Tensor]) -> float:
    """The length of the gradient of all parameters together."""
    total = 0.0
    for p in params:
        if p.grad is not None:
            g = p.grad.array.ravel()
            total = total + array_module(g).dot(g, g)
    return math.sqrt(float(total))
