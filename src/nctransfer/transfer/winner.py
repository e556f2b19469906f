"""Which of the finished methods is handed over: the best on held-out images, the cheapest where they cannot tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

__all__ = ["Candidate", "Verdict", "pick_winner"]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A finished method as the choice sees it.

    Attributes:
        name: Its entry among the methods.
        phrase: The method in the middle of a sentence.
        right: One number for each training and validation image: 1 where a fit that did not see the image gets it right,
            0 where it does not, NaN where there is no such fit.
    """

    name: str
    phrase: str
    right: np.ndarray


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The winner's name, why in a sentence, and the name of the most accurate, which may be another."""

    name: str
    why: str
    best: str


def pick_winner(candidates: Sequence[Candidate]) -> Verdict:
    """Choose by accuracy on held-out images; within one standard error of the best, the cheapest wins.

    Two methods are compared on the images that both were judged on, image by image, so the standard error is that of the
    paired difference. Methods judged on the same images compete first, the winners of these rounds then meet on what they
    share: probes that were cross-validated are told apart on all images, and the best of them meets tuned networks on the
    validation images.

    Args:
        candidates: At least one, from the cheapest to the dearest.

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
    played = [_round(group) for group in rounds.values()]
    finalists = sorted((result.winner for result in played), key=lambda winner: order[winner.name])
    final = _round(finalists)
    if len(candidates) == 1:
        return Verdict(final.winner.name, "", final.winner.name)
    # Where the final told nobody apart, the sentence is that of the round that the winner came from.
    told = [final, *(result for result in played if result.winner is final.winner)]
    close = next((result for result in told if result.winner is not result.best), None)
    if close is None:
        share = _share(final.winner.right, _common(finalists))
        why = f"It was best on held-out images: {share:.1%} of {final.count}."
        return Verdict(final.winner.name, why, final.winner.name)
    best, winner = close.best.phrase, close.winner.phrase
    return Verdict(
        final.winner.name,
        f"{best[:1].upper()}{best[1:]} was {100 * close.gap:.1f} points better on {close.count} held-out images, within one "
        f"standard error ({100 * close.error:.1f} points) of {winner}, which is cheaper.",
        close.best.name,
    )


@dataclasses.dataclass(frozen=True)
class _Round:
    """A round's winner, its most accurate member, the gap between the two with its standard error, and the images."""

    winner: Candidate
    best: Candidate
    gap: float
    error: float
    count: int


def _round(group: Sequence[Candidate]) -> _Round:
    """The cheapest of a group, which is in order of cost, that lies within one standard error of its best."""
    common = _common(group)
    count = int(common.sum())
    best = max(group, key=lambda candidate: _share(candidate.right, common))  # of equals, the first: the cheapest
    for candidate in group:
        difference = best.right[common] - candidate.right[common]
        gap = float(difference.mean()) if count else 0.0
        error = float(difference.std()) / count**0.5 if count else 0.0
        if candidate is best or gap <= error:
            return _Round(candidate, best, gap, error, count)
    raise AssertionError("unreachable: the best is in its group")


def _common(group: Sequence[Candidate]) -> np.ndarray:
    return np.logical_and.reduce([np.isfinite(candidate.right) for candidate in group])


def _share(right: np.ndarray, rows: np.ndarray) -> float:
    return float(right[rows].mean()) if rows.any() else 0.0
