"""Metrics on their way to where people watch them: TensorBoard, Weights & Biases, MLflow."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from ..errors import SetupError, UsageError, near_names

__all__ = ["TRACKERS", "Listener", "check_trackers", "make_trackers"]


class Listener(Protocol):
    """Something that is told each record of ``metrics.jsonl`` as it is written."""

    def __call__(self, record: dict[str, Any]) -> None: ...

    def close(self) -> None:
        """The run has ended, well or not."""
        ...


def check_trackers(names: Sequence[str]) -> None:
    """Refuse names of trackers that do not exist.

    Raises:
        UsageError: a name is unknown.
    """
    for name in names:
        if name not in TRACKERS:
            raise UsageError(f"unknown tracker {name!r}", where="--tracker", remedy=near_names(name, tuple(TRACKERS)))


def make_trackers(names: Sequence[str], folder: Path, config: dict[str, Any]) -> list[Listener]:
    """The trackers of these names, each writing under ``folder`` where it writes locally.

    Raises:
        UsageError: a name is unknown.
        SetupError: its package is not installed.
    """
    check_trackers(names)
    return [TRACKERS[name](folder, config) for name in names]


class TensorBoardTracker:
    """Scalars for TensorBoard, under ``tensorboard/`` of the run folder."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        _need("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def __call__(self, record: dict[str, Any]) -> None:
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, global_step=record["epoch"])

    def close(self) -> None:
        self._writer.close()


class WandbTracker:
    """A run of the W&B project ``nctransfer``; its own environment variables say where and whether online."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self._run = _need("wandb").init(project="nctransfer", name=folder.name, dir=str(folder), config=config)

    def __call__(self, record: dict[str, Any]) -> None:
        # Its steps may only rise, and the epochs of each tuning method begin anew.
        self._run.log(scalars(record), step=None if "method" in record else record["epoch"])

    def close(self) -> None:
        self._run.finish()


class MLflowTracker:
    """A run of the MLflow experiment ``nctransfer``, in ``mlruns/`` of the run folder unless it is told otherwise."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        import os

        self._mlflow = _need("mlflow")
        if "MLFLOW_TRACKING_URI" not in os.environ:
            # MLflow 3 refuses plain folders unless it is told; a database would need a package more.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            self._mlflow.set_tracking_uri((folder / "mlruns").absolute().as_uri())
        self._mlflow.set_experiment("nctransfer")
        self._mlflow.start_run(run_name=folder.name)
        self._mlflow.log_params({key: str(value)[:500] for key, value in config.items()})

    def __call__(self, record: dict[str, Any]) -> None:
        self._mlflow.log_metrics(scalars(record), step=int(record["epoch"]))

    def close(self) -> None:
        self._mlflow.end_run()


TRACKERS: dict[str, Callable[[Path, dict[str, Any]], Listener]] = {
    "tensorboard": TensorBoardTracker,
    "wandb": WandbTracker,
    "mlflow": MLflowTracker,
}


def scalars(record: dict[str, Any]) -> dict[str, float]:
    """The numbers of a record, without the epoch and the step that they belong to; those of a method under its name.

    Example:
        >>> scalars({"epoch": 1, "step": 9, "nc1": 0.5, "layers": []})
        {'nc1': 0.5}
        >>> scalars({"method": "scl", "epoch": 1, "step": 9, "train_loss": 0.5})
        {'scl/train_loss': 0.5}
    """
    prefix = f"{record['method']}/" if "method" in record else ""
    return {
        prefix + name: float(value)
        for name, value in record.items()
        if isinstance(value, int | float) and name not in ("epoch", "step")
    }


def _need(package: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise SetupError(
            f"the package {package} is not installed", where="--tracker", remedy="pip install nctransfer[tracking]"
        ) from error
