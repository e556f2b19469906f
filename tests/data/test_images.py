"""Each kind of image becomes the RGB pixels that were meant, and damage is told."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFile

from nctransfer.data.images import decode, shown
from nctransfer.errors import DataError


def encoded(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def test_sixteen_bit_grey_keeps_its_high_byte():
    grey = np.array([[0, 0x0100, 0x7FFF, 0xFFFF]], dtype=np.uint16)
    for form in ("PNG", "TIFF"):
        pixels = np.asarray(decode(encoded(Image.fromarray(grey), form)))
        assert pixels[0, :, 0].tolist() == [0, 1, 0x7F, 0xFF]


def test_palette_is_looked_up():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([1, 0])
    assert np.asarray(decode(encoded(image))).tolist() == [[[200, 100, 50], [10, 20, 30]]]


def test_transparent_palette_lies_over_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([1, 0])
    assert np.asarray(decode(encoded(image, transparency=0))).tolist() == [[[200, 100, 50], [255, 255, 255]]]


def test_alpha_hides_what_lies_under_it():
    image = Image.new("RGBA", (2, 1))
    image.putdata([(9, 8, 7, 0), (9, 8, 7, 255)])
    assert np.asarray(decode(encoded(image))).tolist() == [[[255, 255, 255], [9, 8, 7]]]
    half = Image.new("LA", (1, 1), (0, 127))
    assert decode(encoded(half)).getpixel((0, 0)) == (128, 128, 128)


def test_cmyk_jpeg_is_close_to_its_colour():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixel = decode(encoded(red, "JPEG", quality=95)).getpixel((8, 8))
    assert pixel[0] > 245
    assert max(pixel[1:]) < 10


def test_one_bit_and_grey():
    assert decode(encoded(Image.new("1", (3, 2), 1))).getpixel((0, 0)) == (255, 255, 255)
    assert decode(encoded(Image.new("L", (3, 2), 77))).getpixel((0, 0)) == (77, 77, 77)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation):
    image = Image.new("RGB", (2, 3))
    image.putdata([(index * 40, 0, 0) for index in range(6)])
    stored = np.asarray(image)[..., 0]
    turned = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].T,
        8: np.rot90(stored),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.asarray(decode(encoded(image, exif=exif)))[..., 0]
    np.testing.assert_array_equal(pixels, turned)


@pytest.mark.parametrize("mode", ["LAB", "YCbCr"])
def test_other_spaces_of_colour(mode):
    image = (
        Image.new("LAB", (4, 4), (255, 128, 128)) if mode == "LAB" else Image.new("RGB", (4, 4), "white").convert(mode)
    )
    found = np.asarray(decode(encoded(image, "TIFF")))
    assert found.min() > 240


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(content).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_truncated_file_is_an_error(form, make_image):
    content = encoded(make_image(0, 64, 64), form)
    with pytest.raises(DataError, match=r"decoded|format"):
        decode(content[: len(content) * 2 // 3])
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_damaged_tiff_says_nothing_past_the_error(capfd, make_image):
    content = bytearray(encoded(make_image(0, 64, 64), "TIFF", compression="tiff_lzw"))
    content[8000:8060] = b"U" * 60
    with pytest.raises(DataError, match="cannot be decoded"):
        decode(bytes(content))
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_damage_in_the_middle_is_found_where_verify_is_blind(make_image):
    content = encoded(make_image(0, 64, 64), "JPEG")[:-300]
    Image.open(io.BytesIO(content)).verify()
    with pytest.raises(DataError, match="truncated"):
        decode(content)


def test_not_an_image():
    with pytest.raises(DataError, match="known format"):
        decode(b"<html>not found</html>")
    with pytest.raises(DataError, match="empty"):
        decode(b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit", [30, 50])
def test_pixel_limit(monkeypatch, limit):
    content = encoded(Image.new("RGB", (8, 8)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(DataError, match="pixels"):
        decode(content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64)
    assert decode(content).size == (8, 8)


def test_pixels_without_an_agreed_range():
    with pytest.raises(DataError, match="floating-point"):
        decode(encoded(Image.new("F", (2, 2)), "TIFF"))
    with pytest.raises(DataError, match="32-bit"):
        decode(encoded(Image.new("I", (2, 2), 70_000), "TIFF"))
    assert decode(encoded(Image.new("I", (2, 2), 0x8000), "TIFF")).getpixel((0, 0)) == (128, 128, 128)


def test_names_are_shown_escaped():
    assert shown("na\udcefve") == "na\\xefve"
    assert shown("a\x1b[31mb") == "a\\x1b[31mb"
    assert shown("日本語 <b>$x$</b>") == "日本語 <b>$x$</b>"
