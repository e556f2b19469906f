"""Watching collapse while a network trains: a torchmetrics Metric, a Lightning callback, and one for a plain loop.

torchmetrics and Lightning are extras; each class is made when it is first asked for, so that neither is needed
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import DataError, SetupError
from .statistics import ClassStatistics
from .streamed import streamed_numbers

__all__ = ["CollapseLogger", "collapse_callback", "collapse_metric"]

if TYPE_CHECKING:
    from torchmetrics import Metric


class CollapseLogger:
    """Collapse of several layers over an epoch of anyone's training loop, from one forward pass a batch.

    Give it the layers' outputs, however they were caught, with the labels; at the end of the epoch it returns a flat
    dictionary of numbers, and forgets them. Outputs with more than two axes are averaged over all but batch and
    channels (B, C, H, W) or tokens (B, T, C).

    Args:
        num_classes: Number of classes.
        scatter: Whether to keep what NC1 and VCI need, a D×D matrix a layer.
        precise: Products in float64 whatever the features' type.

    Example:
        >>> import torch
        >>> logger = CollapseLogger(num_classes=2, scatter=False)
        >>> logger.update({"head": torch.tensor([[1.0], [3.0], [-1.0], [-3.0]])}, torch.tensor([0, 0, 1, 1]))
        >>> logger.compute()["head/cdnv"]
        0.0625
    """

    def __init__(self, num_classes: int, *, scatter: bool = True, precise: bool = False) -> None:
        self.num_classes, self.scatter, self.precise = num_classes, scatter, precise
        self.statistics: dict[str, ClassStatistics] = {}

    def update(self, layers: Mapping[str, Tensor], labels: Tensor) -> None:
        """Take in one batch: features of each layer, and labels (B,)."""
        for name, output in layers.items():
            features = pooled(output.detach())
            if name not in self.statistics:
                self.statistics[name] = ClassStatistics(
                    self.num_classes,
                    features.shape[1],
                    scatter=self.scatter,
                    device=features.device,
                    precise=self.precise,
                )
            self.statistics[name].update(features, labels)

    def compute(self, *, distributed: bool = False) -> dict[str, float]:
        """The defined numbers, named ``layer/metric``, over all processes if ``distributed``; then forget them.

        With ``distributed`` every process must have seen the same layers.
        """
        numbers: dict[str, float] = {}
        for name, statistics in self.statistics.items():
            if distributed:
                statistics.all_reduce()
            for metric, value in streamed_numbers(statistics).items():
                numbers[f"{name}/{metric}"] = value
        self.reset()
        return numbers

    def reset(self) -> None:
        """Forget what was seen."""
        self.statistics.clear()


def pooled(output: Tensor) -> Tensor:
    """A layer's output as features (B, D): maps (B, C, H, W) and tokens (B, T, C) are averaged."""
    if output.ndim == 4:
        return output.float().mean((2, 3)) if output.dtype != torch.float64 else output.mean((2, 3))
    if output.ndim == 3:
        return output.float().mean(1) if output.dtype != torch.float64 else output.mean(1)
    if output.ndim != 2:
        raise DataError(f"a layer's output must have 2, 3 or 4 axes, got {output.ndim}", where="CollapseLogger")
    return output


def collapse_metric(num_classes: int, dim: int, *, scatter: bool = True, **arguments: Any) -> Metric:
    """A ``torchmetrics.Metric`` whose ``update`` takes features (B, D) and labels (B,) and whose ``compute`` is a
    dictionary.

    It logs, resets and syncs as any other: processes may hold unequal shards or none. States are gathered and
    merged about their means rather than summed, so that no digit is lost; ``.half()`` and autocast do not touch them.

    Args:
        num_classes: Number of classes.
        dim: Feature dimension.
        scatter: Whether to keep what NC1 and VCI need, a D×D matrix.
        arguments: Passed to ``torchmetrics.Metric``.

    Raises:
        SetupError: torchmetrics is not installed.
    """
    try:
        from ._torchmetrics import CollapseMetric
    except ImportError as error:
        raise SetupError("torchmetrics is not installed", remedy="pip install 'nctransfer[torchmetrics]'") from error
    return CollapseMetric(num_classes, dim, scatter=scatter, **arguments)


def collapse_callback(
    num_classes: int, layers: Iterable[str], labels_of: Callable[[Any], Tensor] | None = None, *, scatter: bool = True
) -> Any:
    """A Lightning callback that logs the collapse of named modules of the network at the end of each training epoch.

    Args:
        num_classes: Number of classes.
        layers: Names of modules as in ``named_modules()`` of the LightningModule.
        labels_of: How to get labels from a batch; by default ``batch[1]``.
        scatter: Whether to keep what NC1 and VCI need, a D×D matrix a layer.

    Raises:
        SetupError: Lightning is not installed.
    """
    try:
        from lightning.pytorch import Callback
    except ImportError as error:
        raise SetupError("Lightning is not installed", remedy="pip install 'nctransfer[lightning]'") from error
    watcher = LayerWatcher(num_classes, layers, scatter=scatter)

    class CollapseCallback(Callback):
        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            watcher.attach(pl_module)

        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            watcher.take(batch[1] if labels_of is None else labels_of(batch))

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            watcher.detach()
            numbers = watcher.logger.compute(distributed=trainer.world_size > 1)
            pl_module.log_dict({f"collapse/{name}": value for name, value in numbers.items()})

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            watcher.detach()

    return CollapseCallback()


class LayerWatcher:
    """Catches the outputs of named modules during a forward pass, to be taken with the labels after it."""

    def __init__(self, num_classes: int, layers: Iterable[str], *, scatter: bool = True) -> None:
        self.layers, self.logger = tuple(layers), CollapseLogger(num_classes, scatter=scatter)
        self.caught: dict[str, Tensor] = {}
        self.handles: list[Any] = []

    def attach(self, network: nn.Module) -> None:
        """Start catching.

        Raises:
            DataError: the network has no module of a given name.
        """
        modules = dict(network.named_modules())
        for name in self.layers:
            if name not in modules:
                raise DataError(f"the network has no module {name!r}", where="layers", remedy="see named_modules()")
        for name in self.layers:
            self.handles.append(modules[name].register_forward_hook(self._hook(name)))

    def take(self, labels: Tensor) -> None:
        """Take in what the last forward pass left."""
        self.logger.update(self.caught, labels)
        self.caught = {}

    def detach(self) -> None:
        """Stop catching."""
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def _hook(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self.caught[name] = output.detach()

        return hook
