"""One whole run of every study at the smallest scale, shared by the tests of this room."""

from __future__ import annotations

import shutil

import pytest
import torch

from nctransfer.studies import run_studies


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies") / "smoke"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        result = run_studies(["all"], scale="smoke", out=folder, seeds=[0])
    finally:
        torch.set_num_threads(threads)
    return folder, result


@pytest.fixture
def copied(smoke, tmp_path):
    """A copy of it that a test may change."""
    folder = tmp_path / "copy"
    shutil.copytree(smoke[0], folder)
    return folder
