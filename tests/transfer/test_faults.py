"""What a run survives: memory that runs out, features that are not finite, signals."""

import os
import shlex
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
import torch

from commands import run
from nctransfer.data import PixelLoader, Preprocess
from nctransfer.engine import Runtime, halving
from nctransfer.errors import DataError, ResourceError
from nctransfer.models import wrap_module
from nctransfer.transfer import tune
from nctransfer.transfer.features import extract_features
from tiny import full_while_training


def test_extraction_halves_the_batch_and_the_result_is_the_same():
    weight = torch.arange(6.0).reshape(3, 2)
    sizes = []

    def forward(images):
        sizes.append(len(images))
        if len(images) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"x": images @ weight}

    images = torch.arange(60.0).reshape(20, 3)
    assert torch.equal(halving(forward, images)["x"], images @ weight)
    assert sizes[:3] == [20, 10, 5]


def test_an_image_that_does_not_fit_alone_is_an_error():
    def forward(images):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(ResourceError, match="single image"):
        halving(forward, torch.zeros(4, 3))


def test_other_errors_are_not_taken_for_a_full_memory():
    def forward(images):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        halving(forward, torch.zeros(4, 3))


def test_training_out_of_memory_says_what_to_try(striped, small_network, tmp_path):
    small_network.encoder.register_forward_hook(full_while_training)
    with pytest.raises(ResourceError, match="smaller --batch-size"):
        tune(striped, small_network, method="full", out=tmp_path / "r", lr=0.01, epochs=1, augment=1)


def test_features_that_are_not_finite_name_layer_and_image(striped):
    class Broken(torch.nn.Module):
        def forward(self, images):
            features = images.mean((2, 3))
            features[3:5] = torch.nan
            return features

    network = wrap_module(Broken(), size=16, layers=[], units=[])
    loader = PixelLoader(striped.train, Preprocess(size=16), batch_size=64)
    with pytest.raises(DataError, match=r"layer penultimate, first at train row") as caught:
        extract_features(network, loader, Runtime("cpu"))
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_keeps_what_was_written_and_the_run_resumes(number, code, tmp_path):
    words = shlex.split(
        "auto digits --model cifar_resnet20 --weights random --image-size 8 --layers layer3.0 --limit 100 --epochs 2 "
        "--lr 0.001 --augment 1 --device cpu --methods linear,full --no-step-cost --no-refit"
    )
    words += ["--out", str(tmp_path / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # A shell without job control starts background jobs that ignore SIGINT, and so would their children.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command, pipes = (
        [sys.executable, "-m", "nctransfer", *words],
        {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE},
    )
    process = subprocess.Popen(command, text=True, env=environment, preexec_fn=heard, **pipes)
    steps = tmp_path / "run" / "steps.json"
    deadline = time.monotonic() + 90
    while not steps.is_file() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == code, complaint
    assert "--resume" in complaint
    assert "Traceback" not in complaint
    kept = steps.read_bytes()
    assert run([*words, "--resume"]) == 0
    assert steps.read_bytes().startswith(kept[:40])
    assert (tmp_path / "run" / "report.html").is_file()
