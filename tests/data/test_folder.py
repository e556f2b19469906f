"""What is found in a folder of class folders, and what is said of one that does not hold."""

import os
import unicodedata

import pytest
from PIL import Image

from nctransfer.data import open_dataset
from nctransfer.errors import DataError


def test_class_folders_without_splits(make_folder):
    bundle = open_dataset(make_folder({"cat": 10, "dog": 20}))
    assert bundle.class_names == ("cat", "dog")
    assert {name: len(split) for name, split in bundle.splits().items()} == {"train": 19, "validation": 5, "test": 6}
    assert bundle.report["counts"]["test"] == {"cat": 2, "dog": 4}
    assert bundle.report["source"]["drawn"] == ["validation", "test"]
    assert bundle.train.identity(0).startswith("cat/")
    assert bundle.name == "set"


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_given_splits_are_kept(make_folder, validation):
    root = make_folder({f"{part}/{name}": 3 for part in ("train", validation, "test") for name in ("a", "b")})
    bundle = open_dataset(root)
    for name, part in (("train", "train"), ("validation", validation), ("test", "test")):
        split = bundle.splits()[name]
        assert [split.identity(index) for index in range(6)] == [f"{part}/{k}/{i}.png" for k in "ab" for i in range(3)]
    assert bundle.report["source"]["drawn"] == []


def test_missing_validation_comes_from_train_and_leaves_test_alone(make_folder):
    bundle = open_dataset(make_folder({"train/a": 10, "train/b": 10, "test/a": 2, "test/b": 3}))
    assert [len(split) for split in bundle.splits().values()] == [16, 4, 5]
    assert all(bundle.validation.identity(index).startswith("train/") for index in range(4))


def test_train_may_be_a_class(make_folder):
    bundle = open_dataset(make_folder({"train": 5, "plane": 5, "car": 5}))
    assert bundle.class_names == ("car", "plane", "train")


def test_folders_beside_the_splits_are_named(make_folder):
    bundle = open_dataset(make_folder({"train/a": 5, "train/b": 5, "annotations": 1}))
    assert bundle.class_names == ("a", "b")
    assert any("annotations" in note for note in bundle.report["notes"])


def test_images_lie_deep_and_stray_files_are_told(make_folder):
    root = make_folder({"cat/indoor/day": 5, "dog": 5, "__MACOSX/cat": 2, ".git/x": 1})
    (root / "cat" / "notes.txt").write_text("hello")
    (root / "dog" / "._0.png").write_bytes(b"junk")
    bundle = open_dataset(root)
    assert sum(bundle.report["splits"].values()) == 10
    skipped = {entry["path"] for entry in bundle.report["skipped"]}
    assert skipped == {"__MACOSX", ".git", "cat/notes.txt", "dog/._0.png"}


def test_names_beyond_ascii(make_folder):
    decomposed = unicodedata.normalize("NFD", "café")
    root = make_folder({"train/日本": 4, f"train/{decomposed}": 4, "test/日本": 1, "test/café": 1})
    bundle = open_dataset(root)
    assert bundle.class_names == ("café", "日本")
    assert bundle.report["counts"]["test"] == {"café": 1, "日本": 1}


def test_names_that_are_not_utf8(make_folder):
    root = make_folder({"cat": 5})
    folder = os.path.join(os.fsencode(root), b"na\xefve")
    os.mkdir(folder)
    for index in range(5):
        Image.new("RGB", (4, 4), (index, 0, 0)).save(os.path.join(folder, b"\xff%d.png" % index), "PNG")
    bundle = open_dataset(root)
    assert bundle.class_names == ("cat", "na\\xefve")
    split = bundle.train
    row = int((split.labels == 1).argmax())
    assert split.image(row).size == (4, 4)
    assert split.identity(row).startswith("na\\xefve/\\xff")
    split.identity(row).encode()


def test_html_in_a_class_name_stays_text(make_folder):
    bundle = open_dataset(make_folder({"<b>bold<": 5, "$x_1$": 5}))
    assert bundle.class_names == ("$x_1$", "<b>bold<")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"cat": 5}, "only one class, 'cat'"),
        ({"photos/cat": 5, "photos/dog": 5}, "did you mean .*photos"),
        ({"": 3}, "3 images but no class folders"),
        ({"cat": 5, "dog": 1}, "'dog' has 1, needed 3"),
        ({"train/cat": 5, "train/dog": 1, "test/cat": 1, "test/dog": 1}, "'dog' has 1, needed 2"),
        ({"train/a": 3, "train/b": 3, "test/a": 3}, "test lacks 'b'"),
        ({"train/a": 3, "train/b": 3, "val/a": 3, "val/b": 3, "val/c": 1}, "validation has 'c', which train lacks"),
        ({"train/a": 3, "train/b": 3, "val/a": 1, "valid/a": 1}, "two folders for the validation split"),
        ({"caf\u00e9": 3, "cafe\u0301": 3}, "differ only in Unicode form"),
        ({"a": 3, "a ": 3}, "differ only in Unicode form or blanks"),
        ({"a": 3, " ": 3}, "blank name"),
        ({"test/a": 3, "test/b": 3}, "no 'train'"),
        ({"train/a": 3, "train/b": 3, "test": 4}, "move the folder away"),
        ({"a": 0, "b": 0}, "no images"),
    ],
)
def test_folders_that_do_not_hold(make_folder, counts, message):
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(make_folder(counts))
    assert caught.value.exit_code == 3
    assert caught.value.remedy


def test_empty_folder_and_archive(tmp_path):
    with pytest.raises(DataError, match="the folder is empty"):
        open_dataset(tmp_path)
    (tmp_path / "images.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"archive.*unpack"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="a file, where a folder"):
        open_dataset(tmp_path / "images.zip")


def test_case_twins_are_a_warning(make_folder):
    bundle = open_dataset(make_folder({"Cat": 4, "cat": 4}))
    assert bundle.class_names == ("Cat", "cat")
    assert any(note.startswith("warning") and "'Cat', 'cat'" in note for note in bundle.report["notes"])


def test_empty_class_folders_are_left_out(make_folder):
    bundle = open_dataset(make_folder({"a": 4, "b": 4, "c": 0}))
    assert bundle.class_names == ("a", "b")
    assert any("'c'" in note or ": c" in note for note in bundle.report["notes"])


@pytest.mark.parametrize("target", ["..", ".", "self"])
def test_links_in_a_circle(make_folder, target):
    root = make_folder({"a": 4, "b": 4})
    (root / "a" / ("self" if target == "self" else "again")).symlink_to(target)
    with pytest.raises(DataError, match=r"circle|same as"):
        open_dataset(root)


def test_a_folder_counts_once(make_folder):
    root = make_folder({"a": 4, "b": 4})
    (root / "c").symlink_to("a")
    with pytest.raises(DataError, match=r"the same as 'a'.*\(c\)"):
        open_dataset(root)


def test_links_to_files_and_folders_elsewhere_are_followed(make_folder, tmp_path):
    elsewhere = make_folder({"x": 4}, tmp_path / "elsewhere", first_seed=50)
    root = make_folder({"a": 4})
    (root / "b").symlink_to(elsewhere / "x")
    (root / "a" / "link.png").symlink_to(elsewhere / "x" / "0.png")
    assert sum(open_dataset(root).report["splits"].values()) == 9


def test_dangling_link_is_a_bad_image(make_folder):
    root = make_folder({"a": 4, "b": 4})
    (root / "a" / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"a/gone\.png: cannot be opened: No such file"):
        open_dataset(root)
