"""The sentence on top must not say more than the numbers do."""

from __future__ import annotations

import pytest

from nctransfer.report.headline import best_method, headline, probe_headline, versus


def result(best: str, **methods: dict) -> dict:
    return {"best_method": best, "methods": methods, "splits": {"test": 100}, "model": {"name": "net"}}


def score(accuracy: float | None, half: float = 0.01, **more: object) -> dict:
    ends = None if accuracy is None else [accuracy - half, accuracy + half]
    return {"test_accuracy": accuracy, "test_accuracy_interval": ends, **more}


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (score(0.95), score(0.90), ", 5.0 points above a linear probe"),
        (score(0.91), score(0.90), ", 1.0 point above a linear probe (within the uncertainty of the test set)"),
        (score(0.80), score(0.90), ", 10.0 points below a linear probe"),
        (score(0.90), score(0.9001), ", the same as a linear probe"),
        (score(0.90), {}, ""),
        ({"test_accuracy": 0.95}, {"test_accuracy": 0.9}, ", 5.0 points above a linear probe"),
    ],
)
def test_difference_to_the_probe(ours: dict, theirs: dict, said: str) -> None:
    assert versus(ours, theirs) == said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            result("linear", linear=score(0.9), full=score(0.95)),
            "A linear probe on net reaches 90.0 % on 100 test images, "
            "and no tuning method did better on the validation images.",
        ),
        (result("linear", linear=score(0.9)), "A linear probe on net reaches 90.0 % on 100 test images."),
        (
            result("full", full=score(0.9, tuned_parameters=2_000_000, total_parameters=2_000_000)),
            "Full fine-tuning reaches 90.0 % on 100 test images, tuning all 2 M parameters.",
        ),
        (
            result("layer", layer=score(0.9, unit="b.1", tuned_parameters=3, total_parameters=100)),
            "Layer fine-tuning of b.1 reaches 90.0 % on 100 test images, while tuning 3.0 % of the parameters.",
        ),
        (result("scl", scl=score(None)), "SCL fine-tuning was chosen; no test accuracy was measured."),
        ({}, "This run tuned no method."),
    ],
)
def test_headline(given: dict, said: str) -> None:
    assert headline(given).replace("\xa0", " ") == said


def test_best_method_is_the_named_one_else_by_validation() -> None:
    methods = {"linear": {"val_accuracy": 0.8, "test_accuracy": 0.99}, "full": {"val_accuracy": 0.9}}
    assert best_method({"methods": methods, "best_method": "linear"}) == "linear"
    assert best_method({"methods": methods, "best_method": "gone"}) == "full"
    assert best_method({"methods": {"scl": {}}}) == "scl"
    assert best_method({}) is None


def test_probe_headline_names_both_layers_when_they_differ() -> None:
    layers = [
        {"name": "a", "nc1": 1.0, "probe_val_accuracy": 0.8},
        {"name": "b", "nc1": 0.5, "probe_val_accuracy": 0.7},
    ]
    said = probe_headline({"splits": {"validation": 50}}, layers)
    assert "of a carry the most" in said
    assert "50 validation images (NC1 1.00); the most collapsed are those of b (NC1 0.500)." in said
    assert probe_headline({}, [{"name": "a", "nc1": 0.5}]) == "The features of a are the most collapsed (NC1 0.500)."
    assert probe_headline({}, []) == "This run measured no layer."
