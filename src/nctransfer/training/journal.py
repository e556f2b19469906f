"""The run's records: one line an epoch in ``metrics.jsonl``, told to whoever listens, and consistent after a kill."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..runs import RunFolder, write_bytes
from .trackers import Listener

__all__ = ["Journal", "flatten"]


class Journal:
    """Records of a run, on disk and in memory.

    Args:
        run: The run folder.
        listeners: Told each record.
        keep_until: Step of the checkpoint that the run goes on from. Records of later steps are taken out of the file:
            the steps will be taken again.
        write: Whether this process writes at all.
    """

    def __init__(
        self, run: RunFolder, listeners: Sequence[Listener] = (), *, keep_until: int = 0, write: bool = True
    ) -> None:
        self.run, self.listeners, self.writes = run, listeners, write
        self.records = [record for record in run.metrics() if record.get("step", 0) <= keep_until]
        if write and (run.path / "metrics.jsonl").is_file():
            lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in self.records)
            write_bytes(run.path / "metrics.jsonl", lines.encode())

    @property
    def epochs(self) -> int:
        """Number of epochs on record."""
        return max((int(record["epoch"]) for record in self.records), default=0)

    def write(self, record: dict[str, Any]) -> None:
        """Add a record."""
        self.records.append(record)
        if not self.writes:
            return
        self.run.log(**record)
        for listener in self.listeners:
            listener(record)


def flatten(measured: dict[str, Any]) -> dict[str, Any]:
    """What :func:`~nctransfer.training.collapse.measure_collapse` found, under the flat names of ``metrics.jsonl``.

    The encoder's values on the training split are ``nc1`` and ``cdnv``; ``head_`` in front is the head's, ``_test``
    behind the test split's. Layers stand in a list.

    Example:
        >>> encoder = {"nc1": 0.5, "cdnv": 0.1}
        >>> part = {"accuracy": 1.0, "ncm_accuracy": 0.9, "encoder": encoder, "head": None, "layers": []}
        >>> flatten({"train": part})
        {'train_accuracy': 1.0, 'train_ncm_accuracy': 0.9, 'nc1': 0.5, 'cdnv': 0.1}
    """
    flat: dict[str, Any] = {}
    for split, part in measured.items():
        suffix = "" if split == "train" else f"_{split}"
        flat[f"{split}_accuracy"] = part["accuracy"]
        flat[f"{split}_ncm_accuracy"] = part["ncm_accuracy"]
        for place, prefix in (("encoder", ""), ("head", "head_")):
            for name, value in (part[place] or {}).items():
                flat[f"{prefix}{name}{suffix}"] = value
    tested = {row["name"]: row for row in measured.get("test", {}).get("layers", [])}
    layers = [
        {
            **row,
            **{f"{metric}_test": tested[row["name"]][metric] for metric in ("nc1", "cdnv") if row["name"] in tested},
        }
        for row in measured.get("train", {}).get("layers", [])
    ]
    return flat | ({"layers": layers} if layers else {})
