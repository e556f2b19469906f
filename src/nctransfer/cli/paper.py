"""``nctransfer paper``: the paper's tables and figures, run again, with verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..settings import build
from ..studies import PaperSettings
from .generate import with_settings
from .options import Config, DryRun, Set, collect, out_option

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

    from ..runs import duration
    from ..studies import SCALES, STUDIES, cells_of, minutes

    table = Table("Study", *SCALES, title="About what a seed of each costs alone; shared cells are computed once")
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for study in STUDIES.values():
        costs = [duration(60 * minutes(cells_of([study], scale, [0]), scale)) for scale in SCALES.values()]
        heading = Text.assemble((study.name, "bold"), f" ({', '.join(study.artefacts)}): {study.claim}")
        table.add_row(heading, *costs)
    whole = [duration(60 * minutes(cells_of(STUDIES.values(), scale, [0]), scale)) for scale in SCALES.values()]
    table.add_section()
    table.add_row("all, shared cells once", *whole)
    Console().print(table)
    typer.echo(
        "smoke and mini: on 2 processor cores; paper: on one H100. Figures 4, 7 and 8 are diagrams, drawn in docs/diagrams.md."
    )


def run(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Studies by name, or all.")],
    *,
    settings: dict[str, Any],
    out: Annotated[Path | None, out_option("runs/paper-SCALE")] = None,
    dry_run: DryRun = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Run studies and make their page; finished cells are taken from the folder."""
    asked = build(PaperSettings, *collect(PaperSettings, settings, config, set_), where="the command line")
    folder, seeds = out or Path(f"runs/paper-{asked.scale}"), None if asked.seeds is None else range(asked.seeds)
    from .. import studies
    from .progress import TerminalWatch

    if dry_run:
        plan = studies.plan_studies(
            names, scale=asked.scale, out=folder, seeds=seeds, accept_other_code=asked.accept_other_recipe
        )
        typer.echo(plan.text())
        return
    watch = TerminalWatch()
    result = studies.run_studies(
        names,
        scale=asked.scale,
        out=folder,
        seeds=seeds,
        device=asked.device,
        jobs=asked.jobs,
        accept_other_code=asked.accept_other_recipe,
        time_limit=asked.time_limit,
        cluster=asked.cluster,
        partition=asked.partition,
        watch=watch,
    )
    _finish(result, folder)


paper.command("run")(with_settings(PaperSettings)(run))


@paper.command("report")
def report(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The folder of the studies.")] = Path(
        "runs/paper-mini"
    ),
    text: Annotated[Path | None, typer.Option(help="Also write the page as Markdown to this file.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Show every study that has a finished cell.")] = False,
) -> None:
    """Make the page again from the cells that stand in a folder."""
    from ..studies import report_studies

    _finish(report_studies(folder, text=text, partial=partial), folder)


def _finish(result: dict, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    words = ("holds", "does not hold", "no difference", "undecided")
    table = Table("Study", *words, "seeds")
    for study in result["studies"]:
        verdicts = [claim["verdict"] for claim in study["claims"] if not claim.get("part_of")]
        counts = [str(verdicts.count(word)) for word in words]
        table.add_row(study["name"], *counts, str(len(study["seeds"])))
    Console().print(table)
    # A study of released networks rests on data sets: its claims have an effect for each, whatever the seeds.
    short = [study for study in result["studies"] if len(study["seeds"]) < 3]
    if any(len(claim["effects"]) < 3 for study in short for claim in study["claims"]):
        typer.echo("Fewer than 3 seeds decide nothing: --seeds 3. The page says which way each claim leans.")
    typer.echo(f"report: {folder / 'report.html'}")
    if result["failures"]:
        for failure in result["failures"]:
            typer.echo(f"failed: {failure['cell']}: {failure['error']}", err=True)
        raise typer.Exit(1)
