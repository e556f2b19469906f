"""How values are written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nctransfer.report import text

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FORMATS = [text.percent, text.points, text.significant, text.amount, text.count, text.duration, text.mebibytes]


@pytest.mark.parametrize("show", FORMATS)
@given(value=json_values)
def test_any_json_value_is_shown_or_dashed(show, value) -> None:
    shown = show(value)
    known = isinstance(value, int | float) and not isinstance(value, bool) and text.number(value) is not None
    assert shown
    assert (shown == text.DASH) != known


@given(value=st.floats(min_value=1e-30, max_value=1e30))
def test_significant_keeps_three_digits(value: float) -> None:
    shown = text.significant(value)
    mantissa, _, exponent = shown.replace(",", "").partition("×10")
    power = int(exponent.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) or 0)
    assert float(mantissa) * 10.0**power == pytest.approx(value, rel=0.00501)
    assert len(shown) <= 10


@pytest.mark.parametrize(
    ("share", "shown"), [(0.0, "0.0 %"), (1.0, "100.0 %"), (0.0004, "0.040 %"), (0.9716, "97.2 %"), (-0.05, "-5.0 %")]
)
def test_percent(share: float, shown: str) -> None:
    assert text.percent(share).replace("\xa0", " ") == shown


@pytest.mark.parametrize(("number", "shown"), [(999.6, "1 k"), (999_600, "1 M"), (0, "0"), (1_234, "1.23 k")])
def test_amount_changes_unit_where_it_rounds(number: float, shown: str) -> None:
    assert text.amount(number).replace("\xa0", " ") == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(59.96, "1 min"), (3599.6, "1 h 00 min"), (0.9996, "1.0 s"), (119.7, "2 min")]
)
def test_duration_carries_over(seconds: float, shown: str) -> None:
    assert text.duration(seconds).replace("\xa0", " ") == shown


@given(st.lists(st.floats(min_value=-10, max_value=10), min_size=2, max_size=6))
def test_spread_is_mean_and_sample_deviation(values: list[float]) -> None:
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    left, right = text.spread(values, digits=6).split(" ± ")
    assert float(left) == pytest.approx(mean, abs=2e-6)
    assert float(right) == pytest.approx(deviation, abs=2e-6)


@given(st.text())
def test_visible_text_can_be_encoded_and_holds_no_control_characters(raw: str) -> None:
    shown = text.visible(raw + "\udcff\x1b\u202e")
    shown.encode("utf-8")
    assert shown.endswith("\\xff\\x1b\\u202e")
    assert not any(ord(character) < 32 for character in shown)


@given(st.text(max_size=60), st.integers(min_value=3, max_value=30))
def test_shorten_keeps_to_its_limit_and_both_ends(raw: str, most: int) -> None:
    short = text.shorten(raw, most)
    assert len(short) == min(len(raw), most)
    assert raw.endswith(short[-1:])
