"""Using a generator: one in training, or one from a checkpoint."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from minigan import backends
from minigan.autograd import Tensor, no_grad
from minigan.errors import MiniganError
from minigan.nn import Module
from minigan.optim import EMA
from minigan.recipes import Recipe
from minigan.train import checkpoint as checkpoints
from minigan.train.record import Config, Run
from minigan.train.setup import build_networks

BATCH = 100  # images made at a time: bounds the memory


def generate(G: Module, z: Tensor, *y: Tensor) -> np.ndarray:
    """G(z) as float32 (n, *image_shape), without recording, in evaluation mode.

    Args:
        y: of a conditional G, the labels (n, classes), one-hot.

    A G that draws noise of its own (see :class:`minigan.models.cgan.Noise`) draws the same for the
    same z.  Afterwards G is in the mode in which it was, and so are the random numbers.
    """
    was_training = G.training
    G.eval()
    try:
        with no_grad(), backends.random_restored():
            backends.manual_seed(zlib.crc32(z.numpy().tobytes()))
            parts = (slice(i, i + BATCH) for i in range(0, len(z), BATCH))
            batches = [G(z[part], *(each[part] for each in y)).numpy() for part in parts]
    finally:
        G.train(was_training)
    return np.concatenate(batches)


def unit(samples: np.ndarray, recipe: Recipe) -> np.ndarray:
    """What G has generated, with the pixels of images in [0, 1]; points as they are.

    >>> from minigan import recipes
    >>> unit(np.array([-1.0, 0.0, 1.0]).reshape(1, 1, 1, 3), recipes.get("gan")).ravel()
    array([0. , 0.5, 1. ])
    """
    if samples.ndim != 4:
        return samples
    low, high = recipe.pixel_low, recipe.pixel_high
    return np.clip((samples - low) / (high - low), 0, 1)  # rounding: tanh and its shift


def choose(run: str | Path, which: str = "best") -> Path:
    """The checkpoint that is meant: ``run`` itself if it is a file, else ``"best"``, ``"last"``, a
    step, or the path of a file.  MiniganError if there is none.
    """
    path = Path(run)
    if path.is_file():
        return path
    if not path.is_dir():
        raise MiniganError(f"no run at {path}: expected a folder made by minigan train")
    found = Run(path).checkpoints()
    if which.isdecimal() and int(which) in found:
        return found[int(which)]
    if which not in ("best", "last"):
        if Path(which).is_file():
            return Path(which)
        steps = ", ".join(map(str, found)) or "there are none"
        raise MiniganError(
            f"no checkpoint {which!r} in {path}: expected best, last, the path of a file, or a "
            f"step ({steps})"
        )
    if not found:
        raise MiniganError(f"{path} holds no checkpoint: expected a run made by minigan train")
    if which == "last":
        return found[max(found)]
    return min(found.values(), key=checkpoints.read_quality)


def load_generator(path: str | Path) -> tuple[Module, Config, int]:
    """G as it was saved (its averaged weights, if there is an average), the run's configuration
    and the step.  The backend is the current one.  MiniganError if the file is no good.
    """
    path = Path(path)
    checkpoint, config = _read(path)
    G, _ = _networks(path, config)
    checkpoints.restore(path, checkpoint, {"G": G})
    recipe = config.recipe
    if recipe.ema:
        ema = EMA(G, recipe.ema)
        checkpoints.restore(path, checkpoint, {"ema": ema})
        with ema.swapped_in():
            averaged = G.state_dict()
        G.load_state_dict(averaged)
    return G, config, checkpoint.step


def load_autoencoder(path: str | Path) -> tuple[Module, Module, Config, int]:
    """Decoder and encoder as they were saved, the run's configuration and the step.

    Raises MiniganError if the file is no good, or of a game of two players.
    """
    path = Path(path)
    checkpoint, config = _read(path)
    if config.recipe.updates != "together":
        raise MiniganError(
            f"{path} is of the recipe {config.recipe.name}, which has no encoder: expected a run "
            "of an autoencoder, such as minigan train vae makes"
        )
    decoder, encoder = _networks(path, config)
    checkpoints.restore(path, checkpoint, {"G": decoder, "D": encoder})
    return decoder, encoder, config, checkpoint.step


def _read(path: Path) -> tuple[checkpoints.Checkpoint, Config]:
    checkpoint = checkpoints.read(path)
    try:
        return checkpoint, Config.from_json(checkpoint.config)
    except MiniganError as error:
        raise checkpoints.unusable(path, str(error)) from None


def _networks(path: Path, config: Config) -> tuple[Module, Module]:
    try:
        return build_networks(config.recipe, config.data_shape, classes=len(config.classes))
    except MemoryError:  # an unlikely file, but nothing in it is trusted
        raise checkpoints.unusable(path, "its networks are too large for the memory") from None
