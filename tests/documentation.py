"""The examples of README and documentation, and a place in which they run as they stand, only smaller."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from nctransfer.models import load_network
from nctransfer.runs import save_tensors

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
DRY = ("auto", "probe", "tune", "pretrain")
"""Verbs that say with --dry-run what they would do; they check every option and open data and network."""

_LAUNCHERS = re.compile(r"^(?:\w+=\S+ )*(?:(?:accelerate launch|torchrun) .*?-m )?(?=nctransfer )")


def commands(page: str) -> list[str]:
    """The `nctransfer` commands of a page, without comments, variables and launchers."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGES[page].read_text(encoding="utf-8"), re.S | re.M)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [found for line in lines if (found := _LAUNCHERS.sub("", line)).startswith("nctransfer ")]


def python_blocks(page: str) -> list[str]:
    """The Python examples of a page, in order."""
    return re.findall(r"^```python\n(.*?)^```$", PAGES[page].read_text(encoding="utf-8"), re.S | re.M)


def furnish(place: Path) -> None:
    """Write what the examples read: images, features, a photograph, weights with and without a manifest."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("cat", "dog")):
        (place / "path/to/images" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 200, (20, 24, 3), dtype=np.uint8) + np.uint8(50 * number)
            Image.fromarray(pixels).save(place / "path/to/images" / name / f"{index}.jpg")
    Image.new("RGB", (40, 30)).save(place / "photo.jpg")
    labels = np.arange(60) % 3
    np.savez(place / "features.npz", features=rng.normal(size=(60, 8)) + np.eye(3, 8)[labels], labels=labels)
    torch.save(load_network("resnet18", weights="random").encoder.state_dict(), place / "mine.pth")
    network = load_network("cifar_resnet20", weights="random")
    manifest = {"arch": "cifar_resnet20", "image_size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    save_tensors(place / "other.safetensors", network.encoder.state_dict(), manifest)


def smaller(line: str) -> list[str]:
    """The words of a command with settings that make it take a second or two; what it says itself is kept first."""
    words = shlex.split(line)[1:]
    verb = words[0]
    if "--models" in words and words[words.index("--models") + 1] != "offline":  # pretrained weights of many networks
        words[words.index("--models") + 1] = "cifar_resnet20,mlp,vit"
        words += ["--weights", "random"]
    if "cifar100" in words:  # a data set that is not everywhere
        words[words.index("cifar100")] = "digits"
    if verb in ("auto", "tune", "probe", "rank"):
        words += ["--image-size", "32", "--limit", "40", "--device", "cpu"]
    if verb == "rank":
        words += ["--deep", "1"]
    if verb in ("auto", "tune", "probe") and "--weights" not in words:
        if not any(word.endswith(".safetensors") or word == "runs/pretrained" for word in words):
            words += ["--layers", "blocks.4"]
        words += ["--test-fraction", "0.03"] * ("digits" in words)
    if verb in ("auto", "tune"):
        words += ["--epochs", "1", "--lr", "0.001", "--augment", "1", "--no-step-cost", "--no-refit"]
    if verb == "auto" and "--methods" not in words:
        words += ["--methods", "linear" if "--seeds" in words else "linear,layer"]
    if verb == "pretrain":
        words += ["--epochs", "1", "--batch-size", "32", "--limit", "64", "--device", "cpu", "--precision", "fp32"]
        words += ["--width", "0.25"] * ("--arch" in words)
    if "--seeds" in words and verb == "auto":
        words[words.index("--seeds") + 1] = "2"
        words += ["--out", "runs/seeds"]
    return words
