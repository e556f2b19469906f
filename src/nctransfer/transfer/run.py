"""One run, from data to report: measure every layer, choose, tune, test, hand over."""

from __future__ import annotations

import dataclasses
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from ..data import DataBundle, progress_shown_by, warnings_of_report
from ..engine import StopRequest, Watch, check_trackers
from ..errors import DataError, UsageError
from ..metrics import layer_numbers
from ..models import PENULTIMATE, Network
from ..probes import accuracy_interval
from ..runs import (
    SCHEMA_VERSION,
    Augmentation,
    Balance,
    Cost,
    DataReport,
    Dataset,
    FrontierPoint,
    Hardware,
    LayerRow,
    MetricFacts,
    Mistake,
    ModelFacts,
    Result,
    SplitSizes,
    TrialRow,
    TuningPicture,
    Verb,
    describe_environment,
)
from .again import train_again
from .attempts import attempt
from .choose import Chooser
from .contest import decide
from .desk import Desk
from .features import measure_features
from .forecast import set_pace
from .kin import with_leak, with_likeness
from .methods import ENSEMBLE, find_method, inner_probe
from .pace import Pace
from .result import RunResult
from .settings import TransferSettings
from .together import put_together, weigh
from .tried import everything_tried
from .tuning import Tuned
from .workbench import Workbench

__all__ = ["run_transfer"]

_MISTAKES = 24


def run_transfer(
    kind: Verb,
    settings: TransferSettings,
    out: str | Path,
    *,
    unit: str | None = None,
    bundle: DataBundle | None = None,
    module: nn.Module | Network | None = None,
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
    spent: float = 0.0,
) -> RunResult:
    """One network and one seed, into the run folder ``out``.

    Args:
        kind: ``auto``, ``tune`` (the methods of the settings, with ``unit`` where given) or ``probe`` (nothing is tuned).
        settings: What to do; see :class:`TransferSettings`.
        out: The run folder.
        unit: The tuned blocks, as `find_tuned` reads them; one is chosen by trials where None.
        bundle, module: Data and network as objects, in place of those that the settings name.
        resume, overwrite: What to do about a run that stands in ``out``.
        watch: Receives progress.
        spent: Seconds of the budget that were gone before.

    Raises:
        UsageError: the budget has no room for a pass over the images.
        PreemptedError: told to stop by SIGTERM; what was finished is kept, and so is the method in progress.
    """
    started = time.perf_counter()
    check_trackers(settings.trackers)
    methods: list[str] = [] if kind == "probe" else list(settings.methods)
    if settings.ensemble and kind != "auto":
        raise UsageError(f"`{kind}` makes no ensemble", where="--ensemble", remedy="use auto, which compares methods")
    for name in methods:
        find_method(name).check_package()
    config = {"verb": kind, "unit": unit, **settings.model_dump()}
    watch = watch or Watch()
    with (
        Desk(Path(out), config, resume, overwrite) as desk,
        StopRequest() as stop,
        progress_shown_by(watch.detail),
    ):
        bench = Workbench(settings, bundle=bundle, module=module, watch=watch, stop=stop)
        _check_accumulation(bench)
        if unit is not None:
            bench.check_units(unit)
        bench.check_layers()
        if bench.balance.words:
            watch.say(f"balance: {bench.balance.words} ({bench.balance.kind}; {bench.balance.why})")
        ledger = desk.ledger
        bench.pace = Pace(settings.budget, ledger, bench.runtime, time.perf_counter() - started + spent)
        set_pace(bench)
        desk.begin(bench.bundle)
        report = DataReport.of(bench.bundle.report)  # refused now, and not after everything is computed
        stored = ledger.once("layers", lambda: [row.plain() for row in measure_layers(bench)])
        layers = [LayerRow.model_validate(row) for row in stored]
        pace = bench.pace
        took = ledger.once("layers/seconds", lambda: {"pass": pace.pass_seconds, "probes": pace.probe_seconds})
        bench.warn(_about_layers(layers))
        _say_layers(bench, layers)
        report = with_leak(with_likeness(report, bench), bench, ledger)
        outcome = _Outcome()
        if methods:
            chooser = Chooser(bench, ledger)
            if settings.budget is None and any(not settings.fits(find_method(name)) for name in methods):
                _ = bench.augmentation  # asked before the first method, so that its pass over the data is nobody's time
            names = [*methods, *_inner(bench, methods)] if kind == "auto" else methods
            finished, left_out = attempt(bench, chooser, desk, names, unit, layers)
            rows = {name: tuned.row for name, tuned in finished.items()}
            outcome = _conclude(bench, desk, finished, left_out, chooser.trials, layers[-1])
            bench.warn(pace.missed)
            judged, own = ledger.once("layers/validation", bench.probing.validation_accuracies), {}
            if bench.probing.folded and not any(tuned.model.method.changes_features for tuned in finished.values()):
                judged = {layer.name: layer.probe_val_accuracy for layer in layers}
                own = {name: outcome.finished[name].row.out_of_fold_accuracy for name in rows}
            outcome.tried = everything_tried(
                judged, rows, outcome.trials, own, features=took["pass"], probes=took["probes"]
            )
            outcome.picture = _picture(bench, desk, outcome)
        cost = desk.cost(time.perf_counter() - started, bench.table.temperature if bench.table is not None else "cold")
        record = _record(kind, bench, report, layers, outcome, cost)
        desk.finish(record)
        return RunResult(record, desk.path, {name: tuned.model for name, tuned in outcome.finished.items()})


def _check_accumulation(bench: Workbench) -> None:
    batch, parts = min(bench.batch_size, len(bench.bundle.train)), bench.settings.accumulation
    if parts > 1 and batch // parts < 2:
        raise UsageError(
            f"batches of {batch} in {parts} parts leave single images, of which BatchNorm can make nothing",
            where="--accumulation",
            remedy=f"use at most {max(1, batch // 2)}",
        )


def measure_layers(bench: Workbench) -> list[LayerRow]:
    """Collapse of every layer on the training split, and the held-out accuracy of a linear probe of each."""
    began = time.perf_counter()
    _ = bench.train_features, bench.validation_features
    bench.pace.pass_seconds = time.perf_counter() - began
    measured = measure_features(bench.train_features, bench.num_classes, permutations=20, seed=bench.settings.seed)
    began = time.perf_counter()
    with bench.watch.stage("linear probes"):
        probes, left_out = bench.probing.layers, bench.probing.left_out
    bench.pace.probe_seconds = time.perf_counter() - began
    if PENULTIMATE in left_out:
        raise DataError(
            f"the network's output cannot be classified: {left_out[PENULTIMATE]}",
            where=f"{bench.network.name}, penultimate features",
            remedy="check the weights, --image-size and the images",
        )
    rows = []
    for row in measured:
        found = probes.get(row.name)
        reason = left_out.get(row.name, "" if found else "there was no time under the budget")
        notes = row.notes | ({"probe_val_accuracy": reason} if reason else {})
        accuracy = None if found is None else found.accuracy
        rows.append(row.model_copy(update={"probe_val_accuracy": accuracy, "notes": notes}))
    return rows


def _about_layers(layers: list[LayerRow]) -> list[str]:
    """A warning for the layers that no probe can use, by reason."""
    names: dict[str, list[str]] = {}
    for row in layers:
        if reason := row.notes.get("probe_val_accuracy"):
            names.setdefault(reason, []).append(row.name)
    return [
        f"left out of the probes: layer{'s' if len(same) > 1 else ''} {', '.join(same)} ({reason})"
        for reason, same in names.items()
    ]


def _say_layers(bench: Workbench, layers: list[LayerRow]) -> None:
    last = layers[-1]
    collapse = "" if last.nc1 is None else f"penultimate NC1 {last.nc1:.3g}, "
    bench.watch.say(
        f"{len(layers)} layers measured: {collapse}linear probe {last.probe_val_accuracy:.1%} on held-out images"
    )


@dataclasses.dataclass
class _Outcome:
    """Results of the methods of a run; empty for a run that tunes nothing."""

    finished: dict[str, Tuned] = dataclasses.field(default_factory=dict)
    best: str | None = None
    trials: tuple[TrialRow, ...] = ()
    confusion: tuple[tuple[int, ...], ...] | None = None
    mistakes: tuple[Mistake, ...] = ()
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    tried: tuple[FrontierPoint, ...] = ()
    picture: TuningPicture | None = None


def _record(
    kind: Verb, bench: Workbench, report: DataReport, layers: list[LayerRow], outcome: _Outcome, cost: Cost
) -> Result:
    environment, bundle = describe_environment(), bench.bundle
    trained = any(not bench.settings.fits(find_method(name)) for name in outcome.finished)
    level, _, why = bench.augmentation if trained else (None, None, "")
    return Result(
        schema_version=SCHEMA_VERSION,
        kind=kind,
        dataset=Dataset(
            name=bundle.name,
            num_classes=bench.num_classes,
            class_names=bundle.class_names,
            report=report,
        ),
        model=ModelFacts.model_validate(bench.describe_network()),
        splits=SplitSizes(train=len(bundle.train), validation=len(bundle.validation), test=len(bundle.test)),
        layers=tuple(layers),
        metrics={number.name: MetricFacts.of(number, metric.collapsed) for metric, number in layer_numbers()},
        seed=bench.settings.seed,
        versions=environment["versions"],
        hardware=Hardware(
            processor=environment["processor"],
            cores=environment["cores"],
            devices=environment["devices"],
            **bench.runtime.describe(),
        ),
        warnings=(*bench.notes, *warnings_of_report(bundle.report)),
        augment=None if level is None else Augmentation(level=level, why=why),
        balance=Balance(**dataclasses.asdict(bench.balance)),
        layers_after={name: tuple(t.layers_after) for name, t in outcome.finished.items() if t.layers_after},
        trials=outcome.trials,
        methods={name: tuned.row for name, tuned in outcome.finished.items()},
        left_out=outcome.left_out,
        tried=outcome.tried,
        decisions=tuple(bench.pace.decisions),
        best_method=outcome.best,
        confusion=outcome.confusion,
        recall_intervals=recall_intervals(outcome.confusion),
        metric=bench.settings.metric,
        mistakes=outcome.mistakes,
        picture=outcome.picture,
        cost=cost,
    )


def _picture(bench: Workbench, desk: Desk, outcome: _Outcome) -> TuningPicture | None:
    """The picture of collapse before tuning, and after it by method."""

    def before() -> dict[str, Any] | None:
        found = bench.easel.before(bench) if bench.easel is not None else None
        return found.plain() if found else None

    stored = desk.ledger.once("picture", before)
    if stored is None:
        return None
    after = {name: tuned.picture for name, tuned in outcome.finished.items() if tuned.picture}
    return TuningPicture.model_validate(stored).model_copy(update={"after": after})


def _inner(bench: Workbench, methods: list[str]) -> list[str]:
    """The best inner layer's probe, which can be handed over wherever the deep probe can."""
    layer = bench.probing.best_layer(bench.settings.metric) if "deep" in methods else PENULTIMATE
    return [] if layer == PENULTIMATE else [inner_probe(layer).name]


def _conclude(
    bench: Workbench,
    desk: Desk,
    finished: dict[str, Tuned],
    left_out: dict[str, str],
    trials: tuple[TrialRow, ...],
    before: LayerRow,
) -> _Outcome:
    """The winner by validation, its mistakes, and the model to hand over."""
    verdict = decide(bench, desk, finished)
    best = verdict.name
    weighed = weigh(bench, desk, finished, best) if bench.settings.ensemble else None
    why = f"{finished[best].row.why} {verdict.why}".strip()
    if weighed is not None and weighed.wins and best not in weighed.weights:
        winner = finished[best]
        winner.row = winner.row.model_copy(update={"why": why})
    else:
        winner = finished[best] = train_again(bench, desk, best, finished[best], before)
        winner.row = winner.row.model_copy(update={"why": f"{why} {winner.row.why}".strip()})
    if weighed is not None and weighed.wins:
        winner = put_together(bench, desk, finished, weighed, best, before)
        best = ENSEMBLE.name
        finished[best] = winner
    elif bench.settings.ensemble:
        left_out[ENSEMBLE.name] = bench.pace.why if weighed is None else weighed.why
        bench.watch.say(f"no ensemble: {left_out[ENSEMBLE.name]}")
    predicted = winner.logits.argmax(1)
    confusion = torch.zeros(bench.num_classes, bench.num_classes, dtype=torch.int64)
    confusion.index_put_((winner.labels, predicted), torch.ones_like(predicted), accumulate=True)
    if desk.is_main:
        again = desk.checkpoints / f"{best}-again.safetensors"
        source = again.stem if f"again/{best}" in desk.ledger and again.is_file() else best
        for suffix in (".safetensors", ".json"):
            shutil.copyfile(desk.checkpoints / f"{source}{suffix}", desk.checkpoints / f"best{suffix}")
    return _Outcome(
        finished,
        best,
        trials,
        tuple(map(tuple, confusion.tolist())),
        _mistakes(winner, bench, desk.path) if desk.is_main else (),
        left_out,
    )


def recall_intervals(confusion: tuple[tuple[int, ...], ...] | None) -> tuple[tuple[float, float] | None, ...]:
    """The 95 % interval of each class's recall, from a confusion matrix whose rows are true classes.

    Example:
        >>> recall_intervals(((10, 0), (0, 0)))[0][1], recall_intervals(((10, 0), (0, 0)))[1]
        (1.0, None)
    """
    return tuple(
        accuracy_interval(row[place], sum(row)) if sum(row) else None for place, row in enumerate(confusion or ())
    )


def _mistakes(winner: Tuned, bench: Workbench, folder: Path) -> tuple[Mistake, ...]:
    """The most confident errors on the test split, with thumbnails."""
    probabilities = (winner.logits.double() / (winner.calibration["temperature"] or 1.0)).softmax(1)
    confidence, predicted = probabilities.max(1)
    wrong = (predicted != winner.labels).nonzero().flatten()
    order = wrong[confidence[wrong].argsort(descending=True, stable=True)][:_MISTAKES]
    (folder / "mistakes").mkdir(exist_ok=True)
    found = []
    for number, index in enumerate(order.tolist()):
        image = bench.bundle.test.image(index)
        image.thumbnail((160, 160), Image.Resampling.LANCZOS)
        if max(image.size) < 96:  # tiny images are shown larger, pixel by pixel
            factor = 96 // max(image.size)
            image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
        name = f"mistakes/{number:03d}.png"
        image.save(folder / name)
        found.append(
            Mistake(
                identity=bench.bundle.test.identity(index),
                true=bench.bundle.class_names[int(winner.labels[index])],
                predicted=bench.bundle.class_names[int(predicted[index])],
                probability=float(confidence[index]),
                thumbnail=name,
            )
        )
    return tuple(found)
