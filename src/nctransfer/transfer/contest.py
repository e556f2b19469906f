"""A tuned network against the probe that is cheaper, judged on further folds where the validation images cannot tell them apart.

The probes are cross-validated: every training and validation image judges them. A tuned network is judged on the validation
images alone, a fifth of that, and a standard error of three points hides what tuning is worth. So where the most accurate method
is a tuned one and a probe lies within one standard error of it, the tuned one is trained on further folds, one at a time, until
the two are told apart or no fold is left. A probe that errs on fewer than 4 % leaves too little to be won.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..probes import LayeredHead, accuracy_interval, fit_head
from .choose import Choice, validation_logits
from .desk import Desk
from .features import LayerFeatures
from .inputs import Inputs
from .probing import FOLDS, Probing
from .recipe import leaves_little
from .start import Start
from .tuning import Tuned, train_method
from .winner import Candidate, Verdict, pick_winner
from .workbench import Workbench

__all__ = ["candidates_of", "decide", "fold_bench"]


def decide(bench: Workbench, desk: Desk, finished: dict[str, Tuned]) -> Verdict:
    """The winner among the finished methods; what further folds say is added to their rows.

    Args:
        bench: Data, network, device.
        desk: Keeps each fold's predictions.
        finished: The methods by name; ``held`` and the row of the one that is trained again are updated.
    """
    verdict = _pick(bench, finished)
    _score(bench, finished)
    probe, tuned = verdict.name, verdict.best
    if (
        probe == tuned
        or not bench.settings.more_folds
        or not bench.can_join
        or finished[probe].model.method.changes_features
        or not finished[tuned].model.method.changes_features
        or leaves_little(_error(bench, finished[probe]))
    ):
        return verdict
    pair = {probe: finished[probe], tuned: finished[tuned]}
    for number in range(1, FOLDS):
        one = (finished[tuned].row.seconds or 0.0) / max(1, len(finished[tuned].row.mixture))
        what = f"fold {number + 1} of {FOLDS} of {finished[tuned].row.phrase}"
        if not bench.pace.allows(f"fold/{tuned}/{number}", what, lambda: one):  # noqa: B023
            break
        held = bench.probing.folds == number
        predicted = desk.ledger.once(f"fold/{tuned}/{number}", lambda: _predict(bench, desk, tuned, pair, number))  # noqa: B023
        desk.done()
        pair[tuned].held = pair[tuned].held.masked_scatter(held, torch.tensor(predicted["classes"]))
        losses = pair[tuned].held_losses
        if losses is not None:
            more = torch.tensor(predicted["losses"], dtype=losses.dtype)
            pair[tuned].held_losses = losses.masked_scatter(held, more)
        verdict = _pick(bench, pair)
        if verdict.name == verdict.best:
            break
    _note(bench, pair[tuned])
    return verdict


def candidates_of(bench: Workbench, finished: dict[str, Tuned]) -> list[Candidate]:
    """The methods as the choice sees them, from the cheapest to the dearest."""
    targets = _targets(bench)
    return [
        Candidate(
            name,
            tuned.row.phrase,
            torch.where(tuned.held >= 0, (tuned.held == targets).double(), torch.nan).numpy(),
            tuned.held.numpy(),
            None if tuned.held_losses is None else tuned.held_losses.numpy(),
            tuned.model.method.changes_features,
        )
        for name, tuned in sorted(finished.items(), key=lambda item: item[1].model.method.step_share)
    ]


def _pick(bench: Workbench, finished: dict[str, Tuned]) -> Verdict:
    return pick_winner(candidates_of(bench, finished), bench.settings.metric, _targets(bench).numpy())


def _score(bench: Workbench, finished: dict[str, Tuned]) -> None:
    """What the run's metric says of each method on its held-out images, where that is not their accuracy."""
    metric = bench.settings.metric
    for candidate in candidates_of(bench, finished) if metric != "accuracy" else ():
        known = np.isfinite(candidate.right)
        score = float(candidate.terms(known, metric, _targets(bench).numpy()).mean())
        tuned = finished[candidate.name]
        tuned.row = tuned.row.model_copy(update={"val_score": score})


def fold_bench(bench: Workbench, number: int) -> Workbench:
    """The same ground with another part of the images held out as validation split.

    Args:
        bench: The ground of a run whose probes were cross-validated.
        number: A fold of that cross-validation; 0 holds out the validation images, as the run itself does.
    """
    folds = bench.probing.folds
    rest, held = ((folds != number).nonzero().flatten(), (folds == number).nonzero().flatten())
    joined = bench.bundle.train.joined(bench.bundle.validation)
    _ = bench.epochs, bench.augmentation  # of the run, and not chosen anew on every fold
    other = copy.copy(bench)
    other.bundle = dataclasses.replace(
        bench.bundle, train=joined.subset(rest.numpy()), validation=joined.subset(held.numpy())
    )
    other.inputs = Inputs(bench.settings, other.bundle, bench.network, bench.runtime, bench.stop)
    probing = _FoldProbing(
        other.bundle, _rows(bench, rest), _rows(bench, held), bench.settings.seed, whole=bench.probing
    )
    other.__dict__.pop("whole", None)
    other.__dict__ |= {"train_features": probing.train, "validation_features": probing.validation, "probing": probing}
    other.start = Start(
        bench.network,
        other.inputs,
        features=lambda split: probing.train if split == "train" else probing.validation,
        probing=lambda: probing,
    )
    return other


@dataclasses.dataclass
class _FoldProbing(Probing):
    """The probes of a fold: strengths and scales are those of the run, weights are fitted without the images held out."""

    whole: Probing = dataclasses.field(kw_only=True)

    def start_head(self, layer: str | None, *, everything: bool = False) -> LayeredHead:
        found = self.whole.cross_validated(layer)
        return fit_head(
            {name: self.train.features[name] for name in found.head.layers},
            self.train.labels,
            num_classes=len(self.bundle.class_names),
            strength=found.strength,
            scales=found.scales,
        )


def _predict(bench: Workbench, desk: Desk, name: str, pair: dict[str, Tuned], number: int) -> dict[str, list[Any]]:
    """Classes and losses of a fold's images by a training that did not see them, at the settings and the mixture chosen."""
    row = pair[name].row
    weights = {rate: float(weight or 0.0) for rate, weight in row.mixture.items()}
    # One training a fold: the rate that counts most stands for the mixture of two.
    main = max(weights, key=lambda rate: weights[rate])
    fold = fold_bench(bench, number)
    model, _ = train_method(
        fold,
        name,
        Choice(row.unit, float(main), "", (float(main),)),
        keeping=desk.keeping,
        ends=desk.ends,
        weights={main: sum(weights.values())},
        label=f"{name}-fold-{number}",
        title=f"{pair[name].model.method.title}, fold {number + 1} of {FOLDS}",
    )
    logits, labels = validation_logits(model, fold)
    cooled = logits.double() / (pair[name].calibration["temperature"] or 1.0)
    losses = functional.cross_entropy(cooled, labels, reduction="none")
    return {"classes": logits.argmax(1).tolist(), "losses": losses.tolist()}


def _error(bench: Workbench, tuned: Tuned) -> float:
    judged = tuned.held >= 0
    return 1.0 - float((tuned.held == _targets(bench))[judged].double().mean())


def _rows(bench: Workbench, rows: Tensor) -> LayerFeatures:
    train, validation = bench.train_features, bench.validation_features
    features = {name: torch.cat([part, validation.features[name]])[rows] for name, part in train.features.items()}
    return LayerFeatures(features, torch.cat([train.labels, validation.labels])[rows])


def _targets(bench: Workbench) -> Tensor:
    return torch.cat([bench.train_features.labels, bench.validation_features.labels])


def _note(bench: Workbench, tuned: Tuned) -> None:
    judged = tuned.held >= 0
    right = int((tuned.held == _targets(bench))[judged].sum())
    update: dict[str, Any] = {
        "out_of_fold_accuracy": right / int(judged.sum()),
        "out_of_fold_interval": accuracy_interval(right, int(judged.sum())),
    }
    tuned.row = tuned.row.model_copy(update=update)
