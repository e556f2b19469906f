"""From a run to a file that other runtimes take: written, compared with the run's own logits, timed and described."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data import Preprocess
from ..engine import Watch
from ..errors import NCTransferError, ResourceError, UsageError
from ..runs import RunFolder, describe_environment, sha256, write_bytes, write_json
from ..settings import build
from ..transfer import TransferSettings, load_classifier, open_data, settings_from
from .card import model_card
from .exported import MANIFEST_FORMAT, manifest_path
from .formats import INPUT, OUTPUT, Runner, open_model, write_model
from .settings import FORMATS, ExportSettings

__all__ = ["ExportReport", "export_run"]

_BATCHES = (1, 32)
_REPEATS = 5


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """An export and how it compares with the run's own model.

    Attributes:
        path: The exported model; its manifest and its model card lie beside it.
        images: Number of images that were compared.
        source: Where these came from.
        largest_difference: Largest difference of any logit.
        largest_logit: Largest logit by size.
        same_predictions: Whether every image has the same most probable class.
        bytes: Size of the file; ``torch_bytes`` that of the run's weights.
        milliseconds: By batch size, the median time of a batch for ``exported`` and for ``torch``.
    """

    path: Path
    images: int
    source: str
    largest_difference: float
    largest_logit: float
    same_predictions: bool
    bytes: int
    torch_bytes: int
    milliseconds: dict[int, dict[str, float]]

    @property
    def relative_difference(self) -> float:
        """The largest difference as a fraction of the largest logit."""
        return self.largest_difference / max(self.largest_logit, 1e-30)

    def text(self) -> str:
        """The comparison as a few lines for the terminal."""
        agree = "the same predictions" if self.same_predictions else "OTHER predictions"
        lines = [
            f"exported: {self.path}",
            f"compared on {self.images} {self.source}: {agree}, largest difference of a logit "
            f"{self.largest_difference:.2g} ({self.relative_difference:.1g} of the largest)",
            f"size: {self.bytes / 2**20:.1f} MiB, the run's weights {self.torch_bytes / 2**20:.1f} MiB",
        ]
        lines += [
            f"batch of {batch}: {times['exported']:.1f} ms, PyTorch {times['torch']:.1f} ms"
            for batch, times in self.milliseconds.items()
        ]
        return "\n".join(lines)


def export_run(
    run: str | Path,
    settings: ExportSettings | None = None,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    module: Any = None,
    watch: Watch | None = None,
) -> ExportReport:
    """Export the model that a run chose.

    The exported model takes pixels, (B, 3, S, S) uint8, and gives logits (B, K); normalisation is inside, resizing and
    cropping are described in the manifest beside it. It is kept only if it agrees with the run's own model.

    Args:
        run: Folder of a finished `auto` or `tune` run, or one of its ``.safetensors`` files.
        settings: Format and comparison.
        out: The file; ``RUN/export/model.onnx`` (or the format's name) if left out.
        overwrite: Replace a file that stands at ``out``.
        module: The network, where the run's was passed as an ``nn.Module``.
        watch: Receives progress.

    Raises:
        CheckpointError: the run has no tuned model.
        UsageError: the network cannot be traced, or the file stands there.
        SetupError: a package that the format needs is not installed.
        ResourceError: the exported model does not give the run's logits, or the disk is full.
    """
    settings, watch, run = settings or build(ExportSettings, where="export"), watch or Watch(), Path(run)
    model, preprocess, manifest = load_classifier(run, module=module)
    folder = run if run.is_dir() else run.parent.parent
    path = Path(out) if out is not None else folder / "export" / FORMATS[settings.to]
    if out is not None and path.exists() and not overwrite:
        raise UsageError(
            "the file is there already", where=str(path), remedy="replace it with --overwrite, or name another"
        )
    if path.is_dir():
        raise UsageError("a folder stands where the file should be", where=str(path), remedy="name a file")
    pixels, source = _images(folder, preprocess, settings.images)
    with _beside(path) as partial:
        with watch.stage(f"export to {settings.to}"):
            write_model(
                model, torch.from_numpy(pixels[:2] if len(pixels) > 1 else pixels.repeat(2, 0)), settings.to, partial
            )
        with watch.stage("comparison"):
            report = _compare(model, open_model(settings.to, partial), pixels, path, partial, source)
        if report.relative_difference > settings.tolerance or not report.same_predictions:
            raise ResourceError(
                f"the exported model differs from the run's: {report.text().splitlines()[1]}",
                where=f"--to {settings.to}",
                remedy="try another format, or raise --tolerance if that is close enough",
            )
    described = _describe(settings, manifest, preprocess, report, path)
    write_json(manifest_path(path), described)
    write_bytes(path.with_name("MODEL_CARD.md"), model_card(folder, described, report).encode())
    return report


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A file of the same name in a folder beside ``path``, which takes the place of ``path``, with the weights that may lie
    in a file of their own, where all goes well; else nothing is left of it, nor of folders that were made for it."""
    made = [place for place in path.parents if not place.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield folder / path.name
        for file in sorted(folder.iterdir(), reverse=True):  # the weights first
            os.replace(file, path.with_name(file.name))
    finally:
        shutil.rmtree(folder)
        for place in made if not path.exists() else []:
            place.rmdir()


def _images(folder: Path, preprocess: Preprocess, most: int) -> tuple[np.ndarray, str]:
    """Test images of the run's data set, (N, 3, S, S) uint8; pixels at random where it cannot be opened any more."""
    try:
        config = RunFolder(folder).config()
        settings = settings_from({key: config[key] for key in TransferSettings.model_fields if key in config})
        bundle = open_data(settings.model_copy(update={"download": False}), Watch(), check=False)
        rows = np.linspace(0, len(bundle.test) - 1, min(most, len(bundle.test))).astype(int)
        pixels = [preprocess.array(bundle.test.image(int(row))).transpose(2, 0, 1) for row in rows]
        return np.ascontiguousarray(np.stack(pixels)), "test images"
    except NCTransferError:
        shape = (most, 3, preprocess.size, preprocess.size)
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8), "images of random pixels"


def _compare(
    model: torch.nn.Module, exported: Runner, pixels: np.ndarray, path: Path, partial: Path, source: str
) -> ExportReport:
    def own(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(images)).float().numpy()

    ours = np.concatenate([own(part) for part in np.array_split(pixels, -(-len(pixels) // 32))])
    theirs = np.concatenate([exported(part) for part in np.array_split(pixels, -(-len(pixels) // 7))])
    return ExportReport(
        path=path,
        images=len(pixels),
        source=source,
        largest_difference=float(np.abs(ours - theirs).max()),
        largest_logit=float(np.abs(ours).max()),
        same_predictions=bool((ours.argmax(1) == theirs.argmax(1)).all()),
        bytes=sum(file.stat().st_size for file in partial.parent.glob(f"{partial.name}*")),
        torch_bytes=sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values()),
        milliseconds={
            batch: {"exported": _time(exported, pixels, batch), "torch": _time(own, pixels, batch)}
            for batch in _BATCHES
        },
    )


def _time(run: Runner, pixels: np.ndarray, batch: int) -> float:
    images = np.resize(pixels, (batch, *pixels.shape[1:]))
    run(images)
    seconds = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        run(images)
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds)


def _describe(
    settings: ExportSettings, manifest: dict[str, Any], preprocess: Preprocess, report: ExportReport, path: Path
) -> dict[str, Any]:
    keep = (
        "arch",
        "value_ranges",
        "class_names",
        "data",
        "method",
        "unit",
        "pretrained_weights",
        "license",
        "temperature",
        "balance",
        "calibration",
    )
    environment = describe_environment()
    return {
        "format": MANIFEST_FORMAT,
        "to": settings.to,
        "file": path.name,
        "sha256": sha256(path),
        "input": INPUT,
        "input_shape": ["batch", 3, preprocess.size, preprocess.size],
        "input_type": "uint8, RGB, channels first",
        "output": OUTPUT,
        "output_shape": ["batch", len(manifest["class_names"])],
        "preprocessing": {
            "steps": _steps(preprocess),
            "fit": preprocess.fit,
            "size": preprocess.size,
            "crop_pct": preprocess.crop_pct,
            "interpolation": preprocess.interpolation,
            "normalisation_inside": {"mean": list(preprocess.mean), "std": list(preprocess.std)},
        },
        **{key: manifest.get(key) for key in keep},
        "compared": {
            "images": report.images,
            "source": report.source,
            "largest_difference": report.largest_difference,
            "largest_logit": report.largest_logit,
            "same_predictions": report.same_predictions,
        },
        "bytes": report.bytes,
        "milliseconds": {str(batch): times for batch, times in report.milliseconds.items()},
        "versions": environment["versions"],
        "processor": environment["processor"],
    }


def _steps(preprocess: Preprocess) -> str:
    """The steps from an image to the model's input, in words.

    Example:
        >>> _steps(Preprocess(size=224, crop_pct=0.875))
        'resize the shorter side to 256 pixels (bicubic), cut the centre of 224 × 224'
        >>> _steps(Preprocess(size=64, fit="squish"))
        'resize both sides to 64 pixels (bicubic), cut the centre of 64 × 64'
        >>> _steps(Preprocess(size=64, fit="pad"))
        'resize the longer side to 64 pixels (bicubic), fill up to a square with the mean colour, cut the centre of 64 × 64'
    """
    side, way = int(preprocess.size / preprocess.crop_pct), preprocess.interpolation
    centre = f"cut the centre of {preprocess.size} × {preprocess.size}"
    if preprocess.fit == "squish":
        return f"resize both sides to {side} pixels ({way}), {centre}"
    if preprocess.fit == "pad":
        return f"resize the longer side to {side} pixels ({way}), fill up to a square with the mean colour, {centre}"
    return f"resize the shorter side to {side} pixels ({way}), {centre}"
