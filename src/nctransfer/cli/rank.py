"""``nctransfer rank``: which of these pretrained networks to start from, for your images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..ranking import RankSettings
from .generate import with_settings
from .options import Config, Data, DryRun, Overwrite, Resume, Set, collect, out_option

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("rank")(with_settings(RankSettings)(rank))


def rank(
    data: Data,
    *,
    settings: dict[str, Any],
    out: Annotated[Path | None, out_option("runs/DATA-rank")] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Rank pretrained networks for your images by a measured probe, beside collapse, scores and static facts."""
    from .launch import last_part
    from .ranked import print_plan, print_ranking, run_ranking

    folder = out or Path("runs") / f"{last_part(data)}-rank"
    sources = [*collect(RankSettings, settings, config, set_), {"data": data}]
    if dry_run:
        print_plan(sources)
        return
    print_ranking(run_ranking(sources, folder, resume=resume, overwrite=overwrite))
