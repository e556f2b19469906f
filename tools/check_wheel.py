"""Install the wheel of ``dist/`` in an empty environment and run the main job there, without extras and with them.

    python tools/check_wheel.py dist

The environment is made in a temporary folder and removed at the end. Packages come through pip as it is configured, at the
versions of constraints.txt. Without extras there are no pretrained weights that need no download, so the first run
takes a network of our own with random weights.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
SMALL = "--limit 100 --epochs 1 --lr 0.001 --augment 1 --device cpu"
BARE = f"auto digits --model cifar_resnet20 --weights random --image-size 16 --layers layer3.0 {SMALL} --out bare"
WHOLE = f"auto digits --image-size 32 --methods linear,scl --layers blocks.4 {SMALL} --out whole"


def main() -> None:
    """Build nothing, check what was built."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dist", type=Path, help="the folder of the wheel and the source distribution")
    dist = parser.parse_args().dist.resolve()
    [wheel] = dist.glob("*.whl")
    [source] = dist.glob("*.tar.gz")
    version = wheel.name.split("-")[1]
    assert source.name == f"nctransfer-{version}.tar.gz", f"{source.name} is not of version {version}"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        venv.create(place / "env", with_pip=True)
        python = place / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
        install(python, str(wheel))
        assert run(python, "--version", place).strip() == f"nctransfer {version}"
        run(python, BARE, place)
        run(python, "report bare", place)
        print(f"{wheel.name}: the main job runs without extras")
        install(python, f"{wheel}[offline,onnx]")
        run(python, WHOLE, place)
        print(run(python, "export whole --to onnx", place))
        print(f"{wheel.name}: the main job and the export run with extras")


def install(python: Path, what: str) -> None:
    """Install with the pinned versions."""
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", what], check=True
    )


def run(python: Path, words: str, place: Path) -> str:
    """Run the command line outside the source tree; its output, or the end of this program."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-m", "nctransfer", *words.split()], cwd=place, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"nctransfer {words} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
