"""The noise floor against plain permutation, and calibrated NC1 against populations that are known."""

import numpy as np
import pytest
import torch

from nctransfer import metrics
from nctransfer.errors import DataError, UsageError
from nctransfer.metrics import noise_floor


def test_small_data_equals_plain_permutation():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(80, 30)), np.repeat([0, 1, 2], [40, 30, 10])
    floor = metrics.nc1_null(features, labels, permutations=400)
    plain = [metrics.nc1(features, rng.permutation(labels)) for _ in range(400)]
    error = np.hypot(floor.standard_error, np.std(plain) / 20)
    assert abs(floor.mean - np.mean(plain)) < 4 * error
    assert floor.std == pytest.approx(np.std(plain), rel=0.25)


@pytest.mark.parametrize("shape", ["even", "uneven"])
@pytest.mark.parametrize("weighting", ["sample", "class"])
def test_units_agree_with_single_rows(shape, weighting, monkeypatch):
    monkeypatch.setattr(noise_floor, "MOST_UNITS", 100)
    rng = np.random.default_rng(1)
    counts = [300] * 4 if shape == "even" else [700, 300, 150, 50]
    features, labels = rng.normal(size=(1200, 40)) * np.arange(1, 41) ** -0.5, np.repeat(np.arange(4), counts)
    fast = metrics.nc1_null(features, labels, weighting=weighting, permutations=150)
    exact = metrics.nc1_null(features, labels, weighting=weighting, permutations=150, exact=True)
    assert abs(fast.mean - exact.mean) < 4 * np.hypot(fast.standard_error, exact.standard_error)
    assert fast.std == pytest.approx(exact.std, rel=0.35)


def test_noise_is_flagged_and_structure_is_not():
    generator = torch.Generator().manual_seed(0)
    noise, labels = torch.randn(200, 50, generator=generator), torch.arange(200) % 4
    assert "no class structure seen" in metrics.measure(noise, labels).notes["nc1"]
    separated = noise + torch.randn(4, 50, generator=generator)[labels]
    assert "nc1" not in metrics.measure(separated, labels).notes


def test_few_classes_whose_floor_is_skewed_are_not_flagged():
    rng, labels = np.random.default_rng(0), np.arange(60) % 3
    features = rng.normal(size=(60, 8)) + 3 * np.eye(3, 8)[labels]
    floor = metrics.nc1_null(features, labels)
    assert floor.mean < 3 * floor.std, "three plain spreads below the mean would lie below 0"
    assert "nc1" not in metrics.measure(features, labels).notes
    assert "nc1" in metrics.measure(rng.normal(size=(60, 8)), labels).notes


def test_a_spread_needs_two():
    with pytest.raises(UsageError, match="at least 2 permutations, got 1"):
        metrics.nc1_null(torch.randn(8, 3), torch.arange(8) % 2, permutations=1)


def gaussian(classes, dim, samples, separation, decay=0.0, seed=0, factor=1.0):
    generator = torch.Generator().manual_seed(seed)
    means = separation * torch.randn(classes, dim, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    spectrum = torch.arange(1, dim + 1, dtype=torch.float64) ** -decay
    spectrum *= factor / spectrum.mean()
    _, values, right = torch.linalg.svd(means - means.mean(0), full_matrices=False)
    rank = min(classes - 1, dim)
    truth = float(((right[:rank].square() @ spectrum) / values[:rank].square()).sum())
    labels = torch.arange(classes).repeat_interleave(samples)
    noise = torch.randn(len(labels), dim, generator=generator, dtype=torch.float64) * spectrum.sqrt()
    return (means[labels] + noise).float(), labels, truth


@pytest.mark.parametrize(
    ("classes", "dim", "samples", "separation", "decay"),
    [
        (10, 256, 10, 0.6, 0.0),
        (10, 256, 10, 0.6, 0.5),
        (10, 64, 10, 0.6, 0.0),
        (10, 64, 100, 0.3, 0.0),
        (30, 20, 100, 1.0, 0.5),
    ],
)
def test_calibrated_finds_the_population(classes, dim, samples, separation, decay):
    ratios = []
    for seed in range(12):
        features, labels, truth = gaussian(classes, dim, samples, separation, decay, seed)
        ratios.append(metrics.nc1_calibrated(features, labels) / truth)
    error = np.std(ratios) / len(ratios) ** 0.5
    assert abs(np.mean(ratios) - 1) < 0.05 + 2 * error
    raw = metrics.nc1(features, labels) / truth
    if samples == 10:
        assert raw < 0.85


@pytest.mark.parametrize("nc1", [0.01, 0.1, 0.5])
def test_doubling_the_population_nearly_doubles_the_estimate(nc1):
    factor = nc1 / gaussian(10, 256, 2, 0.3)[2]
    one, two = (
        np.mean([metrics.nc1_calibrated(*gaussian(10, 256, 50, 0.3, seed=seed, factor=size)[:2]) for seed in range(4)])
        for size in (factor, 2 * factor)
    )
    assert 1.8 < two / one < 2.2


def test_noise_has_no_calibrated_value():
    noise, labels = torch.randn(100, 64, generator=torch.Generator().manual_seed(0)), torch.arange(100) % 10
    with pytest.raises(DataError, match="the population's NC1 cannot be told"):
        metrics.nc1_calibrated(noise, labels)
    collapse = metrics.measure(noise, labels)
    assert collapse.nc1_calibrated is None
    assert "cannot be told" in collapse.notes["nc1_calibrated"]
