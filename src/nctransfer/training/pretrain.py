"""Pre-training from end to end: data, network, training with collapse watched, an encoder and a page at the end."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..data import DataBundle, ImageSplit, PixelLoader, Preprocess, check_same_data, open_dataset, warnings_of_report
from ..engine import (
    Checkpoints,
    Hooks,
    Journal,
    Listener,
    PixelBatches,
    Runtime,
    StopRequest,
    device_batches,
    is_out_of_memory,
    make_trackers,
    train,
)
from ..errors import ResourceError, UsageError
from ..losses import SupCon
from ..metrics import layer_numbers
from ..models import Network, ProjectionHead, wrap_module
from ..report import write_report
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
    RunFolder,
    SplitSizes,
    describe_environment,
    save_tensors,
)
from .adversarial import robust_accuracy
from .collapse import flatten, measure_collapse
from .model import PretrainModel, build_loss, build_network
from .settings import PretrainSettings, make_settings
from .task import PretrainTask, plan_of

__all__ = ["PretrainResult", "PretrainRun", "open_data", "pretrain", "whole_train"]

EVAL_BATCH = 500


@dataclass(frozen=True)
class PretrainResult:
    """Result of a pre-training run.

    Attributes:
        folder: The run folder; its path serves as ``model`` elsewhere.
        result: The content of ``result.json``.
    """

    folder: Path
    result: dict[str, Any]

    @property
    def final(self) -> dict[str, Any]:
        """The last epoch's measurements."""
        return self.result["final"]


def pretrain(
    data: str | Path | DataBundle,
    out: str | Path = "runs/pretrain",
    settings: PretrainSettings | None = None,
    *,
    network: nn.Module | None = None,
    resume: bool = False,
    overwrite: bool = False,
    download: bool = True,
    listeners: Sequence[Listener] = (),
    **options: Any,
) -> PretrainResult:
    """Train an encoder and watch its features collapse.

    Args:
        data: A data set by name, path or bundle. All of its training images are trained on (no validation split is
            drawn, since nothing is chosen); its test images are only measured.
        out: The run folder.
        settings: What to do; or leave it out and give single settings as keyword arguments.
        network: An encoder of one's own, mapping normalised images to (B, D), in place of ``settings.arch``.
        resume: Go on with the run that stands in ``out``.
        overwrite: Replace the run that stands in ``out``.
        download: Whether a named data set may be downloaded.
        listeners: Told each record of the metrics.
        options: Fields of :class:`PretrainSettings`.

    Returns:
        The result; the encoder is ``out/checkpoints/final.safetensors``.

    Raises:
        UsageError: a setting is invalid, or the folder is not empty.
        DataError: the data cannot be used.
        PreemptedError: the run was told to stop by SIGTERM; it can be resumed.
        ResourceError: the loss turned NaN, memory ran out, or the disk is full; the last good checkpoint is kept.
    """
    settings = _settings(settings, options)
    runtime = Runtime(settings.device, settings.precision)
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        config = _config(data, settings, network)
        run = RunFolder(out)
        if runtime.is_main:
            run = stack.enter_context(RunFolder.create(out, config=config, resume=resume, overwrite=overwrite))
        runtime.wait()
        if resume and (run.path / "result.json").is_file():
            return PretrainResult(run.path, run.result())
        bundle = open_data(data, settings, download, run.path / "skipped.csv" if runtime.is_main else None)
        check_same_data(run.path, bundle, write=runtime.is_main)
        work = PretrainRun(bundle, settings, runtime, run, stop, network)
        trackers = make_trackers(settings.trackers, run.path, config) if runtime.is_main else []
        heard = [*listeners, *trackers] if runtime.is_main else []
        for listener in heard:
            stack.callback(listener.close)
        return work.carry_out(heard, resume)


def _settings(settings: PretrainSettings | None, options: dict[str, Any]) -> PretrainSettings:
    if settings is None:
        return make_settings(**options)
    if options:
        raise UsageError(f"settings were given twice: as an object and as {', '.join(options)}", where="pretrain")
    return settings


def _config(data: str | Path | DataBundle, settings: PretrainSettings, network: nn.Module | None) -> dict[str, Any]:
    name = data.name if isinstance(data, DataBundle) else str(data)
    own = type(network).__name__ if network is not None else None
    return {"verb": "pretrain", "data": name, "network": own, **settings.lasting()}


def open_data(
    data: str | Path | DataBundle, settings: PretrainSettings, download: bool, skipped_csv: Path | None
) -> DataBundle:
    """The data of a run, opened as its settings say."""
    if isinstance(data, DataBundle):
        return data
    return open_dataset(
        data,
        seed=settings.seed,
        limit=settings.limit,
        on_bad_image=settings.on_bad_image,
        skipped_csv=skipped_csv,
        download=download,
        **settings.columns(),
    )


def whole_train(bundle: DataBundle) -> ImageSplit:
    """The training images with those that were drawn for validation put back; a validation split that came with the
    data stays out."""
    train, validation = bundle.train, bundle.validation
    if "validation" not in bundle.report["source"]["drawn"]:
        return train
    indices = np.concatenate([train.indices, validation.indices])
    labels = np.concatenate([train.labels, validation.labels])
    order = np.argsort(indices, kind="stable")
    return ImageSplit(train.source, indices[order], labels[order], train.class_names)


def _with_note(report: dict[str, Any]) -> dict[str, Any]:
    if "validation" not in report["source"]["drawn"]:
        return report
    note = "what was drawn for validation was trained on as well: nothing is chosen here"
    return {**report, "notes": [*report.get("notes", []), note]}


class PretrainRun:
    """One run: its parts, put together once."""

    def __init__(
        self,
        bundle: DataBundle,
        settings: PretrainSettings,
        runtime: Runtime,
        run: RunFolder,
        stop: StopRequest,
        network: nn.Module | None,
    ) -> None:
        self.bundle, self.settings, self.runtime, self.run = bundle, settings, runtime, run
        self.num_classes = len(bundle.class_names)
        self.train = whole_train(bundle)
        self.warnings = _doubts(settings, runtime, len(self.train))
        torch.manual_seed(settings.seed)
        self.network = build_network(settings) if network is None else _wrapped(network, settings)
        head = ProjectionHead(
            settings.head, self.network.feature_dim, layers=settings.head_layers, dim=settings.head_dim
        )
        scores = None if settings.loss == "supcon" else self.num_classes
        self.model = PretrainModel(self.network, head, scores).to(runtime.device)
        if settings.sync_batchnorm and runtime.world_size > 1:
            self.model = nn.SyncBatchNorm.convert_sync_batchnorm(self.model)
        self.loss = build_loss(settings, self.num_classes)
        self.preprocess = Preprocess(size=self.network.size)
        loader = self._loader(self.train, min(settings.batch_size, len(self.train)), shuffle=True, drop_last=True)
        self.batches = PixelBatches(
            loader,
            runtime.device,
            level=settings.augment,
            views=2 if settings.loss == "supcon" else 1,
            seed=settings.seed,
            settings=settings.augment_settings,
        )
        self.task = PretrainTask(self.model, self.loss, settings, runtime)
        self.checkpoints = Checkpoints(run.checkpoints, settings.keep_checkpoints)
        self.stop = stop
        self.clean = {
            "train": self._loader(self.train, EVAL_BATCH),
            "test": self._loader(bundle.test, EVAL_BATCH),
        }

    def _loader(self, split: ImageSplit, batch_size: int, **options: Any) -> PixelLoader:
        return PixelLoader(
            split,
            self.preprocess,
            batch_size=batch_size,
            seed=self.settings.seed,
            num_workers=self.settings.num_workers,
            memory_limit=self.settings.memory_limit,
            rank=self.runtime.rank,
            world_size=self.runtime.world_size,
            **options,
        )

    def carry_out(self, listeners: Sequence[Listener], resume: bool) -> PretrainResult:
        began = time.perf_counter()
        if self.settings.epochs == 0:
            journal = self._open_journal(listeners, 0)
            if not journal.records:
                self._record({"epoch": 0, "step": 0, "seconds": 0.0}, journal)
        else:
            journal = self._train(listeners, resume)
        if self.runtime.is_main:
            self._save_encoder()
            self.run.write_result(self._result(journal, time.perf_counter() - began))
            write_report(self.run.path)
        self.runtime.wait()
        return PretrainResult(self.run.path, self.run.result())

    def _train(self, listeners: Sequence[Listener], resume: bool) -> Journal:
        journals: list[Journal] = []

        def begin(step: int) -> int:
            journals.append(self._open_journal(listeners, step))
            return journals[0].epochs

        hooks = Hooks(
            checkpoints=self.checkpoints,
            resume=resume,
            stop=self.stop,
            begin=begin,
            epoch=lambda report: self._record(dict(vars(report)), journals[0]),
        )
        train(self.task, self.batches, plan_of(self.settings), self.runtime, hooks)
        return journals[0]

    def _open_journal(self, listeners: Sequence[Listener], step: int) -> Journal:
        """The journal without the records of steps that will be taken again."""
        return Journal(
            self.run,
            listeners,
            keep=lambda record: record.get("step", 0) <= step,
            write=self.runtime.is_main,
        )

    def _record(self, record: dict[str, Any], journal: Journal) -> None:
        """Complete an epoch's record by what is measured after it, and write it down. Epoch 0 is before training."""
        try:
            record |= self._measured(record["epoch"])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise ResourceError(
                f"out of memory while the network was measured after epoch {record['epoch']}",
                where=self.checkpoints.describe(),
                remedy="free some memory, or leave out --measure-layers",
            ) from error
        if isinstance(self.loss, SupCon):
            record["anchors_without_positive"] = self.loss.skipped
            self.loss.skipped = 0
        journal.write(record)

    def _measured(self, epoch: int) -> dict[str, Any]:
        last, found = epoch == self.settings.epochs, {}
        if epoch == 1 or last or epoch % self.settings.measure_every == 0:
            found = flatten(
                measure_collapse(
                    self.model,
                    self.clean,
                    self.runtime,
                    num_classes=self.num_classes,
                    layers=self.settings.measure_layers,
                    in_full=last,
                    seed=self.settings.seed,
                )
            )
        if last and self.settings.adversarial is not None:
            found["robust_accuracy"] = self._robust_accuracy()
        return found

    def _robust_accuracy(self) -> float:
        settings, test = self.settings, self.bundle.test
        assert settings.adversarial is not None
        rows = np.linspace(0, len(test) - 1, min(settings.robust_limit, len(test))).astype(int)
        loader = PixelLoader(test.subset(rows), self.preprocess, batch_size=250)
        return robust_accuracy(
            self.model,
            ((batch.images, batch.labels) for batch in device_batches(loader, self.runtime.device)),
            epsilon=settings.adversarial / 255,
            steps=settings.robust_steps,
            restarts=settings.robust_restarts,
            seed=settings.seed,
        )

    def _save_encoder(self) -> None:
        facts, settings = self.network.provenance, self.settings
        described = self.network.describe()
        save_tensors(
            self.run.checkpoints / "final.safetensors",
            self.network.encoder.state_dict(),
            {
                "kind": "encoder",
                "arch": facts.get("arch"),
                "arch_arguments": facts.get("arch_arguments"),
                "image_size": self.network.size,
                **described["preprocess"],
                "feature_dim": self.network.feature_dim,
                "class_names": list(self.bundle.class_names),
                "source": self.bundle.name,
                "loss": settings.loss,
                "epochs": settings.epochs,
                "seed": settings.seed,
                "license": None,
            },
        )

    def _result(self, journal: Journal, seconds: float) -> PretrainRecord:
        final = journal.records[-1]
        environment = describe_environment()
        return PretrainRecord(
            schema_version=SCHEMA_VERSION,
            kind="pretrain",
            dataset=Dataset(
                name=self.bundle.name,
                num_classes=self.num_classes,
                class_names=self.bundle.class_names,
                report=DataReport.of(_with_note(self.bundle.report)),
            ),
            model=ModelFacts.model_validate(self.network.describe()),
            loss=self.settings.loss,
            loss_arguments={name: value for name, value in vars(self.loss).items() if isinstance(value, float)},
            settings=self.settings.model_dump(mode="json"),
            splits=SplitSizes(train=len(self.train), test=len(self.bundle.test)),
            steps=len(self.batches) * self.settings.epochs,
            final=EpochRow.model_validate({name: value for name, value in final.items() if name != "layers"}),
            layers=tuple(LayerRow.model_validate(row) for row in final.get("layers") or []),
            metrics={number.name: MetricFacts.of(number, metric.collapsed) for metric, number in layer_numbers()},
            history=tuple(EpochRow.model_validate(record) for record in journal.records),
            seed=self.settings.seed,
            versions=environment["versions"],
            warnings=(*self.warnings, *warnings_of_report(self.bundle.report, deciding=False)),
            cost=Cost(seconds=seconds, training_seconds=final["seconds"]),
            hardware=Hardware(**{name: environment[name] for name in ("processor", "cores", "devices")}),
        )


def _wrapped(network: nn.Module, settings: PretrainSettings) -> Network:
    if isinstance(network, Network):
        return network
    return wrap_module(network, size=settings.image_size).optimise_layout()


def _doubts(settings: PretrainSettings, runtime: Runtime, num_images: int) -> list[str]:
    """Warnings about settings that are valid but rarely intended; errors about those that are not."""
    batch_size = min(settings.batch_size, num_images)
    if batch_size % runtime.world_size:
        raise UsageError(
            f"batches of {batch_size} cannot be shared evenly by {runtime.world_size} processes",
            where="--batch-size",
            remedy=f"use a multiple of {runtime.world_size}",
        )
    if batch_size // settings.accumulation < 2:
        raise UsageError(
            f"batches of {batch_size} in {settings.accumulation} parts leave single images, on which BatchNorm and "
            "SupCon are undefined",
            where="--accumulation",
            remedy=f"use at most {batch_size // 2}",
        )
    if settings.precision == "fp16" and runtime.device.type == "cpu":
        raise UsageError("fp16 needs a GPU", where="--precision fp16", remedy="use --precision bf16 or fp32")
    if settings.sync_batchnorm and runtime.device.type == "cpu":
        raise UsageError("BatchNorm is synchronised on GPUs only", where="--sync-batchnorm", remedy="leave it out")
    found = []
    if settings.loss == "supcon" and settings.augment == 1:
        found.append("SupCon at augmentation level 1 sees two identical views of every image")
    if settings.loss == "supcon" and settings.accumulation > 1:
        found.append("with accumulation, SupCon contrasts within each part of a batch, not within the whole")
    for sentence in found:
        warnings.warn(sentence, UserWarning, stacklevel=5)
    return found
