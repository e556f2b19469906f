"""Why a number is missing, said beside its dash: a small number in the cell, and the reason under the table."""

from __future__ import annotations

from .text import DASH

__all__ = ["Footnotes", "sentence"]

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Footnotes:
    """The notes of a table, each reason once however many cells it explains.

    Example:
        >>> notes = Footnotes()
        >>> for text, why in (("", "one image a class"), ("1.2", ""), ("–", "one image a class")):
        ...     print(notes.cell(text, why).replace("\\xa0", " "))
        – ¹
        1.2
        – ¹
        >>> notes.lines
        ['¹ One image a class.']
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def cell(self, text: str, why: str | None) -> str:
        """A cell's text, with the number of its note where there is one to give."""
        if not why:
            return text
        number = self._numbers.setdefault(sentence(why), len(self._numbers) + 1)
        return f"{text or DASH}\u00a0{str(number).translate(_RAISED)}"

    @property
    def lines(self) -> list[str]:
        """The notes in the order of their numbers."""
        return [f"{str(number).translate(_RAISED)} {why}" for why, number in self._numbers.items()]


def sentence(note: str) -> str:
    """A note of the log as a sentence: without its label, with a capital and a full stop.

    Example:
        >>> sentence("warning: 2 images were skipped")
        '2 images were skipped.'
    """
    text = note.removeprefix("warning: ").strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) or not text else ".")
