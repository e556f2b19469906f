"""From what a place holds to a bundle: one list of classes, drawn splits, every image checked, and what must be told."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, UsageError
from .checks import Findings, check_images, drop_bad, find_duplicates, refuse_missing, summarise_sizes
from .classes import unify_classes
from .depth import parse_range, ranges_of_splits
from .fingerprint import fingerprint_of
from .grouped import check_apart, groups_by_pattern
from .images import Decoding
from .kin import notes_on_groups, report_of_groups
from .notes import data_notes
from .parquet import ParquetSource
from .sources import FileSource, Found
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
    group_pattern: str | None = None,
) -> DataBundle:
    """The bundle of what was found; arguments as for :func:`~nctransfer.data.open_dataset`."""
    decoding = Decoding(_checked_limit(pixel_limit), parse_range(image_range))
    draw = partial(
        draw_splits,
        seed=seed,
        limit=limit,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        place=found.place,
    )
    try:
        given = splits_as_found(found, group_pattern)
        check_apart({name: split.groups for name, split in given.items()}, found.place)
        splits, drawn, grouping = _drawn(given, draw)
    except DataError:
        # Too few images and only one class say less than the name of a file that is not there.
        if on_bad_image == "stop":
            refuse_missing(found.sources.values())
        raise
    for split in splits.values():
        if isinstance(split.source, ParquetSource):
            split.source.gather(split.indices)
    seen: dict[str, Any] = {"sizes": {}, "bad": [], "duplicates": None}
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
        seen = {"sizes": summarise_sizes(findings), "bad": bad, "duplicates": find_duplicates(splits, findings)}
    else:
        decoding = _decoding_unchecked(splits, decoding)
    report = seen | {
        "source": {"name": found.name, "kind": found.kind, "place": found.place, "drawn": drawn, "limit": limit},
        "class_names": list(given["train"].class_names),
        **_counted(splits),
        "skipped": found.skipped,
        "value_ranges": {kind: list(ends) for kind, ends in decoding.value_ranges.items()},
        "notes": found.notes
        + data_notes(seen, drawn, seed, splits, findings, decoding)
        + notes_on_groups(grouping, splits, drawn),
    }
    if grouping is not None:
        report["groups"] = grouping
    return _bundle(found.name, splits, report, fingerprint_of(given, splits, findings))


def splits_as_found(found: Found, group_pattern: str | None = None) -> dict[str, ImageSplit]:
    """The given splits whole, with one list of classes, and the groups of the source or of a pattern on its paths."""
    class_names, labels = unify_classes(found)
    groups = found.groups
    if group_pattern is not None:
        without = [split for split, source in found.sources.items() if not isinstance(source, FileSource)]
        if without:
            raise UsageError(
                "a pattern needs images that are files, each with its path",
                where="--group-pattern",
                remedy="leave it out, or name a column with --group-column",
            )
        groups = {
            split: groups_by_pattern([source.identity(row) for row in range(len(source.labels))], group_pattern)
            for split, source in found.sources.items()
        }
    return {
        split: ImageSplit(source, np.arange(len(source.labels)), labels[split], class_names, groups.get(split))
        for split, source in found.sources.items()
    }


def limited(bundle: DataBundle, limit: int, seed: int) -> DataBundle:
    """The same with at most ``limit`` training and validation images together, stratified; the test split stays whole.

    Raises:
        UsageError: the limit leaves less than two images a class.
    """
    splits = keep_to(limit, bundle.train, bundle.splits(), seed)
    report = {**bundle.report, "source": {**bundle.report["source"], "limit": limit}, **_counted(splits)}
    return _bundle(bundle.name, splits, report, bundle.fingerprint)


def _drawn(
    given: dict[str, ImageSplit], draw: Callable[[dict[str, ImageSplit]], tuple[dict[str, ImageSplit], list[str]]]
) -> tuple[dict[str, ImageSplit], list[str], dict[str, Any] | None]:
    """The three splits, the names of those that were drawn, and of grouped images what the groups changed."""
    splits, drawn = draw(given)
    if all(split.groups is None for split in given.values()):
        return splits, drawn, None
    by_images = draw({name: split.without_groups() for name, split in given.items()})[0]
    return splits, drawn, report_of_groups(splits, by_images, drawn, given["train"].groups)


def _counted(splits: dict[str, ImageSplit]) -> dict[str, Any]:
    """The images of each split, and of each class in it."""
    return {
        "splits": {name: len(split) for name, split in splits.items()},
        "counts": {
            name: dict(zip(split.class_names, split.counts().tolist(), strict=True)) for name, split in splits.items()
        },
    }


def _bundle(
    name: str, splits: dict[str, ImageSplit], report: dict[str, Any], fingerprint: dict[str, Any]
) -> DataBundle:
    parts = splits["train"], splits["validation"], splits["test"]
    return DataBundle(name, splits["train"].class_names, *parts, report, fingerprint)


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
