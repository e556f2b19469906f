"""The practical recipe: how long, in what batches, what is kept of a training, and the winner trained again."""

import dataclasses
import itertools

import pytest
import torch

from nctransfer.transfer import METHODS, PROTOCOLS, auto, load_classifier
from nctransfer.transfer.choose import Choice
from nctransfer.transfer.mixing import Ends
from nctransfer.transfer.recipe import batch_for, epochs_for
from nctransfer.transfer.settings import settings_from
from nctransfer.transfer.tuning import train_method
from nctransfer.transfer.workbench import Workbench

PRACTICAL = PROTOCOLS["practical"]
UNIT = "layer2.0"


@pytest.fixture
def bench(striped, small_network):
    settings = settings_from({"data": "stripes", "epochs": 2, "augment": 1, "batch_size": 24, "device": "cpu"})
    return Workbench(settings, bundle=striped, module=small_network)


def test_more_images_take_fewer_passes_and_no_fewer_steps():
    sizes = [50, 100, 200, 400, 800, 1_600, 3_200, 10_000, 50_000]
    passes = [epochs_for(size) for size in sizes]
    assert passes == sorted(passes, reverse=True)
    steps = [epochs_for(size) * (size // batch_for(size)) for size in sizes]
    assert all(later >= 0.75 * earlier for earlier, later in itertools.pairwise(steps))
    assert all(batch_for(size) <= size for size in (8, 9, 20, 50))


def test_easy_sets_take_half_the_passes_at_the_least():
    assert epochs_for(1_000, 0.5) == epochs_for(1_000)
    assert epochs_for(1_000, 0.0) == pytest.approx(epochs_for(1_000) / 2, abs=0.5)


@pytest.mark.parametrize("method", ["scl", "full"])
def test_tuning_starts_at_the_deep_probe_of_the_training_images(bench, method):
    unit = UNIT if METHODS[method].needs_unit else None
    model = bench.start.fresh(METHODS[method], unit, PRACTICAL).eval()
    assert model.read_layers == bench.probing.deep.joint.head.layers
    head = bench.probing.start_head(None)
    features = {name: bench.validation_features.features[name] for name in head.layers}
    images = next(bench.inputs.loader("validation").epoch(0)).images
    with torch.inference_mode():
        agree = model(images).argmax(1) == head.logits(features).argmax(1)
    assert float(agree.double().mean()) > 0.9  # but for columns that hardly vary
    whole = bench.probing.start_head(None, everything=True)
    assert not torch.equal(whole.mean, head.mean), "the validation images must not be in the probe that they judge"


def test_a_mixture_lies_between_start_and_end(bench):
    choice = Choice(None, 0.01, "")
    start = bench.start.fresh(METHODS["full"], None, PRACTICAL).tuned_state()
    end = train_method(bench, "full", choice, dataclasses.replace(PRACTICAL, epoch="last"))[0].tuned_state()
    model, outcome = train_method(bench, "full", choice, PRACTICAL)
    share = outcome.weights["0.01"]
    assert share in (0.5, 0.75, 0.9, 1.0)
    assert outcome.best_epoch == 2
    for name, value in model.tuned_state().items():
        if value.is_floating_point():
            expected = torch.lerp(start[name], end[name], share)
            torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)


def test_two_rates_share_a_start_and_are_mixed(bench):
    model, outcome = train_method(bench, "full", Choice(None, 0.01, "", (0.01, 0.003)), PRACTICAL)
    assert set(outcome.weights) == {"0.01", "0.003"}
    assert 0.5 <= sum(outcome.weights.values()) <= 1.0 + 1e-9
    start = bench.start.fresh(METHODS["full"], None, PRACTICAL).tuned_state()
    last = dataclasses.replace(PRACTICAL, epoch="last")
    ends = [train_method(bench, "full", Choice(None, rate, ""), last)[0].tuned_state() for rate in (0.01, 0.003)]
    weights = [outcome.weights["0.01"], outcome.weights["0.003"]]
    for name, value in model.tuned_state().items():
        if value.is_floating_point():
            expected = (1 - sum(weights)) * start[name] + weights[0] * ends[0][name] + weights[1] * ends[1][name]
            torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)


def test_a_finished_rate_is_not_trained_again(bench, tmp_path):
    ends = Ends(tmp_path)
    choice = Choice(None, 0.01, "", (0.01, 0.003))
    first, outcome = train_method(bench, "full", choice, PRACTICAL, ends=ends)
    assert len(list(tmp_path.glob("end-full-*.safetensors"))) == 2
    (tmp_path / "end-full-0.003.json").unlink()  # killed before it was whole
    again, repeated = train_method(bench, "full", choice, PRACTICAL, ends=ends)
    assert repeated.weights == outcome.weights
    for one, other in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    ends.done()
    assert not list(tmp_path.iterdir())


def test_training_again_takes_all_images_and_the_share_that_was_chosen(bench):
    choice = Choice(UNIT, 0.01, "")
    assert bench.can_join
    total = len(bench.bundle.train) + len(bench.bundle.validation)
    assert len(bench.whole.loader("train").split) == total
    _, outcome = train_method(bench, "scl", choice, PRACTICAL, again={"0.01": 0.75})
    assert outcome.weights == {"0.01": 0.75}
    assert outcome.steps == 2 * (total // 24)
    assert all(row["val_accuracy"] is None for row in outcome.history)


def test_the_winner_is_trained_again_and_says_so(striped, small_network, tmp_path):
    options = {"methods": ["full"], "epochs": 2, "batch_size": 16, "augment": 2, "device": "cpu", "step_cost": False}
    run = auto(striped, small_network, out=tmp_path / "run", **options)
    row = run.methods["full"]
    total = len(striped.train) + len(striped.validation)
    assert row["why"].endswith(f"It was then trained again on all {total} training and validation images.")
    assert row["notes"]["test_accuracy"].startswith(
        f"after training again on all {total} training and validation images; "
    )
    assert len([epoch for epoch in row["history"] if epoch["val_accuracy"] is not None]) == 3
    assert row["skip_share"] > 0
    assert 0 <= row["skip_accuracy_off"] <= 1
    model, preprocess, _ = load_classifier(run.folder)
    images = torch.stack([preprocess.pixels(striped.test.image(index)) for index in range(len(striped.test))])
    right = (model(images).argmax(1) == torch.from_numpy(striped.test.labels)).double().mean()
    assert float(right) == pytest.approx(row["test_accuracy"])
    (run.folder / "result.json").unlink()
    again = auto(striped, small_network, out=tmp_path / "run", resume=True, **options)
    assert again.methods["full"]["test_accuracy"] == row["test_accuracy"]
    assert again.methods["full"]["why"] == row["why"]
