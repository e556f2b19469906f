"""Running studies, and making their page from what stands in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..engine import Watch
from ..errors import UsageError
from ..report import write_text
from .catalogue import STUDIES, cells_of, get_studies
from .computing import run_cells
from .deadline import Deadline
from .folder import claim_folder, scale_of, stored
from .page import write_page
from .parallel import launcher_for, run_parallel
from .scales import Scale, get_scale
from .store import Store
from .study import Study

__all__ = ["report_studies", "run_studies"]

_SHOWN = 0.5


def run_studies(
    names: Sequence[str],
    *,
    scale: str,
    out: str | Path,
    seeds: Sequence[int] | None = (0,),
    device: str = "auto",
    jobs: int = 1,
    accept_other_code: bool = False,
    time_limit: float | None = None,
    cluster: str | None = None,
    partition: str | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Run studies and write their page.

    Args:
        names: Studies by name, or ``all``.
        scale: ``smoke``, ``mini`` or ``paper``.
        out: The folder; cells that stand there are used, so adding a seed or a study computes only what is new. Two
            processes may work in it at once.
        seeds: One run of every cell each; as many as the scale plans for each study where None.
        device: ``auto``, ``cpu``, ``cuda``.
        jobs: Processes of this machine that share the work and the cores.
        accept_other_code: Use cells that follow another version of their recipe; the page says which.
        time_limit: Minutes after which the cell in hand is stopped where it can be resumed, and no other is begun.
        cluster: ``slurm`` submits one job for each network, or ``jobs`` in all; ``local`` is ``jobs`` of this machine.
        partition: Of Slurm.
        watch: Receives progress.

    Returns:
        The content of ``result.json``: ``studies`` with claims, verdicts and series, ``failures``, ``cost``.

    Raises:
        UsageError: an unknown study, scale or cluster, a folder that holds another scale, or a time limit that is not above 0.
        SetupError: submitit is needed and not installed.
        DataError: a cell is damaged.
        PreemptedError: the time limit or SIGTERM stopped it; the same command goes on.
    """
    chosen, level, root = get_studies(names), get_scale(scale), Path(out)
    deadline = Deadline(time_limit)
    launcher = launcher_for(cluster, root, jobs, partition) if jobs > 1 or cluster else None
    claim_folder(root, level)
    watch = watch or Watch()
    store = Store(root, accept_other_code=accept_other_code)
    cells = cells_of(chosen, level, seeds)
    with deadline:
        if launcher is not None:
            run_parallel(
                [study.name for study in chosen],
                scale=scale,
                root=root,
                seeds=seeds,
                jobs=jobs if jobs > 1 or cluster == "local" else None,
                device=device,
                accept_other_code=accept_other_code,
                launcher=launcher,
                watch=watch,
                stop=deadline,
            )
        failures = run_cells(cells, store, device=device, deadline=deadline, watch=watch, partial=level.partial)
    records = stored(root)
    shown = {
        study.name: sorted(
            {*(range(study.seeds_at(level)) if seeds is None else seeds), *_seeds_there(study, level, records)}
        )
        for study in chosen
    }
    return write_page(root, level, chosen, shown, store, failures)


def report_studies(
    out: str | Path, *, accept_other_code: bool = True, text: str | Path | None = None, partial: bool = False
) -> dict[str, Any]:
    """Make the page again from the cells of a folder.

    Every study is shown of which more than half of the cells stand there, with the seeds of which that holds.

    Args:
        out: The folder.
        accept_other_code: Whether cells of another version of their recipe are shown; the page says of which studies.
        text: Also write the page as Markdown to this file, which finds its figures in the folder.
        partial: Show every study and seed of which any cell stands there.

    Raises:
        UsageError: the folder holds no studies, or no study of which more than half is finished.
        DataError: a cell is damaged.
    """
    root = Path(out)
    name = scale_of(root)
    if text is not None and Path(text).is_dir():
        raise UsageError("a folder stands where the text should be", where=str(text), remedy="name a file")
    level, store = get_scale(name), Store(root, accept_other_code=accept_other_code)
    records = stored(root)
    seeds = {
        name: found
        for name, study in STUDIES.items()
        if (found := _seeds_there(study, level, records, 0.0 if partial else _SHOWN))
    }
    if not seeds:
        raise UsageError(
            f"{len(records)} cells are finished, no study by more than half",
            where=str(root),
            remedy="go on with nctransfer paper run",
        )
    result = write_page(root, level, [STUDIES[name] for name in seeds], seeds, store, [])
    if text is not None:
        write_text(root, Path(text))
    return result


def _seeds_there(study: Study, scale: Scale, records: list[dict[str, Any]], least: float = _SHOWN) -> list[int]:
    """The seeds of which more than this fraction of the study's cells are among the records."""
    there = {record["key"] for record in records}
    found = []
    for seed in sorted({record["config"]["seed"] for record in records}):
        cells = {cell.key for cell in study.cells(scale, seed).values()}
        if len(cells & there) > least * len(cells):
            found.append(seed)
    return found
