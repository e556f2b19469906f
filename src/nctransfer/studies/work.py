"""The computation of each kind of cell: configuration in, plain values out."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from ..data import AugmentSettings
from ..engine import StopRequest, Watch
from ..probes import choose_probe
from ..runs import Ledger
from ..scores import NEEDS_SOURCE, SCORES, score_all
from ..training import pretrain
from ..transfer import (
    Choice,
    Chooser,
    LayerFeatures,
    Workbench,
    find_method,
    measure_features,
    run_split,
    settings_from,
    train_method,
)
from .cells import Cell
from .sets import network_of, open_set
from .tuned import tune_by_protocol

__all__ = ["compute"]

_SCORES = [
    name for name in SCORES if name not in NEEDS_SOURCE and name not in ("nleep", "linear_probe")
]  # these two take minutes
_WITHOUT_MIRRORS = ("digits", "mnist")


def compute(
    cell: Cell,
    folder: Path,
    encoders: dict[str, Path],
    values: dict[str, Any],
    device: str,
    watch: Watch,
    stop: StopRequest,
    partial: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Do the work of a cell.

    Args:
        cell: What to do.
        folder: The cell's own folder, for what it leaves behind.
        encoders: Run folders of the encoders it needs, by key.
        values: Values of the other cells it needs, by key.
        device: ``auto``, ``cpu``, ``cuda``.
        watch: Receives progress.
        stop: Asked between steps and batches.
        partial: Names of data sets of which some Parquet files may be missing.

    Returns:
        The values, JSON-able.
    """
    config = cell.config
    if cell.kind == "encoder":
        return _encoder(config, folder, device, watch, partial)
    network = str(encoders.get(config["network"]) or network_of(config["network"]))
    bench = _bench(
        network,
        str(sorted(config["data"].items())),
        config["seed"],
        config["image_size"],
        device,
        config.get("epochs"),
        partial,
    )
    bench.attend(watch, stop)
    if cell.kind == "transfer":
        return _transfer(config, bench)
    if "protocol" in config:
        return tune_by_protocol(config, bench, values.get(str(config.get("rate_of"))))
    return _tuning(config, bench)


def _encoder(
    config: dict[str, Any], folder: Path, device: str, watch: Watch, partial: tuple[str, ...]
) -> dict[str, Any]:
    settings = dict(config["settings"])
    bundle = open_set(config["data"], config["seed"], partial)
    if bundle.name in _WITHOUT_MIRRORS:
        settings["augment_settings"] = AugmentSettings(flip=False)
    run = folder / "run"
    with watch.stage("pre-training", settings["epochs"]) as advance:
        result = pretrain(
            bundle,
            run,
            resume=run.exists(),
            seed=config["seed"],
            device=device,
            watch=_Ticks(advance),
            **settings,
        )
    history = [record for record in _records(result.folder) if "nc1" in record]
    return {
        "final": result.final,
        "history": [{name: record.get(name) for name in _CURVES} for record in history],
        "num_train": len(bundle.train) + len(bundle.validation),
        "num_classes": len(bundle.class_names),
    }


_CURVES = ("epoch", "train_accuracy", "test_accuracy", "nc1", "cdnv", "nc1_test", "head_nc1", "head_cdnv")


class _Ticks(Watch):
    """Moves the bar on by one for each record, since there is one an epoch."""

    def __init__(self, advance: Any) -> None:
        self._advance = advance

    def record(self, record: dict[str, Any]) -> None:
        self._advance(1)


def _records(folder: Path) -> list[dict[str, Any]]:
    from ..runs import RunFolder

    return RunFolder(folder).metrics()


@lru_cache(maxsize=1)
def _bench(
    network: str,
    data: str,
    seed: int,
    image_size: int | None,
    device: str,
    epochs: int | None,
    partial: tuple[str, ...],
) -> Workbench:
    """The bench of the last cell is kept: the next one often asks for the same features and starting probe."""
    import ast

    spec = dict(ast.literal_eval(data))
    settings = settings_from(
        {
            "data": spec["name"],
            "model": network,
            "seed": seed,
            "image_size": image_size,
            "epochs": epochs,
            "batch_size": 64,  # of every committed cell; what `tune` takes by itself follows the number of images
            "device": device,
            "download": not os.environ.get("NCTRANSFER_DATA"),
        }
    )
    return Workbench(settings, bundle=open_set(spec, seed, partial))


def _transfer(config: dict[str, Any], bench: Workbench) -> dict[str, Any]:
    names: list[str] | None = None if config["layers"] else []
    train = bench.train_features if config["layers"] else bench.take("train", layers=names)
    rows = [row.plain() for row in measure_features(train, bench.num_classes, seed=config["seed"])]
    value: dict[str, Any] = {"layers": rows, "num_train": len(train.labels)}
    if config["probe"]:
        validation = bench.take("validation", layers=names)
        test = bench.take("test", layers=names)
        with bench.watch.stage("linear probes", len(rows)) as advance:
            for row in rows:
                row["probe_accuracy"] = _probe(row["name"], train, validation, test, bench.num_classes)
                advance(1)
                bench.stop.raise_if_noted()
    if config["scores"]:
        with bench.stop.at_once():
            value["scores"] = score_all(train.penultimate, train.labels, only=_SCORES).to_dict()
    return value


def _probe(name: str, train: LayerFeatures, validation: LayerFeatures, test: LayerFeatures, num_classes: int) -> float:
    """Test accuracy of a linear probe whose penalty is chosen on the validation images."""
    chosen = choose_probe(train.features[name], train.labels, validation.features[name], validation.labels, num_classes)
    return chosen.probe.accuracy(test.features[name], test.labels)


def _choice(config: dict[str, Any], bench: Workbench) -> Choice:
    """Block and rate; the linear probe of a cell is trained by steps as the other methods are, at its own rate."""
    method = find_method(config["method"])
    if not method.changes_features:
        return Choice(None, method.base_rate, "", (method.base_rate,))
    return Chooser(bench, Ledger(None)).choose(config["method"], config["unit"])


def _tuning(config: dict[str, Any], bench: Workbench) -> dict[str, Any]:
    choice = _choice(config, bench)
    model, outcome = train_method(bench, config["method"], choice)
    logits, labels, _ = run_split(model, bench.inputs.loader("test"), bench.runtime)
    _, _, trained = run_split(model, bench.inputs.loader("train"), bench.runtime, layers=bench.measured_layers)
    after = measure_features(trained, bench.num_classes, permutations=0)
    tuned, total = model.count_parameters()
    return {
        "unit": model.unit,
        "test_accuracy": float((logits.argmax(1) == labels).float().mean()),
        "val_accuracy": outcome.val_accuracy,
        "learning_rate": choice.learning_rate,
        "best_epoch": outcome.best_epoch,
        "epochs": bench.epochs,
        "tuned_parameters": tuned,
        "total_parameters": total,
        "nc1": after[-1].nc1,
        "layers": [{"name": layer.name, "nc1": layer.nc1} for layer in after],
        "num_train": len(bench.bundle.train),
        "peak_memory_bytes": int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else None,
    }
