"""One list of classes for all splits: matched by name, from the training split."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ..errors import DataError
from .sources import Found

__all__ = ["unify_classes"]


def unify_classes(found: Found) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Class names of the training split, and every split's labels in that order.

    Args:
        found: What the place holds; sentences about classes are added to its notes.

    Returns:
        Names, and for each split labels of shape (N,).

    Raises:
        DataError: one class only, duplicate names, or lists that differ between splits.
    """
    import unicodedata

    names = {
        split: [unicodedata.normalize("NFC", name).strip() for name in listed]
        for split, listed in found.class_names.items()
    }
    for split, listed in names.items():
        _check_unique(listed, split, found)
    _check_numbers(names, found)
    train = names["train"]
    for split, listed in names.items():
        missing, extra = sorted(set(train) - set(listed)), sorted(set(listed) - set(train))
        if found.naming.get(split) in ("values", "numbers"):
            missing = []  # Labels that are names in themselves cannot shift where one is absent; it is told below.
        if missing or extra:
            said = [f"{split} lacks {_quoted(missing)}{_emptied(found, split, missing)}"] * bool(missing)
            said += [f"{split} has {_quoted(extra)}, which train lacks{_emptied(found, 'train', extra)}"] * bool(extra)
            raise DataError(
                "the classes differ between the splits: " + "; ".join(said),
                where=found.place,
                remedy="give every split the same class names (an empty folder does not count as a class)",
            )
    present = {split: np.bincount(source.labels, minlength=len(train)) for split, source in found.sources.items()}
    labels = {}
    for split, source in found.sources.items():
        to_train = np.array([train.index(name) for name in names[split]], dtype=np.int64)
        labels[split] = to_train[source.labels] if len(source.labels) else source.labels
        present[split] = np.bincount(labels[split], minlength=len(train))
    return _drop_empty(found, train, labels, present)


def _check_numbers(names: dict[str, list[str]], found: Found) -> None:
    """Numbers in one split and a list of names in another are matched only where name k is the number k."""
    numbered = [split for split in names if found.naming.get(split) == "numbers"]
    listed = [split for split in names if found.naming.get(split, "declared") == "declared"]
    for split in listed if numbered else []:
        if names[split] != [str(number) for number in range(len(names[split]))]:
            raise DataError(
                f"the labels of {numbered[0]} are numbers and those of {split} have names, so they cannot be matched",
                where=found.place,
                remedy="name the classes in every split, or in none",
            )


def _emptied(found: Found, split: str, names: list[str]) -> str:
    """Contents of the class folders that a split leaves out because nothing in them can be read."""
    said = [f"{name}: {found.empty[split][name]}" for name in names if found.empty.get(split, {}).get(name)]
    return f" ({'; '.join(said[:5])}, which cannot be read)" if said else ""


def _drop_empty(
    found: Found, train: list[str], labels: dict[str, np.ndarray], present: dict[str, np.ndarray]
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    empty = np.flatnonzero(present["train"] == 0)
    for split, counts in present.items():
        stray = [train[index] for index in empty if counts[index]]
        if stray:
            raise DataError(
                f"{split} holds images of {_quoted(stray)}, of which train has none",
                where=found.place,
                remedy="add training images of that class, or remove it everywhere",
            )
        bare = [train[index] for index in np.flatnonzero(counts == 0) if index not in empty]
        if bare:
            found.notes.append(f"warning: {split} has no image of {_quoted(bare)}")
    if len(empty):
        found.notes.append(
            f"warning: classes without any image were left out: {_quoted([train[index] for index in empty])}"
        )
    kept = np.flatnonzero(present["train"])
    if len(kept) < 2:
        what = f"only one class, {train[kept[0]]!r}" if len(kept) else "no images"
        raise DataError(what, where=found.place, remedy="give at least two classes with images")
    renumber = np.full(len(train), -1, dtype=np.int64)
    renumber[kept] = np.arange(len(kept))
    return tuple(train[index] for index in kept), {split: renumber[values] for split, values in labels.items()}


def _check_unique(names: list[str], split: str, found: Found) -> None:
    counts: dict[str, int] = defaultdict(int)
    twins: dict[str, list[str]] = defaultdict(list)
    for name in names:
        counts[name] += 1
        twins[name.casefold()].append(name)
    double = sorted(name for name, count in counts.items() if count > 1)
    if double:
        raise DataError(
            f"the class names {_quoted(double)} appear more than once (after Unicode normalisation and trimming)",
            where=f"{split} of {found.place}",
            remedy="rename or merge them",
        )
    if split == "train":
        for group in twins.values():
            if len(set(group)) > 1:
                found.notes.append(
                    f"warning: the classes {_quoted(group)} differ only in upper and lower case; are they one class?"
                )


def _quoted(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
