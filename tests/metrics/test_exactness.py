"""Where digits get lost: ill-conditioned means, tiny spread, odd shapes; mpmath decides."""

import numpy as np
import pytest
import torch

import reference
from nctransfer import metrics
from nctransfer.errors import DataError


@pytest.fixture
def short_products(monkeypatch):
    """Small problems as large ones are measured: products in float32."""
    monkeypatch.setattr("nctransfer.metrics.inputs.FEW_NUMBERS", 0)
    monkeypatch.setattr("nctransfer.metrics.statistics.FEW_PRODUCTS", 0)


def rotated(rng, rows, dim):
    return np.linalg.qr(rng.normal(size=(dim, dim)))[0][:, : rows.shape[1]] @ rows.T


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mean_spectrum_that_spans_a_million(dtype, short_products):
    rng = np.random.default_rng(0)
    means = (
        np.linalg.qr(rng.normal(size=(5, 4)))[0] * np.logspace(0, -6, 4) @ np.linalg.qr(rng.normal(size=(8, 4)))[0].T
    )
    labels = np.arange(40) % 5
    features = (means[labels] + 1e-7 * rng.normal(size=(40, 8))).astype(dtype)
    expected = reference.nc1_precise(features, labels)
    assert metrics.nc1(features, labels) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_spread_a_millionth_of_the_means(dtype, short_products):
    rng = np.random.default_rng(1)
    labels = np.arange(60) % 4
    features = (rng.normal(size=(4, 10))[labels] + 1e-6 * rng.normal(size=(60, 10))).astype(dtype)
    assert metrics.nc1(features, labels) == pytest.approx(reference.nc1_precise(features, labels), rel=1e-4)
    assert metrics.cdnv(features, labels) == pytest.approx(reference.cdnv(features, labels), rel=1e-4)
    statistics = metrics.ClassStatistics(4, 10, scatter=True)
    for part in np.array_split(np.arange(60), 9):
        statistics.update(features[part], labels[part])
    assert metrics.nc1(statistics) == pytest.approx(reference.nc1_precise(features, labels), rel=1e-4)


def test_large_common_offset():
    rng = np.random.default_rng(2)
    labels = np.arange(60) % 4
    features = rng.normal(size=(4, 10))[labels] + 0.1 * rng.normal(size=(60, 10)) + 1e6
    assert metrics.nc1(features, labels) == pytest.approx(reference.nc1_precise(features, labels), rel=1e-6)


def test_thin_direction_within_classes_needs_the_second_look_in_float64(short_products):
    # Along the third axis the classes hardly differ and hardly vary, beside a spread a million times larger elsewhere.
    rng = np.random.default_rng(3)
    labels = np.arange(300) % 3
    means = np.array([[1.0, 0, 0, 0], [-1.0, 0, 0, 0], [0, 0, 1e-5, 0]])
    noise = rng.normal(size=(300, 4)) * np.array([0.1, 0.1, 1e-6, 300.0])
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    noise[:, 3] -= np.array([noise[labels == k, 3].mean() for k in range(3)])[labels]
    features = ((means[labels] + noise) @ turn).astype(np.float32)
    assert metrics.nc1(features, labels) == pytest.approx(reference.nc1_precise(features, labels), rel=1e-5)


def test_a_thousand_classes():
    rng = np.random.default_rng(4)
    labels = np.arange(3000) % 1000
    features = rng.normal(size=(1000, 16))[labels] + 0.3 * rng.normal(size=(3000, 16))
    assert metrics.nc1(features, labels) == pytest.approx(reference.nc1(features, labels), rel=1e-9)


def test_wide_features():
    rng = np.random.default_rng(5)
    labels = np.arange(30) % 3
    features = rng.normal(size=(3, 20_000))[labels] + rng.normal(size=(30, 20_000))
    expected = reference.nc1_precise(features[:, :100], labels)
    assert metrics.nc1(features[:, :100], labels) == pytest.approx(expected, rel=1e-9)
    short = metrics.nc1(features.astype(np.float32), labels)
    assert short == pytest.approx(metrics.nc1(features.astype(np.float32).astype(np.float64), labels), rel=1e-5)


def test_single_samples_beside_large_classes():
    rng = np.random.default_rng(6)
    labels = np.array([0] + [1] * 200 + [2] * 3 + [4])
    features = rng.normal(size=(5, 12))[labels] + 0.5 * rng.normal(size=(205, 12))
    for weighting in ("sample", "class"):
        expected = reference.nc1(features, labels, weighting)
        assert metrics.nc1(features, labels, weighting=weighting) == pytest.approx(expected, rel=1e-9)
    collapse = metrics.measure(features, labels)
    assert collapse.counts == (1, 200, 3, 0, 1)
    assert "1 of 5 classes have no sample and take no part: 3" in collapse.notes["counts"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_zero_spread_is_zero(dtype, short_products):
    simplex = (torch.eye(6, dtype=torch.float64) - 1 / 6).to(dtype)
    features, labels = simplex.repeat(7, 1), torch.arange(42) % 6
    collapse = metrics.measure(features, labels, permutations=0)
    small = 1e-25 if dtype == torch.float64 else 0.0
    assert 0 <= collapse.nc1 <= small
    assert 0 <= collapse.cdnv <= small
    rounding = 4 * torch.finfo(dtype).eps
    for name in ("equinorm", "equiangularity", "etf_angle_error", "etf_error"):
        assert getattr(collapse, name) <= rounding
    assert collapse.numerical_rank == pytest.approx(1, abs=1e-6)
    assert collapse.class_separation == pytest.approx(1, abs=1e-12)


def test_autocast_and_bfloat16_products_change_nothing(short_products):
    rng = np.random.default_rng(7)
    labels = np.arange(200) % 4
    features = torch.from_numpy((rng.normal(size=(4, 96))[labels] + rng.normal(size=(200, 96))).astype(np.float32))
    plain = metrics.nc1(features, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert metrics.nc1(features, labels) == plain
        statistics = metrics.ClassStatistics(4, 96, scatter=True)
        statistics.update(features, labels)
        assert metrics.nc1(statistics) == pytest.approx(plain, rel=1e-5)


def test_coinciding_means_are_an_error():
    features, labels = torch.ones(6, 3), torch.arange(6) % 2
    with pytest.raises(DataError, match="all class means coincide"):
        metrics.nc1(features, labels)
    collapse = metrics.measure(features, labels)
    assert collapse.nc1 is None
    assert "all class means coincide" in collapse.notes["nc1"]


def test_one_coinciding_pair_leaves_nc1_and_takes_cdnv():
    rng = np.random.default_rng(8)
    deviations = rng.normal(size=(5, 4))
    rows = np.concatenate([deviations, -deviations])
    features = np.concatenate([rows, rows + np.array([3.0, 0, 0, 0]), rows])
    labels = np.repeat([0, 1, 2], 10)
    with pytest.raises(DataError, match="coincide, so CDNV is undefined"):
        metrics.cdnv(features, labels)
    collapse = metrics.measure(features, labels)
    assert collapse.rank_between == 1
    assert collapse.nc1 == pytest.approx(reference.nc1(features, labels), rel=1e-9)
    assert collapse.cdnv is None


@pytest.mark.parametrize("size", [1e-35, 1e-20, 1e20, 1e35])
def test_float32_features_whose_squares_leave_float32(size, short_products):
    rng = np.random.default_rng(9)
    labels = np.arange(80) % 4
    features = ((rng.normal(size=(4, 10))[labels] + 0.5 * rng.normal(size=(80, 10))) * size).astype(np.float32)
    upcast = features.astype(np.float64)
    for name in ("nc1", "cdnv", "class_separation", "vci", "numerical_rank"):
        assert getattr(metrics, name)(features, labels) == pytest.approx(
            getattr(metrics, name)(upcast, labels), rel=1e-5
        )
    assert metrics.nc1_null(features, labels).mean == pytest.approx(metrics.nc1_null(upcast, labels).mean, rel=1e-4)


def test_wide_features_need_no_float64_product(monkeypatch, short_products):
    from nctransfer.metrics import variability

    rng = np.random.default_rng(10)
    labels = np.arange(60) % 3
    features = (rng.normal(size=(3, 9000))[labels] + rng.normal(size=(60, 9000))).astype(np.float32)
    reads = []
    plain = variability.read_deviations

    def count(*arguments, **options):
        reads.append(options.get("dtype"))
        return plain(*arguments, **options)

    monkeypatch.setattr(variability, "read_deviations", count)
    value = metrics.nc1(features, labels)
    assert reads == [None]
    assert value == pytest.approx(metrics.nc1(features.astype(np.float64), labels), rel=1e-5)


SHAPES = {
    "plain": (60, 8, 4, 0.0, 1.0),
    "uneven": (60, 8, 5, 0.0, 1.0),
    "more dimensions than samples": (16, 40, 4, 0.0, 1.0),
    "more classes than dimensions": (60, 3, 8, 0.0, 1.0),
    "far from zero": (60, 8, 4, 1e6, 1.0),
    "tiny": (60, 8, 4, 0.0, 1e-30),
    "huge": (60, 8, 4, 0.0, 1e30),
}


def problem(name, seed, dtype):
    samples, dim, classes, offset, size = SHAPES[name]
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), np.arange(classes), rng.integers(0, classes, samples - 2 * classes)])
    if name == "uneven":
        labels = np.repeat(np.arange(classes), [2, 40, 5, 10, 3])
    features = (rng.normal(size=(classes, dim))[labels] + rng.normal(size=(samples, dim))) * size + offset
    return features.astype(dtype), labels


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SHAPES)
def test_small_problems_agree_to_the_ninth_digit_however_they_are_read(name, dtype):
    features, labels = problem(name, 10, dtype)
    wide = features.shape[1] >= labels.max()  # what the oracle in many digits needs
    expected = reference.nc1_precise(features, labels) if wide else reference.nc1(features.astype(np.float64), labels)
    assert metrics.nc1(features, labels) == pytest.approx(expected, rel=1e-9)
    statistics = metrics.ClassStatistics(int(labels.max()) + 1, features.shape[1], scatter=True)
    for part in np.array_split(np.random.default_rng(0).permutation(len(labels)), 7):
        statistics.update(features[part], labels[part])
    assert metrics.nc1(statistics) == pytest.approx(expected, rel=1e-9)
    exact = features.astype(np.longdouble)
    cdnv = reference.cdnv(exact - exact.mean(0), labels)
    assert metrics.cdnv(features, labels) == pytest.approx(float(cdnv), rel=1e-9)
    assert metrics.cdnv(statistics) == pytest.approx(float(cdnv), rel=1e-9)


@pytest.mark.parametrize("size", [1e-30, 1e-15, 1.0, 1e15, 1e30])
def test_streamed_scatter_of_many_float32_rows_at_any_scale(size, short_products):
    # The products run in float32, where squares of such numbers under- or overflow.
    rng = np.random.default_rng(11)
    labels = np.arange(1200) % 4
    plain = (rng.normal(size=(4, 64))[labels] + rng.normal(size=(1200, 64))).astype(np.float32)
    features = (plain * np.float32(size)).astype(np.float32)
    statistics = metrics.ClassStatistics(4, 64, scatter=True)
    statistics.update(features, labels)
    assert metrics.nc1(statistics) == pytest.approx(metrics.nc1(features.astype(np.float64), labels), rel=1e-7)
