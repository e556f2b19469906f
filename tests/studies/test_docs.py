"""The diagrams show the units that the code has."""

from __future__ import annotations

import re
from pathlib import Path

from nctransfer.models import load_network

DOCS = Path(__file__).parents[2] / "docs"


def test_figure_8_marks_the_units():
    text = (DOCS / "diagrams.md").read_text(encoding="utf-8").split("## Figure 8")[1]
    network = load_network("resnet18", weights="random")
    assert re.findall(r"\(\((layer\d\.\d)\)\)", text) == list(network.units)
    assert re.findall(r"--> (layer\d\.\d)", text) == [
        name for name in network.layers if re.fullmatch(r"layer\d\.\d", name)
    ]
