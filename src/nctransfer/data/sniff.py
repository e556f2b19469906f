"""The kind of a file by its first bytes: an image that can be read, an image that cannot, or none."""

from __future__ import annotations

import os
import re

from PIL import Image, features

__all__ = ["IMAGE_SUFFIXES", "is_text_suffix", "kind_of", "kind_of_file", "kinds_without_reader"]

IMAGE_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in "jpg jpeg jpe jfif png bmp gif tif tiff webp ppm pgm pbm pnm jp2 avif".split()  # noqa: SIM905
)

# Camera originals are TIFF inside, and what Pillow would read of them is a preview.
_RAW = frozenset("nef nrw cr2 cr3 dng arw sr2 srf srw orf rw2 pef raf 3fr iiq erf kdc mrw".split())  # noqa: SIM905
_TEXT = frozenset(
    """txt text md rst json jsonl xml csv tsv yaml yml toml ini cfg conf log html htm py ipynb sh bat css js tex bib url lnk
    xmp aae pdf doc docx xls xlsx mat npy npz pkl parquet db sqlite names data zip tar gz tgz 7z rar md5 sha256 lock part
    tmp mp3 wav""".split()  # noqa: SIM905
)

_HEAD = 32
_PNM = re.compile(rb"P[1-7][ \t\r\n]")
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "CR3"} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"
)


def kind_of(head: bytes) -> str:
    """The name of the image format that begins with these bytes, or an empty text.

    Example:
        >>> kind_of(bytes([0xFF, 0xD8, 0xFF, 0xE0])), kind_of(b"<html>")
        ('JPEG', '')
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "JPEG2000"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "")
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JPEG XL"
    if head.startswith(b"8BPS"):
        return "PSD"
    return "PNM" if _PNM.match(head) else ""


def kinds_without_reader() -> frozenset[str]:
    """The formats of :func:`kind_of` that this machine's Pillow does not read."""
    missing = {"HEIC", "JPEG XL", "CR3", "PSD"}
    missing |= {name for name, feature in (("AVIF", "avif"), ("JPEG2000", "jpg_2000")) if not features.check(feature)}
    if "HEIF" in Image.OPEN:  # registered by a plug-in such as pillow-heif
        missing.discard("HEIC")
    return frozenset(missing)


def kind_of_file(path: str) -> str:
    """The kind of a file on disk by its content; empty also where it cannot be read or is a camera's original."""
    if os.path.splitext(path)[1].lower().removeprefix(".") in _RAW:
        return ""
    try:
        with open(path, "rb") as file:
            return kind_of(file.read(_HEAD))
    except OSError:
        return ""


def is_text_suffix(name: str) -> bool:
    """Whether a file of this name is known to be no image, so that nobody misses it among images."""
    return os.path.splitext(name)[1].lower().removeprefix(".") in _TEXT
