"""Encoded images to RGB pixels: every mode is handled on purpose, damage is an error, and nothing is guessed.

What becomes of the less usual kinds: EXIF rotation is applied; 16-bit grey keeps its high byte; a palette is looked up;
CMYK is converted; transparent pixels are laid over white; of an animation the first frame counts. Floating-point and
wider integer images have no agreed range and are refused.
"""

from __future__ import annotations

import io
import os
import unicodedata

import numpy as np
from PIL import Image, ImageOps

from ..errors import DataError

__all__ = ["IMAGE_SUFFIXES", "decode", "pixel_limit", "shown", "to_rgb"]

IMAGE_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in "jpg jpeg jpe jfif png bmp gif tif tiff webp ppm pgm pbm pnm jp2 avif".split()  # noqa: SIM905
)

_ORIENTATION = 0x0112


def decode(content: bytes) -> Image.Image:
    """Decode a whole image file to RGB, upright, with every pixel read.

    Args:
        content: The bytes of the file.

    Returns:
        An image of mode RGB.

    Raises:
        DataError: the file is damaged, truncated, larger than the pixel limit, or of a kind without an agreed range.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("LA", (4, 2), (0, 0)).save(file, "PNG")
        >>> decode(file.getvalue()).getpixel((0, 0))
        (255, 255, 255)
    """
    try:
        # The warning is an exception where warnings are errors; either way the image is over the limit.
        image = Image.open(io.BytesIO(content))
        _check_size(image)
        image.load()
        return to_rgb(_upright(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"more than {pixel_limit():,} pixels", remedy="scale it down, or leave it out") from error
    except DataError:
        raise
    except Image.UnidentifiedImageError as error:
        raise DataError("not an image in a known format" if content else "the file is empty") from error
    except MemoryError:
        raise
    except Exception as error:  # Decoders raise OSError, SyntaxError, ValueError, struct.error, EOFError and others.
        raise DataError(f"cannot be decoded: {error}".replace("\n", " ")) from error


def to_rgb(image: Image.Image) -> Image.Image:
    """``image`` in mode RGB; see the head of this file for what becomes of each mode.

    Raises:
        DataError: the mode has no agreed range (``F``, or ``I`` outside 0..65535).
    """
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if mode.startswith("I;16") or mode == "I":
        values = np.asarray(image)
        if values.size and (values.min() < 0 or values.max() > 0xFFFF):
            raise DataError("32-bit integer image, range unknown", remedy="store it with 8 or 16 bits a channel")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if mode == "F":
        raise DataError("floating-point image, range unknown", remedy="store it with 8 or 16 bits a channel")
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        if mode in ("La", "RGBa"):
            image = image.convert("LA" if mode == "La" else "RGBA")
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")
    return image.convert("RGB")


def pixel_limit() -> int:
    """The largest number of pixels that an image may have: Pillow's own limit, ``PIL.Image.MAX_IMAGE_PIXELS``."""
    return Image.MAX_IMAGE_PIXELS or 2**31


def shown(name: str | bytes) -> str:
    r"""A name from the disk as text that any terminal, JSON file or page can carry.

    Bytes that are not UTF-8, control characters and line separators are shown escaped; all else stays as it is.

    Example:
        >>> shown(b"caf\xe9"), shown("café"), shown("a\nb")
        ('caf\\xe9', 'café', 'a\\nb')
    """
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode() if unicodedata.category(character) in _ESCAPED else character
        for character in text
    )


_ESCAPED = ("Cc", "Cs", "Zl", "Zp")


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > pixel_limit():
        raise DataError(
            f"{image.width} x {image.height} pixels, more than the limit of {pixel_limit():,}",
            remedy="scale it down, or leave it out",
        )


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # A damaged EXIF block says nothing about the pixels, which were read in full.
        return image
    return ImageOps.exif_transpose(image) if orientation in range(2, 9) else image
