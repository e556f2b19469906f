"""Where the winner errs: the confusion matrix, the pairs it mixes up, each class, and its most confident mistakes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..runs import Result
from .blocks import Block, Columns, Details, Figure, Section, Table, Thumbnail, Thumbnails
from .confusion_figure import confusion
from .headline import best_method
from .lead import lead_of
from .source import Source, method_phrase
from .text import DASH, count, percent, shorten, visible

__all__ = ["mistakes_section"]

_MOST_PAIRS = 12
_MOST_THUMBNAILS = 24
_MOST_OPEN = 25


def mistakes_section(source: Source, record: Result) -> Section:
    """Matrix, pairs, classes and thumbnails."""
    blocks: list[Block] = []
    lead = ""
    if record.confusion and sum(map(sum, record.confusion)) > 0:
        matrix = np.array(record.confusion, dtype=np.float64)
        names = [name or DASH for name in record.dataset.class_names]
        names = [*names, *(f"class {index}" for index in range(len(names), len(matrix)))][: len(matrix)]
        wrong = matrix.sum() - np.trace(matrix)
        best = best_method(record)
        who = method_phrase(best, record.methods[best]) if best else "the network"
        lead = f"{who[0].upper()}{who[1:]} gets {count(wrong)} of {count(matrix.sum())} test images wrong."
        ends = record.recall_intervals
        table = _classes(matrix, names, ends if len(ends) == len(matrix) else [None] * len(matrix))
        blocks.append(_matrix(matrix, names))
        plain = lead_of(record).balanced and len(matrix) <= _MOST_OPEN
        blocks.append(table if plain else Details(f"All {len(matrix)} classes", [table]))
    if pictures := _thumbnails(source, record):
        blocks.append(Thumbnails(pictures))
    return Section("Mistakes", blocks, lead)


def _matrix(matrix: np.ndarray, names: list[str]) -> Block:
    num_classes = len(matrix)
    text = "Confusion matrix of the test images: rows are the true class; darker is a larger fraction of the row."
    figure = Figure(
        confusion(matrix, names), text, f"Confusion matrix of {num_classes} classes; the pairs stand beside it."
    )
    pairs = _pairs(matrix, names)
    return Columns([figure, pairs] if pairs.rows else [figure])


def _pairs(matrix: np.ndarray, names: list[str]) -> Table:
    off = matrix.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:_MOST_PAIRS]
    sums = matrix.sum(axis=1)
    body = []
    for flat in order:
        i, j = divmod(int(flat), len(matrix))
        if off[i, j] > 0:
            body.append([_short(names[i]), _short(names[j]), count(off[i, j]), percent(off[i, j] / sums[i])])
    return Table(
        ["True class", "Taken for", "Images", "Fraction of the class"],
        body,
        "The pairs that are confused most",
        frozenset({1}),
    )


def _short(name: str) -> str:
    return shorten(visible(name), 36)


def _classes(matrix: np.ndarray, names: list[str], intervals: Sequence[tuple[float, float] | None]) -> Table:
    sums, taken = matrix.sum(axis=1), matrix.sum(axis=0)
    body = []
    recall = np.divide(np.diag(matrix), sums, out=np.full(len(matrix), np.nan), where=sums > 0)
    for i in np.argsort(recall, kind="stable"):
        others = matrix[i].copy()
        others[i] = 0
        body.append(
            [
                names[i],
                count(sums[i]),
                percent(float(recall[i])),
                f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}" if (ends := intervals[i]) else "",
                percent(matrix[i, i] / taken[i]) if taken[i] else "",
                names[int(others.argmax())] if others.any() else "",
            ]
        )
    columns = ["Class", "Test images", "Recall", "95\u00a0% interval", "Precision", "Most often taken for"]
    return Table(
        columns,
        body,
        "Every class, the worst first. Recall: the fraction of its images that are found, with its interval. "
        "Precision: how often the model is right when it names the class.",
        frozenset({5}),
        stack=True,
    )


def _thumbnails(source: Source, record: Result) -> list[Thumbnail]:
    made = []
    for item in record.mistakes[:_MOST_THUMBNAILS]:
        alt = f"Image {item.identity}: true class {item.true}, predicted {item.predicted}"
        sure = "" if item.probability is None else f"{percent(item.probability)} sure"
        lines = [line for line in (sure, f"truly {_short(item.true)}", item.identity) if line]
        made.append(Thumbnail(source.image(item.thumbnail), alt, _short(item.predicted), lines))
    return made
