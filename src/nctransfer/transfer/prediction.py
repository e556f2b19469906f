"""From paths of images to classes and probabilities, whatever computes the probabilities. Needs no torch."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Decoding, Preprocess, find_images, read_image, shown
from ..engine import Watch
from ..errors import CheckpointError, DataError, UsageError

__all__ = ["Prediction", "decoding_of", "predict_paths", "temperature_of"]

_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The classes of one image by probability.

    Attributes:
        path: The image.
        label: The most probable class.
        probability: Its probability, in [0, 1].
        ranking: The most probable classes with their probabilities, best first.
        logits: The model's output for every class by its name, where raw ones were asked for; else None.
    """

    path: str
    label: str
    probability: float
    ranking: tuple[tuple[str, float], ...]
    logits: dict[str, float] | None = dataclasses.field(default=None, hash=False)


def decoding_of(manifest: Mapping[str, Any], pixel_limit: int | None = None) -> Decoding:
    """How a model's images are decoded, by its manifest.

    Raises:
        UsageError: the limit is not a positive number.
    """
    if pixel_limit is not None and pixel_limit < 1:
        raise UsageError(f"the pixel limit must be at least 1, got {pixel_limit}", where="--pixel-limit")
    ranges = manifest.get("value_ranges") or {}
    return Decoding(pixel_limit, {kind: (low, high) for kind, (low, high) in ranges.items()})


def temperature_of(manifest: Mapping[str, Any], *, raw: bool = False) -> tuple[float, str]:
    """The temperature that logits are divided by before they become probabilities, by a model's manifest, and a sentence on it.

    Raises:
        CheckpointError: the manifest's temperature is no positive number.

    Example:
        >>> temperature_of({"temperature": 1.3, "calibration": "fitted on 60 held-out images"})
        (1.3, 'probabilities are calibrated: temperature 1.3, fitted on 60 held-out images (--raw: without it)')
        >>> temperature_of({"temperature": 1.3}, raw=True)
        (1.0, 'probabilities are raw: the temperature of 1.3 is left out')
        >>> temperature_of({})
        (1.0, 'probabilities are not calibrated: the run has no temperature')
        >>> temperature_of({"balance": "weights"})[1].partition("; ")[2]
        'classes were balanced (weights), so rare ones are named more often than they occur'
    """
    factor, said = _temperature(manifest, raw)
    balance = manifest.get("balance") or "none"
    more = f"; classes were balanced ({balance}), so rare ones are named more often than they occur"
    return factor, said if balance == "none" else said + more


def _temperature(manifest: Mapping[str, Any], raw: bool) -> tuple[float, str]:
    found = manifest.get("temperature")
    if found is None:
        return 1.0, f"probabilities are not calibrated: {manifest.get('calibration') or 'the run has no temperature'}"
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found < math.inf:
        raise CheckpointError(
            f"the manifest's temperature must be a positive number, got {found!r}",
            where="temperature",
            remedy="restore the manifest, or tune again",
        )
    if raw:
        return 1.0, f"probabilities are raw: the temperature of {found:.3g} is left out"
    return (
        float(found),
        f"probabilities are calibrated: temperature {found:.3g}, {manifest.get('calibration') or 'of the run'} "
        "(--raw: without it)",
    )


def predict_paths(
    images: str | Path | Sequence[str | Path],
    logits_of: Callable[[np.ndarray], np.ndarray],
    preprocess: Preprocess,
    decoding: Decoding,
    classes: Sequence[str],
    *,
    temperature: float = 1.0,
    raw: bool = False,
    top: int = 3,
    on_bad_image: str = "stop",
    watch: Watch | None = None,
) -> list[Prediction]:
    """Predict the class of images.

    Args:
        images: Paths of images or of folders, which are searched whole.
        logits_of: Pixels (N, 3, S, S), uint8, to logits (N, K).
        preprocess: From an image to its pixels.
        decoding: From a file to an image.
        classes: K names.
        temperature: By which logits are divided before they become probabilities.
        raw: Whether the logits are given, too.
        top: How many classes each ranking holds.
        on_bad_image: ``stop`` names all images that cannot be read in one error; ``skip`` names them to ``watch`` and
            leaves them out.
        watch: Receives progress.

    Raises:
        DataError: a path is missing, a folder holds no image, or images cannot be read (all are named).
        UsageError: ``on_bad_image`` is unknown.
    """
    if on_bad_image not in ("stop", "skip"):
        raise UsageError(f"unknown choice {on_bad_image!r}", where="--on-bad-image", remedy="stop or skip")
    watch = watch or Watch()
    paths = _paths(images, watch)
    results: list[Prediction] = []
    bad: list[str] = []
    with watch.stage("predicting", len(paths)) as advance:
        for start in range(0, len(paths), _BATCH):
            chunk = paths[start : start + _BATCH]
            read, pixels = _read(chunk, preprocess, decoding, bad)
            if read and not (bad and on_bad_image == "stop"):  # After a bad image, the rest is read to name them all.
                logits = logits_of(np.ascontiguousarray(np.stack(pixels)))
                rows = zip(read, logits, _softmax(logits / temperature), strict=True)
                results += [_prediction(path, one, row, classes, top, raw) for path, one, row in rows]
            advance(len(chunk))
    if bad and (on_bad_image == "stop" or not results):
        raise DataError(
            f"{len(bad)} of {len(paths)} images cannot be read",
            where="; ".join(bad),
            remedy="fix or remove them" + (", or pass --on-bad-image skip" if on_bad_image == "stop" else ""),
        )
    for entry in bad:
        watch.say(f"warning: skipped {entry}")
    return results


def _paths(images: str | Path | Sequence[str | Path], watch: Watch) -> list[Path]:
    given = [images] if isinstance(images, str | Path) else list(images)
    found: list[Path] = []
    for path in given:
        files, missed = find_images(Path(path))
        found += files
        if missed:
            listed = ", ".join(missed[:5]) + (f" and {len(missed) - 5} more" if len(missed) > 5 else "")
            watch.say(
                f"warning: {len(missed)} files of {shown(os.fspath(path))} are no images that can be read: {listed}"
            )
    return found


def _read(
    paths: Sequence[Path], preprocess: Preprocess, decoding: Decoding, bad: list[str]
) -> tuple[list[Path], list[np.ndarray]]:
    """The images that can be read and their pixels; the others are added to ``bad`` with the reason."""
    read, pixels = [], []
    for path in paths:
        try:
            pixels.append(preprocess.array(read_image(path, decoding)).transpose(2, 0, 1))
            read.append(path)
        except DataError as error:
            bad.append(f"{shown(os.fspath(path))}: {error.what}")
    return read, pixels


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def _prediction(
    path: Path, logits: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], top: int, raw: bool = False
) -> Prediction:
    """Of equal probabilities the first class leads.

    Example:
        >>> found = _prediction(Path("a.png"), np.array([0.0, 1.1]), np.array([0.25, 0.75]), ["cat", "dog"], 1, raw=True)
        >>> found.ranking, found.logits
        ((('dog', 0.75),), {'cat': 0.0, 'dog': 1.1})
    """
    order = np.argsort(-probabilities, kind="stable")[: min(top, len(classes))]
    ranking = tuple((classes[int(index)], float(probabilities[index])) for index in order)
    given = dict(zip(classes, logits.tolist(), strict=True)) if raw else None
    return Prediction(os.fspath(path), ranking[0][0], ranking[0][1], ranking, given)
