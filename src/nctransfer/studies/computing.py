"""Computing cells: every one once, finished ones taken from the folder, failures kept from stopping the rest."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from ..engine import Watch
from ..errors import LockedError, NCTransferError, PreemptedError, UsageError
from ..runs import FolderLock, RunFolder, describe_environment
from .cells import Cell
from .deadline import Deadline
from .store import Store
from .work import compute

__all__ = ["run_cells"]

_POLL_SECONDS = 2.0
_CIRCUMSTANCES = ("date", "commit", "processor", "cores", "devices", "versions")


def run_cells(
    cells: Sequence[Cell],
    store: Store,
    *,
    device: str,
    deadline: Deadline,
    watch: Watch,
    partial: tuple[str, ...] = (),
) -> list[dict[str, str]]:
    """Compute what is missing; what another process is computing is waited for.

    Args:
        cells: In an order in which they can be computed.
        store: Where they are kept.
        device: ``auto``, ``cpu``, ``cuda``.
        deadline: Entered by the caller; asked after each cell.
        watch: Receives progress.
        partial: Names of data sets of which some Parquet files may be missing.

    Returns:
        For each cell that failed its ``cell``, ``error`` and ``trace``; cells that need it are left out.
    """
    pending = [cell for cell in cells if store.read(cell) is None]
    watch.say(f"{len(cells)} cells, {len(cells) - len(pending)} done before")
    failures: dict[str, dict[str, str]] = {}
    with watch.stage("cells", len(pending)) as advance:
        while pending:
            waiting = []
            for cell in pending:
                if any(needed.key in failures for needed in cell.needs):
                    failures[cell.key] = {
                        "cell": cell.title(),
                        "error": f"the {_failed(cell, failures)} that it needs failed",
                        "trace": "",
                    }
                elif any(store.read(needed) is None for needed in cell.needs) or not _take(
                    cell, store, device, deadline, watch, failures, partial
                ):
                    waiting.append(cell)
                    continue
                advance(1)
                deadline.raise_if_noted()
            if len(waiting) == len(pending):
                time.sleep(_POLL_SECONDS)
                deadline.raise_if_noted()
            pending = waiting
    return list(failures.values())


def _failed(cell: Cell, failures: dict[str, dict[str, str]]) -> str:
    return next(needed.kind for needed in cell.needs if needed.key in failures)


def _take(
    cell: Cell,
    store: Store,
    device: str,
    deadline: Deadline,
    watch: Watch,
    failures: dict[str, dict[str, str]],
    partial: tuple[str, ...],
) -> bool:
    """Compute a cell, or find it done; False where another process has it in hand."""
    folder = store.folder(cell)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FolderLock(folder):
            if store.read(cell) is None:
                _compute(cell, store, device, deadline, watch, partial)
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


def _compute(cell: Cell, store: Store, device: str, deadline: Deadline, watch: Watch, partial: tuple[str, ...]) -> None:
    folder = store.folder(cell)
    stale = folder / "cell.json"
    if stale.is_file():
        # It follows another version of the recipe: its training run must not be resumed either.
        stale.unlink()
        shutil.rmtree(folder / "run", ignore_errors=True)
    networks = [needed for needed in cell.needs if needed.kind == "encoder"]
    encoders = {needed.key: _weights(store.folder(needed) / "run", needed) for needed in networks}
    records = {needed.key: store.read(needed) for needed in cell.needs if needed.kind != "encoder"}
    values = {key: record["value"] for key, record in records.items() if record is not None}
    began = time.perf_counter()
    value = compute(cell, folder, encoders, values, device, watch, deadline, partial)
    seconds = max(time.perf_counter() - began, trained_seconds(folder / "run"))
    environment = describe_environment()
    kept = {name: environment[name] for name in _CIRCUMSTANCES}
    store.write(cell, {"value": value, "seconds": seconds, "environment": kept})
    watch.say(f"{cell.title()}: {seconds:.0f} s")


def trained_seconds(run: Path) -> float:
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
