"""The one exception a user of the command line can meet: a sentence, not a traceback."""


class MiniganError(Exception):
    """Something outside the program is wrong: a file, a name, an option, a device.

    The message is one line that says what was wrong, what was expected and what to do.
    The command line prints it as ``minigan: error: ...`` and exits with status 1.

    >>> raise MiniganError("no data set 'mnits': expected one of glyphs, mnist; check --data")
    Traceback (most recent call last):
    minigan.errors.MiniganError: no data set 'mnits': expected one of glyphs, mnist; check --data
    """


def first_line(error: BaseException) -> str:
    """What another library's exception says, in one line: its type, if it says nothing.

    >>> first_line(RuntimeError("no memory: \\n  see the manual")), first_line(MemoryError())
    ('no memory:', 'MemoryError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip()
