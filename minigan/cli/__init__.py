"""The command line: ``minigan COMMAND ...``.

One file a command.  These modules import nothing heavy at the top, so that help is quick.

Exit codes: 0 done, 1 the run or the check failed, 2 wrong usage, 130 interrupted (143 by SIGTERM).
Errors are one line on stderr; ``--debug`` shows the traceback as well.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
import warnings
from typing import Any

import click

from minigan._version import __version__
from minigan.errors import MiniganError

COMMANDS = {  # in the order of the help, and the module of each
    "train": "train",
    "sample": "sample",
    "interpolate": "sample",
    "evaluate": "evaluate",
    "plot": "plot",
    "graph": "graph",
    "inspect": "inspect",
    "reproduce": "reproduce",
    "info": "info",
    "gradcheck": "gradcheck",
    "bench": "bench",
}


class Program(click.Group):
    """A group that imports its commands when they are needed and words all errors alike."""

    debug = False  # set by --debug

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return getattr(importlib.import_module(f"minigan.cli.{COMMANDS[name]}"), name)

    def main(self, args: Any = None, prog_name: str | None = None, **extra: Any) -> None:
        self.debug = False
        extra["standalone_mode"] = False
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                code = super().main(args, prog_name or "minigan", **extra)
            sys.stdout.flush()
        except Exception as error:
            code, line = self._explain(error)
            if notes := getattr(error, "__notes__", []):  # the layer in which it arose
                line = f"{line} ({'; '.join(notes)})"
            if self.debug:
                traceback.print_exc()
            if line:
                click.echo(f"minigan: error: {' '.join(line.split())}", err=True)
        sys.exit(code if isinstance(code, int) else 0)

    @staticmethod
    def _explain(error: Exception) -> tuple[int, str]:
        """The exit code for an exception, and the line about it."""
        if isinstance(error, MiniganError):
            return 1, str(error)
        if isinstance(error, click.UsageError):
            command = error.ctx.command_path if error.ctx else "minigan"
            return 2, f"{error.format_message().rstrip('.')}; see {command} --help"
        if isinstance(error, click.Abort):  # click's name for KeyboardInterrupt
            return 130, "interrupted"
        if isinstance(error, BrokenPipeError):  # the reader, head for one, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1, ""
        if isinstance(error, MemoryError):
            return (
                1,
                "not enough memory: choose smaller numbers (--batch-size, image_size, --n, --rows)",
            )
        name = type(error).__name__
        return 1, f"unexpected {name}: {error}; run again with --debug for the traceback"


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"minigan: warning: {' '.join(str(message).split())}", err=True)


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().command.debug = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_set_debug,
    help="Show the traceback of an error.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
number_of_threads = click.IntRange(min=1, max=1024)
BACKENDS = ("auto", "numpy", "cupy")


def _use_backend(ctx: click.Context, _: click.Parameter, name: str | None) -> None:
    if ctx.resilient_parsing:  # completion of the shell
        return
    from minigan import backends

    name = name or backends.default_backend()
    backends.use_backend(name)
    if name == "auto":
        click.echo(backends.what_auto_took(), err=True)


backend_option = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    expose_value=False,
    callback=_use_backend,
    help="Array library.  [default: MINIGAN_BACKEND, or numpy]",
)


def key_and_value(setting: str) -> tuple[str, str]:
    """What ``--set KEY=VALUE`` says."""
    key, equals, value = setting.partition("=")
    if not equals:
        raise click.UsageError(f"--set {setting}: expected KEY=VALUE, as in --set lr=1e-4")
    return key.strip().replace("-", "_"), value.strip()


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
A first run, nothing to download:
  minigan train gan --steps 2000
  minigan sample runs/gan-glyphs-1 --out grid.png

\b
Completion of commands and options in bash (zsh, fish: put their name for bash):
  eval "$(_MINIGAN_COMPLETE=bash_source minigan)"

\b
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.""",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def program() -> None:
    """Generative adversarial networks, readable down to the last multiplication."""
