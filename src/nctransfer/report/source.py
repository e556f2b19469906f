"""A run folder as its page needs it: the typed record, the configuration, the environment, and the log of epochs."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import DataError
from ..runs import Environment, EpochRow, MethodSummary, RunRecord, read_json, read_record

__all__ = ["Source", "method_name", "method_phrase"]

_IMAGE_TYPES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_LARGEST_IMAGE = 1 << 20


@dataclass(frozen=True)
class Source:
    """A run folder's record, configuration, environment and log.

    Attributes:
        folder: As the user named it, so that the page's commands can be typed where the run was started.
        record: The content of ``result.json``.
        config: The content of ``config.json``.
        environment: The content of ``environment.json``.
        epochs: The lines of ``metrics.jsonl``, of pre-training.
        lost: A sentence for each invalid value of the result.
    """

    folder: Path
    record: RunRecord
    config: dict[str, Any]
    environment: Environment
    epochs: list[EpochRow]
    lost: list[str]

    @classmethod
    def read(cls, folder: Path) -> Source:
        """Read the folder; only ``result.json`` must be there.

        Raises:
            DataError: the folder or its result is missing, or a file is not JSON.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise DataError("no such run folder", where=str(folder), remedy="name the folder of a finished run")
        path = folder / "result.json"
        plain = read_json(path)
        if plain is None:
            raise DataError(
                "result.json not found", where=str(folder), remedy="name a finished run, or finish it with --resume"
            )
        record, lost = read_record(plain, path)
        config = read_json(folder / "config.json")
        return cls(
            folder,
            record,
            config if isinstance(config, dict) else {},
            _environment(read_json(folder / "environment.json")),
            _log(folder / "metrics.jsonl"),
            lost,
        )

    @property
    def display_path(self) -> str:
        """The folder as the user named it, and never to be taken for an option."""
        path = os.fspath(self.folder)
        return f"./{path}" if path.startswith("-") else path

    def image(self, relative: str) -> str:
        """A picture of the folder as a ``data:`` address; empty when it is missing, too large, or lies elsewhere."""
        if not relative:
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


def method_name(key: str, row: MethodSummary | None) -> str:
    """A method's name in a table or at the start of a sentence: its title, or the key of an entry that has none."""
    return (row.title if row else "") or key


def method_phrase(key: str, row: MethodSummary | None) -> str:
    """A method's name in the middle of a sentence."""
    return (row.phrase if row else "") or key


def _environment(plain: Any) -> Environment:
    known = plain if isinstance(plain, dict) else {}
    known = {key: value for key, value in known.items() if key in Environment.model_fields}
    try:
        return Environment.model_validate(known)
    except ValidationError as error:
        bad = {item["loc"][0] for item in error.errors()}
        return Environment.model_validate({key: value for key, value in known.items() if key not in bad})


def _log(path: Path) -> list[EpochRow]:
    """The epochs of the log; a last line that was cut off by a kill is left out, and so is what is no epoch."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, IsADirectoryError):
        return []
    rows = []
    for line in text.splitlines():
        try:
            rows.append(EpochRow.model_validate(json.loads(line)))
        except ValueError:
            continue
    return rows
