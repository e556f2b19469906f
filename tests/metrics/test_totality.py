"""Any input gives finite numbers or a typed error that says how to fix it; never a silent wrong answer."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nctransfer import metrics
from nctransfer.errors import DataError, UsageError

KINDS = ["f2", "f4", "f8", ">f4", "i4", "u1", "?", "c8", "O", "U3"]
FLOATS = ("f2", "f4", "f8", ">f4")
SPECIAL = [0.0, -0.0, 1.0, -3.5, 1e-300, 1e-40, 1e-20, 1e20, 1e39, 1e200, 1e308, float("nan"), float("inf")]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_measure_is_total(data):
    rows, dim = data.draw(st.integers(0, 8)), data.draw(st.integers(0, 4))
    values = data.draw(
        st.lists(st.sampled_from(SPECIAL) | st.floats(-10, 10), min_size=rows * dim, max_size=rows * dim)
    )
    labels = data.draw(st.lists(st.integers(-1, 4), min_size=rows, max_size=rows))
    kind = data.draw(st.sampled_from(KINDS))
    with np.errstate(all="ignore"):
        try:
            features = np.array(values, dtype=np.float64).reshape(rows, dim).astype(kind)
        except (ValueError, TypeError, OverflowError):
            assume(False)  # NumPy itself has no such array
    scale = data.draw(st.sampled_from([None, 3, 5]))
    labels = np.array(labels, dtype=np.int64)
    if kind not in FLOATS:
        with pytest.raises(
            TypeError, match=r"`features` (must be a dense matrix of floats|holds .*not numbers).*conver"
        ):
            metrics.measure(features, labels, num_classes=scale, permutations=2)
        return
    trouble = None
    try:
        collapse = metrics.measure(features, labels, num_classes=scale, permutations=2)
    except DataError as error:
        trouble = error
    if trouble is not None:
        assert trouble.remedy
        assert _is_bad(features, labels, scale)
        return
    for name, value in collapse.to_dict().items():
        if isinstance(value, float):
            assert math.isfinite(value), name
        if value is None:
            assert collapse.notes[name], name
    assert collapse.nc1 is None or collapse.nc1 >= 0


def _is_bad(features, labels, num_classes):
    """Whether there is a reason to refuse, found by other means than the package's."""
    few = len(set(labels.tolist())) < 2 or features.shape[1] == 0
    outside = bool((labels < 0).any() or (num_classes is not None and (labels >= num_classes).any()))
    sizes = np.abs(features.astype(np.float64))
    return few or outside or not np.isfinite(sizes).all() or sizes.max() > 1e130 or sizes.max() < 1e-60


@pytest.mark.parametrize(
    ("features", "labels", "kind", "message"),
    [
        (torch.ones(3, 2), [0, 1, -1], DataError, r"must lie in \[0, number of classes\), got -1 at row 2"),
        (torch.ones(3, 2), [0, 1], DataError, r"`labels` must have shape \(3,\)"),
        (torch.ones(3, 2), [[0, 1]] * 3, DataError, "pass class numbers, not one-hot rows"),
        (torch.ones(3, 2), [0.0, 1.0, 0.0], TypeError, "must be integers"),
        (torch.ones(3, 2), None, TypeError, "`labels` is missing"),
        (torch.ones(3, 2), [0, 0, 0], DataError, "needs at least 2 classes with samples, got 1"),
        (torch.ones(3, 2, 2), [0, 1, 0], DataError, "must have shape \\(samples, dimensions\\)"),
        (torch.ones(3, 2).long(), [0, 1, 0], TypeError, "convert them to float32"),
        (torch.ones(0, 2), np.zeros(0, int), DataError, "no samples"),
        (torch.tensor([[1.0], [float("nan")], [2.0]]), [0, 1, 0], DataError, "row 1 holds NaN or infinity"),
        (torch.tensor([[1.0], [float("inf")], [-float("inf")]]), [0, 1, 1], DataError, "row 1 holds NaN or infinity"),
        (
            torch.tensor([[1e200], [1.0], [2.0]], dtype=torch.float64),
            [0, 1, 1],
            DataError,
            "divide all features by one constant",
        ),
        (torch.ones(3, 2), [0, 1, 10**9], DataError, "remap the labels"),
        ("three", [0, 1, 2], TypeError, "is the path"),
    ],
)
def test_messages(features, labels, kind, message):
    with pytest.raises(kind, match=message):
        metrics.nc1(features, labels)
    with pytest.raises(kind, match=message):
        metrics.measure(features, labels)


def test_messages_of_arguments():
    features, labels = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2
    with pytest.raises(UsageError, match="weighting must be 'sample' or 'class', got 'row'"):
        metrics.nc1(features, labels, weighting="row")
    with pytest.raises(UsageError, match="did you mean cdnv"):
        metrics.measure(features, labels, only=["cdvn"])
    with pytest.raises(UsageError, match="a bias was passed without a weight"):
        metrics.measure(features, labels, bias=[0.0, 0.0])
    with pytest.raises(DataError, match=r"`weight` must have shape \(2, 3\)"):
        metrics.measure(features, labels, weight=torch.ones(2, 4))
    with pytest.raises(DataError, match=r"`labels` must lie in \[0, 1\), got 1 at row 1"):
        metrics.measure(features, labels, num_classes=1)
    with pytest.raises(DataError, match="single sample"):
        metrics.nc1(features[:2], labels[:2])
    with pytest.raises(DataError, match="cannot fill 3 dimensions"):
        metrics.vci(features[:4], labels[:4])
    with pytest.raises(DataError, match="row 5 is the zero vector"):
        metrics.class_separation(torch.where(torch.arange(8)[:, None] == 5, 0.0, features), labels)
    with pytest.raises(DataError, match="`weight` is zero"):
        metrics.self_duality(features, labels, weight=torch.zeros(2, 3))
    for name in ("numerical_rank", "class_separation", "nc1_null", "nc1_calibrated"):
        statistics = metrics.ClassStatistics(2, 3)
        statistics.update(features, labels)
        with pytest.raises(DataError, match="needs the samples themselves"):
            getattr(metrics, name)(statistics)


def test_memory_mapped_rows_give_the_same_number(tmp_path, monkeypatch):
    from nctransfer.metrics import reads

    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(500, 20)).astype(np.float32), rng.integers(0, 4, 500)
    np.save(tmp_path / "features.npy", features)
    monkeypatch.setattr(reads, "SLAB_BYTES", 20 * 4 * 64)
    monkeypatch.setattr(reads, "CHUNK_BYTES", 20 * 4 * 32)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    for name in ("nc1", "cdnv", "class_separation"):
        assert getattr(metrics, name)(mapped, labels) == pytest.approx(
            getattr(metrics, name)(features, labels), rel=1e-6
        )


def test_only_what_was_asked_for():
    features, labels = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 2
    collapse = metrics.measure(features, labels, only=["cdnv"])
    assert collapse.cdnv > 0
    assert collapse.nc1 is None
    assert collapse.notes["nc1"] == "not asked for"
