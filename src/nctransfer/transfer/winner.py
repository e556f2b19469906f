"""Which of the finished methods is handed over: the best on held-out images, a probe where they cannot tell it from the best."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from ..errors import UsageError
from ..probes import criterion_terms

__all__ = ["Candidate", "Verdict", "close_to_best", "pick_winner"]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A finished method as the choice sees it.

    Attributes:
        name: Its entry among the methods.
        phrase: The method in the middle of a sentence.
        right: One number for each training and validation image: 1 where a fit that did not see the image gets it right,
            0 where it does not, NaN where there is no such fit.
        said: The class that this fit says; needed for criteria other than accuracy.
        losses: Its log-loss on the image; needed for log-loss.
        tuned: Whether its network is tuned. Tuned networks cost the same to use, a probe leaves the network as it was.
    """

    name: str
    phrase: str
    right: np.ndarray
    said: np.ndarray | None = None
    losses: np.ndarray | None = None
    tuned: bool = False

    def terms(self, rows: np.ndarray, metric: str, labels: np.ndarray | None) -> np.ndarray:
        """One number an image whose mean over these rows is the criterion; larger is better."""
        if metric == "accuracy" or not rows.any():
            return self.right[rows]
        if labels is None or self.said is None or (metric == "log_loss" and self.losses is None):
            raise UsageError(f"{metric} needs labels and what each method says of them", where=self.name)
        losses = None if self.losses is None else torch.from_numpy(self.losses[rows])
        return criterion_terms(
            metric, torch.from_numpy(labels[rows]), torch.from_numpy(self.said[rows]), losses
        ).numpy()


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The winner's name, why in a sentence, and the name of the most accurate, which may be another."""

    name: str
    why: str
    best: str


def pick_winner(candidates: Sequence[Candidate], metric: str = "accuracy", labels: np.ndarray | None = None) -> Verdict:
    """Choose by a criterion on held-out images; within one standard error of the best, the cheapest probe wins.

    A tuned network gives way to no other tuned network but a better one: both are trained already, and cost the same to use.

    Two methods are compared on the images that both were judged on, image by image, so the standard error is that of the
    paired difference. Methods judged on the same images compete first, the winners of these rounds then meet on what they
    share: probes that were cross-validated are told apart on all images, and the best of them meets tuned networks on the
    validation images.

    Args:
        candidates: At least one, from the cheapest to the dearest.
        metric: ``accuracy``, ``balanced_accuracy``, ``macro_f1`` or ``log_loss``.
        labels: Class of each training and validation image; needed for all but accuracy.

    Example:
        >>> probe = Candidate("linear", "the linear probe", np.array([1.0, 0.0, 0.0, 1.0] * 10))
        >>> full = Candidate("full", "full fine-tuning", np.array([1.0, 1.0, 0.0, 1.0] * 10))
        >>> pick_winner([probe, full]).name
        'full'
        >>> pick_winner([probe, dataclasses.replace(probe, name="full")]).name
        'linear'
    """
    order = {candidate.name: place for place, candidate in enumerate(candidates)}
    rounds: dict[bytes, list[Candidate]] = {}
    for candidate in candidates:
        rounds.setdefault(np.isfinite(candidate.right).tobytes(), []).append(candidate)
    judge = partial(_round, metric=metric, labels=labels)
    played = [judge(group) for group in rounds.values()]
    finalists = sorted((result.winner for result in played), key=lambda winner: order[winner.name])
    final = judge(finalists)
    if len(candidates) == 1:
        return Verdict(final.winner.name, "", final.winner.name)
    # Where the final told nobody apart, the sentence is that of the round that the winner came from.
    told = [final, *(result for result in played if result.winner is final.winner)]
    close = next((result for result in told if result.winner is not result.best), None)
    if close is None:
        value = _mean(final.winner.terms(_common(finalists), metric, labels))
        said = {"accuracy": f"{value:.1%} of {final.count}", "log_loss": f"log-loss {-value:.3f} on {final.count}"}
        said = {**said, "balanced_accuracy": f"balanced accuracy {value:.1%} on {final.count}"}
        text = said.get(metric, f"macro F1 {value:.1%} on {final.count}")
        return Verdict(final.winner.name, f"It was best on held-out images: {text}.", final.winner.name)
    best, winner = close.best.phrase, close.winner.phrase
    gap, error = f"{100 * close.gap:.1f} points", f"{100 * close.error:.1f} points"
    if metric == "log_loss":
        gap, error = f"{close.gap:.3f} nats", f"{close.error:.3f} nats"
    what = {"accuracy": "", "log_loss": " in log-loss", "balanced_accuracy": " in balanced accuracy"}
    return Verdict(
        final.winner.name,
        f"{best[:1].upper()}{best[1:]} was {gap} better{what.get(metric, ' in macro F1')} on {close.count} held-out images, "
        f"within one standard error ({error}) of {winner}, which is cheaper.",
        close.best.name,
    )


def close_to_best(
    candidates: Sequence[Candidate], metric: str = "accuracy", labels: np.ndarray | None = None
) -> list[str]:
    """The best probe and the tuned networks that are within one standard error of the best of them, the best first.

    All are compared on the images that all of them were judged on; of equals, the one with the smaller log-loss comes first.

    Args:
        candidates: As for `pick_winner`.
        metric, labels: As for `pick_winner`.

    Example:
        >>> probe = Candidate("linear", "the linear probe", np.array([1.0, 0.0, 0.0, 1.0] * 10))
        >>> full = Candidate("full", "full fine-tuning", np.array([1.0] * 39 + [0.0]), tuned=True)
        >>> close_to_best([probe, full]), close_to_best([probe, dataclasses.replace(full, right=probe.right)])
        (['full'], ['linear', 'full'])
    """
    probes, tuned = ([one for one in candidates if one.tuned is kind] for kind in (False, True))
    group = [*([_round(probes, metric, labels).winner] if probes else []), *tuned]
    common = _common(group)
    terms = [candidate.terms(common, metric, labels) for candidate in group]
    order = sorted(range(len(group)), key=lambda place: (-_mean(terms[place]), _loss(group[place], common)))
    best = terms[order[0]]

    def close(place: int) -> bool:
        gap, error = _gap(best, terms[place])
        return gap <= error

    return [group[place].name for place in order if place == order[0] or close(place)]


@dataclasses.dataclass(frozen=True)
class _Round:
    """A round's winner, its best member, the gap between the two with its standard error, and the images."""

    winner: Candidate
    best: Candidate
    gap: float
    error: float
    count: int


def _round(group: Sequence[Candidate], metric: str, labels: np.ndarray | None) -> _Round:
    """The cheapest probe of a group, which is in order of cost, within one standard error of its best; else the best."""
    common = _common(group)
    count = int(common.sum())
    terms = [candidate.terms(common, metric, labels) for candidate in group]
    top = max(range(len(group)), key=lambda place: _mean(terms[place]))  # of equals, the first: the cheapest
    best = group[top]
    for candidate, mine in zip(group, terms, strict=True):
        gap, error = _gap(terms[top], mine)
        if candidate is best or (gap <= error and not candidate.tuned):
            return _Round(candidate, best, gap, error, count)
    raise AssertionError("unreachable: the best is in its group")


def _gap(best: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Mean of the paired difference, and its standard error."""
    difference = best - other
    return (
        (float(difference.mean()), float(difference.std()) / len(difference) ** 0.5) if len(difference) else (0.0, 0.0)
    )


def _common(group: Sequence[Candidate]) -> np.ndarray:
    return np.logical_and.reduce([np.isfinite(candidate.right) for candidate in group])


def _loss(candidate: Candidate, rows: np.ndarray) -> float:
    """Mean log-loss on these images; 0 where nothing is known of it."""
    return 0.0 if candidate.losses is None or not rows.any() else float(candidate.losses[rows].mean())


def _mean(terms: np.ndarray) -> float:
    return float(terms.mean()) if len(terms) else 0.0
