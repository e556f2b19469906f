"""The page of a folder of studies: each study's claims and panels from its cells, beside those that stood there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..report import write_report, write_text
from ..runs import SCHEMA_VERSION, RunFolder, StudyResult, describe_environment, write_json
from .catalogue import STUDIES, cells_of, minutes
from .folder import locked, stored
from .scale import Scale
from .store import Store
from .study import Outcome, Study

__all__ = ["write_page"]


def write_page(
    root: Path,
    scale: Scale,
    studies: Sequence[Study],
    seeds: dict[str, list[int]],
    store: Store,
    failures: list[dict[str, str]],
) -> dict[str, Any]:
    """Make ``result.json``, ``report.html`` and its text; studies that stood in the folder stay.

    Args:
        root: The folder.
        scale: Its scale.
        studies: Those to make anew.
        seeds: Of each, by its name.
        store: Where the cells are.
        failures: Cells that failed now.

    Returns:
        The content of ``result.json``.
    """
    made = {study.name: _entry(study, scale, seeds[study.name], store) for study in studies}
    with locked(root):
        result = _joined(root, scale, made, failures)
        write_json(root / "environment.json", describe_environment())
        record = StudyResult.model_validate({"schema_version": SCHEMA_VERSION, **result})
        result = record.plain()
        write_json(root / "result.json", result)
        write_report(root)
        write_text(root)
    return result


def _joined(
    root: Path, scale: Scale, made: dict[str, dict[str, Any]], failures: list[dict[str, str]]
) -> dict[str, Any]:
    """The studies made now, beside those that stood in the folder."""
    before = RunFolder(root)._read("result.json") or {}
    kept = {entry["name"]: entry for entry in before.get("studies", []) if entry["name"] in STUDIES}
    everything = {**kept, **made}
    records = stored(root)
    return {
        "kind": "paper",
        "scale": scale.name,
        "about": scale.about,
        "seeds": sorted({seed for entry in everything.values() for seed in entry["seeds"]}),
        "studies": [everything[name] for name in STUDIES if name in everything],
        "failures": failures,
        "cost": {"cells": len(records), "seconds": sum(record["seconds"] for record in records)},
        "hardware": sorted({_hardware(record["environment"]) for record in records}),
        "versions": _versions([record["environment"].get("versions") or {} for record in records]),
    }


def _versions(seen: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Every version that cells were computed with.

    Example:
        >>> _versions([{"torch": "2.10"}, {"torch": "2.11"}, {"torch": "2.10"}])
        {'torch': '2.10 and 2.11'}
    """
    names = {name: None for versions in seen for name in versions}
    found = {name: sorted({str(versions[name]) for versions in seen if versions.get(name)}) for name in names}
    return {name: " and ".join(values) for name, values in found.items()}


def _hardware(environment: dict[str, Any]) -> str:
    devices = environment.get("devices") or []
    return devices[0] if devices else f"{environment.get('processor')}, {environment.get('cores')} cores"


def _entry(study: Study, scale: Scale, seeds: list[int], store: Store) -> dict[str, Any]:
    values: dict[int, dict[str, Any]] = {}
    seconds, missing, other = 0.0, 0, 0
    for seed in seeds:
        values[seed] = {}
        for label, cell in study.cells(scale, seed).items():
            record = store.read(cell)
            if record is None:
                missing += 1
                continue
            values[seed][label] = record["value"]
            seconds += record["seconds"]
            other += record["other_code"]
    values = {seed: found for seed, found in values.items() if found}
    findings = study.findings(Outcome(scale, values))
    verdicts = [verdict.plain() for verdict in findings.claims]
    rates = _noise_rates().get(study.name, {})
    for verdict in verdicts:
        verdict["noise"] = rates.get(verdict["statement"])
        verdict["cause"] = study.cause(scale.name, verdict["statement"]) if verdict["verdict"] != "holds" else ""
    return {
        "name": study.name,
        "title": study.title,
        "claim": study.claim,
        "artefacts": list(study.artefacts),
        "seeds": sorted(values),
        "claims": verdicts,
        "panels": list(findings.panels),
        "notes": list(findings.notes),
        "seconds": seconds,
        "seconds_a_seed": seconds / max(1, len(values)),
        "missing": missing,
        "other_code": other,
        "estimated_minutes": minutes(cells_of([study], scale, seeds[:1]), scale),
    }


@cache
def _noise_rates() -> dict[str, dict[str, float]]:
    """By study and statement how often noise alone decides a claim; made by :mod:`~nctransfer.studies.noise`."""
    path = Path(__file__).with_name("noise.json")
    return json.loads(path.read_text(encoding="utf-8"))["claims"] if path.is_file() else {}
