"""The common ground of a run's steps: data, network, device, features taken once, and the choices that follow."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ..data import AugmentSettings, DataBundle, warnings_of_report
from ..engine import FeatureTable, Runtime, StopRequest, Watch, open_table
from ..models import PENULTIMATE, Network
from ..runs import Ledger
from .balance import Balancing, decide_balance
from .features import LayerFeatures, extract_features
from .inputs import Inputs
from .opening import about_sides, open_data, open_model, seen_before
from .pace import Pace
from .picture import Easel
from .probing import Probing
from .protocol import PRACTICAL, Protocol
from .recipe import epochs_for
from .settings import TransferSettings
from .start import Start
from .units import find_tuned

__all__ = ["Workbench"]


class Workbench:
    """The common ground of `auto`, `probe` and `tune`.

    Args:
        settings: What was asked for.
        bundle: The data, when it does not come from ``settings.data``.
        module: The network, when it does not come from ``settings.model``: maps normalised images to ``(B, D)``.
        watch: Receives progress.
        stop: Asked between steps and batches.

    Attributes:
        inputs: Loaders, batches and cached tensors.
        start: Makes the networks that are tuned.
        balance: How classes of unequal size are made up for.
        pace: Says which steps there is time for; without a budget, all.
    """

    def __init__(
        self,
        settings: TransferSettings,
        *,
        bundle: DataBundle | None = None,
        module: nn.Module | Network | None = None,
        watch: Watch | None = None,
        stop: StopRequest | None = None,
    ) -> None:
        self.settings, self.watch, self.stop = settings, watch or Watch(), stop or StopRequest()
        self.runtime = Runtime(settings.device, settings.precision)
        self.bundle = bundle or open_data(settings, self.watch, self.stop)
        self.balance: Balancing = decide_balance(
            settings.balance, settings.metric, self.bundle.train.counts(), self.bundle.class_names
        )
        torch.manual_seed(settings.seed)  # `--weights random` must give every process, and every run, the same network
        self.network = open_model(settings, module)
        self.network.to(self.runtime.device).eval()
        self.notes = [*self.network.notes, *([] if module is not None else seen_before(settings, self.bundle))]
        self.notes += about_sides(self.bundle, settings.fit)
        for note in [*warnings_of_report(self.bundle.report), *self.notes]:
            self.watch.say(f"warning: {note}")
        self.num_classes = len(self.bundle.class_names)
        self.pace = Pace(None, Ledger(None), self.runtime)
        self._tuned: tuple[str, ...] = ()
        self.inputs = Inputs(settings, self.bundle, self.network, self.runtime, self.stop, self.balance)
        self.start = Start(
            self.network,
            self.inputs,
            features=lambda split: self.train_features if split == "train" else self.validation_features,
            probing=lambda: self.probing,
        )

    def attend(self, watch: Watch, stop: StopRequest) -> None:
        """Report to ``watch`` and ask ``stop`` from now on, where a bench outlives the run that made it."""
        self.watch, self.stop, self.inputs.stop = watch, stop, stop

    def warn(self, notes: Sequence[str]) -> None:
        """Say what must not be missed, now and in the record."""
        for note in notes:
            self.notes.append(note)
            self.watch.say(f"warning: {note}")

    @property
    def can_join(self) -> bool:
        """Whether the winner may be trained again on training and validation images together."""
        return self.settings.refit and self.probing.folded

    @cached_property
    def whole(self) -> Inputs:
        """The same with the validation images among the training images."""
        bundle = dataclasses.replace(self.bundle, train=self.bundle.train.joined(self.bundle.validation))
        return Inputs(self.settings, bundle, self.network, self.runtime, self.stop, self.balance)

    @property
    def protocol(self) -> Protocol:
        """How ``auto`` and ``tune`` train: the practical protocol with the weight decay of the settings."""
        return dataclasses.replace(PRACTICAL, weight_decay=self.settings.weight_decay)

    def describe_network(self) -> dict[str, Any]:
        """Plain facts about the network, and how images are made square for it."""
        facts = self.network.describe()
        return {**facts, "preprocess": {**facts["preprocess"], "fit": self.settings.fit}}

    def take(
        self,
        split: str,
        *,
        layers: list[str] | None = None,
        transform: Callable[[Tensor], Tensor] | None = None,
        checked: Collection[str] = (PENULTIMATE,),
    ) -> LayerFeatures:
        """The pretrained network's features of a split."""
        # The test images are tested as the saved model sees them, whatever a run before this one kept.
        loader, table = self.inputs.loader(split), self.table if transform is None and split != "test" else None
        with (
            self.watch.stage(f"features of the {split} images", len(loader.split)) as advance,
            table or contextlib.nullcontext(),
        ):
            return extract_features(
                self.network,
                loader,
                self.runtime,
                layers=layers,
                checked=checked,  # a broken layer below the last is left out and named
                transform=transform,
                stop=self.stop,
                advance=advance,
                table=table,
            )

    @cached_property
    def table(self) -> FeatureTable | None:
        """Features of the pretrained network that any run has computed before."""
        return open_table(self.network, self.runtime, use=self.settings.feature_cache)

    @cached_property
    def train_features(self) -> LayerFeatures:
        return self.take("train", layers=self.measured_layers)

    @cached_property
    def easel(self) -> Easel | None:
        """The classes and images of the pictures of collapse."""
        return Easel.of(self)

    @cached_property
    def validation_features(self) -> LayerFeatures:
        return self.take("validation", layers=self.measured_layers)

    @cached_property
    def test_features(self) -> LayerFeatures:
        """The pretrained network's features of the test images, for the test of every fitted probe: one pass for all."""
        return self.take("test", layers=[name for name in self.probing.layers if name != PENULTIMATE], checked=())

    def check_layers(self) -> None:
        """Refuse names of layers that the network lacks, before anything is computed."""
        for name in self.settings.layers or ():
            self.network.check_name(name)

    def check_units(self, unit: str) -> None:
        """Refuse names of tuned blocks that the network lacks; blocks that ``--layers`` leaves out are measured, too.

        Raises:
            UsageError: there is no such block.
        """
        self._tuned = find_tuned(self.network, unit)

    @cached_property
    def measured_layers(self) -> list[str]:
        if self.settings.layers is None:
            return list(self.network.layers)
        wanted = {*self.settings.layers, *self._tuned}
        self.network.add_layers(sorted(wanted))
        return [name for name in self.network.layer_shapes if name in wanted]

    @cached_property
    def units(self) -> list[str]:
        """Candidate blocks: the network's, or those named by ``--layers``."""
        wanted = self.settings.layers
        return list(self.network.units) if wanted is None else self.measured_layers

    @cached_property
    def probing(self) -> Probing:
        """The probes of every layer and of all together."""
        parts = self.train_features, self.validation_features
        settings = self.settings
        apart = settings.keep_validation
        return Probing(self.bundle, *parts, settings.seed, self.pace.allows, self.balance.fit, keep_validation=apart)

    @cached_property
    def augmentation(self) -> tuple[int, AugmentSettings, str]:
        """(level, settings, why). ``auto`` asks the validation images whether a mirror image keeps its class."""
        if self.settings.augment != "auto":
            return int(self.settings.augment), AugmentSettings(), "asked for"
        mirrored = self.take("validation", layers=[], transform=lambda images: images.flip(-1))
        probe, labels = self.start.probe.probe, self.validation_features.labels
        straight = probe.accuracy(self.validation_features.penultimate, labels)
        flipped = probe.accuracy(mirrored.penultimate, labels)
        noise = (straight * (1 - straight) / len(labels)) ** 0.5
        keeps = straight - flipped <= max(0.02, noise)
        verdict = "mirror images keep their class" if keeps else "mirror images change their class"
        why = (
            f"{verdict}: the probe reaches {straight:.1%} on validation images and {flipped:.1%} on their mirror images"
        )
        return (3 if keeps else 2), AugmentSettings(flip=keeps), why

    @cached_property
    def epochs(self) -> int:
        """Passes over the training images: as asked for, or by their number and by the error of the deep probe."""
        if self.settings.epochs is not None:
            return self.settings.epochs
        passes = epochs_for(len(self.bundle.train), self.probing.error(self.settings.metric))
        return round(passes * self.settings.thoroughness.passes)

    @property
    def batch_size(self) -> int:
        """Images in a training step: as asked for, or by the number of training images."""
        return self.inputs.batch_size
