"""Loose images on disk, without labels: what prediction reads."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from ..errors import DataError
from .images import Decoding, decode, shown
from .walk import Walk

__all__ = ["find_images", "image_files", "read_image"]


def find_images(path: Path) -> tuple[list[Path], list[str]]:
    """``path`` itself if it is a file, else all images below it in the order of their names.

    Returns:
        The images, and what was left out though it may be meant as an image. Hidden files and runs of this package are
        left out silently.

    Raises:
        DataError: nothing is there, or the folder holds no image.
    """
    where = shown(os.fspath(path))
    try:
        if path.is_file():
            return [path], []
        is_folder = path.is_dir()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"no such image or folder: {reason}", where=where[:200], remedy="check the path") from error
    if not is_folder:
        raise DataError("no such image or folder", where=where, remedy="check the path")
    walk = Walk(os.fspath(path))
    found = [Path(name) for name in walk.images(os.fspath(path), {})]
    if not found:
        kinds = walk.missed_in(os.fspath(path))
        raise DataError(
            "the folder holds no image" + (f" that can be read ({kinds})" if kinds else ""),
            where=where,
            remedy="check the path" if not kinds else "convert them to JPEG or PNG",
        )
    return found, walk.missed


def image_files(path: Path) -> list[Path]:
    """The images of :func:`find_images` alone."""
    return find_images(path)[0]


def read_image(path: Path, decoding: Decoding | None = None) -> Image.Image:
    """An image file as upright RGB, fully decoded.

    Raises:
        DataError: it is missing, damaged, or larger than the pixel limit.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot be read: {reason}", where=shown(os.fspath(path))) from error
    try:
        return decode(content, decoding)
    except DataError as error:
        raise DataError(error.what, where=shown(os.fspath(path)), remedy=error.remedy) from error
