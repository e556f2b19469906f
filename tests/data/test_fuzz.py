"""A thousand odd folders: each ends in a right answer or a typed error, never in a wrong label."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

import odd_folders
from nctransfer.cli import main
from nctransfer.data import open_dataset
from nctransfer.errors import DataError, NCTransferError

THOUSAND = 1_000
BLOCK = 50


def settings_of(seed):
    rng = np.random.default_rng([seed, 1])
    settings = {"seed": int(rng.integers(3)), "on_bad_image": str(rng.choice(["stop", "skip", "skip"]))}
    settings["skip_limit"] = float(rng.choice([0.05, 0.5, 1.0]))
    settings["check"] = bool(rng.random() < 0.8)
    if rng.random() < 0.15:
        settings["limit"] = int(rng.integers(4, 40))
    return settings


def judge(truth, settings):
    """Open the folder, and hold every label and split against what was written. Returns whether it was accepted."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            bundle = open_dataset(truth.root, **settings)
        except NCTransferError as error:
            if error.exit_code not in (2, 3) or not (error.where or error.remedy):
                raise
            return False
        for name, split in bundle.splits().items():
            for index in range(len(split)):
                check_image(truth, name, split, index)
    assert not told, [str(warning.message) for warning in told]
    if not truth.hostile and "limit" not in settings:
        check_complete(truth, bundle)
    json.dumps(bundle.report).encode()
    return True


def check_image(truth, name, split, index):
    identity = split.identity(index)
    if identity.endswith("gone.png"):
        with pytest.raises(DataError, match="cannot be opened"):
            split.image(index)
        return
    expected = truth.classes[identity]
    assert split.class_names[split.labels[index]] == expected, identity
    if identity in truth.splits:
        wanted = truth.splits[identity]
        assert name == wanted or (wanted == "train" and name == "validation"), (identity, name)
    if identity in truth.damaged:
        return
    assert odd_folders.quadrant_of(split.image(index)) == truth.quadrants[expected], identity


def check_complete(truth, bundle):
    """Every image that was written is used, or counted among those that were skipped."""
    used = {split.identity(index) for split in bundle.splits().values() for index in range(len(split))}
    lost = set(truth.classes) - used - {entry["identity"] for entry in bundle.report["bad"]}
    passed_over = {entry["path"] for entry in bundle.report["skipped"]}
    for identity in lost:
        assert identity in passed_over, identity
        assert identity in truth.damaged, identity


def judge_block(seeds, folder):
    accepted = 0
    for seed in seeds:
        truth = odd_folders.make_folder(folder / str(seed), seed)
        try:
            accepted += judge(truth, settings_of(seed))
        except (AssertionError, Exception) as error:
            raise AssertionError(f"seed {seed}, layout {truth.layout}, {settings_of(seed)}: {error!r}") from error
        shutil.rmtree(truth.root)
    return accepted


def test_forty_folders(tmp_path):
    accepted = judge_block(range(40), tmp_path)
    assert 10 <= accepted <= 35


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, THOUSAND, BLOCK))
def test_a_thousand_folders(tmp_path, start):
    assert judge_block(range(start, start + BLOCK), tmp_path) >= BLOCK // 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_twenty_folders_through_auto(tmp_path, monkeypatch, capsys, seed):
    truth = odd_folders.make_folder(tmp_path / "images", seed)
    monkeypatch.chdir(tmp_path)
    options = (
        "--methods linear --model cifar_resnet20 --weights random --image-size 16 --epochs 1 --device cpu --out run"
    )
    bad = ["--on-bad-image", "skip", "--set", "skip_limit=0.5"]
    with pytest.raises(SystemExit) as left:
        main(["auto", "images", *options.split(), *bad])
    said = capsys.readouterr()
    assert left.value.code in (0, 2, 3), said.err
    assert "Warning" not in said.err
    if left.value.code:
        assert said.err.startswith("error: ") or "\nerror: " in said.err
        assert not Path("run").exists()
        return
    result = json.loads(Path("run/result.json").read_text(encoding="utf-8"))
    try:
        bundle = open_dataset(truth.root, on_bad_image="skip", skip_limit=0.5)
    except DataError as error:
        raise AssertionError("auto accepted what open_dataset refuses") from error
    assert result["dataset"]["class_names"] == list(bundle.class_names)
    assert sum(map(sum, result["confusion"])) == len(bundle.test)
    assert [sum(row) for row in result["confusion"]] == bundle.test.counts().tolist()
