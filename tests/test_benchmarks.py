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


def test_beside_other_tools():
    content = latest("against_others-*.json")
    rows = {(row["seed"], row["set"], row["tool"]): row for row in content["rows"]}
    titles = {
        "digits": "digits",
        "CIFAR-10": "cifar10",
        "CIFAR-100, 20 classes": "cifar100",
        "FashionMNIST": "fashion_mnist",
    }
    titles |= {"clothing, photographs": "clothing", "trash, photographs": "trash"}
    text = (ROOT / "docs" / "beside-others.md").read_text(encoding="utf-8")
    cell = r"([\d.]+)"
    line = rf"^\| (.+?) \| [\d,]* ?\| {cell}(?: \((\w+)\))? \| {cell} \| {cell} \| {cell} \| (\d+) \| (\d+) \|$"
    quoted = [
        (seed, *found)
        for seed, part in enumerate(text.split("## Seed ")[1:])
        for found in re.findall(line, part, re.MULTILINE)
    ]
    assert {(seed, titles[title]) for seed, title, *_ in quoted if title != "mean"} == {key[:2] for key in rows}
    tools = ("auto", "plain_full", "fastai", "sklearn")
    for seed, title, auto, method, plain, fastai, sklearn, *seconds in quoted:
        if title == "mean":
            of = content["summary"]
        else:
            of = {tool: rows[seed, titles[title], tool] for tool in tools}
            assert method == of["auto"]["settings"]["method"]
        for tool, value in zip(tools, (auto, plain, fastai, sklearn), strict=True):
            assert value == f"{100 * of[tool]['test_accuracy']:.1f}", (title, tool)
        assert seconds == [f"{of[tool]['cpu_seconds']:.0f}" for tool in ("auto", "plain_full")], title
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    summary = content["summary"]
    assert f"`auto` has {100 * summary['auto']['test_accuracy']:.1f} % of the test images" in readme
    assert f"at two rates {100 * summary['plain_full']['test_accuracy']:.1f} %" in readme
    ratio = summary["auto"]["cpu_seconds"] / summary["plain_full"]["cpu_seconds"]
    assert f"in {ratio:.1f} times its processor time" in readme


def test_five_demos():
    content = latest("demo_seeds-*.json")
    text = " ".join((ROOT / "docs" / "beside-others.md").read_text(encoding="utf-8").split())
    handed = [row["test_accuracy"] for row in content["rows"]]
    each = ", ".join(f"{100 * value:.1f}" for value in handed)
    assert f"hands over {100 * sum(handed) / len(handed):.1f} % on average ({each}): SCL" in text
    assert [row["handed_over"] for row in content["rows"]].count("scl") == 4
    linear = [100 * row["methods"]["linear"]["test_accuracy"] for row in content["rows"]]
    assert f"linear probe has {min(linear):.1f} to {max(linear):.1f} %" in text


def test_speed_of_ranking():
    found = latest("rank_speed-*.json")
    text = " ".join((ROOT / "docs" / "ranking.md").read_text(encoding="utf-8").split())
    scoring = found["scoring"]
    alone, peaks = scoring["alone, decompositions given"], scoring["peak MiB above the features"]
    assert max(peaks[name] for name in ("nleep", "parc", "linear_probe")) < 1024
    for words in (
        f"takes {found['ranking']['cold over bare']:.2f} times as long as a bare loop",
        f"together take {scoring['cheap over svd']:.2f} times one singular value decomposition",
        f"PARC takes {alone['parc']:.1f} s, the linear probe {alone['linear_probe']:.1f} s, NLEEP {alone['nleep']:.0f} s",
        f"LogME is {scoring['log_me of the paper'] / scoring['log_me']:.1f} times as fast",
        f"{peaks['cheap'] / peaks['svd']:.2f} times its memory",
    ):
        assert words in text, words
