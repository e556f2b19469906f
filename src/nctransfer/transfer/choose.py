"""Choosing the tuned block, on the validation split, by short trials.

A trial trains a method for a few epochs on at most a few hundred training images, without augmentation, so that all that
lies below the tuned block is computed once. It looks at two things: the run's metric on validation images (accuracy, unless
another was asked for; log-loss after temperature scaling) and the penultimate NC1 on the images it trained on. The metric leads;
among blocks that it cannot tell apart (within two standard errors of the best) the most collapsed wins, after section 3.3 of the
paper. A.3.3 warns why NC1 does not lead: a network of which much is tuned collapses on its training data whether or not it
generalises.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..engine import Batches, Diverged
from ..errors import DataError
from ..metrics import nc1
from ..runs import Ledger, TrialRow
from .calibrating import metric_terms
from .evaluate import cached_accuracy, cached_logits, run_split, tuned_features
from .fitting import fit
from .methods import METHODS, find_method
from .methods.layer import LAYER
from .recipe import rates_for
from .task import TuningTask, tuning_plan
from .tuned import TunedNetwork
from .workbench import Workbench

__all__ = [
    "TRIAL_EPOCHS",
    "Choice",
    "Chooser",
    "pick_unit",
    "trial_images",
    "validation_accuracy",
    "validation_logits",
    "whole_accuracy",
]

TRIAL_EPOCHS = 3
_NAMES = {
    "accuracy": "validation accuracy",
    "balanced_accuracy": "balanced accuracy on validation images",
    "macro_f1": "macro F1 on validation images",
    "log_loss": "log-loss on validation images",
}


@dataclasses.dataclass(frozen=True)
class Choice:
    """The choice for a method, and why, in a sentence; ``rates`` are all that are trained to the end, where several are."""

    unit: str | None
    learning_rate: float | None
    why: str
    rates: tuple[float, ...] = ()


class Chooser:
    """Runs trials, remembers each in a ledger, and chooses.

    Args:
        bench: Data, network, device.
        ledger: Trials done before are not run again.
    """

    def __init__(self, bench: Workbench, ledger: Ledger) -> None:
        self.bench, self.ledger = bench, ledger
        self.rows = bench.inputs.trial_rows(trial_images(len(bench.bundle.train)))
        # Half the batch, twice the steps: a trial of very few steps favours whatever changes the network least.
        self.batch_size = max(2, bench.batch_size // 2)
        self.trials: tuple[TrialRow, ...] = ()
        self._unit: tuple[str, str] | None = None
        self._inputs: dict[str | None, tuple[torch.Tensor, torch.Tensor] | None] = {}

    def choose(self, method: str, unit: str | None = None) -> Choice:
        """Block (unless given) and learning rate (unless given in the settings) for a method."""
        if self.bench.settings.fits(find_method(method)):
            return Choice(None, None, f"Its strength was best in {self.bench.probing.why}.")
        rate = self.bench.settings.lr or METHODS[method].base_rate
        why_unit = "asked for" if unit is not None else ""
        if METHODS[method].needs_unit and unit is None:
            unit, why_unit = self._choose_unit(method, rate)
        if self.bench.settings.lr is not None:
            return Choice(unit, rate, _sentence(why_unit, f"learning rate {rate:g} asked for"))
        recipe = rates_for(rate, METHODS[method].whole, self.bench.probing.error(self.bench.settings.metric))
        rates = self.bench.settings.thoroughness.rates(rate, recipe)
        why_rate = f"trained at rates {' and '.join(f'{value:g}' for value in rates)}" if len(rates) > 1 else ""
        return Choice(unit, rate, _sentence(why_unit, why_rate), rates)

    def _choose_unit(self, method: str, rate: float) -> tuple[str, str]:
        """The block that trials of layer fine-tuning point at: one for all methods, which compares them at the same block."""
        if self._unit is not None:
            return self._unit
        method = LAYER.name if METHODS.get(LAYER.name) is LAYER else method
        with self.bench.watch.stage(f"trials of {METHODS[method].title}", len(self.bench.units)) as advance:
            rows = []
            for unit in self.bench.units:
                rows.append(self._trial(method, unit, rate))
                advance(1)
        self._inputs.clear()
        metric = self.bench.settings.metric
        plain = metric == "accuracy"
        index, why = pick_unit(
            [row.val_accuracy if plain else row.val_score for row in rows],
            [row.nc1 for row in rows],
            self._num_validation,
            metric=metric,
            errors=None if plain else [row.val_error for row in rows],
        )
        unit = self.bench.units[index]
        self.trials = tuple(row.model_copy(update={"chosen": place == index}) for place, row in enumerate(rows))
        self._unit = (unit, f"block {unit} {why} of {len(rows)} blocks tried")
        return self._unit

    @property
    def _num_validation(self) -> int:
        return len(self.bench.bundle.validation)

    def _trial(self, method: str, unit: str | None, rate: float) -> TrialRow:
        key = f"trial/{method}/{unit}/{rate:.6g}"
        began = time.perf_counter()
        values = self.ledger.once(
            key, lambda: {**self._run(method, unit, rate), "seconds": time.perf_counter() - began}
        )
        return TrialRow(purpose="unit", method=method, unit=unit, learning_rate=rate, chosen=False, **values)

    def _run(self, method: str, unit: str | None, rate: float) -> dict[str, Any]:
        bench = self.bench
        model = bench.start.fresh(METHODS[method], unit)
        epochs = min(TRIAL_EPOCHS, bench.epochs)
        kept = self._kept(model, unit)
        task = TuningTask(
            model,
            rate,
            bench.protocol,
            validate=lambda tuned: validation_accuracy(tuned, bench, kept and kept[1]),
            from_cut=kept is not None,
            keep_best=False,
            class_weights=bench.inputs.loss_weights,
            log_prior=bench.inputs.loss_prior,
        )
        if kept is not None:
            batches: Batches = bench.inputs.cached_batches(kept[0], self.rows, batch_size=self.batch_size)
        else:
            batches = bench.inputs.pixel_batches(1, rows=self.rows, batch_size=self.batch_size)
        try:
            outcome = fit(
                task,
                batches,
                tuning_plan(task, epochs, seed=bench.settings.seed, accumulation=bench.settings.accumulation),
                bench.runtime,
                stop=bench.stop,
            )
        except Diverged:
            return {"epochs": epochs, "val_accuracy": None, "nc1": None, "note": "the loss was not finite"}
        if kept is not None:
            features = tuned_features(model, kept[0], bench.runtime, stop=bench.stop)
        else:
            loader = bench.inputs.loader("train", subset=self.rows)
            features = run_split(model, loader, bench.runtime, stop=bench.stop)[2].penultimate
        score: dict[str, Any] = {}
        if bench.settings.metric != "accuracy":
            logits, labels = validation_logits(model, bench, kept and kept[1])
            terms = metric_terms(bench.settings.metric, logits, labels)
            error = float(terms.std(correction=0)) / len(terms) ** 0.5
            score = {"val_score": float(terms.mean()), "val_error": error}
        # Both at the last epoch: what counts is where this block and rate lead, not where they passed.
        return {
            "epochs": epochs,
            "val_accuracy": outcome.history[-1]["val_accuracy"],
            "nc1": _nc1_or_none(features, torch.from_numpy(bench.bundle.train.labels[self.rows])),
            **score,
        }

    def _kept(self, model: TunedNetwork, unit: str | None) -> tuple[torch.Tensor, torch.Tensor] | None:
        if model.method.whole:
            return None
        inputs = self.bench.inputs
        if unit not in self._inputs:
            train = inputs.cached(model, "train", self.rows)
            validation = inputs.cached(model, "validation") if train is not None else None
            self._inputs[unit] = None if train is None or validation is None else (train, validation)
        elif self._inputs[unit] is not None:
            model.cut(inputs.sample("validation"))
        return self._inputs[unit]


def trial_images(num_train: int) -> int:
    """Training images that a trial uses: a third of them, but at least 384 and at most 1,024.

    Example:
        >>> trial_images(100), trial_images(1_150), trial_images(2_000), trial_images(50_000)
        (100, 384, 666, 1024)
    """
    return min(num_train, max(384, min(1024, num_train // 3)))


def validation_accuracy(model: TunedNetwork, bench: Workbench, kept: torch.Tensor | None = None) -> float:
    """Accuracy on the validation split, from tensors taken at the cut where there are any, else from its pixels."""
    if kept is None:
        return whole_accuracy(model, bench)
    return cached_accuracy(model, kept, bench.inputs.labels("validation"), bench.runtime, stop=bench.stop)


def validation_logits(
    model: TunedNetwork, bench: Workbench, kept: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits ``(M, K)`` of the validation images and their labels, on the CPU; from tensors taken at the cut, if any."""
    if kept is None:
        logits, labels, _ = run_split(model, bench.inputs.loader("validation"), bench.runtime, stop=bench.stop)
        return logits, labels
    labels = bench.inputs.labels("validation")
    return cached_logits(model, kept, labels, bench.runtime, stop=bench.stop), labels.cpu()


def whole_accuracy(model: TunedNetwork, bench: Workbench, split: str = "validation") -> float:
    """Accuracy on a split, from its pixels."""
    logits, labels, _ = run_split(model, bench.inputs.loader(split), bench.runtime, stop=bench.stop)
    return float((logits.argmax(1) == labels).float().mean())


def pick_unit(
    scores: Sequence[float | None],
    collapses: Sequence[float | None],
    num_validation: int,
    *,
    metric: str = "accuracy",
    errors: Sequence[float | None] | None = None,
) -> tuple[int, str]:
    """Index of the chosen block and a phrase that says why.

    The best on validation; among those within two standard errors of it, the one with the smallest NC1.

    Args:
        scores: The metric on validation images, larger is better (log-loss: its negative); None where a trial diverged.
        collapses: NC1 of the penultimate training features.
        num_validation: Validation images.
        metric: What the scores are.
        errors: Their standard errors; those of fractions of the validation images if None.

    Example:
        >>> pick_unit([0.70, 0.80, 0.799], [0.1, 0.5, 0.2], 400)[0]
        2
        >>> pick_unit([-0.9, -0.4, None], [0.1, 0.5, 0.2], 400, metric="log_loss", errors=[0.1, 0.1, None])
        (1, 'had the best log-loss on validation images (0.400)')
    """
    known = [value for value in scores if value is not None]
    values = np.array([-np.inf if value is None and known else value or 0.0 for value in scores])
    leader = int(values.argmax())
    best = float(values[leader])
    error = (best * (1 - best) / num_validation) ** 0.5 if errors is None else (errors[leader] or 0.0)
    close = [index for index in range(len(values)) if values[index] >= best - 2 * error]
    index = min(close, key=lambda index: (np.inf if collapses[index] is None else collapses[index], -values[index]))
    name = _NAMES[metric]

    def shown(value: float) -> str:
        return f"{-value:.3f}" if metric == "log_loss" else f"{value:.1%}"

    if len(close) == 1:
        return index, f"had the best {name} ({shown(values[index])})"
    if values[index] == best:
        return (
            index,
            f"had the best {name} ({shown(best)}) and the smallest penultimate NC1 among the {len(close)} best",
        )
    return index, (
        f"had the smallest penultimate NC1 among {len(close)} whose {name} could not be told apart "
        f"({shown(values[index])}, best {shown(best)})"
    )


def _nc1_or_none(features: torch.Tensor, labels: torch.Tensor) -> float | None:
    try:
        return float(nc1(features, labels))
    except DataError:
        return None


def _sentence(*parts: str) -> str:
    text = "; ".join(part for part in parts if part)
    return text[:1].upper() + text[1:] + "." if text else ""
