"""What a study is: a claim of the paper, the cells that test it, and what it makes of their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .cells import Cell
from .scales import Scale
from .verdicts import Verdict

__all__ = ["Findings", "Outcome", "Study", "at", "cause_of"]


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


def cause_of(statement: str, causes: Mapping[str, str]) -> str:
    """The cause kept for a claim; empty where there is none.

    Example:
        >>> cause_of("MSE transfers worse", {"MSE": "too few images"}), cause_of("CE transfers worse", {})
        ('too few images', '')
    """
    return next((text for beginning, text in causes.items() if statement.startswith(beginning)), "")


def at(value: Any, *path: str | int) -> Any:
    """What lies at a path of keys and indices; None where it ends early.

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
    """What a study comes to.

    Args:
        claims: Each with its verdict.
        panels: Tables and plots, made by :mod:`~nctransfer.studies.panels`.
        notes: Of the protocol, and slips in the paper.
        causes: By the beginning of a claim's statement, why it may fail here: the likely cause, and what was tried.
    """

    claims: Sequence[Verdict]
    panels: Sequence[dict[str, Any]]
    notes: Sequence[str] = ()
    causes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """An artefact of the paper.

    Args:
        name: As on the command line.
        title: What it shows.
        claim: In one sentence.
        cells: The cells of one seed at a scale, by label.
        findings: What they come to.
        artefacts: Of the paper, by its own names.
    """

    name: str
    title: str
    claim: str
    cells: Callable[[Scale, int], dict[str, Cell]]
    findings: Callable[[Outcome], Findings]
    artefacts: tuple[str, ...]
