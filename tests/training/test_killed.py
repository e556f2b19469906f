"""Runs that are really killed, then resumed: the same bits as a run that was not."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from commands import run as command
from nctransfer.runs import sha256

SCRIPT = Path(__file__).parents[1] / "killed_run.py"
WORDS = shlex.split(
    "pretrain digits --arch cifar_resnet20 --width 0.125 --image-size 8 --limit 120 --batch-size 30 --epochs 2 "
    "--augment 5 --save-every 3 --device cpu --loss supcon --head mlp --head-dim 8"
)


def start(folder, moment="none", *more):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, str(SCRIPT), moment, "-", *WORDS, "--out", str(folder), *more]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(folder, moment="none", *more):
    """Exit code and complaint of a run: in a process of its own where it is to be killed."""
    if moment == "none":
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return command([*WORDS, "--out", folder, *more]), ""
        finally:
            torch.set_num_threads(threads)
    process = start(folder, moment, *more)
    _, errors = process.communicate(timeout=240)
    return process.returncode, errors


def encoder(folder):
    return sha256(folder / "checkpoints" / "final.safetensors")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The encoder of a run that was never stopped, decoded in memory."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    code, errors = run(folder)
    assert code == 0, errors
    return encoder(folder)


STREAM = ("--memory-limit", "0", "--num-workers")


def test_a_kill_in_mid_epoch_resumes_to_the_same_bits(whole, tmp_path):
    code, _ = run(tmp_path / "run", "step:5:KILL")
    assert code == -signal.SIGKILL
    code, errors = run(tmp_path / "run", "none", "--resume")
    assert code == 0, errors
    assert encoder(tmp_path / "run") == whole


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    "moment", ["step:0:KILL", "step:3:KILL", "step:4:KILL", "step:7:KILL", "save:1:KILL", "save:4:KILL"]
)
def test_a_kill_at_any_moment_resumes_to_the_same_bits(whole, tmp_path, moment, workers):
    """Step 3 closes the first epoch; the fourth file of checkpoints is a manifest whose tensors are already there."""
    code, _ = run(tmp_path / "run", moment, *STREAM, workers)
    assert code == -signal.SIGKILL
    # Resumed with the other number of workers: it must not matter either.
    code, errors = run(tmp_path / "run", "none", *STREAM, "2" if workers == "0" else "0", "--resume")
    assert code == 0, errors
    assert encoder(tmp_path / "run") == whole


@pytest.mark.slow
def test_kills_from_outside_one_after_the_other(whole, tmp_path):
    """Killed by another process a moment after each new checkpoint, again and again until it ends."""
    folder, known, kills = tmp_path / "run", 0, 0
    while True:
        process = start(folder, "none", *(["--resume"] if kills else []))
        while process.poll() is None and (found := newest_step(folder)) <= known:
            time.sleep(0.002)
        time.sleep(0.01 * kills)
        known = found
        process.kill()
        _, errors = process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, errors
        kills += 1
    assert kills > 1
    assert encoder(folder) == whole


def newest_step(folder):
    steps = [int(path.stem.split("-")[1]) for path in (folder / "checkpoints").glob("step-*.json")]
    return max(steps, default=0)


@pytest.mark.slow
def test_sigterm_saves_and_exits_75(whole, tmp_path):
    code, errors = run(tmp_path / "run", "step:4:TERM")
    assert code == 75
    assert errors.startswith("error: told to stop; the state after step 5 of 8 is saved | ")
    assert "go on with --resume" in errors
    code, errors = run(tmp_path / "run", "none", "--resume")
    assert code == 0, errors
    assert encoder(tmp_path / "run") == whole


@pytest.mark.slow
def test_a_truncated_checkpoint_falls_back_and_ends_at_the_same_bits(whole, tmp_path, capsys):
    run(tmp_path / "run", "step:7:KILL")
    newest = sorted((tmp_path / "run" / "checkpoints").glob("step-*.safetensors"))[-1]
    newest.write_bytes(newest.read_bytes()[:-10])
    assert run(tmp_path / "run", "none", "--resume")[0] == 0
    assert "passed over a damaged checkpoint" in capsys.readouterr().err
    assert encoder(tmp_path / "run") == whole
