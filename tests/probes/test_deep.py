"""Heads over several layers: scikit-learn as the oracle, laws of folds and of layers, hard inputs, messages."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from nctransfer.errors import DataError, UsageError
from nctransfer.probes import (
    assign_folds,
    cross_validate,
    fit_deep,
    held_out_folds,
    trust_scales,
    usable_layers,
)


def layers_of(count=120, widths=(6, 10), num_classes=3, signal=(0.5, 1.5), seed=0):
    """Layers with their own scale and offset; each tells the classes apart by its share of signal."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % num_classes
    features = {}
    for number, (width, strength) in enumerate(zip(widths, signal, strict=True)):
        means = strength * torch.randn(num_classes, width, generator=generator)
        noise = torch.randn(count, width, generator=generator)
        scale = torch.rand(width, generator=generator) + 0.5
        features[f"layer{number}"] = (means[labels] + noise) * scale * 10.0**number + 3.0
    return features, labels


def columns(features, scales):
    """Standardised and scaled, side by side, by NumPy."""
    parts = []
    for name, values in features.items():
        values = values.double().numpy()
        parts.append((values - values.mean(0)) / values.std(0) * scales[name])
    return np.concatenate(parts, 1)


@pytest.mark.parametrize(
    ("count", "widths", "num_classes"), [(120, (6, 10), 3), (40, (30, 90), 4), (60, (5, 8), 2)], ids=str
)
def test_the_head_is_scikit_learns_on_the_scaled_columns(count, widths, num_classes):
    features, labels = layers_of(count, widths, num_classes)
    scales = {"layer0": 0.5, "layer1": 2.0}
    head = cross_validate(
        features, labels, assign_folds(labels), num_classes=num_classes, scales=scales, tolerance=1e-6
    ).head
    strength = head.strengths[0] * scales["layer0"] ** 2
    assert head.strengths[1] * scales["layer1"] ** 2 == pytest.approx(strength)
    matrix = columns(features, scales)
    oracle = LogisticRegression(C=1 / (strength * count), tol=1e-10, max_iter=50_000).fit(matrix, labels.numpy())
    expected = torch.from_numpy(oracle.predict_log_proba(matrix))
    torch.testing.assert_close(head.logits(features).log_softmax(1), expected, rtol=0, atol=5e-3)
    loss = -expected[torch.arange(count), labels].mean()
    penalty = 0.5 * strength * float(np.square(oracle.coef_).sum())
    assert head.gap <= 1e-6
    assert head.objective == pytest.approx(float(loss) + penalty, rel=3e-6)


def test_held_out_logits_come_from_a_fit_that_did_not_see_the_row():
    features, labels = layers_of()
    folds = assign_folds(labels, num_folds=3)
    found = cross_validate(features, labels, folds, num_classes=3)
    strength = found.head.strengths[0]
    for fold in range(3):
        train, held = (folds != fold).numpy(), (folds == fold).numpy()
        parts = [features[name].double().numpy() for name in features]
        scaled = [(values - values[train].mean(0)) / values[train].std(0) for values in parts]
        matrix = np.concatenate(scaled, 1)
        oracle = LogisticRegression(C=1 / (strength * train.sum()), tol=1e-10, max_iter=50_000)
        expected = oracle.fit(matrix[train], labels.numpy()[train]).predict_proba(matrix[held])
        got = found.held_logits[torch.from_numpy(held)].softmax(1)
        torch.testing.assert_close(got, torch.from_numpy(expected), rtol=0, atol=0.02)
        assert (got.argmax(1).numpy() == expected.argmax(1)).mean() > 0.95
    assert found.accuracy == float((found.held_logits.argmax(1) == labels).double().mean())


def test_the_chosen_strength_has_the_smallest_held_out_loss_and_lies_inside_the_path():
    features, labels = layers_of(signal=(0.2, 0.4))
    path = cross_validate(features, labels, assign_folds(labels), num_classes=3).path
    strengths, losses = [row["strength"] for row in path], [row["log_loss"] for row in path]
    assert strengths == sorted(strengths, reverse=True)
    assert 0 < int(np.argmin(losses)) < len(losses) - 1


def test_without_a_refit_the_held_out_rows_do_not_enter():
    features, labels = layers_of()
    folds = held_out_folds(90, 30)
    found = cross_validate(features, labels, folds, num_classes=3, refit=False)
    torch.testing.assert_close(
        found.head.logits({name: values[90:] for name, values in features.items()}),
        found.held_logits[90:],
    )
    right = (found.held_logits[90:].argmax(1) == labels[90:]).double().mean()
    assert found.accuracy == float(right)
    changed = {name: torch.cat([values[:90], values[90:] + 5.0]) for name, values in features.items()}
    same = cross_validate(changed, labels, folds, num_classes=3, refit=False)
    torch.testing.assert_close(same.head.mean, found.head.mean, rtol=0, atol=0)


def test_parts_and_bias_add_up_to_the_logits_and_to_the_affine_map():
    features, labels = layers_of()
    head = fit_deep(features, labels, assign_folds(labels), num_classes=3).joint.head
    parts = head.parts(features)
    torch.testing.assert_close(sum(parts.values()) + head.bias, head.logits(features))
    weight, bias = head.affine()
    raw = torch.cat([features[name].double() for name in head.layers], 1)
    torch.testing.assert_close(raw @ weight.T + bias, head.logits(features))
    shares = head.shares(features)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["layer1"] > shares["layer0"]  # it carries more signal


def test_units_of_the_features_and_the_order_of_layers_change_nothing():
    features, labels = layers_of()
    folds = assign_folds(labels)
    one = fit_deep(features, labels, folds, num_classes=3)
    moved = {name: values * 7.0 - 2.0 for name, values in reversed(features.items())}
    other = fit_deep(moved, labels, folds, num_classes=3)
    torch.testing.assert_close(one.joint.head.logits(features), other.joint.head.logits(moved), rtol=0, atol=0.02)


def test_a_layer_of_noise_does_not_spoil_a_good_one():
    features, labels = layers_of(count=150, widths=(10, 400), signal=(1.0, 0.0))
    found = fit_deep(features, labels, assign_folds(labels), num_classes=3)
    assert found.joint.log_loss <= found.layers["layer0"].log_loss + 0.05
    assert found.joint.head.shares(features)["layer0"] > 0.7


def test_width_and_loss_set_the_strengths_by_the_formula():
    losses, widths = {"a": 0.4, "b": 1.0}, {"a": 10, "b": 1000}
    scales = trust_scales(losses, widths)
    ratio = (scales["a"] / scales["b"]) ** 2
    assert ratio == pytest.approx(100 * math.exp(0.6 / 0.3))
    total = sum(scales[name] ** 2 * widths[name] for name in widths)
    assert total == pytest.approx(sum(widths.values()))


def test_dead_layers_are_left_out_and_named():
    features, labels = layers_of()
    broken = features["layer0"].clone()
    broken[3, 1] = float("nan")
    found = fit_deep(
        {**features, "constant": torch.full((120, 4), 2.0), "broken": broken},
        labels,
        assign_folds(labels),
        num_classes=3,
    )
    assert found.joint.head.layers == ("layer0", "layer1")
    assert found.left_out == {
        "constant": "all of its features are constant",
        "broken": "1 of 120 images have features that are NaN or infinite",
    }
    with pytest.raises(DataError, match="no layer has features that a probe can use: x: all of its"):
        usable_layers({"x": torch.ones(4, 2)})


def test_a_column_that_is_constant_in_one_fold_gets_no_weight_there():
    features, labels = layers_of(count=30)
    folds = assign_folds(labels, num_folds=3)
    features["layer0"][folds != 1] = 1.0  # varies in fold 1 alone
    found = fit_deep(features, labels, folds, num_classes=3)
    assert bool(torch.isfinite(found.joint.held_logits).all())


def test_one_layer_is_its_own_deep_probe():
    features, labels = layers_of(widths=(8,), signal=(1.0,))
    found = fit_deep(features, labels, assign_folds(labels), num_classes=3)
    assert found.joint is found.layers["layer0"]


def test_a_class_of_one_image_is_always_trained_on_and_never_judged():
    features, labels = layers_of(count=61, num_classes=3)
    labels[60] = 3
    folds = assign_folds(labels, num_folds=5)
    assert folds[60] == -1
    assert bool((folds[:60] >= 0).all())
    found = fit_deep(features, labels, folds, num_classes=5)
    assert int(found.joint.held.sum()) == 60
    assert bool(torch.isnan(found.joint.held_logits[60]).all())
    predictions = found.joint.head.logits(features).argmax(1)
    assert 4 not in predictions.tolist()  # no image of class 4 was seen


@pytest.mark.parametrize("num_folds", [2, 5, 7])
def test_folds_are_even_by_class_and_in_all(num_folds):
    labels = torch.tensor([0] * 23 + [1] * 9 + [2] * 2 + [3])
    folds = assign_folds(labels, num_folds=num_folds, seed=3)
    sizes = torch.bincount(folds[folds >= 0], minlength=num_folds)
    assert int(sizes.max() - sizes.min()) <= 1
    for label in range(3):
        counts = torch.bincount(folds[labels == label], minlength=num_folds)
        assert int(counts.max() - counts.min()) <= 1
    assert torch.equal(folds, assign_folds(labels, num_folds=num_folds, seed=3))
    assert not torch.equal(folds, assign_folds(labels, num_folds=num_folds, seed=4))


def test_refusals_name_what_is_wrong():
    features, labels = layers_of()
    folds = assign_folds(labels)
    with pytest.raises(UsageError, match="at least 2, got 1"):
        assign_folds(labels, num_folds=1)
    with pytest.raises(DataError, match="a class with at least 2 images; none of 3 has"):
        assign_folds(torch.arange(3))
    with pytest.raises(DataError, match=r"must lie in \[0, 2\), got 2"):
        cross_validate(features, labels, folds, num_classes=2)
    with pytest.raises(DataError, match="no row is held out"):
        cross_validate(features, labels, torch.full((120,), -1), num_classes=3)
    with pytest.raises(UsageError, match="`refit=False` takes one fold"):
        cross_validate(features, labels, folds, num_classes=3, refit=False)
    with pytest.raises(UsageError, match="`scales` must be positive"):
        cross_validate(features, labels, folds, num_classes=3, scales={"layer0": 1.0})
    with pytest.raises(DataError, match="matrices of 120 rows"):
        cross_validate({"x": torch.zeros(5, 2)}, labels, folds, num_classes=3)
    with pytest.raises(DataError, match="at least 2 classes to learn from, got 1"):
        cross_validate(features, torch.zeros(120, dtype=torch.int64), folds, num_classes=2)
    head = cross_validate(features, labels, folds, num_classes=3).head
    with pytest.raises(DataError, match="layer layer1 must have 10 columns, got nothing"):
        head.logits({"layer0": features["layer0"]})
