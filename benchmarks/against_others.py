"""`nctransfer auto` beside other tools: same pixels, same weights, same splits, same cores, each in a process of its own.

``auto_fast`` is `auto --preset fast`: it stands beside the others, but has no rank among them.

``NCTRANSFER_DATA=... python benchmarks/against_others.py`` (hours; goes on where it was stopped). ``--sets``, ``--seeds``
and ``--tools`` take a part. ``--python fastai=PATH`` names the interpreter of an environment that holds fastai (and
``autogluon=PATH`` that of AutoGluon); without it that tool is left out, by name. ``--model`` takes another network.
`other_tools.py` says what each does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SETS = {  # name: (input in pixels, training + validation images; None: all)
    "digits": (64, None),
    "cifar10": (64, 2000),
    "cifar100": (64, 1000),
    "fashion_mnist": (64, 1000),
    "clothing": (96, 800),
    "trash": (96, 800),
}
OURS = {"auto": "balanced", "auto_fast": "fast"}  # name: preset
OTHERS = ("sklearn", "plain_full", "fastai", "autogluon")
ELSEWHERE = ("fastai", "autogluon")
"""Tools that need an environment of their own."""
MODEL = "tf_efficientnet_lite0"
KEPT = (
    "test_accuracy", "val_accuracy", "out_of_fold_accuracy", "out_of_fold_images", "seconds", "unit", "learning_rate", "why",
)  # fmt: skip


def bundle_of(name: str, seed: int):
    """The data set of a job: at most 2,000 test images."""
    from nctransfer.data import narrow, open_dataset

    data = name if name == "digits" else str(Path(os.environ["NCTRANSFER_DATA"]) / name)
    if name == "cifar100":
        return narrow(open_dataset(data, seed=seed), classes=(0, 20), per_class=50, test_per_class=100)
    bundle = open_dataset(data, seed=seed, limit=SETS[name][1])
    return narrow(bundle, test_per_class=200) if len(bundle.test) > 2000 else bundle


def run_auto(tool: str, name: str, seed: int, model: str) -> dict:
    """Our own worker, for a process of its own."""
    import nctransfer

    bundle = bundle_of(name, seed)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = nctransfer.auto(
            bundle, model, out=Path(folder) / "run", image_size=SETS[name][0], seed=seed, preset=OURS[tool]
        )
        seconds = time.perf_counter() - started
    best = run.methods[run.best_method]
    return {
        "tool": tool,
        "seconds": seconds,
        "test_accuracy": best["test_accuracy"],
        "validation_accuracy": best["val_accuracy"],
        "settings": {"method": run.best_method},
        "methods": {method: {key: row.get(key) for key in KEPT} for method, row in run.methods.items()},
    }


def write_inputs(name: str, seed: int, model: str, folder: Path) -> None:
    """Pixels, weights and facts for the other tools."""
    import torch

    from nctransfer.data import Preprocess, pixels_of
    from nctransfer.models import load_network

    bundle, network = bundle_of(name, seed), load_network(model, image_size=SETS[name][0])
    facts = network.describe()["preprocess"]
    preprocess = Preprocess(network.size, facts["interpolation"], facts["crop_pct"])
    arrays = {}
    for part, split in bundle.splits().items():
        arrays[f"{part}_pixels"] = np.asarray(pixels_of(split, preprocess))
        arrays[f"{part}_labels"] = split.labels
    np.savez(folder / "pixels.npz", **arrays)
    torch.save({key: value.contiguous() for key, value in network.encoder.state_dict().items()}, folder / "encoder.pt")
    manifest = Path(model).with_suffix(".json")
    described = json.loads(manifest.read_text()) if manifest.is_file() else {"arch": model}
    about = {
        "arch": described["arch"],
        "arguments": described.get("arch_arguments", {}),
        "mean": facts["mean"],
        "std": facts["std"],
        "classes": len(bundle.class_names),
        "width": network.feature_dim,
        "seed": seed,
    }
    (folder / "network.json").write_text(json.dumps(about))


def run_other(tool: str, name: str, seed: int, model: str, python: str) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(name, seed, model, Path(folder))
        return _answer([python, str(HERE / "other_tools.py"), tool, folder])


def _answer(command: list[str]) -> dict:
    """The worker's line, with the processor time of its process: what other load on the machine does not lengthen."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1][:300]}
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**json.loads(done.stdout.strip().splitlines()[-1]), "cpu_seconds": used}


def summary(rows: list[dict]) -> dict:
    """Mean test accuracy, seconds and rank of each tool over the jobs that all of them finished.

    A tool that was run on fewer jobs than the others, and `auto --preset fast`, stand beside `auto` on their own jobs.
    """
    jobs: dict[tuple, dict[str, dict]] = {}
    for row in rows:
        if "error" not in row:
            jobs.setdefault((row["set"], row["seed"]), {})[row["tool"]] = row
    counts = Counter(tool for found in jobs.values() for tool in found if tool != "auto_fast")
    tools = [tool for tool in sorted(counts) if counts[tool] == max(counts.values())]
    shared = [found for found in jobs.values() if set(tools) <= set(found)]
    table = {}
    for tool in tools if shared else ():
        ranks = [
            1 + sum(found[other]["test_accuracy"] > found[tool]["test_accuracy"] for other in tools if other != tool)
            for found in shared
        ]
        table[tool] = {**_means([found[tool] for found in shared]), "rank": float(np.mean(ranks))}
    for tool in ("auto_fast", *(tool for tool in counts if tool not in tools)):
        pairs = [(found[tool], found["auto"]) for found in jobs.values() if {tool, "auto"} <= set(found)]
        if pairs:
            table[tool] = {
                **_means([mine for mine, _ in pairs]),
                "auto": _means([other for _, other in pairs])["test_accuracy"],
            }
    return table


def _means(rows: list[dict]) -> dict:
    keys = ("test_accuracy", "seconds", "cpu_seconds")
    return {"jobs": len(rows), **{key: float(np.mean([row[key] for row in rows])) for key in keys}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--tools", default=",".join([*OURS, *OTHERS]))
    parser.add_argument("--python", action="append", default=[], help="TOOL=PATH of an interpreter")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--model", default=MODEL, help="a name, or a weights file with its manifest")
    parser.add_argument("--worker", nargs=3, metavar=("TOOL", "SET", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        tool, name, seed = options.worker
        print(json.dumps(run_auto(tool, name, int(seed), options.model)))
        return
    from hardware import machine, result_path

    out = options.out or result_path("against_others")
    content = (
        json.loads(out.read_text())
        if out.is_file()
        else {"machine": machine(), "model": Path(options.model).stem, "rows": []}
    )
    pythons = dict(pair.split("=", 1) for pair in options.python)
    done = {(row["set"], row["seed"], row["tool"]) for row in content["rows"] if "error" not in row}
    for seed in map(int, options.seeds.split(",")):
        for name in options.sets.split(","):
            for tool in options.tools.split(","):
                if (name, seed, tool) in done:
                    continue
                if tool in ELSEWHERE and tool not in pythons:
                    print(f"{tool} left out: name its interpreter with --python {tool}=PATH")
                    continue
                if tool in OURS:
                    worker = ["--worker", tool, name, str(seed), "--model", options.model]
                    row = _answer([sys.executable, __file__, *worker])
                else:
                    row = run_other(tool, name, seed, options.model, pythons.get(tool, sys.executable))
                row = {"set": name, "seed": seed, **row, "tool": tool}
                content["rows"] = [
                    kept for kept in content["rows"] if (kept["set"], kept["seed"], kept["tool"]) != (name, seed, tool)
                ] + [row]
                content["summary"] = summary(content["rows"])
                out.write_text(json.dumps(content, indent=1))
                print(
                    name,
                    seed,
                    tool,
                    row.get("error") or f"{row['test_accuracy']:.1%}, {row['seconds']:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
