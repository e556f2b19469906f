"""The training loop: steps over keyed batches, checkpoints between them, and an orderly end whatever happens.

Everything that a step depends on is a function of the plan and the step's number (sample order, augmentation, random
starts of attacks, dropout, learning rate) or lies in the checkpoint (weights, buffers, momentum, loss scale, the epoch's
sums, and what the task keeps). That is why a run that was killed ends at the same bits as one that was not.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from ..data import Batch
from ..errors import PreemptedError, ResourceError, SetupError
from .batches import Batches
from .checkpoints import all_finite, pack_training, unpack_training
from .memory import OutOfMemory, is_out_of_memory
from .plan import EpochReport, Hooks, Plan, Trained
from .runtime import Runtime
from .task import Moment, Task

__all__ = ["Diverged", "Loop", "train"]

SAVE_SECONDS = 30.0
"""Where no interval is set, a checkpoint is written after the first step this long after the last one."""

_GPU_CHECK = 50  # steps between looks at the losses on a device that runs ahead of the host
_GPU_ASK = 10  # steps between questions to the other processes, each of which makes a GPU wait for the host


class Diverged(ResourceError):
    """The loss turned NaN or infinite."""


def train(task: Task, batches: Batches, plan: Plan, runtime: Runtime, hooks: Hooks | None = None) -> Trained:
    """Train a task to the end of its plan.

    Args:
        task: What to train; its model lies on the runtime's device.
        batches: On what.
        plan: How long and how fast.
        runtime: Devices, precision and processes.
        hooks: What happens between steps.

    Raises:
        PreemptedError: the run was told to stop; its state is saved where there are checkpoints.
        Diverged: the loss turned NaN or infinite.
        ResourceError: memory ran out, or the disk is full.
        CheckpointError: every checkpoint is damaged, or they are of another network.
        SetupError: the model cannot be compiled on this machine.
    """
    loop = Loop(task, batches, plan, runtime, hooks)
    try:
        loop.restore()
        loop.run()
    except RuntimeError as error:
        if not type(error).__module__.startswith(("torch._inductor", "torch._dynamo")):
            raise
        raise SetupError(
            f"torch.compile cannot be used here: {(str(error).splitlines() or [''])[0]}",
            where="--compile",
            remedy="install a C++ compiler that torch can use, or leave out --compile",
        ) from error
    finally:
        runtime.release()
    return Trained(loop.step, loop.seconds)


class Loop:
    """The state of a training in progress. :func:`train` is the way to run it; this is for who takes single steps."""

    def __init__(self, task: Task, batches: Batches, plan: Plan, runtime: Runtime, hooks: Hooks | None = None) -> None:
        self.task, self.batches, self.plan, self.runtime = task, batches, plan, runtime
        self.hooks = hooks or Hooks()
        self.checkpoints = self.hooks.checkpoints
        self.optimizer = task.optimizer()
        self.trained, self.stepper = runtime.prepare(task.compiled() if plan.compile else task.model, self.optimizer)
        self.device = runtime.device
        self.step = 0
        self.seconds = 0.0
        self._sums = torch.zeros(3, dtype=torch.float64, device=self.device)  # loss, right, seen
        self._counted = False
        self._first_bad = torch.full((), -1, dtype=torch.int64, device=self.device)
        self._saved_at, self._saved_step = time.monotonic(), -1

    @property
    def num_steps(self) -> int:
        """Steps of the whole plan."""
        return len(self.batches) * self.plan.epochs

    def restore(self) -> bool:
        """Go back to the newest sound checkpoint of this task; False where there is none or none is wanted.

        Raises:
            CheckpointError: all are damaged, or of another network.
        """
        if self.checkpoints is None or not self.hooks.resume:
            return False
        self.checkpoints.clean()
        found = self.checkpoints.latest()
        if found is None:
            return False
        tensors, manifest = found
        if manifest.get("task", self.task.name) != self.task.name:
            self.checkpoints.discard_from(0)
            return False
        sums = tensors.pop("progress.sums")
        kept = {name: tensors.pop(name) for name in list(tensors) if name.startswith("kept.")}
        unpack_training(tensors, self.task.model, self.optimizer, needed=self.task.state())
        self._sums.copy_(sums)
        self._counted = bool(manifest.get("counted", True))
        self.step, self.seconds = int(manifest["step"]), float(manifest["seconds"])
        self._saved_step = self.step
        scaler = self.runtime.accelerator.scaler
        if manifest.get("scaler") and scaler is not None:
            scaler.load_state_dict(manifest["scaler"])
        self.task.restore(
            {name.removeprefix("kept."): tensor for name, tensor in kept.items()}, manifest.get("facts") or {}
        )
        return True

    def run(self) -> None:
        """Train to the end; raises as :func:`train` does."""
        per_epoch = len(self.batches)
        reported = self.hooks.begin(self.step)
        ended = False
        if self.step and self.step % per_epoch == 0:
            if reported < self.step // per_epoch:
                ended = bool(self.hooks.epoch(self._report()))
            self._sums.zero_()
        while self.step < self.num_steps and not ended:
            epoch, start = divmod(self.step, per_epoch)
            began = time.perf_counter()
            self.trained.train()
            for batch in self.batches.epoch(epoch, start):
                self.take_step(batch)
                stop, save = self._asked()
                if stop:
                    self.seconds += time.perf_counter() - began
                    self._leave()
                if save:
                    self.save(self.seconds + time.perf_counter() - began)
            self._raise_if_bad()
            self.seconds += time.perf_counter() - began
            if self.step == self.num_steps or self.plan.save_epochs:
                self.save()
            ended = bool(self.hooks.epoch(self._report()))
            self._sums.zero_()

    def save(self, seconds: float | None = None) -> None:
        """Write a checkpoint of this moment; nothing where one was just written, and never of bad weights."""
        if self.checkpoints is None or self._saved_step == self.step:
            return
        self._raise_if_bad()
        state = self.task.state()
        if not all_finite(state.values()):
            raise self._diverged(self.step - 1, bad_from=self.step)
        if self.runtime.is_main:
            scaler = self.runtime.accelerator.scaler
            tensors = {
                **pack_training(self.task.model, self.optimizer, state),
                **{f"kept.{name}": tensor for name, tensor in self.task.kept().items()},
                "progress.sums": self._sums,
            }
            manifest = {
                "task": self.task.name,
                "seconds": self.seconds if seconds is None else seconds,
                "counted": self._counted,
                "scaler": scaler.state_dict() if scaler is not None else None,
                "facts": self.task.facts(),
            }
            self.checkpoints.save(self.step, tensors, manifest)
        self.runtime.wait()
        self._saved_at, self._saved_step = time.monotonic(), self.step

    def learning_rate(self, step: int) -> float:
        """The rate of a step, a pure function of its number."""
        return self.plan.schedule.rate(step, len(self.batches), self.plan.epochs)

    def take_step(self, batch: Batch) -> None:
        """One step of the optimiser on a batch."""
        rate = self.learning_rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("factor", 1.0)
        moment = Moment(self.step, self.step // len(self.batches), self._key())
        # What the network itself draws (dropout, stochastic depth) hangs on the step, not on what was drawn before.
        torch.manual_seed(moment.key)
        try:
            self.stepper.zero_grad()
            for part, last in self._parts(batch):
                with contextlib.nullcontext() if last else self.runtime.accelerator.no_sync(self.trained):
                    loss = self._loss_of(part, moment)
                    # Processes and parts may hold unequal shares; what their gradients add up to is the whole batch's.
                    weight = len(part) * self.runtime.world_size / self.batches.batch_size
                    self.runtime.backward(loss if weight == 1 else loss * weight)
            self.stepper.step()
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise self._out_of_memory() from error
            raise
        self.task.after_step(moment)
        self.step += 1
        if self.device.type != "cpu" and self.step % _GPU_CHECK == 0:
            self._raise_if_bad()

    def _parts(self, batch: Batch) -> Iterator[tuple[Batch, bool]]:
        """The batch in ``accumulation`` parts, and whether each is the last."""
        if self.plan.accumulation == 1:
            yield batch, True
            return
        number = min(self.plan.accumulation, len(batch))
        stacked = batch.images.unflatten(0, (self.batches.views, len(batch)))
        for position, rows in enumerate(torch.arange(len(batch), device=batch.images.device).tensor_split(number)):
            part = Batch(stacked[:, rows].flatten(0, 1), batch.labels[rows], batch.indices[rows.cpu()])
            yield part, position == number - 1

    def _loss_of(self, batch: Batch, moment: Moment) -> Tensor:
        loss, right = self.task.loss(self.trained, batch, moment)
        with torch.no_grad():
            kept = loss.detach()
            self._sums[0] += kept.double() * len(batch)
            if right is not None:
                self._counted = True
                self._sums[1] += right
            self._sums[2] += len(batch)
            if self.device.type == "cpu":
                if not bool(kept.isfinite()):
                    raise self._diverged(self.step)
            else:
                bad = ~kept.isfinite() & (self._first_bad < 0)
                self._first_bad = torch.where(bad, self.step, self._first_bad)
        return loss

    def _key(self) -> int:
        return ((self.plan.seed * 1_000_003 + self.step) * 4096 + self.runtime.rank) & (2**63 - 1)

    def _asked(self) -> tuple[bool, bool]:
        """Whether to stop, and whether to save; the same in all processes."""
        every = self.plan.save_every
        if every is not None:
            save, due = self.step % every == 0, False
        else:
            save, due = False, self.checkpoints is not None and time.monotonic() - self._saved_at > SAVE_SECONDS
        if self.runtime.world_size > 1 and self.device.type != "cpu" and self.step % _GPU_ASK:
            return False, save
        stop, due = self.runtime.any(self.hooks.stop.noted, due)
        return stop, save or due

    def _leave(self) -> None:
        self.save()
        if self.checkpoints is None:
            raise self.hooks.stop.error(self.task.name)
        raise PreemptedError(
            f"told to stop; the state after step {self.step} of {self.num_steps} is saved",
            where=str(self.checkpoints.folder),
            remedy="go on with --resume",
        )

    def _report(self) -> EpochReport:
        loss, right, seen = self.runtime.sum(self._sums.clone()).tolist()
        return EpochReport(
            epoch=self.step // len(self.batches),
            step=self.step,
            lr=self.learning_rate(self.step - 1),
            train_loss=loss / seen,
            running_accuracy=right / seen if self._counted else None,
            seconds=self.seconds,
        )

    def _raise_if_bad(self) -> None:
        if self.device.type != "cpu" and int(self._first_bad) >= 0:
            raise self._diverged(int(self._first_bad))

    def _diverged(self, step: int, bad_from: int | None = None) -> Diverged:
        if self.runtime.is_main and self.checkpoints is not None:
            # A checkpoint of this very step holds the weights that gave the bad loss.
            self.checkpoints.discard_from(step if bad_from is None else bad_from)
        return Diverged(
            f"the loss turned NaN or infinite at step {step} (epoch {step // len(self.batches) + 1})",
            where=self._place(),
            remedy=self.task.advice,
        )

    def _out_of_memory(self) -> OutOfMemory:
        return OutOfMemory(
            f"out of memory in step {self.step}, with batches of {self.batches.batch_size}",
            where=self._place(),
            remedy="use a smaller --batch-size or --image-size, or split batches with --accumulation 2 (4, 8, ...)",
        )

    def _place(self) -> str:
        return self.task.name + (f", {self.checkpoints.describe()}" if self.checkpoints is not None else "")
