"""Settings of an export."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..settings import Settings, option

__all__ = ["FORMATS", "ExportSettings"]

FORMATS = {"onnx": "model.onnx", "torchscript": "model.torchscript.pt", "exported-program": "model.pt2"}
"""Each format and the name of its file in ``RUN/export``."""


class ExportSettings(Settings):
    """Settings of ``nctransfer export``."""

    verb: ClassVar[str] = "export"

    to: Literal["onnx", "torchscript", "exported-program"] = Field(
        "onnx", description="Format of the exported model.", json_schema_extra=option("Export")
    )
    images: int = Field(
        100,
        ge=1,
        description="Test images on which the exported model is compared with the run's own.",
        json_schema_extra=option("Export"),
    )
    tolerance: float = Field(
        1e-4,
        gt=0,
        description="Largest difference of logits that is accepted, as a fraction of the largest logit.",
        json_schema_extra=option("Export"),
    )
