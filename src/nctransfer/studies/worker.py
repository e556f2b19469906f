"""A worker: its share of the cells first, then whatever another has left."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..engine import Watch
from ..errors import PreemptedError
from .catalogue import cells_of, get_studies
from .cells import Cell, in_order
from .computing import run_cells
from .deadline import Deadline
from .scales import get_scale
from .store import Store

__all__ = ["Job", "groups", "work"]


@dataclass(frozen=True)
class Job:
    """The task of a worker.

    Attributes:
        names: Studies by name.
        scale: The scale.
        root: The folder.
        seeds: The seeds; those that the scale plans where None.
        device: ``auto``, ``cpu``, ``cuda``.
        accept_other_code: Whether cells of another version of their recipe are used.
        place: Which of the workers this is.
        of: How many there are.
        alone: Whether the worker ends with its own share.
        time_limit: Minutes after which it stops by itself.
    """

    names: tuple[str, ...]
    scale: str
    root: str
    seeds: tuple[int, ...] | None
    device: str
    accept_other_code: bool = False
    place: int = 0
    of: int = 1
    alone: bool = False
    time_limit: float | None = None

    def text(self) -> str:
        """The job as a line of JSON."""
        return json.dumps(asdict(self))


def work(text: str) -> int:
    """Do a job.

    Args:
        text: The job as :meth:`Job.text` gives it.

    Returns:
        The exit code: 0, or 75 where it was told to stop.
    """
    job = Job(**json.loads(text))
    store = Store(Path(job.root), accept_other_code=job.accept_other_code)
    level = get_scale(job.scale)
    cells = cells_of(get_studies(job.names), level, job.seeds)
    shares = groups(cells)
    own = in_order(cell for share in shares[job.place :: job.of] for cell in share)
    rest = [] if job.alone else [cell for cell in cells if cell not in set(own)]
    try:
        with Deadline(job.time_limit) as deadline:
            run_cells([*own, *rest], store, device=job.device, deadline=deadline, watch=_Lines(), partial=level.partial)
    except PreemptedError as error:
        print(error.line(), flush=True)
        return PreemptedError.exit_code
    return 0


def groups(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells by the network that they stand on and the seed: those of a group use the same weights and images.

    Example:
        >>> from nctransfer.studies.cells import encoder, transfer
        >>> first, second = (encoder({"name": "digits"}, seed, arch="mlp") for seed in (0, 1))
        >>> [len(group) for group in groups([first, second, transfer(first, {"name": "digits"}, 0)])]
        [2, 1]
    """
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        network = cell.key if cell.kind == "encoder" else str(cell.config["network"])
        found.setdefault(f"{network} {cell.config['seed']}", []).append(cell)
    return list(found.values())


class _Lines(Watch):
    """Says everything on standard output."""

    def say(self, text: str) -> None:
        print(text, flush=True)


if __name__ == "__main__":
    raise SystemExit(work(sys.argv[1]))
