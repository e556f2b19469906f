"""The cost of a step is measured in a process that does not run the user's script again."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import nctransfer

print("the script runs")
nctransfer.tune(
    "digits", "cifar_resnet20", weights="random", method="linear", out="run", epochs=1, lr=0.001, limit=60, image_size=8,
    layers=["layer3.0"],
)
"""


def test_a_script_without_a_main_guard_works(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the script runs") == 1
    row = json.loads((tmp_path / "run" / "result.json").read_text())["methods"]["linear"]
    assert row["seconds_per_step"] > 0
