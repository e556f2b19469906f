"""Run folders that the real verbs wrote, at a size of seconds, and variations of them that keep to the schema."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nctransfer
from nctransfer.runs import PretrainRecord, Result, Summary, load_run, write_json
from nctransfer.transfer.grid import run_grid
from nctransfer.transfer.settings import settings_from
from pages import Reader
from shared import built_once
from tiny import local_network, striped_bundle

NASTY = (
    "<script>alert(1)</script>",
    '$x_1$ & "y"',
    "caf\udce9\x00",
    "a" * 120,
    "\u202eevil",
    "猫",
    "{{ 7*6143 }}",
    "",
    "%s",
    "\\n\n",
)
QUICK = {"image_size": 16, "batch_size": 16, "device": "cpu"}


@dataclasses.dataclass(frozen=True)
class Smoke:
    """One folder with a run of every kind, each started by a relative path from ``root``."""

    root: Path

    def record(self, name: str) -> Any:
        return load_run(self.root / "runs" / name)

    def page(self, name: str) -> str:
        return (self.root / "runs" / name / "report.html").read_text(encoding="utf-8")


def _build(root: Path) -> None:
    before = Path.cwd()
    os.chdir(root)
    try:
        striped = striped_bundle(noise=160)
        nctransfer.auto(striped, local_network(), out="runs/demo", epochs=2, augment=2, more_folds=False, **QUICK)
        nctransfer.probe(striped, local_network(), out="runs/probe", **QUICK)
        nctransfer.pretrain(
            striped,
            "runs/pretrained",
            arch="mlp",
            arch_arguments={"hidden": 16, "depth": 2},
            epochs=3,
            measure_every=1,
            measure_layers=True,
            **QUICK,
        )
        base = {"data": "digits", "model": "cifar_resnet20", "weights": "random", "image_size": 8, "limit": 60}
        base |= {"methods": "linear,layer", "lr": 0.003, "epochs": 1, "layers": "layer3.0"}
        run_grid("tune", [settings_from({**base, "seed": seed}) for seed in (0, 1)], Path("runs/grid"))
    finally:
        os.chdir(before)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Smoke:
    """``runs/demo`` (auto), ``runs/probe``, ``runs/pretrained`` and ``runs/grid`` (two seeds)."""
    return Smoke(built_once(tmp_path_factory, pytestconfig, "runs-of-every-kind", _build))


@pytest.fixture(scope="session")
def page(smoke: Smoke) -> Reader:
    return Reader(smoke.page("demo"))


@pytest.fixture(scope="session")
def auto_record(smoke: Smoke) -> Result:
    record = smoke.record("demo")
    assert isinstance(record, Result)
    return record


@pytest.fixture(scope="session")
def pretrain_record(smoke: Smoke) -> PretrainRecord:
    record = smoke.record("pretrained")
    assert isinstance(record, PretrainRecord)
    return record


@pytest.fixture(scope="session")
def grid_record(smoke: Smoke) -> Summary:
    record = smoke.record("grid")
    assert isinstance(record, Summary)
    return record


@pytest.fixture
def make_folder(smoke: Smoke, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a smoke run's folder with another record; ``plain`` values are written as they are, valid or not."""

    def make(record: Any = None, name: str = "demo", *, plain: Any = None, of: str = "demo") -> Path:
        folder = tmp_path / name
        shutil.copytree(smoke.root / "runs" / of, folder)
        (folder / "report.html").unlink()
        if record is not None:
            write_json(folder / "result.json", record.plain())
        elif plain is not None:
            (folder / "result.json").write_text(json.dumps(plain), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def with_classes(auto_record: Result) -> Callable[..., Result]:
    """The smoke run with other class names and a confusion matrix of their number."""

    def make(num_classes: int, *, nasty: bool = False, num_test: int = 360) -> Result:
        generator = np.random.default_rng(0)
        plain = [f"class {index:02d}" for index in range(num_classes)]
        names = [*NASTY, *plain][:num_classes] if nasty else plain
        matrix = generator.poisson(0.35 if num_classes < 20 else 0.02, (num_classes, num_classes))
        np.fill_diagonal(matrix, max(2, num_test // num_classes))
        matrix[0, 1] = 3
        content = auto_record.plain()
        content["dataset"] |= {"num_classes": num_classes, "class_names": names}
        content["dataset"]["report"] |= {
            "class_names": names,
            "counts": {split: dict.fromkeys(names, 7) for split in ("train", "validation", "test")},
        }
        content["confusion"] = matrix.tolist()
        for place, mistake in enumerate(content["mistakes"]):
            mistake |= {"true": names[place % num_classes], "predicted": names[(place + 1) % num_classes]}
        return Result.model_validate(content)

    return make
