"""The two protocols and their arms: plain values, the start of each, which epoch is kept, and what the skip then does."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from nctransfer.engine import sgdr
from nctransfer.errors import UsageError
from nctransfer.transfer import METHODS, PROTOCOLS, Protocol, get_protocol
from nctransfer.transfer.choose import Choice
from nctransfer.transfer.mechanism import model_mechanism, skip_mechanism
from nctransfer.transfer.settings import settings_from
from nctransfer.transfer.tuning import train_method
from nctransfer.transfer.workbench import Workbench

PAPER, PRACTICAL = PROTOCOLS["paper"], PROTOCOLS["practical"]
UNIT = "layer2.0"


@pytest.fixture
def bench(striped, small_network):
    settings = settings_from({"data": "stripes", "epochs": 3, "augment": 1, "batch_size": 24, "device": "cpu"})
    return Workbench(settings, bundle=striped, module=small_network)


def test_the_paper_s_protocol_is_appendix_a2():
    assert (PAPER.skip_scale, PAPER.optimizer, PAPER.epoch, PAPER.batchnorm) == (1.0, "sgd", "last", "kept")
    assert PAPER.momentum > 0
    assert Protocol(**PAPER.plain()) == PAPER, "plain data"


def test_an_arm_says_what_it_changes():
    assert PAPER.changes() == PRACTICAL.changes() == {}
    assert dataclasses.replace(PAPER, batchnorm="trained").changes() == {"batchnorm": "trained"}
    assert dataclasses.replace(PAPER, skips="layers").changes() == {"skips": "layers"}
    assert dataclasses.replace(PRACTICAL, skips="projection").changes() == {"skips": "projection"}


def test_unknown_protocol_names_the_known():
    with pytest.raises(UsageError, match="did you mean paper"):
        get_protocol("papper")


def test_the_paper_s_rate_is_one_period_of_sgdr():
    """Warm restarts by the published formula, at the settings of section 3: from the peak to a thousandth of it."""
    for step in range(1, 101):
        expected = sgdr(step - 1, 99, lr=0.1, min_lr=1e-4)
        assert PAPER.schedule(0.1).rate(step, 100, 1) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("optimizer", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_optimisers_hold_every_tuned_parameter_once(bench, optimizer, kind):
    model = bench.start.fresh(METHODS["scl"], UNIT, PAPER)
    made = dataclasses.replace(PAPER, optimizer=optimizer).make_optimizer(model.tuned_parameters(), 0.1)
    assert type(made) is kind
    held = [id(parameter) for group in made.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in model.tuned_parameters())


def test_where_the_classifier_starts(bench):
    started = {
        name: bench.start.fresh(METHODS["layer"], UNIT, dataclasses.replace(PAPER, classifier=name)).classifier
        for name in ("probe", "zero", "random")
    }
    assert not started["zero"].weight.any()
    assert not started["zero"].bias.any()
    assert torch.equal(started["probe"].weight, torch.as_tensor(bench.start.probe.probe.weight).float())
    bound = started["random"].in_features ** -0.5
    assert 0.5 * bound < started["random"].weight.abs().max() <= bound


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_where_the_skip_starts(bench, scale):
    model = bench.start.fresh(METHODS["scl"], UNIT, dataclasses.replace(PAPER, skip_scale=scale))
    assert (model.skip.norm.weight == scale).all()


@pytest.mark.parametrize("method", ["layer", "full"])
@pytest.mark.parametrize("batchnorm", ["kept", "trained"])
def test_batchnorm_statistics_move_where_they_may(bench, method, batchnorm):
    protocol = dataclasses.replace(PAPER, batchnorm=batchnorm)
    unit = UNIT if METHODS[method].needs_unit else None
    before = {name: buffer.clone() for name, buffer in bench.network.named_buffers()}
    model, _ = train_method(bench, method, Choice(unit, 0.01, ""), protocol)
    moved = {name for name, buffer in model.network.named_buffers() if not torch.equal(buffer, before[name])}
    inside = {name for name in before if "running" in name and (unit is None or name.startswith(f"encoder.{unit}."))}
    if batchnorm == "kept":
        assert not moved
    else:
        assert inside <= moved
        assert unit is None or all(name.startswith(f"encoder.{unit}.") for name in moved), "frozen means frozen"


def test_moved_statistics_come_back_with_the_best_epoch(bench):
    model = bench.start.fresh(METHODS["layer"], UNIT, dataclasses.replace(PAPER, batchnorm="trained"))
    kept = model.tuned_state()
    assert any("running_mean" in name for name in kept)
    images = next(bench.inputs.loader("train").epoch(0)).images[:24]
    model.train()
    model(images)
    model.load_tuned_state(kept)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in kept.items())


@pytest.mark.parametrize("epoch", ["best", "last"])
def test_which_epoch_is_kept(bench, epoch):
    _, outcome = train_method(bench, "layer", Choice(UNIT, 0.05, ""), dataclasses.replace(PAPER, epoch=epoch))
    seen = {row["epoch"]: row["val_accuracy"] for row in outcome.history}
    if epoch == "last":
        assert outcome.best_epoch == 3
        assert outcome.val_accuracy == seen[3]
    else:
        assert outcome.val_accuracy == max(seen.values())


def test_a_skip_at_scale_zero_does_nothing_and_at_one_it_does(bench):
    inputs = next(bench.inputs.loader("validation").epoch(0))
    shares = []
    for scale in (0.0, 1.0):
        model = bench.start.fresh(
            METHODS["scl"], UNIT, dataclasses.replace(PAPER, skip_scale=scale, classifier="random")
        )
        assert model.cut(inputs.images[:2])
        said = model_mechanism(model, model.prefix(inputs.images), inputs.labels)
        shares.append(said["skip_share"])
        if scale == 0:
            assert said["skip_accuracy_on"] == said["skip_accuracy_off"]
    assert shares[0] == 0
    assert shares[1] > 0.01


def test_methods_without_a_skip_have_no_mechanism(bench):
    model = bench.start.fresh(METHODS["layer"], UNIT, PAPER)
    assert model_mechanism(model, torch.zeros(2, 3), torch.zeros(2)) == {}


def test_the_share_by_the_slow_formula():
    generator = torch.Generator().manual_seed(0)
    features, skipped = torch.randn(50, 4, generator=generator), 0.3 * torch.randn(50, 4, generator=generator)
    classifier = torch.nn.Linear(4, 3).requires_grad_(False)
    logits = classifier(features + skipped)
    part = skipped @ classifier.weight.T
    spread = [sum(((column - column.mean()) ** 2).mean() for column in values.T) for values in (part, logits)]
    said = skip_mechanism(features, skipped, classifier, torch.zeros(50))
    assert said["skip_share"] == pytest.approx(float((spread[0] / spread[1]) ** 0.5), rel=1e-5)
