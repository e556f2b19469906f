"""Folds that keep groups whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nctransfer.errors import DataError
from nctransfer.probes import NEVER_HELD_OUT, assign_folds


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 11)), min_size=8, max_size=60),
    num_folds=st.integers(2, 5),
    seed=st.integers(0, 3),
)
def test_no_fold_tears_a_group_and_every_class_can_be_learned(rows, num_folds, seed):
    labels, groups = np.array(rows).T
    try:
        folds = assign_folds(labels, groups=groups, num_folds=num_folds, seed=seed).numpy()
    except DataError as error:
        assert "can be held out" in str(error)  # noqa: PT017  # refused, or all of the laws below
        return
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    for fold in np.unique(folds[folds >= 0]):
        assert set(labels[folds == fold]) <= set(labels[folds != fold])
    assert folds.max() < num_folds


def test_groups_of_single_images_are_held_out_like_images():
    labels = np.repeat([0, 1, 2], 10)
    folds = assign_folds(labels, groups=np.arange(30)).numpy()
    assert np.bincount(folds).tolist() == [6] * 5
    assert all(np.bincount(folds[labels == label]).tolist() == [2] * 5 for label in range(3))


def test_a_group_that_alone_holds_a_class_is_never_held_out():
    folds = assign_folds([0, 0, 1, 1, 0, 1, 2, 0], groups=list("aabbcddd")).numpy()
    assert folds[-3:].tolist() == [NEVER_HELD_OUT] * 3
    with pytest.raises(DataError, match="no group of 2 can be held out"):
        assign_folds([0, 0, 1, 1], groups=list("aabb"))
    with pytest.raises(DataError, match="4 labels and groups of shape"):
        assign_folds([0, 0, 1, 1], groups=list("aab"))
