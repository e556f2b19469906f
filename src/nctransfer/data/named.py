"""Data sets by name: scikit-learn's embedded digits, and the sets of the paper that torchvision carries.

A named set is looked for under the folder of the environment variable ``NCTRANSFER_DATA`` and then in the cache, first
as Parquet files, then in torchvision's own layout, and downloaded by torchvision where it is found in neither.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, ResourceError, SetupError
from .images import shown
from .parquet import find_parquet, parquet_files
from .sources import ArraySource, FileSource, Found, Source

__all__ = ["NAMES", "find_named", "search_folders"]

# Class in torchvision.datasets, the folder it makes below its root, and the arguments of each split.
_SETS: dict[str, tuple[str, str, dict[str, dict[str, Any]]]] = {
    "cifar10": ("CIFAR10", "cifar-10-batches-py", {"train": {"train": True}, "test": {"train": False}}),
    "cifar100": ("CIFAR100", "cifar-100-python", {"train": {"train": True}, "test": {"train": False}}),
    "mnist": ("MNIST", "MNIST", {"train": {"train": True}, "test": {"train": False}}),
    "fashion_mnist": ("FashionMNIST", "FashionMNIST", {"train": {"train": True}, "test": {"train": False}}),
    "fgvc_aircraft": (
        "FGVCAircraft",
        "fgvc-aircraft-2013b",
        {"train": {"split": "train"}, "validation": {"split": "val"}, "test": {"split": "test"}},
    ),
    "dtd": ("DTD", "dtd", {"train": {"split": "train"}, "validation": {"split": "val"}, "test": {"split": "test"}}),
    "oxford_pets": ("OxfordIIITPet", "oxford-iiit-pet", {"train": {"split": "trainval"}, "test": {"split": "test"}}),
}

NAMES = ("digits", *_SETS)


def find_named(name: str, download: bool = True) -> Found:
    """Find a data set by name.

    Args:
        name: One of ``NAMES``.
        download: Whether torchvision may download it.

    Returns:
        Its given splits.

    Raises:
        SetupError: it is not here and cannot be downloaded; the message names the folder where it is expected.
        DataError: what lies there is damaged.
    """
    if name == "digits":
        return _digits()
    for base in search_folders():
        for root in (base / name, base):
            if root != base and root.is_dir() and parquet_files(str(root)):
                found = find_parquet(str(root))
                found.name = name
                return found
            if (root / _SETS[name][1]).is_dir():
                return _from_torchvision(name, root)
    return _download(name, download)


def search_folders() -> list[Path]:
    """Folders in which named data sets are looked for; they are downloaded to the first that can be written."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "nctransfer"
    given = os.environ.get("NCTRANSFER_DATA")
    return [Path(given).expanduser(), cache] if given else [cache]


def _digits() -> Found:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    names = tuple(str(digit) for digit in digits.target_names)
    source: Source = ArraySource(images, digits.target, "digits row", names)
    return Found("digits", "embedded", "scikit-learn, 1,797 images of 8 x 8", {"train": source}, {"train": names})


def _from_torchvision(name: str, root: Path) -> Found:
    from torchvision import datasets

    kind, folder, splits = _SETS[name]
    sources: dict[str, Source] = {}
    names: dict[str, tuple[str, ...]] = {}
    for split, arguments in splits.items():
        try:
            dataset = getattr(datasets, kind)(str(root), download=False, **arguments)
        except Exception as error:  # A damaged copy fails in as many ways as there are formats.
            raise DataError(
                f"the copy of {name} is damaged or incomplete: {error}",
                where=shown(str(root / folder)),
                remedy="remove the folder and run again to fetch it anew",
            ) from error
        sources[split] = _source_of(dataset, split, str(root))
        names[split] = tuple(dataset.classes)
    return Found(name, "torchvision", shown(str(root / folder)), sources, names)


def _source_of(dataset: Any, split: str, root: str) -> Source:
    if hasattr(dataset, "data"):
        return ArraySource(np.asarray(dataset.data), np.asarray(dataset.targets), f"{split} row", dataset.classes)
    files = getattr(dataset, "_image_files", None) or dataset._images
    return FileSource([os.fspath(path) for path in files], dataset._labels, root)


def _download(name: str, download: bool) -> Found:
    from torchvision import datasets

    kind, folder, splits = _SETS[name]
    base = next((folder for folder in search_folders() if _writable(folder)), search_folders()[0])
    target = base / name
    remedy = (
        f"put Parquet files into {shown(str(target))} or torchvision's {kind} into {shown(str(target / folder))}, "
        "point NCTRANSFER_DATA to the folder that holds it, or run once with a network"
    )
    if not download:
        raise SetupError(f"{name} is not on this machine", where=f"expected at {shown(str(target))}", remedy=remedy)
    partial = ""
    try:
        base.mkdir(parents=True, exist_ok=True)
        # Filled beside the target and renamed when whole: a download that was cut off is never taken for a data set.
        partial = tempfile.mkdtemp(dir=base, prefix=f".{name}.", suffix=".partial")
        for arguments in splits.values():
            with contextlib.redirect_stdout(sys.stderr):
                getattr(datasets, kind)(partial, download=True, **arguments)
        target.mkdir(exist_ok=True)
        for entry in sorted(os.listdir(partial)):
            if os.path.isdir(os.path.join(partial, entry)):
                os.replace(os.path.join(partial, entry), target / entry)
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(
                f"the disk is full while downloading {name}", where=shown(str(base)), remedy="free some space"
            ) from error
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SetupError(
            f"{name} is not on this machine and could not be downloaded: {reason}",
            where=f"expected at {shown(str(target))}",
            remedy=remedy,
        ) from error
    finally:
        if partial:
            shutil.rmtree(partial, ignore_errors=True)
    return _from_torchvision(name, target)


def _writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
