"""The rules of a ranking, on numbers whose answer is known: order, flags, agreement, tables."""

import numpy as np
import pytest

from nctransfer.errors import DataError, UsageError
from nctransfer.ranking import agreement_of_table, rank_settings, read_table, regret, weighted_tau
from nctransfer.ranking.agreement import tau_interval
from nctransfer.ranking.candidates import find_candidates
from nctransfer.ranking.columns import COLUMNS, flag_of
from nctransfer.ranking.order import order_candidates, told_apart
from nctransfer.ranking.tables import read_known


def answers(accuracy, number=400, seed=0):
    return (np.random.default_rng(seed).random(number) < accuracy).astype(float)


def test_what_the_probe_tells_apart_leads_and_the_rest_is_static():
    good, poor = answers(0.9), answers(0.5, seed=1)
    twin = good.copy()
    twin[:3] = 1 - twin[:3]
    correct = {"poor": poor, "good": good, "twin": twin}
    small = order_candidates(correct, parameters={"good": 1, "twin": 5, "poor": 9})
    assert [(place.name, place.position, place.first, place.last) for place in small] == [
        ("twin", 1, 1, 2),
        ("good", 2, 1, 2),
        ("poor", 3, 3, 3),
    ]
    known = order_candidates(correct, known={"good": 80.0, "twin": 70.0, "poor": 99.0}, parameters={"twin": 5})
    assert [place.name for place in known] == ["good", "twin", "poor"]


def test_pairs_count_not_the_two_accuracies_alone():
    rng = np.random.default_rng(0)
    base = (rng.random(300) < 0.7).astype(float)
    better = base.copy()
    better[np.flatnonzero(base == 0)[:12]] = 1  # right wherever the other is, and on 12 more
    assert told_apart(base, better)
    # As large a difference, but right on other images: chance alone does that.
    assert not told_apart(base, np.roll(better, 1))
    base[:290] = np.nan
    assert not told_apart(base, better)


@pytest.mark.parametrize(
    ("name", "value", "low", "high", "null", "flag"),
    [
        ("probe", 0.50, 0.42, 0.58, 0.45, "at noise"),
        ("probe", 0.80, 0.75, 0.85, 0.45, None),
        ("probe", 0.995, 0.98, 1.0, 0.45, "at ceiling"),
        ("nc1", 18.0, 15.0, 21.0, 20.0, "at noise"),
        ("nc1", 0.01, 0.005, 0.02, 20.0, "at ceiling"),
        ("h_score", 9.0, 9.0, 9.0, 9.0, "at noise"),
        ("log_me", -0.1, -0.2, 0.0, -0.3, None),
        ("log_me", 0.5, None, None, None, None),
    ],
)
def test_flags(name, value, low, high, null, flag):
    assert flag_of(COLUMNS[name], value, low, high, null, 10) == flag


def test_weighted_tau_against_the_sum_over_pairs():
    """The definition, pair by pair: additive hyperbolic weights of both rankings, averaged."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        one, other = rng.permutation(7).astype(float), rng.permutation(7).astype(float)

        def by(ranking, one=one, other=other):
            place = np.empty(7)
            place[np.lexsort((other if ranking is one else one, ranking))[::-1]] = np.arange(7)
            total = agreed = 0.0
            for i in range(7):
                for j in range(i):
                    weight = 1 / (place[i] + 1) + 1 / (place[j] + 1)
                    total += weight
                    agreed += weight * np.sign(one[i] - one[j]) * np.sign(other[i] - other[j])
            return agreed / total

        assert weighted_tau(one, other) == pytest.approx((by(one) + by(other)) / 2)
    assert weighted_tau([1, 1, 1], [1, 2, 3]) is None
    assert weighted_tau([1], [1]) is None


def test_regret_is_what_the_first_choice_costs():
    assert regret([3, 2, 1], [0.9, 0.8, 0.7]) == 0
    assert regret([1, 2, 3], [0.9, 0.8, 0.7]) == pytest.approx(0.2)
    assert regret([1, 1], [0.9, 0.7]) == pytest.approx(0.1)
    with pytest.raises(DataError, match="must be finite"):
        regret([1, float("nan")], [1, 2])
    low, high = tau_interval(list(range(8)), list(range(8)))
    assert (low, high) == (pytest.approx(1), pytest.approx(1))
    assert tau_interval([1, 2, 3], [1, 2, 3]) is None


def test_a_table_of_others_is_judged_the_same(tmp_path):
    rows = ["model,dataset,right,wrong,accuracy"]
    for dataset, shift in (("a", 0.0), ("b", 0.1), ("c", -0.1)):
        rows += [f"m{number},{dataset},{number},{-number},{0.5 + 0.05 * number + shift}" for number in range(5)]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    found = {row.score: row for row in agreement_of_table(read_table(tmp_path / "t.csv"))}
    assert found["right"].tau == pytest.approx(1)
    assert found["right"].regret == 0
    assert found["wrong"].tau == pytest.approx(-1)
    assert found["wrong"].regret == pytest.approx(0.2)
    assert found["mean rank on the other sets"].tau == pytest.approx(1)
    long = ["model,dataset,score,value,accuracy"] + [f"m{n},a,s,{n},{n}" for n in range(4)]
    (tmp_path / "l.csv").write_text("\n".join(long))
    assert agreement_of_table(read_table(tmp_path / "l.csv"))[0].by_dataset == {"a": pytest.approx(1)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model,dataset\nm,a\n", "no column 'accuracy'"),
        ("model,dataset,accuracy\nm,a,high\n", r"'high' is not a number \(.*line 2\)"),
        ("model,dataset,accuracy\n", "no rows"),
    ],
)
def test_bad_tables_are_named(tmp_path, text, says):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        read_table(tmp_path / "t.csv")


def test_known_accuracies_from_a_file(tmp_path):
    (tmp_path / "k.csv").write_text("Model,Top1\nresnet18,69.8%\n")
    assert read_known(tmp_path / "k.csv") == {"resnet18": 69.8}
    (tmp_path / "k.csv").write_text("name,value\n")
    with pytest.raises(DataError, match="columns name, value"):
        read_known(tmp_path / "k.csv")
    with pytest.raises(DataError, match="not found"):
        read_known(tmp_path / "none.csv")


def test_candidates_by_pattern_file_and_name(tmp_path):
    (tmp_path / "one.safetensors").touch()
    (tmp_path / "two.pth").touch()
    found, notes = find_candidates(["cifar_resnet?0", str(tmp_path / "*"), "cifar_resnet20"])
    assert [candidate.name for candidate in found] == ["cifar_resnet20", "cifar_resnet50", "one", "two"]
    assert notes == []
    assert "nothing to compare" in find_candidates(["mlp"])[1][0]
    with pytest.raises(UsageError, match=r"nothing matches 'mobilenetvv2\*'.*mobilenet"):
        find_candidates(["mobilenetvv2*"])


def test_settings_speak_in_their_own_words():
    assert rank_settings({"data": "d", "models": "a,b", "budget": "1.5m"}).budget == 90
    with pytest.raises(UsageError, match="'soon' is not a time span"):
        rank_settings({"data": "d", "budget": "soon"})
    with pytest.raises(UsageError, match="no candidate is named"):
        rank_settings({"data": "d", "models": ""})
    with pytest.raises(UsageError, match=r"unknown setting 'modles'.*models"):
        rank_settings({"data": "d", "modles": "a"})
