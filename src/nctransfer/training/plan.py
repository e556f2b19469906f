"""The dry run of pre-training: its data, network and steps, and its cost from one measured step."""

from __future__ import annotations

import time
from pathlib import Path

from ..data import DataBundle
from ..engine import Loop, Runtime, StopRequest
from ..errors import DataError
from ..runs import Plan, RunFolder
from .opening import open_data
from .pretrain import PretrainRun
from .settings import PretrainSettings
from .task import plan_of

__all__ = ["plan_pretrain"]

_FORWARD_SHARE = 1 / 3  # of a training step's time: a forward pass, where the backward pass takes twice as long


def plan_pretrain(data: str | Path | DataBundle, settings: PretrainSettings, *, download: bool = True) -> Plan:
    """Open the data, build the network, time one training step, and extrapolate. Nothing is written.

    Args:
        data, settings, download: As for :func:`nctransfer.pretrain`.

    Raises:
        UsageError, DataError, SetupError: what the run itself would raise before it begins.
    """
    runtime = Runtime(settings.device, settings.precision)
    work = PretrainRun(
        open_data(data, settings, download, None), settings, runtime, RunFolder("dry-run"), StopRequest(), network=None
    )
    steps_an_epoch = len(work.batches)
    loop = Loop(work.task, work.batches, plan_of(settings), runtime)
    seconds = _seconds_per_step(loop, work.bundle.name)
    images = len(work.train) + len(work.bundle.test)
    per_image = seconds / min(settings.batch_size, len(work.train))
    measured = 1 + settings.epochs // settings.measure_every
    parameters = sum(parameter.numel() for parameter in work.model.parameters())
    lines = (
        f"data: {work.bundle.name}, {work.num_classes} classes, {len(work.train)} train, {len(work.bundle.test)} test",
        f"network: {work.network.name}, {parameters:,} parameters, input {work.network.size} px, on {runtime.device}",
        f"training: {settings.epochs} epochs of {steps_an_epoch} steps, {loop.num_steps} steps in all, "
        f"{seconds:.3g} s each; collapse measured {measured} times",
    )
    weights = parameters * 4
    return Plan(
        lines,
        seconds * loop.num_steps + measured * images * per_image * _FORWARD_SHARE,
        disk_bytes=weights * (1 + 2 * settings.keep_checkpoints) + (2 << 20),
        basis="extrapolated from one measured step",
    )


def _seconds_per_step(loop: Loop, data: str) -> float:
    """Time of a step after a first one, which also pays for what is set up once."""
    seconds = 0.0
    loop.trained.train()
    for _ in range(2):
        batch = next(iter(loop.batches.epoch(0)), None)
        if batch is None:
            raise DataError("no training batch can be made", where=data, remedy="check --batch-size")
        began = time.perf_counter()
        loop.take_step(batch)
        seconds = time.perf_counter() - began
    return seconds
