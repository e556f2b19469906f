"""What every score owes its caller: one value for any container, deterministic, no trace left, typed errors."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nctransfer import scores
from nctransfer.errors import DataError, UsageError
from nctransfer.scores import NEEDS_SOURCE, SCORES, score_all


def draw(name, rows=60, dim=7, classes=3, seed=0):
    """Features, or source probabilities, whose digits float16 holds exactly."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    features = np.round(8 * (rng.normal(size=(rows, dim)) + 2 * np.eye(classes, dim)[labels])) / 8
    if name in NEEDS_SOURCE:
        peaks = np.where(rng.random(rows) < 0.8, labels, rng.integers(0, dim, rows))
        features = np.full((rows, dim), 1 / 64) + (1 - dim / 64) * np.eye(dim)[peaks]
    return features, labels


@pytest.fixture(params=list(SCORES))
def name(request):
    return request.param


def test_any_container_and_float_gives_the_same(name):
    features, labels = draw(name)
    expected = SCORES[name](features, labels)
    assert isinstance(expected, float)
    assert np.isfinite(expected)
    for dtype in (np.float16, np.float32, np.float64, ">f4", np.longdouble):
        assert SCORES[name](features.astype(dtype), labels.astype(np.int16)) == expected
    for kind in (torch.float16, torch.float32, torch.float64):
        rows = torch.tensor(features, dtype=kind, requires_grad=True)
        assert SCORES[name](rows, torch.tensor(labels)) == expected
    assert SCORES[name](np.asfortranarray(features), labels.tolist()) == pytest.approx(expected, rel=1e-9)
    strided = np.repeat(features, 2, axis=0)[::2]
    strided.setflags(write=False)
    assert SCORES[name](strided, labels) == expected


def test_bfloat16(name):
    features, labels = draw(name)
    rows = torch.tensor(features).to(torch.bfloat16)
    assert SCORES[name](rows, labels) == SCORES[name](rows.double(), labels)


def test_twice_is_the_same_and_nothing_is_written(name):
    features, labels = draw(name)
    copies = features.copy(), labels.copy()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert SCORES[name](features, labels) == SCORES[name](features, labels)
    assert (features == copies[0]).all()
    assert (labels == copies[1]).all()
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_empty_classes_take_no_part(name):
    features, labels = draw(name)
    assert SCORES[name](features, np.array([2, 5, 900])[labels]) == SCORES[name](features, labels)


@pytest.mark.parametrize("shape", [(12, 40, 2), (40, 3, 2), (60, 4, 4)])
def test_wide_narrow_and_two_classes(name, shape):
    features, labels = draw(name, *shape)
    if shape[1] == shape[2] and name not in NEEDS_SOURCE:
        features = features[:, :2]
    assert np.isfinite(SCORES[name](features, labels))


def test_a_class_of_one_sample(name):
    features, labels = draw(name)
    labels[labels == 2] = 1
    labels[7] = 2
    assert np.isfinite(SCORES[name](features, labels))


UNDEFINED_ALONE = {"sfda", "nleep", "parc", "linear_probe", "nearest_neighbours"}


def test_only_classes_of_one_sample(name):
    features, labels = draw(name, 8, 8, 8)
    if name in UNDEFINED_ALONE:
        with pytest.raises(DataError, match=r"single sample|no class has any variance|cannot be fitted"):
            SCORES[name](features, labels)
    else:
        assert np.isfinite(SCORES[name](features, labels))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_bad_values(name, value):
    features, labels = draw(name)
    features[11, 2] = value
    with pytest.raises(DataError, match=r"row 11 holds NaN or infinity .*; check the network"):
        SCORES[name](features, labels)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (
            lambda x, y: (x, np.where(y == 1, -1, y)),
            DataError,
            r"must lie in \[0, number of classes\), got -1 at row 1 .*remap",
        ),
        (lambda x, y: (x, 0 * y + 4), DataError, "needs at least 2 classes with samples, got 1"),
        (lambda x, y: (x, y[:-1]), DataError, r"`labels` must have shape \(60,\).*got \(59,\)"),
        (lambda x, y: (x, np.eye(3, dtype=int)[y]), DataError, "pass class numbers, not one-hot rows"),
        (lambda x, y: (x, y * 1.0), TypeError, r"`labels` must be integers .*, got float64"),
        (lambda x, y: (x, None), TypeError, "`labels` is missing"),
        (lambda x, y: (None, y), TypeError, "is missing"),
        (lambda x, y: ((16 * x).astype(int), y), TypeError, "must be a matrix of floats, got int64"),
        (lambda x, y: (x[:, None], y), DataError, r"must have shape \(samples, dimensions\), got \(60, 1, 7\)"),
        (lambda x, y: (x[:, :0], y), DataError, r"must have shape \(samples, dimensions\), got \(60, 0\)"),
        (lambda x, y: (x[:0], y[:0]), DataError, "needs at least 2 classes with samples, got 0"),
        (lambda x, y: ([[1.0], [1.0, 2.0]], y), TypeError, "cannot be read as an array"),
    ],
)
def test_bad_input(name, change, kind, message):
    with pytest.raises(kind, match=message):
        SCORES[name](*change(*draw(name)))


@pytest.mark.parametrize("name", sorted(set(SCORES) - NEEDS_SOURCE))
def test_features_that_say_nothing(name):
    features, labels = draw(name)
    with pytest.raises(DataError, match="all rows are the same"):
        SCORES[name](0 * features + 0.1, labels)
    for factor in (1e200, 1e-200):
        with pytest.raises(DataError, match=r"leave the range of float64.*divide all features by one constant"):
            SCORES[name](factor * features, labels)


@pytest.mark.parametrize("name", sorted(set(SCORES) - NEEDS_SOURCE))
@pytest.mark.parametrize("factor", [1e-60, 1e60])
def test_extreme_scales(name, factor):
    features, labels = draw(name)
    assert np.isfinite(SCORES[name](factor * features, labels))


@pytest.mark.parametrize("name", sorted(NEEDS_SOURCE))
def test_source_probabilities(name):
    probabilities, labels = draw(name)
    with pytest.raises(DataError, match=r"row 0 of `source_probabilities` is not a distribution.*pass the softmax"):
        SCORES[name](8 * probabilities, labels)
    probabilities[5, 0] -= 0.2
    probabilities[5, 1] += 0.2
    with pytest.raises(DataError, match=r"row 5 .* its smallest entry is -0.1"):
        SCORES[name](probabilities, labels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x, y: scores.nleep(x, y, components_per_class=0),
            "components_per_class must be a whole number of at leas",
        ),
        (lambda x, y: scores.transrate(x, y, epsilon=0.0), "epsilon must be a positive number, got 0.0"),
        (lambda x, y: scores.gbc(x, y, covariance="full"), "covariance must be 'spherical' or 'diagonal', got 'full'"),
        (lambda x, y: scores.parc(x, y, dimensions=1), "dimensions must be a whole number of at least 2, got 1"),
        (lambda x, y: scores.linear_probe(x, y, folds=1), "folds must be a whole number of at least 2, got 1"),
        (
            lambda x, y: scores.nearest_neighbours(x, y, neighbours=1.5),
            "neighbours must be a whole number of at least 1",
        ),
        (lambda x, y: scores.ncti({"one": x}, y), "NCTI compares candidates, got 1 .*at least two networks"),
        (lambda x, y: score_all(x, y, only=["logme"]), r"unknown score 'logme' \(only\); did you mean log_me"),
        (lambda x, y: score_all(x, y, only="ncti"), "unknown score 'ncti'.*call ncti"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(UsageError, match=message):
        call(*draw("log_me"))


def test_ncti_names_the_candidate():
    features, labels = draw("log_me")
    with pytest.raises(DataError, match=r"row 0 holds NaN or infinity .candidate 'b', features"):
        scores.ncti({"a": features, "b": features * np.nan}, labels)


def test_ncti_of_equal_candidates_is_zero():
    features, labels = draw("log_me")
    assert scores.ncti({"a": features, "b": features.copy()}, labels) == {"a": 0.0, "b": 0.0}


def test_parc_draws_from_many_samples():
    features, labels = draw("parc", 600)
    thinned = scores.parc(features, labels, most_samples=300)
    assert thinned == scores.parc(features, labels, most_samples=300)
    assert thinned == pytest.approx(scores.parc(features, labels), abs=3)


def test_parc_of_one_direction():
    features, labels = draw("parc")
    with pytest.raises(DataError, match=r"span a single direction.*at least two dimensions"):
        scores.parc(features[:, :1], labels)


def test_probe_whose_fold_knows_one_class():
    features, labels = draw("linear_probe", 20)
    labels[:] = 0
    labels[3] = 1
    assert scores.linear_probe(features, labels) == 0.95


def test_score_all_agrees_with_each():
    features, labels = draw("log_me")
    source, _ = draw("leep")
    values = score_all(features, labels, source_probabilities=source)
    assert list(values) == list(SCORES)
    assert values.notes == {}
    for name, function in SCORES.items():
        assert values[name] == function(source if name in NEEDS_SOURCE else features, labels), name
    again = pickle.loads(pickle.dumps(values))
    assert again == values
    assert again.to_dict() == {**values, "notes": {}}


def test_score_all_remarks_on_overlaps_that_round_to_zero():
    features, labels = draw("log_me", 60, 2000)
    features[labels == 0] += 8
    features[labels == 1] -= 8
    values = score_all(features, labels, only=["gbc", "h_score"])
    assert values["gbc"] == 0
    assert "rounds to 0" in values.notes["gbc"]


def test_score_all_gives_reasons():
    features, labels = draw("log_me", 8, 8, 8)
    values = score_all(features, labels, only=set(SCORES) - {"gbc"})
    missing = {name for name, value in values.items() if value is None}
    assert missing == UNDEFINED_ALONE | NEEDS_SOURCE | {"gbc"}
    assert missing <= set(values.notes)
    assert values.notes["gbc"] == "not asked for"
    assert "pass source_probabilities" in values.notes["nce"]
    assert "components_per_class" in values.notes["nleep"]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_numbers_give_finite_scores_or_reasons(data):
    rows, dim = data.draw(st.integers(2, 14)), data.draw(st.sampled_from([1, 2, 5, 60]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    features = {
        "lattice": lambda: rng.integers(0, 2, (rows, dim)) * 1.0,
        "doubles": lambda: rng.normal(size=(rows, dim))[rng.integers(0, (rows + 1) // 2, rows)],
        "line": lambda: rng.normal(size=(rows, 1)) * rng.normal(size=dim),
        "uneven": lambda: rng.normal(size=(rows, dim)) * 10 ** rng.uniform(-12, 12, dim),
        "far": lambda: rng.normal(size=(rows, dim)) + 10 ** rng.uniform(0, 14),
        "special": lambda: rng.choice([0, 1, -3.5, 1e-300, 1e-40, 1e-20, 1e20, 1e39, 1e100, 1e200], (rows, dim)),
    }[data.draw(st.sampled_from(["lattice", "doubles", "line", "uneven", "far", "special"]))]()
    labels = rng.integers(0, data.draw(st.integers(1, 5)), rows)
    sizes, spread = np.abs(features).max(), np.ptp(features, axis=0).max()
    refused = len(set(labels.tolist())) < 2 or spread <= 2e-15 * sizes or sizes > 1e140 or spread < 1e-140
    if refused:
        with pytest.raises(DataError, match=r"at least 2 classes|all rows are the same|leave the range of float64"):
            score_all(features, labels)
        return
    values = score_all(features, labels)
    for name, value in values.items():
        assert np.isfinite(value) if value is not None else values.notes[name], name


def test_score_all_raises_for_bad_input():
    features, labels = draw("log_me")
    with pytest.raises(DataError, match=r"must lie in \[0, number of classes\)"):
        score_all(features, labels - 1)
    with pytest.raises(DataError, match="not a distribution"):
        score_all(features, labels, source_probabilities=features)
