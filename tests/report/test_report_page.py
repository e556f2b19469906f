"""Whole pages, read back as a browser would: self-contained, escaped, complete, and never lost to a missing value."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from nctransfer.cli.app import app
from nctransfer.errors import DataError
from nctransfer.report import write_report

VOID = {"meta", "img", "br", "link", "input"}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that every tag is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.stack: list[str] = []
        self.feed(html)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, key, value or "") for key, value in attrs]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, key, value or "") for key, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def values(self, key: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == key]


def read(folder: Path) -> Reader:
    return Reader(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(run_folder: Path) -> Reader:
    return read(run_folder)


def test_page_needs_nothing_but_itself(page: Reader) -> None:
    for key in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
        assert all(value.startswith(("#", "data:image/")) for value in page.values(key))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert page.tags["script"] == 1
    assert page.tags["link"] == page.tags["iframe"] == 0
    policy = next(value for value in page.values("content") if "default-src" in value)
    assert policy.startswith("default-src 'none'")


def test_style_sheet_loads_nothing(page: Reader, run_folder: Path) -> None:
    html = (run_folder / "report.html").read_text(encoding="utf-8")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_anchors_lead_somewhere(page: Reader) -> None:
    targets = {value[1:] for tag, key, value in page.attributes if tag == "a" and key == "href"}
    assert len(targets) == 8
    assert targets <= set(page.values("id"))


def test_figures_and_tables_can_be_read_aloud(page: Reader) -> None:
    labels = [value for _, key, value in page.attributes if key == "aria-label"]
    assert page.tags["svg"] == 7
    assert page.values("role").count("img") == 7
    assert all(labels)
    headers = [value for tag, key, value in page.attributes if tag == "th" and key == "scope"]
    assert len(headers) == page.tags["th"]
    assert all(value for tag, key, value in page.attributes if tag == "img" and key == "alt")


def test_page_says_what_was_measured(page: Reader) -> None:
    said = page.text.replace("\xa0", " ")
    for words in (
        "SCL fine-tuning of blocks.4 reaches 98.1 % on 360 test images, 3.0 points above a linear probe "
        "(within the uncertainty of the test set), while tuning 12 % of the parameters.",
        "98.1 % (96.7 to 99.5)",
        "410 k (12 %)",
        "399 MiB",
        "1.18 → 0.220",
        "64 ms",
        "✓ chosen",
        "2 test images also stand in train, pixel for pixel.",
        "Test drawn from the training images, stratified, seed 0.",
        "8 × 8 pixels (90.0 % of them); width 8 to 640 (median 12.5), height 8 to 480 (median 8)",
        "train/cat/1.jpg cat is truncated",
        "train/cat/.DS_Store – hidden",
        "train/a.png test/b.png",
        "2 with the same pixels",
        "nctransfer predict runs/demo photo.jpg",
        'for found in nctransfer.predict("runs/demo", ["photo.jpg"]):',
        "apache-2.0",
        "Example CPU at 2.0 GHz",
        "row 17 of digits",
        "How tightly the features of each class sit together",
    ):
        assert words in said, words


def test_same_folder_same_bytes(page: Reader, run_folder: Path) -> None:
    before = (run_folder / "report.html").read_bytes()
    assert write_report(run_folder).read_bytes() == before


def test_names_are_shown_and_not_obeyed(make_result: Callable, make_folder: Callable) -> None:
    reader = read(make_folder(make_result(10, nasty=True)))
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
def test_any_number_of_classes(num_classes: int, make_result: Callable, make_folder: Callable) -> None:
    folder = make_folder(make_result(num_classes, num_test=10_000))
    reader = read(folder)
    assert f"All {num_classes} classes" in reader.text
    assert "The pairs that are confused most" in reader.text
    assert (folder / "report.html").stat().st_size < 500_000


def test_one_method_and_holes_with_reasons(make_result: Callable, make_folder: Callable) -> None:
    result = make_result(2)
    only = result["methods"]["linear"]
    only |= dict.fromkeys(("test_accuracy_interval", "seconds", "nc1_before", "nc1_after", "peak_memory_bytes"))
    only["reasons"] = {"peak_memory_bytes": "this system does not tell"}
    result |= {"methods": {"linear": only}, "best_method": "linear", "layers_after": None, "trials": None}
    for layer in result["layers"][:2]:
        layer |= {"nc1": None, "nc1_reason": "the class means coincide"}
    said = read(make_folder(result)).text
    assert "Linear probe, peak memory bytes: this system does not tell." in said
    assert "blocks.0.0: NC1 is not defined here (the class means coincide)" in said
    assert "None" not in said
    assert "nan" not in said


@pytest.mark.parametrize("key", ["methods", "layers", "confusion", "mistakes", "model", "dataset", "splits"])
def test_each_part_may_be_missing(key: str, make_result: Callable, make_folder: Callable) -> None:
    result = make_result(2)
    result.pop(key)
    assert "None" not in read(make_folder(result)).text


def _paths(value: Any, here: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here] * bool(here) + [path for key, item in inner for path in _paths(item, (*here, key))]


SETTINGS = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=5, **SETTINGS)
@given(data=st.data())
def test_no_value_of_any_kind_loses_the_page(
    data: st.DataObject, make_result: Callable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _spoil_and_read(data, make_result(3), tmp_path_factory.mktemp("run"))


@pytest.mark.slow
@settings(max_examples=100, **SETTINGS)
@given(data=st.data())
def test_no_value_of_any_kind_loses_the_page_at_length(
    data: st.DataObject, make_result: Callable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _spoil_and_read(data, make_result(3), tmp_path_factory.mktemp("run"))


def _spoil_and_read(data: st.DataObject, result: dict[str, Any], folder: Path) -> None:
    # Four layers are enough, and keep the draw of a path from landing among them nearly always.
    result["layers"], result["trials"] = result["layers"][:4], result["trials"][:3]
    result["layers_after"] = {key: layers[:4] for key, layers in result["layers_after"].items()}
    odd = st.sampled_from([None, "text", "<i>", -1, 0, 1e308, 10**400, True, [], {}, [None], {"a": [1]}, [[1, 2], [3]]])
    for path in data.draw(st.lists(st.sampled_from(_paths(result)), min_size=1, max_size=25, unique=True)):
        if path == ("kind",):
            continue
        target: Any = result
        for key in path[:-1]:
            target = target[key] if isinstance(target, dict | list) and _holds(target, key) else None
        if isinstance(target, dict | list) and _holds(target, path[-1]):
            target[path[-1]] = copy.deepcopy(data.draw(odd))
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    read(folder)


def _holds(target: dict | list, key: Any) -> bool:
    return key in target if isinstance(target, dict) else isinstance(key, int) and key < len(target)


def test_pictures_come_from_the_run_folder_only(make_result: Callable, make_folder: Callable, tmp_path: Path) -> None:
    result = make_result(2)
    folder = make_folder(result)
    outside = tmp_path / "outside.png"
    outside.write_bytes((folder / "mistakes/000.png").read_bytes())
    (folder / "mistakes/001.png").write_text("<svg onload='x'/>")
    (folder / "mistakes/002.png").unlink()
    (folder / "mistakes/002.png").symlink_to(outside)
    result["mistakes"][3]["thumbnail"] = str(outside)
    result["mistakes"][4]["thumbnail"] = "../outside.png"
    result["mistakes"][5]["thumbnail"] = "mistakes/none.png"
    (folder / "result.json").write_text(json.dumps(result))
    reader = read(folder)
    assert reader.tags["img"] == 5
    assert reader.text.count("no picture") == 5


def test_probe_page(make_result: Callable, make_folder: Callable) -> None:
    whole = make_result(5)
    result = {key: whole[key] for key in ("dataset", "model", "splits", "layers", "seed")} | {"kind": "probe"}
    reader = read(make_folder(result))
    assert "The features of penultimate carry the most" in reader.text
    assert "Use the model" not in reader.text
    assert reader.tags["svg"] == 2


def test_pretrain_page_draws_curves_from_the_log(make_folder: Callable, make_log: Callable) -> None:
    result = {"kind": "pretrain", "model": {"name": "cifar_resnet20"}, "loss": "supcon"}
    reader = read(make_folder(result, metrics=[*make_log(40), {"epoch": 40, "test_accuracy": 0.75}, {"step": 1}]))
    said = reader.text.replace("\xa0", " ")
    assert "cifar_resnet20, trained with the supcon loss for 40 epochs, reaches 97.8 % on the training images" in said
    assert "75.0 % on the test images" in said
    assert reader.tags["svg"] == 4


def test_pretrain_page_draws_layers_of_both_splits(make_folder: Callable, make_log: Callable) -> None:
    layers = [
        {"name": f"block {i}", "dim": 8, "nc1": 3.0 - i, "nc1_test": 4.0 - i, "nc1_null_mean": 9.0} for i in (0, 1)
    ]
    result = {"kind": "pretrain", "model": {"name": "cifar_resnet20"}, "loss": "ce", "layers": layers}
    reader = read(make_folder(result, metrics=make_log(3)))
    assert reader.tags["svg"] == 5
    for shown in ("under permuted labels", "NC1, test images", "Features of the training images after pre-training"):
        assert shown in reader.text
    assert "Probe accuracy" not in reader.text


def test_a_single_epoch_is_told_in_numbers(make_folder: Callable) -> None:
    record = {"epoch": 0, "step": 0, "train_accuracy": 0.1, "test_accuracy": 0.12, "nc1": 9.0, "nc1_test": 9.5}
    reader = read(make_folder({"kind": "pretrain", "model": {"name": "vit"}, "loss": "ce"}, metrics=[record]))
    said = reader.text.replace("\xa0", " ")
    assert "vit, untrained, reaches 10.0 % on the training images" in said
    assert "its features have NC1 = 9.00" in said
    assert "NC1, encoder, test images" in said
    assert reader.tags["svg"] == 0


def test_pretrain_page_without_a_log(make_folder: Callable) -> None:
    assert "The network." in read(make_folder({"kind": "pretrain"})).text


def test_summary_page_links_to_every_run(make_result: Callable, make_folder: Callable, tmp_path: Path) -> None:
    runs = []
    for seed in range(3):
        result = make_result(3, seed=seed)
        name = f"all/seed {seed} é"
        make_folder({**result, "layers": [], "layers_after": None, "confusion": None}, name)
        runs.append({"folder": name[4:], "model": "resnet18", "seed": seed, "methods": result["methods"]})
    runs.append({"folder": "../elsewhere", "model": "resnet18", "seed": 9, "methods": {}})
    summary = tmp_path / "all"
    (summary / "result.json").write_text(json.dumps({"kind": "summary", "runs": runs, "best": {}}))
    reader = read(summary)
    links = [value for value in reader.values("href") if not value.startswith("#")]
    assert links == [f"./seed%20{seed}%20%C3%A9/report.html" for seed in range(3)]
    assert all((summary / f"seed {seed} é" / "report.html").is_file() for seed in range(3))
    said = reader.text.replace("\xa0", " ")
    assert "SCL fine-tuning of resnet18 reaches 98.3 ± 0.2 % on the test images (mean ± spread over 3 runs)" in said
    assert "3.4 points above a linear probe on average and above it in 3 of 3 runs." in said


def test_summary_of_runs_that_only_measured(make_result: Callable, make_folder: Callable) -> None:
    layers = make_result(2)["layers"]
    runs = [{"folder": "a", "model": "net", "seed": seed, "dataset": "digits", "layers": layers} for seed in range(2)]
    reader = read(make_folder({"kind": "summary", "runs": runs}))
    assert "Of 2 runs, a linear probe does best on penultimate of net" in reader.text
    assert "digits · net · 2 runs" in reader.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "result.json not found"),
        ("{", "result.json is not JSON"),
        ("[1]", "result.json holds no mapping"),
        ('{"kind": "autos"}', "no page for a result of kind 'autos'.*did you mean auto"),
        ('{"kind": ["auto"]}', "no page for a result of kind"),
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


def test_command_line_prints_where_the_page_lies(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"kind": "probe"}')
    outcome = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert outcome.exit_code == 0
    assert outcome.output.strip() == str(tmp_path / "report.html")
