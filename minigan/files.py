"""Writing files that are whole or not there: nobody ever meets half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minigan.errors import MiniganError

LEFTOVER = ".*.part"  # pattern of the temporary files that a killed process leaves behind


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write ``content`` to ``path`` so that a crash at any moment leaves the old file or the new.

    The bytes go to a temporary file in the same folder and reach the disk before the name does;
    the folder itself is synchronised too, so the new file survives a power cut.

    Raises MiniganError if that fails (disk full, not permitted); the old file is then still there
    and the temporary one is removed.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_atomically(folder / "greeting", b"hello")
    >>> [(path.name, path.read_bytes()) for path in folder.iterdir()]
    [('greeting', b'hello')]
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with explained("write", path):
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (Windows has no such call and does it by itself)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def explained(verb: str, path: Path) -> Iterator[None]:
    """Turn an OSError in the block into one line: what could not be done, why, what to do.

    >>> with explained("read", Path("missing")):
    ...     open("missing")
    Traceback (most recent call last):
    minigan.errors.MiniganError: cannot read missing: No such file or directory; check the path
    """
    try:
        yield
    except OSError as error:
        if verb == "read":
            advice = "check the path"
        else:
            advice = "free some space, or choose a folder that you may write to"
        reason = error.strerror or str(error)
        raise MiniganError(f"cannot {verb} {path}: {reason}; {advice}") from None
