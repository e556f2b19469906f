"""Slow textbook formulas in float64 loops, and in mpmath for ill-conditioned features: the oracles of the metrics'
tests."""

from __future__ import annotations

import mpmath
import numpy as np

__all__ = [
    "cdnv",
    "class_separation",
    "equiangularity",
    "equinorm",
    "etf_angle_error",
    "etf_error",
    "nc1",
    "nc1_precise",
    "ncc_agreement",
    "numerical_rank",
    "self_duality",
    "vci",
]


def classes_of(features, labels):
    features = np.asarray(features, dtype=np.float64)
    labels = np.asarray(labels)
    return [features[labels == label] for label in sorted(set(labels.tolist()))]


def mean_of(rows):
    total = np.zeros(rows.shape[1])
    for row in rows:
        total = total + row
    return total / len(rows)


def within(groups, weighting="sample"):
    dim = groups[0].shape[1]
    number = sum(len(group) for group in groups)
    total = np.zeros((dim, dim))
    for group in groups:
        centre = mean_of(group)
        for row in group:
            share = 1 / number if weighting == "sample" else 1 / (len(groups) * len(group))
            total += share * np.outer(row - centre, row - centre)
    return total


def between(groups):
    centres = np.array([mean_of(group) for group in groups])
    middle = mean_of(centres)
    total = np.zeros((centres.shape[1], centres.shape[1]))
    for centre in centres:
        total += np.outer(centre - middle, centre - middle) / len(groups)
    return total


def nc1(features, labels, weighting="sample"):
    groups = classes_of(features, labels)
    sigma_b = between(groups)
    rank = min(len(groups) - 1, sigma_b.shape[0])
    values, vectors = np.linalg.eigh(sigma_b)
    keep = [i for i in np.argsort(values)[::-1][:rank] if values[i] > values.max() * 1e-13]
    inverse = sum(np.outer(vectors[:, i], vectors[:, i]) / values[i] for i in keep)
    return float(np.trace(within(groups, weighting) @ inverse) / len(groups))


def nc1_precise(features, labels, digits=60):
    """NC1 with ``digits`` decimal digits throughout, for K - 1 <= D and linearly independent centred means."""
    groups = classes_of(features, labels)
    with mpmath.workdps(digits):
        groups = [[[mpmath.mpf(float(x)) for x in row] for row in group] for group in groups]
        centres = [[mpmath.fsum(column) / len(group) for column in zip(*group, strict=True)] for group in groups]
        middle = [mpmath.fsum(column) / len(centres) for column in zip(*centres, strict=True)]
        rows = [[a - b for a, b in zip(centre, middle, strict=True)] for centre in centres]
        # Any K-1 centred means span the same space; an inverse of their Gram matrix gives the pseudo-inverse exactly.
        factor = mpmath.matrix(rows[:-1])
        count, classes = len(rows) - 1, len(rows)
        coefficients = mpmath.eye(count) + mpmath.ones(count, count)
        gram_inverse = mpmath.inverse(factor * factor.T)
        # Sigma_B = factor^T C factor / K, so Sigma_B^+ = K factor^T G^-1 C^-1 G^-1 factor with G the Gram matrix.
        core = gram_inverse * mpmath.inverse(coefficients) * gram_inverse
        total, number = mpmath.mpf(0), 0
        for group, centre in zip(groups, centres, strict=True):
            for row in group:
                shown = factor * mpmath.matrix([a - b for a, b in zip(row, centre, strict=True)])
                total += (shown.T * core * shown)[0]
                number += 1
        return float(classes * total / number / classes)


def cdnv(features, labels):
    groups = classes_of(features, labels)
    terms = []
    for i, first in enumerate(groups):
        for j, second in enumerate(groups):
            if i != j:
                spread = sum(np.mean([np.sum((row - mean_of(g)) ** 2) for row in g]) for g in (first, second))
                terms.append(spread / (2 * np.sum((mean_of(first) - mean_of(second)) ** 2)))
    return float(np.mean(terms))


def numerical_rank(features, labels, centered=False):
    ranks = []
    for group in classes_of(features, labels):
        rows = group - mean_of(group) if centered else group
        values = np.linalg.svd(rows, compute_uv=False)
        if values[0] > 0:
            ranks.append(np.sum(values**2) / values[0] ** 2)
    return float(np.mean(ranks))


def centred_means(features, labels):
    centres = np.array([mean_of(group) for group in classes_of(features, labels)])
    return centres - mean_of(centres)


def cosines(features, labels):
    rows = centred_means(features, labels)
    return np.array(
        [
            rows[i] @ rows[j] / np.linalg.norm(rows[i]) / np.linalg.norm(rows[j])
            for i in range(len(rows))
            for j in range(len(rows))
            if i != j
        ]
    )


def equinorm(features, labels):
    norms = np.array([np.linalg.norm(row) for row in centred_means(features, labels)])
    return float(norms.std() / norms.mean())


def equiangularity(features, labels):
    return float(cosines(features, labels).std())


def etf_angle_error(features, labels):
    classes = len(centred_means(features, labels))
    return float(np.mean(np.abs(cosines(features, labels) + 1 / (classes - 1))))


def etf_error(features, labels):
    rows = centred_means(features, labels)
    gram, classes = rows @ rows.T, len(rows)
    simplex = (np.eye(classes) - np.ones((classes, classes)) / classes) / np.sqrt(classes - 1)
    return float(np.linalg.norm(gram / np.linalg.norm(gram) - simplex))


def self_duality(features, labels, weight):
    rows, weight = centred_means(features, labels), np.asarray(weight, dtype=np.float64)
    return float(np.sum((weight / np.linalg.norm(weight) - rows / np.linalg.norm(rows)) ** 2))


def ncc_agreement(features, labels, weight, bias):
    centres = [mean_of(group) for group in classes_of(features, labels)]
    agreed = 0
    for row in np.asarray(features, dtype=np.float64):
        scores = [row @ w + b for w, b in zip(np.asarray(weight, float), np.asarray(bias, float), strict=True)]
        distances = [np.sum((row - centre) ** 2) for centre in centres]
        agreed += int(np.argmax(scores) == np.argmin(distances))
    return agreed / len(features)


def class_separation(features, labels):
    groups = [np.array([row / np.linalg.norm(row) for row in group]) for group in classes_of(features, labels)]
    centres = np.array([mean_of(group) for group in groups])
    inside = 1 - np.mean([centre @ centre for centre in centres])
    middle = mean_of(centres)
    return float(1 - inside / (1 - middle @ middle))


def vci(features, labels, weighting="sample"):
    groups = classes_of(features, labels)
    number = sum(len(group) for group in groups)
    shares = [len(g) / number if weighting == "sample" else 1 / len(groups) for g in groups]
    centres = [mean_of(group) for group in groups]
    middle = sum(share * centre for share, centre in zip(shares, centres, strict=True))
    sigma_b = sum(s * np.outer(c - middle, c - middle) for s, c in zip(shares, centres, strict=True))
    total = within(groups, weighting) + sigma_b
    rank = np.linalg.matrix_rank(np.array(centres) - mean_of(np.array(centres)), tol=1e-9)
    return float(1 - np.trace(np.linalg.pinv(total) @ sigma_b) / rank)
