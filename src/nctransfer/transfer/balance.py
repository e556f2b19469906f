"""How a run makes up for classes of unequal size: what was asked for, or what ``auto`` makes of the counts.

``weights`` multiplies losses, ``sampler`` draws every class equally often, ``logit-adjust`` adds the logarithm of the prior to
the logits of the loss (Menon et al., ICLR 2021, τ = 1) and leaves it out of the logits that are used. A classifier that is fitted
in closed form sees a sampler's expected loss, which is that of the weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    from ..probes import FitBalance

__all__ = ["LEAST_RATIO", "Balancing", "decide_balance"]

LEAST_RATIO = 3.0
"""Size of the largest class over that of the smallest, above which ``auto`` balances."""
_BEST = {"balanced_accuracy": "logit-adjust", "macro_f1": "weights"}
"""By metric what `benchmarks/balance.py` found best; a metric that counts every image the same is served by none of them."""
_WORDS = {
    "weights": "the loss of each image is weighted so that every class counts the same",
    "sampler": "every class is drawn equally often",
    "logit-adjust": "the logarithm of each class's share is added to the logits while training, and left out afterwards",
}


@dataclasses.dataclass(frozen=True)
class Balancing:
    """How a run treats classes of unequal size.

    Attributes:
        kind: ``none``, ``weights``, ``sampler`` or ``logit-adjust``.
        why: Why so, in words.
        ratio: Images of the largest class over those of the smallest, in the training split; None where one has none.
    """

    kind: str = "none"
    why: str = ""
    ratio: float | None = None

    @property
    def fit(self) -> FitBalance:
        """How classifiers that are fitted in closed form are balanced."""
        return {"weights": "weights", "sampler": "weights", "logit-adjust": "logit-adjust"}.get(self.kind, "none")  # type: ignore[return-value]

    @property
    def words(self) -> str:
        """The treatment in words, for the middle of a sentence; empty for ``none``."""
        return _WORDS.get(self.kind, "")


def decide_balance(asked: str, metric: str, counts: np.ndarray, names: Sequence[str]) -> Balancing:
    """The treatment asked for; ``auto`` balances if the metric counts classes alike and sizes differ by over `LEAST_RATIO`.

    Args:
        asked: ``auto``, ``none``, ``weights``, ``sampler`` or ``logit-adjust``.
        metric: By which the run chooses.
        counts: Training images of each class, shape ``(K,)``.
        names: Of the classes.

    Raises:
        DataError: a class without training images, which can be given neither a weight nor a prior.

    Example:
        >>> decide_balance("auto", "macro_f1", np.array([90, 9]), ["cat", "dog"]).kind
        'weights'
        >>> decide_balance("auto", "accuracy", np.array([90, 9]), ["cat", "dog"]).why
        'the metric is accuracy, which counts every image the same'
    """
    least = int(counts.min())
    ratio = float(counts.max()) / least if least else None
    if asked == "none":
        return Balancing("none", "asked for", ratio)
    absent = [str(names[index]) for index in np.flatnonzero(counts == 0).tolist()]
    if asked != "auto":
        if absent:
            listed = ", ".join(repr(name) for name in absent[:5]) + (" and more" if len(absent) > 5 else "")
            raise DataError(
                f"--balance {asked} weighs each class by its training images, and {listed} has none",
                where="the training images",
                remedy="add training images of it, remove the class, or use --balance none",
            )
        return Balancing(asked, "asked for", ratio)
    metric_words = metric.replace("_", " ").replace("f1", "F1").replace("log loss", "log-loss")
    if metric not in _BEST:
        return Balancing("none", f"the metric is {metric_words}, which counts every image the same", ratio)
    if ratio is None:
        return Balancing("none", f"{absent[0]!r} has no training image, so classes cannot be balanced")
    much = f"the largest class has {ratio:.3g} times the training images of the smallest"
    if ratio <= LEAST_RATIO:
        return Balancing("none", f"{much}, no more than {LEAST_RATIO:g} times", ratio)
    return Balancing(_BEST[metric], f"the metric is {metric_words}, and {much}", ratio)
