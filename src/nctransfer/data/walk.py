"""A walk through a folder of images: which files are images by their content, and what was passed over and why."""

from __future__ import annotations

import errno
import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..errors import DataError
from .images import shown
from .sniff import IMAGE_SUFFIXES, is_text_suffix, kind_of_file, kinds_without_reader

__all__ = ["Walk", "is_run_folder"]

_JUNK = frozenset(
    (
        *(
            "__macosx",
            "thumbs.db",
            "ehthumbs.db",
            "desktop.ini",
            "icon\r",
            "@eadir",
            "#recycle",
            "@recycle",
            "$recycle.bin",
        ),
        *("system volume information", "lost+found", "__pycache__", "node_modules"),
    )
)
# Folders that other tools write beside images: their pictures are copies and curves.
_DERIVED = frozenset(("thumbnails", "wandb", "mlruns", "lightning_logs", "tb_logs"))
_RUN_FILES = ("environment.json", "result.json", "steps.json", "metrics.jsonl", "report.html")
Names = list[str]
_log = logging.getLogger("nctransfer.data")


def is_run_folder(folder: str) -> bool:
    """Whether a folder was written by a run or a study of this package: it holds its settings and something it found."""
    return os.path.isfile(os.path.join(folder, "config.json")) and any(
        os.path.isfile(os.path.join(folder, name)) for name in _RUN_FILES
    )


@dataclass
class Walk:
    """Reads folders and remembers what it passed over.

    Attributes:
        root: Left out at the front of paths that are shown.
        passed_over: Reason by shown path.
        missed: Shown paths of those among them that somebody may have meant as images.
        by_content: Shown paths of images that are known by their content alone.
        runs: Shown paths of run folders.
        derived: Shown paths of folders that other tools write.
    """

    root: str
    passed_over: dict[str, str] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    by_content: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    derived: list[str] = field(default_factory=list)

    def list(self, folder: str) -> tuple[list[str], list[str]]:
        """Names of (subfolders, image files) of ``folder``, sorted, without what is passed over."""
        folders, files = [], []
        try:
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: os.fsencode(entry.name)):
                    if entry.name.startswith(".") or entry.name.casefold() in _JUNK:
                        self._pass(entry.path, "hidden or system file")
                    elif entry.is_dir():
                        if is_run_folder(entry.path):
                            self._pass(entry.path, "a run of nctransfer", self.runs)
                        elif entry.name.casefold() in _DERIVED:
                            self._pass(entry.path, "written by another tool", self.derived)
                        else:
                            folders.append(entry.name)
                    elif self._is_image(entry):
                        files.append(entry.name)
        except OSError as error:
            loop = error.errno == errno.ELOOP
            raise DataError(
                "a link turns in a circle" if loop else f"the folder cannot be read: {error.strerror}",
                where=shown(error.filename or folder),
                remedy="remove the symbolic link and run again" if loop else "fix its permissions, or leave it out",
            ) from error
        return folders, files

    def images(self, folder: str, seen: dict[tuple[int, int], str], above: tuple = ()) -> Iterator[str]:
        """Paths of all images below ``folder``; ``seen`` maps (device, inode) to the folder met first."""
        status = os.stat(folder)
        key = (status.st_dev, status.st_ino)
        if key in above:
            raise DataError(
                "a link turns in a circle", where=self.relative(folder), remedy="remove the symbolic link and run again"
            )
        if key in seen:
            raise DataError(
                f"the folder is the same as {seen[key]!r}, reached over a link",
                where=self.relative(folder),
                remedy="remove one of the two, so that no image counts twice",
            )
        seen[key] = self.relative(folder)
        folders, files = self.list(folder)
        for name in files:
            yield os.path.join(folder, name)
        for name in folders:
            yield from self.images(os.path.join(folder, name), seen, (*above, key))

    def relative(self, path: str) -> str:
        return shown(os.path.relpath(path, self.root))

    def missed_in(self, folder: str) -> str:
        """Files below ``folder`` that were passed over though they may be meant as images, by kind: ``12 × .heic (HEIC)``."""
        start = "" if os.path.abspath(folder) == os.path.abspath(self.root) else self.relative(folder) + "/"
        kinds = Counter(self._kind(name) for name in self.missed if name.startswith(start))
        return ", ".join(f"{num} × {kind}" for kind, num in kinds.most_common(4))

    def holds_only_runs(self, folder: str) -> bool:
        start = self.relative(folder) + "/"
        below = [name for name in self.passed_over if name.startswith(start)]
        return any(name in self.runs for name in below) and not any(name in self.missed for name in below)

    def _is_image(self, entry: os.DirEntry[str]) -> bool:
        suffix = os.path.splitext(entry.name)[1].lower()
        if not entry.is_file() and not entry.is_symlink():
            self._pass(entry.path, "not a regular file")
            return False
        if suffix in IMAGE_SUFFIXES:
            return True
        kind = kind_of_file(entry.path) if entry.is_file() else ""
        if kind and kind not in kinds_without_reader():
            self.by_content.append(self.relative(entry.path))
            return True
        reason = f"{kind}, which cannot be read here" if kind else "not an image that can be read"
        self._pass(entry.path, reason, self.missed if kind or not is_text_suffix(entry.name) else None)
        return False

    def _kind(self, name: str) -> str:
        suffix = os.path.splitext(name)[1].lower()
        kind = self.passed_over[name].partition(",")[0] if "which cannot" in self.passed_over[name] else ""
        return " ".join(part for part in (suffix or "no suffix", f"({kind})" if kind else "") if part)

    def _pass(self, path: str, reason: str, listed: Names | None = None) -> None:
        name = self.relative(path)
        if name not in self.passed_over:
            self.passed_over[name] = reason
            if listed is not None:
                listed.append(name)
            _log.info("passed over %s: %s", name, reason)
