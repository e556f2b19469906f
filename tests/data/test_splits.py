"""Laws of drawing: stratified, seeded, complete, and given splits untouched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nctransfer.data import bundle_from_arrays, narrow, open_dataset
from nctransfer.data.order import apportion, random_keys, random_order
from nctransfer.errors import DataError, UsageError


def arrays(counts, seed=0):
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 4, 4), dtype=np.uint8)
    return images, labels


@settings(max_examples=30, deadline=None)
@given(counts=st.lists(st.integers(3, 40), min_size=2, max_size=6), seed=st.integers(0, 2**40))
def test_every_image_stands_in_one_split_and_every_class_in_all(counts, seed):
    bundle = bundle_from_arrays(*arrays(counts), seed=seed, check=False)
    rows = np.concatenate([split.indices for split in bundle.splits().values()])
    assert sorted(rows.tolist()) == list(range(sum(counts)))
    for split in bundle.splits().values():
        assert (split.counts() > 0).all()
        np.testing.assert_array_equal(split.labels, split.source.labels[split.indices])
        # Stratified: a class's share is within one image, and what the bounds force, of the split's share.
        exact = len(split) * np.array(counts) / sum(counts)
        assert (np.abs(split.counts() - exact) <= 1 + len(counts)).all()


def test_the_draw_depends_on_the_seed_alone():
    images, labels = arrays([30, 50])
    first, again, other = (bundle_from_arrays(images, labels, seed=seed, check=False) for seed in (1, 1, 2))
    assert first.test.indices.tolist() == again.test.indices.tolist()
    assert first.test.indices.tolist() != other.test.indices.tolist()


def test_a_limit_counts_training_and_validation_together_and_keeps_the_test_split():
    images, labels = arrays([100, 300])
    whole = bundle_from_arrays(images, labels, check=False)
    small = bundle_from_arrays(images, labels, limit=40, check=False)
    assert len(small.train) + len(small.validation) == 40
    assert (small.train.counts() + small.validation.counts()).tolist() == [10, 30]
    assert small.test.indices.tolist() == whole.test.indices.tolist()


def test_a_limit_thins_given_splits_in_proportion():
    bundle = bundle_from_arrays(*arrays([40, 40]), validation=arrays([10, 10], 1), test=arrays([5, 5], 2), limit=50)
    assert bundle.report["splits"] == {"train": 40, "validation": 10, "test": 10}
    assert bundle.validation.counts().tolist() == [5, 5]


def test_a_limit_above_all_changes_nothing():
    images, labels = arrays([20, 20])
    whole, limited = (bundle_from_arrays(images, labels, limit=limit, check=False) for limit in (None, 1000))
    for name, split in whole.splits().items():
        assert split.indices.tolist() == limited.splits()[name].indices.tolist()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"limit": 3}, "`limit` must leave two images a class.*at least 4, got 3"),
        ({"limit": 0}, "`limit`"),
        ({"validation_fraction": 0.0}, "`validation_fraction`"),
        ({"test_fraction": 1.0}, "`test_fraction`"),
        ({"on_bad_image": "ignore"}, "`on_bad_image` must be 'stop' or 'skip', got 'ignore'"),
    ],
)
def test_settings_that_cannot_be_meant(setting, message):
    with pytest.raises(UsageError, match=message):
        bundle_from_arrays(*arrays([9, 9]), **setting)


def test_a_class_with_too_few_images_is_named():
    with pytest.raises(DataError, match=r"class '1' has 2, needed 3.*at least 3 a class"):
        bundle_from_arrays(*arrays([9, 2]))
    bundle_from_arrays(*arrays([9, 2]), test=arrays([1, 1], 1))


def test_the_hash_gives_permutations_that_differ_and_are_pinned():
    orders = {tuple(random_order(6, 0, epoch).tolist()) for epoch in range(20)}
    assert len(orders) > 15
    assert all(sorted(order) == list(range(6)) for order in orders)
    # splitmix64 as published, in whole numbers of Python.
    mask = (1 << 64) - 1
    state, expected = 0x9E3779B97F4A7C15, []
    for _ in range(3):
        state = (state + 0x9E3779B97F4A7C15) & mask
        value = state
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
        expected.append(value ^ (value >> 31))
    assert random_keys(3).tolist() == expected


def test_the_order_is_fair():
    firsts = np.bincount([random_order(8, 5, epoch)[0] for epoch in range(4000)], minlength=8)
    assert ((firsts - 500) ** 2 / 500).sum() < 24.3  # chi-squared with 7 degrees of freedom, p = 0.001


@settings(max_examples=50, deadline=None)
@given(weights=st.lists(st.integers(1, 50), min_size=1, max_size=8), total=st.integers(0, 100))
def test_shares_add_up_and_keep_their_bounds(weights, total):
    weights = np.array(weights)
    share = apportion(total, weights, 1, weights)
    assert (share >= 1).all()
    assert (share <= weights).all()
    assert share.sum() == min(max(total, len(weights)), weights.sum())


def test_digits():
    bundle = open_dataset("digits", seed=0)
    assert bundle.report["splits"] == {"train": 1150, "validation": 288, "test": 359}
    image = np.asarray(bundle.train.image(0))
    assert image.shape == (8, 8, 3)
    row = bundle.train.indices[0]
    from sklearn.datasets import load_digits

    np.testing.assert_array_equal(image[..., 1], np.rint(load_digits().images[row] / 16 * 255))
    assert max(np.asarray(bundle.train.image(index)).max() for index in range(20)) == 255


def test_parts_have_no_image_in_common_and_the_same_test_images():
    whole = open_dataset("digits", check=False)
    parts = [narrow(whole, per_class=20, test_per_class=5, part=(place, 3)) for place in range(3)]
    for split in ("train", "validation"):
        seen = [set(part.splits()[split].indices.tolist()) for part in parts]
        assert sum(map(len, seen)) == len(set.union(*seen))
        assert all(part.splits()[split].counts().min() > 0 for part in parts)
    assert len({tuple(part.test.indices.tolist()) for part in parts}) == 1
    with pytest.raises(UsageError, match="no part 3 of 3"):
        narrow(whole, part=(3, 3))
