"""Data sets of the Hugging Face hub, through the extra ``hub``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError, SetupError, UsageError
from .labels import Labels, named_labels
from .sources import EncodedSource, Found, Source
from .words import SPLIT_NAMES

__all__ = ["HubSource", "find_hub", "find_loaded", "is_hub_object"]

_LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "category")


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
    return find_loaded(loaded, name.replace("/", "_"), f"hf:{name}")


def is_hub_object(data: Any) -> bool:
    """Whether this is a ``Dataset`` or a ``DatasetDict`` of the library ``datasets``."""
    first = next(iter(data.values()), None) if isinstance(data, dict) else data
    return type(first).__module__.split(".")[0] == "datasets"


def find_loaded(loaded: Any, name: str, place: str) -> Found:
    """The splits of a ``DatasetDict``, or of one ``Dataset``.

    Args:
        loaded: The data set of the library ``datasets``.
        name: Short name.
        place: The place that messages name.

    Raises:
        DataError: no training split, or no image column or labels.
    """
    import datasets

    parts = loaded if isinstance(loaded, dict) else {"train": loaded}
    sources: dict[str, Source] = {}
    names: dict[str, tuple[str, ...]] = {}
    found = Found(name, "hub", place, sources, names)
    for given, part in parts.items():
        split = SPLIT_NAMES.get(str(given).lower(), "train" if len(parts) == 1 else "")
        if not split or split in sources:
            found.notes.append(f"warning: the split {str(given)!r} ({_size(part)} images) was left out")
            continue
        if not hasattr(part, "select_columns") or not hasattr(part, "__len__"):
            raise DataError(
                f"{type(part).__name__} cannot be read by index",
                where=place,
                remedy="load the data set without streaming=True",
            )
        source, labels = _open_split(part, place, str(given), datasets)
        if len(labels.numbers) and labels.naming == "declared" and np.all(labels.numbers == -1):
            found.notes.append(f"warning: the {split} split has no labels (all are -1) and was left out")
            continue
        sources[split], names[split], found.naming[split] = source, labels.names, labels.naming
    if "train" not in sources:
        raise DataError(f"no training split among {', '.join(map(str, parts))}", where=place)
    return found


def _size(part: Any) -> str:
    return str(len(part)) if hasattr(part, "__len__") else "?"


class HubSource(EncodedSource):
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

    def identity(self, index: int) -> str:
        return f"row {index} of {self.split}"


def _open_split(part: Any, where: str, split: str, datasets: Any) -> tuple[HubSource, Labels]:
    images = [name for name, feature in part.features.items() if isinstance(feature, datasets.Image)]
    classes = [name for name, feature in part.features.items() if isinstance(feature, datasets.ClassLabel)]
    named = [name for name in _LABEL_COLUMNS if name in part.features]
    if not images or not (classes or named):
        raise DataError(
            f"no {'image' if not images else 'label'} column among {', '.join(part.features)}",
            where=f"{split} of {where}",
            remedy="only data sets for image classification can be used",
        )
    label = next((name for name in named if name in classes), (classes or named)[0])
    encoded = part.select_columns([images[0]]).cast_column(images[0], datasets.Image(decode=False))
    values = part.select_columns([label]).with_format("python")[label][:]
    names = tuple(part.features[label].names) if label in classes else None
    if names is not None and len(values) and all(value == -1 for value in values):
        numbers = np.full(len(values), -1, dtype=np.int64)
        return HubSource(encoded, images[0], numbers, split), Labels(numbers, names, "declared")
    labels = named_labels(values, names, f"{split} of {where}")
    return HubSource(encoded, images[0], labels.numbers, split), labels


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
