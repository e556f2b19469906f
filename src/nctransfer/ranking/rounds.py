"""Successive halving: few images for all candidates, more for the better ones, within a budget of time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from ..engine import Watch, is_out_of_memory
from ..errors import NCTransferError
from ..runs import DroppedRow, RankRound
from .candidates import Candidate
from .look import Looked, Looker
from .order import told_apart
from .settings import RankSettings

__all__ = ["run_rounds"]

_FEWEST = 96
_PER_CLASS = 4
_SHARE_FIRST = 0.4


def run_rounds(
    looker: Looker,
    candidates: Sequence[Candidate],
    settings: RankSettings,
    watch: Watch,
    *,
    mark: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Looked], list[DroppedRow], list[RankRound]]:
    """Look at the candidates; with a budget, in rounds of twice the images and half the candidates.

    Each round keeps the better half and whoever cannot be told from its last. What is over of the budget goes to the next
    round; the last round, of all images, is entered by as many candidates as there seems to be time for, and at least
    by the best two. Without a budget there is one round, of all images. ``mark`` is called after each look.

    Returns:
        What was found of those that came to the last round, who was dropped and why, and the rounds.
    """
    dropped: list[DroppedRow] = []
    if settings.budget is None:
        looked, seconds = _round(looker, candidates, looker.num_images, watch, dropped, mark, whole=True)
        return looked, dropped, [RankRound(images=looker.num_images, candidates=tuple(looked), seconds=seconds)]
    began = time.perf_counter()
    rounds: list[RankRound] = []
    count = min(looker.num_images, max(_FEWEST, _PER_CLASS * looker.num_classes))
    rest = list(candidates)
    while count < looker.num_images and len(rest) > 2:
        share = _SHARE_FIRST if not rounds else 0.5
        left = settings.budget - (time.perf_counter() - began)
        looked, seconds = _round(looker, rest, count, watch, dropped, mark, whole=False, until=share * max(left, 0.0))
        rounds.append(RankRound(images=count, candidates=tuple(looked), seconds=seconds))
        kept = _better(looked)
        for name in looked:
            if name not in kept:
                accuracy = float(np.nanmean(looked[name].correct))
                dropped.append(
                    DroppedRow(name=name, reason=f"probe accuracy {accuracy:.1%} on {count} images", kind="halving")
                )
        rest = [found.candidate for name, found in looked.items() if name in kept]
        per_image = max((found.seconds for found in looked.values()), default=0.0) / count
        left = settings.budget - (time.perf_counter() - began)
        if per_image * looker.num_images * len(rest) <= left:
            break  # there is time for all that are left
        count = min(looker.num_images, 2 * count)
    looked, seconds = _round(looker, rest, looker.num_images, watch, dropped, mark, whole=True)
    rounds.append(RankRound(images=looker.num_images, candidates=tuple(looked), seconds=seconds))
    return looked, dropped, rounds


def _round(
    looker: Looker,
    candidates: Sequence[Candidate],
    count: int,
    watch: Watch,
    dropped: list[DroppedRow],
    mark: Callable[[], None],
    *,
    whole: bool,
    until: float = math.inf,
) -> tuple[dict[str, Looked], float]:
    """Look at each; those that fail, and those for which no time was left, are dropped with the reason."""
    looked: dict[str, Looked] = {}
    began = time.perf_counter()
    for candidate in candidates:
        if len(looked) >= 2 and time.perf_counter() - began > until:
            dropped.append(DroppedRow(name=candidate.name, reason="the budget ended before its turn", kind="budget"))
            continue
        try:
            looked[candidate.name] = looker.look(candidate, count, whole=whole)
        except NCTransferError as error:
            dropped.append(DroppedRow(name=candidate.name, reason=str(error), kind=type(error).__name__))
        except Exception as error:
            if not (isinstance(error, MemoryError) or is_out_of_memory(error)):
                raise
            dropped.append(DroppedRow(name=candidate.name, reason="out of memory", kind="ResourceError"))
        else:
            mark()
            accuracy = float(np.nanmean(looked[candidate.name].correct))
            watch.say(
                f"{candidate.name}: probe {accuracy:.1%} on {count} images, {looked[candidate.name].seconds:.1f} s"
            )
            continue
        watch.say(f"{candidate.name}: dropped, {dropped[-1].reason}")
    return looked, time.perf_counter() - began


def _better(looked: dict[str, Looked]) -> set[str]:
    """The better half, at least two, and whoever cannot be told from its last."""
    order = sorted(looked, key=lambda name: -float(np.nanmean(looked[name].correct)))
    half = order[: max(2, (len(order) + 1) // 2)]
    if not half:
        return set()
    last = looked[half[-1]].correct
    tied = [name for name in order[len(half) :] if not told_apart(last, looked[name].correct)]
    # Of the tied, at most as many again as half of the half: a round must end with fewer than it began with.
    return {*half, *tied[: len(half) // 2]}
