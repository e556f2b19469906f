"""What tuning has of the one loop: accumulation, compiled blocks, trackers, other settings on resuming."""

import json
import sys
import types

import pytest
import torch

from nctransfer.errors import UsageError
from nctransfer.models import load_network
from nctransfer.transfer import tune

OPTIONS = {
    "epochs": 2,
    "batch_size": 16,
    "lr": 0.003,
    "augment": 2,
    "device": "cpu",
    "feature_cache": False,
    "step_cost": False,
}


def losses(run, method):
    return [epoch["train_loss"] for epoch in run.methods[method]["history"][1:]]


@pytest.mark.parametrize("method", [pytest.param("layer", marks=pytest.mark.slow), "full"])
def test_accumulation_takes_the_steps_of_whole_batches(striped, small_network, tmp_path, method):
    """Kept BatchNorm statistics make a batch the sum of its parts."""
    layer = small_network.units[1] if method == "layer" else None
    whole, parts = (
        tune(striped, small_network, method=method, layer=layer, out=tmp_path / str(n), accumulation=n, **OPTIONS)
        for n in (1, 3)
    )
    assert losses(whole, method) == pytest.approx(losses(parts, method), rel=1e-4)


def test_parts_of_a_single_image_are_refused(striped, small_network, tmp_path):
    with pytest.raises(UsageError, match=r"batches of 16 in 9 parts.*--accumulation.*at most 8"):
        tune(striped, small_network, method="full", out=tmp_path / "run", accumulation=9, **OPTIONS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's own, while it looks at a block's input
@pytest.mark.parametrize(
    ("method", "augment"), [("linear", 1), ("layer", 1), ("scl", 1), ("scl", 2), ("lora", 2), ("full", 2)]
)
def test_compiled_blocks_learn_what_plain_ones_do(striped, small_network, tmp_path, method, augment):
    layer = small_network.units[1] if method in ("layer", "scl") else None
    options = {**OPTIONS, "augment": augment}
    plain, compiled = (
        tune(striped, small_network, method=method, layer=layer, out=tmp_path / str(on), compile=on, **options)
        for on in (False, True)
    )
    assert losses(plain, method) == pytest.approx(losses(compiled, method), rel=1e-3)
    assert not [name for name, module in compiled.best.named_modules() if "forward" in vars(module)]


def test_a_tracker_hears_each_epoch_of_each_method(striped, small_network, tmp_path, monkeypatch):
    logged = []
    run = types.SimpleNamespace(
        log=lambda values, step: logged.append((step, values)), finish=lambda: logged.append("end")
    )
    fake = types.ModuleType("wandb")
    fake.init = lambda **options: run
    monkeypatch.setitem(sys.modules, "wandb", fake)
    tune(striped, small_network, method="linear", out=tmp_path / "run", trackers=["wandb"], **OPTIONS)
    assert logged[-1] == "end"
    assert [step for step, _ in logged[:-1]] == [None, None]
    assert all({"linear/train_loss", "linear/val_accuracy"} <= set(values) for _, values in logged[:-1])
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(line["method"], line["epoch"], line["step"]) for line in lines] == [("linear", 1, 6), ("linear", 2, 12)]


def test_an_unknown_tracker_is_refused_before_anything_is_written(striped, small_network, tmp_path):
    with pytest.raises(UsageError, match=r"unknown tracker 'wandbb'.*wandb"):
        tune(striped, small_network, method="linear", out=tmp_path / "run", trackers=["wandbb"], **OPTIONS)
    assert not (tmp_path / "run").exists()


def test_a_run_may_be_resumed_with_other_workers_but_no_other_rate(striped, small_network, tmp_path):
    out = tmp_path / "run"
    first = tune(striped, small_network, method="linear", out=out, **OPTIONS)
    again = tune(striped, small_network, method="linear", out=out, num_workers=1, resume=True, **OPTIONS)
    assert again.methods["linear"]["history"] == first.methods["linear"]["history"]
    with pytest.raises(UsageError, match="other settings: lr"):
        tune(striped, small_network, method="linear", out=out, resume=True, **{**OPTIONS, "lr": 0.1})


def test_dropout_is_a_function_of_the_step(striped, tmp_path):
    """Two runs of a network with dropout are the same, whatever was drawn before them."""

    class Dropping(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.base = load_network("cifar_resnet20", weights="random", image_size=16).encoder
            self.drop = torch.nn.Dropout(0.5)

        def forward(self, images):
            return self.drop(self.base(images))

    torch.manual_seed(0)
    network = Dropping()
    histories = []
    for number in range(2):
        torch.manual_seed(number)
        run = tune(
            striped, network, method="full", out=tmp_path / str(number), image_size=16, layers=["drop"], **OPTIONS
        )
        histories.append(run.methods["full"]["history"])
    assert histories[0] == histories[1]
