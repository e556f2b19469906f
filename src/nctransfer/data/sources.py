"""Where images come from: a source holds the images and labels of one split as they were found.

A source numbers its images from 0. Sources are plain objects that pickle, so that worker processes can read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ..errors import DataError
from .images import decode, shown, to_rgb

__all__ = ["ArraySource", "FileSource", "Found", "MapSource", "Source", "labels_of"]


class Source(Protocol):
    """Images and labels of one split, as found. ``labels`` has shape (N,), int64, in [0, number of classes)."""

    labels: np.ndarray

    def image(self, index: int) -> Image.Image:
        """The image as RGB, upright and fully decoded."""
        ...

    def content(self, index: int) -> bytes | None:
        """The bytes of the encoded file, or None where images are held as pixels."""
        ...

    def identity(self, index: int) -> str:
        """What a message calls the image."""
        ...


@dataclass
class Found:
    """What a place holds, before splits are drawn.

    Attributes:
        name: Short name of the data set.
        kind: ``folder``, ``parquet``, ``torchvision``, ``hub``, ``embedded``, ``arrays`` or ``torch``.
        place: Path or address, as text.
        sources: Given splits, ``train`` among them.
        class_names: Class names of each given split, in the order of its labels.
        notes: Sentences for the report.
        skipped: ``{"path", "reason"}`` of what was passed over while looking.
    """

    name: str
    kind: str
    place: str
    sources: dict[str, Source]
    class_names: dict[str, tuple[str, ...]]
    notes: list[str] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)


class FileSource:
    """Image files on disk.

    Args:
        paths: Paths of the files, as the system gives them.
        labels: Class of each file.
        root: Left out at the front of a path when it is shown.
    """

    def __init__(self, paths: Sequence[str], labels: Sequence[int] | np.ndarray, root: str = "") -> None:
        self.paths = list(paths)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.root = root.rstrip("/") + "/" if root else ""

    def content(self, index: int) -> bytes:
        try:
            with open(self.paths[index], "rb") as file:
                return file.read()
        except OSError as error:
            raise DataError(f"cannot be opened: {error.strerror or error}") from error

    def image(self, index: int) -> Image.Image:
        return decode(self.content(index))

    def identity(self, index: int) -> str:
        return shown(self.paths[index].removeprefix(self.root))


class ArraySource:
    """Images held as one array.

    Args:
        images: Shape (N, H, W, 3) or (N, H, W), uint8.
        labels: Shape (N,).
        what: What the rows are called in messages.
    """

    def __init__(self, images: np.ndarray, labels: Any, what: str = "image") -> None:
        images = np.asarray(images)
        if images.dtype != np.uint8 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3)):
            raise DataError(
                f"`images` must be uint8 of shape (N, H, W, 3) or (N, H, W), got {images.dtype} {images.shape}",
                remedy="scale to 0..255, put channels last and convert with astype('uint8')",
            )
        self.images = images
        self.labels = np.asarray(labels, dtype=np.int64)
        self.what = what
        if self.labels.shape != (len(images),):
            raise DataError(f"`labels` must have shape ({len(images)},) as `images` has, got {self.labels.shape}")

    def content(self, index: int) -> None:
        return None

    def image(self, index: int) -> Image.Image:
        return Image.fromarray(self.images[index]).convert("RGB")

    def identity(self, index: int) -> str:
        return f"{self.what} {index}"


class MapSource:
    """A torch map-style data set of (image, label): PIL images, or tensors (C, H, W) of uint8 or in [0, 1]."""

    def __init__(self, dataset: Any, what: str = "item") -> None:
        self.dataset = dataset
        self.labels = labels_of(dataset)
        self.what = what

    def content(self, index: int) -> None:
        return None

    def image(self, index: int) -> Image.Image:
        return _as_image(self.dataset[index][0])

    def identity(self, index: int) -> str:
        return f"{self.what} {index}"


def labels_of(dataset: Any) -> np.ndarray:
    """Labels of a torch map-style data set, without reading images where it keeps a list of them.

    Returns:
        Labels, shape (N,), int64.
    """
    if hasattr(dataset, "dataset") and hasattr(dataset, "indices"):  # torch.utils.data.Subset
        return labels_of(dataset.dataset)[np.asarray(dataset.indices, dtype=np.int64)]
    if getattr(dataset, "target_transform", None) is None:
        for attribute in ("targets", "labels", "_labels"):
            labels = getattr(dataset, attribute, None)
            if labels is not None and len(labels) == len(dataset):
                return np.asarray(labels, dtype=np.int64)
    return np.array([int(dataset[index][1]) for index in range(len(dataset))], dtype=np.int64)


def _as_image(value: Any) -> Image.Image:
    if isinstance(value, Image.Image):
        value.load()
        return to_rgb(value)
    array = np.asarray(value)
    channels_first = array.ndim == 3 and array.shape[0] in (1, 3)
    if channels_first and (hasattr(value, "permute") or array.shape[-1] not in (1, 3)):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if np.issubdtype(array.dtype, np.floating):
        if array.size and not (array.min() >= 0 and array.max() <= 1):
            raise DataError(
                f"a floating-point image must lie in [0, 1], got [{array.min():.3g}, {array.max():.3g}]",
                remedy="pass the data set without its Normalize transform; each network brings its own",
            )
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] != 3):
        raise DataError(
            f"an image must be a PIL image or a tensor (3, H, W) of uint8 or [0, 1], got {array.dtype} {array.shape}"
        )
    return Image.fromarray(array).convert("RGB")
