"""Groups: no split tears them apart, the leak that this prevents is told, and what cannot be drawn is refused."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nctransfer.data import bundle_from_arrays, open_dataset
from nctransfer.errors import DataError, UsageError


def arrays_of(labels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (len(labels), 4, 4), dtype=np.uint8)


def kin(bundle, first, second):
    return set(bundle.splits()[first].groups.tolist()) & set(bundle.splits()[second].groups.tolist())


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=9, max_size=24),
    mixed=st.booleans(),
    seed=st.integers(0, 5),
    limit=st.sampled_from([None, 30]),
)
def test_no_group_stands_on_two_sides_and_every_class_is_trained_on(sizes, mixed, seed, limit):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.arange(len(groups)) % 3 if mixed else groups % 3
    if np.bincount(labels, minlength=3).min() < 4:
        return
    bundle = bundle_from_arrays(arrays_of(labels), labels, groups=groups, seed=seed, limit=limit, check=False)
    for pair in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not kin(bundle, *pair)
    assert (bundle.train.counts() > 0).all()
    assert all(len(split) for split in bundle.splits().values())
    if limit is None:
        assert sum(bundle.report["splits"].values()) == len(labels)


def test_a_draw_follows_from_the_seed_and_differs_between_seeds():
    groups = np.repeat(np.arange(30), 4)
    drawn = [
        tuple(bundle_from_arrays(arrays_of(groups), groups % 3, groups=groups, seed=seed, check=False).test.indices)
        for seed in (0, 0, 1, 2)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3
    assert [len(test) for test in drawn] == [24] * 4


def test_what_a_draw_by_images_would_have_torn_is_counted():
    groups = np.repeat(np.arange(10), 12)
    bundle = bundle_from_arrays(arrays_of(groups), groups % 2, groups=groups, check=False)
    by_images = bundle_from_arrays(arrays_of(groups), groups % 2, check=False)
    report = bundle.report["groups"]
    assert sum(report["count"].values()) == 10
    train = set(groups[by_images.train.indices].tolist())
    for name in ("validation", "test"):
        held = groups[by_images.splits()[name].indices]
        assert report["images"][name] == len(held)
        assert report["with_kin"][name] == sum(int(group) in train for group in held.tolist()) > 0
    note = next(note for note in bundle.report["notes"] if note.startswith("groups:"))
    assert f"{report['with_kin']['test']} of {report['images']['test']} test images would have kin in train" in note
    assert any("worth fewer than" in note for note in bundle.report["notes"])


def test_a_class_of_one_group_stays_in_training_and_is_told():
    groups = np.array([*np.repeat(np.arange(8), 5), *[8] * 5])
    labels = np.array([*(np.repeat(np.arange(8), 5) % 2), *[2] * 5])
    bundle = bundle_from_arrays(arrays_of(labels), labels, groups=groups, check=False)
    assert bundle.train.counts()[2] == 5
    assert "warning: test has no image of '2': too few groups hold them" in bundle.report["notes"]


def test_one_group_is_refused():
    labels = [0, 1] * 10
    with pytest.raises(DataError, match="one group only: all images belong together"):
        bundle_from_arrays(arrays_of(labels), labels, groups=["p"] * 20, check=False)
    with pytest.raises(DataError, match=r"only 2 groups.*3 groups or more are needed to draw 2 splits"):
        bundle_from_arrays(arrays_of(labels), labels, groups=["p", "q"] * 10, check=False)


def test_groups_of_a_caller_are_one_an_image():
    with pytest.raises(DataError, match="4 images and 3 groups"):
        bundle_from_arrays(arrays_of(range(4)), [0, 1] * 2, groups=["a"] * 3, check=False)
    with pytest.raises(DataError, match=r"a group is missing .row 1 of groups"):
        bundle_from_arrays(arrays_of(range(4)), [0, 1] * 2, groups=["a", None, "b", "c"], check=False)


@pytest.fixture
def patients(tmp_path, make_image):
    """A table of 24 images of 8 patients, 3 each, and its rows."""

    def make(**more):
        rows = []
        for number in range(24):
            make_image(number).save(tmp_path / f"p{number // 3}_{number}.png")
            rows.append(
                {"path": f"p{number // 3}_{number}.png", "label": "ab"[number // 3 % 2], "patient_id": number // 3}
            )
            rows[-1] |= {column: values[number] for column, values in more.items()}
        with (tmp_path / "eyes.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return tmp_path / "eyes.csv"

    return make


def test_the_group_of_a_table_is_guessed_told_and_can_be_left_out(patients):
    bundle = open_dataset(patients())
    assert "columns of the table: image 'path', label 'label', group 'patient_id'" in bundle.report["notes"]
    assert not kin(bundle, "train", "test")
    assert open_dataset(patients(), group_column="none").train.groups is None


def test_a_group_in_two_given_splits_is_refused(patients):
    table = patients(split=["train"] * 20 + ["test"] * 4)
    with pytest.raises(
        DataError, match="1 group stands in two given splits, train and test: '6'; 1 of 4 test images have kin"
    ):
        open_dataset(table)
    assert open_dataset(table, split_column="none").report["source"]["drawn"] == ["validation", "test"]


def test_a_missing_group_is_refused(patients, tmp_path):
    table = patients()
    table.write_text(table.read_text().replace(",3\n", ",\n", 1))
    with pytest.raises(DataError, match=r"1 of 24 rows have no group .line 11 of eyes.csv"):
        open_dataset(table)


def test_a_pattern_gives_the_groups_of_a_folder(make_folder, make_image):
    root = make_folder({})
    for number in range(24):
        (root / "ab"[number // 3 % 2]).mkdir(parents=True, exist_ok=True)
        make_image(number).save(root / "ab"[number // 3 % 2] / f"p{number // 3}_{number}.png")
    bundle = open_dataset(root, group_pattern=r"/(p\d+)_")
    assert not kin(bundle, "train", "test")
    assert set(bundle.train.groups) < {f"p{number}" for number in range(8)}
    with pytest.raises(DataError, match="matches nothing in 24 of 24 paths"):
        open_dataset(root, group_pattern="q")
    with pytest.raises(UsageError, match="not a regular expression"):
        open_dataset(root, group_pattern="(")
    with pytest.raises(UsageError, match="images that are files"):
        open_dataset("digits", group_pattern="x")


def test_the_fingerprint_knows_the_groups(patients):
    table = patients()
    before = open_dataset(table).fingerprint["given"]
    table.write_text(table.read_text().replace(",3\n", ",9\n", 1))
    assert open_dataset(table).fingerprint["given"] != before
