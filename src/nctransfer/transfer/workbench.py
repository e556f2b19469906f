"""What every step of a run has at hand: data, network, device, features taken once, and the probe to start from."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data import AugmentSettings, DataBundle, PixelLoader, Preprocess, open_dataset, random_order, warnings_of_report
from ..engine import FeatureTable, Runtime, Watch, open_table
from ..models import Network, copy_module, load_network, wrap_module
from ..probes import ChosenProbe, choose_probe
from .batches import AugmentedPixels, CachedInputs
from .classifier import LayeredClassifier
from .evaluate import run_split
from .features import LayerFeatures, extract_features
from .methods import TuningMethod
from .probing import Probing
from .protocol import PRACTICAL, Protocol
from .settings import TransferSettings
from .skip import ConvolutionalSkip, DirectSkip
from .tuned import TunedNetwork

__all__ = ["Workbench", "open_data", "steady"]

_EVAL_BATCH = 256
_CACHE_LIMIT = 2 << 30
_STEADY = 0.1
_WIDE = 1.5


class Workbench:
    """The common ground of `auto`, `probe` and `tune`.

    Args:
        settings: What was asked for.
        bundle: The data, when it does not come from ``settings.data``.
        module: The network, when it does not come from ``settings.model``: maps normalised images to ``(B, D)``.
        watch: Receives progress.
    """

    def __init__(
        self,
        settings: TransferSettings,
        *,
        bundle: DataBundle | None = None,
        module: nn.Module | Network | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.settings, self.watch = settings, watch or Watch()
        self.runtime = Runtime(settings.device, settings.precision)
        self.bundle = bundle or open_data(settings, self.watch)
        torch.manual_seed(settings.seed)  # `--weights random` must give every process, and every run, the same network
        self.network = _network(settings, module)
        self.network.to(self.runtime.device).eval()
        self.notes = [*self.network.notes, *([] if module is not None else _seen_before(settings, self.bundle))]
        self.notes += _about_sides(self.bundle, settings.fit)
        for note in [*warnings_of_report(self.bundle.report), *self.notes]:
            self.watch.say(f"warning: {note}")
        self.num_classes = len(self.bundle.class_names)
        self._skip_probes: dict[str, ChosenProbe] = {}

    @property
    def protocol(self) -> Protocol:
        """How ``auto`` and ``tune`` train: the practical protocol with the weight decay of the settings."""
        return dataclasses.replace(PRACTICAL, weight_decay=self.settings.weight_decay)

    @cached_property
    def preprocess(self) -> Preprocess:
        facts = self.network.describe()["preprocess"]
        return Preprocess(
            size=self.network.size,
            interpolation=facts["interpolation"],
            crop_pct=facts["crop_pct"],
            mean=tuple(facts["mean"]),
            std=tuple(facts["std"]),
            fit=self.settings.fit,
        )

    def describe_network(self) -> dict[str, Any]:
        """Plain facts about the network, and how images are made square for it."""
        facts = self.network.describe()
        return {**facts, "preprocess": {**facts["preprocess"], "fit": self.settings.fit}}

    def loader(
        self,
        split: str,
        *,
        shuffle: bool = False,
        subset: np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> PixelLoader:
        """Batches of a split: shuffled in the run's batch size for training, else in order and larger."""
        images = self.bundle.splits()[split]
        images = images if subset is None else images.subset(subset)
        return PixelLoader(
            images,
            self.preprocess,
            batch_size=min(batch_size or self.settings.batch_size, len(images)) if shuffle else _EVAL_BATCH,
            shuffle=shuffle,
            seed=self.settings.seed,
            drop_last=shuffle,
            num_workers=self.settings.num_workers,
            rank=self.runtime.rank,
            world_size=self.runtime.world_size,
        )

    def take(
        self, split: str, *, layers: list[str] | None = None, transform: Callable[[Tensor], Tensor] | None = None
    ) -> LayerFeatures:
        """The pretrained network's features of a split."""
        loader, table = self.loader(split), self.table if transform is None else None
        with (
            self.watch.stage(f"features of the {split} images", len(loader.split)) as advance,
            table or contextlib.nullcontext(),
        ):
            return extract_features(
                self.network, loader, self.runtime, layers=layers, transform=transform, advance=advance, table=table
            )

    @cached_property
    def table(self) -> FeatureTable | None:
        """Features of the pretrained network that any run has computed before."""
        return open_table(self.network, self.runtime, use=self.settings.feature_cache)

    @cached_property
    def train_features(self) -> LayerFeatures:
        return self.take("train", layers=self.measured_layers)

    @cached_property
    def validation_features(self) -> LayerFeatures:
        return self.take("validation", layers=self.measured_layers)

    def check_layers(self) -> None:
        """Refuse names of layers that the network lacks, before anything is computed."""
        for name in self.settings.layers or ():
            self.network.check_name(name)

    @cached_property
    def measured_layers(self) -> list[str]:
        wanted = self.settings.layers
        if wanted is None:
            return list(self.network.layers)
        self.network.add_layers(wanted)
        return [name for name in self.network.layer_shapes if name in wanted]

    @cached_property
    def units(self) -> list[str]:
        """Candidate tuning units: the network's, or those named by ``--layers``."""
        wanted = self.settings.layers
        return list(self.network.units) if wanted is None else self.measured_layers

    @cached_property
    def probing(self) -> Probing:
        """The probes of every layer and of all together."""
        return Probing(self.bundle, self.train_features, self.validation_features, self.settings.seed)

    @cached_property
    def start_probe(self) -> ChosenProbe:
        """The linear probe of the steady penultimate features, chosen on validation: where every classifier starts."""
        return self._choose_probe(self.train_features, self.validation_features)

    @cached_property
    def augmentation(self) -> tuple[int, AugmentSettings, str]:
        """(level, settings, why). ``auto`` asks the validation images whether a mirror image keeps its class."""
        if self.settings.augment != "auto":
            return int(self.settings.augment), AugmentSettings(), "asked for"
        mirrored = self.take("validation", layers=[], transform=lambda images: images.flip(-1))
        probe, labels = self.start_probe.probe, self.validation_features.labels
        straight = probe.accuracy(self.validation_features.penultimate, labels)
        flipped = probe.accuracy(mirrored.penultimate, labels)
        noise = (straight * (1 - straight) / len(labels)) ** 0.5
        keeps = straight - flipped <= max(0.02, noise)
        verdict = "mirror images keep their class" if keeps else "mirror images change their class"
        why = (
            f"{verdict}: the probe reaches {straight:.1%} on validation images and {flipped:.1%} on their mirror images"
        )
        return (3 if keeps else 2), AugmentSettings(flip=keeps), why

    def fresh(self, method: TuningMethod, unit: str | None, protocol: Protocol = PRACTICAL) -> TunedNetwork:
        """A copy of the pretrained network under ``method``, its classifier and skip connection where the protocol starts."""
        torch.manual_seed(self.settings.seed)
        if method.layered:
            return self._layered(method, unit)
        model = TunedNetwork(
            copy.deepcopy(self.network), method, unit, self.num_classes, batchnorm=protocol.batchnorm
        ).to(self.runtime.device)
        if isinstance(model.skip, ConvolutionalSkip):
            nn.init.constant_(model.skip.norm.weight, protocol.skip_scale)
        assert isinstance(model.classifier, nn.Linear)
        if protocol.classifier == "probe":
            probe = self._probe_with_skip(model).probe if isinstance(model.skip, DirectSkip) else self.start_probe.probe
            with torch.no_grad():
                model.classifier.weight.copy_(torch.as_tensor(probe.weight))
                model.classifier.bias.copy_(torch.as_tensor(probe.bias))
        elif protocol.classifier == "zero":
            nn.init.zeros_(model.classifier.weight)
            nn.init.zeros_(model.classifier.bias)
        return model

    def _layered(self, method: TuningMethod, unit: str | None) -> TunedNetwork:
        """A copy whose classifier reads several layers and starts at their probe."""
        head = self.probing.head(method.inner_layer)
        model = TunedNetwork(copy.deepcopy(self.network), method, unit, self.num_classes, head.layers)
        assert isinstance(model.classifier, LayeredClassifier)
        model.classifier.start(head, steady=not method.fitted)
        return model.to(self.runtime.device)

    def _probe_with_skip(self, model: TunedNetwork) -> ChosenProbe:
        """A skip without parameters changes the penultimate features at once, so the probe is fitted on their sum."""
        if model.unit not in self._skip_probes:
            taken = [run_split(model, self.loader(split), self.runtime)[2] for split in ("train", "validation")]
            self._skip_probes[str(model.unit)] = self._choose_probe(*taken)
        return self._skip_probes[str(model.unit)]

    def _choose_probe(self, train: LayerFeatures, validation: LayerFeatures) -> ChosenProbe:
        return choose_probe(
            steady(train.penultimate),
            train.labels,
            validation.penultimate,
            validation.labels,
            num_classes=self.num_classes,
        )

    @cached_property
    def epochs(self) -> int:
        """Passes over the training images: as asked for, or 7; more where that is under 110 steps, fewer above 10,000 images."""
        num = len(self.bundle.train)
        steps = max(1, num // self.settings.batch_size)
        return self.settings.epochs or int(np.clip(80_000 / num, 4, np.clip(np.ceil(110 / steps), 7, 60)))

    def training_batches(self, level: int) -> AugmentedPixels:
        """Augmented training batches of the final tuning."""
        strengths = self.augmentation[1]
        return AugmentedPixels(
            self.loader("train", shuffle=True), level, strengths, self.settings.seed, self.runtime.device
        )

    def trial_rows(self, most: int) -> np.ndarray:
        """Training images for trials: ``most`` of them, by class in proportion, a function of the seed."""
        labels = self.bundle.train.labels
        if len(labels) <= most:
            return np.arange(len(labels))
        order = random_order(len(labels), self.settings.seed, 1 << 20)
        counts = np.bincount(labels, minlength=self.num_classes)
        within = np.empty(len(labels), dtype=np.int64)
        for label in range(self.num_classes):
            rows = order[labels[order] == label]
            within[rows] = np.arange(len(rows))
        # Taking the samples with the smallest rank relative to their class's size keeps the classes' proportions.
        return np.sort(np.argsort((within + 0.5) / counts[labels], kind="stable")[:most])

    def cached_inputs(self, model: TunedNetwork, split: str, rows: np.ndarray | None = None) -> Tensor | None:
        """What enters the model's tuned part for a split's images, on the device; None where that is not to be kept."""
        loader = self.loader(split, subset=rows)
        total = len(loader.split)
        sample = next(loader.epoch(0)).images[:2].to(self.runtime.device)
        if not self.settings.cache or not model.cut(sample):
            return None
        first = model.prefix(sample)
        if first[0].numel() * first.element_size() * total > _CACHE_LIMIT:
            return None
        kept = torch.zeros(total, *first.shape[1:], device=self.runtime.device)
        if kept.dim() == 4 and model.network.convolutional:
            kept = kept.contiguous(memory_format=torch.channels_last)
        model.eval()
        with torch.inference_mode(), self.runtime.autocast():
            for batch in loader.epoch(0):
                kept[batch.indices] = model.prefix(batch.images.to(self.runtime.device)).float()
        return self.runtime.sum(kept).clone()

    def cached_batches(
        self, inputs: Tensor, rows: np.ndarray | None = None, *, batch_size: int | None = None
    ) -> CachedInputs:
        """Training batches of tensors taken at the cut."""
        labels = torch.from_numpy(self.bundle.train.labels)
        labels = labels if rows is None else labels[torch.from_numpy(rows)]
        return CachedInputs(
            inputs,
            labels.to(self.runtime.device),
            batch_size=batch_size or self.settings.batch_size,
            seed=self.settings.seed,
            rank=self.runtime.rank,
            world_size=self.runtime.world_size,
        )


def steady(features: Tensor) -> Tensor:
    """Features with the nearly constant columns set to zero, so that a probe gives them no weight.

    Standardising magnifies a column that hardly varies on the training images, and a probe then hangs a large weight on it:
    the first step of tuning moves such a feature by many of its standard deviations and upsets the logits.

    Example:
        >>> steady(torch.tensor([[0.0, 1.0, 5.0], [1.0, 0.0, 5.001], [0.5, 0.5, 5.0]])).count_nonzero(0).tolist()
        [2, 2, 0]
    """
    spread = features.std(0)
    moving = spread[spread > 0]
    if len(moving) == 0:
        return features
    return features * (spread > _STEADY * moving.median())


def open_data(settings: TransferSettings, watch: Watch, *, check: bool = True) -> DataBundle:
    """The data set that settings name. Without ``check``, images are not decoded beforehand, and bad ones not left out."""
    with watch.stage(f"opening {settings.data}"):
        return open_dataset(
            settings.data,
            seed=settings.seed,
            limit=settings.limit,
            validation_fraction=settings.validation_fraction,
            test_fraction=settings.test_fraction,
            on_bad_image=settings.on_bad_image,
            skip_limit=settings.skip_limit,
            pixel_limit=settings.pixel_limit,
            image_range=settings.image_range,
            download=settings.download,
            check=check,
        )


def _about_sides(bundle: DataBundle, fit: str) -> list[str]:
    """A warning where the centre crop cuts much of the images away."""
    aspect = (bundle.report.get("sizes") or {}).get("aspect")
    if fit != "crop" or not aspect or aspect[1] <= _WIDE:
        return []
    median, wide, _ = aspect
    return [
        f"a tenth of the images or more lose over {1 - 1 / wide:.0%} of their pixels to the centre crop (half of them over "
        f"{1 - 1 / median:.0%}): their longer side is up to {wide:.3g} times the shorter; --fit squish or --fit pad keeps "
        "the whole image"
    ]


def _seen_before(settings: TransferSettings, bundle: DataBundle) -> list[str]:
    """What must be said of a network that was pre-trained here, on the very data set that it is now tuned on."""
    try:
        config = json.loads((Path(settings.model) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if config.get("verb") != "pretrain" or config.get("data") not in (bundle.name, str(settings.data)):
        return []
    drawn = bundle.report.get("source", {}).get("drawn") or []
    if "test" in drawn and config.get("seed") != settings.seed:
        return [
            "the network was pre-trained on this data set with another seed, so it has been trained on images of this "
            f"test split: its test accuracy says nothing (use --seed {config.get('seed')})"
        ]
    return [
        "the network was pre-trained on the training and validation images of this data set: what is chosen on "
        "validation is chosen on images that it knows"
    ]


def _network(settings: TransferSettings, module: nn.Module | Network | None) -> Network:
    if module is None:
        return load_network(
            settings.model, weights=settings.weights, arch=settings.arch, image_size=settings.image_size
        )
    if isinstance(module, Network):
        return copy_module(module)
    return wrap_module(copy_module(module), size=settings.image_size).optimise_layout()
