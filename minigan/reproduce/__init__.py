"""The papers' figures and numbers, and what theory says of them: one file each, one command each.

A reproduction is a module with a function ``reproduce(task) -> Outcome``; the rest is the same for
all: a folder with ``result.json``, the page made of it, and pictures.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from minigan.errors import MiniganError

REPRODUCTIONS = {  # in the order of the list
    "table1": "Goodfellow et al. 2014, Table 1: the Parzen-window log-likelihood of MNIST",
    "order": "Goodfellow et al. 2014, Algorithm 1 beside the released code: who moves first, and "
    "with whose z",
    "figure1": "Goodfellow et al. 2014, Figure 1: the game on a line, with the optimal D beside D",
    "figure2": "Goodfellow et al. 2014, Figure 2: samples and their nearest training images",
    "figure3": "Goodfellow et al. 2014, Figure 3: walks on a line between two z",
    "collapse": "Does one digit take over late in training? MNIST's class histogram over epochs",
    "theory": "Goodfellow et al. 2014, section 4: D*, V(D*, G) = -log 4 + 2 JSD, and what is left "
    "of G's gradient far from the data",
    "modes": "Lin et al. 2018 (PacGAN), Table 1, the plain GAN: modes captured of a ring of 8 and "
    "a grid of 25, and a film of modes found and lost",
    "modes-long": "Lin et al. 2018 (PacGAN), Table 1, the plain GAN, trained as long as there: "
    "400 epochs, more than a day of one core",
    "family-points": "The family of objectives on points: modes captured of a ring of 8 and a grid "
    "of 25, same networks, five seeds",
    "family-mnist": "The family of objectives on MNIST: classes, precision and recall, distance, "
    "same networks, same number of steps",
    "family-recipes": "The family's recipes, each trained for minutes, at most an hour or so: "
    "samples, command, time",
    "dcgan-features": "Radford et al. 2016, section 5: D's features and a linear classifier with "
    "few labels",
    "dcgan-walk": "Radford et al. 2016, Figure 4: walks in z, and whether they jump",
    "dcgan-arithmetic": "Radford et al. 2016, Figures 7 and 8: arithmetic on z with measurable "
    "attributes",
    "vae": "Kingma & Welling 2014, Figure 4, and the likelihood of Burda et al. 2016, Table 1: the "
    "variational autoencoder, beside a plain one",
}


def default_folder(name: str, quick: bool) -> Path:
    """Where the result goes unless another folder is given.

    >>> default_folder("theory", quick=True).as_posix()
    'results/theory-quick'
    """
    return Path("results", f"{name}-quick" if quick else name)


def default_runs(quick: bool) -> Path:
    """Where trainings are kept, and found by the next reproduction that needs them.

    >>> default_runs(quick=False).as_posix()
    'results/runs'
    """
    return Path("results", "runs-quick" if quick else "runs")


def run(
    name: str,
    folder: Path | None = None,
    *,
    quick: bool = False,
    seed: int = 0,
    runs: Path | None = None,
    data_dir: str | None = None,
) -> dict:
    """Do the reproduction of that name and write its folder (default: ``results/NAME``).

    Args:
        folder: made if it is missing; files of earlier results in it are replaced.
        quick: a small version, which takes seconds and is judged by the same rule.
        seed: of every random number.
        runs: where trainings are kept (default: ``results/runs``): one that is there already is
            used, or goes on.
        data_dir: where the files of MNIST and Fashion-MNIST are, see :func:`minigan.data.load`.

    Returns the content of ``result.json``, see :mod:`minigan.reproduce.result`.  Raises
    MiniganError if there is no such reproduction or the folder cannot be written.
    """
    if name not in REPRODUCTIONS:
        known = ", ".join(REPRODUCTIONS)
        raise MiniganError(f"no reproduction {name!r}: expected one of {known}")
    from minigan.reproduce.result import Task, finish

    module: Any = importlib.import_module(f"minigan.reproduce.{name.replace('-', '_')}")
    task = Task(
        name, REPRODUCTIONS[name], folder or default_folder(name, quick), quick, seed,
        runs=runs or default_runs(quick), data_dir=data_dir,
    )  # fmt: skip
    return finish(task, module.reproduce(task))
