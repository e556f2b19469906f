"""The picture that `measure --plot` writes: a sentence for each part, the classes by name, for any number of them."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
import pytest
import torch

from nctransfer.errors import DataError
from nctransfer.metrics import collapse_plane
from nctransfer.report import draw_collapse


def drawn(folder: Path, num_classes: int, spread: float, **options: object) -> str:
    """The words of the picture of Gaussian classes on the corners of a simplex."""
    labels = torch.arange(40 * num_classes) % num_classes
    noise = torch.randn(len(labels), num_classes, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    features = torch.eye(num_classes, dtype=torch.float64)[labels] + spread * noise
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        draw_collapse(collapse_plane(features, labels), folder / "picture.svg", **options)
    text = (folder / "picture.svg").read_text(encoding="utf-8")
    return " ".join(re.sub(r"<style.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL).split())


def test_each_part_has_its_sentence(tmp_path: Path) -> None:
    said = drawn(tmp_path, 5, 1e-6, title="my network", names=["ant", "bee", "cat", "dog", "eel"])
    named = re.search(r"samples of (\w+), (\w+) and (\w+) lie \S+ from the mean", said)
    assert named
    assert set(named.groups()) < {"ant", "bee", "cat", "dog", "eel"}
    assert "100 % of them are nearest to their own mean in this plane." in said
    assert "between two classes they lie from −0.25 to −0.25; at full collapse each is −0.25." in said
    assert "my network" in said


@pytest.mark.parametrize("num_classes", [2, 3, 60])
def test_any_number_of_classes_is_drawn(num_classes: int, tmp_path: Path) -> None:
    said = drawn(tmp_path, num_classes, 0.5)
    assert f"all {num_classes} classes" in said
    assert "samples of class " in said


def test_an_ending_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    plane = collapse_plane(torch.eye(3).repeat(2, 1), torch.arange(3).repeat(2))
    with pytest.raises(DataError, match=r"cannot draw to '\.gif'"):
        draw_collapse(plane, tmp_path / "picture.gif")
