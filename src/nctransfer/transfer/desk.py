"""The run folder of a transfer run as its processes see it, and finished methods written there and read again."""

from __future__ import annotations

import copy
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..data import DataBundle, check_same_data, write_skipped
from ..engine import Listener, make_trackers
from ..runs import Cost, LayerAfter, Ledger, MethodRow, PlanePicture, Result, RunFolder, load_tensors
from .choose import Choice
from .fitting import Keeping
from .handover import save_classifier
from .methods import find_method
from .mixing import Ends
from .settings import FREE_SETTINGS
from .tuned import TunedNetwork
from .tuning import Tuned
from .workbench import Workbench

__all__ = ["Desk", "keep_method", "reload_method", "stored_method"]


class Desk:
    """The run folder as the processes of a run see it: the main one writes, the others read."""

    def __init__(self, path: Path, config: dict[str, Any], resume: bool, overwrite: bool) -> None:
        self.path = path
        self.is_main = int(os.environ.get("RANK", "0")) == 0
        self._arguments = (config, resume, overwrite)
        self.run: RunFolder | None = None
        self._trackers: list[Listener] = []

    def __enter__(self) -> Desk:
        config, resume, overwrite = self._arguments
        if self.is_main:
            self.run = RunFolder.create(
                self.path, config=config, resume=resume, overwrite=overwrite, free=FREE_SETTINGS
            )
        self.ledger = Ledger(self.path / "steps.json" if self.is_main or resume else None, writes=self.is_main)
        return self

    def __exit__(self, *exception: object) -> None:
        for tracker in self._trackers:
            tracker.close()
        if self.run is not None:
            self.run.__exit__(*exception)

    def begin(self, bundle: DataBundle) -> None:
        """Data and network are open: refuse other data than the run was started on, and write what was skipped."""
        check_same_data(self.path, bundle, write=self.is_main)
        if self.run is not None and bundle.report.get("bad"):
            write_skipped(self.path / "skipped.csv", bundle.report["bad"])

    @cached_property
    def keeping(self) -> Keeping:
        """Where the method in progress is kept."""
        if self.is_main:
            config = self._arguments[0]
            self._trackers = make_trackers(tuple(config["trackers"]), self.path, config)
        return Keeping(RunFolder(self.path), self._trackers, write=self.is_main)

    @cached_property
    def ends(self) -> Ends:
        """Where the finished rates of the method in progress are kept."""
        return Ends(self.checkpoints, write=self.is_main)

    def done(self) -> None:
        """The method in progress is finished and stands in the ledger."""
        self.keeping.done()
        self.ends.done()

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def cost(self, seconds: float, features: str | None) -> Cost:
        """The cost of the run, ``seconds`` of it in this process."""
        return (
            Cost(seconds=seconds, features=features) if self.run is None else self.run.cost(seconds, features=features)
        )

    def finish(self, result: Result) -> None:
        if self.run is None:
            return
        from ..report import write_report

        self.run.write_result(result)
        write_report(self.path)


def keep_method(bench: Workbench, desk: Desk, key: str, path: Path, tuned: Tuned) -> None:
    """Write a finished method to the disk: its weights to ``path``, then its entry ``key`` of the ledger.

    The weights come first: a step that stands in the ledger has everything it needs on the disk.
    """
    if desk.is_main:
        save_classifier(
            path,
            tuned.model,
            bench.bundle,
            learning_rate=tuned.row.learning_rate,
            logits=None,
            fit=bench.settings.fit,
            balance=bench.balance.kind,
            **tuned.calibration,
        )
    desk.ledger.once(key, lambda: stored_method(tuned))


def stored_method(tuned: Tuned) -> dict[str, Any]:
    """A finished method as the ledger keeps it; its weights lie beside."""
    return {
        "row": tuned.row.plain(),
        "layers_after": [layer.plain() for layer in tuned.layers_after],
        "logits": tuned.logits,
        "labels": tuned.labels,
        "held": tuned.held,
        "held_losses": tuned.held_losses,
        "picture": tuned.picture.plain() if tuned.picture else None,
    }


def reload_method(bench: Workbench, desk: Desk, key: str, choice: Choice, path: Path) -> Tuned:
    """A method that was finished before, from the ledger's entry ``key`` and the weights at ``path``."""
    stored = desk.ledger.once(key, dict)
    tensors, manifest = load_tensors(path)
    model = TunedNetwork(
        copy.deepcopy(bench.network),
        find_method(str(manifest["method"])),
        choice.unit,
        bench.num_classes,
        manifest.get("classifier_layers"),
        adapter_rank=None,
    ).to(bench.runtime.device)
    model.load_state_dict(tensors)
    model.eval()
    bench.watch.say(f"{model.method.title}: finished before, taken from the disk")
    return Tuned(
        model,
        MethodRow.model_validate(stored["row"]),
        [LayerAfter.model_validate(layer) for layer in stored["layers_after"]],
        torch.tensor(stored["logits"]),
        torch.tensor(stored["labels"]),
        torch.tensor(stored["held"]),
        _losses(stored.get("held_losses")),
        PlanePicture.model_validate(drawn) if (drawn := stored.get("picture")) else None,
    )


def _losses(stored: list[float | None] | None) -> torch.Tensor | None:
    """Losses as the ledger keeps them, where None stands for NaN."""
    if stored is None:
        return None
    return torch.tensor([float("nan") if loss is None else loss for loss in stored], dtype=torch.float64)
