"""``nctransfer pretrain DATA``: train an encoder and watch its features collapse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from ..training import PretrainSettings, make_settings
from .generate import with_settings
from .options import Config, Data, DryRun, Overwrite, Resume, Set, collect, out_option

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("pretrain")(with_settings(PretrainSettings)(pretrain))


def pretrain(
    data: Data,
    settings: dict[str, Any],
    out: Annotated[Path | None, out_option("runs/pretrain")] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Train an encoder from random weights and watch its features collapse.

    The run folder then serves every other verb as --model.
    """
    asked = make_settings(*collect(PretrainSettings, settings, config, set_), where="the command line")
    for name, reader in asked.idle().items():
        flag = f"--{name.replace('_', '-')}"
        raise UsageError(f"{flag} changes nothing here", where=flag, remedy=f"leave it out, or add {reader}")
    from ..training import pretrain as run
    from .progress import TerminalWatch

    if dry_run:
        from ..training import plan_pretrain

        typer.echo(plan_pretrain(data, asked).text())
        return
    result = run(
        data, out or "runs/pretrain", asked, resume=resume, overwrite=overwrite, watch=TerminalWatch(asked.epochs)
    )
    typer.echo(f"encoder: {result.folder / 'checkpoints' / 'final.safetensors'}")
    typer.echo(f"report: {result.folder / 'report.html'}")
