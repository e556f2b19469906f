"""``nctransfer auto``: from a folder of images to the best network, block and method, a tuned model and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from ..transfer import TransferSettings
from .generate import with_settings
from .options import Config, Data, DryRun, Layer, Models, Overwrite, Resume, Seeds, Set, collect, out_option

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("auto")(with_settings(TransferSettings)(auto))


def auto(
    data: Data,
    *,
    model: Models = None,
    models: Annotated[
        str | None,
        typer.Option(
            help="Candidates, separated by commas: ranked first, as `nctransfer rank` does, and only the best is tuned.",
            rich_help_panel="Network",
        ),
    ] = None,
    settings: dict[str, Any],
    layer: Layer = None,
    out: Annotated[Path | None, out_option("runs/DATA-MODEL")] = None,
    seeds: Seeds = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Find the best block and tuning method for your images by collapse and validation, tune, and report."""
    from .launch import launch

    if models is not None:
        from .ranked import auto_of_best

        if layer is not None:
            raise UsageError(
                "--layer names blocks of one network, --models ranks several",
                where="--layer",
                remedy="leave one of them out",
            )
        auto_of_best(
            data,
            models,
            collect(TransferSettings, settings, config, set_),
            alone=model is None and seeds == 1,
            out=out,
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
        )
        return
    launch(
        "auto",
        data,
        model,
        collect(TransferSettings, settings, config, set_),
        unit=layer,
        out=out,
        seeds=seeds,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
    )
