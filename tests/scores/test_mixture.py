"""The mixture of NLEEP against scikit-learn's, where Gaussians have few samples, many, and something between."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from nctransfer.scores.mixture import mixture_posterior


def clusters(count, dim, groups, noise, decay, seed=0):
    """Rows about the means of ``groups``, their directions fading as j**-decay."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(groups, dim))
    rows = (means[np.arange(count) % groups] + noise * rng.normal(size=(count, dim))) * np.arange(
        1, dim + 1.0
    ) ** -decay
    rows -= rows.mean(0)
    return np.round(rows / rows.std(0).max(), 10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("rows", "components", "soft"),
    [
        (clusters(90, 4, 3, 1.0, 0.3), 15, True),  # supports larger than the dimensions
        (clusters(300, 4, 3, 2.0, 0.3), 15, True),
        (clusters(240, 10, 3, 5.0, 1.5), 20, True),  # of 1 to 126 samples
        (clusters(200, 60, 2, 1.0, 0.5), 10, False),  # 20 samples of 60 dimensions each
        (clusters(60, 40, 4, 2e-3, 0.5), 8, True),  # as near to each other as the regularisation
        (clusters(60, 40, 4, 5e-4, 0.0), 8, True),
        (clusters(30, 10, 2, 1.0, 0.5), 30, False),  # one sample each
    ],
)
def test_posterior_is_that_of_scikit_learn(rows, components, soft):
    expected = GaussianMixture(components, random_state=0).fit(rows).predict_proba(rows)
    assert bool(((expected > 1e-3) & (expected < 0.999)).any()) == soft
    found = mixture_posterior(rows, components, 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.sum(1), 1.0, rtol=1e-12)
