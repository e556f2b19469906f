"""Whether a ranking was right on the user's own data: tune the best few and a control, and compare with every column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..data import DataBundle
from ..engine import Watch
from ..errors import NCTransferError
from ..runs import ForetoldRow, RankRow, RankValidation, Result, ValidatedRow, load_run
from ..transfer import run_transfer
from .agreement import regret, weighted_tau
from .candidates import Candidate
from .columns import COLUMNS
from .settings import RankSettings

__all__ = ["validate_order"]


def validate_order(
    rows: Sequence[RankRow],
    candidates: Sequence[Candidate],
    settings: RankSettings,
    bundle: DataBundle,
    folder: Path,
    watch: Watch,
) -> RankValidation:
    """Tune the first ``settings.top`` and one of the others, drawn by the seed, and judge every column by test accuracy."""
    top = list(rows[: settings.top])
    others = list(rows[settings.top :])
    control = [others[int(np.random.default_rng(settings.seed).integers(len(others)))]] if others else []
    by_name = {candidate.name: candidate for candidate in candidates}
    found: list[ValidatedRow] = []
    for row in [*top, *control]:
        place = f"validate/{''.join(c if c.isalnum() or c in '._-' else '-' for c in row.name)}"
        watch.say(f"tuning {row.name}{' (control)' if row in control else ''}")
        try:
            result = _tuned(by_name[row.name], settings, bundle, folder / place, watch)
        except NCTransferError as error:
            watch.say(f"{row.name}: {error}")
            continue
        best = result.best
        if best is not None:
            found.append(
                ValidatedRow(
                    name=row.name,
                    control=row in control,
                    method=str(result.best_method),
                    test_accuracy=best.test_accuracy,
                    interval=best.test_accuracy_interval,
                    folder=place,
                )
            )
    return RankValidation(rows=tuple(found), foretold=_foretold(rows, found))


def _tuned(candidate: Candidate, settings: RankSettings, bundle: DataBundle, folder: Path, watch: Watch) -> Result:
    asked = settings.as_transfer(candidate.source, weights=candidate.weights, arch=candidate.arch)
    run_transfer("auto", asked, folder, bundle=bundle, resume=folder.exists(), watch=watch)
    record = load_run(folder)
    assert isinstance(record, Result)
    return record


def _foretold(rows: Sequence[RankRow], found: Sequence[ValidatedRow]) -> dict[str, ForetoldRow]:
    tuned = {row.name: row.test_accuracy for row in found if row.test_accuracy is not None}
    judged: dict[str, ForetoldRow] = {}
    for name, column in COLUMNS.items():
        pairs = [
            (value.value if column.larger else -value.value, tuned[row.name])
            for row in rows
            if row.name in tuned and (value := row.columns.get(name)) is not None and value.value is not None
        ]
        if len(pairs) == len(tuned) and len(pairs) >= 2:
            scores, accuracies = [score for score, _ in pairs], [accuracy for _, accuracy in pairs]
            judged[name] = ForetoldRow(tau=weighted_tau(scores, accuracies), regret=regret(scores, accuracies))
    return judged
