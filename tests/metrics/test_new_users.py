"""What a new user ran into: types that must not change a number, scales, and messages."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from nctransfer import metrics
from nctransfer.cli import main
from nctransfer.data import open_features
from nctransfer.errors import DataError, UsageError

UNSTABLE_IN_FLOAT32 = 1e-4


def overlapping(classes=5, samples=40, dim=16, seed=0):
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), samples)
    features = draw.normal(size=(len(labels), dim)) + 0.5 * draw.normal(size=(classes, dim))[labels]
    return features, labels, draw.normal(size=(classes, dim)), draw.normal(size=classes)


@pytest.mark.parametrize("seed", range(5))
def test_no_number_depends_on_the_type_of_the_features(seed):
    features, labels, weight, bias = overlapping(seed=seed)
    features = features.astype(np.float32).astype(np.float64)  # the same numbers in both types
    wide, narrow = (
        metrics.measure(features.astype(kind), labels, weight=weight, bias=bias).to_dict()
        for kind in (np.float64, np.float32)
    )
    for name, value in wide.items():
        if isinstance(value, float):
            assert narrow[name] == pytest.approx(value, rel=UNSTABLE_IN_FLOAT32), name
        elif name != "notes":
            assert narrow[name] == value, name


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(5))
def test_agreement_where_classes_overlap(seed, kind):
    features, labels, weight, bias = (
        part.astype(kind) if part.dtype.kind == "f" else part for part in overlapping(seed=seed)
    )
    means = np.stack([features[labels == label].mean(0) for label in range(5)])
    nearest = ((features[:, None] - means) ** 2).sum(-1).argmin(1)
    expected = np.mean((features @ weight.T + bias).argmax(1) == nearest)
    assert metrics.ncc_agreement(features, labels, weight=weight, bias=bias) == expected
    own = metrics.ncc_agreement(
        features, labels, weight=2 * means, bias=-(means**2).sum(1)
    )  # the nearest-mean classifier itself
    assert own == 1


def test_features_are_left_as_they_are():
    for kind in (np.float32, np.float64):
        features, labels, weight, bias = overlapping()
        features = features.astype(kind)
        before = features.copy()
        metrics.measure(features, labels, weight=weight, bias=bias)
        assert (features == before).all()


@pytest.mark.parametrize("scale", [1e-69, 1e-60, 1e-30, 1e30, 1e60, 1e130])
def test_scale_changes_no_number(scale):
    features, labels, weight, bias = overlapping()
    before = metrics.measure(features, labels, weight=weight, bias=bias * 0).to_dict()
    after = metrics.measure(features * scale, labels, weight=weight, bias=bias * 0).to_dict()
    for name, value in before.items():
        if isinstance(value, float) and name != "ncc_agreement":
            assert after[name] == pytest.approx(value, rel=1e-6), name


@pytest.mark.parametrize("scale", [1e-80, 1e-160, 1e-200])
def test_features_too_small_for_squares_are_refused(scale):
    features, labels, *_ = overlapping()
    with pytest.raises(DataError, match=r"vanish when squared.*multiply all features"):
        metrics.measure(features * scale, labels)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"labels": np.array(list("abcde"))}, TypeError, r"number the classes first, as numpy.unique"),
        ({"labels": np.arange(5.0)}, TypeError, r"must be integers .* convert them to int64"),
        ({"labels": np.eye(5)}, DataError, r"pass class numbers, not one-hot rows"),
        ({"labels": None}, TypeError, r"`labels` is missing .* one class number a row"),
        ({"features": "features.npz"}, TypeError, r"`features` is the path 'features.npz'.*load it first"),
        ({"features": np.ones((5, 3), dtype=int)}, TypeError, r"got torch.int64; convert them to float32"),
        ({"features": [[1.0], [1.0, 2.0]]}, TypeError, r"rows of equal length"),
        ({"weight": np.ones((3, 5))}, DataError, r"one row a class, got \(3, 5\) \(weight\); transpose it"),
        ({"weight": np.eye(5, 3), "bias": np.ones(4)}, DataError, r"pass one number for each class"),
        ({"permutations": 2.5}, UsageError, r"whole number of at least 0, got 2.5"),
        ({"permutations": -1}, UsageError, r"whole number of at least 0, got -1"),
        ({"seed": "a"}, UsageError, r"whole number of at least 0, got 'a'"),
    ],
)
def test_messages_say_what_to_do(change, error, said):
    features = np.random.default_rng(0).normal(size=(5, 3))
    with pytest.raises(error, match=said):
        metrics.measure(**{"features": features, "labels": np.arange(5) % 2, **change})


def test_constant_features_are_not_said_to_overflow():
    notes = metrics.measure(torch.ones(20, 3), torch.arange(20) % 2).notes
    assert "do not differ" in notes["nc1_null_mean"]


def test_statistics_are_not_saved_into_a_missing_folder(tmp_path):
    statistics = metrics.ClassStatistics(2, 3)
    with pytest.raises(UsageError, match=r"the folder is not there.*make it first"):
        statistics.save(tmp_path / "no" / "statistics.safetensors")


def test_files_of_something_else(tmp_path):
    statistics = metrics.ClassStatistics(2, 3)
    statistics.save(tmp_path / "statistics.safetensors")
    with pytest.raises(DataError, match=r"holds class statistics, not features.*ClassStatistics.load"):
        open_features(tmp_path / "statistics.safetensors")
    np.savez(tmp_path / "objects.npz", features=np.array([None]), labels=np.array([0]))
    with pytest.raises(DataError, match="they hold Python objects, not numbers"):
        open_features(tmp_path / "objects.npz")


def _command(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main(["measure", *map(str, words)])
    said = capsys.readouterr()
    return stopped.value.code, said.out, " ".join(said.err.split())


def test_command_line(tmp_path, capsys):
    noise = np.random.default_rng(0).normal(size=(60, 8))
    np.savez(tmp_path / "noise.npz", features=noise, labels=np.arange(60) % 3)
    code, out, _ = _command(capsys, tmp_path / "noise.npz")
    said = " ".join(out.replace("│", " ").split())
    assert code == 0
    assert "no more structure than chance" in said
    assert not any(word in said for word in ("strongly collapsed", "partly collapsed", "near the simplex"))
    assert "a file that holds the classifier's weight (and bias) too" in said
    code, out, err = _command(capsys, tmp_path / "noise.npz", "--plot", tmp_path / "no" / "picture.png")
    assert (code, out) == (2, "")
    assert "the folder is not there" in err
    code, _, err = _command(capsys, tmp_path / "noise.npz", "--model", "resnet18")
    assert code == 2
    assert "as well as --model" in err
    code, out, _ = _command(capsys, tmp_path / "noise.npz", "--json")
    assert json.loads(out)["notes"]["nc1"].startswith("no class structure seen")
