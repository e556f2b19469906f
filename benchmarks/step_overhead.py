"""Our training step against a bare hand-written PyTorch loop on the same network and batches.

    python benchmarks/step_overhead.py [--arch cifar_resnet20] [--precision fp32]

Target: at most 1.03, paired medians. Both train on the same uint8 batches without augmentation, with SGD, momentum and
weight decay; ours goes through the whole loop with its checks, sums and stop flag.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from timing import paired, ratio, save

from nctransfer.data import PixelLoader, Preprocess, bundle_from_arrays
from nctransfer.engine import Loop, PixelBatches, Runtime
from nctransfer.losses import CrossEntropy
from nctransfer.models.heads import ProjectionHead
from nctransfer.training.model import PretrainModel, build_network
from nctransfer.training.settings import make_settings
from nctransfer.training.task import PretrainTask, plan_of

CLASSES, STEPS = 100, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--arch", default="cifar_resnet20")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    settings = make_settings(
        arch=options.arch, batch_size=options.batch_size, precision=options.precision, augment=1, epochs=100_000
    )
    draw = np.random.default_rng(0)
    count = options.batch_size * STEPS * 2
    images = draw.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    split = bundle_from_arrays(images, np.arange(count) % CLASSES, check=False).train
    runtime = Runtime("auto", options.precision)
    loader = PixelLoader(split, Preprocess(size=32), batch_size=options.batch_size, shuffle=True, drop_last=True)
    calls = {
        "bare": bare(settings, loader, runtime.device),
        "ours": ours(settings, loader, runtime),
    }
    seconds = paired(calls, options.rounds)
    value = ratio(seconds, "ours", "bare")
    print(f"{options.arch}, batches of {options.batch_size}, {options.precision}: {value:.3f} (target at most 1.03)")
    print(save(f"step_overhead-{options.arch}-{options.precision}", {"ratio": value, "seconds": seconds}))


def bare(settings: Any, loader: PixelLoader, device: torch.device) -> Any:
    """The loop as one would write it by hand, on pixels that lie on the device."""
    model = make_model(settings, device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    batches = [(batch.images.to(device), batch.labels.to(device)) for batch in loader.epoch(0)][:STEPS]
    half = settings.precision == "bf16"

    def steps() -> None:
        model.train()
        for images, labels in batches:
            optimizer.zero_grad()
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
                outputs = model(images)
            torch.nn.functional.cross_entropy(outputs.float(), labels).backward()
            optimizer.step()
        wait(device)

    return steps


def ours(settings: Any, loader: PixelLoader, runtime: Runtime) -> Any:
    """The same number of steps through :class:`Loop`."""
    model = make_model(settings, runtime.device)
    batches = PixelBatches(loader, runtime.device)
    loop = Loop(PretrainTask(model, CrossEntropy(), settings, runtime), batches, plan_of(settings), runtime)

    def steps() -> None:
        loop.trained.train()
        for number, batch in enumerate(batches.epoch(loop.step)):
            if number == STEPS:
                break
            loop.take_step(batch)
        wait(runtime.device)

    return steps


def make_model(settings: Any, device: torch.device) -> PretrainModel:
    torch.manual_seed(0)
    network = build_network(settings)
    return PretrainModel(network, ProjectionHead("none", network.feature_dim), CLASSES).to(device)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
