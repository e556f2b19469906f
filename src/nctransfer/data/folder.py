"""A folder of class folders, with or without ``train/``, ``val/``, ``test/`` above them.

Everything below a class folder belongs to that class, however deep. Dot files, ``__MACOSX`` and files that are no
images are passed over and told; folders are tracked by (device, inode), so that links cannot turn in a circle or
count an image twice.
"""

from __future__ import annotations

import errno
import logging
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..errors import DataError
from .images import IMAGE_SUFFIXES, shown
from .sources import FileSource, Found, Source

__all__ = ["SPLIT_NAMES", "class_name", "find_folder"]

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}

_JUNK = frozenset(("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir", "$RECYCLE.BIN", "System Volume Information"))
_log = logging.getLogger("nctransfer.data")


def find_folder(root: str) -> Found:
    """Look through a folder of class folders.

    Args:
        root: Path of the folder.

    Returns:
        The splits that stand there; a folder without splits counts as ``train`` alone.

    Raises:
        DataError: no class folders, no images, names that are the same after Unicode normalisation and trimming,
            links that turn in a circle, or folders that cannot be read.
    """
    root = os.path.abspath(root)
    walk = _Walk(root)
    top = walk.list(root)
    notes: list[str] = []
    split_folders = _split_folders(walk, root, top, notes)
    if not split_folders:
        split_folders = {"train": root}
    sources: dict[str, Source] = {}
    names: dict[str, tuple[str, ...]] = {}
    for split, folder in split_folders.items():
        sources[split], names[split] = _read_split(walk, folder, split, root, notes)
    if walk.passed_over:
        notes.append(f"{len(walk.passed_over)} files or folders were passed over (hidden, system or not an image)")
    found = Found(shown(os.path.basename(root)), "folder", shown(root), sources, names, notes)
    found.skipped = [{"path": path, "reason": reason} for path, reason in walk.passed_over.items()]
    return found


def class_name(folder: str) -> str:
    r"""The class that a folder's name stands for: Unicode form NFC, blanks trimmed, odd bytes escaped.

    Example:
        >>> class_name(" cafe\u0301 ")
        'café'
    """
    return unicodedata.normalize("NFC", shown(folder)).strip()


@dataclass
class _Walk:
    """Reads folders, remembers what it passed over."""

    root: str
    passed_over: dict[str, str] = field(default_factory=dict)

    def list(self, folder: str) -> tuple[list[str], list[str]]:
        """Names of (subfolders, image files) of ``folder``, sorted, without what is passed over."""
        folders, files = [], []
        try:
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: os.fsencode(entry.name)):
                    if entry.name.startswith(".") or entry.name in _JUNK:
                        self._pass(entry.path, "hidden or system file")
                    elif entry.is_dir():
                        folders.append(entry.name)
                    elif os.path.splitext(entry.name)[1].lower() not in IMAGE_SUFFIXES:
                        self._pass(entry.path, "not an image by its suffix")
                    elif entry.is_file() or entry.is_symlink():
                        files.append(entry.name)
                    else:
                        self._pass(entry.path, "not a regular file")
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

    def _pass(self, path: str, reason: str) -> None:
        name = self.relative(path)
        if name not in self.passed_over:
            self.passed_over[name] = reason
            _log.info("passed over %s: %s", name, reason)


def _split_folders(walk: _Walk, root: str, top: tuple[list[str], list[str]], notes: list[str]) -> dict[str, str]:
    """Folders of the splits by name, or nothing where ``root`` holds class folders."""
    known: dict[str, str] = {}
    for name in top[0]:
        split = SPLIT_NAMES.get(name.lower())
        if split in known:
            raise DataError(
                f"two folders for the {split} split: {os.path.basename(known[split])!r} and {name!r}",
                where=shown(root),
                remedy="keep one of them",
            )
        if split:
            known[split] = os.path.join(root, name)
    others = [name for name in top[0] if name.lower() not in SPLIT_NAMES]
    if not known or (others and "train" not in known):
        return {}
    quiet = _Walk(root)
    inside = {split: quiet.list(folder) for split, folder in known.items()}
    if others and not inside["train"][0]:
        return {}  # `train` is a class here, of vehicles perhaps.
    if "train" not in known:
        if len(known) > 1 and not any(folders for folders, _ in inside.values()):
            return {}  # Classes called `test` and `val`; odd, but nothing else fits.
        raise DataError(
            f"there is a folder {shown(os.path.basename(next(iter(known.values()))))!r} but no 'train'",
            where=shown(root),
            remedy="add train/ with one folder a class, or pass the folder that holds the class folders",
        )
    if others:
        notes.append("beside train/, these folders were left out: " + ", ".join(shown(name) for name in others))
    return known


def _read_split(
    walk: _Walk, folder: str, split: str, root: str, notes: list[str]
) -> tuple[FileSource, tuple[str, ...]]:
    folders, loose = walk.list(folder)
    if not folders:
        _complain_no_classes(folder, loose, split)
    if loose:
        notes.append(f"{len(loose)} images beside the class folders of {shown(os.path.basename(folder))} were left out")
    by_class: dict[str, str] = {}
    for name in folders:
        if not class_name(name):
            raise DataError("a class folder has a blank name", where=shown(folder), remedy="give it a name")
        known = by_class.setdefault(class_name(name), name)
        if known != name:
            raise DataError(
                f"two folders for the class {class_name(name)!r}: {shown(known)!r} and {shown(name)!r} differ only in "
                "Unicode form or blanks",
                where=shown(folder),
                remedy="rename or merge them",
            )
    seen: dict[tuple[int, int], str] = {}
    files = {name: list(walk.images(os.path.join(folder, by_class[name]), seen)) for name in sorted(by_class)}
    empty = [name for name in files if not files[name]]
    if empty:
        notes.append(f"{split}: class folders without an image were left out: " + ", ".join(empty))
    names = tuple(name for name in files if files[name])
    if not names:
        raise DataError("no images", where=shown(folder), remedy="put images into one folder a class")
    if len(names) == 1 and split == "train":
        inner = walk.list(os.path.join(folder, by_class[names[0]]))[0]
        hint = f"; or did you mean {shown(os.path.join(folder, by_class[names[0]]))}?" if len(inner) > 1 else ""
        raise DataError(
            f"only one class, {names[0]!r}", where=shown(folder), remedy="add a folder for a second class" + hint
        )
    paths = [path for name in names for path in files[name]]
    labels = [label for label, name in enumerate(names) for _ in files[name]]
    return FileSource(paths, labels, root), names


def _complain_no_classes(folder: str, loose: list[str], split: str) -> None:
    if loose:
        raise DataError(
            f"{len(loose)} images but no class folders",
            where=shown(folder),
            remedy="sort them into one folder a class, such as cats/ and dogs/"
            + (f", or move the folder away, and a {split} split is drawn" if split != "train" else ""),
        )
    with os.scandir(folder) as entries:
        files = [entry.name for entry in entries]
    archives = [name for name in files if name.lower().endswith((".zip", ".tar", ".tgz", ".gz", ".7z", ".rar"))]
    if archives:
        raise DataError(f"an archive, not images: {shown(archives[0])}", where=shown(folder), remedy="unpack it first")
    raise DataError(
        "no images" if files else "the folder is empty",
        where=shown(folder),
        remedy="put one folder a class into it, such as cats/ and dogs/, or Parquet files in the Hugging Face layout",
    )
