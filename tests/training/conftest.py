"""A tiny data set and settings that train in a second."""

import numpy as np
import pytest
import torch

from nctransfer.data import bundle_from_arrays


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def stripes():
    """Three classes of noisy 8×8 images: bright above, bright on the left, bright in the middle."""
    draw = np.random.default_rng(0)
    labels = np.arange(150) % 3
    images = draw.integers(0, 90, (150, 8, 8, 3))
    images[labels == 0, :3] += 120
    images[labels == 1, :, :3] += 120
    images[labels == 2, 3:6, 3:6] += 120
    return bundle_from_arrays(images.astype(np.uint8), labels, ["above", "left", "middle"], name="stripes")


@pytest.fixture
def tiny():
    return {
        "arch": "mlp",
        "arch_arguments": {"depth": 2, "hidden": 24},
        "image_size": 8,
        "epochs": 3,
        "batch_size": 30,
        "augment": 5,
        "lr": 0.05,
        "device": "cpu",
    }


collect_ignore = ["two_processes.py"]
