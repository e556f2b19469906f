"""Running a network up to a block, or from a block on: what lets a frozen prefix be computed once and cached."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .taps import first_tensor

__all__ = ["Cut"]


class _Reached(Exception):
    """Ends a forward pass at the cut."""


class Cut:
    """A network seen as prefix (all below ``unit``) and suffix (``unit`` and all above it).

    The suffix is the network's own forward with everything that finished before the block began passed over: each
    of those modules hands its input on unchanged. That is exact when the part below the block is a chain of modules. Whether
    it is for this network is not assumed: :meth:`holds` runs both ways and compares, and only then is a cache used.

    Args:
        module: The network, called with one tensor.
        unit: ``named_modules()`` name of the block at which to cut.

    Example:
        >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> cut, x = Cut(net, "2"), torch.randn(5, 3)
        >>> cut.holds(x)
        True
        >>> torch.equal(cut.suffix(cut.prefix(x)), net(x))
        True
    """

    def __init__(self, module: nn.Module, unit: str) -> None:
        self.module = module
        self.unit = module.get_submodule(unit)
        self._passed: list[nn.Module] | None = None

    def prefix(self, inputs: Tensor) -> Tensor:
        """The tensor that enters the block; nothing above it is computed."""
        caught: list[Tensor] = []

        def stop(module: nn.Module, arguments: Any) -> None:
            caught.append(first_tensor(arguments))
            raise _Reached

        handle = self.unit.register_forward_pre_hook(stop)
        try:
            self.module(inputs)
        except _Reached:
            pass
        finally:
            handle.remove()
        return caught[0]

    def suffix(self, inputs: Tensor) -> Tensor:
        """The network's output for the tensor that enters the block."""
        with self._bypass():
            return self.module(inputs)

    @torch.no_grad()
    def holds(self, inputs: Tensor) -> bool:
        """Whether prefix and suffix together give the network's own output on ``inputs``, to rounding."""
        was_training = self.module.training
        self.module.eval()
        try:
            self._passed = self._finished_before(inputs)
            whole = self.module(inputs)
            parts = self.suffix(self.prefix(inputs))
            return parts.shape == whole.shape and torch.allclose(parts, whole, rtol=1e-5, atol=1e-6)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError):
            return False
        finally:
            self.module.train(was_training)

    def _finished_before(self, inputs: Tensor) -> list[nn.Module]:
        """The outermost modules whose forward ends before the block's begins."""
        finished: list[nn.Module] = []
        handles = [
            module.register_forward_hook(lambda module, *_: finished.append(module)) for module in self.module.modules()
        ]
        try:
            self.prefix(inputs)
        finally:
            for handle in handles:
                handle.remove()
        inner = {id(child) for module in finished for child in module.modules() if child is not module}
        return [module for module in finished if id(module) not in inner]

    @contextlib.contextmanager
    def _bypass(self) -> Iterator[None]:
        if self._passed is None:
            raise RuntimeError("call holds(...) before suffix(...)")
        patched: list[tuple[Any, str]] = [(module, "forward") for module in self._passed]
        if hasattr(self.module, "_pos_embed"):  # timm transformers add positions in a method, not a module
            patched.append((self.module, "_pos_embed"))
        for owner, name in patched:
            owner.__dict__[name] = _hand_on
        try:
            yield
        finally:
            for owner, name in patched:
                del owner.__dict__[name]


def _hand_on(inputs: Tensor, *_: Any, **__: Any) -> Tensor:
    return inputs
