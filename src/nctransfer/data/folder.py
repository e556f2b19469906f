"""A folder of class folders, with or without ``train/``, ``val/``, ``test/`` above or inside them.

Everything below a class folder belongs to that class, however deep. Hidden files, system folders, runs of this package and
files that are no images by their content are passed over and told; folders are tracked by (device, inode), so that links
cannot turn in a circle or count an image twice.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter

from ..errors import DataError
from .images import shown
from .sources import FileSource, Found, Source
from .walk import Walk, is_run_folder
from .words import split_of_folder, split_words

__all__ = ["class_name", "find_folder"]


def find_folder(root: str) -> Found:
    """Look through a folder of class folders.

    Args:
        root: Path of the folder.

    Returns:
        The splits that stand there; a folder without splits counts as ``train`` alone.

    Raises:
        DataError: no class folders, no images, names that are the same after Unicode normalisation and trimming,
            links that turn in a circle, folders that cannot be read, or a layout with two meanings.
    """
    root = os.path.abspath(root)
    if is_run_folder(root):
        raise DataError("a run of nctransfer, not images", where=shown(root), remedy="pass the folder of the images")
    walk = Walk(root)
    top = walk.list(root)
    notes: list[str] = []
    folders = _split_folders(root, top, notes)
    if folders:
        classes = {split: _class_folders(walk, folder, split, notes) for split, folder in folders.items()}
    else:
        classes = _inside_classes(root, _class_folders(walk, root, "train", notes), notes)
    found = Found(shown(os.path.basename(root)), "folder", shown(root), {}, {}, notes)
    seen: dict[tuple[int, int], str] = {}
    for split, by_class in classes.items():
        source, names = _read_split(walk, folders.get(split, root), by_class, split, found, seen)
        found.sources[split], found.class_names[split] = source, names
    _tell(walk, found)
    return found


def class_name(folder: str) -> str:
    r"""The class that a folder's name stands for: Unicode form NFC, blanks trimmed, odd bytes escaped.

    Example:
        >>> class_name(" cafe\u0301 ")
        'café'
    """
    return unicodedata.normalize("NFC", shown(folder)).strip()


def _tell(walk: Walk, found: Found) -> None:
    found.skipped = [{"path": path, "reason": reason} for path, reason in walk.passed_over.items()]
    if walk.passed_over:
        found.notes.append(
            f"{len(walk.passed_over)} files or folders were passed over (hidden, system, runs, or not an image)"
        )
    if walk.derived:
        found.notes.append(f"warning: folders that other tools write were left out: {_listed(walk.derived)}")
    if walk.by_content:
        places = Counter(os.path.dirname(path) or "." for path in dict.fromkeys(walk.by_content))
        listed = _listed([f"{num} in {place}" for place, num in places.items()], most=5)
        found.notes.append(
            f"warning: {len(set(walk.by_content))} files without the suffix of an image are images by their content and "
            f"count as such: {listed}"
        )


def _listed(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _split_folders(root: str, top: tuple[list[str], list[str]], notes: list[str]) -> dict[str, str]:
    """Folders of the splits by name, or nothing where ``root`` holds class folders."""
    known: dict[str, str] = {}
    for name in top[0]:
        split = split_of_folder(name)
        if split in known:
            raise DataError(
                f"two folders for the {split} split: {os.path.basename(known[split])!r} and {name!r}",
                where=shown(root),
                remedy="keep one of them",
            )
        if split:
            known[split] = os.path.join(root, name)
    others = [name for name in top[0] if not split_of_folder(name)]
    if not known:
        return {}
    quiet = Walk(root)
    inside = {split: quiet.list(folder)[0] for split, folder in known.items()}
    if others and not inside.get("train"):
        return _as_classes(root, known, others, inside, notes)
    if "train" not in known:
        raise DataError(
            f"there is a folder {shown(os.path.basename(next(iter(known.values()))))!r} but no 'train'",
            where=shown(root),
            remedy="add train/ with one folder a class, or pass the folder that holds the class folders",
        )
    _weigh_others(root, known, others, notes)
    return known


def _as_classes(
    root: str, known: dict[str, str], others: list[str], inside: dict[str, list[str]], notes: list[str]
) -> dict[str, str]:
    """Folders with the name of a split that are classes beside others (``train`` of vehicles perhaps), and told so."""
    for split, folders in inside.items():
        shared = sorted(set(map(class_name, folders)) & set(map(class_name, others)))
        if shared:
            raise DataError(
                f"the folder {shown(os.path.basename(known[split]))!r} holds {_listed([repr(name) for name in shared])}, "
                "which stand beside it as well",
                where=shown(root),
                remedy="move the class folders beside it into train/",
            )
    names = [repr(shown(os.path.basename(path))) for path in known.values()]
    notes.append(f"warning: {_listed(names)} beside other class folders is taken for a class, not for a split")
    return {}


def _weigh_others(root: str, known: dict[str, str], others: list[str], notes: list[str]) -> None:
    """Folders beside ``train/`` are left out with a word; where they outweigh it, ``train`` may be a class."""
    counts = {name: sum(1 for _ in Walk(root).images(os.path.join(root, name), {})) for name in others}
    left = {name: num for name, num in counts.items() if num}
    if others:
        notes.append(
            ("warning: " if left else "")
            + "beside train/, these folders were left out: "
            + ", ".join(f"{shown(name)} ({counts[name]} images)" for name in others)
        )
    if len(known) == 1 and left:
        num_train = sum(1 for _ in Walk(root).images(known["train"], {}))
        if 2 * sum(left.values()) >= num_train:
            raise DataError(
                f"'train' with folders in it stands beside {_listed([shown(name) for name in left])}: is it a split or a class?",
                where=shown(root),
                remedy="move the other folders away if it is a split, or put its images into it without folders if it "
                "is a class",
            )


def _class_folders(walk: Walk, folder: str, split: str, notes: list[str]) -> dict[str, list[str]]:
    """Class names and their folder."""
    folders, loose = walk.list(folder)
    if not folders:
        _complain_no_classes(folder, loose, split)
    if loose:
        notes.append(
            f"warning: {len(loose)} images beside the class folders of {shown(os.path.basename(folder))} were left out"
        )
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
    return {name: [os.path.join(folder, by_class[name])] for name in sorted(by_class)}


def _inside_classes(root: str, by_class: dict[str, list[str]], notes: list[str]) -> dict[str, dict[str, list[str]]]:
    """The splits of a layout CLASS/train, CLASS/test; one split where the class folders hold none."""
    quiet = Walk(root)
    inner = {name: quiet.list(paths[0]) for name, paths in by_class.items()}
    splits = {name: {split_of_folder(sub) for sub in subs} - {""} for name, (subs, _) in inner.items()}
    filled = [name for name, (subs, files) in inner.items() if subs or files]
    with_train = [name for name in filled if "train" in splits[name]]
    if not any(splits.values()):
        _check_words(root, {name: subs for name, (subs, _) in inner.items()})
        return {"train": by_class}
    pure = all(splits[name] and all(map(split_of_folder, inner[name][0])) and not inner[name][1] for name in filled)
    if pure and with_train == filled:
        found: dict[str, dict[str, list[str]]] = {}
        for name in filled:
            for sub in inner[name][0]:
                paths = found.setdefault(split_of_folder(sub), {}).setdefault(name, [])
                paths.append(os.path.join(by_class[name][0], sub))
        notes.append("the splits stand inside the class folders")
        return {split: found[split] for split in ("train", "validation", "test") if split in found}
    some = [name for name in filled if splits[name]]
    if len(some) == len(filled) or any(len(splits[name]) > 1 for name in some):
        raise DataError(
            f"class folders hold folders of splits, but not all alike: {_listed([repr(name) for name in some])}",
            where=shown(root),
            remedy="give every class folder train/ (and test/) and nothing beside them, or turn the layout round: "
            "train/CLASS and test/CLASS",
        )
    notes.append(
        f"warning: the class folders {_listed([repr(name) for name in some])} hold a folder with the name of a split; its "
        "images count as the class's"
    )
    return {"train": by_class}


def _check_words(root: str, inner: dict[str, list[str]]) -> None:
    """Refuse folders such as ``seg_train`` and ``seg_test`` that hold the same folders: they are no classes."""
    words = {name: split_words(name) for name in inner if inner[name]}
    train = [name for name, found in words.items() if found == {"train"}]
    others = [name for name, found in words.items() if found and "train" not in found]
    for first in train:
        for second in others:
            if len(set(inner[first]) & set(inner[second])) > 1:
                raise DataError(
                    f"{first!r} and {second!r} hold folders of the same names: are they splits?",
                    where=shown(root),
                    remedy="rename them to train and test (or val), or pass the folder that holds the class folders",
                )


def _read_split(
    walk: Walk,
    folder: str,
    by_class: dict[str, list[str]],
    split: str,
    found: Found,
    seen: dict[tuple[int, int], str],
) -> tuple[Source, tuple[str, ...]]:
    files = {name: [file for path in paths for file in walk.images(path, seen)] for name, paths in by_class.items()}
    only_runs = [name for name in files if not files[name] and all(map(walk.holds_only_runs, by_class[name]))]
    missed = {name: ", ".join(filter(None, map(walk.missed_in, paths))) for name, paths in by_class.items()}
    empty = [name for name in files if not files[name] and name not in only_runs]
    found.empty[split] = {name: missed[name] for name in empty}
    if empty:
        said = [f"{name!r}" + (f" ({missed[name]})" if missed[name] else "") for name in empty]
        found.notes.append(
            f"warning: {split}: class folders without an image that can be read were left out: {', '.join(said)}"
        )
    for name in files:
        if files[name] and missed[name]:
            found.notes.append(f"warning: {split}: files of the class {name!r} were left out: {missed[name]}")
    names = tuple(name for name in files if files[name])
    if not names:
        lost = ", ".join(f"{name!r}: {text}" for name, text in missed.items() if text)
        raise DataError(
            "no images" + (f" that can be read ({lost})" if lost else ""),
            where=shown(folder),
            remedy="put images into one folder a class" + ("; convert them to JPEG or PNG" if lost else ""),
        )
    if len(names) == 1 and split == "train":
        _complain_one_class(names[0], by_class[names[0]][0], folder, found.empty[split])
    paths = [path for name in names for path in files[name]]
    labels = [label for label, name in enumerate(names) for _ in files[name]]
    return FileSource(paths, labels, walk.root), names


def _complain_one_class(name: str, path: str, folder: str, empty: dict[str, str]) -> None:
    inner = Walk(folder).list(path)[0]
    hint = f"; or did you mean {shown(path)}?" if len(inner) > 1 else ""
    lost = "; ".join(f"{other!r} holds no image that can be read" for other in empty)
    raise DataError(
        f"only one class, {name!r}" + (f" ({lost})" if lost else ""),
        where=shown(folder),
        remedy="add a folder for a second class" + hint,
    )


def _complain_no_classes(folder: str, loose: list[str], split: str) -> None:
    tables = [name for name in sorted(os.listdir(folder)) if name.lower().endswith((".csv", ".tsv"))]
    if loose:
        raise DataError(
            f"{len(loose)} images but no class folders",
            where=shown(folder),
            remedy="sort them into one folder a class, such as cats/ and dogs/"
            + (f", or move the folder away, and a {split} split is drawn" if split != "train" else "")
            + (f", or pass the table {shown(os.path.join(folder, tables[0]))}" if tables else ""),
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
