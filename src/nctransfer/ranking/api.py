"""`rank` from Python, and `auto` that ranks first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data import DataBundle, bundle_from_object
from ..engine import Watch
from ..errors import UsageError
from ..transfer import RunResult, TransferSettings, run_transfer
from .result import RankResult
from .run import run_rank
from .settings import SHARED, RankSettings, rank_settings

__all__ = ["auto_ranked", "rank"]

Data = str | Path | DataBundle | tuple[Any, ...]


def rank(
    data: Data,
    models: str | Sequence[str],
    *,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
    **settings: Any,
) -> RankResult:
    """Which of these pretrained networks to start from, for these images.

    Args:
        data: As for :func:`nctransfer.auto`.
        models: Names, patterns, run folders or weights files; a string with commas, or a sequence.
        out: The run folder; None writes nothing.
        resume: Continue the run in ``out``.
        overwrite: Replace a run that stands there.
        watch: Receives progress; silent by default.
        settings: Fields of ``RankSettings``: ``limit``, ``image_size``, ``budget`` (``"10m"``), ``known``, ``top`` and others.

    Returns:
        The candidates in order, each with every column.

    Raises:
        UsageError, DataError, ResourceError: with what, where and the remedy. A candidate that fails is dropped with the
            reason and ends nothing.
    """
    bundle = data if isinstance(data, DataBundle) else None
    if not isinstance(data, str | Path | DataBundle):
        drawn = {key: settings[key] for key in RankSettings.OPENING if settings.get(key) is not None}
        checked = rank_settings({"data": "objects"}, drawn, where="nctransfer.rank")
        bundle = bundle_from_object(data, **{key: getattr(checked, key) for key in drawn})
    named = {"data": bundle.name if bundle is not None else str(data)}
    named["models"] = models if isinstance(models, str) else tuple(map(str, models))  # type: ignore[assignment]
    if settings.get("top") and out is None:
        raise UsageError("validating tunes networks and needs a folder", where="out", remedy="pass out=...")
    return run_rank(
        rank_settings(settings, named, where="nctransfer.rank"),
        out,
        bundle=bundle,
        resume=resume,
        overwrite=overwrite,
        watch=watch,
    )


def auto_ranked(
    models: Sequence[str],
    settings: TransferSettings,
    out: Path,
    *,
    budget: float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
) -> tuple[RankResult, RunResult]:
    """Rank the candidates, then run ``auto`` with the best.

    The ranking lies in ``OUT/ranking``, the run in ``OUT/tuned``.

    Args:
        models: Candidates, as for :func:`rank`.
        settings: Of the run; its ``model`` is replaced by the winner.
        out: Folder for both.
        budget: Seconds for the ranking.
        resume, overwrite: What to do about what stands there.
        watch: Receives progress.
    """
    from ..runs import RankRecord, load_run
    from .candidates import find_candidates

    given = {name: getattr(settings, name) for name in SHARED if name not in ("limit", "methods", "epochs")}
    arch, weights = settings.arch, "random" if settings.weights == "random" else None
    asked: RankSettings = rank_settings(
        {**given, "models": tuple(models), "budget": budget, "arch": arch, "weights": weights, "deep": 0},
        {"limit": settings.limit} if settings.limit else {},
        where="auto",
    )
    finished = out / "ranking" / "result.json"
    if resume and finished.is_file():
        record = load_run(finished.parent)
        assert isinstance(record, RankRecord)
        ranked = RankResult(record, finished.parent)
    else:
        ranked = run_rank(asked, out / "ranking", overwrite=overwrite or resume, watch=watch)
    winner = next(
        candidate
        for candidate in find_candidates(models, arch=arch, weights=weights)[0]
        if candidate.name == ranked.best
    )
    chosen = settings.model_copy(update={"model": winner.source, "arch": winner.arch, "weights": winner.weights})
    run = run_transfer("auto", chosen, out / "tuned", resume=resume, overwrite=overwrite, watch=watch)
    return ranked, run
