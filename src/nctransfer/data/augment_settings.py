"""Strengths of the augmentation, apart from the code that applies them, so that settings need no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import UsageError

__all__ = ["AugmentSettings"]


@dataclass(frozen=True)
class AugmentSettings:
    """Strengths of the transforms. Their sources are stated at the head of ``augment.py``.

    Args:
        padding: Black pixels added on each side before the crop; ``None`` takes an eighth of the shorter side.
        flip: Whether level 3 and above flip at all; switch it off for images in which left and right differ (digits).
        flip_probability: Probability of a horizontal flip.
        brightness, contrast, saturation: Half-width of the factor's range around 1.
        hue: Half-width of the hue shift's range, in turns, at most 0.5.
        jitter_probability: Probability that a sample is jittered at all.
        grey_probability: Probability that a sample turns grey.
    """

    padding: int | None = field(
        default=None, metadata={"description": "Pixels around the image before the crop; size/8 if left out."}
    )
    flip: bool = field(
        default=True, metadata={"description": "Flip images at random; switch off for digits, letters and signs."}
    )
    flip_probability: float = 0.5
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    jitter_probability: float = 0.8
    grey_probability: float = 0.2

    def __post_init__(self) -> None:
        for name in ("flip_probability", "jitter_probability", "grey_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must lie in [0, 1], got {getattr(self, name)}", where="AugmentSettings")
        for name in ("brightness", "contrast", "saturation"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative, got {getattr(self, name)}", where="AugmentSettings")
        if not 0 <= self.hue <= 0.5:
            raise UsageError(f"hue must lie in [0, 0.5], got {self.hue}", where="AugmentSettings")
        if self.padding is not None and self.padding < 0:
            raise UsageError(f"padding must not be negative, got {self.padding}", where="AugmentSettings")
