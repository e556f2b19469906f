"""Where the winner errs: the confusion matrix, the pairs it mixes up, each class, and its most confident mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .blocks import Block, Columns, Details, Figure, Section, Table, Thumbnail, Thumbnails
from .confusion_figure import confusion
from .headline import best_method
from .source import Source, method_phrase
from .text import DASH, count, mapping, number, percent, rows, shorten, visible, words

__all__ = ["class_names", "confusion_matrix", "mistakes_section"]

_MOST_PAIRS = 12
_MOST_THUMBNAILS = 24


def class_names(result: dict[str, Any]) -> list[str]:
    """The names of the classes, in the order of their numbers.

    Example:
        >>> class_names({"dataset": {"class_names": ["cat", "dog"]}})
        ['cat', 'dog']
    """
    names = mapping(result.get("dataset")).get("class_names")
    return [words(name) or DASH for name in names] if isinstance(names, list) else []


def confusion_matrix(result: dict[str, Any]) -> np.ndarray | None:
    """The counts (K, K), rows true, or None when there is no square matrix of counts.

    Example:
        >>> confusion_matrix({"confusion": [[1, 0], [2, 3]]}).sum(), confusion_matrix({"confusion": [[1], []]})
        (np.float64(6.0), None)
    """
    table = result.get("confusion")
    if not isinstance(table, list) or not table or not all(isinstance(row, list) for row in table):
        return None
    if any(len(row) != len(table) for row in table):
        return None
    counts = [[number(value) for value in row] for row in table]
    if any(value is None or value < 0 for row in counts for value in row):
        return None
    matrix = np.array(counts, dtype=np.float64)
    return matrix if matrix.sum() > 0 else None


def mistakes_section(source: Source) -> Section:
    """Matrix, pairs, classes and thumbnails."""
    result = source.result
    blocks: list[Block] = []
    lead = ""
    matrix = confusion_matrix(result)
    if matrix is not None:
        names = class_names(result)
        names = [*names, *(f"class {index}" for index in range(len(names), len(matrix)))][: len(matrix)]
        wrong = matrix.sum() - np.trace(matrix)
        best = best_method(result)
        who = method_phrase(best) if best else "the network"
        lead = f"{who[0].upper()}{who[1:]} gets {count(wrong)} of {count(matrix.sum())} test images wrong."
        blocks += _matrix(matrix, names)
    pictures = _thumbnails(source)
    if pictures:
        blocks.append(Thumbnails(pictures))
    return Section("Where it errs", blocks, lead)


def _matrix(matrix: np.ndarray, names: list[str]) -> list[Block]:
    num_classes = len(matrix)
    text = "Confusion matrix of the test images: rows are the true class; darker is a larger share of the row."
    figure = Figure(
        confusion(matrix, names), text, f"Confusion matrix of {num_classes} classes; the pairs stand beside it."
    )
    pairs = _pairs(matrix, names)
    return [
        Columns([figure, pairs] if pairs.rows else [figure]),
        Details(f"All {num_classes} classes", [_classes(matrix, names)]),
    ]


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
        ["True class", "Taken for", "Images", "Share of the class"],
        body,
        "The pairs that are confused most",
        frozenset({1}),
    )


def _short(name: str) -> str:
    return shorten(visible(name), 36)


def _classes(matrix: np.ndarray, names: list[str]) -> Table:
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
                percent(matrix[i, i] / taken[i]) if taken[i] else "",
                names[int(others.argmax())] if others.any() else "",
            ]
        )
    columns = ["Class", "Test images", "Found (recall)", "Right when said (precision)", "Most often taken for"]
    return Table(columns, body, "Every class, the worst first", frozenset({4}))


def _thumbnails(source: Source) -> list[Thumbnail]:
    made = []
    for item in rows(source.result.get("mistakes"))[:_MOST_THUMBNAILS]:
        true, predicted = words(item.get("true")) or "unknown", words(item.get("predicted")) or "unknown"
        picture = source.image(item.get("thumbnail"))
        alt = f"Image {words(item.get('identity'))}: true class {true}, predicted {predicted}"
        sure = percent(item.get("probability"))
        lines = [f"{sure} sure" if sure != DASH else "", f"truly {_short(true)}", words(item.get("identity"))]
        made.append(Thumbnail(picture, alt, _short(predicted), [line for line in lines if line]))
    return made
