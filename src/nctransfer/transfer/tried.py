"""Accuracy against seconds for everything that a run tried: what was spent on it alone, from the first pass on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..models import PENULTIMATE
from ..runs import FrontierPoint, MethodRow, TrialRow
from .methods import find_method

__all__ = ["everything_tried"]


def everything_tried(
    layers: Mapping[str, float | None],
    methods: dict[str, MethodRow],
    trials: Sequence[TrialRow],
    accuracies: Mapping[str, float | None],
    *,
    features: float,
    probes: float,
) -> tuple[FrontierPoint, ...]:
    """Each layer's probe and each method, with its held-out accuracy and the seconds that lead to it.

    A probe of one layer takes the pass over the images and its share of the probes; the deep probe takes all of them; a
    tuned network takes these, its own training and, where it tunes a block, the trials that chose the block.

    Args:
        layers: By name the accuracy of their probes, on the same images as that of the methods.
        methods: By name, as they were before the winner was trained again.
        accuracies: Of each method, in place of its validation accuracy; on other images the two would not compare.
        trials: With their seconds.
        features: Seconds of the pass over training and validation images.
        probes: Seconds of the probes of all layers.
    """
    share = probes / max(1, len(layers))
    chosen = sum(trial.seconds or 0.0 for trial in trials)
    found = [
        FrontierPoint(
            what=f"linear probe of {name}",
            seconds=features + share,
            accuracy=accuracy,
            kind="layer",
        )
        for name, accuracy in layers.items()
        if name != PENULTIMATE and f"linear@{name}" not in methods
    ]
    for name, row in methods.items():
        method = find_method(name)
        before = features + (share if method.inner_layer or name == "linear" else probes)
        before += chosen if method.needs_unit else 0.0
        accuracy = accuracies.get(name, row.val_accuracy)
        found.append(FrontierPoint(what=name, seconds=before + (row.seconds or 0.0), accuracy=accuracy, kind="method"))
    return tuple(found)
