"""The shared checks say the same whoever asks, and the line is NumPy's."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from nctransfer import metrics, probes, scores
from nctransfer.arrays import as_array, class_numbers, line_through, whole_number
from nctransfer.errors import DataError, UsageError

FEATURES = np.random.default_rng(0).normal(size=(6, 3))
LABELS = np.arange(6) % 2
ASKED = {
    "metrics": metrics.measure,
    "scores": scores.h_score,
    "probes": lambda features, labels: probes.fit_probe_path(features, labels, num_classes=2),
}


@pytest.mark.parametrize("room", ASKED)
@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        (LABELS[:5], DataError, r"`labels` must have shape \(6,\), one for each row of `features`, got \(5,\)"),
        (np.eye(2, dtype=int)[LABELS], DataError, "pass class numbers, not one-hot rows"),
        (LABELS * 1.0, TypeError, r"`labels` must be integers \(class numbers\), got float64; convert them to int64"),
        (torch.tensor(LABELS) == 1, TypeError, "must be integers .*, got bool"),
        (np.array(list("aabbab")), TypeError, "number the classes first"),
        (LABELS - 1, DataError, r"`labels` must lie in \[0, .*\), got -1 at row 0"),
        (None, TypeError, "`labels` is missing"),
    ],
)
def test_every_room_says_the_same_of_labels(room, labels, kind, message):
    with pytest.raises(kind, match=message):
        ASKED[room](FEATURES, labels)


@pytest.mark.parametrize("room", ASKED)
def test_every_room_says_the_same_of_features(room):
    with pytest.raises(DataError, match=r"must have shape \(samples, dimensions\), got \(6, 3, 1\)"):
        ASKED[room](FEATURES[:, :, None], LABELS)
    bad = np.where(np.arange(6)[:, None] == 4, np.nan, FEATURES)
    with pytest.raises(DataError, match="row 4 holds NaN or infinity"):
        ASKED[room](bad, LABELS)


def test_labels_of_any_integer_kind_are_taken():
    for kind in ("i1", "u1", ">i4", "u8", "i8"):
        assert class_numbers(LABELS.astype(kind), 6).tolist() == LABELS.tolist()
    assert class_numbers(torch.tensor(LABELS, dtype=torch.uint8), 6).dtype == np.int64
    with pytest.raises(DataError, match=r"must lie in \[0, 2\), got 2 at row 1 .*pass a larger num_classes"):
        class_numbers([0, 2], 2, num_classes=2)
    with pytest.raises(DataError, match="at row 0"):
        class_numbers(np.array([2**64 - 1], dtype=np.uint64), 1)


def test_arrays_share_memory_and_bfloat16_is_read():
    tensor = torch.ones(2, 2)
    as_array(tensor, "features")[0, 0] = 5
    assert tensor[0, 0] == 5
    assert as_array(torch.tensor([1.5], dtype=torch.bfloat16), "features").tolist() == [1.5]


@pytest.mark.parametrize("value", [True, 2.0, "3", None, 1])
def test_whole_numbers(value):
    with pytest.raises(UsageError, match="folds must be a whole number of at least 2, got"):
        whole_number(value, "folds", 2)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=3, max_size=20), st.floats(-1e6, 1e6))
def test_line_is_numpys(points, shift):
    x, y = np.array(points).T
    assume(np.ptp(x) > 1e-3 and np.ptp(y) > 1e-3)
    line = line_through(x + shift, y)
    slope, intercept = np.polyfit(x - x.mean(), y, 1)
    assert line.slope == pytest.approx(slope, rel=1e-4, abs=1e-6)
    assert line.slope * (x.mean() + shift) + line.intercept == pytest.approx(intercept, rel=1e-6, abs=1e-6)
    assert line.r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, abs=1e-6)


def test_no_line_through_too_little():
    assert line_through([1, 2], [1, 2]) is None
    assert line_through([0.1, 0.1, 0.1], [1, 2, 3]) is None
    assert line_through([1, 2, 3], [0.1, 0.1, 0.1]) == (0.0, pytest.approx(0.1), 1.0)


def test_the_room_does_without_torch():
    program = "import sys; import nctransfer.arrays, nctransfer.scores; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
