"""The deep probe: one linear head over the features of every layer, each layer trusted as its own probe earns it.

Legend: ``features`` maps layers to ``(N, D_l)``, ``labels (N,)``, ``folds (N,)``.

First every layer gets a cross-validated probe of its own. Then one head is fitted over all of them side by side, with the
L2 penalty of layer l at

    λ_l = λ · (D_l / D̄) · exp((loss_l − min loss) / T),    T = 0.3 nats,

where loss_l is the held-out log-loss of the layer's own probe, D_l its width and D̄ a mean that keeps the total variance
of the scaled columns at their number. So a wide layer counts no more than a narrow one, a layer that reads the labels
badly is held down, and a single strength λ is left to cross-validation. `benchmarks/deep_forms.py` compares this form
with its rivals (one strength for all, strengths by NC1, group lasso, mean log-probability, stacking).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DataError
from .balance import FitBalance
from .cross_validation import CrossValidated, cross_validate

__all__ = ["DeepProbe", "fit_deep", "probe_layers", "trust_scales", "usable_layers"]

_TEMPERATURE = 0.3
_LEAST_TRUST = 1e-4

Features = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class DeepProbe:
    """A head over several layers, with the probes of the single layers that its strengths come from.

    Args:
        joint: The head over all usable layers and its held-out numbers.
        layers: The probe of each usable layer alone.
        left_out: Layers that could not be used, each with the reason.
    """

    joint: CrossValidated
    layers: dict[str, CrossValidated]
    left_out: dict[str, str]


def fit_deep(
    features: Features,
    labels: Tensor,
    folds: Tensor,
    *,
    num_classes: int,
    probes: Mapping[str, CrossValidated] | None = None,
    tolerance: float = 1e-5,
    refit: bool = True,
    balance: FitBalance = "none",
) -> DeepProbe:
    """Fit the probe of each layer and the head over all of them.

    Args:
        features: Layer to ``(N, D_l)``. Layers with NaN, infinity or nothing but constants are left out and named.
        labels: Integers in ``[0, num_classes)``, shape ``(N,)``.
        folds: Fold in which each row is held out, shape ``(N,)``; −1: in none (see `assign_folds`).
        num_classes: K.
        probes: The single layers' probes on the same rows and folds, where they are there already.
        tolerance: Largest relative gap of each head that is handed out.
        refit: Whether heads are fitted on all rows; see `cross_validate`.
        balance: How classes of unequal size are made up for; see `cross_validate`.

    Raises:
        DataError: no layer can be used; and as `cross_validate`.

    Example:
        >>> from nctransfer.probes import assign_folds
        >>> generator = torch.Generator().manual_seed(0)
        >>> labels = torch.arange(90) % 3
        >>> good = torch.randn(90, 4, generator=generator) + 2 * torch.nn.functional.one_hot(labels, 4)
        >>> noise, dead = torch.randn(90, 8, generator=generator), torch.ones(90, 2)
        >>> found = fit_deep({"a": noise, "b": good, "c": dead}, labels, assign_folds(labels), num_classes=3)
        >>> found.joint.head.layers, found.left_out
        (('a', 'b'), {'c': 'all of its features are constant'})
        >>> shares = found.joint.head.shares({"a": noise, "b": good})
        >>> shares["b"] > 0.8
        True
    """
    usable, left_out = usable_layers(features)
    if probes is None:
        probes = probe_layers(
            usable, labels, folds, num_classes=num_classes, tolerance=tolerance, refit=refit, balance=balance
        )
    single = {name: probes[name] for name in usable}
    if len(usable) == 1:
        # One layer's strength has been chosen already; a second search would only choose among more numbers.
        return DeepProbe(next(iter(single.values())), single, left_out)
    scales = trust_scales(
        {name: found.log_loss for name, found in single.items()},
        {name: values.shape[1] for name, values in usable.items()},
    )
    joint = cross_validate(
        usable,
        labels,
        folds,
        num_classes=num_classes,
        scales=scales,
        tolerance=tolerance,
        refit=refit,
        balance=balance,
    )
    return DeepProbe(joint, single, left_out)


def probe_layers(
    features: Features,
    labels: Tensor,
    folds: Tensor,
    *,
    num_classes: int,
    tolerance: float = 1e-5,
    refit: bool = True,
    balance: FitBalance = "none",
) -> dict[str, CrossValidated]:
    """The cross-validated probe of each layer alone; arguments as for `fit_deep`, layers all usable."""
    return {
        name: cross_validate(
            {name: values},
            labels,
            folds,
            num_classes=num_classes,
            tolerance=tolerance,
            refit=refit,
            balance=balance,
        )
        for name, values in features.items()
    }


def trust_scales(losses: Mapping[str, float], widths: Mapping[str, int]) -> dict[str, float]:
    """s_l of each layer, from the held-out log-loss of its probe and its width: λ_l = λ / s_l².

    Example:
        >>> scales = trust_scales({"a": 0.5, "b": 0.5, "c": 0.8}, {"a": 4, "b": 16, "c": 4})
        >>> round(scales["a"] / scales["b"], 3), round(scales["a"] / scales["c"], 3)
        (2.0, 1.649)
    """
    best = min(losses.values())
    squares = {
        name: max(math.exp(-(loss - best) / _TEMPERATURE), _LEAST_TRUST) / widths[name] for name, loss in losses.items()
    }
    factor = sum(widths.values()) / sum(squares[name] * widths[name] for name in squares)
    return {name: math.sqrt(square * factor) for name, square in squares.items()}


def usable_layers(features: Features) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The layers that a probe can use, and of the others the reason.

    Raises:
        DataError: no layer is usable; the reasons are given.
    """
    usable: dict[str, Tensor] = {}
    left_out: dict[str, str] = {}
    for name, values in features.items():
        bad = ~torch.isfinite(values).all(1)
        if bool(bad.any()):
            left_out[name] = f"{int(bad.sum())} of {len(values)} images have features that are NaN or infinite"
        elif bool((values == values[:1]).all()):
            left_out[name] = "all of its features are constant"
        else:
            usable[name] = values
    if not usable:
        raise DataError(
            "no layer has features that a probe can use: "
            + "; ".join(f"{name}: {reason}" for name, reason in left_out.items()),
            where="deep probe",
            remedy="check the network's weights and its input size",
        )
    return usable, left_out
