"""Tables of others: a CSV of model, data set, score and accuracy, judged as our own rankings are."""

from __future__ import annotations

import csv
import dataclasses
from collections import defaultdict
from pathlib import Path

import numpy as np

from ..errors import DataError, near_names
from .agreement import regret, tau_interval, weighted_tau

__all__ = ["Agreement", "agreement_of_table", "read_known", "read_table"]

_NEEDED = ("model", "dataset", "accuracy")
_STATIC = "mean rank on the other sets"


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How well one score foretold accuracies.

    Attributes:
        score: Its name.
        tau: Weighted τ, mean over data sets.
        low, high: Smallest and largest of the sets' τ.
        regret: Mean over data sets, in the unit of the accuracies.
        by_dataset: τ of each data set.
        intervals: 95 % interval of each τ, over candidates drawn anew.
    """

    score: str
    tau: float
    low: float
    high: float
    regret: float
    by_dataset: dict[str, float]
    intervals: dict[str, tuple[float, float] | None]


Table = dict[str, dict[str, dict[str, float]]]


def read_table(path: str | Path) -> Table:
    """A CSV with columns ``model``, ``dataset``, ``accuracy`` and one of each score: data set → model → column → value.

    In a long table there are ``score`` and ``value`` columns instead, one row a score. Larger scores promise better.

    Raises:
        DataError: the file is missing, lacks a column, or holds a value that is not a number, with its line.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("table not found", where=str(path), remedy="check the path")
    table: Table = defaultdict(lambda: defaultdict(dict))
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        header = [name.strip().lower() for name in reader.fieldnames or []]
        reader.fieldnames = header
        for needed in _NEEDED:
            if needed not in header:
                raise DataError(
                    f"the table has no column {needed!r}", where=str(path), remedy=near_names(needed, header)
                )
        long = {"score", "value"} <= set(header)
        for line, row in enumerate(reader, start=2):
            place = table[row["dataset"].strip()][row["model"].strip()]
            place["accuracy"] = _number(row["accuracy"], path, line)
            if long:
                place[row["score"].strip()] = _number(row["value"], path, line)
            else:
                for name in header:
                    if name not in _NEEDED and (row[name] or "").strip():
                        place[name] = _number(row[name], path, line)
    if not table:
        raise DataError("the table has no rows", where=str(path))
    return {dataset: dict(models) for dataset, models in table.items()}


def agreement_of_table(table: Table) -> list[Agreement]:
    """Weighted τ and regret of each score over the data sets, best first, beside a constant order that knows no image.

    The constant order ranks a model by its mean rank of accuracy on the *other* data sets; it needs two of them.
    """
    names = sorted({name for models in table.values() for row in models.values() for name in row} - {"accuracy"})
    columns = {name: {dataset: _pairs(models, name) for dataset, models in table.items()} for name in names}
    if len(table) > 1:
        columns[_STATIC] = {dataset: _constant(table, dataset) for dataset in table}
    found = []
    for name, sets in columns.items():
        taus, losses, intervals = {}, [], {}
        for dataset, (scores, accuracies) in sets.items():
            value = weighted_tau(scores, accuracies)
            if value is None:
                continue
            taus[dataset] = value
            losses.append(regret(scores, accuracies))
            intervals[dataset] = tau_interval(scores, accuracies)
        if taus:
            values = list(taus.values())
            found.append(
                Agreement(
                    name, float(np.mean(values)), min(values), max(values), float(np.mean(losses)), taus, intervals
                )
            )
    return sorted(found, key=lambda row: -row.tau)


def read_known(path: str | Path) -> dict[str, float]:
    """Known accuracies by model, from a CSV with columns ``model`` and ``accuracy`` (or ``top1``).

    Raises:
        DataError: as for ``read_table``.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("file of known accuracies not found", where=str(path), remedy="check the path given to --known")
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        header = [name.strip().lower() for name in reader.fieldnames or []]
        reader.fieldnames = header
        value = next((name for name in ("accuracy", "top1", "top-1", "acc") if name in header), None)
        if "model" not in header or value is None:
            raise DataError(
                f"the file has columns {', '.join(header) or 'none'}",
                where=str(path),
                remedy="it needs model and accuracy",
            )
        return {row["model"].strip(): _number(row[value], path, line) for line, row in enumerate(reader, start=2)}


def _number(text: str | None, path: Path, line: int) -> float:
    try:
        value = float((text or "").strip().rstrip("%"))
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise DataError(f"{text!r} is not a number", where=f"{path}, line {line}", remedy="correct the file")
    return value


def _pairs(models: dict[str, dict[str, float]], name: str) -> tuple[list[float], list[float]]:
    rows = [(row[name], row["accuracy"]) for row in models.values() if name in row]
    return [score for score, _ in rows], [accuracy for _, accuracy in rows]


def _constant(table: Table, dataset: str) -> tuple[list[float], list[float]]:
    from scipy.stats import rankdata

    ranks: dict[str, list[float]] = defaultdict(list)
    for other, models in table.items():
        if other != dataset:
            placed = rankdata([-row["accuracy"] for row in models.values()])
            for model, rank in zip(models, placed, strict=True):
                ranks[model].append(float(rank))
    rows = [(-float(np.mean(ranks[model])), row["accuracy"]) for model, row in table[dataset].items() if model in ranks]
    return [score for score, _ in rows], [accuracy for _, accuracy in rows]
