"""Memory that NC1 takes above the features, and how its time grows with samples, dimension and classes.

Run ``python benchmarks/metrics_memory.py`` (about 5 minutes; ``--growth`` adds the plot, up to 26 GB of features unless
``--limit`` in GiB says less). Memory is the peak of the process (``VmHWM``) less what the features made it before.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from functools import partial
from pathlib import Path

import torch
from hardware import machine, result_path

from nctransfer import metrics

IMAGE = Path(__file__).parent.parent / "docs" / "images" / "growth.png"


def peak_above(call) -> float:
    """MiB that the call adds to the process's memory at its highest."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    call()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def draw(samples: int, dim: int, classes: int):
    features = torch.empty(samples, dim)
    for part in features.split(4096):
        part.normal_()
    labels = torch.arange(samples) % classes
    features[:, :classes].scatter_add_(1, labels[:, None], torch.full((samples, 1), 3.0))
    return features, labels


def growth(limit: float) -> list[dict]:
    """Seconds of ``nc1`` along three lines in samples (D=256, K=50), dimension (N=2,000, K=50) and classes
    (N=20,000, D=1,024)."""
    lines = {
        "samples": [(n, 256, 50) for n in (12_500, 25_000, 50_000, 100_000, 200_000, 400_000)],
        "dim": [(2_000, d, 50) for d in (1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536)],
        "classes": [(20_000, 1_024, k) for k in (10, 30, 100, 300, 1_000)],
    }
    rows = []
    for line, points in lines.items():
        for samples, dim, classes in points:
            if samples * dim * 4 > limit * 2**30:
                continue
            features, labels = draw(samples, dim, classes)
            taken = []
            for _ in range(4):
                start = time.perf_counter()
                metrics.nc1(features, labels)
                taken.append(time.perf_counter() - start)
            rows.append({"line": line, "samples": samples, "dim": dim, "classes": classes, "seconds": min(taken)})
            print(rows[-1], flush=True)
    return rows


def plot(rows: list[dict]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained")
    titles = {
        "samples": "samples (256 dimensions, 50 classes)",
        "dim": "dimensions (2,000 samples, 50 classes)",
        "classes": "classes (20,000 samples, 1,024 dimensions)",
    }
    for axis, line in zip(axes, titles, strict=True):
        points = [(row[line], row["seconds"]) for row in rows if row["line"] == line]
        axis.plot(*zip(*points, strict=True), "o-", label="nc1")
        last = points[-1]
        axis.plot(
            *zip(*[(x, last[1] * x / last[0]) for x, _ in points], strict=True), ":", color="0.5", label="in proportion"
        )
        axis.set(xscale="log", yscale="log", xlabel=titles[line], ylabel="seconds")
        for side, subs in ((axis.xaxis, (1.0, 2.0, 5.0)), (axis.yaxis, (1.0, 3.0))):
            side.set_major_locator(LogLocator(subs=subs))
            side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
            side.set_minor_formatter(NullFormatter())
        axis.tick_params(axis="x", labelrotation=30)
        axis.legend()
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGE, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--limit", type=float, default=4.0, help="largest feature matrix, GiB")
    arguments = parser.parse_args()
    warm, own = draw(2_000, 512, 10)
    metrics.measure(warm, own)
    rows = []
    features, labels = draw(50_000, 2_048, 100)
    rows.append(
        {
            "what": "nc1, N=50,000 D=2,048 K=100",
            "MiB": peak_above(partial(metrics.nc1, features, labels)),
            "target": 100,
        }
    )
    del features
    wide, few = torch.empty(2_000, 1_000_000), torch.arange(2_000) % 10
    tile = torch.randn(2_000, 1_000)
    for part in wide.split(1_000, 1):
        part.copy_(tile[torch.randperm(2_000)]).add_(few[:, None].float(), alpha=0.1)
    weight = torch.randn(10, 1_000_000)
    names = (
        "nc1",
        "cdnv",
        "equinorm",
        "etf_error",
        "self_duality",
        "ncc_agreement",
        "numerical_rank",
        "numerical_rank_centered",
    )
    call = partial(metrics.measure, wide, few, weight=weight, only=names)
    start = time.perf_counter()
    rows.append({"what": "NC1 to NC4, CDNV, ranks, N=2,000 D=1,000,000 K=10", "MiB": peak_above(call), "target": 1024})
    rows[-1]["seconds"] = time.perf_counter() - start
    for row in rows:
        print(row)
    del wide, few, weight, call
    if arguments.growth:
        rows += growth(arguments.limit)
        plot([row for row in rows if "line" in row])
    result_path("metrics_memory").write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
