"""What counts as data: by content and not by suffix, splits by whole words, runs of this package never."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from nctransfer.data import find_images, open_dataset
from nctransfer.data.words import split_of_file, split_of_folder
from nctransfer.errors import DataError

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)


def warnings_of(bundle):
    return [note for note in bundle.report["notes"] if note.startswith("warning:")]


def runs_into(folder):
    """A run folder with a picture in it, as runs leave them."""
    (folder / "mistakes").mkdir(parents=True)
    for name in ("config.json", "environment.json", "result.json"):
        (folder / name).write_text("{}")
    Image.new("RGB", (8, 8)).save(folder / "mistakes" / "000.png")


def test_runs_below_the_data_are_no_class(make_folder):
    root = make_folder({"a": 8, "b": 8})
    runs_into(root / "runs" / "first")
    runs_into(root / "runs" / "grid" / "seed0")
    runs_into(root / "result-of-mine")
    runs_into(root / "a" / "run")
    bundle = open_dataset(root)
    assert bundle.class_names == ("a", "b")
    assert sum(bundle.report["splits"].values()) == 16
    assert not any("'runs'" in note for note in warnings_of(bundle))
    assert {entry["path"] for entry in bundle.report["skipped"]} >= {"runs/first", "result-of-mine", "a/run"}
    with pytest.raises(DataError, match="a run of nctransfer, not images"):
        open_dataset(root / "runs" / "first")


def test_runs_beside_splits_and_parquet(make_folder, make_parquet, tmp_path):
    root = make_folder({"train/a": 5, "train/b": 5, "test/a": 2, "test/b": 2})
    runs_into(root / "runs" / "one")
    assert open_dataset(root).report["splits"]["test"] == 4
    make_parquet(tmp_path / "p" / "train.parquet", [0, 1] * 5)
    runs_into(tmp_path / "p" / "run")
    assert sum(open_dataset(tmp_path / "p").report["splits"].values()) == 10


def test_images_are_known_by_their_content(make_folder, make_image):
    root = make_folder({"a": 3, "b": 3})
    for number, name in enumerate(("one", "two.jpg?width=640", "three.JPG_large", "four.dat")):
        make_image(100 + number).save(root / "a" / name, "JPEG")
    make_image(104).save(root / "a" / "five", "WEBP")
    make_image(105).save(root / "b" / "six.orig", "TIFF")
    make_image(106).save(root / "b" / "seven.txt", "BMP")
    make_image(107).save(root / "b" / "eight", "GIF")
    make_image(108).save(root / "b" / "nine", "PPM")
    bundle = open_dataset(root)
    assert sum(bundle.report["splits"].values()) == 15
    assert not [note for note in warnings_of(bundle) if "left out" in note]
    assert any(
        "9 files without the suffix of an image are images by" in n and "5 in a" in n for n in warnings_of(bundle)
    )


def test_a_class_that_cannot_be_read_is_named(make_folder):
    root = make_folder({"a": 6, "b": 6, "phone": 0, "notes": 0, "hidden": 0, "c": 3})
    for index in range(4):
        (root / "phone" / f"{index}.heic").write_bytes(HEIC)
    (root / "notes" / "readme.txt").write_text("hello")
    (root / "hidden" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (root / "c" / "extra.nef").write_bytes(b"MM\0*" + bytes(100))
    (root / "c" / "blob").write_bytes(b"neither")
    bundle = open_dataset(root)
    assert bundle.class_names == ("a", "b", "c")
    (left_out,) = [note for note in warnings_of(bundle) if "were left out:" in note and "folders" in note]
    assert "'phone' (4 × .heic (HEIC))" in left_out
    assert "'notes'" in left_out
    assert "'hidden'" in left_out
    (lost,) = [note for note in warnings_of(bundle) if "files of the class 'c'" in note]
    assert "1 × .nef" in lost
    assert "1 × no suffix" in lost


def test_a_heic_file_under_another_suffix_is_named(make_folder):
    root = make_folder({"a": 4, "b": 4})
    (root / "a" / "photo.jpg").write_bytes(HEIC)
    with pytest.raises(DataError, match=r"a/photo\.jpg: HEIC, which cannot be read here; convert it"):
        open_dataset(root)


def test_a_split_whose_class_cannot_be_read_says_why(make_folder):
    root = make_folder({"train/a": 4, "train/b": 4, "test/a": 2, "test/b": 0})
    (root / "test" / "b" / "x.heic").write_bytes(HEIC)
    with pytest.raises(DataError, match=r"test lacks 'b' .b: 1 × \.heic .HEIC., which cannot be read"):
        open_dataset(root)
    only = make_folder({"z": 0}, root.parent / "only")
    (only / "z" / "x.heic").write_bytes(HEIC)
    with pytest.raises(DataError, match=r"no images that can be read .*\.heic"):
        open_dataset(only)


def test_folders_of_other_tools_are_left_out(make_folder):
    root = make_folder({"a": 5, "b": 5, "thumbnails": 5, "wandb/media": 2, "a/Thumbnails": 1})
    bundle = open_dataset(root)
    assert bundle.class_names == ("a", "b")
    assert sum(bundle.report["splits"].values()) == 10
    assert any("left out: thumbnails, wandb, a/Thumbnails" in note for note in warnings_of(bundle))


def test_words_of_splits_within_names_of_folders_that_hold_the_same(make_folder, tmp_path):
    counts = {f"seg_{part}/{name}": 3 for part in ("train", "test") for name in ("sea", "forest")}
    with pytest.raises(DataError, match=r"'seg_train' and 'seg_test' hold folders of the same names"):
        open_dataset(make_folder(counts))
    nested = make_folder({f"{name}/{when}": 3 for name in ("cat", "dog") for when in ("day", "night")}, tmp_path / "n")
    assert open_dataset(nested).class_names == ("cat", "dog")


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "Validation", "TEST"),
        ("training", "valid", "testing"),
        ("train_set", "val_set", "test_set"),
        ("trainset", "valset", "testset"),
        ("train-images", "dev-images", "test-images"),
        ("Training Data", "Validation Data", "Test Data"),
    ],
)
def test_words_for_splits(make_folder, names):
    root = make_folder({f"{folder}/{name}": 3 for folder in names for name in "ab"})
    bundle = open_dataset(root)
    assert bundle.class_names == ("a", "b")
    assert bundle.report["source"]["drawn"] == []


@pytest.mark.parametrize(
    "name", ["test tube", "train station", "crash test", "latest", "contest", "retrain", "vale", "valid id"]
)
def test_words_inside_the_names_of_classes(make_folder, name):
    assert split_of_folder(name) == ""
    bundle = open_dataset(make_folder({name: 5, "other": 5}))
    assert set(bundle.class_names) == {name, "other"}


def test_splits_inside_the_class_folders(make_folder):
    root = make_folder(
        {f"{name}/{part}": num for name in ("red", "green") for part, num in (("Train", 8), ("test", 3))}
    )
    bundle = open_dataset(root)
    assert bundle.class_names == ("green", "red")
    assert bundle.report["splits"]["test"] == 6
    assert bundle.report["source"]["drawn"] == ["validation"]
    assert {bundle.test.identity(index).split("/")[1] for index in range(6)} == {"test"}
    assert any("stand inside the class folders" in note for note in bundle.report["notes"])


@pytest.mark.parametrize(
    "counts",
    [
        {"red/train": 5, "red/test": 2, "green": 5},
        {"red/train": 5, "red/test": 2, "green/train": 5, "green/more": 2},
        {"red/train": 5, "red": 2, "green/train": 5},
        {"red/test": 5, "green/test": 5},
    ],
)
def test_splits_inside_some_class_folders_are_refused(make_folder, counts):
    with pytest.raises(DataError, match="class folders hold folders of splits, but not all alike"):
        open_dataset(make_folder(counts))


def test_one_class_with_a_folder_called_train_is_told(make_folder):
    bundle = open_dataset(make_folder({"vehicles/train": 4, "vehicles/bus": 4, "people": 8}))
    assert bundle.class_names == ("people", "vehicles")
    assert any("name of a split; its images count as the class's" in note for note in warnings_of(bundle))


def test_a_split_beside_class_folders_is_refused_or_told(make_folder, tmp_path):
    with pytest.raises(DataError, match=r"'test' holds 'cat', 'dog', which stand beside it"):
        open_dataset(make_folder({"cat": 5, "dog": 5, "test/cat": 2, "test/dog": 2}))
    flat = open_dataset(make_folder({"cat": 5, "dog": 5, "test": 5}, tmp_path / "flat"))
    assert any("'test' beside other class folders is taken for a class" in note for note in warnings_of(flat))
    with pytest.raises(DataError, match="is it a split or a class"):
        open_dataset(make_folder({"train/steam": 5, "train/diesel": 5, "bus": 9}, tmp_path / "vehicles"))
    with pytest.raises(DataError, match="no 'train'"):
        open_dataset(make_folder({"test": 5, "val": 5}, tmp_path / "unlabelled"))
    with pytest.raises(DataError, match="no class folders"):
        open_dataset(make_folder({"train": 5, "test": 5}, tmp_path / "kaggle"))


def test_what_lies_beside_train_is_counted(make_folder):
    bundle = open_dataset(make_folder({"train/a": 9, "train/b": 9, "extra": 2}))
    assert any("left out: extra (2 images)" in note for note in warnings_of(bundle))


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train-00000-of-00002.parquet", "train"),
        ("test-run/train.parquet", "train"),
        ("train-data/test.parquet", "test"),
        ("my-test/x-train-00000-of-00001.parquet", "train"),
        ("default/validation/0000.parquet", "validation"),
        ("Train/0.parquet", "train"),
        ("test/data/part-0.parquet", "test"),
        ("crash-test-train-00000-of-00001.parquet", "train"),
        ("test-run/part-0.parquet", ""),
        ("latest/contest.parquet", ""),
        ("TRAIN.PARQUET", "train"),
        ("cifar_test.parquet", "test"),
        ("dev.parquet", "validation"),
    ],
)
def test_split_of_a_file(path, split):
    assert split_of_file(os.path.join("/test/train", path), "/test/train") == split


def test_parquet_below_folders_with_words_of_splits(tmp_path, make_parquet):
    make_parquet(tmp_path / "test-run" / "train.parquet", [0, 1] * 5)
    bundle = open_dataset(tmp_path)
    assert bundle.report["source"]["drawn"] == ["validation", "test"]
    make_parquet(tmp_path / "test-run" / "train-test.parquet", [0, 1] * 5)
    assert open_dataset(tmp_path).report["splits"]["test"] == 10
    (tmp_path / "test-run" / "train-test.parquet").rename(tmp_path / "test-run" / "train-test-mix.parquet")
    with pytest.raises(DataError, match="words of several splits"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ((["cat", "dog"], [0, 1] * 5), (None, [0, 1]), "numbers and those of train have names"),
        ((["cat", "dog"], [0, 1] * 5), (["dog", "emu"], [0, 1]), "test lacks 'cat'.*'emu'"),
        ((None, [0, 1] * 5), (None, ["cat", "dog"]), "'cat'.*which train lacks"),
    ],
)
def test_class_labels_of_parquet_go_by_name_or_not_at_all(tmp_path, make_parquet, train, test, message):
    make_parquet(tmp_path / "train.parquet", train[1], names=train[0])
    make_parquet(tmp_path / "test.parquet", test[1], names=test[0], first_seed=40)
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path)


def test_names_in_one_file_and_class_labels_in_the_other(tmp_path, make_parquet):
    make_parquet(tmp_path / "train.parquet", [0, 1] * 5, names=("dog", "cat"))
    make_parquet(tmp_path / "test.parquet", ["cat", "dog", "cat"], names=None, first_seed=40)
    bundle = open_dataset(tmp_path)
    assert [bundle.class_names[label] for label in bundle.test.labels] == ["cat", "dog", "cat"]


def test_whole_floats_in_parquet(tmp_path, make_parquet):
    make_parquet(tmp_path / "train.parquet", [1.0, 0.0] * 5, names=None)
    assert open_dataset(tmp_path).class_names == ("0", "1")


def test_loose_images_are_found_by_content_too(make_folder, make_image):
    root = make_folder({"new": 2})
    make_image(50).save(root / "new" / "download", "PNG")
    (root / "new" / "x.heic").write_bytes(HEIC)
    runs_into(root / "new" / "run")
    files, missed = find_images(root)
    assert sorted(path.name for path in files) == ["0.png", "1.png", "download"]
    assert missed == ["new/x.heic"]
    shutil.rmtree(root / "new" / "run")
    for path in files:
        path.unlink()
    with pytest.raises(DataError, match=r"no image that can be read .1 × \.heic"):
        find_images(root)


def test_order_of_images_is_that_of_names(make_folder):
    bundle = open_dataset(make_folder({"train/b": 3, "train/a": 3, "val/a": 1, "val/b": 1, "test/a": 1, "test/b": 1}))
    assert [bundle.train.identity(index) for index in range(6)] == [
        f"train/{k}/{i}.png" for k in "ab" for i in range(3)
    ]
    np.testing.assert_array_equal(bundle.train.labels, [0, 0, 0, 1, 1, 1])
