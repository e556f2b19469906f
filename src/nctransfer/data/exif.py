"""The orientation that a camera wrote into a file, read from the block itself, which is never written again.

Pillow applies an orientation by writing the whole block anew without it, and that fails when any other entry is odd.
Here one entry is looked for; all others may be as damaged as they like.
"""

from __future__ import annotations

import re
import struct

import numpy as np
from PIL import Image

__all__ = ["orientation_of", "turned"]

_ORIENTATION = 0x0112
_FORMATS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
_MOST_ENTRIES = 1000
_TIFF_HEAD = re.compile(rb"II\*\0|MM\0\*")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation_of(image: Image.Image, content: bytes) -> int:
    """The orientation that an opened file asks for, 1 to 8; 1 where it says nothing that can be read.

    Args:
        image: The opened file.
        content: Its bytes.
    """
    if image.format == "TIFF":
        return _in_block(content) or 1
    block = image.info.get("exif")
    if not isinstance(block, bytes):
        block = _from_text(image.info.get("Raw profile type exif"))
    start = _TIFF_HEAD.search(block[:64])
    found = _in_block(block[start.start() :]) if start else 0
    return found or _in_xmp(image.info.get("xmp") or image.info.get("XML:com.adobe.xmp"))


def turned(image: Image.Image | np.ndarray, orientation: int) -> Image.Image | np.ndarray:
    """The upright image, of pixels that are stored in this orientation.

    Example:
        >>> turned(np.array([[1, 2], [3, 4]]), 6).tolist()
        [[3, 1], [4, 2]]
    """
    if orientation not in _TURNS:
        return image
    if isinstance(image, Image.Image):
        return image.transpose(_TURNS[orientation])
    across = {
        2: lambda: image[:, ::-1],
        3: lambda: image[::-1, ::-1],
        4: lambda: image[::-1],
        5: lambda: image.swapaxes(0, 1),
        6: lambda: image[::-1].swapaxes(0, 1),
        7: lambda: image[::-1, ::-1].swapaxes(0, 1),
        8: lambda: image[:, ::-1].swapaxes(0, 1),
    }
    return np.ascontiguousarray(across[orientation]())


def _in_block(block: bytes) -> int:
    """Orientation in a TIFF structure, by its first directory alone; 0 where it holds none."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    try:
        if order is None or struct.unpack_from(order + "H", block, 2)[0] != 42:
            return 0
        (start,) = struct.unpack_from(order + "I", block, 4)
        (num,) = struct.unpack_from(order + "H", block, start)
        for entry in range(min(num, _MOST_ENTRIES)):
            place = start + 2 + 12 * entry
            tag, kind, count = struct.unpack_from(order + "HHI", block, place)
            if tag == _ORIENTATION:
                value = struct.unpack_from(order + _FORMATS[kind], block, place + 8)[0] if count == 1 else 1
                return int(value) if value in range(1, 9) else 1
    except (struct.error, KeyError):
        pass
    return 0


def _from_text(value: object) -> bytes:
    """The block of a PNG that keeps it as hexadecimal text, as ImageMagick does."""
    if not isinstance(value, str):
        return b""
    try:
        return bytes.fromhex("".join(value.split("\n")[3:]))
    except ValueError:
        return b""


def _in_xmp(value: object) -> int:
    text = value.encode("utf-8", "replace") if isinstance(value, str) else value
    match = re.search(rb'tiff:Orientation(?:="|>)([1-8])["<]', text) if isinstance(text, bytes) else None
    return int(match.group(1)) if match else 1
