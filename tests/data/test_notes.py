"""What must be said of the data is said as a warning, once, with an example."""

import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from nctransfer.data import bundle_from_arrays, open_dataset, warnings_of_report
from nctransfer.data.images import decode, pixel_limit
from nctransfer.errors import DataError, UsageError


def test_leaks_twins_and_skipped_images_are_warnings(make_folder):
    root = make_folder({"train/a": 30, "train/b": 30, "val/a": 4, "val/b": 4, "test/a": 4, "test/b": 4})
    for place in ("test/a/leak.png", "val/a/leak.png", "train/b/other.png"):
        shutil.copy(root / "train/a/0.png", root / place)
    (root / "train/a/broken.png").write_bytes(b"")
    told = warnings_of_report(open_dataset(root, on_bad_image="skip").report)
    for words in (
        "1 test images also stand in train, pixel for pixel (train/",
        "1 test images also stand in validation",
        "1 validation images also stand in train",
        "4 images have a twin, pixel for pixel, with another label",
        "1 unreadable images were skipped: train/a/broken.png",
        "the validation split holds 9 images, too few to decide by (the standard error of an accuracy on it is up to 17%)",
    ):
        assert sum(words in note for note in told) == 1, words


@pytest.mark.parametrize(("num", "said"), [(49, True), (50, False)])
def test_validation_of_fewer_than_fifty_images(num, said):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 4, 4), np.uint8)
    bundle = bundle_from_arrays(
        images, np.arange(200) % 2, validation=(rng.integers(0, 256, (num, 4, 4), np.uint8), np.arange(num) % 2)
    )
    assert any("too few to decide" in note for note in bundle.report["notes"]) == said


def test_the_pixel_limit_is_an_option_and_pillow_says_nothing(make_folder):
    root = make_folder({"a": 5, "b": 5})
    Image.new("1", (9_500, 9_500)).save(root / "a" / "scan.png")
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(DataError, match=r"a/scan\.png: 9500 x 9500 pixels, more than the limit of 89,478,485"):
            open_dataset(root)
        assert sum(open_dataset(root, pixel_limit=100_000_000).report["splits"].values()) == 11
        with pytest.raises(DataError, match=r"limit of 50"):
            open_dataset(root, pixel_limit=50)
    assert not told
    assert before == Image.MAX_IMAGE_PIXELS == pixel_limit()
    with pytest.raises(UsageError, match="at least 1"):
        open_dataset(root, pixel_limit=0)


def test_a_limit_far_above_that_of_pillow(monkeypatch, make_image):
    import io

    file = io.BytesIO()
    make_image(0, 40, 40).save(file, "WEBP")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    from nctransfer.data import Decoding

    assert decode(file.getvalue(), Decoding(pixel_limit=1_600)).size == (40, 40)
    with pytest.raises(DataError, match="pixels"):
        decode(file.getvalue())
