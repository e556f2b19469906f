"""From a run's folder to its typed record: older results are brought up to date, damaged ones lose only what is damaged."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from ..errors import DataError, near_names
from .rank_record import RankRecord
from .record import SCHEMA_VERSION
from .results import PretrainRecord, Result, Summary
from .study_record import StudyResult

__all__ = ["KINDS", "RunRecord", "load_run", "read_json", "read_record"]

RunRecord: TypeAlias = Result | PretrainRecord | Summary | StudyResult | RankRecord
KINDS: dict[str, type[RunRecord]] = {
    "auto": Result,
    "tune": Result,
    "probe": Result,
    "pretrain": PretrainRecord,
    "summary": Summary,
    "paper": StudyResult,
    "rank": RankRecord,
}
"""The record of each kind of result."""

# The methods of version 1, whose results do not say what the methods are called.
_METHODS_1: dict[str, dict[str, Any]] = {
    "linear": {
        "title": "Linear probe",
        "phrase": "the linear probe",
        "tunes": "a new classifier on the frozen network",
        "mark": {"marker": "o", "colour": "muted", "dash": ":"},
    },
    "layer": {
        "title": "Layer fine-tuning",
        "phrase": "layer fine-tuning",
        "tunes": "one block and the classifier",
        "mark": {"marker": "s", "colour": "ink", "dash": "--"},
    },
    "scl": {
        "title": "SCL fine-tuning",
        "phrase": "SCL fine-tuning",
        "tunes": "one block, a skip connection from its output to the penultimate features, and the classifier",
        "mark": {"marker": "D", "colour": "accent", "dash": "-"},
    },
    "full": {
        "title": "Full fine-tuning",
        "phrase": "full fine-tuning",
        "tunes": "every parameter",
        "mark": {"marker": "^", "colour": "ink", "dash": "-."},
    },
}
# What a result that does not describe its metrics calls the numbers of its layers.
_METRICS_1 = {
    "nc1": {"title": "NC1", "collapsed": "down"},
    "nc1_null_mean": {"title": "NC1, shuffled labels"},
    "nc1_null_std": {"title": "Its standard deviation"},
    "nc1_calibrated": {"title": "NC1, calibrated", "collapsed": "down"},
    "cdnv": {"title": "CDNV", "collapsed": "down"},
    "numerical_rank": {"title": "Numerical rank", "collapsed": "down"},
    "class_separation": {"title": "Class separation", "collapsed": "up"},
}
_EMPTY: dict[str, Any] = {
    "dataset": {"name": "", "num_classes": 0, "class_names": [], "report": {}},
    "model": {"name": ""},
    "splits": {},
    "layers": [],
    "seed": None,
    "versions": {},
    "hardware": {},
    "warnings": [],
    "cost": None,
    "loss": "",
    "loss_arguments": {},
    "settings": {},
    "steps": None,
    "final": {"epoch": 0},
    "history": [],
    "runs": [],
    "rule": "",
    "columns": {},
    "rows": [],
    "best": None,
    "scale": "",
    "studies": [],
}
_ROUNDS = 300
_SHOWN = 5


def load_run(folder: str | Path) -> RunRecord:
    """The record of a finished run, as typed and frozen models; docs/record.md describes every field.

    Results that an earlier version wrote are brought up to date in memory; the file stays as it is.

    Args:
        folder: A run folder, or its ``result.json``.

    Returns:
        ``Result`` for ``auto``, ``tune`` and ``probe``, ``PretrainRecord`` for ``pretrain``, ``Summary`` for several
        networks or seeds, ``StudyResult`` for the paper's studies, and ``RankRecord`` for ``rank``.

    Raises:
        DataError: there is no finished run, a value is invalid, or a later version of nctransfer wrote it.

    Example:
        >>> import json, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "result.json").write_text(json.dumps({"kind": "summary", "runs": [], "best": None, "cost": None}))
        >>> load_run(folder).runs
        ()
    """
    path = Path(folder)
    path = path if path.is_file() else path / "result.json"
    plain = read_json(path)
    if plain is None:
        said = "result.json not found" if path.parent.is_dir() else "no such run folder"
        raise DataError(said, where=str(path.parent), remedy="name a finished run, or finish it with --resume")
    kind, plain = _current(plain, path)
    try:
        return KINDS[kind].model_validate(plain)
    except ValidationError as error:
        found = [f"{_dotted(item['loc'])}: {item['msg'].lower()}" for item in error.errors()]
        raise DataError(
            f"the result is invalid: {'; '.join(found[:_SHOWN])}" + (" …" if len(found) > _SHOWN else ""),
            where=str(path),
            remedy="restore the file, or run again",
        ) from None


def read_json(path: Path) -> Any:
    """The content of a JSON file; None where there is none.

    Raises:
        DataError: the file is not JSON.
    """
    try:
        # Names that are not UTF-8 were written byte for byte, and come back the same way.
        return json.loads(path.read_bytes().decode("utf-8", "surrogateescape"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name} is not JSON", where=str(path), remedy="restore the file, or run again") from error


def read_record(plain: Any, path: Path) -> tuple[RunRecord, list[str]]:
    """A record of what a result holds, without the values that are invalid; each of these is named.

    Args:
        plain: The content of ``result.json``.
        path: Where it lies, for messages.

    Returns:
        The record, and a sentence for each value that was left out.

    Raises:
        DataError: the result is no mapping, of an unknown kind, or of a later version.
    """
    kind, plain = _current(plain, path)
    model, seen, lost = KINDS[kind], Counter[tuple[int | str, ...]](), dict[str, str]()
    for _ in range(_ROUNDS):
        try:
            return model.model_validate(plain), [f"{name} is left out: {why}" for name, why in lost.items()]
        except ValidationError as error:
            for item in sorted(
                error.errors(), key=lambda item: [str(part).zfill(9) for part in item["loc"]], reverse=True
            ):
                loc = _existing(plain, item["loc"], item["type"])
                lost.setdefault(_dotted(loc) or item["type"], item["msg"][:1].lower() + item["msg"][1:])
                _repair(plain, loc, item["type"], seen)
    raise DataError("the result is damaged beyond use", where=str(path), remedy="restore the file, or run again")


def _current(plain: Any, path: Path) -> tuple[str, dict[str, Any]]:
    """The kind of a result, and its content as the present version writes it."""
    if not isinstance(plain, dict):
        raise DataError("result.json holds no mapping", where=str(path), remedy="run again")
    plain = copy.deepcopy(plain)
    version = plain.get("schema_version", 1)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise DataError(
            f"a later version of nctransfer wrote this result (schema {version}; this one reads up to {SCHEMA_VERSION})",
            where=str(path),
            remedy="update nctransfer",
        )
    kind = plain.get("kind")
    if kind is None:
        kind = "auto" if plain.get("methods") else "probe" if plain.get("layers") else "missing"
    if not isinstance(kind, str) or kind not in KINDS:
        raise DataError(
            f"no page for a result of kind {kind!r}", where=str(path), remedy=near_names(str(kind), [*KINDS])
        )
    plain["kind"] = kind
    if version == 1:
        _from_1(plain)
    if "metrics" in KINDS[kind].model_fields:
        plain.setdefault("metrics", copy.deepcopy(_METRICS_1))
    plain["schema_version"] = SCHEMA_VERSION
    return kind, plain


def _from_1(plain: dict[str, Any]) -> None:
    """Results of version 1 do not say what their methods are called and how they are drawn."""
    runs = plain.get("runs")
    for holder in [plain, *(runs if isinstance(runs, list) else [])]:
        methods = holder.get("methods") if isinstance(holder, dict) else None
        for name, row in methods.items() if isinstance(methods, dict) else ():
            if isinstance(row, dict):
                facts = _METHODS_1.get(name, {"title": name, "phrase": name, "tunes": "", "mark": {}})
                kept = facts if holder is plain else {key: facts[key] for key in ("title", "phrase", "mark")}
                for key, value in kept.items():
                    row.setdefault(key, copy.deepcopy(value))


def _existing(plain: Any, loc: tuple[int | str, ...], kind: str) -> tuple[int | str, ...]:
    """The location in the data: without the names of a union's members, and with a key that is missing at its end."""
    here, kept = plain, []
    for place, part in enumerate(loc):
        inside = (isinstance(here, dict) and part in here) or (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        )
        if inside:
            here = here[part]
        elif not (kind == "missing" and place == len(loc) - 1 and isinstance(here, dict)):
            continue
        kept.append(part)
    return tuple(kept)


def _repair(plain: dict[str, Any], loc: tuple[int | str, ...], kind: str, seen: Counter[tuple[int | str, ...]]) -> None:
    """Make a value None; where that is no good either, take it out; where it is needed, take out what holds it."""
    if not loc:
        plain.pop(kind, None)  # a check of the whole record is named after the field that it takes out
        return
    seen[loc] += 1
    holder: Any = plain
    for part in loc[:-1]:
        holder = holder[part]
    last = loc[-1]
    if isinstance(holder, list):
        if isinstance(last, int) and last < len(holder):
            del holder[last]
        return
    if len(loc) == 1 and seen[loc] > 1 and last not in _EMPTY:
        holder.pop(last, None)
    elif len(loc) == 1 and seen[loc] > 1:
        holder[last] = copy.deepcopy(_EMPTY.get(str(last)))
    elif kind == "extra_forbidden" or seen[loc] == 2:
        holder.pop(last, None)
    elif seen[loc] > 2:
        _repair(plain, loc[:-1], "", seen)
    else:
        holder[last] = None


def _dotted(loc: tuple[int | str, ...]) -> str:
    return ".".join(map(str, loc))
