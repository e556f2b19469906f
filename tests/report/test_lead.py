"""Which number leads a page, the terminal and the model card: accuracy, or balanced accuracy where classes differ in size."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from nctransfer.cli.launch import print_result
from nctransfer.report import lead_of, lead_sentence, write_report
from nctransfer.runs import Result, Summary


@pytest.fixture
def sized(auto_record: Result) -> Callable[..., Result]:
    """The smoke run with other numbers of images of its classes, and a winner whose two accuracies differ."""

    def make(largest: int, smallest: int) -> Result:
        content = auto_record.plain()
        names = content["dataset"]["class_names"]
        images = dict.fromkeys(names, largest) | {names[-1]: smallest}
        content["dataset"]["report"]["counts"] = {"train": images, "test": images}
        content["methods"][content["best_method"]] |= {
            "test_accuracy": 0.9,
            "test_accuracy_interval": [0.85, 0.94],
            "balanced_accuracy": 0.6,
            "balanced_accuracy_interval": [0.5, 0.7],
            "macro_f1": 0.55,
        }
        return Result.model_validate(content)

    return make


def written(record: Result, make_folder: Callable) -> str:
    page = write_report(make_folder(record)).read_text(encoding="utf-8")
    return " ".join(re.sub(r"<(style|svg).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL).replace("\xa0", " ").split())


def printed(record: Result | Summary) -> str:
    console = Console(width=80, soft_wrap=True)
    with console.capture() as capture:
        print_result(console, record)
    return capture.get()


def test_the_smoke_run_itself_holds_the_interval(auto_record: Result) -> None:
    for row in auto_record.methods.values():
        low, high = row.balanced_accuracy_interval
        assert 0 <= low < row.balanced_accuracy <= high or low <= row.balanced_accuracy < high <= 1
    assert auto_record.dataset.imbalance == 1.0


def test_accuracy_leads_up_to_three_times(sized: Callable, make_folder: Callable) -> None:
    record = sized(30, 10)
    assert record.dataset.imbalance == 3.0
    assert not lead_of(record).balanced
    assert lead_sentence(record) == ""
    said = written(record, make_folder)
    assert "reaches 90.0 % on" in said
    assert said.index("Test accuracy") < said.index("Balanced accuracy")
    assert "bal." not in printed(record)


def test_balanced_accuracy_and_macro_f1_lead_over_three_times(sized: Callable, make_folder: Callable) -> None:
    record = sized(31, 10)
    assert lead_of(record).balanced
    said = written(record, make_folder)
    for words in (
        "reaches 60.0 % balanced accuracy (macro F1 55.0 %, accuracy 90.0 %) on",
        "The largest class has 3.1 times the images of the smallest.",
        "Balanced accuracy 60.0 % 95 % interval 50.0 to 70.0 Macro F1 55.0 %",
        "60.0 % (50.0 to 70.0) 55.0 % 90.0 %",
        "the 95 % interval of its balanced accuracy",
        "In brackets: the 95 % interval of the balanced accuracy",
    ):
        assert words in said, words
    lines = printed(record)
    assert re.search(r"bal\..*95 %.*F1.*test", lines)
    assert re.search(r"60\.0% │ 50\.0–70\.0 │ 55\.0% │ 90\.0%", lines)
    assert "The largest class has 3.1 times" in lines
    assert max(map(len, lines.splitlines()[:6])) <= 80


def test_recall_by_class_stands_with_its_interval(sized: Callable, make_folder: Callable) -> None:
    record = sized(31, 10)
    said = written(record, make_folder)
    assert len(record.recall_intervals) == record.dataset.num_classes
    for low, high in filter(None, record.recall_intervals):
        assert f"{100 * low:.1f} to {100 * high:.1f}" in said


def test_several_runs_lead_with_the_same_number(grid_record: Summary, make_folder: Callable, tmp_path: Path) -> None:
    assert [run.imbalance for run in grid_record.runs] == [pytest.approx(1.0, abs=0.5)] * 2
    assert not lead_of(grid_record).balanced
    runs = tuple(run.model_copy(update={"imbalance": 4.0}) for run in grid_record.runs)
    uneven = grid_record.model_copy(update={"runs": runs})
    page = write_report(make_folder(uneven, name="uneven", of="grid")).read_text(encoding="utf-8")
    assert "balanced accuracy on the test images" in page
    assert page.index("Balanced accuracy (%)") < page.index("Test accuracy (%)")
    assert "balanced accuracy" in printed(uneven)
