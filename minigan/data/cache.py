"""The user's cache folder: data that was made or downloaded once."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Where made and downloaded data is kept; the folder need not exist.

    ``$MINIGAN_CACHE`` if it is set; else ``minigan`` inside ``$XDG_CACHE_HOME``, ``%LOCALAPPDATA%``
    (Windows), ``~/Library/Caches`` (macOS) or ``~/.cache``.

    >>> cache_folder().is_absolute()
    True
    """
    if chosen := os.environ.get("MINIGAN_CACHE"):
        return Path(chosen).expanduser().absolute()
    if base := os.environ.get("XDG_CACHE_HOME"):
        pass
    elif sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = "~/.cache"
    return (Path(base) / "minigan").expanduser().absolute()
