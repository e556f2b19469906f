"""The manifest beside a weights file: what the tensors alone do not say. Its format stands in ``docs/weights.md``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import CheckpointError, near_names
from ..runs import sha256

__all__ = ["WeightsManifest", "read_manifest"]

_ALSO = {
    "architecture": "arch",
    "arguments": "arch_arguments",
    "size": "image_size",
    "classes": "class_names",
    "licence": "license",
}
"""Other words for the same keys."""

_OURS = ("format", "data", "method", "unit", "pretrained_weights", "file", "source", "created")


class WeightsManifest(BaseModel):
    """The contents of a manifest: ``FILE.json`` beside ``FILE.safetensors``."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    arch: str = Field(min_length=1, description="a timm name or a built-in one")
    arch_arguments: dict[str, Any] = Field({}, description="arguments of the architecture, such as pad_type")
    image_size: int = Field(ge=8, le=4096, description="side of the input in pixels that the network was trained with")
    mean: tuple[float, float, float] = Field(description="subtracted from pixels in [0, 1], per channel")
    std: tuple[float, float, float] = Field(description="then divided by, per channel")
    interpolation: str = Field("bicubic", description="bilinear or bicubic")
    crop_pct: float = Field(1.0, gt=0, le=1, description="fraction of the resized image that is kept at its own size")
    class_names: tuple[str, ...] | None = Field(None, description="of the classifier in the file")
    license: str | None = Field(None, description="of the weights")
    overlays: tuple[str, ...] = Field((), description="files laid over the weights, relative to the manifest")
    sha256: str | None = Field(None, description="of the weights file")

    @model_validator(mode="after")
    def _positive(self) -> WeightsManifest:
        if min(self.std) <= 0:
            raise ValueError("std must be positive")
        return self


def read_manifest(file: Path) -> WeightsManifest | None:
    """The manifest beside a weights file, or None where there is none.

    Raises:
        CheckpointError: it is no JSON, lacks a key, has an unknown one, or names other weights by their hash.
    """
    path = file.with_suffix(".json")
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"the manifest is not JSON: {error}", where=str(path), remedy="correct it") from error
    if not isinstance(found, dict):
        raise CheckpointError("the manifest is not a JSON object", where=str(path), remedy="see docs/weights.md")
    if not {"arch", "architecture"} & set(found) and not {"mean", "std"} & set(found):
        return None  # some other JSON file of the same name
    known = tuple(WeightsManifest.model_fields)
    facts = {_ALSO.get(key, key): value for key, value in found.items()}
    ours = "format" in found or ("sha256" in found and "file" in found)
    unknown = [key for key in facts if key not in known and key not in _OURS]
    if unknown and not ours:
        raise CheckpointError(
            f"the manifest has an unknown key {unknown[0]!r}",
            where=str(path),
            remedy=near_names(str(unknown[0]), known),
        )
    try:
        manifest = WeightsManifest(**{key: value for key, value in facts.items() if key in known})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise CheckpointError(
            f"the manifest's {key or 'values'}: {first['msg']}", where=str(path), remedy="see docs/weights.md"
        ) from error
    if manifest.sha256 is not None and manifest.sha256 != sha256(file):
        raise CheckpointError(
            "the weights are not those that the manifest describes: their SHA-256 differs",
            where=str(file),
            remedy="fetch the file again, or correct the manifest",
        )
    return manifest
