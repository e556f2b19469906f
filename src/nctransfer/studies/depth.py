"""Collapse and probe accuracy along a network's depth, as Figures 5 and 6 show them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import line_through
from .effects import gaps, strengths
from .panels import axis, over_seeds, plot, series, table
from .study import Outcome, at
from .verdicts import RHO_MARGIN, Verdict, at_least, correlation, decide

__all__ = ["LEAST_R2", "R2_MARGIN", "depth_panels", "layer_points", "line_of", "linear_claims", "straight"]


def layer_points(outcome: Outcome, label: str) -> list[list[tuple[float | None, float | None]]]:
    """For each seed the (NC1, probe accuracy) of every layer; the penultimate features repeat the last layer and stay out."""
    made = []
    for layers in outcome.each(label, "layers"):
        kept = [layer for layer in layers or [] if not layer.get("penultimate")] or (layers or [])
        made.append([(layer["nc1"], layer.get("probe_accuracy")) for layer in kept])
    return made


def line_of(points: list[tuple[float | None, float | None]]) -> tuple[float, float, float] | None:
    """(slope, intercept, R²) of accuracy over NC1."""
    known = [(x, y) for x, y in points if x is not None and y is not None]
    return line_through([x for x, _ in known], [y for _, y in known])


LEAST_R2 = 0.8
"""The least R² that counts as nearly a line; the paper gives no figure."""
R2_MARGIN = 0.1


def straight(lines: list[tuple[float, float, float] | None], sign: int) -> list[float | None]:
    """R² of each line, 0 where it runs the other way."""
    return [None if line is None else line[2] if sign * line[0] > 0 else 0.0 for line in lines]


def linear_claims(outcome: Outcome, label: str, network: str) -> list[Verdict]:
    """Smaller NC1 goes with better accuracy over layers, nearly on a line, and more closely than depth does (section 3.2)."""
    points = layer_points(outcome, label)
    by_depth = [[(float(depth), accuracy) for depth, (_, accuracy) in enumerate(seed)] for seed in points]
    return [
        correlation(
            f"{network}: the more collapsed a layer on downstream data, the better its probe",
            points,
            -1,
            "NC1 and probe accuracy over layers",
        ),
        at_least(
            f"{network}: probe accuracy falls nearly on a line with NC1 over layers (R² of at least {LEAST_R2:g})",
            straight([line_of(seed) for seed in points], -1),
            LEAST_R2,
            "R² (0 where it rises)",
            margin=R2_MARGIN,
        ),
        decide(
            f"{network}: accuracy over layers goes with NC1 more closely than with depth (section 3.2)",
            gaps(strengths(points), strengths(by_depth)),
            "|ρ| with NC1 less |ρ| with depth",
            margin=RHO_MARGIN / 2,
        ),
    ]


def depth_panels(outcome: Outcome, label: str, network: str) -> list[dict[str, Any]]:
    """NC1 and accuracy along depth, and against each other, as a table and two plots."""
    points = layer_points(outcome, label)
    depth = max((len(seed) for seed in points), default=0)
    nc1 = [[at(seed, row, 0) for seed in points] for row in range(depth)]
    accuracy = [[at(seed, row, 1) for seed in points] for row in range(depth)]
    names = [str(at(layers, row, "name")) for layers in outcome.each(label, "layers")[:1] for row in range(depth)]
    positions: list[float | None] = [float(row + 1) for row in range(depth)]
    everything = [point for seed in points for point in seed]
    line = line_of(everything)
    along = [
        plot(
            f"{network}: NC1 of each layer's features on downstream training images.",
            "A line of NC1 over layers.",
            axis("layer"),
            axis("NC1, downstream", log=True),
            [series("NC1", positions, nc1)],
        ),
        plot(
            f"{network}: test accuracy of a linear probe on each layer.",
            "A line of probe accuracy over layers.",
            axis("layer"),
            axis("transfer accuracy (%)", percent=True),
            [series("probe", positions, accuracy)],
        ),
    ]
    against = plot(
        f"{network}: NC1 against accuracy, a point for each layer"
        + ("; the line is fitted to all seeds at once, R² of each seed stands with the verdicts." if line else "."),
        "Points of probe accuracy over NC1, one a layer, and the line through them.",
        axis("NC1, downstream training images"),
        axis("transfer accuracy (%)", percent=True),
        [
            series(
                "layers",
                [
                    float(np.mean([v for v in row if v is not None])) if any(v is not None for v in row) else None
                    for row in nc1
                ],
                accuracy,
                line=False,
                labels=[str(row + 1) for row in range(depth)],
            )
        ],
        fit=line,
    )
    rows = [
        [
            f"{row + 1}: {names[row] if row < len(names) else ''}",
            over_seeds(nc1[row]),
            over_seeds(accuracy[row], percent=True),
        ]
        for row in range(depth)
    ]
    return [*along, against, table(f"{network}, layer by layer.", ["Layer", "NC1", "Probe accuracy (%)"], rows)]
