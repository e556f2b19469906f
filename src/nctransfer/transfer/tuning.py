"""Training one method to the end, and everything its row of the report says."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import torch

from ..engine import Batches, CachedBatches
from ..models import PENULTIMATE
from ..probes import accuracy_interval, balanced_accuracy, balanced_accuracy_interval, macro_f1
from ..runs import LayerAfter, LayerRow, MethodRow, PlanePicture, TuningEpoch
from .calibrating import Held, judge_calibration, metric_terms
from .choose import Choice, validation_accuracy, validation_logits
from .cost import measure_cost
from .evaluate import run_split
from .features import LayerFeatures, measure_features
from .fitting import Keeping, fit
from .inputs import Inputs
from .mechanism import split_mechanism
from .methods import METHODS, TuningMethod
from .mixing import Ends, train_mixture
from .protocol import Protocol
from .task import FitOutcome, TuningTask, tuning_plan
from .tuned import TunedNetwork
from .workbench import Workbench

__all__ = ["Tuned", "evaluate_method", "evaluation_images", "fit_probe", "scores_on_test", "train_method"]

_ROWS = 256


@dataclasses.dataclass
class Tuned:
    """A method trained to the end.

    Attributes:
        model: At its best epoch.
        row: The method's entry in ``result.json``.
        layers_after: ``name`` and ``nc1`` of every layer on training images, after tuning.
        logits: On the test split, (N, K), CPU.
        labels: Of the test split, (N,).
        held: For each training, then each validation image, the class that a fit says which did not see it; −1 where
            there is none.
        held_losses: The log-loss of that fit on the same images; NaN where there is none.
        picture: Of the tuned features; None for methods that leave them as they are.
    """

    model: TunedNetwork
    row: MethodRow
    layers_after: list[LayerAfter]
    logits: torch.Tensor
    labels: torch.Tensor
    held: torch.Tensor
    held_losses: torch.Tensor | None = None
    picture: PlanePicture | None = None

    @property
    def calibration(self) -> dict[str, Any]:
        """The temperature as the manifest of the weights holds it."""
        found = self.row.calibration
        if found is None or found.temperature is None:
            return {"temperature": None, "calibration": found.note if found else None}
        return {"temperature": found.temperature, "calibration": f"fitted on {found.images} held-out images"}


def fit_probe(bench: Workbench, method: TuningMethod) -> tuple[TunedNetwork, FitOutcome, Held]:
    """A method that fits its classifier in closed form, and what it says of images that it did not see."""
    started = time.perf_counter()
    with bench.watch.stage(method.title):
        model = bench.start.fitted(method)
        found = bench.probing.cross_validated(bench.start.probe_of(method))
    logits = bench.probing.validation_logits(found)
    accuracy = float((logits.argmax(1) == bench.validation_features.labels).double().mean())
    history: list[dict[str, float | int | None]] = [{"epoch": 0, "train_loss": None, "val_accuracy": accuracy}]
    held = Held.of(found.held_logits, bench.probing.labels, bench.bundle.class_names)
    return model, FitOutcome(0, accuracy, history, time.perf_counter() - started, 0), held


def train_method(
    bench: Workbench,
    method: str,
    choice: Choice,
    protocol: Protocol | None = None,
    keeping: Keeping | None = None,
    *,
    again: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    ends: Ends | None = None,
    label: str = "",
    title: str = "",
) -> tuple[TunedNetwork, FitOutcome]:
    """Tune ``method`` with the chosen block and rate; the model comes back as the protocol keeps it.

    Args:
        bench: Data, network, device.
        method: By name.
        choice: Block and rate.
        protocol: How it is trained; as the bench's settings say where None.
        keeping: Where the training in progress is kept, and taken up again.
        again: Train on training and validation images together, and weigh the last epochs of the rates like this, as an
            earlier training chose on validation.
        weights: The same weights without the validation images; nothing is chosen then.
        ends: Where the last epochs of finished rates are kept.
        label: Of this training among the files of the run; the method's name where empty.
        title: Of this training for people; the method's title where empty.
    """
    protocol = protocol or bench.protocol
    assert choice.learning_rate is not None, "a method that is trained by steps has a rate"
    model = bench.start.fresh(METHODS[method], choice.unit, protocol, everything=again is not None)
    inputs = bench.inputs if again is None else bench.whole
    training = _Training(
        bench,
        model,
        choice,
        protocol,
        inputs,
        *_batches(bench, inputs, model, protocol),
        chosen=weights if again is None else again,
        label=label or (method if again is None else f"{method}-again"),
        title=title or (model.method.title if again is None else f"{model.method.title} again"),
        keeping=keeping,
    )
    outcome = training.at(choice.learning_rate) if protocol.epoch != "mixture" else training.mixed(ends)
    model.merge_adapters(bench.inputs.sample("validation"))
    return model, outcome


def _batches(
    bench: Workbench, inputs: Inputs, model: TunedNetwork, protocol: Protocol
) -> tuple[Batches, torch.Tensor | None]:
    """Training batches, and the validation images at the cut where both are taken there; None where from pixels."""
    # Nothing in a frozen network can learn from augmentation; unless it is asked for, its features are taken once.
    frozen = not model.method.changes_features and bench.settings.augment == "auto"
    level = 1 if frozen or protocol.augment == "none" else bench.augmentation[0]
    cached = inputs.cached(model, "train") if level == 1 else None
    if cached is None:
        return inputs.pixel_batches(level, bench.augmentation[1]), None
    return inputs.cached_batches(cached), bench.inputs.cached(model, "validation")


@dataclasses.dataclass
class _Training:
    """A model, what it learns from, and how it is judged: trained at one rate, or at several that validation mixes.

    Attributes:
        kept: The validation images at the cut; None where they are read from pixels.
        chosen: The weight of each rate's last epoch, where it is given; nothing is validated then.
        label: Of this training among the files of the run.
        title: Of this training for people.
    """

    bench: Workbench
    model: TunedNetwork
    choice: Choice
    protocol: Protocol
    inputs: Inputs
    batches: Batches
    kept: torch.Tensor | None
    chosen: Mapping[str, float] | None
    label: str
    title: str
    keeping: Keeping | None

    def at(self, rate: float) -> FitOutcome:
        """Train at one rate."""
        bench, settings = self.bench, self.bench.settings
        task = TuningTask(
            self.model,
            rate,
            self.protocol,
            validate=lambda tuned: validation_accuracy(tuned, bench, self.kept),
            from_cut=isinstance(self.batches, CachedBatches),
            watch=self.chosen is None,
            label=self.label,
            score=None if settings.metric == "accuracy" else self._score,
            class_weights=self.inputs.loss_weights,
            log_prior=self.inputs.loss_prior,
        )
        plan = tuning_plan(
            task, bench.epochs, seed=settings.seed, accumulation=settings.accumulation, compile=settings.compile
        )
        said = f"{self.title} at the rate {rate:g}" if len(self.choice.rates) > 1 else self.title
        with bench.watch.stage(said, plan.epochs) as advance:
            return fit(task, self.batches, plan, bench.runtime, stop=bench.stop, keeping=self.keeping, advance=advance)

    def mixed(self, ends: Ends | None) -> FitOutcome:
        """Train at each rate, and leave the model between start and ends."""
        bench, choice = self.bench, self.choice
        assert choice.learning_rate is not None
        outcome = train_mixture(
            self.model,
            choice.rates or (choice.learning_rate,),
            self.at,
            lambda tuned: validation_logits(tuned, bench, self.kept)[0],
            bench.inputs.labels("validation").cpu(),
            label=self.label,
            again=self.chosen,
            ends=ends,
            finished=self.keeping.done if self.keeping is not None else lambda: None,
            go_on=self._go_on if self.chosen is None else lambda rate, last: True,
            balanced=bench.settings.metric in ("balanced_accuracy", "macro_f1") or bench.balance.kind != "none",
        )
        if self.chosen is None:
            bench.pace.learn(outcome.seconds / max(1, len(outcome.weights)))
        return outcome

    def _score(self, tuned: TunedNetwork) -> float:
        return float(metric_terms(self.bench.settings.metric, *validation_logits(tuned, self.bench, self.kept)).mean())

    def _go_on(self, rate: float, last: FitOutcome) -> bool:
        bench, method = self.bench, self.model.method
        rest = evaluation_images(bench, method) * bench.pace.seconds_per_image
        what = f"{method.phrase or method.title} at the rate {rate:g}"
        return bench.pace.allows(f"{self.label}/{rate:g}", what, lambda: last.seconds + rest)


def evaluate_method(
    bench: Workbench,
    model: TunedNetwork,
    choice: Choice,
    outcome: FitOutcome,
    before: LayerRow,
    held: Held | None = None,
) -> Tuned:
    """Test accuracy, collapse and cost of a tuned model. The test split is read here and nowhere else.

    ``held`` is taken on the validation images where it is not given.
    """
    held = held or _held(bench, model)
    logits, labels, tested = _test(bench, model)
    after, picture = [before], None
    if model.method.changes_features:
        after, picture = _layers_after(bench, model, tested.penultimate)
    predicted = logits.argmax(1)
    tuned, total = model.count_parameters()
    cost = measure_cost(bench, model)
    skips = split_mechanism(model, bench.inputs.loader("validation"), bench.runtime, stop=bench.stop)
    last, method = after[-1], model.method
    row = MethodRow(
        title=method.heading,
        phrase=method.phrase or method.title,
        mark=method.mark,
        unit=model.unit,
        why=choice.why,
        tunes=method.tunes,
        **scores_on_test(predicted, labels),
        val_accuracy=outcome.val_accuracy,
        tuned_parameters=tuned,
        total_parameters=total,
        seconds=outcome.seconds,
        nc1_before=before.nc1,
        nc1_after=last.nc1,
        cdnv_after=last.cdnv,
        numerical_rank_after=last.numerical_rank,
        notes=_notes(before, last),
        learning_rate=choice.learning_rate,
        epochs=bench.epochs if outcome.steps else 0,
        mixture=dict(outcome.weights),
        best_epoch=outcome.best_epoch,
        history=tuple(TuningEpoch.model_validate(epoch) for epoch in outcome.history),
        calibration=judge_calibration(held.calibration, logits, labels) if held.calibration else None,
        skip_share=skips.get("skip_share"),
        skip_accuracy_on=skips.get("skip_accuracy_on"),
        skip_accuracy_off=skips.get("skip_accuracy_off"),
        **cost,
    )
    layers_after = [LayerAfter(name=layer.name, nc1=layer.nc1, note=layer.notes.get("nc1")) for layer in after]
    return Tuned(
        model, row, layers_after if len(layers_after) > 1 else [], logits, labels, held.classes, held.losses, picture
    )


def _test(bench: Workbench, model: TunedNetwork) -> tuple[torch.Tensor, torch.Tensor, LayerFeatures]:
    """Logits (N, K), labels and features of the test images; fitted probes share one pass of the pretrained network."""
    if bench.settings.fits(model.method):
        taken, classifier = bench.test_features, model.classifier
        device = bench.runtime.device
        parts = []
        with torch.inference_mode(), bench.runtime.autocast():
            for rows in torch.arange(len(taken.labels)).split(_ROWS):
                found = {name: values[rows].to(device) for name, values in taken.features.items()}
                read = classifier(found[PENULTIMATE] if isinstance(classifier, torch.nn.Linear) else found)
                parts.append(read.float().cpu())
        return torch.cat(parts), taken.labels, taken
    with bench.watch.stage(f"test of {model.method.title}", len(bench.bundle.test)) as advance:
        return run_split(model, bench.inputs.loader("test"), bench.runtime, stop=bench.stop, advance=advance)


def scores_on_test(predicted: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
    """The fields of a method's row that say how good its classes are on the test images."""
    correct = int((predicted == labels).sum())
    return {
        "test_accuracy": correct / len(labels),
        "test_accuracy_interval": accuracy_interval(correct, len(labels)),
        "balanced_accuracy": balanced_accuracy(predicted, labels),
        "balanced_accuracy_interval": balanced_accuracy_interval(predicted, labels),
        "macro_f1": macro_f1(predicted, labels),
    }


def evaluation_images(bench: Workbench, method: TuningMethod) -> int:
    """Images that pass through a finished method while it is measured."""
    sizes = {name: len(split) for name, split in bench.bundle.splits().items()}
    if bench.settings.fits(method):
        return 0 if "test_features" in vars(bench) else sizes["test"]
    return sizes["test"] + 2 * sizes["validation"] + (sizes["train"] if method.changes_features else 0)


def _layers_after(
    bench: Workbench, model: TunedNetwork, tested: torch.Tensor
) -> tuple[list[LayerRow], PlanePicture | None]:
    """Collapse of every layer on the training images after tuning, and the picture with the test features ``tested``."""
    _, _, trained_on = run_split(
        model, bench.inputs.loader("train"), bench.runtime, layers=bench.measured_layers, stop=bench.stop
    )
    picture = None
    if bench.easel is not None:
        picture = bench.easel.after(trained_on.penultimate, trained_on.labels, tested)
    return measure_features(trained_on, bench.num_classes, permutations=0), picture


def _held(bench: Workbench, model: TunedNetwork) -> Held:
    """A model's logits of the validation images, which its training did not see."""
    judged, labels, _ = run_split(model, bench.inputs.loader("validation"), bench.runtime, stop=bench.stop)
    unseen = torch.full((len(bench.bundle.train), bench.num_classes), torch.nan)
    everyone = torch.cat([torch.zeros(len(unseen), dtype=torch.int64), labels])
    return Held.of(torch.cat([unseen, judged.float()]), everyone, bench.bundle.class_names)


def _notes(before: LayerRow, after: LayerRow) -> dict[str, str]:
    """The reasons and remarks of the penultimate layer under the names of the method's row."""
    found = {"nc1_before": before.notes.get("nc1")}
    found |= {f"{name}_after": after.notes.get(name) for name in ("nc1", "cdnv", "numerical_rank")}
    return {name: note for name, note in found.items() if note}
