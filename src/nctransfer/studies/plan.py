"""The dry run of studies: their cells, the data and weights that these need, and about how long they take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..data import NAMES, find_named
from ..errors import NCTransferError
from ..models import offline_weights
from ..runs import Plan, duration
from .catalogue import cells_of, get_studies, minutes
from .cells import Cell
from .scale import Scale
from .scales import get_scale
from .sets import folder_of, network_of
from .store import Store
from .study import Study

__all__ = ["plan_studies"]


def plan_studies(
    names: Sequence[str],
    *,
    scale: str,
    out: str | Path,
    seeds: Sequence[int] | None = (0,),
    accept_other_code: bool = False,
) -> Plan:
    """The cells of studies that are not in the folder yet, and what they need. Nothing is written.

    Args:
        names, scale, out, seeds, accept_other_code: As for :func:`run_studies`.

    Raises:
        UsageError: a study or a scale is unknown.
        DataError: a cell is damaged.
    """
    chosen, level = get_studies(names), get_scale(scale)
    cells = cells_of(chosen, level, seeds)
    store = Store(Path(out), accept_other_code=accept_other_code)
    missing = [cell for cell in cells if store.read(cell) is None]
    kinds = Counter(cell.kind for cell in missing)
    counted = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    planned = "planned seeds" if seeds is None else f"{len(seeds)} seed" + ("s" if len(seeds) > 1 else "")
    lines = [
        f"studies: {', '.join(study.name for study in chosen)}; scale {level.name}, {planned}",
        f"cells: {len(cells)}, {len(cells) - len(missing)} finished in {out}"
        + (f"; to compute: {counted}" if counted else ""),
    ]
    lines += _by_study(chosen, level, seeds, {cell.key for cell in missing})
    lines += [
        f"data: {name}, {_data_state(name, level.partial)}"
        for name in sorted({cell.config["data"]["name"] for cell in cells})
    ]
    lines += [f"weights: {name}, {_weights_state(name)}" for name in _networks(cells)]
    return Plan(tuple(lines), 60 * minutes(missing, level), basis=f"estimated for {level.basis}")


def _by_study(chosen: Sequence[Study], scale: Scale, seeds: Sequence[int] | None, missing: set[str]) -> list[str]:
    """The addition of each study to those before it, a line each: its cells and its time."""
    lines, counted = [], set()
    for study in chosen:
        number = study.seeds_at(scale) if seeds is None else len(seeds)
        own = [cell for cell in cells_of([study], scale, seeds) if cell.key in missing and cell.key not in counted]
        counted |= {cell.key for cell in own}
        if own:
            took = duration(60 * minutes(own, scale))
            lines.append(f"{study.name}: {len(own)} cells, {number} seed{'s' if number > 1 else ''}, {took}")
    return lines


def _networks(cells: Sequence[Cell]) -> list[str]:
    """Networks that are taken by name and not pre-trained by another cell."""
    return sorted(
        {
            cell.config["network"]
            for cell in cells
            if cell.kind != "encoder" and all(needed.key != cell.config["network"] for needed in cell.needs)
        }
    )


def _data_state(name: str, partial: Sequence[str]) -> str:
    try:
        if name not in NAMES:
            folder_of(name)
            return "here"
        found = find_named(name, download=False)
    except NCTransferError as error:
        return "not here; downloaded when it is needed" if name in NAMES else f"missing: expected as {error.where}"
    lacking = [note for note in found.notes if "Parquet files are here" in note]
    if not lacking:
        return "here"
    said = lacking[0].removeprefix("warning: ").rstrip(".")
    return f"a part of it is here, which is enough at this scale ({said})" if name in partial else f"refused: {said}"


def _weights_state(name: str) -> str:
    if name.startswith("file:"):
        try:
            network_of(name)
        except NCTransferError as error:
            return f"missing: expected as {error.where}, with its manifest"
        return "here"
    return "here" if offline_weights(name) is not None else "downloaded when they are needed, unless cached"
