"""Figure 11: tuning a layer makes it and all later layers more collapsed on downstream data, a skip connection more so.

Cells: the cross-entropy encoder of Table 1, tuned on a small downstream set by every method at every unit, and the first
released network of Table 2, whose tunings the two studies share; NC1 of each layer before and after. A.3.3 warns that
full fine-tuning collapses most and need not transfer best.
"""

from __future__ import annotations

from typing import Any

from .cells import Cell, transfer
from .families import by_loss, tuned_backbone
from .panels import axis, mean, over_seeds, plot, series, table
from .scales import Backbone, Scale
from .study import Findings, Outcome, Study, at
from .verdicts import Verdict, above, correlation

__all__ = ["PAPER", "STUDY"]

PAPER = {
    "text": "“fine-tuning a block would make the features from the block and all following blocks become more collapse on the "
    "downstream task, and adding skip connections make the collapse more severe” (A.3.3); the figure's numbers are not printed"
}


def _subjects(scale: Scale) -> list[Backbone]:
    """The encoder pre-trained on the source with its small downstream set, and the first released network of Table 2."""
    own = Backbone(None, "Table 1's encoder", scale.network["image_size"], {"": scale.tuned}, scale.tuned_units)
    return [own, *[backbone for backbone in scale.backbones if backbone.network is not None][:1]]


def _runs(backbone: Backbone) -> list[tuple[str, str, str | None]]:
    units = [(f"{method} {unit}", method, unit) for unit in backbone.units for method in ("layer", "scl")]
    return [("linear", "linear", None), *units, ("full", "full", None)]


def _key(backbone: Backbone, label: str) -> str:
    return f"{backbone.title} | {label}"


def cells(scale: Scale, seed: int) -> dict[str, Cell]:
    made = {}
    for backbone in _subjects(scale):
        data = next(iter(backbone.data.values()))
        network: Cell | str = backbone.network or by_loss(scale, seed, scale.network, "ce", 0)
        size = backbone.image_size if backbone.network else None
        made[_key(backbone, "before")] = transfer(network, data, seed, layers=True, probe=False, image_size=size)
        for label, method, unit in _runs(backbone):
            made[_key(backbone, label)] = tuned_backbone(scale, seed, backbone, data, method, unit)
    return made


def findings(outcome: Outcome) -> Findings:
    claims: list[Verdict] = []
    panels: list[dict[str, Any]] = []
    for backbone in _subjects(outcome.scale):
        labels = [label for label, _, _ in _runs(backbone)]
        nc1 = {label: outcome.each(_key(backbone, label), "nc1") for label in labels}
        accuracy = {label: outcome.each(_key(backbone, label), "test_accuracy") for label in labels}
        before = outcome.each(_key(backbone, "before"), "layers", -1, "nc1")
        claims += [*_layer_claims(backbone, nc1, before), *_accuracy_claims(backbone, nc1, accuracy)]
        panels += [*_plots(outcome, backbone, nc1, accuracy), _table(backbone, before, nc1, accuracy)]
    return Findings(claims, panels, [f"The paper: {PAPER['text']}."])


def _layer_claims(backbone: Backbone, nc1: dict[str, list[Any]], before: list[Any]) -> list[Verdict]:
    made = []
    for unit in backbone.units:
        layer, scl = nc1[f"layer {unit}"], nc1[f"scl {unit}"]
        where = f"{backbone.title}, {unit}"
        made.append(
            above(f"{where}: layer FT makes the penultimate features more collapsed", before, layer, "fall of NC1")
        )
        made.append(
            above(
                f"{where}: SCL FT collapses them more than layer FT", layer, scl, "NC1 after layer FT less after SCL FT"
            )
        )
    return made


def _accuracy_claims(backbone: Backbone, nc1: dict[str, list[Any]], accuracy: dict[str, list[Any]]) -> list[Verdict]:
    others = [label for label in nc1 if label != "full"]
    rows = range(len(nc1["full"]))
    where = backbone.title
    return [
        correlation(
            f"{where}: the more collapsed the penultimate features after tuning one unit, the better the accuracy",
            [[(nc1[label][row], accuracy[label][row]) for label in others] for row in rows],
            -1,
            "NC1 and test accuracy",
        ),
        above(
            f"{where}: full fine-tuning collapses most (A.3.3)",
            [_best(nc1, others, row, min) for row in rows],
            nc1["full"],
            "NC1 of the next less NC1 of full",
        ),
        above(
            f"{where}: yet another method transfers better than full fine-tuning (A.3.3)",
            [_best(accuracy, others, row, max) for row in rows],
            accuracy["full"],
            "difference in accuracy",
            points=True,
        ),
    ]


def _best(values: dict[str, list[Any]], labels: list[str], row: int, pick: Any) -> float | None:
    return pick((values[label][row] for label in labels if values[label][row] is not None), default=None)


def _plots(
    outcome: Outcome, backbone: Backbone, nc1: dict[str, list[Any]], accuracy: dict[str, list[Any]]
) -> list[dict[str, Any]]:
    drawn = []
    for label in ["before", *(label for label in nc1 if label != "linear")]:
        curves = [[layer["nc1"] for layer in layers or []] for layers in outcome.each(_key(backbone, label), "layers")]
        depth = max((len(curve) for curve in curves), default=0)
        heights = [[at(curve, row) for curve in curves] for row in range(depth)]
        drawn.append(series(label, [float(row + 1) for row in range(depth)], heights))
    left = plot(
        f"{backbone.title}: NC1 of each layer on downstream training images before and after tuning; the last is what the "
        "classifier sees.",
        "Lines of NC1 over layers: before tuning and after each method.",
        axis("layer"),
        axis("NC1, downstream", log=True),
        drawn,
    )
    kinds = {
        "linear probe": ["linear"],
        "layer FT": [label for label in nc1 if label.startswith("layer")],
        "SCL FT": [label for label in nc1 if label.startswith("scl")],
        "full FT": ["full"],
    }
    right = plot(
        f"{backbone.title}: penultimate NC1 against test accuracy over tuned models.",
        "Points of test accuracy over NC1, one kind of mark for each method.",
        axis("NC1, downstream training images", log=True),
        axis("test accuracy (%)", percent=True),
        [
            series(kind, [mean(nc1[x]) for x in own], [accuracy[x] for x in own], line=False)
            for kind, own in kinds.items()
        ],
    )
    return [left, right]


def _table(
    backbone: Backbone, before: list[Any], nc1: dict[str, list[Any]], accuracy: dict[str, list[Any]]
) -> dict[str, Any]:
    rows = [
        [label, over_seeds(before), over_seeds(nc1[label]), over_seeds(accuracy[label], percent=True)] for label in nc1
    ]
    columns = ["Method and unit", "NC1 before", "NC1 after", "Test accuracy (%)"]
    return table(f"{backbone.title}: tuned models.", columns, rows)


_SLIGHT = (
    "Table 1's encoder has seen 1,000 images of 10 classes. On some seeds no epoch of tuning a unit beat the starting"
    " probe on the 200 validation images, so that the probe was kept: those differences are 0. On one seed validation"
    " chose so small a rate for full FT that it hardly moved."
)
_SAME = (
    "EfficientNet-Lite0: layer FT and SCL FT start at the same converged probe and reach nearly the same collapse; "
    "which of the two ends lower turns on the epoch that is chosen on 120 validation images. At the lowest unit the "
    "starting probe was kept on one seed. Which method transfers best differs from seed to seed by about the standard"
    " error of that choice."
)

CAUSES: dict[str, dict[str, str]] = {"mini": {"Table 1's encoder": _SLIGHT, "EfficientNet-Lite0": _SAME}}
"""By scale and the beginning of a claim."""

STUDY = Study(
    "figure11",
    "Collapse of the layers before and after tuning",
    "Tuning a unit collapses it and what follows, a skip connection more so; full fine-tuning most, without transferring best.",
    cells,
    findings,
    ("Figure 11",),
    CAUSES,
)
