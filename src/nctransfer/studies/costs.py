"""About what cells cost, from rates by network and image size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .cells import Cell
from .scale import Scale

__all__ = ["minutes", "seconds_of"]

_WHOLE = {"mini_imagenet": 38_400, "mnist": 60_000, "fashion_mnist": 60_000, "fgvc_aircraft": 6_667, "dtd": 3_760}
_WHOLE |= {"oxford_pets": 3_680, "digits": 1_400, "clothing": 3_400}
_CLASSES = {"cifar100": 100, "mini_imagenet": 64, "fgvc_aircraft": 100, "dtd": 47, "oxford_pets": 37}
_FORWARD = 3.0  # a forward pass costs a third of a training step
_PROBE_SECONDS = 1.0  # a linear probe of one layer and its penalties


def minutes(cells: Iterable[Cell], scale: Scale) -> float:
    """A rough estimate of what cells cost, in minutes of one process on the hardware that the scale is meant for."""
    return sum(seconds_of(cell, scale) for cell in cells) / 60


def seconds_of(cell: Cell, scale: Scale) -> float:
    """A rough estimate of what a cell costs, in seconds."""
    config = cell.config
    if cell.kind == "encoder":
        settings = config["settings"]
        return (
            _images(config["data"])
            * settings["epochs"]
            * _passes(settings)
            / _rate(scale, settings["arch"], settings.get("image_size"))
        )
    network, size = _network(cell)
    rate = _rate(scale, network, size or config["image_size"])
    images = _images(config["data"])
    seen = images + _test_images(config["data"])
    if cell.kind == "transfer":
        layers = 12 if config["layers"] else 1
        return seen / (_FORWARD * rate) + layers * _PROBE_SECONDS * (images / 2_000 if config["probe"] else 0.1)
    epochs = config["epochs"] or max(4, min(60, 80_000 / max(images, 1)))
    trials = len(config["rates"]) if config.get("rates") else 1 if "protocol" in config else 1.7
    share = {"linear": 0.1, "full": 1.0}.get(config["method"], 0.4)
    return trials * images * epochs * share / rate + seen / (_FORWARD * rate)


def _passes(settings: Mapping[str, Any]) -> int:
    """Training passes of an image in one epoch: SupCon sees two views, an attack takes a pass for each of its steps."""
    views = 2 if settings["loss"] == "supcon" else 1
    return views + (settings.get("attack_steps", 7) if settings.get("adversarial") else 0)


def _network(cell: Cell) -> tuple[str, int | None]:
    network = cell.config["network"]
    for needed in cell.needs:
        if needed.key == network:
            settings = needed.config["settings"]
            return settings["arch"], settings.get("image_size")
    return network, None


def _rate(scale: Scale, network: str, size: int | None) -> float:
    """Images a second of a whole training step; that of another size in proportion to the pixels."""
    known = {int(key.split()[1]): rate for key, rate in scale.rates.items() if key.split()[0] == network}
    if not known:
        return scale.images_per_second
    if size in known:
        return known[size]
    near = min(known, key=lambda other: abs(other - (size or other)))
    return known[near] * (near / (size or near)) ** 2


def _classes(spec: Mapping[str, Any]) -> int:
    classes = spec.get("classes")
    return classes[1] - classes[0] if classes else _CLASSES.get(spec["name"], 10)


def _images(spec: Mapping[str, Any]) -> float:
    """Training and validation images."""
    whole = _WHOLE.get(spec["name"], 50_000)
    return min(spec["per_class"] * _classes(spec), whole) if "per_class" in spec else whole


def _test_images(spec: Mapping[str, Any]) -> float:
    return spec["test_per_class"] * _classes(spec) if "test_per_class" in spec else 10_000
