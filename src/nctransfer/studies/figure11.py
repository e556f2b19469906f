"""Figure 11: tuning a layer makes it and all later layers more collapsed on downstream data, a skip connection more so.

Cells: the cross-entropy encoder of Table 1, tuned on a small downstream set by every method at every unit; NC1 of each
layer before and after. A.3.3 warns that full fine-tuning collapses most and need not transfer best.
"""

from __future__ import annotations

from typing import Any

from .cells import Cell, transfer, tuning
from .families import by_loss
from .panels import axis, mean, over_seeds, plot, series, table
from .scales import Scale
from .study import Findings, Outcome, Study, at
from .verdicts import Verdict, above, correlation

__all__ = ["PAPER", "STUDY"]

PAPER = {
    "text": "“fine-tuning a block would make the features from the block and all following blocks become more collapse on the "
    "downstream task, and adding skip connections make the collapse more severe” (A.3.3); the figure's numbers are not printed"
}


def cells(scale: Scale, seed: int) -> dict[str, Cell]:
    network = by_loss(scale, seed, scale.network, "ce", 0)
    made = {"encoder": network, "before": transfer(network, scale.tuned, seed, layers=True, probe=False)}
    for label, method, unit in _runs(scale):
        made[label] = tuning(network, scale.tuned, seed, method=method, unit=unit, epochs=scale.tuning_epochs)
    return made


def _runs(scale: Scale) -> list[tuple[str, str, str | None]]:
    units = [(f"{method} {unit}", method, unit) for unit in scale.tuned_units for method in ("layer", "scl")]
    return [("linear", "linear", None), *units, ("full", "full", None)]


def findings(outcome: Outcome) -> Findings:
    labels = [label for label, _, _ in _runs(outcome.scale)]
    nc1 = {label: outcome.each(label, "nc1") for label in labels}
    accuracy = {label: outcome.each(label, "test_accuracy") for label in labels}
    rows = range(len(outcome.seeds))
    tuned = [label for label in labels if label not in ("linear", "full")]
    claims = [*_layer_claims(outcome, nc1)]
    claims.append(
        correlation(
            "Over models with one tuned unit, more collapsed penultimate features go with better accuracy",
            [[(nc1[label][row], accuracy[label][row]) for label in ["linear", *tuned]] for row in rows],
            -1,
            "NC1 and test accuracy",
        )
    )
    others = [_best(nc1, [*tuned, "linear"], row, min) for row in rows]
    best = [_best(accuracy, [*tuned, "linear"], row, max) for row in rows]
    claims.append(
        above("Full fine-tuning collapses most (A.3.3)", others, nc1["full"], "NC1 of the next less NC1 of full")
    )
    claims.append(
        above("and yet another method transfers better (A.3.3)", best, accuracy["full"], "difference in accuracy")
    )
    return Findings(
        claims,
        [*_plots(outcome, labels, nc1, accuracy), _table(outcome, labels, nc1, accuracy)],
        [f"The paper: {PAPER['text']}."],
        CAUSES,
    )


def _best(values: dict[str, list[Any]], labels: list[str], row: int, pick: Any) -> float | None:
    return pick((values[label][row] for label in labels if values[label][row] is not None), default=None)


def _layer_claims(outcome: Outcome, nc1: dict[str, list[Any]]) -> list[Verdict]:
    made = []
    before = outcome.each("before", "layers", -1, "nc1")
    for unit in outcome.scale.tuned_units:
        layer, scl = nc1[f"layer {unit}"], nc1[f"scl {unit}"]
        made.append(
            above(f"Layer FT of {unit} makes the penultimate features more collapsed", before, layer, "fall of NC1")
        )
        made.append(
            above(
                f"SCL FT of {unit} collapses them more than layer FT", layer, scl, "NC1 of layer FT less that of SCL FT"
            )
        )
    return made


def _plots(outcome: Outcome, labels: list[str], nc1: dict[str, Any], accuracy: dict[str, Any]) -> list[dict[str, Any]]:
    drawn = []
    for label in ["before", *(label for label in labels if label != "linear")]:
        curves = [[layer["nc1"] for layer in layers or []] for layers in outcome.each(label, "layers")]
        depth = max((len(curve) for curve in curves), default=0)
        heights = [[at(curve, row) for curve in curves] for row in range(depth)]
        drawn.append(series(label, [float(row + 1) for row in range(depth)], heights))
    left = plot(
        "NC1 of each layer on downstream training images before and after tuning; the last is what the classifier sees.",
        "Lines of NC1 over layers: before tuning and after each method.",
        axis("layer"),
        axis("NC1, downstream", log=True),
        drawn,
    )
    kinds = {"linear probe": ["linear"], "layer FT": [], "SCL FT": [], "full FT": ["full"]}
    kinds["layer FT"] = [label for label in labels if label.startswith("layer")]
    kinds["SCL FT"] = [label for label in labels if label.startswith("scl")]
    right = plot(
        "Penultimate NC1 against test accuracy over tuned models.",
        "Points of test accuracy over NC1, one kind of mark for each method.",
        axis("NC1, downstream training images", log=True),
        axis("test accuracy (%)", percent=True),
        [
            series(kind, [mean(nc1[x]) for x in own], [accuracy[x] for x in own], line=False)
            for kind, own in kinds.items()
        ],
    )
    return [left, right]


def _table(outcome: Outcome, labels: list[str], nc1: dict[str, Any], accuracy: dict[str, Any]) -> dict[str, Any]:
    before = outcome.each("before", "layers", -1, "nc1")
    rows = [
        [label, over_seeds(before), over_seeds(nc1[label]), over_seeds(accuracy[label], percent=True)]
        for label in labels
    ]
    return table("Tuned models.", ["Method and unit", "NC1 before", "NC1 after", "Test accuracy (%)"], rows)


CAUSES: dict[str, str] = {}

STUDY = Study(
    "figure11",
    "Collapse of the layers before and after tuning",
    "Tuning a unit collapses it and what follows, a skip connection more so; full fine-tuning most, without transferring best.",
    cells,
    findings,
    ("Figure 11",),
)
