"""Prediction from an exported ONNX model: NumPy, Pillow and onnxruntime, no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data import Preprocess
from ..engine import Watch
from ..errors import CheckpointError, SetupError
from ..transfer import Prediction, decoding_of, predict_paths, temperature_of

__all__ = ["MANIFEST_FORMAT", "find_exported", "manifest_path", "open_session", "predict_exported"]

MANIFEST_FORMAT = "nctransfer-export"


def manifest_path(model: Path) -> Path:
    """The manifest of an exported model: the same name with ``.json`` for its last suffix."""
    return model.with_suffix(".json")


def find_exported(run: str | Path) -> Path | None:
    """The exported ONNX model that a path names: the file itself, or the one in a folder of exports; None for others."""
    path = Path(run)
    if path.is_dir() and not (path / "config.json").exists():
        path = path / "model.onnx"
    return path if path.suffix == ".onnx" and path.is_file() else None


def open_session(path: Path, *, threads: int = 0) -> Any:
    """An inference session on the processor.

    Raises:
        SetupError: onnxruntime is not installed.
        CheckpointError: the file is damaged.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise SetupError("onnxruntime is not installed", remedy="pip install 'nctransfer[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        raise CheckpointError(
            f"not a sound ONNX file: {first[:200]}", where=str(path), remedy="export it again"
        ) from error


def predict_exported(
    model: str | Path,
    images: str | Path | Sequence[str | Path],
    *,
    top: int = 3,
    on_bad_image: str = "stop",
    pixel_limit: int | None = None,
    raw: bool = False,
    watch: Watch | None = None,
) -> list[Prediction]:
    """Predict the class of images with an exported ONNX model.

    Args:
        model: The ``.onnx`` file that :func:`export_run` wrote, or its folder; the manifest lies beside it.
        images: Paths of images or of folders, which are searched whole.
        top, on_bad_image, pixel_limit, raw: As for :func:`nctransfer.predict`.
        watch: Receives progress.

    Raises:
        CheckpointError: the model or its manifest is missing or damaged.
        DataError: a path is missing, a folder holds no image, or images cannot be read.
        SetupError: onnxruntime is not installed.
    """
    path = find_exported(model)
    if path is None:
        raise CheckpointError("no exported ONNX model", where=str(model), remedy="make one: nctransfer export RUN")
    manifest = _manifest(path)
    session, watch = open_session(path), watch or Watch()
    temperature, said = temperature_of(manifest, raw=raw)
    watch.say(said)
    return predict_paths(
        images,
        lambda pixels: session.run([manifest["output"]], {manifest["input"]: pixels})[0],
        _preprocess(manifest),
        decoding_of(manifest, pixel_limit),
        manifest["class_names"],
        temperature=temperature,
        raw=raw,
        top=top,
        on_bad_image=on_bad_image,
        watch=watch,
    )


def _preprocess(manifest: dict[str, Any]) -> Preprocess:
    facts = manifest["preprocessing"]
    mean = tuple(facts["normalisation_inside"]["mean"])
    return Preprocess(facts["size"], facts["interpolation"], facts["crop_pct"], mean, fit=facts["fit"])


def _manifest(model: Path) -> dict[str, Any]:
    path = manifest_path(model)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        complete = manifest["format"] == MANIFEST_FORMAT and {"input", "output", "class_names"} <= set(manifest)
        _preprocess(manifest)
    except FileNotFoundError as error:
        raise CheckpointError("the model has no manifest", where=str(path), remedy="export it again") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError("the manifest is damaged", where=str(path), remedy="export it again") from error
    if not complete:
        raise CheckpointError("the manifest is not of an exported model", where=str(path), remedy="export it again")
    return manifest
