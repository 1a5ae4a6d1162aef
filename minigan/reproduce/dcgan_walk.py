"""Figure 4 of Radford et al. 2016: walks in z, and whether G jumps on the way.

    "Walking on the manifold that is learnt can usually tell us about signs of memorization (if
    there are sharp transitions)"                                                       section 6.1

A walk goes from one random z to another in n equal steps.  The way is an arc (slerp), not the
straight line: for two independent z from N(0, I) each point of the arc is again about N(0, I), so
each frame is a sample like any other; half-way on the line |z| is only 0.7 of what G was trained
with.  Both are measured.

What tells a smooth change from a jump is what happens to the largest step between two frames when
the walk is made twice as fine:

    largest step of n frames, / that of n / 2 frames        1/2 for a smooth change, 1 for a jump

and, along one walk, the largest step beside the mean step (1 at constant speed, n for one jump).
Two ways between the same images stand beside G's: the *memoriser* shows the training image nearest
to each of G's frames, as a G that had learnt them by heart would; the *cross-fade* blends the two
end images, as smooth as can be, but not through digits.  Whether a frame is a digit the classifier
says: it is sure, or not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from minigan import data, plots
from minigan.evaluate import classifier, neighbours
from minigan.evaluate.classifier import Classifier
from minigan.plots import SECTIONS
from minigan.reproduce.dcgan_networks import PAPER, Pair, trained
from minigan.reproduce.drawing import panels, picture
from minigan.reproduce.result import Comparison, Outcome, Picture, Task, mean_and_error

STREAM = 0x3A1C  # of the points of the walks, apart from other streams of the seed
SURE = 0.9  # the classifier's top probability from which a frame counts as a digit
ARC, LINE = "G, arc", "G, straight line"
MEMORISER, FADE = "memoriser", "cross-fade"


@dataclass(frozen=True)
class Plan:
    """How many walks of how many steps (even), and among how many training images the memoriser
    looks; the rows and columns of the figure; the frames of the film."""

    walks: int = 50
    steps: int = 64
    memory: int = 60_000
    rows: int = 9
    columns: int = 12
    frames: int = 60


FULL = Plan()
QUICK = Plan(walks=12, memory=10_000)


# Ways ---------------------------------------------------------------------------------------


def slerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The arc from a to b (Shoemake 1985).  a, b: (..., d), t: (n,) in [0, 1] -> (..., n, d)

    With the angle theta between a and b:  (sin((1-t) theta) a + sin(t theta) b) / sin(theta).

    >>> slerp(np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.0, 0.5, 1.0])).round(3)
    array([[1.   , 0.   ],
           [0.707, 0.707],
           [0.   , 1.   ]])
    """
    cosine = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    theta = np.arccos(np.clip(cosine, -1, 1))[..., None]
    theta = np.maximum(theta, 1e-6)  # of two equal points: the limit
    first, second = (np.sin(part * theta) / np.sin(theta) for part in (1 - t, t))
    return first[..., None] * a[..., None, :] + second[..., None] * b[..., None, :]


def line(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The straight line from a to b.  a, b: (..., d), t: (n,) in [0, 1] -> (..., n, d)"""
    t = t[:, None]
    return (1 - t) * a[..., None, :] + t * b[..., None, :]


def through(pair: Pair, z: np.ndarray) -> np.ndarray:
    """G's frames: z (walks, n, latent) -> (walks, n, C, H, W), pixels in [0, 1]."""
    images = pair.images(z.reshape(-1, z.shape[-1]))
    return images.reshape(*z.shape[:2], *images.shape[1:])


# Measures -----------------------------------------------------------------------------------


def step_sizes(x: np.ndarray) -> np.ndarray:
    """Euclidean distances of successive frames: (walks, n + 1, ...) -> float64 (walks, n)."""
    flat = x.reshape(*x.shape[:2], -1).astype(np.float64)
    return np.linalg.norm(np.diff(flat, axis=1), axis=2)


def largest_over_mean(x: np.ndarray) -> np.ndarray:
    """Of each walk's steps.  (walks, n + 1, ...) -> (walks,); a walk that stands still has 1.

    >>> at = np.array([[0.0, 1, 2, 3, 4], [0.0, 0, 0, 8, 8]])[..., None]
    >>> largest_over_mean(at)  # even, and in one jump
    array([1., 4.])
    """
    sizes = step_sizes(x)
    mean = sizes.mean(axis=1)
    return np.where(mean > 0, sizes.max(axis=1) / np.maximum(mean, 1e-12), 1.0)


def halving(x: np.ndarray) -> np.ndarray:
    """Each walk's largest step, divided by the largest if every second frame is left out.

    (walks, n + 1, ...), n even -> (walks,), between 1/2 and about 1; a walk that stands still
    has 1/2.

    >>> at = np.array([[0.0, 1, 2, 3, 4], [0.0, 0, 0, 8, 8]])[..., None]
    >>> halving(at)
    array([0.5, 1. ])
    """
    fine, coarse = step_sizes(x).max(axis=1), step_sizes(x[:, ::2]).max(axis=1)
    return np.where(coarse > 0, fine / np.maximum(coarse, 1e-12), 0.5)


@dataclass(frozen=True, eq=False)
class Way:
    """One kind of way between the same ends: frames (walks, n + 1, C, H, W) and what the classifier
    says of them."""

    frames: np.ndarray
    features: np.ndarray  # (walks, n + 1, d)
    classes: np.ndarray  # (walks, n + 1)
    sure: np.ndarray  # bool (walks, n + 1)

    @staticmethod
    def of(frames: np.ndarray, judge: Classifier) -> Way:
        shape = frames.shape[:2]
        flat = frames.reshape(-1, *frames.shape[2:])
        p = judge.probabilities(flat)
        return Way(
            frames,
            judge.features(flat).reshape(*shape, -1),
            p.argmax(axis=1).reshape(shape),
            (p.max(axis=1) >= SURE).reshape(shape),
        )

    @property
    def middle_sure(self) -> np.ndarray:
        """The share of sure frames in the middle half of each walk, away from the ends."""
        n = self.sure.shape[1] - 1
        return self.sure[:, n // 4 : n - n // 4 + 1].mean(axis=1)

    def row(self, name: str) -> dict[str, Any]:
        """What the table shows of it, means over the walks."""
        changes = (self.classes[:, 1:] != self.classes[:, :-1]).sum(axis=1)
        return {
            "way": name,
            "pixels: largest / mean step": float(largest_over_mean(self.frames).mean()),
            "pixels: twice as fine": float(halving(self.frames).mean()),
            "features: largest / mean step": float(largest_over_mean(self.features).mean()),
            "features: twice as fine": float(halving(self.features).mean()),
            "changes of class": float(changes.mean()),
            "sure in the middle half, %": 100 * float(self.middle_sure.mean()),
        }


# The reproduction ---------------------------------------------------------------------------


def reproduce(task: Task) -> Outcome:
    """Walk all ways between the same ends, and draw."""
    plan = QUICK if task.quick else FULL
    pair, judge = trained(task, "mnist"), classifier.load()
    done = task.progress(range(4), unit="part")
    next(done)

    rng = np.random.default_rng((task.seed, STREAM))
    latent = pair.recipe.latent_dim
    a, b = rng.standard_normal((2, plan.walks, latent))
    t = np.linspace(0, 1, plan.steps + 1)
    arc = through(pair, slerp(a, b, t))
    memory = data.load("mnist", data_dir=pair.config.data_dir, count=plan.memory).x
    flat = arc.reshape(-1, *arc.shape[2:])
    recalled = memory[neighbours.nearest(flat, memory).indices].reshape(arc.shape)
    next(done)
    ends = (1 - t)[:, None, None, None] * arc[:, :1] + t[:, None, None, None] * arc[:, -1:]
    ways = {
        ARC: Way.of(arc, judge),
        LINE: Way.of(through(pair, line(a, b, t)), judge),
        MEMORISER: Way.of(recalled / np.float32(255), judge),
        FADE: Way.of(np.clip(ends, 0, 1).astype(np.float32), judge),
    }
    samples = judge.probabilities(pair.images(rng.standard_normal((2000, latent)))).max(1) >= SURE
    next(done)
    pictures = draw(pair, plan, ways, rng)
    next(done)
    next(done, None)  # the bar ends
    return Outcome(
        settings={
            **pair.settings(),
            "walks": f"{plan.walks}, each of {plan.steps} steps between two z from N(0, I)",
            "memoriser": f"the nearest of the first {plan.memory:,} training images, in pixels",
            "sure": f"the classifier's top probability is at least {SURE:g}",
        },
        measured={
            "ways": [way.row(name) for name, way in ways.items()],
            "share of sure random samples, %": 100 * float(samples.mean()),
            "mean |z| at the ends": float(np.linalg.norm(a, axis=1).mean()),
            "mean |z| half-way on the line": float(np.linalg.norm((a + b) / 2, axis=1).mean()),
        },
        comparisons=compare(ways, samples),
        pictures=pictures,
        notes=[
            "The paper shows rows of bedrooms and judges by eye; the measures are ours.",
            "A step is the Euclidean distance of two successive frames, of pixels in [0, 1] or of "
            "the classifier's features. Twice as fine: the largest step of all frames, divided by "
            "the largest if every second frame is left out; 1/2 is smooth, 1 a jump. The memoriser "
            "is there to show what the measures say of jumps.",
            "On the arc each frame is a random sample by itself, so the classifier can be no less "
            "sure there than at random samples, but for chance; that is a check of the arc, not of "
            "G. What says something of G is that the frames are digits and still change without a "
            "jump: between two classes it must pass shapes that are neither.",
            "G is a continuous function, and fine enough steps of it are always small. The "
            f"question is whether {plan.steps} steps are fine enough; a memoriser's never are.",
        ],
    )  # fmt: skip


def compare(ways: dict[str, Way], samples: np.ndarray) -> list[Comparison]:
    """What would show memorisation, or a walk through nothing."""
    text, ours = f"{PAPER}, section 6.1: no sharp transitions", "control"
    arc, memoriser, fade = ways[ARC], ways[MEMORISER], ways[FADE]
    smooth, smooth_error = mean_and_error(halving(arc.frames))
    jumps, jumps_error = mean_and_error(halving(memoriser.frames))
    largest, largest_error = mean_and_error(largest_over_mean(arc.frames))
    _, sure_error = mean_and_error(arc.sure.mean(axis=1))  # walks are independent, frames not
    random, random_error = mean_and_error(samples)
    above, above_error = mean_and_error(arc.middle_sure - fade.middle_sure)
    return [
        Comparison(
            what="G, arc: largest step when twice as fine (pixels)",
            measured=smooth, error=smooth_error,
            expected=0.5, source=text, high=0.6,
        ),
        Comparison(
            what="memoriser: the same",
            measured=jumps, error=jumps_error,
            expected=1.0, source=ours, low=0.75,
        ),
        Comparison(
            what="G, arc: largest step / mean step (pixels)",
            measured=largest, error=largest_error,
            expected=1.0, source=text, high=4.0,
        ),
        Comparison(
            what="G, arc: share of sure frames, less that of random samples",
            measured=float(arc.sure.mean()) - random, error=math.hypot(sure_error, random_error),
            expected=0.0, source="each point of the arc is N(0, I)", low=-0.1, high=0.1,
        ),
        Comparison(
            what="share of sure frames in the middle half: G, arc, less cross-fade",
            measured=above, error=above_error,
            expected=None, source=f"{PAPER}, Figure 4: every image plausible", low=0.05,
        ),
    ]  # fmt: skip


# Figures ------------------------------------------------------------------------------------


def draw(pair: Pair, plan: Plan, ways: dict[str, Way], rng: np.random.Generator) -> list[Picture]:
    """The rows of Figure 4, the film, the four ways between two images, and their steps."""
    points = rng.standard_normal((plan.rows, pair.recipe.latent_dim))
    t = np.linspace(0, 1, plan.columns)
    rows = through(pair, slerp(points, np.roll(points, -1, axis=0), t))
    sheet = plots.grid(rows.reshape(-1, *rows.shape[2:]), plan.columns, low=0)

    corners = rng.standard_normal((3, 20, pair.recipe.latent_dim))  # each tile goes around
    t = np.linspace(0, 1, plan.frames // 3, endpoint=False)
    legs = [through(pair, slerp(corners[i], corners[(i + 1) % 3], t)) for i in range(3)]
    loop = np.concatenate(legs, axis=1)  # (tiles, frames, C, H, W)
    film = [plots.grid(loop[:, i], 5, low=0) for i in range(loop.shape[1])]
    return [
        Picture(
            "dcgan-walk.png",
            f"{plan.rows} random z; each row walks on an arc from one to the next, the last back "
            "to the first.",
            sheet,
        ),
        Picture("dcgan-walk.gif", "20 closed walks, each through three random z.", film),
        Picture(
            "dcgan-walk-ways.png",
            "The first four measured walks, each on four ways between the same ends, from above: "
            f"{'; '.join(ways)}.",
            draw_ways(ways, plan),
        ),
        Picture(
            "dcgan-walk-steps.png",
            "The same walks: the size of each step in pixels; below, the digit that the classifier "
            "sees in G's frame (light where it is not sure). The memoriser stands still and jumps.",
            draw_steps(ways),
        ),
    ]


def draw_ways(ways: dict[str, Way], plan: Plan) -> Image.Image:
    """Four blocks of four rows."""
    shown = np.linspace(0, plan.steps, plan.columns).round().astype(int)
    blocks = [
        plots.grid(
            np.concatenate([way.frames[i, shown] for way in ways.values()]), plan.columns, low=0
        )
        for i in range(min(4, plan.walks))
    ]
    width, height = blocks[0].size
    sheet = Image.new("L", (width, len(blocks) * (height + 10) - 10), "white")
    for i, block in enumerate(blocks):
        sheet.paste(block, (0, i * (height + 10)))
    return sheet


def draw_steps(ways: dict[str, Way]) -> Image.Image:
    """A panel for each of the first four walks."""
    figure, axes = panels(11, 6.5, rows=2, columns=2)
    for i, ax in enumerate(axes[: len(ways[ARC].frames)]):
        for (name, way), colour in zip(ways.items(), SECTIONS):
            sizes = step_sizes(way.frames[i : i + 1])[0]
            middles = (np.arange(len(sizes)) + 0.5) / len(sizes)
            style = {"linewidth": 1.0} if name == MEMORISER else {"linewidth": 1.8}
            ax.plot(middles, sizes, color=colour, label=name, **style)
        top = ax.get_ylim()[1]
        ax.set(xlim=(0, 1), ylim=(-0.12 * top, top), xlabel="way", ylabel="size of the step")
        ax.set_title(f"walk {i + 1}", fontsize=11, loc="left")
        _write_classes(ax, ways[ARC].classes[i], ways[ARC].sure[i], -0.06 * top)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return picture(figure)


def _write_classes(ax: Any, classes: np.ndarray, sure: np.ndarray, height: float) -> None:
    """The digits along the way, each where it is seen."""
    n = len(classes) - 1
    for i in range(0, n + 1, 2):
        ax.text(
            i / n, height, str(classes[i]), fontsize=8, ha="center", va="center",
            color="#202020" if sure[i] else "#b8b8b8",
        )  # fmt: skip
