"""Do the intervals of a ranking's columns hold what fresh images of the same kind would show?"""

import numpy as np
import pytest
import torch

from nctransfer.ranking.measure import measure_columns

CLASSES, DIM, IMAGES, DRAWS = 5, 24, 150, 24
NAMES = ("nc1", "cdnv", "log_me", "h_score", "regularised_h_score", "transrate", "gbc", "nearest_neighbours")


@pytest.fixture(scope="module")
def draws():
    """Columns of fresh draws of the same Gaussian classes."""
    rng = np.random.default_rng(0)
    means = 0.45 * rng.normal(size=(CLASSES, DIM))
    mixing = rng.normal(size=(DIM, DIM)) / 6 + np.eye(DIM) / 2
    found = []
    for seed in range(DRAWS):
        labels = rng.permutation(np.arange(IMAGES) % CLASSES)
        features = means[labels] + rng.normal(size=(IMAGES, DIM)) @ mixing
        found.append(
            measure_columns(
                torch.from_numpy(features.astype(np.float32)),
                torch.from_numpy(labels),
                None,
                num_classes=CLASSES,
                seed=seed,
            )
        )
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_intervals_hold_the_mean_of_fresh_draws(draws, name):
    found = [columns[name] for columns in draws]
    mean = np.mean([value.value for value in found])
    held = np.mean([value.low <= mean <= value.high for value in found])
    assert held >= 0.85, f"{held:.0%} of the intervals hold the mean of fresh draws"
    assert min(value.high - value.low for value in found) < 8 * np.std([value.value for value in found]), (
        "too wide to say"
    )
