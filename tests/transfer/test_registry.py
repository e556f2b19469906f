"""The registry of tuning methods: what every member promises, and what a new one costs."""

import pytest

from nctransfer.errors import UsageError
from nctransfer.runs import Mark, load_run
from nctransfer.transfer import METHODS, TuningMethod, register, tune
from nctransfer.transfer.methods import find_method, registered
from nctransfer.transfer.settings import settings_from
from tiny import local_network

TOY = TuningMethod("toy", "toy tuning", tunes="a classifier, for show", mark=Mark(marker="P"), step_share=0.0)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_is_described_in_full(method):
    assert METHODS[method.name] is method
    assert method.tunes
    assert method.short
    assert method.heading[0].isupper()
    assert method.title[1:] == method.heading[1:]
    assert method.base_rate > 0
    assert 0 <= method.step_share <= 1
    assert 0 < method.trial_share <= 1
    assert not (method.whole and method.needs_unit)
    assert method.make_skip is None or method.needs_unit


def test_no_two_methods_are_drawn_alike():
    assert len({method.mark for method in METHODS.values()}) == len(METHODS)
    assert len({method.mark.marker for method in METHODS.values()}) == len(METHODS)


def test_the_cheapest_comes_first():
    shares = [method.step_share for method in METHODS.values()]
    assert shares == sorted(shares)


def test_settings_know_a_method_as_soon_as_it_is_registered():
    with pytest.raises(UsageError, match="unknown method"):
        settings_from({"data": "digits", "methods": "toy"})
    with registered(TOY):
        assert settings_from({"data": "digits", "methods": "toy,scl"}).methods == ("toy", "scl")
        assert list(METHODS)[-1] == "full"
    assert "toy" not in METHODS


def test_a_name_is_taken_once():
    assert register(METHODS["scl"]) is METHODS["scl"]
    with pytest.raises(UsageError, match="there is a method 'scl' already"):
        register(TuningMethod("scl", "another"))
    with pytest.raises(UsageError, match=r"unknown method 'sc1'.*did you mean scl"):
        find_method("sc1")


def test_a_new_method_is_an_object_and_nothing_else(striped, tmp_path):
    """Registered in one line, it is tuned, written down and shown on the page: no other file knows its name."""
    with registered(TOY):
        run = tune(
            striped,
            local_network(),
            method="toy",
            out=tmp_path / "run",
            image_size=16,
            epochs=1,
            lr=0.01,
            device="cpu",
            step_cost=False,
        )
        row = run.record.best
    assert run.record.best_method == "toy"
    assert (row.title, row.phrase, row.tunes, row.mark) == ("Toy tuning", "toy tuning", TOY.tunes, TOY.mark)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for words in ("Toy tuning of Local reaches", "a classifier, for show"):
        assert words in page
    assert load_run(tmp_path / "run").best == row
