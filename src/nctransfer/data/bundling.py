"""From what a place holds to a bundle: one list of classes, drawn splits, every image checked, and what must be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UsageError
from .checks import Findings, check_images, drop_bad, find_duplicates, summarise_sizes
from .classes import unify_classes
from .depth import parse_range, ranges_of_splits
from .fingerprint import fingerprint_of
from .images import Decoding
from .notes import data_notes
from .parquet import ParquetSource
from .sources import Found
from .splits import DataBundle, ImageSplit, draw_splits, keep_to

__all__ = ["bundle_of", "limited", "splits_as_found"]


def bundle_of(
    found: Found,
    *,
    seed: int = 0,
    limit: int | None = None,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    on_bad_image: str = "stop",
    skip_limit: float = 0.05,
    skipped_csv: Path | None = None,
    pixel_limit: int | None = None,
    image_range: str = "auto",
    check: bool = True,
) -> DataBundle:
    """The bundle of what was found; arguments as for :func:`~nctransfer.data.open_dataset`."""
    decoding = Decoding(_checked_limit(pixel_limit), parse_range(image_range))
    given = splits_as_found(found)
    class_names = given["train"].class_names
    splits, drawn = draw_splits(
        given,
        seed=seed,
        limit=limit,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        place=found.place,
    )
    for split in splits.values():
        if isinstance(split.source, ParquetSource):
            split.source.gather(split.indices)
    report: dict[str, Any] = {"sizes": {}, "bad": [], "duplicates": None}
    findings: dict[str, Findings] = {}
    if check:
        findings, decoding = check_images(splits, decoding)
        splits, findings, bad = drop_bad(
            splits,
            findings,
            on_bad_image=on_bad_image,
            skip_limit=skip_limit,
            skipped_csv=skipped_csv,
            place=found.place,
        )
        report = {
            "sizes": summarise_sizes(findings),
            "bad": bad,
            "duplicates": find_duplicates(splits, findings),
        }
    else:
        decoding = _decoding_unchecked(splits, decoding)
    report |= {
        "source": {"name": found.name, "kind": found.kind, "place": found.place, "drawn": drawn, "limit": limit},
        "class_names": list(class_names),
        "splits": {name: len(split) for name, split in splits.items()},
        "counts": {
            name: dict(zip(class_names, split.counts().tolist(), strict=True)) for name, split in splits.items()
        },
        "skipped": found.skipped,
        "value_ranges": {kind: list(ends) for kind, ends in decoding.value_ranges.items()},
        "notes": found.notes + data_notes(report, drawn, seed, splits, findings, decoding),
    }
    return DataBundle(
        found.name,
        class_names,
        splits["train"],
        splits["validation"],
        splits["test"],
        report,
        fingerprint_of(given, splits, findings),
    )


def splits_as_found(found: Found) -> dict[str, ImageSplit]:
    """The given splits whole, with one list of classes."""
    class_names, labels = unify_classes(found)
    return {
        split: ImageSplit(source, np.arange(len(source.labels)), labels[split], class_names)
        for split, source in found.sources.items()
    }


def limited(bundle: DataBundle, limit: int, seed: int) -> DataBundle:
    """The same with at most ``limit`` training and validation images together, stratified; the test split stays whole.

    Raises:
        UsageError: the limit leaves less than two images a class.
    """
    splits = keep_to(limit, bundle.train, bundle.splits(), seed)
    report = {
        **bundle.report,
        "source": {**bundle.report["source"], "limit": limit},
        "splits": {name: len(split) for name, split in splits.items()},
        "counts": {
            name: dict(zip(bundle.class_names, split.counts().tolist(), strict=True)) for name, split in splits.items()
        },
    }
    return DataBundle(
        bundle.name,
        bundle.class_names,
        splits["train"],
        splits["validation"],
        splits["test"],
        report,
        bundle.fingerprint,
    )


def _checked_limit(pixel_limit: int | None) -> int | None:
    if pixel_limit is not None and pixel_limit < 1:
        raise UsageError(f"`pixel_limit` must be at least 1, got {pixel_limit}", where="--pixel-limit")
    return pixel_limit


def _decoding_unchecked(splits: dict[str, ImageSplit], decoding: Decoding) -> Decoding:
    for split in splits.values():
        split.source.decoding = decoding
    decoding = Decoding(decoding.pixel_limit, {**ranges_of_splits(splits), **decoding.value_ranges})
    for split in splits.values():
        split.source.decoding = decoding
    return decoding
