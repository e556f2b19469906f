"""What a run folder says: its JSON files, read and not judged."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from .text import mapping, words

__all__ = ["METHOD_NAMES", "Source", "method_name", "method_phrase"]

METHOD_NAMES = {
    "linear": "Linear probe",
    "deep": "Deep probe",
    "layer": "Layer fine-tuning",
    "scl": "SCL fine-tuning",
    "full": "Full fine-tuning",
}
_IMAGE_TYPES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_LARGEST_IMAGE = 1 << 20


@dataclass(frozen=True)
class Source:
    """A run folder's result, configuration, environment and log."""

    folder: Path
    result: dict[str, Any]
    config: dict[str, Any]
    environment: dict[str, Any]
    metrics: list[dict[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> Source:
        """Read the folder; only ``result.json`` must be there.

        Raises:
            DataError: the folder or its result is missing, or a file is not JSON.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise DataError("no such run folder", where=str(folder), remedy="name the folder of a finished run")
        result = _load(folder / "result.json")
        if result is None:
            raise DataError(
                "result.json not found", where=str(folder), remedy="name a finished run, or finish it with --resume"
            )
        if not isinstance(result, dict):
            raise DataError("result.json holds no mapping", where=str(folder / "result.json"), remedy="run it anew")
        return cls(
            folder,
            result,
            mapping(_load(folder / "config.json")),
            mapping(_load(folder / "environment.json")),
            _log(folder / "metrics.jsonl"),
        )

    @property
    def environment_or_result(self) -> dict[str, Any]:
        """Versions and hardware, from ``environment.json`` completed by the result."""
        return {**mapping(self.result.get("hardware")), **self.environment}

    @property
    def display_path(self) -> str:
        """The folder as the user would type it: the configured one, else its name."""
        return words(self.config.get("out")) or self.folder.resolve().name

    def image(self, relative: Any) -> str:
        """A picture of the folder as a ``data:`` address; empty when it is missing, too large, or lies elsewhere."""
        if not isinstance(relative, str) or not relative:
            return ""
        try:
            path = (self.folder / relative).resolve()
            if not path.is_relative_to(self.folder.resolve()) or path.stat().st_size > _LARGEST_IMAGE:
                return ""
            content = path.read_bytes()
        except (OSError, ValueError):
            return ""
        for magic, kind in _IMAGE_TYPES.items():
            if content.startswith(magic):
                return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
        return ""


def method_name(key: str) -> str:
    """A method's name in words.

    Example:
        >>> method_name("scl"), method_name("lora")
        ('SCL fine-tuning', 'lora')
    """
    return METHOD_NAMES.get(key, key)


def method_phrase(key: str) -> str:
    """A method's name in the middle of a sentence.

    Example:
        >>> method_phrase("linear"), method_phrase("scl"), method_phrase("full")
        ('the linear probe', 'SCL fine-tuning', 'full fine-tuning')
    """
    return {"linear": "the linear probe", "layer": "layer fine-tuning", "full": "full fine-tuning"}.get(
        key, method_name(key)
    )


def _load(path: Path) -> Any:
    try:
        # Names that are not UTF-8 were written byte for byte, and come back the same way.
        return json.loads(path.read_bytes().decode("utf-8", "surrogateescape"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path.name} is not JSON", where=str(path), remedy="restore the file or run it anew"
        ) from error


def _log(path: Path) -> list[dict[str, Any]]:
    """The records of the log; a last line that was cut off by a kill is left out."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, IsADirectoryError):
        return []
    records = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records
