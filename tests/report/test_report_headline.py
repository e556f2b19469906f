"""The sentence on top must not say more than the numbers do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nctransfer.report.frontier import frontier_section
from nctransfer.report.headline import best_method, better_layer, headline, probe_headline, versus
from nctransfer.runs import FrontierPoint, LayerRow, MethodRow, ModelFacts, Result, SplitSizes


@pytest.fixture
def score(auto_record: Result) -> Callable[..., MethodRow]:
    def make(name: str, accuracy: float | None, half: float | None = 0.01, **more: Any) -> MethodRow:
        ends = None if accuracy is None or half is None else (accuracy - half, accuracy + half)
        facts = {"tuned_parameters": None, "total_parameters": None, "unit": None, "val_accuracy": 0.9, **more}
        return auto_record.methods[name].model_copy(
            update={"test_accuracy": accuracy, "test_accuracy_interval": ends, **facts}
        )

    return make


@pytest.fixture
def result(auto_record: Result) -> Callable[..., Result]:
    def make(best: str | None, layers: tuple[LayerRow, ...] = (), **methods: MethodRow) -> Result:
        facts = {"splits": SplitSizes(train=800, validation=50, test=100), "model": ModelFacts(name="net")}
        return auto_record.model_copy(update={"best_method": best, "methods": methods, "layers": layers, **facts})

    return make


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ((0.95,), (0.90,), ", 5.0 points above a linear probe"),
        ((0.91,), (0.90,), ", 1.0 point above a linear probe (within the uncertainty of the test set)"),
        ((0.80,), (0.90,), ", 10.0 points below a linear probe"),
        ((0.90,), (0.9001,), ", the same as a linear probe"),
        ((0.90,), None, ""),
        ((0.95, None), (0.9, None), ", 5.0 points above a linear probe"),
    ],
)
def test_difference_to_the_probe(ours: tuple, theirs: tuple | None, said: str, score: Callable) -> None:
    assert versus(score("scl", *ours), theirs and score("linear", *theirs)) == said


def test_headline(result: Callable, score: Callable) -> None:
    cases = [
        (
            result("linear", linear=score("linear", 0.9), full=score("full", 0.95, val_accuracy=0.9)),
            "The linear probe of net reaches 90.0 % on 100 test images, "
            "and no other method did better on held-out images.",
        ),
        (result("linear", linear=score("linear", 0.9)), "The linear probe of net reaches 90.0 % on 100 test images."),
        (
            result("full", full=score("full", 0.9, tuned_parameters=2_000_000, total_parameters=2_000_000)),
            "Full fine-tuning of net reaches 90.0 % on 100 test images, tuning all 2 M parameters.",
        ),
        (
            result("layer", layer=score("layer", 0.9, unit="b.1", tuned_parameters=3, total_parameters=100)),
            "Layer fine-tuning of b.1 reaches 90.0 % on 100 test images, while tuning 3.0 % of the parameters.",
        ),
        (
            result("scl", scl=score("scl", None, notes={"test_accuracy": "no test images"})),
            "SCL fine-tuning of net was chosen; its test accuracy was not measured (no test images).",
        ),
        (result(None), "This run tuned no method."),
    ]
    for given, said in cases:
        assert headline(given).replace("\xa0", " ") == said


def test_a_layer_whose_probe_does_better_is_named(result: Callable, score: Callable) -> None:
    inner = LayerRow(name="blocks.4", dim=8, nc1=1.0, cdnv=1.0, probe_val_accuracy=0.95)
    outer = LayerRow(name="penultimate", dim=8, nc1=1.0, cdnv=1.0, probe_val_accuracy=0.85)
    ahead = score("linear", 0.9, val_accuracy=0.95)
    scl = score("scl", 0.9, val_accuracy=0.9)
    said = better_layer(result("scl", (inner, outer), scl=scl, **{"linear@blocks.4": ahead}))
    assert "A linear probe of blocks.4 does better on held-out images (95.0 % against 90.0 %)" in said.replace(
        "\xa0", " "
    )
    assert "not the model that this run hands over" in said
    assert better_layer(result("scl", (inner, outer), scl=scl)) == "", "judged on other images"
    both = result("linear", (inner, outer), linear=score("linear", 0.9))
    assert "(95.0 % against 85.0 %)" in better_layer(both).replace("\xa0", " "), "judged as the inner layer is"
    tried = score("linear", 0.9, val_accuracy=0.89)
    assert better_layer(result("scl", (inner,), scl=score("scl", 0.9), **{"linear@blocks.4": tried})) == ""
    assert better_layer(result("linear", (outer,), linear=score("linear", 0.9))) == ""
    assert better_layer(result(None, (inner,))) == ""
    # What a few validation images say is no argument against a choice that more images made.
    more = {"out_of_fold_accuracy": 0.94, "out_of_fold_images": 850}
    deep = score("deep", 0.9, val_accuracy=0.9, **{**more, "out_of_fold_accuracy": 0.95})
    probes = {"deep": deep, "linear@blocks.4": score("linear", 0.9, val_accuracy=0.99, **more)}
    assert better_layer(result("deep", (inner, outer), **probes)) == ""
    said = better_layer(
        result(
            "linear@other",
            (inner,),
            **probes,
            **{"linear@other": score("linear", 0.9, **{**more, "out_of_fold_accuracy": 0.9})},
        )
    )
    assert "(94.0 % against 90.0 %)" in said.replace("\xa0", " ")
    folds = score("full", 0.9, val_accuracy=0.9, out_of_fold_accuracy=0.9, out_of_fold_images=200)
    assert better_layer(result("full", (inner,), full=folds, **probes)) == "", "not the same images"


def test_a_choice_below_the_frontier_says_what_it_rests_on(result: Callable, score: Callable) -> None:
    tried = [
        ("linear probe of blocks.1", 2.0, 0.9, "layer"),
        ("deep", 3.0, 0.8, "method"),
        ("full", 9.0, 0.85, "method"),
    ]
    points = tuple(
        FrontierPoint(what=what, seconds=seconds, accuracy=value, kind=kind) for what, seconds, value, kind in tried
    )
    methods = {
        "deep": score("deep", 0.9, val_accuracy=0.8, out_of_fold_accuracy=0.92, out_of_fold_images=850),
        "full": score("full", 0.9, val_accuracy=0.85),
    }
    found = result("deep", **methods).model_copy(update={"tried": points})
    lead = " ".join(frontier_section(found).lead.replace("\xa0", " ").split())
    assert "was chosen on 850, of which it has 92.0 % right without having seen them" in lead
    assert "the 50 validation images" in lead
    found = found.model_copy(update={"best_method": "full"})
    assert "chosen on" not in frontier_section(found).lead, "it was judged on these images alone"


def test_best_method_is_the_named_one_else_by_validation(result: Callable, score: Callable) -> None:
    methods = {"linear": score("linear", 0.99, val_accuracy=0.8), "full": score("full", 0.9, val_accuracy=0.9)}
    assert best_method(result("linear", **methods)) == "linear"
    assert best_method(result(None, **methods)) == "full"
    assert best_method(result(None, scl=score("scl", 0.5, val_accuracy=None))) == "scl"
    assert best_method(result(None)) is None


def test_probe_headline_names_both_layers_when_they_differ(result: Callable) -> None:
    first = LayerRow(name="a", dim=8, nc1=1.0, cdnv=1.0, probe_val_accuracy=0.8)
    second = LayerRow(name="b", dim=8, nc1=0.5, cdnv=1.0, probe_val_accuracy=0.7)
    said = probe_headline(result(None, (first, second)))
    assert "does best on the features of a: " in said
    assert "of the held-out images (NC1 1.00). The most collapsed features are those of b (NC1 0.500)." in said
    unscored = second.model_copy(update={"probe_val_accuracy": None})
    assert probe_headline(result(None, (unscored,))) == "The features of b are the most collapsed (NC1 0.500)."
    assert probe_headline(result(None)) == "This run measured no layer."
