"""Whose kin an image is: what a given validation split has in common with the training images, and what groups prevent."""

from __future__ import annotations

import torch

from ..models import PENULTIMATE
from ..probes import assign_folds, cross_validate
from ..runs import DataReport, Ledger
from .probing import FOLDS
from .workbench import Workbench

__all__ = ["with_leak", "with_likeness"]


def with_likeness(report: DataReport, bench: Workbench) -> DataReport:
    """The data's report with what a given validation split was found to be like; said aloud, too."""
    found = bench.probing.likeness
    if found is None:
        return report
    note = f"validation: {found.words}"
    bench.watch.say(note)
    return report.model_copy(update={"notes": (*report.notes, note)})


def with_leak(report: DataReport, bench: Workbench, ledger: Ledger) -> DataReport:
    """The data's report with the held-out accuracy of the penultimate probe, groups kept whole and torn; said aloud, too.

    The same where nothing is known of groups, or where one validation split alone judges.
    """
    if report.groups is None or bench.bundle.train.groups is None or not bench.probing.folded:
        return report
    whole, torn = ledger.once("leak", lambda: _accuracies(bench))
    note = (
        f"groups: the penultimate probe reaches {whole:.1%} on held-out images whose groups it has not seen, and {torn:.1%} on "
        "the same images where folds tear groups apart"
    )
    bench.watch.say(note)
    groups = report.groups.model_copy(update={"probe_whole": whole, "probe_torn": torn})
    return report.model_copy(update={"groups": groups, "notes": (*report.notes, note)})


def _accuracies(bench: Workbench) -> list[float]:
    probing = bench.probing
    layer = PENULTIMATE if PENULTIMATE in probing.layers else probing.best_layer()
    features = torch.cat([probing.train.features[layer], probing.validation.features[layer]])
    folds = assign_folds(probing.labels, num_folds=FOLDS, seed=probing.seed)
    torn = cross_validate({layer: features}, probing.labels, folds, num_classes=bench.num_classes, tolerance=1e-2)
    whole = probing.layers[layer]
    both = whole.held & torn.held
    return [float((found.held_logits.argmax(1) == probing.labels)[both].double().mean()) for found in (whole, torn)]
