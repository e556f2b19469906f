"""SCL fine-tuning beside low-rank adapters with as many tuned parameters, on the sets of `against_others.py`.

``NCTRANSFER_DATA=... python benchmarks/adapters_against_scl.py`` (half an hour a set and seed on two cores; it goes on where it
was stopped). SCL chooses its block by trials; the rank of the adapters is then the one whose tuned parameters come closest
to SCL's. All three start at the deep probe, under one recipe. ``--limit`` takes fewer images, ``--sets`` and ``--seeds`` a part.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from against_others import MODEL, SETS, bundle_of
from hardware import machine, result_path

import nctransfer
from nctransfer.data import narrow
from nctransfer.models import load_network
from nctransfer.transfer.adapters import adaptable_modules

ADAPTERS = {"lora": 1, "loha": 2}
"""Pairs of factors beside each weight."""
KEPT = ("test_accuracy", "val_accuracy", "tuned_parameters", "total_parameters", "skip_share", "unit")


def rank_for(size: int, pairs: int, wanted: int) -> int:
    """The rank at which adapters have the number of parameters closest to ``wanted``."""
    network = load_network(MODEL, image_size=size)

    def count(rank):
        weights = [network.encoder.get_submodule(name).weight for name in adaptable_modules(network, rank)]
        return pairs * rank * sum(sum(weight.flatten(1).shape) for weight in weights)

    return min(range(1, 65), key=lambda rank: abs(count(rank) - wanted))


def job(name: str, seed: int, limit: int | None) -> list[dict]:
    """A row for each method."""
    bundle, size = bundle_of(name, seed), SETS[name][0]
    if limit is not None:
        each = max(2, limit // len(bundle.class_names))
        bundle = narrow(bundle, per_class=each, test_per_class=2 * each)
    rows = []
    with tempfile.TemporaryDirectory() as folder:

        def tuned(method, **options):
            out = Path(folder) / method
            options |= {"image_size": size, "seed": seed, "step_cost": False, "refit": False, "out": out}
            run = nctransfer.tune(bundle, MODEL, method=method, **options)
            row = run.methods[method]
            rows.append(
                {"set": name, "seed": seed, "limit": limit, "method": method, **{key: row[key] for key in KEPT}}
            )
            return row

        scl = tuned("scl")
        # The classifier over all layers is the same; what differs is the part of the network that is tuned.
        model = load_network(MODEL, image_size=size)
        own = sum(value.numel() for value in model.encoder.get_submodule(scl["unit"]).parameters())
        for method, pairs in ADAPTERS.items():
            rank = rank_for(size, pairs, own)
            tuned(method, adapter_rank=rank)
            rows[-1]["rank"] = rank
    return rows


def table(rows: list[dict]) -> dict:
    """By method: mean test and validation accuracy, tuned parameters, over the jobs."""
    found = {}
    for method in ("scl", *ADAPTERS):
        own = [row for row in rows if row["method"] == method]
        numbers = ("test_accuracy", "val_accuracy", "tuned_parameters")
        found[method] = {"jobs": len(own), **{key: float(np.mean([row[key] for row in own])) for key in numbers}}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--limit", type=int, default=None, help="training and validation images at most")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    out = options.out or result_path("adapters_against_scl")
    content = json.loads(out.read_text()) if out.is_file() else {"machine": machine(), "model": MODEL, "rows": []}
    done = {(row["set"], row["seed"], row["limit"]) for row in content["rows"]}
    for seed in map(int, options.seeds.split(",")):
        for name in options.sets.split(","):
            if (name, seed, options.limit) in done:
                continue
            rows = job(name, seed, options.limit)
            content["rows"] += rows
            content["table"] = table(content["rows"])
            out.write_text(json.dumps(content, indent=1))
            for row in rows:
                print(name, seed, row["method"], f"{row['test_accuracy']:.1%}", row["tuned_parameters"], flush=True)


if __name__ == "__main__":
    main()
