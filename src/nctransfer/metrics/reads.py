"""The two reads of a feature matrix that everything else is made of, in chunks that stay in the processor's cache.

The first read sums each class in float64 (exact for float32 rows up to the last digits of a float64). The second one
subtracts the class's mean from each row and multiplies what is left: after centring, float32 products lose no digit
that the rows had. Rows are gathered class by class, so that a chunk needs few segments. Nothing of size (N, D) is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..arrays import check_finite
from ..errors import DataError
from .inputs import Samples

__all__ = [
    "Chunk",
    "Deviations",
    "centred",
    "class_means",
    "column_squares",
    "gathered",
    "raise_unless_finite",
    "read_deviations",
]

CHUNK_BYTES = 4 << 20
SLAB_BYTES = 64 << 20
LARGEST, SMALLEST = 1e140, 1e-70
TINY = 1e-24  # squared lengths below this have lost digits to float32


@dataclass
class Chunk:
    """Some rows, sorted by class: ``rows`` (B, D), their row numbers, labels, and (class, start, stop) segments."""

    rows: Tensor
    index: Tensor
    labels: Tensor
    segments: list[tuple[int, int, int]]

    @property
    def crumbled(self) -> bool:
        """Whether the classes are so small that whole-chunk operations beat one operation a segment."""
        return len(self.segments) * 4 > len(self.labels)

    def subtract(self, centres: Tensor) -> None:
        """Subtract each row's class centre, in place."""
        if self.crumbled:
            self.rows -= centres[self.labels.to(centres.device)]
            return
        for label, start, stop in self.segments:
            self.rows[start:stop] -= centres[label]

    def add_sums(self, sums: Tensor, weights: Tensor | None = None) -> None:
        """Add the rows of each class, each times its weight, to ``sums`` (K, D) in float64."""
        if self.crumbled:
            rows = self.rows.double()
            sums.index_add_(0, self.labels.to(sums.device), rows if weights is None else rows * weights[:, None])
            return
        for label, start, stop in self.segments:
            rows = self.rows[start:stop]
            if weights is None:
                sums[label] += rows.sum(0, dtype=torch.float64)
            else:
                sums[label] += (weights[start:stop].to(rows.dtype) @ rows).double()


def gathered(samples: Samples, dtype: torch.dtype | None = None) -> Iterator[Chunk]:
    """All rows in chunks sorted by class. ``rows`` is one buffer that the next chunk overwrites."""
    features, device = samples.features, samples.device
    size, dim = features.shape
    dtype = dtype or features.dtype
    wide = CHUNK_BYTES * (16 if device.type == "cuda" else 1) // (dim * 4)
    height = max(32, min(1024, wide) if device.type == "cpu" else wide)
    slab = max(height, SLAB_BYTES // (dim * features.element_size())) if samples.mapped else size
    buffer = torch.empty(min(height, size), dim, dtype=features.dtype, device=features.device)
    converted = dtype != features.dtype or device != features.device
    target = torch.empty(min(height, size), dim, dtype=dtype, device=device) if converted else buffer
    for base in range(0, size, slab):
        order = samples.order if slab >= size else torch.argsort(samples.labels[base : base + slab], stable=True) + base
        labels = samples.labels[order]
        order = order.to(features.device)
        for start in range(0, len(order), height):
            index, own = order[start : start + height], labels[start : start + height]
            rows = buffer[: len(index)]
            torch.index_select(features, 0, index, out=rows)
            if converted:
                rows = target[: len(index)].copy_(rows)
            yield Chunk(rows, index, own, _segments(own))


def class_means(samples: Samples) -> Tensor:
    """Class means of shape (K, D) in float64, from one read that also finds NaN and infinity.

    Raises:
        DataError: a feature is NaN or infinite (the first such row is named), or all are too large or too small for
            squares in float64.
    """
    if "means" not in samples.cache:
        sums = torch.zeros(len(samples.counts), samples.features.shape[1], dtype=torch.float64, device=samples.device)
        for chunk in gathered(samples):
            chunk.add_sums(sums)
        peak = float(sums.abs().amax())
        if not peak < LARGEST:
            raise_unless_finite(samples)
            raise DataError(
                f"features as large as {peak:.3g} overflow when squared",
                where=samples.where,
                remedy="divide all features by one constant; no metric of this package changes",
            )
        if peak < SMALLEST and 0 < (size := _largest(samples)) < SMALLEST:
            raise DataError(
                f"features no larger than {size:.3g} vanish when squared",
                where=samples.where,
                remedy="multiply all features by one constant; no metric of this package changes",
            )
        samples.cache["extreme"] = not 1e-12 < peak < 1e15
        samples.cache["means"] = sums / samples.counts.to(samples.device)[:, None]
    return samples.cache["means"]


def _largest(samples: Samples) -> float:
    height = max(1, SLAB_BYTES // (samples.features.shape[1] * 8))
    return max(float(part.abs().amax()) for part in samples.features.split(height))


def raise_unless_finite(samples: Samples) -> None:
    """Raise a DataError naming the first row that holds NaN or infinity, if there is one."""
    height = max(1, SLAB_BYTES // (samples.features.shape[1] * 8))
    for start in range(0, len(samples.features), height):
        rows = samples.features[start : start + height]
        check_finite(torch.isfinite(rows).all(1), samples.where, start=start)


def centred(samples: Samples, means: Tensor, dtype: torch.dtype) -> tuple[Tensor, Iterator[Chunk]]:
    """Class-centred chunks, and the centres that were subtracted: the means rounded to ``dtype``, so that nothing
    is lost."""
    centres = means.to(dtype)

    def chunks() -> Iterator[Chunk]:
        for chunk in gathered(samples, dtype):
            chunk.subtract(centres)
            yield chunk

    return centres, chunks()


@dataclass
class Deviations:
    """Sums that the second read leaves, in float64.

    Attributes:
        centres: The centres that were subtracted, (K, D); the means up to rounding.
        squares: Sum of squared deviations from the mean of each class, (K,).
        projected: Sums over each class of squared projections of the deviations on each direction, (K, R).
        lengths: Squared length of each centred row, in the order of ``index``, (N,); None unless asked for.
        along: Inner product of each centred row with its class centre, (N,); None unless asked for.
        raw: Squared length of each row itself, (N,), or None.
        unit_sums: Sums over each class of centred rows divided by the length of the row itself, (K, D), or None.
        projections: Projections of each centred row on the directions, (N, R), or None.
        logits: Products of each centred row with the outputs, (N, C), or None.
        gram: Sum of outer products of projections, each row times its class's weight, (R, R), or None.
        index: The row numbers in the order of the read, (N,).
    """

    centres: Tensor
    squares: Tensor
    projected: Tensor | None
    lengths: Tensor
    along: Tensor | None
    raw: Tensor | None
    unit_sums: Tensor | None
    projections: Tensor | None
    logits: Tensor | None
    gram: Tensor | None
    index: Tensor


def read_deviations(
    samples: Samples,
    *,
    directions: Tensor | None = None,
    outputs: Tensor | None = None,
    separation: bool = False,
    keep: bool = False,
    weights: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Deviations:
    """Read the features a second time, class-centred, and take all that was asked for on the way.

    Args:
        directions: Orthonormal columns of shape (D, R) to project the deviations on.
        outputs: Classifier weights of shape (C, D) to multiply the deviations with.
        separation: Whether to take what class separation needs.
        keep: Whether to keep each row's projections (N, R).
        weights: Weight of each class, (K,), in a sum of outer products of the projections.
        dtype: Type of the products; by default float32 unless the features are float64.
    """
    dtype = dtype or samples.fast_dtype
    means, device = class_means(samples), samples.device
    parts = [part for part in (directions, None if outputs is None else outputs.T) if part is not None]
    columns = torch.cat(parts, 1).to(device, dtype) if parts else None
    centres, chunks = centred(samples, means, dtype)
    found = _nothing_yet(
        samples,
        centres.double(),
        rank=0 if directions is None else directions.shape[1],
        outputs=None if outputs is None else len(outputs),
        separation=separation,
        keep=keep,
        gram=weights is not None,
        dtype=dtype,
    )
    done, lengths_of_centres = 0, centres.double().square().sum(1)
    for chunk in chunks:
        span = slice(done, done + len(chunk.rows))
        done += len(chunk.rows)
        found.index[span] = chunk.index
        found.lengths[span] = _squared_lengths(chunk.rows)
        if columns is not None:
            _take_products(found, chunk, span, chunk.rows @ columns, weights)
        if separation:
            _take_separation(found, samples, chunk, span, centres, lengths_of_centres)
    if dtype == torch.float32 and not TINY < float(found.lengths.max()) < float("inf"):
        samples.cache["extreme"] = True
        return read_deviations(
            samples,
            directions=directions,
            outputs=outputs,
            separation=separation,
            keep=keep,
            weights=weights,
            dtype=torch.float64,
        )
    found.squares, found.projected = _about_means(samples, means - found.centres, found, directions)
    return found


def _nothing_yet(
    samples: Samples,
    centres: Tensor,
    *,
    rank: int,
    outputs: int | None,
    separation: bool,
    keep: bool,
    gram: bool,
    dtype: torch.dtype,
) -> Deviations:
    """Sums at zero, and room for what is kept of each row."""
    size, (classes, dim), device = len(samples.features), centres.shape, samples.device
    double = partial(torch.zeros, dtype=torch.float64, device=device)
    return Deviations(
        centres=centres,
        squares=double(classes),
        projected=double(classes, rank) if rank else None,
        lengths=double(size),
        along=double(size) if separation else None,
        raw=double(size) if separation else None,
        unit_sums=double(classes, dim) if separation else None,
        projections=torch.empty(size, rank, dtype=dtype, device=device) if keep else None,
        logits=None if outputs is None else torch.empty(size, outputs, dtype=dtype, device=device),
        gram=double(rank, rank) if gram else None,
        index=torch.empty(size, dtype=torch.int64, device=samples.features.device),
    )


def _take_products(found: Deviations, chunk: Chunk, span: slice, product: Tensor, weights: Tensor | None) -> None:
    """Take a chunk's products with directions and outputs, in this order of columns."""
    rank = 0 if found.projected is None else found.projected.shape[1]
    if found.projected is not None:
        _add_squares(found.projected, product[:, :rank], chunk)
    if found.projections is not None:
        found.projections[span] = product[:, :rank]
    if found.gram is not None and weights is not None:
        seen = product[:, :rank] * weights.sqrt().to(product.dtype)[chunk.labels.to(product.device)][:, None]
        found.gram += seen.T @ seen
    if found.logits is not None:
        found.logits[span] = product[:, rank:]


def _take_separation(
    found: Deviations, samples: Samples, chunk: Chunk, span: slice, centres: Tensor, lengths_of_centres: Tensor
) -> None:
    """Take what class separation needs of a chunk."""
    assert found.along is not None
    assert found.raw is not None
    assert found.unit_sums is not None
    own = lengths_of_centres[chunk.labels.to(lengths_of_centres.device)]
    found.along[span] = _inner_products(chunk, centres)
    found.raw[span] = raw = _own_lengths(samples, chunk, found.lengths[span], found.along[span], own)
    chunk.add_sums(found.unit_sums, torch.where(raw > 0, raw, 1.0).rsqrt())


def column_squares(samples: Samples) -> Tensor:
    """Sum over all samples of the squared deviation from the class mean in each dimension, (D,)."""
    means = class_means(samples)
    total = torch.zeros(means.shape[1], dtype=torch.float64, device=means.device)
    for chunk in centred(samples, means, samples.fast_dtype)[1]:
        total += chunk.rows.square_().sum(0, dtype=torch.float64)
    return total


def _about_means(
    samples: Samples, shift: Tensor, found: Deviations, directions: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Sums of squares about the means themselves, from those about the rounded centres that were subtracted."""
    counts, projected = samples.counts.to(shift.device, torch.float64), found.projected
    own = samples.labels[found.index.cpu()].to(shift.device)
    squares = torch.zeros_like(counts).index_add_(0, own, found.lengths)
    squares = (squares - counts * shift.square().sum(1)).clamp_min_(0)
    if projected is not None and directions is not None:
        projected = (projected - counts[:, None] * (shift @ directions).square()).clamp_min_(0)
    return squares, projected


def _segments(labels: Tensor) -> list[tuple[int, int, int]]:
    values, lengths = torch.unique_consecutive(labels, return_counts=True)
    stops = lengths.cumsum(0)
    return list(zip(values.tolist(), (stops - lengths).tolist(), stops.tolist(), strict=True))


def _squared_lengths(rows: Tensor) -> Tensor:
    # Long rows are cut, so that a float32 sum never runs over more than 4,096 squares.
    if rows.dtype == torch.float32 and rows.shape[1] > 4096:
        return sum(torch.linalg.vector_norm(part, dim=1).double().square() for part in rows.split(4096, 1))
    return torch.linalg.vector_norm(rows, dim=1).double().square()


def _own_lengths(samples: Samples, chunk: Chunk, lengths: Tensor, along: Tensor, centres: Tensor) -> Tensor:
    raw = lengths + 2 * along + centres
    cancelled = (raw < 1e-4 * (lengths + centres)).nonzero().flatten()
    if len(cancelled):
        rows = samples.features[chunk.index[cancelled.to(chunk.index.device)]].to(raw.device, torch.float64)
        raw[cancelled] = rows.square().sum(1)
    return raw


def _inner_products(chunk: Chunk, centres: Tensor) -> Tensor:
    if chunk.crumbled:
        return (chunk.rows * centres[chunk.labels.to(centres.device)]).sum(1).double()
    return torch.cat([chunk.rows[start:stop] @ centres[label] for label, start, stop in chunk.segments]).double()


def _add_squares(total: Tensor, product: Tensor, chunk: Chunk) -> None:
    squares = product.to(torch.float64, copy=True).square_()  # the product itself is used again
    if chunk.crumbled:
        total.index_add_(0, chunk.labels.to(total.device), squares)
        return
    for label, start, stop in chunk.segments:
        total[label] += squares[start:stop].sum(0)
