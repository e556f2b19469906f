"""Running studies: every cell once, finished ones taken from the folder, failures kept from stopping the rest."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..engine import Watch
from ..errors import LockedError, NCTransferError, PreemptedError, UsageError
from ..report import write_report, write_text
from ..runs import LOCK_FILES, FolderLock, describe_environment, write_json
from ..runs.folder import RunFolder
from .catalogue import STUDIES, cells_of, get_studies, minutes
from .cells import Cell
from .scales import Scale, get_scale
from .store import Store, read_record
from .study import Outcome, Study
from .work import compute
from .workers import run_workers

__all__ = ["claim_folder", "report_studies", "run_cells", "run_studies"]

_POLL_SECONDS = 2.0


def run_studies(
    names: Sequence[str],
    *,
    scale: str,
    out: str | Path,
    seeds: Sequence[int] = (0,),
    device: str = "auto",
    jobs: int = 1,
    accept_other_code: bool = False,
    time_limit: float | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Run studies and write their page.

    Args:
        names: Studies by name, or ``all``.
        scale: ``smoke``, ``mini`` or ``paper``.
        out: The folder; cells that stand there are used, so adding a seed or a study computes only what is new. Two
            processes may work in it at once.
        seeds: One run of every cell each.
        device: ``auto``, ``cpu``, ``cuda``.
        jobs: Processes of this machine that share the work and the cores.
        accept_other_code: Use cells that were computed by other code than this; the page says which.
        time_limit: Minutes after which the cell in hand is stopped where it can be resumed, and no other is begun.
        watch: Receives progress.

    Returns:
        The content of ``result.json``: ``studies`` with claims, verdicts and series, ``failures``, ``cost``.

    Raises:
        UsageError: an unknown study or scale, a folder that holds another scale, or a time limit that is not above 0.
        DataError: a cell is damaged.
        PreemptedError: the time limit or SIGTERM stopped it; the same command goes on.
    """
    chosen, level, root = get_studies(names), get_scale(scale), Path(out)
    if time_limit is not None and not time_limit > 0:
        raise UsageError(f"minutes above 0 are needed, got {time_limit:g}", where="--time-limit", remedy="leave it out")
    claim_folder(root, level)
    watch = watch or Watch()
    if jobs > 1:
        run_workers(
            [study.name for study in chosen],
            scale=scale,
            root=root,
            seeds=seeds,
            jobs=jobs,
            device=device,
            accept_other_code=accept_other_code,
            time_limit=time_limit,
            watch=watch,
        )
    store = Store(root, accept_other_code=accept_other_code)
    cells = cells_of(chosen, level, seeds)
    failures = run_cells(cells, store, device=device, time_limit=time_limit, watch=watch)
    records = _stored(root)
    shown = {study.name: sorted({*seeds, *_seeds_there(study, level, records)}) for study in chosen}
    return _write(root, level, chosen, shown, store, failures)


def report_studies(
    out: str | Path, *, accept_other_code: bool = True, text: str | Path | None = None
) -> dict[str, Any]:
    """Make the page again from the cells of a folder.

    Every study is shown of which more than half of the cells stand there, with the seeds of which that holds.

    Args:
        out: The folder.
        accept_other_code: Whether cells that other code computed are shown; the page says how many.
        text: Also write the page as Markdown to this file, which finds its figures in the folder.

    Raises:
        UsageError: the folder holds no studies, or no study of which more than half is finished.
        DataError: a cell is damaged.
    """
    root = Path(out)
    config = RunFolder(root)._read("config.json") if root.is_dir() else None
    if not config or config.get("verb") != "paper":
        raise UsageError(
            "no studies stand here", where=str(root), remedy="run nctransfer paper run NAME --out DIR first"
        )
    if text is not None and Path(text).is_dir():
        raise UsageError("a folder stands where the text should be", where=str(text), remedy="name a file")
    level, store = get_scale(config["scale"]), Store(root, accept_other_code=accept_other_code)
    records = _stored(root)
    seeds = {name: found for name, study in STUDIES.items() if (found := _seeds_there(study, level, records))}
    if not seeds:
        raise UsageError(
            f"{len(records)} cells are finished, no study by more than half",
            where=str(root),
            remedy="go on with nctransfer paper run",
        )
    result = _write(root, level, [STUDIES[name] for name in seeds], seeds, store, [])
    if text is not None:
        write_text(root, Path(text))
    return result


def _seeds_there(study: Study, scale: Scale, records: list[dict[str, Any]]) -> list[int]:
    """The seeds of which more than half of the study's cells are among the records."""
    there = {record["key"] for record in records}
    found = []
    for seed in sorted({record["config"]["seed"] for record in records}):
        cells = {cell.key for cell in study.cells(scale, seed).values()}
        if 2 * len(cells & there) > len(cells):
            found.append(seed)
    return found


def run_cells(
    cells: Sequence[Cell], store: Store, *, device: str, time_limit: float | None, watch: Watch
) -> list[dict[str, str]]:
    """Compute what is missing; what another process is computing is waited for.

    Returns:
        For each cell that failed its ``cell``, ``error`` and ``trace``; cells that need it are left out.
    """
    began = time.monotonic()
    pending = [cell for cell in cells if store.read(cell) is None]
    watch.say(f"{len(cells)} cells, {len(cells) - len(pending)} done before")
    failures: dict[str, dict[str, str]] = {}
    done = 0
    with _deadline(time_limit), watch.stage("cells", len(pending)) as advance:
        while pending:
            waiting = []
            for cell in pending:
                if any(needed.key in failures for needed in cell.needs):
                    failures[cell.key] = {
                        "cell": cell.title(),
                        "error": "the encoder that it needs failed",
                        "trace": "",
                    }
                elif any(store.read(needed) is None for needed in cell.needs) or not _take(
                    cell, store, device, watch, failures
                ):
                    waiting.append(cell)
                    continue
                done += 1
                advance(1)
                if time_limit is not None and time.monotonic() - began > 60 * time_limit and done < len(cells):
                    raise PreemptedError(
                        "the time limit is reached", where=cell.title(), remedy="run the same command again"
                    )
            if len(waiting) == len(pending):
                time.sleep(_POLL_SECONDS)
            pending = waiting
    return list(failures.values())


def _take(cell: Cell, store: Store, device: str, watch: Watch, failures: dict[str, dict[str, str]]) -> bool:
    """Compute a cell, or find it done; False where another process has it in hand."""
    folder = store.folder(cell)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FolderLock(folder):
            if store.read(cell) is None:
                _compute(cell, store, device, watch)
    except LockedError:
        return False
    except PreemptedError as error:
        raise PreemptedError(
            "told to stop; what was finished is kept", where=cell.title(), remedy="run the same command again"
        ) from error
    except Exception as error:
        said = error.line() if isinstance(error, NCTransferError) else f"{type(error).__name__}: {error}"
        failures[cell.key] = {"cell": cell.title(), "error": said, "trace": traceback.format_exc()}
        watch.say(f"failed: {cell.title()}: {said}")
    return True


def _compute(cell: Cell, store: Store, device: str, watch: Watch) -> None:
    folder = store.folder(cell)
    stale = folder / "cell.json"
    if stale.is_file():
        # Computed by other code: its training run must not be resumed either.
        stale.unlink()
        _discard(folder / "run")
    encoders = {needed.key: _weights(store.folder(needed) / "run", needed) for needed in cell.needs}
    began = time.perf_counter()
    value = compute(cell, folder, encoders, device, watch)
    seconds = max(time.perf_counter() - began, _trained(folder / "run"))
    environment = describe_environment()
    kept = {name: environment[name] for name in ("date", "processor", "cores", "devices", "versions")}
    store.write(cell, {"value": value, "seconds": seconds, "environment": kept})
    watch.say(f"{cell.title()}: {seconds:.0f} s")


def _trained(run: Path) -> float:
    """Seconds of training in a run, those before it was stopped and resumed among them; 0 where there is none."""
    records = RunFolder(run).metrics() if (run / "metrics.jsonl").is_file() else []
    return max((float(record.get("seconds", 0)) for record in records), default=0.0)


def _weights(run: Path, cell: Cell) -> Path:
    if not (run / "checkpoints" / "final.safetensors").is_file():
        raise UsageError(
            "the encoder's weights are not here, only its figures",
            where=str(run),
            remedy=f"remove the folder {cell.folder} and run again",
        )
    return run


def _discard(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _deadline(time_limit: float | None) -> Any:
    """Ask this process to stop, as a cluster would, when the time is up; training then saves its state first."""
    if time_limit is None:
        yield
        return
    timer = threading.Timer(60 * time_limit, lambda: os.kill(os.getpid(), signal.SIGTERM))
    timer.daemon = True

    def stop(number: int, frame: Any) -> None:
        raise PreemptedError("the time limit is reached", where="--time-limit", remedy="run the same command again")

    before = signal.signal(signal.SIGTERM, stop) if threading.current_thread() is threading.main_thread() else None
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def claim_folder(root: Path, scale: Scale) -> None:
    """Make the folder the place of a scale's studies.

    Raises:
        UsageError: it holds another scale, or something else.
    """
    if root.exists() and not root.is_dir():
        raise UsageError("a file stands where the folder should be", where=str(root), remedy="choose another --out")
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root):
        config = RunFolder(root)._read("config.json")
        if config is None:
            if any(entry.name not in (*LOCK_FILES, "cells", "jobs") for entry in root.iterdir()):
                raise UsageError("the folder is not empty", where=str(root), remedy="choose another --out")
            write_json(root / "config.json", {"verb": "paper", "scale": scale.name})
    if config is not None and config.get("scale") != scale.name:
        raise UsageError(
            f"the folder holds the scale {config.get('scale')}, not {scale.name}",
            where=str(root),
            remedy="choose another --out",
        )


def _stored(root: Path) -> list[dict[str, Any]]:
    return [read_record(path) for path in sorted((root / "cells").glob("*/cell.json"))]


def _write(
    root: Path,
    scale: Scale,
    studies: Sequence[Study],
    seeds: dict[str, list[int]],
    store: Store,
    failures: list[dict[str, str]],
) -> dict[str, Any]:
    made = {study.name: _entry(study, scale, seeds[study.name], store) for study in studies}
    with _locked(root):
        result = _joined(root, scale, made, failures)
        write_json(root / "environment.json", describe_environment())
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
    records = _stored(root)
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


@contextmanager
def _locked(root: Path) -> Any:
    """The folder's lock, waited for: another process holds it only while it writes the page."""
    while True:
        try:
            lock = FolderLock(root).acquire()
            break
        except LockedError:
            time.sleep(0.1)
    try:
        yield
    finally:
        lock.release()


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
    for verdict in verdicts:
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
