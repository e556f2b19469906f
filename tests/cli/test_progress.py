"""Progress: bars and a table in a terminal, plain lines for each stage and each measured epoch elsewhere."""

import io
import re

import pytest
from rich.console import Console

from nctransfer.cli import progress
from nctransfer.cli.progress import TerminalWatch
from nctransfer.data import progress_shown_by
from nctransfer.data.parallel import for_each

FIRST = {"epoch": 1, "step": 4, "train_loss": 1.0}
SECOND = {"epoch": 2, "step": 8, "train_loss": 0.5, "train_accuracy": 0.9, "nc1": 0.25}


def watch(terminal):
    """A watch of ten epochs and the two consoles that it writes to."""
    consoles = [Console(force_terminal=terminal, width=200, file=io.StringIO(), soft_wrap=True) for _ in range(2)]
    return TerminalWatch(10, output=consoles[0], progress=consoles[1]), *(console.file for console in consoles)


def test_elsewhere_each_measured_epoch_is_a_line_of_the_output():
    made, output, other = watch(terminal=False)
    made.record(FIRST)
    made.record(SECOND)
    made.close()
    assert output.getvalue() == "epoch 2/10  train_loss 0.5  train_accuracy 0.9  nc1 0.25\n"
    assert other.getvalue() == ""


def test_in_a_terminal_the_table_shows_measured_epochs_and_the_current_one():
    made, output, _ = watch(terminal=True)
    for record in (FIRST, SECOND, {"epoch": 3, "step": 12, "train_loss": 0.25}):
        made.record(record)
    made.close()
    last = output.getvalue().rsplit("epoch", 1)[1]
    assert "2/10" in last
    assert "3/10" in last
    assert "1/10" not in last


def test_elsewhere_each_stage_is_a_line_and_a_long_one_several(monkeypatch):
    now = iter(range(0, 1000, 20))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))
    made, _, other = watch(terminal=False)
    with made.stage("trials of [SCL]", 3) as advance:
        for _ in range(3):
            advance(1)
    with made.stage("opening"):
        pass
    assert other.getvalue().splitlines() == [
        "trials of [SCL]: 2 of 3, 40 s",
        "trials of [SCL]: 3 of 3, 80 s",
        "opening: done, 20 s",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_stage_that_fails_does_not_say_that_it_is_done(terminal):
    made, _, other = watch(terminal)
    with pytest.raises(ValueError, match="broken"), made.stage("a stage", 2):
        raise ValueError("broken")
    assert "of 2," not in other.getvalue()


def test_a_stage_in_a_terminal_is_a_bar():
    made, _, other = watch(terminal=True)
    with made.stage("a stage", 2) as advance:
        advance(2)
    assert "a stage" in other.getvalue()


def images_checked(made):
    """Work of the data room inside a stage, as opening a data set does it."""
    with made.stage("opening photos"), progress_shown_by(made.detail):
        for_each(lambda index: None, 200, what="checking train images")
        for_each(lambda index: None, 200, what=None)


def test_work_on_images_within_a_stage_shares_the_display():
    made, _, other = watch(terminal=True)
    images_checked(made)
    text = other.getvalue()
    assert "opening photos" in text
    assert "checking train images" in text
    assert "/200" in text
    with made.stage("features", 2) as advance:
        advance(2)
    assert "features" in other.getvalue()


def test_elsewhere_a_short_stage_within_another_is_no_line():
    made, _, other = watch(terminal=False)
    images_checked(made)
    assert [line.split(":")[0] for line in other.getvalue().splitlines()] == ["opening photos"]


def test_elsewhere_a_long_stage_within_another_says_how_far_it_is(monkeypatch):
    now = iter(range(0, 100_000, 20))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))
    made, _, other = watch(terminal=False)
    images_checked(made)
    *within, last = [line.rsplit(",", 1)[0] for line in other.getvalue().splitlines()]
    assert last == "opening photos: done"
    assert within
    assert all(re.fullmatch(r"checking train images: (?!200)\d+ of 200", line) for line in within)
