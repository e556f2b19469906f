"""How well a source model's soft classes predict the labels: LEEP, NLEEP and NCE."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import xlogy

from ..arrays import whole_number
from ..errors import DataError
from .components import principal_components
from .inputs import FeatureMatrix, prepare, prepare_source
from .mixture import mixture_posterior

__all__ = ["leep", "nce", "nleep"]


def leep(source_probabilities: Any, labels: Any) -> float:
    """LEEP: mean log-likelihood of the labels when the source classifier's classes are translated into them.

    With θ_z(x_i) the probability of source class z and P̂ the empirical joint distribution
    P̂(y, z) = (1/N) Σ_{i: y_i=y} θ_z(x_i), it is (1/N) Σ_i ln Σ_z P̂(y_i | z) θ_z(x_i).

    Range (−∞, 0]; larger is better. Unchanged by relabelling of either set of classes. The logarithm is taken of each
    sample's likelihood; much public code averages the likelihoods themselves, which ranks otherwise.

    Args:
        source_probabilities: The source classifier's softmax of shape (N, Z), rows that sum to 1.
        labels: Class numbers of shape (N,); classes without samples take no part.

    Raises:
        TypeError: probabilities that are not floats, labels that are not integers.
        DataError: rows that are no distribution, fewer than two classes, NaN, a negative label.

    Source:
        Nguyen et al. (2020), arXiv:2002.12462.

    Example:
        >>> import numpy as np
        >>> round(leep(np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]), np.array([0, 0, 1, 1])), 6)
        -0.198451
    """
    return _translated(prepare_source(source_probabilities, labels))


def nleep(features: Any, labels: Any, *, components_per_class: int = 5, seed: int = 0) -> float:
    """NLEEP: LEEP without a source classifier: its classes are the components of a Gaussian mixture of the features.

    The features are reduced to the principal components that hold 80 % of their variance, and 5K Gaussians with
    covariances of their own are fitted by expectation and maximisation. θ_z(x_i) is the posterior of component z.

    Range (−∞, 0]; larger is better. Unchanged by rotation, shift, scale and relabelling; the seed settles where the
    mixture starts, and the features are scaled before, so that its regularisation (1e-6) is relative. With few
    samples a component it nears 0 whatever the labels. The mixture is scikit-learn's ``GaussianMixture``, computed by
    `mixture` in far less time where components have few samples.

    Args:
        features: Features of shape (N, D), any float type, NumPy or torch.
        labels: Class numbers of shape (N,); classes without samples take no part.
        components_per_class: Gaussians for each class.
        seed: Seed of the mixture's start.

    Raises:
        TypeError: features that are not floats, labels that are not integers.
        DataError: fewer samples than Gaussians, fewer than two classes, NaN, a negative label, features all alike.
        UsageError: components_per_class below 1.

    Source:
        Li et al. (2021), "Ranking neural checkpoints", arXiv:2011.11200.

    Example:
        >>> import numpy as np
        >>> features = np.random.default_rng(0).normal(size=(40, 3)) + 9 * (np.arange(40) % 2)[:, None]
        >>> nleep(features, np.arange(40) % 2) > -0.01
        True
    """
    whole_number(components_per_class, "components_per_class", 1)
    samples = prepare(features, labels)
    components = components_per_class * samples.num_classes
    if samples.num_samples < components:
        raise DataError(
            f"{components} Gaussians ({components_per_class} for each of {samples.num_classes} classes) cannot be "
            f"fitted to {samples.num_samples} samples",
            where="features",
            remedy="pass more samples or a smaller components_per_class",
        )
    rows = principal_components(samples, share=0.8)
    # Rounded, so that no rounding error of another rotation or scale grows over the rounds of the mixture.
    rows = np.round(rows / rows.std(0).max(), 10)
    try:
        posterior = mixture_posterior(rows, components, seed)
    except np.linalg.LinAlgError as error:
        raise DataError(
            f"the mixture of {components} Gaussians cannot be fitted: {error}",
            where="features",
            remedy="pass a smaller components_per_class",
        ) from error
    return _translated(FeatureMatrix(posterior, samples.labels, samples.counts))


def nce(source_probabilities: Any, labels: Any) -> float:
    """NCE: the negative conditional entropy of the labels given the source classifier's decision.

    With z_i the most probable source class of sample i and P̂ the empirical joint distribution, it is
    Σ_{y,z} P̂(y, z) ln [P̂(y, z)/P̂(z)]. Range [−ln K, 0]; larger is better. Unchanged by relabelling of either set of
    classes. It nears 0 where there are as many source classes as samples.

    Args:
        source_probabilities: The source classifier's softmax of shape (N, Z); of equal ones the first decides.
        labels: Class numbers of shape (N,); classes without samples take no part.

    Raises:
        TypeError: probabilities that are not floats, labels that are not integers.
        DataError: rows that are no distribution, fewer than two classes, NaN, a negative label.

    Source:
        Tran, Nguyen and Hassner (2019), arXiv:1908.08142.

    Example:
        >>> import numpy as np
        >>> decisions = np.eye(3)[[0, 0, 1, 1]]
        >>> nce(decisions, np.array([0, 0, 1, 1])), round(nce(decisions, np.array([0, 1, 0, 1])), 6)
        (0.0, -0.693147)
    """
    samples = prepare_source(source_probabilities, labels)
    joint = np.zeros((samples.num_classes, samples.dim))
    np.add.at(joint, (samples.labels, samples.features.argmax(1)), 1 / samples.num_samples)
    seen = joint[:, joint.sum(0) > 0]
    return float(xlogy(seen, seen / seen.sum(0)).sum()) + 0.0


def _translated(samples: FeatureMatrix) -> float:
    """LEEP of rows (N, Z) that are distributions over source classes."""
    joint = samples.members @ samples.features
    total = joint.sum(0)
    given = np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
    likelihood = (samples.features * given[samples.labels]).sum(1)
    return float(np.log(likelihood).mean())
