"""Balanced fits: scikit-learn's class weights, the law of logit adjustment, folds that lack a class."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from nctransfer.errors import DataError, UsageError
from nctransfer.probes import (
    FIT_BALANCES,
    assign_folds,
    choose_probe,
    class_shares,
    class_weights,
    cross_validate,
    fit_deep,
    fit_head,
    fit_probe_path,
    log_prior,
)

COUNTS = (80, 24, 8)


def draw(counts=COUNTS, dim=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.full((count,), number) for number, count in enumerate(counts)])
    labels = labels[torch.randperm(len(labels), generator=generator)]
    features = torch.randn(len(labels), dim, generator=generator) + torch.nn.functional.one_hot(labels, dim)
    return features, labels


@pytest.mark.parametrize("counts", [COUNTS, (60, 12)])
@pytest.mark.parametrize("strength", [0.1, 0.003])
def test_weights_are_those_of_scikit_learn(counts, strength):
    features, labels = draw(counts)
    standard = ((features - features.mean(0)) / features.std(0, unbiased=False)).double().numpy()
    textbook = LogisticRegression(
        C=1.0 / (strength * len(labels)), class_weight="balanced", tol=1e-12, max_iter=10_000
    ).fit(standard, labels.numpy())
    expected = torch.from_numpy(textbook.predict_proba(standard))
    settings = {"num_classes": len(counts), "balance": "weights", "tolerance": 1e-8}
    probe = fit_probe_path(features, labels, strengths=[strength], **settings)[0]
    assert torch.allclose(probe.logits(features).softmax(1), expected, atol=2e-4)
    assert probe.gap <= 1e-8
    head = fit_head({"a": features}, labels, strength=strength, num_classes=len(counts), balance="weights")
    assert torch.allclose(head.logits({"a": features}).softmax(1), expected, atol=4e-3)
    assert head.gap <= 1e-5


def test_classes_of_one_size_need_no_balance():
    features, labels = draw((30, 30, 30))
    plain, weighted, adjusted = (
        fit_probe_path(features, labels, num_classes=3, strengths=[0.01], balance=balance, tolerance=1e-8)[0]
        for balance in FIT_BALANCES
    )
    for other in (weighted, adjusted):
        assert torch.allclose(plain.logits(features), other.logits(features), atol=1e-3)


def test_logit_adjustment_is_the_plain_fit_less_the_prior_in_every_fold():
    features, labels = draw()
    folds = assign_folds(labels, num_folds=4)
    plain, adjusted = (
        cross_validate({"a": features}, labels, folds, num_classes=3, balance=balance)
        for balance in ("none", "logit-adjust")
    )
    assert adjusted.strength == plain.strength
    assert adjusted.log_loss == pytest.approx(plain.log_loss, rel=1e-12)
    assert torch.equal(adjusted.head.weight, plain.head.weight)
    for number in range(4):
        rows = folds == number
        shifted = plain.held_logits[rows] - log_prior(labels[~rows], 3)
        assert torch.allclose(adjusted.held_logits[rows].softmax(1), shifted.softmax(1), atol=1e-12)
    right = (adjusted.held_logits.argmax(1) == labels).double().mean()
    assert adjusted.accuracy == pytest.approx(float(right))


def test_the_chosen_probe_is_adjusted_as_the_path_is():
    features, labels = draw()
    parts = features[::2], labels[::2], features[1::2], labels[1::2], 3
    plain, adjusted = choose_probe(*parts), choose_probe(*parts, balance="logit-adjust")
    assert adjusted.probe.strength == plain.probe.strength
    shifted = plain.probe.logits(features) - log_prior(labels[::2], 3)
    assert torch.allclose(adjusted.probe.logits(features).softmax(1), shifted.softmax(1), atol=1e-12)
    assert adjusted.val_accuracy == adjusted.probe.accuracy(features[1::2], labels[1::2])


@pytest.mark.parametrize("balance", ["weights", "logit-adjust"])
def test_balance_names_the_rare_class_more_often(balance):
    features, labels = draw((300, 20), dim=2)
    folds = assign_folds(labels)
    plain, other = (
        cross_validate({"a": features}, labels, folds, num_classes=2, balance=word) for word in ("none", balance)
    )
    said = [int((found.held_logits.argmax(1) == 1).sum()) for found in (plain, other)]
    assert said[1] > said[0]
    deep = fit_deep({"a": features, "b": features[:, :1]}, labels, folds, num_classes=2, balance=balance).joint
    assert int((deep.held_logits.argmax(1) == 1).sum()) > said[0]


@pytest.mark.parametrize("balance", ["weights", "logit-adjust"])
def test_a_class_that_a_fold_lacks_has_no_weight_there(balance):
    features, labels = draw((20, 12, 1))
    found = cross_validate({"a": features}, labels, assign_folds(labels), num_classes=4, balance=balance)
    assert bool(torch.isfinite(found.held_logits[found.held]).all())
    assert not bool((found.head.logits({"a": features}).argmax(1) == 3).any())


def test_bad_balance_is_refused():
    with pytest.raises(DataError, match="class 1 has no image, so it can be given no weight"):
        class_weights(torch.tensor([0, 0, 2]), 3)
    with pytest.raises(DataError, match="class 2 has no image"):
        log_prior(torch.tensor([0, 1]), 3)
    features, labels = draw()
    with pytest.raises(UsageError, match=r"unknown balance 'weight'.*weights"):
        fit_probe_path(features, labels, num_classes=3, balance="weight")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown balance"):
        cross_validate({"a": features}, labels, assign_folds(labels), num_classes=3, balance="x")  # type: ignore[arg-type]


def test_every_class_has_the_same_share():
    labels = torch.tensor([3, 3, 3, 0, 5, 5])
    shares = class_shares(labels)
    assert [float(shares[labels == label].sum()) for label in (0, 3, 5)] == pytest.approx([1 / 3] * 3)
