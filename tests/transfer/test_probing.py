"""Closed-form methods in a run: what they promise, and that the best of everything measured is handed over."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from nctransfer.data import bundle_from_arrays
from nctransfer.models import load_network, wrap_module
from nctransfer.transfer import METHODS, auto, load_classifier
from nctransfer.transfer.probing import folds_of
from nctransfer.transfer.settings import settings_from
from nctransfer.transfer.workbench import Workbench


class LosesColour(torch.nn.Module):
    """A network whose first layer sees the colour and whose later ones throw it away."""

    def __init__(self):
        super().__init__()
        self.early = torch.nn.Conv2d(3, 6, 1)
        self.late = torch.nn.Conv2d(6, 8, 3)
        self.layers, self.units = ("early", "late"), ("early", "late")
        with torch.no_grad():
            self.late.weight.mul_(0.0)
            self.late.weight[:, 0, 1, 1] = 1e-3 * torch.arange(1, 9)

    def forward(self, images):
        maps = self.late(torch.relu(self.early(images)))
        return torch.relu(maps).mean((2, 3))


@pytest.fixture(scope="module")
def coloured():
    """120 images whose class is their colour."""
    random = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = random.integers(0, 120, (120, 12, 12, 3), dtype=np.uint8)
    images[np.arange(120), ..., labels] += 60
    return bundle_from_arrays(images, labels, ["red", "green", "blue"], name="colours")


def test_an_inner_layer_is_handed_over_where_it_is_best(coloured, tmp_path):
    torch.manual_seed(0)
    network = wrap_module(LosesColour(), size=12, name="loses-colour")
    run = auto(coloured, network, out=tmp_path / "run", methods=["linear", "deep"], device="cpu", step_cost=False)
    accuracies = {row["name"]: row["probe_val_accuracy"] for row in run.result["layers"]}
    assert accuracies["early"] > accuracies["penultimate"] + 0.1
    assert set(run.methods) == {"linear", "deep", "linear@early"}
    assert run.best_method in ("deep", "linear@early")
    assert run.methods[run.best_method]["val_accuracy"] >= run.methods["linear"]["val_accuracy"] + 0.1
    # Nothing that was measured beats it by more than one standard error, and the page names the rule.
    winner = max(accuracies["early"], run.methods[run.best_method]["val_accuracy"])
    error = (winner * (1 - winner) / len(coloured.validation)) ** 0.5
    assert max(point.accuracy for point in run.record.tried) <= run.methods[run.best_method]["val_accuracy"] + error
    # One yardstick for all that is drawn against time: each accuracy is a share of the validation images.
    right = [point.accuracy * len(coloured.validation) for point in run.record.tried]
    assert right == pytest.approx([round(number) for number in right], abs=1e-6)
    assert max(accuracies, key=accuracies.get) == "early"
    assert any(said in run.methods[run.best_method]["why"] for said in ("best on held-out images", "standard error"))
    model, preprocess, manifest = load_classifier(run.folder, module=copy.deepcopy(network.encoder))
    assert manifest["method"] == run.best_method
    assert "early" in manifest["classifier_layers"]
    test = torch.stack([preprocess.pixels(coloured.test.image(i)) for i in range(len(coloured.test))])
    right = (model(test).argmax(1) == torch.from_numpy(coloured.test.labels)).double().mean()
    assert float(right) == pytest.approx(run.methods[run.best_method]["test_accuracy"])


def test_the_fitted_network_gives_the_logits_of_its_head(striped, tmp_path):
    network = load_network("cifar_resnet20", weights="random", image_size=16)
    bench = Workbench(settings_from({"data": "stripes", "device": "cpu"}), bundle=striped, module=network)
    model = bench.start.fitted(METHODS["deep"])
    images = next(bench.inputs.loader("validation").epoch(0)).images
    head = bench.probing.deep.joint.head
    expected = head.logits({name: bench.validation_features.features[name] for name in head.layers})
    with torch.inference_mode():
        torch.testing.assert_close(model(images).double(), expected, rtol=1e-3, atol=2e-3)


def test_folds_keep_to_a_validation_split_that_was_given(striped):
    folds, why = folds_of(striped, 0)
    assert folds[-len(striped.validation) :].eq(0).all()
    assert len(folds.unique()) == 5
    assert why.startswith("5-fold cross-validation on ")
    images = np.zeros((30, 8, 8, 3), dtype=np.uint8) + np.arange(30, dtype=np.uint8)[:, None, None, None]
    labels = np.arange(30) % 2
    given = bundle_from_arrays(images, labels, validation=(images[:10] + 50, labels[:10]), test=(images + 100, labels))
    folds, why = folds_of(given, 0)
    assert folds.tolist() == [-1] * 30 + [0] * 10
    assert why == "10 validation images"


def test_a_class_with_one_training_image_is_said(striped):
    keep = np.concatenate([np.flatnonzero(striped.train.labels != 2), np.flatnonzero(striped.train.labels == 2)[:1]])
    thin = dataclasses.replace(striped, train=striped.train.subset(keep))
    folds, why = folds_of(thin, 0)
    assert folds[len(keep) - 1] == -1
    assert "1 of classes with one training image are trained on in every fold and not judged" in why
