"""Loose images on disk, without labels: what prediction reads."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from ..errors import DataError
from .images import IMAGE_SUFFIXES, decode, shown

__all__ = ["image_files", "read_image"]


def image_files(path: Path) -> list[Path]:
    """``path`` itself if it is a file, else all images below it in the order of their names; hidden ones left out.

    Raises:
        DataError: nothing stands there, or the folder holds no image.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError("no such image or folder", where=shown(os.fspath(path)), remedy="check the path")
    found = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        found += [
            Path(folder, name)
            for name in sorted(files)
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
        ]
    if not found:
        raise DataError("the folder holds no image", where=shown(os.fspath(path)), remedy="check the path")
    return found


def read_image(path: Path) -> Image.Image:
    """An image file as upright RGB, fully decoded.

    Raises:
        DataError: it is missing, damaged, or larger than the pixel limit.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=shown(os.fspath(path))) from error
    try:
        return decode(content)
    except DataError as error:
        raise DataError(error.what, where=shown(os.fspath(path)), remedy=error.remedy) from error
