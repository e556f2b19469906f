"""What balancing classes of unequal size gains, by option: the evidence behind ``--balance auto``.

Real sets are made imbalanced: class k of K keeps n · r^(−k/(K−1)) images, with the classes in an order that the seed draws, so
that the largest has r times the images of the smallest. The test images are as many of every class, which measures rare classes
well; each number is given for classes that are equally common (*balanced*) and, with the classes weighted, for images as common
as in training (*found*). The temperature is fitted on held-out images as they come.

Probes read EfficientNet-Lite0 at 64 px; tuned methods start there, at one rate, and the mixture of start and end is chosen with
all classes alike. A sampler is the same as weights for probes, which are fitted in closed form.

Run ``NCTRANSFER_DATA=... python benchmarks/balance.py`` (about half an hour on one core; it goes on where it was stopped).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from hardware import machine, result_path
from torch.nn import functional

from nctransfer.data import open_dataset
from nctransfer.probes import FIT_BALANCES, fit_temperature
from nctransfer.transfer import TransferSettings
from nctransfer.transfer.choose import Choice, validation_logits
from nctransfer.transfer.evaluate import run_split
from nctransfer.transfer.probing import Probing
from nctransfer.transfer.tuning import train_method
from nctransfer.transfer.workbench import Workbench

LARGEST = {"trash": 200, "cifar10": 180, "digits": 120}
TESTED = {"trash": 40, "cifar10": 100, "digits": 50}
RATIOS = (10, 30)
PROBE_SEEDS, TUNED_SEEDS = (0, 1, 2), (0,)
TUNED = {"layer": Choice("blocks.4", 1e-3, "", (1e-3,)), "full": Choice(None, 5e-4, "", (5e-4,))}
TUNED_SETS, EPOCHS = ("trash", "cifar10"), 5
LAYERS = ("blocks.2", "blocks.4", "blocks.6")


def imbalanced(name, ratio, seed):
    """A bundle whose training and validation images are imbalanced and whose test images are balanced."""
    data = name if name == "digits" else str(Path(os.environ["NCTRANSFER_DATA"]) / name)
    bundle = open_dataset(data, seed=0, check=False)
    pool = bundle.train.joined(bundle.validation)
    tested = bundle.test
    if tested.source is pool.source:  # a set without a test split of its own: enough of every class must be left
        pool = pool.joined(tested)
    random = np.random.default_rng([seed, ratio])
    size = len(bundle.class_names)
    wanted = np.round(LARGEST[name] * ratio ** (-np.arange(size) / (size - 1.0))).astype(int)
    spare = pool.counts() - (TESTED[name] if tested.source is pool.source else 0)
    while True:
        roles = wanted[random.permutation(size)]
        if (roles <= spare).all():
            break
    train, validation, test = [], [], []
    for label in range(size):
        rows = random.permutation(np.flatnonzero(pool.labels == label))
        if tested.source is pool.source:
            test.append(rows[-TESTED[name] :])
        held = max(1, round(0.2 * roles[label]))
        validation.append(rows[:held])
        train.append(rows[held : roles[label]])
        if tested.source is not pool.source:
            test.append(random.permutation(np.flatnonzero(tested.labels == label))[: TESTED[name]])
    take = (pool if tested.source is pool.source else tested).subset
    return dataclasses.replace(
        bundle,
        train=pool.subset(np.concatenate(train)),
        validation=pool.subset(np.concatenate(validation)),
        test=take(np.concatenate(test)),
    )


def judged(logits, labels, temperature, share):
    """Numbers of test logits, for classes equally common and for classes as common as ``share``."""
    size, said = len(share), logits.argmax(1)
    table = torch.zeros(size, size, dtype=torch.float64)
    table.index_put_((labels, said), torch.ones(len(labels), dtype=torch.float64), accumulate=True)
    table /= table.sum(1, keepdim=True)
    losses = functional.cross_entropy(logits.double() / temperature, labels, reduction="none")
    loss = torch.stack([losses[labels == label].mean() for label in range(size)])
    found = {}
    for what, weight in (("balanced", torch.full((size,), 1.0 / size, dtype=torch.float64)), ("found", share)):
        joint = weight[:, None] * table
        f1 = 2 * joint.diagonal() / (joint.sum(0) + joint.sum(1))
        found[what] = {
            "accuracy": float(joint.diagonal().sum()),
            "macro_f1": float(f1.mean()),
            "log_loss": float((weight * loss).sum()),
        }
    rare = share.argsort()[: size // 3]
    return {**found, "recall_of_rare_third": float(table.diagonal()[rare].mean())}


def bench_of(bundle, balance, first=None):
    settings = TransferSettings(
        data=bundle.name,
        image_size=64,
        layers=LAYERS,
        balance=balance,
        metric="macro_f1",
        epochs=EPOCHS,
        augment="2",
        refit=False,
        feature_cache=False,
    )
    bench = Workbench(settings, bundle=bundle)
    if first is not None:
        bench.__dict__ |= {name: getattr(first, name) for name in ("train_features", "validation_features")}
    return bench


def probes(bundle, plain, share):
    """The linear probe and the deep probe under each balance of a fit."""
    tested = plain.take("test", layers=plain.measured_layers)
    for balance in FIT_BALANCES:
        probing = Probing(bundle, plain.train_features, plain.validation_features, 0, balance=balance)
        for method, layer in (("linear", "penultimate"), ("deep", None)):
            began = time.process_time()
            found = probing.cross_validated(layer)
            temperature = fit_temperature(found.held_logits[found.held], probing.labels[found.held], prior=0.5)
            yield {
                "method": method,
                "balance": balance,
                **judged(found.head.logits(tested.features), tested.labels, temperature, share),
                "cpu_seconds": time.process_time() - began,
            }


def tuned(bundle, plain, share, balance, method):
    bench, began = bench_of(bundle, balance, plain), time.process_time()
    model, outcome = train_method(bench, method, TUNED[method])
    held, truth = validation_logits(model, bench)
    temperature = fit_temperature(held, truth, prior=0.5)
    logits, labels, _ = run_split(model, bench.inputs.loader("test"), bench.runtime)
    return {
        "method": method,
        "balance": balance,
        **judged(logits, labels, temperature, share),
        "mixture": outcome.weights,
        "cpu_seconds": time.process_time() - began,
    }


def summary(rows):
    """Means over sets and seeds by kind of method, ratio and balance, and the mean gain over ``none`` with its standard error."""
    found = {}
    base = {key(row): row for row in rows if row["balance"] == "none"}
    for kind, methods in (("probes", ("linear", "deep")), ("tuned", ("layer", "full"))):
        for ratio in RATIOS:
            for balance in dict.fromkeys(row["balance"] for row in rows):
                mine = [
                    row
                    for row in rows
                    if (row["ratio"], row["balance"]) == (ratio, balance)
                    and row["method"] in methods
                    and key(row) in base
                ]
                if not mine:
                    continue
                entry = found.setdefault(f"{kind}, ratio {ratio}", {})[balance] = {"runs": len(mine)}
                for what in ("balanced", "found"):
                    for number in ("accuracy", "macro_f1", "log_loss"):
                        gain = [row[what][number] - base[key(row)][what][number] for row in mine]
                        entry[f"{what} {number}"] = float(np.mean([row[what][number] for row in mine]))
                        entry[f"{what} {number} gain"] = float(np.mean(gain))
                        entry[f"{what} {number} error"] = float(np.std(gain) / max(1, len(gain) - 1) ** 0.5)
    return found


def key(row):
    return row["set"], row["ratio"], row["seed"], row["method"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=list(LARGEST))
    parser.add_argument("--part", choices=["probes", "tuned"], nargs="*", default=["probes", "tuned"])
    given = parser.parse_args()
    path = result_path("balance")
    rows = json.loads(path.read_text())["rows"] if path.is_file() else []
    done = {(*key(row), row["balance"]) for row in rows}

    def keep(where, found):
        rows.append({**where, **found})
        path.write_text(json.dumps({"machine": machine(), "summary": summary(rows), "rows": rows}, indent=1) + "\n")
        print(
            where,
            found["method"],
            found["balance"],
            {name: round(v, 3) for name, v in found["found"].items()},
            flush=True,
        )

    for part in given.part:
        for name in given.sets if part == "probes" else [name for name in given.sets if name in TUNED_SETS]:
            for ratio in RATIOS:
                for seed in PROBE_SEEDS if part == "probes" else TUNED_SEEDS:
                    where = {"set": name, "ratio": ratio, "seed": seed}
                    bundle = imbalanced(name, ratio, seed)
                    counts = torch.from_numpy(bundle.train.counts()).double()
                    share, where["train"] = counts / counts.sum(), len(bundle.train)
                    if part == "probes":
                        if (name, ratio, seed, "deep", "logit-adjust") not in done:
                            for found in probes(bundle, bench_of(bundle, "none"), share):
                                keep(where, found)
                        continue
                    plain = bench_of(bundle, "none")
                    for method in TUNED:
                        for balance in ("none", "weights", "sampler", "logit-adjust"):
                            if (name, ratio, seed, method, balance) not in done:
                                keep(where, tuned(bundle, plain, share, balance, method))


if __name__ == "__main__":
    main()
