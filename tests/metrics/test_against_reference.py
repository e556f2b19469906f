"""Every metric against its slow textbook formula, over shapes, float types, class sizes and weightings."""

import numpy as np
import pytest
import torch

import reference
from nctransfer import metrics

SHAPES = {
    "plain": (60, 20, 4),
    "two classes": (30, 12, 2),
    "more classes than dimensions": (200, 6, 15),
    "more dimensions than samples": (24, 300, 5),
    "many classes": (300, 40, 100),
}
PLAIN = (
    "nc1",
    "cdnv",
    "numerical_rank",
    "equinorm",
    "equiangularity",
    "etf_angle_error",
    "etf_error",
    "class_separation",
)


def draw(samples, dim, classes, seed=0, uneven=False):
    rng = np.random.default_rng(seed)
    labels = np.arange(samples) % classes
    if uneven:
        labels = np.minimum(labels, rng.integers(0, classes, samples))
        labels[:classes] = np.arange(classes)
    means = rng.normal(size=(classes, dim))
    spread = rng.normal(size=(dim, dim)) / np.sqrt(dim)
    return means[labels] + 0.4 * rng.normal(size=(samples, dim)) @ spread + 1.5, labels


@pytest.mark.parametrize("uneven", [False, True], ids=["even", "uneven"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PLAIN)
def test_float64_agrees_to_nine_digits(name, shape, uneven):
    features, labels = draw(*SHAPES[shape], uneven=uneven)
    expected = getattr(reference, name)(features, labels)
    assert getattr(metrics, name)(features, labels) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("name", [*PLAIN, "vci"])
def test_short_floats_agree_with_themselves_upcast(name, dtype, monkeypatch):
    monkeypatch.setattr("nctransfer.metrics.inputs.FEW_NUMBERS", 0)  # products in float32, as in large problems
    features, labels = draw(400, 64, 5)
    features = torch.from_numpy(features).to(dtype)
    expected = getattr(reference, name)(features.double().numpy(), labels)
    assert getattr(metrics, name)(features, labels) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weighting", ["sample", "class"])
@pytest.mark.parametrize("name", ["nc1", "vci"])
def test_weighting(name, weighting):
    features, labels = draw(120, 10, 4, uneven=True)
    expected = getattr(reference, name)(features, labels, weighting=weighting)
    assert getattr(metrics, name)(features, labels, weighting=weighting) == pytest.approx(expected, rel=1e-9)


def test_centred_rank():
    features, labels = draw(120, 50, 3)
    expected = reference.numerical_rank(features, labels, centered=True)
    assert metrics.numerical_rank(features, labels, centered=True) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("centered", [False, True])
def test_rank_of_wide_classes_goes_by_their_gram_matrix(centered, monkeypatch):
    from nctransfer.metrics import rank

    monkeypatch.setattr(rank, "CLASS_BYTES", 100)
    monkeypatch.setattr(rank, "SLICE_BYTES", 3000)
    features, labels = draw(60, 70, 3)
    expected = reference.numerical_rank(features, labels, centered=centered)
    assert metrics.numerical_rank(features, labels, centered=centered) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_classifier(dtype):
    features, labels = draw(200, 30, 6)
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(size=(6, 30)) + reference.centred_means(features, labels), rng.normal(size=6)
    features = torch.from_numpy(features).to(dtype)
    upcast = features.double().numpy()
    assert metrics.self_duality(features, labels, weight=weight) == pytest.approx(
        reference.self_duality(upcast, labels, weight), rel=1e-6 if dtype == torch.float32 else 1e-9
    )
    expected = reference.ncc_agreement(upcast, labels, weight, bias)
    assert 0.2 < expected < 0.99
    assert metrics.ncc_agreement(features, labels, weight=weight, bias=bias) == expected


def test_measure_gives_what_each_function_gives():
    features, labels = draw(300, 40, 5, uneven=True)
    weight, bias = np.random.default_rng(2).normal(size=(5, 40)), np.arange(5.0)
    collapse = metrics.measure(features, labels, weight=weight, bias=bias, permutations=3)
    for name in (*PLAIN, "vci"):
        assert getattr(collapse, name) == pytest.approx(getattr(metrics, name)(features, labels), rel=1e-12)
    assert collapse.self_duality == pytest.approx(metrics.self_duality(features, labels, weight=weight), rel=1e-12)
    assert collapse.ncc_agreement == metrics.ncc_agreement(features, labels, weight=weight, bias=bias)
    assert collapse.rank_between == 4
    assert sum(collapse.counts) == 300


@pytest.mark.parametrize("scatter", [False, True])
def test_statistics_measure_like_samples(scatter):
    features, labels = draw(300, 40, 5, uneven=True)
    statistics = metrics.ClassStatistics(num_classes=5, dim=40, scatter=scatter)
    for part in np.array_split(np.random.default_rng(0).permutation(300), 7):
        statistics.update(features[part], labels[part])
    streamed, whole = metrics.measure(statistics), metrics.measure(features, labels)
    names = ["cdnv", "equinorm", "equiangularity", "etf_angle_error", "etf_error", *(["nc1", "vci"] if scatter else [])]
    for name in names:
        assert getattr(streamed, name) == pytest.approx(getattr(whole, name), rel=1e-10)
    assert streamed.counts == whole.counts
    assert streamed.numerical_rank is None
    assert "pass the feature matrix" in streamed.notes["numerical_rank"]
