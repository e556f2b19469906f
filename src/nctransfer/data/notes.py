"""Sentences about a data set: those that begin with ``warning:`` are also shown in the terminal and kept with a result."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import Findings
from .depth import usual_scales
from .images import Decoding
from .splits import ImageSplit

__all__ = ["data_notes", "warnings_of_report"]

_ENOUGH_TO_DECIDE = 50
_TOO_FEW = "too few to decide by"


def data_notes(
    report: dict[str, Any],
    drawn: list[str],
    seed: int,
    splits: dict[str, ImageSplit],
    findings: dict[str, Findings],
    decoding: Decoding,
) -> list[str]:
    """Warnings about the images that a reader of the results must know."""
    notes = [f"{' and '.join(drawn)} drawn from the training images, stratified, seed {seed}"] if drawn else []
    if report["bad"]:
        notes.append(f"warning: {len(report['bad'])} unreadable images were skipped: {_some(report['bad'])}")
    notes += _about_twins(report["duplicates"] or {})
    notes += _about_depth(findings, decoding)
    flat = sum(int(found.flat.sum()) for found in findings.values())
    if flat:
        total = sum(len(found.flat) for found in findings.values())
        notes.append(f"warning: {flat} of {total} images are flat: one colour, or nearly so")
    num = len(splits["validation"])
    if num < _ENOUGH_TO_DECIDE:
        error = 0.5 / np.sqrt(num) if num else 1.0
        notes.append(
            f"warning: the validation split holds {num} images, {_TOO_FEW} (the standard error of an accuracy on "
            f"it is up to {error:.0%}); what is chosen on it is chosen with that doubt"
        )
    return notes


def warnings_of_report(report: dict[str, Any], *, deciding: bool = True) -> list[str]:
    """The warnings among the notes of a report, without the word.

    Args:
        report: Of a data set.
        deciding: Whether anything is chosen on the validation split; else its size is no matter for a warning.
    """
    notes = [note for note in report.get("notes", []) if note.startswith("warning:")]
    return [note.removeprefix("warning:").strip() for note in notes if deciding or _TOO_FEW not in note]


def _some(bad: list[dict[str, str]], most: int = 3) -> str:
    listed = ", ".join(entry["identity"] for entry in bad[:most])
    return listed + (f" and {len(bad) - most} more" if len(bad) > most else "")


def _about_twins(duplicates: dict[str, Any]) -> list[str]:
    notes = []
    for pair, words in (
        ("train_test", "test images also stand in train"),
        ("validation_test", "test images also stand in validation"),
        ("train_validation", "validation images also stand in train"),
    ):
        twins = duplicates.get(pair, {})
        if twins.get("pixels"):
            first = " and ".join(twins["examples"][0]) if twins.get("examples") else ""
            notes.append(f"warning: {twins['pixels']} {words}, pixel for pixel ({first})")
    if duplicates.get("conflicting_labels"):
        notes.append(
            f"warning: {duplicates['conflicting_labels']} images have a twin, pixel for pixel, with another label"
        )
    return notes


def _about_depth(findings: dict[str, Findings], decoding: Decoding) -> list[str]:
    num = sum(int(found.deep.sum()) for found in findings.values())
    if not decoding.value_ranges or (findings and not num):
        return []
    said = [f"{kind} values from {low:g} to {high:g}" for kind, (low, high) in decoding.value_ranges.items()]
    text = f"of {num or 'the'} images of more than 8 bits a channel, {' and '.join(said)} become 0 to 255"
    usual = all(low == 0 and high in usual_scales(kind) for kind, (low, high) in decoding.value_ranges.items())
    if not usual:
        text += ", the range of the images (set it with --image-range)"
    total = sum(len(found.deep) for found in findings.values())
    if total > num:
        text += f"; the other {total - num} images have 8 bits a channel and keep their values"
        usual = False
    return [text if usual else f"warning: {text}"]
