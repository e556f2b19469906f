"""Data sets of the Hugging Face hub, through the extra ``hub``."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from ..errors import DataError, SetupError, UsageError
from .folder import SPLIT_NAMES
from .images import decode
from .sources import Found, Source

__all__ = ["HubSource", "find_hub"]


def find_hub(name: str) -> Found:
    """Open a data set of the Hugging Face hub with the library ``datasets``.

    Args:
        name: ``OWNER/NAME``, or ``OWNER/NAME:CONFIGURATION``.

    Returns:
        Its splits.

    Raises:
        SetupError: the library is not installed, or the hub cannot be reached.
        UsageError: the hub has no such data set.
        DataError: it has no image column or no labels.
    """
    try:
        import datasets
    except ImportError as error:
        raise SetupError(
            "the library 'datasets' is not installed", where=f"hf:{name}", remedy="pip install 'nctransfer[hub]'"
        ) from error
    path, _, configuration = name.partition(":")
    try:
        loaded = datasets.load_dataset(path, configuration or None)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise UsageError(_first_line(error), where=f"hf:{name}", remedy="check the name on the hub") from error
    except ValueError as error:
        raise UsageError(_first_line(error), where=f"hf:{name}", remedy="check name and configuration") from error
    except (OSError, RuntimeError) as error:
        raise SetupError(
            f"the hub cannot be reached: {_first_line(error)}",
            where=f"hf:{name}",
            remedy="run once with a network, or pass a folder with the Parquet files of the data set",
        ) from error
    sources: dict[str, Source] = {}
    names: dict[str, tuple[str, ...]] = {}
    notes = []
    for given, part in loaded.items():
        split = SPLIT_NAMES.get(str(given).lower(), "train" if len(loaded) == 1 else "")
        if not split or split in sources:
            notes.append(f"the split {given!r} was left out")
            continue
        sources[split], names[split] = _open_split(part, f"hf:{name}", str(given), datasets)
    if "train" not in sources:
        raise DataError(f"no training split among {', '.join(map(str, loaded))}", where=f"hf:{name}")
    return Found(name.replace("/", "_"), "hub", f"hf:{name}", sources, names, notes)


class HubSource:
    """One split of a ``datasets.DatasetDict``, with images as encoded bytes."""

    def __init__(self, dataset: Any, column: str, labels: np.ndarray, split: str) -> None:
        self.dataset, self.column, self.labels, self.split = dataset, column, labels, split

    def content(self, index: int) -> bytes:
        value = self.dataset[int(index)][self.column]
        if value.get("bytes") is None and value.get("path"):
            try:
                with open(value["path"], "rb") as file:
                    return file.read()
            except OSError as error:
                raise DataError(f"cannot be opened: {error.strerror or error}") from error
        return value.get("bytes") or b""

    def image(self, index: int) -> Image.Image:
        return decode(self.content(index))

    def identity(self, index: int) -> str:
        return f"row {index} of {self.split}"


def _open_split(part: Any, where: str, split: str, datasets: Any) -> tuple[HubSource, tuple[str, ...]]:
    images = [name for name, feature in part.features.items() if isinstance(feature, datasets.Image)]
    classes = [name for name, feature in part.features.items() if isinstance(feature, datasets.ClassLabel)]
    if not images or not classes:
        raise DataError(
            f"no {'image' if not images else 'ClassLabel'} column among {', '.join(part.features)}",
            where=f"{split} of {where}",
            remedy="only data sets for image classification can be used",
        )
    label = next((name for name in ("label", "labels", "fine_label") if name in classes), classes[0])
    encoded = part.select_columns([images[0]]).cast_column(images[0], datasets.Image(decode=False))
    labels = np.asarray(part.with_format("numpy")[label][:], dtype=np.int64)
    names = tuple(part.features[label].names)
    wrong = np.flatnonzero((labels < 0) | (labels >= len(names)))
    if len(wrong):
        raise DataError(
            f"labels must lie in [0, {len(names)}), got {labels[wrong[0]]} at row {wrong[0]}",
            where=f"{split} of {where}",
            remedy="use the splits that carry labels: save them as Parquet files and pass their folder",
        )
    return HubSource(encoded, images[0], labels, split), names


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
