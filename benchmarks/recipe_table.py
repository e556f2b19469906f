"""The recipe of fine-tuning, one factor at a time, on development validation images; the test images are not read.

Full fine-tuning of 300 training images at 64 px from a plain recipe (AdamW, 15 epochs, cosine after 10 % warm-up, rate 1e-3,
batch 32, weight decay 0.01, padded crops, pretrained BatchNorm statistics kept, started at the penultimate probe), then the
same with one thing changed. 500 further training images judge. Each run also gives, at no further training: the moving
average of the weights, interpolations between start and end, and the mean of two ends that share a start.

Run ``NCTRANSFER_DATA=... python benchmarks/recipe_table.py`` (a minute a cell on a quiet core; it goes on where it was
stopped). ``--sets`` and ``--variants`` take a part.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from hardware import machine, result_path
from torch import nn
from torch.nn import functional

from nctransfer.data import Preprocess, augment, open_dataset, pixels_of
from nctransfer.models import load_network
from nctransfer.probes import assign_folds, cross_validate, fit_deep
from nctransfer.transfer.classifier import LayeredClassifier

SETS = ("trash", "clothing", "cifar10", "fashion_mnist", "digits", "cifar100")
SIZE, TRAIN, JUDGE = 64, 300, 500
PLAIN = {
    "start": "penultimate",
    "lr": 1e-3,
    "head_rate": 1.0,
    "epochs": 15,
    "batch": 32,
    "weight_decay": 0.01,
    "depth_decay": 1.0,
    "augment": 2,
    "smoothing": 0.0,
    "mixup": 0.0,
    "batchnorm": "kept",
    "start_scale": 1.0,
}
DEEP = {"start": "deep", "head_rate": 0.3}
SLOW = {**DEEP, "lr": 3e-4}
VARIANTS = {
    "plain": {},
    "deep start": DEEP,
    "rate 3e-4": {"lr": 3e-4},
    "flips": {"augment": 3},
    "batchnorm trained": {"batchnorm": "trained"},
    "smoothing 0.1": {"smoothing": 0.1},
    "depth decay 0.75": {"depth_decay": 0.75},
    "30 epochs": {"epochs": 30},
    "batch 16": {"batch": 16},
    "deep start, rate 3e-4": {**DEEP, "lr": 3e-4},
    "mixup 0.2": {"mixup": 0.2},
    "deep start, rate 1e-4": {**DEEP, "lr": 1e-4},
    "slow, rate 5e-4": {**SLOW, "lr": 5e-4},
    "slow, 30 epochs": {**SLOW, "epochs": 30},
    "slow, flips": {**SLOW, "augment": 3},
    "slow, smoothing 0.1": {**SLOW, "smoothing": 0.1},
    "slow, depth decay 0.75": {**SLOW, "depth_decay": 0.75},
    "slow, mixup 0.2": {**SLOW, "mixup": 0.2},
    "slow, batch 16": {**SLOW, "batch": 16},
    "slow, half the logits": {**SLOW, "start_scale": 0.5},
    "slow, rate of the head 1": {**SLOW, "head_rate": 1.0},
    "no augmentation": {"augment": 1},
    "rate 2e-3, depth decay 0.7": {"lr": 2e-3, "depth_decay": 0.7},
}


class Model(nn.Module):
    """A network and a classifier over some of its layers, all of it tuned."""

    def __init__(self, network, head, steady=True):
        super().__init__()
        self.network = network
        self.head = LayeredClassifier(network, head.layers, len(head.bias))
        self.head.start(head, steady=steady)

    def features(self, images):
        with self.network.taps(self.head.taps) as taps:
            last = self.network(images)
        return {**taps.features, "penultimate": last}

    def forward(self, images):
        return self.head(self.features(images))


def data_of(name, seed):
    """Pixels and labels of the training and the judging part, both from the training images."""
    data = name if name == "digits" else str(Path(os.environ["NCTRANSFER_DATA"]) / name)
    split = open_dataset(data, seed=0, check=False).train
    rows = np.flatnonzero(split.labels < 20)
    np.random.default_rng(seed).shuffle(rows)
    train = np.concatenate(
        [
            own[: max(2, round(TRAIN * len(own) / len(rows)))]
            for label in np.unique(split.labels[rows])
            for own in [rows[split.labels[rows] == label]]
        ]
    )
    judge = rows[~np.isin(rows, train)][:JUDGE]
    network = load_network("tf_efficientnet_lite0", image_size=SIZE).eval()
    facts = network.describe()["preprocess"]
    preprocess = Preprocess(size=SIZE, interpolation=facts["interpolation"], crop_pct=facts["crop_pct"])
    parts = [
        (pixels_of(split.subset(part), preprocess), torch.from_numpy(split.labels[part])) for part in (train, judge)
    ]
    return network, *parts[0], *parts[1]


@torch.no_grad()
def in_batches(call, images):
    return [call(part) for part in images.split(128)]


def judged(model, images, labels):
    model.eval()
    logits = torch.cat(in_batches(model, images))
    return {
        "accuracy": float((logits.argmax(1) == labels).double().mean()),
        "log_loss": float(functional.cross_entropy(logits, labels)),
    }


def start_of(network, images, labels, start):
    """The probe to start from, cross-validated on the training part."""
    with torch.no_grad():
        found = []
        for part in images.split(128):
            with network.taps() as taps:
                last = network(part)
            found.append({**taps.features, "penultimate": last})
    features = {name: torch.cat([part[name] for part in found]) for name in found[0]}
    folds, num_classes = assign_folds(labels), int(labels.max()) + 1
    if start == "deep":
        return fit_deep(features, labels, folds, num_classes=num_classes, tolerance=1e-4).joint.head
    last = {"penultimate": features["penultimate"]}
    return cross_validate(last, labels, folds, num_classes=num_classes, tolerance=1e-4).head


def groups_of(model, settings):
    """Parameter groups: no decay for vectors, a smaller rate for shallower blocks."""
    blocks = 7
    groups = []
    for name, parameter in model.named_parameters():
        if name.startswith("head."):
            factor = settings["head_rate"]
        else:
            path = name.removeprefix("network.encoder.").split(".")
            depth = (
                0 if path[0] in ("conv_head", "bn2") else blocks - int(path[1]) if path[0] == "blocks" else blocks + 1
            )
            factor = settings["depth_decay"] ** depth
        decay = settings["weight_decay"] if parameter.dim() > 1 else 0.0
        groups.append({"params": [parameter], "weight_decay": decay, "factor": factor})
    return groups


def mean_of(states, weights):
    return {
        key: sum(weight * state[key] for weight, state in zip(weights, states, strict=True))
        if value.is_floating_point()
        else value
        for key, value in states[-1].items()
    }


def cell(name, variant, seed, folder):
    """One training with everything that it tells."""
    settings = {**PLAIN, **VARIANTS[variant]}
    network, images, labels, judge_images, judge_labels = data_of(name, seed)
    torch.manual_seed(seed)
    model = Model(network, start_of(network, images, labels, settings["start"]))
    with torch.no_grad():
        model.head.weight.mul_(settings["start_scale"])
        model.head.bias.mul_(settings["start_scale"])
    row = {"set": name, "variant": variant, "seed": seed, "train": len(labels), "judge": len(judge_labels)}
    row["start"] = judged(model, judge_images, judge_labels)
    first = {key: value.clone() for key, value in model.state_dict().items()}
    average = {key: value.clone() for key, value in first.items()}
    optimizer = torch.optim.AdamW(groups_of(model, settings), lr=settings["lr"])
    steps = max(1, len(labels) // settings["batch"])
    total, started = settings["epochs"] * steps, time.process_time()
    warmup, step = max(1, round(0.1 * total)), 0
    for epoch in range(settings["epochs"]):
        model.train()
        if settings["batchnorm"] == "kept":
            for module in model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        random = np.random.default_rng([seed, epoch])
        order = torch.from_numpy(random.permutation(len(labels)))
        for rows in order[: steps * settings["batch"]].split(settings["batch"]):
            rising = (step + 1) / warmup
            falling = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
            for group in optimizer.param_groups:
                group["lr"] = settings["lr"] * group["factor"] * (rising if step < warmup else falling)
            view = augment(images[rows], settings["augment"], seed=seed, epoch=epoch, indices=rows).float() / 255
            loss = loss_of(model, view, labels[rows], settings, random)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
            decay = min(1 - 1 / max(10, 3 * steps), (1 + step) / (10 + step))
            for key, value in model.state_dict().items():
                if value.is_floating_point():
                    average[key].mul_(decay).add_(value, alpha=1 - decay)
    row["cpu_seconds"] = time.process_time() - started
    end = {key: value.clone() for key, value in model.state_dict().items()}
    row["end"] = judged(model, judge_images, judge_labels)
    others = {"moving average": average}
    others |= {f"interpolation {share}": mean_of([first, end], [1 - share, share]) for share in (0.5, 0.75, 0.9)}
    partner = {"rate 3e-4": "plain", "deep start, rate 3e-4": "deep start"}.get(variant)
    if partner and (folder / f"{name}-{partner}-{seed}.pt").is_file():
        others["soup of two rates"] = mean_of([torch.load(folder / f"{name}-{partner}-{seed}.pt"), end], [0.5, 0.5])
    for what, state in others.items():
        model.load_state_dict(state)
        row[what] = judged(model, judge_images, judge_labels)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(end, folder / f"{name}-{variant}-{seed}.pt")
    return row


def loss_of(model, view, labels, settings, random):
    smoothing = settings["smoothing"]
    if not settings["mixup"]:
        return functional.cross_entropy(model(view), labels, label_smoothing=smoothing)
    share = float(random.beta(settings["mixup"], settings["mixup"]))
    other = torch.from_numpy(random.permutation(len(labels)))
    logits = model(share * view + (1 - share) * view[other])
    first = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    return share * first + (1 - share) * functional.cross_entropy(logits, labels[other], label_smoothing=smoothing)


def table(rows):
    """Points of accuracy above the plain recipe, by what was changed: mean, by set, log-loss."""
    plain = {(row["set"], row["seed"]): row for row in rows if row["variant"] == "plain"}
    found = {}
    for row in rows:
        base = plain.get((row["set"], row["seed"]))
        for what, values in row.items():
            if base is None or not isinstance(values, dict):
                continue
            label = row["variant"] if what == "end" else f"{row['variant']}, {what}"
            entry = found.setdefault(label, {"gain": {}, "log_loss": []})
            entry["gain"][f"{row['set']}/{row['seed']}"] = 100 * (values["accuracy"] - base["end"]["accuracy"])
            entry["log_loss"].append(values["log_loss"])
    return {
        label: {
            "mean_gain": float(np.mean(list(entry["gain"].values()))),
            "gain": entry["gain"],
            "log_loss": float(np.mean(entry["log_loss"])),
        }
        for label, entry in sorted(found.items(), key=lambda item: -float(np.mean(list(item[1]["gain"].values()))))
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=",".join(SETS[:3]))
    parser.add_argument("--variants", default=",".join(VARIANTS).replace(", ", "; "))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--states", type=Path, default=Path("runs/recipe_table"))
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    out = options.out or result_path("recipe_table")
    content = json.loads(out.read_text()) if out.is_file() else {"machine": machine(), "plain": PLAIN, "rows": []}
    content["variants"] = VARIANTS
    done = {(row["set"], row["variant"], row["seed"]) for row in content["rows"]}
    for variant in options.variants.split(","):
        variant = variant.replace("; ", ", ")
        for name in options.sets.split(","):
            if (name, variant, options.seed) in done:
                continue
            row = cell(name, variant, options.seed, options.states)
            content["rows"].append(row)
            content["table"] = table(content["rows"])
            out.write_text(json.dumps(content, indent=1))
            print(
                name,
                variant,
                {what: round(100 * v["accuracy"], 1) for what, v in row.items() if isinstance(v, dict)},
                {what: round(v["log_loss"], 2) for what, v in row.items() if isinstance(v, dict)},
                round(row["cpu_seconds"]),
                flush=True,
            )


if __name__ == "__main__":
    main()
