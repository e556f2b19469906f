"""A word of interpretation for each number, for tables read by people who have not read the paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["WORDS", "verdict"]

WORDS = {
    "nc1": "spread within classes over spread between them, 0 when collapsed",
    "nc1_null_mean": "what NC1 would be without any class structure",
    "nc1_null_std": "how far that varies by chance",
    "nc1_calibrated": "NC1 freed of the bias of few samples; compare this across data sets",
    "cdnv": "spread over distance, averaged over pairs of classes, 0 when collapsed",
    "numerical_rank": "directions that a class fills, its mean included",
    "numerical_rank_centered": "directions that the spread of a class fills",
    "equinorm": "how unequal the class means' lengths are, 0 when equal",
    "equiangularity": "how unequal their angles are, 0 when equal",
    "etf_angle_error": "how far their angles are from the widest possible, 0 at best",
    "etf_error": "distance of the class means from a simplex, 0 at best",
    "self_duality": "distance between classifier and class means, 0 to 4",
    "ncc_agreement": "share of samples on which classifier and nearest class mean agree",
    "vci": "share of the class directions that spread blurs, 0 when collapsed",
    "class_separation": "share of cosine distance that lies between classes, 1 when collapsed",
    "rank_between": "directions that tell classes apart",
    "condition_between": "longest of them over shortest, squared",
}

# Bounds and words from strongly collapsed on; below the first bound the first word holds, and so on.
SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "nc1": ((0.1, "strongly collapsed"), (1, "collapsed"), (5, "partly collapsed"), (float("inf"), "little collapsed")),
    "nc1_calibrated": (
        (0.1, "strongly collapsed"),
        (1, "collapsed"),
        (5, "partly collapsed"),
        (float("inf"), "little collapsed"),
    ),
    "cdnv": ((0.1, "classes far apart"), (0.5, "classes apart"), (float("inf"), "classes overlap")),
    "equinorm": ((0.1, "nearly equal"), (0.3, "similar"), (float("inf"), "unequal")),
    "equiangularity": ((0.1, "nearly equal"), (0.3, "similar"), (float("inf"), "unequal")),
    "etf_angle_error": ((0.1, "near the simplex"), (0.3, "on the way to it"), (float("inf"), "far from it")),
    "etf_error": ((0.2, "near the simplex"), (0.6, "on the way to it"), (float("inf"), "far from it")),
    "self_duality": ((0.2, "aligned"), (1, "partly aligned"), (float("inf"), "not aligned")),
    "ncc_agreement": ((0.5, "they differ"), (0.95, "they often agree"), (float("inf"), "they agree")),
    "vci": ((0.1, "strongly collapsed"), (0.5, "partly collapsed"), (float("inf"), "little collapsed")),
    "class_separation": ((0.2, "little separated"), (0.6, "separated"), (float("inf"), "strongly separated")),
    "condition_between": ((100, "even"), (1e6, "uneven"), (float("inf"), "some directions nearly missing")),
}

OF_CLASSIFIER = ("self_duality", "ncc_agreement")


def verdict(metric: str, numbers: Mapping[str, Any]) -> str:
    """The word for one of the numbers of ``Collapse.to_dict()``.

    Example:
        >>> verdict("nc1", {"nc1": 0.05})
        'strongly collapsed'
    """
    value = numbers[metric]
    if (
        metric in SCALES
        and metric not in OF_CLASSIFIER
        and "no class structure" in numbers.get("notes", {}).get("nc1", "")
    ):
        return "no more structure than chance" if metric == "nc1" else "without class structure it says nothing"
    if metric == "nc1_null_mean" and numbers.get("nc1") is not None:
        return f"NC1 is {numbers['nc1'] / value:.2g} of it" if value else "zero"
    if metric == "rank_between":
        classes = sum(count > 0 for count in numbers["counts"])
        return f"of at most {classes - 1}"
    if metric not in SCALES:
        return "about 1 is most collapsed" if metric.startswith("numerical_rank") else "see the line above"
    return next(word for bound, word in SCALES[metric] if value < bound)
