"""Loss and projection head against collapse and transfer, at a size that 2 cores train in minutes (Table 1, Figure 1).

    NCTRANSFER_DATA=... python benchmarks/pretrain_heads.py            # 18 runs, about 100 minutes on 2 idle cores
    NCTRANSFER_DATA=... python benchmarks/pretrain_heads.py --seeds 1 --losses ce --dry-run

A CIFAR ResNet-20 is trained on some classes of CIFAR-100 with each loss, without and with an MLP head; the encoder's
NC1 is taken on those training images, and a linear probe of the frozen encoder is fitted on CIFAR-10 (its strength
chosen on held-out training images) and scored on the 10,000 test images. Runs that stand there are not trained again.
The results file says which of Table 1's orderings hold for the means over seeds, and whether every run passed 95 %
training accuracy.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nctransfer.data import DataBundle, ImageSplit, PixelLoader, Preprocess, open_dataset
from nctransfer.models import load_network
from nctransfer.runs import describe_environment, write_json
from nctransfer.training import pretrain
from nctransfer.transfer.linear_probe import choose_probe

PAPER = {"ce-none": (0.771, 71.2), "mse-none": (0.001, 53.96), "supcon-mlp": (2.991, 79.51)}
"""NC1 on CIFAR-100 and transfer accuracy (%) on CIFAR-10 of a ResNet-18, from Table 1."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--per-class", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--losses", default="ce,mse,supcon")
    parser.add_argument("--heads", default="none,mlp")
    parser.add_argument("--augment", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/pretrain_heads"))
    parser.add_argument("--results", type=Path, default=Path("results/pretrain_heads.json"))
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    cells = [
        (loss, head, seed)
        for loss in options.losses.split(",")
        for head in options.heads.split(",")
        for seed in range(options.seeds)
    ]
    steps = options.classes * options.per_class // 128 * options.epochs
    minutes = sum((0.4 if loss == "supcon" else 0.2) * steps / 60 for loss, _, _ in cells)
    print(f"{len(cells)} runs of {steps} steps, about {minutes:.0f} minutes on 2 idle cores")
    if options.dry_run:
        return
    source = some_classes(open_dataset("cifar100", check=False), options.classes, options.per_class)
    downstream = open_dataset("cifar10", check=False)
    rows = []
    for loss, head, seed in cells:
        folder = options.out / f"{loss}-{head}-seed{seed}"
        result = pretrain(
            source,
            folder,
            resume=folder.exists(),
            arch="cifar_resnet20",
            loss=loss,
            head=head,
            augment=options.augment,
            epochs=options.epochs,
            measure_every=10,
            seed=seed,
        )
        final = result.final
        row = {
            "loss": loss,
            "head": head,
            "seed": seed,
            "train_accuracy": final["train_accuracy"],
            "test_accuracy": final["test_accuracy"],
            "nc1": final["nc1"],
            "head_nc1": final.get("head_nc1"),
            "transfer_accuracy": probe(folder, downstream),
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
        save(options, rows)


def some_classes(bundle: DataBundle, classes: int, per_class: int) -> DataBundle:
    """The first classes in alphabetical order, with the first images of each in the shuffled order of the files."""
    names = bundle.class_names[:classes]

    def keep(split: ImageSplit, most: int | None) -> ImageSplit:
        rows = np.concatenate([np.flatnonzero(split.labels == label)[:most] for label in range(classes)])
        rows.sort()
        return ImageSplit(split.source, split.indices[rows], split.labels[rows], names)

    report = {**bundle.report, "source": {**bundle.report["source"], "drawn": []}}
    return DataBundle(
        f"{bundle.name}-{classes}x{per_class}",
        names,
        keep(bundle.train, per_class),
        keep(bundle.validation, None),
        keep(bundle.test, None),
        report,
    )


def probe(folder: Path, bundle: DataBundle) -> float:
    """Test accuracy of a linear probe on frozen features, its strength chosen on the validation split."""
    network = load_network(str(folder)).eval()
    seen: dict[str, Any] = {}
    for name, split in bundle.splits().items():
        loader = PixelLoader(split, Preprocess(size=network.size), batch_size=500)
        with torch.no_grad():
            features = torch.cat([network(batch.images) for batch in loader.epoch()])
        seen[name] = features, torch.from_numpy(split.labels)
    chosen = choose_probe(*seen["train"], *seen["validation"], num_classes=len(bundle.class_names))
    return chosen.probe.accuracy(*seen["test"])


def save(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """Rows, means, and which of Table 1's orderings hold so far."""
    cells = sorted({(row["loss"], row["head"]) for row in rows})
    means = {
        f"{loss}-{head}": {
            name: statistics.fmean(row[name] for row in rows if (row["loss"], row["head"]) == (loss, head))
            for name in ("nc1", "transfer_accuracy", "train_accuracy")
        }
        for loss, head in cells
    }
    orderings = {}
    for low, high in (
        ("mse-none", "ce-none"),
        ("ce-none", "supcon-mlp"),
        ("mse-none", "mse-mlp"),
        ("ce-none", "ce-mlp"),
    ):
        if low in means and high in means:
            orderings[f"{low} < {high}"] = {
                name: means[low][name] < means[high][name] for name in ("nc1", "transfer_accuracy")
            }
    environment = describe_environment()
    settings = {name: value for name, value in vars(options).items() if name not in ("out", "results", "dry_run")}
    options.results.parent.mkdir(parents=True, exist_ok=True)
    write_json(
        options.results,
        {
            "settings": settings,
            "paper": PAPER,
            "rows": rows,
            "means": means,
            "orderings": orderings,
            "all_runs_pass_95": all(row["train_accuracy"] > 0.95 for row in rows),
            "environment": {name: environment[name] for name in ("date", "processor", "cores", "versions")},
        },
    )


if __name__ == "__main__":
    main()
