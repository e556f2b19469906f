"""Hash the final weights of every training task at smoke size, to prove that a refactoring changes none of them.

    python benchmarks/identical_bits.py --out before.json        # before
    python benchmarks/identical_bits.py --compare before.json    # after; exit code 1 and the names where a hash differs

Each entry is the SHA-256 of the trained parameters after every step of an optimiser, trials among them, and of the
tensors (names, shapes and bytes) or numbers that the run ends with. Hashes compare on one machine, with one version of
torch and one number of threads only. Nothing but public functions is used, so that the same file runs on both sides of
the change.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.optim.optimizer import register_optimizer_step_post_hook

import nctransfer

SMALL = {"image_size": 8, "epochs": 2, "batch_size": 30, "limit": 120, "device": "cpu"}
PRETRAIN = {
    "ce": {"label_smoothing": 0.1},
    "mse": {"loss": "mse"},
    "supcon": {"loss": "supcon", "head": "mlp", "head_dim": 8},
    "adversarial": {"adversarial": 8.0, "attack_steps": 2},
    "accumulation": {"accumulation": 3},
    "streamed": {"memory_limit": 0, "num_workers": 2},
    "bf16": {"precision": "bf16"},
}
METHODS = ("linear", "layer", "scl", "full")
UNITS = {"layer": "layer2.0", "scl": "layer2.0"}
TUNE = {
    "cached": {"augment": 1},
    "uncached": {"augment": 1, "cache": False},
    "augmented": {"augment": 3},
    "bf16": {"augment": 2, "precision": "bf16"},
}


def pretrained(folder: Path, **options: Any) -> str:
    """The hash of an encoder that was trained from scratch."""
    base = {"arch": "cifar_resnet20", "arch_arguments": {"width": 0.125}, "augment": 5, "lr": 0.05, **SMALL}
    nctransfer.pretrain("digits", folder, **{**base, **options})
    return tensors_of(folder / "checkpoints" / "final.safetensors")


def tuned(folder: Path, network: Path, method: str, **options: Any) -> str:
    """The hash of a network that one method tuned, and of what its epochs came to on validation."""
    base = {"lr": 0.02, **SMALL, **options}
    run = nctransfer.tune("digits", str(network), method=method, layer=UNITS.get(method), out=folder, **base)
    row = run.methods[method]
    # The loss of an epoch is for people to read: a sum in another order is no other training.
    epochs = [(e["epoch"], e["train_loss"] and f"{e['train_loss']:.4g}", e["val_accuracy"]) for e in row["history"]]
    return digest(tensors_of(folder / "checkpoints" / f"{method}.safetensors"), row["best_epoch"], epochs)


def chosen(folder: Path, network: Path, **options: Any) -> str:
    """The hash of what every trial of a whole run found, and of what was chosen by it."""
    run = nctransfer.auto("digits", str(network), out=folder, methods=METHODS, **{**SMALL, **options})
    trials = [
        (trial["method"], trial["unit"], trial["learning_rate"], trial["val_accuracy"], trial["nc1"], trial["chosen"])
        for trial in run.trials
    ]
    layers = [(layer["name"], layer["nc1"], layer["cdnv"], layer["probe_val_accuracy"]) for layer in run.layers]
    rows = [(name, row["nc1_after"], row["test_accuracy"]) for name, row in run.methods.items()]
    return digest(trials, layers, rows, run.best_method)


class EveryStep:
    """The SHA-256 over the parameters of all optimisers after each of their steps, since it was last read."""

    def __init__(self) -> None:
        self.hash, self.steps = hashlib.sha256(), 0
        register_optimizer_step_post_hook(self._take)

    def _take(self, optimizer: torch.optim.Optimizer, arguments: Any, options: Any) -> None:
        self.steps += 1
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                self.hash.update(bytes_of(parameter.detach()))

    def read(self) -> tuple[str, int]:
        found = self.hash.hexdigest(), self.steps
        self.hash, self.steps = hashlib.sha256(), 0
        return found


def bytes_of(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def tensors_of(path: Path) -> str:
    """SHA-256 over the names, shapes and bytes of a file's tensors, in the order of their names."""
    tensors = load_file(path)
    parts = hashlib.sha256()
    for name in sorted(tensors):
        parts.update(f"{name} {tuple(tensors[name].shape)}".encode())
        parts.update(bytes_of(tensors[name]))
    return parts.hexdigest()


def digest(*values: Any) -> str:
    """SHA-256 of plain values; floats count with all their digits."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def tasks(root: Path) -> dict[str, Callable[[], str]]:
    """Every task by name, in an order in which the first gives the network to the others."""
    encoder = root / "pretrain-ce"
    found: dict[str, Callable[[], str]] = {}
    for name, options in PRETRAIN.items():
        found[f"pretrain {name}"] = lambda name=name, options=options: pretrained(root / f"pretrain-{name}", **options)
    for method in METHODS:
        for name, options in TUNE.items():
            found[f"{method} {name}"] = lambda method=method, name=name, options=options: tuned(
                root / f"{method}-{name}", encoder, method, **options
            )
    for name, options in {"cached": {"augment": 1}, "augmented": {"augment": 2, "cache": False}}.items():
        found[f"auto {name}"] = lambda name=name, options=options: chosen(root / f"auto-{name}", encoder, **options)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, help="where to write the hashes as JSON")
    parser.add_argument("--compare", type=Path, help="hashes that an earlier state wrote")
    parser.add_argument("--only", default="", help="only the tasks whose name holds this (pretrain ce is always run)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    before = json.loads(options.compare.read_text()) if options.compare else None
    hashes: dict[str, str] = {}
    every_step = EveryStep()
    with tempfile.TemporaryDirectory() as folder:
        for name, task in tasks(Path(folder)).items():
            if options.only in name or name == "pretrain ce":
                end = task()
                weights, steps = every_step.read()
                hashes[name] = digest(end, weights, steps)
                verdict = "" if before is None else "same" if before.get(name) == hashes[name] else "DIFFERENT"
                print(f"{name:24} {hashes[name][:16]} {steps:4} steps {verdict}", flush=True)
    if options.out:
        options.out.write_text(json.dumps(hashes, indent=1) + "\n")
    if before is not None and any(before.get(name) != value for name, value in hashes.items()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
