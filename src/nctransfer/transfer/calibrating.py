"""The temperature of a finished method: fitted on images that its fit did not see, judged on the test images."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from ..probes import brier_score, calibration_error, chance_error, criterion_terms, fit_temperature, reliability
from ..runs import Calibration, ReliabilityBin

__all__ = ["FEWEST", "Held", "fit_calibration", "judge_calibration", "metric_terms"]

FEWEST = 10
"""Held-out images below which no temperature is fitted."""
_PRIOR = 0.5
# Below T = 1, where the images chose the epoch as well. Such images flatter: networks tuned on digits had 99.7 and 99.0 % of
# 288 of them right and 98.3 and 97.8 % of the test images, and T = 0.62 and 0.66 raised the test log-loss by 50 and 23 %.
_PRIOR_OF_CHOOSERS = 0.1


@dataclasses.dataclass(frozen=True)
class Held:
    """A fit's logits of images that it did not see.

    Attributes:
        classes: For each training, then each validation image, the predicted class; −1 where no fit left the image out.
        calibration: The temperature, not judged yet.
        losses: For each of these images, the log-loss in nats, with the temperature; NaN where there is none.
    """

    classes: Tensor
    calibration: Calibration | None
    losses: Tensor | None = None

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor, names: tuple[str, ...]) -> Held:
        """From logits ``(N, K)``, NaN in the rows of images that no fit left out, and labels ``(N,)``.

        Where there are such rows, one validation split judges, which has chosen the epoch or the strength as well.
        """
        known = torch.isfinite(logits).all(1)
        classes = torch.where(known, torch.nan_to_num(logits).argmax(1), -1)
        calibration = fit_calibration(logits[known], labels[known], names, chose=not bool(known.all()))
        losses = torch.full((len(labels),), torch.nan, dtype=torch.float64)
        cooled = logits[known].double() / (calibration.temperature or 1.0)
        losses[known] = functional.cross_entropy(cooled, labels[known], reduction="none")
        return cls(classes, calibration, losses)


def fit_calibration(logits: Tensor, labels: Tensor, names: tuple[str, ...], *, chose: bool = False) -> Calibration:
    """The temperature of held-out logits ``(N, K)``, or the reason why there is none.

    A prior on ln T (standard deviation 0.5 around 0) keeps a few images from moving it far, and images that are all right
    from making the model infinitely sure; from some hundreds of images on it no longer matters. Images that ``chose`` what
    was kept are easier for it than others: towards T < 1, which makes the model surer, the prior is then 0.1 wide.

    Example:
        >>> fit_calibration(torch.eye(2).repeat(10, 1), torch.zeros(20, dtype=torch.int64), ("cat", "dog")).note
        'all 20 held-out images are of class cat'
    """
    count = len(labels)
    if count < FEWEST:
        why = f"only {count} held-out image{'s' * (count != 1)}, and a temperature needs {FEWEST}"
        return Calibration(temperature=None, images=count, note=why)
    if len(labels.unique()) < 2:
        return Calibration(
            temperature=None, images=count, note=f"all {count} held-out images are of class {names[int(labels[0])]}"
        )
    temperature = fit_temperature(logits, labels, prior=_PRIOR)
    if chose and temperature < 1.0:
        # The prior's two sides meet at T = 1, so the optimum stays on the side that it was on.
        temperature = fit_temperature(logits, labels, prior=_PRIOR_OF_CHOOSERS)
    return Calibration(temperature=temperature, images=count)


def metric_terms(metric: str, logits: Tensor, labels: Tensor) -> Tensor:
    """A run's metric on held-out images, one term an image (see `criterion_terms`); log-loss is that of calibrated logits.

    Example:
        >>> float(metric_terms("accuracy", torch.eye(2), torch.tensor([0, 0])).mean())
        0.5
    """
    losses = None
    if metric == "log_loss":
        names = tuple(str(number) for number in range(logits.shape[1]))
        temperature = fit_calibration(logits, labels, names).temperature or 1.0
        losses = functional.cross_entropy(logits.double() / temperature, labels, reduction="none")
    return criterion_terms(metric, labels, logits.argmax(1), losses)


def judge_calibration(found: Calibration, logits: Tensor, labels: Tensor) -> Calibration:
    """The same with the errors of the test logits ``(N, K)``, raw and divided by the temperature."""
    cooled = logits.double() / (found.temperature or 1.0)
    return found.model_copy(
        update={
            "ece_before": calibration_error(logits, labels),
            "ece_after": calibration_error(cooled, labels),
            "ece_by_chance": chance_error(cooled),
            "brier_before": brier_score(logits, labels),
            "brier_after": brier_score(cooled, labels),
            "bins_before": _bins(logits, labels),
            "bins_after": _bins(cooled, labels),
        }
    )


def _bins(logits: Tensor, labels: Tensor) -> tuple[ReliabilityBin, ...]:
    return tuple(
        ReliabilityBin(images=part.count, confidence=part.confidence, accuracy=part.accuracy)
        for part in reliability(logits, labels)
    )
