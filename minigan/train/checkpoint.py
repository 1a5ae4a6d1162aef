"""A checkpoint: one ``.npz`` file with all that a run needs to go on, and proof that it is whole.

It is a plain NumPy archive and can be read without minigan::

    file = numpy.load("step-000937.npz", allow_pickle=False)
    file["G.main.0.weight"]             # the weights: G., D. and, if there is an average, ema.
    file["opt_G.step"]                  # the optimisers: opt_G. and opt_D.
    json.loads(str(file["meta"]))       # step, the run's configuration, the quality measured

``sha256`` is the digest of everything else in the file.  It finds damage; it is not a signature.

Reading trusts nothing: no pickles, no more memory than the file has bytes, whatever a header in it
promises, and the digest, the dtypes and the values are checked before anything is used.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minigan.errors import MiniganError
from minigan.files import explained, write_atomically

FORMAT = "minigan-checkpoint"
VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    * ``step``: how many steps were played.
    * ``config``: the content of the run's ``config.json``.
    * ``arrays``: by name, the prefix says whose: ``G.``, ``D.``, ``ema.``, ``opt_G.``, ``opt_D.``.
    * ``quality``: the distance of its samples from the data, see :mod:`minigan.train.quality`.
    * ``seconds``: time spent on training until then.
    """

    step: int
    config: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(repr=False)
    quality: float
    seconds: float

    def part(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays of one owner, without the prefix: ``part("G")`` is G's state dict."""
        dot = prefix + "."
        return {k.removeprefix(dot): a for k, a in self.arrays.items() if k.startswith(dot)}


def arrays_of(owners: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dicts of modules and optimisers in one dict: prefix, dot, name."""
    return {
        f"{prefix}.{name}": np.asarray(value)
        for prefix, owner in owners.items()
        for name, value in owner.state_dict().items()
    }


# Writing ------------------------------------------------------------------------------------


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file so that it is there whole or not at all.

    Raises MiniganError, leaving all files as they were, if it cannot be written (disk full) or if
    a weight is infinite or not a number: such a state is not worth keeping.
    """
    for name, array in checkpoint.arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise MiniganError(
                f"step {checkpoint.step}: {name} is no longer finite, so nothing was saved; "
                "a smaller lr may help"
            )
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "step": checkpoint.step,
        "quality": checkpoint.quality,
        "seconds": checkpoint.seconds,
        "config": checkpoint.config,
    }
    contents = {**checkpoint.arrays, "meta": np.array(json.dumps(meta, allow_nan=False))}
    # Packed in memory, so that a full disk meets one plain write and not the zip writer.
    packed = io.BytesIO()
    np.savez(packed, **contents, sha256=np.array(digest(contents)))
    write_atomically(path, packed.getvalue())


def digest(contents: Mapping[str, np.ndarray]) -> str:
    """sha256, 64 hex digits, of names, dtypes, shapes and bytes, in the order of the names."""
    sha256 = hashlib.sha256()
    for name in sorted(contents):
        array = contents[name]
        sha256.update(f"{name} {array.dtype.str} {array.shape};".encode())
        sha256.update(array.tobytes())
    return sha256.hexdigest()


# Reading ------------------------------------------------------------------------------------


def read(path: str | os.PathLike) -> Checkpoint:
    """The content of a checkpoint file, checked.

    Raises MiniganError, one line with the file's name, if it cannot be read, is not a checkpoint
    of minigan, is damaged, or was changed since it was written.
    """
    path = Path(path)
    with explained("read", path):
        try:
            contents = _unpack(path)
            if str(contents.pop("sha256")) != digest(contents):
                raise ValueError("its content does not match its sha256")
            meta = _parse_meta(contents.pop("meta"))
            for name, array in contents.items():
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    raise ValueError(f"{name} is not finite")
        except (OSError, MiniganError):
            raise
        except MemoryError:
            raise MiniganError(f"not enough memory to read {path}: free some") from None
        # Whatever else zipfile and NumPy's header parser raise: the file is not what it should be.
        except Exception as error:
            reason = f"no {error}" if isinstance(error, KeyError) else error or type(error).__name__
            raise unusable(path, str(reason)) from None
    return Checkpoint(arrays=contents, **meta)


def read_quality(path: Path) -> float:
    """The quality noted in a file, without reading (or checking) its weights; inf if damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            meta = _read_member(archive, archive.getinfo("meta.npy"))
        return _parse_meta(meta)["quality"]
    except Exception:  # as in read(), which is where damage is reported
        return math.inf


def unusable(path: Path, reason: str) -> MiniganError:
    """The one line about a file that cannot serve as a checkpoint."""
    return MiniganError(
        f"{path} is not a usable checkpoint: {' '.join(reason.split())[:200]}; "
        "expected an undamaged .npz file written by minigan train: choose another one"
    )


def _unpack(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed, which minigan does not do")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("it claims to hold more bytes than the file has")
        names = [member.filename.removesuffix(".npy") for member in members]
        if len(set(names)) != len(names):
            raise ValueError("a name occurs twice")
        return {name: _read_member(archive, m) for name, m in zip(names, members, strict=True)}


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{member.filename} has an unknown version")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.kind not in "fiubU":
            raise ValueError(f"{member.filename} is of type {dtype}, not numbers or text")
        values = file.read()  # to the end, where zipfile checks the CRC-32
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(values):
        raise ValueError(f"{member.filename} has {len(values)} bytes, which is not {shape}")
    return np.frombuffer(values, dtype).reshape(shape, order="F" if fortran else "C")


def _parse_meta(text: np.ndarray) -> dict[str, Any]:
    meta = json.loads(str(text))
    if not isinstance(meta, dict) or meta.pop("format", None) != FORMAT:
        raise ValueError(f"it is not marked as {FORMAT}")
    version = meta.pop("version", None)
    if version != VERSION:
        raise ValueError(f"it is of version {version!r}, this minigan reads {VERSION}")
    kinds = {"step": int, "quality": float, "seconds": float, "config": dict}
    for key, kind in kinds.items():
        if type(meta.get(key)) is not kind:
            raise ValueError(f"{key} is missing or not {kind.__name__}")
    if meta.keys() != kinds.keys() or meta["step"] < 0:
        raise ValueError("its description is not that of a checkpoint")
    return meta


# Restoring ----------------------------------------------------------------------------------


def restore(path: Path, checkpoint: Checkpoint, owners: Mapping[str, Any]) -> None:
    """Give modules and optimisers the state that the checkpoint holds for them.

    ``owners`` maps prefixes to objects with ``state_dict`` and ``load_state_dict``.  Raises
    MiniganError, before anything is changed, if names, shapes or dtypes do not fit.
    """
    states = {}
    for prefix, owner in owners.items():
        states[prefix] = state = checkpoint.part(prefix)
        expected = {name: np.asarray(value) for name, value in owner.state_dict().items()}
        if state.keys() != expected.keys():
            odd = sorted(state.keys() ^ expected.keys())[0]
            raise unusable(path, f"{prefix}.{odd} is {'missing' if odd in expected else 'unknown'}")
        for name, array in state.items():
            want = expected[name]
            if array.shape != want.shape or array.dtype != want.dtype:
                raise unusable(
                    path,
                    f"{prefix}.{name} is {array.dtype} {array.shape}, "
                    f"expected {want.dtype} {want.shape}",
                )
    for prefix, owner in owners.items():
        owner.load_state_dict(
            {k: a.item() if a.ndim == 0 else a for k, a in states[prefix].items()}
        )
