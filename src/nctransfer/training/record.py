"""The end of a pre-training run: the encoder as a file, and the typed record of the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from ..data import DataBundle, warnings_of_report
from ..metrics import layer_numbers
from ..models import Network
from ..runs import (
    SCHEMA_VERSION,
    Cost,
    DataReport,
    Dataset,
    EpochRow,
    Hardware,
    LayerRow,
    MetricFacts,
    ModelFacts,
    PretrainRecord,
    SplitSizes,
    describe_environment,
    save_tensors,
)
from .settings import PretrainSettings

__all__ = ["make_record", "save_encoder"]


def save_encoder(path: Path, network: Network, bundle: DataBundle, settings: PretrainSettings) -> None:
    """Write the encoder and the manifest that lets it be loaded by the name of its run."""
    facts, described = network.provenance, network.describe()
    save_tensors(
        path,
        network.encoder.state_dict(),
        {
            "kind": "encoder",
            "arch": facts.get("arch"),
            "arch_arguments": facts.get("arch_arguments"),
            "image_size": network.size,
            **described["preprocess"],
            "feature_dim": network.feature_dim,
            "class_names": list(bundle.class_names),
            "source": bundle.name,
            "loss": settings.loss,
            "epochs": settings.epochs,
            "seed": settings.seed,
            "license": None,
        },
    )


def make_record(
    bundle: DataBundle,
    network: Network,
    settings: PretrainSettings,
    loss: nn.Module,
    records: list[dict[str, Any]],
    *,
    num_train: int,
    steps: int,
    cost: Cost,
    warnings: list[str],
) -> PretrainRecord:
    """The result of a run.

    Args:
        bundle, network, settings, loss: What was trained on what, how.
        records: Of the epochs, the last one measured in full.
        num_train: Training images.
        steps: Of the whole plan.
        cost: Of the run.
        warnings: About the settings.
    """
    final = records[-1]
    environment = describe_environment()
    return PretrainRecord(
        schema_version=SCHEMA_VERSION,
        kind="pretrain",
        dataset=Dataset(
            name=bundle.name,
            num_classes=len(bundle.class_names),
            class_names=bundle.class_names,
            report=DataReport.of(_with_note(bundle.report)),
        ),
        model=ModelFacts.model_validate(network.describe()),
        loss=settings.loss,
        loss_arguments={name: value for name, value in vars(loss).items() if isinstance(value, float)},
        settings=settings.model_dump(mode="json"),
        splits=SplitSizes(train=num_train, test=len(bundle.test)),
        steps=steps,
        final=EpochRow.model_validate(
            {name: value for name, value in final.items() if name not in ("layers", "picture")}
        ),
        layers=tuple(LayerRow.model_validate(row) for row in final.get("layers") or []),
        metrics={number.name: MetricFacts.of(number, metric.collapsed) for metric, number in layer_numbers()},
        history=tuple(EpochRow.model_validate(record) for record in records),
        seed=settings.seed,
        versions=environment["versions"],
        warnings=(*warnings, *warnings_of_report(bundle.report, deciding=False)),
        cost=cost,
        hardware=Hardware(**{name: environment[name] for name in ("processor", "cores", "devices")}),
    )


def _with_note(report: dict[str, Any]) -> dict[str, Any]:
    if "validation" not in report["source"]["drawn"]:
        return report
    note = "what was drawn for validation was trained on as well: nothing is chosen here"
    return {**report, "notes": [*report.get("notes", []), note]}
