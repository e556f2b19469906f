"""Layer taps: the pooled output of any named module, taken while the network runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError, near_names
from ..layouts import Layout

__all__ = ["LayerTaps", "first_tensor", "pool_features"]


class LayerTaps:
    """Collects the pooled features of named layers during a forward pass.

    A context manager: hooks are there inside it and gone after it. Pooling happens in the hook, so that only ``(B, d)``
    is kept of each layer, and in-place operations further up cannot change what was collected.

    Args:
        module: The network whose layers are tapped.
        names: ``named_modules()`` names of the layers.
        pool: Maps a layer's output to ``(B, d)``, one function or a layout for each name; by default
            :func:`pool_features`, which goes by convention. :meth:`Network.taps` decides it from the network.

    Raises:
        UsageError: a name is not a module of the network.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
        >>> with LayerTaps(net, ["0", "1"]) as taps:
        ...     _ = net(torch.zeros(2, 3, 8, 8))
        >>> {name: tuple(feature.shape) for name, feature in taps.features.items()}
        {'0': (2, 4), '1': (2, 4)}
    """

    def __init__(
        self,
        module: nn.Module,
        names: Sequence[str],
        pool: Callable[[Tensor], Tensor] | Mapping[str, Layout] | None = None,
    ) -> None:
        modules = dict(module.named_modules())
        for name in names:
            if name not in modules:
                raise UsageError(f"the network has no layer {name!r}", remedy=near_names(name, list(modules)))
        self._modules = {name: modules[name] for name in names}
        self._pool = pool or pool_features
        self._handles: list[Any] = []
        self.features: dict[str, Tensor] = {}

    def __enter__(self) -> LayerTaps:
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_hook(self._hook(name)))
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _hook(self, name: str) -> Callable[..., None]:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(self._pool, Mapping):
                self.features[name] = self._pool[name].vector(output)
            else:
                self.features[name] = self._pool(first_tensor(output))

        return keep


def pool_features(output: Tensor, *, channels_last: bool = False) -> Tensor:
    """A layer's output as one vector per image: the mean over positions or tokens, by the convention of its shape.

    ``(B, C, H, W)`` is averaged over H and W (``(B, H, W, C)`` with ``channels_last``); ``(B, T, C)`` over all T tokens,
    the class token included, as in A.2 of the paper; ``(B, C)`` stays.

    Raises:
        UsageError: the output has another number of dimensions.
    """
    layout = {2: Layout(), 3: Layout(0, 2), 4: Layout(0, 3 if channels_last else 1)}.get(output.dim())
    if layout is None:
        raise UsageError(
            f"cannot pool a layer output of shape {tuple(output.shape)}", remedy="tap a layer with 2 to 4 dimensions"
        )
    return layout.vector(output)


def first_tensor(output: Any) -> Tensor:
    """The tensor in a module's output, which may be a tensor or a tuple or list that begins with one."""
    while isinstance(output, tuple | list) and output:
        output = output[0]
    if not isinstance(output, torch.Tensor):
        raise UsageError(f"a layer returned {type(output).__name__}, not a tensor", remedy="tap another layer")
    return output
