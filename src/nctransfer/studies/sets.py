"""The data sets and networks that cells name: parts, classes, ``trainval``, sets of which a part is here, weights files."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..data import NAMES, DataBundle, narrow, open_dataset, redraw_validation, search_folders
from ..errors import DataError, SetupError

__all__ = ["folder_of", "network_of", "open_set"]

_SIZES = {
    "mini_imagenet": "100 classes of 600 images of 84 × 84 pixels or more, about 3 GB",
    "clothing": "10 classes of clothes, 3,781 images in Parquet files, 38 MB",
}


def open_set(spec: dict[str, Any], seed: int, partial: Collection[str] = ()) -> DataBundle:
    """The data set that a cell names.

    Args:
        spec: ``name``, and optionally ``classes`` (first, last + 1), ``per_class``, ``test_per_class``, ``validation`` (the
            fraction of the training images that become the validation split), ``trainval`` (given training and validation
            images are mixed first) and ``part`` (k, n). With a ``part`` the splits do not depend on the seed, so that
            parts have no image in common.
        seed: Of the splits.
        partial: Names of sets of which some Parquet files may be missing.

    Raises:
        SetupError: it is not here; the message names the folder and the size.
        DataError: Parquet files are missing and the name is not among ``partial``.
    """
    name, part, fraction = spec["name"], spec.get("part"), spec.get("validation", 0.2)
    drawn = 0 if part else seed
    whole = open_dataset(folder_of(name), seed=drawn, validation_fraction=fraction, check=False)
    _check_whole(name, whole, partial)
    if spec.get("trainval"):
        whole = redraw_validation(whole, fraction, drawn)
    classes = spec.get("classes")
    return narrow(
        whole,
        classes=None if classes is None else (classes[0], classes[1]),
        per_class=spec.get("per_class"),
        test_per_class=spec.get("test_per_class"),
        part=None if part is None else (part[0], part[1]),
    )


def folder_of(name: str) -> str | Path:
    """A set's own name where it can be opened by it, else the folder in which it lies.

    MiniImageNet's usual layout has ``train``, ``val`` and ``test`` with no class in common; a network is pre-trained on the 64
    classes of ``train``, from which its own splits are drawn.

    Raises:
        SetupError: the folder is not here.
    """
    if name in NAMES:
        return name
    places = [folder / name for folder in search_folders()]
    for place in places:
        if place.is_dir():
            return place / "train" if name == "mini_imagenet" and _disjoint(place) else place
    raise SetupError(
        f"{name} is not here",
        where=str(places[0]),
        remedy=f"put it there as a folder of class folders ({_SIZES.get(name, 'size unknown')}), or point NCTRANSFER_DATA "
        "to where it lies",
    )


def network_of(name: str) -> str:
    """A network as it can be loaded: ``file:NAME`` is ``NAME.safetensors`` under ``NCTRANSFER_NETWORKS``.

    Raises:
        SetupError: the file or its manifest is not here.

    Example:
        >>> network_of("resnet18")
        'resnet18'
    """
    if not name.startswith("file:"):
        return name
    path = Path(os.environ.get("NCTRANSFER_NETWORKS", "networks")) / f"{name.removeprefix('file:')}.safetensors"
    if not path.is_file() or not path.with_suffix(".json").is_file():
        raise SetupError(
            f"the network {path.stem} is not here",
            where=str(path),
            remedy="put the weights file and its manifest (docs/weights.md) there, or point NCTRANSFER_NETWORKS to them",
        )
    return str(path)


def _disjoint(place: Path) -> bool:
    """Whether the folder holds splits with no class in common."""
    classes = [
        {entry.name for entry in (place / split).iterdir() if entry.is_dir()}
        for split in ("train", "val", "test")
        if (place / split).is_dir()
    ]
    return len(classes) > 1 and len(set.union(*classes)) == sum(map(len, classes))


def _check_whole(name: str, bundle: DataBundle, partial: Collection[str]) -> None:
    notes = [note for note in bundle.report.get("notes", []) if "Parquet files are here" in note]
    if notes and name not in partial:
        raise DataError(
            f"{name} is not whole: {notes[0].removeprefix('warning: ')}",
            where="the studies' data",
            remedy="add the missing files; the scales mini and pilot are content with a part of cifar10 and fashion_mnist",
        )
