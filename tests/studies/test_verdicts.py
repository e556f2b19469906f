"""When a claim holds: laws of the verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nctransfer.studies.figure2 import threshold
from nctransfer.studies.verdicts import above, correlation, decide

EFFECTS = st.lists(st.floats(-10, 10), min_size=1, max_size=6)


@given(EFFECTS)
def test_opposite_effects_give_the_opposite_verdict(effects):
    opposite = {"holds": "does not hold", "does not hold": "holds", "undecided": "undecided"}
    assert decide("", [-effect for effect in effects], "").verdict == opposite[decide("", effects, "").verdict]


@given(EFFECTS)
def test_disagreeing_seeds_decide_nothing(effects):
    made = decide("", [*effects, -max(effects) if max(effects) != 0 else 1.0], "")
    if min(made.effects) < 0 < max(made.effects):
        assert made.verdict == "undecided"


@pytest.mark.parametrize(
    ("effects", "verdict"),
    [
        ([1.0, 1.1, 0.9], "holds"),
        ([-1.0, -1.1, -1.2], "does not hold"),
        ([-1.0, -1.1], "undecided"),  # two seeds agree by chance every second time
        ([0.1, 2.0], "undecided"),  # they agree, but by less than their spread
        ([1.0], "undecided"),
        ([], "undecided"),
        ([None, 1.0, 1.1, 1.0], "holds"),
        ([None, 1.0, 1.1], "undecided"),
        ([None], "undecided"),
        ([float("nan"), 1.0, 1.0, 1.0], "holds"),
    ],
)
def test_verdicts(effects, verdict):
    assert decide("", effects, "").verdict == verdict


@pytest.mark.parametrize("effects", [[0.0, 0.0], [0.01, -0.01 + 1e-9], [1e-9, 1e-9, 1e-9]])
def test_ties_lean_nowhere(effects):
    made = decide("", effects, "")
    assert (made.verdict, made.leaning) == ("undecided", None)


@pytest.mark.parametrize(("seeds", "rate"), [(3, 0.21), (5, 0.05)])
def test_how_often_noise_is_decided(seeds, rate):
    """The figures that the module and the docs state."""
    noise = np.random.default_rng(0).standard_normal((4000, seeds))
    decided = sum(decide("", row.tolist(), "").verdict != "undecided" for row in noise)
    assert decided / len(noise) == pytest.approx(rate, abs=0.015)


def test_accuracies_differ_in_points_and_a_missing_seed_is_a_dash():
    made = above("", [0.5, None, 0.52], [0.4, 0.4, 0.4], "difference", points=True)
    assert made.statistic == "difference, in points, by seed: 10, –, 12; mean 11, spread 1.4"
    assert made.effects == pytest.approx((0.1, 0.12))


def test_statistic_prints_every_seed():
    assert above("", [2.0, 3.0], [1.0, 1.5], "gain").statistic == "gain by seed: 1, 1.5; mean 1.25, spread 0.35"


def test_no_correlation_is_a_claim_of_its_own():
    strong = [[(1, 1), (2, 2), (3, 3), (4, 4)]] * 3
    weak = [[(1, 2), (2, 4), (3, 1), (4, 3)]] * 3
    assert correlation("", strong, 0, "x").verdict == "does not hold"
    assert correlation("", weak, 0, "x").verdict == "holds"
    assert correlation("", strong, -1, "x").verdict == "does not hold"


def test_correlation_of_too_few_points_is_not_computed():
    assert "not computed" in correlation("", [[(1, 1), (2, 2)]], 1, "x").statistic


@given(st.floats(0.05, 20), st.floats(0.01, 0.3), st.floats(0.01, 0.3))
def test_threshold_finds_where_two_lines_meet(turn, rise, fall):
    import math

    nc1 = [turn * 10**step for step in (-2, -1, -0.5, 0, 0.5, 1, 2)]
    accuracy = [0.5 + min(rise * math.log10(x / turn), -fall * math.log10(x / turn)) for x in nc1]
    found = threshold(nc1, accuracy)
    assert found is not None
    assert found[0] == pytest.approx(turn, rel=0.05)
    assert found[1] == pytest.approx(rise, rel=0.1, abs=1e-3)
    assert found[2] == pytest.approx(-fall, rel=0.1, abs=1e-3)
