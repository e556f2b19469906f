"""``nctransfer paper``: the paper's tables and figures, run again, with verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]

paper = typer.Typer(
    help="The paper's tables and figures: list them, run them, make their page.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.add_typer(paper, name="paper")


@paper.command("list")
def list_studies() -> None:
    """Name every study, its claim, and its cost at each scale."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ..studies.catalogue import STUDIES, cells_of, minutes
    from ..studies.scales import SCALES

    table = Table("Study", *SCALES, title="About what a seed of each costs alone; shared cells are computed once")
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for study in STUDIES.values():
        costs = [_shown(minutes(cells_of([study], scale, [0]), scale)) for scale in SCALES.values()]
        heading = Text.assemble((study.name, "bold"), f" ({', '.join(study.artefacts)}): {study.claim}")
        table.add_row(heading, *costs)
    whole = [_shown(minutes(cells_of(STUDIES.values(), scale, [0]), scale)) for scale in SCALES.values()]
    table.add_section()
    table.add_row("all, shared cells once", *whole)
    Console().print(table)
    typer.echo(
        "smoke and mini: on 2 processor cores; paper: on one H100. Figures 4, 7 and 8 are diagrams, drawn in docs/diagrams.md."
    )


def _shown(minutes: float) -> str:
    """A cost in words.

    Example:
        >>> _shown(0.001), _shown(0.5), _shown(18.2), _shown(600)
        ('< 1 s', '30 s', '18 min', '10 h')
    """
    if minutes < 1 / 60:
        return "< 1 s"
    return (
        f"{60 * minutes:.0f} s" if minutes < 1.5 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
    )


@paper.command("run")
def run(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Studies, or all.")],
    scale: Annotated[str, typer.Option(help="smoke, mini or paper.")] = "mini",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0 on.")] = 1,
    out: Annotated[Path | None, typer.Option(help="The folder; runs/paper-SCALE if left out.")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="slurm: submit the cells with submitit; local: as --jobs.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="Processes of this machine that share the cells and the cores.")] = 1,
    time_limit: Annotated[
        float | None, typer.Option(help="Minutes after which to stop; the same command goes on.")
    ] = None,
    accept_other_code: Annotated[
        bool,
        typer.Option(
            "--accept-other-recipe",
            "--accept-other-code",
            help="Use cells that follow another version of their recipe; the page says so.",
        ),
    ] = False,
    partition: Annotated[str | None, typer.Option(help="Of the cluster.")] = None,
) -> None:
    """Run studies and make their page; finished cells are taken from the folder."""
    from .progress import TerminalWatch

    folder = out or Path(f"runs/paper-{scale}")
    watch = TerminalWatch()
    from ..studies import run_studies

    result = run_studies(
        names,
        scale=scale,
        out=folder,
        seeds=range(seeds),
        device=device,
        jobs=jobs,
        accept_other_code=accept_other_code,
        time_limit=time_limit,
        cluster=cluster,
        partition=partition,
        watch=watch,
    )
    _finish(result, folder)


@paper.command("report")
def report(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The folder of the studies.")] = Path(
        "runs/paper-mini"
    ),
    text: Annotated[Path | None, typer.Option(help="Also write the page as Markdown to this file.")] = None,
) -> None:
    """Make the page again from the cells that stand in a folder."""
    from ..studies import report_studies

    _finish(report_studies(folder, text=text), folder)


def _finish(result: dict, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("Study", "holds", "does not hold", "undecided", "seeds")
    for study in result["studies"]:
        words = [claim["verdict"] for claim in study["claims"]]
        counts = [str(words.count(word)) for word in ("holds", "does not hold", "undecided")]
        table.add_row(study["name"], *counts, str(len(study["seeds"])))
    Console().print(table)
    if any(len(study["seeds"]) < 3 for study in result["studies"]):
        typer.echo("Fewer than 3 seeds decide nothing: --seeds 3. The page says which way each claim leans.")
    typer.echo(f"report: {folder / 'report.html'}")
    if result["failures"]:
        for failure in result["failures"]:
            typer.echo(f"failed: {failure['cell']}: {failure['error']}", err=True)
        raise typer.Exit(1)
