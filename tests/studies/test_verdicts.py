"""What becomes of a claim: laws of the verdicts, and how often noise decides."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nctransfer.studies import STUDIES, get_scale
from nctransfer.studies.effects import elsewhere
from nctransfer.studies.figure2 import threshold
from nctransfer.studies.noise import RATES, noise_rates, turning_rates
from nctransfer.studies.parts import both, pooled
from nctransfer.studies.verdicts import (
    NC1_MARGIN,
    POINT,
    above,
    alike,
    at_least,
    correlation,
    decide,
    half_of,
    interval,
    larger,
    no_worse,
)

EFFECTS = st.lists(st.floats(-10, 10), min_size=1, max_size=6)


@given(EFFECTS)
def test_opposite_effects_give_the_opposite_verdict(effects):
    opposite = {"holds": "does not hold", "does not hold": "holds"}
    word = decide("", effects, "", margin=1.0).verdict
    assert decide("", [-effect for effect in effects], "", margin=1.0).verdict == opposite.get(word, word)


@given(EFFECTS, st.floats(0.1, 10))
def test_units_do_not_matter(effects, factor):
    scaled = decide("", [factor * effect for effect in effects], "", margin=factor)
    plain = decide("", effects, "", margin=1.0)
    if all(abs(effect) > 1e-3 for effect in effects) and plain.interval and min(map(abs, plain.interval)) > 1e-6:
        assert scaled.verdict == plain.verdict


@pytest.mark.parametrize(
    ("effects", "verdict"),
    [
        ([1.0, 1.1, 0.9], "holds"),
        ([-1.0, -1.1, -1.2], "does not hold"),
        ([0.1, -0.1, 0.05], "no difference"),
        ([0.1, -0.1, 0.9], "undecided"),  # small on average, but nobody knows how small
        ([-1.0, -1.1], "undecided"),  # two seeds decide nothing
        ([1.0], "undecided"),
        ([], "undecided"),
        ([None, 1.0, 1.1, 1.0], "holds"),
        ([None, 1.0, 1.1], "undecided"),
        ([None], "undecided"),
        ([float("nan"), 1.0, 1.0, 1.0], "holds"),
        ([0.0, 0.0, 0.0], "no difference"),
        ([0.0, 0.0], "undecided"),
    ],
)
def test_verdicts(effects, verdict):
    assert decide("", effects, "", margin=0.5).verdict == verdict


@pytest.mark.parametrize("effects", [[0.0, 0.0], [0.01, -0.01 + 1e-9], [1e-9, 1e-9, 1e-9]])
def test_ties_lean_nowhere(effects):
    made = decide("", effects, "", margin=1e-12)
    assert made.leaning is None


def test_the_interval_is_student_s():
    effects = [2.9, 3.8, 5.4, 4.0, 4.4]
    mean, spread = np.mean(effects), np.std(effects, ddof=1)
    low, high = interval(effects)
    assert (low + high) / 2 == pytest.approx(mean)
    assert (high - low) / 2 == pytest.approx(
        2.7764451 * spread / math.sqrt(5), rel=1e-6
    )  # t(0.975, 4), from a printed table


def test_x_is_at_most_half_of_what_the_paper_prints():
    assert half_of(0.0111) == pytest.approx(0.00555)
    assert half_of(-0.5) == 0.02


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("spread", [0.25, 1.0, 2.0])
def test_how_often_noise_decides_and_x_passes_for_nothing(seeds, spread):
    rates = turning_rates(seeds, spread)
    error = 3 * math.sqrt(0.05 * 0.95 / 2000)
    assert rates["decided"] <= 0.05 + error
    assert rates["none"] <= 0.05 + error


def test_every_rule_is_decided_by_noise_in_five_percent():
    """The committed simulation: each claim within its sampling error, all together closely."""
    made = json.loads(RATES.read_text(encoding="utf-8"))
    rates = [rate for claims in made["claims"].values() for rate in claims.values()]
    assert len(rates) > 80
    assert np.mean(rates) <= 0.055
    assert max(rates) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / made["draws"]), "the largest of so many lies 3.2 errors up"
    for rule in made["turning"].values():
        assert rule["none"] <= 0.065
        assert rule["decided"] <= 0.065


def test_every_claim_of_an_effect_has_its_rate():
    made = json.loads(RATES.read_text(encoding="utf-8"))["claims"]
    scale = get_scale("mini")
    for name, study in STUDIES.items():
        assert set(noise_rates(study, scale, study.seeds_at(scale), draws=1)) == set(made[name]), (
            f"{name}: run python -m nctransfer.studies.noise again"
        )


@pytest.mark.slow
def test_the_simulation_gives_the_committed_rates():
    made = json.loads(RATES.read_text(encoding="utf-8"))
    scale, study = get_scale("mini"), STUDIES["table1"]
    assert noise_rates(study, scale, study.seeds_at(scale), draws=made["draws"]) == made["claims"]["table1"]


def test_no_comparison_with_the_luckiest():
    """The best of many on the same seed is lucky; picked on the other seeds it is not."""
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((2000, 8, 5))
    picked = [elsewhere({str(label): row.tolist() for label, row in enumerate(draw)}, max) for draw in drawn]
    assert abs(np.mean(picked)) < 0.05
    assert np.mean(drawn.max(1)) > 1


def test_accuracies_differ_in_points_and_a_missing_seed_is_a_dash():
    made = above("", [0.5, None, 0.52], [0.4, 0.4, 0.4], "difference")
    assert made.statistic.startswith("difference, in points, by seed: 10, –, 12; mean 11, 95 % interval −1.7")
    assert made.effects == pytest.approx((0.1, 0.12))


def test_collapse_is_compared_by_its_ratio():
    made = larger("", [2.0, 2.1, 1.9], [1.0, 1.0, 1.0], "NC1")
    assert made.verdict == "holds"
    assert made.statistic.startswith("NC1 as a factor by seed: 2, 2.1, 1.9")
    assert larger("", [1.1, 0.95, 1.0], [1.0, 1.0, 1.0], "NC1").verdict == "no difference"
    assert made.margin == NC1_MARGIN


def test_a_claim_of_no_difference():
    same = decide("", [0.001, -0.001, 0.0005], "", margin=POINT)
    other = decide("", [0.05, 0.051, 0.052], "", margin=POINT)
    open_ = decide("", [0.05, -0.051, 0.052], "", margin=POINT)
    assert [alike(made).verdict for made in (same, other, open_)] == ["holds", "does not hold", "undecided"]


@pytest.mark.parametrize(
    ("effects", "verdict"),
    [
        ([0.0, 0.002, -0.001], "holds"),
        ([0.05, 0.06, 0.055], "holds"),
        ([-0.05, -0.06, -0.055], "does not hold"),
        ([-0.05, 0.06, 0.0], "undecided"),
    ],
)
def test_being_no_worse(effects, verdict):
    from nctransfer.studies.verdicts import POINTS

    assert no_worse("", effects, "", margin=POINT, unit=POINTS).verdict == verdict


def test_both_parts_must_hold():
    holds = decide("a", [1.0, 1.1, 0.9], "", margin=0.1)
    fails = decide("b", [-1.0, -1.1, -0.9], "", margin=0.1)
    unsure = decide("c", [1.0, -1.1, 0.9], "", margin=0.1)
    assert [both("", parts)[0].verdict for parts in ([holds, holds], [holds, fails], [holds, unsure])] == [
        "holds",
        "does not hold",
        "undecided",
    ]
    assert all(part.part_of == "whole" for part in both("whole", [holds, fails])[1:])


def test_parts_are_pooled_seed_by_seed_and_refer_to_the_whole():
    effects = [[0.02, 0.01, 0.03], [0.0, 0.01, None]]
    parts = [decide(name, row, "", margin=POINT) for name, row in zip("ab", effects, strict=True)]
    whole, *rest = pooled("all", parts, effects, "mean", margin=POINT)
    assert whole.effects == pytest.approx((0.01, 0.01))
    assert whole.part_of is None
    assert {part.part_of for part in rest} == {"all"}
    assert pooled("all", parts[:1], effects[:1], "mean", margin=POINT) == parts[:1], "a single part stands alone"


def test_correlations():
    strong = [[(1, 1), (2, 2), (3, 3), (4, 4)], [(1, 1), (2, 3), (3, 2), (4, 4)], [(1, 1), (2, 2), (3, 4), (4, 3)]]
    assert correlation("", strong, 1, "x").verdict == "holds"
    assert correlation("", strong, -1, "x").verdict == "does not hold"
    assert correlation("", strong, 1, "x", least=0.95).verdict != "holds", "the mean of 0.87 is too small"
    assert "+1.00, +0.80, +0.80" in correlation("", strong, -1, "x").statistic, "ρ itself is printed"


def test_correlation_of_too_few_points_is_not_computed():
    assert "not computed" in correlation("", [[(1, 1), (2, 2)]], 1, "x").statistic


def test_a_bound():
    assert at_least("", [0.95, 0.97, 0.96], 0.8, "R²", margin=0.1).verdict == "holds"
    assert at_least("", [0.5, 0.51, 0.52], 0.8, "R²", margin=0.1).verdict == "does not hold"


@given(st.floats(0.05, 20), st.floats(0.01, 0.3), st.floats(0.01, 0.3))
def test_threshold_finds_where_two_lines_meet(turn, rise, fall):
    nc1 = [turn * 10**step for step in (-2, -1, -0.5, 0, 0.5, 1, 2)]
    accuracy = [0.5 + min(rise * math.log10(x / turn), -fall * math.log10(x / turn)) for x in nc1]
    found = threshold(nc1, accuracy)
    assert found is not None
    assert found[0] == pytest.approx(turn, rel=0.05)
    assert found[1] == pytest.approx(rise, rel=0.1, abs=1e-3)
    assert found[2] == pytest.approx(-fall, rel=0.1, abs=1e-3)
