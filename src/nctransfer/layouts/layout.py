"""A layout: which tensor of an output is meant, and which of its axes are images and channels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import UsageError

__all__ = ["Layout", "detached", "mapped", "tensors_in"]

Path = tuple[int | str, ...]


@dataclasses.dataclass(frozen=True)
class Layout:
    """The tensor in a module's output that holds its features, and the axes of it.

    Attributes:
        batch: Axis of the images.
        channels: Axis of the channels; all other axes are positions.
        path: Keys that lead from the output to the tensor; empty where the output is the tensor.

    Example:
        >>> maps = torch.arange(12.0).view(1, 2, 2, 3)  # (B, H, W, C)
        >>> Layout(0, 3).vector(maps)
        tensor([[4.5000, 5.5000, 6.5000]])
    """

    batch: int = 0
    channels: int = 1
    path: Path = ()

    @classmethod
    def parse(cls, letters: str, path: Path = ()) -> Layout:
        """A layout from one letter per axis.

        Raises:
            UsageError: ``B`` or ``C`` does not stand there exactly once.

        Example:
            >>> Layout.parse("TBC")
            Layout(batch=1, channels=2, path=())
        """
        if letters.count("B") != 1 or letters.count("C") != 1 or not 2 <= len(letters) <= 5:
            raise UsageError(
                f"{letters!r} is no layout",
                where="layouts",
                remedy="write one letter per axis, with B for images and C for channels: BCHW, BHWC, BTC, TBC",
            )
        return cls(letters.index("B"), letters.index("C"), path)

    def tensor(self, output: Any) -> Tensor:
        """The tensor that is meant.

        Raises:
            UsageError: the output is of another form than the one from which the layout was decided.
        """
        found = output
        try:
            for key in self.path:
                found = getattr(found, key) if isinstance(key, str) and not isinstance(found, Mapping) else found[key]
        except (KeyError, IndexError, TypeError, AttributeError):
            found = None
        if not isinstance(found, torch.Tensor):
            raise UsageError(f"a layer returned {type(output).__name__}, in which there is no tensor at {self.path}")
        return found

    def vector(self, output: Any) -> Tensor:
        """The features (B, C): the mean over all positions, in float32 where the output is in half precision."""
        tensor = self.tensor(output)
        if max(self.batch, self.channels) >= tensor.dim():
            raise UsageError(
                f"a layer returned shape {tuple(tensor.shape)}, which has no axis {max(self.batch, self.channels)}"
            )
        if tensor.dtype in (torch.float16, torch.bfloat16):
            tensor = tensor.float()
        positions = [axis for axis in range(tensor.dim()) if axis not in (self.batch, self.channels)]
        pooled = tensor.mean(positions) if positions else tensor
        return pooled.T if self.batch > self.channels else pooled


def tensors_in(output: Any, path: Path = ()) -> Iterator[tuple[Path, Tensor]]:
    """Every tensor in tuples, lists, mappings and dataclasses, with the keys that lead to it.

    Example:
        >>> [path for path, _ in tensors_in({"maps": torch.zeros(1), "more": (None, torch.zeros(2))})]
        [('maps',), ('more', 1)]
    """
    if isinstance(output, torch.Tensor):
        yield path, output
    elif isinstance(output, Mapping):
        for key, value in output.items():
            yield from tensors_in(value, (*path, key))
    elif isinstance(output, tuple | list):
        for position, value in enumerate(output):
            yield from tensors_in(value, (*path, position))
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        for field in dataclasses.fields(output):
            yield from tensors_in(getattr(output, field.name), (*path, field.name))


def mapped(function: Callable[[Tensor], Any], value: Any) -> Any:
    """The same tuples, lists and mappings with ``function`` applied to each tensor; other values are kept as they are."""
    if isinstance(value, torch.Tensor):
        return function(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(function, part) for part in value))
    if isinstance(value, tuple | list):
        return type(value)(mapped(function, part) for part in value)
    if isinstance(value, dict):
        return {key: mapped(function, part) for key, part in value.items()}
    return value


def detached(value: Any) -> Any:
    """The same without gradients."""
    return mapped(Tensor.detach, value)
