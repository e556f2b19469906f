"""Class and probability of images, from a finished run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ..data import Preprocess, image_files, read_image
from ..engine import Runtime, Watch
from ..errors import DataError
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
    module: nn.Module | None = None,
    watch: Watch | None = None,
) -> list[Prediction]:
    """Predict the class of images with the model that a run chose.

    Args:
        run: Folder of a finished `auto` or `tune` run, or one of its ``.safetensors`` files.
        images: Paths of images or of folders, which are searched whole.
        top: How many classes each ranking holds.
        device: Where to compute.
        module: The network, where the run's was passed as an ``nn.Module``.
        watch: Receives progress.

    Raises:
        DataError: a path is missing, a folder holds no image, or images cannot be read (all are named).
        CheckpointError: the model is missing or altered.
    """
    runtime = Runtime(device)
    model, preprocess, manifest = load_classifier(run, module=module)
    model.to(runtime.device)
    given = [images] if isinstance(images, str | Path) else list(images)
    paths = [found for path in given for found in image_files(Path(path))]
    classes = manifest["class_names"]
    results: list[Prediction] = []
    with (watch or Watch()).stage("predicting", len(paths)) as advance:
        for start in range(0, len(paths), _BATCH):
            chunk = paths[start : start + _BATCH]
            pixels = torch.stack(_pixels(chunk, preprocess)).to(runtime.device)
            with torch.inference_mode():
                probabilities = model(pixels).float().softmax(1).cpu()
            for path, row in zip(chunk, probabilities, strict=True):
                best = row.topk(min(top, len(classes)))
                ranking = tuple((classes[int(i)], float(p)) for p, i in zip(best.values, best.indices, strict=True))
                results.append(Prediction(os.fspath(path), ranking[0][0], ranking[0][1], ranking))
            advance(len(chunk))
    return results


def _pixels(paths: Sequence[Path], preprocess: Preprocess) -> list[torch.Tensor]:
    pixels, bad = [], []
    for path in paths:
        try:
            pixels.append(preprocess.pixels(read_image(path)))
        except DataError as error:
            bad.append(f"{path}: {error.what}")
    if bad:
        raise DataError(f"{len(bad)} image(s) cannot be read: " + "; ".join(bad), remedy="leave them out, or fix them")
    return pixels
