"""``nctransfer export RUN``: the tuned model as a file for other runtimes, compared with the run's own on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..export import ExportSettings
from ..settings import build
from .generate import with_settings
from .options import out_option

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("export")(with_settings(ExportSettings)(export))


def export(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a finished run, or a .safetensors file of one.")
    ],
    *,
    settings: dict[str, Any],
    out: Annotated[Path | None, out_option("RUN/export/model.onnx", "The file")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file at --out.", rich_help_panel="Run")
    ] = False,
) -> None:
    """Export the model that a run chose, with a manifest and a model card, and check that it gives the same logits."""
    asked = build(ExportSettings, settings, where="the command line")
    from ..export import export_run
    from .progress import TerminalWatch

    report = export_run(run, asked, out=out, overwrite=overwrite, watch=TerminalWatch())
    typer.echo(report.text())
    typer.echo(f"model card: {report.path.with_name('MODEL_CARD.md')}")
