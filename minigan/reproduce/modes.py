"""Mode collapse, counted: PacGAN's Table 1, the row of the plain GAN (Lin et al. 2018).

The data have known modes: a ring of 8 and a grid of 25 narrow Gaussians.  Two numbers are taken of
2,500 samples: how many modes have at least one sample within 3 sigma (they are *captured*), and
what share of the samples lies that near to a mode (those of *high quality*).  A generator can put
nearly all of its samples into the right places and still leave out a quarter of them.

Both numbers belong to the networks as much as to the game: VEEGAN's table (Srivastava et al. 2017)
gives the plain GAN 1 mode of the ring, PacGAN's, with other networks, 6.3.  Here they are PacGAN's.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan import data, plots, recipes
from minigan.errors import MiniganError
from minigan.evaluate.modes import SAMPLES, ModesResult, toy_modes
from minigan.files import explained, write_atomically
from minigan.reproduce.drawing import panels, picture
from minigan.reproduce.result import Comparison, Outcome, Picture, Task, counted, mean_and_error
from minigan.reproduce.samples import drawn
from minigan.reproduce.training import Training, train_all
from minigan.train.record import Run

MIXTURES = {"ring8": 8, "grid25": 25}  # and how many modes they have
STEPS_PER_EPOCH = 1000  # 100,000 points, 100 a batch
PACGAN_EPOCHS = 400
REPORTED = (1, 2, 5, 10, 20, 50, 100, 200, 400)  # epochs after which there is a row

# Modes and % of high quality, of ring8 and of grid25; PacGAN's with the standard error of ten runs.
VEEGAN, PACGAN = "Srivastava et al. 2017, Table 1", "Lin et al. 2018, Table 1"
PUBLISHED = [
    ("GAN", VEEGAN, "1", "99.3", "3.3", "0.5"),
    ("Unrolled GAN", VEEGAN, "7.6", "35.6", "23.6", "16"),
    ("VEEGAN", VEEGAN, "8", "52.9", "24.6", "40"),
    ("GAN", PACGAN, "6.3 ± 0.5", "98.2 ± 0.2", "17.3 ± 0.8", "94.8 ± 0.7"),
    ("PacGAN2", PACGAN, "7.9 ± 0.1", "95.6 ± 2.0", "23.8 ± 0.7", "91.3 ± 0.8"),
    ("PacGAN4", PACGAN, "7.8 ± 0.1", "95.9 ± 1.4", "24.8 ± 0.2", "93.6 ± 0.6"),
]
# Of PacGAN's plain GAN: the value, and the range in which the mean of five seeds must lie.  With s
# the published standard error of ten runs, a mean of five has s sqrt(2), the difference of the two
# s sqrt(3), and twice that, 3.5 s, is accepted; but on the ring at least one run has to miss a
# mode, so the mean is at most 7.8.
EXPECTED = {
    ("ring8", "modes"): (6.3, 4.6, 7.8),
    ("ring8", "high quality, %"): (98.2, 97.5, 98.9),
    ("grid25", "modes"): (17.3, 14.5, 20.1),
    ("grid25", "high quality, %"): (94.8, 92.4, 97.2),
}


@dataclass(frozen=True)
class Plan:
    """Seeds of each mixture, and epochs of each run."""

    seeds: int
    epochs: int


# Runs of one plan are beginnings of another's: modes_long goes on with the same ones.
FULL = Plan(seeds=5, epochs=50)
QUICK = Plan(seeds=1, epochs=1)


def looks(steps: int) -> list[int]:
    """The steps after which the samples are looked at: more often at first, where more happens.

    >>> looks(2500)
    [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1250, 1500, 1750, 2000, 2250, 2500]
    """
    all_of_them = [
        *range(100, 1000, 100), *range(1000, 3000, 250), *range(3000, 10_000, 500),
        *range(10_000, steps, 1000),
    ]  # fmt: skip
    return [*(step for step in all_of_them if step < steps), steps]


def wanted(mixture: str, seed: int, steps: int) -> Training:
    """The training of PacGAN's networks on that mixture."""
    recipe = recipes.override(recipes.get("gan-toy"), {"data": mixture})
    return Training(f"gan-toy-{mixture}-seed{seed}", recipe, seed, steps)


# While it trains -----------------------------------------------------------------------------


def follow(run: Run) -> None:
    """Write the points that G makes now of 2,500 z, always the same, beside the checkpoint."""
    step, path = max(run.checkpoints().items())
    content = io.BytesIO()
    np.save(content, drawn(path, SAMPLES))
    kept = points_path(run, step)
    with explained("make", kept.parent):
        kept.parent.mkdir(exist_ok=True)
    write_atomically(kept, content.getvalue())


def points_path(run: Run, step: int) -> Path:
    """Where the points of that step are or will be."""
    return run.folder / "points" / f"step-{step:06d}.npy"


# When it is trained --------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """One run: its points (2,500, 2) after each step at which it was looked at, and its time."""

    mixture: str
    seed: int
    points: dict[int, np.ndarray]
    hours: float

    @functools.cached_property
    def counts(self) -> dict[int, ModesResult]:
        """Modes and high quality, by step."""
        return {step: toy_modes(points, self.mixture) for step, points in self.points.items()}

    @property
    def end(self) -> ModesResult:
        """After the last step."""
        return self.counts[max(self.points)]


def read_story(run: Run, at: list[int]) -> Story:
    """What ``follow`` wrote after these steps.

    Raises MiniganError if a file is missing or damaged.
    """
    config = run.read_config()
    points = {}
    for step in at:
        path = points_path(run, step)
        try:
            points[step] = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            reason = " ".join(str(error).split())
            raise MiniganError(
                f"cannot read {path}: {reason}; remove {run.folder}, and it is trained again"
            ) from None
    spent = [entry["seconds"] for entry in run.read_log() if entry["step"] <= at[-1]]
    return Story(config.recipe.data, config.seed, points, spent[-1] / 3600)


def reproduce(task: Task) -> Outcome:
    """Train from several seeds, count, and film."""
    return study(task, QUICK if task.quick else FULL)


def study(task: Task, plan: Plan) -> Outcome:
    """The reproduction, with runs of that length."""
    steps = plan.epochs * STEPS_PER_EPOCH
    seeds = range(task.seed, task.seed + plan.seeds)
    runs = train_all(
        task,
        [wanted(mixture, seed, steps) for seed in seeds for mixture in MIXTURES],
        every=looks(steps),
        after=follow,
    )
    stories = [read_story(run, looks(steps)) for run in runs]
    real = {mixture: real_points(mixture) for mixture in MIXTURES}
    return Outcome(
        settings={
            "networks and optimiser": recipes.get("gan-toy").source,
            "trained": f"{counted(plan.epochs, 'epoch')} of "
            f"{STEPS_PER_EPOCH} steps (PacGAN: {PACGAN_EPOCHS}), each mixture from "
            f"{counted(plan.seeds, 'seed')} (PacGAN: 10)",
            "counted": f"{SAMPLES} samples, within 3 sigma of a mode",
        },
        measured={
            "runs": [row(story) for story in stories],
            "while it trains": means(stories),
            "published": [published_row(*values) for values in PUBLISHED],
            "curves": curves(stories),
        },
        comparisons=compare(stories, real),
        pictures=[
            Picture(
                "modes-samples.png",
                "The samples of every run at its end (red) on the data (grey): modes captured, and "
                "the share of the samples within 3 sigma of a mode.",
                draw_samples(stories, real),
            ),
            Picture(
                "modes-time.png",
                "Modes captured and samples of high quality while the networks learn.",
                draw_curves(stories),
            ),
            *(
                Picture(
                    f"modes-{mixture}.gif",
                    f"{mixture}, seed {story.seed}, the run with the fewest modes at its end; the "
                    "time between two pictures grows.",
                    film(story, real[mixture]),
                )
                for mixture, story in [(name, fewest(stories, name)) for name in MIXTURES]
            ),
        ],
        notes=[
            f"PacGAN trains {PACGAN_EPOCHS} epochs and these runs {plan.epochs}: what is compared "
            "is an early part of the same training with its end. `minigan reproduce modes-long` "
            f"goes on with these very runs to {PACGAN_EPOCHS} epochs: more than a day of one core.",
            "The plain GAN's 1 mode of the ring in VEEGAN's table and 6.3 in PacGAN's are of "
            "other networks: rows of different papers do not compare methods.",
            "The range accepted for the mean of the seeds is two standard errors of its "
            "difference from the published mean of ten runs, from the published standard error; "
            "on the ring at most 7.8 is accepted, so that a mode has to be missing somewhere.",
            "Samples are made as in the released code, with batch normalisation by running "
            "averages and the same z every time. All runs have the same 100,000 points; the "
            "released code draws new ones for each.",
            "One sample of 2,500 captures a mode, and early in the training, when the samples are "
            "spread over the plane, by chance: the number of modes says something only together "
            "with the share of high quality.",
        ],
    )


def real_points(mixture: str) -> np.ndarray:
    """2,500 points of the data that no network has seen, with other noise for each mixture."""
    return data.load(mixture, split="test", count=SAMPLES, seed=MIXTURES[mixture]).x


def row(story: Story) -> dict[str, Any]:
    """A run at its end."""
    return {
        "data": story.mixture,
        "seed": story.seed,
        "modes": story.end.captured,
        "of": story.end.modes,
        "high quality, %": 100 * story.end.high_quality,
        "standard error": 100 * story.end.se,
        "samples": story.end.samples,
        "hours": round(story.hours, 3),
    }


def over_seeds(stories: list[Story], mixture: str, step: int) -> dict[str, tuple]:
    """Mean and standard error of both numbers of all runs on that mixture."""
    counts = [story.counts[step] for story in stories if story.mixture == mixture]
    return {
        "modes": mean_and_error([count.captured for count in counts]),
        "high quality, %": mean_and_error([100 * count.high_quality for count in counts]),
    }


def means(stories: list[Story]) -> list[dict[str, Any]]:
    """Both numbers after 1, 2, 5, 10, ... epochs."""
    rows = []
    for mixture in MIXTURES:
        for epochs in REPORTED:
            if epochs * STEPS_PER_EPOCH not in stories[0].points:
                continue
            found = over_seeds(stories, mixture, epochs * STEPS_PER_EPOCH)
            (modes, modes_error), (quality, quality_error) = found.values()
            rows.append({
                "data": mixture, "epochs": epochs,
                "modes": modes, "± modes": modes_error,
                "high quality, %": quality, "± high quality, %": quality_error,
            })  # fmt: skip
    return rows


def published_row(what: str, source: str, *numbers: str) -> dict[str, str]:
    """A row of a paper's table."""
    names = ("ring8 modes", "ring8 high quality, %", "grid25 modes", "grid25 high quality, %")
    return {"model": what, **dict(zip(names, numbers)), "by": source}


def fewest(stories: list[Story], mixture: str) -> Story:
    """The run on that mixture with the fewest modes at its end: where collapse is best seen."""
    return min(
        (story for story in stories if story.mixture == mixture), key=lambda s: s.end.captured
    )


def curves(stories: list[Story]) -> dict[str, list]:
    """Both numbers of every run against the step."""
    found: dict[str, list] = {"step": list(stories[0].points)}
    for story in stories:
        name = f"{story.mixture}, seed {story.seed}"
        counts = story.counts.values()
        found[f"modes, {name}"] = [count.captured for count in counts]
        found[f"high quality, {name}"] = [count.high_quality for count in counts]
    return found


def compare(stories: list[Story], real: dict[str, np.ndarray]) -> list[Comparison]:
    """The plain GAN's row of PacGAN's table, and real points, by the same count."""
    comparisons = []
    for (mixture, what), (expected, low, high) in EXPECTED.items():
        mean, error = over_seeds(stories, mixture, max(stories[0].points))[what]
        seeds = sum(story.mixture == mixture for story in stories)
        comparisons.append(
            Comparison(
                what=f"{mixture}: {what}, mean of {counted(seeds, 'seed')}",
                measured=mean, error=error, expected=expected, source=PACGAN, low=low, high=high,
            )
        )  # fmt: skip
    for mixture, modes in MIXTURES.items():  # to show what can be reached: they are not judged
        count = toy_modes(real[mixture], mixture)
        comparisons += [
            Comparison(
                what=f"{mixture}: modes of real points", measured=count.captured,
                expected=modes, source="the data",
            ),
            Comparison(
                what=f"{mixture}: high quality of real points, %",
                measured=100 * count.high_quality, error=100 * count.se,
                expected=100 * count.ceiling, source="1 - exp(-9/2)",
            ),
        ]  # fmt: skip
    return comparisons


# Figures ------------------------------------------------------------------------------------

DATA, SAMPLE, MEAN = "#aab0b6", "#d1495b", "#2166ac"


def draw_samples(stories: list[Story], real: dict[str, np.ndarray]) -> Image.Image:
    """A row of panels for each mixture, a column for each seed."""
    columns = len(stories) // len(MIXTURES)
    figure, axes = panels(2.3 * max(columns, 2), 5.2, rows=len(MIXTURES), columns=columns)
    ordered = [story for mixture in MIXTURES for story in stories if story.mixture == mixture]
    for ax, story in zip(axes, ordered):
        half = 1.35 * float(abs(real[story.mixture]).max())
        dots = {"linestyle": "", "marker": "o", "markeredgewidth": 0}
        ax.plot(*real[story.mixture].T, color=DATA, alpha=0.3, markersize=5, **dots)
        points = story.points[max(story.points)]
        ax.plot(*points.T, color=SAMPLE, alpha=0.5, markersize=1.6, **dots)
        ax.set(xlim=(-half, half), ylim=(-half, half), aspect="equal", xticks=[], yticks=[])
        end = story.end
        ax.set_title(
            f"{story.mixture}, seed {story.seed}\n{end.captured} of {end.modes} modes, "
            f"{end.high_quality:.0%} near one", fontsize=9,
        )  # fmt: skip
    return picture(figure)


def draw_curves(stories: list[Story]) -> Image.Image:
    """Modes above, high quality below; a column for each mixture."""
    figure, axes = panels(9, 5.8, rows=2, columns=len(MIXTURES))
    epochs = np.array(list(stories[0].points)) / STEPS_PER_EPOCH
    for column, (mixture, modes) in enumerate(MIXTURES.items()):
        chosen = [story for story in stories if story.mixture == mixture]
        counts = [list(story.counts.values()) for story in chosen]
        captured = np.array([[count.captured for count in run] for run in counts])
        quality = np.array([[100 * count.high_quality for count in run] for run in counts])
        for ax, values, what, top in [
            (axes[column], captured, "modes", modes),
            (axes[len(MIXTURES) + column], quality, "high quality, %", 100),
        ]:
            one, *_ = ax.plot(epochs, values.T, color=SAMPLE, linewidth=0.8, alpha=0.5)
            (mean,) = ax.plot(epochs, values.mean(axis=0), color=MEAN, linewidth=2)
            height = EXPECTED[mixture, what][0]
            published = ax.axhline(height, color="#555555", linestyle=":", linewidth=1.4)
            ax.set(xscale="log", xlim=(epochs[0], epochs[-1]), ylim=(0, 1.05 * top), ylabel=what)
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_formatter("")
        axes[column].set_title(f"{mixture}, {modes} modes", fontsize=11)
        axes[len(MIXTURES) + column].set_xlabel("epoch")
    figure.legend(
        [one, mean, published],
        ["a run", f"mean of {counted(len(chosen), 'run')}",
         f"PacGAN's plain GAN after {PACGAN_EPOCHS} epochs"],
        loc="outside upper center", ncols=3, frameon=False,
    )  # fmt: skip
    return picture(figure)


def film(story: Story, real: np.ndarray) -> list[Image.Image]:
    """The samples after each step at which they were looked at; a long run's are thinned out."""
    steps = list(story.points)
    chosen = np.unique(np.linspace(0, len(steps) - 1, plots.FRAMES).round().astype(int))
    frames = []
    for step in (steps[i] for i in chosen):
        count = story.counts[step]
        frames.append(
            plots.captioned(
                plots.points(story.points[step], real[:1000]),
                f"step {step:,}: {count.captured} of {count.modes} modes, "
                f"{count.high_quality:.0%} of high quality",
            )
        )
    return frames
