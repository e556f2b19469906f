"""The data of a run: how many images of what, from where, and what was odd about them."""

from __future__ import annotations

from typing import Any

from .about import fact, sentence, warnings_of
from .blocks import Block, Details, Facts, Note, Prose, Section, Table
from .mistakes import class_names
from .text import count, join, mapping, number, percent, rows, words

__all__ = ["data_section"]

_KNOWN = ("source", "sizes", "duplicates", "bad", "skipped", "notes", "counts", "splits", "class_names")
_MOST_LISTED = 50


def data_section(result: dict[str, Any]) -> Section:
    """Where the images came from, how many there are, and what was odd about them."""
    dataset = mapping(result.get("dataset"))
    report = mapping(dataset.get("report"))
    names, splits = class_names(result), mapping(result.get("splits"))
    if not (names or splits or report):
        return Section("Data", [])
    num_classes = number(dataset.get("num_classes")) or len(names)
    sizes = [f"{count(size)} for {split}" for split, size in splits.items() if number(size) is not None]
    lead = f"{words(dataset.get('name')) or 'The data set'}: {count(num_classes)} classes"
    lead += f"; images: {join(sizes)}." if sizes else "."
    blocks: list[Block] = []
    augment = mapping(result.get("augment"))
    if number(augment.get("level")) is not None:
        why = words(augment.get("why"))
        blocks.append(Prose(f"Augmentation level {count(augment['level'])}. {sentence(why) if why else ''}".strip()))
    if facts := [(name, text) for name, text in _facts(report) if text]:
        blocks.append(Facts(facts))
    notes = report.get("notes")
    shown = set(warnings_of(result))
    for note in notes if isinstance(notes, list) else []:
        if words(note) and sentence(note) not in shown:
            blocks.append(Note(sentence(note)) if words(note).startswith("warning") else Prose(sentence(note)))
    blocks += _lists(report)
    if counts := _counts(report.get("counts"), names):
        blocks.append(Details("Images of each class", [counts]))
    elif names:
        blocks.append(Details(f"The {len(names)} classes", [Prose(", ".join(names))]))
    return Section("Data", blocks, lead)


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    source, duplicates = mapping(report.get("source")), mapping(report.get("duplicates"))
    drawn = source.get("drawn")
    facts = [
        ("Found as", words(source.get("kind")) or words(report.get("source"))),
        ("Place", words(source.get("place"))),
        ("Drawn splits", join(map(words, drawn)) if isinstance(drawn, list) else ""),
        ("Limit", count(source.get("limit")) if number(source.get("limit")) is not None else ""),
        ("Image size", _size(mapping(report.get("sizes")))),
    ]
    for pair, text in (
        ("train_test", "Test images also in train"),
        ("validation_test", "Test images also in validation"),
        ("train_validation", "Validation images also in train"),
    ):
        twins = mapping(duplicates.get(pair))
        if number(twins.get("pixels")) is not None:
            facts.append((text, f"{count(twins['pixels'])} with the same pixels"))
    for key, text in (("within_train", "Repeated in train"), ("conflicting_labels", "Twins of different classes")):
        if number(duplicates.get(key)) is not None:
            facts.append((text, count(duplicates[key])))
    others = [(key.replace("_", " ").capitalize(), fact(value)) for key, value in report.items() if key not in _KNOWN]
    return facts + others


def _size(sizes: dict[str, Any]) -> str:
    """The most frequent size, and the range when there is one."""
    common, width, height = (_numbers(sizes.get(key)) for key in ("most_frequent", "width", "height"))
    parts = []
    if len(common) == 2:
        share = number(sizes.get("most_frequent_share"))
        often = "" if share is None else " (all)" if share == 1 else f" ({percent(share)} of them)"
        parts.append(f"{count(common[0])} × {count(common[1])} pixels{often}")
    if len(width) == len(height) == 3 and (width[0] < width[2] or height[0] < height[2]):
        parts.append(
            f"width {count(width[0])} to {count(width[2])} (median {_plain(width[1])}), "
            f"height {count(height[0])} to {count(height[2])} (median {_plain(height[1])})"
        )
    return "; ".join(parts)


def _plain(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def _numbers(values: Any) -> list[float]:
    return [plain for value in values if (plain := number(value)) is not None] if isinstance(values, list) else []


def _lists(report: dict[str, Any]) -> list[Block]:
    """What could not be read, what was passed over, and which images stand twice."""
    made: list[Block] = []
    for key, title in (("bad", "Unreadable images"), ("skipped", "Files passed over")):
        found = rows(report.get(key))
        body = [
            [
                words(item.get("identity")) or words(item.get("path")),
                words(item.get("class")),
                words(item.get("reason")),
            ]
            for item in found[:_MOST_LISTED]
        ]
        if body:
            notes = [f"{_MOST_LISTED} of {len(found)} are listed."] if len(found) > _MOST_LISTED else []
            table = Table(["File", "Class", "Reason"], body, title, frozenset({1, 2}), stack=True, notes=notes)
            made.append(Details(f"{title}: {len(found)}", [table]))
    examples = mapping(mapping(report.get("duplicates")).get("train_test")).get("examples")
    pairs = [pair for pair in examples if isinstance(pair, list)] if isinstance(examples, list) else []
    body = [[words(pair[0]), words(pair[1])] for pair in pairs[:_MOST_LISTED] if len(pair) == 2]
    if body:
        columns = ["Training image", "Test image with the same pixels"]
        made.append(
            Details("Images in both train and test", [Table(columns, body, "Twins", frozenset({1}), stack=True)])
        )
    return made


def _counts(counts: Any, names: list[str]) -> Table | None:
    """Images per split and class."""
    splits = {split: inner for split, inner in mapping(counts).items() if isinstance(inner, dict) and inner}
    if not splits:
        return None
    classes = names or list(dict.fromkeys(name for inner in splits.values() for name in inner))
    body = [[name, *(count(inner.get(name)) for inner in splits.values())] for name in classes]
    return Table(["Class", *(split.capitalize() for split in splits)], body, "Images of each class")
