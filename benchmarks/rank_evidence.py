"""Does a ranking's column foretell what tuning gives? Real networks, real images, every column beside a static order.

    NCTRANSFER_DATA=... NCTRANSFER_NETWORKS=... python benchmarks/rank_evidence.py --scale reduced

``full`` is what the question needs (every network that is here, two of them pre-trained by this script, × six sets, 64 px,
1,000 training and validation images, at most 1,000 test images, two rates; about 5 hours of one core), ``reduced`` six
networks × three sets × 400 images at one rate and two epochs, ``smoke`` two random networks on digits. ``--sets`` takes a
part. Each (network, set) is a cell that is kept under ``--work``, so a run that was stopped goes on. In the end, over the
sets of which every network is there: ``table.csv`` (one row a cell, every column, the tuned accuracy), ``agreement.json`` and
``README.md`` with weighted τ, its interval over networks, and regret of each column, over all networks and within families,
beside the mean rank on the *other* sets.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import nctransfer
from nctransfer.data import DataBundle, narrow, open_dataset
from nctransfer.engine import Watch
from nctransfer.ranking import agreement_of_table, rank, read_table
from nctransfer.runs import describe_environment, write_json

RESULTS = Path(__file__).parents[1] / "results" / "rank"
LITE = ("tf_efficientnet_lite0", "tf_efficientnet_lite1", "tf_efficientnet_lite2")
MOBILE = (
    "mobilenetv1_025_in1k", "mobilenetv1_050_in1k", "mobilenetv1_075_in1k", "mobilenetv1_100_in1k_features",
    "mobilenetv2_100_in1k", "mobilenetv2_100_inat_bird", "mobilenetv2_100_inat_insect",
)  # fmt: skip
HERE = ("pretrained:cifar_resnet20-ce", "pretrained:cifar_resnet20-supcon")
NARROW = {"025": (0.25, 128), "050": (0.5, 160), "075": (0.75, 192)}
SCALES: dict[str, dict[str, Any]] = {
    "full": {
        "networks": (*LITE, *MOBILE, *HERE, "untrained:mobilenetv2_100", "untrained:tf_efficientnet_lite0"),
        "sets": ("digits", "trash", "clothing", "cifar100", "fashion_mnist", "cifar10"),
        "images": 1000, "size": 64, "rates": (3e-4, 1e-3), "epochs": 5,
    },
    "reduced": {
        "networks": (*MOBILE[:2], MOBILE[4], MOBILE[5], MOBILE[6], LITE[0]),
        "sets": ("digits", "clothing", "trash"),
        "images": 400, "size": 64, "rates": (3e-4,), "epochs": 2,
    },
    "smoke": {
        "networks": ("untrained:cifar_resnet20", "untrained:test_vit"),
        "sets": ("digits",),
        "images": 60, "size": 32, "rates": (1e-3,), "epochs": 1,
    },
}  # fmt: skip


class Saying(Watch):
    """Progress as plain lines."""

    def say(self, text: str) -> None:
        print(text, flush=True)


def write_manifests(source: Path, folder: Path) -> None:
    """A manifest for each of the seven MobileNets, beside a link to its file."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "bn").exists():
        (folder / "bn").symlink_to((source / "bn").resolve())
    for name in MOBILE:
        arch = "_".join(name.split("_")[:2])
        width, size = NARROW.get(arch.split("_")[1], (None, 224))
        if not (folder / f"{name}.safetensors").exists():
            (folder / f"{name}.safetensors").symlink_to((source / f"{name}.safetensors").resolve())
        described = {
            "arch": "mobilenetv1_100" if width else arch,
            "arch_arguments": {"pad_type": "same"} | ({"channel_multiplier": width} if width else {}),
            "image_size": size,
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "license": "Apache-2.0",
            "overlays": [f"bn/{name}.safetensors"],
        }
        write_json(folder / f"{name}.json", described)


def pretrain_here(network: str, folder: Path) -> Path:
    """The run folder of an encoder pre-trained on 80 classes of CIFAR-100 that no cell is tested on."""
    arch, loss = network.removeprefix("pretrained:").rsplit("-", 1)
    out = folder / network.replace(":", "-")
    source = narrow(
        open_dataset(Path(os.environ["NCTRANSFER_DATA"]) / "cifar100", seed=0), classes=(20, 100), per_class=100
    )
    nctransfer.pretrain(
        source, out, arch=arch, loss=loss, head="mlp" if loss == "supcon" else "none", augment=5 if loss == "supcon" else 3,
        epochs=15, device="cpu", seed=0, resume=out.exists(), watch=Saying(),
    )  # fmt: skip
    return out


def source_of(network: str, folder: Path) -> tuple[str, str | None]:
    """What loads a network: (model, weights)."""
    if network in HERE:
        return str(pretrain_here(network, folder)), None
    if network.startswith("untrained:"):
        return network.removeprefix("untrained:"), "random"
    return (str(folder / f"{network}.safetensors"), None) if network in MOBILE else (network, None)


def bundle_of(name: str, images: int) -> DataBundle:
    """The images of a cell: at most 1,000 to test on; of CIFAR-100 twenty classes."""
    data = name if name == "digits" else Path(os.environ["NCTRANSFER_DATA"]) / name
    if name == "cifar100":
        return narrow(open_dataset(data, seed=0), classes=(0, 20), per_class=images // 20, test_per_class=50)
    bundle = open_dataset(data, seed=0, limit=images)
    if len(bundle.test) <= 1000:
        return bundle
    return narrow(bundle, test_per_class=1000 // bundle.num_classes)


def cell(network: str, dataset: str, plan: dict[str, Any], folder: Path, manifests: Path) -> dict[str, Any]:
    """Every column and the tuned accuracy of one network on one set."""
    model, weights = source_of(network, manifests)
    shared = {"image_size": plan["size"], "device": "cpu", "seed": 0}
    bundle = bundle_of(dataset, plan["images"])
    started = time.perf_counter()
    row = rank(bundle, [model], weights=weights, deep=1, watch=Saying(), **shared).rows[0]
    ranked = time.perf_counter() - started
    tuned = []
    for rate in plan["rates"]:
        run = nctransfer.tune(
            bundle, model, step_cost=False, refit=False, weights=weights, method="full", lr=rate, epochs=plan["epochs"],
            out=folder / f"tune-{rate:g}", overwrite=(folder / f"tune-{rate:g}").exists(), watch=Saying(), **shared,
        )  # fmt: skip
        tuned.append(run.methods["full"])
    best = max(tuned, key=lambda method: method["val_accuracy"])
    values = {name: value.value for name, value in row.columns.items() if value.value is not None}
    larger = {name: name not in ("nc1", "nc1_calibrated", "cdnv") for name in values}
    return {
        "model": network,
        "dataset": dataset,
        "accuracy": best["test_accuracy"],
        "validation_accuracy": best["val_accuracy"],
        "rate": best["learning_rate"],
        "test_images": len(bundle.test),
        "columns": {name: value if larger[name] else -value for name, value in values.items()},
        "seconds": {"rank": ranked, "all": time.perf_counter() - started},
    }


def family(network: str) -> str:
    """Networks of one kind and source differ in width or training alone."""
    return re.split(r"[_:]", network.removeprefix("untrained:").removeprefix("tf_"))[0]


def conclude(rows: list[dict[str, Any]], out: Path, scale: str, plan: dict[str, Any]) -> None:
    """The table, the agreement over all networks and within families, and the page."""
    names = sorted({name for row in rows for name in row["columns"]})
    with open(out / "table.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "dataset", *names, "accuracy"])
        for row in rows:
            writer.writerow(
                [row["model"], row["dataset"], *(row["columns"].get(name, "") for name in names), row["accuracy"]]
            )
    table = read_table(out / "table.csv")
    over_all = agreement_of_table(table)
    within: dict[str, list[float]] = defaultdict(list)
    for kind in {family(row["model"]) for row in rows}:
        part = {
            dataset: {model: values for model, values in models.items() if family(model) == kind}
            for dataset, models in table.items()
        }
        if min(len(models) for models in part.values()) >= 2:
            for found in agreement_of_table(part):
                within[found.score].append(found.tau)
    environment = describe_environment()
    write_json(
        out / "agreement.json",
        {
            "scale": scale,
            "plan": {key: list(value) if isinstance(value, tuple) else value for key, value in plan.items()},
            "agreement": [vars(found) for found in over_all],
            "within_families": dict(within),
            "cells": rows,
            "load_average": os.getloadavg()[0],
            "environment": {key: environment[key] for key in ("processor", "cores", "versions", "python")},
        },
    )
    lines = [
        f"# Ranking against tuning, scale `{scale}`",
        "",
        f"{len({row['model'] for row in rows})} networks × {len(table)} sets, {plan['images']} training and validation images, "
        f"{plan['size']} px, one seed; full fine-tuning at {len(plan['rates'])} rate(s), {plan['epochs']} epochs. Columns of "
        "which less is better are turned round.",
        "",
        f"    NCTRANSFER_DATA=... NCTRANSFER_NETWORKS=... python benchmarks/rank_evidence.py --scale {scale}",
        "",
        "| column | weighted τ, mean | smallest and largest | 95 % intervals over networks | within families | regret |",
        "|---|---|---|---|---|---|",
    ]
    for found in over_all:
        inner = within.get(found.score)
        intervals = "; ".join(
            "–" if span is None else f"{span[0]:.2f} to {span[1]:.2f}" for span in found.intervals.values()
        )
        lines.append(
            f"| {found.score} | {found.tau:.2f} | {found.low:.2f} to {found.high:.2f} | {intervals} | "
            f"{'–' if not inner else f'{sum(inner) / len(inner):.2f}'} | {100 * found.regret:.1f} points |"
        )
    (out / "README.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    print("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=SCALES, default="reduced")
    parser.add_argument("--work", type=Path, default=Path("runs/rank-evidence"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sets", help="a part of the sets, with commas")
    asked = parser.parse_args()
    plan, out = SCALES[asked.scale], asked.out or RESULTS / asked.scale
    work, manifests = asked.work / asked.scale, asked.work / "networks"
    if any(name in MOBILE for name in plan["networks"]):
        write_manifests(Path(os.environ["NCTRANSFER_NETWORKS"]), manifests)
    rows = []
    for dataset in asked.sets.split(",") if asked.sets else plan["sets"]:
        for network in plan["networks"]:
            place = work / dataset / network.replace(":", "-")
            kept = place / "cell.json"
            if kept.is_file():
                rows.append(json.loads(kept.read_text()))
                continue
            place.mkdir(parents=True, exist_ok=True)
            rows.append(cell(network, dataset, plan, place, manifests))
            write_json(kept, rows[-1])
            print(f"{dataset} {network}: {rows[-1]['accuracy']:.3f}, {rows[-1]['seconds']['all']:.0f} s", flush=True)
    complete = [
        row
        for row in rows
        if {other["model"] for other in rows if other["dataset"] == row["dataset"]} == set(plan["networks"])
    ]
    out.mkdir(parents=True, exist_ok=True)
    conclude(complete, out, asked.scale, plan)


if __name__ == "__main__":
    main()
