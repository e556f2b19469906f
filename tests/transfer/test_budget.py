"""A budget of time: refused where it is too small, decided between steps, written down and followed on resume."""

import json
import shutil
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nctransfer.engine import Runtime
from nctransfer.errors import UsageError
from nctransfer.runs import Ledger
from nctransfer.transfer import auto
from nctransfer.transfer.pace import Pace
from nctransfer.transfer.settings import settings_from
from tiny import small_resnet

QUICK = {"methods": ["linear", "full"], "epochs": 1, "augment": 1, "device": "cpu", "layers": ["layer3.0"]}


def _network():
    torch.manual_seed(0)  # of the random weights
    return small_resnet()


@pytest.fixture(scope="module")
def ample(striped, tmp_path_factory):
    """A run under a budget of an hour, which it does not need."""
    return auto(striped, _network(), out=tmp_path_factory.mktemp("budget") / "run", budget="1h", **QUICK)


def test_a_budget_that_is_not_needed_changes_no_result(striped, ample, tmp_path):
    free = auto(striped, _network(), out=tmp_path / "run", step_cost=False, **QUICK)
    assert ample.record.best_method == free.record.best_method
    assert set(ample.methods) == set(free.methods)
    for name, row in free.record.methods.items():
        other = ample.record.methods[name]
        assert (row.test_accuracy, row.val_accuracy, row.nc1_after) == (
            other.test_accuracy, other.val_accuracy, other.nc1_after,
        )  # fmt: skip
    assert free.record.decisions == ()
    assert all(decision.done for decision in ample.record.decisions)
    steps = json.loads((free.folder / "steps.json").read_text())
    assert not [key for key in steps if key.startswith("budget")]


def test_a_decision_that_was_written_down_is_followed(striped, ample, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(ample.folder, folder)
    steps = json.loads((folder / "steps.json").read_text())
    steps["budget/full"] |= {"done": False, "needs": 5000.0}
    del steps["method/full"]
    (folder / "steps.json").write_text(json.dumps(steps))
    again = auto(striped, _network(), out=folder, resume=True, budget="1h", **QUICK)
    assert set(again.methods) == {"linear"}
    assert "needs about 5000 s" in again.record.left_out["full"]
    assert any("left out for want of time: full fine-tuning" in warning for warning in again.record.warnings)
    assert "Left out for want of time" in (folder / "report.html").read_text()


def test_a_budget_too_small_for_one_pass_says_what_it_needs(striped, tmp_path):
    with pytest.raises(
        UsageError, match=r"0.01 s are not enough for one pass over the 150 images.*use --budget \d+[sm]"
    ):
        auto(striped, _network(), out=tmp_path / "run", budget=0.01, **QUICK)
    assert not (tmp_path / "run").exists()


def test_time_before_a_kill_counts(tmp_path):
    pace = Pace(100.0, Ledger(tmp_path / "steps.json"), Runtime("cpu"), spent=40.0)
    assert pace.allows("a", "a step", lambda: 10.0)
    again = Pace(100.0, Ledger(tmp_path / "steps.json"), Runtime("cpu"), spent=30.0)
    assert 70.0 <= again.elapsed < 75.0
    assert again.allows("a", "a step", lambda: 1e9), "a decision that was written down is followed"
    assert not again.allows("b", "another", lambda: 40.0)


class Clock:
    """Seconds that pass as a test says, on a core that others use ``busy`` times as much."""

    def __init__(self, busy=0.0):
        self.now, self.worked, self.busy = 0.0, 0.0, busy

    def spend(self, seconds):
        self.worked += seconds
        self.now += seconds * (1.0 + self.busy)

    def pace(self, budget):
        return Pace(budget, Ledger(None), Runtime("cpu"), clock=lambda: self.now, work=lambda: self.worked)


@settings(deadline=None)
@given(
    budget=st.floats(20.0, 3600.0),
    steps=st.lists(st.floats(0.1, 600.0), min_size=1, max_size=30),
    off=st.floats(0.3, 1.2),
    busy=st.floats(0.0, 2.0),
)
def test_a_budget_is_exceeded_by_no_more_than_a_tenth(budget, steps, off, busy):
    """Estimates that are up to a fifth too small, on a core that is shared; three seconds of work end the run."""
    clock = Clock(busy)
    pace = clock.pace(budget)
    clock.spend(2.0)  # opening data and network, which no budget can leave out
    taken = 0
    for number, seconds in enumerate(steps):
        estimated = seconds * (1.0 + busy)  # estimates are timed in the same run, at the same load
        if pace.allows(str(number), "a step", lambda: estimated):  # noqa: B023
            clock.spend(off * seconds)
            taken += 1
    clock.spend(3.0)
    assert clock.now <= 1.1 * budget
    if min(steps) * (1.0 + busy) * 1.1 + 15.0 <= budget:
        assert taken, "time that is left is used"


def test_more_time_is_kept_for_the_page_on_a_core_that_is_shared():
    idle, shared, swamped = Clock(), Clock(busy=1.0), Clock(busy=30.0)
    paces = [clock.pace(60.0) for clock in (idle, shared, swamped)]
    for clock in (idle, shared, swamped):
        clock.spend(5.0)
    assert [pace.ending for pace in paces] == pytest.approx([3.0, 6.0, 9.0])


def test_a_step_is_not_timed_where_even_its_least_does_not_fit():
    clock = Clock()
    pace = clock.pace(60.0)
    assert (pace.has(56.9), pace.has(57.1)) == (True, False)
    clock.spend(50.0)
    assert (pace.has(6.9), pace.has(7.1)) == (True, False)
    assert pace.decisions == []


def test_a_run_with_time_for_one_probe_hands_over_the_best_that_it_measured(striped, tmp_path, monkeypatch):
    """The probe of an inner layer is the best of the single layers here, and no other method is granted any time."""
    asked = {"methods": ["linear", "deep"], "device": "cpu", "budget": "1h"}
    whole = auto(striped, _network(), out=tmp_path / "whole", **asked)
    (inner,) = (name for name in whole.methods if "@" in name)
    layers = {row.name: row.probe_val_accuracy for row in whole.record.layers}
    assert layers[inner.partition("@")[2]] == max(layers.values()) > layers["penultimate"]
    folder = tmp_path / "short"
    shutil.copytree(whole.folder, folder)
    steps = json.loads((folder / "steps.json").read_text())
    assert f"budget/{inner}" not in steps, "nobody asks whether there is time for it"
    kept = {key: value for key, value in steps.items() if not key.startswith(("method/", "fold/", "again/", "picture"))}
    for name in ("linear", "deep"):
        kept[f"budget/{name}"] |= {"done": False, "needs": 5000.0}
    (folder / "steps.json").write_text(json.dumps(kept))
    monkeypatch.setattr("nctransfer.transfer.probing.fit_deep", lambda *args, **more: pytest.fail("no time for it"))
    short = auto(striped, _network(), out=folder, resume=True, **asked)
    assert list(short.methods) == [short.best_method] == [inner]
    assert set(short.record.left_out) == {"linear", "deep"}
    assert "needs about 5000 s" in short.record.left_out["linear"]


def test_without_a_budget_no_clock_is_asked(monkeypatch):
    pace = Pace(None, Ledger(None), Runtime("cpu"))
    monkeypatch.setattr(time, "perf_counter", lambda: pytest.fail("the clock was asked"))
    assert pace.allows("a", "a step", lambda: pytest.fail("the step was estimated"))
    assert pace.decisions == []


@pytest.mark.parametrize("text", ["soon", "-5s", "0"])
def test_a_budget_that_is_no_time_is_refused(text):
    with pytest.raises(UsageError, match="budget"):
        settings_from({"data": "x", "budget": text})
