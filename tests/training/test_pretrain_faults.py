"""What a pre-training run survives or refuses: bad data, memory and disks that run out, workers that die."""

import errno
import os
import shlex
import signal
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import nctransfer
from nctransfer.cli import main
from nctransfer.data import bundle_from_arrays
from nctransfer.errors import DataError, LockedError, ResourceError, SetupError, UsageError
from nctransfer.runs import RunFolder
from nctransfer.training import PretrainSettings
from nctransfer.training.model import build_network
from nctransfer.training.task import PretrainTask


def write_folder(folder, bad=()):
    """Two classes of ten images; those whose number is in ``bad`` are cut off."""
    draw = np.random.default_rng(0)
    for number in range(20):
        path = folder / "ab"[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)
        if number in bad:
            path.write_bytes(path.read_bytes()[:60])
    return folder


def leave(words, capsys):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return left.value.code, capsys.readouterr().err


WORDS = shlex.split("--arch mlp --depth 1 --hidden 8 --image-size 8 --batch-size 6 --epochs 1 --augment 1 --device cpu")


def test_bad_images_stop_the_run_and_are_all_listed(tmp_path, capsys):
    folder = write_folder(tmp_path / "data", bad=(3, 8))
    code, message = leave(["pretrain", folder, *WORDS, "--out", tmp_path / "run"], capsys)
    assert code == 3
    assert "2 of 20 images cannot be read" in message
    assert "b/03.png" in message
    assert "a/08.png" in message
    assert "--on-bad-image skip" in message


def test_skipped_images_are_listed_in_the_run_folder(tmp_path, tiny):
    folder = write_folder(tmp_path / "data", bad=(3,))
    options = {**tiny, "augment": 1, "batch_size": 6, "epochs": 1}
    result = nctransfer.pretrain(folder, tmp_path / "run", **options, on_bad_image="skip")
    assert "b/03.png" in (tmp_path / "run" / "skipped.csv").read_text()
    assert sum(result.result["splits"].values()) == 19
    assert result.result["warnings"] == ["1 unreadable images were skipped: b/03.png"]


def test_validation_that_was_trained_on_is_told(stripes, tiny, tmp_path):
    result = nctransfer.pretrain(stripes, tmp_path / "run", **{**tiny, "epochs": 0})
    assert "was trained on as well" in result.result["dataset"]["report"]["notes"][-1]


class Spoiled(torch.nn.Module):
    """Gives NaN in eval mode, from its second layer on."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(192, 8), torch.nn.Linear(8, 8)
        self.layers = ("first", "second")

    def forward(self, images):
        hidden = self.second(self.first(images.flatten(1)))
        return hidden if self.training or len(images) < 10 else hidden * float("nan")


@pytest.mark.parametrize("sample_bytes", [0, 1 << 30])
def test_features_that_are_not_finite_name_batch_and_place(stripes, tiny, tmp_path, monkeypatch, sample_bytes):
    monkeypatch.setattr("nctransfer.training.collapse.SAMPLE_BYTES", sample_bytes)
    with pytest.raises(DataError, match=r"120 of the 120 .*the encoder's output, first at train row.*--lr") as error:
        nctransfer.pretrain(stripes, tmp_path / "run", **tiny, network=Spoiled(), measure_layers=True)
    assert error.value.exit_code == 3


def test_features_of_a_layer_that_are_not_finite_name_it(stripes, tiny, tmp_path):
    network = Spoiled()
    network.second.register_forward_hook(
        lambda module, inputs, output: output if module.training or len(output) < 10 else output / 0
    )
    with pytest.raises(DataError, match=r"layer second, first at train row"):
        nctransfer.pretrain(stripes, tmp_path / "run", **tiny, network=network, measure_layers=True)


def test_measuring_halves_its_batches_where_memory_runs_out(stripes, tiny, tmp_path, monkeypatch):
    options = {**tiny, "epochs": 1, "measure_layers": True}
    whole = nctransfer.pretrain(stripes, tmp_path / "a", **options).result
    network_class = type(build_network(PretrainSettings(**tiny)))
    original = network_class.forward

    def narrow(self, images):
        if len(images) > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, images)

    monkeypatch.setattr(network_class, "forward", narrow)
    halved = nctransfer.pretrain(stripes, tmp_path / "b", **options).result
    for one, other in zip(whole["layers"], halved["layers"], strict=True):
        assert other["nc1"] == pytest.approx(one["nc1"], rel=1e-5)
    assert halved["final"]["test_accuracy"] == whole["final"]["test_accuracy"]


def test_memory_that_runs_out_while_measuring_is_told(stripes, tiny, tmp_path, monkeypatch):
    def exhausted(*arguments, **options):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(sys.modules["nctransfer.training.pretrain"], "measure_collapse", exhausted)
    with pytest.raises(ResourceError, match=r"measured after epoch 1.*no checkpoint.*--measure-layers") as error:
        nctransfer.pretrain(stripes, tmp_path / "run", **tiny)
    assert error.value.exit_code == 5


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system to stand for a full disk")
def test_a_full_disk_in_the_records_keeps_the_checkpoint(stripes, tiny, tmp_path, monkeypatch):
    whole = nctransfer.pretrain(stripes, tmp_path / "whole", **tiny)
    records = tmp_path / "run" / "metrics.jsonl"

    class Fill:
        def __call__(self, record):
            records.rename(tmp_path / "kept")
            records.symlink_to("/dev/full")

        def close(self):
            records.unlink()
            (tmp_path / "kept").rename(records)

    with pytest.raises(ResourceError, match=r"disk is full while writing metrics\.jsonl") as error:
        nctransfer.pretrain(stripes, tmp_path / "run", **tiny, save_every=3, listeners=[Fill()])
    assert error.value.exit_code == 5
    resumed = nctransfer.pretrain(stripes, tmp_path / "run", **tiny, save_every=3, resume=True)
    assert resumed.final["nc1"] == whole.final["nc1"]
    assert [record["epoch"] for record in resumed.result["history"]] == [1, 2, 3]


def test_a_machine_that_cannot_compile_is_told(stripes, tiny, tmp_path, monkeypatch):
    from torch._inductor.exc import InvalidCxxCompiler

    def without_compiler(self, *arguments):
        raise InvalidCxxCompiler

    monkeypatch.setattr(PretrainTask, "loss", without_compiler)
    with pytest.raises(SetupError, match=r"cannot be used here.*--compile.*leave out") as error:
        nctransfer.pretrain(stripes, tmp_path / "run", **tiny)
    assert error.value.exit_code == 6


def test_a_full_disk_at_a_checkpoint_keeps_the_one_before(stripes, tiny, tmp_path, monkeypatch):
    import safetensors.torch

    saved = []
    original = safetensors.torch.save_file

    def full_from_the_second(tensors, path):
        saved.append(path)
        if len(saved) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(tensors, path)

    monkeypatch.setattr(safetensors.torch, "save_file", full_from_the_second)
    with pytest.raises(ResourceError, match=r"disk is full.*--resume"):
        nctransfer.pretrain(stripes, tmp_path / "run", **tiny, save_every=3)
    kept = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == ["step-00000003.json", "step-00000003.safetensors"]
    monkeypatch.setattr(safetensors.torch, "save_file", original)
    assert nctransfer.pretrain(stripes, tmp_path / "run", **tiny, save_every=3, resume=True).final["epoch"] == 3


def test_a_worker_that_dies_ends_the_run_and_keeps_the_checkpoint(stripes, tiny, tmp_path, monkeypatch):
    from nctransfer.data import Preprocess

    whole = nctransfer.pretrain(stripes, tmp_path / "whole", **tiny)
    parent, original = os.getpid(), Preprocess.array

    def die_in_the_second_epoch(self, image):
        done = (tmp_path / "run" / "checkpoints" / "step-00000004.json").exists()
        if done and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, image)

    streamed = {**tiny, "memory_limit": 0, "num_workers": 1, "save_every": 4}
    monkeypatch.setattr(Preprocess, "array", die_in_the_second_epoch)
    with pytest.raises(ResourceError, match=r"worker .* died.*--num-workers") as error:
        nctransfer.pretrain(stripes, tmp_path / "run", **streamed)
    assert error.value.exit_code == 5
    assert (tmp_path / "run" / "checkpoints" / "step-00000004.safetensors").exists()
    monkeypatch.setattr(Preprocess, "array", original)
    resumed = nctransfer.pretrain(stripes, tmp_path / "run", **{**streamed, "num_workers": 0}, resume=True)
    assert resumed.final["nc1"] == whole.final["nc1"]


def test_a_folder_in_which_another_process_works_is_left_alone(stripes, tiny, tmp_path):
    with RunFolder.create(tmp_path / "run", config={}):
        with pytest.raises(LockedError, match=rf"process {os.getpid()} on .*--out") as error:
            nctransfer.pretrain(stripes, tmp_path / "run", **tiny, resume=True)
        assert error.value.exit_code == 75


def test_a_folder_that_cannot_be_made_is_named(stripes, tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written there: .*file.*another --out"):
        nctransfer.pretrain(stripes, tmp_path / "file" / "run", **tiny)


def test_classes_of_one_image_leave_collapse_undefined(tiny, tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (40, 8, 8, 3), dtype=np.uint8)
    bundle = bundle_from_arrays(images, np.arange(40) % 10, [f"class {number}" for number in range(10)])
    options = {**tiny, "epochs": 1, "batch_size": 10, "augment": 1}
    result = nctransfer.pretrain(bundle, tmp_path / "run", **options, measure_layers=True)
    assert result.result["splits"]["test"] == 10
    assert result.final["nc1_test"] is None
    assert result.final["nc1"] > 0
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulation": 16}, r"parts leave single images.*--accumulation.*at most 15"),
        ({"lr": float("inf")}, r"finite number, got inf \(--lr\)"),
        ({"epochs": -1}, r"greater than or equal to 0, got -1 \(--epochs\)"),
        ({"seed": 2**63}, r"less than 9223372036854775808.*\(--seed\)"),
        ({"arch": "cifar_resnet20", "arch_arguments": {"width": float("nan")}}, r"width must be positive, got nan"),
    ],
)
def test_values_that_cannot_be_meant(stripes, tiny, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        nctransfer.pretrain(stripes, tmp_path / "run", **{**tiny, **options})
