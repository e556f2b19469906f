"""Data and networks small enough to run whole verbs in seconds; what several rooms' tests share."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from nctransfer.data import DataBundle, bundle_from_arrays
from nctransfer.models import Network, load_network


def striped_images(num: int, size: int, classes: int, seed: int, noise: float = 25) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images whose class is the direction and period of their stripes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num) % classes
    across = np.arange(size)
    images = np.empty((num, size, size, 3), dtype=np.uint8)
    for row, label in enumerate(labels):
        wave = 127 + 90 * np.sin(2 * np.pi * across * (1 + label // 2) / 8 + rng.uniform(0, 6))
        plane = np.broadcast_to(wave[None, :] if label % 2 else wave[:, None], (size, size))
        images[row] = np.clip(plane[..., None] + rng.normal(0, noise, (size, size, 3)), 0, 255)
    return images, labels


def striped_bundle(
    num: int = 150, size: int = 16, names: tuple[str, ...] = ("wide", "tall", "fine"), noise: float = 25
) -> DataBundle:
    """Striped images of 16 pixels in three classes, split into train, validation and test."""
    images, labels = striped_images(num, size, len(names), 0, noise)
    return bundle_from_arrays(images, labels, names, name="stripes")


def small_resnet() -> Network:
    """A residual network of random weights with a block a stage: a run probes each layer and may try each block.

    The weights are the same whatever other tests have drawn before.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = load_network("cifar_resnet20", weights="random", image_size=16)
    network.layers = network.units = ("layer1.0", "layer2.0", "layer3.0")
    return network


class DeadBranch(nn.Module):
    """A convolutional network with two blocks and a branch whose output is always zero, where NC1 is undefined."""

    layers = ("stem", "dead", "body")
    units = ("stem", "body")

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 10, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(10), nn.ReLU())
        self.dead = nn.Conv2d(10, 6, 1, bias=False)
        nn.init.zeros_(self.dead.weight)
        self.body = nn.Sequential(nn.Conv2d(10, 12, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        stem = self.stem(images)
        return (self.body(stem) + self.dead(stem).sum()).mean((2, 3))


def local_network(seed: int = 0) -> nn.Module:
    """A :class:`DeadBranch` of a class that no other process can import, so that a step's cost cannot be measured."""

    class Local(DeadBranch):
        pass

    torch.manual_seed(seed)
    return Local()


def full_while_training(module: nn.Module, arguments: object, output: object) -> None:
    """A forward hook: memory runs out in training, as it does on a GPU, and in nothing else."""
    if torch.is_grad_enabled() and module.training:
        raise torch.OutOfMemoryError("CUDA out of memory")
