"""Every figure that the documentation quotes from a benchmark stands in its committed JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TEXT = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def latest(pattern):
    return json.loads(max(RESULTS.glob(pattern)).read_text(encoding="utf-8"))


def numbers(pattern):
    found = re.search(pattern, " ".join(TEXT.split()))
    assert found is not None, pattern
    return [float(value.replace(",", "")) for value in found.groups()]


def test_speed():
    measured = {row["what"]: row for row in latest("metrics_speed_[!q]*.json")["rows"]}
    quoted = re.findall(r"^\| (.+?) \| ([\d.,]+) \| at (most|least) ([\d.]+) \| (yes|no) \|$", TEXT, re.MULTILINE)
    assert {what for what, *_ in quoted} == set(measured)
    for what, ratio, _, target, met in quoted:
        row = measured[what]
        assert float(ratio.replace(",", "")) == float(f"{row['ratio']:.3g}"), what
        assert float(target) == row["target"], what
        assert (met == "yes") == row["met"], what


def test_memory():
    rows = {row["what"]: row for row in latest("metrics_memory_*.json")["rows"] if "what" in row}
    few, wide = numbers(r"takes (\d+) MiB above the features.*?together take (\d+) MiB")
    assert few == round(rows["nc1, N=50,000 D=2,048 K=100"]["MiB"])
    assert wide == round(rows["NC1 to NC4, CDNV, ranks, N=2,000 D=1,000,000 K=10"]["MiB"])


def test_calibration():
    summary = latest("calibration_[!q]*.json")["summary"]
    quoted = numbers(
        r"Of its (\d+) cells, .*? in (\d+); calibrated NC1 answers every draw of (\d+) of them, in (\d+) within"
    )
    assert quoted == [summary[key] for key in ("cells", "separated", "separated and answered", "within 5 %")]
    fresh, own = (latest(f"calibration_quick_{which}*.json")["summary"] for which in ("seed1", "[!s]"))
    quoted = numbers(r"not set on, (\d+) of (\d+) .*? set on, (\d+) of (\d+)")
    assert quoted == [one[key] for one in (fresh, own) for key in ("within 5 %", "separated and answered")]
