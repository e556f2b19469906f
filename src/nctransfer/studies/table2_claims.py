"""The claims of Tables 2 to 5: each over all columns (a backbone on a data set), with its columns or blocks as parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .effects import averaged, gaps
from .families import tuned_label
from .parts import pooled
from .scales import Backbone
from .study import Outcome
from .verdicts import POINT, POINTS, Verdict, above, decide, half_of, no_worse

__all__ = ["PAPER", "table2_claims"]

PAPER: dict[tuple[str, str], dict[str, float]] = {
    ("ResNet18", "CIFAR-10"): {"linear": 43.12, "layer": 82.00, "scl": 84.83, "full": 85.61},
    ("ResNet18", "CIFAR-100"): {"linear": 23.84, "layer": 54.03, "scl": 58.51, "full": 55.75},
    ("ResNet50", "CIFAR-10"): {"linear": 49.70, "layer": 85.03, "scl": 86.14, "full": 88.54},
    ("ResNet50", "CIFAR-100"): {"linear": 29.71, "layer": 59.39, "scl": 64.90, "full": 53.42},
    ("ViT-B", "Aircraft"): {"linear": 43.65, "layer": 65.83, "scl": 65.80, "full": 64.57},
    ("ViT-B", "DTD"): {"linear": 73.88, "layer": 77.13, "scl": 77.34, "full": 76.49},
    ("ViT-B", "PET"): {"linear": 92.23, "layer": 93.02, "scl": 93.19, "full": 93.02},
}
"""Table 2: test accuracy in per cent, the maximum over blocks for layer and SCL FT."""

Chosen = Mapping[str, list[Any]]
Columns = Mapping[tuple[str, str], tuple[Backbone, Chosen]]
"""By backbone and data set: for each method its test accuracy on every seed, with the block chosen on validation."""


def table2_claims(outcome: Outcome, columns: Columns) -> list[Verdict]:
    """Every claim; X of a column is half of the paper's effect there, at most 2 points."""
    return [
        *_gain(columns, "layer", "linear", "Layer FT beats the linear probe"),
        *_gain(columns, "scl", "layer", "SCL FT beats layer FT, its block chosen on validation"),
        *_by_unit(outcome, columns),
        *_rivals_full(columns),
        *_middle(outcome, columns),
    ]


def _gain(columns: Columns, better: str, worse: str, statement: str) -> list[Verdict]:
    parts, effects, margins = [], [], []
    for (title, data), (backbone, chosen) in columns.items():
        effects.append(gaps(chosen[better], chosen[worse]))
        margins.append(_margin(backbone, data, better, worse))
        said = f"{title} on {data}: {statement[0].lower() if statement[:3] != 'SCL' else 'S'}{statement[1:]}"
        parts.append(decide(said, effects[-1], "difference in test accuracy", margin=margins[-1], unit=POINTS))
    return pooled(
        statement,
        parts,
        effects,
        "difference in test accuracy, mean over the columns",
        margin=min(margins, default=POINT),
        unit=POINTS,
    )


def _margin(backbone: Backbone, data: str, better: str, worse: str) -> float:
    paper = PAPER.get((backbone.paper, data.split(",")[0]))
    # Where the paper's own difference is a few hundredths of a point, half of it is beyond what any test set can tell.
    return max(half_of((paper[better] - paper[worse]) / 100), POINT / 2) if paper else POINT


def _each(outcome: Outcome, backbone: Backbone, data: str, method: str) -> dict[str, list[Any]]:
    return {unit: outcome.each(tuned_label(backbone, data, method, unit), "test_accuracy") for unit in backbone.units}


def _by_unit(outcome: Outcome, columns: Columns) -> list[Verdict]:
    """Tables 3 to 5: SCL FT over layer FT at one and the same block, and where the gain is largest."""
    parts, gains, shallower = [], [], []
    for (title, data), (backbone, _) in columns.items():
        layer, scl = (_each(outcome, backbone, data, method) for method in ("layer", "scl"))
        own = [gaps(scl[unit], layer[unit]) for unit in backbone.units]
        parts += [
            above(f"{title} on {data}, {unit}: SCL FT beats layer FT", scl[unit], layer[unit], "difference in accuracy")
            for unit in backbone.units
        ]
        gains += own
        half = len(own) // 2
        if half:
            shallower.append(gaps(averaged(own[:half]), averaged(own[-half:])))
    return [
        *pooled(
            "SCL FT beats layer FT at the same block, over all blocks (23 of the paper's 28 pairs)",
            parts,
            gains,
            "difference in test accuracy, mean over blocks and columns",
            margin=POINT,
            unit=POINTS,
        ),
        decide(
            "The gain of the skip connection is largest at shallow blocks (Tables 3 and 4)",
            averaged(shallower) if shallower else [],
            "gain at the shallower half of the blocks less that at the deeper half, mean over the columns",
            margin=POINT,
            unit=POINTS,
        ),
    ]


def _rivals_full(columns: Columns) -> list[Verdict]:
    """Over all columns: column by column the paper's own SCL FT is up to 2.4 points behind full FT."""
    parts, effects = [], []
    for (title, data), (_, chosen) in columns.items():
        effects.append(gaps(chosen["scl"], chosen["full"]))
        parts.append(
            no_worse(
                f"{title} on {data}: SCL FT is at most 1 point behind full FT",
                effects[-1],
                "SCL FT less full FT",
                margin=POINT,
                unit=POINTS,
            )
        )
    if len(parts) == 1:
        return parts
    whole = no_worse(
        "SCL FT is comparable to full FT, or better: at most 1 point behind over the columns",
        averaged(effects),
        "SCL FT less full FT, mean over the columns",
        margin=POINT,
        unit=POINTS,
    )
    return [whole, *(replace(part, part_of=whole.statement) for part in parts)]


def _middle(outcome: Outcome, columns: Columns) -> list[Verdict]:
    """“Nearly always”: over columns and both methods, the inner blocks against the first and the last."""
    parts, effects = [], []
    for (title, data), (backbone, _) in columns.items():
        if len(backbone.units) < 3:
            continue
        inner, ends = backbone.units[1:-1], (backbone.units[0], backbone.units[-1])
        both = [_each(outcome, backbone, data, method) for method in ("layer", "scl")]
        own = averaged(
            [gaps(averaged([each[unit] for unit in inner]), averaged([each[unit] for unit in ends])) for each in both]
        )
        effects.append(own)
        parts.append(
            decide(
                f"{title} on {data}: middle blocks are better than the first and the last (A.3.3)",
                own,
                "mean over the middle blocks less mean over the ends, both methods",
                margin=POINT,
                unit=POINTS,
            )
        )
    if not parts:
        return []
    return pooled(
        "Middle blocks nearly always transfer best (A.3.3)",
        parts,
        effects,
        "mean over the middle blocks less mean over the ends, both methods and all columns",
        margin=POINT,
        unit=POINTS,
    )
