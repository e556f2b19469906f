"""A ranking from its settings to its folder: candidates, rounds, columns, order, validation, record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data import DataBundle, progress_shown_by, warnings_of_report
from ..engine import Runtime, Watch
from ..errors import CheckpointError, DataError, NCTransferError, ResourceError, SetupError, UsageError
from ..runs import (
    SCHEMA_VERSION,
    Cost,
    DataReport,
    Dataset,
    DroppedRow,
    Hardware,
    ModelFacts,
    RankColumn,
    RankRecord,
    RankRow,
    RankValue,
    RunFolder,
    SplitSizes,
    describe_environment,
)
from ..transfer import about_sides, open_data
from .candidates import find_candidates
from .columns import COLUMNS
from .look import Looked, Looker
from .measure import deep_value
from .order import RULE, Place, order_candidates
from .result import RankResult
from .rounds import run_rounds
from .settings import RankSettings
from .tables import read_known
from .validate import validate_order

__all__ = ["run_rank"]


def run_rank(
    settings: RankSettings,
    out: str | Path | None,
    *,
    bundle: DataBundle | None = None,
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
) -> RankResult:
    """Rank the candidates and write record and page into ``out``; None writes nothing.

    Args:
        settings: What to rank and on what.
        out: The run folder.
        bundle: Data as an object, in place of that which the settings name.
        resume: Continue the run in ``out``: features that are on disk are not computed again, tuning goes on where it was.
        overwrite: Replace a run that stands in ``out``.
        watch: Receives progress.

    Raises:
        UsageError: no candidate is named, or a pattern matches nothing.
        DataError: the data cannot be ranked on, or no candidate could be ranked; each reason is given.
    """
    started = time.perf_counter()
    watch = watch or Watch()
    candidates, notes = find_candidates(settings.models, arch=settings.arch, weights=settings.weights)
    known = read_known(settings.known) if settings.known else {}
    runtime = Runtime(settings.device, settings.precision)
    bundle = bundle or open_data(settings.as_transfer(), watch)
    if out is None:
        with progress_shown_by(watch.detail):
            return RankResult(_rank(settings, bundle, runtime, watch, candidates, known, notes, started, None), None)
    config = {"verb": "rank", **settings.model_dump()}
    with (
        RunFolder.create(out, config=config, resume=resume, overwrite=overwrite) as folder,
        progress_shown_by(watch.detail),
    ):
        record = _rank(settings, bundle, runtime, watch, candidates, known, notes, started, folder)
        folder.write_result(record)
        from ..report import write_report

        write_report(folder.path)
        return RankResult(record, folder.path)


def _rank(
    settings: RankSettings,
    bundle: DataBundle,
    runtime: Runtime,
    watch: Watch,
    candidates: list[Any],
    known: dict[str, float],
    notes: list[str],
    started: float,
    run: RunFolder | None,
) -> RankRecord:
    looker = Looker(settings, bundle, runtime, watch)
    looked, dropped, rounds = run_rounds(looker, candidates, settings, watch, mark=run.mark if run else lambda: None)
    if not looked:
        raise _nothing(dropped)
    places = order_candidates(
        {name: found.correct for name, found in looked.items()},
        known={name: _known(known, found) for name, found in looked.items()},
        parameters={name: int(found.facts["total_parameters"]) for name, found in looked.items()},
    )
    looker.compare(looked)
    _probe_in_depth(looker, [looked[place.name] for place in places[: settings.deep]], watch)
    notes += [f"{name}: {note}" for name, found in looked.items() for note in found.notes]
    notes += _twins(looked) + [f"{row.name} was dropped: {row.reason}" for row in dropped]
    rows = [_row(place, looked[place.name], _known(known, looked[place.name])) for place in places]
    validation = None
    if settings.top and run is not None:
        validation = validate_order(rows, candidates, settings, bundle, run.path, watch)
    seconds, features = time.perf_counter() - started, _temperature(rows)
    environment = describe_environment()
    return RankRecord(
        schema_version=SCHEMA_VERSION,
        kind="rank",
        dataset=Dataset(
            name=bundle.name,
            num_classes=len(bundle.class_names),
            class_names=bundle.class_names,
            report=DataReport.model_validate(bundle.report),
        ),
        splits=SplitSizes(train=len(bundle.train), validation=len(bundle.validation), test=len(bundle.test)),
        rule=RULE,
        columns={
            name: RankColumn(title=column.title, words=column.words, larger=column.larger, accuracy=column.accuracy)
            for name, column in COLUMNS.items()
            if any(row.columns.get(name, RankValue(value=None)).value is not None for row in rows)
        },
        rows=tuple(rows),
        dropped=tuple(dropped),
        rounds=tuple(rounds),
        validation=validation,
        seed=settings.seed,
        versions=environment["versions"],
        hardware=Hardware(
            processor=environment["processor"],
            cores=environment["cores"],
            devices=environment["devices"],
            **runtime.describe(),
        ),
        warnings=(*notes, *about_sides(bundle, settings.fit), *warnings_of_report(bundle.report)),
        cost=run.cost(seconds, features=features) if run else Cost(seconds=seconds, features=features),
    )


def _probe_in_depth(looker: Looker, best: Sequence[Looked], watch: Watch) -> None:
    """Give the best candidates the column ``deep``."""
    for found in best:
        with watch.stage(f"deep probe of {found.name}"):
            features, labels = looker.layers_of(found)
            found.columns["deep"] = deep_value(
                features,
                labels,
                num_classes=len(looker.bundle.class_names),
                seed=looker.settings.seed,
                groups=looker.groups_of(looker.rows(len(labels))),
            )


def _nothing(dropped: Sequence[DroppedRow]) -> NCTransferError:
    """The error of a ranking without candidates: of their own kind, where all failed alike."""
    kinds = {row.kind for row in dropped}
    own = {kind.__name__: kind for kind in (CheckpointError, DataError, ResourceError, SetupError, UsageError)}
    kind = own.get(kinds.pop(), DataError) if len(kinds) == 1 else DataError
    reasons = "; ".join(f"{row.name}: {row.reason}" for row in dropped[:5])
    return kind(f"no candidate could be ranked: {reasons}", where="--models", remedy="see the reasons")


def _known(known: dict[str, float], found: Looked) -> float | None:
    """By the candidate's name, its architecture, or its name without a tag."""
    names = (found.name, str(found.facts.get("name")), found.name.split(".")[0])
    return next((known[name] for name in names if name in known), None)


def _row(place: Place, found: Looked, known: float | None) -> RankRow:
    statics = {"parameters": RankValue(value=found.facts["total_parameters"])}
    if known is not None:
        statics["known"] = RankValue(value=known)
    columns = {name: (found.columns | statics)[name] for name in COLUMNS if name in found.columns | statics}
    return RankRow(
        name=place.name,
        position=place.position,
        first=place.first,
        last=place.last,
        model=ModelFacts.model_validate(found.facts),
        images=len(found.correct),
        columns=columns,
        seconds=found.seconds,
        seconds_per_image=found.seconds_per_image,
        features=found.temperature,
        notes=tuple(found.notes),
    )


def _twins(looked: dict[str, Looked]) -> list[str]:
    """Networks that take the same weights and compute something else: one of them is wrong."""
    by_weights: dict[str, list[str]] = {}
    for name, found in looked.items():
        by_weights.setdefault(found.weights_hash, []).append(name)
    return [
        f"{' and '.join(names)} have the same weights but pad, normalise or are built otherwise: at most one is right"
        for names in by_weights.values()
        if len(names) > 1 and not _same(names, looked)
    ]


def _same(names: list[str], looked: dict[str, Looked]) -> bool:
    first = looked[names[0]].penultimate
    return all(
        looked[name].penultimate.shape == first.shape and np.allclose(looked[name].penultimate, first)
        for name in names[1:]
    )


def _temperature(rows: Sequence[RankRow]) -> str:
    kinds = {row.features for row in rows}
    return str(kinds.pop()) if len(kinds) == 1 else "partly warm"
