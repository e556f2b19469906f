"""Tensors on disk: safetensors with a SHA-256 manifest, and foreign weight files opened without running code."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, DataError
from .atomic import replace_file, write_json

__all__ = ["load_tensors", "load_weights_file", "save_tensors", "sha256"]


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_tensors(path: Path, tensors: dict[str, Any], manifest: dict[str, Any] | None = None) -> None:
    """Write tensors to ``path`` (safetensors) and, after it, ``path`` with suffix ``.json``: ``manifest`` plus the hash.

    Both are written atomically. The tensors' file is complete before the manifest names its hash, so a kill between the
    two leaves a pair that does not match, which :func:`load_tensors` refuses.
    """
    from safetensors.torch import save_file

    path = Path(path)
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    replace_file(path, lambda temporary: save_file(plain, temporary))
    write_json(path.with_suffix(".json"), {**(manifest or {}), "file": path.name, "sha256": sha256(path)})


def load_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and the manifest that :func:`save_tensors` wrote.

    Raises:
        CheckpointError: a file is missing, truncated, or is not what the manifest's hash says.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    manifest_path = path.with_suffix(".json")
    for needed in (path, manifest_path):
        if not needed.is_file():
            raise CheckpointError(
                f"{needed.name} is missing", where=str(needed.parent), remedy="run the training again"
            )
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8", errors="surrogateescape"))
    except ValueError as error:
        raise CheckpointError("the manifest is not JSON", where=str(manifest_path), remedy=_RETRAIN) from error
    if not isinstance(manifest, dict) or manifest.get("sha256") != sha256(path):
        raise CheckpointError(
            "the weights are not those that were saved: their SHA-256 differs from the manifest's",
            where=str(path),
            remedy=_RETRAIN,
        )
    try:
        return load_file(path), manifest
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"not a readable safetensors file: {error}", where=str(path), remedy=_RETRAIN) from error


_RETRAIN = "restore the file from a backup, or run the training again"


def load_weights_file(path: Path) -> dict[str, Any]:
    """A state dict from a foreign file (``.safetensors``, ``.pt``, ``.pth``), without running any code in it.

    Nested checkpoints are unwrapped (``state_dict``, ``model``, ``model_state_dict``, ``state_dict_ema`` and the like;
    averaged weights are preferred) and a common ``module.`` prefix is taken off.

    Raises:
        DataError: the file does not exist.
        CheckpointError: it is damaged, holds no tensors, or holds something other than tensors; the blocked name is given.
    """
    import torch

    path = Path(path)
    if not path.is_file():
        raise DataError("weights file not found", where=str(path), remedy="check the path given to --weights")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            loaded: Any = load_file(path)
        except (SafetensorError, ValueError) as error:
            raise CheckpointError(f"not a readable safetensors file: {error}", where=str(path)) from error
    else:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loaded = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            found = re.search(r"GLOBAL ([\w.]+)", str(error))
            raise CheckpointError(
                f"the file holds code, not only weights: {found.group(1)}"
                if found
                else "the file is not a weights file",
                where=str(path),
                remedy="save the state dict alone, as safetensors or with torch.save(model.state_dict(), ...)",
            ) from error
        except (RuntimeError, EOFError, ValueError, OSError, KeyError) as error:
            raise CheckpointError(
                f"the file is damaged or truncated: {str(error).splitlines()[0]}",
                where=str(path),
                remedy="fetch it again",
            ) from error
    return _state_in(loaded, path)


_CONTAINERS = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "backbone",
    "encoder",
)
"""Keys under which checkpoints keep their weights; averaged weights come first, as they do in timm."""


def _state_in(loaded: Any, path: Path) -> dict[str, Any]:
    """The state dict in a checkpoint, however deep it lies."""
    import torch

    if isinstance(loaded, dict):
        tensors = {key: value for key, value in loaded.items() if not str(key).endswith("_extra_state")}
        if tensors and all(isinstance(value, torch.Tensor) for value in tensors.values()):
            if all(name.startswith("module.") for name in tensors):
                tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
            return tensors
        nested = [key for key in _CONTAINERS if isinstance(loaded.get(key), dict) and loaded[key]]
        if nested:
            return _state_in(loaded[nested[0]], path)
        others = [key for key, value in loaded.items() if _is_state(value)]
        if len(others) == 1:
            return loaded[others[0]]
        if others:
            raise CheckpointError(
                f"the file holds {len(others)} state dicts: {', '.join(map(str, others))}",
                where=str(path),
                remedy="save the one that is meant",
            )
    raise CheckpointError("the file holds no state dict", where=str(path), remedy="save model.state_dict()")


def _is_state(value: Any) -> bool:
    import torch

    return isinstance(value, dict) and bool(value) and all(isinstance(part, torch.Tensor) for part in value.values())
