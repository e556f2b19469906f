"""Table 2, with Tables 3, 4 and 5: linear probe, layer FT, SCL FT and full FT of pretrained networks.

Cells: every method at every unit, for each backbone and downstream set. The unit of the headline row is chosen on validation;
the paper's own maximum over units, which looks at the test images, is shown too.
"""

from __future__ import annotations

from typing import Any

from ..transfer import METHODS
from .cells import Cell
from .families import tuned_backbone
from .panels import axis, over_seeds, plot, series, table
from .scales import Backbone, Scale
from .study import Findings, Outcome, Study, at
from .verdicts import Verdict, above, decide

__all__ = ["PAPER", "STUDY"]

PAPER: dict[tuple[str, str], dict[str, float]] = {
    ("ResNet18", "CIFAR-10"): {"linear": 43.12, "layer": 82.00, "scl": 84.83, "full": 85.61},
    ("ResNet18", "CIFAR-100"): {"linear": 23.84, "layer": 54.03, "scl": 58.51, "full": 55.75},
    ("ResNet50", "CIFAR-10"): {"linear": 49.70, "layer": 85.03, "scl": 86.14, "full": 88.54},
    ("ResNet50", "CIFAR-100"): {"linear": 29.71, "layer": 59.39, "scl": 64.90, "full": 53.42},
    ("ViT-B", "Aircraft"): {"linear": 43.65, "layer": 65.83, "scl": 65.80, "full": 64.57},
    ("ViT-B", "DTD"): {"linear": 73.88, "layer": 77.13, "scl": 77.34, "full": 76.49},
    ("ViT-B", "PET"): {"linear": 92.23, "layer": 93.02, "scl": 93.19, "full": 93.02},
}
"""Table 2: test accuracy in per cent, the maximum over units for layer and SCL FT."""

PAPER_UNITS: dict[tuple[str, str], dict[str, tuple[float, float]]] = {
    ("ResNet18", "CIFAR-10"): {"1": (65.03, 82.33), "3": (80.84, 84.83), "5": (82.00, 83.10), "7": (71.66, 73.08)},
    ("ResNet18", "CIFAR-100"): {"1": (35.98, 53.52), "3": (46.26, 58.51), "5": (54.03, 57.72), "7": (45.85, 46.97)},
    ("ResNet50", "CIFAR-10"): {"1": (38.65, 78.58), "4": (49.76, 79.24), "8": (85.03, 86.14), "14": (75.78, 76.02)},
    ("ResNet50", "CIFAR-100"): {"1": (6.98, 55.94), "4": (25.02, 59.36), "8": (59.39, 64.90), "14": (52.29, 53.56)},
    ("ViT-B", "DTD"): {"1": (76.54, 77.02), "4": (75.85, 77.18), "7": (77.13, 77.34), "10": (76.12, 76.54)},
    ("ViT-B", "PET"): {"1": (92.42, 92.23), "4": (92.67, 93.19), "7": (92.94, 93.13), "10": (93.02, 93.13)},
    ("ViT-B", "Aircraft"): {"1": (57.64, 56.50), "4": (64.93, 62.35), "7": (65.83, 65.80), "10": (62.80, 62.32)},
}
"""Tables 3, 4 and 5: layer FT and SCL FT in per cent by block or encoder layer."""

SLIPS = (
    "Table 4 prints 6.98 % for layer FT of ResNet50's block 1 on CIFAR-100, far under the probe's 29.71 %: tuning failed.",
    "Table 2 prints 93.02 % for full FT of ViT-B on PET, Table 5 prints 93.01 %.",
)
TITLES = {name: METHODS[name].short for name in ("linear", "layer", "scl", "full")}


def _label(backbone: Backbone, data: str, method: str, unit: str | None = None) -> str:
    return " | ".join(part for part in (backbone.title, data, method, unit) if part)


def cells(scale: Scale, seed: int) -> dict[str, Cell]:
    made: dict[str, Cell] = {}
    for backbone in scale.backbones:
        runs = [("linear", None), ("full", None), *((m, unit) for unit in backbone.units for m in ("layer", "scl"))]
        for data, spec in backbone.data.items():
            for method, unit in runs:
                made[_label(backbone, data, method, unit)] = tuned_backbone(scale, seed, backbone, spec, method, unit)
    return made


def findings(outcome: Outcome) -> Findings:
    claims: list[Verdict] = []
    panels: list[dict[str, Any]] = []
    by_unit: list[dict[str, Any]] = []
    for backbone in outcome.scale.backbones:
        for data in backbone.data:
            rows = {method: _rows(outcome, backbone, data, method) for method in TITLES}
            claims += _claims(outcome, backbone, data, rows)
            panels.append(_table(outcome, backbone, data, rows))
            by_unit += _units(outcome, backbone, data)
    notes = [f"A slip in the paper: {slip}" for slip in SLIPS]
    notes.append(
        "The paper does not state the input size of its ResNets; a probe of 43.12 % on CIFAR-10 speaks for 32 pixels."
    )
    return Findings(claims, [*panels, *by_unit], notes)


def _rows(outcome: Outcome, backbone: Backbone, data: str, method: str) -> dict[str, list[Any]]:
    """Test accuracy of each seed with the unit chosen on validation, and the maximum over units on the test images."""
    units: list[str | None] = [None] if method in ("linear", "full") else list(backbone.units)
    chosen: list[float | None] = []
    most: list[float | None] = []
    names: list[str | None] = []
    for seed in outcome.seeds:
        found = [value for unit in units if (value := outcome.values[seed].get(_label(backbone, data, method, unit)))]
        best = max(found, key=lambda value: value["val_accuracy"], default=None)
        chosen.append(at(best, "test_accuracy"))
        names.append(at(best, "unit"))
        most.append(max((value["test_accuracy"] for value in found), default=None))
    return {"chosen": chosen, "most": most, "units": names}


def _claims(outcome: Outcome, backbone: Backbone, data: str, rows: dict[str, dict[str, list[Any]]]) -> list[Verdict]:
    where = f"{backbone.title} on {data}"
    chosen = {method: row["chosen"] for method, row in rows.items()}
    gain = "difference in test accuracy, unit chosen on validation"
    return [
        above(f"{where}: layer FT beats the linear probe", chosen["layer"], chosen["linear"], gain, points=True),
        above(f"{where}: SCL FT beats layer FT", chosen["scl"], chosen["layer"], gain, points=True),
        decide(
            f"{where}: SCL FT comes within 1 point of full FT, or beats it",
            [
                None if a is None or b is None else a - b + 0.01
                for a, b in zip(chosen["scl"], chosen["full"], strict=True)
            ],
            "SCL FT less full FT plus 1 point",
            points=True,
        ),
        _middle(outcome, backbone, data),
    ]


def _middle(outcome: Outcome, backbone: Backbone, data: str) -> Verdict:
    """How much the best inner unit lies above the better of the first and the last, for layer FT on the test images."""
    effects: list[float | None] = []
    for seed in outcome.seeds:
        values = [
            at(outcome.values[seed].get(_label(backbone, data, "layer", unit)), "test_accuracy")
            for unit in backbone.units
        ]
        whole = len(values) > 2 and all(value is not None for value in values)
        effects.append(max(values[1:-1]) - max(values[0], values[-1]) if whole else None)
    return decide(
        f"{backbone.title} on {data}: a middle unit is best (A.3.3)",
        effects,
        "best middle unit less the better end, layer FT",
        points=True,
    )


def _table(outcome: Outcome, backbone: Backbone, data: str, rows: dict[str, dict[str, list[Any]]]) -> dict[str, Any]:
    paper = PAPER.get((backbone.paper, data.split(",")[0]), {})
    body = []
    for method, title in TITLES.items():
        units = sorted({unit for unit in rows[method]["units"] if unit})
        published = over_seeds([paper[method] / 100], percent=True) if method in paper else None
        body.append(
            [
                title,
                published,
                over_seeds(rows[method]["chosen"], percent=True),
                over_seeds(rows[method]["most"], percent=True),
                ", ".join(units),
            ]
        )
    columns = [
        "Method",
        f"Paper's {backbone.paper} (maximum over units)" if paper else "Paper",
        "Ours, unit chosen on validation",
        "Ours, maximum over units on test",
        "Unit chosen",
    ]
    size = next(
        (value["num_train"] for seed in outcome.values.values() for value in seed.values() if "num_train" in value),
        None,
    )
    caption = f"{backbone.title} at {backbone.image_size} pixels on {data}: test accuracy (%)"
    notes = [f"Tuned on {at(_any(outcome, backbone, data), 'num_train') or size} training images."]
    if backbone.paper != backbone.title:
        notes.append(
            "Another network and less data than the paper's: its column is there for the order, not for the values."
        )
    return table(f"{caption}.", columns, body, notes=notes)


def _any(outcome: Outcome, backbone: Backbone, data: str) -> Any:
    return next(
        (value for seed in outcome.seeds if (value := outcome.values[seed].get(_label(backbone, data, "linear")))), None
    )


def _units(outcome: Outcome, backbone: Backbone, data: str) -> list[dict[str, Any]]:
    drawn, rows = [], []
    accuracy = {
        (method, unit): outcome.each(_label(backbone, data, method, unit), "test_accuracy")
        for method in ("layer", "scl")
        for unit in backbone.units
    }
    for method in ("layer", "scl"):
        drawn.append(
            series(
                TITLES[method],
                [float(row + 1) for row in range(len(backbone.units))],
                [accuracy[method, unit] for unit in backbone.units],
            )
        )
    for method in ("linear", "full"):
        level = outcome.each(_label(backbone, data, method), "test_accuracy")
        drawn.append(series(TITLES[method], [1.0, float(len(backbone.units))], [level, level]))
    for unit in backbone.units:
        nc1 = [outcome.each(_label(backbone, data, method, unit), "nc1") for method in ("layer", "scl")]
        rows.append(
            [
                unit,
                over_seeds(accuracy["layer", unit], percent=True),
                over_seeds(accuracy["scl", unit], percent=True),
                over_seeds(nc1[0]),
                over_seeds(nc1[1]),
            ]
        )
    published = PAPER_UNITS.get((backbone.paper, data.split(",")[0]))
    panels = [
        plot(
            f"{backbone.title} on {data}: test accuracy by tuned unit; the level lines are the linear probe and full FT.",
            "Lines of test accuracy over tuned units for layer FT and SCL FT.",
            axis("tuned unit", names=backbone.units),
            axis("test accuracy (%)", percent=True),
            drawn,
        ),
        table(
            f"{backbone.title} on {data}, unit by unit (ours).",
            ["Unit", "Layer FT (%)", "SCL FT (%)", "NC1 after layer FT", "NC1 after SCL FT"],
            rows,
        ),
    ]
    if published:
        body = [
            [f"block {unit}", *(over_seeds([v / 100], percent=True) for v in pair)] for unit, pair in published.items()
        ]
        panels.append(
            table(
                f"The paper's {backbone.paper} on {data.split(',')[0]}, unit by unit.",
                ["Unit", "Layer FT (%)", "SCL FT (%)"],
                body,
            )
        )
    return panels


_FEW = (
    "EfficientNet-Lite0: the unit, the rate and the epoch are chosen on 120 validation images, whose accuracy has a "
    "standard error of about 4 points: more than what separates layer FT from SCL FT here. Besides, our layer FT "
    "starts where our SCL FT starts, at the converged probe, which leaves it less to gain; the paper does not state "
    "its start. A start of the skip connection from a joint probe was tried by hand on 2,500 images of CIFAR-10, and "
    "was no better. That full FT is well ahead on 20 classes of CIFAR-100 is not explained by this; likely a single "
    "unit of so small a network moves its features too little. Not tried: several units together, larger networks."
)
_SLIGHT = (
    "ResNet-20 of 10 classes: the encoder has seen 1,000 images, and its units hold 5,000 to 60,000 weights. On one "
    "seed no epoch of tuning a unit beat the starting probe on the 200 validation images, so that the probe was kept "
    "and nothing differs; on another, validation chose so small a rate for full FT that it hardly moved."
)

CAUSES: dict[str, dict[str, str]] = {"mini": {"EfficientNet-Lite0": _FEW, "ResNet-20 of 10 classes": _SLIGHT}}
"""By scale and the beginning of a claim."""

STUDY = Study(
    "table2",
    "Linear probe, layer FT, SCL FT and full FT",
    "Tuning one unit beats the linear probe, a skip connection improves on it, and the result rivals full fine-tuning.",
    cells,
    findings,
    ("Table 2", "Table 3", "Table 4", "Table 5"),
    CAUSES,
)
