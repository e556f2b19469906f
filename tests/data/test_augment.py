"""Augmentation levels: torchvision's per-image functions as the oracle, and the laws of keyed draws."""

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as per_image

from nctransfer.data.augment import LEVELS, AugmentSettings, augment, draw_parameters
from nctransfer.errors import UsageError


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    smooth = torch.rand(48, 3, 5, 5, generator=generator)
    pixels = torch.nn.functional.interpolate(smooth, size=(32, 32), mode="bicubic").clamp(0, 1)
    return (pixels * 255).to(torch.uint8)


INDICES = torch.arange(48) * 7 + 3


def oracle(image, parameters, row, level):
    """One image through torchvision, with the parameters that were drawn for it."""
    height, width = image.shape[1:]
    if level >= 2:
        padded = per_image.pad(image, [parameters.padding] * 4)
        image = per_image.crop(padded, int(parameters.top[row]), int(parameters.left[row]), height, width)
    if level >= 3 and parameters.flip[row]:
        image = per_image.hflip(image)
    if level >= 4 and parameters.jitter[row]:
        adjust = (
            per_image.adjust_brightness,
            per_image.adjust_contrast,
            per_image.adjust_saturation,
            per_image.adjust_hue,
        )
        for operation in parameters.order[row]:
            image = adjust[operation](image, float(parameters.factors[row, operation]))
    if level >= 5 and parameters.grey[row]:
        image = per_image.rgb_to_grayscale(image, 3)
    return image


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_each_level_gives_the_pixels_of_torchvision(images, level, size):
    images = images[:, :, :24] if size[0] == 24 else images
    images = torch.nn.functional.pad(images, (0, size[1] - 32), mode="constant", value=90)
    parameters = draw_parameters(INDICES, seed=1, epoch=2, size=size)
    ours = augment(images, level, seed=1, epoch=2, indices=INDICES)
    theirs = torch.stack([oracle(image, parameters, row, level) for row, image in enumerate(images)])
    distance = (ours.int() - theirs.int()).abs()
    # A hue at the edge of two levels may fall to either side, and a later contrast can stretch that to a second level.
    assert distance.max() <= (2 if level >= 4 else 0)
    assert (distance > 0).float().mean() < 1e-3


def test_pixels_do_not_depend_on_batch_order_or_company(images):
    whole = augment(images, 5, seed=0, epoch=4, indices=INDICES)
    order = torch.randperm(48, generator=torch.Generator().manual_seed(1))
    shuffled = augment(images[order], 5, seed=0, epoch=4, indices=INDICES[order])
    assert torch.equal(shuffled, whole[order])
    parts = [
        augment(some, 5, seed=0, epoch=4, indices=rows)
        for some, rows in zip(images.split([1, 30, 17]), INDICES.split([1, 30, 17]), strict=True)
    ]
    assert torch.equal(torch.cat(parts), whole)


def test_pixels_do_not_depend_on_the_number_of_threads(images):
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(augment(images, 5, seed=0, epoch=1, indices=INDICES))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


def test_seed_epoch_view_and_index_each_change_the_draw(images):
    one = images[:1].expand(48, -1, -1, -1).contiguous()
    base = {"seed": 0, "epoch": 0, "view": 0, "indices": INDICES}
    reference = augment(one, 5, **base)
    for change in ({"seed": 1}, {"epoch": 1}, {"view": 1}, {"indices": INDICES + 1000}):
        other = augment(one, 5, **{**base, **change})
        differing = (other != reference).flatten(1).any(1).float().mean()
        assert differing > 0.9, change
    assert len({image.numpy().tobytes() for image in reference}) > 40


def test_the_drawn_numbers_are_uniform_and_independent():
    parameters = draw_parameters(np.arange(20_000), seed=3, epoch=7, size=(32, 32))
    assert np.bincount(parameters.top, minlength=9).min() > 20_000 / 9 * 0.9
    assert len(np.bincount(parameters.left)) == 9
    assert abs(parameters.flip.mean() - 0.5) < 0.015
    assert abs(parameters.jitter.mean() - 0.8) < 0.015
    assert abs(parameters.grey.mean() - 0.2) < 0.015
    assert np.allclose(parameters.factors.min(0), [0.6, 0.6, 0.6, -0.1], atol=1e-3)
    assert np.allclose(parameters.factors.max(0), [1.4, 1.4, 1.4, 0.1], atol=1e-3)
    assert len(np.unique(parameters.order, axis=0)) == 24
    columns = np.column_stack(
        [parameters.top, parameters.left, parameters.flip, parameters.jitter, parameters.factors, parameters.grey]
    )
    assert np.abs(np.corrcoef(columns.T) - np.eye(columns.shape[1])).max() < 0.03
    neighbours = np.corrcoef(parameters.factors[:-1, 0], parameters.factors[1:, 0])[0, 1]
    assert abs(neighbours) < 0.03


def test_levels_are_nested(images):
    """A sample keeps its crop when the level rises: level 2 and level 3 agree wherever nothing was flipped."""
    second, third = (augment(images, level, seed=0, epoch=0, indices=INDICES) for level in (2, 3))
    flipped = torch.from_numpy(draw_parameters(INDICES, seed=0, epoch=0, size=(32, 32)).flip)
    assert flipped.any()
    assert torch.equal(second[~flipped], third[~flipped])
    assert torch.equal(second[flipped].flip(3), third[flipped])


def test_the_input_is_left_as_it_was(images):
    copy = images.clone()
    for level in LEVELS:
        augment(images, level, seed=0, epoch=0, indices=INDICES)
    assert torch.equal(images, copy)


def test_flip_can_be_switched_off(images):
    settings = AugmentSettings(flip=False)
    second, third = (augment(images, level, seed=0, epoch=0, indices=INDICES, settings=settings) for level in (2, 3))
    assert torch.equal(second, third)


def test_padding_scales_with_the_image():
    assert draw_parameters(np.arange(3), seed=0, epoch=0, size=(64, 96)).padding == 8
    drawn = draw_parameters(np.arange(50), seed=0, epoch=0, size=(64, 64), settings=AugmentSettings(padding=2))
    assert drawn.padding == 2
    assert drawn.top.max() == 4


def test_bad_input_is_named(images):
    with pytest.raises(UsageError, match=r"unknown augmentation level 6.*1 to 5"):
        augment(images, 6, seed=0, epoch=0, indices=INDICES)
    with pytest.raises(TypeError, match=r"uint8 pixels, got torch\.float32"):
        augment(images.float(), 2, seed=0, epoch=0, indices=INDICES)
    with pytest.raises(ValueError, match="each of the 48 images, got 5"):
        augment(images, 2, seed=0, epoch=0, indices=INDICES[:5])
    with pytest.raises(UsageError, match=r"hue must lie in \[0, 0.5\], got 0.7"):
        AugmentSettings(hue=0.7)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_device_gives_nearly_the_pixels_of_the_host(images):
    here = augment(images, 5, seed=0, epoch=0, indices=INDICES)
    there = augment(images.cuda(), 5, seed=0, epoch=0, indices=INDICES).cpu()
    assert (here.int() - there.int()).abs().max() <= 2
