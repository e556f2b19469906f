"""Encoders that a run left behind: ``checkpoints/final.safetensors`` with its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..runs import load_tensors
from .build import build_encoder
from .networks import Network, wrap_module
from .weights import load_into

__all__ = ["is_run_folder", "load_run_folder", "network_from_manifest"]


def is_run_folder(name: str | Path) -> bool:
    """Whether ``name`` is the folder of a run with a finished encoder in it."""
    return (Path(name) / "checkpoints" / "final.safetensors").is_file()


def load_run_folder(folder: Path, *, image_size: int | None = None) -> Network:
    """The encoder that a pre-training run saved, its head dropped.

    Raises:
        CheckpointError: the file is damaged, altered, or of an unknown kind.
    """
    path = folder / "checkpoints" / "final.safetensors"
    tensors, manifest = load_tensors(path)
    return network_from_manifest(tensors, manifest, where=path, name=folder.name, image_size=image_size)


def network_from_manifest(
    tensors: dict[str, Any], manifest: dict[str, Any], *, where: Path, name: str, image_size: int | None = None
) -> Network:
    """Rebuild a network from its tensors and the manifest's ``arch``, ``arch_arguments``, ``image_size``, ``mean``, ``std``."""
    try:
        arch, arguments = manifest["arch"], dict(manifest.get("arch_arguments") or {})
        size = int(image_size or manifest["image_size"])
        mean, std = manifest["mean"], manifest["std"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the manifest lacks {error}", where=str(where.with_suffix(".json"))) from error
    encoder = build_encoder(arch, arguments, size)
    load_into(encoder, tensors, where)
    return wrap_module(
        encoder,
        size=size,
        name=name,
        mean=mean,
        std=std,
        interpolation=manifest.get("interpolation", "bicubic"),
        crop_pct=manifest.get("crop_pct", 1.0),
        provenance={
            "arch": arch,
            "arch_arguments": arguments,
            "license": manifest.get("license"),
            "weights": str(where.name),
        },
    ).optimise_layout()
