"""``nctransfer measure`` on every kind of file: numbers, table, JSON, picture, and errors with their exit codes."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nctransfer import metrics
from nctransfer.cli.app import main


def run(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main(["measure", *map(str, words)])
    captured = capsys.readouterr()
    return end.value.code, captured.out, captured.err


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = (2 * rng.normal(size=(3, 8))[labels] + rng.normal(size=(90, 8))).astype(np.float32)
    return features, labels, rng.normal(size=(3, 8)), rng.normal(size=3)


@pytest.mark.parametrize("kind", ["npz", "safetensors", "bfloat16", "npy"])
def test_every_kind_of_file(kind, samples, tmp_path, capsys):
    features, labels, weight, bias = samples
    path = tmp_path / f"set.{'safetensors' if kind == 'bfloat16' else kind}"
    if kind == "npz":
        np.savez(path, features=features, labels=labels, weight=weight, bias=bias)
    elif kind == "npy":
        np.save(path, features)
        np.save(tmp_path / "labels.npy", labels)
    else:
        matrix = torch.from_numpy(features).to(torch.bfloat16 if kind == "bfloat16" else torch.float32)
        features = matrix.float().numpy()
        save_file({"features": matrix, "labels": torch.from_numpy(labels), "weight": torch.from_numpy(weight)}, path)
    code, out, err = run(capsys, path, "--json", "--permutations", 3)
    assert (code, err) == (0, "")
    numbers = json.loads(out)
    assert numbers["nc1"] == pytest.approx(metrics.nc1(features, labels), rel=1e-6)
    assert numbers["counts"] == [30, 30, 30]
    assert (numbers["self_duality"] is None) == (kind == "npy")


def test_table_and_picture(samples, tmp_path, capsys):
    features, labels, *_ = samples
    np.savez(tmp_path / "set.npz", features=features, labels=labels)
    code, out, _ = run(capsys, tmp_path / "set.npz", "--plot", tmp_path / "picture.png")
    assert code == 0
    for word in ("nc1", "cdnv", "collapsed", "NC1 and VCI weigh by sample", "needs a file that holds"):
        assert word in out
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_errors_are_lines_with_exit_codes(samples, tmp_path, capsys):
    features, labels, *_ = samples
    assert run(capsys, tmp_path / "none.npz")[0] == 3
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 nothing")
    code, _, err = run(capsys, tmp_path / "broken.npz")
    assert (code, err.count("\n")) == (3, 1)
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 20)
    assert run(capsys, tmp_path / "broken.safetensors")[0] == 3
    np.savez(tmp_path / "short.npz", features=features)
    code, _, err = run(capsys, tmp_path / "short.npz")
    assert code == 3
    assert "the file has no labels, but features" in err
    np.save(tmp_path / "alone.npy", features)
    code, _, err = run(capsys, tmp_path / "alone.npy")
    assert (code, "pass --labels" in err) == (3, True)
    features[7, 2] = np.nan
    np.savez(tmp_path / "nan.npz", features=features, labels=labels)
    code, _, err = run(capsys, tmp_path / "nan.npz")
    assert (code, "row 7 holds NaN or infinity" in err) == (3, True)
    np.savez(tmp_path / "integers.npz", features=labels[:, None], labels=labels)
    assert run(capsys, tmp_path / "integers.npz")[0] == 3
    assert run(capsys, tmp_path / "short.npz", "--weighting", "row")[0] in (2, 3)
