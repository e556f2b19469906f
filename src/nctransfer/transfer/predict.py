"""Class and probability of images, from a finished run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ..data import Decoding, Preprocess, find_images, read_image, shown
from ..engine import Runtime, Watch
from ..errors import DataError, UsageError
from .handover import load_classifier

__all__ = ["Prediction", "predict"]

_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What the model says of one image.

    Attributes:
        path: The image.
        label: The most probable class.
        probability: Its probability, in [0, 1].
        ranking: The most probable classes with their probabilities, best first.
    """

    path: str
    label: str
    probability: float
    ranking: tuple[tuple[str, float], ...]


def predict(
    run: str | Path,
    images: str | Path | Sequence[str | Path],
    *,
    top: int = 3,
    device: str = "auto",
    on_bad_image: str = "stop",
    pixel_limit: int | None = None,
    module: nn.Module | None = None,
    watch: Watch | None = None,
) -> list[Prediction]:
    """Predict the class of images with the model that a run chose.

    Args:
        run: Folder of a finished `auto` or `tune` run, or one of its ``.safetensors`` files.
        images: Paths of images or of folders, which are searched whole.
        top: How many classes each ranking holds.
        device: Where to compute.
        on_bad_image: ``stop`` names all images that cannot be read in one error; ``skip`` names them to ``watch`` and
            leaves them out.
        pixel_limit: Most pixels of an image; Pillow's own limit where None.
        module: The network, where the run's was passed as an ``nn.Module``.
        watch: Receives progress.

    Raises:
        DataError: a path is missing, a folder holds no image, or images cannot be read (all are named).
        CheckpointError: the model is missing or altered.
    """
    if on_bad_image not in ("stop", "skip"):
        raise UsageError(f"unknown choice {on_bad_image!r}", where="--on-bad-image", remedy="stop or skip")
    if pixel_limit is not None and pixel_limit < 1:
        raise UsageError(f"the pixel limit must be at least 1, got {pixel_limit}", where="--pixel-limit")
    watch = watch or Watch()
    runtime = Runtime(device)
    model, preprocess, manifest = load_classifier(run, module=module)
    model.to(runtime.device)
    paths = _paths(images, watch)
    ranges = {kind: (low, high) for kind, (low, high) in (manifest.get("value_ranges") or {}).items()}
    decoding = Decoding(pixel_limit, ranges)
    classes = manifest["class_names"]
    results: list[Prediction] = []
    bad: list[str] = []
    with watch.stage("predicting", len(paths)) as advance:
        for start in range(0, len(paths), _BATCH):
            chunk = paths[start : start + _BATCH]
            read, pixels = _read(chunk, preprocess, decoding, bad)
            if read and not (bad and on_bad_image == "stop"):  # After a bad image, the rest is read to name them all.
                with torch.inference_mode():
                    probabilities = model(torch.stack(pixels).to(runtime.device)).float().softmax(1).cpu()
                results += [_prediction(path, row, classes, top) for path, row in zip(read, probabilities, strict=True)]
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
) -> tuple[list[Path], list[torch.Tensor]]:
    """The images that can be read and their pixels; the others are added to ``bad`` with the reason."""
    read, pixels = [], []
    for path in paths:
        try:
            pixels.append(preprocess.pixels(read_image(path, decoding)))
            read.append(path)
        except DataError as error:
            bad.append(f"{shown(os.fspath(path))}: {error.what}")
    return read, pixels


def _prediction(path: Path, probabilities: torch.Tensor, classes: list[str], top: int) -> Prediction:
    best = probabilities.topk(min(top, len(classes)))
    ranking = tuple((classes[int(i)], float(p)) for p, i in zip(best.values, best.indices, strict=True))
    return Prediction(os.fspath(path), ranking[0][0], ranking[0][1], ranking)
