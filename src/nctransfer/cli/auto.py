"""``nctransfer auto``: from a folder of images to the best network, unit and method, a tuned model and a report."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Options, collect

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("auto")(auto)


def auto(
    data: Options.Data,
    model: Options.Model = None,
    weights: Options.Weights = None,
    arch: Options.Arch = None,
    out: Options.Out = None,
    layers: Options.Layers = None,
    methods: Options.Methods = None,
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and what it costs; do nothing.")
    ] = False,
    config: Options.Config = None,
    set_: Options.Set = None,
) -> None:
    """Find the best unit and tuning method for your images by collapse and validation, tune, and report."""
    from .launch import launch

    given = {
        "weights": weights,
        "arch": arch,
        "layers": layers,
        "methods": methods,
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
    }
    launch(
        "auto",
        data,
        model,
        collect(given, config, set_),
        out=out,
        seeds=seeds,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
    )
