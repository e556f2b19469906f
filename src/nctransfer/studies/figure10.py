"""Figure 10: with NC1 and accuracy taken on the same downstream set, the correlation is gone (A.3.2).

Cells: those of Figure 3. Beside raw NC1 the calibrated NC1 and the transferability scores of the literature are correlated
with accuracy: does any of them repair it?
"""

from __future__ import annotations

from typing import Any

from .effects import gaps, strengths
from .figure3 import downstream_cells, trained_models
from .panels import axis, mean, over_seeds, plot, series, table
from .parts import pooled
from .scale import Scale
from .study import Findings, Outcome, Study, at
from .verdicts import RHO, RHO_MARGIN, Verdict, correlation, decide, spearman

__all__ = ["PAPER", "STUDY"]

PAPER = {
    "text": "“when we evaluate the relationship between the transfer accuracy and the associated NC1 on the same downstream "
    "dataset, we cannot find a strong correlation” (A.3.2); the figure's numbers are not printed"
}

_COLLAPSE = {"nc1": "NC1", "nc1_calibrated": "calibrated NC1", "cdnv": "CDNV"}


def _others(scale: Scale) -> list[str]:
    """The downstream sets other than the reference, on which Figure 3 finds the correlation."""
    return [title for title, spec in scale.downstreams.items() if spec != scale.downstream]


def findings(outcome: Outcome) -> Findings:
    models = trained_models(outcome.scale)
    titles = list(outcome.scale.downstreams)
    drawn = []
    for title in titles:
        nc1 = {label: outcome.each(f"{label} on {title}", "layers", -1, "nc1") for label in models}
        accuracy = {label: outcome.each(f"{label} on {title}", "layers", -1, "probe_accuracy") for label in models}
        drawn.append(
            series(title, [mean(nc1[label]) for label in models], [accuracy[label] for label in models], line=False)
        )
    return Findings(
        [*_weaker(outcome, models), *_calibrated(outcome, models)],
        [_plot(drawn), _table(outcome, models, titles)],
        [f"The paper: {PAPER['text']}."],
    )


def _weaker(outcome: Outcome, models: list[str]) -> list[Verdict]:
    """Footnote 6: the correlation on the same set is weaker than that with NC1 on the reference set."""
    titles = _others(outcome.scale)
    effects = [
        gaps(strengths(_reference(outcome, models, title)), strengths(_points(outcome, models, title, "nc1")))
        for title in titles
    ]
    name = "|ρ| with NC1 on the reference set less |ρ| with NC1 on the same set"
    parts = [
        decide(
            f"On {title}, NC1 on the same set goes with accuracy less closely than NC1 on the reference set (footnote 6)",
            effect,
            name,
            margin=RHO_MARGIN / 2,
        )
        for title, effect in zip(titles, effects, strict=True)
    ]
    return pooled(
        "NC1 on the same set goes with accuracy less closely than NC1 on the reference set (footnote 6)",
        parts,
        effects,
        f"{name}, mean over the sets",
        margin=RHO_MARGIN / 2,
    )


def _calibrated(outcome: Outcome, models: list[str]) -> list[Verdict]:
    titles = list(outcome.scale.downstreams)
    points = {title: _points(outcome, models, title, "nc1_calibrated") for title in titles}
    parts = [
        correlation(
            f"On {title}, the calibrated NC1 goes with accuracy (beyond the paper)",
            points[title],
            -1,
            "calibrated NC1 and accuracy",
        )
        for title in titles
    ]
    return pooled(
        "The calibrated NC1 goes with accuracy on the same set (beyond the paper)",
        parts,
        [[None if (rho := spearman(seed)) is None else -rho for seed in points[title]] for title in titles],
        "−ρ of the calibrated NC1 and accuracy, mean over the sets",
        margin=RHO_MARGIN,
        unit=RHO,
        least_mean=0.5,
    )


def _reference(outcome: Outcome, models: list[str], title: str) -> list[list[tuple[Any, Any]]]:
    return [
        [
            (
                at(outcome.values[seed].get(f"{label} on reference"), "layers", -1, "nc1"),
                at(outcome.values[seed].get(f"{label} on {title}"), "layers", -1, "probe_accuracy"),
            )
            for label in models
        ]
        for seed in outcome.seeds
    ]


def _points(outcome: Outcome, models: list[str], title: str, name: str) -> list[list[tuple[Any, Any]]]:
    """For each seed (measure, accuracy) of every model; a measure that is none of collapse is a score."""
    made = []
    for seed in outcome.seeds:
        seen = []
        for label in models:
            value = outcome.values[seed].get(f"{label} on {title}")
            last = at(value, "layers", -1)
            measured = at(last, name) if name in _COLLAPSE else at(value, "scores", name)
            seen.append((measured, at(last, "probe_accuracy")))
        made.append(seen)
    return made


def _table(outcome: Outcome, models: list[str], titles: list[str]) -> dict[str, Any]:
    values = [at(value, "scores") for seed in outcome.seeds for value in outcome.values[seed].values()]
    scores = sorted(
        {name for found in values for name, score in (found or {}).items() if isinstance(score, int | float)}
    )
    rows = []
    for name in [*_COLLAPSE, *scores]:
        cells = [[spearman(points) for points in _points(outcome, models, title, name)] for title in titles]
        if any(rho is not None for column in cells for rho in column):
            rows.append([_COLLAPSE.get(name, name), *(over_seeds(column) for column in cells)])
    notes = ["Collapse measures that predict transfer have ρ near −1, scores near +1."]
    return table(
        "Spearman's ρ with accuracy on the same downstream set, over the models.",
        ["Measure", *titles],
        rows,
        notes=notes,
    )


def _plot(drawn: list[dict[str, Any]]) -> dict[str, Any]:
    return plot(
        "NC1 against transfer accuracy, both on the same downstream set; a point is a model.",
        "Points of transfer accuracy over NC1, one kind of mark for each downstream set.",
        axis("NC1, training images of the same set", log=True),
        axis("transfer accuracy (%)", percent=True),
        drawn,
    )


_REFUSED = (
    "The calibrated NC1 is refused where classes overlap so much that the population's value cannot be told; with NC1"
    " of 30 and more this is so for nearly every model here."
)

CAUSES: dict[str, dict[str, str]] = {"pilot": {"The calibrated": _REFUSED}}
"""By scale and the beginning of a claim."""

STUDY = Study(
    "figure10",
    "Collapse and transfer on the same downstream set",
    "Taken on the same downstream set, NC1 across models does not predict transfer accuracy well.",
    downstream_cells,
    findings,
    ("Figure 10",),
    CAUSES,
)
