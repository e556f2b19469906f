"""The dry run: the steps of a run and about their cost, from one measured step."""

from __future__ import annotations

import time

import torch

from ..runs import Plan
from .choose import TRIAL_EPOCHS, trial_images
from .contest import most_images
from .cost import measure_step
from .methods import METHODS, find_method
from .recipe import rates_for
from .settings import TransferSettings
from .tuned import TunedNetwork
from .workbench import Workbench

__all__ = ["plan_run"]


def plan_run(settings: TransferSettings, kind: str = "auto", *, unit: str | None = None) -> Plan:
    """Open the data and the network, time a forward pass and a training step, and extrapolate. Nothing is written."""
    methods = () if kind == "probe" else settings.methods
    for name in methods:
        find_method(name).check_package()
    bench = Workbench(settings)
    if unit is not None:
        bench.check_units(unit)
    sizes = {name: len(split) for name, split in bench.bundle.splits().items()}
    forward = _seconds_per_image(bench)
    whole = TunedNetwork(bench.network, METHODS["full"], None, bench.num_classes).to(bench.runtime.device)
    batch = min(bench.batch_size, sizes["train"])
    step = measure_step(whole, batch, runtime=bench.runtime)
    per_image = step["seconds_per_step"] / batch
    trial_passes = trial_images(sizes["train"]) * min(TRIAL_EPOCHS, bench.epochs)
    seconds = forward * (sizes["train"] + 2 * sizes["validation"]) + 0.5 * len(bench.measured_layers)
    lines = [
        f"data: {bench.bundle.name}, {bench.num_classes} classes, "
        + ", ".join(f"{number} {name}" for name, number in sizes.items()),
        f"network: {bench.network.name}, {len(bench.measured_layers)} layers, input {bench.network.size} px, "
        f"on {bench.runtime.device}",
    ]
    chosen = unit is not None
    for name in methods:
        method = METHODS[name]
        if settings.fits(method):
            seconds += forward * sizes["test"]
            lines.append(f"{method.title}: fitted to features that are taken once")
            continue
        # The block is chosen once, for all methods that tune one.
        trials = len(bench.units) if method.needs_unit and not chosen else 0
        chosen |= method.needs_unit
        rates = 1 if settings.lr is not None else len(rates_for(method.base_rate, method.whole))
        share = method.step_share or forward / per_image
        training = share * per_image * sizes["train"] * bench.epochs * rates
        seconds += method.trial_share * per_image * trial_passes * trials + training + forward * sum(sizes.values())
        before = f"{trials} trials, then " if trials else ""
        lines.append(f"{method.title}: {before}{bench.epochs} epochs{f' at {rates} rates' if rates > 1 else ''}")
    tuned = any(METHODS[name].changes_features for name in methods)
    if kind == "auto" and tuned and bench.can_join:
        folds = (
            f"up to {most_images(bench) * per_image:.0f} s of further folds where methods cannot be told apart, and "
            if settings.more_folds
            else ""
        )
        lines.append(f"not counted: {folds}the winner trained again on all images")
    if settings.ensemble:
        lines.append("an ensemble of what is finished, weighed on validation images and tested where it wins")
    weights = sum(parameter.numel() for parameter in bench.network.parameters()) * 4
    return Plan(tuple(lines), seconds, step["step_memory_bytes"], weights * (len(methods) + 1) + (2 << 20))


def _seconds_per_image(bench: Workbench) -> float:
    batch = next(bench.inputs.loader("train").epoch(0)).images[:64].to(bench.runtime.device)
    with torch.inference_mode():
        bench.network(batch)
        started = time.perf_counter()
        bench.network(batch)
    return (time.perf_counter() - started) / len(batch)
