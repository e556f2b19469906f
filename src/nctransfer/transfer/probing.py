"""The probes of a run: one for each layer and one over all of them, cross-validated on training and validation images."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from ..data import DataBundle
from ..errors import DataError
from ..probes import (
    NEVER_HELD_OUT,
    CrossValidated,
    DeepProbe,
    FitBalance,
    LayeredHead,
    assign_folds,
    fit_deep,
    fit_head,
    held_out_folds,
    probe_layers,
    usable_layers,
)
from .calibrating import metric_terms
from .features import LayerFeatures

__all__ = ["FOLDS", "MOST_FOLDED", "Probing", "folds_of"]

FOLDS = 5
MOST_FOLDED = 2_000
"""Training and validation images up to which the choice goes by cross-validation."""


def folds_of(bundle: DataBundle, seed: int) -> tuple[Tensor, str]:
    """The fold in which each training image, then each validation image, is held out, and why so, in a sentence.

    The validation images are fold 0. Where they were drawn at random from at most `MOST_FOLDED` images, the training
    images are spread over four more folds; a validation split that was given may differ from the training images on
    purpose (other people, other days), so it alone is held out then.

    Example:
        >>> from nctransfer.data import open_dataset
        >>> folds, why = folds_of(open_dataset("digits", limit=200, check=False), seed=0)
        >>> folds.bincount().tolist(), why[:31]
        ([40, 40, 40, 40, 40], '5-fold cross-validation on 200 ')
    """
    num_train, num_validation = len(bundle.train), len(bundle.validation)
    drawn = "validation" in (bundle.report.get("source") or {}).get("drawn", ())
    if not drawn or num_train + num_validation > MOST_FOLDED or int(bundle.train.counts().max()) < 2:
        return held_out_folds(num_train, num_validation), f"{num_validation} validation images"
    try:
        folds = assign_folds(bundle.train.labels, num_folds=FOLDS - 1, seed=seed, groups=bundle.train.groups)
    except DataError:
        if bundle.train.groups is None:
            raise
        return held_out_folds(num_train, num_validation), f"{num_validation} validation images"
    folds = torch.where(folds == NEVER_HELD_OUT, folds, folds + 1)
    count = int(folds.max()) + 1
    why = f"{count}-fold cross-validation on {num_train + num_validation} training and validation images"
    if bundle.train.groups is not None:
        why += ", no group on both sides"
    never = int((folds == NEVER_HELD_OUT).sum())
    if never:
        single = "image" if bundle.train.groups is None else "group"
        why += f" ({never} of classes with one training {single} are trained on in every fold and not judged)"
    return torch.cat([folds, torch.zeros(num_validation, dtype=torch.int64)]), why


@dataclasses.dataclass
class Probing:
    """Probes of frozen features, fitted when they are first asked for.

    Args:
        bundle: The data.
        train, validation: Features of the two splits, by layer.
        seed: Of the folds.
        balance: How classes of unequal size are made up for.
        time_for: Asked before each probe of a layer below the last, with key, words and expected seconds.
    """

    bundle: DataBundle
    train: LayerFeatures
    validation: LayerFeatures
    seed: int
    time_for: Callable[[str, str, Callable[[], float]], bool] = lambda key, what, seconds: True
    balance: FitBalance = "none"

    @cached_property
    def _folds(self) -> tuple[Tensor, str]:
        return folds_of(self.bundle, self.seed)

    @property
    def folds(self) -> Tensor:
        """Fold of each training, then each validation image."""
        return self._folds[0]

    @property
    def why(self) -> str:
        """Which images judge the probes, in words."""
        return self._folds[1]

    @property
    def folded(self) -> bool:
        """Whether training images are held out in turn; the probes are then fitted on validation images, too."""
        return int(self.folds.max()) > 0

    @cached_property
    def labels(self) -> Tensor:
        return torch.cat([self.train.labels, self.validation.labels])

    @cached_property
    def _usable(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        both = {
            name: torch.cat([self.train.features[name], self.validation.features[name]]) for name in self.train.features
        }
        return usable_layers(both)

    @property
    def left_out(self) -> dict[str, str]:
        """Layers that no probe can use, with the reasons."""
        return self._usable[1]

    @cached_property
    def layers(self) -> dict[str, CrossValidated]:
        """The probe of each usable layer, or of the deepest ones where there is no time for all."""
        usable, seconds = self._usable[0], 0.0
        found: dict[str, CrossValidated] = {}
        for place, (name, values) in enumerate(reversed(usable.items())):
            rest = len(usable) - place
            what = (
                f"the probes of the {rest} layers from {next(iter(usable))} to {name}"
                if rest > 1
                else f"the probe of {name}"
            )
            # The largest so far: an earlier layer is seldom the quicker one, for it separates the classes less.
            if place and not self.time_for(f"probe/{name}", what, lambda: seconds):  # noqa: B023
                break
            began = time.perf_counter()
            found |= probe_layers(
                {name: values},
                self.labels,
                self.folds,
                num_classes=len(self.bundle.class_names),
                refit=self.folded,
                balance=self.balance,
            )
            seconds = max(seconds, time.perf_counter() - began)
        return {name: found[name] for name in usable if name in found}

    @cached_property
    def deep(self) -> DeepProbe:
        """The probe over all usable layers."""
        return fit_deep(
            {name: self._usable[0][name] for name in self.layers},
            self.labels,
            self.folds,
            num_classes=len(self.bundle.class_names),
            probes=self.layers,
            refit=self.folded,
            balance=self.balance,
        )

    def cross_validated(self, layer: str | None) -> CrossValidated:
        """The probe of a layer, or of all where None."""
        return self.deep.joint if layer is None else self.layers[layer]

    def head(self, layer: str | None) -> LayeredHead:
        """The head of a layer's probe, or of the one over all."""
        return self.cross_validated(layer).head

    def start_head(self, layer: str | None, *, everything: bool = False) -> LayeredHead:
        """The same head for tuning to start from: fitted on the training images alone, unless validation joins them."""
        found = self.cross_validated(layer)
        if everything == self.folded:
            return found.head  # fitted on these very images already
        rows = slice(None) if everything else slice(len(self.train.labels))
        return fit_head(
            {name: self._usable[0][name][rows] for name in found.head.layers},
            self.labels[rows],
            num_classes=len(self.bundle.class_names),
            strength=found.strength,
            scales=found.scales,
            balance=self.balance,
        )

    def best_layer(self, metric: str = "accuracy") -> str:
        """The layer whose probe is best on held-out images by a criterion; ties go to the smaller held-out log-loss."""
        return max(self.layers, key=lambda name: (self._score(self.layers[name], metric), -self.layers[name].log_loss))

    def _score(self, found: CrossValidated, metric: str) -> float:
        if metric == "accuracy":
            return found.accuracy
        return float(metric_terms(metric, found.held_logits[found.held], self.labels[found.held]).mean())

    def error(self, metric: str = "accuracy") -> float:
        """The deep probe's shortfall on held-out images by a criterion, in [0, 1]; of accuracy for log-loss, which has no end."""
        return 1.0 - self._score(self.deep.joint, "accuracy" if metric == "log_loss" else metric)

    def validation_accuracies(self) -> dict[str, float]:
        """By layer the accuracy of its probe on the validation images, by the fit that did not see them."""
        return {
            name: float((self.validation_logits(found).argmax(1) == self.validation.labels).double().mean())
            for name, found in self.layers.items()
        }

    def validation_logits(self, found: CrossValidated) -> Tensor:
        """Logits of the validation images by the fit that did not see them, ``(M, K)``."""
        return found.held_logits[len(self.train.labels) :]
