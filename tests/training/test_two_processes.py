"""Two processes against one, on the same global batches: the same losses."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nctransfer.runs import load_tensors
from nctransfer.training import pretrain

SETTINGS = {
    "arch": "mlp",
    "arch_arguments": {"depth": 2, "hidden": 32, "norm": False},
    "image_size": 8,
    "limit": 130,
    "epochs": 3,
    "batch_size": 32,
    "augment": 5,
    "lr": 0.05,
    "measure_layers": True,
    "device": "cpu",
}
LOSS = {
    "ce": {"loss": "ce", "head": "mlp", "head_dim": 8},
    "mse": {"loss": "mse", "kappa": 2.0, "m": 3.0},
    "supcon": {"loss": "supcon", "head": "linear", "head_dim": 8},
}


def in_two(folder, settings):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1"),
        *(f"--master-port={port}", str(Path(__file__).parent / "two_processes.py"), str(folder), json.dumps(settings)),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    "loss", [pytest.param("supcon"), *(pytest.param(name, marks=pytest.mark.slow) for name in ("ce", "mse"))]
)
def test_two_processes_give_the_losses_of_one(tmp_path, loss):
    settings = {**SETTINGS, **LOSS[loss]}
    one = pretrain("digits", tmp_path / "one", **settings).result
    in_two(tmp_path / "two", settings)
    two = json.loads((tmp_path / "two" / "result.json").read_text())
    for first, second in zip(one["history"], two["history"], strict=True):
        assert second["train_loss"] == pytest.approx(first["train_loss"], rel=1e-5)
    assert two["final"]["test_accuracy"] == pytest.approx(one["final"]["test_accuracy"], abs=0.01)
    assert two["final"]["nc1"] == pytest.approx(one["final"]["nc1"], rel=1e-3)
    assert [layer["name"] for layer in two["layers"]] == [layer["name"] for layer in one["layers"]]
    weights = [load_tensors(tmp_path / run / "checkpoints" / "final.safetensors")[0] for run in ("one", "two")]
    for name, tensor in weights[0].items():
        assert torch.allclose(tensor, weights[1][name], rtol=1e-3, atol=1e-5), name
