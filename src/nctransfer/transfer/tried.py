"""Accuracy against seconds for everything that a run tried: what was spent on it alone, from the first pass on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..models import PENULTIMATE
from ..runs import FrontierPoint, MethodRow, TrialRow
from .methods import find_method

__all__ = ["everything_tried"]


def everything_tried(
    layers: Mapping[str, float],
    methods: dict[str, MethodRow],
    trials: Sequence[TrialRow],
    *,
    features: float,
    probes: float,
) -> tuple[FrontierPoint, ...]:
    """Each layer's probe and each method, with its held-out accuracy and the seconds that lead to it.

    A probe of one layer takes the pass over the images and its share of the probes; the deep probe takes all of them; a
    tuned network takes these, its own training and, where it tunes a block, the trials that chose the block.

    Args:
        layers: By name the accuracy of their probes on the validation images, which judge the methods, too; their
            cross-validated accuracy is of other images and would not compare.
        methods: By name, as they were before the winner was trained again.
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
        found.append(
            FrontierPoint(what=name, seconds=before + (row.seconds or 0.0), accuracy=row.val_accuracy, kind="method")
        )
    return tuple(found)
