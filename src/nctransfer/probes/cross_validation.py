"""Cross-validated linear heads: one penalised fit over the layers given, its strength chosen on held-out rows.

Legend: ``features`` maps layers to ``(N, D_l)``, ``labels (N,)``, ``folds (N,)`` (see `folds`). The objective of the head
over layers l with scales s_l is

    F(W, b) = (1/N) Σ_i −ln softmax(Σ_l W_l z_il + b)[y_i] + Σ_l (λ_l/2) ‖W_l‖²,    λ_l = λ / s_l²,

with z the standardised features and, for two classes, twice the penalty (scikit-learn's, as in `softmax_regression`):
it is scikit-learn's ``LogisticRegression(C=1 / (λ N))`` on the columns s_l z_l. `balance` says how classes of unequal size
enter it: with ``weights`` every class counts the same, in the fit and where the strength is chosen; with ``logit-adjust`` the
logarithm of the prior is taken off the bias of every fit, and strengths are chosen as without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import DataError, UsageError
from .balance import FitBalance, check_balance, class_shares, class_weights, log_prior
from .folds import NEVER_HELD_OUT
from .layered_head import LayeredHead
from .softmax_regression import Fit, SoftmaxRegression
from .standardise import standardise

__all__ = ["CrossValidated", "cross_validate", "fit_head"]

_STRONGEST, _RATIO = 1.0, 10.0**-0.5
_MOST_STRENGTHS = 12
_PATIENCE = 2  # strengths in a row that are worse than the best before the path ends
_FOLD_TOLERANCE = 1e-3  # log-losses of folds differ by far more between strengths
_SHARE = 0.8  # of the tolerance for the solver; the rest is for rounding
_ABSENT_LOGIT = -20.0  # below every present class's best logit, which is never negative: theirs sum to 0
_WIDE = 1.5  # columns over rows from which the fit runs in the span of the rows

Features = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class CrossValidated:
    """A head with what held-out rows say of it.

    Args:
        head: Fitted at the chosen strength.
        held: Rows that were held out once, shape ``(N,)``, bool.
        held_logits: Logits of each held-out row by the fit that did not see it, ``(N, K)``, float64; NaN elsewhere.
        accuracy: Over the held-out rows, in [0, 1].
        log_loss: The loss that the fit minimises, on the held-out rows, in nats; smaller is better. Plain, it is their mean
            log-loss; with ``weights`` every class counts the same, with ``logit-adjust`` ln π is added to the logits.
        path: One row a strength, strong to weak: ``strength``, ``accuracy``, ``log_loss``.
        strength: The chosen λ.
        scales: s_l of each layer.
    """

    head: LayeredHead
    held: Tensor
    held_logits: Tensor
    accuracy: float
    log_loss: float
    path: tuple[dict[str, float], ...]
    strength: float
    scales: dict[str, float]


def cross_validate(
    features: Features,
    labels: Tensor,
    folds: Tensor,
    *,
    num_classes: int,
    scales: Mapping[str, float] | None = None,
    tolerance: float = 1e-5,
    refit: bool = True,
    balance: FitBalance = "none",
) -> CrossValidated:
    """Fit one head over all layers of ``features`` at the strength with the smallest held-out log-loss.

    The path starts at λ = 1 and goes to weaker strengths by half decades until two in a row are worse than the best; where
    the first is the best, it goes the other way. Fits of folds run to a relative gap of 1e-3, the one handed out to
    ``tolerance``, certified. Deterministic.

    Args:
        features: Layer to ``(N, D_l)``; without NaN.
        labels: Integers in ``[0, num_classes)``, shape ``(N,)``.
        folds: Fold in which each row is held out, shape ``(N,)``; −1: in none.
        num_classes: K.
        scales: s_l of each layer; 1 by default.
        tolerance: Largest relative gap of the head.
        refit: Whether the head is fitted on all rows. False takes one fold only and hands out that fold's own fit, which
            the held-out rows did not enter.
        balance: How classes of unequal size are made up for: ``none``, ``weights`` or ``logit-adjust`` (see `balance`). A
            class without a row in a fit has no weight there.

    Raises:
        DataError: shapes that do not fit, fewer than 2 classes to train on, or no row that is held out.
        UsageError: ``refit=False`` with several folds, scales that are not positive, or an unknown balance.

    Example:
        >>> from nctransfer.probes import assign_folds
        >>> generator = torch.Generator().manual_seed(0)
        >>> labels = torch.arange(60) % 3
        >>> features = {"a": torch.randn(60, 4, generator=generator) + 2 * functional.one_hot(labels, 4)}
        >>> found = cross_validate(features, labels, assign_folds(labels), num_classes=3)
        >>> found.accuracy > 0.6, bool(found.held.all()), found.head.gap <= 1e-5
        (True, True, True)
    """
    labels, folds = _checked(features, labels, folds, num_classes, scales, refit)
    names = list(features)
    scale = _columns(features, scales)
    numbers = sorted(set(folds.tolist()) - {NEVER_HELD_OUT})
    check_balance(balance)
    designs = [_Design(features, labels, folds != number, num_classes, scale, balance) for number in numbers]
    held = folds != NEVER_HELD_OUT
    search = _Search(designs, [folds == number for number in numbers], features, labels, held, num_classes)
    strength = search.run()
    if refit:
        final = _Design(features, labels, torch.ones_like(held), num_classes, scale, balance)
        warm = None
        for row in search.rows:  # the path warms the last fit up
            if row["strength"] > strength:
                warm = final.fit(row["strength"], _FOLD_TOLERANCE, warm)
    else:
        final, warm = designs[0], search.fits[strength][0]
    head = final.head(final.fit(strength, _SHARE * tolerance, warm), names, features)
    logits = search.logits[strength]
    if not refit:  # the held-out rows as the very head that is handed out sees them
        logits[held] = head.logits({name: values[held] for name, values in features.items()})
    accuracy, loss = search.judge(strength)
    used = {name: 1.0 if scales is None else float(scales[name]) for name in names}
    return CrossValidated(head, held, logits, accuracy, loss, tuple(search.rows), strength, used)


def fit_head(
    features: Features,
    labels: Tensor,
    *,
    num_classes: int,
    strength: float,
    scales: Mapping[str, float] | None = None,
    tolerance: float = 1e-5,
    balance: FitBalance = "none",
) -> LayeredHead:
    """The head at one strength on all rows; arguments as for `cross_validate`.

    Example:
        >>> features, labels = {"a": torch.tensor([[0.0], [1.0], [2.0], [3.0]])}, torch.tensor([0, 0, 1, 1])
        >>> fit_head(features, labels, num_classes=2, strength=0.1).accuracy(features, labels)
        1.0
    """
    labels, _ = _checked(features, labels, torch.zeros(len(labels)), num_classes, scales, True)
    scale = _columns(features, scales)
    check_balance(balance)
    design = _Design(features, labels, torch.ones(len(labels), dtype=torch.bool), num_classes, scale, balance)
    return design.head(design.fit(strength, _SHARE * tolerance, None), list(features), features)


def _columns(features: Features, scales: Mapping[str, float] | None) -> Tensor:
    """s_l of every column."""
    return torch.cat(
        [
            torch.full((values.shape[1],), 1.0 if scales is None else float(scales[name]), dtype=torch.float64)
            for name, values in features.items()
        ]
    )


class _Search:
    """The walk along the strengths, all folds in step."""

    def __init__(
        self,
        designs: list[_Design],
        held_by: list[Tensor],
        features: Features,
        labels: Tensor,
        held: Tensor,
        num_classes: int,
    ) -> None:
        self.designs, self.held_by, self.labels, self.held = designs, held_by, labels, held
        self.shape = (len(labels), num_classes)
        self.standard = [design.transform(features, rows) for design, rows in zip(designs, held_by, strict=True)]
        self.rows: list[dict[str, float]] = []
        self.logits: dict[float, Tensor] = {}
        self.fits: dict[float, list[Fit]] = {}

    def run(self) -> float:
        """The strength with the smallest held-out log-loss; ties go to the stronger."""
        self._walk(_STRONGEST, _RATIO)
        if self._best() == _STRONGEST:
            self._walk(_STRONGEST / _RATIO, 1.0 / _RATIO)
        self.rows.sort(key=lambda row: -row["strength"])
        return self._best()

    def _walk(self, strength: float, ratio: float) -> None:
        fits: list[Fit | None] = [None] * len(self.designs)
        since = 0
        while since < _PATIENCE and len(self.rows) < _MOST_STRENGTHS:
            fits = [
                design.fit(strength, _FOLD_TOLERANCE, start) for design, start in zip(self.designs, fits, strict=True)
            ]
            self._judge(strength, [fit for fit in fits if fit is not None])
            since = 0 if self._best() == strength else since + 1
            strength *= ratio

    def _judge(self, strength: float, fits: list[Fit]) -> None:
        logits = torch.full(self.shape, torch.nan, dtype=torch.float64)
        for design, rows, standard, fit in zip(self.designs, self.held_by, self.standard, fits, strict=True):
            logits[rows] = design.logits(standard, fit)
        # Of several folds only the strength's logits are asked for again; of one fold, a fit may go on to the tolerance.
        self.logits[strength] = logits
        self.fits[strength] = fits if len(fits) == 1 else [fit.light() for fit in fits]
        accuracy, loss = self.judge(strength)
        self.rows.append({"strength": strength, "accuracy": accuracy, "log_loss": loss})

    def judge(self, strength: float) -> tuple[float, float]:
        """Accuracy at a strength over the held-out rows, and the loss that is minimised on them."""
        logits = self.logits[strength]
        right = float((logits[self.held].argmax(1) == self.labels[self.held]).double().mean())
        if any(design.prior is not None for design in self.designs):
            logits = logits.clone()
            for design, rows in zip(self.designs, self.held_by, strict=True):
                logits[rows] += 0.0 if design.prior is None else design.prior
        if self.designs[0].row_weights is None:
            return right, float(functional.cross_entropy(logits[self.held], self.labels[self.held]))
        losses = functional.cross_entropy(logits[self.held], self.labels[self.held], reduction="none")
        return right, float((losses * class_shares(self.labels[self.held])).sum())

    def _best(self) -> float:
        return min(self.rows, key=lambda row: (row["log_loss"], -row["strength"]))["strength"]


class _Design:
    """Standardised, scaled columns of the rows that a fit may see, and the solver on them."""

    def __init__(
        self,
        features: Features,
        labels: Tensor,
        rows: Tensor,
        num_classes: int,
        scale: Tensor,
        balance: FitBalance = "none",
    ) -> None:
        self.names, self.rows, self.labels, self.num_classes, self.scale = (
            list(features),
            rows,
            labels,
            num_classes,
            scale,
        )
        self.present, compact = torch.unique(labels[rows], return_inverse=True)
        if len(self.present) < 2:
            raise DataError(
                f"a linear head needs at least 2 classes to learn from, got {len(self.present)}",
                where="labels",
                remedy="add images of a second class, or use fewer folds",
            )
        parts = [standardise(features[name][rows], torch.float32) for name in self.names]
        self.mean = torch.cat([mean for _, mean, _ in parts])
        self.deviation = torch.cat([deviation for _, _, deviation in parts])
        columns = torch.cat([standard for standard, _, _ in parts], 1) * scale.float()
        self.active = self.deviation > 0
        if not bool(self.active.all()):
            # Where nothing varies at all, one column of zeros keeps the shapes, and the bias does the rest.
            columns = columns[:, self.active] if bool(self.active.any()) else columns[:, :1] * 0.0
        self.basis: Tensor | None = None
        if columns.shape[1] > _WIDE * len(columns):
            # The best weights lie in the span of the rows, and an orthonormal basis of it keeps objective and penalty.
            self.basis, triangle = torch.linalg.qr(columns.T)
            columns = triangle.T.contiguous()
        size = len(self.present)
        self.row_weights = class_weights(compact, size)[compact] if balance == "weights" else None
        self.prior: Tensor | None = None
        if balance == "logit-adjust":
            self.prior = torch.zeros(num_classes, dtype=torch.float64)
            self.prior[self.present] = log_prior(compact, size)
        self.model = SoftmaxRegression(columns, compact, size, weights=self.row_weights)

    def fit(self, strength: float, tolerance: float, start: Fit | None) -> Fit:
        with torch.no_grad():
            return self.model.fit(strength, tolerance=tolerance, start=start)

    def weights(self, fit: Fit) -> tuple[Tensor, Tensor]:
        """Weights ``(K, D)`` on standardised columns and bias ``(K,)``; both sum to 0 over the classes present."""
        point = fit.point[:, :-1] - fit.point[:, :-1].mean(0)
        if self.basis is not None:
            point = point @ self.basis.double().T
        weight = torch.zeros(self.num_classes, len(self.scale), dtype=torch.float64)
        if bool(self.active.any()):
            scaled = torch.zeros(len(self.present), len(self.scale), dtype=torch.float64)
            scaled[:, self.active] = point * self.scale[self.active]
            weight[self.present] = scaled
        bias = torch.full((self.num_classes,), _ABSENT_LOGIT, dtype=torch.float64)
        bias[self.present] = fit.point[:, -1] - fit.point[:, -1].mean()
        if self.prior is not None:
            prior = self.prior[self.present]
            bias[self.present] -= prior - prior.mean()
        return weight, bias

    def transform(self, features: Features, rows: Tensor) -> Tensor:
        """Rows of ``features`` standardised by these means and deviations, float32."""
        raw = torch.cat([features[name][rows].double() for name in self.names], 1)
        inverse = torch.where(self.deviation > 0, self.deviation, torch.inf).reciprocal()
        return ((raw - self.mean) * inverse).float()

    def logits(self, standard: Tensor, fit: Fit) -> Tensor:
        weight, bias = self.weights(fit)
        return (standard @ weight.float().T).double() + bias

    def head(self, fit: Fit, names: Sequence[str], features: Features) -> LayeredHead:
        """The head of a fit, with its objective taken anew in float64 from the very numbers that it holds."""
        weight, bias = self.weights(fit)
        head = LayeredHead(
            layers=tuple(names),
            widths=tuple(features[name].shape[1] for name in names),
            mean=self.mean,
            deviation=self.deviation,
            weight=weight,
            bias=bias,
            strengths=self._strengths(names, features, fit.strength),
            objective=math.nan,
            gap=math.nan,
            iterations=fit.iterations,
        )
        own = head.logits({name: features[name][self.rows] for name in names})
        own = own if self.prior is None else own + self.prior
        loss = float(functional.cross_entropy(own[:, self.present], self.model.labels))
        if self.row_weights is not None:
            losses = functional.cross_entropy(own[:, self.present], self.model.labels, reduction="none")
            loss = float((losses * self.row_weights).mean())
        penalty = 0.5 * self.model.penalty(fit.strength) * float((weight / self.scale).square().sum())
        objective = loss + penalty
        # What rounding may hide in the bound counts as gap, as in `linear_probe`.
        rounding = torch.finfo(torch.float32).eps + abs(objective / fit.objective - 1.0)
        gap = max(objective - fit.bound, 0.0) / objective + rounding
        return LayeredHead(**{**vars(head), "objective": objective, "gap": gap})

    def _strengths(self, names: Sequence[str], features: Features, strength: float) -> tuple[float, ...]:
        found, start = [], 0
        for name in names:
            found.append(strength / float(self.scale[start]) ** 2)
            start += features[name].shape[1]
        return tuple(found)


def _checked(
    features: Features,
    labels: Tensor,
    folds: Tensor,
    num_classes: int,
    scales: Mapping[str, float] | None,
    refit: bool,
) -> tuple[Tensor, Tensor]:
    labels, folds = torch.as_tensor(labels).detach().cpu().long(), torch.as_tensor(folds).detach().cpu().long()
    shapes = {name: tuple(values.shape) for name, values in features.items()}
    if not shapes or any(len(shape) != 2 or shape[0] != len(labels) or shape[1] < 1 for shape in shapes.values()):
        raise DataError(
            f"features must be matrices of {len(labels)} rows, got {shapes}",
            where="cross-validation",
            remedy="pass one matrix (N, D) a layer",
        )
    if len(folds) != len(labels):
        raise DataError(f"`folds` must be {len(labels)} numbers, got {len(folds)}", where="cross-validation")
    if not bool((folds != NEVER_HELD_OUT).any()):
        raise DataError("no row is held out in any fold", where="cross-validation", remedy="see assign_folds")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise DataError(
            f"`labels` must lie in [0, {num_classes}), got {low if low < 0 else high}",
            where="cross-validation",
            remedy="pass a larger num_classes or remap the labels",
        )
    if not refit and len(set(folds.tolist()) - {NEVER_HELD_OUT}) > 1:
        raise UsageError("`refit=False` takes one fold", remedy="leave it at True for several folds")
    if scales is not None and not all(scales.get(name, 0.0) > 0.0 for name in features):
        raise UsageError(f"`scales` must be positive for every layer, got {dict(scales)}")
    return labels, folds
