"""The training loop: steps over keyed batches, checkpoints between them, and an orderly end whatever happens.

Everything that a step depends on is a function of the settings and the step's number (sample order, augmentation,
random starts of attacks, dropout, learning rate) or lies in the checkpoint (weights, buffers, momentum, loss scale, the
epoch's sums). That is why a run that was killed ends at the same bits as one that was not.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..engine import Checkpoints, Runtime, StopRequest, is_out_of_memory, pack_training, sgdr, unpack_training
from ..errors import PreemptedError, ResourceError, SetupError
from .adversarial import pgd
from .batches import TrainBatches
from .model import PretrainModel, parameters_are_finite
from .settings import PretrainSettings

__all__ = ["EpochReport", "Loop"]

SAVE_SECONDS = 30.0
"""Where no interval is set, a checkpoint is written at the first end of an epoch this long after the last one."""

_GPU_CHECK = 50  # steps between looks at the losses on a device that runs ahead of the host


@dataclass(frozen=True)
class EpochReport:
    """What an epoch came to: its number from 1, the step it ended at, its last rate, mean loss, and seconds so far."""

    epoch: int
    step: int
    lr: float
    train_loss: float
    running_accuracy: float | None
    seconds: float


class Loop:
    """Trains a model to the end of its epochs.

    Args:
        model: The model, on its device, not wrapped.
        loss: Maps outputs and labels to a scalar.
        batches: The training batches.
        settings: The run's settings.
        runtime: Devices and processes.
        checkpoints: Where checkpoints go.
        stop: Notes that the run is to end.
    """

    def __init__(
        self,
        model: PretrainModel,
        loss: nn.Module,
        batches: TrainBatches,
        *,
        settings: PretrainSettings,
        runtime: Runtime,
        checkpoints: Checkpoints,
        stop: StopRequest,
    ) -> None:
        self.model, self.loss, self.batches, self.settings = model, loss, batches, settings
        self.runtime, self.checkpoints, self.stop = runtime, checkpoints, stop
        self.optimizer = torch.optim.SGD(
            model.parameters(),
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=settings.nesterov,
        )
        trained: nn.Module = torch.compile(model) if settings.compile else model  # type: ignore[assignment]
        self.trained, self.stepper = runtime.prepare(trained, self.optimizer)
        self.device = runtime.device
        self.classified = not isinstance(model.classifier, nn.Identity)
        self.step = 0
        self.seconds = 0.0
        self._sums = torch.zeros(3, dtype=torch.float64, device=self.device)  # loss, right, seen
        self._first_bad = torch.full((), -1, dtype=torch.int64, device=self.device)
        self._saved_at = time.monotonic()
        self._saved_step = -1

    @property
    def num_steps(self) -> int:
        """Steps of the whole run."""
        return len(self.batches) * self.settings.epochs

    def restore(self) -> bool:
        """Go back to the newest sound checkpoint; False where there is none.

        Raises:
            CheckpointError: all are damaged, or of another network.
        """
        self.checkpoints.clean()
        found = self.checkpoints.latest()
        if found is None:
            return False
        tensors, manifest = found
        self._sums.copy_(tensors.pop("progress.sums"))
        unpack_training(tensors, self.model, self.optimizer)
        self.step, self.seconds = int(manifest["step"]), float(manifest["seconds"])
        self._saved_step = self.step
        if manifest.get("scaler") and self.runtime.accelerator.scaler is not None:
            self.runtime.accelerator.scaler.load_state_dict(manifest["scaler"])
        return True

    def run(self, on_epoch: Callable[[EpochReport], None], reported: int = 0) -> None:
        """Train to the end.

        Args:
            on_epoch: Called after each epoch, in all processes.
            reported: Number of epochs that were reported before a resumption.

        Raises:
            PreemptedError: the run was told to stop; its state is saved.
            ResourceError: the loss turned NaN or infinite, memory ran out, or the disk is full.
        """
        per_epoch = len(self.batches)
        if self.step and self.step % per_epoch == 0 and reported < self.step // per_epoch:
            on_epoch(self._report())
        if self.step % per_epoch == 0:
            self._sums.zero_()
        while self.step < self.num_steps:
            epoch, start = divmod(self.step, per_epoch)
            began = time.perf_counter()
            self.trained.train()
            for images, labels in self.batches.epoch(epoch, start):
                if self.take_step(images, labels):
                    self.seconds += time.perf_counter() - began
                    self._leave()
                if self.settings.save_every and self.step % self.settings.save_every == 0:
                    self.save()
            self._raise_if_bad()
            self.seconds += time.perf_counter() - began
            if self._save_is_due():
                self.save()
            on_epoch(self._report())
            self._sums.zero_()

    def save(self) -> None:
        """Write a checkpoint of this moment; nothing where one was just written, and never of bad weights."""
        if self._saved_step == self.step:
            return
        self._raise_if_bad()
        if not parameters_are_finite(self.model):
            raise self._diverged(self.step - 1, bad_from=self.step)
        if self.runtime.is_main:
            scaler = self.runtime.accelerator.scaler
            tensors = {**pack_training(self.model, self.optimizer), "progress.sums": self._sums}
            manifest = {"seconds": self.seconds, "scaler": scaler.state_dict() if scaler is not None else None}
            self.checkpoints.save(self.step, tensors, manifest)
        self.runtime.wait()
        self._saved_at, self._saved_step = time.monotonic(), self.step

    def learning_rate(self, step: int) -> float:
        """The rate of a step, a pure function of its number."""
        settings = self.settings
        if settings.schedule == "constant":
            return settings.lr
        return sgdr(
            step / len(self.batches),
            settings.epochs,
            lr=settings.lr,
            min_lr=settings.min_lr,
            restart_every=settings.restart_every,
            restart_factor=settings.restart_factor,
        )

    def take_step(self, images: Tensor, labels: Tensor) -> bool:
        """One step on a batch of :class:`TrainBatches`; returns whether the run was told to stop."""
        self._step_once(images, labels)
        self.step += 1
        return self._told_to_stop()

    def _step_once(self, images: Tensor, labels: Tensor) -> None:
        rate = self.learning_rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        # What the network itself draws (dropout, stochastic depth) hangs on the step, not on what was drawn before.
        torch.manual_seed(self._key())
        try:
            self.stepper.zero_grad()
            for (some, theirs), share, last in self._parts(images, labels):
                with contextlib.nullcontext() if last else self.runtime.accelerator.no_sync(self.trained):
                    loss = self._loss_of(some, theirs)
                    self.runtime.backward(loss if share == 1 else loss * share)
            self.stepper.step()
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise self._out_of_memory() from error
            if type(error).__module__.startswith(("torch._inductor", "torch._dynamo")):
                raise SetupError(
                    f"torch.compile cannot be used here: {(str(error).splitlines() or [''])[0]}",
                    where="--compile",
                    remedy="install a C++ compiler that torch can use, or leave out --compile",
                ) from error
            raise

    def _parts(self, images: Tensor, labels: Tensor) -> Iterator[tuple[tuple[Tensor, Tensor], float, bool]]:
        """The batch in ``accumulation`` parts: ((images, labels), share of the batch, whether it is the last)."""
        views = self.batches.views
        if self.settings.accumulation == 1:
            yield (images, labels), 1.0, True
            return
        number = min(self.settings.accumulation, len(labels))
        stacked = images.unflatten(0, (views, len(labels)))
        for position, rows in enumerate(torch.arange(len(labels), device=images.device).tensor_split(number)):
            part = stacked[:, rows].flatten(0, 1), labels[rows]
            yield part, len(rows) / len(labels), position == number - 1

    def _loss_of(self, images: Tensor, labels: Tensor) -> Tensor:
        inputs = images if self.settings.adversarial is None else self._attacked(images, labels)
        outputs = self.trained(inputs)
        if self.batches.views > 1:
            outputs = outputs.unflatten(0, (self.batches.views, len(labels))).transpose(0, 1)
        loss = self.loss(outputs, labels)
        with torch.no_grad():
            kept = loss.detach()
            self._sums[0] += kept.double() * len(labels)
            if self.classified:
                self._sums[1] += (outputs.argmax(1) == labels).sum()
            self._sums[2] += len(labels)
            if self.device.type == "cpu":
                if not bool(kept.isfinite()):
                    raise self._diverged(self.step)
            else:
                bad = ~kept.isfinite() & (self._first_bad < 0)
                self._first_bad = torch.where(bad, self.step, self._first_bad)
        return loss

    def _attacked(self, images: Tensor, labels: Tensor) -> Tensor:
        settings = self.settings
        assert settings.adversarial is not None
        size = settings.attack_step_size
        with self.runtime.autocast():
            return pgd(
                self.model,
                images.float() / 255,
                labels,
                epsilon=settings.adversarial / 255,
                steps=settings.attack_steps,
                step_size=None if size is None else size / 255,
                loss=self.loss,
                generator=torch.Generator(self.device).manual_seed(self._key()),
            )

    def _key(self) -> int:
        return ((self.settings.seed * 1_000_003 + self.step) * 4096 + self.runtime.rank) & (2**63 - 1)

    def _told_to_stop(self) -> bool:
        if self.device.type != "cpu" and self.step % _GPU_CHECK == 0:
            self._raise_if_bad()
        if self.runtime.world_size == 1:
            return self.stop.noted
        # Processes must leave together; asking each step would make a GPU wait for the host.
        return (self.device.type == "cpu" or self.step % 10 == 0) and self.stop.agreed(self.device)

    def _leave(self) -> None:
        self.save()
        raise PreemptedError(
            f"told to stop; the state after step {self.step} of {self.num_steps} is saved",
            where=str(self.checkpoints.folder),
            remedy="go on with --resume",
        )

    def _save_is_due(self) -> bool:
        if self.step == self.num_steps:
            return True
        due = self.settings.save_every is None and time.monotonic() - self._saved_at > SAVE_SECONDS
        if self.runtime.world_size > 1:
            flag = self.runtime.sum(torch.tensor(int(due and self.runtime.is_main), device=self.device))
            return bool(flag)
        return due

    def _report(self) -> EpochReport:
        loss, right, seen = self.runtime.sum(self._sums.clone()).tolist()
        return EpochReport(
            epoch=self.step // len(self.batches),
            step=self.step,
            lr=self.learning_rate(self.step - 1),
            train_loss=loss / seen,
            running_accuracy=right / seen if self.classified else None,
            seconds=self.seconds,
        )

    def _raise_if_bad(self) -> None:
        if self.device.type != "cpu" and int(self._first_bad) >= 0:
            raise self._diverged(int(self._first_bad))

    def _diverged(self, step: int, bad_from: int | None = None) -> ResourceError:
        if self.runtime.is_main:
            # A checkpoint of this very step holds the weights that gave the bad loss.
            self.checkpoints.discard_from(step if bad_from is None else bad_from)
        epoch = step // len(self.batches) + 1
        return ResourceError(
            f"the loss turned NaN or infinite at step {step} (epoch {epoch})",
            where=self.checkpoints.describe(),
            remedy="try a smaller --lr, --precision fp32, or for mse smaller --kappa and --m",
        )

    def _out_of_memory(self) -> ResourceError:
        return ResourceError(
            f"out of memory in step {self.step}, with batches of {self.settings.batch_size}",
            where=self.checkpoints.describe(),
            remedy="lower --batch-size, or split it with --accumulation 2 (4, 8, ...)",
        )
