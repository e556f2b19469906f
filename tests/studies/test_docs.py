"""The diagrams show the blocks that the code has; the page in docs says what the committed cells give."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from nctransfer.models import load_network
from nctransfer.report import write_text
from nctransfer.studies import report_studies

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = Path(__file__).parents[2] / "results"
PAGES = {"mini": "studies.md", "pilot": "studies-pilot.md"}
PILOT = RESULTS / "pilot"


def test_figure_8_marks_the_blocks():
    text = (DOCS / "diagrams.md").read_text(encoding="utf-8").split("## Figure 8")[1]
    network = load_network("resnet18", weights="random")
    assert re.findall(r"\(\((layer\d\.\d)\)\)", text) == list(network.units)
    assert re.findall(r"--> (layer\d\.\d)", text) == [
        name for name in network.layers if re.fullmatch(r"layer\d\.\d", name)
    ]


@pytest.fixture(params=PAGES)
def checkout(request, tmp_path):
    scale = request.param
    shutil.copytree(RESULTS / scale, tmp_path / "results" / scale)
    (tmp_path / "docs").mkdir()
    return scale, tmp_path


def test_pages_show_the_committed_results(checkout):
    scale, root = checkout
    text = write_text(root / "results" / scale, root / "docs" / PAGES[scale])
    assert text.read_text(encoding="utf-8") == (DOCS / PAGES[scale]).read_text(encoding="utf-8")
    shown = set(re.findall(rf"\(\.\./results/{scale}/(figures/[^)]*)\)", text.read_text(encoding="utf-8")))
    assert shown == {f"figures/{path.name}" for path in (RESULTS / scale / "figures").glob("*.svg")}


def test_committed_results_follow_from_the_committed_cells(checkout):
    scale, root = checkout
    before = json.loads((RESULTS / scale / "result.json").read_text(encoding="utf-8"))
    after = report_studies(root / "results" / scale, partial=scale == "mini")  # of mini the ablation alone is computed
    assert json.loads(json.dumps(after)) == before
    older = {study["name"] for study in after["studies"] if study["other_code"]}
    assert older == ({"table2", "figure11"} if scale == "pilot" else set()), (
        "what `tune` does has changed since, and the page says so"
    )


def test_orderings_in_the_results_readme_are_those_of_the_page():
    text = (RESULTS / "README.md").read_text(encoding="utf-8").split("## `pilot`")[1]
    quoted = re.findall(r"^\| (.+?) \| (holds|does not hold|no difference|undecided) \| (.+?) \|$", text, re.M)
    studies = json.loads((PILOT / "result.json").read_text(encoding="utf-8"))["studies"]
    table1 = next(study for study in studies if study["name"] == "table1")
    assert quoted == [
        (claim["statement"], claim["verdict"], claim["statistic"]) for claim in table1["claims"] if not claim["part_of"]
    ]


def test_losses_in_the_results_readme_are_those_of_the_study():
    text = (RESULTS / "README.md").read_text(encoding="utf-8").split("## `mini`")[1].split("## `pilot`")[0]
    studies = json.loads((RESULTS / "mini" / "result.json").read_text(encoding="utf-8"))["studies"]
    layers = next(study for study in studies if study["name"] == "layers")
    rows = next(panel for panel in layers["panels"] if panel["kind"] == "table")["rows"]
    losses = {row[0]: 100 * sum(row[1]["values"]) / len(row[1]["values"]) for row in rows}
    quoted = [float(number) for number in re.findall(r"loses (\d+\.\d)", " ".join(text.split()))]
    assert quoted == [round(losses["NC1"], 1), round(losses["NC1 · width^½"], 1)]
    whole = max(len(row[1]["values"]) for row in rows)
    named = {row[0] for row in rows if len(row[1]["values"]) == whole and "added after" not in row[0]}
    assert min(named, key=lambda name: losses[name]) == "NC1 · width^½"


def test_every_encoder_of_the_evidence_has_learnt_its_source():
    """Collapse is spoken of where the training accuracy passes 95 %; the ViT's 89 % is said on the page."""
    encoders = [json.loads(path.read_text(encoding="utf-8")) for path in (PILOT / "cells").glob("encoder-*/cell.json")]
    plain = [
        cell
        for cell in encoders
        if cell["config"]["settings"]["augment"] <= 2
        and cell["config"]["settings"]["epochs"] > 0
        and cell["config"]["settings"]["arch"] != "vit"
        and not cell["config"]["settings"].get("adversarial")
    ]
    assert len(plain) > 20
    assert all(cell["value"]["final"]["train_accuracy"] > 0.95 for cell in plain)
