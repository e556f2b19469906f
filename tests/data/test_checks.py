"""Damaged images are all listed or left out; duplicates and sizes are counted."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from nctransfer.data import bundle_from_arrays, open_dataset
from nctransfer.errors import DataError


@pytest.fixture
def damaged(make_folder):
    root = make_folder({"train/a": 20, "train/b": 20, "test/a": 5, "test/b": 5})
    (root / "train/a/3.png").write_bytes((root / "train/a/3.png").read_bytes()[:90])
    (root / "test/b/1.png").write_bytes(b"not an image")
    return root


def test_all_bad_images_are_listed(damaged):
    with pytest.raises(DataError, match="2 of 50 images cannot be read") as caught:
        open_dataset(damaged)
    assert "train/a/3.png: " in caught.value.where
    assert "test/b/1.png: not an image" in caught.value.where
    assert caught.value.exit_code == 3


def test_skip_leaves_them_out_and_writes_a_list(damaged, tmp_path):
    bundle = open_dataset(damaged, on_bad_image="skip", skipped_csv=tmp_path / "out" / "skipped.csv")
    assert sum(bundle.report["splits"].values()) == 48
    assert {entry["identity"] for entry in bundle.report["bad"]} == {"train/a/3.png", "test/b/1.png"}
    with open(tmp_path / "out" / "skipped.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["identity"], row["class"]) for row in rows} == {("train/a/3.png", "a"), ("test/b/1.png", "b")}
    for split in bundle.splits().values():
        for index in range(len(split)):
            assert split.image(index).size == (10, 8)
    assert any("2 unreadable images were skipped" in note for note in bundle.report["notes"])


def test_skip_keeps_to_its_share(damaged, tmp_path):
    with pytest.raises(DataError, match=r"more than the fraction of 0.03") as caught:
        open_dataset(damaged, on_bad_image="skip", skip_limit=0.03, skipped_csv=tmp_path / "skipped.csv")
    assert "train/a/3.png" in caught.value.where
    assert (tmp_path / "skipped.csv").exists()


def test_a_class_that_skipping_empties_is_an_error(make_folder):
    root = make_folder({"train/a": 5, "train/b": 5, "test/a": 1, "test/b": 1})
    (root / "test/b/0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"no readable image of 'b' is left .test of .*test/b/0\.png"):
        open_dataset(root, on_bad_image="skip", skip_limit=0.5)


def test_without_check_a_bad_image_is_an_error_when_met(damaged):
    bundle = open_dataset(damaged, check=False)
    row = [bundle.test.identity(index) for index in range(10)].index("test/b/1.png")
    with pytest.raises(DataError, match=r"not an image in a known format \(test/b/1\.png\)"):
        bundle.test.image(row)
    assert bundle.report["duplicates"] is None


def test_duplicates_by_pixels_and_by_file(make_folder):
    root = make_folder({"train/a": 5, "train/b": 5, "val/a": 2, "val/b": 2, "test/a": 3, "test/b": 3})
    shutil.copy(root / "train/a/0.png", root / "test/a/copy.png")
    Image.open(root / "train/a/1.png").save(root / "test/b/again.bmp")
    shutil.copy(root / "train/b/0.png", root / "train/b/twin.png")
    duplicates = open_dataset(root).report["duplicates"]
    assert duplicates["train_test"]["pixels"] == 2
    assert duplicates["train_test"]["files"] == 1
    assert sorted(duplicates["train_test"]["examples"]) == [
        ["train/a/0.png", "test/a/copy.png"],
        ["train/a/1.png", "test/b/again.bmp"],
    ]
    assert duplicates["within_train"] == 1
    assert duplicates["conflicting_labels"] == 2
    assert duplicates["validation_test"]["pixels"] == 0


def test_same_bytes_in_another_shape_are_no_duplicate():
    pair = np.zeros((2, 2, 8), np.uint8), [0, 1]
    bundle = bundle_from_arrays(*pair, validation=(np.zeros((2, 4, 4), np.uint8), [0, 1]), test=pair)
    assert bundle.report["duplicates"]["train_test"]["pixels"] == 2
    assert bundle.report["duplicates"]["train_validation"]["pixels"] == 0


def test_sizes(make_folder, make_image):
    root = make_folder({"a": 4, "b": 4})
    make_image(70, 100, 50).save(root / "a" / "large.png")
    sizes = open_dataset(root).report["sizes"]
    assert sizes["width"] == [10, 10.0, 100]
    assert sizes["height"] == [8, 8.0, 50]
    assert sizes["most_frequent"] == [10, 8]


def test_a_bomb_is_bad(make_folder, monkeypatch):
    root = make_folder({"a": 4, "b": 4})
    Image.new("RGB", (20, 20)).save(root / "a" / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"a/bomb\.png: .*pixels"):
        open_dataset(root)
