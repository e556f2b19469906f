"""A data set and a network small enough to tune in a second."""

import pytest

from tiny import small_resnet, striped_bundle


@pytest.fixture(scope="session")
def striped():
    """150 images of 16 px in 3 classes, split into train, validation and test."""
    return striped_bundle()


@pytest.fixture
def small_network():
    return small_resnet()
