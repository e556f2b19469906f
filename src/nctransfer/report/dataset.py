"""The data of a run: how many images of what, from where, and what was odd about them."""

from __future__ import annotations

from ..runs import DataReport, ImageSizes, PretrainRecord, RankRecord, Result
from .about import fact
from .blocks import Block, Details, Facts, Note, Prose, Section, Table
from .footnotes import sentence
from .text import count, join, percent, spaced

__all__ = ["data_section"]

_MOST_LISTED = 50


def data_section(record: Result | PretrainRecord | RankRecord, shown: list[str]) -> Section:
    """Where the images came from, how many there are, and what was odd about them.

    Args:
        record: The run's record.
        shown: Warnings that the page shows already.
    """
    dataset, splits = record.dataset, record.splits
    report, names = dataset.report, list(dataset.class_names)
    sizes = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    if not (names or report.model_fields_set or any(size is not None for size in sizes.values())):
        return Section("Data", [])
    num_classes = dataset.num_classes or len(names)
    parts = [f"{count(size)} for {split}" for split, size in sizes.items() if size is not None]
    lead = f"{dataset.name or 'The data set'}: {count(num_classes)} classes"
    lead += f"; images: {join(parts)}." if parts else "."
    blocks: list[Block] = []
    if isinstance(record, Result) and record.balance and record.balance.kind != "none":
        why = spaced(record.balance.why)
        blocks.append(Prose(f"Classes of unequal size were balanced by {record.balance.kind}: {why}."))
    if isinstance(record, Result) and record.augment:
        why = spaced(record.augment.why)
        text = f"Augmentation level {count(record.augment.level)}"
        blocks.append(Prose(f"{text}: {why}." if why else f"{text}."))
    if facts := [(name, text) for name, text in _facts(report) if text]:
        blocks.append(Facts(facts))
    for note in report.notes:
        if note and sentence(note) not in shown:
            blocks.append(Note(sentence(note)) if note.startswith("warning") else Prose(sentence(note)))
    blocks += _lists(report)
    if counts := _counts(report, names):
        blocks.append(Details("Images of each class", [counts]))
    elif names:
        blocks.append(Details(f"The {len(names)} classes", [Prose(", ".join(names))]))
    return Section("Data", blocks, lead)


def _facts(report: DataReport) -> list[tuple[str, str]]:
    source, twins = report.source, report.duplicates
    facts = []
    if source:
        facts += [
            ("Kind of source", source.kind),
            ("Location", source.place),
            ("Splits drawn", join(source.drawn)),
            ("Limit", count(source.limit) if source.limit is not None else ""),
        ]
    facts.append(("Image size", _size(report.sizes) if report.sizes else ""))
    if twins:
        pairs = (
            ("Test images also in train", twins.train_test),
            ("Test images also in validation", twins.validation_test),
            ("Validation images also in train", twins.train_validation),
        )
        facts += [
            (text, f"{count(pair.pixels)} with the same pixels")
            for text, pair in pairs
            if pair is not None and pair.pixels is not None
        ]
        singles = (("Duplicates in train", twins.within_train), ("Same image, other class", twins.conflicting_labels))
        facts += [(text, count(number)) for text, number in singles if number is not None]
    more = report.model_extra or {}
    return facts + [(key.replace("_", " ").capitalize(), fact(value)) for key, value in more.items()]


def _size(sizes: ImageSizes) -> str:
    """The most frequent size, and the range where there is one."""
    common, width, height, share = sizes.most_frequent, sizes.width, sizes.height, sizes.most_frequent_share
    parts = []
    if common:
        often = "" if share is None else " (all)" if share == 1 else f" ({percent(share)} of them)"
        parts.append(f"{count(common[0])} × {count(common[1])} pixels{often}")
    if width and height and (width[0] < width[2] or height[0] < height[2]):
        parts.append(
            f"width {count(width[0])} to {count(width[2])} (median {_plain(width[1])}), "
            f"height {count(height[0])} to {count(height[2])} (median {_plain(height[1])})"
        )
    return "; ".join(parts)


def _plain(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def _lists(report: DataReport) -> list[Block]:
    """Lists of unreadable files, of skipped ones and of duplicates."""
    made: list[Block] = []
    files = {
        "Unreadable images": [[item.identity, item.class_name, item.reason] for item in report.bad],
        "Files that were skipped": [[item.path, "", item.reason] for item in report.skipped],
    }
    for title, found in files.items():
        if found:
            notes = [f"{_MOST_LISTED} of {len(found)} are listed."] if len(found) > _MOST_LISTED else []
            columns = ["File", "Class", "Reason"]
            table = Table(columns, found[:_MOST_LISTED], title, frozenset({1, 2}), stack=True, notes=notes)
            made.append(Details(f"{title}: {len(found)}", [table]))
    twins = report.duplicates.train_test if report.duplicates else None
    if twins and twins.examples:
        columns = ["Training image", "Test image with the same pixels"]
        body = [list(pair) for pair in twins.examples[:_MOST_LISTED]]
        table = Table(columns, body, "Images in both train and test", frozenset({1}), stack=True)
        made.append(Details("Images in both train and test", [table]))
    return made


def _counts(report: DataReport, names: list[str]) -> Table | None:
    """Images by split and class."""
    splits = {split: inner for split, inner in report.counts.items() if inner}
    if not splits:
        return None
    classes = names or list(dict.fromkeys(name for inner in splits.values() for name in inner))
    body = [[name, *(count(inner.get(name)) for inner in splits.values())] for name in classes]
    return Table(["Class", *(split.capitalize() for split in splits)], body, "Images by class and split")
