"""Temperature scaling: scipy as the oracle, laws, the ends, messages."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.nn import functional

from nctransfer.errors import DataError
from nctransfer.probes import brier_score, calibration_error, chance_error, fit_temperature, reliability


def drawn(count=400, classes=4, factor=3.0, seed=0):
    """Labels drawn from softmax(logits), and those logits times ``factor``."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, classes, generator=generator, dtype=torch.float64)
    labels = torch.softmax(logits, 1).multinomial(1, generator=generator)[:, 0]
    return logits * factor, labels


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
def test_the_temperature_is_the_minimum_of_the_log_loss(factor):
    logits, labels = drawn(factor=factor)
    oracle = minimize_scalar(
        lambda log_t: float(functional.cross_entropy(logits / np.exp(log_t), labels)),
        bounds=(-4, 4),
        method="bounded",
        options={"xatol": 1e-8},
    )
    assert fit_temperature(logits, labels) == pytest.approx(np.exp(oracle.x), rel=1e-4)


def test_scaling_the_logits_scales_the_temperature_and_keeps_the_classes():
    logits, labels = drawn()
    once, twice = fit_temperature(logits, labels), fit_temperature(2 * logits, labels)
    assert twice == pytest.approx(2 * once, rel=1e-4)
    assert torch.equal((logits / once).argmax(1), logits.argmax(1))


def test_calibrated_probabilities_have_smaller_errors():
    logits, labels = drawn(4000)
    temperature = fit_temperature(logits, labels)
    assert calibration_error(logits / temperature, labels) < 0.3 * calibration_error(logits, labels)
    assert brier_score(logits / temperature, labels) < brier_score(logits, labels)


def test_all_right_and_all_wrong_end_at_the_bounds():
    logits = torch.eye(3)
    assert fit_temperature(logits, torch.arange(3)) == 0.01
    assert fit_temperature(logits, torch.tensor([1, 2, 0])) == 100.0


def test_the_error_by_chance_is_that_of_labels_drawn_from_the_probabilities():
    logits = drawn(80)[0]
    generator = torch.Generator().manual_seed(7)
    drawn_labels = torch.softmax(logits, 1).multinomial(300, replacement=True, generator=generator).T
    oracle = np.mean([calibration_error(logits, labels) for labels in drawn_labels])
    assert chance_error(logits) == pytest.approx(oracle, rel=0.05)


def test_scores_by_the_textbook():
    logits, labels = drawn(60)
    probabilities = torch.softmax(logits, 1).numpy()
    slow = sum(sum((probabilities[row, k] - float(k == labels[row])) ** 2 for k in range(4)) for row in range(60))
    assert brier_score(logits, labels) == pytest.approx(float(slow) / 60)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels.numpy()
    total = 0.0
    for number in range(15):
        rows = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        total += abs(right[rows].sum() - confidence[rows].sum()) if rows.any() else 0.0
    assert calibration_error(logits, labels) == pytest.approx(total / 60)
    assert sum(part.count for part in reliability(logits, labels)) == 60


def test_refusals():
    with pytest.raises(DataError, match=r"N ≥ 1 rows, got \(0, 3\)"):
        fit_temperature(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(DataError, match="NaN or infinity in 1 of 2 rows"):
        fit_temperature(torch.tensor([[0.0, 1.0], [float("nan"), 0.0]]), torch.tensor([0, 1]))
