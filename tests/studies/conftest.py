"""One whole run of every study at the smallest scale, shared by the tests of this room and by their processes."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from nctransfer.studies import run_studies
from nctransfer.studies.catalogue import cells_of, get_studies
from nctransfer.studies.scales import SMOKE
from shared import built_once


def _build(folder):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        result = run_studies(["all"], scale="smoke", out=folder / "smoke", seeds=[0])
    finally:
        torch.set_num_threads(threads)
    (folder / "returned.json").write_text(json.dumps(result), encoding="utf-8")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory, pytestconfig):
    """The folder of the run, and what it returned."""
    folder = built_once(tmp_path_factory, pytestconfig, "studies", _build)
    return folder / "smoke", json.loads((folder / "returned.json").read_text(encoding="utf-8"))


@pytest.fixture
def copied(smoke, tmp_path):
    """A copy of it that a test may change."""
    folder = tmp_path / "copy"
    shutil.copytree(smoke[0], folder)
    return folder


@pytest.fixture
def pair(smoke, tmp_path):
    """A copy with the cells of figures 5 and 6 alone, which share an encoder, and no page yet."""
    folder = tmp_path / "pair"
    (folder / "cells").mkdir(parents=True)
    shutil.copy(smoke[0] / "config.json", folder)
    for cell in cells_of(get_studies(["figure5", "figure6"]), SMOKE, [0]):
        shutil.copytree(smoke[0] / "cells" / cell.folder, folder / "cells" / cell.folder)
    return folder
