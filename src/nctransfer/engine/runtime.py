"""Devices, precision and processes, carried by Hugging Face Accelerate; the rest of the package sees only this."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SetupError, UsageError

__all__ = ["Runtime"]

_PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


class Runtime:
    """Where a run computes. The same code serves one process, ``torchrun`` and ``accelerate launch``.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        precision: ``fp32``, ``bf16`` or ``fp16``.

    Raises:
        SetupError: the device was asked for by name and is not there.
    """

    def __init__(self, device: str = "auto", precision: str = "fp32") -> None:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState

        _check_device(device)
        AcceleratorState._reset_state()
        if ":" in device:
            torch.cuda.set_device(device)
        self.accelerator = Accelerator(cpu=device == "cpu", mixed_precision=_PRECISION[precision])
        self.precision = precision

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    @property
    def rank(self) -> int:
        return self.accelerator.process_index

    @property
    def world_size(self) -> int:
        return self.accelerator.num_processes

    @property
    def is_main(self) -> bool:
        return self.accelerator.is_main_process

    def prepare(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
        """Model and optimiser ready to train: on the device, and averaged over the processes."""
        return self.accelerator.prepare(model, optimizer)

    def autocast(self) -> AbstractContextManager[None]:
        return self.accelerator.autocast()

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of ``tensor`` over the processes."""
        return self.accelerator.reduce(tensor, reduction="sum") if self.world_size > 1 else tensor

    def any(self, *flags: bool) -> list[bool]:
        """Of each flag, whether it is set in any process."""
        if self.world_size == 1:
            return list(flags)
        return [bool(flag) for flag in self.sum(torch.tensor([int(flag) for flag in flags], device=self.device))]

    def release(self) -> None:
        """Let go of the models and optimisers that were prepared here; they would be held as long as this object."""
        self.accelerator.free_memory()

    def wait(self) -> None:
        """Wait until every process has come here."""
        self.accelerator.wait_for_everyone()

    def describe(self) -> dict[str, Any]:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        return {"device": name, "processes": self.world_size, "precision": self.precision}


def _check_device(device: str) -> None:
    kind = device.split(":")[0]
    if kind not in ("auto", "cpu", "cuda", "mps"):
        raise UsageError(f"unknown device {device!r}", where="--device", remedy="auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda" and not torch.cuda.is_available():
        raise SetupError(
            "no CUDA device is visible to torch", where=f"--device {device}", remedy="use --device auto or cpu"
        )
    if kind == "cuda" and ":" in device and int(device.split(":")[1]) >= torch.cuda.device_count():
        raise SetupError(f"there are {torch.cuda.device_count()} CUDA devices", where=f"--device {device}")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise SetupError("no MPS device is visible to torch", where="--device mps", remedy="use --device auto or cpu")
