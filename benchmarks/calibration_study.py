"""How well raw and calibrated NC1 find the population's value, over sample size, width, classes, separation and
spectrum.

Run ``python benchmarks/calibration_study.py`` (about 15 minutes on one core; ``--quick`` takes one). Populations are
Gaussian: class means with independent normal coordinates of the given size, within-class covariance with unit mean
variance and spectrum i^-decay. It writes a JSON table to ``benchmarks/results`` and the curve to ``docs/images``;
``--seed 1`` draws populations that the estimator's thresholds were not set on, and leaves the curve alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from pathlib import Path

import torch
from hardware import machine, result_path

from nctransfer.errors import DataError
from nctransfer.metrics import nc1, nc1_calibrated

SAMPLES, DIMS, CLASSES, SEPARATIONS, DECAYS = (
    (10, 30, 100, 500),
    (64, 256, 2048),
    (2, 10, 100),
    (0.15, 0.3, 0.6),
    (0.0, 0.5, 1.0),
)
IMAGE = Path(__file__).parent.parent / "docs" / "images" / "calibration.png"


def population(classes: int, dim: int, separation: float, decay: float, generator: torch.Generator):
    means = separation * torch.randn(classes, dim, generator=generator, dtype=torch.float64)
    spectrum = torch.arange(1, dim + 1, dtype=torch.float64) ** -decay
    spectrum /= spectrum.mean()
    _, values, right = torch.linalg.svd(means - means.mean(0), full_matrices=False)
    rank = min(classes - 1, dim)
    truth = float(((right[:rank].square() @ spectrum) / values[:rank].square()).sum())
    return means, spectrum.sqrt(), truth


def cell(samples: int, dim: int, classes: int, separation: float, decay: float, work: float, seed: int) -> dict:
    generator = torch.Generator().manual_seed(seed * 1_000_003 + classes * 10_000 + dim)
    means, scale, truth = population(classes, dim, separation, decay, generator)
    labels = torch.arange(classes).repeat_interleave(samples)
    repeats = int(min(30, max(3, work // (len(labels) * dim))))
    raw, calibrated, right = [], [], []
    for _ in range(repeats):
        noise = torch.randn(len(labels), dim, generator=generator)
        features = means.float()[labels] + noise * scale.float()
        raw.append(nc1(features, labels) / truth)
        right.append(float((torch.cdist(features[:2000], means.float()).argmin(1) == labels[:2000]).double().mean()))
        try:
            calibrated.append(nc1_calibrated(features, labels) / truth)
        except DataError:
            continue
    return {
        "samples": samples, "dim": dim, "classes": classes, "separation": separation, "decay": decay,
        "population": truth, "accuracy": statistics.fmean(right), "repeats": repeats, "answered": len(calibrated),
        "raw": statistics.fmean(raw), "calibrated": statistics.fmean(calibrated) if calibrated else None,
        "spread": statistics.stdev(calibrated) if len(calibrated) > 1 else None,
    }  # fmt: skip


def draw(rows: list[dict]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(DECAYS), 3, figsize=(11, 8), sharex=True, sharey=True)
    for (row, decay), (column, classes) in itertools.product(enumerate(DECAYS), enumerate(CLASSES)):
        axis = axes[row][column]
        axis.axhspan(0.95, 1.05, color="0.9")
        for dim, colour in zip(DIMS, ("tab:blue", "tab:orange", "tab:green"), strict=True):
            for key, style in (("raw", ":"), ("calibrated", "-")):
                points = [
                    (r["samples"], r[key]) for r in rows
                    if (r["dim"], r["classes"], r["separation"], r["decay"]) == (dim, classes, 0.6, decay)
                    and r[key] is not None and (key == "raw" or 2 * r["answered"] >= r["repeats"])
                ]  # fmt: skip
                if points:
                    axis.plot(
                        *zip(*points, strict=True), style, marker="o", ms=3, color=colour, label=f"{key}, D={dim}"
                    )
        axis.set(xscale="log", yscale="log", ylim=(0.3, 8), title=f"K = {classes}, spectrum i^-{decay:g}")
        axis.set_yticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
    axes[0][0].legend(fontsize=7)
    figure.supxlabel("samples a class")
    figure.supylabel("estimate / population's NC1 (mean separation 0.6 a coordinate)")
    figure.tight_layout()
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGE, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out cells of more than a million numbers")
    parser.add_argument("--seed", type=int, default=0, help="of the populations; the estimator was made on 0")
    arguments = parser.parse_args()
    quick, seed = arguments.quick, arguments.seed
    limit = 1e6 if quick else 2e8
    rows = []
    for decay, classes, dim, separation, samples in itertools.product(DECAYS, CLASSES, DIMS, SEPARATIONS, SAMPLES):
        if samples * dim * classes <= limit:
            rows.append(cell(samples, dim, classes, separation, decay, 1e6 if quick else 3e6, seed))
            print(json.dumps(rows[-1]), flush=True)
    separated = [row for row in rows if row["accuracy"] > 0.8 and row["answered"] == row["repeats"]]
    near = sum(abs(row["calibrated"] - 1) <= 0.05 for row in separated)
    summary = {
        "cells": len(rows), "separated and answered": len(separated), "within 5 %": near,
        "separated": sum(row["accuracy"] > 0.8 for row in rows),
    }  # fmt: skip
    print(summary)
    name = "calibration" + ("_quick" if quick else "") + (f"_seed{seed}" if seed else "")
    result_path(name).write_text(
        json.dumps({"machine": machine(), "seed": seed, "quick": quick, "summary": summary, "rows": rows}, indent=1)
        + "\n"
    )
    if not seed and not quick:
        draw(rows)


if __name__ == "__main__":
    main()
