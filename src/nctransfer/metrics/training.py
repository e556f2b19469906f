"""Watching collapse while a network trains: a torchmetrics Metric, a Lightning callback, and one for a plain loop.

torchmetrics and Lightning are extras; each class is made when it is first asked for, so that neither is needed
otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import DataError, NCTransferError, SetupError
from ..layouts import Layout, Undecided, choose_path, detached, layout_from_call, tensors_in
from .statistics import ClassStatistics
from .streamed import streamed_numbers

__all__ = ["CollapseLogger", "collapse_callback", "collapse_metric"]

if TYPE_CHECKING:
    from torchmetrics import Metric


class CollapseLogger:
    """Collapse of several layers over an epoch of anyone's training loop, from one forward pass a batch.

    Give it the layers' outputs, however they were caught, with the labels; at the end of the epoch it returns a flat
    dictionary of numbers, and forgets them. Outputs with more than two axes are averaged over positions. A bare tensor
    does not say which of its axes those are, so without ``layouts`` it is read as (B, C, H, W) or (B, T, C);
    :func:`collapse_callback` has the network and decides by it.

    Args:
        num_classes: Number of classes.
        scatter: Whether to keep what NC1 and VCI need, a D×D matrix a layer.
        precise: Products in float64 whatever the features' type.
        layouts: Layer name to layout, one letter per axis with ``B`` for images and ``C`` for channels: ``"BHWC"``, ``"TBC"``.

    Example:
        >>> import torch
        >>> logger = CollapseLogger(num_classes=2, scatter=False)
        >>> logger.update({"head": torch.tensor([[1.0], [3.0], [-1.0], [-3.0]])}, torch.tensor([0, 0, 1, 1]))
        >>> logger.compute()["head/cdnv"]
        0.0625
    """

    def __init__(
        self,
        num_classes: int,
        *,
        scatter: bool = True,
        precise: bool = False,
        layouts: Mapping[str, str] | None = None,
    ) -> None:
        self.num_classes, self.scatter, self.precise = num_classes, scatter, precise
        self.layouts = {name: Layout.parse(letters) for name, letters in (layouts or {}).items()}
        self.statistics: dict[str, ClassStatistics] = {}

    def update(self, layers: Mapping[str, Any], labels: Tensor) -> None:
        """Take in one batch: the output of each layer, a tensor or something that holds one, and labels (B,).

        Raises:
            DataError: an output holds no tensor, or several that could be meant, or is not of as many images as labels.
        """
        for name, output in layers.items():
            features = self._vector(name, output, len(labels)).detach()
            if name not in self.statistics:
                self.statistics[name] = ClassStatistics(
                    self.num_classes,
                    features.shape[1],
                    scatter=self.scatter,
                    device=features.device,
                    precise=self.precise,
                )
            self.statistics[name].update(features, labels)

    def _vector(self, name: str, output: Any, num_images: int) -> Tensor:
        try:
            layout = self.layouts.get(name)
            if layout is None or (not layout.path and not isinstance(output, Tensor)):
                layout = by_convention(output, num_images, layout)
            features = layout.vector(output)
        except (Undecided, NCTransferError) as reason:
            raise DataError(
                f"the output of {name!r} cannot be read: {reason}",
                where="layers",
                remedy="hand over its tensor, or say how its axes lie: layouts={name: 'BCHW'}",
            ) from reason
        if len(features) != num_images:
            raise DataError(
                f"the output of {name!r} is of {len(features)} images, the labels of {num_images}",
                where="layers",
                remedy="say which axis is the batch: layouts={name: 'TBC'}",
            )
        return features if features.dtype == torch.float64 else features.float()

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


def by_convention(output: Any, num_images: int, known: Layout | None = None) -> Layout:
    """The layout of a bare output: its one tensor of as many images, read as (B, C, H, W) or (B, T, C)."""
    shapes = {path: tuple(tensor.shape) for path, tensor in tensors_in(output)}
    fits = {path: 0 for path, shape in shapes.items() if 2 <= len(shape) <= 4 and num_images in shape[:2]}
    if not fits and len(shapes) == 1:
        path, shape = next(iter(shapes.items()))
        if not 2 <= len(shape) <= 4:
            raise Undecided(f"it must have 2, 3 or 4 axes, got {len(shape)}")
        fits = {path: 0}
    path = choose_path(shapes, fits)
    if known is not None:
        return Layout(known.batch, known.channels, path)
    return Layout(0, 2 if len(shapes[path]) == 3 else 1, path)


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
    num_classes: int,
    layers: Iterable[str],
    labels_of: Callable[[Any], Tensor] | None = None,
    *,
    scatter: bool = True,
    layouts: Mapping[str, str] | None = None,
) -> Any:
    """A Lightning callback that logs the collapse of named modules of the network at the end of each training epoch.

    Where the channels lie in a module's output is decided from the module and its weights, at the first batch.

    Args:
        num_classes: Number of classes.
        layers: Names of modules as in ``named_modules()`` of the LightningModule.
        labels_of: How to get labels from a batch; by default ``batch[1]``.
        scatter: Whether to keep what NC1 and VCI need, a D×D matrix a layer.
        layouts: Layer name to layout (``"BHWC"``, ``"TBC"``), where it cannot be decided.

    Raises:
        SetupError: Lightning is not installed.
    """
    try:
        from lightning.pytorch import Callback
    except ImportError as error:
        raise SetupError("Lightning is not installed", remedy="pip install 'nctransfer[lightning]'") from error
    watcher = LayerWatcher(num_classes, layers, scatter=scatter, layouts=layouts)

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
    """Catches the outputs of named modules during a forward pass, to be taken with the labels after it.

    Args:
        num_classes: Number of classes.
        layers: Names of modules as in ``named_modules()``.
        scatter: Whether to keep what NC1 and VCI need.
        layouts: Layer name to layout, where it cannot be decided from the module.
    """

    def __init__(
        self,
        num_classes: int,
        layers: Iterable[str],
        *,
        scatter: bool = True,
        layouts: Mapping[str, str] | None = None,
    ) -> None:
        self.layers = tuple(layers)
        self.logger = CollapseLogger(num_classes, scatter=scatter, layouts=layouts)
        self.caught: dict[str, Any] = {}
        self.handles: list[Any] = []
        self._calls: dict[str, tuple[_Call, _Call | None]] = {}
        self._weighted: _Call | None = None

    def attach(self, network: nn.Module) -> None:
        """Start catching.

        Raises:
            DataError: the network has no module of a given name.
        """
        modules = dict(network.named_modules())
        for name in self.layers:
            if name not in modules:
                raise DataError(f"the network has no module {name!r}", where="layers", remedy="see named_modules()")
        if any(name not in self.logger.layouts for name in self.layers):
            for module in modules.values():
                if not list(module.children()) and list(module.parameters(recurse=False)):
                    self.handles.append(module.register_forward_hook(self._remember, with_kwargs=True))
        for name in self.layers:
            self.handles.append(modules[name].register_forward_hook(self._hook(name), with_kwargs=True))

    def take(self, labels: Tensor) -> None:
        """Take in what the last forward pass left.

        Raises:
            DataError: where the channels lie in an output cannot be told; the module is named.
        """
        for name, call in self._calls.items():
            if name not in self.logger.layouts:
                self.logger.layouts[name] = _layout(name, *call, len(labels))
        self._calls, self._weighted = {}, None
        self.logger.update(self.caught, labels)
        self.caught = {}

    def drop(self) -> None:
        """Forget what the last forward pass left."""
        self._calls, self._weighted, self.caught = {}, None, {}

    def detach(self) -> None:
        """Stop catching."""
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def _hook(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, keywords: Any, output: Any) -> None:
            self.caught[name] = detached(output)
            if name not in self.logger.layouts:
                self._calls[name] = ((module, detached(inputs), detached(keywords), self.caught[name]), self._weighted)

        return hook

    def _remember(self, module: nn.Module, inputs: Any, keywords: Any, output: Any) -> None:
        if any(name not in self.logger.layouts for name in self.layers):
            self._weighted = (module, detached(inputs), detached(keywords), detached(output))


_Call = tuple[nn.Module, Any, Any, Any]


def _layout(name: str, call: _Call, before: _Call | None, num_images: int) -> Layout:
    """The layout of a watched module's output: by its own weights, or by those before it where it has none."""
    try:
        return layout_from_call(*call, num_images)
    except Undecided as reason:
        if before is not None and not any(True for _ in call[0].parameters()):
            try:
                earlier = layout_from_call(*before, num_images)
                layout = dataclasses.replace(earlier, path=by_convention(call[3], num_images).path)
                own, other = layout.tensor(call[3]), earlier.tensor(before[3])
                if own.dim() == other.dim() and own.shape[layout.channels] == other.shape[layout.channels]:
                    return layout
            except Undecided:
                pass
        raise DataError(
            f"the output of {name!r} cannot be read: {reason}",
            where="layers",
            remedy="watch another module, or say how its axes lie: layouts={name: 'BCHW'}",
        ) from reason
