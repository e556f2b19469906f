"""What every registered metric promises: its numbers, its direction, what it needs, and a word for any value."""

from __future__ import annotations

import math

import pytest
import torch

from nctransfer import metrics
from nctransfer.errors import UsageError
from nctransfer.metrics import METRICS, REGISTRY, ClassStatistics, Metric, Number, measure, register, registered

LABELS = torch.arange(200) % 4
NOISE = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
SIMPLEX = 4 * torch.nn.functional.one_hot(torch.arange(4), 8)[LABELS] - 1.0
SKEW = SIMPLEX * torch.tensor([1.0, 0.3, 0.6, 1.5, 1, 1, 1, 1])
MESSY, COLLAPSED = SKEW + 2 * NOISE, SIMPLEX + 0.05 * NOISE
WEIGHT = SIMPLEX[:4] - SIMPLEX[:4].mean(0) + 0.8 * NOISE[:4]  # what a collapsed classifier is not quite


def weight_of(collapsed):
    return SIMPLEX[:4] if collapsed else WEIGHT.flip(0)


@pytest.fixture(scope="module")
def measured():
    pairs = ((COLLAPSED, weight_of(True)), (MESSY, weight_of(False)))
    return [measure(features, LABELS, weight=weight, permutations=5).to_dict() for features, weight in pairs]


def test_the_names_are_those_of_the_registry():
    assert tuple(REGISTRY) == METRICS
    assert len({metric.position for metric in REGISTRY.values()}) == len(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_described_in_full(name):
    metric = REGISTRY[name]
    assert metric.name == name
    for number in metric.numbers:
        assert number.meaning
        bounds = [bound for bound, _ in number.scale]
        assert bounds == sorted(bounds)
        assert not bounds or bounds[-1] == math.inf


@pytest.mark.parametrize("name", METRICS)
def test_every_number_moves_the_way_it_says(name, measured):
    collapsed, messy = measured
    for number in REGISTRY[name].numbers:
        low, high = collapsed[number.name], messy[number.name]
        assert low is not None, collapsed["notes"].get(number.name)
        assert high is not None, messy["notes"].get(number.name)
        if REGISTRY[name].collapsed == "down":
            assert low < high
        elif REGISTRY[name].collapsed == "up":
            assert low > high
        assert metrics.verdict(number.name, collapsed)


@pytest.mark.parametrize("name", METRICS)
def test_needs_are_told_where_they_are_missing(name):
    metric = REGISTRY[name]
    collapse = measure(MESSY, LABELS, permutations=0, only=[name]).to_dict()
    missing = [need for need in ("weight", "permutations") if need in metric.needs]
    for number in metric.numbers:
        if missing:
            assert collapse[number.name] is None
            assert collapse["notes"][number.name] == f"not asked for: pass {missing[0]}"
        else:
            assert collapse[number.name] is not None
    others = {number.name for other in REGISTRY.values() if other is not metric for number in other.numbers}
    assert all(collapse[other] is None for other in others)


@pytest.mark.parametrize("name", METRICS)
def test_streamed_metrics_come_from_statistics_alone(name):
    statistics = ClassStatistics(4, 8, scatter=True)
    statistics.update(MESSY, LABELS)
    logged = metrics.CollapseLogger(num_classes=4)
    logged.update({"layer": MESSY}, LABELS)
    numbers = logged.compute()
    for number in REGISTRY[name].numbers:
        assert (f"layer/{number.name}" in numbers) == REGISTRY[name].streamed
        if REGISTRY[name].streamed:
            whole = measure(MESSY, LABELS, permutations=0).to_dict()[number.name]
            assert numbers[f"layer/{number.name}"] == pytest.approx(whole, rel=1e-9)


def test_a_metric_from_outside_is_measured_streamed_and_put_into_words():
    size = Metric(
        "size",
        lambda work: float(work.means.norm()),
        (Number("size", "length of the class means", ((1.0, "short"), (math.inf, "long"))),),
        collapsed="neither",
        streamed=True,
    )
    with registered(size):
        found = measure(MESSY, LABELS, permutations=0).to_dict()
        assert found["size"] > 1
        assert metrics.verdict("size", found) == "long"
        assert metrics.meanings()["size"] == "length of the class means"
        assert list(metrics.meanings())[-1] == "size"
        logger = metrics.CollapseLogger(num_classes=4)
        logger.update({"layer": MESSY}, LABELS)
        assert logger.compute()["layer/size"] == pytest.approx(found["size"], rel=1e-12)
        with pytest.raises(UsageError, match="there is a metric 'size' already"):
            register(size)
    with pytest.raises(UsageError, match="unknown metric 'size'"):
        measure(MESSY, LABELS, only=["size"])
