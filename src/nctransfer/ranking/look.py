"""Looking at one candidate: load it, pass the images through once, and measure every column."""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import DataBundle, ImageSplit, PixelLoader, Preprocess, joined_groups
from ..engine import Runtime, Watch, open_table
from ..errors import NCTransferError
from ..models import PENULTIMATE, Network, hash_weights
from ..runs import RankValue
from ..scores import ncti
from ..transfer import extract_features, seen_before
from .candidates import Candidate
from .measure import Columns, correct_of_probe, measure_columns
from .settings import RankSettings

__all__ = ["Looked", "Looker"]

_BATCH = 256
_FEW = 32


@dataclasses.dataclass
class Looked:
    """A candidate as it was seen.

    Attributes:
        correct: Whether the probe was right on each image, NaN where it was not asked; shape (N,).
        columns: Values by name.
        facts: As ``Network.describe`` says.
        penultimate: Features (N, D).
        seconds: Of everything.
        seconds_per_image: Of the forward pass; None where features were found on disk.
    """

    name: str
    candidate: Candidate
    correct: np.ndarray
    columns: Columns
    facts: dict[str, Any]
    penultimate: np.ndarray
    weights_hash: str
    temperature: str
    seconds: float
    seconds_per_image: float | None
    notes: list[str]


class Looker:
    """Looks at candidates on the same images, more of them from round to round.

    Args:
        settings: Of the ranking.
        bundle: The data; its training and validation images are looked at, the test images never.
        runtime: Device and precision.
        watch: Receives progress.
    """

    def __init__(self, settings: RankSettings, bundle: DataBundle, runtime: Runtime, watch: Watch) -> None:
        self.settings, self.bundle, self.runtime, self.watch = settings, bundle, runtime, watch
        self.num_classes = len(bundle.class_names)
        self.parts = (bundle.train, bundle.validation)
        self.labels = np.concatenate([part.labels for part in self.parts])
        self.groups = joined_groups(self.parts)
        self.order = _spread_order(self.labels, settings.seed)

    @property
    def num_images(self) -> int:
        """Images at most."""
        return len(self.labels)

    def rows(self, count: int) -> np.ndarray:
        """The first ``count`` images of the order, which holds every class in proportion; sorted."""
        return np.sort(self.order[:count])

    def groups_of(self, rows: np.ndarray) -> np.ndarray | None:
        """The set that these images belong to; None where nothing is known of it."""
        return None if self.groups is None else self.groups[rows]

    def look(self, candidate: Candidate, count: int, *, whole: bool = True) -> Looked:
        """Pass ``count`` images through a candidate and measure it.

        Args:
            candidate: The network.
            count: Number of images.
            whole: Whether every column is measured, not the probe alone.

        Raises:
            NCTransferError: it cannot be loaded or gives no usable features.
        """
        started = time.perf_counter()
        torch.manual_seed(self.settings.seed)
        network = candidate.load(self.settings.image_size)
        network.to(self.runtime.device).eval()
        rows = self.rows(count)
        features, temperature, seconds = self._features(network, rows, candidate.name)
        penultimate, labels = features[PENULTIMATE], torch.from_numpy(self.labels[rows])
        probed = correct_of_probe(penultimate, labels, self.num_classes, self.settings.seed, self.groups_of(rows))
        columns: Columns = {}
        if whole:
            with self.watch.stage(f"columns of {candidate.name}"):
                columns = measure_columns(
                    penultimate,
                    labels,
                    probed,
                    num_classes=self.num_classes,
                    source_probabilities=_source(network, penultimate),
                    seed=self.settings.seed,
                    slow=self.settings.slow_scores,
                )
        looked = Looked(
            name=candidate.name,
            candidate=candidate,
            correct=probed.correct,
            columns=columns,
            facts=_facts(network, self.settings.fit),
            penultimate=penultimate.numpy(),
            weights_hash=hash_weights(network.encoder),
            temperature=temperature,
            seconds=time.perf_counter() - started,
            seconds_per_image=seconds / len(rows) if temperature == "cold" else None,
            notes=[*network.notes, *seen_before(self.settings.as_transfer(candidate.source), self.bundle)],
        )
        del network
        gc.collect()
        return looked

    def layers_of(self, looked: Looked) -> tuple[Mapping[str, Tensor], Tensor]:
        """The features of all layers, from disk where they are there; and the labels."""
        network = looked.candidate.load(self.settings.image_size)
        network.to(self.runtime.device).eval()
        rows = self.rows(len(looked.correct))
        features, _, _ = self._features(network, rows, looked.name)
        return features, torch.from_numpy(self.labels[rows])

    def forward_seconds(self, candidate: Candidate) -> tuple[float, int]:
        """Seconds of an image's forward pass, measured on a few images, and the backbone's parameters.

        Raises:
            NCTransferError: it cannot be loaded or gives no usable features.
        """
        network = candidate.load(self.settings.image_size)
        network.to(self.runtime.device).eval()
        rows = np.sort(self.order[self.order < len(self.bundle.train)][:_FEW])
        loader = PixelLoader(_subset(self.bundle.train, rows), _preprocess(network, self.settings.fit), batch_size=_FEW)
        extract_features(network, loader, self.runtime)  # decodes and prepares
        started = time.perf_counter()
        extract_features(network, loader, self.runtime)
        return (time.perf_counter() - started) / len(rows), int(network.describe()["total_parameters"])

    def compare(self, looked: Mapping[str, Looked]) -> None:
        """Fill in what only several candidates on the same images have: NCTI."""
        most = max((len(found.correct) for found in looked.values()), default=0)
        same = {name: found.penultimate for name, found in looked.items() if len(found.correct) == most}
        if len(same) < 2:
            return
        try:
            values = ncti(same, self.labels[self.rows(most)])
        except NCTransferError as error:
            for name in same:
                looked[name].columns["ncti"] = RankValue(value=None, note=str(error))
            return
        for name, value in values.items():
            looked[name].columns["ncti"] = RankValue(value=value)

    def _features(self, network: Network, rows: np.ndarray, name: str) -> tuple[dict[str, Tensor], str, float]:
        table = open_table(network, self.runtime, use=self.settings.feature_cache)
        preprocess = _preprocess(network, self.settings.fit)
        found: dict[str, list[Tensor]] = {}
        seconds, start = 0.0, 0
        with table or nullcontext(), self.watch.stage(f"features of {name}", len(rows)) as advance:
            for part in self.parts:
                own = rows[(rows >= start) & (rows < start + len(part))] - start
                start += len(part)
                if not len(own):
                    continue
                loader = PixelLoader(
                    _subset(part, own), preprocess, batch_size=_BATCH, num_workers=self.settings.num_workers
                )
                if loader.in_memory:
                    next(loader.epoch(0))  # decodes, which is no cost of this network
                began = time.perf_counter()
                taken = extract_features(network, loader, self.runtime, advance=advance, table=table)
                seconds += time.perf_counter() - began
                for layer, values in taken.features.items():
                    found.setdefault(layer, []).append(values)
        temperature = "cold" if table is None or table.temperature is None else table.temperature
        return {layer: torch.cat(values) for layer, values in found.items()}, temperature, seconds


def _facts(network: Network, fit: str) -> dict[str, Any]:
    facts = network.describe()
    return {**facts, "preprocess": {**facts["preprocess"], "fit": fit}}


def _subset(part: ImageSplit, rows: np.ndarray) -> ImageSplit:
    return part if len(rows) == len(part) else part.subset(rows)


def _preprocess(network: Network, fit: str) -> Preprocess:
    facts = network.describe()["preprocess"]
    return Preprocess(
        size=network.size,
        interpolation=facts["interpolation"],
        crop_pct=facts["crop_pct"],
        mean=tuple(facts["mean"]),
        std=tuple(facts["std"]),
        fit=fit,
    )


def _source(network: Network, penultimate: Tensor) -> Tensor | None:
    """The source classifier's softmax (N, Z)."""
    if network.source_classifier is None:
        return None
    weight, bias = network.source_classifier
    return (penultimate.double() @ weight.double().T + bias.double()).softmax(1)


def _spread_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """All images in an order of which every beginning holds the classes in proportion."""
    order = np.random.default_rng(seed).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.argsort(place, kind="stable")
