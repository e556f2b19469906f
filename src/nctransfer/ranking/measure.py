"""Every column of one candidate, from its features: values, intervals, and values under permuted labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor

from ..errors import NCTransferError
from ..metrics import measure
from ..probes import accuracy_interval, assign_folds, cross_validate, fit_deep
from ..runs import RankValue
from ..scores import NEEDS_SOURCE, FeatureMatrix, prepare, score_all
from .columns import COLUMNS, flag_of

__all__ = ["Columns", "correct_of_probe", "deep_value", "measure_columns"]

Columns = dict[str, RankValue]

_HALVES, _HALVES_OF_SLOW = 12, 6
_DIRECTIONS = 256
_CHEAP = ("nearest_neighbours", "log_me", "h_score", "regularised_h_score", "sfda", "transrate", "gbc")
_SLOW = ("parc", "nleep")
_COLLAPSE = ("nc1", "nc1_calibrated", "cdnv")
_SLOW_LIMIT = 8e10
"""Multiplications that NLEEP may take before it has to be asked for; see `_cost_of_nleep`."""


@dataclasses.dataclass(frozen=True)
class Probed:
    """Whether the probe was right, image by image; NaN where the image was never held out."""

    correct: np.ndarray
    accuracy: float
    null: float | None


def correct_of_probe(
    features: Tensor, labels: Tensor, num_classes: int, seed: int, groups: np.ndarray | None = None
) -> Probed:
    """Cross-validate a linear probe, on these labels and on permuted ones; no group is torn by a fold.

    Raises:
        DataError: no class has two images, or no group can be held out.
    """
    folds = assign_folds(labels, seed=seed, groups=groups)
    found = cross_validate({"penultimate": features}, labels, folds, num_classes=num_classes, tolerance=1e-2)
    correct = np.full(len(labels), np.nan)
    held = found.held.numpy()
    correct[held] = (found.held_logits.argmax(1) == labels).numpy()[held]
    null = None
    permuted = labels[torch.from_numpy(np.random.default_rng(seed).permutation(len(labels)))]
    with suppress(NCTransferError):
        folds = assign_folds(permuted, num_folds=3, seed=seed)
        null = cross_validate({"p": features}, permuted, folds, num_classes=num_classes, tolerance=1e-1).accuracy
    return Probed(correct, found.accuracy, null)


def measure_columns(
    features: Tensor,
    labels: Tensor,
    probed: Probed | None,
    *,
    num_classes: int,
    source_probabilities: Tensor | None = None,
    seed: int = 0,
    slow: bool = False,
) -> Columns:
    """Every column that looks at the images, but NCTI and the deep probe.

    Intervals of accuracies are of the binomial kind. Those of the others are half-sample bootstraps: the value ± Student's
    quantile times the standard deviation over 12 random halves of the images (6 for NLEEP and PARC, which take most of the
    time; stratified, without replacement), in the features' leading 256 directions. Resampling with replacement would put
    copies of an image among its own neighbours and into its own class, which most of these numbers take for collapse. On
    Gaussian classes the 95 % intervals hold the
    mean of fresh draws in 88 to 100 % of cases (``tests/ranking/test_intervals.py``).

    Args:
        features: Penultimate features (N, D).
        labels: Shape (N,).
        probed: What the probe said; None where it is undefined.
        num_classes: K.
        source_probabilities: The source classifier's softmax (N, Z), for LEEP and NCE.
        seed: Of permutations and halves.
        slow: Whether NLEEP and PARC are computed however long they take.
    """
    rng = np.random.default_rng(seed)
    samples = prepare(features.numpy(), labels.numpy())
    samples.spectrum, samples.raw_spectrum, samples.raw_coordinates  # noqa: B018  # once, for all relabellings
    permuted = labels.numpy()[rng.permutation(len(labels))]
    halves = [_half(labels.numpy(), rng) for _ in range(_HALVES)]
    left_out: dict[str, str] = {}
    names = [*_CHEAP]
    dims = min(samples.num_samples, samples.dim)
    for name in _SLOW:
        cost = _cost_of_nleep(samples.num_samples, dims, 5 * num_classes) if name == "nleep" else 0.0
        if slow or cost <= _SLOW_LIMIT:
            names.append(name)
        else:
            left_out[name] = "left out: it would take minutes; ask for it with --slow-scores"
    values: Columns = {}
    if probed is not None:
        values["probe"] = _accuracy("probe", probed.correct[np.isfinite(probed.correct)], probed.null, num_classes)
    parts = _scores(samples, names, seed)
    nulls = _scores(samples.relabelled(permuted), names, seed)[0]
    quick = [name for name in names if name not in _SLOW]
    jittered = [
        _scores(samples.rows(half, most=_DIRECTIONS), names if number < _HALVES_OF_SLOW else quick, seed)[0]
        for number, half in enumerate(halves)
    ]
    for name in names:
        spread = _spread([found.get(name) for found in jittered])
        values[name] = _value(name, parts[0].get(name), spread, nulls.get(name), num_classes, parts[1].get(name, ""))
    for name, note in left_out.items():
        values[name] = RankValue(value=None, note=note)
    values |= _collapse(features, labels, samples, halves, num_classes, seed)
    values |= _source(source_probabilities, labels, permuted, halves, num_classes)
    return {name: values[name] for name in COLUMNS if name in values}


def _cost_of_nleep(rows: int, dims: int, components: int) -> float:
    """Multiplications: some 20 rounds of k-means, and densities by rows where components have few, else some 100 rounds."""
    each = float(rows) * dims * components
    return 20 * each + float(rows) ** 2 * dims if 2 * rows <= dims * components else 100 * each


def deep_value(
    features: Mapping[str, Tensor],
    labels: Tensor,
    *,
    num_classes: int,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> RankValue:
    """The cross-validated accuracy of one head over all layers; no group is torn by a fold."""
    try:
        found = fit_deep(
            dict(features),
            labels,
            assign_folds(labels, num_folds=3, seed=seed, groups=groups),
            num_classes=num_classes,
            tolerance=1e-2,
        ).joint
    except NCTransferError as error:
        return RankValue(value=None, note=str(error))
    held = found.held
    correct = (found.held_logits.argmax(1) == labels)[held].double().numpy()
    permuted = labels[torch.from_numpy(np.random.default_rng(seed).permutation(len(labels)))]
    null = None
    with suppress(NCTransferError):
        folds = assign_folds(permuted, num_folds=2, seed=seed)
        null = fit_deep(dict(features), permuted, folds, num_classes=num_classes, tolerance=1e-1).joint.accuracy
    return _accuracy("deep", correct, null, num_classes)


def _accuracy(name: str, correct: np.ndarray, null: float | None, num_classes: int) -> RankValue:
    value = float(correct.mean())
    low, high = accuracy_interval(round(value * len(correct)), len(correct))
    flag = flag_of(COLUMNS[name], value, low, high, null, num_classes)
    return RankValue(value=value, low=low, high=high, null=null, flag=flag)


def _value(
    name: str, value: float | None, spread: float | None, null: float | None, num_classes: int, note: str = ""
) -> RankValue:
    if value is None:
        return RankValue(value=None, note=note)
    low, high = (None, None) if spread is None else (value - spread, value + spread)
    bound = COLUMNS[name].bound
    if bound is not None and low is not None and high is not None:
        edge = bound(num_classes)
        low, high = (low, max(value, min(high, edge))) if COLUMNS[name].larger else (min(value, max(low, edge)), high)
    return RankValue(
        value=value,
        low=low,
        high=high,
        null=null,
        flag=flag_of(COLUMNS[name], value, low, high, null, num_classes),
        note=note,
    )


def _scores(samples: FeatureMatrix, names: list[str], seed: int) -> tuple[dict[str, float | None], dict[str, str]]:
    try:
        found = score_all(samples, None, only=names, seed=seed)
    except NCTransferError as error:
        return {}, dict.fromkeys(names, str(error))
    return dict(found), dict(found.notes)


def _collapse(
    features: Tensor, labels: Tensor, samples: FeatureMatrix, halves: list[np.ndarray], num_classes: int, seed: int
) -> Columns:
    def of(matrix: Any, numbers: Any, permutations: int = 0) -> Any:
        return measure(matrix, numbers, num_classes=num_classes, permutations=permutations, seed=seed)

    try:
        whole = of(features, labels, 10)
    except NCTransferError as error:
        return {name: RankValue(value=None, note=str(error)) for name in _COLLAPSE}
    jittered: list[Any] = []
    for half in halves:
        part = samples.rows(half, most=_DIRECTIONS)
        try:
            jittered.append(measure(part.features, part.labels, permutations=0, seed=seed))
        except NCTransferError:
            continue
    rng = np.random.default_rng(seed)
    nulls: dict[str, float | None] = {"nc1": whole.nc1_null_mean}
    with suppress(NCTransferError):
        relabelled = of(features, labels[torch.from_numpy(rng.permutation(len(labels)))])
        nulls |= {name: getattr(relabelled, name) for name in ("nc1_calibrated", "cdnv")}
    return {
        name: _value(
            name,
            getattr(whole, name),
            _spread([getattr(found, name) for found in jittered]),
            nulls.get(name),
            num_classes,
            dict(whole.notes).get(name, ""),
        )
        for name in _COLLAPSE
    }


def _source(
    probabilities: Tensor | None, labels: Tensor, permuted: np.ndarray, halves: list[np.ndarray], num_classes: int
) -> Columns:
    names = sorted(NEEDS_SOURCE)
    if probabilities is None:
        return {name: RankValue(value=None, note="no source classifier came with the weights") for name in names}

    def of(rows: Any, numbers: Any) -> dict[str, float | None]:
        from ..scores import leep, nce

        functions: dict[str, Callable[..., float]] = {"leep": leep, "nce": nce}
        try:
            return {name: functions[name](rows, numbers) for name in names}
        except NCTransferError:
            return {}

    matrix = probabilities.double().numpy()
    whole, nulls = of(matrix, labels.numpy()), of(matrix, permuted)
    jittered = [of(matrix[half], labels.numpy()[half]) for half in halves]
    return {
        name: _value(
            name, whole.get(name), _spread([found.get(name) for found in jittered]), nulls.get(name), num_classes
        )
        for name in names
    }


def _half(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half of the images, of every class half."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    return np.sort(order[int(rng.integers(2)) :: 2])


def _spread(values: list[float | None]) -> float | None:
    """Half the width of the interval that halves show; their variance is that of the whole, as n/(N−n) is 1."""
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(stdtrit(len(known) - 1, 0.975) * np.std(known, ddof=1)) if len(known) >= 3 else None
