"""Every score against a slow textbook formula, written out here."""

import numpy as np
import pytest
from scipy import linalg, optimize, stats
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import StratifiedKFold

from nctransfer import scores

# Samples, dimensions, classes: tall, wide, square, two classes, more classes than dimensions.
SHAPES = [(60, 5, 3), (20, 45, 4), (24, 24, 3), (30, 7, 2), (80, 3, 6)]


def draw(rows, dim, classes, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), np.arange(classes), rng.integers(0, classes, rows - 2 * classes)])
    spread = rng.uniform(0.3, 1.5, size=dim)
    features = rng.normal(size=(classes, dim))[labels] + spread * rng.normal(size=(rows, dim)) + 0.3
    return scale * features, labels


def draw_source(rows, sources, classes, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, rows - classes)])
    logits = 2 * rng.normal(size=(classes, sources))[labels] + rng.normal(size=(rows, sources))
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), labels


def evidence(features, column, alpha, beta):
    """The log evidence a sample, with dense matrices, as the definition has it."""
    rows, dim = features.shape
    precision = alpha * np.eye(dim) + beta * features.T @ features
    weights = beta * np.linalg.solve(precision, features.T @ column)
    return (
        dim / 2 * np.log(alpha)
        + rows / 2 * np.log(beta)
        - 0.5 * np.linalg.slogdet(precision)[1]
        - beta / 2 * ((features @ weights - column) ** 2).sum()
        - alpha / 2 * (weights**2).sum()
        - rows / 2 * np.log(2 * np.pi)
    ) / rows


@pytest.mark.parametrize("shape", SHAPES)
def test_log_me_is_the_largest_evidence(shape):
    features, labels = draw(*shape)
    best = []
    for number in range(shape[2]):
        column = (labels == number) * 1.0
        found = [
            optimize.minimize(
                lambda logs, column=column: -evidence(features, column, *np.exp(logs)),
                start,
                method="L-BFGS-B",
                bounds=[(-15, 15)] * 2,
            ).fun
            for start in ([0, 0], [-6, 3], [6, 3])
        ]
        best.append(-min(found))
    # Where features can fit the labels without error the search stops at its bounds, a little short of the limit.
    assert scores.log_me(features, labels) == pytest.approx(np.mean(best), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("shape", [(60, 5, 3), (30, 7, 2), (90, 20, 3)])
def test_log_me_is_at_a_fixed_point(shape):
    features, labels = draw(*shape)
    rows, dim = shape[:2]
    values = []
    for number in range(shape[2]):
        column, alpha, beta = (labels == number) * 1.0, 1.0, 1.0
        for _ in range(5000):
            precision = alpha * np.eye(dim) + beta * features.T @ features
            weights = beta * np.linalg.solve(precision, features.T @ column)
            sigma = np.linalg.eigvalsh(features.T @ features)
            gamma = (sigma / (sigma + alpha / beta)).sum()
            before = alpha
            alpha, beta = gamma / (weights**2).sum(), (rows - gamma) / ((features @ weights - column) ** 2).sum()
            if abs(alpha / before - 1) < 1e-12:
                break
        values.append(evidence(features, column, alpha, beta))
    assert scores.log_me(features, labels) == pytest.approx(np.mean(values), rel=1e-8)


def test_log_me_does_not_lose_the_missing_eigenvalues():
    """With N < D, empty dimensions tell nothing, so they change nothing."""
    features, labels = draw(20, 15, 3)
    padded = np.concatenate([features, np.zeros((20, 500))], axis=1)
    assert scores.log_me(padded, labels) == pytest.approx(scores.log_me(features, labels), rel=1e-9)


@pytest.mark.parametrize("condition", [1.0, 30.0, 900.0, 3e4, 1e6])
def test_log_me_keeps_eight_digits_by_either_road(condition):
    """An empty dimension changes nothing, but takes the features off the short way by FᵀF, and so do small directions."""
    features, labels = draw(80, 6, 3)
    left, _, right = np.linalg.svd(features, full_matrices=False)
    features = left @ np.diag(np.geomspace(1.0, 1.0 / condition, 6)) @ right
    padded = np.concatenate([features, np.zeros((80, 1))], axis=1)
    assert scores.log_me(features, labels) == pytest.approx(scores.log_me(padded, labels), rel=1e-8)


def h_matrices(features, labels):
    """Total covariance and that of the class means, one a sample."""
    means = np.array([features[labels == label].mean(0) for label in labels])
    return np.cov(features.T, bias=True), np.cov(means.T, bias=True)


@pytest.mark.parametrize("shape", SHAPES)
def test_h_score(shape):
    features, labels = draw(*shape)
    total, between = h_matrices(features, labels)
    expected = np.trace(np.linalg.pinv(total, rcond=1e-10, hermitian=True) @ between)
    assert scores.h_score(features, labels) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_regularised_h_score(shape):
    features, labels = draw(*shape, scale=3.0)
    shrunk = LedoitWolf().fit(features)
    expected = (1 - shrunk.shrinkage_) * np.trace(np.linalg.solve(shrunk.covariance_, h_matrices(features, labels)[1]))
    assert scores.regularised_h_score(features, labels) == pytest.approx(expected, rel=1e-9)


def within(features, labels):
    means = np.array([features[labels == label].mean(0) for label in labels])
    return (features - means).T @ (features - means) / len(features)


@pytest.mark.parametrize("shape", SHAPES)
def test_sfda(shape):
    features, labels = draw(*shape, scale=0.4)
    spread = np.linalg.eigvalsh(within(features, labels))[-1]
    shrinkage = max(np.exp(-5 * spread), 1e-10)
    fisher = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
    confidence = fisher.fit(features, labels).predict_proba(features)
    means = np.array([features[labels == number].mean(0) for number in range(shape[2])])
    mixed = features.copy()
    for row, label in enumerate(labels):
        others = np.delete(means, label, axis=0).mean(0)
        mixed[row] = confidence[row, label] * features[row] + (1 - confidence[row, label]) * others
    posterior = fisher.fit(mixed, labels).predict_proba(mixed)
    expected = posterior[np.arange(len(labels)), labels].mean()
    assert scores.sfda(features, labels) == pytest.approx(expected, rel=1e-6)


def leep_by_loops(probabilities, labels):
    rows, sources = probabilities.shape
    joint = {}
    for label in set(labels.tolist()):
        for source in range(sources):
            joint[label, source] = sum(probabilities[i, source] for i in range(rows) if labels[i] == label) / rows
    total = 0.0
    for i in range(rows):
        likelihood = 0.0
        for source in range(sources):
            marginal = sum(joint[label, source] for label in set(labels.tolist()))
            likelihood += joint[labels[i], source] / marginal * probabilities[i, source]
        total += np.log(likelihood)
    return total / rows


@pytest.mark.parametrize("shape", [(30, 4, 3), (25, 40, 2), (12, 2, 5)])
def test_leep(shape):
    probabilities, labels = draw_source(*shape)
    assert scores.leep(probabilities, labels) == pytest.approx(leep_by_loops(probabilities, labels), rel=1e-10)


def test_leep_leaves_out_source_classes_that_never_occur():
    probabilities, labels = draw_source(30, 4, 3)
    padded = np.concatenate([probabilities, np.zeros((30, 2))], axis=1)
    assert scores.leep(padded, labels) == pytest.approx(scores.leep(probabilities, labels), rel=1e-12)


@pytest.mark.parametrize("shape", [(30, 4, 3), (25, 40, 2), (12, 2, 5)])
def test_nce(shape):
    probabilities, labels = draw_source(*shape)
    decisions = probabilities.argmax(1)
    expected = 0.0
    for i in range(len(labels)):
        same = decisions == decisions[i]
        expected += np.log((labels[same] == labels[i]).mean()) / len(labels)
    assert scores.nce(probabilities, labels) == pytest.approx(expected, rel=1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("shape", [(90, 5, 3), (40, 60, 2)])
def test_nleep(shape):
    features, labels = draw(*shape)
    reduced = PCA(0.8).fit_transform(features)
    # Signs as the module has them: seeded starts are drawn by distance alone, but rounding should not decide.
    reduced *= np.sign(reduced[np.abs(reduced).argmax(0), np.arange(reduced.shape[1])])
    reduced /= reduced.std(0)[0]
    posterior = GaussianMixture(5 * shape[2], random_state=0).fit(reduced).predict_proba(reduced)
    assert scores.nleep(features, labels) == pytest.approx(leep_by_loops(posterior, labels), rel=1e-6)


def coding_rate(rows):
    return 0.5 * np.linalg.slogdet(np.eye(rows.shape[1]) + rows.T @ rows / (len(rows) * 1e-4))[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_transrate(shape):
    features, labels = draw(*shape)
    centred = features - features.mean(0)
    classes = [coding_rate(centred[labels == number]) for number in range(shape[2])]
    assert scores.transrate(features, labels) == pytest.approx(coding_rate(centred) - np.mean(classes), rel=1e-9)


@pytest.mark.parametrize("covariance", ["spherical", "diagonal"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gbc(shape, covariance):
    features, labels = draw(*shape, scale=0.3)
    expected = 0.0
    for first in range(shape[2]):
        for second in range(shape[2]):
            if first == second:
                continue
            one, two = features[labels == first], features[labels == second]
            spreads = [one.var(0), two.var(0)]
            if covariance == "spherical":
                spreads = [np.full(shape[1], spread.mean()) for spread in spreads]
            a, b = (np.diag(np.maximum(spread, 1e-4)) for spread in spreads)
            apart, shared = one.mean(0) - two.mean(0), (a + b) / 2
            logs = np.linalg.slogdet(shared)[1] - (np.linalg.slogdet(a)[1] + np.linalg.slogdet(b)[1]) / 2
            expected -= np.exp(-(apart @ np.linalg.solve(shared, apart) / 8 + logs / 2))
    assert scores.gbc(features, labels, covariance=covariance) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", [(60, 5, 3), (60, 45, 4), (24, 40, 3), (30, 7, 2)])
def test_parc(shape):
    features, labels = draw(*shape)
    kept = min(32, shape[1], shape[0] - 1)
    reduced = PCA(kept, svd_solver="full").fit_transform(features)
    reduced *= np.sign(reduced[np.abs(reduced).argmax(0), np.arange(kept)])
    lower = np.tril_indices(shape[0], -1)
    ours = (1 - np.corrcoef(reduced / reduced.std(0)))[lower]
    theirs = (1 - np.corrcoef(np.eye(shape[2])[labels]))[lower].round(9)
    assert scores.parc(features, labels) == pytest.approx(100 * stats.spearmanr(ours, theirs).statistic, rel=1e-6)


@pytest.mark.parametrize("shape", [(80, 5, 3), (120, 90, 4), (30, 7, 2)])
def test_ncti_parts(shape):
    features, labels = draw(*shape, scale=0.3)
    pca = PCA(min(64, *shape[:2]), svd_solver="full")
    reduced = pca.fit_transform(features)
    shrinkage = max(np.exp(-pca.explained_variance_[:32].sum()), 1e-10)
    fisher = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage).fit(reduced, labels)
    posterior = fisher.predict_proba(reduced)
    inner = within(reduced, labels)
    shrunk = (1 - shrinkage) * inner + shrinkage * np.trace(inner) / len(inner) * np.eye(len(inner))
    _, directions = linalg.eigh(h_matrices(reduced, labels)[1], shrunk)
    coordinates = reduced @ directions[:, ::-1][:, : shape[2] - 1]
    parts = scores.ncti_parts(features, labels)
    assert parts.ncc == pytest.approx(posterior[np.arange(len(labels)), labels].mean(), rel=1e-6)
    assert parts.seli == pytest.approx(np.linalg.norm(coordinates, ord="nuc"), rel=1e-6)
    norms = [np.linalg.norm(posterior[labels == number], ord="nuc") for number in range(shape[2])]
    assert parts.vc == pytest.approx(np.log(sum(norms)), rel=1e-6)


def test_ncti_scales_over_the_candidates():
    labels = draw(60, 5, 3)[1]
    candidates = {f"seed {seed}": draw(60, 5, 3, seed)[0] for seed in range(4)}
    candidates = {name: features + labels[:, None] for name, features in candidates.items()}
    parts = [scores.ncti_parts(features, labels) for features in candidates.values()]
    columns = [np.array([getattr(part, name) for part in parts]) for name in ("ncc", "seli", "vc")]
    ncc, seli, vc = ((column - column.min()) / np.ptp(column) for column in columns)
    assert list(scores.ncti(candidates, labels).values()) == pytest.approx((ncc + seli - vc).tolist())


def test_linear_probe():
    features, labels = draw(60, 5, 3)
    rows = (features - features.mean(0)) / np.sqrt(features.var(0).mean())
    right = 0
    for train, held in StratifiedKFold(5, shuffle=True, random_state=0).split(rows, labels):
        fitted = LogisticRegression(max_iter=500).fit(rows[train], labels[train])
        right += (fitted.predict(rows[held]) == labels[held]).sum()
    assert scores.linear_probe(features, labels) == right / 60


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("neighbours", [1, 4, 100])
def test_nearest_neighbours(shape, neighbours):
    features, labels = draw(*shape)
    right = 0
    for row in range(shape[0]):
        distances = np.linalg.norm(features - features[row], axis=1)
        distances[row] = np.inf
        nearest = labels[np.argsort(distances)[: min(neighbours, shape[0] - 1)]]
        votes = np.bincount(nearest)
        right += next(label for label in nearest if votes[label] == votes.max()) == labels[row]
    assert scores.nearest_neighbours(features, labels, neighbours=neighbours) == right / shape[0]
