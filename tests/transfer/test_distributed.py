"""Two processes give one process's numbers: a network without BatchNorm, a fixed global batch."""

import json
import os
import socket
import subprocess
import sys

import pytest

COMMAND = [
    "tune", "digits", "--model", "vit_tiny_patch16_224", "--weights", "random", "--image-size", "32", "--limit", "100",
    "--method", "full", "--epochs", "2", "--lr", "0.0003", "--batch-size", "20", "--augment", "2", "--device", "cpu",
]  # fmt: skip


def _free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.mark.slow
def test_two_processes_against_one(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    alone = [sys.executable, "-m", "nctransfer", *COMMAND, "--out", str(tmp_path / "one")]
    subprocess.run(alone, check=True, env=environment, timeout=300, capture_output=True)
    pair = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1",
        "--master-port", str(_free_port()), "-m", "nctransfer", *COMMAND, "--out", str(tmp_path / "two"),
    ]  # fmt: skip
    subprocess.run(pair, check=True, env=environment, timeout=300, capture_output=True)
    one, two = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two"))
    losses = [[entry["train_loss"] for entry in run["methods"]["full"]["history"][1:]] for run in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert one["methods"]["full"]["val_accuracy"] == two["methods"]["full"]["val_accuracy"]
    assert one["methods"]["full"]["nc1_after"] == pytest.approx(two["methods"]["full"]["nc1_after"], rel=1e-3)
    assert one["layers"][-1]["nc1"] == pytest.approx(two["layers"][-1]["nc1"], rel=1e-5)
