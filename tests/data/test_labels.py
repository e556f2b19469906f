"""Labels of every usual kind are converted where that is exact, and refused with the row where it is not."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nctransfer.data import bundle_from_arrays
from nctransfer.data.labels import exact_labels, named_labels
from nctransfer.errors import DataError

WHOLE = [2, 0, 1, 0, 2, 1]


@pytest.mark.parametrize(
    "values",
    [
        WHOLE,
        tuple(WHOLE),
        np.array(WHOLE, np.uint8),
        np.array(WHOLE, np.float32),
        np.array(WHOLE, np.float64)[:, None],
        np.eye(3)[WHOLE],
        np.eye(3, dtype=bool)[WHOLE],
        torch.tensor(WHOLE),
        torch.tensor(WHOLE, dtype=torch.float64),
        [torch.tensor(label) for label in WHOLE],
        [np.int16(label) for label in WHOLE],
        [np.eye(3, dtype=np.float32)[label] for label in WHOLE],
        [[int(column == label) for column in range(3)] for label in WHOLE],
        np.array(WHOLE, dtype=object),
        [float(label) for label in WHOLE],
        [2, 0.0, np.int64(1), 0, torch.tensor(2), 1],
    ],
)
def test_whole_numbers_in_any_dress(values):
    found = exact_labels(values, "train")
    assert found.dtype == np.int64
    assert found.tolist() == WHOLE


@pytest.mark.parametrize(
    "values",
    [
        ["owl", "cat", "owl"],
        np.array(["owl", "cat", "owl"]),
        np.array([b"owl", b"cat", b"owl"]),
        [np.str_("owl"), "cat", b"owl"],
        np.array(["owl", "cat", "owl"], dtype=object),
    ],
)
def test_names_in_any_dress(values):
    assert exact_labels(values, "train").tolist() == ["owl", "cat", "owl"]
    found = named_labels(values, None, "train")
    assert (found.names, found.numbers.tolist(), found.naming) == (("cat", "owl"), [1, 0, 1], "values")


def test_truth_values_are_zero_and_one():
    assert named_labels([True, False, True], None, "x").names == ("0", "1")
    assert named_labels(np.array([False, True]), None, "x").numbers.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.7, 1.7, 2.7], "whole numbers or names, got float 0.7"),
        ([0, 1, 1.5], "got float 1.5"),
        (np.array([0.0, np.nan]), "missing .nan.*row 1"),
        ([1.0, float("nan")], r"missing .*row 1"),
        (np.array([0.0, np.inf]), "missing .inf"),
        ([0, None, 1], r"missing .None.*row 1"),
        ([None] * 3, "missing"),
        (np.array([1e300, 0.0]), "whole numbers"),
        ([0, "owl"], "all numbers or all names, got int, str"),
        (["owl", 1.0], "all numbers or all names"),
        (["owl", " "], "blank.*row 1"),
        ([[0.5, 0.5], [0.0, 1.0]], "not one-hot"),
        (np.array([[1, 1, 0], [0, 1, 0]]), "2 classes at once.*row 0"),
        (np.array([[1, 0, 0], [0, 0, 0]]), "0 classes at once.*row 1"),
        ([[1, 0], [0, 1, 0]], "different lengths"),
        ([["cat", "dog"], ["owl", "cat"]], "whole numbers or names"),
        (np.zeros((4, 8, 8)), "one label an image"),
        (np.array([1j, 0]), "complex"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "datetime"),
        ([2**70, 1], "whole numbers|too large"),
        (np.array([2**63 + 1], dtype=np.uint64), "too large"),
        ("cat", "a sequence"),
        (3, "a sequence"),
        ([object(), object()], "all numbers or all names, got object"),
    ],
)
def test_what_would_have_to_be_bent_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        exact_labels(values, "train")


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=30))
def test_numbers_are_never_changed(values):
    for dressed in (values, np.array(values), np.array(values, dtype=float), torch.tensor(values)):
        assert exact_labels(dressed, "x").tolist() == values


def test_numbers_name_themselves():
    found = named_labels([100, 7, 100, 20], None, "x")
    assert found.names == ("7", "20", "100")
    assert [found.names[number] for number in found.numbers] == ["100", "7", "100", "20"]
    with pytest.raises(DataError, match=r"must not be negative, got -1 .row 1"):
        named_labels([0, -1], None, "x")


def test_given_names():
    assert named_labels(["dog", "cat"], ["cat", "dog", "owl"], "x").numbers.tolist() == [1, 0]
    with pytest.raises(DataError, match=r"'cow' is not among the class names .row 1"):
        named_labels(["dog", "cow"], ["cat", "dog"], "x")
    with pytest.raises(DataError, match="must be a list"):
        named_labels([0, 1], "ab", "x")
    with pytest.raises(DataError, match="must be a list"):
        named_labels([0, 1], {"a", "b"}, "x")


IMAGES = np.random.default_rng(0).integers(0, 256, (30, 6, 6, 3), np.uint8)


def test_a_test_set_that_lacks_a_class_keeps_its_names():
    labels = np.array([10, 20, 30] * 10)
    bundle = bundle_from_arrays(IMAGES, labels, test=(IMAGES[:4], [10, 30, 30, 10]))
    assert [bundle.class_names[label] for label in bundle.test.labels] == ["10", "30", "30", "10"]
    assert any(note.startswith("warning: test has no image of '20'") for note in bundle.report["notes"])
    names = bundle_from_arrays(IMAGES, np.array(["x", "y", "z"] * 10), test=(IMAGES[:2], ["z", "x"]))
    assert [names.class_names[label] for label in names.test.labels] == ["z", "x"]


def test_splits_of_other_classes_are_refused():
    labels = np.array([0, 1] * 15)
    with pytest.raises(DataError, match="test has '2', which train lacks"):
        bundle_from_arrays(IMAGES, labels, test=(IMAGES[:2], [2, 0]))
    with pytest.raises(DataError, match="'cow', which train lacks"):
        bundle_from_arrays(IMAGES, np.array(["cat", "dog"] * 15), test=(IMAGES[:2], ["cow", "dog"]))
    with pytest.raises(DataError, match="classes differ"):  # dummies of a test set without the middle class
        bundle_from_arrays(IMAGES, np.eye(3)[np.arange(30) % 3], test=(IMAGES[:2], np.eye(2)))
