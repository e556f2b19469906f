"""Cost of loading and augmenting a batch (level 5), against a ResNet-20 step and against DataLoader + torchvision.

    python benchmarks/pipeline_speed.py

Targets on 2 cores, at 32 px and batches of 128: at most 10 % of a training step, and at least 3 times less than the
usual way: a ``DataLoader`` over PIL images with torchvision's per-image transforms, once in this process and once with
2 workers. Those have both cores to themselves here, as they have not while a network trains.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from timing import paired, ratio, save
from torchvision import transforms

from nctransfer.data import PixelLoader, Preprocess, bundle_from_arrays
from nctransfer.models.small import build_small
from nctransfer.training.batches import TrainBatches

SIZE, BATCH, IMAGES, CLASSES, PER_ROUND = 32, 128, 12_800, 100, 5


class TransformedImages(torch.utils.data.Dataset):
    """The usual way: PIL images, each transformed when it is asked for."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images, labels
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(SIZE, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
                transforms.RandomGrayscale(0.2),
                transforms.ToTensor(),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def main() -> None:
    draw = np.random.default_rng(0)
    labels = np.arange(IMAGES) % CLASSES
    images = draw.integers(0, 256, (IMAGES, SIZE, SIZE, 3), dtype=np.uint8)
    bundle = bundle_from_arrays(images, labels, check=False)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = PixelLoader(bundle.train, Preprocess(size=SIZE), batch_size=BATCH, shuffle=True, drop_last=True)
    calls: dict[str, Any] = {"step": training_step(device)}
    for level in (1, 5):
        ours = endless(TrainBatches(loader, device, level=level))
        calls[f"ours_level_{level}"] = lambda ours=ours: take(ours, device)
    for workers in (0, 2):
        theirs = torch.utils.data.DataLoader(
            TransformedImages(images, labels),
            batch_size=BATCH,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            prefetch_factor=2 if workers else None,
            drop_last=True,
        )
        batches = again(theirs)
        calls[f"torchvision_{workers}_workers"] = lambda batches=batches: take(batches, device)
    seconds = paired(calls, rounds=15)
    milliseconds = {name: 1000 * statistics.median(values) / PER_ROUND for name, values in seconds.items()}
    share = ratio(seconds, "ours_level_5", "step")
    gains = {name: ratio(seconds, name, "ours_level_5") for name in seconds if name.startswith("torchvision")}
    for name, value in milliseconds.items():
        print(f"{name}: {value:.2f} ms a batch of {BATCH}")
    print(f"share of a training step: {share:.3f} (target at most 0.10)")
    for name, gain in gains.items():
        print(f"{name} costs {gain:.1f} times as much (target at least 3)")
    print(
        save(
            "pipeline_speed",
            {"batch": BATCH, "size": SIZE, "milliseconds": milliseconds, "share_of_step": share, "torchvision": gains},
        )
    )


def training_step(device: torch.device) -> Any:
    """A round of plain training steps on one batch that is already there."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(build_small("cifar_resnet20"), torch.nn.Linear(64, CLASSES)).to(device)
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    images = torch.randn(BATCH, 3, SIZE, SIZE, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(BATCH, device=device) % CLASSES

    def step() -> None:
        for _ in range(PER_ROUND):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        wait(device)

    return step


def endless(batches: TrainBatches) -> Iterator[Any]:
    for epoch in itertools.count():
        yield from batches.epoch(epoch)


def again(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


def take(batches: Iterator[Any], device: torch.device) -> None:
    for _ in range(PER_ROUND):
        next(batches)
    wait(device)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
