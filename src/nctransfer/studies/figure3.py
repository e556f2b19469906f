"""Figure 3: the more collapsed a model is on downstream data (CIFAR-10), the better it transfers, also to other sets.

Cells: the encoders of Figure 2, and their collapse and linear probe on every downstream set.
"""

from __future__ import annotations

from typing import Any

from .cells import Cell, transfer
from .families import by_diversity
from .panels import axis, mean, over_seeds, plot, series, table
from .scales import Scale
from .study import Findings, Outcome, Study
from .verdicts import correlation

__all__ = ["PAPER", "STUDY", "downstream_cells", "trained_models"]

PAPER = {
    "text": "“the NC1 on Cifar-10 dataset has a negative (almost linear) correlation with the transfer accuracy on different "
    "downstream tasks” (section 3.2); the figure's numbers are not printed"
}


def downstream_cells(scale: Scale, seed: int) -> dict[str, Cell]:
    """The encoders of Figure 2 without the untrained one, and each on every downstream set and on the source."""
    made: dict[str, Cell] = {}
    for label, encoder in by_diversity(scale, seed).items():
        if label == "untrained":
            continue
        made[label] = encoder
        made[f"{label} source"] = transfer(encoder, scale.source, seed, probe=False)
        for title, data in {"reference": scale.downstream, **scale.downstreams}.items():
            made[f"{label} on {title}"] = transfer(encoder, data, seed, scores=True)
    return made


def trained_models(scale: Scale) -> list[str]:
    """Labels of the trained models of Figures 2, 3 and 10."""
    return [label for label in by_diversity(scale, 0) if label != "untrained"]


def findings(outcome: Outcome) -> Findings:
    models = trained_models(outcome.scale)
    rows = range(len(outcome.seeds))
    nc1 = {label: outcome.each(f"{label} on reference", "layers", -1, "nc1") for label in models}
    source = {label: outcome.each(f"{label} source", "layers", -1, "nc1") for label in models}
    claims, drawn, body = [], [], []
    for title in outcome.scale.downstreams:
        accuracy = {label: outcome.each(f"{label} on {title}", "layers", -1, "probe_accuracy") for label in models}
        points = [[(nc1[label][row], accuracy[label][row]) for label in models] for row in rows]
        claims.append(
            correlation(
                f"The smaller the downstream NC1 on the reference set, the better the transfer to {title}",
                points,
                -1,
                f"NC1 on the reference set and accuracy on {title}",
            )
        )
        order = sorted(models, key=lambda label: mean(nc1[label]) or 0.0)
        drawn.append(series(title, [mean(nc1[x]) for x in order], [accuracy[x] for x in order], line=False))
        body.append((title, accuracy))
    claims.append(
        correlation(
            "A larger source NC1 goes with a smaller downstream NC1 (section 3.2)",
            [[(source[label][row], nc1[label][row]) for label in models] for row in rows],
            -1,
            "source and downstream NC1",
        )
    )
    columns = ["Model", "Source NC1", "Downstream NC1", *(f"{title} (%)" for title, _ in body)]
    lines = [
        [
            label,
            over_seeds(source[label]),
            over_seeds(nc1[label]),
            *(over_seeds(table_[label], percent=True) for _, table_ in body),
        ]
        for label in models
    ]
    return Findings(
        claims,
        [_plot(drawn), table("Every model on every downstream set.", columns, lines)],
        [f"The paper: {PAPER['text']}."],
    )


def _plot(drawn: list[dict[str, Any]]) -> dict[str, Any]:
    return plot(
        "Downstream NC1 on the reference set (CIFAR-10 beyond the smoke scale) against transfer accuracy; a point is a model.",
        "Points of transfer accuracy over downstream NC1, one kind of mark for each downstream set.",
        axis("NC1, reference downstream training images", log=True),
        axis("transfer accuracy (%)", percent=True),
        drawn,
    )


_BEYOND = (
    "The link turns at the threshold of Figure 2: up to it a larger source NC1 goes with a smaller downstream one; "
    "the encoder of the strongest attack, beyond it, has the largest of both. MNIST is so easy that its accuracies "
    "lie within a few points. There is one seed, which decides nothing."
)

CAUSES: dict[str, dict[str, str]] = {
    "mini": {
        "A larger source NC1": _BEYOND,
        "The smaller the downstream NC1 on the reference set, the better the transfer to MNIST": _BEYOND,
    }
}
"""By scale and the beginning of a claim."""

STUDY = Study(
    "figure3",
    "Downstream collapse and transfer to several sets",
    "Models that are more collapsed on downstream data transfer better, and NC1 on one set predicts the others.",
    downstream_cells,
    findings,
    ("Figure 3",),
    CAUSES,
)
