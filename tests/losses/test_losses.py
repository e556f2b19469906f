"""Losses against slow textbook loops, torch's own, and the laws that they obey."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nctransfer.losses import (
    CrossEntropy,
    RescaledMSE,
    SupCon,
    anchors_without_positive,
    cross_entropy,
    rescaled_mse,
    rescaling,
    supcon,
)


def naive_mse(logits, labels, kappa, m):
    total = 0.0
    for scores, label in zip(logits.tolist(), labels.tolist(), strict=True):
        for position, score in enumerate(scores):
            total += kappa * (score - m) ** 2 if position == label else score**2
    return total / logits.numel()


def naive_supcon(embeddings, labels, temperature):
    """Equation 2 of Khosla et al., by loops over anchors and positives."""
    views = [(view / view.norm(), int(label)) for row, label in zip(embeddings, labels, strict=True) for view in row]
    terms = []
    for i, (anchor, label) in enumerate(views):
        others = [j for j in range(len(views)) if j != i]
        positives = [j for j in others if views[j][1] == label]
        if not positives:
            continue
        whole = sum(math.exp(float(anchor @ views[a][0]) / temperature) for a in others)
        inner = sum(math.log(math.exp(float(anchor @ views[p][0]) / temperature) / whole) for p in positives)
        terms.append(-inner / len(positives))
    return sum(terms) / len(terms)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(1, 3), st.integers(2, 5), st.integers(0, 10_000), st.floats(0.05, 2.0))
def test_supcon_equals_the_loops(count, views, dim, seed, temperature):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(count, views, dim, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 2, (count,), generator=generator)
    labels[1] = labels[0]
    ours = supcon(embeddings, labels, temperature=temperature).item()
    assert ours == pytest.approx(naive_supcon(embeddings, labels, temperature), rel=1e-9, abs=1e-9)


def test_supcon_equals_cross_entropy_over_pairs():
    """A second road: with one positive an anchor, the loss is a cross-entropy whose classes are the other views."""
    embeddings = torch.randn(6, 2, 8, dtype=torch.float64)
    unit = torch.nn.functional.normalize(embeddings, dim=2).flatten(0, 1)
    logits = unit @ unit.T / 0.2
    logits.fill_diagonal_(-torch.inf)
    partner = torch.arange(12).view(6, 2).flip(1).flatten()
    expected = torch.nn.functional.cross_entropy(logits, partner)
    assert supcon(embeddings, torch.arange(6), temperature=0.2).item() == pytest.approx(expected.item(), rel=1e-12)


def test_supcon_ignores_scale_order_and_names_of_classes():
    embeddings, labels = torch.randn(8, 2, 5, dtype=torch.float64), torch.tensor([0, 0, 1, 1, 2, 2, 2, 3])
    reference = supcon(embeddings, labels)
    order = torch.randperm(8)
    assert torch.allclose(supcon(embeddings[order] * 7, 10 - labels[order]), reference)


def test_supcon_leaves_out_and_counts_anchors_without_positive():
    embeddings, labels = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 0, 1, 1, 2])
    assert anchors_without_positive(labels) == 1
    assert supcon(embeddings, labels).item() == pytest.approx(naive_supcon(embeddings[:, None], labels, 0.1))
    module = SupCon()
    module(embeddings, labels)
    module(embeddings, labels)
    assert module.skipped == 2


def test_supcon_without_any_positive_is_an_error_not_zero():
    with pytest.raises(ValueError, match=r"no anchor among 3 has a positive.*two views"):
        supcon(torch.randn(3, 4), torch.arange(3))


def test_supcon_similarities_stay_wide_under_autocast():
    embeddings, labels = torch.randn(16, 2, 32), torch.arange(16) % 4
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = supcon(embeddings, labels)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, supcon(embeddings, labels))


def test_supcon_gradient_is_right():
    embeddings = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 0, 2])
    assert torch.autograd.gradcheck(lambda z: supcon(z, labels, temperature=0.5), embeddings)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 10_000), st.floats(0.5, 20), st.floats(0.5, 30))
def test_rescaled_mse_equals_the_loops(count, classes, seed, kappa, m):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, classes, (count,), generator=generator)
    ours = rescaled_mse(logits, labels, kappa=kappa, m=m).item()
    assert ours == pytest.approx(naive_mse(logits, labels, kappa, m), rel=1e-10)


def test_rescaled_mse_at_one_and_one_is_torchs_mse_on_one_hot_labels():
    logits, labels = torch.randn(9, 5), torch.randint(0, 5, (9,))
    expected = torch.nn.functional.mse_loss(logits, torch.nn.functional.one_hot(labels, 5).float())
    assert torch.allclose(rescaled_mse(logits, labels), expected)


def test_rescaled_mse_vanishes_at_its_target():
    labels = torch.tensor([2, 0])
    assert rescaled_mse(30.0 * torch.nn.functional.one_hot(labels, 4), labels, kappa=15, m=30) == 0


def test_rescaling_follows_the_number_of_classes():
    assert rescaling(41) == (1.0, 1.0)
    assert rescaling(42) == rescaling(100) == rescaling(999) == (1.0, 15.0)
    assert rescaling(1000) == (15.0, 30.0)


def test_cross_entropy_equals_the_formula_and_is_computed_wide():
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    expected = torch.stack([row.logsumexp(0) - row[label] for row, label in zip(logits, labels, strict=True)]).mean()
    assert torch.allclose(cross_entropy(logits, labels), expected)
    assert cross_entropy(logits.bfloat16(), labels).dtype == torch.float32


@pytest.mark.parametrize(
    ("module", "function"),
    [
        (CrossEntropy(label_smoothing=0.1), lambda z, y: cross_entropy(z, y, label_smoothing=0.1)),
        (RescaledMSE(kappa=3, m=4), lambda z, y: rescaled_mse(z, y, kappa=3, m=4)),
        (SupCon(temperature=0.3), lambda z, y: supcon(z, y, temperature=0.3)),
    ],
)
def test_module_and_function_agree_and_shapes_are_checked(module, function):
    outputs, labels = torch.randn(8, 4), torch.arange(8) % 4
    assert torch.equal(module(outputs, labels), function(outputs, labels))
    with pytest.raises(ValueError, match=r"of shape \(N.*got \(8, .*4\) and \(7,\)"):
        module(outputs, labels[:7])


def test_bad_factors_are_named():
    with pytest.raises(ValueError, match="must be positive, got 0 and 1"):
        rescaled_mse(torch.zeros(1, 2), torch.tensor([0]), kappa=0)
    with pytest.raises(ValueError, match="`temperature` must be positive, got -1"):
        supcon(torch.zeros(2, 2), torch.tensor([0, 0]), temperature=-1)
