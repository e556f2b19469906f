"""What each metric does not feel: a table of metric against change, which the guide shows as well."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nctransfer import metrics

# r: rotation, t: shift, s: scale, l: relabelling, d: duplication of every sample, m: any invertible linear map.
HOLDS = {
    "nc1": "rtsld",
    "cdnv": "rtsld",
    "class_separation": "rsld",
    "equinorm": "rtsld",
    "equiangularity": "rtsld",
    "etf_angle_error": "rtsld",
    "etf_error": "rtsld",
    "numerical_rank": "rsld",
    "vci": "rtsldm",
}
CHANGES = {
    "r": lambda x, y, rng: (x @ np.linalg.qr(rng.normal(size=(x.shape[1],) * 2))[0], y),
    "t": lambda x, y, rng: (x + 5 * rng.normal(size=x.shape[1]), y),
    "s": lambda x, y, rng: (x * rng.uniform(0.01, 100), y),
    "l": lambda x, y, rng: (x, rng.permutation(y.max() + 1)[y]),
    "d": lambda x, y, rng: (np.repeat(x, 2, axis=0), np.repeat(y, 2)),
    "m": lambda x, y, rng: (x @ (rng.normal(size=(x.shape[1],) * 2) + 3 * np.eye(x.shape[1])), y),
}


WIDE = 1  # a seed with more dimensions than classes; with fewer, NC1 does not feel any linear map


def draw(seed):
    rng = np.random.default_rng(seed)
    classes, dim = int(rng.integers(2, 7)), int(rng.integers(2, 12))
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 60)])
    return (
        rng.normal(size=(classes, dim))[labels] + rng.uniform(0.1, 1) * rng.normal(size=(len(labels), dim)),
        labels,
        rng,
    )


@pytest.mark.parametrize(("name", "change"), [(name, change) for name in HOLDS for change in HOLDS[name]])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_unchanged(name, change, seed):
    features, labels, rng = draw(seed)
    # Two centred means are opposite to each other whatever the features: nothing is left to compare.
    assume(name not in ("equiangularity", "etf_angle_error") or labels.max() > 1)
    function = getattr(metrics, name)
    before, after = function(features, labels), function(*CHANGES[change](features, labels, rng))
    assert after == pytest.approx(before, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name in HOLDS for change in "tm" if change not in HOLDS[name]]
)
def test_changed(name, change):
    features, labels, rng = draw(WIDE)
    function = getattr(metrics, name)
    assert function(*CHANGES[change](features, labels, rng)) != pytest.approx(function(features, labels), rel=1e-3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), factor=st.floats(1e-3, 1e3))
def test_scaling_deviations_scales_nc1_by_the_square(seed, factor):
    features, labels, _ = draw(seed)
    means = np.array([features[labels == k].mean(0) for k in range(labels.max() + 1)])[labels]
    value = metrics.nc1(features, labels)
    assert value >= 0
    assert metrics.nc1(means + factor * (features - means), labels) == pytest.approx(factor**2 * value, rel=1e-8)
    assert metrics.cdnv(means + factor * (features - means), labels) == pytest.approx(
        factor**2 * metrics.cdnv(features, labels), rel=1e-8
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_ranges(seed):
    features, labels, rng = draw(seed)
    weight = rng.normal(size=(labels.max() + 1, features.shape[1]))
    collapse = metrics.measure(features, labels, weight=weight, permutations=2)
    dim = features.shape[1]
    assert collapse.nc1 > 0
    assert collapse.cdnv > 0
    assert 0 <= collapse.vci <= 1
    assert 0 <= collapse.class_separation <= 1
    assert 1 <= collapse.numerical_rank <= dim
    assert 1 <= collapse.numerical_rank_centered <= dim
    assert 0 <= collapse.self_duality <= 4
    assert 0 <= collapse.ncc_agreement <= 1
    assert 0 <= collapse.etf_error <= 2**0.5
    assert collapse.rank_between <= min(labels.max(), dim)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32), parts=st.integers(1, 9), tree=st.randoms(use_true_random=False), scatter=st.booleans()
)
def test_any_split_order_and_merge_tree_gives_the_same(seed, parts, tree, scatter):
    features, labels, rng = draw(seed)
    whole = metrics.ClassStatistics(labels.max() + 1, features.shape[1], scatter=scatter)
    whole.update(features, labels)
    pieces = []
    for index in np.array_split(rng.permutation(len(labels)), parts):
        piece = metrics.ClassStatistics(labels.max() + 1, features.shape[1], scatter=scatter)
        for some in np.array_split(index, 2):
            piece.update(features[some], labels[some])
        pieces.append(piece)
    while len(pieces) > 1:
        one = pieces.pop(tree.randrange(len(pieces)))
        pieces[tree.randrange(len(pieces))].merge(one)
    assert torch.equal(pieces[0].counts, whole.counts)
    torch.testing.assert_close(pieces[0].means, whole.means, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(pieces[0].squares, whole.squares, rtol=1e-12, atol=1e-12)
    assert metrics.cdnv(pieces[0]) == pytest.approx(metrics.cdnv(whole), rel=1e-12)
    if scatter:
        torch.testing.assert_close(pieces[0].scatter, whole.scatter, rtol=1e-12, atol=1e-12)


def test_order_of_rows_does_not_matter():
    features, labels, rng = draw(5)
    order = rng.permutation(len(labels))
    for name in HOLDS:
        function = getattr(metrics, name)
        assert function(features[order], labels[order]) == pytest.approx(function(features, labels), rel=1e-12)
