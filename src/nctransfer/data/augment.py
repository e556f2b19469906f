"""The five augmentation levels of the paper (A.2), drawn per sample and applied to whole batches where the pixels lie.

Level 1 leaves the images alone; each further level adds one transform: 2 a random crop of the padded image, 3 a random
horizontal flip, 4 a colour jitter, 5 a random conversion to grey. The paper gives no parameters; ours are the fields
of :class:`AugmentSettings`: the padding is the customary one of CIFAR training (4 pixels at 32, scaled with the image),
the colour parameters are those of SupCon's CIFAR recipe (0.4, 0.4, 0.4, 0.1 at p = 0.8; grey at p = 0.2).

Every number drawn is a hash of (seed, epoch, view, index of the sample), never the state of a generator. A sample is
therefore augmented to the same pixels in any batch, order or process, and a resumed run needs no generator restored.

Shapes: images (B, 3, H, W) uint8; indices (B,) integers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from .augment_settings import AugmentSettings
from .order import GOLDEN, splitmix64

__all__ = ["LEVELS", "AugmentParameters", "AugmentSettings", "apply_augmentation", "augment", "draw_parameters"]

LEVELS = {
    1: "none",
    2: "random crop",
    3: "random crop, horizontal flip",
    4: "random crop, horizontal flip, colour jitter",
    5: "random crop, horizontal flip, colour jitter, grey",
}
_STEP = np.uint64(GOLDEN)
_ORDERS = np.array(list(itertools.permutations(range(4))))


@dataclass(frozen=True)
class AugmentParameters:
    """The draws for each sample of a batch, as host arrays of length B (``factors`` and ``order`` are B×4).

    ``top`` and ``left`` count from the corner of the padded image. ``factors`` holds brightness, contrast, saturation
    and hue; ``order`` the sequence in which a sample meets these four.
    """

    padding: int
    top: np.ndarray
    left: np.ndarray
    flip: np.ndarray
    jitter: np.ndarray
    factors: np.ndarray
    order: np.ndarray
    grey: np.ndarray


def augment(
    images: Tensor,
    level: int,
    *,
    seed: int,
    epoch: int,
    indices: Tensor | np.ndarray,
    view: int = 0,
    settings: AugmentSettings | None = None,
) -> Tensor:
    """Augment a batch, each sample by its own draw.

    Args:
        images: Pixels of shape (B, 3, H, W), uint8, on any device.
        level: 1 to 5, as listed in :data:`LEVELS`.
        seed: Seed of the run.
        epoch: Epoch; another epoch draws anew.
        indices: Each sample's index in its split, of shape (B,).
        view: Number of the view, where a sample is seen several times in one step.
        settings: Strengths; the defaults of :class:`AugmentSettings` when left out.

    Returns:
        Pixels of shape (B, 3, H, W), uint8, on the same device. Level 1 returns ``images`` itself.

    Raises:
        UsageError: the level is not one of the five.
        TypeError: the images are not uint8.
        ValueError: shapes do not fit.

    Example:
        >>> images = torch.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8).to(torch.uint8)
        >>> together = augment(images, 5, seed=0, epoch=3, indices=torch.tensor([7, 9]))
        >>> alone = augment(images[1:], 5, seed=0, epoch=3, indices=torch.tensor([9]))
        >>> torch.equal(together[1:], alone)
        True
    """
    if level not in LEVELS:
        raise UsageError(f"unknown augmentation level {level}", where="level", remedy="choose a level from 1 to 5")
    if images.dtype != torch.uint8:
        raise TypeError(f"`images` must be uint8 pixels, got {images.dtype}")
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"`images` must be of shape (B, 3, H, W), got {tuple(images.shape)}")
    if len(indices) != len(images):
        raise ValueError(f"`indices` must have one entry for each of the {len(images)} images, got {len(indices)}")
    if level == 1 or len(images) == 0:
        return images
    settings = settings or AugmentSettings()
    parameters = draw_parameters(
        indices, seed=seed, epoch=epoch, view=view, size=(images.shape[2], images.shape[3]), settings=settings
    )
    return apply_augmentation(images, parameters, level)


def draw_parameters(
    indices: Tensor | np.ndarray,
    *,
    seed: int,
    epoch: int,
    size: tuple[int, int],
    view: int = 0,
    settings: AugmentSettings | None = None,
) -> AugmentParameters:
    """Draw every transform's parameters for each sample, the same whatever the level (so levels are nested).

    Args:
        indices: Indices of the samples, of shape (B,).
        seed, epoch, view: The rest of the key.
        size: Height and width of the images.
        settings: Strengths.

    Example:
        >>> draw_parameters(np.array([4, 5]), seed=1, epoch=0, size=(32, 32)).padding
        4
    """
    settings = settings or AugmentSettings()
    host = indices.cpu().numpy() if isinstance(indices, Tensor) else np.asarray(indices)
    uniform = _uniform(_keys(seed, epoch, view, host), 10)
    padding = min(size) // 8 if settings.padding is None else settings.padding
    spread = np.array([settings.brightness, settings.contrast, settings.saturation])
    low, high = np.maximum(0.0, 1.0 - spread), 1.0 + spread
    factors = np.empty((len(host), 4))
    factors[:, :3] = low + (high - low) * uniform[:, 4:7]
    factors[:, 3] = settings.hue * (2.0 * uniform[:, 7] - 1.0)
    return AugmentParameters(
        padding=padding,
        top=(uniform[:, 0] * (2 * padding + 1)).astype(np.int64),
        left=(uniform[:, 1] * (2 * padding + 1)).astype(np.int64),
        flip=(uniform[:, 2] < settings.flip_probability) & settings.flip,
        jitter=uniform[:, 3] < settings.jitter_probability,
        factors=factors,
        order=_ORDERS[(uniform[:, 8] * len(_ORDERS)).astype(np.int64)],
        grey=uniform[:, 9] < settings.grey_probability,
    )


def apply_augmentation(images: Tensor, parameters: AugmentParameters, level: int) -> Tensor:
    """Apply what :func:`draw_parameters` drew, up to ``level``. The input is left as it is.

    The colour transforms follow torchvision's on uint8 images: each step is clamped and truncated to whole levels.

    Args:
        images: Pixels of shape (B, 3, H, W), uint8.
        parameters: One draw for each sample.
        level: 1 to 5.
    """
    if level >= 2:
        images = _crop(images, parameters, flip=level >= 3)
    if level >= 4:
        for position in range(4):
            for operation, change in enumerate(_COLOUR):
                chosen = np.flatnonzero(parameters.jitter & (parameters.order[:, position] == operation))
                _change(images, chosen, change, parameters.factors[chosen, operation])
    if level >= 5:
        _change(images, np.flatnonzero(parameters.grey), _to_grey, None)
    return images


def _change(images: Tensor, chosen: np.ndarray, change: Callable, factors: np.ndarray | None) -> None:
    if len(chosen) == 0:
        return
    where = torch.from_numpy(chosen).to(images.device)
    images.index_copy_(0, where, change(images.index_select(0, where), factors))


def _crop(images: Tensor, parameters: AugmentParameters, flip: bool) -> Tensor:
    """A window of each black-padded image, mirrored where drawn: one gather with row and column numbers per sample."""
    (count, channels, height, width), padding = images.shape, parameters.padding
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    columns = np.arange(width)[None, :].repeat(count, 0)
    if flip:
        columns = np.where(parameters.flip[:, None], width - 1 - columns, columns)
    columns = columns + parameters.left[:, None]
    rows = parameters.top[:, None] + np.arange(height)
    spot = torch.from_numpy(rows[:, :, None] * (width + 2 * padding) + columns[:, None, :]).to(images.device)
    flat = padded.view(count, channels, -1)
    spot = spot.view(count, 1, -1).expand(-1, channels, -1)
    return flat.gather(2, spot).view(count, channels, height, width)


def _blend(images: Tensor, other: Tensor | None, factors: np.ndarray) -> Tensor:
    mixed = images * _column(factors, images)
    if other is not None:
        mixed += other * _column(1.0 - factors, images)
    return mixed.clamp_(0, 255).to(torch.uint8)


def _column(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(like.device).view(-1, 1, 1, 1)


def _grey(images: Tensor) -> Tensor:
    """Luminance of shape (B, 1, H, W), in whole levels."""
    red, green, blue = images.split(1, dim=1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).to(torch.uint8)


def _to_grey(images: Tensor, factors: None) -> Tensor:
    return _grey(images).expand_as(images)


def _brightness(images: Tensor, factors: np.ndarray) -> Tensor:
    return _blend(images, None, factors)


def _contrast(images: Tensor, factors: np.ndarray) -> Tensor:
    # The mean is summed over whole levels, so it is exact and does not depend on how a batch splits the work.
    total = _grey(images).flatten(1).sum(1, dtype=torch.int64)
    mean = total.float() / (images.shape[2] * images.shape[3])
    return _blend(images, mean.view(-1, 1, 1, 1), factors)


def _saturation(images: Tensor, factors: np.ndarray) -> Tensor:
    return _blend(images, _grey(images), factors)


def _hue(images: Tensor, factors: np.ndarray) -> Tensor:
    """Turn the hue: with m = max, c = max − min and h the turned hue in sixths of a circle, channel n of (5, 3, 1)
    becomes m − c·clamp(min(k, 4 − k), 0, 1), k = (n + h) mod 6."""
    pixels = images.float()
    red, green, blue = pixels.unbind(1)
    top = torch.maximum(torch.maximum(red, green), blue)
    spread = top - torch.minimum(torch.minimum(red, green), blue)
    width = spread.clamp(min=1)  # whole levels: 0 where the pixel is grey and its hue does not matter
    hue = torch.where(
        top == red,
        (green - blue) / width,
        torch.where(top == green, (blue - red) / width + 2, (red - green) / width + 4),
    )
    hue += _column(6.0 * factors, images).view(-1, 1, 1)
    turned = torch.empty_like(pixels)
    for channel, offset in enumerate((5, 3, 1)):
        sector = torch.remainder(hue + offset, 6)
        share = torch.minimum(sector, 4 - sector).clamp_(0, 1)
        turned[:, channel] = top - spread * share
    return turned.mul_(255.999 / 255).to(torch.uint8)  # the way torchvision goes back from [0, 1] to whole levels


_COLOUR = (_brightness, _contrast, _saturation, _hue)


def _keys(seed: int, epoch: int, view: int, indices: np.ndarray) -> np.ndarray:
    """One 64-bit key per sample: the words of the name are absorbed one by one, each mixed in full before the next."""
    key = np.zeros(1, dtype=np.uint64)
    for word in (seed, epoch, view):
        key = splitmix64((key ^ np.uint64(word & 0xFFFFFFFFFFFFFFFF)) + _STEP)
    return splitmix64((key ^ indices.astype(np.int64).view(np.uint64)) + _STEP)


def _uniform(keys: np.ndarray, count: int) -> np.ndarray:
    """Numbers in [0, 1) of shape (B, count): the SplitMix64 sequence that starts at each key (Steele et al., 2014)."""
    steps = np.arange(1, count + 1, dtype=np.uint64) * _STEP
    return (splitmix64(keys[:, None] + steps + _STEP) >> np.uint64(11)) * 2.0**-53
