"""The room's promise: it needs torch and NumPy, and nothing else outside the standard library."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys

class Blocker:
    allowed = {"nctransfer", "torch", "torchgen", "numpy", *sys.stdlib_module_names}

    def find_spec(self, name, path=None, target=None):
        asked_by = sys._getframe(1)
        while asked_by is not None and not asked_by.f_globals.get("__name__", "").startswith(("nctransfer.", "torch", "numpy")):
            asked_by = asked_by.f_back
        ours = asked_by is None or asked_by.f_globals["__name__"].startswith("nctransfer.")
        if ours and name.partition(".")[0] not in self.allowed:
            raise ModuleNotFoundError(f"blocked: {name}", name=name)
        return None

sys.meta_path.insert(0, Blocker())
import torch
from nctransfer import metrics

labels = torch.arange(60) % 3
features = torch.randn(60, 40, generator=torch.Generator().manual_seed(0)) + 3 * torch.eye(3, 40)[labels]
statistics = metrics.ClassStatistics(3, 40, scatter=True)
statistics.update(features, labels)
assert abs(metrics.nc1(statistics) / metrics.nc1(features, labels) - 1) < 1e-5
collapse = metrics.measure(features, labels, weight=torch.eye(3, 40), bias=torch.zeros(3), permutations=3)
missing = {name for name in metrics.METRICS if name != "nc1_null" and getattr(collapse, name) is None}
assert missing == set(), (missing, collapse.notes)
for name in ("scipy", "sklearn", "psutil", "torchmetrics", "lightning", "matplotlib", "pydantic"):
    assert name not in sys.modules, name
print(collapse.nc1)
"""


def test_needs_only_torch_and_numpy():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0
