"""The ``nctransfer`` command: its verbs, and how errors become a line and an exit code."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console

from ..errors import NCTransferError

__all__ = ["app", "main"]

VERBS = ("auto", "rank", "measure", "probe", "tune", "predict", "export", "report", "data", "pretrain", "paper")

_INTERRUPTED = 130

app = typer.Typer(
    name="nctransfer",
    help="Measure how collapsed the features of a deep network are, and use that to transfer it better.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(value: bool) -> None:
    if value:
        from .. import __version__

        typer.echo(f"nctransfer {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    pass


for _verb in VERBS:
    if importlib.util.find_spec(f"{__package__}.{_verb}"):
        importlib.import_module(f".{_verb}", __package__).register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code (see the table in the guide)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    sys.exit(_run(words, debug))


def _warn(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
    """A warning as one line, without the place in the code that only its authors know."""
    if issubclass(category, UserWarning):
        _complain(str(message), "warning")
    else:
        _SHOW(message, category, *rest, **more)


_SHOW = warnings.showwarning


def _run(words: list[str], debug: bool) -> int:
    warnings.showwarning = _warn
    try:
        code = app(args=words, prog_name="nctransfer", standalone_mode=False) or 0
        if code == _INTERRUPTED:  # typer turns Ctrl-C into this code and says nothing
            raise KeyboardInterrupt
        return code
    except NCTransferError as error:
        if debug:
            raise
        _complain(error.line())
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted | what was written so far is kept | go on with --resume")
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except MemoryError:
        if debug:
            raise
        _complain("out of memory | this machine | try a smaller --batch-size, --image-size or --limit")
        return 5
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's usage errors, whichever click they come from
            return _usage(error)
        if debug:
            raise
        text = (str(error).splitlines() or [""])[0]
        _complain(
            f"{type(error).__name__}: {text} | this is a bug in nctransfer | run again with --debug and report it"
        )
        return 1


def _usage(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.format_message())
        return 2
    context = getattr(error, "ctx", None)
    where = context.command_path if context else ""
    _complain(" | ".join(part for part in (error.format_message().rstrip("."), where, "see --help") if part))
    return 2


def _complain(line: str, kind: str = "error") -> None:
    # Names read from disk may hold bytes that are not UTF-8; they are shown escaped, not raised over.
    safe = line.encode("utf-8", "backslashreplace").decode("utf-8")
    Console(stderr=True, soft_wrap=True).print(f"{kind}: {safe}", markup=False, highlight=False)
