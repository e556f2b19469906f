"""Collapse as it stands: one pass over clean images; metrics of the encoder, the head and, on request, every layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..data import PixelLoader
from ..engine import ClassSums, Runtime, device_batches, read_split, take_picture
from ..errors import DataError
from ..metrics import ClassStatistics, cdnv, measure_layer, nc1
from ..models import PENULTIMATE
from ..runs import LayerRow
from .model import PretrainModel

__all__ = ["flatten", "measure_collapse"]

SAMPLE_BYTES = 2 << 30
"""Features of all layers together that are kept as samples; above it, layers are accumulated as class statistics."""


@torch.no_grad()
def measure_collapse(
    model: PretrainModel,
    loaders: dict[str, PixelLoader],
    runtime: Runtime,
    *,
    num_classes: int,
    layers: bool = False,
    in_full: bool = False,
    seed: int = 0,
    picture: Sequence[int] = (),
    names: Sequence[str] = (),
) -> dict[str, Any]:
    """Accuracy and collapse on each split, in eval mode, without augmentation and in the weights' own precision.

    Args:
        model: The model, not wrapped for several processes; its modes are restored afterwards.
        loaders: Split name to loader; ``train`` first, since its class means serve the others.
        runtime: Where the model lies, and the processes that share the pass.
        num_classes: Number of classes K.
        layers: Whether to measure every layer of the encoder as well.
        in_full: Whether the first split's layers get noise floor, numerical rank and the like too.
        seed: Of the noise floor.
        picture: Two or three classes whose encoder features are drawn, see ``engine.take_picture``; none without.
        names: The names of all classes, for the picture.

    Returns:
        For each split ``accuracy`` (of the classifier, or of the nearest class mean where there is none),
        ``ncm_accuracy`` (nearest class mean of the training features), ``encoder`` and ``head`` with ``nc1`` and
        ``cdnv``, and ``layers``, a list of rows from input to output, the last of them the encoder's own output; a
        value that is undefined is None. ``picture`` stands with ``train``.

    Raises:
        DataError: a feature is NaN or infinite; the message names the layer.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        result: dict[str, Any] = {}
        means: Tensor | None = None
        drawn: list[Tensor] = []
        for split, loader in loaders.items():
            seen, labels = _read(model, loader, runtime, num_classes, layers)
            features = seen["encoder"]
            if means is None:
                means = _class_means(features, labels, num_classes)
            nearest = torch.cdist(features.double(), means.double()).argmin(1)
            ncm_accuracy = float((nearest == labels).double().mean())
            predicted = seen["classifier"].squeeze(1).long() if "classifier" in seen else None
            result[split] = {
                "accuracy": ncm_accuracy if predicted is None else float((predicted == labels).double().mean()),
                "ncm_accuracy": ncm_accuracy,
                "encoder": _metrics(features, labels, num_classes),
                "head": None if model.head.kind == "none" else _metrics(seen["head"], labels, num_classes),
                "layers": _rows(seen, labels, num_classes, in_full and not result, seed) if layers else [],
            }
            drawn += [features, labels] if picture else []
        if len(drawn) == 4:
            found = take_picture(drawn[0], drawn[1], drawn[2], drawn[3], picture, names)
            result["train"]["picture"] = found.plain() if found else None
        return result
    finally:
        for module, mode in modes:
            module.training = mode


def flatten(measured: dict[str, Any]) -> dict[str, Any]:
    """The findings of :func:`measure_collapse` under the flat names of ``metrics.jsonl``.

    The encoder's values on the training split are ``nc1`` and ``cdnv``; ``head_`` in front is the head's, ``_test``
    behind the test split's. Layers stand in a list.

    Example:
        >>> encoder = {"nc1": 0.5, "cdnv": 0.1}
        >>> part = {"accuracy": 1.0, "ncm_accuracy": 0.9, "encoder": encoder, "head": None, "layers": []}
        >>> flatten({"train": part})
        {'train_accuracy': 1.0, 'train_ncm_accuracy': 0.9, 'nc1': 0.5, 'cdnv': 0.1}
    """
    flat: dict[str, Any] = {}
    notes: dict[str, str] = {}
    for split, part in measured.items():
        suffix = "" if split == "train" else f"_{split}"
        flat[f"{split}_accuracy"] = part["accuracy"]
        flat[f"{split}_ncm_accuracy"] = part["ncm_accuracy"]
        for place, prefix in (("encoder", ""), ("head", "head_")):
            found = part[place] or {}
            for name in (name for name in found if name != "notes"):
                flat[f"{prefix}{name}{suffix}"] = found[name]
            notes |= {f"{prefix}{name}{suffix}": why for name, why in found.get("notes", {}).items()}
    tested = {row["name"]: row for row in measured.get("test", {}).get("layers", [])}
    layers = [_with_test(row, tested.get(row["name"], {})) for row in measured.get("train", {}).get("layers", [])]
    flat |= ({"notes": notes} if notes else {}) | ({"layers": layers} if layers else {})
    picture = measured.get("train", {}).get("picture")
    return flat | ({"picture": picture} if picture else {})


def _with_test(row: dict[str, Any], tested: dict[str, Any]) -> dict[str, Any]:
    """A layer's row with the numbers of the test images, and the reasons that these are missing."""
    notes = row.get("notes", {}) | {f"{name}_test": why for name, why in tested.get("notes", {}).items()}
    found = {f"{name}_test": tested[name] for name in ("nc1", "cdnv") if name in tested}
    return row | found | ({"notes": notes} if notes or "notes" in row else {})


def _read(
    model: PretrainModel, loader: PixelLoader, runtime: Runtime, num_classes: int, layers: bool
) -> tuple[dict[str, Any], Tensor]:
    """Everything that one pass over a split gives, by place, and the labels."""
    names = model.network.layers if layers else ()
    widths = sum(min(4096, model.network.channels(name)) for name in names)
    streamed = 4 * widths * len(loader.split) > SAMPLE_BYTES
    classified = not isinstance(model.classifier, torch.nn.Identity)

    def forward(images: Tensor) -> dict[str, Tensor]:
        with model.network.taps(names) as taps:
            features = model.network(images)
        projected = model.head(features)
        # In the order of the data, so that an error names the first place that is not finite.
        found = {f"layer {name}": taps.features[name].float() for name in names}
        found |= {"encoder": features.float(), "head": projected.float()}
        if classified:
            found["classifier"] = model.classifier(projected).argmax(1, keepdim=True)
        return found

    reading = read_split(
        forward,
        device_batches(loader, runtime.device),
        len(loader.split),
        runtime,
        sinks={f"layer {name}": ClassSums(num_classes) for name in names} if streamed else None,
        autocast=False,
        identity=loader.split.identity,
        place=lambda name: name if name.startswith("layer ") else f"the {name}'s output",
        remedy="try a smaller --lr, or --precision fp32",
    )
    return reading.found, reading.labels


def _class_means(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    sums = torch.zeros(num_classes, features.shape[1], dtype=torch.float64).index_add_(0, labels, features.double())
    counts = torch.bincount(labels, minlength=num_classes)
    means = sums / counts.clamp(min=1)[:, None]
    # A class without images must not attract any: its mean lies infinitely far away.
    return means.masked_fill((counts == 0)[:, None], torch.inf)


def _metrics(features: Tensor | ClassStatistics, labels: Tensor, num_classes: int) -> dict[str, Any]:
    """``nc1`` and ``cdnv``, and under ``notes`` why one of them is None."""
    values: dict[str, Any] = {"nc1": None, "cdnv": None}
    notes = {}
    for name, metric in (("nc1", nc1), ("cdnv", cdnv)):
        try:
            if isinstance(features, Tensor):
                values[name] = metric(features, labels, num_classes=num_classes)
            else:
                values[name] = metric(features)
        except DataError as error:
            # Undefined here: coinciding class means, or one sample a class. Bad features were refused before.
            notes[name] = str(error)
    return values | ({"notes": notes} if notes else {})


def _rows(seen: dict[str, Any], labels: Tensor, num_classes: int, in_full: bool, seed: int) -> list[dict[str, Any]]:
    rows = []
    layers = {name.removeprefix("layer "): found for name, found in seen.items() if name.startswith("layer ")}
    for name, features in {**layers, PENULTIMATE: seen["encoder"]}.items():
        dim = features.dim if isinstance(features, ClassStatistics) else int(features.shape[1])
        if in_full:
            given = labels if isinstance(features, Tensor) else None
            measured = measure_layer(features, given, num_classes=num_classes, seed=seed)
            rows.append(LayerRow.of(name, dim, measured, penultimate=name == PENULTIMATE).plain())
        else:
            rows.append({"name": name, "dim": dim, **_metrics(features, labels, num_classes)})
    return rows
