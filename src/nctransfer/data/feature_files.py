"""Features in files: ``.npz``, ``.safetensors`` and pairs of ``.npy``, mapped from the disk where the format allows
it."""

from __future__ import annotations

import json
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, UsageError

__all__ = ["OpenedFeatures", "open_features"]

ARRAYS = ("features", "labels", "weight", "bias")
WIDTHS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "U8": "|u1", "I8": "|i1"}


@dataclass(frozen=True)
class OpenedFeatures:
    """Features (N, D) and labels (N,), and the classifier's weight and bias if the file holds them."""

    features: Any
    labels: Any
    weight: Any = None
    bias: Any = None


def open_features(path: str | Path, labels: str | Path | None = None) -> OpenedFeatures:
    """Open a file of features; ``.npy`` and ``.safetensors`` are mapped and may be larger than memory.

    A ``.npy`` matrix needs its labels: another ``.npy``, by default ``labels.npy`` or ``NAME_labels.npy`` beside it.

    Raises:
        DataError: the file is missing, damaged, of an unknown kind, or lacks features or labels.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("no such file", where=str(path), remedy="pass a .npz, .safetensors or .npy file")
    if path.suffix == ".npy":
        return OpenedFeatures(_npy(path), _npy(_labels_beside(path, labels)))
    if labels is not None:
        raise UsageError(f"--labels goes with .npy files, not {path.suffix or 'this one'}", where="--labels")
    if path.suffix == ".npz":
        arrays = _npz(path)
    elif path.suffix == ".safetensors":
        arrays = _safetensors(path)
    else:
        raise DataError(
            f"unknown kind of file {path.suffix!r}", where=str(path), remedy="use .npz, .safetensors or .npy"
        )
    missing = [name for name in ("features", "labels") if name not in arrays]
    if missing:
        raise DataError(
            f"the file has no {' and no '.join(missing)}, but {', '.join(sorted(arrays)) or 'nothing'}",
            where=str(path),
            remedy="save arrays named features (N, D) and labels (N,)",
        )
    return OpenedFeatures(arrays["features"], arrays["labels"], arrays.get("weight"), arrays.get("bias"))


def _labels_beside(path: Path, labels: str | Path | None) -> Path:
    if labels is not None:
        return Path(labels)
    for candidate in (path.with_name(f"{path.stem}_labels.npy"), path.with_name("labels.npy")):
        if candidate.is_file() and candidate != path:
            return candidate
    raise DataError("no labels for these features", where=str(path), remedy="pass --labels FILE.npy")


def _npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"cannot read the array: {error}", where=str(path), remedy="save it anew with numpy.save"
        ) from error


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            known = [name for name in ("features", "labels", "weight", "bias") if name in file.files]
            # Without features or labels, the names of what is there go into the message.
            return {name: file[name] for name in (known if {"features", "labels"} <= {*known} else file.files)}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError, AttributeError) as error:
        said = "they hold Python objects, not numbers" if "pickle" in str(error) else str(error)
        raise DataError(
            f"cannot read the arrays: {said}", where=str(path), remedy="save them anew with numpy.savez"
        ) from error


def _safetensors(path: Path) -> dict[str, Any]:
    import torch

    arrays: dict[str, Any] = {}
    try:
        with open(path, "rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > path.stat().st_size:
                raise ValueError("the header is cut off")
            header = json.loads(file.read(size))
        if header.get("__metadata__", {}).get("kind") == "ClassStatistics":
            raise DataError(
                "the file holds class statistics, not features",
                where=str(path),
                remedy="measure(ClassStatistics.load(PATH)) in Python",
            )
        arrays |= {name: None for name in header if name != "__metadata__" and name not in ARRAYS}
        for name in ARRAYS:
            if name in header:
                kind, shape = header[name]["dtype"], tuple(header[name]["shape"])
                start = 8 + size + header[name]["data_offsets"][0]
                width = np.dtype("<i2") if kind == "BF16" else np.dtype(WIDTHS[kind])
                array = np.memmap(path, width, "r", start, shape) if all(shape) else np.zeros(shape, width)
                # NumPy has no bfloat16: its bits travel as integers and are read as what they are by torch.
                arrays[name] = torch.from_numpy(np.array(array)).view(torch.bfloat16) if kind == "BF16" else array
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise DataError(f"cannot read the tensors: {error}", where=str(path), remedy="save them anew") from error
    return arrays
