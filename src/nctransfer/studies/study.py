"""A study: a claim of the paper, the cells that test it, and the findings from their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .cells import Cell
from .scale import Scale
from .verdicts import Verdict

__all__ = ["Findings", "Outcome", "Study", "at"]


@dataclass(frozen=True)
class Outcome:
    """The values of a study's cells.

    Args:
        scale: At which it ran.
        values: For each seed the values of its cells by label; a cell that failed is missing.
    """

    scale: Scale
    values: Mapping[int, Mapping[str, dict[str, Any]]]

    @property
    def seeds(self) -> list[int]:
        """The seeds, in order."""
        return sorted(self.values)

    def each(self, label: str, *path: str | int) -> list[Any]:
        """For each seed what lies at ``path`` in the values of a cell; None where it is missing."""
        return [at(self.values[seed].get(label), *path) for seed in self.seeds]


def at(value: Any, *path: str | int) -> Any:
    """The value at a path of keys and indices; None where it ends early.

    Example:
        >>> at({"layers": [{"nc1": 1.5}]}, "layers", -1, "nc1"), at({}, "layers", 0)
        (1.5, None)
    """
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


@dataclass(frozen=True)
class Findings:
    """Findings of a study.

    Args:
        claims: Each with its verdict.
        panels: Tables and plots, made by :mod:`~nctransfer.studies.panels`.
        notes: Of the protocol, and slips in the paper.
    """

    claims: Sequence[Verdict]
    panels: Sequence[dict[str, Any]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Study:
    """An artefact of the paper.

    Args:
        name: As on the command line.
        title: What it shows.
        claim: In one sentence.
        make: The cells of one seed, by label, of a scale as that seed sees it.
        findings: What they come to.
        artefacts: Of the paper, by its own names.
        causes: By scale and the beginning of a claim, why it may fail there: the likely cause, and what was tried.
    """

    name: str
    title: str
    claim: str
    make: Callable[[Scale, int], dict[str, Cell]]
    findings: Callable[[Outcome], Findings]
    artefacts: tuple[str, ...]
    causes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def cells(self, scale: Scale, seed: int) -> dict[str, Cell]:
        """The cells of one seed at a scale, by label."""
        return self.make(scale.at(seed), seed)

    def seeds_at(self, scale: Scale) -> int:
        """How many seeds the scale plans for it."""
        return scale.seeds_of(self.name)

    def cause(self, scale: str, statement: str) -> str:
        """Why a claim may fail at a scale; empty where nothing is kept."""
        kept = self.causes.get(scale, {})
        return next((text for beginning, text in kept.items() if statement.startswith(beginning)), "")
