"""A run on a table with groups: they are whole in every fold, and the leak is measured, told and kept in the record."""

from __future__ import annotations

import csv

import numpy as np
from PIL import Image

import nctransfer
from nctransfer.data import open_dataset
from nctransfer.transfer.probing import folds_of


def write_plates(folder, num_groups=24, each=4):
    """Groups of nearly equal noise images with classes that their content does not tell."""
    generator = np.random.default_rng(0)
    rows = []
    for group in range(num_groups):
        pixels = generator.integers(0, 256, (12, 12, 3))
        for number in range(each):
            image = np.clip(pixels + generator.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)
            rows.append([f"{group}_{number}.png", "ab"[group % 2], group])
            Image.fromarray(image).save(folder / rows[-1][0])
    with (folder / "plates.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "label", "plate"], *rows])
    return folder / "plates.csv"


def test_folds_keep_groups_whole(tmp_path):
    bundle = open_dataset(write_plates(tmp_path), check=False)
    folds, why = folds_of(bundle, seed=0)
    groups = np.concatenate([bundle.train.groups, bundle.validation.groups])
    assert all(len(set(folds.numpy()[groups == group].tolist())) == 1 for group in np.unique(groups))
    assert "no group on both sides" in why
    assert int(folds.max()) == 4


def test_the_leak_that_groups_prevent_is_measured_and_kept(tmp_path):
    options = {"weights": "random", "image_size": 32, "feature_cache": False}
    run = nctransfer.probe(write_plates(tmp_path), "cifar_resnet20", out=tmp_path / "run", **options)
    groups = run.record.dataset.report.groups
    assert groups.probe_whole < 0.75 < groups.probe_torn
    assert groups.with_kin["test"] == groups.images["test"] > 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "would have kin in train" in page
    assert "where folds tear groups apart" in page
