"""Pre-training from end to end: data, network, training with collapse watched, an encoder and a page at the end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..data import DataBundle, ImageSplit, PixelLoader, Preprocess, check_same_data, progress_shown_by
from ..engine import (
    Checkpoints,
    Hooks,
    Journal,
    Listener,
    PixelBatches,
    Runtime,
    StopRequest,
    Watch,
    device_batches,
    is_out_of_memory,
    make_trackers,
    train,
)
from ..errors import ResourceError, UsageError
from ..losses import SupCon
from ..models import ProjectionHead
from ..report import write_report
from ..runs import PretrainRecord, RunFolder
from .adversarial import robust_accuracy
from .collapse import flatten, measure_collapse
from .model import PretrainModel, build_loss
from .opening import check_batches, open_data, open_network, whole_train
from .picture import drawn_classes, pictured_epochs
from .record import make_record, save_encoder
from .settings import PretrainSettings, make_settings
from .task import PretrainTask, plan_of

__all__ = ["PretrainResult", "PretrainRun", "pretrain"]

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
    watch: Watch | None = None,
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
        watch: Receives progress: each record of the metrics, and the end of the run.
        listeners: Further ones that are told each record.
        options: Fields of :class:`PretrainSettings`.

    Returns:
        The result; the encoder is ``out/checkpoints/final.safetensors``.

    Raises:
        UsageError: a setting is invalid, or the folder is not empty.
        DataError: the data cannot be used.
        PreemptedError: the run was told to stop by SIGTERM; it can be resumed.
        ResourceError: the loss turned NaN, memory ran out, or the disk is full; the last good checkpoint is kept.
    """
    began = time.perf_counter()
    settings = _settings(settings, options)
    runtime = Runtime(settings.device, settings.precision)
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        stack.enter_context(progress_shown_by((watch or Watch()).detail))
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
        watches = [watch] if watch is not None else []
        heard: list[Listener] = [*watches, *listeners, *trackers] if runtime.is_main else []
        for listener in heard:
            stack.callback(listener.close)
        return work.carry_out(heard, resume, began)


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
        self.warnings = check_batches(settings, runtime, len(self.train))
        torch.manual_seed(settings.seed)
        self.network = open_network(settings, network)
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

    def carry_out(self, listeners: Sequence[Listener], resume: bool, began: float) -> PretrainResult:
        if self.settings.epochs == 0:
            journal = self._open_journal(listeners, 0)
            if not journal.records:
                self._record({"epoch": 0, "step": 0, "seconds": 0.0}, journal)
        else:
            journal = self._train(listeners, resume)
        if self.runtime.is_main:
            save_encoder(self.run.checkpoints / "final.safetensors", self.network, self.bundle, self.settings)
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
                    picture=drawn_classes(self.num_classes) if epoch in self._pictured else (),
                    names=self.bundle.class_names,
                )
            )
        if last and self.settings.adversarial is not None:
            found["robust_accuracy"] = self._robust_accuracy()
        return found

    @cached_property
    def _pictured(self) -> tuple[int, ...]:
        return pictured_epochs(self.settings.epochs, self.settings.measure_every)

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

    def _result(self, journal: Journal, seconds: float) -> PretrainRecord:
        return make_record(
            self.bundle,
            self.network,
            self.settings,
            self.loss,
            journal.records,
            num_train=len(self.train),
            steps=len(self.batches) * self.settings.epochs,
            cost=self.run.cost(seconds, training_seconds=journal.records[-1]["seconds"]),
            warnings=self.warnings,
        )
