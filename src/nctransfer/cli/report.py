"""``nctransfer report RUN``: make a run's page again from the files in its folder."""

from __future__ import annotations

from pathlib import Path

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("report")(report)


def report(
    run: Path = typer.Argument(..., metavar="RUN", help="The folder of a finished run."),
) -> None:
    """Make the page of a run, report.html, from the files in its folder."""
    from ..report import write_report

    typer.echo(write_report(run))
