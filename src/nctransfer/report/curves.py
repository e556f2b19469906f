"""Training as it went: accuracy, loss and collapse over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..runs import EpochRow, PretrainRecord
from .blocks import Block, Columns, Details, Facts, Figure, Prose, Section, Table, Tile
from .figures import Series, curves
from .footnotes import Footnotes, sentence
from .text import DASH, count, number, percent, significant

__all__ = ["curves_section", "last", "pretrain_headline", "pretrain_tiles"]

_TITLES = {
    "running_accuracy": "training images, as trained",
    "train_accuracy": "training images",
    "test_accuracy": "test images",
    "robust_accuracy": "attacked test images",
    "train_loss": "training images",
    "test_loss": "test images",
    "nc1": "encoder, training images",
    "nc1_test": "encoder, test images",
    "head_nc1": "head, training images",
    "head_nc1_test": "head, test images",
    "cdnv": "encoder, training images",
    "cdnv_test": "encoder, test images",
    "head_cdnv": "head, training images",
    "head_cdnv_test": "head, test images",
}


def epochs(log: Sequence[EpochRow]) -> list[EpochRow]:
    """One row an epoch, in order; after a resumed run the later row of an epoch adds to the earlier.

    Example:
        >>> [row.nc1 for row in epochs([EpochRow(epoch=1, nc1=1), EpochRow(epoch=2), EpochRow(epoch=1, nc1=2)])]
        [2.0, None]
    """
    found: dict[int, EpochRow] = {}
    for row in log:
        before = found.get(row.epoch)
        found[row.epoch] = before.model_copy(update=_set(row)) if before else row
    return [found[epoch] for epoch in sorted(found)]


def last(log: Sequence[EpochRow]) -> EpochRow | None:
    """The last known value of everything that was logged.

    Example:
        >>> last([EpochRow(epoch=1, nc1=2.0), EpochRow(epoch=2, nc1=None)])
        EpochRow(epoch=2, ..., nc1=2.0, ...)
    """
    rows = epochs(log)
    if not rows:
        return None
    known: dict[str, Any] = {}
    for row in rows:
        known |= {key: value for key, value in _set(row).items() if value is not None}
    return rows[-1].model_copy(update=known)


def _set(row: EpochRow) -> dict[str, Any]:
    """The quantities recorded for an epoch, further quantities included."""
    return {key: getattr(row, key) for key in row.model_fields_set}


def _numbers(row: EpochRow) -> dict[str, float]:
    """The quantities of an epoch, in the order of the schema."""
    held = {**{key: getattr(row, key) for key in type(row).model_fields}, **(row.model_extra or {})}
    return {key: plain for key, value in held.items() if (plain := number(value)) is not None}


def curves_section(log: Sequence[EpochRow]) -> Section:
    """Figure 1's curves, one panel a quantity, and the numbers behind them; a single epoch's numbers alone."""
    rows = epochs(log)
    numbers = [_numbers(row) for row in rows]
    keys = list(dict.fromkeys(key for held in numbers for key in held))
    panels = [
        ("accuracy", "accuracy (%)", False, [key for key in keys if key.endswith("accuracy") and "ncm" not in key]),
        ("nc1", "NC1 (log scale)", True, [key for key in keys if "nc1" in key]),
        ("cdnv", "CDNV (log scale)", True, [key for key in keys if "cdnv" in key]),
        ("loss", "loss", False, [key for key in keys if key.endswith("loss")]),
    ]
    steps = [float(row.epoch) for row in rows]
    if len(rows) == 1:
        facts = [
            (
                f"{label.split(' (')[0]}, {_title(key)}".capitalize().replace("Nc1", "NC1").replace("Cdnv", "CDNV"),
                (percent if name == "accuracy" else significant)(numbers[0][key]),
            )
            for name, label, _, chosen in panels
            for key in chosen
        ]
        notes = [Prose(sentence(f"{_title(key)}: {why}")) for key, why in rows[0].notes.items()]
        return Section("Training", [Facts(facts), *notes] if facts else [*notes])
    figures = []
    for name, label, log_scale, chosen in panels:
        series = [Series(_title(key), [held.get(key) for held in numbers]) for key in chosen]
        if drawing := curves(series, f"curve-{name}", steps=steps, log=log_scale, label=label):
            figures.append(
                Figure(drawing, f"{label[0].upper()}{label[1:]} over the epochs.", f"Lines of {label} over epochs.")
            )
    if not figures:
        return Section("Training", [])
    blocks: list[Block] = [Columns(figures), Details("The curves in numbers", [_table(rows, numbers, keys)])]
    return Section("Training", blocks)


def _title(key: str) -> str:
    return _TITLES.get(key, key.replace("_", " "))


def pretrain_headline(record: PretrainRecord, final: EpochRow | None) -> str:
    """The result of a pre-training run in a sentence."""
    text = record.model.name or "The network"
    if final is None:
        return text + (f", trained with the {record.loss} loss." if record.loss else ".")
    if final.epoch == 0:
        text += ", untrained"
    else:
        text += f", trained with the {record.loss} loss for " if record.loss else ", trained for "
        text += f"{count(final.epoch)} epoch" + ("" if final.epoch == 1 else "s")
    reached = []
    if final.train_accuracy is not None:
        reached.append(f"{percent(final.train_accuracy)} on the training images")
    if final.test_accuracy is not None:
        reached.append(f"{percent(final.test_accuracy)} on the test images")
    if reached:
        text += f", reaches {' and '.join(reached)}"
    if final.nc1 is not None:
        verb = "have" if final.epoch == 0 else "end at"
        text += f"{'; its' if reached else ': its'} features {verb} NC1\u00a0=\u00a0{significant(final.nc1)}"
    return text + "."


def pretrain_tiles(record: PretrainRecord, final: EpochRow | None) -> list[Tile]:
    """The last values of a pre-training run for the head of the page."""
    if final is None:
        return []
    nearest = "nearest class mean" if record.loss == "supcon" else ""
    radius = number(record.settings.get("adversarial"))
    made = [
        Tile("Test accuracy", percent(final.test_accuracy), nearest if final.test_accuracy is not None else ""),
        Tile("Training accuracy", percent(final.train_accuracy), nearest if final.train_accuracy is not None else ""),
        Tile("Encoder NC1", significant(final.nc1), final.notes.get("nc1", "")),
        Tile("NC1, test images", significant(final.nc1_test), final.notes.get("nc1_test", "")),
        Tile("Robust accuracy", percent(final.robust_accuracy), f"within {significant(radius)}/255" if radius else ""),
    ]
    return [tile for tile in made if tile.value != DASH or (tile.note and tile.label.startswith(("Encoder", "NC1")))]


def _table(rows: list[EpochRow], numbers: list[dict[str, float]], keys: list[str]) -> Table:
    shown = [key for key in keys if key not in ("epoch", "step")][:12]
    step = max(1, -(-len(rows) // 40))
    notes = Footnotes()
    body = []
    for place, (row, held) in enumerate(zip(rows, numbers, strict=True)):
        if place % step == 0 or place == len(rows) - 1:
            cells = [
                notes.cell((percent if key.endswith("accuracy") else significant)(held.get(key)), row.notes.get(key))
                for key in shown
            ]
            body.append([count(row.epoch), *cells])
    lines = [f"Every {step}th epoch and the last; all are in metrics.jsonl."] if step > 1 else []
    columns = ["Epoch", *(key.replace("_", " ") for key in shown)]
    return Table(columns, body, "Values over epochs", notes=[*lines, *notes.lines])
