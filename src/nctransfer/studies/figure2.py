"""Figure 2: more diverse source features transfer better, up to a threshold; beyond it they transfer worse.

Cells: encoders by augmentation level and adversarial strength, and the untrained network of section 3.1; a linear probe of
each on the downstream set; class separation and the calibrated NC1 of each on the source.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .cells import Cell, transfer
from .families import by_diversity
from .panels import axis, mean, over_seeds, plot, series, table
from .scales import Scale
from .study import Findings, Outcome, Study
from .verdicts import Verdict, above, correlation, decide

__all__ = ["PAPER", "STUDY", "threshold"]

PAPER = {
    "text": "“positive relationship between the level of collapse on the source dataset and the transferability only holds "
    "up to certain threshold” (section 3.1, footnotes 1 and 4); the figure's numbers are not printed"
}


def cells(scale: Scale, seed: int) -> dict[str, Cell]:
    made = by_diversity(scale, seed)
    for label, encoder in list(made.items()):
        made[f"{label} transfer"] = transfer(encoder, scale.downstream, seed, scores=True)
        made[f"{label} source"] = transfer(encoder, scale.source, seed, probe=False)
    return made


def findings(outcome: Outcome) -> Findings:
    labels = list(by_diversity(outcome.scale, 0))
    trained = [label for label in labels if label != "untrained"]
    families = {
        "augmentation": [x for x in trained if x.startswith("augment")],
        "attack": [x for x in trained if x.startswith("attack")],
    }
    nc1 = {label: outcome.each(f"{label} source", "layers", -1, "nc1") for label in labels}
    accuracy = {label: outcome.each(f"{label} transfer", "layers", -1, "probe_accuracy") for label in labels}
    return Findings(
        [*_claims(outcome, trained, nc1, accuracy), _rise(outcome, trained, nc1, accuracy)],
        [*_plots(families, nc1, accuracy), _table(outcome, labels, nc1, accuracy)],
        [f"The paper: {PAPER['text']}.", *_thresholds(outcome, trained, nc1, accuracy)],
    )


def threshold(nc1: list[float], accuracy: list[float]) -> tuple[float, float, float] | None:
    """Where accuracy turns: two straight lines against log NC1 that meet, fitted by least squares.

    Args:
        nc1: One a model, positive.
        accuracy: One a model.

    Returns:
        (NC1 at the meeting point, slope before, slope after), slopes in accuracy per factor of 10; None for fewer than
        five models.

    Example:
        >>> turn = threshold([0.01, 0.1, 1.0, 10.0, 100.0], [0.1, 0.2, 0.3, 0.2, 0.1])
        >>> [round(value, 3) for value in turn]
        [1.0, 0.1, -0.1]
    """
    if len(nc1) < 5 or min(nc1) <= 0:
        return None
    order = np.argsort(nc1)
    x, y = np.log10(np.asarray(nc1)[order]), np.asarray(accuracy)[order]
    best = None
    # A knot between the second and the last but one leaves each line two points of its own.
    for knot in np.linspace(x[1], x[-2], 201):
        basis = np.stack([np.ones_like(x), x - knot, np.maximum(x - knot, 0.0)], 1)
        weights, *_ = np.linalg.lstsq(basis, y, rcond=None)
        error = float(((basis @ weights - y) ** 2).sum())
        if best is None or error < best[0] - 1e-15:
            best = error, float(10**knot), float(weights[1]), float(weights[1] + weights[2])
    return None if best is None else best[1:]


def _known(trained: list[str], seed: int, *tables: dict[str, list[Any]]) -> list[list[float]]:
    rows = [[values[label][seed] for values in tables] for label in trained]
    kept = [row for row in rows if all(value is not None for value in row)]
    return [list(column) for column in zip(*kept, strict=True)] if kept else [[] for _ in tables]


def _rise(outcome: Outcome, trained: list[str], nc1: dict[str, Any], accuracy: dict[str, Any]) -> Verdict:
    effects: list[float | None] = []
    for row in range(len(outcome.seeds)):
        turn = threshold(*_known(trained, row, nc1, accuracy))
        effects.append(None if turn is None else min(turn[1], -turn[2]))
    return decide(
        "Transfer accuracy rises with source NC1 up to a threshold and falls beyond it",
        effects,
        "smaller of the slope before the threshold and the fall after it, in accuracy per factor of 10 in NC1",
    )


def _thresholds(outcome: Outcome, trained: list[str], nc1: dict[str, Any], accuracy: dict[str, Any]) -> list[str]:
    found = [threshold(*_known(trained, row, nc1, accuracy)) for row in range(len(outcome.seeds))]
    said = [f"{turn[0]:.3g} (slopes {turn[1]:+.3f} and {turn[2]:+.3f})" for turn in found if turn]
    return [f"Threshold by two lines that meet, for each seed: {', '.join(said)}."] if said else []


def _claims(outcome: Outcome, trained: list[str], nc1: dict[str, Any], accuracy: dict[str, Any]) -> list[Verdict]:
    seeds = range(len(outcome.seeds))
    best = [
        max((accuracy[label][row] for label in trained if accuracy[label][row] is not None), default=None)
        for row in seeds
    ]
    collapsed = [
        min((nc1[label][row] for label in trained if nc1[label][row] is not None), default=None) for row in seeds
    ]
    return [
        above(
            "The untrained network is not collapsed (larger source NC1 than the most collapsed model)",
            nc1["untrained"],
            collapsed,
            "difference in NC1",
        ),
        above(
            "and yet transfers worse than the best trained one",
            best,
            accuracy["untrained"],
            "difference in accuracy",
            points=True,
        ),
        correlation(
            "Class separation on the source and NC1 tell the same story (footnote 4)",
            [
                [(_at_row(outcome, label, row, "class_separation"), nc1[label][row]) for label in trained]
                for row in seeds
            ],
            -1,
            "class separation and NC1",
            least=0.8,
        ),
    ]


def _at_row(outcome: Outcome, label: str, row: int, name: str) -> float | None:
    return outcome.each(f"{label} source", "layers", -1, name)[row]


def _plots(families: dict[str, list[str]], nc1: dict[str, Any], accuracy: dict[str, Any]) -> list[dict[str, Any]]:
    drawn = [
        series(
            "augmentation level" if name == "augmentation" else "adversarial strength",
            [mean(nc1[label]) for label in labels],
            [accuracy[label] for label in labels],
            labels=[label.split()[-1] for label in labels],
        )
        for name, labels in families.items()
    ]
    drawn.append(series("untrained", [mean(nc1["untrained"])], [accuracy["untrained"]], line=False))
    return [
        plot(
            "Source NC1 against transfer accuracy; each point is a model, with its level, or its strength in pixels of 255.",
            "A line of points for augmentation levels, one for adversarial strengths, and the untrained network.",
            axis("encoder NC1, source training images", log=True),
            axis("transfer accuracy (%)", percent=True),
            drawn,
        )
    ]


def _table(outcome: Outcome, labels: list[str], nc1: dict[str, Any], accuracy: dict[str, Any]) -> dict[str, Any]:
    rows = [
        [
            label,
            over_seeds(nc1[label]),
            over_seeds(outcome.each(f"{label} source", "layers", -1, "nc1_calibrated")),
            over_seeds(outcome.each(f"{label} source", "layers", -1, "class_separation")),
            over_seeds(accuracy[label], percent=True),
            over_seeds(outcome.each(label, "final", "train_accuracy"), percent=True),
            over_seeds(outcome.each(label, "final", "robust_accuracy"), percent=True),
        ]
        for label in labels
    ]
    columns = [
        "Model",
        "Source NC1",
        "calibrated",
        "Class separation",
        "Transfer accuracy (%)",
        "Source training accuracy (%)",
        "Robust accuracy (%)",
    ]
    return table("Every model: diversity on the source, and transfer.", columns, rows)


_RISING = (
    "There is one seed, which decides nothing. The rise comes from the augmentations, the fall from the attacks: the "
    "encoders of attacks 5 and 8 lie below those of augmentations 4 and 5 at the same NC1 or a larger one. With "
    "either the training accuracy stays under 95 %, so that learning less and being more diverse are mixed."
)

CAUSES: dict[str, dict[str, str]] = {"mini": {"Transfer accuracy rises": _RISING}}
"""By scale and the beginning of a claim."""

STUDY = Study(
    "figure2",
    "Source diversity and transfer, up to a threshold",
    "Transfer improves with source NC1 up to a threshold, beyond which it declines; an untrained network is the extreme case.",
    cells,
    findings,
    ("Figure 2",),
    CAUSES,
)
