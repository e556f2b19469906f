"""The ensemble of what a run has trained anyway: weighed on validation images, built and tested where it wins."""

from __future__ import annotations

import dataclasses
import time
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..engine import read_split
from ..models import PENULTIMATE
from ..probes import criterion_terms
from ..runs import Calibration, LayerRow, Member, MethodRow
from .calibrating import Held, fit_calibration, judge_calibration
from .choose import validation_logits
from .desk import Desk, keep_method
from .ensemble import Ensemble, Part
from .methods import ENSEMBLE, inner_probe
from .pooling import choose_pool
from .tuned import TunedNetwork
from .tuning import Tuned, scores_on_test
from .workbench import Workbench

__all__ = ["Weighed", "put_together", "weigh"]

_BATCH = 32
_REPEATS = 5


@dataclasses.dataclass(frozen=True)
class Weighed:
    """An ensemble as the validation images judge it.

    Attributes:
        weights: Of each member, together 1, the heaviest first.
        temperatures: The logits of each member are divided by it first.
        accuracies: Of each member alone, on validation images.
        classes, losses: For each validation image, what weights say that were chosen without it.
        temperature: Of the ensemble's own probabilities; None with ``note``, which says why.
        gap, error: How much better it is than the best single method, with the standard error.
        wins: Whether the gap is larger than that.
        why: The finding in a sentence.
        seconds: What it took to find out.
    """

    weights: dict[str, float]
    temperatures: dict[str, float]
    accuracies: dict[str, float]
    classes: list[int]
    losses: list[float]
    temperature: float | None
    note: str | None
    gap: float
    error: float
    wins: bool
    why: str
    seconds: float


def weigh(bench: Workbench, desk: Desk, finished: dict[str, Tuned], best: str) -> Weighed | None:
    """Weigh the finished methods and the probes of all layers; the ensemble wins if it beats ``best`` by a standard error.

    Args:
        bench: Data, network, device.
        desk: Keeps the finding.
        finished: The methods by name.
        best: The one that would be handed over alone.

    Returns:
        None where the budget has no room for it.
    """
    num_tuned = sum(tuned.model.method.changes_features for tuned in finished.values())
    images = (1 + num_tuned) * (len(bench.bundle.validation) + len(bench.bundle.test))
    if not bench.pace.allows(ENSEMBLE.name, "the ensemble", lambda: images * bench.pace.seconds_per_image):
        return None
    return Weighed(**desk.ledger.once(ENSEMBLE.name, lambda: dataclasses.asdict(_weigh(bench, finished, best))))


def _weigh(bench: Workbench, finished: dict[str, Tuned], best: str) -> Weighed:
    began = time.perf_counter()
    metric, labels = bench.settings.metric, bench.validation_features.labels
    logits, temperatures = _candidates(bench, finished)
    balanced = metric in ("balanced_accuracy", "macro_f1")
    pool = choose_pool(logits, labels, balanced=balanced, seed=bench.settings.seed)
    calibration = fit_calibration(pool.held, labels, bench.bundle.class_names)
    losses = functional.cross_entropy(pool.held / (calibration.temperature or 1.0), labels, reduction="none")
    single, num_train = finished[best], len(bench.bundle.train)
    said, lost = single.held[num_train:], single.held_losses
    theirs = criterion_terms(metric, labels, said, None if lost is None else lost[num_train:])
    ours = criterion_terms(metric, labels, pool.held.argmax(1), losses)
    difference = (ours - theirs).double().numpy()
    gap, error = float(difference.mean()), float(difference.std()) / len(difference) ** 0.5
    wins = len(pool.weights) > 1 and gap > error
    unit = (lambda value: f"{value:.3f} nats") if metric == "log_loss" else (lambda value: f"{100 * value:.1f} points")
    place = "better" if gap > 0 else "worse"
    why = (
        f"Together, {len(pool.weights)} members were {unit(abs(gap))} {place} on {len(labels)} validation images than "
        f"{single.row.phrase} alone (standard error {unit(error)})."
    )
    if len(pool.weights) == 1:
        why = f"No second member lowers the log-loss on {len(labels)} validation images."
    accuracies = {name: float((logits[name].argmax(1) == labels).double().mean()) for name in pool.weights}
    return Weighed(
        weights=pool.weights,
        temperatures={name: temperatures[name] for name in pool.weights},
        accuracies=accuracies,
        classes=pool.held.argmax(1).tolist(),
        losses=losses.tolist(),
        temperature=calibration.temperature,
        note=calibration.note,
        gap=gap,
        error=error,
        wins=wins,
        why=why,
        seconds=time.perf_counter() - began,
    )


def _candidates(bench: Workbench, finished: dict[str, Tuned]) -> tuple[dict[str, Tensor], dict[str, float]]:
    """By member its calibrated logits of the validation images, and its temperature."""
    logits: dict[str, Tensor] = {}
    temperatures: dict[str, float] = {}

    def add(name: str, raw: Tensor, temperature: float | None) -> None:
        temperatures[name] = temperature or 1.0
        logits[name] = raw.double() / temperatures[name]

    for name, tuned in finished.items():
        if bench.settings.fits(tuned.model.method):
            found = bench.probing.cross_validated(bench.start.probe_of(tuned.model.method))
            raw = bench.probing.validation_logits(found)
        else:
            raw, _ = validation_logits(tuned.model, bench)
        add(name, raw, tuned.calibration["temperature"])
    for layer, found in bench.probing.layers.items():
        if layer == PENULTIMATE or inner_probe(layer).name in finished:
            continue
        held = Held.of(found.held_logits, bench.probing.labels, bench.bundle.class_names)
        add(
            inner_probe(layer).name,
            bench.probing.validation_logits(found),
            held.calibration.temperature if held.calibration else None,
        )
    return logits, temperatures


def put_together(
    bench: Workbench, desk: Desk, finished: dict[str, Tuned], weighed: Weighed, best: str, before: LayerRow
) -> Tuned:
    """The ensemble as a classifier, tested, timed beside the best single method, and kept on the disk.

    Args:
        bench: Data, network, device.
        desk: Where its weights are kept.
        finished: The methods; the row of ``best`` gets what an image costs with it.
        weighed: Members and weights.
        best: The best single method.
        before: The penultimate layer before tuning.
    """
    parts = []
    for name, weight in weighed.weights.items():
        model = finished[name].model if name in finished else bench.start.fitted(inner_probe(name.partition("@")[2]))
        parts.append(Part(name, model, weight, weighed.temperatures[name]))
    ensemble = Ensemble(parts).to(bench.runtime.device)
    logits, labels = _tested(bench, ensemble)
    images = next(bench.inputs.loader("validation").epoch(0)).images[:_BATCH].to(bench.runtime.device)
    single = finished[best]
    single.row = single.row.model_copy(update={"passes": 1, "milliseconds": _milliseconds(bench, single.model, images)})
    learned, total = ensemble.count_parameters()
    found = Calibration(temperature=weighed.temperature, images=len(weighed.classes), note=weighed.note)
    row = MethodRow(
        title=f"Ensemble of {len(parts)}",
        phrase=f"the ensemble of {len(parts)} members",
        mark=ENSEMBLE.mark,
        unit=None,
        why=weighed.why,
        tunes=ENSEMBLE.tunes,
        **scores_on_test(logits.argmax(1), labels),
        val_accuracy=float(np.mean(np.array(weighed.classes) == bench.validation_features.labels.numpy())),
        tuned_parameters=learned,
        total_parameters=total,
        seconds=weighed.seconds,
        nc1_before=before.nc1,
        notes={"nc1_after": "an ensemble has no features of its own"},
        cost_note="nothing is trained",
        epochs=0,
        best_epoch=None,
        history=(),
        calibration=judge_calibration(found, logits, labels),
        members=tuple(
            Member(name=name, weight=weight, val_accuracy=weighed.accuracies[name])
            for name, weight in weighed.weights.items()
        ),
        passes=ensemble.passes,
        milliseconds=_milliseconds(bench, ensemble, images),
    )
    # Whoever has a finished method asks what it says of images, and an ensemble answers like a tuned network.
    made = Tuned(cast(TunedNetwork, ensemble), row, [], logits, labels, *_held(weighed, len(bench.bundle.train)))
    keep_method(bench, desk, f"method/{ENSEMBLE.name}", desk.checkpoints / f"{ENSEMBLE.name}.safetensors", made)
    bench.watch.say(_said(row, single.row))
    return made


def _held(weighed: Weighed, num_train: int) -> tuple[Tensor, Tensor]:
    """Classes and log-losses of the training images, of which nothing is known, then of the validation images."""
    classes = torch.cat([torch.full((num_train,), -1, dtype=torch.int64), torch.tensor(weighed.classes)])
    losses = torch.tensor(weighed.losses, dtype=torch.float64)
    return classes, torch.cat([torch.full((num_train,), torch.nan, dtype=torch.float64), losses])


def _tested(bench: Workbench, ensemble: Ensemble) -> tuple[Tensor, Tensor]:
    with bench.watch.stage("test of the ensemble", len(bench.bundle.test)) as advance:
        loader = bench.inputs.loader("test")
        reading = read_split(
            lambda images: {"logits": ensemble(images)},
            loader.epoch(0),
            len(loader.split),
            bench.runtime,
            stop=bench.stop,
            advance=advance,
        )
    return reading.found["logits"], reading.labels


def _milliseconds(bench: Workbench, model: torch.nn.Module, images: Tensor) -> float:
    """Time of an image in one batch, the median of several, in milliseconds."""
    model.eval()
    taken = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        with torch.inference_mode(), bench.runtime.autocast():
            float(model(images).sum())
        taken.append(time.perf_counter() - began)
    return 1000 * float(np.median(taken[1:])) / len(images)


def _said(row: MethodRow, single: MethodRow) -> str:
    low, high = row.test_accuracy_interval or (float("nan"), float("nan"))
    return (
        f"{row.title}: {row.test_accuracy:.1%} on test images ({low:.1%} to {high:.1%}); {row.passes} forward passes, "
        f"{(row.total_parameters or 0) / 1e6:.1f} million parameters and {row.milliseconds:.2g} ms an image, where "
        f"{single.phrase} takes 1, {(single.total_parameters or 0) / 1e6:.1f} million and {single.milliseconds:.2g} ms"
    )
