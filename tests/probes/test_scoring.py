"""Accuracy interval and balanced accuracy: known values, textbook roads, laws, messages."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from sklearn.metrics import balanced_accuracy_score

from nctransfer.errors import DataError, UsageError
from nctransfer.probes import accuracy_interval, balanced_accuracy, balanced_accuracy_interval


@given(st.integers(1, 20_000), st.floats(0, 1), st.floats(0.5, 0.999))
@settings(max_examples=60, deadline=None)
def test_interval_is_scipys(total, share, level):
    correct = round(share * total)
    expected = binomtest(correct, total).proportion_ci(level, method="wilson")
    assert accuracy_interval(correct, total, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_ends_solve_the_equation_that_defines_them():
    z = norm.ppf(0.975)
    for end in accuracy_interval(37, 50):
        assert abs(37 / 50 - end) == pytest.approx(z * math.sqrt(end * (1 - end) / 50))


def test_all_or_none_right_still_leaves_doubt():
    assert accuracy_interval(0, 20)[0] == 0.0
    assert accuracy_interval(0, 20)[1] > 0.1
    assert accuracy_interval(20, 20)[1] == 1.0
    assert accuracy_interval(20, 20)[0] < 0.9


@pytest.mark.parametrize(("correct", "total"), [(-1, 10), (11, 10), (0, 0)])
def test_counts_that_cannot_be(correct, total):
    with pytest.raises(UsageError, match=rf"got {correct} of {total}.*pass counts"):
        accuracy_interval(correct, total)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, math.nan])
def test_level_out_of_range(level):
    with pytest.raises(UsageError, match=r"`level` must lie in \(0, 1\)"):
        accuracy_interval(5, 10, level)


@given(st.integers(0, 10**6), st.integers(1, 200), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_balanced_accuracy_is_the_mean_recall_of_a_loop(seed, count, num_classes):
    random = np.random.default_rng(seed)
    labels, predictions = random.integers(0, num_classes, count), random.integers(0, num_classes, count)
    recalls = []
    for label in sorted(set(labels.tolist())):
        rows = [row for row in range(count) if labels[row] == label]
        recalls.append(sum(predictions[row] == label for row in rows) / len(rows))
    assert balanced_accuracy(predictions, labels) == pytest.approx(sum(recalls) / len(recalls))


def test_balanced_accuracy_is_scikit_learns():
    labels, predictions = torch.tensor([0, 0, 0, 1, 2, 2]), torch.tensor([0, 1, 0, 1, 1, 2])
    expected = balanced_accuracy_score(labels.numpy(), predictions.numpy())
    assert balanced_accuracy(predictions, labels) == pytest.approx(expected)


def test_repeating_one_class_leaves_balanced_accuracy():
    labels, predictions = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 0])
    repeat = torch.tensor([0, 1, 2, 2, 2, 3])
    assert balanced_accuracy(predictions[repeat], labels[repeat]) == pytest.approx(
        balanced_accuracy(predictions, labels)
    )


@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(3, dtype=torch.long), r"got \(3, 2\) and \(3,\)"),
        (torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long), r"N ≥ 1"),
        (torch.zeros(3), torch.zeros(3, dtype=torch.long), r"must be integers, got torch.float32"),
    ],
)
def test_messages_of_balanced_accuracy(predictions, labels, message):
    with pytest.raises(DataError, match=message):
        balanced_accuracy(predictions, labels)


def test_balanced_interval_of_one_class_is_wilsons():
    labels = torch.zeros(40, dtype=torch.int64)
    predictions = (torch.arange(40) >= 31).long()
    assert balanced_accuracy_interval(predictions, labels) == pytest.approx(accuracy_interval(31, 40), abs=1e-12)


@pytest.mark.parametrize("recalls", [(0.9, 0.7, 0.5), (0.98, 0.6, 0.95)])
def test_balanced_interval_covers_the_truth_as_often_as_it_says(recalls):
    sizes, generator = (120, 40, 12), np.random.default_rng(0)
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(sizes))
    held, draws = 0, 600
    for _ in range(draws):
        hits = generator.random(len(labels)) < np.repeat(recalls, sizes)
        low, high = balanced_accuracy_interval(torch.where(torch.as_tensor(hits), labels, labels + 3), labels)
        held += low <= np.mean(recalls) <= high
    assert 0.93 <= held / draws <= 0.985


def test_balanced_interval_leaves_doubt_where_every_recall_is_whole():
    labels = torch.tensor([0] * 90 + [1] * 10)
    low, high = balanced_accuracy_interval(labels, labels)
    assert low < 0.9
    assert high == 1.0
    # The rare class is known from 10 images alone: the doubt is wider than that of 100 images alike.
    assert low < accuracy_interval(100, 100)[0]


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_balanced_interval_level_out_of_range(level):
    with pytest.raises(UsageError, match=r"`level` must lie in \(0, 1\)"):
        balanced_accuracy_interval(torch.tensor([0]), torch.tensor([0]), level)
