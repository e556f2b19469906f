"""Speed of the collapse metrics, as ratios within one run, against the targets.

Run ``python benchmarks/metrics_speed.py`` on an idle machine (about 8 minutes on two cores; ``--quick`` leaves out what
takes long). Every ratio is of medians over rounds in which both sides take turns. Writes a JSON file to
``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from hardware import machine, result_path

from nctransfer import metrics


def race(rounds: int, **sides: Callable[[], object]) -> dict[str, float]:
    """Median seconds of each side over rounds in which they take turns, after one round for warmth."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            if turn:
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def textbook(features: torch.Tensor, labels: torch.Tensor, classes: int, inverse: Callable) -> float:
    """Two passes and D×D float32 covariances, as public code does it."""
    means = torch.stack([features[labels == label].mean(0) for label in range(classes)])
    within = torch.zeros(features.shape[1], features.shape[1])
    for label in range(classes):
        rest = features[labels == label] - means[label]
        within += rest.T @ rest
    centred = means - means.mean(0)
    between = centred.T @ centred / classes
    return float((within / len(features) * inverse(between).T).sum() / classes)


def draw(samples: int, dim: int, classes: int):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (samples,), generator=generator)
    features = torch.randn(samples, dim, generator=generator)
    features += 0.3 * torch.randn(classes, dim, generator=generator)[labels]
    return features, labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    rounds = 3 if quick else 5
    features, labels = draw(50_000, 2_048, 100)
    weight, bias, other = torch.randn(100, 2_048), torch.randn(100), torch.randn(2_048, 99)
    rows: list[dict] = []

    def note(what: str, seconds: dict[str, float], over: str, under: str, target: float, faster: bool = False) -> None:
        ratio = seconds[over] / seconds[under]
        met = ratio >= target if faster else ratio <= target
        rows.append({"what": what, "ratio": ratio, "target": target, "met": met, "seconds": seconds})
        print(
            f"{what:60s} {ratio:8.2f}x  target {'>=' if faster else '<='} {target}  {'met' if met else 'MISSED'}",
            flush=True,
        )

    def floor() -> None:
        features.sum()
        features.sum()
        features @ other

    several = (
        "nc1",
        "equinorm",
        "equiangularity",
        "etf_angle_error",
        "etf_error",
        "self_duality",
        "ncc_agreement",
        "cdnv",
        "class_separation",
    )
    times = race(
        rounds,
        floor=floor,
        nc1=lambda: metrics.nc1(features, labels),
        several=lambda: metrics.measure(features, labels, weight=weight, bias=bias, only=several),
        null=lambda: metrics.nc1_null(features, labels),
        ranks=lambda: (
            metrics.numerical_rank(features, labels),
            metrics.numerical_rank(features, labels, centered=True),
        ),
    )
    note("nc1 / two reads and one product", times, "nc1", "floor", 1.5)
    note("NC1 to NC4, CDNV, class separation / nc1", times, "several", "nc1", 2)
    note("noise floor of 20 permutations / nc1", times, "null", "nc1", 4)
    note("both numerical ranks / nc1", times, "ranks", "nc1", 4)
    times = race(
        1 if quick else 3,
        nc1=lambda: metrics.nc1(features, labels),
        textbook=lambda: textbook(features, labels, 100, torch.linalg.pinv),
        vci=lambda: metrics.vci(features, labels),
        product=lambda: features.T @ features,
    )
    note("textbook NC1, D = 2,048 / nc1", times, "textbook", "nc1", 10, faster=True)
    note("vci / one D×D product", times, "vci", "product", 1.3)
    update_speed(note, rounds)
    if not quick:
        wide, own = draw(10_000, 8_192, 100)
        start = time.perf_counter()
        textbook(wide, own, 100, torch.linalg.pinv)
        plain = time.perf_counter() - start
        start = time.perf_counter()
        textbook(wide, own, 100, lambda matrix: torch.linalg.pinv(matrix, hermitian=True))
        times = {**race(3, nc1=lambda: metrics.nc1(wide, own)), "pinv": plain, "hermitian": time.perf_counter() - start}
        note("textbook NC1 with pinv, D = 8,192 / nc1", times, "pinv", "nc1", 150, faster=True)
        note("textbook NC1 with hermitian pinv, D = 8,192 / nc1", times, "hermitian", "nc1", 50, faster=True)
    result_path("metrics_speed_quick" if quick else "metrics_speed").write_text(
        json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n"
    )


def update_speed(note: Callable, rounds: int) -> None:
    """``ClassStatistics.update`` with scatter, flushes included, against one product a batch."""
    batch, labels = draw(256, 2_048, 100)
    total = torch.zeros(2_048, 2_048)

    def update() -> None:
        accumulator = metrics.ClassStatistics(100, 2_048, scatter=True)
        for _ in range(64):
            accumulator.update(batch, labels)
        assert accumulator.scatter is not None

    def products() -> None:
        for _ in range(64):
            torch.addmm(total, batch.T, batch, out=total)

    note(
        "ClassStatistics.update with scatter / its product",
        race(rounds, update=update, product=products),
        "update",
        "product",
        1.3,
    )


if __name__ == "__main__":
    main()
