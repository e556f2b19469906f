"""Criteria of a choice: textbook values from scikit-learn, and standard errors that resampling confirms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score

from nctransfer.errors import DataError, UsageError
from nctransfer.probes import CRITERIA, criterion_terms, macro_f1


def draw(count, seed=0, right=0.7):
    random = np.random.default_rng(seed)
    labels = random.choice(4, count, p=[0.6, 0.25, 0.1, 0.05])
    said = np.where(random.random(count) < right, labels, random.integers(0, 4, count))
    return torch.from_numpy(labels), torch.from_numpy(said)


@pytest.mark.parametrize("seed", range(5))
def test_means_of_terms_are_the_textbook_values(seed):
    labels, said = draw(60, seed)
    losses = torch.rand(60)
    assert float(criterion_terms("accuracy", labels, said).mean()) == pytest.approx(
        float((labels == said).float().mean())
    )
    assert float(criterion_terms("balanced_accuracy", labels, said).mean()) == pytest.approx(
        balanced_accuracy_score(labels, said)
    )
    textbook = f1_score(labels, said, average="macro", labels=np.unique(labels), zero_division=0)
    assert macro_f1(said, labels) == pytest.approx(textbook)
    assert float(criterion_terms("log_loss", labels, said, losses).mean()) == pytest.approx(-float(losses.mean()))


@pytest.mark.parametrize("criterion", ["balanced_accuracy", "macro_f1"])
def test_the_spread_of_terms_is_the_standard_error_that_resampling_finds(criterion):
    labels, said = draw(500)
    terms = criterion_terms(criterion, labels, said)
    random = np.random.default_rng(1)
    found = []
    for _ in range(400):
        rows = torch.from_numpy(random.integers(0, 500, 500))
        found.append(float(criterion_terms(criterion, labels[rows], said[rows]).mean()))
    assert float(terms.std()) / 500**0.5 == pytest.approx(np.std(found), rel=0.15)


def test_classes_that_are_never_right_count_as_nothing():
    labels = torch.tensor([0] * 9 + [1])
    said = torch.zeros(10, dtype=torch.int64)
    assert float(criterion_terms("accuracy", labels, said).mean()) == 0.9
    assert float(criterion_terms("balanced_accuracy", labels, said).mean()) == pytest.approx(0.5)
    assert macro_f1(said, labels) == pytest.approx((18 / 19) / 2)


def test_what_cannot_be_scored_is_refused():
    labels, said = draw(10)
    with pytest.raises(UsageError, match=r"unknown criterion 'macro_f2'.*did you mean macro_f1"):
        criterion_terms("macro_f2", labels, said)
    with pytest.raises(UsageError, match="log-loss needs the loss of each image"):
        criterion_terms("log_loss", labels, said)
    for criterion in CRITERIA:
        with pytest.raises(DataError, match="must have one shape"):
            criterion_terms(criterion, labels, said[:5], torch.zeros(10))
