"""Encoded images to RGB pixels: every mode is handled on purpose, damage is an error, and nothing is guessed.

Of the less usual kinds: the orientation in EXIF is applied; a palette is looked up; CMYK is converted; transparent pixels are
laid over white; of an animation or a file of several pages the first image counts. Images of more than 8 bits a channel are
:class:`DeepPixels` until a range of values is known that becomes 0 to 255; without one, 16 bits keep their high byte, and
floating-point and wider integer images are refused.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DataError
from .exif import orientation_of, turned
from .sniff import IMAGE_SUFFIXES, kind_of, kinds_without_reader

__all__ = [
    "IMAGE_SUFFIXES",
    "Decoding",
    "DeepPixels",
    "decode",
    "load",
    "pixel_limit",
    "plain_deep",
    "render",
    "shown",
    "to_rgb",
]

_FULL = (0.0, 65535.0)
# Formats that Pillow hands to other programs, or that hold no photograph.
_REFUSED = frozenset(("EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5", "FITS", "GBR", "MIC", "FPX"))


@dataclass(frozen=True)
class Decoding:
    """How encoded images become RGB.

    Attributes:
        pixel_limit: Most pixels of an image; Pillow's own limit where None.
        value_ranges: For each kind of deep pixels, the values that become 0 and 255.
    """

    pixel_limit: int | None = None
    value_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class DeepPixels:
    """An image of more than 8 bits a channel, upright, before its values are mapped to 0..255.

    Attributes:
        values: Shape (H, W) or (H, W, 3): uint16, int32 or float32.
        alpha: Shape (H, W), uint8, or None where nothing is transparent.
    """

    values: np.ndarray
    alpha: np.ndarray | None = None

    @property
    def kind(self) -> str:
        """``16-bit``, ``32-bit integer`` or ``floating-point``: kinds whose values have nothing in common."""
        return {"u": "16-bit", "i": "32-bit integer", "f": "floating-point"}[self.values.dtype.kind]


def decode(content: bytes, decoding: Decoding | None = None) -> Image.Image:
    """Decode a whole image file to RGB, upright, with every pixel read.

    Args:
        content: The bytes of the file.
        decoding: Limits and ranges; the defaults where None.

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
    decoding = decoding or Decoding()
    return render(load(content, decoding), decoding.value_ranges)


def load(content: bytes, decoding: Decoding | None = None) -> Image.Image | DeepPixels:
    """Decode a whole image file, upright, to RGB or, where it holds more than 8 bits a channel, to deep pixels.

    Raises:
        DataError: as for :func:`decode`.
    """
    limit = pixel_limit() if decoding is None or decoding.pixel_limit is None else decoding.pixel_limit
    try:
        with _quiet(limit):
            image = Image.open(io.BytesIO(content), formats=_formats())
            _check_size(image, limit)
            orientation = orientation_of(image, content)
            if image.format == "TIFF":
                setattr(image, "load_end", _nothing)  # noqa: B010  # It would write the EXIF block anew.
            with _hushed() if _through_libtiff(image) else contextlib.nullcontext():
                deep = _deep(image, content)
                if deep is None:
                    image.load()
            if deep is not None:
                alpha = None if deep.alpha is None else np.asarray(turned(deep.alpha, orientation))
                return DeepPixels(np.asarray(turned(deep.values, orientation)), alpha)
            return to_rgb(turned(image, orientation))  # type: ignore[arg-type]
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"more than the limit of {limit:,} pixels", remedy=_TOO_LARGE) from error
    except DataError:
        raise
    except Image.UnidentifiedImageError as error:
        raise DataError(_unknown(content)) from error
    except MemoryError:
        raise
    except Exception as error:  # Decoders raise OSError, SyntaxError, ValueError, struct.error, EOFError and others.
        raise DataError(f"cannot be decoded: {error}".replace("\n", " ")) from error


def render(
    loaded: Image.Image | DeepPixels, value_ranges: Mapping[str, tuple[float, float]] | None = None
) -> Image.Image:
    """A loaded image as RGB; deep values are mapped from the range of their kind, clipped, to 0..255.

    Raises:
        DataError: deep pixels without an agreed range, and none is given.
    """
    if isinstance(loaded, Image.Image):
        return loaded
    values, value_range = loaded.values, (value_ranges or {}).get(loaded.kind)
    if value_range is None:
        if values.dtype.kind == "f":
            raise DataError("floating-point image, range unknown", remedy=_RANGE)
        if values.size and (values.min() < 0 or values.max() > 0xFFFF):
            raise DataError("32-bit integer image, range unknown", remedy=_RANGE)
        value_range = _FULL
    if value_range == _FULL and values.dtype.kind != "f":
        eight = (np.clip(values, 0, 0xFFFF) >> 8).astype(np.uint8)
    else:
        low, high = value_range
        scaled = (values.astype(np.float64) - low) * (255 / (high - low))
        eight = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
    image = Image.fromarray(eight).convert("RGB")
    if loaded.alpha is None:
        return image
    white = Image.new("RGB", image.size, (255, 255, 255))
    return Image.composite(image, white, Image.fromarray(loaded.alpha))


def to_rgb(image: Image.Image) -> Image.Image:
    """``image``, of at most 8 bits a channel, in mode RGB; see the head of this file for what becomes of each mode.

    Raises:
        DataError: deep pixels without an agreed range (``F``, or ``I`` outside 0..65535).
    """
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if mode.startswith("I") or mode == "F":
        return render(plain_deep(image))
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        if mode in ("La", "RGBa"):
            image = image.convert("LA" if mode == "La" else "RGBA")
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")
    return image.convert("RGB")


def pixel_limit() -> int:
    """The largest number of pixels that an image may have by default: Pillow's ``PIL.Image.MAX_IMAGE_PIXELS``."""
    limit = _quiet.outer_limit if _quiet.depth else Image.MAX_IMAGE_PIXELS
    return limit or 2**31


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
_TOO_LARGE = "scale it down, leave it out, or raise the limit with --pixel-limit"
_RANGE = "store it with 8 or 16 bits a channel, or give its range with --image-range LOW,HIGH"


def _formats() -> list[str]:
    Image.init()
    return [name for name in Image.ID if name not in _REFUSED]


def _unknown(content: bytes) -> str:
    if not content:
        return "the file is empty"
    kind = kind_of(content[:32])
    if kind in kinds_without_reader():
        return f"{kind}, which cannot be read here; convert it to JPEG or PNG"
    return "not an image in a known format"


def _check_size(image: Image.Image, limit: int) -> None:
    if image.width * image.height > limit:
        raise DataError(
            f"{image.width} x {image.height} pixels, more than the limit of {limit:,}",
            remedy=_TOO_LARGE,
        )


def _deep(image: Image.Image, content: bytes) -> DeepPixels | None:
    """The pixels of an opened file as they are stored, where they hold more than 8 bits a channel."""
    if image.mode.startswith("I") or image.mode == "F":
        image.load()
        return plain_deep(image)
    raw = _raw_mode(image)
    if not raw.endswith((";16B", ";16L", ";16N")):
        return None
    # Pillow keeps one byte of the two; read with the other order of bytes it keeps the other one.
    halves = []
    for other in (raw, raw[:-1] + {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}[raw[-1]]):
        again = Image.open(io.BytesIO(content), formats=[str(image.format)])
        if again.format == "TIFF":
            setattr(again, "load_end", _nothing)  # noqa: B010
        again.tile = [_with_raw_mode(tile, other) for tile in again.tile]
        again.load()
        halves.append(np.asarray(again))
    high, low = halves
    values = high[..., :3].astype(np.uint16) << 8 | low[..., :3]
    return DeepPixels(values, high[..., 3] if high.shape[-1] == 4 else None)


def plain_deep(image: Image.Image) -> DeepPixels:
    """The values of a loaded image of one of the modes ``I;16``, ``I`` and ``F``."""
    values = np.asarray(image)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise DataError("a floating-point image with pixels that are not finite")
        return DeepPixels(values.astype(np.float32))
    if image.mode.startswith("I;16") or not values.size or (values.min() >= 0 and values.max() <= 0xFFFF):
        return DeepPixels(values.astype(np.uint16))
    return DeepPixels(values.astype(np.int32))


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None) or []
    if len(tiles) != 1 or tiles[0][0] not in ("zip", "raw", "libtiff"):
        return ""
    arguments = tiles[0][3]
    found = arguments if isinstance(arguments, str) else arguments[0] if isinstance(arguments, tuple) else ""
    return found if isinstance(found, str) else ""


def _with_raw_mode(tile: Any, raw: str) -> Any:
    arguments = raw if isinstance(tile[3], str) else (raw, *tile[3][1:])
    return tile._replace(args=arguments)


def _nothing() -> None:
    pass


def _through_libtiff(image: Image.Image) -> bool:
    return any(tile[0] == "libtiff" for tile in getattr(image, "tile", None) or [])


_stderr_lock = threading.Lock()


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """libtiff writes its complaints straight to the standard error of the process; what they say is an error here."""
    with _stderr_lock:
        try:
            kept = os.dup(2)
        except OSError:  # There is no standard error.
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


class _Quiet:
    """While images are decoded, Pillow's warnings are not shown and its pixel limit is the one that was asked for.

    Both are settings of the whole process, so that threads share them: the first that enters sets, the last restores.
    """

    def __init__(self) -> None:
        self._lock, self.depth, self.outer_limit = threading.Lock(), 0, Image.MAX_IMAGE_PIXELS
        self._filters = warnings.catch_warnings()

    @contextlib.contextmanager
    def __call__(self, limit: int) -> Iterator[None]:
        with self._lock:
            if self.depth == 0:
                self.outer_limit = Image.MAX_IMAGE_PIXELS
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
            self.depth += 1
            Image.MAX_IMAGE_PIXELS = limit
        try:
            yield
        finally:
            with self._lock:
                self.depth -= 1
                if self.depth == 0:
                    self._filters.__exit__(None, None, None)
                    Image.MAX_IMAGE_PIXELS = self.outer_limit


_quiet = _Quiet()
