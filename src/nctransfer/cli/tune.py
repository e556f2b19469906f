"""``nctransfer tune``: one tuning method, one unit."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import UsageError, near_names
from .options import Options, collect

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("tune")(tune)


def tune(
    data: Options.Data,
    model: Options.Model = None,
    method: Annotated[str, typer.Option(help="linear, layer, scl or full.")] = "scl",
    layer: Annotated[str | None, typer.Option(help="The unit to tune. [default: chosen by trials]")] = None,
    weights: Options.Weights = None,
    arch: Options.Arch = None,
    out: Options.Out = None,
    layers: Options.Layers = None,
    epochs: Options.Epochs = None,
    image_size: Options.ImageSize = None,
    limit: Options.Limit = None,
    batch_size: Options.BatchSize = None,
    augment: Options.Augment = None,
    lr: Options.Lr = None,
    weight_decay: Options.WeightDecay = None,
    num_workers: Options.NumWorkers = None,
    cache: Options.Cache = None,
    seed: Options.Seed = None,
    seeds: Annotated[int, typer.Option(min=1, help="Run this many seeds, from --seed on.")] = 1,
    device: Options.Device = None,
    precision: Options.Precision = None,
    on_bad_image: Options.OnBadImage = None,
    download: Options.Download = None,
    resume: Options.Resume = False,
    overwrite: Options.Overwrite = False,
    config: Options.Config = None,
    set_: Options.Set = None,
) -> None:
    """Tune with one method."""
    from ..transfer.settings import METHOD_NAMES
    from .launch import launch

    if method not in METHOD_NAMES:
        raise UsageError(f"unknown method {method!r}", where="--method", remedy=near_names(method, METHOD_NAMES))
    given = {
        "weights": weights,
        "arch": arch,
        "layers": layers,
        "epochs": epochs,
        "image_size": image_size,
        "limit": limit,
        "batch_size": batch_size,
        "augment": augment,
        "lr": lr,
        "weight_decay": weight_decay,
        "num_workers": num_workers,
        "cache": cache,
        "seed": seed,
        "device": device,
        "precision": precision,
        "on_bad_image": on_bad_image,
        "download": download,
        "methods": [method],
    }
    launch(
        "tune",
        data,
        model,
        collect(given, config, set_),
        out=out,
        seeds=seeds,
        resume=resume,
        overwrite=overwrite,
        unit=layer,
    )
