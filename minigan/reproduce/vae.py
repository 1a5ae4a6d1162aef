"""The variational autoencoder of Kingma & Welling 2014 on MNIST, beside a plain one and a GAN.

Four trainings of one pair of networks, which differ in the code and in the loss (minigan.elbo):

    vae          20 numbers in a code
    vae, plane   2, to look at: Figure 4 of the paper
    vae, binary  20, on images that are made black and white anew at every step
    ae           20, without noise and without the KL term

What is measured on images that none of them has seen:

* the ELBO with its two terms, while they learn.
* log p(x) by importance sampling, L_k of Burda et al. 2016, eq. 8.  It is about black and white
  images, so it is that of ``vae, binary``; the published numbers are of the same kind of images.
* samples, from z ~ N(0, I): the VAE's codes were made to lie there.  A plain autoencoder's were
  not; a Gaussian that is fitted to them helps (Ghosh et al. 2020).  If ``collapse`` has trained a
  GAN in the same folder of runs, its samples stand beside them.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from PIL import Image

from minigan import backends, data, elbo, plots, recipes
from minigan.autograd import no_grad
from minigan.creation import from_numpy
from minigan.data import Dataset, to_float
from minigan.errors import MiniganError
from minigan.evaluate import classifier, features, importance, precision_recall
from minigan.evaluate.report import shuffled
from minigan.files import write_atomically
from minigan.reproduce.by_step import read_by_step
from minigan.reproduce.collapse import COLOURS
from minigan.reproduce.drawing import panels, picture
from minigan.reproduce.result import Comparison, Outcome, Picture, Task
from minigan.reproduce.samples import drawn
from minigan.reproduce.training import Training, train_all
from minigan.train.record import Run
from minigan.train.sampling import generate, load_autoencoder
from minigan.train.setup import draw_z

EPOCH = 468  # steps: 60,000 images, 128 a batch
RECORD = "elbo.json"  # in the folder of a run
BATCH = 1000  # images at a time
LATENT = 20  # numbers in a code, except in the plane
NOISE = 0x5EED  # of the seed of the samples' z
COLUMNS, SIDE = 16, 20  # of the pictures of reconstructions and of the plane
PUBLISHED = -86.76  # nats: Burda et al. 2016, Table 1
FAR = 10.0  # nats: farther below is another result; written before the number was known


@dataclass(frozen=True)
class Plan:
    """The steps at which the loss on test images is noted, the last being the end; codes an image
    and images for L_k; samples."""

    steps: tuple[int, ...]
    codes: int
    images: int
    samples: int


EPOCHS = (1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 35, 40, 45, 50)
FULL = Plan(tuple(EPOCH * n for n in EPOCHS), codes=5000, images=10_000, samples=10_000)
QUICK = Plan((50, 100, 200, 300), codes=50, images=500, samples=1000)

# name: recipe, what is changed in it
TRAININGS: dict[str, tuple[str, dict[str, Any]]] = {
    "vae": ("vae", {}),
    "vae, plane": ("vae", {"latent_dim": 2}),
    "vae, binary": ("vae", {"objective": "elbo-binary"}),
    "ae": ("ae", {}),
}


def wanted(name: str, seed: int, plan: Plan) -> Training:
    """One of the four trainings, on MNIST."""
    base, changes = TRAININGS[name]
    recipe = recipes.override(recipes.get(base), changes)
    folder = f"{name.replace(', ', '-')}-mnist-seed{seed}"
    return Training(folder, recipe, seed, plan.steps[-1])


# While they train ---------------------------------------------------------------------------


def note_loss(run: Run, data_dir: str | None) -> None:
    """Note the loss on the test images, with its terms, in the run's ``elbo.json``, by step.

    Called twice after the same step, it writes the same again.
    """
    step, path = max(run.checkpoints().items())
    test = data.load("mnist", split="test", data_dir=data_dir)
    known = {**read_record(run), step: loss_on(path, test.x)}
    text = json.dumps({str(key): known[key] for key in sorted(known)})
    write_atomically(run.folder / RECORD, f"{text}\n".encode())


def loss_on(path: Path, images: np.ndarray) -> dict[str, float]:
    """What the checkpoint's own objective says of images (N, 1, 28, 28), a code for each.

    The noise and the binarised images are always the same.
    """
    decoder, encoder, config, _ = load_autoencoder(path)
    objective = elbo.build(config.recipe.objective)
    total: dict[str, float] = {}
    backends.manual_seed((config.seed, 0))
    with no_grad():
        for start in range(0, len(images), BATCH):
            x = from_numpy(to_float(images[start : start + BATCH], 0, 1))
            parts = objective(decoder, encoder, x, draw_z(config.recipe, len(x)))
            for name, part in parts.items():
                total[name] = total.get(name, 0.0) + part.item() * len(x) / len(images)
    return total


def read_record(run: Run) -> dict[int, dict[str, float]]:
    """What ``note_loss`` wrote; MiniganError, one line, if the file is damaged."""
    return read_by_step(
        run.folder / RECORD, lambda entry: isinstance(entry["reconstruction"], float), "losses"
    )


def history(run: Run, plan: Plan) -> dict[str, list[float]]:
    """The loss on test images at each step of the plan, by term; MiniganError if one is missing."""
    found = read_record(run)
    missing = [step for step in plan.steps if step not in found]
    if missing:
        raise MiniganError(
            f"{run.folder / RECORD} has nothing about step {missing[0]}: remove {run.folder}, or "
            "name another folder with --runs"
        )
    return {name: [found[step][name] for step in plan.steps] for name in found[plan.steps[-1]]}


# When they are trained ----------------------------------------------------------------------


class Trained:
    """One of the four, by its last checkpoint; images are float32 (N, 1, 28, 28) in [0, 1]."""

    def __init__(self, run: Run):
        _, path = max(run.checkpoints().items())
        self.decoder, self.encoder, self.config, _ = load_autoencoder(path)
        self.is_vae = self.config.recipe.model == "vae"

    def codes(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each image's code, twice (N, latent); of a plain
        autoencoder the code itself, and 0."""
        with no_grad():
            found = self.encoder(from_numpy(images))
        if not self.is_vae:
            return found.numpy(), np.zeros(found.shape, np.float32)
        mean, log_variance = elbo.halves(found)
        return mean.numpy(), np.exp(0.5 * log_variance.numpy())

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The images of codes (N, latent)."""
        with no_grad():
            logits = self.decoder.logits(from_numpy(codes.astype(np.float32)))
        return logits.sigmoid().numpy()

    def model(self) -> importance.LatentModel:
        """The density."""
        return importance.of_networks(self.decoder, self.encoder)


def reproduce(task: Task) -> Outcome:
    """Train all four, measure on the test images, and judge by the rule."""
    plan = QUICK if task.quick else FULL
    train, test = (data.load("mnist", split=split, data_dir=task.data_dir)
                   for split in ("train", "test"))  # fmt: skip
    trainings = [wanted(name, task.seed, plan) for name in TRAININGS]
    runs = train_all(
        task,
        trainings,
        every=plan.steps,
        after=functools.partial(note_loss, data_dir=task.data_dir),
    )
    histories = {name: history(run, plan) for name, run in zip(TRAININGS, runs)}
    trained = {name: Trained(run) for name, run in zip(TRAININGS, runs)}
    images = to_float(test.x, 0, 1)
    samples = draw_samples(task, trained, plan)
    rows = look_at_samples(samples, train, test)
    x = importance.binarised(shuffled(test.x)[: plan.images], task.seed)
    progress = functools.partial(task.progress, unit="block")
    found = {
        name: importance.likelihood(trained[name].model(), x, k, progress=progress)
        for name, k in (("vae, binary", plan.codes), ("vae", max(2, plan.codes // 10)))
    }
    black = importance.binarised(test.x, task.seed).reshape(images.shape)
    codes = [
        {"training": name, **spread(t, black if name == "vae, binary" else images)}
        for name, t in trained.items()
    ]
    epochs = [step / EPOCH for step in plan.steps]
    return Outcome(
        settings={
            "networks": "784 - 400 - code - 400 - 784, ReLU; see the recipes vae and ae",
            "epochs": epochs[-1],
            "batch": trainings[0].recipe.batch_size,
            "codes an image": plan.codes,
            "binarised test images": plan.images,
            "samples": plan.samples,
        },
        measured={
            "log-likelihood of binarised test images": [
                {"training": name, "L_k, nats": one.mean, "standard error": one.se,
                 "k": one.codes, "ELBO, nats": one.elbo, "images": one.images}
                for name, one in found.items()
            ],
            "loss on the test images, nats an image": [
                {"training": name, "all": float(sum(terms[-1] for terms in h.values())),
                 "reconstruction": h["reconstruction"][-1], "KL": h.get("kl", [None])[-1]}
                for name, h in histories.items()
            ],
            "codes of the test images": codes,
            "samples, as the classifier sees them": rows,
            "curves": {
                "epoch": epochs,
                **{f"{name}, {term}": values for name, h in histories.items()
                   for term, values in h.items()},
            },
        },
        comparisons=compare(found["vae, binary"], histories, rows, codes),
        pictures=[
            Picture(
                "vae-elbo.png",
                "The loss on the 10,000 test images over the epochs. Left, all three on grey "
                "images; right, the two terms of the VAE with 20 numbers.",
                draw_losses(epochs, histories),
            ),
            Picture(
                "vae-reconstructions.png",
                "Test images, not picked, and what comes back from their codes; a VAE's code is "
                "the mean of q(z|x).",
                draw_reconstructions(images[:COLUMNS], trained),
            ),
            Picture(
                "vae-plane.png",
                f"The plane of codes: decoded z on a grid of {SIDE} x {SIDE} whose coordinates are "
                "the quantiles of N(0, 1), as in Kingma & Welling 2014, Figure 4.",
                plots.grid(trained["vae, plane"].decode(quantiles(SIDE)), SIDE, 0, 1, 1, 0),
            ),
            Picture(
                "vae-codes.png",
                "The same plane: the mean of q(z|x) of each test image, by its class. Nobody has "
                "told the network of classes.",
                draw_codes(trained["vae, plane"].codes(images)[0], test.labels),
            ),
            Picture(
                "vae-samples.png",
                "Samples, not picked. The dark panel: codes of the plain autoencoder do not lie as "
                "N(0, I), and from such z it draws little.",
                draw_sheets(samples),
            ),
        ],
        notes=[
            "The published networks differ: two hidden layers of 200 tanh units, 50 numbers in a "
            "code, and 3,280 epochs with a falling learning rate. Here: one hidden layer, 20 "
            f"numbers, {epochs[-1]:.3g} epochs.",
            "Burda et al. binarise as is done here, each pixel at random by its grey value; "
            "numbers for a fixed binarisation of MNIST, or for grey images, are of other data.",
            "On grey images the cross-entropy is no log-likelihood: it has no normalising "
            "constant there. It is what the usual small VAE is trained with.",
            "L_k is a lower bound on average; its standard error is over the images, not over "
            "trainings: there is one of each.",
            "What is published may be missed by more nats below than above: these networks are "
            "smaller and trained for less.",
            "The row gan, if there is one, is of the last checkpoint of the run that collapse "
            "trains from the same seed.",
            "The distance is the Fréchet distance in the features of the project's classifier; it "
            "is not FID.",
        ],
    )  # fmt: skip


def draw_samples(task: Task, trained: dict[str, Trained], plan: Plan) -> dict[str, np.ndarray]:
    """Images (n, 1, 28, 28) in [0, 1] by where they come from; all of the same z."""
    found = {}
    z = np.random.default_rng((task.seed, NOISE)).standard_normal((plan.samples, LATENT))
    z = z.astype(np.float32)
    for name in ("vae", "vae, binary", "ae"):
        found[name] = generate(trained[name].decoder, from_numpy(z))
    found["ae, not fitted"] = trained["ae"].decode(z)
    found = {name: found[name] for name in ("vae", "vae, binary", "ae, not fitted", "ae")}
    checkpoints = Run(task.runs / f"gan-mnist-seed{task.seed}").checkpoints()
    if checkpoints:
        found["gan"] = drawn(max(checkpoints.items())[1], plan.samples, (task.seed, NOISE))
    return found


def look_at_samples(
    samples: dict[str, np.ndarray], train: Dataset, test: Dataset
) -> list[dict[str, Any]]:
    """A row for each source: classes, precision and recall, distance with its floor."""
    eye = classifier.load()
    real, unseen = (eye.features(shuffled(split.x)) for split in (train, test))
    rows = []
    for name, images in samples.items():
        seen = eye.features(images)
        histogram = features.class_histogram(eye.probabilities(images))
        n = min(len(seen), len(real))
        near = precision_recall.precision_recall(real[:n], seen[:n])
        far = features.classifier_distance(real, seen, unseen)
        rows.append({
            "from": name, "distance": far.value, "standard error": far.se,
            "floor of real images": far.floor, "precision": near.precision, "recall": near.recall,
            "entropy of classes, nats": histogram.entropy, "unsure": histogram.unsure,
        })  # fmt: skip
    return rows


def spread(trained: Trained, images: np.ndarray) -> dict[str, Any]:
    """How the codes of images lie, those of all together: N(0, I) is what samples are drawn from.

    A dimension is active if its mean moves with the image: Var_x E_q z > 0.01 (Burda et al. 2016,
    section 5.2).
    """
    mean, sigma = (a.astype(np.float64) for a in trained.codes(images))
    variance = mean.var(axis=0) + (sigma * sigma).mean(axis=0)
    return {
        "dimensions": mean.shape[1],
        "active": int((mean.var(axis=0) > 0.01).sum()),
        "largest |mean|": float(np.abs(mean.mean(axis=0)).max()),
        "variance, smallest": float(variance.min()),
        "variance, mean": float(variance.mean()),
        "variance, largest": float(variance.max()),
    }


def compare(
    found: importance.Likelihood,
    histories: dict[str, dict[str, list[float]]],
    rows: list[dict[str, Any]],
    codes: list[dict[str, Any]],
) -> list[Comparison]:
    """The likelihood, and what the two terms of the ELBO are for."""
    by_name = {row["from"]: row for row in rows}
    vae, plain = by_name["vae"], by_name["ae, not fitted"]
    spreads = {row["training"]: row for row in codes}
    back = {name: histories[name]["reconstruction"][-1] for name in ("vae", "ae")}
    return [
        Comparison(
            what=f"log p(x) of binarised test images, L_k with k = {found.codes}, nats",
            measured=found.mean, error=found.se, expected=PUBLISHED,
            source="Burda et al. 2016, Table 1: VAE, one stochastic layer, k = 1 in training",
            low=PUBLISHED - FAR, high=PUBLISHED + FAR / 2,
        ),
        Comparison(
            what="the same less the ELBO, nats", measured=found.mean - found.elbo, expected=None,
            source="Burda et al. 2016, Theorem 1", low=0.0,
        ),
        Comparison(
            what="variance of the VAE's codes, mean of the dimensions",
            measured=spreads["vae"]["variance, mean"], expected=1.0, source="p(z) = N(0, I)",
            low=0.8, high=1.2,
        ),
        Comparison(
            what="reconstruction of test images, the plain autoencoder less the VAE, nats",
            measured=back["ae"] - back["vae"], expected=None,
            source="the noise and the KL term cost detail", high=0.0,
        ),
        Comparison(
            what="distance of samples, z ~ N(0, I): the VAE less the plain autoencoder",
            measured=vae["distance"] - plain["distance"],
            error=math.hypot(vae["standard error"], plain["standard error"]), expected=None,
            source="only the VAE's codes lie as p(z)", high=0.0,
        ),
    ]  # fmt: skip


def quantiles(n: int) -> np.ndarray:
    """The plane N(0, I) in steps of equal probability: z (n * n, 2), the rows from the top down.

    >>> quantiles(2).round(3).tolist()
    [[-0.674, 0.674], [0.674, 0.674], [-0.674, -0.674], [0.674, -0.674]]
    """
    along = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])
    x, y = np.meshgrid(along, along[::-1])
    return np.stack([x.ravel(), y.ravel()], axis=1)


# Figures ------------------------------------------------------------------------------------


def draw_losses(epochs: list[float], histories: dict[str, dict[str, list[float]]]) -> Image.Image:
    """All losses on grey images; the VAE's terms."""
    figure, (left, right) = panels(11, 4.2, columns=2)
    for name, colour in zip(("vae, plane", "vae", "ae"), ("#edae49", "#2166ac", "#777777")):
        loss = np.sum(list(histories[name].values()), axis=0)
        left.plot(epochs, loss, color=colour, linewidth=2, marker=".", label=name)
    left.set(xlabel="epoch", ylabel="nats an image")
    left.set_title("loss (of a VAE: -ELBO)", fontsize=11, loc="left")
    terms = histories["vae"]
    for name, colour in (("reconstruction", plots.SAMPLES), ("kl", "#2166ac")):
        label = {"reconstruction": "-E log p(x|z)", "kl": "KL(q(z|x) || p(z))"}[name]
        right.plot(epochs, terms[name], color=colour, linewidth=2, marker=".", label=label)
    right.set(xlabel="epoch", ylabel="nats an image", ylim=(0, None))
    right.set_title("vae: its two terms", fontsize=11, loc="left")
    for ax in (left, right):
        ax.set_xlim(0, None)
        ax.legend(frameon=False)
    return picture(figure)


def draw_reconstructions(images: np.ndarray, trained: dict[str, Trained]) -> Image.Image:
    """A row of originals, then one for each training on grey images."""
    rows = {"test image": images}
    for name in ("ae", "vae", "vae, plane"):
        rows[name] = trained[name].decode(trained[name].codes(images)[0])
    figure, axes = panels(12, 0.8 * len(rows), rows=len(rows))
    figure.get_layout_engine().set(h_pad=0.02, hspace=0)
    for ax, (name, row) in zip(axes, rows.items()):
        show(ax, plots.grid(row, len(row), 0, 1, 2, 1))
        ax.text(-0.01, 0.5, name, transform=ax.transAxes, ha="right", va="center", fontsize=11)
    return picture(figure)


def draw_codes(codes: np.ndarray, labels: np.ndarray) -> Image.Image:
    """Points of the plane in the colours of their classes, a circle where half of N(0, I) lies."""
    figure, (ax,) = panels(7.4, 7)
    for digit, colour in enumerate(COLOURS):
        at = codes[labels == digit]
        ax.plot(*at.T, "o", color=colour, markersize=3, markeredgewidth=0, alpha=0.6, label=digit)
    angle = np.linspace(0, 2 * np.pi, 200)
    for share in (0.5, 0.95):
        radius = math.sqrt(-2 * math.log(1 - share))  # |z|^2 / 2 is exponential
        style = {"color": "#333333", "linewidth": 1, "linestyle": (0, (4, 3))}
        ax.plot(radius * np.cos(angle), radius * np.sin(angle), **style)
        words = {"ha": "center", "va": "center", "fontsize": 9, "zorder": 3}
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}
        ax.text(0, -radius, f"{share:.0%} of N(0, I)", bbox=box, **words)
    ax.set(xlabel="z₁", ylabel="z₂")
    ax.set_aspect("equal", adjustable="datalim")
    legend = ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=3)
    for handle in legend.legend_handles:
        handle.set_alpha(1)
    return picture(figure)


def draw_sheets(samples: dict[str, np.ndarray]) -> Image.Image:
    """64 images of each source."""
    titles = {
        "ae, not fitted": "ae, z ~ N(0, I) as its code",
        "ae": "ae, z ~ a Gaussian fitted to its codes",
    }
    figure, axes = panels(4 * len(samples), 4.4, columns=len(samples))
    for ax, (name, images) in zip(axes, samples.items()):
        show(ax, plots.grid(images[:64], 8, 0, 1, 2, 1))
        ax.set_title(titles.get(name, name), fontsize=12, loc="left")
    return picture(figure)


def show(ax: Any, image: Image.Image) -> None:
    """The image alone, without axes."""
    ax.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255)
    ax.set_axis_off()
