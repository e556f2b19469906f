"""Parquet files in the Hugging Face layout."""

import numpy as np
import pytest

from nctransfer.data import open_dataset
from nctransfer.errors import DataError, ResourceError


def pixels(split, index):
    return np.asarray(split.image(index))


def test_splits_names_and_pixels(tmp_path, make_parquet):
    train = make_parquet(tmp_path / "train-00000-of-00001.parquet", [0, 1] * 5)
    make_parquet(tmp_path / "validation-00000-of-00001.parquet", [0, 1], first_seed=20)
    test = make_parquet(tmp_path / "test-00000-of-00001.parquet", [1, 0, 1], first_seed=30)
    bundle = open_dataset(tmp_path)
    assert bundle.class_names == ("cat", "dog")
    assert bundle.report["splits"] == {"train": 10, "validation": 2, "test": 3}
    assert bundle.test.labels.tolist() == [1, 0, 1]
    for index, image in enumerate(train):
        np.testing.assert_array_equal(pixels(bundle.train, index), np.asarray(image))
    np.testing.assert_array_equal(pixels(bundle.test, 2), np.asarray(test[2]))
    assert bundle.test.identity(2) == "row 2 of test-00000-of-00001.parquet"


def test_rows_are_counted_across_files_and_missing_members_told(tmp_path, make_parquet):
    make_parquet(tmp_path / "data" / "train-00000-of-00004.parquet", [0, 1, 0, 1, 0])
    second = make_parquet(tmp_path / "data" / "train-00002-of-00004.parquet", [1, 0, 1, 0, 1], first_seed=10)
    make_parquet(tmp_path / "data" / "test-00000-of-00001.parquet", [0, 1], first_seed=20)
    bundle = open_dataset(tmp_path, seed=3)
    held = {
        split.identity(index): pixels(split, index) for split in bundle.splits().values() for index in range(len(split))
    }
    assert len(held) == 12
    np.testing.assert_array_equal(held["row 3 of data/train-00002-of-00004.parquet"], np.asarray(second[3]))
    assert any("2 of 4 Parquet files are here, 00001, 00003 missing" in note for note in bundle.report["notes"])


def test_only_the_rows_in_use_are_read(tmp_path, make_parquet):
    make_parquet(tmp_path / "train.parquet", [0, 1] * 20)
    make_parquet(tmp_path / "test.parquet", [0, 1], first_seed=50)
    bundle = open_dataset(tmp_path, limit=8)
    assert len(bundle.train.source._content) == 8


@pytest.mark.parametrize("layout", ["plain.parquet", "default/train/0000.parquet", "cifar-train.parquet"])
def test_other_layouts(tmp_path, make_parquet, layout):
    make_parquet(tmp_path / layout, [0, 1] * 5, columns=("img", "fine_label"))
    bundle = open_dataset(tmp_path / layout if layout == "plain.parquet" else tmp_path)
    assert sum(bundle.report["splits"].values()) == 10


def test_names_as_labels_and_numbers_without_names(tmp_path, make_parquet):
    make_parquet(tmp_path / "a" / "train.parquet", ["dog", "cat"] * 5, names=None)
    bundle = open_dataset(tmp_path / "a")
    assert bundle.class_names == ("cat", "dog")
    make_parquet(tmp_path / "b" / "train.parquet", [1, 0] * 5, names=None)
    assert open_dataset(tmp_path / "b").class_names == ("0", "1")


def test_classes_without_images_are_left_out(tmp_path, make_parquet):
    make_parquet(tmp_path / "train.parquet", [0, 2] * 5, names=("a", "b", "c"))
    bundle = open_dataset(tmp_path)
    assert bundle.class_names == ("a", "c")
    assert set(bundle.train.labels.tolist()) == {0, 1}


def test_order_of_names_may_differ_between_splits(tmp_path, make_parquet):
    make_parquet(tmp_path / "train.parquet", [0, 1] * 5, names=("cat", "dog"))
    make_parquet(tmp_path / "test.parquet", [0, 0, 1], names=("dog", "cat"), first_seed=20)
    assert open_dataset(tmp_path).test.labels.tolist() == [1, 1, 0]


def test_split_without_labels_is_left_out(tmp_path, make_parquet):
    make_parquet(tmp_path / "train.parquet", [0, 1] * 5)
    make_parquet(tmp_path / "test.parquet", [-1, -1], first_seed=20)
    bundle = open_dataset(tmp_path)
    assert bundle.report["source"]["drawn"] == ["validation", "test"]
    assert any("no labels" in note for note in bundle.report["notes"])


def test_image_beside_the_file(tmp_path, make_parquet, make_image):
    make_image(99).save(tmp_path / "photo.bin", "PNG")
    make_parquet(tmp_path / "train.parquet", [0, 1] * 5, contents={3: {"bytes": None, "path": "photo.bin"}})
    bundle = open_dataset(tmp_path, check=True)
    found = [np.array_equal(image, np.asarray(make_image(99))) for s in bundle.splits().values() for image, _ in s]
    assert sum(found) == 1


def test_bad_rows_are_listed_by_row(tmp_path, make_parquet):
    bad = {2: {"bytes": b"junk", "path": None}, 7: {"bytes": None, "path": None}}
    make_parquet(tmp_path / "train.parquet", [0, 1] * 10, contents=bad)
    with pytest.raises(DataError, match=r"2 of 20 images.*row 2 of train\.parquet.*known format") as caught:
        open_dataset(tmp_path)
    assert "row 7 of train.parquet: the file is empty" in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 1, 5] * 3, ("a", "b"), r"labels must lie in \[0, 2\), got 5 at row 2"),
        ([0, 1, -1] * 3, ("a", "b"), r"got -1 at row 2"),
        ([0, 1, None] * 3, ("a", "b"), "a label is missing.*row 2"),
        ([0.5, 1.0] * 3, None, "whole numbers or names, got float"),
        ([0, 1] * 3, ("a", "a "), "appear more than once"),
        ([0, 0] * 3, ("a", "b"), "only one class, 'a'"),
    ],
)
def test_labels_that_do_not_hold(tmp_path, make_parquet, labels, names, message):
    make_parquet(tmp_path / "train.parquet", labels, names=names)
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path)


def test_files_that_do_not_hold(tmp_path, make_parquet):
    make_parquet(tmp_path / "a" / "test.parquet", [0, 1])
    with pytest.raises(DataError, match="none for train"):
        open_dataset(tmp_path / "a")
    make_parquet(tmp_path / "b" / "train.parquet", [0, 1], columns=("image", "mood"), names=None)
    with pytest.raises(DataError, match="no column of labels among image, mood"):
        open_dataset(tmp_path / "b")
    make_parquet(tmp_path / "c" / "train-00000-of-00002.parquet", [0, 1])
    make_parquet(tmp_path / "c" / "train-00001-of-00002.parquet", [0, 1], names=("cat", "cow"))
    with pytest.raises(DataError, match="class names differ"):
        open_dataset(tmp_path / "c")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "train.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(DataError, match=r"cannot be read.*train\.parquet"):
        open_dataset(tmp_path / "d")


def test_a_truncated_file_is_named(tmp_path, make_parquet):
    make_parquet(tmp_path / "train.parquet", [0, 1] * 20)
    content = bytearray((tmp_path / "train.parquet").read_bytes())
    content[4:600] = bytes(596)
    (tmp_path / "train.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"train\.parquet"):
        open_dataset(tmp_path)


def test_a_table_beside_class_folders_is_no_data_set(make_folder, make_parquet):
    root = make_folder({"a": 4, "b": 4})
    make_parquet(root / "metadata.parquet", [0, 1])
    assert open_dataset(root).report["source"]["kind"] == "folder"


def test_more_than_the_memory_holds(tmp_path, make_parquet, monkeypatch):
    import psutil

    make_parquet(tmp_path / "train.parquet", [0, 1] * 5)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 100})())
    with pytest.raises(ResourceError, match="--limit"):
        open_dataset(tmp_path)
