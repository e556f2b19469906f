"""More than 8 bits a channel: the range comes from the training images or an option, and nothing turns black silently."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from nctransfer.data import open_dataset
from nctransfer.data.depth import parse_range
from nctransfer.data.images import DeepPixels, decode, load
from nctransfer.errors import DataError, UsageError


def saved(folder, count, make, form="PNG"):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.fromarray(make(np.random.default_rng(index))).save(folder / f"{index:02d}.{form.lower()}", form)


def dark(low, high):
    return lambda rng: rng.integers(low, high, (12, 12)).astype(np.uint16)


def pixels(bundle):
    return np.stack([np.asarray(bundle.train.image(index)) for index in range(len(bundle.train))])


def warned(bundle, words):
    return any(note.startswith("warning:") and words in note for note in bundle.report["notes"])


@pytest.mark.parametrize(("low", "high"), [(0, 200), (100, 4000), (30_000, 31_000)])
def test_a_narrow_range_is_spread(tmp_path, low, high):
    saved(tmp_path / "d" / "a", 12, dark(low, high))
    saved(tmp_path / "d" / "b", 12, dark(low, high))
    bundle = open_dataset(tmp_path / "d")
    found = pixels(bundle)
    assert found.min() < 5
    assert found.max() > 250
    assert 60 < found.std() < 90
    assert warned(bundle, "of 24 images of more than 8 bits a channel, 16-bit values from")
    assert low <= bundle.report["value_ranges"]["16-bit"][0] < bundle.report["value_ranges"]["16-bit"][1] <= high


def test_the_whole_range_keeps_its_high_byte(tmp_path):
    for name in "ab":
        saved(tmp_path / "d" / name, 8, dark(0, 65_536))
    bundle = open_dataset(tmp_path / "d")
    stored = np.asarray(Image.open(tmp_path / "d" / bundle.train.identity(0)))
    np.testing.assert_array_equal(np.asarray(bundle.train.image(0))[..., 0], stored >> 8)
    assert bundle.report["value_ranges"] == {"16-bit": [0.0, 65535.0]}
    assert not warned(bundle, "16-bit")


def test_the_option_sets_the_range(tmp_path):
    for name in "ab":
        saved(tmp_path / "d" / name, 8, dark(0, 4096))
    bundle = open_dataset(tmp_path / "d", image_range="0,4095", check=False)
    stored = np.asarray(Image.open(tmp_path / "d" / bundle.train.identity(0)), dtype=float)
    np.testing.assert_array_equal(np.asarray(bundle.train.image(0))[..., 1], np.rint(stored / 4095 * 255))


@pytest.mark.parametrize("text", ["4095", "9,3", "a,b", "0,nan", ""])
def test_ranges_that_are_none(text):
    with pytest.raises(UsageError, match="no range of values"):
        parse_range(text)


def test_test_images_do_not_set_the_range(tmp_path):
    for split, high in (("train", 200), ("test", 60_000)):
        for name in "ab":
            saved(tmp_path / "d" / split / name, 8, dark(0, high))
    assert open_dataset(tmp_path / "d").report["value_ranges"]["16-bit"][1] < 200


def test_mixed_depths_are_told(tmp_path):
    saved(tmp_path / "d" / "a", 8, dark(0, 200))
    saved(tmp_path / "d" / "b", 8, lambda rng: rng.integers(0, 256, (12, 12)).astype(np.uint8))
    assert warned(open_dataset(tmp_path / "d"), "the other 8 images have 8 bits a channel")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda rng: rng.random((12, 12)).astype(np.float32), [0.0, 1.0]),
        (lambda rng: (255 * rng.random((12, 12))).astype(np.float32), [0.0, 255.0]),
        (lambda rng: rng.normal(0, 1, (12, 12)).astype(np.float32), None),
        (lambda rng: rng.integers(-500, 90_000, (12, 12)).astype(np.int32), None),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_floating_point_and_wide_integers(tmp_path, make, expected, check):
    for name in "ab":
        saved(tmp_path / "d" / name, 10, make, "TIFF")
    bundle = open_dataset(tmp_path / "d", check=check)
    assert pixels(bundle).std() > 30
    if expected:
        assert bundle.report["value_ranges"] == {"floating-point": expected}


def test_pixels_that_are_not_finite_are_bad(tmp_path):
    for name in "ab":
        saved(tmp_path / "d" / name, 10, lambda rng: rng.random((6, 6)).astype(np.float32), "TIFF")
    broken = np.full((6, 6), np.nan, np.float32)
    Image.fromarray(broken).save(tmp_path / "d" / "a" / "bad.tiff")
    with pytest.raises(DataError, match=r"bad\.tiff: a floating-point image with pixels that are not finite"):
        open_dataset(tmp_path / "d")


def big_endian_png(values):
    """A PNG of 16 bits a channel, which Pillow does not write."""
    height, width, channels = values.shape
    kind = {2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def test_colour_of_sixteen_bits_is_read_in_full():
    values = np.random.default_rng(0).integers(0, 65_536, (5, 7, 3)).astype(np.uint16)
    found = load(big_endian_png(values))
    assert isinstance(found, DeepPixels)
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(np.asarray(decode(big_endian_png(values))), values >> 8)


def test_dark_colour_of_sixteen_bits_is_spread(tmp_path):
    for name in "ab":
        (tmp_path / "d" / name).mkdir(parents=True)
        for index in range(8):
            values = np.random.default_rng(index).integers(0, 250, (6, 6, 3)).astype(np.uint16)
            (tmp_path / "d" / name / f"{index}.png").write_bytes(big_endian_png(values))
    bundle = open_dataset(tmp_path / "d")
    assert pixels(bundle).std() > 60
    assert not warned(bundle, "flat")


def test_transparency_beside_sixteen_bits():
    values = np.full((2, 2, 4), 40_000, np.uint16)
    values[0, :, 3], values[1, :, 3] = 0, 65_535
    found = np.asarray(decode(big_endian_png(values)))
    assert found[0].tolist() == [[255] * 3] * 2
    assert found[1].tolist() == [[40_000 >> 8] * 3] * 2


def test_flat_images_are_told(tmp_path, make_folder):
    root = make_folder({"a": 10, "b": 10})
    for index in range(3):
        Image.new("L", (8, 8), index).save(root / "a" / f"flat{index}.png")
    assert warned(open_dataset(root), "3 of 23 images are flat")


def test_tiff_of_three_deep_channels():
    values = np.random.default_rng(1).integers(0, 65_536, (4, 6, 3)).astype("<u2")
    tags = [
        (256, 3, 1, 6), (257, 3, 1, 4), (258, 3, 3, 8 + 2 + 12 * 9 + 4), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 8 + 2 + 12 * 9 + 4 + 6), (277, 3, 1, 3), (278, 3, 1, 4), (279, 4, 1, values.nbytes),
    ]  # fmt: skip
    content = b"II*\0" + struct.pack("<IH", 8, len(tags))
    for tag, kind, count, value in tags:
        content += struct.pack("<HHI", tag, kind, count) + struct.pack("<I", value)
    content += struct.pack("<I", 0) + struct.pack("<HHH", 16, 16, 16) + values.tobytes()
    np.testing.assert_array_equal(load(content).values, values)
    assert Image.open(io.BytesIO(content)).mode == "RGB"
