"""Methods that held-out images cannot tell apart, judged on further folds until they can.

The probes are cross-validated: every training and validation image judges them. A tuned network is judged on the validation
images alone, a fifth of that, and a standard error of three points hides what tuning is worth, and which tuning. So where the
most accurate method is within one standard error of others, a probe or tuned networks, the tuned ones among them (two at
most) are trained on further folds, one fold at a time, and leave the contest as they fall behind by more than that. A probe
that errs on fewer than 4 % (by the run's metric) leaves too little to be won, and the folds cost no more than 30 passes of
full fine-tuning.
`benchmarks/contest_rules.py` compares this rule with its rivals on simulated answers: the regret of two is that of three.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..probes import LayeredHead, accuracy_interval, criterion_terms, fit_head
from .choose import Choice, validation_logits
from .desk import Desk
from .features import LayerFeatures
from .inputs import Inputs
from .probing import FOLDS, Probing
from .recipe import leaves_little
from .setbacks import recover, setback
from .start import Start
from .tuning import Tuned, train_method
from .winner import Candidate, Verdict, close_to_best, pick_winner
from .workbench import Workbench

__all__ = ["candidates_of", "decide", "fold_bench", "most_images"]

_MOST_TUNED = 2
_PASSES, _FEW = 30, 400
"""The most that all folds may cost: passes of full fine-tuning over the training images, of which at least so many count."""


def decide(bench: Workbench, desk: Desk, finished: dict[str, Tuned]) -> Verdict:
    """The winner among the finished methods; what further folds say is added to their rows.

    Args:
        bench: Data, network, device.
        desk: Keeps each fold's predictions.
        finished: The methods by name; ``held`` and the rows of those that are trained again are updated.
    """
    verdict = _pick(bench, finished)
    _score(bench, finished)
    field = _field(bench, finished)
    spent = 0.0
    for number in range(1, FOLDS):
        tuned = [name for name, one in field.items() if one.model.method.changes_features]
        if len(field) < 2 or not tuned:
            break
        cost = sum(field[name].model.method.step_share for name in tuned) * bench.epochs
        if (spent + cost) * len(bench.bundle.train) > most_images(bench):
            break
        if not _allowed(bench, field, tuned, number):
            break
        spent += cost
        done = [name for name in tuned if _judge_on(bench, desk, name, field[name], number)]
        verdict = _pick(bench, field)
        if len(done) < len(tuned):
            break
        field = {name: field[name] for name in _close(bench, field)}
    for one in finished.values():
        _note(bench, one)
    others = [finished[name].row.phrase for name in field if name != verdict.name]
    if verdict.name in field and others and finished[verdict.name].model.method.changes_features:
        return dataclasses.replace(verdict, why=f"{verdict.why} {_apart(others)}".strip())
    return verdict


def _field(bench: Workbench, finished: dict[str, Tuned]) -> dict[str, Tuned]:
    """The methods that further folds are to tell apart: at most one probe and the most accurate tuned networks."""
    if not bench.settings.more_folds or not bench.can_join:
        return {}
    probes = [one for one in finished.values() if not one.model.method.changes_features]
    if any(leaves_little(_error(bench, one)) for one in probes):
        return {}
    close = _close(bench, finished)
    tuned = [name for name in close if finished[name].model.method.changes_features][:_MOST_TUNED]
    return {name: finished[name] for name in close if name in tuned or not finished[name].model.method.changes_features}


def _close(bench: Workbench, among: dict[str, Tuned]) -> list[str]:
    return close_to_best(candidates_of(bench, among), bench.settings.metric, _targets(bench).numpy())


def most_images(bench: Workbench) -> int:
    """Images that may pass through training steps of full fine-tuning on all further folds together."""
    return _PASSES * max(_FEW, len(bench.bundle.train))


def _apart(others: list[str]) -> str:
    listed = others[0] if len(others) == 1 else f"{', '.join(others[:-1])} and {others[-1]}"
    return f"{listed[:1].upper()}{listed[1:]} cannot be told from it on these images."


def _allowed(bench: Workbench, field: dict[str, Tuned], tuned: list[str], number: int) -> bool:
    """Whether the budget has room for a fold of these methods."""

    def needed() -> float:
        return sum((field[name].row.seconds or 0.0) / max(1, len(field[name].row.mixture)) for name in tuned)

    what = f"fold {number + 1} of {FOLDS} of {' and '.join(field[name].row.phrase for name in tuned)}"
    return bench.pace.allows(f"fold/{number}", what, needed)


def _judge_on(bench: Workbench, desk: Desk, name: str, tuned: Tuned, number: int) -> bool:
    """Add what a training without a fold says of the fold's images; False, and said, where memory or the loss forbid it."""
    failed = ""
    try:
        predicted = desk.ledger.once(f"fold/{name}/{number}", lambda: _predict(bench, desk, name, tuned, number))
    except Exception as error:
        reason = setback(error)
        # Processes of one run fail apart; going on in some of them would leave the others waiting.
        if reason is None or bench.runtime.world_size > 1:
            raise
        failed = reason
    desk.done()
    if failed:
        recover(bench.runtime)
        bench.warn(
            [f"fold {number + 1} of {FOLDS} of {tuned.row.phrase} is left out, and so are those after it: {failed}"]
        )
        return False
    held = bench.probing.folds == number
    tuned.held = tuned.held.masked_scatter(held, torch.tensor(predicted["classes"]))
    if tuned.held_losses is not None:
        more = torch.tensor(predicted["losses"], dtype=tuned.held_losses.dtype)
        tuned.held_losses = tuned.held_losses.masked_scatter(held, more)
    return True


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
    """The run's metric of each method on its held-out images, where that is not their accuracy."""
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
    other.inputs = Inputs(bench.settings, other.bundle, bench.network, bench.runtime, bench.stop, bench.balance)
    probing = _FoldProbing(
        other.bundle,
        _rows(bench, rest),
        _rows(bench, held),
        bench.settings.seed,
        balance=bench.balance.fit,
        whole=bench.probing,
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
            balance=self.balance,
        )


def _predict(bench: Workbench, desk: Desk, name: str, tuned: Tuned, number: int) -> dict[str, list[Any]]:
    """Classes and losses of a fold's images by a training that did not see them, at the settings and the mixture chosen."""
    row = tuned.row
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
        title=f"{tuned.model.method.title}, fold {number + 1} of {FOLDS}",
    )
    logits, labels = validation_logits(model, fold)
    cooled = logits.double() / (tuned.calibration["temperature"] or 1.0)
    losses = functional.cross_entropy(cooled, labels, reduction="none")
    return {"classes": logits.argmax(1).tolist(), "losses": losses.tolist()}


def _error(bench: Workbench, tuned: Tuned) -> float:
    """The shortfall of a method on its held-out images by the run's metric; by accuracy for log-loss, which has no end."""
    judged, targets, metric = tuned.held >= 0, _targets(bench), bench.settings.metric
    criterion = "accuracy" if metric == "log_loss" else metric
    return 1.0 - float(criterion_terms(criterion, targets[judged], tuned.held[judged]).mean())


def _rows(bench: Workbench, rows: Tensor) -> LayerFeatures:
    train, validation = bench.train_features, bench.validation_features
    features = {name: torch.cat([part, validation.features[name]])[rows] for name, part in train.features.items()}
    return LayerFeatures(features, torch.cat([train.labels, validation.labels])[rows])


def _targets(bench: Workbench) -> Tensor:
    return torch.cat([bench.train_features.labels, bench.validation_features.labels])


def _note(bench: Workbench, tuned: Tuned) -> None:
    """Write down the accuracy that the choice rests on, where more than the validation images judged a method."""
    judged = tuned.held >= 0
    if int(judged.sum()) <= len(bench.validation_features.labels):
        return
    right = int((tuned.held == _targets(bench))[judged].sum())
    update: dict[str, Any] = {
        "out_of_fold_accuracy": right / int(judged.sum()),
        "out_of_fold_interval": accuracy_interval(right, int(judged.sum())),
        "out_of_fold_images": int(judged.sum()),
    }
    tuned.row = tuned.row.model_copy(update=update)
