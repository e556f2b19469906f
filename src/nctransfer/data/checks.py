"""Every image is decoded once, in full, before anything is computed: what is damaged, how large, what stands twice."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DataError, UsageError
from ..runs import write_bytes
from .depth import RangeFinder
from .images import Decoding, DeepPixels
from .parallel import for_each
from .sources import FileSource, Source
from .splits import ImageSplit

__all__ = [
    "Findings",
    "check_images",
    "drop_bad",
    "find_duplicates",
    "refuse_missing",
    "summarise_sizes",
    "write_skipped",
]

_DIGEST = 16
_FEW_LEVELS = 8  # A deep image that is left with fewer of the 256 levels is nearly black, or nearly one grey.


@dataclass
class Findings:
    """Findings of decoding one split, one entry an image.

    Attributes:
        width, height: Shape (N,); 0 where the image is bad.
        pixel_hash, file_hash: Digests; empty where unknown.
        reason: Why the image is bad; empty where it is not.
        deep: Shape (N,), whether the image holds more than 8 bits a channel.
        flat: Shape (N,), whether all its pixels are one colour; of a deep image, nearly one.
    """

    width: np.ndarray
    height: np.ndarray
    pixel_hash: list[bytes]
    file_hash: list[bytes]
    reason: list[str]
    deep: np.ndarray
    flat: np.ndarray

    def keep(self, good: np.ndarray) -> Findings:
        """The entries at these positions."""
        return Findings(
            self.width[good],
            self.height[good],
            [self.pixel_hash[index] for index in good],
            [self.file_hash[index] for index in good],
            [self.reason[index] for index in good],
            self.deep[good],
            self.flat[good],
        )


def check_images(splits: dict[str, ImageSplit], decoding: Decoding) -> tuple[dict[str, Findings], Decoding]:
    """Decode every image in full, with threads, and find the ranges of values of deep ones.

    Args:
        splits: The splits by name, train first.
        decoding: Ranges of values that it lacks are taken from the training images, or from another split where training
            holds none of a kind.

    Returns:
        The findings of each split (nothing is raised for a bad image), and how images are decoded. The sources of the splits
        decode like this from now on.
    """
    for split in splits.values():
        split.source.decoding = decoding
    finders = {name: RangeFinder(len(split)) for name, split in splits.items()}
    findings = {name: _check_split(split, name, finders[name]) for name, split in splits.items()}
    if any(found.deep.any() for found in findings.values()):
        ranges = dict(decoding.value_ranges)
        for finder in finders.values():
            ranges = {**finder.value_ranges(), **ranges}
        decoding = Decoding(decoding.pixel_limit, ranges)
        for split in splits.values():
            split.source.decoding = decoding
        for name, split in splits.items():
            _check_deep_images(split, findings[name])
    return findings, decoding


def _check_split(split: ImageSplit, name: str, finder: RangeFinder) -> Findings:
    num = len(split)
    found = Findings(
        np.zeros(num, np.int64),
        np.zeros(num, np.int64),
        [b""] * num,
        [b""] * num,
        [""] * num,
        np.zeros(num, bool),
        np.zeros(num, bool),
    )

    def check(index: int) -> None:
        position = int(split.indices[index])
        try:
            content = split.source.content(position)
            if content is not None:
                found.file_hash[index] = hashlib.blake2b(content, digest_size=_DIGEST).digest()
            loaded = split.source.load(position)
        except DataError as error:
            found.reason[index] = error.what
            return
        if isinstance(loaded, DeepPixels):
            found.deep[index] = True
            finder.add(loaded)
        else:
            _note_pixels(found, index, loaded)

    for_each(check, num, what=f"checking {name} images")
    return found


def _check_deep_images(split: ImageSplit, found: Findings) -> None:
    rows = np.flatnonzero(found.deep)

    def check(position: int) -> None:
        index = int(rows[position])
        try:
            image = split.source.image(int(split.indices[index]))
        except DataError as error:
            found.reason[index] = error.what
            return
        _note_pixels(found, index, image)
        found.flat[index] = np.ptp(np.asarray(image)) < _FEW_LEVELS

    for_each(check, len(rows), what=None)


def _note_pixels(found: Findings, index: int, image: Image.Image) -> None:
    found.width[index], found.height[index] = image.size
    size = f"{image.width}x{image.height}".encode()
    found.pixel_hash[index] = hashlib.blake2b(image.tobytes(), digest_size=_DIGEST, person=size[:16]).digest()
    found.flat[index] = all(band[0] == band[1] for band in (image.getextrema() or ()))  # type: ignore[index]


def drop_bad(
    splits: dict[str, ImageSplit],
    findings: dict[str, Findings],
    *,
    on_bad_image: str,
    skip_limit: float,
    skipped_csv: Path | None,
    place: str,
) -> tuple[dict[str, ImageSplit], dict[str, Findings], list[dict[str, str]]]:
    """Stop at bad images, or leave them out.

    Args:
        splits: The splits by name.
        findings: Of each split.
        on_bad_image: ``stop`` or ``skip``.
        skip_limit: Largest fraction of bad images that ``skip`` allows.
        skipped_csv: Where the list of bad images is written, if any.
        place: Where the data lie, for messages.

    Returns:
        Splits and findings without the bad images, and the list of these.

    Raises:
        DataError: there are bad images and ``stop`` was asked for (all are listed), or they are too many.
    """
    if on_bad_image not in ("stop", "skip"):
        raise UsageError(f"`on_bad_image` must be 'stop' or 'skip', got {on_bad_image!r}")
    bad = [
        {"identity": split.identity(index), "split": name, "class": split.class_names[split.labels[index]], "reason": r}
        for name, split in splits.items()
        for index, r in enumerate(findings[name].reason)
        if r
    ]
    if not bad:
        return splits, findings, bad
    total = sum(len(split) for split in splits.values())
    listed = "; ".join(f"{entry['identity']}: {entry['reason']}" for entry in bad)
    if on_bad_image == "stop":
        raise _unreadable(len(bad), total, listed)
    if skipped_csv is not None:
        write_skipped(Path(skipped_csv), bad)
    if len(bad) > skip_limit * total:
        raise DataError(
            f"{len(bad)} of {total} images cannot be read, more than the fraction of {skip_limit:.3g} that may be skipped",
            where=listed,
            remedy="fix them, or raise the skip limit",
        )
    good = {name: np.flatnonzero([not reason for reason in found.reason]) for name, found in findings.items()}
    kept = {name: split.subset(good[name]) for name, split in splits.items()}
    for name, split in kept.items():
        _check_not_emptied(splits[name], split, f"{name} of {place}: {listed}")
    return kept, {name: found.keep(good[name]) for name, found in findings.items()}, bad


def refuse_missing(sources: Iterable[Source]) -> None:
    """Refuse image files that are not there, with the words of `drop_bad`; nothing is opened.

    Raises:
        DataError: files are missing; all are listed.
    """
    files = [source for source in sources if isinstance(source, FileSource)]
    missing = [
        f"{source.identity(row)}: cannot be opened: {os.strerror(errno.ENOENT)}"
        for source in files
        for row, path in enumerate(source.paths)
        if not os.path.exists(path)
    ]
    if missing:
        raise _unreadable(len(missing), sum(len(source.paths) for source in files), "; ".join(missing))


def _unreadable(count: int, total: int, listed: str) -> DataError:
    return DataError(
        f"{count} of {total} images cannot be read",
        where=listed,
        remedy="fix or remove them, or pass --on-bad-image skip",
    )


def summarise_sizes(findings: dict[str, Findings]) -> dict[str, Any]:
    """Widths and heights over all splits: smallest, median, largest, the most frequent size, and the ratio of the longer
    side to the shorter (``aspect``: median, 90 % quantile, largest)."""
    width = np.concatenate([found.width for found in findings.values()])
    height = np.concatenate([found.height for found in findings.values()])
    if not len(width):
        return {}
    aspect = np.maximum(width, height) / np.maximum(np.minimum(width, height), 1)
    common, times = Counter(zip(width.tolist(), height.tolist(), strict=True)).most_common(1)[0]
    return {
        "width": [int(width.min()), float(np.median(width)), int(width.max())],
        "height": [int(height.min()), float(np.median(height)), int(height.max())],
        "most_frequent": list(common),
        "most_frequent_share": times / len(width),
        "aspect": [float(value) for value in np.quantile(aspect, (0.5, 0.9, 1.0))],
    }


def find_duplicates(splits: dict[str, ImageSplit], findings: dict[str, Findings]) -> dict[str, Any]:
    """Images that stand more than once.

    Returns:
        For ``train_test``, ``validation_test`` and ``train_validation``: how many images of the second split have an
        image with the same pixels (``pixels``), or from the same file (``files``), in the first, with ``examples``.
        ``within_train`` counts images of the training split beyond the first of their kind, and
        ``conflicting_labels`` those images of any split whose twin carries another label.
    """
    result: dict[str, Any] = {}
    for first, second in (("train", "test"), ("validation", "test"), ("train", "validation")):
        by_pixels = {digest: index for index, digest in enumerate(findings[first].pixel_hash) if digest}
        by_file = {digest for digest in findings[first].file_hash if digest}
        hits = [(by_pixels[d], index) for index, d in enumerate(findings[second].pixel_hash) if d in by_pixels]
        result[f"{first}_{second}"] = {
            "pixels": len(hits),
            "files": sum(digest in by_file for digest in findings[second].file_hash),
            "examples": [[splits[first].identity(a), splits[second].identity(b)] for a, b in hits[:20]],
        }
    counts = Counter(digest for digest in findings["train"].pixel_hash if digest)
    result["within_train"] = sum(count - 1 for count in counts.values())
    classes: dict[bytes, set[int]] = {}
    for name, split in splits.items():
        for digest, label in zip(findings[name].pixel_hash, split.labels.tolist(), strict=True):
            classes.setdefault(digest, set()).add(label)
    clashing = {digest for digest, labels in classes.items() if digest and len(labels) > 1}
    result["conflicting_labels"] = sum(digest in clashing for found in findings.values() for digest in found.pixel_hash)
    return result


def _check_not_emptied(before: ImageSplit, after: ImageSplit, where: str) -> None:
    lost = np.flatnonzero((after.counts() == 0) & (before.counts() > 0))
    if len(lost):
        names = ", ".join(repr(before.class_names[label]) for label in lost)
        raise DataError(
            f"no readable image of {names} is left", where=where, remedy="fix or add images, or leave the class out"
        )


def write_skipped(path: Path, bad: list[dict[str, str]]) -> None:
    """Write what was left out, one line an image."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["identity", "split", "class", "reason"])
    writer.writeheader()
    writer.writerows(bad)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, text.getvalue().encode("utf-8", "backslashreplace"))
