"""A run is a folder that explains itself.

    config.json               all that is needed to repeat it: recipe, seed, data, versions, ...
    log.jsonl                 one object a logged step: losses, D(x), D(G(z)), gradient norms, speed
    samples/step-000100.png   what G makes of the same noise at every stage
    checkpoints/step-000100.npz
    curves.png, training.gif  drawn from the log and the samples
    profile.png               where the steps' time went, if that was asked for

This module knows the folder; what is computed, and when, is the trainer's business.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigan import backends, recipes
from minigan.errors import MiniganError
from minigan.files import LEFTOVER, explained, write_atomically

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FORMAT = "minigan-run"
VERSION = 1
MAX_BYTES = 2**20  # of config.json: a longer file is not one
MAX_STEPS = 10**9  # six digits in file names are the usual case, not the limit
MAX_SIZE = 10**6  # of a batch, of z; more is not believed
MAX_PIXELS = 10**8
MAX_THREADS = 1024
# What runs do that do not say: they are older.
NEWER = {"random": "numpy", "tf32": False, "classes": []}
# Settings of recipes that older runs do not have: nothing was done there.
NEWER_SETTINGS = {
    "d_norm": "batch", "d_steps_more": 0, "d_steps_first": 0, "d_steps_every": 0,
    "penalty": "none", "penalty_weight": 0.0, "clip": 0.0,
    "pack": 1, "d_minibatch": "none", "unroll": 0, "d_lr": 0.0, "codes": 0,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides what a run computes, and how often it writes.

    >>> config = Config(recipe=recipes.get("gan"), data_checksum="", data_shape=(1, 28, 28),
    ...                 data_count=100, steps=10)
    >>> Config.from_json(config.to_json()) == config
    True
    """

    recipe: recipes.Recipe
    data_checksum: str
    data_shape: tuple[int, ...]  # (C, H, W), or (n,) for points
    data_count: int
    classes: tuple[str, ...] = ()  # the names of the labels that a conditional G is given
    steps: int  # in total
    seed: int = 0
    data_dir: str | None = None
    backend: str = "numpy"
    random: str = "numpy"  # what draws, see minigan.draws
    tf32: bool = False
    threads: int = 1
    checkpoint_every: int = 1000
    keep: int = 3
    sample_every: int = 100
    log_every: int = 10

    def __post_init__(self) -> None:
        own = ("data_count", "steps", "keep", "checkpoint_every", "sample_every", "log_every")
        limits = [(name, getattr(self, name), MAX_STEPS) for name in own]
        for name in ("latent_dim", "batch_size", "d_steps"):
            limits.append((f"recipe.{name}", getattr(self.recipe, name), MAX_SIZE))
        limits.append(("threads", self.threads, MAX_THREADS))
        for name, value, limit in limits:
            if not 1 <= value <= limit:
                raise MiniganError(f"{name} is {value}: expected a number from 1 to {limit}")
        if self.seed < 0:
            raise MiniganError(f"seed is {self.seed}: expected 0 or more")
        for name, known in (("backend", backends.NAMES), ("random", backends.RANDOM)):
            if getattr(self, name) not in known:
                raise MiniganError(
                    f"{name} is {getattr(self, name)[:40]!r}: expected one of {', '.join(known)}"
                )
        if self.random == "philox" and self.seed >= 2**64:
            raise MiniganError(f"seed is {self.seed}: random=philox takes seeds below 2^64")
        if self.backend == "cupy" and self.random != "philox":
            raise MiniganError("on cupy random numbers are drawn by philox, not by numpy")
        if self.tf32 and self.backend != "cupy":
            raise MiniganError("tf32 is a mode of GPUs: expected false where the backend is numpy")
        if bool(self.classes) != self.recipe.is_conditional:
            expected = "names" if self.recipe.is_conditional else "none"
            raise MiniganError(f"there are {len(self.classes)} classes: expected {expected}")
        shape = self.data_shape
        if len(shape) not in (1, 3) or min(shape) < 1 or math.prod(shape) > MAX_PIXELS:
            raise MiniganError(f"data_shape is {shape}: expected (C, H, W) or (n,)")

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which D sees as many images as there are: it sees k batches in each."""
        return max(1, self.data_count // self.recipe.batch_size // self.recipe.d_steps)

    def to_json(self) -> dict[str, Any]:
        """The content of ``config.json``."""
        values = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(self)}
        values["versions"] = versions(self.backend)
        return json.loads(json.dumps(values))  # tuples become lists, as they do in the file

    @staticmethod
    def from_json(values: Any) -> Config:
        """The reverse; MiniganError for anything that ``to_json`` does not make."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise MiniganError(f"it is not marked as {FORMAT}")
        if values.get("version") != VERSION:
            raise MiniganError(
                f"it is of version {values.get('version')!r}, this minigan reads {VERSION}"
            )
        fields = {field.name: field for field in dataclasses.fields(Config)}
        values = {**NEWER, **values}
        if missing := fields.keys() - values.keys():
            raise MiniganError(f"{sorted(missing)[0]} is missing")
        given = {name: values[name] for name in fields}
        for name, value in given.items():
            _check_type(name, value, str(fields[name].type))
        given["recipe"] = _recipe_from_json(values["recipe"])
        given["data_shape"] = tuple(values["data_shape"])
        given["classes"] = tuple(values["classes"])
        return Config(**given)


def _check_type(name: str, value: Any, kind: str) -> None:
    fits = {
        "int": type(value) is int,
        "bool": type(value) is bool,
        "str": isinstance(value, str),
        "str | None": value is None or isinstance(value, str),
        "tuple[int, ...]": isinstance(value, list) and all(type(n) is int for n in value),
        "tuple[str, ...]": isinstance(value, list) and all(isinstance(s, str) for s in value),
        "recipes.Recipe": isinstance(value, dict),
    }
    if not fits[kind]:
        raise MiniganError(f"{name} is {str(value)[:40]!r}: expected {kind}")


def _recipe_from_json(values: dict[str, Any]) -> recipes.Recipe:
    known = {field.name for field in dataclasses.fields(recipes.Recipe)}
    values = {**NEWER_SETTINGS, **values}
    if odd := sorted(values.keys() ^ known):
        raise MiniganError(f"recipe.{odd[0]} is {'missing' if odd[0] in known else 'unknown'}")
    names = {name: values.pop(name) for name in ("name", "summary", "source")}
    for name, value in names.items():
        _check_type(f"recipe.{name}", value, "str")
    example = recipes.get(recipes.names()[0])  # for the types of the fields, which all share
    return recipes.Recipe(**names, **recipes.parse(example, values))


def versions(backend: str = "numpy") -> dict[str, str]:
    """Of what computes: the same numbers are promised for the same versions only."""
    import numba
    import numpy

    from minigan import __version__

    return {
        "minigan": __version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "numba": numba.__version__,
        "machine": platform.machine(),
        **(backends.device() if backend == "cupy" else {}),
    }


class Run:
    """The folder of one run: where things are, the configuration, the log.

    >>> run = Run("runs/demo")
    >>> run.sample_path(100).name, run.checkpoint_path(100).name
    ('step-000100.png', 'step-000100.npz')
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self.config_path = self.folder / "config.json"
        self.log_path = self.folder / "log.jsonl"
        self.curves_path = self.folder / "curves.png"
        self.gif_path = self.folder / "training.gif"
        self.profile_path = self.folder / "profile.png"

    def sample_path(self, step: int) -> Path:
        """Where the sample grid of that step is or will be."""
        return self.folder / "samples" / f"step-{step:06d}.png"

    def checkpoint_path(self, step: int) -> Path:
        """Where the checkpoint of that step is or will be."""
        return self.folder / "checkpoints" / f"step-{step:06d}.npz"

    def samples(self) -> dict[int, Path]:
        """The sample grids there are, by step, in order."""
        return _numbered(self.folder / "samples", "png")

    def checkpoints(self) -> dict[int, Path]:
        """The checkpoints there are, by step, in order."""
        return _numbered(self.folder / "checkpoints", "npz")

    def check_free(self) -> None:
        """MiniganError if something is in the folder already: nothing is overwritten."""
        if self.config_path.exists():
            raise MiniganError(
                f"{self.folder} already holds a run: continue it with --resume {self.folder}, "
                "or choose another --out"
            )
        with explained("read", self.folder):
            if self.folder.exists() and any(self.folder.iterdir()):
                raise MiniganError(f"{self.folder} is not empty: choose a new folder with --out")

    def create(self) -> None:
        """Make the folder; MiniganError if there is something in it already."""
        self.check_free()
        with explained("make", self.folder):
            for folder in ("samples", "checkpoints"):
                (self.folder / folder).mkdir(parents=True, exist_ok=True)

    def remove_leftovers(self) -> None:
        """Remove the temporary files of a process that was killed while it wrote."""
        with explained("tidy", self.folder):
            for path in self.folder.rglob(LEFTOVER):
                path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Inside the block this process alone writes; MiniganError if another one does already.

        The lock ends with the process, however that ends.  (Windows has no such lock.)
        """
        if fcntl is None:
            yield
            return
        with explained("open", self.folder):
            handle = os.open(self.folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MiniganError(
                    f"another process is training {self.folder}: wait for it, or stop it first"
                ) from None
            except OSError:
                pass  # a file system without locks: the run goes on without this protection
            yield
        finally:
            os.close(handle)

    def remove_checkpoint(self, step: int) -> None:
        """Remove one; it may be gone already."""
        path = self.checkpoint_path(step)
        with explained("remove", path):
            path.unlink(missing_ok=True)

    # config.json --------------------------------------------------------------------------

    def write_config(self, config: Config) -> None:
        """Write ``config.json``, whole or not at all; MiniganError if it cannot be written."""
        text = json.dumps(config.to_json(), indent=2, allow_nan=False)
        write_atomically(self.config_path, f"{text}\n".encode())

    def read_config(self) -> Config:
        """The run's configuration; MiniganError if this is no run or the file was damaged."""
        path = self.config_path
        if not path.exists():
            raise MiniganError(
                f"{self.folder} is not a run: it has no config.json; "
                "expected a folder made by minigan train"
            )
        with explained("read", path):
            if path.stat().st_size > MAX_BYTES:
                raise _damaged(path, f"it is longer than {MAX_BYTES} bytes")
            content = path.read_bytes()
        try:
            return Config.from_json(parse_json(content))
        except (ValueError, MiniganError) as error:
            raise _damaged(path, str(error)) from None

    # log.jsonl ----------------------------------------------------------------------------

    def append_log(self, entry: dict[str, Any]) -> None:
        """Add a line to ``log.jsonl``; MiniganError if it cannot be written."""
        with explained("write", self.log_path), open(self.log_path, "ab") as file:
            file.write(f"{json.dumps(entry, allow_nan=False)}\n".encode())

    def sync_log(self) -> None:
        """Wait until the log is on the disk."""
        if self.log_path.exists():
            with explained("write", self.log_path), open(self.log_path, "ab") as file:
                os.fsync(file.fileno())

    def read_log(self) -> list[dict[str, Any]]:
        """The entries, in order.  A last line without an end was cut off by a crash: left out.

        Raises MiniganError, naming the line, for one that is damaged.
        """
        entries, damage = self._parse_log()
        if damage is not None:
            raise _damaged(self.log_path, damage)
        return entries

    def cut_log(self, step: int) -> str | None:
        """Remove what was logged after ``step``, so that it can be logged again.

        Returns a line about it if the log is damaged; it then ends before the damage.
        """
        entries, damage = self._parse_log()
        kept = [entry for entry in entries if entry["step"] <= step]
        if len(kept) < len(entries) or damage is not None or not self._ends_well():
            text = "".join(json.dumps(entry) + "\n" for entry in kept)
            write_atomically(self.log_path, text.encode())
        if damage is None:
            return None
        last = kept[-1]["step"] if kept else 0
        return f"{self.log_path} was damaged: {damage}; it now ends at step {last}"

    def _parse_log(self) -> tuple[list[dict[str, Any]], str | None]:
        """The entries before the first damage, and what is damaged, if anything."""
        if not self.log_path.exists():
            return [], None
        with explained("read", self.log_path):
            content = self.log_path.read_bytes()
        lines = content.split(b"\n")[:-1]  # after the last newline: nothing, or half a line
        entries: list[dict[str, Any]] = []
        for number, line in enumerate(lines, 1):
            try:
                entry = parse_json(line)
                _check_entry(entry, after=entries[-1]["step"] if entries else 0)
            except ValueError as error:
                return entries, f"line {number}: {error}"
            entries.append(entry)
        return entries, None

    def _ends_well(self) -> bool:
        return not self.log_path.exists() or self.log_path.read_bytes()[-1:] in (b"", b"\n")


LOGGED = ("step", "epoch", "steps_per_second", "seconds")  # and of a game, or of an autoencoder:
LOGGED_GAME = ("d_loss", "g_loss", "d_real", "d_fake", "d_grad_norm", "g_grad_norm")
LOGGED_AUTOENCODER = ("loss", "reconstruction", "encoder_grad_norm", "decoder_grad_norm")


def _check_entry(entry: Any, after: int) -> None:
    if not isinstance(entry, dict):
        raise ValueError("it is not an object")
    own = LOGGED_AUTOENCODER if "loss" in entry else LOGGED_GAME
    for key in (*LOGGED, *own):
        value = entry.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{key} is missing or not a number")
        if not abs(value) <= 1e300:
            raise ValueError(f"{key} is out of range")
    if type(entry["step"]) is not int or not after < entry["step"] <= MAX_STEPS:
        raise ValueError(f"step is {entry['step']}, expected a whole number above {after}")


def parse_json(content: bytes) -> Any:
    """JSON without the extensions NaN and Infinity; ValueError in one line for all that is wrong.

    >>> parse_json(b'{"a": NaN}')
    Traceback (most recent call last):
    ValueError: NaN is not a number
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number")

    def finite(text: str) -> float:
        if not math.isfinite(value := float(text)):
            raise ValueError(f"{text[:20]} is too large")
        return value

    try:
        return json.loads(content, parse_constant=refuse, parse_float=finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _damaged(path: Path, reason: str) -> MiniganError:
    return MiniganError(
        f"{path} is damaged: {' '.join(reason.split())[:200]}; "
        "expected what minigan train wrote: restore it, or start a new run"
    )


def _numbered(folder: Path, ending: str) -> dict[int, Path]:
    pattern = re.compile(rf"step-(\d{{6,10}})\.{ending}")
    with explained("read", folder):
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found = {int(match[1]): folder / name for name in names if (match := pattern.fullmatch(name))}
    return dict(sorted(found.items()))
