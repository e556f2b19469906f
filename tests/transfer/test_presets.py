"""What a preset fills in, and that what is asked for wins."""

import pytest

from nctransfer.errors import UsageError
from nctransfer.transfer import auto
from nctransfer.transfer.settings import settings_from
from nctransfer.transfer.workbench import Workbench


def test_fast_ends_after_the_probes(striped, small_network, tmp_path):
    run = auto(striped, small_network, out=tmp_path / "run", preset="fast", device="cpu")
    assert {name.partition("@")[0] for name in run.methods} == {"linear", "deep"}
    assert run.record.trials == ()
    assert run.record.augment is None
    assert all(row.nc1_after == row.nc1_before for row in run.record.methods.values())


def test_what_is_given_wins_over_the_preset():
    found = settings_from({"data": "x", "preset": "fast", "step_cost": True}, {"methods": "full"})
    assert (found.methods, found.step_cost) == (("full",), True)
    assert settings_from({"data": "x", "preset": "balanced"}).model_dump() == settings_from({"data": "x"}).model_dump()


def test_an_unknown_preset_is_refused():
    with pytest.raises(UsageError, match=r"unknown preset 'slow'.*known: fast, balanced, best"):
        settings_from({"data": "x", "preset": "slow"})


def test_best_trains_longer_and_at_more_rates(striped, small_network):
    benches = [
        Workbench(settings_from({"data": "x", "device": "cpu", "preset": preset}), bundle=striped, module=small_network)
        for preset in ("balanced", "best")
    ]
    assert benches[1].epochs == round(1.5 * benches[0].epochs)
    given = settings_from({"data": "x", "device": "cpu", "preset": "best", "epochs": 3})
    assert Workbench(given, bundle=striped, module=small_network).epochs == 3


def test_everything_tried_stands_against_its_seconds(striped, small_network, tmp_path):
    run = auto(striped, small_network, out=tmp_path / "run", preset="fast", device="cpu")
    tried = {point.what: point for point in run.record.tried}
    layers = [row.name for row in run.record.layers if row.name != "penultimate"]
    inner = [name.partition("@")[2] for name in run.methods if "@" in name]
    assert set(tried) == {*run.methods, *(f"linear probe of {name}" for name in layers if name not in inner)}
    assert all(point.seconds > 0 for point in tried.values())
    assert tried["deep"].seconds > tried["linear"].seconds
    # Nothing was tuned: every probe stands where cross-validation puts it.
    assert tried["deep"].accuracy == run.methods["deep"]["out_of_fold_accuracy"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Accuracy against time" in page
    assert "On the frontier: " in page
