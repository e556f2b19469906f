"""A data set and a network small enough to tune in a second."""

import pytest

from nctransfer.models import load_network
from tiny import striped_bundle


@pytest.fixture(scope="session")
def striped():
    """150 images of 16 px in 3 classes, split into train, validation and test."""
    return striped_bundle()


@pytest.fixture
def small_network():
    return load_network("cifar_resnet20", weights="random", image_size=16)
