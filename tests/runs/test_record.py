"""The typed record: committed results keep every key, damage costs only what is damaged, and writers cannot misspell."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import nctransfer
from nctransfer.errors import DataError
from nctransfer.runs import (
    SCHEMA_VERSION,
    BadImage,
    LayerRow,
    Result,
    RunFolder,
    SplitSizes,
    StudyResult,
    Summary,
    load_run,
    read_record,
)
from pages import places

RESULTS = Path(__file__).parents[2] / "results"
COMMITTED = sorted(path.parent for path in RESULTS.rglob("result.json"))
AUTO = RESULTS / "auto-cifar10-2500" / "tf_efficientnet_lite0-seed0" / "result.json"


def _lost(old: Any, new: Any, here: str = "") -> list[str]:
    """Where ``new`` lacks or changes something that ``old`` holds."""
    if isinstance(old, dict):
        return [
            path
            for key, value in old.items()
            for path in ([f"{here}.{key}"] if key not in new else _lost(value, new[key], f"{here}.{key}"))
        ]
    if isinstance(old, list):
        if len(old) != len(new):
            return [here]
        return [path for a, b in zip(old, new, strict=True) for path in _lost(a, b, f"{here}[]")]
    return [] if old == new else [here]


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_committed_results_keep_every_key(folder: Path) -> None:
    record = nctransfer.load_run(folder)
    plain = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert _lost(plain, record.plain()) == []
    assert type(record).model_validate(record.plain()) == record
    assert read_record(plain, folder)[1] == []


def test_kinds_have_their_own_records() -> None:
    assert isinstance(load_run(AUTO), Result)
    assert isinstance(load_run(RESULTS / "auto-cifar10-2500"), Summary)
    assert isinstance(load_run(RESULTS / "mini"), StudyResult)


def test_methods_of_version_1_are_named() -> None:
    record = load_run(AUTO)
    assert isinstance(record, Result)
    assert record.best is record.methods[str(record.best_method)]
    assert {name: row.title for name, row in record.methods.items()} == {
        "linear": "Linear probe",
        "layer": "Layer fine-tuning",
        "scl": "SCL fine-tuning",
        "full": "Full fine-tuning",
    }


def test_a_record_cannot_be_changed_nor_misspelt() -> None:
    row = LayerRow(name="fc", dim=2, nc1=0.5, cdnv=0.1)
    with pytest.raises(ValidationError, match="frozen"):
        row.nc1 = 0.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        LayerRow(name="fc", dim=2, nc1=0.5, cdnv=0.1, ncl=3)  # type: ignore[call-arg]


def test_missing_numbers_and_bytes_that_are_no_text_survive_the_file(tmp_path: Path) -> None:
    row = LayerRow(name="caf\udce9", dim=2, nc1=float("nan"), cdnv=float("inf"), notes={"nc1": "undefined"})
    assert (row.nc1, row.cdnv) == (None, None)
    run = RunFolder.create(tmp_path / "run", config={})
    run.write_result(
        {"row": row.plain(), "bad": BadImage.model_validate({"identity": "x", "class": "caf\udce9"}).plain()}
    )
    stored = run.result()
    run.close()
    assert LayerRow.model_validate(stored["row"]) == row
    assert BadImage.model_validate(stored["bad"]).class_name == "caf\udce9"


def test_a_later_version_is_named(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"kind": "auto", "schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(DataError, match=rf"schema {SCHEMA_VERSION + 1}; this one reads up to {SCHEMA_VERSION}.*update"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "result.json not found"),
        ("{", "result.json is not JSON"),
        ("[1]", "holds no mapping"),
        ('{"kind": "autos"}', "kind 'autos'.*did you mean auto"),
        ('{"kind": "auto", "dataset": 3}', "the result is invalid: dataset: "),
    ],
)
def test_what_is_no_result_is_named(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(DataError, match=message):
        load_run(tmp_path)


def test_the_best_method_is_an_entry() -> None:
    plain = json.loads(AUTO.read_text())
    plain["best_method"] = "scll"
    with pytest.raises(DataError, match="entry of methods"):
        _load(plain)
    record, lost = read_record(plain, AUTO)
    assert isinstance(record, Result)
    assert record.best_method is None
    assert lost == ["best_method is left out: best_method should be an entry of methods"]


def _load(plain: dict[str, Any]) -> Any:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "result.json").write_text(json.dumps(plain))
        return load_run(folder)


def test_damage_costs_only_what_is_damaged() -> None:
    plain = json.loads(AUTO.read_text())
    plain["methods"]["scl"]["test_accuracy"] = "text"
    plain["methods"]["layer"].pop("seconds")
    plain["methods"]["full"] = 3
    plain["layers"][2]["name"] = None
    plain["confusion"][0].pop()
    plain["novelty"] = 1
    record, lost = read_record(plain, AUTO)
    assert isinstance(record, Result)
    assert list(record.methods) == ["linear", "layer", "scl"]
    assert record.methods["scl"].test_accuracy is None
    assert record.methods["scl"].val_accuracy == plain["methods"]["scl"]["val_accuracy"]
    assert record.methods["layer"].seconds is None
    assert len(record.layers) == len(plain["layers"]) - 1
    assert record.confusion is None
    assert {sentence.split(" is ")[0] for sentence in lost} >= {
        "methods.scl.test_accuracy",
        "methods.layer.seconds",
        "methods.full",
        "layers.2.name",
        "confusion",
        "novelty",
    }


ODD = st.sampled_from([None, "text", "<i>", -1, 0, 1e308, 10**400, True, [], {}, [None], {"a": [1]}, [[1, 2], [3]]])


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_value_of_any_kind_loses_the_record(data: st.DataObject) -> None:
    folder = data.draw(st.sampled_from([AUTO, RESULTS / "mini" / "result.json"]))
    plain = json.loads(folder.read_text())
    for key in ("layers", "trials", "studies"):
        plain[key] = plain.get(key, [])[:2]
    plain = {key: value for key, value in plain.items() if value != []}
    for path in data.draw(st.lists(st.sampled_from(places(plain)), min_size=1, max_size=25, unique=True)):
        target: Any = plain
        for key in path[:-1]:
            held = isinstance(target, dict) and key in target
            held = held or (isinstance(target, list) and isinstance(key, int) and key < len(target))
            target = target[key] if held else None
        if path != ("kind",) and isinstance(target, dict):
            target[path[-1]] = copy.deepcopy(data.draw(ODD))
    record, _ = read_record(plain, folder)
    assert record.plain()["kind"] == plain["kind"]


@pytest.mark.parametrize("size", [2**63, -(2**63), 10**400])
def test_a_whole_number_of_no_ordinary_size_is_refused(size):
    """No count is that large, and a page that divides two of them would stop."""
    with pytest.raises(ValidationError, match="whole number of ordinary size"):
        SplitSizes(train=size)
    assert SplitSizes(train=2**63 - 1).train == 2**63 - 1
