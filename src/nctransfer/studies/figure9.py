"""Figure 9: on the source, log NC1 falls linearly with depth.

Cells: MLPs and a ResNet, each measured layer by layer on the training images of its own source.
"""

from __future__ import annotations

import math
from typing import Any

from ..arrays import line_through
from .cells import Cell, transfer
from .families import by_loss, pretrained
from .panels import axis, over_seeds, plot, series, table
from .scales import Scale
from .study import Findings, Outcome, Study, at
from .verdicts import Verdict, decide

__all__ = ["PAPER", "STUDY"]

PAPER = {
    "text": "“log(NC1) decays linearly across layers” after He & Su (2022), for MLPs on MNIST, FashionMNIST and CIFAR-10 and "
    "ResNet18 on CIFAR-100 (A.3.1); the figure's numbers are not printed"
}
LEAST_R2 = 0.8
"""What counts as linear here; the paper gives no figure."""


def _runs(scale: Scale, seed: int) -> dict[str, tuple[Cell, dict[str, Any]]]:
    made = {
        title: (pretrained(scale, seed, settings, data, loss="ce", head="none"), data)
        for title, (data, settings) in scale.layered.items()
    }
    made[f"ResNet on {scale.source['name'].replace('cifar', 'CIFAR-')}"] = (
        by_loss(scale, seed, scale.network, "ce", 0),
        scale.source,
    )
    return made


def cells(scale: Scale, seed: int) -> dict[str, Cell]:
    made: dict[str, Cell] = {}
    for title, (network, data) in _runs(scale, seed).items():
        made[title] = network
        made[f"{title} layers"] = transfer(network, data, seed, layers=True, probe=False)
    return made


def findings(outcome: Outcome) -> Findings:
    claims: list[Verdict] = []
    drawn, rows = [], []
    for title in _runs(outcome.scale, 0):
        curves = [_curve(layers) for layers in outcome.each(f"{title} layers", "layers")]
        lines = [_line(curve) for curve in curves]
        effects = [None if line is None else line[2] - LEAST_R2 if line[0] < 0 else -1.0 for line in lines]
        claims.append(
            decide(
                f"{title}: log NC1 falls linearly with depth (R² of at least {LEAST_R2:g})",
                effects,
                f"R² − {LEAST_R2:g} (−1 where it rises)",
            )
        )
        depth = max((len(curve) for curve in curves), default=0)
        drawn.append(
            series(
                title, [float(x + 1) for x in range(depth)], [[at(curve, x) for curve in curves] for x in range(depth)]
            )
        )
        rows.append(
            [
                title,
                over_seeds([line[0] / math.log(10) if line else None for line in lines]),
                over_seeds([line[2] if line else None for line in lines]),
                over_seeds([at(curve, 0) for curve in curves]),
                over_seeds([at(curve, -1) for curve in curves]),
                over_seeds(outcome.each(title, "final", "train_accuracy"), percent=True),
            ]
        )
    columns = [
        "Network and source",
        "Slope of log10 NC1 a layer",
        "R²",
        "NC1, first layer",
        "last layer",
        "Training accuracy (%)",
    ]
    panel = plot(
        "NC1 of each layer on the source training images.",
        "Lines of NC1 over layers on a logarithmic axis, one for each network.",
        axis("layer"),
        axis("NC1, source", log=True),
        drawn,
    )
    notes = [f"The paper: {PAPER['text']}."]
    missing = {"fashion_mnist"} - {spec["name"] for spec, _ in outcome.scale.layered.values()}
    if missing and outcome.scale.name == "mini":
        notes.append("FashionMNIST is left out at this scale.")
    return Findings(claims, [panel, table("How straight the decay is.", columns, rows)], notes)


def _curve(layers: list[dict[str, Any]] | None) -> list[float | None]:
    return [layer["nc1"] for layer in layers or [] if not layer.get("penultimate")]


def _line(curve: list[float | None]) -> tuple[float, float, float] | None:
    known = [(row, math.log(value)) for row, value in enumerate(curve) if value is not None and value > 0]
    return line_through([row for row, _ in known], [value for _, value in known])


_FLOOR = (
    "The MLPs: log NC1 falls on a line over the first five or six layers and then stays at its floor, rising a little"
    " before the last. So few images are told apart by half of the twelve layers, which leaves the others nothing to "
    "do. The paper trains on the whole sets with layers of 3,072. Not tried: fewer layers, other rates. There is one "
    "seed, which decides nothing."
)

CAUSES: dict[str, dict[str, str]] = {"mini": {"MLP": _FLOOR}}
"""By scale and the beginning of a claim."""

STUDY = Study(
    "figure9",
    "Collapse progresses from layer to layer on the source",
    "On the source data, log NC1 falls linearly from the first layer to the last.",
    cells,
    findings,
    ("Figure 9",),
    CAUSES,
)
