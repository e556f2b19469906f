"""Figure 11: tuning a layer makes it and all later layers more collapsed on downstream data, a skip connection more so.

Cells: the cross-entropy encoder of Table 1, tuned on a small downstream set by every method at every block, and the first
released network of Table 2, whose tunings the two studies share; NC1 of each layer before and after. A.3.3 warns that
full fine-tuning collapses most and need not transfer best.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .cells import Cell, transfer
from .effects import averaged, gaps, log_ratios
from .families import by_loss, tuned_backbone
from .panels import axis, mean, over_seeds, plot, series, table
from .parts import pooled
from .scale import Backbone, Scale, seeded
from .study import Findings, Outcome, Study, at
from .verdicts import NC1_MARGIN, POINT, POINTS, RATIO, Verdict, above, correlation, decide

__all__ = ["PAPER", "STUDY"]

PAPER = {
    "text": "“fine-tuning a block would make the features from the block and all following blocks become more collapse on the "
    "downstream task, and adding skip connections make the collapse more severe” (A.3.3); the figure's numbers are not printed"
}


def _subjects(scale: Scale) -> list[Backbone]:
    """The encoder pre-trained on the source with its small downstream set, and the first released network of Table 2."""
    released = [backbone for backbone in scale.backbones if backbone.network is not None][:1]
    like = released[0] if released else scale.backbones[0]
    own = Backbone(
        None,
        "Table 1's encoder",
        scale.network["image_size"],
        {"": scale.tuned},
        scale.tuned_units,
        protocol=like.protocol,
        epochs=like.epochs,
    )
    return [own, *released]


def _runs(backbone: Backbone) -> list[tuple[str, str, str | None]]:
    units = [(f"{method} {unit}", method, unit) for unit in backbone.units for method in ("layer", "scl")]
    return [("linear", "linear", None), *units, ("full", "full", None)]


def _key(backbone: Backbone, label: str) -> str:
    return f"{backbone.title} | {label}"


def cells(scale: Scale, seed: int) -> dict[str, Cell]:
    made = {}
    for backbone in _subjects(scale):
        title, spec = next(iter(backbone.data.items()))
        data = seeded(spec, seed)
        network: Cell | str = backbone.network or by_loss(scale.at(seed), seed, scale.network, "ce", 0)
        size = backbone.image_size if backbone.network else None
        made[_key(backbone, "before")] = transfer(network, data, seed, layers=True, probe=False, image_size=size)
        for label, method, unit in _runs(backbone):
            made[_key(backbone, label)] = tuned_backbone(scale, seed, backbone, title, method, unit)
        if backbone.network and backbone.protocol:
            made |= _less_data(scale, seed, backbone)
    return made


def _less_data(scale: Scale, seed: int, backbone: Backbone) -> dict[str, Cell]:
    """Full FT and layer FT of a middle block on a quarter of the images (A.3.3)."""
    title, spec = next(iter(backbone.data.items()))
    if "per_class" not in spec:
        return {}
    quarter = replace(backbone, data={title: {**spec, "per_class": max(2, spec["per_class"] // 4)}})
    unit = _middle(backbone)
    return {
        _key(backbone, f"a quarter | {method}"): tuned_backbone(scale, seed, quarter, title, method, chosen)
        for method, chosen in (("layer", unit), ("full", None))
    }


def _middle(backbone: Backbone) -> str:
    return backbone.units[len(backbone.units) // 2]


def findings(outcome: Outcome) -> Findings:
    claims: list[Verdict] = []
    panels: list[dict[str, Any]] = []
    for backbone in _subjects(outcome.scale):
        labels = [label for label, _, _ in _runs(backbone)]
        nc1 = {label: outcome.each(_key(backbone, label), "nc1") for label in labels}
        accuracy = {label: outcome.each(_key(backbone, label), "test_accuracy") for label in labels}
        before = outcome.each(_key(backbone, "before"), "layers", -1, "nc1")
        claims += [
            *_penultimate(backbone, nc1, before),
            *_following(outcome, backbone),
            *_accuracy_claims(outcome, backbone, nc1, accuracy),
            *_overfitting(outcome, backbone, accuracy),
        ]
        panels += [*_plots(outcome, backbone, nc1, accuracy), _table(backbone, before, nc1, accuracy)]
    return Findings(claims, panels, [f"The paper: {PAPER['text']}."])


def _collapsing(statement: str, parts: dict[str, list[float | None]], name: str) -> list[Verdict]:
    """A claim over all blocks that NC1 is smaller by a factor, with the blocks as its parts."""
    made = [decide(said, effect, name, margin=NC1_MARGIN, unit=RATIO) for said, effect in parts.items()]
    return pooled(statement, made, list(parts.values()), f"{name}, mean over the blocks", margin=NC1_MARGIN, unit=RATIO)


def _penultimate(backbone: Backbone, nc1: dict[str, list[Any]], before: list[Any]) -> list[Verdict]:
    where = backbone.title
    return [
        *_collapsing(
            f"{where}: layer FT makes the penultimate features more collapsed",
            {
                f"{where}, {unit}: layer FT makes the penultimate features more collapsed": log_ratios(
                    before, nc1[f"layer {unit}"]
                )
                for unit in backbone.units
            },
            "NC1 before over NC1 after",
        ),
        *_collapsing(
            f"{where}: SCL FT collapses what the classifier sees more than layer FT",
            {
                f"{where}, {unit}: SCL FT collapses what the classifier sees more than layer FT": log_ratios(
                    nc1[f"layer {unit}"], nc1[f"scl {unit}"]
                )
                for unit in backbone.units
            },
            "NC1 after layer FT over NC1 after SCL FT",
        ),
    ]


def _following(outcome: Outcome, backbone: Backbone) -> list[Verdict]:
    """“The block and all following blocks become more collapsed”: from the tuned block on, layer FT against before."""
    where = backbone.title
    parts: dict[str, list[float | None]] = {}
    for unit in backbone.units:
        effects = []
        for seed in outcome.seeds:
            values = outcome.values[seed]
            old = _profile(at(values.get(_key(backbone, "before")), "layers"))
            new = _profile(at(values.get(_key(backbone, f"layer {unit}")), "layers"))
            names = list(old)
            later = names[names.index(unit) :] if unit in names else []
            ratios = log_ratios([old[x] for x in later], [new.get(x) for x in later])
            known = [ratio for ratio in ratios if ratio is not None]
            effects.append(sum(known) / len(known) if known else None)
        parts[f"{where}, {unit}: layer FT collapses the block and all that follow"] = effects
    return _collapsing(
        f"{where}: layer FT collapses the tuned block and all that follow (A.3.3)",
        parts,
        "NC1 before over NC1 after, mean over the layers from the block on",
    )


def _profile(layers: list[dict[str, Any]] | None) -> dict[str, float | None]:
    return {layer["name"]: layer["nc1"] for layer in layers or [] if layer["name"] != "penultimate"}


def _accuracy_claims(
    outcome: Outcome, backbone: Backbone, nc1: dict[str, list[Any]], accuracy: dict[str, list[Any]]
) -> list[Verdict]:
    others = [label for label in nc1 if label != "full"]
    rows = range(len(nc1["full"]))
    where = backbone.title
    return [
        correlation(
            f"{where}: the more collapsed the penultimate features after tuning one block, the better the accuracy",
            [[(nc1[label][row], accuracy[label][row]) for label in others] for row in rows],
            -1,
            "NC1 and test accuracy",
        ),
        decide(
            f"{where}: of the blocks tuned alone, the one that collapses most is the most accurate (section 3.3)",
            [_most_collapsed(nc1, accuracy, backbone, row) for row in rows],
            "accuracy at the most collapsed block less the mean of the others, layer FT",
            margin=POINT,
            unit=POINTS,
        ),
        decide(
            f"{where}: full fine-tuning collapses more than the other methods (A.3.3)",
            averaged([log_ratios(nc1[label], nc1["full"]) for label in others]),
            "NC1 of the others over NC1 of full FT, mean over the others",
            margin=NC1_MARGIN,
            unit=RATIO,
        ),
        above(
            f"{where}: yet another method transfers better than full fine-tuning (A.3.3)",
            [_best_on_validation(outcome, backbone, others, row) for row in rows],
            accuracy["full"],
            "accuracy of the other that is best on validation less that of full FT",
        ),
    ]


def _overfitting(outcome: Outcome, backbone: Backbone, accuracy: dict[str, list[Any]]) -> list[Verdict]:
    """“Such phenomenon happens especially severe for the datasets with limited number size.”"""
    if not (backbone.network and backbone.protocol):
        return []
    fewer = [outcome.each(_key(backbone, f"a quarter | {method}"), "test_accuracy") for method in ("layer", "full")]
    return [
        decide(
            f"{backbone.title}: full FT falls behind layer FT of a middle block as data get fewer (A.3.3)",
            gaps(gaps(fewer[0], fewer[1]), gaps(accuracy[f"layer {_middle(backbone)}"], accuracy["full"])),
            "layer FT less full FT on a quarter of the images, less the same on all",
            margin=POINT,
            unit=POINTS,
        )
    ]


def _most_collapsed(
    nc1: dict[str, list[Any]], accuracy: dict[str, list[Any]], backbone: Backbone, row: int
) -> float | None:
    known = {
        unit: accuracy[f"layer {unit}"][row]
        for unit in backbone.units
        if nc1[f"layer {unit}"][row] is not None and accuracy[f"layer {unit}"][row] is not None
    }
    if len(known) < 2:
        return None
    first = min(known, key=lambda unit: nc1[f"layer {unit}"][row])
    rest = [value for unit, value in known.items() if unit != first]
    return known[first] - sum(rest) / len(rest)


def _best_on_validation(outcome: Outcome, backbone: Backbone, labels: list[str], row: int) -> float | None:
    values = [outcome.values[outcome.seeds[row]].get(_key(backbone, label)) for label in labels]
    best = max((value for value in values if value), key=lambda value: value["val_accuracy"], default=None)
    return at(best, "test_accuracy")


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
    columns = ["Method and block", "NC1 before", "NC1 after", "Test accuracy (%)"]
    return table(f"{backbone.title}: tuned models.", columns, rows)


_SLIGHT = (
    "Table 1's encoder has seen 1,000 images of 10 classes. On some seeds no epoch of tuning a block beat the starting"
    " probe on the 200 validation images, so that the probe was kept: those differences are 0. On one seed validation"
    " chose so small a rate for full FT that it hardly moved."
)
_SAME = (
    "EfficientNet-Lite0: layer FT and SCL FT start at the same converged probe and reach nearly the same collapse; "
    "which of the two ends lower turns on the epoch that is chosen on 120 validation images. At the lowest block the "
    "starting probe was kept on one seed. Which method transfers best differs from seed to seed by about the standard"
    " error of that choice."
)

CAUSES: dict[str, dict[str, str]] = {"pilot": {"Table 1's encoder": _SLIGHT, "EfficientNet-Lite0": _SAME}}
"""By scale and the beginning of a claim."""

STUDY = Study(
    "figure11",
    "Collapse of the layers before and after tuning",
    "Tuning a block collapses it and what follows, a skip connection more so; full fine-tuning most, without transferring best.",
    cells,
    findings,
    ("Figure 11",),
    CAUSES,
)
