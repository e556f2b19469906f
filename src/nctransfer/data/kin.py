"""The effect of groups on the splits, and the leak that they prevent: held-out images with kin among the training images."""

from __future__ import annotations

from typing import Any

import numpy as np

from .grouped import images_with_kin
from .splits import ImageSplit

__all__ = ["notes_on_groups", "report_of_groups"]


def report_of_groups(
    splits: dict[str, ImageSplit], by_images: dict[str, ImageSplit], drawn: list[str], groups: np.ndarray | None
) -> dict[str, Any] | None:
    """Groups of each split, and how many held-out images would have kin in train, had the splits been drawn by images.

    Args:
        splits: The splits in use.
        by_images: Those that a draw of single images gives with the same seed.
        drawn: Names of the splits that were drawn.
        groups: Of the training images as given, which the drawn splits come from.

    Returns:
        Plain JSON: ``count`` of groups by split; of the draw by images, ``images`` and those ``with_kin`` by split. None where
        no groups are known.
    """
    known = {name: split.groups for name, split in splits.items() if split.groups is not None}
    if not known:
        return None
    report: dict[str, Any] = {"count": {name: len(set(values.tolist())) for name, values in known.items()}}
    held = {} if groups is None else {name: groups[by_images[name].indices] for name in drawn}
    report["images"] = {name: len(values) for name, values in held.items()}
    report["with_kin"] = {
        name: images_with_kin(values, groups[by_images["train"].indices])  # type: ignore[index]
        for name, values in held.items()
    }
    return report


def notes_on_groups(report: dict[str, Any] | None, splits: dict[str, ImageSplit], drawn: list[str]) -> list[str]:
    """The sentences that a reader of the results must know of the groups; those that begin with ``groups`` are always shown."""
    if report is None:
        return []
    listed = ", ".join(f"{num} in {name}" for name, num in report["count"].items())
    notes = [f"groups: {listed}; no group stands in two splits"]
    leaks = [f"{report['with_kin'][name]} of {num} {name} images" for name, num in report["images"].items() if num]
    if leaks and any(report["with_kin"].values()):
        notes[0] += f"; drawn by single images, {' and '.join(leaks)} would have kin in train"
    for name in drawn:
        lacking = [splits[name].class_names[label] for label in np.flatnonzero(splits[name].counts() == 0)]
        if lacking and splits[name].groups is not None:
            quoted = ", ".join(map(repr, lacking[:10])) + (
                f" and {len(lacking) - 10} more" if len(lacking) > 10 else ""
            )
            notes.append(f"warning: {name} has no image of {quoted}: too few groups hold them")
    count, num = report["count"].get("test"), len(splits["test"])
    if count is not None and count < num / 2:
        notes.append(
            f"warning: the {num} test images come from {count} groups, so they are worth fewer than {num} independent ones: "
            "intervals of test accuracies, which count images, are too narrow"
        )
    return notes
