"""Names of the columns of a table: those that a caller gives, and the usual words for the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from ..errors import UsageError, near_names

__all__ = ["GROUP_WORDS", "IMAGE_WORDS", "LABEL_WORDS", "NONE", "SPLIT_WORDS", "Columns", "guess", "named_column"]

NONE = "none"
"""In the place of a column's name: do not guess one."""

IMAGE_WORDS = (
    "image", "imagepath", "path", "filepath", "filename", "file", "img", "imgpath", "imgname", "imagefile", "imagename",
    "imagefilename", "imageid", "imgid", "picture", "photo",
)  # fmt: skip
LABEL_WORDS = (
    "label", "labels", "class", "classname", "classlabel", "classid", "target", "category", "species", "diagnosis", "dx", "y",
)  # fmt: skip
SPLIT_WORDS = ("split", "set", "subset", "partition", "usage", "phase")
GROUP_WORDS = (
    "group", "patient", "subject", "participant", "person", "individual", "animal", "case", "plate", "slide", "lesion",
    "video", "clip", "sequence", "scene",
)  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Names of columns; None where one is to be guessed, ``none`` where it is not.

    Attributes:
        image: Path of the image.
        label: Its class.
        split: ``train``, ``validation`` or ``test``.
        group: What belongs together (a patient, a video, a plate) and must not be torn by a split.
    """

    image: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None

    def given(self) -> list[str]:
        """The kinds that the caller named."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]


def named_column(names: Sequence[str], asked: str | None, kind: str, where: str) -> str | None:
    """The column that was asked for; None where none was.

    Raises:
        UsageError: it is not there.
    """
    if asked is None or (asked == NONE and NONE not in names):
        if asked is not None and kind in ("image", "label"):
            raise UsageError(f"a table needs a column of {kind}s", where=f"--{kind}-column", remedy="name it")
        return None
    if asked not in names:
        raise UsageError(
            f"{where} has no column {asked!r}", where=f"--{kind}-column", remedy=near_names(asked, list(names))
        )
    return asked


def guess(names: Sequence[str], words: Sequence[str]) -> str | None:
    """The first column by the order of the words; ``patient_id`` and ``Patient ID`` are ``patient``.

    Example:
        >>> guess(["Image Path", "dx", "patient_id"], GROUP_WORDS), guess(["latent"], GROUP_WORDS)
        ('patient_id', None)
    """
    plain = {"".join(character for character in name.casefold() if character.isalnum()): name for name in names}
    for word in words:
        for form in (word, f"{word}id", f"{word}name"):
            if form in plain:
                return plain[form]
    return None
