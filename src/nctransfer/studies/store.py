"""Where finished cells lie: one folder each, with the configuration, the values and what they were computed by."""

from __future__ import annotations

import ast
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import nctransfer

from ..errors import DataError
from ..runs import write_json
from .cells import Cell

__all__ = ["Store", "code_digest", "read_record"]

_ROOMS = {
    "encoder": ("data", "losses", "metrics", "models", "training"),
    "transfer": ("data", "metrics", "models", "scores", "transfer"),
    "tuning": ("data", "metrics", "models", "training", "transfer"),
}
_OWN = ("studies/work.py",)


class Store:
    """Finished cells of a folder.

    Args:
        root: The folder; cells lie in ``cells/`` below it.
        accept_other_code: Whether a cell computed by other code than this may be used. It is then marked.
    """

    def __init__(self, root: Path, *, accept_other_code: bool = False) -> None:
        self.root, self.accept_other_code = Path(root), accept_other_code

    def folder(self, cell: Cell) -> Path:
        """The cell's folder."""
        return self.root / "cells" / cell.folder

    def read(self, cell: Cell) -> dict[str, Any] | None:
        """The finished cell's record, or None where it is missing or was computed by other code.

        Raises:
            DataError: the file is damaged, or stands for another configuration than its name says.
        """
        path = self.folder(cell) / "cell.json"
        if not path.is_file():
            return None
        record = read_record(path)
        config, code = record["config"], record["code"]
        if config != cell.config:
            raise DataError(
                "the cell stands for another configuration", where=str(path), remedy="remove its folder and run again"
            )
        same = code == code_digest(cell.kind)
        if not same and not self.accept_other_code:
            return None
        return {**record, "other_code": not same}

    def write(self, cell: Cell, record: dict[str, Any]) -> None:
        """Keep a finished cell."""
        write_json(
            self.folder(cell) / "cell.json",
            {"kind": cell.kind, "key": cell.key, "config": cell.config, "code": code_digest(cell.kind), **record},
        )


def read_record(path: Path) -> dict[str, Any]:
    """A finished cell's file.

    Raises:
        DataError: it is damaged.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not {"kind", "key", "config", "code", "value", "seconds", "environment"} <= set(record):
            raise ValueError("incomplete")
    except (ValueError, TypeError) as error:
        raise DataError("the cell is damaged", where=str(path), remedy="remove its folder and run again") from error
    return record


@cache
def code_digest(kind: str) -> str:
    """Sixteen hexadecimal digits of the source that computes a kind of cell.

    Example:
        >>> len(code_digest("encoder")), code_digest("encoder") == code_digest("tuning")
        (16, False)
    """
    package = Path(nctransfer.__file__).parent
    files = [path for room in _ROOMS[kind] for path in sorted((package / room).rglob("*.py"))]
    digest = hashlib.sha256()
    for path in [*files, *(package / name for name in _OWN)]:
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(_meaning(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:16]


def _meaning(source: str) -> str:
    """The program without comments, layout and docstrings, which change nothing that is computed."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            body[:1] = [ast.Pass()]
    return ast.dump(tree)
