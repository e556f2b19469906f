"""Where finished cells lie: one folder each, with the configuration, the recipe's version, the values and their circumstances."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..runs import write_json
from .cells import Cell
from .recipes import recipe_of

__all__ = ["Store", "read_record"]


class Store:
    """Finished cells of a folder.

    Args:
        root: The folder; cells lie in ``cells/`` below it.
        accept_other_code: Whether a cell computed by another version of its recipe may be used. It is then marked.
    """

    def __init__(self, root: Path, *, accept_other_code: bool = False) -> None:
        self.root, self.accept_other_code = Path(root), accept_other_code

    def folder(self, cell: Cell) -> Path:
        """The cell's folder."""
        return self.root / "cells" / cell.folder

    def read(self, cell: Cell) -> dict[str, Any] | None:
        """The finished cell's record, or None where it is missing or follows another version of its recipe.

        Raises:
            DataError: the file is damaged, or stands for another configuration than its name says.
        """
        path = self.folder(cell) / "cell.json"
        if not path.is_file():
            return None
        record = read_record(path)
        if record["config"] != cell.config:
            raise DataError(
                "the cell stands for another configuration", where=str(path), remedy="remove its folder and run again"
            )
        # The commit that computed it is information: only the recipe says whether the result still means the same.
        same = record.get("recipe") == recipe_of(cell)
        if not same and not self.accept_other_code:
            return None
        return {**record, "other_code": not same}

    def write(self, cell: Cell, record: dict[str, Any]) -> None:
        """Keep a finished cell."""
        write_json(
            self.folder(cell) / "cell.json",
            {"kind": cell.kind, "key": cell.key, "config": cell.config, "recipe": recipe_of(cell), **record},
        )


def read_record(path: Path) -> dict[str, Any]:
    """A finished cell's file.

    Raises:
        DataError: it is damaged.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not {"kind", "key", "config", "value", "seconds", "environment"} <= set(record):
            raise ValueError("incomplete")
    except (ValueError, TypeError) as error:
        raise DataError("the cell is damaged", where=str(path), remedy="remove its folder and run again") from error
    return record
