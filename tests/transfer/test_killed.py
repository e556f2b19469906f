"""Tuning runs that are really killed, then resumed: no step repeated that a checkpoint holds, and the same bits."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from commands import run as command
from nctransfer.runs import load_run, sha256

SCRIPT = Path(__file__).parents[1] / "killed_run.py"
WORDS = shlex.split(
    "tune digits --model cifar_resnet20 --weights random --image-size 8 --limit 60 --batch-size 16 --epochs 3 --lr 0.01 "
    "--layers layer2.0,layer3.0 --device cpu --no-feature-cache --no-refit"
)
STEPS_AN_EPOCH, EPOCHS = 3, 3
METHODS = {
    "linear": (),
    "layer": ("--layer", "layer2.0,layer3.0"),
    "scl": ("--layer", "layer2.0"),
    "lora": (),
    "loha": (),
    "full": (),
}
KEPT = ("test_accuracy", "val_accuracy", "best_epoch", "history", "nc1_after")


def run(folder, method, moment="none", *more):
    """Exit code, complaint and number of steps of a run: in a process of its own where it is to be killed."""
    words = [*WORDS, "--method", method, *METHODS[method], "--out", str(folder), *more]
    if moment == "none":
        return here(words)
    counted = folder.parent / f"{folder.name}-steps"
    done = killed(moment, counted, words)
    return done.returncode, done.stderr, len(counted.read_text().splitlines())


def here(words):
    steps, threads = [], torch.get_num_threads()
    handle = register_optimizer_step_post_hook(lambda *_: steps.append(None))
    torch.set_num_threads(1)
    try:
        return command(words), "", len(steps)
    finally:
        handle.remove()
        torch.set_num_threads(threads)


def killed(moment, counted, words):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(SCRIPT), moment, str(counted), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


def steps_saved(folder):
    return max((int(path.stem.split("-")[1]) for path in (folder / "checkpoints").glob("step-*.json")), default=0)


def seconds_worked(folder):
    """From the start of a killed process to its last checkpoint or finished step."""
    kept = [folder / "steps.json", *(folder / "checkpoints").glob("step-*")]
    return max(path.stat().st_mtime for path in kept) - (folder / "environment.json").stat().st_mtime


def ending(folder, method):
    """What a run came to: the bits of its model, and the numbers that do not depend on the clock."""
    row = json.loads((folder / "result.json").read_text())["methods"][method]
    return sha256(folder / "checkpoints" / f"{method}.safetensors"), {name: row[name] for name in KEPT}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The ending of a run that was never stopped, by method and options; computed when it is first asked for."""
    root, known = tmp_path_factory.mktemp("whole"), {}

    def get(method, *more):
        if (method, more) not in known:
            folder = root / f"{method}-{len(known)}"
            code, errors, steps = run(folder, method, "none", *more)
            assert code == 0, errors
            assert steps == STEPS_AN_EPOCH * EPOCHS
            assert steps_saved(folder) == 0, "a finished method leaves no checkpoint in progress"
            known[method, more] = ending(folder, method)
        return known[method, more]

    return get


def kill_and_resume(folder, method, moment, whole, *more, resumed=None):
    began = time.perf_counter()
    code, errors, first = run(folder, method, moment, *more)
    assert code == -signal.SIGKILL, errors
    assert not (folder / "result.json").exists()
    saved, worked, most = steps_saved(folder), seconds_worked(folder), time.perf_counter() - began
    code, errors, second = run(folder, method, "none", *(more if resumed is None else resumed), "--resume")
    assert code == 0, errors
    assert second == STEPS_AN_EPOCH * EPOCHS - saved, "exactly the steps after the last checkpoint are taken"
    assert ending(folder, method) == whole
    assert steps_saved(folder) == 0
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(line["method"], line["epoch"]) for line in lines] == [(method, epoch + 1) for epoch in range(EPOCHS)]
    cost = load_run(folder).cost
    assert worked <= cost.total_seconds - cost.seconds <= most, "the killed process counts until its last write"
    return first, saved


def test_a_kill_in_mid_method_repeats_no_step_that_was_saved(whole, tmp_path):
    """The fifth step is the second of the second epoch; a checkpoint stands at the end of the first."""
    options = ("--augment", "2")
    first, saved = kill_and_resume(tmp_path / "run", "scl", "step:4:KILL", whole("scl", *options), *options)
    assert (first, saved) == (5, STEPS_AN_EPOCH)


@pytest.mark.slow
@pytest.mark.parametrize("augment", ["1", "3"])
@pytest.mark.parametrize("moment", ["step:0:KILL", "step:4:KILL", "step:8:KILL", "save:2:KILL", "save:3:KILL"])
@pytest.mark.parametrize("method", METHODS)
def test_a_kill_at_any_moment_resumes_to_the_same_bits(whole, tmp_path, method, moment, augment):
    """Cached at the cut (1) and from augmented pixels (3); in the last epoch all but the last step is saved or repeated."""
    options = ("--augment", augment)
    kill_and_resume(tmp_path / "run", method, moment, whole(method, *options), *options)


@pytest.mark.slow
@pytest.mark.parametrize("balance", ["weights", "sampler", "logit-adjust"])
@pytest.mark.parametrize("augment", ["1", "3"])
def test_a_kill_of_a_balanced_run_resumes_to_the_same_bits(whole, tmp_path, balance, augment):
    options = ("--augment", augment, "--balance", balance)
    kill_and_resume(tmp_path / "run", "full", "step:4:KILL", whole("full", *options), *options)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [("0", "2"), ("2", "0"), ("2", "2")])
@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_run_may_have_other_workers(whole, tmp_path, method, workers):
    killed, resumed = (("--augment", "2", "--num-workers", number) for number in workers)
    kill_and_resume(tmp_path / "run", method, "step:4:KILL", whole(method, "--augment", "2"), *killed, resumed=resumed)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_sigterm_saves_the_step_and_exits_75(whole, tmp_path, method):
    folder, options = tmp_path / "run", ("--augment", "2")
    code, errors, first = run(folder, method, "step:4:TERM", *options)
    assert code == 75
    assert errors.splitlines()[-1].startswith("error: told to stop; the state after step 5 of 9 is saved | ")
    assert "go on with --resume" in errors
    assert (first, steps_saved(folder)) == (5, 5)
    code, errors, second = run(folder, method, "none", *options, "--resume")
    assert code == 0, errors
    assert second == 4
    assert ending(folder, method) == whole(method, *options)


@pytest.mark.slow
def test_sigterm_in_a_trial_ends_after_the_step_and_keeps_the_trials_before(tmp_path):
    """Trials of two blocks take 4 × 3 steps each; the signal comes in the second."""
    folder = tmp_path / "run"
    words = [*WORDS, "--method", "layer", "--augment", "1", "--out", str(folder)]
    done = killed("step:25:TERM", tmp_path / "steps", words)
    assert done.returncode == 75, done.stderr
    assert "told to stop; what was finished is kept" in done.stderr
    trials = [key for key in json.loads((folder / "steps.json").read_text()) if key.startswith("trial/")]
    assert len(trials) == 1
    assert here([*words, "--resume"])[0] == 0
