"""Commands in this process: starting one of its own costs more than most of what the tests ask of it."""

from __future__ import annotations

from collections.abc import Iterable

from nctransfer.cli import main


def run(words: Iterable[object]) -> int:
    """The exit code of a command."""
    try:
        main([str(word) for word in words])
    except SystemExit as left:
        return int(left.code or 0)
    raise AssertionError("the command line leaves with a code")
