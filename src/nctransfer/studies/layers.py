"""Which layer has the best probe, told from numbers that take one pass and no probe? Beyond the paper (its section 3.2).

Every layer of released networks is measured on several data sets. A number is good if the layer that it names loses little test
accuracy against the best layer, and if it orders the layers as their probes do. The number that loses least is picked on all
sets but one and judged on that one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from .panels import axis, over_seeds, plot, series, table
from .study import Findings, Outcome, Study
from .verdicts import POINT, POINTS, RHO, RHO_MARGIN, Verdict, decide, no_worse, spearman
from .zoo import mean_over, rows_of, zoo_cells

__all__ = ["NUMBERS", "STUDY", "picked_elsewhere"]

Row = Mapping[str, Any]


def _field(name: str, sign: int = 1) -> Callable[[Row, int], float | None]:
    return lambda row, depth: None if row.get(name) is None else sign * float(row[name])


def _over_floor(row: Row, depth: int) -> float | None:
    nc1, floor = row.get("nc1"), row.get("nc1_null_mean")
    return None if nc1 is None or not floor else float(nc1) / float(floor)


def _product(row: Row, depth: int) -> float | None:
    nc1, cdnv = row.get("nc1"), row.get("cdnv")
    return None if nc1 is None or cdnv is None else float(nc1) * float(cdnv)


def _by_width(power: float) -> Callable[[Row, int], float | None]:
    return lambda row, depth: None if row.get("nc1") is None else float(row["nc1"]) * float(row["dim"]) ** power


NUMBERS: dict[str, tuple[str, Callable[[Row, int], float | None]]] = {
    "nc1": ("NC1", _field("nc1")),
    "floor": ("NC1 over its value under permuted labels", _over_floor),
    "calibrated": ("NC1, calibrated", _field("nc1_calibrated")),
    "cdnv": ("CDNV", _field("cdnv")),
    "separation": ("class separation", _field("class_separation", -1)),
    "rank": ("numerical rank", _field("numerical_rank")),
    "depth": ("depth (the last layer)", lambda row, depth: -float(depth)),
    "width": ("width (the narrowest layer)", _field("dim")),
    "root": ("NC1 · width^¼", _by_width(0.25)),
    "half": ("NC1 · width^½", _by_width(0.5)),
    "product": ("NC1 · CDNV (added after the cells were seen)", _product),
}
"""By name what it is called, and its value for a layer (row, depth); the layer of the smallest value is the one that it names."""
LATER = ("product",)
"""Described, but not among those that are picked: it was found on the very cells that would judge it."""


def findings(outcome: Outcome) -> Findings:
    zoo = outcome.scale.zoo
    if zoo is None:
        return Findings([], [])
    losses = {name: _losses(outcome, name) for name in NUMBERS}
    rhos = {name: _rhos(outcome, name) for name in NUMBERS}
    chosen = picked_elsewhere(
        {name: [_mean(row) for row in per_set] for name, per_set in losses.items() if name not in LATER}
    )
    return Findings(
        _claims(losses, rhos, chosen),
        [_table(losses, rhos), _plot(losses), _elsewhere(list(zoo.sets), losses, chosen), _by_network(outcome, losses)],
        [
            f"{len(zoo.networks)} networks, {len(zoo.sets)} data sets, {zoo.image_size} pixels. Loss: test accuracy of the best "
            "layer's linear probe less that of the layer with the smallest value, mean over networks.",
            "The best layer is the best on the test images: of some twenty layers one is lucky, so that even a choice that knew "
            "every layer's true accuracy would lose something.",
            "A verdict rests on the data sets as others rest on seeds: it speaks of sets like these.",
        ],
    )


def _losses(outcome: Outcome, number: str) -> list[list[float | None]]:
    """For each set and network the accuracy lost by the layer that the number names."""
    assert outcome.scale.zoo is not None
    value = NUMBERS[number][1]
    made = []
    for title in outcome.scale.zoo.sets:
        row: list[float | None] = []
        for network in outcome.scale.zoo.networks:
            layers = [layer for layer in rows_of(outcome, network, title) if layer.get("probe_accuracy") is not None]
            values = [value(layer, depth) for depth, layer in enumerate(layers)]
            known = [place for place, found in enumerate(values) if found is not None and math.isfinite(found)]
            if not known:
                row.append(None)
                continue
            named = min(known, key=lambda place: float(values[place] or 0.0))
            row.append(max(layer["probe_accuracy"] for layer in layers) - layers[named]["probe_accuracy"])
        made.append(row)
    return made


def _rhos(outcome: Outcome, number: str) -> list[list[float | None]]:
    """For each set and network Spearman's ρ of the number and probe accuracy over layers."""
    assert outcome.scale.zoo is not None
    value = NUMBERS[number][1]
    return [
        [
            spearman(
                [
                    (value(layer, depth), layer.get("probe_accuracy"))
                    for depth, layer in enumerate(rows_of(outcome, network, title))
                ]
            )
            for network in outcome.scale.zoo.networks
        ]
        for title in outcome.scale.zoo.sets
    ]


def _mean(values: list[float | None]) -> float | None:
    """The mean over networks; None where one is missing, since another network's loss would stand in for it."""
    return None if None in values else mean_over(values)


def picked_elsewhere(losses: Mapping[str, list[float | None]]) -> list[str | None]:
    """For each set the number that loses least on average over the *other* sets.

    Example:
        >>> picked_elsewhere({"a": [0.0, 0.5, 0.1], "b": [0.2, 0.2, 0.2]})
        ['b', 'a', 'b']
    """
    count = len(next(iter(losses.values()), []))
    found: list[str | None] = []
    for place in range(count):
        others = {
            name: mean_over([value for other, value in enumerate(row) if other != place])
            for name, row in losses.items()
            if None not in row
        }
        known = {name: value for name, value in others.items() if value is not None}
        found.append(min(known, key=lambda name: known[name]) if known else None)
    return found


def _claims(
    losses: dict[str, list[list[float | None]]], rhos: dict[str, list[list[float | None]]], chosen: list[str | None]
) -> list[Verdict]:
    loss = {name: [_mean(row) for row in per_set] for name, per_set in losses.items()}
    picked = [None if name is None else loss[name][place] for place, name in enumerate(chosen)]
    order = [None if (rho := _mean(row)) is None else -rho for row in rhos["nc1"]]

    def minus(values: list[float | None]) -> list[float | None]:
        return [None if value is None else -value for value in values]

    def gap(name: str) -> list[float | None]:
        return [None if a is None or b is None else a - b for a, b in zip(loss[name], loss["nc1"], strict=True)]

    return [
        decide(
            "The more collapsed a layer on downstream data, the better its probe (|ρ| of at least 0.5)",
            order,
            "−ρ of NC1 and probe accuracy over layers",
            margin=RHO_MARGIN,
            unit=RHO,
            least_mean=0.5,
            each="data set",
        ),
        no_worse(
            "The layer of the smallest NC1 is at most 1 point behind the best layer",
            minus(loss["nc1"]),
            "its probe less that of the best layer",
            margin=POINT,
            unit=POINTS,
            each="data set",
        ),
        no_worse(
            "The layer named by the number that was best on the other sets is at most 1 point behind the best layer",
            minus(picked),
            "its probe less that of the best layer",
            margin=POINT,
            unit=POINTS,
            each="data set",
        ),
        *(
            decide(
                f"NC1 names a better layer than {NUMBERS[name][0]}",
                gap(name),
                f"loss by {NUMBERS[name][0]} less loss by NC1",
                margin=POINT,
                unit=POINTS,
                each="data set",
            )
            for name in ("depth", "cdnv", "floor", "calibrated")
        ),
    ]


def _table(losses: dict[str, list[list[float | None]]], rhos: dict[str, list[list[float | None]]]) -> dict[str, Any]:
    rows = []
    for name, (title, _) in NUMBERS.items():
        flat = [value for row in losses[name] for value in row if value is not None]
        rows.append(
            [
                title,
                over_seeds([_mean(row) for row in losses[name]], percent=True),
                over_seeds([max(flat)] if flat else [], percent=True),
                over_seeds([_mean(row) for row in rhos[name]]),
            ]
        )
    columns = ["Number", "Points lost by the layer that it names", "Most lost", "ρ with probe accuracy over layers"]
    return table(
        "What each number is worth in naming the layer with the best probe.",
        columns,
        rows,
        notes=[
            "Mean ± standard deviation over data sets. Smaller values name the layer, so a good number has ρ near −1."
        ],
    )


def _plot(losses: dict[str, list[list[float | None]]]) -> dict[str, Any]:
    places = [float(place + 1) for place in range(len(NUMBERS))]
    return plot(
        "Points of test accuracy lost by taking the layer that a number names, mean and standard deviation over data sets.",
        "Points of the loss, one for each number.",
        axis("", names=[title for title, _ in NUMBERS.values()]),
        axis("points lost", percent=True),
        [series("loss", places, [[_mean(row) for row in losses[name]] for name in NUMBERS], line=False)],
    )


def _elsewhere(
    sets: list[str], losses: dict[str, list[list[float | None]]], chosen: list[str | None]
) -> dict[str, Any]:
    rows = []
    for place, title in enumerate(sets):
        name = chosen[place]
        rows.append(
            [
                title,
                "–" if name is None else NUMBERS[name][0],
                over_seeds([] if name is None else [_mean(losses[name][place])], percent=True),
                over_seeds([_mean(losses["nc1"][place])], percent=True),
                over_seeds([_mean(losses["depth"][place])], percent=True),
            ]
        )
    columns = ["Data set", "Number picked on the others", "Points lost by it", "by NC1", "by the last layer"]
    return table("Picked on all data sets but one, judged on that one.", columns, rows)


def _by_network(outcome: Outcome, losses: dict[str, list[list[float | None]]]) -> dict[str, Any]:
    assert outcome.scale.zoo is not None
    rows = [
        [
            network,
            *(over_seeds([row[place] for row in losses[name]], percent=True) for name in ("nc1", "cdnv", "depth")),
        ]
        for place, network in enumerate(outcome.scale.zoo.networks)
    ]
    return table("Points lost, network by network.", ["Network", "by NC1", "by CDNV", "by the last layer"], rows)


STUDY = Study(
    "layers",
    "The layer by collapse alone",
    "How well does a number that takes one pass and no probe name the layer whose linear probe is best? Over released networks "
    "and data sets, every layer measured and probed.",
    zoo_cells,
    findings,
    ("Section 3.2, on released networks",),
)
