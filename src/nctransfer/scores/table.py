"""All transferability scores of a feature matrix at once, sharing its decompositions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..errors import NCTransferError, UsageError, near_names
from .baselines import linear_probe, nearest_neighbours
from .discriminant import h_score, regularised_h_score, sfda
from .evidence import log_me
from .geometry import gbc, parc, transrate
from .inputs import prepare, prepare_source
from .likelihood import leep, nce, nleep

__all__ = ["NEEDS_SOURCE", "SCORES", "Scores", "score_all"]

# Each takes (features, labels), those in NEEDS_SOURCE (source_probabilities, labels); larger is better transfer.
SCORES: dict[str, Callable[..., float]] = {
    "log_me": log_me,
    "h_score": h_score,
    "regularised_h_score": regularised_h_score,
    "sfda": sfda,
    "leep": leep,
    "nleep": nleep,
    "nce": nce,
    "transrate": transrate,
    "gbc": gbc,
    "parc": parc,
    "linear_probe": linear_probe,
    "nearest_neighbours": nearest_neighbours,
}
NEEDS_SOURCE = frozenset({"leep", "nce"})
SEEDED = frozenset({"nleep", "linear_probe"})


class Scores(dict[str, float | None]):
    """Scores by name; None where a score is undefined or was not asked for.

    Attributes:
        notes: Reason for each None, and remarks on the numbers, by name.
    """

    def __init__(self, values: dict[str, float | None], notes: dict[str, str]) -> None:
        super().__init__(values)
        self.notes = notes

    def to_dict(self) -> dict[str, Any]:
        """The scores and, under ``"notes"``, the notes, as plain values that JSON can hold."""
        return {**self, "notes": dict(self.notes)}

    def __reduce__(self) -> Any:
        return type(self), (dict(self), self.notes)


def score_all(
    features: Any,
    labels: Any,
    *,
    source_probabilities: Any = None,
    only: Iterable[str] | None = None,
    seed: int = 0,
) -> Scores:
    """All of ``SCORES`` for one candidate; NCTI compares candidates and has a function of its own, ``ncti``.

    Each score is larger where the features promise better transfer, on a scale of its own. A score that the data
    leave undefined is None, with the reason in ``notes``; bad input raises.

    Args:
        features: Features of shape (N, D), any float type, NumPy or torch.
        labels: Class numbers of shape (N,); classes without samples take no part.
        source_probabilities: The source classifier's softmax of shape (N, Z), for LEEP and NCE.
        only: Names of ``SCORES`` to compute; all if left out.
        seed: Seed of those that draw: NLEEP's mixture and the probe's folds.

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: shapes that do not fit, NaN or infinity, a negative label, a single class, features all alike,
            source probabilities that are none.
        UsageError: an unknown name in ``only``.

    Example:
        >>> import numpy as np
        >>> features = np.array([[1.0, 0.5], [-1.0, 0.4], [5.0, 0.5], [3.0, 0.6]])
        >>> scores = score_all(features, np.array([0, 0, 1, 1]), only=["h_score", "nearest_neighbours", "leep"])
        >>> round(scores["h_score"], 2), scores["leep"], scores.notes["leep"]
        (0.83, None, 'needs a source classifier: pass source_probabilities')
    """
    wanted = _wanted(only)
    samples = prepare(features, labels)
    source = None if source_probabilities is None else prepare_source(source_probabilities, labels)
    values: dict[str, float | None] = {}
    notes: dict[str, str] = {}
    for name, function in SCORES.items():
        values[name] = None
        if name not in wanted:
            notes[name] = "not asked for"
        elif name in NEEDS_SOURCE and source is None:
            notes[name] = "needs a source classifier: pass source_probabilities"
        else:
            options = {"seed": seed} if name in SEEDED else {}
            try:
                values[name] = function(source if name in NEEDS_SOURCE else samples, None, **options)
            except NCTransferError as error:
                notes[name] = str(error)
    if values["h_score"] is not None and len(samples.spectrum.values) == samples.num_samples - 1:
        notes["h_score"] = "K−1 whatever the labels, as N samples fill N−1 directions: read regularised_h_score"
    if values["gbc"] == 0:
        notes["gbc"] = "every overlap of two classes rounds to 0: too many dimensions to tell candidates apart"
    return Scores(values, notes)


def _wanted(only: Iterable[str] | None) -> frozenset[str]:
    names = tuple(SCORES) if only is None else (only,) if isinstance(only, str) else tuple(only)
    for name in names:
        if name not in SCORES:
            remedy = "NCTI compares candidates: call ncti" if name == "ncti" else near_names(str(name), tuple(SCORES))
            raise UsageError(f"unknown score {name!r}", where="only", remedy=remedy)
    return frozenset(names)
