"""Every study from its cells to the page, at smoke size."""

from __future__ import annotations

import json
import re
import shutil
import xml.etree.ElementTree as ElementTree

import pytest

from commands import run as command
from nctransfer.errors import DataError, UsageError
from nctransfer.studies import STUDIES, computing, report_studies, run_studies
from nctransfer.studies.catalogue import cells_of, get_studies
from nctransfer.studies.recipes import RECIPES
from nctransfer.studies.scales import SCALES, SMOKE
from nctransfer.studies.store import Store

SMOKE_FIGURE5 = cells_of(get_studies(["figure5"]), SMOKE, [0])
UNDEFINED_SO_SMALL = (
    "middle block",  # needs three blocks
    "goes with accuracy",  # the calibrated NC1 may be refused
    "goes with better accuracy",  # a hundred test images may give all models the same accuracy
    "the better the accuracy",
    "lost discrimination",  # two attacks have no rank correlation
    "Up to the threshold",
    "falls over the more diverse half",
    "rises over the less diverse half",
    "a threshold and falls beyond",
    "is largest at shallow blocks",
    "Over networks",  # needs three networks
    "than NC1, calibrated",  # may be refused
)


def test_every_study_comes_to_an_end(smoke):
    folder, result = smoke
    assert result["failures"] == []
    assert [study["name"] for study in result["studies"]] == list(STUDIES)
    assert all(study["missing"] == 0 for study in result["studies"])
    for study in result["studies"]:
        assert study["claims"], study["name"]
        assert any(panel["kind"] == "plot" for panel in study["panels"]), study["name"]
    assert result == json.loads((folder / "result.json").read_text())


def test_claims_are_computed(smoke):
    """No claim lacks its number; with one seed, none is decided."""
    for study in smoke[1]["studies"]:
        for claim in study["claims"]:
            if any(words in claim["statement"] for words in UNDEFINED_SO_SMALL):
                continue
            assert claim["effects"], (study["name"], claim["statement"])
            assert claim["verdict"] == "undecided"


def test_page_shows_every_study(smoke):
    page = (smoke[0] / "report.html").read_text(encoding="utf-8")
    for study in STUDIES.values():
        assert study.title in page
    assert page.count("<svg") >= 12
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_shared_cells_are_computed_once():
    cells = cells_of(get_studies(["figure2", "figure3", "figure10"]), SMOKE, [0])
    assert len(cells) == len({cell.key for cell in cells})
    alone = sum(len(cells_of([STUDIES[name]], SMOKE, [0])) for name in ("figure2", "figure3", "figure10"))
    assert len(cells) < alone


def test_second_run_computes_nothing(pair, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a finished cell was computed again")

    monkeypatch.setattr(computing, "compute", refuse)
    report_studies(pair)
    result = run_studies(["figure5"], scale="smoke", out=pair)
    assert result["failures"] == []
    assert [study["name"] for study in result["studies"]] == ["figure5", "figure6"], "the other is kept"


def test_another_seed_computes_only_its_own_cells(pair, monkeypatch):
    seen = []

    def note(cell, *arguments):
        seen.append(cell.config["seed"])
        raise RuntimeError("not now")

    monkeypatch.setattr(computing, "compute", note)
    result = run_studies(["figure5"], scale="smoke", out=pair, seeds=[0, 1])
    assert seen == [1], "the encoder of the new seed; what needs it is left out"
    assert len(result["failures"]) == 2


def test_failing_cell_is_reported_and_others_go_on(tmp_path, monkeypatch, capsys):
    whole = computing.compute

    def fail_once(cell, *arguments):
        if cell.kind == "encoder" and cell.config["settings"]["arch"] == "vit":
            raise RuntimeError("boom")
        return whole(cell, *arguments)

    monkeypatch.setattr(computing, "compute", fail_once)
    code = command(["paper", "run", "figure6", "--scale", "smoke", "--out", str(tmp_path / "out")])
    printed = capsys.readouterr()
    assert code == 1
    assert "boom" in printed.err
    assert "the encoder that it needs failed" in printed.err
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [failure["error"] for failure in result["failures"]] == [
        "RuntimeError: boom",
        "the encoder that it needs failed",
    ]
    assert result["studies"][0]["claims"][2]["effects"] == []
    assert "boom" in (tmp_path / "out" / "report.html").read_text()


def _older(path):
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "recipe": {**record["recipe"], "transfer": RECIPES["transfer"] - 1}}))


def test_another_recipe_is_never_used_silently(pair):
    cell = STUDIES["figure5"].cells(SMOKE, 0)["mlp layers"]
    _older(Store(pair).folder(cell) / "cell.json")
    assert Store(pair).read(cell) is None
    assert Store(pair, accept_other_code=True).read(cell)["other_code"]
    result = report_studies(pair)
    assert {study["name"]: study["other_code"] for study in result["studies"]}["figure5"] == 1
    assert (
        "another version of the recipe than this page&#39;s, wholly or in part: figure5"
        in (pair / "report.html").read_text()
    )
    result = run_studies(["figure5"], scale="smoke", out=pair)
    assert Store(pair).read(cell)["value"]["layers"], "computed again"
    assert {study["name"]: study["other_code"] for study in result["studies"]}["figure5"] == 0


def test_a_raised_recipe_reaches_what_stands_on_the_cell(pair, monkeypatch):
    cells = STUDIES["figure5"].cells(SMOKE, 0)
    monkeypatch.setitem(RECIPES, "encoder", RECIPES["encoder"] + 1)
    assert Store(pair).read(cells["mlp"]) is None
    assert Store(pair).read(cells["mlp layers"]) is None


def test_the_commit_is_information_only(pair):
    cell = STUDIES["figure5"].cells(SMOKE, 0)["mlp"]
    path = Store(pair).folder(cell) / "cell.json"
    record = json.loads(path.read_text())
    assert "commit" in record["environment"]
    record["environment"]["commit"] = "0" * 12
    path.write_text(json.dumps(record))
    assert not Store(pair).read(cell)["other_code"]


@pytest.mark.parametrize("text", ["{", '{"config": {}, "code": "x"}', "[]"])
def test_damaged_cell_is_named(pair, text):
    cell = STUDIES["figure5"].cells(SMOKE, 0)["mlp layers"]
    path = Store(pair).folder(cell) / "cell.json"
    path.write_text(text)
    with pytest.raises(DataError, match="remove its folder and run again"):
        Store(pair).read(cell)


def test_encoder_without_weights_says_so(pair):
    cells = STUDIES["figure5"].cells(SMOKE, 0)
    store = Store(pair)
    shutil.rmtree(store.folder(cells["mlp"]) / "run")
    (store.folder(cells["mlp layers"]) / "cell.json").unlink()
    result = run_studies(["figure5"], scale="smoke", out=pair)
    assert "weights are not here" in result["failures"][0]["error"]


def test_report_is_made_from_cells_without_weights(copied):
    for run in copied.glob("cells/*/run"):
        shutil.rmtree(run)
    before = json.loads((copied / "result.json").read_text())
    (copied / "result.json").unlink()
    after = report_studies(copied)
    assert [study["claims"] for study in after["studies"]] == [study["claims"] for study in before["studies"]]


def test_time_limit_stops_and_the_same_command_goes_on(tmp_path, capsys):
    out = str(tmp_path / "out")
    words = ["paper", "run", "figure5", "--scale", "smoke", "--out", out]
    assert command([*words, "--time-limit", "0.0005"]) == 75
    assert "run the same command again" in capsys.readouterr().err
    assert command([*words]) == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "figure77", "--scale", "smoke"], 2, "did you mean"),
        (["run", "figure5", "--scale", "mikro"], 2, "unknown scale 'mikro'"),
        (["run", "figure5", "--scale", "smoke", "--cluster", "moon"], 2, "unknown cluster"),
        (["run", "figure5", "--scale", "smoke", "--seeds", "0"], 2, "--seeds"),
    ],
)
def test_bad_names(words, code, said, tmp_path, capsys):
    assert command(["paper", *words, "--out", str(tmp_path / "out")]) == code
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("out/cells/*"))


def test_folder_of_another_scale_is_refused(pair):
    with pytest.raises(UsageError, match="holds the scale smoke"):
        run_studies(["figure5"], scale="mini", out=pair)


def test_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        run_studies(["figure5"], scale="smoke", out=tmp_path)
    with pytest.raises(UsageError, match="no studies stand here"):
        report_studies(tmp_path)


def test_missing_data_is_named_with_its_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NCTRANSFER_DATA", str(tmp_path / "nowhere"))
    result = run_studies(["figure5"], scale="mini", out=tmp_path / "out")
    assert "cifar100" in result["failures"][0]["error"]
    assert str(tmp_path / "nowhere") in result["failures"][0]["error"]
    from nctransfer.studies.sets import open_set

    with pytest.raises(Exception, match="mini_imagenet"):
        open_set({"name": "mini_imagenet"}, 0)


def test_list_names_every_study(capsys):
    assert command(["paper", "list"]) == 0
    printed = capsys.readouterr().out
    for name in (*STUDIES, *SCALES):
        assert name in printed


def test_report_verb(pair, capsys):
    assert command(["paper", "report", str(pair)]) == 0
    assert "report.html" in capsys.readouterr().out


def test_page_is_also_written_as_text_with_its_figures(copied, tmp_path, capsys):
    text = tmp_path / "docs" / "studies.md"
    text.parent.mkdir()
    assert command(["paper", "report", str(copied), "--text", str(text)]) == 0
    written = text.read_text(encoding="utf-8")
    assert written.startswith("# nctransfer studies, smoke scale\n")
    figures = re.findall(r"!\[[^\]]+\]\(([^)]+\.svg)\)", written)
    assert len(figures) == len(set(figures)) > 10
    for figure in figures:
        drawing = (text.parent / figure).read_text(encoding="utf-8")
        assert ElementTree.fromstring(drawing).get("width", "").endswith("pt")
        assert "var(" not in drawing
    headings = {line[3:].lower() for line in written.splitlines() if line.startswith("## ")}
    slugs = {"".join(c for c in name if c.isalnum() or c in " -_").replace(" ", "-") for name in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", written)) <= slugs
    assert "Fewer than 3 seeds decide nothing" in capsys.readouterr().out


def test_seeds_that_other_studies_left_behind_are_not_shown(pair):
    """Figure 6 shares an encoder with figure 5, of the second seed too."""
    run_studies(["figure5"], scale="smoke", out=pair, seeds=[0, 1])
    made = {study["name"]: study for study in report_studies(pair)["studies"]}
    assert made["figure5"]["seeds"] == [0, 1]
    assert made["figure6"]["seeds"] == [0]
    assert made["figure6"]["missing"] == 0
    again = run_studies(["figure5"], scale="smoke", out=pair, seeds=[0])
    seeds = {study["name"]: study["seeds"] for study in again["studies"]}
    assert seeds["figure5"] == [0, 1], "those that stand there stay on the page"


def test_damaged_cell_stops_the_page_with_its_name(pair):
    path = next((pair / "cells").glob("*/cell.json"))
    path.write_text("{")
    with pytest.raises(DataError, match="the cell is damaged") as caught:
        report_studies(pair)
    assert str(path) in str(caught.value)


def test_report_without_a_study_says_how_many_cells_there_are(pair):
    for path in list((pair / "cells").glob("*/cell.json"))[2:]:
        path.unlink()
    with pytest.raises(UsageError, match="2 cells are finished"):
        report_studies(pair)


def test_places_that_are_something_else_are_refused(pair, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="a file stands where the folder should be"):
        run_studies(["figure5"], scale="smoke", out=tmp_path / "file")
    with pytest.raises(UsageError, match="a folder stands where the text should be"):
        report_studies(pair, text=tmp_path)


@pytest.mark.parametrize("minutes", [0, -3, float("nan")])
def test_time_limit_must_be_above_0(tmp_path, minutes):
    with pytest.raises(UsageError, match="minutes above 0"):
        run_studies(["figure5"], scale="smoke", out=tmp_path / "new", time_limit=minutes)
    assert not (tmp_path / "new").exists()


def test_diagrams_have_nothing_to_run_and_case_does_not_matter():
    with pytest.raises(UsageError, match="diagram"):
        get_studies(["Figure4"])
    assert [study.name for study in get_studies(["Figure5"])] == ["figure5"]


def test_cost_counts_what_was_trained_before_a_stop(tmp_path):
    assert computing.trained_seconds(tmp_path) == 0
    lines = [{"epoch": 1, "seconds": 30.0}, {"epoch": 2, "seconds": 70.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert computing.trained_seconds(tmp_path) == 70
