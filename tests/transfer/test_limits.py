"""Data and networks at the edge of what a run is for: few images, many classes, one layer."""

import numpy as np
import pytest
import torch

from nctransfer.data import bundle_from_arrays
from nctransfer.models import wrap_module
from nctransfer.transfer import auto, load_classifier

QUICK = {
    "methods": ["linear", "deep", "full"],
    "epochs": 1,
    "augment": 1,
    "lr": 1e-3,
    "device": "cpu",
    "step_cost": False,
}


class Tiny(torch.nn.Module):
    """Two convolutions, of which ``layers`` says which are measured."""

    def __init__(self, layers=("first", "second")):
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(3, 12, 1), torch.nn.Conv2d(12, 16, 3)
        self.layers, self.units = layers, layers

    def forward(self, images):
        return torch.relu(self.second(torch.relu(self.first(images)))).mean((2, 3))


def _network(layers=("first", "second")):
    torch.manual_seed(0)
    return wrap_module(Tiny(layers), size=8, name="tiny")


def _colours(counts):
    """Images of one colour each, by class; ``counts`` images of each class."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = random.integers(0, 200, (len(counts), 1, 1, 3))
    images = centres[labels] + random.integers(0, 30, (len(labels), 8, 8, 3))
    return bundle_from_arrays(images.astype(np.uint8), labels, [f"c{label}" for label in range(len(counts))])


@pytest.mark.parametrize(("classes", "each"), [(4, 10), (2, 12)])
def test_ten_images_a_class_and_two_classes(classes, each, tmp_path):
    run = auto(_colours([each] * classes), _network(), out=tmp_path / "run", **QUICK)
    assert run.record.dataset.num_classes == classes
    assert set(run.methods) >= {"linear", "deep", "full"}
    best = max(row["val_accuracy"] for row in run.methods.values())
    assert run.methods[run.best_method]["val_accuracy"] > 0.5 * best
    assert len(load_classifier(run.folder, module=Tiny())[2]["class_names"]) == classes


@pytest.mark.slow
def test_two_hundred_classes(tmp_path):
    settings = {**QUICK, "methods": ["linear"], "lr": None, "epochs": None}
    run = auto(_colours([5] * 200), _network(()), out=tmp_path / "run", **settings)
    assert run.record.dataset.num_classes == len(run.record.confusion) == 200
    assert run.methods["linear"]["val_accuracy"] > 0.5  # chance is 0.005
    assert len(load_classifier(run.folder, module=Tiny())[2]["class_names"]) == 200


def test_a_class_of_very_few_images_is_said_and_does_not_stop_the_run(tmp_path):
    bundle = _colours([20, 20, 3])  # one image in each split
    assert int(bundle.train.counts().min()) == 1
    run = auto(
        bundle, _network(), out=tmp_path / "run", **{**QUICK, "lr": None, "epochs": None, "methods": ["linear", "deep"]}
    )
    assert set(run.methods) >= {"linear", "deep"}
    assert "one training image are trained on in every fold" in run.methods["deep"]["why"]


@pytest.mark.parametrize("layers", [("first",), ()])
def test_a_network_with_one_layer_or_none_beside_its_output(layers, tmp_path):
    run = auto(_colours([20, 20]), _network(layers), out=tmp_path / "run", **QUICK)
    assert [row["name"] for row in run.result["layers"]] == [*layers, "penultimate"]
    assert set(run.methods) >= {"linear", "deep", "full"}
    if not layers:
        assert run.methods["deep"]["val_accuracy"] >= 0.5
