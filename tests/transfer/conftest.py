"""A data set and a network small enough to tune in a second."""

import numpy as np
import pytest

from nctransfer.data import bundle_from_arrays
from nctransfer.models import load_network


def striped_images(num: int, size: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images whose class is the direction and period of their stripes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num) % classes
    across = np.arange(size)
    images = np.empty((num, size, size, 3), dtype=np.uint8)
    for row, label in enumerate(labels):
        wave = 127 + 90 * np.sin(2 * np.pi * across * (1 + label // 2) / 8 + rng.uniform(0, 6))
        plane = np.broadcast_to(wave[None, :] if label % 2 else wave[:, None], (size, size))
        images[row] = np.clip(plane[..., None] + rng.normal(0, 25, (size, size, 3)), 0, 255)
    return images, labels


@pytest.fixture(scope="session")
def striped():
    """150 images of 16 px in 3 classes, split into train, validation and test."""
    images, labels = striped_images(150, 16, 3, seed=0)
    return bundle_from_arrays(images, labels, ["wide", "tall", "fine"], name="stripes")


@pytest.fixture
def small_network():
    return load_network("cifar_resnet20", weights="random", image_size=16)
