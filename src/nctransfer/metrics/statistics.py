"""One accumulator for streaming and distributed use: counts, means, squared deviations and pooled scatter of each
class.

Everything is held in float64 and merged by the rule of Chan, Golub and LeVeque (1979), which adds moments *about the
mean*: no digit is lost however far the means lie from zero, and any order of merging gives the same answer.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..arrays import check_finite
from ..errors import CheckpointError, DataError, ResourceError, UsageError
from .inputs import as_matrix, exact_products, prepare

__all__ = ["ClassStatistics", "add_outer_product"]

PENDING_BYTES = 64 << 20
BLOCK_ROWS = 256
TILES = 8
FEW_PRODUCTS = 1 << 28


class ClassStatistics:
    """Per-class counts, means and squared deviations, and the pooled within-class scatter where asked for.

    Batches of the same class add up exactly: splitting, reordering and merging change nothing but the last digits.
    Without ``scatter`` an update costs O(B·D); with it the D×D product of the class-centred rows, taken over many
    batches at once in float32 (float64 for float64 features or ``precise=True``) and added in float64.

    Args:
        num_classes: Number of classes K; labels lie in [0, K).
        dim: Feature dimension D.
        scatter: Whether to keep the pooled within-class scatter, a D×D matrix that NC1 and VCI need.
        device: Where the numbers are kept. A device without float64 is replaced by the CPU.
        precise: Run the scatter's products in float64 whatever the features' type.

    Shapes:
        counts (K,), means (K, D), squares (K,), scatter (D, D).

    Raises:
        UsageError: ``num_classes`` or ``dim`` is not a positive integer.
        ResourceError: the scatter would not fit into memory.

    Example:
        >>> import torch
        >>> features = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0]])
        >>> statistics = ClassStatistics(num_classes=2, dim=2)
        >>> statistics.update(features[:2], torch.tensor([0, 0]))
        >>> statistics.update(features[2:], torch.tensor([1]))
        >>> statistics.counts.tolist(), statistics.means.tolist(), statistics.squares.tolist()
        ([2, 1], [[1.0, 0.0], [0.0, 4.0]], [2.0, 0.0])
    """

    def __init__(
        self,
        num_classes: int,
        dim: int,
        *,
        scatter: bool = False,
        device: str | torch.device = "cpu",
        precise: bool = False,
    ) -> None:
        num_classes, dim = _positive("num_classes", num_classes), _positive("dim", dim)
        device = torch.device(device)
        self.num_classes, self.dim, self.precise = num_classes, dim, precise
        self.device = device if device.type in ("cpu", "cuda", "xpu") else torch.device("cpu")
        self.keeps_scatter = scatter
        self.reset()

    def reset(self) -> None:
        """Forget everything, as if newly made."""
        double = partial(torch.zeros, dtype=torch.float64, device=self.device)
        try:
            self._counts = torch.zeros(self.num_classes, dtype=torch.int64, device=self.device)
            self._means = double(self.num_classes, self.dim)
            self._squares = double(self.num_classes)
            self._scatter = double(self.dim, self.dim) if self.keeps_scatter else None
        except (RuntimeError, MemoryError) as error:
            raise ResourceError(
                f"no memory for the statistics of {self.num_classes} classes in {self.dim} dimensions",
                where="ClassStatistics",
                remedy="leave out scatter=True; CDNV, NC2 and NC3 do without it",
            ) from error
        self._pending: list[tuple[Tensor, Tensor]] = []
        self._pending_bytes = 0
        self._updates = 0
        # On an accelerator the checks of a batch are looked at when the statistics are, so that no batch waits.
        self._fault = torch.zeros((), dtype=torch.int64, device=self.device)

    @property
    def counts(self) -> Tensor:
        """Samples of each class, (K,), int64."""
        self._settle()
        return self._counts

    @property
    def means(self) -> Tensor:
        """Class means, (K, D), float64; zero where the class is empty."""
        self._settle()
        return self._means

    @property
    def squares(self) -> Tensor:
        """Sum of squared deviations of each class from its mean, (K,), float64."""
        self._settle()
        return self._squares

    @property
    def scatter(self) -> Tensor | None:
        """Sum over all samples of outer products of deviations from the class mean, (D, D), or None."""
        self._settle()
        return self._scatter

    @property
    def num_samples(self) -> int:
        """Number of samples taken in so far."""
        return int(self.counts.sum())

    def update(self, features: Any, labels: Any) -> None:
        """Take in a batch of features (B, D) with labels (B,); an empty batch changes nothing.

        Raises:
            TypeError: the features are not floats or the labels not integers.
            DataError: shapes do not fit, a label lies outside [0, num_classes), or a feature is NaN or infinite; the
                statistics stay as they were. On an accelerator the last two are raised when the numbers are read.
        """
        matrix, _ = as_matrix(features)
        if matrix.shape[1] != self.dim:
            raise DataError(
                f"features must have {self.dim} columns, got {matrix.shape[1]}",
                where=f"update {self._updates}",
                remedy="make ClassStatistics with the dimension of this layer",
            )
        self._updates += 1
        if not len(matrix):
            return
        with exact_products():
            if matrix.device.type == "cuda" and isinstance(labels, Tensor) and labels.device == matrix.device:
                matrix, numbers = self._guarded(matrix, labels)
            else:
                numbers = self._checked(matrix, labels)
            numbers = numbers.to(self.device)
            if self.keeps_scatter:
                # A copy: the caller's buffer may be written over before the product is taken.
                self._pending.append((matrix.to(self.device, copy=True), numbers))
                self._pending_bytes += matrix.numel() * matrix.element_size()
                if self._pending_bytes >= PENDING_BYTES:
                    self._flush()
            else:
                self._absorb(matrix.to(self.device), numbers)

    def merge(self, other: ClassStatistics) -> ClassStatistics:
        """Add what ``other`` has seen, and return self.

        Raises:
            UsageError: the two differ in classes, dimension, or in whether they keep the scatter.
        """
        mine, theirs = (self.num_classes, self.dim, self.keeps_scatter), None
        if isinstance(other, ClassStatistics):
            theirs = (other.num_classes, other.dim, other.keeps_scatter)
        if mine != theirs:
            raise UsageError(
                f"cannot merge statistics of (classes, dimension, scatter) {mine} with {theirs}",
                where="ClassStatistics.merge",
                remedy="make both with the same arguments",
            )
        with exact_products():
            self._add(other.counts, other.means, other.squares, other.scatter)
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """The accumulated numbers as tensors, for checkpoints and for sending to other processes."""
        state = {"counts": self.counts, "means": self.means, "squares": self.squares}
        if self.scatter is not None:
            state["scatter"] = self.scatter
        return {name: value.clone() for name, value in state.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Replace what was accumulated by ``state``.

        Raises:
            CheckpointError: names or shapes differ from this object's own.
        """
        own = {name: tuple(value.shape) for name, value in self.state_dict().items()}
        found = {name: tuple(value.shape) for name, value in state.items()}
        if own != found:
            raise CheckpointError(f"statistics hold {found}, expected {own}", where="ClassStatistics")
        self.reset()
        self._counts = state["counts"].to(self.device, torch.int64, copy=True)
        self._means = state["means"].to(self.device, torch.float64, copy=True)
        self._squares = state["squares"].to(self.device, torch.float64, copy=True)
        if self.keeps_scatter:
            self._scatter = state["scatter"].to(self.device, torch.float64, copy=True)

    def save(self, path: str | Path) -> None:
        """Write to a safetensors file, whole or not at all.

        Raises:
            ResourceError: the disk is full; an older file at ``path`` is unharmed.
        """
        from safetensors.torch import save

        from ..runs import write_bytes

        header = {"kind": "ClassStatistics", "precise": json.dumps(self.precise)}
        write_bytes(Path(path), save({name: value.cpu() for name, value in self.state_dict().items()}, header))

    @classmethod
    def load(cls, path: str | Path, *, device: str | torch.device = "cpu") -> ClassStatistics:
        """Read what ``save`` wrote.

        Raises:
            CheckpointError: the file is missing, damaged, or holds something else.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="pt") as file:
                header = file.metadata() or {}
                state = {name: file.get_tensor(name) for name in list(file.keys())}
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"cannot read statistics: {error}", where=str(path)) from error
        if header.get("kind") != "ClassStatistics" or "means" not in state or state["means"].ndim != 2:
            raise CheckpointError(
                "the file holds no ClassStatistics", where=str(path), remedy="pass one that save() wrote"
            )
        classes, dim = state["means"].shape
        precise = json.loads(header.get("precise", "false"))
        statistics = cls(classes, dim, scatter="scatter" in state, device=device, precise=precise)
        statistics.load_state_dict(state)
        return statistics

    def all_reduce(self, group: Any = None) -> ClassStatistics:
        """Merge the statistics of all processes of a ``torch.distributed`` group into each, and return self.

        Processes may hold any number of samples, none included; all end with the same bits.
        """
        from torch import distributed

        if distributed.get_world_size(group) == 1:
            return self
        # Gathered and merged in rank order rather than summed: a sum of means about zero would lose digits.
        gathered: list[dict[str, Tensor]] = [{} for _ in range(distributed.get_world_size(group))]
        state = {name: value.cpu() for name, value in self.state_dict().items()}
        distributed.all_gather_object(gathered, state, group=group)
        self.reset()
        with exact_products():
            for part in gathered:
                scatter = part.get("scatter")
                self._add(part["counts"], part["means"], part["squares"], scatter)
        return self

    def __repr__(self) -> str:
        extra = ", scatter=True" if self.keeps_scatter else ""
        return f"ClassStatistics(num_classes={self.num_classes}, dim={self.dim}{extra}, samples={self.num_samples})"

    def __getstate__(self) -> dict[str, Any]:
        self._settle()
        return self.__dict__.copy()

    def _checked(self, matrix: Tensor, labels: Any) -> Tensor:
        where = f"update {self._updates - 1}"
        numbers = prepare(matrix, labels, self.num_classes, where=where, min_classes=1)
        check_finite(torch.isfinite(matrix).all(1), where)
        return numbers.present[numbers.labels]

    def _guarded(self, matrix: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        good = torch.isfinite(matrix).all() & ((labels >= 0) & (labels < self.num_classes)).all()
        self._fault = torch.where((self._fault == 0) & ~good, self._updates, self._fault)
        # A bad batch is replaced by nothing that could index out of range; reading the statistics then raises.
        return torch.nan_to_num(matrix), labels.clamp(0, self.num_classes - 1).long()

    def _settle(self) -> None:
        with exact_products():
            self._flush()
        if self._fault.device.type != "cpu" and int(self._fault):
            raise DataError(
                "a batch held NaN or infinity, or a label outside [0, num_classes)",
                where=f"update {int(self._fault) - 1}",
                remedy="check the network and its input; reset() starts over",
            )

    def _flush(self) -> None:
        if not self._pending:
            return
        rows = torch.cat([rows for rows, _ in self._pending])
        labels = torch.cat([labels for _, labels in self._pending])
        self._pending, self._pending_bytes = [], 0
        self._absorb(rows, labels)

    def _absorb(self, rows: Tensor, labels: Tensor) -> None:
        counts = torch.bincount(labels, minlength=self.num_classes)
        # In blocks that stay in the cache; each is widened to float64 twice rather than kept wide.
        blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, len(rows), BLOCK_ROWS)]
        sums, squares = torch.zeros_like(self._means), torch.zeros_like(self._squares)
        for block in blocks:
            sums.index_add_(0, labels[block], rows[block].double())
        means = sums / counts.clamp(min=1)[:, None]
        # Rounding of float32 averages out over many products but not over few, which cost nothing in float64.
        few = rows.numel() * self.dim <= FEW_PRODUCTS
        fast = rows.dtype != torch.float64 and not self.precise and not few
        rest = torch.empty_like(rows, dtype=torch.float32 if fast else torch.float64) if self.keeps_scatter else None
        scale = _near_one(rows) if fast and len(rows) else None
        for block in blocks:
            exact = rows[block].double() - means[labels[block]]
            if rest is not None:
                rest[block] = exact if scale is None else exact * scale
            squares.index_add_(0, labels[block], exact.square_().sum(1))
        if self._scatter is not None and rest is not None:
            add_outer_product(self._scatter, rest, None if scale is None else scale.square().reciprocal())
        self._add(counts, means, squares, None)

    def _add(self, counts: Tensor, means: Tensor, squares: Tensor, scatter: Tensor | None) -> None:
        self._settle_pending_only()
        counts, means, squares = counts.to(self.device), means.to(self.device), squares.to(self.device)
        total = (self._counts + counts).clamp(min=1).double()
        share = counts / total
        steps = means - self._means
        weight = self._counts * share
        self._squares = self._squares + squares + weight * steps.square().sum(1)
        if self._scatter is not None:
            if scatter is not None:
                self._scatter += scatter.to(self.device)
            moved = weight > 0
            correction = steps[moved] * weight[moved].sqrt()[:, None]
            self._scatter += correction.T @ correction
        self._means = torch.where((self._counts == 0)[:, None], means, self._means + steps * share[:, None])
        self._counts = self._counts + counts

    def _settle_pending_only(self) -> None:
        if self._pending:
            self._flush()


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < 1:
        raise UsageError(f"{name} must be a positive integer, got {value!r}", where=name)
    return int(value)


def _near_one(rows: Tensor) -> Tensor:
    """The power of two that brings the largest entry near 1, so that squares stay within float32 and no digit changes."""
    peak = rows.abs().amax().double()
    return torch.ldexp(torch.ones_like(peak), -torch.frexp(peak)[1])


def add_outer_product(total: Tensor, rows: Tensor, factor: Tensor | None = None) -> None:
    """Add ``factor * rows.T @ rows`` for rows (B, D) to ``total`` (D, D), multiplying only the tiles on and above the
    diagonal."""
    dim = rows.shape[1]
    width = max(64, -(-dim // TILES))
    for start in range(0, dim, width):
        stop = min(start + width, dim)
        product = rows[:, start:stop].T @ rows[:, start:]
        if factor is not None:
            product = product.to(total.dtype) * factor
        total[start:stop, start:] += product
        total[stop:, start:stop] += product[:, stop - start :].T
