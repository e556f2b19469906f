"""From an image of any size to the square of pixels that a network takes; normalisation is left to the network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..errors import UsageError, near_names

if TYPE_CHECKING:
    import torch

__all__ = ["FITS", "Preprocess"]

_INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# Beyond this ratio of sides, only the part that the crop keeps is resized: a 1 x 20,000 strip would fill the memory.
_LONGEST = 8


FITS = ("crop", "squish", "pad")
"""Ways to make an image square."""


@dataclass(frozen=True)
class Preprocess:
    """Make a square of ``floor(size / crop_pct)`` pixels, then keep its centre of ``size`` pixels.

    ``crop`` resizes the shorter side to the square's and cuts the rest of the longer side off, which is timm's
    evaluation transform; ``squish`` resizes both sides to the square's and so changes their ratio; ``pad`` resizes the
    longer side and fills the rest with the mean colour. Square images become the same pixels in all three ways.

    Attributes:
        size: Side of the square, in pixels.
        interpolation: ``nearest``, ``box``, ``bilinear``, ``hamming``, ``bicubic`` or ``lanczos``.
        crop_pct: Fraction of the square's side that the centre keeps, in (0, 1].
        mean, std: Per channel, of pixels in [0, 1]; carried along for the network, not applied here.
        fit: ``crop``, ``squish`` or ``pad``.

    Raises:
        UsageError: a value is invalid.

    Example:
        >>> Preprocess(size=8).pixels(Image.new("RGB", (20, 10))).shape
        torch.Size([3, 8, 8])
    """

    size: int
    interpolation: str = "bicubic"
    crop_pct: float = 1.0
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    fit: str = "crop"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"`size` must be at least 1 pixel, got {self.size}")
        if not 0 < self.crop_pct <= 1:
            raise UsageError(f"`crop_pct` must lie in (0, 1], got {self.crop_pct}")
        if self.interpolation not in _INTERPOLATIONS:
            raise UsageError(
                f"unknown interpolation {self.interpolation!r}",
                remedy=near_names(self.interpolation, list(_INTERPOLATIONS)),
            )
        if self.fit not in FITS:
            raise UsageError(f"unknown fit {self.fit!r}", where="--fit", remedy=near_names(self.fit, FITS))
        if len(self.mean) != 3 or len(self.std) != 3:
            raise UsageError(f"`mean` and `std` must have 3 values, got {self.mean} and {self.std}")

    @property
    def geometry(self) -> tuple[Any, ...]:
        """The values that the pixels depend on."""
        return self.size, self.interpolation, self.crop_pct, self.fit, self.mean if self.fit == "pad" else None

    def pixels(self, image: Image.Image) -> torch.Tensor:
        """The square of pixels, shape (3, size, size), uint8."""
        import torch  # prediction from an exported model does without it

        return torch.from_numpy(self.array(image).transpose(2, 0, 1).copy())

    def array(self, image: Image.Image) -> np.ndarray:
        """The same as an array with channels last, shape (size, size, 3), uint8."""
        if image.mode != "RGB":
            image = image.convert("RGB")
        width, height = image.size
        side = math.floor(self.size / self.crop_pct)
        if width == height or self.fit == "crop":
            return self._cropped(image, side)
        if self.fit == "squish":
            return self._centre(image.resize((side, side), _INTERPOLATIONS[self.interpolation]), side, side)
        wide, high = (
            (side, max(1, int(side * height / width))) if width > height else (max(1, int(side * width / height)), side)
        )
        canvas = Image.new("RGB", (side, side), tuple(round(255 * value) for value in self.mean))
        resized = image.resize((wide, high), _INTERPOLATIONS[self.interpolation])
        canvas.paste(resized, ((side - wide) // 2, (side - high) // 2))
        return self._centre(canvas, side, side)

    def _cropped(self, image: Image.Image, short: int) -> np.ndarray:
        width, height = image.size
        resample = _INTERPOLATIONS[self.interpolation]
        if width <= height:
            wide, high = short, int(short * height / width)
        else:
            wide, high = int(short * width / height), short
        left, top = round((wide - self.size) / 2), round((high - self.size) / 2)
        if max(wide, high) > _LONGEST * short:
            # The kernel still sees what lies beyond the box.
            across, down = width / wide, height / high
            box = (left * across, top * down, (left + self.size) * across, (top + self.size) * down)
            box = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height)))
            return np.asarray(image.resize((self.size, self.size), resample, box=box))
        if (wide, high) != (width, height):
            image = image.resize((wide, high), resample)
        return self._centre(image, wide, high)

    def _centre(self, image: Image.Image, wide: int, high: int) -> np.ndarray:
        if (wide, high) != (self.size, self.size):
            left, top = round((wide - self.size) / 2), round((high - self.size) / 2)
            image = image.crop((left, top, left + self.size, top + self.size))
        return np.asarray(image)
