"""Time and memory of a tuning step of `layer` and `scl` on upper units against `full`; and what the cache saves.

    python benchmarks/tuning_step.py

Targets: at most 0.6 of full fine-tuning's step time and of its peak memory above the model's own, on units in the
upper half; with the cache, an epoch of `linear` runs no forward pass of the network, and one of `scl` only the part
from the tuned unit on. Memory is measured in a fresh process for each row.
"""

from __future__ import annotations

import copy
import multiprocessing

import torch
from timing import paired, ratio, save
from torch.nn import functional

from nctransfer.models import load_network
from nctransfer.transfer import METHODS, TunedNetwork
from nctransfer.transfer.cost import measure_step

BATCH, SIZE = 64, 64


def build(name: str, method: str, unit: str | None) -> TunedNetwork:
    return TunedNetwork(load_network(name, weights="random", image_size=SIZE), METHODS[method], unit, 10)


def stepper(model: TunedNetwork, images: torch.Tensor, labels: torch.Tensor, from_cut: bool = False):
    optimizer = torch.optim.AdamW(model.tuned_parameters(), lr=1e-6)

    def step() -> None:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(model(images, from_cut=from_cut), labels).backward()
        optimizer.step()

    return step


def memory(name: str, method: str, unit: str | None) -> int:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(step_memory, (name, method, unit))


def step_memory(name: str, method: str, unit: str | None) -> int:
    return measure_step(build(name, method, unit), BATCH)["step_memory_bytes"]


def main() -> None:
    results: dict[str, dict] = {}
    for name in ("tf_efficientnet_lite0", "resnet18"):
        images = torch.randint(0, 256, (BATCH, 3, SIZE, SIZE), dtype=torch.uint8)
        labels = torch.randint(0, 10, (BATCH,))
        units = build(name, "full", None).network.units
        upper = units[len(units) // 2 :]
        models = {("full", None): build(name, "full", None)}
        models |= {(method, unit): build(name, method, unit) for unit in upper for method in ("layer", "scl")}
        calls = {f"{method} {unit}": stepper(model, images, labels) for (method, unit), model in models.items()}
        cached = copy.deepcopy(models["scl", upper[-1]])
        assert cached.cut(images[:2])
        calls["scl from the cache"] = stepper(cached, cached.prefix(images), labels, from_cut=True)
        linear = build(name, "linear", None)
        assert linear.cut(images[:2])
        calls["linear from the cache"] = stepper(linear, linear.prefix(images), labels, from_cut=True)
        seconds = paired(calls, rounds=15)
        full_memory = memory(name, "full", None)
        for method, unit in list(models)[1:]:
            row = {
                "time": ratio(seconds, f"{method} {unit}", "full None"),
                "memory": memory(name, method, unit) / full_memory,
            }
            results[f"{name} {method} {unit}"] = row
            print(f"{name} {method} {unit}: {row['time']:.2f} of full's step time, {row['memory']:.2f} of its memory")
        for call in ("scl from the cache", "linear from the cache"):
            results[f"{name} {call}"] = {"time": ratio(seconds, call, "full None")}
            print(f"{name} {call}: {results[f'{name} {call}']['time']:.3f} of full's step time")
    print(save("tuning_step", {"ratio_to_full": results, "target": 0.6, "batch": BATCH, "size": SIZE}))


if __name__ == "__main__":
    main()
