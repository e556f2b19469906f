"""The orientation is found whatever else stands in the block, and no damage there makes a picture unreadable."""

import io
import struct
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nctransfer.data.exif import turned
from nctransfer.data.images import decode

PIXELS = np.zeros((24, 48, 3), np.uint8)
PIXELS[:, :16] = (250, 30, 30)
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}


def block(entries, order="<"):
    """A TIFF structure of (tag, type, count, payload)."""
    start = 8 + 2 + 12 * len(entries) + 4
    body, rest = b"", b""
    for tag, kind, count, payload in sorted(entries, key=lambda entry: entry[0]):
        value = payload.ljust(4, b"\0")[:4]
        if len(payload) > 4:
            value = struct.pack(order + "I", start + len(rest))
            rest += payload
        body += struct.pack(order + "HHI", tag, kind, count) + value
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + struct.pack(order + "H", len(entries)) + body + bytes(4) + rest


def jpeg(tiff):
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", quality=95)
    data, exif = file.getvalue(), b"Exif\0\0" + tiff
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def orientation(value, order="<"):
    return 0x0112, 3, 1, struct.pack(order + "H", value)


def assert_shows(content, value):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = np.asarray(decode(content)).astype(int)
    assert not told
    expected = np.asarray(turned(PIXELS, value)).astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 8


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_every_orientation_in_both_byte_orders(value, order):
    assert_shows(jpeg(block([orientation(value, order)], order)), value)


@pytest.mark.parametrize("value", range(1, 9))
def test_arrays_turn_as_images_do(value):
    image = Image.fromarray(PIXELS)
    np.testing.assert_array_equal(np.asarray(turned(image, value)), turned(PIXELS, value))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [0x0100, 0x010F, 0x011A, 0x0132, 0x0213, 0x02BC, 0x8298, 0x8769, 0x8825, 0x9286, 0xA005, 0xEA1C]
            ),
            st.sampled_from(sorted(SIZES)),
            st.sampled_from([0, 1, 2, 3, 9, 2**16, 2**31]),
            st.binary(max_size=12),
        ),
        max_size=4,
        unique_by=lambda entry: entry[0],
    ),
    st.integers(2, 8),
)
def test_other_entries_may_hold_anything(entries, value):
    assert_shows(jpeg(block([*entries, orientation(value)])), value)


@given(st.binary(max_size=200))
def test_a_block_of_noise_changes_nothing(noise):
    found = decode(jpeg(noise))
    assert sorted(found.size) == [24, 48]


@pytest.mark.parametrize("value", [0, 9, 65_535])
def test_orientations_that_are_none(value):
    assert_shows(jpeg(block([orientation(value)])), 1)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_other_formats(form):
    exif = Image.Exif()
    exif[0x0112] = 8
    file = io.BytesIO()
    options = {"lossless": True} if form == "WEBP" else {"compression": "tiff_lzw"} if form == "TIFF" else {}
    Image.fromarray(PIXELS).save(file, form, exif=exif, **options)
    np.testing.assert_array_equal(np.asarray(decode(file.getvalue())), turned(PIXELS, 8))


def test_a_tiff_with_a_damaged_entry_is_readable():
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "TIFF", tiffinfo={0x0112: 6, 0x010F: "maker"})
    content = bytearray(file.getvalue())
    place = content.find(struct.pack("<HH", 0x010F, 2))
    content[place + 2 : place + 12] = struct.pack("<HII", 13, 1, 2**31)
    np.testing.assert_array_equal(np.asarray(decode(bytes(content))), turned(PIXELS, 6))
