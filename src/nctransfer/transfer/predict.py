"""Class and probability of images, from a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..engine import Runtime, Watch
from .handover import load_classifier
from .prediction import Prediction, decoding_of, predict_paths, temperature_of

__all__ = ["predict"]


def predict(
    run: str | Path,
    images: str | Path | Sequence[str | Path],
    *,
    top: int = 3,
    device: str = "auto",
    on_bad_image: str = "stop",
    pixel_limit: int | None = None,
    raw: bool = False,
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
        raw: Give the logits as they are, and their softmax; otherwise the softmax of the logits divided by the temperature
            that was fitted on held-out images, where the run has one.
        module: The network, where the run's was passed as an ``nn.Module``.
        watch: Receives progress.

    Raises:
        DataError: a path is missing, a folder holds no image, or images cannot be read (all are named).
        CheckpointError: the model is missing or altered.
    """
    runtime, watch = Runtime(device), watch or Watch()
    model, preprocess, manifest = load_classifier(run, module=module)
    temperature, said = temperature_of(manifest, raw=raw)
    watch.say(said)
    model.to(runtime.device)

    def logits_of(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(pixels).to(runtime.device)).float().cpu().numpy()

    return predict_paths(
        images,
        logits_of,
        preprocess,
        decoding_of(manifest, pixel_limit),
        manifest["class_names"],
        temperature=temperature,
        raw=raw,
        top=top,
        on_bad_image=on_bad_image,
        watch=watch,
    )
