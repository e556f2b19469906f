"""Several processes on one machine that share a folder's cells and the machine's cores."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..engine import Watch
from ..errors import PreemptedError
from .catalogue import cells_of, get_studies
from .cells import Cell
from .scales import get_scale
from .store import Store

__all__ = ["run_workers"]

_POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 120.0


def run_workers(
    names: Sequence[str],
    *,
    scale: str,
    root: Path,
    seeds: Sequence[int],
    jobs: int,
    device: str,
    accept_other_code: bool,
    time_limit: float | None,
    watch: Watch,
) -> None:
    """Compute the missing cells in ``jobs`` processes; each writes what it says to ``jobs/worker-N.log`` of the folder.

    A cell that fails in a worker is left for the caller, who tries it again and reports it.

    Raises:
        PreemptedError: a worker was told to stop, or its time was up; the others are stopped too.
    """
    store = Store(root, accept_other_code=accept_other_code)
    cells = cells_of(get_studies(names), get_scale(scale), seeds)
    missing = [cell for cell in cells if store.read(cell) is None]
    if not missing:
        return
    job = {
        "names": list(names),
        "scale": scale,
        "root": str(root),
        "seeds": list(seeds),
        "device": device,
        "accept_other_code": accept_other_code,
        "time_limit": time_limit,
    }
    logs = root / "jobs"
    logs.mkdir(exist_ok=True)
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # Threads that spin while they wait would take the cores from the other workers.
    # glibc would give large blocks back to the system at every step and take them again, with a page fault for every page.
    kept = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 33)}
    environment = {**kept, **os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    watch.say(f"{len(missing)} cells in {jobs} processes, threads each: {threads}; what they say is in {logs}")
    workers: list[subprocess.Popen] = []
    before = _on_sigterm(_told)
    try:
        for number in range(jobs):
            with (logs / f"worker-{number}.log").open("w", encoding="utf-8") as log:
                command = [sys.executable, "-m", __name__, json.dumps(job)]
                workers.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        _follow(workers, missing, store, watch)
    finally:
        _stop(workers)
        _on_sigterm(before)
    if any(worker.returncode == PreemptedError.exit_code for worker in workers):
        _told()


def _told(*_: Any) -> None:
    raise PreemptedError("told to stop; what was finished is kept", where="paper", remedy="run the same command again")


def _on_sigterm(handler: Any) -> Any:
    """Set the handler, where this is the thread that may, and return the one before."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, handler if handler is not None else signal.SIG_DFL)


def _follow(workers: list[subprocess.Popen], missing: list[Cell], store: Store, watch: Watch) -> None:
    """Wait for the workers, saying what they finish; one that was told to stop ends the waiting."""
    waited = dict.fromkeys(missing)
    with watch.stage("cells", len(missing)) as advance:
        while any(worker.poll() is None for worker in workers):
            for cell in list(waited):
                record = store.read(cell)
                if record is not None:
                    del waited[cell]
                    watch.say(f"{cell.title()}: {record['seconds']:.0f} s")
                    advance(1)
            if any(worker.poll() == PreemptedError.exit_code for worker in workers):
                return
            time.sleep(_POLL_SECONDS)


def _stop(workers: list[subprocess.Popen]) -> None:
    """End what still runs, with time to save its state."""
    for worker in workers:
        if worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
    for worker in workers:
        try:
            worker.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


class _Lines(Watch):
    """Says everything on standard output."""

    def say(self, text: str) -> None:
        print(text, flush=True)


def _work(text: str) -> int:
    from .runner import run_cells

    job = json.loads(text)
    store = Store(Path(job["root"]), accept_other_code=job["accept_other_code"])
    cells = cells_of(get_studies(job["names"]), get_scale(job["scale"]), job["seeds"])
    try:
        run_cells(cells, store, device=job["device"], time_limit=job["time_limit"], watch=_Lines())
    except PreemptedError as error:
        print(error.line(), flush=True)
        return PreemptedError.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(_work(sys.argv[1]))
