"""The paper's scale would run: its data sets open in their usual layouts, and every one of its cells builds and takes a step."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from nctransfer.data import bundle_from_arrays, redraw_validation
from nctransfer.errors import DataError, SetupError
from nctransfer.models import load_network
from nctransfer.studies import STUDIES, cells_of
from nctransfer.studies.scales import MINI, PAPER
from nctransfer.studies.sets import open_set
from nctransfer.training import pretrain
from nctransfer.transfer import METHODS, Protocol, TunedNetwork


def _class_folders(root, names, images=6):
    rng = np.random.default_rng(0)
    for name in names:
        (root / name).mkdir(parents=True)
        for number in range(images):
            Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(root / name / f"{number}.png")


def test_mini_imagenet_in_its_usual_layout_gives_the_classes_of_train(tmp_path, monkeypatch):
    monkeypatch.setenv("NCTRANSFER_DATA", str(tmp_path))
    for split, names in (("train", ["ant", "bee", "cat"]), ("val", ["dog"]), ("test", ["eel", "fox"])):
        _class_folders(tmp_path / "mini_imagenet" / split, names)
    bundle = open_set({"name": "mini_imagenet"}, 0)
    assert bundle.class_names == ("ant", "bee", "cat")
    assert sum(map(len, bundle.splits().values())) == 18


def test_mini_imagenet_as_one_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NCTRANSFER_DATA", str(tmp_path))
    _class_folders(tmp_path / "mini_imagenet", ["ant", "bee"])
    assert open_set({"name": "mini_imagenet"}, 0).class_names == ("ant", "bee")


def test_a_set_that_is_not_here_says_where_it_should_be(tmp_path, monkeypatch):
    monkeypatch.setenv("NCTRANSFER_DATA", str(tmp_path))
    with pytest.raises(SetupError, match="100 classes of 600 images"):
        open_set({"name": "mini_imagenet"}, 0)


@pytest.fixture
def partial_cifar10(tmp_path, monkeypatch):
    """One Parquet file of two."""
    import io

    import pyarrow as pa
    from pyarrow import parquet

    folder = tmp_path / "cifar10"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for label in [0, 1] * 10:
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(buffer, "PNG")
        rows.append({"image": {"bytes": buffer.getvalue(), "path": None}, "label": label})
    for name in ("train-00000-of-00002", "test-00000-of-00001"):
        parquet.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    monkeypatch.setenv("NCTRANSFER_DATA", str(tmp_path))


def test_partial_sets_are_refused_unless_allowed_by_name(partial_cifar10):
    with pytest.raises(DataError, match=r"cifar10 is not whole: .*1 of 2 Parquet files are here"):
        open_set({"name": "cifar10"}, 0)
    assert len(open_set({"name": "cifar10"}, 0, partial=("cifar10",)).train) == 16
    assert "cifar10" in MINI.partial
    assert PAPER.partial == ()


def test_training_and_validation_images_are_taken_together():
    images = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3), dtype=np.uint8)
    given = bundle_from_arrays(images, np.arange(60) % 3, check=False)
    mixed = redraw_validation(given, 0.25, seed=1)
    before = [given.train.image(place).tobytes() for place in range(len(given.train))]
    before += [given.validation.image(place).tobytes() for place in range(len(given.validation))]
    after = [mixed.train.image(place).tobytes() for place in range(len(mixed.train))]
    after += [mixed.validation.image(place).tobytes() for place in range(len(mixed.validation))]
    assert sorted(before) == sorted(after)
    assert len(mixed.validation) == round(0.25 * len(before))
    assert mixed.test is given.test
    for split in (mixed.train, mixed.validation):
        source = {given.train.image(place).tobytes(): given.train.labels[place] for place in range(len(given.train))}
        known = [(split.image(place).tobytes(), label) for place, label in enumerate(split.labels)]
        assert all(source[content] == label for content, label in known if content in source)


def test_aircraft_and_dtd_train_on_trainval():
    specs = {spec["name"]: spec for backbone in PAPER.backbones for spec in backbone.data.values()}
    specs |= {spec["name"]: spec for spec in PAPER.downstreams.values()}
    assert specs["fgvc_aircraft"]["trainval"]
    assert specs["dtd"]["trainval"]


def test_tuning_at_the_paper_s_scale_follows_its_protocol():
    cells = [cell.config for cell in cells_of(STUDIES.values(), PAPER) if cell.kind == "tuning"]
    assert all("protocol" in config and config["epochs"] >= 30 for config in cells)


def _tiny(size):
    images = np.random.default_rng(0).integers(0, 256, (32, size, size, 3), dtype=np.uint8)
    return bundle_from_arrays(images, np.arange(32) % 2, check=False)


@pytest.mark.slow
def test_every_encoder_of_the_paper_s_scale_builds_and_trains(tmp_path):
    seen = set()
    for cell in cells_of(STUDIES.values(), PAPER):
        if cell.kind != "encoder" or cell.config["settings"]["epochs"] == 0:
            continue
        settings = cell.config["settings"]
        key = json.dumps(settings, sort_keys=True)
        if key in seen:
            continue
        seen.add(key)
        small = {"epochs": 1, "batch_size": 16, "measure_every": 1}
        if settings.get("adversarial"):
            small |= {"attack_steps": 1, "robust_steps": 1, "robust_restarts": 1, "robust_limit": 4}
        result = pretrain(_tiny(32), tmp_path / str(len(seen)), device="cpu", seed=0, **{**settings, **small})
        assert np.isfinite(result.final["train_loss"]), cell.title()
    assert len(seen) > 20


@pytest.mark.slow
def test_every_tuning_of_the_paper_s_scale_builds_and_takes_a_step():
    seen = set()
    for cell in cells_of(STUDIES.values(), PAPER):
        config = cell.config
        if cell.kind != "tuning" or any(needed.key == config["network"] for needed in cell.needs):
            continue
        key = (config["network"], config["image_size"], config["method"], config["unit"], str(config["protocol"]))
        if key in seen:
            continue
        seen.add(key)
        network = load_network(config["network"], weights="random", image_size=config["image_size"])
        protocol = Protocol(**config["protocol"])
        torch.manual_seed(0)
        model = TunedNetwork(network, METHODS[config["method"]], config["unit"], 3, batchnorm=protocol.batchnorm)
        optimizer = replace(protocol).make_optimizer(model.tuned_parameters(), 0.01)
        images = torch.randint(0, 256, (4, 3, network.size, network.size), dtype=torch.uint8)
        model.train()
        loss = functional.cross_entropy(model(images), torch.tensor([0, 1, 2, 0]))
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss), cell.title()
    assert len(seen) > 20
