"""Classes of unequal size: what is done about them, that every step of a run does it, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from nctransfer.data import Batch, bundle_from_arrays
from nctransfer.engine import EpochReport, Watch
from nctransfer.errors import DataError
from nctransfer.probes import log_prior
from nctransfer.runs import Ledger
from nctransfer.transfer import predict, tune
from nctransfer.transfer.balance import decide_balance
from nctransfer.transfer.choose import Choice, Chooser, validation_logits
from nctransfer.transfer.contest import fold_bench
from nctransfer.transfer.methods import find_method
from nctransfer.transfer.settings import settings_from
from nctransfer.transfer.task import TuningTask
from nctransfer.transfer.tuning import train_method
from nctransfer.transfer.workbench import Workbench
from tiny import striped_images

NAMES = ("wide", "tall", "fine")
BALANCES = ("none", "weights", "sampler", "logit-adjust")
SETTINGS = {
    "epochs": 1,
    "augment": 2,
    "batch_size": 16,
    "device": "cpu",
    "step_cost": False,
    "layers": ("layer2.0", "layer3.0"),
}
RATE = 0.003


@pytest.fixture(scope="module")
def unequal():
    """90, 40 and 16 images of 16 px in 3 classes, split into train, validation and test."""
    images, labels = striped_images(300, 16, 3, seed=0, noise=30)
    rows = np.concatenate([np.flatnonzero(labels == label)[:size] for label, size in enumerate((90, 40, 16))])
    return bundle_from_arrays(images[rows], labels[rows], NAMES, name="stripes")


@pytest.fixture
def bench_of(unequal, small_network):
    return lambda **more: Workbench(
        settings_from({"data": "stripes", **SETTINGS, **more}), bundle=unequal, module=small_network
    )


@pytest.mark.parametrize(
    ("asked", "metric", "counts", "kind", "why"),
    [
        ("auto", "accuracy", (90, 9), "none", "counts every image the same"),
        ("auto", "log_loss", (90, 9), "none", "the metric is log-loss"),
        ("auto", "balanced_accuracy", (27, 9), "none", "no more than 3 times"),
        ("auto", "macro_f1", (28, 9), "weights", "the metric is macro F1, and the largest class has 3.11 times"),
        ("auto", "macro_f1", (28, 0), "none", "'dog' has no training image"),
        ("none", "macro_f1", (28, 0), "none", "asked for"),
        ("sampler", "accuracy", (5, 5), "sampler", "asked for"),
    ],
)
def test_what_is_done(asked, metric, counts, kind, why):
    found = decide_balance(asked, metric, np.array(counts), ("cat", "dog"))
    assert found.kind == kind
    assert why in found.why


@pytest.mark.parametrize("asked", BALANCES[1:])
def test_a_class_without_training_images_is_refused_and_nothing_is_written(unequal, small_network, tmp_path, asked):
    bare = dataclasses.replace(unequal, train=unequal.train.subset(np.flatnonzero(unequal.train.labels != 2)))
    with pytest.raises(DataError, match=rf"--balance {asked} weighs .* 'fine' has none.*use --balance none"):
        tune(bare, small_network, method="linear", out=tmp_path / "run", balance=asked, **SETTINGS)
    assert not (tmp_path / "run").exists()


def test_the_loss_is_the_weighted_one(bench_of):
    bench = bench_of(balance="weights")
    counts = torch.from_numpy(bench.bundle.train.counts()).double()
    weights = counts.sum() / (3 * counts)
    assert torch.allclose(bench.inputs.loss_weights.double(), weights)
    model = bench.start.fresh(find_method("linear"), None)
    task = TuningTask(model, RATE, validate=lambda model: 0.0, class_weights=bench.inputs.loss_weights)
    logits, labels = torch.randn(7, 3), torch.tensor([0, 0, 1, 2, 2, 0, 1])
    slow = sum(weights[label] * -logits[row].log_softmax(0)[label] for row, label in enumerate(labels)) / 7
    batch = Batch(logits, labels, torch.arange(7))
    loss, _ = task.loss(lambda images, from_cut: images, batch, None)  # type: ignore[arg-type]
    assert float(loss) == pytest.approx(float(slow), rel=1e-5)


@pytest.mark.parametrize(("method", "unit"), [("layer", "layer3.0"), ("full", None)])
def test_adjusted_training_is_the_plain_one_with_the_prior_taken_off(bench_of, method, unit):
    """Start, gradients and steps are the same; only the bias of the classifier stands elsewhere."""
    logits = {}
    for balance in ("none", "logit-adjust"):
        bench = bench_of(balance=balance)
        choice = Choice(unit, RATE, "", (RATE,))
        model, outcome = train_method(bench, method, choice, weights={f"{RATE:g}": 0.75})
        assert outcome.steps > 0
        logits[balance], _ = validation_logits(model, bench)
    prior = log_prior(torch.from_numpy(bench.bundle.train.labels), 3)
    moved = logits["none"] - prior
    assert torch.allclose(logits["logit-adjust"].softmax(1), moved.softmax(1).float(), atol=2e-3)


def test_a_sampler_draws_all_classes_alike_from_pixels_and_from_the_cut(bench_of):
    bench = bench_of(balance="sampler")
    pixels = bench.inputs.pixel_batches(2)
    cached = bench.inputs.cached_batches(torch.from_numpy(bench.bundle.train.labels)[:, None].float())
    for epoch in (0, 3):
        batches = list(pixels.epoch(epoch))
        indices = torch.cat([batch.indices for batch in batches])
        assert torch.equal(indices, torch.cat([batch.indices for batch in cached.epoch(epoch)]))
        drawn = torch.bincount(torch.cat([batch.labels for batch in batches]), minlength=3)
        assert int(drawn.max() - drawn.min()) <= bench.batch_size  # the last, incomplete batch is left out
    images = torch.cat([batch.images for batch in batches]).flatten(1)
    twice = [number for number in indices.unique().tolist() if int((indices == number).sum()) > 1]
    views = [images[indices == number].unique(dim=0) for number in twice]
    assert sum(len(view) > 1 for view in views) > 0.8 * len(views)  # each time another crop


@pytest.mark.parametrize("balance", BALANCES)
def test_folds_and_the_last_training_are_balanced_by_their_own_images(bench_of, balance):
    bench = bench_of(balance=balance)
    for inputs in (bench.whole, fold_bench(bench, 1).inputs):
        counts = torch.from_numpy(inputs.bundle.train.counts()).float()
        assert inputs.balance == bench.balance
        assert inputs.loader("train", shuffle=True).balanced == (balance == "sampler")
        if balance == "weights":
            assert torch.allclose(inputs.loss_weights, counts.sum() / (3 * counts))
        if balance == "logit-adjust":
            assert torch.allclose(inputs.loss_prior, (counts / counts.sum()).log())
    assert fold_bench(bench, 1).probing.balance == bench.probing.balance == bench.balance.fit


def test_balance_reaches_record_page_terminal_and_prediction(unequal, small_network, tmp_path):
    run = tune(unequal, small_network, method="linear", out=tmp_path / "run", metric="balanced_accuracy", **SETTINGS)
    assert run.record.balance.kind == "logit-adjust"
    assert run.record.balance.ratio == pytest.approx(unequal.train.counts().max() / unequal.train.counts().min())
    assert "balanced by logit-adjust: the metric is balanced accuracy" in (tmp_path / "run" / "report.html").read_text()
    manifest = json.loads((tmp_path / "run" / "checkpoints" / "best.json").read_text())
    assert manifest["balance"] == "logit-adjust"
    listener = Listener()
    unequal.test.image(0).save(tmp_path / "image.png")
    predict(tmp_path / "run", tmp_path / "image.png", watch=listener)
    assert "classes were balanced (logit-adjust), so rare ones are named more often than they occur" in listener.told[0]


def test_trials_are_judged_by_the_log_loss_where_that_is_the_metric(bench_of):
    bench = bench_of(metric="log_loss", augment=1, lr=RATE)
    chooser = Chooser(bench, Ledger(None))
    choice = chooser.choose("layer")
    assert all(row.val_score < 0 < row.val_error for row in chooser.trials)
    assert "log-loss" in choice.why


def test_the_best_epoch_is_that_of_the_score(bench_of):
    bench = bench_of(augment=1)
    scores = iter([3.0, 1.0, 2.0])
    model = bench.start.fresh(find_method("linear"), None)
    task = TuningTask(model, RATE, validate=lambda model: 0.5, keep_best=True, score=lambda model: next(scores))
    task.begin(0)
    for epoch in (1, 2):
        task.end_epoch(EpochReport(epoch, epoch, 0.1, 1.0, None, 0.0), last=epoch == 2)
    assert (task.best_epoch, task.facts()["best_score"]) == (0, 3.0)


class Listener(Watch):
    """Keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def say(self, message):
        self.told.append(message)
