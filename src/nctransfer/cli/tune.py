"""``nctransfer tune``: one tuning method."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..transfer import METHOD_NAMES, TransferSettings, find_method
from .generate import with_settings
from .options import Config, Data, DryRun, Layer, Models, Overwrite, Resume, Seeds, Set, collect, out_option

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("tune")(with_settings(TransferSettings, omit={"methods"})(tune))


def tune(
    data: Data,
    *,
    model: Models = None,
    settings: dict[str, Any],
    method: Annotated[
        str, typer.Option(help="Tuning method.", metavar=f"[{'|'.join(METHOD_NAMES)}]", rich_help_panel="Tuning")
    ] = "scl",
    layer: Layer = None,
    out: Annotated[Path | None, out_option("runs/DATA-MODEL-METHOD")] = None,
    seeds: Seeds = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Tune with one method."""
    from .launch import launch

    find_method(method, where="--method")
    launch(
        "tune",
        data,
        model,
        collect(TransferSettings, {**settings, "methods": [method]}, config, set_),
        out=out,
        seeds=seeds,
        resume=resume,
        overwrite=overwrite,
        unit=layer,
        dry_run=dry_run,
    )
