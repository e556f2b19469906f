"""The parts of a page: plain values that the template knows how to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from .text import DASH

__all__ = [
    "Block",
    "Cell",
    "Code",
    "Columns",
    "Details",
    "Facts",
    "Figure",
    "Glossary",
    "Note",
    "Page",
    "Prose",
    "Section",
    "Table",
    "Thumbnail",
    "Thumbnails",
    "Tile",
]


@dataclass(frozen=True)
class Block:
    """Anything that stands in a section; ``macro`` names the template macro that draws it."""

    macro: ClassVar[str] = ""


@dataclass(frozen=True)
class Prose(Block):
    """A paragraph."""

    macro: ClassVar[str] = "prose"
    text: str


@dataclass(frozen=True)
class Note(Block):
    """A paragraph that must not be missed."""

    macro: ClassVar[str] = "note"
    text: str
    label: str = "Note"


@dataclass(frozen=True)
class Code(Block):
    """Something to copy."""

    macro: ClassVar[str] = "code"
    text: str
    label: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell of a table; an empty text becomes an en dash."""

    text: str = DASH
    strong: bool = False
    href: str = ""


@dataclass(frozen=True)
class Table(Block):
    """A table whose first column names its rows.

    Args:
        columns: The titles.
        rows: Cells, or plain strings, in the order of the titles; each row's first cell is its header.
        caption: What the table says.
        words: The indices of columns that hold words, aligned to the left (the first one always is).
        stack: Whether a narrow screen shows each row as a card; otherwise the table scrolls sideways.
        highlight: The index of the row to stress, or None.
        notes: Lines under the table, such as why a value is missing.
    """

    macro: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    caption: str = ""
    words: frozenset[int] = frozenset()
    stack: bool = False
    highlight: int | None = None
    notes: Sequence[str] = ()

    def cells(self, row: Sequence[Cell | str]) -> list[Cell]:
        """The row's cells, strings made into cells.

        Example:
            >>> Table(["a", "b"], []).cells(["x", ""])[1].text
            '–'
        """
        made = [cell if isinstance(cell, Cell) else Cell(cell) for cell in row]
        return [cell if cell.text else Cell(DASH) for cell in made]


@dataclass(frozen=True)
class Facts(Block):
    """Names and values."""

    macro: ClassVar[str] = "facts"
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Figure(Block):
    """An SVG with its caption; ``alt`` says in words what it shows."""

    macro: ClassVar[str] = "figure"
    svg: str
    caption: str
    alt: str


@dataclass(frozen=True)
class Columns(Block):
    """Figures or tables side by side, under one another on a narrow screen."""

    macro: ClassVar[str] = "columns"
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Thumbnail:
    """A small image with what stands under it."""

    source: str
    alt: str
    title: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Thumbnails(Block):
    """A wall of small images."""

    macro: ClassVar[str] = "thumbnails"
    items: Sequence[Thumbnail]


@dataclass(frozen=True)
class Details(Block):
    """Blocks behind a line that opens them; printed open."""

    macro: ClassVar[str] = "details"
    summary: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Glossary(Block):
    """Terms and what they mean."""

    macro: ClassVar[str] = "glossary"
    terms: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Tile:
    """One number of the page's head: label, value, and a line under it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A titled part of the page; one without blocks is left out."""

    title: str
    blocks: Sequence[Block]
    lead: str = ""

    @property
    def anchor(self) -> str:
        """The section's id.

        Example:
            >>> Section("Layer by layer", []).anchor
            'layer-by-layer'
        """
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())


@dataclass(frozen=True)
class Page:
    """A whole page."""

    title: str
    kicker: str
    headline: str
    sections: Sequence[Section]
    lead: Sequence[str] = ()
    tiles: Sequence[Tile] = ()
    footer: str = ""
    warnings: Sequence[str] = field(default_factory=tuple)
