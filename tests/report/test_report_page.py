"""Whole pages, read back as a browser would: self-contained, escaped, complete, and never lost to a missing value."""

from __future__ import annotations

import copy
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

import nctransfer
from nctransfer.cli.app import app
from nctransfer.errors import DataError
from nctransfer.metrics import Metric, Number, registered
from nctransfer.report import write_report
from nctransfer.runs import Result, load_run
from pages import Reader, places, plain, read, sentence
from tiny import local_network, striped_bundle


def test_page_needs_nothing_but_itself(page: Reader) -> None:
    for key in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
        assert all(value.startswith(("#", "data:image/")) for value in page.values(key))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert page.tags["script"] == 1
    assert page.tags["link"] == page.tags["iframe"] == 0
    policy = next(value for value in page.values("content") if "default-src" in value)
    assert policy.startswith("default-src 'none'")


def test_style_sheet_loads_nothing(smoke: Any) -> None:
    html = smoke.page("demo")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_anchors_lead_somewhere(page: Reader) -> None:
    targets = {value[1:] for tag, key, value in page.attributes if tag == "a" and key == "href"}
    assert len(targets) == 11
    assert targets <= set(page.values("id"))


def test_figures_and_tables_can_be_read_aloud(page: Reader) -> None:
    labels = [value for _, key, value in page.attributes if key == "aria-label"]
    assert page.tags["svg"] == 10
    assert page.values("role").count("img") == 10
    assert all(labels)
    headers = [value for tag, key, value in page.attributes if tag == "th" and key == "scope"]
    assert len(headers) == page.tags["th"]
    assert all(value for tag, key, value in page.attributes if tag == "img" and key == "alt")


def test_every_reason_note_and_path_of_a_run_reaches_its_page(page: Reader, auto_record: Result) -> None:
    """From the real writer to the page: what the record says of a missing number stands on the page."""
    said = plain(page.text)
    dead = next(layer for layer in auto_record.layers if layer.name == "dead")
    assert dead.nc1 is None
    missing = [name for name in ("nc1", "nc1_null_mean", "cdnv", "numerical_rank") if getattr(dead, name) is None]
    assert len(missing) == 4
    for name in missing:
        assert sentence(dead.notes[name]) in said, name
    assert f"dead: NC1 is undefined here ({plain(dead.notes['nc1']).rstrip('.')})" in said
    for row in auto_record.methods.values():
        assert row.seconds_per_step is None
        assert row.cost_note
        assert sentence(row.cost_note) in said
        assert plain(row.why).replace("%", " %") in said
        assert row.tunes in said
        assert row.title in said
    for name, layers in auto_record.layers_after.items():
        assert all(layer.note for layer in layers if layer.nc1 is None), name
    assert auto_record.augment is not None
    assert plain(auto_record.augment.why).replace("%", " %") in said
    for note in auto_record.dataset.report.notes:
        assert sentence(note.removeprefix("warning: ")) in said
    for warning in auto_record.warnings:
        assert sentence(warning) in said
    assert auto_record.mistakes
    for mistake in auto_record.mistakes:
        assert mistake.identity in said
    assert "nctransfer predict runs/demo photo.jpg" in said
    assert 'for found in nctransfer.predict("runs/demo", ["photo.jpg"]):' in said
    assert "None" not in said
    assert "nan" not in said.replace("nano", "")


def test_a_registered_metric_and_its_words_reach_the_page(tmp_path: Path) -> None:
    """A metric is one object: registered, it is measured at every layer, written down and shown with its reading."""
    size = Metric(
        "size",
        lambda work: float(work.means.norm()),
        (Number("size", "length of the class means", ((float("inf"), "long"),), title="Size of the means"),),
        "up",
        by_layer=True,
    )
    with registered(size):
        run = nctransfer.probe(striped_bundle(), local_network(), out=tmp_path / "run", image_size=16, device="cpu")
    assert isinstance(run.record, Result)
    assert run.record.metrics["size"].word(run.record.layers[0].value("size")) == "long"
    said = plain((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    assert "Size of the means: length of the class means; larger is more collapsed." in said
    assert said.count("Size of the means") == 2 + len(run.record.layers)
    assert load_run(tmp_path / "run") == run.record


def test_each_dash_has_its_reason_beside_it(page: Reader) -> None:
    """A dash is followed by the number of its note, or stands where a method has no block or a class no confusion."""
    said = plain(page.text)
    assert "– ¹" in said
    assert "¹ The network cannot be sent to another process" in said


@pytest.mark.parametrize("name", ["runs/demo", "my runs/it's mine", "-x", "runs/caf\udce9"])
def test_commands_name_the_folder_as_the_user_did(
    name: str, make_folder: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        make_folder(None, name)
    except UnicodeEncodeError:
        pytest.skip("file names of other bytes than UTF-8 are missing on this file system")
    monkeypatch.chdir(tmp_path)
    said = read(Path(name)).text
    typed = f"./{name}" if name.startswith("-") else name
    shown = shlex.quote(typed).replace("\udce9", "\\xe9")
    assert f"nctransfer predict {shown} photo.jpg" in said
    written = read(tmp_path / name).text
    assert shlex.quote(str(tmp_path / name)).replace("\udce9", "\\xe9") in written


def test_page_says_what_was_measured(make_folder: Callable, auto_record: Result) -> None:
    content = auto_record.plain()
    content["best_method"] = "scl"
    content["methods"]["scl"] |= {
        "unit": "blocks.4",
        "test_accuracy": 0.981,
        "test_accuracy_interval": [0.967, 0.995],
        "tuned_parameters": 410_000,
        "total_parameters": 3_413_000,
        "seconds_per_step": 0.064,
        "peak_memory_bytes": 418_000_000,
        "nc1_before": 1.184,
        "nc1_after": 0.22,
        "val_accuracy": 0.99,
    }
    content["methods"]["scl"].pop("cost_note")
    content["methods"]["linear"] |= {"test_accuracy": 0.951, "test_accuracy_interval": [0.929, 0.973]}
    content["splits"]["test"] = 360
    content["model"]["license"] = "apache-2.0"
    content["warnings"] = ["2 test images also stand in train, pixel for pixel"]
    report = content["dataset"]["report"]
    report["notes"] = ["warning: 2 test images also stand in train, pixel for pixel", "test drawn, stratified, seed 0"]
    report["sizes"] = {
        "width": [8, 12.5, 640],
        "height": [8, 8.0, 480],
        "most_frequent": [8, 8],
        "most_frequent_share": 0.9,
    }
    report["bad"] = [{"identity": "train/cat/1.jpg", "split": "train", "class": "cat", "reason": "is truncated"}]
    report["skipped"] = [{"path": "train/cat/.DS_Store", "reason": "hidden"}]
    report["duplicates"]["train_test"] = {"pixels": 2, "files": 1, "examples": [["train/a.png", "test/b.png"]]}
    report["revision"] = "4f2a"
    said = plain(read(make_folder(Result.model_validate(content))).text)
    for words in (
        "SCL fine-tuning of blocks.4 reaches 98.1 % on 360 test images, 3.0 points above a linear probe "
        "(within the uncertainty of the test set), while tuning 12 % of the parameters.",
        "98.1 % (96.7 to 99.5)",
        "410 k (12 %)",
        "399 MiB",
        "1.18 → 0.220",
        "64 ms",
        "✓ chosen",
        "Test drawn, stratified, seed 0.",
        "8 × 8 pixels (90.0 % of them); width 8 to 640 (median 12.5), height 8 to 480 (median 8)",
        "train/cat/1.jpg cat is truncated",
        "train/cat/.DS_Store – hidden",
        "train/a.png test/b.png",
        "2 with the same pixels",
        "Revision 4f2a",
        "apache-2.0",
        "How tightly the features of each class sit together",
    ):
        assert words in said, words
    assert said.count("2 test images also stand in train, pixel for pixel.") == 1


def test_same_folder_same_bytes(smoke: Any, make_folder: Callable) -> None:
    folder = make_folder()
    before = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == before


def test_what_only_some_runs_measure_is_shown_where_it_is(make_folder: Callable, auto_record: Result) -> None:
    content = auto_record.plain()
    for row in content["methods"].values():
        row |= {"skip_share": None, "skip_accuracy_on": None, "skip_accuracy_off": None, "calibration": None}
        row |= {"out_of_fold_accuracy": None, "out_of_fold_interval": None, "out_of_fold_images": None}
    bare = make_folder(Result.model_validate(content), name="bare")
    assert "Further measurements" not in read(bare).text
    content["methods"]["scl"] |= {
        "calibration": {"temperature": 1.7, "ece_before": 0.08, "ece_after": 0.02},
        "skip_share": 0.31,
        "skip_accuracy_on": 0.9,
        "skip_accuracy_off": 0.7,
        "out_of_fold_accuracy": 0.88,
        "out_of_fold_interval": [0.85, 0.9],
        "out_of_fold_images": 423,
        "frontier": [{"what": "probes", "seconds": 3.0, "accuracy": 0.8}],
        "members": [{"name": "linear"}, {"name": "linear@blocks.4"}],
    }
    content["methods"]["linear@blocks.4"] = {**content["methods"]["linear"], "phrase": "the probe of blocks.4"}
    content["best_method"] = "linear@blocks.4"
    said = plain(read(make_folder(Result.model_validate(content))).text)
    for words in (
        "Further measurements",
        "1.70",
        "8.0 % → 2.0 %",
        "31.0 %",
        "90.0 % → 70.0 %",
        "88.0 % (85.0 to 90.0)",
        "423",
        "probes 3.0 s 80.0 %",
        "linear, linear@blocks.4",
        "The probe of blocks.4 was chosen on held-out images",
    ):
        assert words in said, words
    assert "Brier" not in said


def test_names_are_shown_and_not_obeyed(with_classes: Callable, make_folder: Callable) -> None:
    reader = read(make_folder(with_classes(10, nasty=True)))
    assert reader.tags["script"] == 1
    for shown in (
        "<script>alert(1)</script>",
        '$x_1$ & "y"',
        "caf\\xe9\\x00",
        "\\u202eevil",
        "猫",
        "{{ 7*6143 }}",
        "%s",
    ):
        assert shown in reader.text
    assert "43001" not in reader.text


@pytest.mark.parametrize("num_classes", [2, 26, 100])
def test_any_number_of_classes(num_classes: int, with_classes: Callable, make_folder: Callable) -> None:
    folder = make_folder(with_classes(num_classes, num_test=10_000))
    reader = read(folder)
    assert f"All {num_classes} classes" in reader.text
    assert "The pairs that are confused most" in reader.text
    assert (folder / "report.html").stat().st_size < 500_000


@pytest.mark.parametrize("key", ["methods", "layers", "confusion", "mistakes", "model", "dataset", "splits"])
def test_each_part_may_be_missing(key: str, auto_record: Result, make_folder: Callable) -> None:
    content = auto_record.plain()
    content.pop(key)
    said = read(make_folder(plain=content)).text
    assert "None" not in said
    assert ("A value of result.json is invalid" in said) == (key in ("methods", "layers", "model", "dataset", "splits"))


SETTINGS = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=5, **SETTINGS)
@given(data=st.data())
def test_no_value_of_any_kind_loses_the_page(
    data: st.DataObject, auto_record: Result, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _spoil_and_read(data, auto_record.plain(), tmp_path_factory.mktemp("run"))


@pytest.mark.slow
@settings(max_examples=100, **SETTINGS)
@given(data=st.data())
def test_no_value_of_any_kind_loses_the_page_at_length(
    data: st.DataObject, auto_record: Result, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _spoil_and_read(data, auto_record.plain(), tmp_path_factory.mktemp("run"))


def _spoil_and_read(data: st.DataObject, content: dict[str, Any], folder: Path) -> None:
    odd = st.sampled_from([None, "text", "<i>", -1, 0, 1e308, 10**400, True, [], {}, [None], {"a": [1]}, [[1, 2], [3]]])
    for path in data.draw(st.lists(st.sampled_from(places(content)), min_size=1, max_size=25, unique=True)):
        if path in (("kind",), ("schema_version",)):
            continue
        target: Any = content
        for key in path[:-1]:
            target = target[key] if isinstance(target, dict | list) and _holds(target, key) else None
        if isinstance(target, dict | list) and _holds(target, path[-1]):
            target[path[-1]] = copy.deepcopy(data.draw(odd))
    (folder / "result.json").write_text(json.dumps(content), encoding="utf-8")
    read(folder)


def _holds(target: dict | list, key: Any) -> bool:
    return key in target if isinstance(target, dict) else isinstance(key, int) and key < len(target)


def test_damage_is_told_on_the_page(auto_record: Result, make_folder: Callable) -> None:
    content = auto_record.plain()
    content["methods"]["scl"]["test_accuracy"] = "high"
    said = read(make_folder(plain=content)).text
    assert "A value of result.json is invalid: methods.scl.test_accuracy is left out: input should be a number." in said


def test_pictures_come_from_the_run_folder_only(auto_record: Result, make_folder: Callable, tmp_path: Path) -> None:
    content = auto_record.plain()
    mistake = content["mistakes"][0]
    names = [f"mistakes/{index:03d}.png" for index in range(10)]
    content["mistakes"] = [{**mistake, "thumbnail": name} for name in names]
    folder = make_folder()
    for name in names:
        Image.new("RGB", (8, 8)).save(folder / name)
    outside = tmp_path / "outside.png"
    outside.write_bytes((folder / names[0]).read_bytes())
    (folder / names[1]).write_text("<svg onload='x'/>")
    (folder / names[2]).unlink()
    (folder / names[2]).symlink_to(outside)
    content["mistakes"][3]["thumbnail"] = str(outside)
    content["mistakes"][4]["thumbnail"] = "../outside.png"
    content["mistakes"][5]["thumbnail"] = "mistakes/none.png"
    (folder / "result.json").write_text(json.dumps(content))
    reader = read(folder)
    assert reader.tags["img"] == 5
    assert reader.text.count("no picture") == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "result.json not found"),
        ("{", "result.json is not JSON"),
        ("[1]", "result.json holds no mapping"),
        ('{"kind": "autos"}', "no page for a result of kind 'autos'.*did you mean auto"),
        ('{"kind": ["auto"]}', "no page for a result of kind"),
        ('{"kind": "auto", "schema_version": 99}', "a later version of nctransfer"),
    ],
)
def test_what_is_no_result_is_named(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(DataError, match=message):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such run folder"):
        write_report(tmp_path / "nowhere")


def test_command_line_prints_where_the_page_lies(make_folder: Callable) -> None:
    folder = make_folder(of="probe")
    outcome = CliRunner().invoke(app, ["report", str(folder)])
    assert outcome.exit_code == 0
    assert outcome.output.strip() == str(folder / "report.html")


@pytest.mark.parametrize("folder", ["auto-cifar10-2500", "auto-cifar10-2500/tf_efficientnet_lite0-seed0"])
def test_committed_results_still_render(folder: str, tmp_path: Path) -> None:
    committed = Path(__file__).parents[2] / "results" / folder
    for name in ("result.json", "config.json", "environment.json"):
        if (committed / name).is_file():
            (tmp_path / name).write_bytes((committed / name).read_bytes())
    said = plain(read(tmp_path).text)
    assert "is invalid" not in said
    for title in ("Linear probe", "Layer fine-tuning", "SCL fine-tuning", "Full fine-tuning"):
        assert title in said


def test_the_picture_of_collapse_is_of_the_same_images_before_and_after(auto_record: Result, page: Reader) -> None:
    drawn = auto_record.picture
    assert drawn is not None
    assert set(drawn.after) == set(auto_record.layers_after)
    for after in drawn.after.values():
        for early, late in zip(drawn.before.classes, after.classes, strict=True):
            assert (early.name, len(early.train_x), len(early.test_x)) == (
                late.name,
                len(late.train_x),
                len(late.test_x),
            )
    said = plain(page.text)
    assert "Features before and after tuning" in said
    assert "training images lie" in said
