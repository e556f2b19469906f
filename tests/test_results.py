"""Every figure quoted in results/README.md stands in the committed JSON."""

import json
import re
import statistics
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"
METHODS = {"linear probe": "linear", "layer fine-tuning": "layer", "SCL fine-tuning": "scl", "full fine-tuning": "full"}


def test_the_table_is_that_of_the_runs():
    runs = json.loads((RESULTS / "auto-cifar10-2500" / "result.json").read_text())["runs"]
    text = (RESULTS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w -]+) \| ([\d.]+) ± ([\d.]+) \| ([\d., ]+) \| ([\d.]+) → ([\d.]+) \|", text, re.M)
    assert {row[0] for row in rows} == set(METHODS)
    for name, mean, spread, each, before, after in rows:
        values = [run["methods"][METHODS[name]] for run in runs]
        accuracies = [100 * value["test_accuracy"] for value in values]
        assert [float(value) for value in each.split(",")] == [round(value, 1) for value in accuracies]
        assert float(mean) == round(statistics.mean(accuracies), 1)
        assert float(spread) == round(statistics.stdev(accuracies), 1)
        assert float(before) == round(statistics.mean(value["nc1_before"] for value in values), 2)
        assert float(after) == round(statistics.mean(value["nc1_after"] for value in values), 2)
    minutes = [run["cost"]["seconds"] / 60 for run in runs]
    quoted = re.search(r"(\d+\.\d) to (\d+\.\d) minutes a seed", text)
    assert quoted is not None
    assert [float(value) for value in quoted.groups()] == [round(min(minutes), 1), round(max(minutes), 1)]
