"""Every example of docs/integrations.md runs as it stands."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "integrations.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## (.*?)$.*?^```python\n(.*?)^```$", PAGE, re.S | re.M))
NEEDS = {"transformers": "transformers", "Lightning": "lightning", "torchmetrics": "torchmetrics"}


def test_every_section_has_an_example():
    assert list(EXAMPLES) == re.findall(r"^## (.*)$", PAGE, re.M)


@pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning", "ignore:.*num_workers.*", "ignore:.*log_every_n_steps.*"
)
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name, tmp_path, monkeypatch):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} (an extra) is not installed")
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[name], f"docs/integrations.md, {name}", "exec"), {"__name__": "example"})
