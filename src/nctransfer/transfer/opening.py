"""Opening what a run works on: the data and the network, as the settings name them."""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from ..data import DataBundle, open_dataset, progress_shown_by
from ..engine import StopRequest, Watch
from ..models import Network, copy_module, load_network, wrap_module
from .settings import TransferSettings

__all__ = ["about_sides", "open_data", "open_model", "seen_before"]

_WIDE = 1.5


def open_data(
    settings: TransferSettings, watch: Watch, stop: StopRequest | None = None, *, check: bool = True
) -> DataBundle:
    """The data set that settings name; SIGTERM ends the opening at once, since nothing is lost by it.

    Args:
        settings: What was asked for.
        watch: Receives progress.
        stop: Notes SIGTERM.
        check: Whether images are decoded beforehand, and bad ones left out.
    """
    opening = watch.stage(f"opening {settings.data}")
    with (stop or StopRequest()).at_once(), opening, progress_shown_by(watch.detail):
        bundle = open_dataset(settings.data, download=settings.download, check=check, **settings.opening())
    for note in bundle.report["notes"]:
        if note.startswith("groups:"):
            watch.say(note)
    return bundle


def about_sides(bundle: DataBundle, fit: str) -> list[str]:
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


def open_model(settings: TransferSettings, module: nn.Module | Network | None) -> Network:
    """The network of a run: a copy of the module that was given, or the one that the settings name."""
    if module is None:
        return load_network(
            settings.model, weights=settings.weights, arch=settings.arch, image_size=settings.image_size
        )
    if isinstance(module, Network):
        return copy_module(module)
    return wrap_module(copy_module(module), size=settings.image_size).optimise_layout()


def seen_before(settings: TransferSettings, bundle: DataBundle) -> list[str]:
    """Warnings about a network that was pre-trained here, on the very data set that it is now tuned on."""
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
