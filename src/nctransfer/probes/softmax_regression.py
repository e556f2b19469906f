"""Multinomial logistic regression with an L2 penalty, to a certified distance from the optimum.

Legend: ``features (N, D)``, ``labels (N,)`` in ``[0, K)``, ``weight (K, D)``, ``bias (K,)``, ``strength`` λ. The
objective is

    F(W, b) = (1/N) Σ_i loss_i(W, b) + (λ'/2) ‖W‖²_F,    λ' = λ for K > 2, 2 λ for K = 2,

which is scikit-learn's ``LogisticRegression(C=1 / (λ N))`` divided by C N: the intercept is free of penalty, and with
two classes the penalty is on the one vector ``W_1 − W_0``, as there. With weights of the rows, loss_i counts w_i times.

How: with G the Gram matrix of the features over N and c the mean of p (1 − p), the matrix c G + λ' I is a good model of
the Hessian's block of each class for every λ, so L-BFGS begins with its inverse. Of G, the 64 largest
eigenvalues matter: on ImageNet features of CIFAR-10 (D = 1,280) more of them save no iteration, so they come from a
randomised range finder (Halko, Martinsson and Tropp 2011), and the rest count as equal. One scalar c for all classes
keeps the Hessian's null direction (the same shift of all classes) apart from the rest; one c per class was measured to
need 1.5 times the iterations. Each iteration takes two products with the features: the search direction's logits, along
which the step is found at no further product, and the gradient.

Along a path, each fit starts with a search along the last change of the solution, which also shows it curvature, as do
the last pairs of the fit before.

Where 200 iterations of a small problem do not suffice (nearly separable classes at hardly any penalty), Newton's method with the
Hessian itself ends the fit.

When to stop: with the bias settled, F minimised over b is λ'-strongly convex in W, so F − ‖∂F/∂W‖²/(2 λ') is a lower
bound of the optimum (it is the Fenchel dual objective at the current probabilities). The best such bound over the
iterates gives the gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from .curvature import ModelHessian, newton_move, spectrum

__all__ = ["Fit", "SoftmaxRegression"]

_MEMORY = 30  # curvature pairs
_CARRIED = 10  # of them, how many the next fit of the path starts with
_SLOPE_LEFT = 0.2
_PATIENCE = 60  # iterations without a lower objective that tell rounding from progress
_DENSE = 2000  # unknowns up to which Newton's method may end a fit
_SLOW = 200  # L-BFGS iterations after which it does


@dataclass
class Fit:
    """A point of the path.

    Args:
        point: Weights, last column the bias, shape ``(K, D + 1)``, float64.
        strength: λ.
        objective: F at that point.
        bound: A lower bound of the optimum of F.
        iterations: L-BFGS and Newton iterations spent.
        trend: The change of ``point`` since the fit that this one started from (from zero, if none).
        pairs: Its last moves, each with the change of the loss's gradient, from which the next fit learns the
            curvature.
        seen: What is known at that point, which spares the next fit its first products.
        rounding: The unit of the float type of the products.
    """

    point: Tensor
    strength: float
    objective: float
    bound: float
    iterations: int
    trend: Tensor | None = None
    pairs: tuple[tuple[Tensor, Tensor], ...] = ()
    seen: _Seen | None = None
    rounding: float = 0.0

    def light(self) -> Fit:
        """The same without what only the next fit needs: its pairs take ten times the room of the point."""
        return replace(self, pairs=(), seen=None)


@dataclass(frozen=True)
class _Seen:
    """Margins, loss and its gradient at a point, from these very features, and the margins of the trend."""

    features: Tensor
    margins: Tensor
    loss: float
    gradient: Tensor
    trend: Tensor


class SoftmaxRegression:
    """Fits of one data set at any strength; what does not depend on the strength is done once.

    Args:
        features: Centred features of shape ``(N, D)``, best of unit variance, float32 or float64; products run in this
            type.
        labels: Class of each row, every class of ``[0, num_classes)`` present, shape ``(N,)``.
        num_classes: K, at least 2.
        max_iterations: Most iterations of a fit in one float type.
        weights: w of each row, positive with mean 1, shape ``(N,)``, float64; 1 if None.
        precise: Makes the features in float64, where float32 does not suffice; those of ``features`` themselves if None.

    Example:
        >>> x = torch.tensor([[-1.0], [-1.0], [1.0], [1.0]], dtype=torch.float64)
        >>> model = SoftmaxRegression(x, torch.tensor([0, 1, 1, 1]), 2)
        >>> fit = model.fit(0.1, tolerance=1e-8)
        >>> fit.objective - fit.bound < 1e-8
        True
        >>> fit.point.shape
        torch.Size([2, 2])
    """

    def __init__(
        self,
        features: Tensor,
        labels: Tensor,
        num_classes: int,
        *,
        max_iterations: int = 2000,
        weights: Tensor | None = None,
        precise: Callable[[], Tensor] | None = None,
    ) -> None:
        self.labels, self.num_classes, self.max_iterations = labels, num_classes, max_iterations
        self._rows = labels[None, :]
        self._features, self._weights = features, weights
        self._spectrum = spectrum(features if weights is None else features * weights.sqrt().to(features)[:, None])
        self._make_precise = features.double if precise is None else precise

    def fit(self, strength: float, *, tolerance: float, start: Fit | None = None) -> Fit:
        """Minimise F at one strength until (F − bound) ≤ tolerance · F, from ``start`` or from zero.

        Runs in the features' type; where float32 stops short of the tolerance, float64 goes on from there.
        """
        zero = torch.zeros(
            self.num_classes, self._features.shape[1] + 1, dtype=torch.float64, device=self.labels.device
        )
        origin = zero if start is None else start.point
        penalty = self.penalty(strength)
        fit = self._descend(self._features, origin.clone(), penalty, tolerance, start)
        fit.strength, fit.trend = strength, fit.point - origin
        short = fit.objective - fit.bound > tolerance * fit.objective
        return self.refine(fit, tolerance) if short and self._features.dtype != torch.float64 else fit

    def refine(self, fit: Fit, tolerance: float) -> Fit:
        """A float32 fit that goes on in float64."""
        more = self._descend(self._precise, fit.point, self.penalty(fit.strength), tolerance, None)
        trend = more.point - fit.point if fit.trend is None else fit.trend + (more.point - fit.point)
        iterations = fit.iterations + more.iterations
        return replace(more, strength=fit.strength, trend=trend, seen=None, iterations=iterations)

    @cached_property
    def _precise(self) -> Tensor:
        return self._make_precise()

    def penalty(self, strength: float) -> float:
        """λ', the factor of ‖W‖²_F / 2."""
        return strength * (2.0 if self.num_classes == 2 else 1.0)

    def _descend(self, features: Tensor, point: Tensor, penalty: float, tolerance: float, start: Fit | None) -> Fit:
        seen = start.seen if start is not None and start.seen is not None and start.seen.features is features else None
        state = _State(features, self._rows, point, penalty, self._weights, seen)
        origin = state.margins
        memory: list[tuple[Tensor, Tensor, float]] = []
        step = None if start is None or start.trend is None else state.follow(start.trend, seen)
        model = ModelHessian(self._spectrum, state.probabilities, penalty, features.dtype)
        pairs = [*(start.pairs if start is not None else ()), *([step] if step is not None else [])]
        for move, change in pairs:
            move, change = move.to(features.dtype), change.to(features.dtype)
            _remember(memory, move, _with_penalty(change, move, penalty))
        watch = _Watch(tolerance)
        iterations, small = 0, point.numel() <= _DENSE
        most = min(self.max_iterations, _SLOW) if small else self.max_iterations
        while iterations < most and not watch.certified(state) and not watch.stuck(state, _PATIENCE):
            if not self._step(state, model, memory):
                break
            iterations += 1
        if small and features.dtype == torch.float64:
            watch = _Watch(tolerance, watch.bound)
            while iterations < self.max_iterations and not watch.certified(state) and not watch.stuck(state, 5):
                move = newton_move(state.gradient, features, state.probabilities, penalty, self._weights)
                slope = _dot(move, state.gradient)
                if not slope < 0.0 or not state.move(move, slope):
                    break
                iterations += 1
        watch.certified(state, last=True)
        kept = tuple((move, _with_penalty(change, move, -penalty)) for move, change, _ in memory[-_CARRIED:])
        seen = _Seen(features, state.margins, state.loss, state.loss_gradient, state.margins - origin)
        unit = torch.finfo(features.dtype).eps
        return Fit(state.point, penalty, state.objective, watch.bound, iterations, None, kept, seen, unit)

    def _step(self, state: _State, model: ModelHessian, memory: list[tuple[Tensor, Tensor, float]]) -> bool:
        """One L-BFGS step; False when no step lowers the objective any more."""
        gradient = state.gradient.to(model.dtype)
        direction = _two_loop(gradient, memory, model)
        slope = -_dot(direction, gradient)
        if not slope < 0.0:
            memory.clear()
            direction = model.solve(gradient)
            slope = -_dot(direction, gradient)
            if not slope < 0.0:
                return False
        length = state.move(-direction.double(), slope)
        if length == 0.0:
            return False
        _remember(memory, direction * -length, state.gradient.to(model.dtype) - gradient)
        return True


class _Watch:
    """When a descent is at its end: certified, or no longer going anywhere."""

    def __init__(self, tolerance: float, bound: float = -float("inf")) -> None:
        self.tolerance, self.bound = tolerance, bound
        self.lowest, self.since = float("inf"), 0

    def certified(self, state: _State, *, last: bool = False) -> bool:
        """Whether the best bound lies within the tolerance.

        Away from the best bias the bound does not hold: there it only says when settling the bias is worth its cost.
        """
        margin = self.tolerance * state.objective
        if state.objective - self.bound <= margin:
            return True
        if (last or state.objective - state.lower_bound() <= margin) and state.settle_bias():
            self.bound = max(self.bound, state.lower_bound())
        return state.objective - self.bound <= self.tolerance * state.objective

    def stuck(self, state: _State, patience: int) -> bool:
        """Whether the objective has not fallen for longer than the patience.

        Progress is judged by the objective: bounds rise and fall on the way, and one good moment says nothing.
        """
        self.since = (
            0 if state.objective < self.lowest - 0.01 * self.tolerance * abs(state.objective) else self.since + 1
        )
        self.lowest = state.objective if self.since == 0 else self.lowest
        return self.since > patience


class _State:
    """The current point: margins (logits less the true class's), probabilities, objective, gradient, all float64.

    Margins and probabilities are ``(K, N)``: with few classes, both products and sums over classes run faster in this
    layout.
    """

    def __init__(
        self,
        features: Tensor,
        rows: Tensor,
        point: Tensor,
        penalty: float,
        weights: Tensor | None = None,
        seen: _Seen | None = None,
    ) -> None:
        self.features, self.rows, self.point, self.penalty, self.weights = features, rows, point, penalty, weights
        self.margins = self._margins(point) if seen is None else seen.margins
        self.probabilities = torch.softmax(self.margins, 0)
        if seen is None:
            self.refresh()
        else:
            self.loss, self.loss_gradient = seen.loss, seen.gradient
            self._penalise()

    def refresh(self) -> None:
        """Objective and gradient from margins, probabilities and point."""
        count = self.margins.shape[1]
        self.loss = float(self._weighed(torch.logsumexp(self.margins, 0)).mean())
        residual = self._weighed(
            self.probabilities.scatter_add(0, self.rows, self.probabilities.new_full(self.rows.shape, -1.0))
        )
        product = residual.to(self.features.dtype) @ self.features
        self.loss_gradient = torch.cat([product.double(), residual.sum(1, keepdim=True)], 1).div_(count)
        self._penalise()

    def _penalise(self) -> None:
        weight = self.point[:, :-1]
        self.objective = self.loss + 0.5 * self.penalty * float(weight.square().sum())
        self.gradient = _with_penalty(self.loss_gradient, self.point, self.penalty)

    def lower_bound(self) -> float:
        """The strong convexity bound of the optimum; exact where the bias is optimal."""
        return self.objective - float(self.gradient[:, :-1].square().sum()) / (2.0 * self.penalty)

    def move(self, direction: Tensor, slope: float, change: Tensor | None = None) -> float:
        """Go along ``direction`` to where the slope has shrunk to a fifth; returns the step length (0: nowhere).

        ``change`` is what a whole step does to the margins, where that is known.
        """
        change = self._margins(direction) if change is None else change
        weight, turn = self.point[:, :-1], direction[:, :-1]
        linear, square = self.penalty * float((weight * turn).sum()), self.penalty * float(turn.square().sum())
        length, low, high = 1.0, 0.0, float("inf")
        for _ in range(30):
            margins = torch.add(self.margins, change, alpha=length)
            probabilities = torch.softmax(margins, 0)
            weighted = probabilities * change
            mean = weighted.sum(0)
            now = float(self._weighed(mean).mean()) + linear + length * square
            if abs(now) <= _SLOPE_LEFT * -slope:
                break
            low, high = (length, high) if now < 0.0 else (low, length)
            second = torch.dot(self._weighed(weighted).view(-1), change.view(-1)) / len(mean)
            curvature = float(second - self._weighed(mean.square()).mean()) + square
            length = _inside(length - now / curvature if curvature > 0.0 else float("inf"), low, high)
        else:
            return 0.0
        self.point = torch.add(self.point, direction, alpha=length)
        self.margins, self.probabilities = margins, probabilities
        self.refresh()
        return length

    def follow(self, trend: Tensor, seen: _Seen | None) -> tuple[Tensor, Tensor] | None:
        """Search along the path's last change, up or down; returns the move and the change of the loss's gradient.

        The solution drifts steadily along the path. Measured on ImageNet features of CIFAR-10 at λ = 1e-4, this first
        move and the curvature it shows take the iterations from 110 to 31.
        """
        before = self.loss_gradient
        slope = float((trend * self.gradient).sum())
        sign = -1.0 if slope > 0.0 else 1.0
        length = self.move(trend * sign, -abs(slope), None if seen is None else seen.trend * sign) if slope else 0.0
        return (trend * (sign * length), self.loss_gradient - before) if length else None

    def settle_bias(self) -> bool:
        """Newton's method on the bias alone, which no product with the features enters; whether it got there."""
        count = self.margins.shape[1]
        ones = self._weighed(self.margins.new_ones(count))
        counts = torch.zeros_like(self.point[:, -1]).scatter_add_(0, self.rows[0], ones)
        moved = False
        for _ in range(8):
            weighted = self._weighed(self.probabilities)
            total = weighted.sum(1)
            if float((total - counts).abs().max()) <= 1e-11 * count:
                break
            hessian = torch.diag(total) - weighted @ self.probabilities.T
            # A common shift changes nothing; pinning its curvature makes the matrix invertible.
            hessian += hessian.diagonal().mean() / len(counts)
            move = -torch.linalg.solve(hessian, total - counts)
            move *= min(1.0, 1.0 / max(float(move.abs().max()), 1e-300))
            self.point[:, -1] += move
            self.margins = self.margins + (move[:, None] - move[self.rows])
            self.probabilities = torch.softmax(self.margins, 0)
            moved = True
        if moved:
            self.refresh()
        return float((self._weighed(self.probabilities).sum(1) - counts).abs().max()) <= 1e-9 * count

    def _weighed(self, values: Tensor) -> Tensor:
        """Values of shape ``(..., N)`` times the rows' weights."""
        return values if self.weights is None else values * self.weights

    def _margins(self, point: Tensor) -> Tensor:
        logits = (point[:, :-1].to(self.features.dtype) @ self.features.T).double() + point[:, -1:]
        return logits - logits.gather(0, self.rows)


def _with_penalty(gradient: Tensor, point: Tensor, penalty: float) -> Tensor:
    """A gradient of the loss plus the penalty's; the last column, the bias, has none."""
    whole = torch.add(gradient, point, alpha=penalty)
    whole[:, -1] = gradient[:, -1]
    return whole


def _dot(one: Tensor, other: Tensor) -> float:
    return float((one.double() * other.double()).sum())


def _remember(memory: list[tuple[Tensor, Tensor, float]], move: Tensor, change: Tensor) -> None:
    curvature = _dot(move, change)
    if curvature > 0.0:
        memory.append((move, change, curvature))
        del memory[:-_MEMORY]


def _inside(length: float, low: float, high: float) -> float:
    """``length`` where it lies well inside the bracket of the root; else a bisection, or a fourfold step outward."""
    if high == float("inf"):
        return min(max(length, 1.1 * low), 4.0 * low)
    margin = 0.05 * (high - low)
    return length if low + margin <= length <= high - margin else 0.5 * (low + high)


def _two_loop(gradient: Tensor, memory: list[tuple[Tensor, Tensor, float]], model: ModelHessian) -> Tensor:
    """The L-BFGS inverse Hessian times ``gradient`` (Nocedal and Wright 2006, algorithm 7.4), begun with the model's."""
    direction, taken = gradient.clone(), []
    for move, change, curvature in reversed(memory):
        share = float((move * direction).sum()) / curvature
        direction.add_(change, alpha=-share)
        taken.append(share)
    direction = model.solve(direction)
    if memory:
        _, change, curvature = memory[-1]
        direction *= curvature / _dot(change, model.solve(change))
    for (move, change, curvature), share in zip(memory, reversed(taken), strict=True):
        direction.add_(move, alpha=share - float((change * direction).sum()) / curvature)
    return direction
