"""Linear probe: how well a linear classifier reads the labels off frozen features.

Legend: ``features (N, D)``, ``labels (N,)``, ``weight (K, D)``, ``bias (K,)``, ``strength`` λ of the L2 penalty. A
probe is fitted on standardised features along a path of strengths, strong to weak, and handed out as a plain affine
map of the raw features. The objective, and what ``strength`` means, stand in `softmax_regression`: scikit-learn's
``LogisticRegression(C=1 / (λ N))`` on standardised features, divided by C N.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..arrays import check_finite, check_shape, class_numbers, whole_number
from ..errors import DataError, UsageError
from .balance import FitBalance, check_balance, class_shares, class_weights, log_prior
from .softmax_regression import Fit, SoftmaxRegression
from .standardise import full_precision, standardise

__all__ = ["DEFAULT_STRENGTHS", "ChosenProbe", "LinearProbe", "choose_probe", "fit_probe_path"]

DEFAULT_STRENGTHS = tuple(10.0 ** (-half / 2) for half in range(7))
"""1 to 0.001 in half decades: C of 1/N to 1000/N."""

_CHUNK_ROWS = 4096
_ABSENT_LOGIT = -1e4  # below every present class's best logit, which is never negative: theirs sum to 0
_FLOAT32_TOLERANCE = 1e-6  # below it, float32 products are not tried
_MOST_EXTENSIONS = 4
_SHARE = 0.8  # of the tolerance for the solver; the rest is for rounding

Array = Tensor | np.ndarray
Labels = Array | Sequence[int]


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """An affine map from raw features to logits.

    Args:
        weight: Shape ``(K, D)``, float64; zero for constant features and for classes that training data lack.
        bias: Shape ``(K,)``, float64; −10,000 for classes that training data lack, so that they are never predicted.
        strength: λ of the L2 penalty; scikit-learn's C is 1 / (λ N).
        objective: Mean loss plus penalty at this point, evaluated in float64.
        gap: Certified relative distance from the optimum: (objective − optimum) ≤ gap · objective. Smaller is better.
        iterations: Iterations of the solver at this strength.

    Example:
        >>> probe = LinearProbe(torch.eye(2), torch.zeros(2), strength=1.0, objective=0.5, gap=0.0, iterations=3)
        >>> probe.accuracy(torch.tensor([[2.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 0]))
        0.5
    """

    weight: Tensor
    bias: Tensor
    strength: float
    objective: float
    gap: float
    iterations: int

    def logits(self, features: Array) -> Tensor:
        """Logits of shape ``(N, K)``, float64, for ``features (N, D)``."""
        features = _matrix(features, "features").to(self.weight.device)
        if features.shape[1] != self.weight.shape[1]:
            what = f"`features` must have {self.weight.shape[1]} columns, got {features.shape[1]}"
            raise DataError(
                what, where="linear probe", remedy="pass features of the layer that the probe was fitted on"
            )
        weight, bias = self.weight.double().T, self.bias.double()
        with full_precision(features.device):
            return torch.cat([rows.double() @ weight + bias for rows in features.split(_CHUNK_ROWS)])

    def accuracy(self, features: Array, labels: Labels) -> float:
        """Share of rows whose largest logit is at their label, in [0, 1], larger is better."""
        logits = self.logits(features)
        return _accuracy(logits, _labels(labels, len(logits), len(self.bias), logits.device))


@dataclass(frozen=True, eq=False)
class ChosenProbe:
    """The probe of a path that validation data prefer.

    Args:
        probe: The chosen one.
        val_accuracy: Its accuracy on the validation data, in [0, 1]; with ``balance="weights"`` its balanced accuracy.
        path: One row a strength, strong to weak: ``strength``, ``objective``, ``gap``, ``iterations``,
            ``val_accuracy``, ``val_loss``; with ``balance="logit-adjust"``, those of the fit before ln π is taken off.
    """

    probe: LinearProbe
    val_accuracy: float
    path: tuple[dict[str, float], ...]


def fit_probe_path(
    features: Array,
    labels: Labels,
    *,
    num_classes: int,
    strengths: Sequence[float] | None = None,
    tolerance: float = 1e-5,
    max_iterations: int = 2000,
    balance: FitBalance = "none",
) -> list[LinearProbe]:
    """Multinomial logistic regression at several strengths of the L2 penalty, each to a certified relative gap.

    F(W, b) = (1/N) Σ_i −ln softmax(W z_i + b)[y_i] + (λ/2) ‖W‖², with z the standardised features, the bias free of
    penalty, and for two classes λ ‖W‖² (the penalty on their difference, as in scikit-learn). Columns without variance
    get no weight. Deterministic.

    Args:
        features: Shape ``(N, D)``, on any device. float64 input runs in float64 only if ``tolerance`` is under 1e-6.
        labels: Integers in ``[0, num_classes)``, shape ``(N,)``; at least two different ones. A class may be absent.
        num_classes: K.
        strengths: λ values, all positive; `DEFAULT_STRENGTHS` if None.
        tolerance: Largest relative gap between an objective and its optimum.
        max_iterations: Most iterations of each fit; where they do not suffice, a warning gives the gap.
        balance: How classes of unequal size are made up for: ``none``, ``weights`` (every class counts the same; scikit-learn's
            ``class_weight="balanced"``) or ``logit-adjust`` (the plain fit with ln π taken off the bias; see `balance`).

    Returns:
        One probe a strength, in the order of ``strengths``.

    Raises:
        DataError: NaN or infinity in ``features``, labels out of range, shapes that do not fit, or one class only.
        UsageError: a strength or the tolerance that is not positive, or an unknown balance.

    Example:
        >>> features = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
        >>> path = fit_probe_path(features, torch.tensor([0, 0, 1, 1]), num_classes=2, strengths=[0.1, 0.01])
        >>> [probe.accuracy(features, [0, 0, 1, 1]) for probe in path]
        [1.0, 1.0]
        >>> all(probe.gap <= 1e-5 for probe in path)
        True
    """
    values = _strengths(strengths, tolerance)
    most = whole_number(max_iterations, "max_iterations", 1)
    path = _Path(features, labels, num_classes, tolerance, most, balance)
    ordered = sorted(set(values), reverse=True)
    found = dict(zip(ordered, path.probes(path.fits(ordered)), strict=True))
    return [path.adjusted(found[value]) for value in values]


def choose_probe(
    train_features: Array,
    train_labels: Labels,
    val_features: Array,
    val_labels: Labels,
    num_classes: int,
    strengths: Sequence[float] | None = None,
    extend: bool = True,
    tolerance: float = 1e-5,
    balance: FitBalance = "none",
) -> ChosenProbe:
    """Fit a path on training data and choose by validation accuracy, ties by validation loss.

    Where the best is the strongest or weakest of the path, the path goes on at that end by the ratio of its last two
    strengths, by at most four strengths in all.

    Args:
        train_features: Shape ``(N, D)``.
        train_labels: Shape ``(N,)``.
        val_features: Shape ``(M, D)``.
        val_labels: Shape ``(M,)``.
        num_classes: K.
        strengths: λ values; `DEFAULT_STRENGTHS` if None.
        extend: Whether to go on at an edge.
        tolerance: Largest relative gap of each fit.
        balance: As for `fit_probe_path`. With ``weights``, classes count the same where the strength is chosen, too.

    Raises:
        DataError: see `fit_probe_path`; for either split.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> labels = torch.arange(60) % 3
        >>> features = torch.randn(60, 4, generator=generator) + 2 * torch.nn.functional.one_hot(labels, 4)
        >>> chosen = choose_probe(features[:40], labels[:40], features[40:], labels[40:], 3)
        >>> chosen.val_accuracy > 0.6, len(chosen.path) >= 7
        (True, True)
    """
    ordered = sorted(set(_strengths(strengths, tolerance)), reverse=True)
    val_features = _matrix(val_features, "validation features")
    path = _Path(train_features, train_labels, num_classes, tolerance, balance=balance)
    targets = _labels(val_labels, len(val_features), num_classes, path.device)
    counts = class_shares(targets) if balance == "weights" else None
    fits = path.fits(ordered)
    rows = [_row(probe, val_features, targets, counts) for probe in path.probes(fits)]
    for _ in range(_MOST_EXTENSIONS if extend and len(ordered) > 1 else 0):
        best = _best(rows)
        if best not in (0, len(rows) - 1):
            break
        if best == 0:
            more = path.fits([ordered[0] ** 2 / ordered[1]])
            ordered, fits = [ordered[0] ** 2 / ordered[1], *ordered], more + fits
            rows = [_row(path.probes(more)[0], val_features, targets, counts), *rows]
        else:
            ordered = [*ordered, ordered[-1] ** 2 / ordered[-2]]
            more = path.fits(ordered[-1:], fits[-1])
            fits = fits + more
            rows = [*rows, _row(path.probes(more)[0], val_features, targets, counts)]
    best = _best(rows)
    probe, table = path.adjusted(rows[best][0]), tuple(row for _, row in rows)
    accuracy = table[best]["val_accuracy"] if path.prior is None else probe.accuracy(val_features, targets)
    return ChosenProbe(probe, accuracy, table)


class _Path:
    """One data set made ready for any number of strengths."""

    def __init__(
        self,
        features: Array,
        labels: Labels,
        num_classes: int,
        tolerance: float,
        max_iterations: int = 2000,
        balance: FitBalance = "none",
    ) -> None:
        check_balance(balance)
        self.raw = _matrix(features, "features")
        self.device = self.raw.device
        self.labels = _labels(labels, len(self.raw), num_classes, self.device)
        self.num_classes, self.tolerance = num_classes, tolerance
        present, self.compact = torch.unique(self.labels, return_inverse=True)
        self.present = present
        if len(present) < 2:
            raise DataError(
                f"a linear probe needs at least 2 classes, got only class {present.tolist()} in {len(self.raw)} rows",
                where="labels",
                remedy="add images of a second class, or raise --limit",
            )
        dtype = torch.float32 if tolerance >= _FLOAT32_TOLERANCE else torch.float64
        standard, self.mean, self.deviation = standardise(self.raw, dtype)
        self.active = self.deviation > 0.0
        if not bool(self.active.any()):
            # Nothing varies: one column of zeros keeps the shapes, and the bias does the rest.
            self.active[0], self.deviation[0] = True, 1.0
        if not bool(self.active.all()):
            standard = standard[:, self.active]
        size = len(present)
        self.prior = log_prior(self.compact, size) if balance == "logit-adjust" else None
        self.weights = class_weights(self.compact, size)[self.compact] if balance == "weights" else None
        with full_precision(self.device):
            self.model = SoftmaxRegression(
                standard,
                self.compact,
                size,
                max_iterations=max_iterations,
                weights=self.weights,
                precise=lambda: (
                    (self.raw[:, self.active].double() - self.mean[self.active]) / self.deviation[self.active]
                ),
            )

    def fits(self, strengths: Sequence[float], start: Fit | None = None) -> list[Fit]:
        """Fits at ``strengths``, strong to weak, each from the one before."""
        fits: list[Fit] = []
        with full_precision(self.device):
            for strength in strengths:
                start = self.model.fit(strength, tolerance=_SHARE * self.tolerance, start=start)
                fits.append(start)
        return fits

    def probes(self, fits: list[Fit]) -> list[LinearProbe]:
        """Affine maps of raw features, with their objectives taken anew in float64 from those very maps."""
        probes = []
        for fit, probe in zip(fits, self._evaluated(fits), strict=True):
            if probe.gap > self.tolerance and fit.rounding > torch.finfo(torch.float64).eps:
                # The features' own rounding, too, may be what stands between a fit and the tolerance.
                with full_precision(self.device):
                    (probe,) = self._evaluated([self.model.refine(fit, _SHARE * self.tolerance)])
            if probe.gap > self.tolerance:
                warnings.warn(
                    f"the linear probe at strength {probe.strength:g} stopped {probe.gap:.1e} from its optimum, "
                    f"asked for {self.tolerance:.1e}; pass a larger tolerance or a larger strength",
                    RuntimeWarning,
                    stacklevel=3,
                )
            probes.append(probe)
        return probes

    def _evaluated(self, fits: list[Fit]) -> list[LinearProbe]:
        maps, penalties = [], []
        for fit in fits:
            weight, bias = fit.point[:, :-1], fit.point[:, -1]
            # A common shift of all classes changes nothing; without it the classes' logits sum to 0 at every point.
            bias = bias - bias.mean()
            penalties.append(0.5 * self.model.penalty(fit.strength) * float(weight.square().sum()))
            raw_weight = torch.zeros(self.num_classes, len(self.mean), dtype=torch.float64, device=self.device)
            raw_bias = torch.full((self.num_classes,), _ABSENT_LOGIT, dtype=torch.float64, device=self.device)
            scaled = torch.zeros(len(self.present), len(self.mean), dtype=torch.float64, device=self.device)
            scaled[:, self.active] = weight / self.deviation[self.active]
            raw_weight[self.present] = scaled - scaled.mean(0)
            raw_bias[self.present] = bias - raw_weight[self.present] @ self.mean
            maps.append((raw_weight, raw_bias))
        losses = self._losses(maps)
        return [
            self._probe(fit, *both, loss + penalty)
            for fit, both, loss, penalty in zip(fits, maps, losses, penalties, strict=True)
        ]

    def adjusted(self, probe: LinearProbe) -> LinearProbe:
        """The probe to hand out: with logit adjustment, ln π is taken off the bias (less its mean: see `probes`)."""
        if self.prior is None:
            return probe
        bias = probe.bias.clone()
        bias[self.present] -= self.prior - self.prior.mean()
        return replace(probe, bias=bias)

    def _probe(self, fit: Fit, weight: Tensor, bias: Tensor, objective: float) -> LinearProbe:
        # What rounding may hide in the bound counts as gap: the products' unit, and what exact ones change.
        rounding = fit.rounding + abs(objective / fit.objective - 1.0)
        gap = max(objective - fit.bound, 0.0) / objective + rounding
        return LinearProbe(weight, bias, fit.strength, objective, gap, fit.iterations)

    def _losses(self, maps: list[tuple[Tensor, Tensor]]) -> list[float]:
        """Mean training loss of each map; all maps share one pass over the features."""
        shape = (len(maps), len(self.present))
        weight = torch.cat([weight[self.present] for weight, _ in maps])
        bias = torch.cat([bias[self.present] for _, bias in maps])[:, None]
        total = torch.zeros(len(maps), dtype=torch.float64, device=self.device)
        with full_precision(self.device):
            chunks = zip(
                self.raw.split(_CHUNK_ROWS), self.compact.split(_CHUNK_ROWS), self._weight_chunks(), strict=True
            )
            for rows, labels, weights in chunks:
                logits = (weight @ rows.double().T + bias).view(*shape, len(rows))
                margins = logits - logits.gather(1, labels.expand(len(maps), 1, len(rows)))
                losses = torch.logsumexp(margins, 1)
                total += (losses if weights is None else losses * weights).sum(1)
        return [float(value) for value in total / len(self.raw)]

    def _weight_chunks(self) -> Sequence[Tensor | None]:
        if self.weights is None:
            return [None] * len(self.raw.split(_CHUNK_ROWS))
        return self.weights.split(_CHUNK_ROWS)


def _row(
    probe: LinearProbe, features: Tensor, labels: Tensor, shares: Tensor | None
) -> tuple[LinearProbe, dict[str, float]]:
    logits = probe.logits(features)
    if shares is None:
        loss, accuracy = float(torch.nn.functional.cross_entropy(logits, labels)), _accuracy(logits, labels)
    else:
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        loss, accuracy = float((losses * shares).sum()), float(((logits.argmax(1) == labels) * shares).sum())
    table = {
        "strength": probe.strength,
        "objective": probe.objective,
        "gap": probe.gap,
        "iterations": probe.iterations,
        "val_accuracy": accuracy,
        "val_loss": loss,
    }
    return probe, table


def _best(rows: list[tuple[LinearProbe, dict[str, float]]]) -> int:
    return max(range(len(rows)), key=lambda index: (rows[index][1]["val_accuracy"], -rows[index][1]["val_loss"]))


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).double().mean())


def _strengths(strengths: Sequence[float] | None, tolerance: float) -> list[float]:
    values = [float(value) for value in (DEFAULT_STRENGTHS if strengths is None else strengths)]
    if not values or not all(value > 0.0 and math.isfinite(value) for value in values):
        raise UsageError(f"`strengths` must be positive numbers, got {values}", remedy="for next to none pass 1e-6")
    if not 0.0 < tolerance < 1.0:
        raise UsageError(f"`tolerance` must lie in (0, 1), got {tolerance}", remedy="pass 1e-5 or so")
    return values


def _matrix(features: Array, name: str) -> Tensor:
    tensor = torch.as_tensor(features).detach()
    check_shape(tuple(tensor.shape), name)
    if not len(tensor):
        raise DataError(f"`{name}` has no rows", where="linear probe", remedy="pass at least one sample")
    if tensor.device.type == "mps":  # no float64 there
        tensor = tensor.cpu()
    if tensor.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        tensor = tensor.double()
    # One cheap pass first; a sum may overflow too, so what it finds is looked at again.
    if not bool(torch.isfinite(tensor.sum(1)).all()):
        check_finite(torch.isfinite(tensor).all(1), name)
    return tensor


def _labels(labels: Labels, count: int, num_classes: int, device: torch.device) -> Tensor:
    return torch.from_numpy(class_numbers(labels, count, num_classes=num_classes).copy()).to(device)
