"""Linear probe: scikit-learn as the oracle, the laws of the map and of the path, hard inputs, messages."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from nctransfer.errors import DataError, UsageError
from nctransfer.probes import DEFAULT_STRENGTHS, LinearProbe, SoftmaxRegression, choose_probe, fit_probe_path
from nctransfer.probes.balance import class_weights
from nctransfer.probes.curvature import newton_move


def blobs(count=200, dim=12, num_classes=4, spread=1.0, seed=0):
    """Correlated features with a decaying spectrum; class means a little apart; each column has its mean and scale."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % num_classes
    scales = torch.arange(1, dim + 1) ** -0.5
    means = torch.randn(num_classes, dim, generator=generator)
    mix = torch.randn(dim, dim, generator=generator)
    features = (torch.randn(count, dim, generator=generator) * scales * spread + 0.5 * means[labels] * scales) @ mix
    shift, scale = torch.randn(dim, generator=generator), torch.rand(dim, generator=generator) + 0.5
    return features * scale + 3 * shift, labels


def standardised(features):
    features = features.double().numpy()
    return (features - features.mean(0)) / features.std(0)


def mean_loss(logits, labels):
    """Textbook softmax loss, one row at a time."""
    total = 0.0
    for row, label in zip(np.asarray(logits), np.asarray(labels), strict=True):
        top = row.max()
        total += top + math.log(sum(math.exp(value - top) for value in row)) - row[label]
    return total / len(labels)


def oracle(features, labels, strength):
    """scikit-learn, converged, on standardised features: its model and F = (its objective) / (C N)."""
    inputs = standardised(features)
    model = LogisticRegression(C=1 / (strength * len(labels)), tol=1e-10, max_iter=100_000).fit(inputs, labels.numpy())
    logits = inputs @ model.coef_.T + model.intercept_
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], 1)
    return model, mean_loss(logits, labels) + 0.5 * strength * float((model.coef_**2).sum())


@pytest.mark.parametrize(
    ("count", "dim", "num_classes"),
    [(200, 12, 4), (150, 1, 3), (120, 8, 2), (40, 30, 3), (30, 100, 3), (300, 20, 30)],
)
def test_reaches_the_converged_objective_of_scikit_learn(count, dim, num_classes):
    features, labels = blobs(count, dim, num_classes)
    strengths = [1.0, 0.03, 1e-3, 1e-4]
    for tolerance, allowed in ((1e-5, 1e-5), (1e-9, 1e-8)):
        path = fit_probe_path(features, labels, num_classes=num_classes, strengths=strengths, tolerance=tolerance)
        for probe, strength in zip(path, strengths, strict=True):
            _, best = oracle(features, labels, strength)
            assert probe.strength == strength
            assert probe.gap <= tolerance
            assert -1e-8 <= probe.objective / best - 1 <= allowed


@pytest.mark.parametrize("num_classes", [2, 5])
def test_probabilities_are_those_of_scikit_learn(num_classes):
    features, labels = blobs(200, 10, num_classes)
    (probe,) = fit_probe_path(features, labels, num_classes=num_classes, strengths=[0.01], tolerance=1e-10)
    model, _ = oracle(features, labels, 0.01)
    expected = model.predict_proba(standardised(features))
    assert probe.logits(features).softmax(1).numpy() == pytest.approx(expected, abs=1e-4)


def test_objective_is_that_of_the_map_handed_out():
    features, labels = blobs()
    deviation = features.double().std(0, correction=0)
    for probe in fit_probe_path(features, labels, num_classes=4, tolerance=1e-7):
        penalty = 0.5 * probe.strength * float((probe.weight * deviation).square().sum())
        assert mean_loss(probe.logits(features), labels) + penalty == pytest.approx(probe.objective, rel=1e-10)


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 20), st.integers(12, 60), st.floats(-7, 1))
@example(seed=1, num_classes=5, dim=14, count=12, exponent=-5.0)  # gave up while the objective still fell
@example(seed=0, num_classes=2, dim=4, count=12, exponent=-5.0)  # objective below the optimum, by float32 moments
@example(seed=0, num_classes=6, dim=14, count=13, exponent=-6.0)  # L-BFGS was at 3e-9 after 2,000 iterations
@settings(max_examples=40, deadline=None)
def test_gap_bounds_the_distance_from_the_optimum(seed, num_classes, dim, count, exponent):
    features, labels = blobs(count, dim, num_classes, seed=seed)
    strengths = [10.0, 10.0**exponent]
    loose = fit_probe_path(features, labels, num_classes=num_classes, strengths=strengths, tolerance=1e-3)
    tight = fit_probe_path(features, labels, num_classes=num_classes, strengths=strengths, tolerance=1e-9)
    for far, near in zip(loose, tight, strict=True):
        assert far.gap <= 1e-3
        assert near.gap <= 1e-9
        assert near.objective >= far.objective * (1 - far.gap) - 1e-12
        assert far.objective >= near.objective * (1 - 1e-9) - 1e-12


def test_rounding_of_float32_features_does_not_keep_a_fit_from_its_tolerance():
    features, labels = blobs(
        13, 14, 6, seed=0
    )  # its objective is small: 3e-4, so that their rounding counts 1e-6 of it
    (probe,) = fit_probe_path(features, labels, num_classes=6, strengths=[1e-6], tolerance=1e-6)
    (tight,) = fit_probe_path(features, labels, num_classes=6, strengths=[1e-6], tolerance=1e-10)
    assert probe.gap <= 1e-6
    assert tight.gap <= 1e-10
    assert 0 <= probe.objective / tight.objective - 1 + 1e-10 <= 1e-6


@pytest.mark.parametrize("balance", ["none", "weights"])
def test_newton_move_is_that_of_the_hessian_by_differentiation(balance):
    features, labels = blobs(15, 4, 3)
    rows = features.double()
    weights = class_weights(labels, 3)[labels] if balance == "weights" else torch.ones(15, dtype=torch.float64)
    point = torch.randn(3, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def objective(values):
        weight, bias = values[:, :-1], values[:, -1]
        losses = torch.nn.functional.cross_entropy(rows @ weight.T + bias, labels, reduction="none")
        return (losses * weights).mean() + 0.005 * weight.square().sum()

    (gradient,) = torch.autograd.grad(objective(point.requires_grad_()), point)
    hessian = torch.autograd.functional.hessian(objective, point.detach()).view(15, 15)
    point = point.detach()
    probabilities = (rows @ point[:, :-1].T + point[:, -1]).softmax(1).T
    given = None if balance == "none" else weights
    move = newton_move(gradient, rows, probabilities, 0.01, given)
    torch.testing.assert_close(hessian @ move.flatten(), -gradient.flatten(), rtol=1e-8, atol=1e-10)


def test_shift_and_scale_of_features_leave_predictions():
    features, labels = blobs(dim=6)
    scale = torch.tensor([1e-30, 1e-3, 1.0, 7.0, 1e4, 1e30])
    moved = features * scale + torch.tensor([1.0, -1e-2, 3.0, -50.0, 0.0, 1.0]) * scale
    before = fit_probe_path(features, labels, num_classes=4, tolerance=1e-8)
    after = fit_probe_path(moved, labels, num_classes=4, tolerance=1e-8)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one.logits(features), other.logits(moved), rtol=1e-3, atol=1e-3)
        assert one.objective == pytest.approx(other.objective, rel=1e-5)


def test_order_of_rows_and_names_of_classes_do_not_matter():
    features, labels = blobs()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    rename = torch.tensor([2, 0, 3, 1])
    (plain,) = fit_probe_path(features, labels, num_classes=4, strengths=[0.01], tolerance=1e-9)
    (other,) = fit_probe_path(features[order], rename[labels[order]], num_classes=4, strengths=[0.01], tolerance=1e-9)
    torch.testing.assert_close(other.logits(features)[:, rename], plain.logits(features), rtol=1e-3, atol=1e-3)


def test_two_fits_are_the_same_to_the_bit():
    features, labels = blobs()
    first, second = (fit_probe_path(features, labels, num_classes=4) for _ in range(2))
    assert all(torch.equal(one.weight, two.weight) for one, two in zip(first, second, strict=True))


def test_path_comes_in_the_order_asked_and_agrees_with_single_fits():
    features, labels = blobs()
    asked = [0.01, 1.0, 0.01, 0.1]
    path = fit_probe_path(features, labels, num_classes=4, strengths=asked, tolerance=1e-8)
    assert [probe.strength for probe in path] == asked
    for probe in path:
        (alone,) = fit_probe_path(features, labels, num_classes=4, strengths=[probe.strength], tolerance=1e-8)
        assert alone.objective == pytest.approx(probe.objective, rel=2e-8)


def test_start_on_the_path_saves_iterations():
    features, labels = blobs(400, 40, 10)
    values = torch.from_numpy(standardised(features))
    model = SoftmaxRegression(values, labels, 10)
    fits, fit = [], None
    for strength in DEFAULT_STRENGTHS:
        fit = model.fit(strength, tolerance=1e-6, start=fit)
        fits.append(fit)
    cold = model.fit(DEFAULT_STRENGTHS[-1], tolerance=1e-6)
    assert fits[-1].iterations < cold.iterations
    assert fits[-1].objective == pytest.approx(cold.objective, rel=1e-6)


def test_columns_without_variance_get_no_weight():
    features, labels = blobs()
    wide = torch.cat([features, torch.full((len(labels), 2), 0.1), features.new_full((len(labels), 1), -3e7)], 1)
    plain = fit_probe_path(features, labels, num_classes=4)
    for one, other in zip(plain, fit_probe_path(wide, labels, num_classes=4), strict=True):
        assert torch.equal(other.weight[:, -3:], torch.zeros(4, 3, dtype=torch.float64))
        torch.testing.assert_close(one.weight, other.weight[:, :-3])


def test_features_that_say_nothing_give_the_class_shares():
    labels = torch.tensor([0, 0, 0, 1])
    (probe,) = fit_probe_path(torch.ones(4, 3), labels, num_classes=2, strengths=[0.1])
    assert probe.logits(torch.ones(1, 3)).softmax(1)[0].tolist() == pytest.approx([0.75, 0.25])


def test_collinear_features_act_as_one_with_a_weaker_penalty():
    features, labels = blobs(dim=5)
    (twice,) = fit_probe_path(features.repeat(1, 2), labels, num_classes=4, strengths=[0.02], tolerance=1e-8)
    (once,) = fit_probe_path(features, labels, num_classes=4, strengths=[0.01], tolerance=1e-8)
    assert twice.objective == pytest.approx(once.objective, rel=1e-7)


@pytest.mark.parametrize("num_classes", [2, 10])
def test_separable_data_with_hardly_any_penalty(num_classes):
    features, labels = blobs(200, 30, num_classes, spread=0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = fit_probe_path(features, labels, num_classes=num_classes, strengths=[1e-2, 1e-5, 1e-8, 1e-11])
    assert all(probe.gap <= 1e-5 and probe.accuracy(features, labels) == 1.0 for probe in path)


def test_one_sample_of_a_class_and_an_outlier():
    features, labels = blobs(100, 5, 2)
    labels = torch.zeros_like(labels)
    labels[3] = 1
    features[0] *= 1e5
    for probe in fit_probe_path(features, labels, num_classes=2, strengths=[1.0, 1e-3, 1e-6]):
        assert probe.gap <= 1e-5


def test_absent_class_is_never_predicted_and_changes_nothing():
    features, labels = blobs(90, 6, 3)
    apart = torch.tensor([1, 4, 5])[labels]
    (plain,) = fit_probe_path(features, labels, num_classes=3, strengths=[1e-4])
    (wide,) = fit_probe_path(features, apart, num_classes=7, strengths=[1e-4])
    torch.testing.assert_close(wide.logits(features)[:, [1, 4, 5]], plain.logits(features))
    anywhere = torch.randn(500, 6, generator=torch.Generator().manual_seed(2)) * 1e4
    assert set(wide.logits(anywhere).argmax(1).tolist()) <= {1, 4, 5}
    assert bool(torch.isfinite(wide.logits(features)).all())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_types_of_features(kind):
    features, labels = blobs()
    features = (features * 8).round().to(kind)
    path = fit_probe_path(features, labels.numpy(), num_classes=4)
    exact = fit_probe_path(features.double().numpy(), labels, num_classes=4)
    for one, other in zip(path, exact, strict=True):
        assert one.objective == pytest.approx(other.objective, rel=1e-5)


def test_autocast_and_gradients_are_kept_out():
    features, labels = blobs()
    plain = fit_probe_path(features, labels, num_classes=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = fit_probe_path(features.clone().requires_grad_(), labels, num_classes=4)
    assert not within[0].weight.requires_grad
    assert all(torch.equal(one.weight, two.weight) for one, two in zip(plain, within, strict=True))


def test_warns_when_it_stops_short():
    features, labels = blobs()
    with pytest.warns(RuntimeWarning, match=r"at strength 0\.001 stopped .* from its optimum, asked for 1\.0e-05"):
        (probe,) = fit_probe_path(features, labels, num_classes=4, strengths=[1e-3], max_iterations=1)
    _, best = oracle(features, labels, 1e-3)
    assert probe.objective * (1 - probe.gap) <= best


class TestChoice:
    def test_takes_the_best_validation_accuracy_then_the_lowest_loss(self):
        features, labels = blobs(300, 20, 4)
        chosen = choose_probe(features[:150], labels[:150], features[150:], labels[150:], 4)
        best = max(chosen.path, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
        assert (chosen.probe.strength, chosen.val_accuracy) == (best["strength"], best["val_accuracy"])
        assert chosen.probe.accuracy(features[150:], labels[150:]) == chosen.val_accuracy
        assert [row["strength"] for row in chosen.path] == sorted(
            (row["strength"] for row in chosen.path), reverse=True
        )

    def test_loss_breaks_ties(self):
        features, labels = blobs(200, 10, 3, spread=0.02)
        chosen = choose_probe(features[:100], labels[:100], features[100:], labels[100:], 3, extend=False)
        ties = [row for row in chosen.path if row["val_accuracy"] == chosen.val_accuracy]
        assert len(ties) > 1
        assert chosen.probe.strength == min(ties, key=lambda row: row["val_loss"])["strength"]

    @pytest.mark.parametrize(("strengths", "side"), [([1e-7, 1e-6], "stronger"), ([3e3, 1e3], "weaker")])
    def test_goes_on_at_an_edge(self, strengths, side):
        features, labels = blobs(120, 40, 4, spread=2.0)
        halves = features[:60], labels[:60], features[60:], labels[60:]
        still = choose_probe(*halves, 4, strengths=strengths, extend=False)
        further = choose_probe(*halves, 4, strengths=strengths)
        assert len(still.path) == 2
        found = [row["strength"] for row in further.path]
        assert 2 < len(found) <= 6
        ratios = [one / two for one, two in itertools.pairwise(found)]
        assert ratios == pytest.approx([max(strengths) / min(strengths)] * len(ratios))
        assert max(found) > max(strengths) if side == "stronger" else min(found) < min(strengths)
        assert further.val_accuracy >= still.val_accuracy

    def test_a_class_that_only_validation_has_costs_accuracy_and_stays_finite(self):
        features, labels = blobs(120, 6, 3)
        train = labels[:60] != 2
        chosen = choose_probe(features[:60][train], labels[:60][train], features[60:], labels[60:], 3)
        assert chosen.val_accuracy <= 2 / 3
        assert all(math.isfinite(row["val_loss"]) for row in chosen.path)

    def test_bad_validation_data(self):
        features, labels = blobs(20)
        with pytest.raises(DataError, match=r"row 3 holds NaN or infinity .validation features"):
            choose_probe(features, labels, torch.where(features == features[3, 2], torch.nan, features), labels, 4)
        with pytest.raises(DataError, match=r"must have 12 columns, got 11"):
            choose_probe(features, labels, features[:, 1:], labels, 4)


class TestMessages:
    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    def test_value_that_is_no_number(self, bad):
        features, labels = blobs()
        features[7, 3] = bad
        with pytest.raises(DataError, match=r"row 7 holds NaN or infinity .features"):
            fit_probe_path(features, labels, num_classes=4)

    def test_label_out_of_range(self):
        features, labels = blobs()
        labels[31] = 12
        with pytest.raises(
            DataError, match=r"must lie in \[0, 10\), got 12 at row 31.*; pass a larger num_classes, remap"
        ):
            fit_probe_path(features, labels, num_classes=10)
        labels[31] = -1
        with pytest.raises(DataError, match=r"got -1 at row 31"):
            fit_probe_path(features, labels, num_classes=10)

    def test_one_class(self):
        features, _ = blobs()
        with pytest.raises(DataError, match=r"at least 2 classes, got only class \[3\] in 200 rows"):
            fit_probe_path(features, torch.full((200,), 3), num_classes=4)

    @pytest.mark.parametrize("shape", [(200,), (200, 3, 3), (0, 12), (200, 0)])
    def test_shape_of_features(self, shape):
        with pytest.raises(DataError, match=r"`features` (must have shape \(samples, dimensions\)|has no rows)"):
            fit_probe_path(torch.zeros(shape), torch.zeros(200, dtype=torch.long), num_classes=4)

    def test_shape_and_type_of_labels(self):
        for labels in (torch.zeros(199, dtype=torch.long), torch.zeros(200, 1).long()):
            with pytest.raises(DataError, match=r"`labels` must have shape \(200,\)"):
                fit_probe_path(blobs()[0], labels, num_classes=4)
        with pytest.raises(TypeError, match=r"`labels` must be integers .*, got float32"):
            fit_probe_path(blobs()[0], torch.zeros(200), num_classes=4)

    @pytest.mark.parametrize("strengths", [[], [0.0], [1.0, -1.0], [math.nan], [math.inf]])
    def test_strengths(self, strengths):
        with pytest.raises(UsageError, match=r"`strengths` must be positive"):
            fit_probe_path(*blobs(), num_classes=4, strengths=strengths)

    @pytest.mark.parametrize("tolerance", [0.0, 1.0, math.nan])
    def test_tolerance(self, tolerance):
        with pytest.raises(UsageError, match=r"`tolerance` must lie in \(0, 1\)"):
            fit_probe_path(*blobs(), num_classes=4, tolerance=tolerance)


def test_accuracy_counts_rows():
    probe = LinearProbe(torch.eye(3), torch.zeros(3), 1.0, 0.0, 0.0, 0)
    assert probe.accuracy(torch.eye(3), [0, 1, 1]) == pytest.approx(2 / 3)


@pytest.mark.gpu
def test_same_objectives_on_a_gpu():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    features, labels = blobs(500, 64, 10)
    here = fit_probe_path(features, labels, num_classes=10)
    for one, other in zip(here, fit_probe_path(features.cuda(), labels, num_classes=10), strict=True):
        assert other.weight.is_cuda
        assert one.objective == pytest.approx(other.objective, rel=2e-5)
