"""Figure 2: more diverse source features transfer better, up to a threshold; beyond it they transfer worse.

Cells: encoders by augmentation level and adversarial strength, and the untrained network of section 3.1; a linear probe of
each on the downstream set; class separation and the calibrated NC1 of each on the source.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .cells import Cell, transfer
from .effects import averaged, elsewhere
from .families import by_diversity
from .panels import axis, mean, over_seeds, plot, series, table
from .parts import both
from .scale import Scale
from .study import Findings, Outcome, Study
from .verdicts import POINT, POINTS, Verdict, above, correlation, decide, larger

__all__ = ["PAPER", "STUDY", "less_diverse", "threshold"]

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
        [*_claims(outcome, families, trained, nc1, accuracy), *_turn(outcome, families, nc1, accuracy)],
        [*_plots(families, nc1, accuracy), _table(outcome, labels, nc1, accuracy)],
        [f"The paper: {PAPER['text']}.", *_thresholds(outcome, families, nc1, accuracy)],
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
    # A knot between the second and the last but one leaves each line two points of its own.
    knots = np.linspace(x[1], x[-2], 201)
    beyond = np.maximum(x - knots[:, None], 0.0)
    basis = np.stack([np.ones_like(beyond), x - knots[:, None], beyond], 2)
    weights = np.linalg.pinv(basis) @ y
    errors = (((basis @ weights[..., None])[..., 0] - y) ** 2).sum(1)
    best = int(np.flatnonzero(errors <= errors.min() + 1e-15)[0])
    return float(10 ** knots[best]), float(weights[best, 1]), float(weights[best, 1] + weights[best, 2])


def _known(trained: list[str], seed: int, *tables: dict[str, list[Any]]) -> list[list[float]]:
    rows = [[values[label][seed] for values in tables] for label in trained]
    kept = [row for row in rows if all(value is not None for value in row)]
    return [list(column) for column in zip(*kept, strict=True)] if kept else [[] for _ in tables]


def less_diverse(row: int, labels: list[str], nc1: dict[str, Any], *, more: bool = False) -> list[str]:
    """The half of a family with the smaller source NC1 on a seed, or with the larger; the middle model is in both."""
    known = sorted((x for x in labels if nc1[x][row] is not None), key=lambda x: nc1[x][row], reverse=more)
    return known[: (len(known) + 1) // 2]


def _slope(labels: list[str], row: int, nc1: dict[str, Any], accuracy: dict[str, Any]) -> float | None:
    """Accuracy per factor of 10 in NC1 over some models; None for fewer than two."""
    points = [
        (math.log10(nc1[x][row]), accuracy[x][row]) for x in labels if nc1[x][row] > 0 and accuracy[x][row] is not None
    ]
    if len(points) < 2:
        return None
    across = np.asarray(points)
    centred = across[:, 0] - across[:, 0].mean()
    spread = float(centred @ centred)
    return float(centred @ across[:, 1]) / spread if spread > 0 else None


def _turn(
    outcome: Outcome, families: dict[str, list[str]], nc1: dict[str, Any], accuracy: dict[str, Any]
) -> list[Verdict]:
    """Two slopes, each a mean over the families: within a family the models differ in one thing alone."""
    slopes: dict[str, list[float | None]] = {"rise": [], "fall": []}
    for row in range(len(outcome.seeds)):
        found: dict[str, list[float | None]] = {"rise": [], "fall": []}
        for labels in families.values():
            found["rise"].append(_slope(less_diverse(row, labels, nc1), row, nc1, accuracy))
            fall = _slope(less_diverse(row, labels, nc1, more=True), row, nc1, accuracy)
            found["fall"].append(None if fall is None else -fall)
        for name, values in found.items():
            slopes[name].append(averaged([[value] for value in values])[0])
    per = "accuracy per factor of 10 in NC1, mean over the two families"
    return both(
        "Transfer accuracy rises with source NC1 up to a threshold and falls beyond it",
        [
            decide(
                "It rises over the less diverse half of each family",
                slopes["rise"],
                f"rise in {per}",
                margin=POINT,
                unit=POINTS,
            ),
            decide(
                "It falls over the more diverse half of each family",
                slopes["fall"],
                f"fall in {per}",
                margin=POINT,
                unit=POINTS,
            ),
        ],
    )


def _thresholds(
    outcome: Outcome, families: dict[str, list[str]], nc1: dict[str, Any], accuracy: dict[str, Any]
) -> list[str]:
    said = []
    for family, labels in families.items():
        found = [threshold(*_known(labels, row, nc1, accuracy)) for row in range(len(outcome.seeds))]
        turns = [f"{turn[0]:.3g} (slopes {turn[1]:+.3f} and {turn[2]:+.3f})" for turn in found if turn]
        if turns:
            said.append(f"Threshold of the {family} family by two lines that meet, for each seed: {', '.join(turns)}.")
    return said


def _claims(
    outcome: Outcome, families: dict[str, list[str]], trained: list[str], nc1: dict[str, Any], accuracy: dict[str, Any]
) -> list[Verdict]:
    seeds = range(len(outcome.seeds))
    separation = {label: outcome.each(f"{label} source", "layers", -1, "class_separation") for label in trained}
    return [
        larger(
            "The untrained network is less collapsed than the least collapsed trained one",
            nc1["untrained"],
            elsewhere({label: nc1[label] for label in trained}, max),
            "NC1 of the untrained over NC1 of the least collapsed (picked on the other seeds)",
        ),
        above(
            "and yet transfers worse than the worst trained one",
            elsewhere({label: accuracy[label] for label in trained}, min),
            accuracy["untrained"],
            "accuracy of the worst (picked on the other seeds) less that of the untrained",
        ),
        correlation(
            "Class separation on the source and NC1 tell the same story (footnote 4)",
            [[(separation[label][row], nc1[label][row]) for label in trained] for row in seeds],
            -1,
            "class separation and NC1",
            least=0.8,
        ),
        correlation(
            "NC1 that attacks add comes with lost discrimination (footnote 1): they lower class separation as they raise NC1",
            [[(nc1[label][row], separation[label][row]) for label in families["attack"]] for row in seeds],
            -1,
            "NC1 and class separation over the attacks",
        ),
    ]


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

CAUSES: dict[str, dict[str, str]] = {"pilot": {"Transfer accuracy rises": _RISING}}
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
