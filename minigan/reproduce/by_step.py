"""What a reproduction notes of a run after some of its steps: a JSON file in the run's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigan.errors import MiniganError
from minigan.files import explained
from minigan.train.record import parse_json


def read_by_step(path: Path, is_sound: Callable[[Any], bool], expected: str) -> dict[int, Any]:
    """The file's entries by step; none if it is not there.

    Args:
        is_sound: whether an entry is what was written; it may raise KeyError or TypeError.
        expected: what that is, for the error.

    Raises MiniganError, one line, if the file is damaged.

    >>> read_by_step(Path("nowhere.json"), bool, "numbers")
    {}
    """
    if not path.exists():
        return {}
    with explained("read", path):
        content = path.read_bytes()
    try:
        found = {int(step): entry for step, entry in parse_json(content).items()}
        if not all(is_sound(entry) for entry in found.values()):
            raise ValueError
    except (ValueError, AttributeError, KeyError, TypeError):
        raise MiniganError(
            f"{path} is damaged: expected {expected} by step; remove {path.parent}, or name "
            "another folder with --runs"
        ) from None
    return found
