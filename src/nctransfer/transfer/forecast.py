"""The cost of the next step of a run in seconds, from passes and steps that were measured in the same run."""

from __future__ import annotations

import itertools
import statistics
import time

import torch

from .averaging import SHARES
from .choose import TRIAL_EPOCHS, trial_images
from .cost import measure_step
from .methods import METHODS, TuningMethod
from .tuning import evaluation_images
from .workbench import Workbench

__all__ = ["evaluation_seconds", "least_seconds", "pass_seconds", "rate_seconds", "set_pace", "trials_seconds"]

_BATCHES = 3
_STEP_PASSES = 2.0
"""The least that a training step takes, in forward passes of the whole network."""


def set_pace(bench: Workbench) -> None:
    """Time a forward pass where there is a budget, and refuse one that has no room for a pass over the images.

    Raises:
        UsageError: with the budget that is needed.
    """
    pace = bench.pace
    if pace.budget is None:
        return
    sizes = {name: len(split) for name, split in bench.bundle.splits().items()}
    measured = None if "budget/pass" in pace.ledger else pass_seconds(bench)
    if measured is not None and "layers" not in pace.ledger:  # refused before anything is written
        images = sum(sizes.values())
        pace.require(f"one pass over the {images:,} images", measured * images)
    stored = pace.ledger.once("budget/pass", lambda: {"spent": 0.0, "seconds_per_image": measured})
    pace.seconds_per_image = stored["seconds_per_image"]
    pace.reserve = pace.seconds_per_image * sizes["test"]


def pass_seconds(bench: Workbench) -> float:
    """Seconds of a forward pass for one image, reading included, over a batch."""
    loader = bench.inputs.loader("train")
    next(iter(loader.epoch(0)))  # whatever is decoded once is decoded now
    started = time.perf_counter()
    images = next(iter(loader.epoch(0))).images.to(bench.runtime.device)
    read = (time.perf_counter() - started) / len(images)
    images = images[:64]
    with torch.inference_mode(), bench.runtime.autocast():
        bench.network(images)  # the first pass of a shape is slower
        started = time.perf_counter()
        float(bench.network(images).sum())
    return read + (time.perf_counter() - started) / len(images)


def evaluation_seconds(bench: Workbench, method: TuningMethod) -> float:
    """Seconds to measure a finished method, on test and validation images, and on the training images where features changed."""
    return bench.pace.seconds_per_image * evaluation_images(bench, method)


def trials_seconds(bench: Workbench) -> float:
    """The trials that choose the block: a pass up to the cut, then short trainings of what lies above."""
    rows = trial_images(len(bench.bundle.train))
    epochs = min(TRIAL_EPOCHS, bench.epochs)
    passes = rows * (1 + 3 * epochs) + len(bench.bundle.validation) * (1 + epochs)
    return len(bench.units) * passes * bench.pace.seconds_per_image


def least_seconds(bench: Workbench, method: TuningMethod) -> float:
    """Less than a training at one rate can take, known without a single step."""
    images = bench.epochs * len(bench.bundle.train)
    return _STEP_PASSES * method.step_share * images * bench.pace.seconds_per_image


def rate_seconds(bench: Workbench, method: TuningMethod, unit: str | None) -> float:
    """A training at one rate, and its share of judging the mixture: steps and batches of this very network are timed."""
    model = bench.start.fresh(METHODS[method.name], unit, bench.protocol)
    num_train, batch = len(bench.bundle.train), min(bench.batch_size, len(bench.bundle.train))
    step = measure_step(model, batch, steps=_BATCHES + 1, runtime=bench.runtime)["seconds_per_step"]
    batches = bench.inputs.pixel_batches(bench.augmentation[0], bench.augmentation[1]).epoch(0)
    times = [time.perf_counter()]
    for _ in itertools.islice(batches, _BATCHES):
        times.append(time.perf_counter())
    read = statistics.median(after - before for before, after in itertools.pairwise(times))
    judged = bench.epochs + len(SHARES) + 2
    training = bench.epochs * max(1, num_train // batch) * (step + read)
    return training + judged * len(bench.bundle.validation) * bench.pace.seconds_per_image
