"""A smaller data set out of a larger one: some of the classes, some images of each."""

from __future__ import annotations

import numpy as np

from ..errors import UsageError
from .splits import DataBundle, ImageSplit

__all__ = ["narrow"]


def narrow(
    bundle: DataBundle,
    *,
    classes: tuple[int, int] | None = None,
    per_class: int | None = None,
    test_per_class: int | None = None,
    part: tuple[int, int] | None = None,
) -> DataBundle:
    """Some classes of a data set, and at most so many images of each.

    Which images stay follows from the order of the splits alone, so it is the same whatever else is asked for.

    Args:
        bundle: The whole.
        classes: From the first of these to before the second, in the order of the class names; all where None.
        per_class: Training and validation images of a class together, shared out as the whole is; all where None.
        test_per_class: Test images of a class; all where None.
        part: ``(k, n)`` takes of each class every n-th training and validation image from the k-th on, so that the n parts
            have no image in common; the test images are the same for all.

    Raises:
        UsageError: the range of classes is empty or reaches beyond the data set's, or there is no such part.

    Example:
        >>> from nctransfer.data import open_dataset
        >>> small = narrow(open_dataset("digits", check=False), classes=(5, 10), per_class=20, test_per_class=4)
        >>> small.class_names, len(small.train), len(small.validation), len(small.test)
        (('5', '6', '7', '8', '9'), 80, 20, 20)
    """
    first, last = classes or (0, len(bundle.class_names))
    if not 0 <= first < last <= len(bundle.class_names):
        raise UsageError(
            f"classes {first} to {last} cannot be taken from {len(bundle.class_names)}",
            where=bundle.name,
            remedy=f"name a range within 0 to {len(bundle.class_names)}",
        )
    if part is not None and not 0 <= part[0] < part[1]:
        raise UsageError(f"there is no part {part[0]} of {part[1]}", where=bundle.name, remedy="count parts from 0")
    names = bundle.class_names[first:last]
    num_train, num_validation = len(bundle.train), len(bundle.validation)
    kept_validation = (
        None if per_class is None else max(1, round(per_class * num_validation / (num_train + num_validation)))
    )
    kept_train = None if per_class is None or kept_validation is None else max(1, per_class - kept_validation)
    most = {"train": kept_train, "validation": kept_validation, "test": test_per_class}
    splits = {
        name: _narrowed(split, first, names, most[name], None if name == "test" else part)
        for name, split in bundle.splits().items()
    }
    report = {
        **bundle.report,
        "class_names": list(names),
        "splits": {name: len(split) for name, split in splits.items()},
        "counts": {name: dict(zip(names, split.counts().tolist(), strict=True)) for name, split in splits.items()},
    }
    return DataBundle(
        bundle.name, names, splits["train"], splits["validation"], splits["test"], report, bundle.fingerprint
    )


def _narrowed(
    split: ImageSplit, first: int, names: tuple[str, ...], most: int | None, part: tuple[int, int] | None
) -> ImageSplit:
    taken = slice(None) if part is None else slice(part[0], None, part[1])
    rows = [np.flatnonzero(split.labels == first + label)[taken][:most] for label in range(len(names))]
    chosen = np.sort(np.concatenate(rows))
    groups = None if split.groups is None else split.groups[chosen]
    return ImageSplit(split.source, split.indices[chosen], split.labels[chosen] - first, names, groups)
