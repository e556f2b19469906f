"""Whole runs at smoke size: what they leave behind, and what they refuse."""

import json

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

import nctransfer
from nctransfer.engine import SGDR
from nctransfer.errors import PreemptedError, ResourceError, SetupError, UsageError
from nctransfer.losses import LOSSES
from nctransfer.metrics import nc1
from nctransfer.models import load_network
from nctransfer.models.heads import HEADS
from nctransfer.runs import load_tensors
from nctransfer.training import PretrainSettings
from nctransfer.training.model import build_network
from nctransfer.training.opening import whole_train
from nctransfer.training.task import PretrainTask


def final_weights(folder):
    return load_tensors(folder / "checkpoints" / "final.safetensors")[0]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_with_every_head(stripes, tiny, tmp_path, loss, head):
    options = {**tiny, "augment": 2, "epochs": 10, "lr": 0.3 if loss == "mse" else 0.1, "measure_every": 20}
    result = nctransfer.pretrain(stripes, tmp_path / "run", **options, loss=loss, head=head, head_dim=8)
    assert result.final["train_accuracy"] > 0.8
    assert result.final["nc1"] > 0
    assert (result.final.get("head_nc1") is None) == (head == "none")
    first, last = result.result["history"][0], result.result["history"][-1]
    assert last["train_loss"] < first["train_loss"]
    assert (tmp_path / "run" / "report.html").is_file()
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == list(range(1, 11))
    assert [record["epoch"] for record in records if "nc1" in record] == [1, 10]


def test_the_run_folder_serves_as_a_network(stripes, tiny, tmp_path):
    result = nctransfer.pretrain(stripes, tmp_path / "run", **tiny)
    network = load_network(str(tmp_path / "run")).eval()
    assert network.layers == ("blocks.0", "blocks.1")
    split = whole_train(stripes)
    from nctransfer.data import Preprocess, pixels_of

    with torch.no_grad():
        features = network(pixels_of(split, Preprocess(size=8)))
    assert nc1(features, torch.from_numpy(split.labels)) == pytest.approx(result.final["nc1"], rel=1e-4)
    manifest = json.loads((tmp_path / "run" / "checkpoints" / "final.json").read_text())
    assert manifest["class_names"] == ["above", "left", "middle"]
    assert manifest["arch_arguments"] == {"depth": 2, "hidden": 24, "size": 8}


def test_all_training_images_are_trained_on(stripes, tiny, tmp_path):
    assert len(whole_train(stripes)) == 120
    result = nctransfer.pretrain(stripes, tmp_path / "run", **{**tiny, "epochs": 1})
    assert result.result["splits"] == {"train": 120, "test": 30}
    assert result.result["steps"] == 4


def test_layers_are_measured_on_request(stripes, tiny, tmp_path):
    result = nctransfer.pretrain(stripes, tmp_path / "run", **{**tiny, "epochs": 2}, measure_layers=True)
    layers = result.result["layers"]
    assert [layer["name"] for layer in layers] == ["blocks.0", "blocks.1", "penultimate"]
    assert [layer["dim"] for layer in layers] == [24, 24, 24]
    assert layers[-1]["nc1"] == pytest.approx(result.final["nc1"])
    assert layers[-1]["nc1_test"] == pytest.approx(result.final["nc1_test"])
    assert all(1 <= layer["numerical_rank"] <= 24 for layer in layers)
    assert all(layer["nc1_null_mean"] > layer["nc1"] for layer in layers)
    earlier = result.result["history"][0]["layers"]
    assert [set(layer) for layer in earlier] == [{"name", "dim", "nc1", "cdnv", "nc1_test", "cdnv_test"}] * 3


def test_layers_have_the_fields_that_other_verbs_write(stripes, tiny, tmp_path):
    ours = nctransfer.pretrain(stripes, tmp_path / "run", **{**tiny, "epochs": 1}, measure_layers=True)
    theirs = nctransfer.probe(stripes, model=str(tmp_path / "run"), device="cpu", out=tmp_path / "probe")
    assert set(theirs.layers[0]) - set(ours.result["layers"][0]) == {"probe_val_accuracy"}
    assert [layer["name"] for layer in theirs.layers] == [layer["name"] for layer in ours.result["layers"]]


def test_no_epoch_at_all_measures_and_saves_the_untrained_network(stripes, tiny, tmp_path):
    result = nctransfer.pretrain(stripes, tmp_path / "run", **{**tiny, "epochs": 0}, measure_layers=True, head="mlp")
    assert result.final["epoch"] == result.result["steps"] == 0
    assert result.final["nc1"] > 0
    assert result.final["head_nc1_test"] > 0
    assert len(result.result["history"]) == 1
    assert len(result.result["layers"]) == 3
    torch.manual_seed(0)
    drawn = build_network(PretrainSettings(**tiny)).encoder.state_dict()
    assert all(torch.equal(tensor, drawn[name]) for name, tensor in final_weights(tmp_path / "run").items())
    assert "untrained" in (tmp_path / "run" / "report.html").read_text()
    again = nctransfer.pretrain(
        stripes, tmp_path / "run", **{**tiny, "epochs": 0}, head="mlp", measure_layers=True, resume=True
    )
    assert again.final == result.final


def test_streamed_layer_statistics_agree_with_samples(stripes, tiny, tmp_path, monkeypatch):
    options = {**tiny, "epochs": 1, "measure_layers": True}
    samples = nctransfer.pretrain(stripes, tmp_path / "a", **options).result["layers"]
    monkeypatch.setattr("nctransfer.training.collapse.SAMPLE_BYTES", 0)
    streamed = nctransfer.pretrain(stripes, tmp_path / "b", **options).result["layers"]
    for one, other in zip(samples, streamed, strict=True):
        assert one["nc1"] == pytest.approx(other["nc1"], rel=1e-4)
        assert one["cdnv"] == pytest.approx(other["cdnv"], rel=1e-6)


def test_measuring_does_not_touch_training(stripes, tiny, tmp_path):
    nctransfer.pretrain(stripes, tmp_path / "a", **tiny, measure_every=1)
    nctransfer.pretrain(stripes, tmp_path / "b", **tiny, measure_every=100)
    first, second = final_weights(tmp_path / "a"), final_weights(tmp_path / "b")
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_workers_and_memory_give_the_same_bits(stripes, tiny, tmp_path):
    nctransfer.pretrain(stripes, tmp_path / "a", **tiny)
    nctransfer.pretrain(stripes, tmp_path / "b", **tiny, memory_limit=0, num_workers=2)
    first, second = final_weights(tmp_path / "a"), final_weights(tmp_path / "b")
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_accumulation_gives_the_same_training_without_batchnorm(stripes, tiny, tmp_path):
    plain = {**tiny, "arch_arguments": {"depth": 2, "hidden": 24, "norm": False}}
    one = nctransfer.pretrain(stripes, tmp_path / "a", **plain).result["history"]
    parts = nctransfer.pretrain(stripes, tmp_path / "b", **plain, accumulation=4).result["history"]
    for first, second in zip(one, parts, strict=True):
        assert first["train_loss"] == pytest.approx(second["train_loss"], rel=1e-5)


def test_adversarial_training_reports_robust_accuracy(stripes, tiny, tmp_path):
    options = {**tiny, "augment": 1, "epochs": 6}
    result = nctransfer.pretrain(stripes, tmp_path / "run", **options, adversarial=8, attack_steps=3)
    assert 0.5 < result.final["robust_accuracy"] <= result.final["test_accuracy"]
    lost = nctransfer.pretrain(stripes, tmp_path / "lost", **options, adversarial=200, attack_steps=3)
    assert lost.final["robust_accuracy"] < 0.1


def test_bf16_and_a_network_of_ones_own(stripes, tiny, tmp_path):
    own = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 16), torch.nn.ReLU())
    result = nctransfer.pretrain(stripes, tmp_path / "run", **{**tiny, "precision": "bf16"}, network=own)
    assert result.result["model"]["feature_dim"] == 16
    assert result.final["train_accuracy"] > 0.5


def test_a_timm_network_trains(stripes, tiny, tmp_path):
    options = {**tiny, "arch": "test_vit", "arch_arguments": {}, "image_size": 16, "epochs": 1}
    result = nctransfer.pretrain(stripes, tmp_path / "run", **options)
    assert load_network(str(tmp_path / "run")).feature_dim == result.result["model"]["feature_dim"]


class StopAt:
    """Tells the run to stop, or changes something, when an epoch is written."""

    def __init__(self, epoch, act):
        self.epoch, self.act = epoch, act

    def __call__(self, record):
        if record["epoch"] == self.epoch:
            self.act()

    def close(self):
        self.closed = True


def test_a_stopped_run_resumes_to_the_same_bits_and_records(stripes, tiny, tmp_path):
    import os
    import signal

    whole = nctransfer.pretrain(stripes, tmp_path / "whole", **tiny)
    listener = StopAt(1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(PreemptedError, match=r"after step 5 of 12 is saved.*--resume"):
        nctransfer.pretrain(stripes, tmp_path / "run", **tiny, listeners=[listener])
    assert listener.closed
    resumed = nctransfer.pretrain(stripes, tmp_path / "run", **tiny, resume=True)
    first, second = final_weights(tmp_path / "whole"), final_weights(tmp_path / "run")
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    for one, other in zip(whole.result["history"], resumed.result["history"], strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    cost = resumed.result["cost"]
    assert cost["total_seconds"] - cost["seconds"] > 0
    assert cost["total_seconds"] > cost["training_seconds"], "steps before the stop are in both"
    assert whole.result["cost"]["total_seconds"] == whole.result["cost"]["seconds"]


def test_resuming_a_finished_run_returns_its_result(stripes, tiny, tmp_path):
    first = nctransfer.pretrain(stripes, tmp_path / "run", **tiny)
    again = nctransfer.pretrain(stripes, tmp_path / "run", **tiny, resume=True)
    assert again.result["final"] == first.result["final"]


def test_a_loss_that_turns_nan_stops_the_run_and_keeps_the_checkpoint(stripes, tiny, tmp_path, monkeypatch):
    original = SGDR.rate
    monkeypatch.setattr(SGDR, "rate", lambda self, step, *rest: 1e30 if step == 5 else original(self, step, *rest))
    with pytest.raises(
        ResourceError, match=r"NaN or infinite at step \d+ \(epoch 2\).*step-00000004.*smaller --lr"
    ) as error:
        nctransfer.pretrain(stripes, tmp_path / "run", **tiny, save_every=2)
    assert error.value.exit_code == 5
    # The checkpoint of step 6 held the weights that gave the NaN: it is not among the good ones.
    assert load_tensors(tmp_path / "run" / "checkpoints" / "step-00000004.safetensors")[1]["step"] == 4
    assert not (tmp_path / "run" / "checkpoints" / "step-00000006.safetensors").exists()
    monkeypatch.setattr(SGDR, "rate", original)
    resumed = nctransfer.pretrain(stripes, tmp_path / "run", **tiny, save_every=2, resume=True)
    assert resumed.final["epoch"] == 3


def test_weights_that_turn_infinite_are_never_saved(stripes, tiny, tmp_path):
    steps = []

    def spoil(optimizer, arguments, options):
        steps.append(len(steps))
        if len(steps) == 6:
            optimizer.param_groups[0]["params"][0].data.fill_(float("inf"))

    handle = register_optimizer_step_post_hook(spoil)
    try:
        with pytest.raises(ResourceError, match=r"at step 5 .*step-00000005\.safetensors"):
            nctransfer.pretrain(stripes, tmp_path / "run", **tiny, save_every=1)
    finally:
        handle.remove()


def test_out_of_memory_suggests_what_to_do(stripes, tiny, tmp_path, monkeypatch):
    def exhausted(self, *arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(PretrainTask, "loss", exhausted)
    with pytest.raises(ResourceError, match=r"out of memory in step 0.*--accumulation"):
        nctransfer.pretrain(stripes, tmp_path / "run", **tiny)


def test_two_identical_views_warn(stripes, tiny, tmp_path):
    with pytest.warns(UserWarning, match="two identical views"):
        result = nctransfer.pretrain(stripes, tmp_path / "run", **{**tiny, "augment": 1}, loss="supcon")
    assert result.result["warnings"] == ["SupCon at augmentation level 1 sees two identical views of every image"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "supcon", "adversarial": 8}, UsageError, r"adversarial.*class scores.*--loss ce or mse"),
        ({"loss": "hinge"}, UsageError, r"unknown loss 'hinge' \(--loss\); known: ce, mse, supcon"),
        ({"epoch": 3}, UsageError, r"unknown setting 'epoch'.*epochs"),
        ({"arch": "cifar_resnet21", "arch_arguments": {}}, UsageError, r"unknown network 'cifar_resnet21'"),
        ({"arch_arguments": {"width": 2}}, UsageError, r"mlp takes no argument 'width'"),
        ({"precision": "fp16"}, UsageError, "fp16 needs a GPU"),
        ({"device": "cuda"}, SetupError, "no CUDA device"),
        ({"trackers": ("tensorbord",)}, UsageError, r"unknown tracker.*tensorboard"),
        ({"augment": 6}, UsageError, r"less than or equal to 5, got 6 \(--augment\)"),
        ({"min_lr": 1.0}, UsageError, "lies above lr"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_leaves_nothing(
    stripes, tiny, tmp_path, monkeypatch, options, error, message
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(error, match=message):
        nctransfer.pretrain(stripes, tmp_path / "run", **{**tiny, **options})
    left = [path.name for path in (tmp_path / "run").glob("*")] if (tmp_path / "run").exists() else []
    assert [name for name in left if name != ".lock"] == []


def test_a_folder_in_use_or_with_other_settings_is_refused(stripes, tiny, tmp_path):
    nctransfer.pretrain(stripes, tmp_path / "run", **tiny)
    with pytest.raises(UsageError, match="not empty"):
        nctransfer.pretrain(stripes, tmp_path / "run", **tiny)
    with pytest.raises(UsageError, match="other settings: lr"):
        nctransfer.pretrain(stripes, tmp_path / "run", **{**tiny, "lr": 0.01}, resume=True)
    again = nctransfer.pretrain(stripes, tmp_path / "run", **tiny, overwrite=True)
    assert again.final["epoch"] == 3


def test_the_papers_protocol_is_the_default():
    settings = PretrainSettings()
    assert (settings.epochs, settings.lr, settings.min_lr, settings.schedule) == (200, 0.1, 1e-4, "sgdr")
