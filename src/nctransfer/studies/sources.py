"""Broad against narrow sources, on released networks: one architecture, trained on ImageNet, birds or insects. Beyond the paper.

The paper asks what pre-training should leave in the features; its narrow sources are small sets. Here the same question is put
to networks that others have trained: collapse on downstream data and the accuracy of linear probes.
"""

from __future__ import annotations

from typing import Any

from .effects import averaged, gaps, log_ratios
from .panels import axis, over_seeds, plot, series, table
from .study import Findings, Outcome, Study
from .verdicts import NC1_MARGIN, POINT, POINTS, RATIO, RHO, RHO_MARGIN, Verdict, decide, spearman
from .zoo import rows_of, zoo_cells

__all__ = ["STUDY"]


def findings(outcome: Outcome) -> Findings:
    zoo = outcome.scale.zoo
    if zoo is None:
        return Findings([], [])
    nc1 = {network: [_last(outcome, network, title, "nc1") for title in zoo.sets] for network in zoo.networks}
    last = {
        network: [_last(outcome, network, title, "probe_accuracy") for title in zoo.sets] for network in zoo.networks
    }
    best = {network: [_best(outcome, network, title) for title in zoo.sets] for network in zoo.networks}
    return Findings(
        _claims(outcome, nc1, last, best),
        [_table(outcome, nc1, last, best), _plot(outcome, nc1, last)],
        [
            f"Same architecture: {zoo.broad} against {' and '.join(zoo.narrow)}. Features at {zoo.image_size} pixels of "
            "frozen networks.",
            "A verdict rests on the data sets as others rest on seeds: it speaks of sets like these.",
        ],
    )


def _last(outcome: Outcome, network: str, title: str, name: str) -> float | None:
    rows = rows_of(outcome, network, title)
    return rows[-1].get(name) if rows else None


def _best(outcome: Outcome, network: str, title: str) -> float | None:
    """The best layer's probe on the test images: what any choice of a layer can reach at most."""
    known = [row["probe_accuracy"] for row in rows_of(outcome, network, title) if row.get("probe_accuracy") is not None]
    return max(known, default=None)


Table = dict[str, list[float | None]]


def _claims(outcome: Outcome, nc1: Table, last: Table, best: Table) -> list[Verdict]:
    zoo = outcome.scale.zoo
    assert zoo is not None
    narrow = list(zoo.narrow)
    ratios = averaged([log_ratios(nc1[name], nc1[zoo.broad]) for name in narrow])
    at_last = averaged([gaps(last[zoo.broad], last[name]) for name in narrow])
    at_best = averaged([gaps(best[zoo.broad], best[name]) for name in narrow])
    orders: list[float | None] = []
    for place in range(len(zoo.sets)):
        rho = spearman([(nc1[name][place], last[name][place]) for name in zoo.networks])
        orders.append(None if rho is None else -rho)
    return [
        decide(
            "A broad source leaves more collapse on downstream data than a narrow one",
            ratios,
            "penultimate NC1 after a narrow source over that after the broad one",
            margin=NC1_MARGIN,
            unit=RATIO,
            each="data set",
        ),
        decide(
            "A broad source transfers better than a narrow one",
            at_last,
            "linear probe, broad less narrow",
            margin=POINT,
            unit=POINTS,
            each="data set",
        ),
        decide(
            "The breadth of the source matters less at the best layer than at the last",
            gaps(at_last, at_best),
            "gain by breadth at the last layer less that at the best",
            margin=POINT,
            unit=POINTS,
            each="data set",
        ),
        decide(
            "Over networks, more collapse on downstream data goes with a better probe (|ρ| of at least 0.5)",
            orders,
            "−ρ of NC1 and probe accuracy over networks",
            margin=RHO_MARGIN,
            unit=RHO,
            least_mean=0.5,
            each="data set",
        ),
    ]


def _table(outcome: Outcome, nc1: Table, last: Table, best: Table) -> dict[str, Any]:
    zoo = outcome.scale.zoo
    assert zoo is not None
    rows = [
        [
            f"{network}: {title}",
            over_seeds([nc1[network][place]]),
            over_seeds([last[network][place]], percent=True),
            over_seeds([best[network][place]], percent=True),
        ]
        for network in zoo.networks
        for place, title in enumerate(zoo.sets)
    ]
    columns = ["Network and data set", "Penultimate NC1", "Probe of the last layer (%)", "Probe of the best layer (%)"]
    return table(
        "Every network on every data set.", columns, rows, notes=["The best layer is picked on the test images."]
    )


def _plot(outcome: Outcome, nc1: Table, last: Table) -> dict[str, Any]:
    zoo = outcome.scale.zoo
    assert zoo is not None
    return plot(
        "Penultimate NC1 on downstream training images against the accuracy of a linear probe; a point for each data set.",
        "Points of probe accuracy over NC1, one series for each network.",
        axis("penultimate NC1, downstream", log=True),
        axis("probe accuracy (%)", percent=True),
        [series(network, nc1[network], [[value] for value in last[network]], line=False) for network in zoo.networks],
    )


STUDY = Study(
    "sources",
    "Broad and narrow sources",
    "Pre-training on many kinds of things leaves features that are more collapsed on downstream data and transfer better than "
    "pre-training on one kind.",
    zoo_cells,
    findings,
    ("Section 3.1, on released networks",),
)
