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
from tiny import small_resnet


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
    handed = run.methods[run.best_method]["out_of_fold_accuracy"]
    winner = max(accuracies["early"], handed)
    error = (winner * (1 - winner) / len(coloured.validation)) ** 0.5
    assert max(point.accuracy for point in run.record.tried) <= handed + error
    # One yardstick for all that is drawn against time: nothing is tuned, so each accuracy is a share of all images.
    right = [point.accuracy * (len(coloured.train) + len(coloured.validation)) for point in run.record.tried]
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


def test_folds_hold_out_the_validation_images_together(striped):
    folds, why = folds_of(striped, 0)
    assert folds[-len(striped.validation) :].eq(0).all()
    assert len(folds.unique()) == 5
    assert why.startswith("5-fold cross-validation on ")
    folds, why = folds_of(striped, 0, apart=True)
    assert folds.tolist() == [-1] * len(striped.train) + [0] * len(striped.validation)
    assert why == f"{len(striped.validation)} validation images"


def _given(coloured, *, swap):
    """The same colours with a validation split that came with them; ``swap`` shows a share of it in another colour."""
    random = np.random.default_rng(1)
    labels = np.arange(40) % 3
    shown = np.where(np.arange(40) < swap * 40, (labels + 1) % 3, labels)
    images = random.integers(0, 120, (40, 12, 12, 3), dtype=np.uint8)
    images[np.arange(40), ..., shown] += 60
    part, test = coloured.train, coloured.test
    pixels = np.stack([np.asarray(part.image(index)) for index in range(len(part))])
    tested = np.stack([np.asarray(test.image(index)) for index in range(len(test))])
    return bundle_from_arrays(
        pixels, part.labels, ["red", "green", "blue"], validation=(images, labels), test=(tested, test.labels)
    )


def _probed(bundle, out, **settings):
    torch.manual_seed(0)
    network = wrap_module(LosesColour(), size=12, name="loses-colour")
    return auto(bundle, network, out=out, preset="fast", device="cpu", **settings)


def test_a_given_validation_split_like_the_training_images_joins_them(coloured, tmp_path):
    bundle = _given(coloured, swap=0.0)
    run = _probed(bundle, tmp_path / "run")
    assert run.methods["deep"]["out_of_fold_images"] == len(bundle.train) + len(bundle.validation)
    (note,) = [note for note in run.record.dataset.report.notes if note.startswith("validation: ")]
    assert "they are alike" in note
    assert "--keep-validation" in note
    assert "they are alike" in (tmp_path / "run" / "report.html").read_text()


def test_the_winner_is_trained_again_on_both_given_splits(coloured, tmp_path):
    bundle = _given(coloured, swap=0.0)
    assert bundle.train.source is not bundle.validation.source
    run = auto(
        bundle, small_resnet(), out=tmp_path / "run", methods=["full"], epochs=1, lr=1e-3, device="cpu", step_cost=False
    )
    count = len(bundle.train) + len(bundle.validation)
    assert f"trained again on all {count} training and validation images" in run.methods["full"]["why"]
    both = bundle.train.joined(bundle.validation)
    assert np.array_equal(both.image(len(bundle.train) + 3), bundle.validation.image(3))
    assert both.identity(len(bundle.train) + 3) == bundle.validation.identity(3)


@pytest.mark.parametrize(("swap", "settings"), [(0.9, {}), (0.0, {"keep_validation": True})])
def test_a_given_validation_split_judges_alone_where_it_differs_or_where_that_is_asked_for(
    coloured, tmp_path, swap, settings
):
    bundle = _given(coloured, swap=swap)
    run = _probed(bundle, tmp_path / "run", **settings)
    assert all(row.get("out_of_fold_images") is None for row in run.methods.values())
    assert f"{len(bundle.validation)} validation images" in run.methods["deep"]["why"]
    said = [note for note in run.record.dataset.report.notes if note.startswith("validation: ")]
    assert [note.endswith("they differ, so validation images alone judge") for note in said] == [True] * (swap > 0)


def test_a_class_with_one_training_image_is_said(striped):
    keep = np.concatenate([np.flatnonzero(striped.train.labels != 2), np.flatnonzero(striped.train.labels == 2)[:1]])
    thin = dataclasses.replace(striped, train=striped.train.subset(keep))
    folds, why = folds_of(thin, 0)
    assert folds[len(keep) - 1] == -1
    assert "1 of classes with one training image are trained on in every fold and not judged" in why
