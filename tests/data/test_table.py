"""Tables of images: CSV, TSV and Parquet, with and without splits, as people have them and as they must be refused."""

from __future__ import annotations

import csv

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nctransfer.data import open_dataset
from nctransfer.errors import DataError, UsageError


@pytest.fixture
def make_table(tmp_path, make_image):
    """``make_table(rows, name)`` writes the images that the rows name (keys: columns) and the table, and returns its path."""

    def make(rows, name="labels.csv", image="image", delimiter=",", write=True, encoding="utf-8"):
        for seed, row in enumerate(rows):
            path = tmp_path / str(row[image]).replace("\\", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if write and not path.exists() and path.suffix:
                make_image(seed).save(path)
        table = tmp_path / name
        if name.endswith(".parquet"):
            pq.write_table(pa.Table.from_pylist(rows), table)
            return table
        with table.open("w", newline="", encoding=encoding) as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
        return table

    return make


def rows_of(labels, image="image", label="label", **more):
    """One row a label: ``images/3.png`` and what ``more`` gives by column as lists."""
    rows = [{image: f"images/{number}.png", label: value} for number, value in enumerate(labels)]
    for column, values in more.items():
        for row, value in zip(rows, values, strict=True):
            row[column] = value
    return rows


def labelled(bundle):
    return {
        split.identity(index): bundle.class_names[split.labels[index]]
        for split in bundle.splits().values()
        for index in range(len(split))
    }


LABELS = ["cat", "dog"] * 6


@pytest.mark.parametrize(
    ("name", "delimiter", "encoding"),
    [
        ("labels.csv", ",", "utf-8"),
        ("labels.csv", ";", "utf-8-sig"),
        ("labels.tsv", "\t", "utf-8"),
        ("LABELS.TAB", "\t", "utf-8"),
        ("labels.parquet", ",", ""),
    ],
)
def test_every_image_has_the_label_of_its_row_in_every_format(make_table, name, delimiter, encoding):
    table = make_table(rows_of(LABELS), name, delimiter=delimiter, encoding=encoding)
    bundle = open_dataset(str(table))
    assert labelled(bundle) == {f"images/{number}.png": label for number, label in enumerate(LABELS)}
    assert bundle.report["source"] | {"drawn": []} == {
        "name": table.parent.name, "kind": "table", "place": str(table), "drawn": [], "limit": None,
    }  # fmt: skip
    assert "columns of the table: image 'image', label 'label'" in bundle.report["notes"]


@pytest.mark.parametrize(("image", "label"), [("Image Path", "Class"), ("file_name", "category"), ("image_id", "dx")])
def test_columns_are_guessed_by_the_usual_words(make_table, image, label):
    rows = [{"age": 3, **row} for row in rows_of(LABELS, image, label)]
    assert len(labelled(open_dataset(make_table(rows, image=image)))) == len(LABELS)


def test_columns_can_be_named(make_table):
    rows = rows_of(LABELS, label="label", second=["x", "x", "y"] * 4)
    bundle = open_dataset(make_table(rows), label_column="second")
    assert bundle.class_names == ("x", "y")
    with pytest.raises(UsageError, match=r"labels.csv has no column 'secnd'.*--label-column.*did you mean second"):
        open_dataset(make_table(rows), label_column="secnd")


def test_a_column_of_splits_gives_the_splits(make_table):
    words = ["train"] * 8 + ["Val", "dev", "TEST", "testing"]
    table = make_table(rows_of(LABELS, split=words))
    bundle = open_dataset(table)
    assert bundle.report["splits"] == {"train": 8, "validation": 2, "test": 2}
    assert bundle.report["source"]["drawn"] == []
    drawn = open_dataset(table, split_column="none")
    assert drawn.report["source"]["drawn"] == ["validation", "test"]


def test_numbers_as_text_are_numbers(make_table):
    labels = ["10", "9", "2.0"] * 4
    assert open_dataset(make_table(rows_of(labels))).class_names == ("2", "9", "10")
    assert open_dataset(make_table(rows_of(["007", "010"] * 6))).class_names == ("007", "010")


def test_paths_of_windows_and_absolute_ones_are_found(make_table, tmp_path):
    rows = rows_of(LABELS)
    for row in rows[::2]:
        row["image"] = row["image"].replace("/", "\\")
    rows[1]["image"] = str(tmp_path / rows[1]["image"])
    assert len(labelled(open_dataset(make_table(rows)))) == len(LABELS)


def test_a_test_split_without_labels_is_left_out(make_table):
    table = make_table(rows_of([*LABELS, "", ""], split=["train"] * 12 + ["test"] * 2))
    bundle = open_dataset(table)
    assert "warning: the test split has no labels and was left out" in bundle.report["notes"]
    assert bundle.report["source"]["drawn"] == ["validation", "test"]


def test_rows_that_repeat_are_left_out_and_told(make_table):
    rows = rows_of(LABELS)
    bundle = open_dataset(make_table([*rows, rows[0], rows[3]]))
    assert sum(bundle.report["splits"].values()) == len(LABELS)
    assert any("2 rows repeat an earlier row" in note for note in bundle.report["notes"])


def test_missing_files_are_listed_and_can_be_skipped(make_table, tmp_path):
    table = make_table(rows_of(["cat", "dog"] * 20))
    (tmp_path / "images" / "7.png").unlink()
    with pytest.raises(DataError, match=r"1 of 40 images cannot be read.*images/7.png: cannot be opened: No such file"):
        open_dataset(table)
    bundle = open_dataset(table, on_bad_image="skip")
    assert sum(bundle.report["splits"].values()) == 39


@pytest.mark.parametrize("labels", [["cat", "dog"] * 2, ["cat"] * 6], ids=["too few images", "one class"])
def test_a_missing_file_is_told_before_what_the_other_rows_lack(make_table, tmp_path, labels):
    table = make_table(rows_of(labels))
    with pytest.raises(DataError, match=r"too few images|only one class"):
        open_dataset(table)
    (tmp_path / "images" / "2.png").unlink()
    with pytest.raises(DataError, match=rf"1 of {len(labels)} images cannot be read.*images/2.png: .*No such file"):
        open_dataset(table)
    with pytest.raises(DataError, match=r"too few images|only one class"):
        open_dataset(table, on_bad_image="skip")


def test_paths_of_another_place_are_refused_with_what_is_there(make_table):
    rows = [{"image": str(number), "label": label} for number, label in enumerate(LABELS)]
    make_table(rows_of(LABELS))
    table = make_table(rows, "ids.csv", write=False)
    with pytest.raises(DataError, match=r"none of the 12 images is found, not even 0 .*images/0.png is there"):
        open_dataset(table)


def test_one_image_with_two_labels_is_refused(make_table):
    rows = rows_of(LABELS)
    with pytest.raises(
        DataError, match=r"images/0.png stands in the table with two labels, 'cat' and 'dog' \(lines 2 and 14"
    ):
        open_dataset(make_table([*rows, {**rows[0], "label": "dog"}]))
    rows = rows_of(LABELS, split=["train"] * 12)
    with pytest.raises(DataError, match="with two splits, 'train' and 'test'"):
        open_dataset(make_table([*rows, {**rows[0], "split": "test", "image": "images/../images/0.png"}]))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat", "", "dog"] * 4, r"4 of 12 rows have no label \(lines 3, 6, 9 and 12 of labels.csv\)"),
        (["cat", "nan"] * 6, "6 of 12 rows have no label"),
        (["cat|dog", "dog|owl", "cat|owl"] * 4, "several labels stand in one cell: 'cat|dog'.*multi-label"),
        (["scab", "rust", "scab rust"] * 4, "several labels stand in one cell: 'scab rust'"),
        (["mass", "mass", "mass|nodule"] * 4, r"several labels stand in one cell: 'mass\|nodule'"),
        (["mass", "mass;nodule"], "several labels stand in one cell: 'mass;nodule'"),
        (["0.5", "1"] * 6, "labels must be whole numbers or names, got 0.5 .line 2 of labels.csv"),
        (["cat"] * 12, "only one class, 'cat'"),
        (["-1", "1"] * 6, "must not be negative"),
    ],
)
def test_labels_that_are_no_classes_are_refused(make_table, labels, message):
    with pytest.raises(DataError, match=message):
        open_dataset(make_table(rows_of(labels)))


def test_a_column_a_class_is_refused(make_table):
    rows = [{"image": f"{number}.png", "cat": number % 2, "dog": int(number > 4)} for number in range(9)]
    with pytest.raises(
        DataError, match=r"the columns 'cat', 'dog' hold zeros and ones: several classes an image \(multi-label\)"
    ):
        open_dataset(make_table(rows))
    rows = [{"image": f"{number}.png", "cat": number % 2, "dog": 1 - number % 2} for number in range(9)]
    with pytest.raises(DataError, match=r"one class a column.*into one column 'label'"):
        open_dataset(make_table(rows))


def test_lists_in_parquet_are_refused(make_table):
    with pytest.raises(DataError, match=r"several labels stand in one cell.*row 0 of labels.parquet"):
        open_dataset(make_table(rows_of([["cat", "dog"], ["dog"]] * 6), "labels.parquet"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the table is empty"),
        ("image,label\n", "the table has no rows"),
        ("a.png,cat\nb.png,dog\n", "the header is missing"),
        ("image,label,label\na.png,x,y\n", "two columns are called 'label'"),
        ("image,label\na.png,cat,7\n", "3 cells, where the header has 2 .line 2"),
        ("image,label\na.png,\"cat\n", "not a table"),
        ("image,label\n,cat\n", "the path of an image is missing .line 2"),
        ("image,label\nhttps://example.org/a.png,cat\n", "an address, not a path"),
        ("name,label\na.png,cat\n", "no column of image paths among 'name', 'label'.*--image-column"),
        ("image,what\na.png,cat\n", "no column of labels among 'image', 'what'.*--label-column"),
        ("image,label,split\na.png,cat,train\nb.png,dog,later\n", "the split 'later' is unknown .line 3"),
        ("image,label,split\na.png,cat,train\nb.png,dog,\n", "the split is missing .line 3"),
    ],
)  # fmt: skip
def test_tables_that_are_none_are_refused(tmp_path, make_image, text, message):
    make_image(0).save(tmp_path / "a.png")
    make_image(1).save(tmp_path / "b.png")
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path / "labels.csv")


def test_other_encodings_and_broken_parquet_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes("image,label\nä.png,x\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"not UTF-8 text.*save the table as CSV in UTF-8"):
        open_dataset(tmp_path / "a.csv")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match=r"the Parquet file cannot be read.*a.parquet"):
        open_dataset(tmp_path / "a.parquet")


def test_images_in_parquet_are_read_as_before_with_columns_by_name(tmp_path, make_parquet):
    make_parquet(tmp_path / "plain.parquet", [0, 1] * 5, columns=("img", "what"), names=None)
    with pytest.raises(DataError, match="no column of labels"):
        open_dataset(tmp_path / "plain.parquet")
    assert open_dataset(tmp_path / "plain.parquet", label_column="what").class_names == ("0", "1")
    with pytest.raises(UsageError, match="told by the names of the files"):
        open_dataset(tmp_path / "plain.parquet", label_column="what", split_column="what")


def test_columns_of_a_folder_are_refused_and_its_table_is_pointed_to(make_table, make_folder):
    with pytest.raises(UsageError, match=r"is no table and has no columns .--label-column"):
        open_dataset(make_folder({"cat": 3, "dog": 3}), label_column="label")
    table = make_table([{**row, "image": row["image"].removeprefix("images/")} for row in rows_of(LABELS)])
    make_folder({}, root=table.parent)
    for stray in ("set/cat", "set/dog", "set"):
        for file in (table.parent / stray).glob("*"):
            file.unlink()
        (table.parent / stray).rmdir()
    with pytest.raises(DataError, match=r"12 images but no class folders.*pass the table .*labels.csv"):
        open_dataset(table.parent)
