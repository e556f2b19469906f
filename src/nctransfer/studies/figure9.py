"""Figure 9: on the source, log NC1 falls linearly with depth.

Cells: MLPs and a ResNet, each measured layer by layer on the training images of its own source.
"""

from __future__ import annotations

import math
from typing import Any

from ..arrays import line_through
from .cells import Cell, transfer
from .depth import LEAST_R2, R2_MARGIN, straight
from .families import by_loss, pretrained
from .panels import axis, over_seeds, plot, series, table
from .parts import pooled
from .scale import Scale
from .study import Findings, Outcome, Study, at
from .verdicts import RHO, RHO_MARGIN, Verdict, at_least, decide, spearman

__all__ = ["PAPER", "STUDY"]

PAPER = {
    "text": "“log(NC1) decays linearly across layers” after He & Su (2022), for MLPs on MNIST, FashionMNIST and CIFAR-10 and "
    "ResNet18 on CIFAR-100 (A.3.1); the figure's numbers are not printed"
}


def _runs(scale: Scale, seed: int) -> dict[str, tuple[Cell, dict[str, Any]]]:
    made = {
        title: (pretrained(scale, seed, settings, data, loss="ce", head="none"), data)
        for title, (data, settings) in scale.layered.items()
    }
    made[_resnet(scale)] = (by_loss(scale, seed, scale.network, "ce", 0), scale.source)
    return made | _others_by_loss(scale, seed)


def _resnet(scale: Scale) -> str:
    return f"ResNet on {scale.source['name'].replace('cifar', 'CIFAR-')}"


def _others_by_loss(scale: Scale, seed: int) -> dict[str, tuple[Cell, dict[str, Any]]]:
    """The encoders of Table 1 under other losses than cross-entropy."""
    return {
        f"{_resnet(scale)}, {title}": (by_loss(scale, seed, scale.network, loss, layers), scale.source)
        for title, loss, layers in (("MSE", "mse", 0), ("SupCon", "supcon", 2))
    }


def cells(scale: Scale, seed: int) -> dict[str, Cell]:
    made: dict[str, Cell] = {}
    for title, (network, data) in _runs(scale, seed).items():
        made[title] = network
        made[f"{title} layers"] = transfer(network, data, seed, layers=True, probe=False)
    return made


def findings(outcome: Outcome) -> Findings:
    claims: list[Verdict] = []
    drawn, rows = [], []
    falls: dict[str, list[float | None]] = {}
    for title in _runs(outcome.scale, 0):
        curves = [_curve(layers) for layers in outcome.each(f"{title} layers", "layers")]
        lines = [_line(curve) for curve in curves]
        points = [[(float(depth), value) for depth, value in enumerate(curve)] for curve in curves]
        if title not in _others_by_loss(outcome.scale, 0):
            claims.append(
                at_least(
                    f"{title}: log NC1 falls linearly with depth (R² of at least {LEAST_R2:g})",
                    straight(lines, -1),
                    LEAST_R2,
                    "R² (0 where it rises)",
                    margin=R2_MARGIN,
                )
            )
        falls[title] = [None if (rho := spearman(seed)) is None else -rho for seed in points]
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
    claims += _progress(falls)
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


def _progress(falls: dict[str, list[float | None]]) -> list[Verdict]:
    """Collapse progresses with depth whatever the loss (section 3.1)."""
    parts = [
        decide(
            f"{title}: the deeper a layer, the more collapsed",
            effect,
            "−ρ of depth and NC1",
            margin=RHO_MARGIN,
            unit=RHO,
            least_mean=0.5,
        )
        for title, effect in falls.items()
    ]
    return pooled(
        "The deeper a layer, the more collapsed on the source, whatever the loss (section 3.1)",
        parts,
        list(falls.values()),
        "−ρ of depth and NC1, mean over the networks",
        margin=RHO_MARGIN,
        unit=RHO,
        least_mean=0.5,
    )


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

CAUSES: dict[str, dict[str, str]] = {"pilot": {"MLP": _FLOOR}}
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
