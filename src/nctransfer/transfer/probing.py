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
from ..models import PENULTIMATE
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

__all__ = ["FOLDS", "MOST_FOLDED", "Likeness", "Probing", "folds_of", "validation_was_given"]

FOLDS = 5
_APART = 2.0
"""Standard errors by which the validation images must be the harder ones to judge apart."""
MOST_FOLDED = 2_000
"""Training and validation images up to which the choice goes by cross-validation."""


def folds_of(bundle: DataBundle, seed: int, *, apart: bool = False) -> tuple[Tensor, str]:
    """The fold in which each training image, then each validation image, is held out, and why so, in a sentence.

    The validation images are fold 0. Of at most `MOST_FOLDED` images together, the training images are spread over four
    more folds, unless the validation images are to judge ``apart``.

    Example:
        >>> from nctransfer.data import open_dataset
        >>> folds, why = folds_of(open_dataset("digits", limit=200, check=False), seed=0)
        >>> folds.bincount().tolist(), why[:31]
        ([40, 40, 40, 40, 40], '5-fold cross-validation on 200 ')
    """
    num_train, num_validation = len(bundle.train), len(bundle.validation)
    if apart or num_train + num_validation > MOST_FOLDED or int(bundle.train.counts().max()) < 2:
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


@dataclasses.dataclass(frozen=True)
class Likeness:
    """Whether a given validation split is like the training images: the penultimate probe on both, cross-validated.

    Validation images of other people or other days are harder for a probe that did not see their like. Folds over both
    splits would then judge by training images that have their like among those trained on.

    Attributes:
        validation, validation_images: Accuracy on the validation images, and their number.
        train, train_images: The same of the training images, each by a fit that did not see it.
        probe: The probe, by folds over both.

    Example:
        >>> Likeness(0.60, 80, 0.80, 720, None).differs, Likeness(0.75, 80, 0.80, 720, None).differs
        (True, False)
    """

    validation: float
    validation_images: int
    train: float
    train_images: int
    probe: CrossValidated

    @property
    def differs(self) -> bool:
        """Whether the validation images are harder than the training images by more than two standard errors."""
        count = self.validation_images + self.train_images
        both = (self.validation * self.validation_images + self.train * self.train_images) / count
        error = (both * (1.0 - both) * (1.0 / self.validation_images + 1.0 / self.train_images)) ** 0.5
        return self.train - self.validation > _APART * error

    @property
    def words(self) -> str:
        """The comparison and its consequence, in a sentence."""
        seen = (
            f"the penultimate probe is right on {self.validation:.1%} of the {self.validation_images} validation images "
            f"that were given, and on {self.train:.1%} of training images that it did not see"
        )
        if self.differs:
            return f"{seen}: they differ, so validation images alone judge"
        return (
            f"{seen}: they are alike, so methods are judged and the winner is trained on both (--keep-validation keeps "
            "them apart)"
        )


def validation_was_given(bundle: DataBundle) -> bool:
    """Whether the validation split came with the data, and was not drawn from its training images."""
    return "validation" not in (bundle.report.get("source") or {}).get("drawn", ())


@dataclasses.dataclass
class Probing:
    """Probes of frozen features, fitted when they are first asked for.

    Args:
        bundle: The data.
        train, validation: Features of the two splits, by layer.
        seed: Of the folds.
        balance: How classes of unequal size are made up for.
        keep_validation: Whether a validation split that was given judges alone.
        time_for: Asked before each probe of a layer below the last, with key, words and expected seconds.
    """

    bundle: DataBundle
    train: LayerFeatures
    validation: LayerFeatures
    seed: int
    time_for: Callable[[str, str, Callable[[], float]], bool] = lambda key, what, seconds: True
    balance: FitBalance = "none"
    keep_validation: bool = dataclasses.field(default=False, kw_only=True)

    @cached_property
    def _folds(self) -> tuple[Tensor, str]:
        given = validation_was_given(self.bundle)
        folds, why = folds_of(self.bundle, self.seed, apart=given and self.keep_validation)
        if given and int(folds.max()) > 0 and (self.likeness is None or self.likeness.differs):
            return folds_of(self.bundle, self.seed, apart=True)
        return folds, why

    @cached_property
    def likeness(self) -> Likeness | None:
        """How a given validation split compares with the training images; None where nothing is asked, or can be."""
        folds, _ = folds_of(self.bundle, self.seed, apart=self.keep_validation)
        if not validation_was_given(self.bundle) or int(folds.max()) == 0 or PENULTIMATE not in self._usable[0]:
            return None
        if len(self.validation.labels.unique()) < 2:  # how hard one class is says nothing of the others
            return None
        found = self._cross_validate(PENULTIMATE, folds)
        right = (found.held_logits.argmax(1) == self.labels).double()
        validation, train = right[folds == 0], right[folds > 0]
        return Likeness(float(validation.mean()), len(validation), float(train.mean()), len(train), found)

    def _cross_validate(self, name: str, folds: Tensor) -> CrossValidated:
        return probe_layers(
            {name: self._usable[0][name]},
            self.labels,
            folds,
            num_classes=len(self.bundle.class_names),
            refit=int(folds.max()) > 0,
            balance=self.balance,
        )[name]

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
        for place, name in enumerate(reversed(usable)):
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
            seen = self.likeness if self.folded and name == PENULTIMATE else None
            found[name] = self._cross_validate(name, self.folds) if seen is None else seen.probe
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
