"""Scales that several metrics share, and the word for each number, for people who have not read the paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["COLLAPSED", "EQUAL", "SIMPLEX", "no_structure", "without_structure"]

COLLAPSED = (
    (0.1, "strongly collapsed"),
    (1, "collapsed"),
    (5, "partly collapsed"),
    (float("inf"), "little collapsed"),
)
EQUAL = ((0.1, "nearly equal"), (0.3, "similar"), (float("inf"), "unequal"))
SIMPLEX = ((0.1, "near the simplex"), (0.3, "on the way to it"), (float("inf"), "far from it"))


def no_structure(numbers: Mapping[str, Any]) -> bool:
    """Whether NC1 shows no more class structure than chance would."""
    return "no class structure" in numbers.get("notes", {}).get("nc1", "")


def without_structure(value: Any, numbers: Mapping[str, Any]) -> str | None:
    """The word that holds on every scale of collapse where there is no class structure; else None.

    Example:
        >>> without_structure(0.05, {"nc1": 0.05, "notes": {}}) is None
        True
    """
    return "without class structure it says nothing" if no_structure(numbers) else None
