"""A callback for the ``Trainer`` of transformers that logs the collapse of layers. transformers is an extra."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from ..errors import DataError, SetupError
from .training import LayerWatcher

__all__ = ["collapse_trainer_callback"]


def collapse_trainer_callback(
    num_classes: int,
    layers: Iterable[str],
    labels_of: Callable[[Mapping[str, Any]], Tensor] | None = None,
    *,
    scatter: bool = True,
    layouts: Mapping[str, str] | None = None,
) -> Any:
    """A ``transformers.TrainerCallback`` that logs the collapse of named modules at the end of each training epoch.

    The numbers, named ``collapse/LAYER/METRIC``, go to ``state.log_history``; after ``callback.log = trainer.log`` they
    reach the trainer's other reporters (TensorBoard, W&B) as well. They are those of the training batches as the network
    saw them, in training mode; batches of an evaluation are left out.

    Args:
        num_classes: Number of classes.
        layers: Names of modules as in ``named_modules()`` of the model.
        labels_of: How to get labels from the keywords of the model's ``forward``; by default ``labels``.
        scatter: Whether to keep what NC1 and VCI need, a D×D matrix a layer.
        layouts: Layer name to layout (``"BHWC"``, ``"TBC"``), where it cannot be decided.

    Raises:
        SetupError: transformers is not installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise SetupError("transformers is not installed", remedy="pip install 'nctransfer[transformers]'") from error
    watcher = LayerWatcher(num_classes, layers, scatter=scatter, layouts=layouts)

    class CollapseTrainerCallback(TrainerCallback):
        """Catches layers during the forward passes of training."""

        log: Callable[[dict[str, float]], None] | None = None

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            model: nn.Module = rest["model"]
            watcher.detach()  # an epoch that an exception ended left its hooks behind
            watcher.attach(model)
            watcher.handles.append(model.register_forward_hook(self._take, with_kwargs=True))

        def on_epoch_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            watcher.detach()
            found = watcher.logger.compute(distributed=args.world_size > 1)
            numbers = {f"collapse/{name}": float(value) for name, value in found.items()}
            if self.log is not None:
                self.log(numbers)
            else:
                state.log_history.append({**numbers, "epoch": state.epoch, "step": state.global_step})

        def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            watcher.detach()

        def _take(self, model: nn.Module, inputs: Any, keywords: Mapping[str, Any], output: Any) -> None:
            if not model.training:
                watcher.drop()
                return
            watcher.take(_labels(keywords, labels_of))

    return CollapseTrainerCallback()


def _labels(keywords: Mapping[str, Any], labels_of: Callable[[Mapping[str, Any]], Tensor] | None) -> Tensor:
    labels = keywords.get("labels") if labels_of is None else labels_of(keywords)
    if labels is None:
        raise DataError(
            f"the model's forward got no `labels`, but {', '.join(keywords) or 'no keywords'}",
            where="collapse_trainer_callback",
            remedy="pass labels_of=...",
        )
    return labels
