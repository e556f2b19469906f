"""The one training loop: what a plan, a task and hooks come to, and that resuming at any step changes no bit."""

import ast
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

import nctransfer
from nctransfer.engine import (
    CachedBatches,
    Checkpoints,
    Constant,
    Diverged,
    Hooks,
    Plan,
    Runtime,
    StopRequest,
    Task,
    WarmupCosine,
    train,
)
from nctransfer.errors import PreemptedError

DIM, CLASSES, SAMPLES, BATCH, EPOCHS = 5, 3, 26, 8, 3
STEPS = SAMPLES // BATCH * EPOCHS


class Toy(Task):
    """A linear map behind dropout, which keeps the sum of its steps' keys beside its weights."""

    def __init__(self, factor=1.0):
        torch.manual_seed(0)
        self.name = "toy"
        self.model = nn.Sequential(nn.Dropout(0.3), nn.Linear(DIM, CLASSES))
        self.factor, self.keys = factor, torch.zeros((), dtype=torch.int64)
        self.seen = []

    def optimizer(self):
        weight, bias = self.model[1].weight, self.model[1].bias
        groups = [{"params": [weight]}, {"params": [bias], "factor": self.factor}]
        return torch.optim.AdamW(groups, lr=0.1)

    def loss(self, forward, batch, moment):
        logits = forward(batch.images)
        self.seen.append((moment.step, moment.epoch, batch.indices.tolist()))
        return nn.functional.cross_entropy(logits, batch.labels), (logits.argmax(1) == batch.labels).sum()

    def after_step(self, moment):
        self.keys = self.keys + moment.key % 1_000

    def kept(self):
        return {"keys": self.keys}

    def facts(self):
        return {"steps": len(self.seen)}

    def restore(self, kept, facts):
        self.keys = kept["keys"]

    def bits(self):
        return [tensor.clone() for tensor in (*self.model.state_dict().values(), self.keys)]


def batches():
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(SAMPLES, DIM, generator=generator)
    return CachedBatches(inputs, torch.arange(SAMPLES) % CLASSES, batch_size=BATCH)


def plan(**options):
    return Plan(**{"epochs": EPOCHS, "schedule": WarmupCosine(0.1), **options})


def run(task, hooks=None, **options):
    return train(task, batches(), plan(**options), Runtime("cpu"), hooks)


@pytest.fixture(scope="module")
def whole():
    task = Toy()
    trained = run(task)
    assert trained.step == STEPS
    return task


def stopped_after(step, task, folder):
    """Train until ``step`` steps are done, as told by a signal, and save."""
    original = task.after_step

    def after(moment):
        original(moment)
        if moment.step + 1 == step:
            os.kill(os.getpid(), signal.SIGTERM)

    task.after_step = after
    with StopRequest() as stop, pytest.raises(PreemptedError, match=f"after step {step} of {STEPS} is saved"):
        run(task, Hooks(Checkpoints(folder), stop=stop))


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_run_stopped_after_any_step_resumes_to_the_same_bits_and_epochs(whole, tmp_path, step):
    first, second = Toy(), Toy()
    stopped_after(step, first, tmp_path)
    reports = []
    hooks = Hooks(Checkpoints(tmp_path), resume=True, epoch=lambda report: reports.append(report.epoch))
    run(second, hooks)
    assert first.seen + second.seen == whole.seen
    assert all(torch.equal(one, other) for one, other in zip(whole.bits(), second.bits(), strict=True))
    # An epoch whose last step was saved, but which nobody was told of, is told after all.
    assert reports == list(range(max(1, -(-step // (STEPS // EPOCHS))), EPOCHS + 1))


def test_the_checkpoints_of_another_task_are_not_taken_up(whole, tmp_path):
    stopped_after(4, Toy(), tmp_path)
    other = Toy()
    other.name = "another"
    run(other, Hooks(Checkpoints(tmp_path), resume=True))
    assert len(other.seen) == STEPS


def test_accumulation_takes_the_step_of_the_whole_batch():
    once, parts = Toy(), Toy()
    once.model[0].p = parts.model[0].p = 0.0
    run(once)
    run(parts, accumulation=3)
    assert len(parts.seen) == 3 * len(once.seen)
    for one, other in zip(once.bits(), parts.bits(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_a_group_s_factor_scales_its_rate():
    """A bias whose factor is 0 stays where it was; the weight moves all the same."""
    task = Toy(factor=0.0)
    weight, bias = (value.clone() for value in (task.model[1].weight.data, task.model[1].bias.data))
    run(task)
    assert torch.equal(task.model[1].bias.data, bias)
    assert not torch.equal(task.model[1].weight.data, weight)


def test_an_epoch_that_says_so_is_the_last():
    task = Toy()
    trained = run(task, Hooks(epoch=lambda report: report.epoch == 2))
    assert trained.step == len(task.seen) == STEPS // EPOCHS * 2


def test_a_request_that_was_noted_ends_a_run_without_checkpoints_after_the_step():
    task = Toy()
    with (
        StopRequest(seconds=0) as stop,
        pytest.raises(PreemptedError, match=r"told to stop.*\(toy\)"),
    ):
        run(task, Hooks(stop=stop))
    assert len(task.seen) == 1


def test_a_loss_that_is_not_finite_names_step_task_and_remedy():
    task = Toy()
    task.advice = "try something else"
    with pytest.raises(Diverged, match=r"at step \d+ \(epoch \d\) \(toy\); try something else"):
        run(task, schedule=Constant(1e30))


def test_a_save_every_few_steps_and_at_epochs(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=20)
    run(Toy(), Hooks(checkpoints), save_every=2, save_epochs=True)
    assert checkpoints.steps() == [2, 3, 4, 6, 8, 9]


SOURCE = Path(nctransfer.__file__).parent


def test_nothing_but_the_loop_takes_optimiser_steps():
    """Every training goes through the one loop: nowhere else is a gradient taken back or an optimiser stepped."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                if node.func.attr == "backward" or (
                    node.func.attr == "step" and owner.endswith(("optimizer", "stepper"))
                ):
                    found.add(path.relative_to(SOURCE).as_posix())
    assert found == {"engine/loop.py", "engine/runtime.py"}


def test_every_optimiser_of_the_package_belongs_to_a_task():
    made = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if "torch.optim." in path.read_text(encoding="utf-8").replace("torch.optim.Optimizer", "")
    }
    assert made == {"training/task.py", "transfer/protocol.py"}
