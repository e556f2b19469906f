"""The checkpoints of a run in progress: whole or absent, the last few kept, the newest sound one found again."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..runs import load_tensors, save_tensors

__all__ = ["Checkpoints", "all_finite", "pack_training", "unpack_training"]


class Checkpoints:
    """Checkpoints ``step-<number>.safetensors`` with their manifests in one folder.

    Args:
        folder: Where they lie.
        keep: How many of the newest stay.
        remedy: What to do when all of them are damaged.

    Example:
        >>> import tempfile
        >>> checkpoints = Checkpoints(Path(tempfile.mkdtemp()))
        >>> for step in (1, 2, 3):
        ...     checkpoints.save(step, {"weight": torch.full((2,), float(step))}, {"epoch": 0})
        >>> checkpoints.steps(), checkpoints.latest()[0]["weight"].tolist()
        ([2, 3], [3.0, 3.0])
    """

    def __init__(self, folder: Path, keep: int = 2, remedy: str = "start anew with --overwrite") -> None:
        self.folder, self.keep, self.remedy = Path(folder), keep, remedy

    def steps(self) -> list[int]:
        """The steps of which a complete pair of files lies there, in rising order. Whether they are sound is open."""
        found = (re.fullmatch(r"step-(\d+)\.safetensors", path.name) for path in self.folder.iterdir())
        return sorted(
            int(match[1]) for match in found if match and self._path(int(match[1])).with_suffix(".json").exists()
        )

    def save(self, step: int, tensors: dict[str, Tensor], manifest: dict[str, Any]) -> None:
        """Write a checkpoint, then remove those that are too old. On a full disk the older ones stay.

        Raises:
            ResourceError: the disk is full.
        """
        save_tensors(self._path(step), tensors, {**manifest, "step": step})
        for old in self.steps()[: -self.keep]:
            self._remove(old)

    def latest(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and manifest of the newest sound checkpoint; None where none was ever completed.

        A damaged or altered one is passed over with a warning.

        Raises:
            CheckpointError: checkpoints are there, and every one is damaged.
        """
        last: CheckpointError | None = None
        for step in reversed(self.steps()):
            try:
                return load_tensors(self._path(step))
            except CheckpointError as error:
                last = error
                warnings.warn(f"passed over a damaged checkpoint: {error}", UserWarning, stacklevel=2)
        if last is not None:
            raise CheckpointError(
                "every checkpoint of the run is damaged", where=str(self.folder), remedy=self.remedy
            ) from last
        return None

    def discard_from(self, step: int) -> None:
        """Remove the checkpoints of ``step`` and later: those whose weights turned out to be bad."""
        for bad in self.steps():
            if bad >= step:
                self._remove(bad)

    def clean(self) -> None:
        """Remove what a kill left half written: temporary files, and tensors without their manifest."""
        complete = {self._path(step).name for step in self.steps()}
        for path in self.folder.glob(".*.partial"):
            path.unlink(missing_ok=True)
        for path in self.folder.glob("step-*.safetensors"):
            if path.name not in complete:
                path.unlink(missing_ok=True)

    def describe(self) -> str:
        """The newest checkpoint in words, for messages."""
        steps = self.steps()
        return f"last good checkpoint: {self._path(steps[-1])}" if steps else "no checkpoint was saved yet"

    def _remove(self, step: int) -> None:
        # The manifest goes first: a pair without one counts as never written.
        self._path(step).with_suffix(".json").unlink(missing_ok=True)
        self._path(step).unlink(missing_ok=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.safetensors"


def pack_training(
    model: nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """A model's state and its optimiser's buffers as one flat dictionary of tensors.

    Args:
        model: The model.
        optimizer: Its optimiser.
        state: The part of the model's state that training changes; all of it if left out.
    """
    state = model.state_dict() if state is None else state
    tensors = {f"model.{name}": tensor for name, tensor in state.items()}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{key}.{name}"] = value
    return tensors


def unpack_training(
    tensors: Mapping[str, Tensor],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    needed: Iterable[str] | None = None,
) -> None:
    """Put back what :func:`pack_training` took.

    Args:
        tensors: From the checkpoint.
        model: The model.
        optimizer: Its optimiser.
        needed: Names of the state that must be there; all of the model's if left out.

    Raises:
        CheckpointError: names or shapes are not those of this model.
    """
    state = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    try:
        wanted = set(model.state_dict() if needed is None else needed)
        for name in sorted(wanted ^ set(state)):
            raise RuntimeError(f"only one of the two has {name!r}")
        model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise CheckpointError(
            f"the checkpoint is of another network: {str(error).splitlines()[-1].strip()}",
            remedy="resume with the settings that the run was started with",
        ) from error
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, key, owner = name.split(".", 2)
            parameter = parameters[owner]
            if tensor.shape == parameter.shape and key != "step":
                # empty_like keeps the parameter's memory layout, which the file does not record.
                buffer = torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False)
                tensor = buffer.copy_(tensor)
            optimizer.state[parameter][key] = tensor


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether none of the floating-point tensors holds NaN or infinity."""
    checked = [tensor.isfinite().all() for tensor in tensors if tensor.is_floating_point()]
    return not checked or bool(torch.stack(checked).all())
