"""What ranking costs beyond the forward passes, and what the scores cost beyond one SVD.

    python benchmarks/rank_speed.py            # 6 networks × 2,000 images at 128 px; N=10,000, D=2,048, K=100; an idle machine
    python benchmarks/rank_speed.py --quick    # small sizes: whether it runs, not how fast it is

Targets: ranking at most 2 × a bare loop of the forward passes of the same run; all scores but NLEEP, PARC and the probes
within 3 × one SVD of the feature matrix and 2 × its memory; those three within 60 s and 1 GiB each; LogME at least 5 × faster
than the fixed point of its paper, class by class. Writes a JSON file to ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from timing import save

from nctransfer.data import Preprocess, bundle_from_arrays
from nctransfer.models import load_network
from nctransfer.ranking import rank
from nctransfer.scores import SCORES, log_me, prepare, score_all

NETWORKS = ("resnet18", "resnet34", "mobilenetv2_100", "efficientnet_lite0", "convnext_atto", "regnetx_002")
SLOW = ("nleep", "parc", "linear_probe")
CHEAP = [name for name in SCORES if name not in (*SLOW, "leep", "nce", "nearest_neighbours")]


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def ranking(images: int, size: int, networks: tuple[str, ...]) -> dict[str, float]:
    """A bare loop of forward passes and a ranking on the same pixels, random weights."""
    rng = np.random.default_rng(0)
    labels = np.arange(images) % 10
    pixels = (
        rng.integers(0, 200, (images, size, size, 3), dtype=np.uint8)
        + (5 * labels).astype(np.uint8)[:, None, None, None]
    )
    bundle = bundle_from_arrays(pixels, labels, validation=(pixels[:20], labels[:20]), test=(pixels[:20], labels[:20]))
    own = torch.from_numpy(
        np.stack([Preprocess(size=size).array(bundle.train.image(index)) for index in range(images)])
    )
    own = own.permute(0, 3, 1, 2).contiguous()

    def bare() -> None:
        for name in networks:
            network = load_network(name, weights="random", image_size=size).eval()
            with torch.inference_mode():
                for start in range(0, images, 256):
                    network(own[start : start + 256])

    os.environ["NCTRANSFER_CACHE"] = tempfile.mkdtemp()
    loop = seconds(bare)
    asked = {"weights": "random", "image_size": size, "device": "cpu", "deep": 0, "limit": 10**6}
    cold = seconds(lambda: rank(bundle, networks, **asked))
    warm = seconds(lambda: rank(bundle, networks, **asked))
    return {"bare loop": loop, "cold": cold, "warm": warm, "cold over bare": cold / loop}


def noise_with_classes(samples: int, dim: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(samples) % classes
    features = rng.standard_normal((samples, dim), dtype=np.float32)
    features += rng.standard_normal((classes, dim), dtype=np.float32)[labels]
    return features, labels


def peak_mib(task: str, samples: int, dim: int, classes: int) -> float | None:
    """Resident memory above the float32 features at its peak, in a process of its own; None where Linux does not tell."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_mib, (task, samples, dim, classes))


def _peak_mib(task: str, samples: int, dim: int, classes: int) -> float | None:
    if not Path("/proc/self/clear_refs").exists():
        return None
    features, labels = noise_with_classes(samples, dim, classes)
    score_all(features[: 3 * classes, :8], labels[: 3 * classes], only=CHEAP)  # what is imported on first use
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _resident_mib("VmRSS")
    if task == "svd":
        np.linalg.svd(features.astype(np.float64), full_matrices=False)
    else:
        score_all(features, labels, only=CHEAP if task == "cheap" else [task])
    return _resident_mib("VmHWM") - before


def _resident_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def scoring(samples: int, dim: int, classes: int) -> dict[str, object]:
    """Each score's seconds, all cheap ones together against one SVD, and LogME against its paper's iteration."""
    features, labels = noise_with_classes(samples, dim, classes)
    svd = statistics.median(
        seconds(lambda: np.linalg.svd(features.astype(np.float64), full_matrices=False)) for _ in range(3)
    )
    together = statistics.median(seconds(lambda: score_all(features, labels, only=CHEAP)) for _ in range(3))
    prepared = prepare(features, labels)
    prepared.spectrum, prepared.raw_spectrum  # noqa: B018
    alone = {name: seconds(lambda name=name: score_all(prepared, None, only=[name])) for name in [*CHEAP, *SLOW]}
    return {
        "svd": svd,
        "cheap together": together,
        "cheap over svd": together / svd,
        "alone, decompositions given": alone,
        "log_me": seconds(lambda: log_me(features, labels)),
        "log_me of the paper": seconds(lambda: paper_log_me(features.astype(np.float64), labels)),
        "peak MiB above the features": {
            task: peak_mib(task, samples, dim, classes) for task in ("svd", "cheap", *SLOW)
        },
    }


def paper_log_me(features: np.ndarray, labels: np.ndarray) -> float:
    """The fixed point of the first paper: one SVD, then for each class α and β in turn with full products."""
    samples, dim = features.shape
    left, values, right = np.linalg.svd(features, full_matrices=True) if samples < dim else _thin(features)
    sigma = values**2
    found = []
    for label in np.unique(labels):
        target = (labels == label).astype(np.float64)
        alpha = beta = 1.0
        for _ in range(11):
            mean = right.T @ ((beta * values * (left.T @ target)[: len(values)]) / (alpha + beta * sigma))
            gamma = float((beta * sigma / (alpha + beta * sigma)).sum())
            residual = float(((features @ mean - target) ** 2).sum())
            alpha, beta = gamma / float(mean @ mean), (samples - gamma) / residual
        found.append(
            (dim * np.log(alpha) + samples * np.log(beta) - np.log(alpha + beta * sigma).sum()) / (2 * samples)
        )
    return float(np.mean(found))


def _thin(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.linalg.svd(features, full_matrices=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    found = {
        "ranking": ranking(120, 32, NETWORKS[:2]) if quick else ranking(2000, 128, NETWORKS),
        "scoring": scoring(300, 64, 10) if quick else scoring(10_000, 2_048, 100),
    }
    for part, values in found.items():
        print(part, values)
    if not quick:
        print(save("rank_speed", found))


if __name__ == "__main__":
    main()
