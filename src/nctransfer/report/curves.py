"""Training as it went: accuracy, loss and collapse over epochs."""

from __future__ import annotations

from typing import Any

from .blocks import Block, Columns, Details, Facts, Figure, Section, Table, Tile
from .figures import Series, curves
from .source import Source
from .text import count, mapping, number, percent, significant, words

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


def epochs(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record an epoch, in order; after a resumed run the later record of an epoch stands.

    Example:
        >>> epochs([{"epoch": 1, "a": 1}, {"epoch": 2}, {"epoch": 1, "a": 2}, {"step": 3}])
        [{'epoch': 1, 'a': 2}, {'epoch': 2}]
    """
    found: dict[float, dict[str, Any]] = {}
    for record in metrics:
        epoch = number(record.get("epoch"))
        if epoch is not None:
            found[epoch] = {**found.get(epoch, {}), **record}
    return [found[epoch] for epoch in sorted(found)]


def last(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """The last known value of everything that was logged.

    Example:
        >>> last([{"epoch": 1, "nc1": 2.0}, {"epoch": 2, "nc1": None}])
        {'epoch': 2, 'nc1': 2.0}
    """
    final: dict[str, Any] = {}
    for record in epochs(metrics):
        final.update({key: value for key, value in record.items() if value is not None})
    return final


def curves_section(metrics: list[dict[str, Any]]) -> Section:
    """Figure 1's curves, one panel a quantity, and the numbers behind them; a single epoch's numbers alone."""
    records = epochs(metrics)
    keys = list(dict.fromkeys(key for record in records for key, value in record.items() if number(value) is not None))
    panels = [
        ("accuracy", "accuracy (%)", False, [key for key in keys if key.endswith("accuracy") and "ncm" not in key]),
        ("nc1", "NC1 (log scale)", True, [key for key in keys if "nc1" in key]),
        ("cdnv", "CDNV (log scale)", True, [key for key in keys if "cdnv" in key]),
        ("loss", "loss", False, [key for key in keys if key.endswith("loss")]),
    ]
    steps = [record["epoch"] for record in records]
    if len(records) == 1:
        facts = [
            (
                f"{label.split(' (')[0]}, {_title(key)}".capitalize().replace("Nc1", "NC1").replace("Cdnv", "CDNV"),
                (percent if name == "accuracy" else significant)(records[0][key]),
            )
            for name, label, _, chosen in panels
            for key in chosen
        ]
        return Section("Training", [Facts(facts)] if facts else [])
    figures = []
    for name, label, log, chosen in panels:
        series = [Series(_title(key), [number(record.get(key)) for record in records]) for key in chosen]
        if drawing := curves(series, f"curve-{name}", steps=steps, log=log, label=label):
            figures.append(
                Figure(drawing, f"{label[0].upper()}{label[1:]} over the epochs.", f"Lines of {label} over epochs.")
            )
    if not figures:
        return Section("Training", [])
    blocks: list[Block] = [Columns(figures), Details("The curves in numbers", [_table(records, keys)])]
    return Section("Training", blocks)


def _title(key: str) -> str:
    return _TITLES.get(key, key.replace("_", " "))


def pretrain_headline(source: Source, final: dict[str, Any]) -> str:
    """The result of a pre-training run in a sentence."""
    result, config = source.result, source.config
    model = words(mapping(result.get("model")).get("name")) or words(config.get("arch")) or "The network"
    loss = words(result.get("loss")) or words(config.get("loss"))
    text = model + (f", trained with the {loss} loss" if loss else "")
    epoch = number(final.get("epoch"))
    if epoch == 0:
        text = f"{model}, untrained"
    elif epoch is not None:
        text += f"{' ' if loss else ', trained '}for {count(epoch)} epoch" + ("" if epoch == 1 else "s")
    train, test = number(final.get("train_accuracy")), number(final.get("test_accuracy"))
    reached = []
    if train is not None:
        reached.append(f"{percent(train)} on the training images")
    if test is not None:
        reached.append(f"{percent(test)} on the test images")
    if reached:
        text += f", reaches {' and '.join(reached)}"
    nc1 = number(final.get("nc1"))
    if nc1 is not None:
        verb = "have" if epoch == 0 else "end at"
        text += f"{'; its' if reached else ': its'} features {verb} NC1\u00a0=\u00a0{significant(nc1)}"
    return text + "."


def pretrain_tiles(final: dict[str, Any], config: dict[str, Any] | None = None) -> list[Tile]:
    """The last values of a pre-training run for the head of the page."""
    config = config or {}
    notes = dict.fromkeys(
        ("test_accuracy", "train_accuracy"), "nearest class mean" if config.get("loss") == "supcon" else ""
    )
    if number(config.get("adversarial")) is not None:
        notes["robust_accuracy"] = f"within {significant(config['adversarial'])}/255"
    wanted = [
        ("Test accuracy", "test_accuracy", percent),
        ("Training accuracy", "train_accuracy", percent),
        ("Encoder NC1", "nc1", significant),
        ("NC1, test images", "nc1_test", significant),
        ("Robust accuracy", "robust_accuracy", percent),
    ]
    return [
        Tile(title, show(final[key]), notes.get(key, ""))
        for title, key, show in wanted
        if number(final.get(key)) is not None
    ]


def _table(records: list[dict[str, Any]], keys: list[str]) -> Table:
    shown = [key for key in keys if key != "epoch"][:12]
    step = max(1, -(-len(records) // 40))
    kept = [record for index, record in enumerate(records) if index % step == 0 or index == len(records) - 1]
    body = [
        [
            count(record["epoch"]),
            *((percent if key.endswith("accuracy") else significant)(record.get(key)) for key in shown),
        ]
        for record in kept
    ]
    notes = [f"Every {step}th epoch and the last; all are in metrics.jsonl."] if step > 1 else []
    return Table(["Epoch", *(key.replace("_", " ") for key in shown)], body, "Values over epochs", notes=notes)
