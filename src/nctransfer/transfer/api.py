"""`auto`, `probe` and `tune` from Python: the same settings as on the command line, or objects in their place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from ..data import DataBundle, bundle_from_object
from ..engine import Watch
from ..models import Network
from ..runs import Verb
from ..settings import DataSettings
from .result import RunResult
from .run import run_transfer
from .settings import settings_from

__all__ = ["auto", "probe", "tune"]

Data = str | Path | DataBundle | tuple[Any, ...]
Model = str | Path | nn.Module


def auto(
    data: Data,
    model: Model = "tf_efficientnet_lite0",
    *,
    layer: str | Sequence[str] | None = None,
    out: str | Path,
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
    **settings: Any,
) -> RunResult:
    """Measure a pretrained network on your images, choose block and method by collapse and validation, tune, and report.

    Args:
        data: Path or name of a data set, a :class:`~nctransfer.data.DataBundle`, torch data sets (train, validation,
            test) whose items are (image, label), the last two of which may be None, or a ``DatasetDict``.
        model: Name, run folder, or an ``nn.Module`` that maps normalised images to features ``(B, D)``.
        layer: The blocks that ``layer`` and ``scl`` tune, as for :func:`tune`; one is chosen on validation where None.
        out: The run folder.
        resume, overwrite: What to do about a run that stands there.
        watch: Receives progress; silent by default.
        settings: Fields of ``TransferSettings``: ``methods``, ``epochs``, ``image_size``, ``limit``, ``seed`` and others.

    Returns:
        The result, its folder and the tuned models.

    Raises:
        UsageError, DataError, CheckpointError, ResourceError, SetupError: with what, where and the remedy.
    """
    return _call("auto", data, model, out, resume, overwrite, watch, layer, settings)


def probe(
    data: Data,
    model: Model = "tf_efficientnet_lite0",
    *,
    out: str | Path,
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
    **settings: Any,
) -> RunResult:
    """Collapse metrics and a linear probe at every layer; nothing is tuned. Arguments as for :func:`auto`."""
    return _call("probe", data, model, out, resume, overwrite, watch, None, settings)


def tune(
    data: Data,
    model: Model = "tf_efficientnet_lite0",
    *,
    method: str,
    layer: str | Sequence[str] | None = None,
    out: str | Path,
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
    **settings: Any,
) -> RunResult:
    """Tune with one method.

    Args:
        method: The method: ``linear``, ``deep``, ``layer``, ``scl``, ``lora``, ``loha`` or ``full``.
        layer: The block that ``layer`` and ``scl`` tune, several of them, or ``NAME+`` for NAME and every block after it;
            one is chosen by trials on validation where None.
        data, model, out, resume, overwrite, watch, settings: As for :func:`auto`.
    """
    return _call("tune", data, model, out, resume, overwrite, watch, layer, {**settings, "methods": [method]})


def _call(
    kind: Verb,
    data: Data,
    model: Model,
    out: str | Path,
    resume: bool,
    overwrite: bool,
    watch: Watch | None,
    unit: str | Sequence[str] | None,
    settings: dict[str, Any],
) -> RunResult:
    bundle = _bundle(data, settings)
    module = model if isinstance(model, nn.Module) else None
    named = {
        "data": bundle.name if bundle is not None else data,
        "model": module.name if isinstance(module, Network) else type(module).__name__ if module is not None else model,
    }
    return run_transfer(
        kind,
        settings_from(named, settings, where=f"nctransfer.{kind}"),
        out,
        unit=unit if unit is None or isinstance(unit, str) else ",".join(unit),
        bundle=bundle,
        module=module,
        resume=resume,
        overwrite=overwrite,
        watch=watch,
    )


def _bundle(data: Data, settings: dict[str, Any]) -> DataBundle | None:
    if isinstance(data, str | Path):
        return None
    given = {key: settings[key] for key in DataSettings.OPENING if settings.get(key) is not None}
    checked = settings_from({"data": "objects"}, given, where="settings")
    return bundle_from_object(data, **{key: getattr(checked, key) for key in given})
