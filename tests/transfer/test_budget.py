"""A budget of time: refused where it is too small, decided between steps, written down and followed on resume."""

import json
import shutil
import time

import pytest
import torch

from nctransfer.engine import Runtime
from nctransfer.errors import UsageError
from nctransfer.models import load_network
from nctransfer.runs import Ledger
from nctransfer.transfer import auto
from nctransfer.transfer.pace import Pace
from nctransfer.transfer.settings import settings_from

QUICK = {"methods": ["linear", "full"], "epochs": 1, "augment": 1, "device": "cpu", "layers": ["layer3.0"]}


def _network():
    torch.manual_seed(0)  # of the random weights
    return load_network("cifar_resnet20", weights="random", image_size=16)


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


def test_without_a_budget_no_clock_is_asked(monkeypatch):
    pace = Pace(None, Ledger(None), Runtime("cpu"))
    monkeypatch.setattr(time, "perf_counter", lambda: pytest.fail("the clock was asked"))
    assert pace.allows("a", "a step", lambda: pytest.fail("the step was estimated"))
    assert pace.decisions == []


@pytest.mark.parametrize("text", ["soon", "-5s", "0"])
def test_a_budget_that_is_no_time_is_refused(text):
    with pytest.raises(UsageError, match="budget"):
        settings_from({"data": "x", "budget": text})
