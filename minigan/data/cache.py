"""The user's cache folder: data that was made or downloaded once."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


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


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file so that nobody ever sees half of it.

    ``write(file)`` fills a temporary file in the same folder (made if missing), which then takes
    the final name in one step: of two processes that do this at once the later wins, and readers
    see one or the other. Raises OSError, having removed the temporary file, if that fails.

    >>> folder = Path(tempfile.mkdtemp())
    >>> write_atomically(folder / "greeting", lambda file: file.write(b"hello"))
    >>> [(path.name, path.read_bytes()) for path in folder.iterdir()]
    [('greeting', b'hello')]
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # the name must not reach the disk before the bytes
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
