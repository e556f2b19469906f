"""Multinomial logistic regression with an L2 penalty, to a certified distance from the optimum.

Legend: ``features (N, D)``, ``labels (N,)`` in ``[0, K)``, ``weight (K, D)``, ``bias (K,)``, ``strength`` λ. The
objective is

    F(W, b) = (1/N) Σ_i loss_i(W, b) + (λ'/2) ‖W‖²_F,    λ' = λ for K > 2, 2 λ for K = 2,

which is scikit-learn's ``LogisticRegression(C=1 / (λ N))`` divided by C N: the intercept is free of penalty, and with
two classes the penalty is on the one vector ``W_1 − W_0``, as there.

How: the features are rotated once onto the eigenvectors of their Gram matrix. There, the diagonal c s_j + λ' (s_j the
variance along direction j, c the mean of p (1 − p)) is a good model of the Hessian for every λ, so L-BFGS runs in
coordinates scaled by its root. One scalar c for all classes keeps the Hessian's null direction (the same shift of all
classes) apart from the rest; one c per class was measured to need 1.5 times the iterations. Each iteration takes two
products with the features: the search direction's logits, along which the step is found at no further product, and the
gradient.

Along a path, each fit starts with a search along the last change of the solution, which also shows it curvature, as do
the last pairs of the fit before.

When to stop: with the bias settled, F minimised over b is λ'-strongly convex in W, so F − ‖∂F/∂W‖²/(2 λ') is a lower
bound of the optimum (it is the Fenchel dual objective at the current probabilities). The best such bound over the
iterates gives the gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Fit", "SoftmaxRegression"]

_CHUNK_ROWS = 4096
_MEMORY = 30  # curvature pairs
_CARRIED = 10  # of them, how many the next fit of the path starts with
_MOST_ITERATIONS = 2000
_SLOPE_LEFT = 0.2
_PATIENCE = 60  # iterations without a better gap that tell rounding from progress


@dataclass
class Fit:
    """A point of the path in rotated coordinates.

    Args:
        rotated: Weights on the rotated features, last column the bias, shape ``(K, R + 1)``, float64.
        strength: λ.
        objective: F at that point.
        bound: A lower bound of the optimum of F.
        iterations: L-BFGS iterations spent.
        trend: The change of ``rotated`` since the fit that this one started from (from zero, if none).
        pairs: Its last moves, each with the change of the loss's gradient, from which the next fit learns the
            curvature.
    """

    rotated: Tensor
    strength: float
    objective: float
    bound: float
    iterations: int
    trend: Tensor | None = None
    pairs: tuple[tuple[Tensor, Tensor], ...] = ()


class SoftmaxRegression:
    """Fits of one data set at any strength; what does not depend on the strength is done once.

    Args:
        features: Centred features of shape ``(N, D)``, best of unit variance, float32 or float64; products run in this
            type.
        labels: Class of each row, every class of ``[0, num_classes)`` present, shape ``(N,)``.
        num_classes: K, at least 2.

    Example:
        >>> x = torch.tensor([[-1.0], [-1.0], [1.0], [1.0]], dtype=torch.float64)
        >>> model = SoftmaxRegression(x, torch.tensor([0, 1, 1, 1]), 2)
        >>> fit = model.fit(0.1, tolerance=1e-8)
        >>> fit.objective - fit.bound < 1e-8
        True
        >>> model.affine(fit)[0].shape
        torch.Size([2, 1])
    """

    def __init__(self, features: Tensor, labels: Tensor, num_classes: int) -> None:
        self.labels, self.num_classes = labels, num_classes
        self._rows = labels[None, :]
        self._rotated, self._basis = _rotate(features)
        self._variance = _mean_squares(self._rotated)
        self._precise: Tensor | None = None

    def fit(self, strength: float, *, tolerance: float, start: Fit | None = None) -> Fit:
        """Minimise F at one strength until (F − bound) ≤ tolerance · F, from ``start`` or from zero.

        Runs in the features' type; where float32 stops short of the tolerance, float64 goes on from there.
        """
        zero = torch.zeros(self.num_classes, len(self._variance) + 1, dtype=torch.float64, device=self.labels.device)
        origin = zero if start is None else start.rotated
        penalty = self.penalty(strength)
        fit = self._descend(self._rotated, origin.clone(), penalty, tolerance, start)
        if fit.objective - fit.bound > tolerance * fit.objective and self._rotated.dtype != torch.float64:
            if self._precise is None:
                self._precise = self._rotated.double()
            more = self._descend(self._precise, fit.rotated, penalty, tolerance, None)
            more.iterations += fit.iterations
            fit = more
        fit.strength, fit.trend = strength, fit.rotated - origin
        return fit

    def penalty(self, strength: float) -> float:
        """λ', the factor of ‖W‖²_F / 2."""
        return strength * (2.0 if self.num_classes == 2 else 1.0)

    def affine(self, fit: Fit) -> tuple[Tensor, Tensor]:
        """Weight ``(K, D)`` and bias ``(K,)`` on the features as given, float64."""
        return fit.rotated[:, :-1] @ self._basis.double().T, fit.rotated[:, -1]

    def _descend(self, features: Tensor, point: Tensor, penalty: float, tolerance: float, start: Fit | None) -> Fit:
        state = _State(features, self._rows, point, penalty)
        memory: list[tuple[Tensor, Tensor, Tensor]] = []
        step = None if start is None or start.trend is None else state.follow(start.trend)
        scale = self._scale(state, penalty)
        pairs = [*(start.pairs if start is not None else ()), *([step] if step is not None else [])]
        for move, change in pairs:
            whole = torch.cat([change[:, :-1] + penalty * move[:, :-1], change[:, -1:]], 1)
            _remember(memory, move.to(scale.dtype) / scale, whole.to(scale.dtype) * scale)
        bound, best, since = -float("inf"), float("inf"), 0
        iterations = 0
        while iterations < _MOST_ITERATIONS:
            bound = max(bound, state.lower_bound())
            gap = state.objective - bound
            if gap <= tolerance * state.objective:
                # The bound holds where the bias is optimal; only now is it worth making it so.
                state.settle_bias()
                bound = state.lower_bound()
                gap = state.objective - bound
                if gap <= tolerance * state.objective:
                    break
            since = 0 if gap < 0.9 * best else since + 1
            best = min(best, gap)
            if since > _PATIENCE or not self._step(state, scale, memory):
                break
            iterations += 1
        kept = []
        for scaled, scaled_change, _ in memory[-_CARRIED:]:
            move, change = scaled * scale, scaled_change / scale
            kept.append((move, torch.cat([change[:, :-1] - penalty * move[:, :-1], change[:, -1:]], 1)))
        return Fit(state.point, penalty, state.objective, bound, iterations, pairs=tuple(kept))

    def _scale(self, state: _State, penalty: float) -> Tensor:
        """Root of the inverse model Hessian's diagonal, shape ``(R + 1,)``."""
        spread = (1.0 - state.probabilities.square().sum(0)).mean() / self.num_classes
        spread = spread.clamp_min(1e-9)
        diagonal = torch.cat([spread * self._variance + penalty, spread[None]])
        return diagonal.rsqrt().to(state.features.dtype)

    def _step(self, state: _State, scale: Tensor, memory: list[tuple[Tensor, Tensor, Tensor]]) -> bool:
        """One L-BFGS step; False when no step lowers the objective any more."""
        gradient = state.gradient.to(scale.dtype) * scale
        direction = _two_loop(gradient, memory)
        slope = -float((direction.double() * gradient.double()).sum())
        if not slope < 0.0:
            memory.clear()
            direction, slope = gradient, -float(gradient.double().square().sum())
            if not slope < 0.0:
                return False
        length = state.move(-(direction * scale).double(), slope)
        if length == 0.0:
            return False
        change = state.gradient.to(scale.dtype) * scale - gradient
        _remember(memory, direction * -length, change)
        return True


class _State:
    """The current point: margins (logits less the true class's), probabilities, objective, gradient, all float64.

    Margins and probabilities are ``(K, N)``: with few classes, both products and sums over classes run faster in this
    layout.
    """

    def __init__(self, features: Tensor, rows: Tensor, point: Tensor, penalty: float) -> None:
        self.features, self.rows, self.point, self.penalty = features, rows, point, penalty
        self.margins = self._margins(point)
        self.probabilities = torch.softmax(self.margins, 0)
        self.refresh()

    def refresh(self) -> None:
        """Objective and gradient from margins, probabilities and point."""
        weight = self.point[:, :-1]
        count = self.margins.shape[1]
        loss = float(torch.logsumexp(self.margins, 0).mean())
        self.objective = loss + 0.5 * self.penalty * float(weight.square().sum())
        residual = self.probabilities.scatter_add(0, self.rows, self.probabilities.new_full(self.rows.shape, -1.0))
        product = residual.to(self.features.dtype) @ self.features
        self.gradient = torch.cat([product.double(), residual.sum(1, keepdim=True)], 1) / count
        self.gradient[:, :-1] += self.penalty * weight

    def lower_bound(self) -> float:
        """The strong convexity bound of the optimum; exact where the bias is optimal."""
        return self.objective - float(self.gradient[:, :-1].square().sum()) / (2.0 * self.penalty)

    def move(self, direction: Tensor, slope: float) -> float:
        """Go along ``direction`` to where the slope has shrunk to a fifth; returns the step length (0: nowhere)."""
        change = self._margins(direction)
        weight, turn = self.point[:, :-1], direction[:, :-1]
        linear, square = self.penalty * float((weight * turn).sum()), self.penalty * float(turn.square().sum())
        length, low, high = 1.0, 0.0, float("inf")
        for _ in range(30):
            margins = torch.add(self.margins, change, alpha=length)
            probabilities = torch.softmax(margins, 0)
            weighted = probabilities * change
            mean = weighted.sum(0)
            now = float(mean.mean()) + linear + length * square
            if abs(now) <= _SLOPE_LEFT * -slope:
                break
            low, high = (length, high) if now < 0.0 else (low, length)
            curvature = float(torch.dot(weighted.view(-1), change.view(-1)) / len(mean) - mean.square().mean()) + square
            length = _inside(length - now / curvature if curvature > 0.0 else float("inf"), low, high)
        else:
            return 0.0
        self.point = torch.add(self.point, direction, alpha=length)
        self.margins, self.probabilities = margins, probabilities
        self.refresh()
        return length

    def follow(self, trend: Tensor) -> tuple[Tensor, Tensor] | None:
        """Search along the path's last change, up or down; returns the move and the change of the loss's gradient.

        The solution drifts steadily along the path. Measured on ImageNet features of CIFAR-10 at λ = 1e-4, this first
        move and the curvature it shows take the iterations from 110 to 31.
        """
        before = self.gradient
        slope = float((trend * before).sum())
        direction = -trend if slope > 0.0 else trend
        length = self.move(direction, -abs(slope)) if slope else 0.0
        if not length:
            return None
        move, change = direction * length, self.gradient - before
        change[:, :-1] -= self.penalty * move[:, :-1]
        return move, change

    def settle_bias(self) -> None:
        """Newton's method on the bias alone, which no product with the features enters."""
        count = self.margins.shape[1]
        counts = torch.zeros_like(self.point[:, -1]).scatter_add_(0, self.rows[0], self.margins.new_ones(count))
        for _ in range(8):
            total = self.probabilities.sum(1)
            if float((total - counts).abs().max()) <= 1e-11 * count:
                break
            hessian = torch.diag(total) - self.probabilities @ self.probabilities.T
            # A common shift changes nothing; pinning its curvature makes the matrix invertible.
            hessian += hessian.diagonal().mean() / len(counts)
            move = -torch.linalg.solve(hessian, total - counts)
            move *= min(1.0, 1.0 / max(float(move.abs().max()), 1e-300))
            self.point[:, -1] += move
            self.margins = self.margins + (move[:, None] - move[self.rows])
            self.probabilities = torch.softmax(self.margins, 0)
        self.refresh()

    def _margins(self, point: Tensor) -> Tensor:
        logits = (point[:, :-1].to(self.features.dtype) @ self.features.T).double() + point[:, -1:]
        return logits - logits.gather(0, self.rows)


def _remember(memory: list[tuple[Tensor, Tensor, Tensor]], move: Tensor, change: Tensor) -> None:
    curvature = (move * change).sum()
    if float(curvature) > 0.0:
        memory.append((move, change, 1.0 / curvature))
        del memory[:-_MEMORY]


def _inside(length: float, low: float, high: float) -> float:
    """``length`` where it lies well inside the bracket of the root; else a bisection, or a fourfold step outward."""
    if high == float("inf"):
        return min(max(length, 1.1 * low), 4.0 * low)
    margin = 0.05 * (high - low)
    return length if low + margin <= length <= high - margin else 0.5 * (low + high)


def _two_loop(gradient: Tensor, memory: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """The L-BFGS inverse Hessian times ``gradient`` (Nocedal and Wright 2006, algorithm 7.4)."""
    direction, taken = gradient.clone(), []
    for move, change, inverse in reversed(memory):
        share = inverse * (move * direction).sum()
        direction -= share * change
        taken.append(share)
    if memory:
        _, change, inverse = memory[-1]
        direction /= inverse * change.square().sum()
    for (move, change, inverse), share in zip(memory, reversed(taken), strict=True):
        direction += move * (share - inverse * (change * direction).sum())
    return direction


def _rotate(features: Tensor) -> tuple[Tensor, Tensor]:
    """Features in an orthonormal basis, ``(N, R)``, and the basis ``(D, R)``; R is D, or the rank if 2 N < D."""
    count, dim = features.shape
    if 2 * count >= dim:
        # float32 is enough here: any orthogonal basis is exact, and the variances are taken from the rotated features.
        exact = features.double() if dim <= 512 else features
        basis = torch.linalg.eigh(exact.T @ exact / count)[1].to(features.dtype)
        return features @ basis, basis
    exact = features.double()
    values, vectors = torch.linalg.eigh(exact @ exact.T)
    keep = values > values[-1].clamp_min(1e-300) * count * torch.finfo(torch.float64).eps
    roots = values[keep].sqrt()
    return (vectors[:, keep] * roots).to(features.dtype), (exact.T @ (vectors[:, keep] / roots)).to(features.dtype)


def _mean_squares(features: Tensor) -> Tensor:
    total = torch.zeros(features.shape[1], dtype=torch.float64, device=features.device)
    for rows in features.split(_CHUNK_ROWS):
        total += rows.square().sum(0).double()
    return total / len(features)
