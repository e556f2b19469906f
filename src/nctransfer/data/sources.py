"""Where images come from: a source holds the images and labels of one split as they were found.

A source numbers its images from 0. Sources are plain objects that pickle, so that worker processes can read them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ..errors import DataError
from .images import Decoding, DeepPixels, load, render, shown
from .labels import Naming, named_labels

__all__ = ["ArraySource", "EncodedSource", "FileSource", "Found", "JoinedSource", "Source"]


class Source(Protocol):
    """Images and labels of one split, as found. ``labels`` has shape (N,), int64, in [0, number of classes)."""

    labels: np.ndarray
    decoding: Decoding

    def load(self, index: int) -> Image.Image | DeepPixels:
        """The image upright and fully decoded, as RGB or, of more than 8 bits a channel, as it is stored."""
        ...

    def image(self, index: int) -> Image.Image:
        """The image as RGB, upright and fully decoded."""
        ...

    def content(self, index: int) -> bytes | None:
        """The bytes of the encoded file, or None where images are held as pixels."""
        ...

    def identity(self, index: int) -> str:
        """The image's name in messages."""
        ...


@dataclass
class Found:
    """The contents of a place, before splits are drawn.

    Attributes:
        name: Short name of the data set.
        kind: ``folder``, ``parquet``, ``torchvision``, ``hub``, ``embedded``, ``arrays`` or ``torch``.
        place: Path or address, as text.
        sources: Given splits, ``train`` among them.
        class_names: Class names of each given split, in the order of its labels.
        notes: Sentences for the report.
        skipped: ``{"path", "reason"}`` of what was passed over while looking.
        naming: Where the class names of each split come from; see :class:`~nctransfer.data.labels.Labels`.
        empty: For each split, class folders without a readable image and what stands in them.
        groups: For each split, the group of each image, or empty where none are known.
    """

    name: str
    kind: str
    place: str
    sources: dict[str, Source]
    class_names: dict[str, tuple[str, ...]]
    notes: list[str] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    naming: dict[str, Naming] = field(default_factory=dict)
    empty: dict[str, dict[str, str]] = field(default_factory=dict)
    groups: dict[str, np.ndarray] = field(default_factory=dict)


class EncodedSource(ABC):
    """Images as encoded bytes; a child says where the bytes come from."""

    decoding = Decoding()

    @abstractmethod
    def content(self, index: int) -> bytes: ...

    def load(self, index: int) -> Image.Image | DeepPixels:
        return load(self.content(index), self.decoding)

    def image(self, index: int) -> Image.Image:
        return render(self.load(index), self.decoding.value_ranges)


class FileSource(EncodedSource):
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

    def identity(self, index: int) -> str:
        return shown(self.paths[index].removeprefix(self.root))


class ArraySource:
    """Images held as one array.

    Args:
        images: Shape (N, H, W, 3) or (N, H, W), uint8.
        labels: Shape (N,): numbers, names, or one-hot rows.
        what: The name of a row in messages.
        class_names: Names in the order of the numbers; the labels' own where None.
    """

    def __init__(self, images: np.ndarray, labels: Any, what: str = "image", class_names: Any = None) -> None:
        images = np.asarray(images)
        if images.dtype != np.uint8 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3)):
            raise DataError(
                f"`images` must be uint8 of shape (N, H, W, 3) or (N, H, W), got {images.dtype} {images.shape}",
                remedy="scale to 0..255, put channels last and convert with astype('uint8')",
            )
        self.found = named_labels(labels, class_names, f"the {what}s")
        self.images, self.what, self.labels = images, what, self.found.numbers
        self.decoding = Decoding()
        if self.labels.shape != (len(images),):
            raise DataError(f"`labels` must have shape ({len(images)},) as `images` has, got {self.labels.shape}")

    def content(self, index: int) -> None:
        return None

    def load(self, index: int) -> Image.Image:
        return Image.fromarray(self.images[index]).convert("RGB")

    def image(self, index: int) -> Image.Image:
        return self.load(index)

    def identity(self, index: int) -> str:
        return f"{self.what} {index}"


class JoinedSource:
    """Images of several sources as one, the second's after the first's.

    Args:
        parts: Of each source the images that are taken, in order.
        labels: Class of each image, shape (N,).
    """

    def __init__(self, parts: Sequence[tuple[Source, np.ndarray]], labels: np.ndarray) -> None:
        self.parts = [(source, np.asarray(indices, dtype=np.int64)) for source, indices in parts]
        self.labels = labels
        self.decoding: Decoding = parts[0][0].decoding

    def _at(self, index: int) -> tuple[Source, int]:
        for source, indices in self.parts:
            if index < len(indices):
                return source, int(indices[index])
            index -= len(indices)
        raise IndexError(index)

    def load(self, index: int) -> Image.Image | DeepPixels:
        source, place = self._at(index)
        return source.load(place)

    def image(self, index: int) -> Image.Image:
        source, place = self._at(index)
        return source.image(place)

    def content(self, index: int) -> bytes | None:
        source, place = self._at(index)
        return source.content(place)

    def identity(self, index: int) -> str:
        source, place = self._at(index)
        return source.identity(place)
