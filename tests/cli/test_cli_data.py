"""The verb ``data``: what it prints, and how it ends."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from nctransfer.cli import main


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("[red]cat", "<i>dög &")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(20):
            pixels = np.random.default_rng(100 * seed + index).integers(0, 256, (6, 7, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{index}.png")
    return tmp_path / "set"


def run(*words):
    with pytest.raises(SystemExit) as left:
        main(["data", *map(str, words)])
    return left.value.code


def test_table(folder, capsys):
    assert run(folder) == 0
    text = capsys.readouterr().out
    for piece in ("2 classes", "[red]cat", "<i>dög &", "validation (drawn)", "7 x 6", "duplicates: none", "seed 0"):
        assert piece in text


def test_json(folder, capsys):
    assert run(folder, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["counts"]["train"] == {"<i>dög &": 13, "[red]cat": 13}
    assert report["splits"] == {"train": 26, "validation": 6, "test": 8}
    assert report["sizes"]["most_frequent"] == [7, 6]


def test_bad_files_are_listed_and_the_end_is_3(folder, capsys):
    (folder / "[red]cat" / "29.png").write_bytes(b"junk")
    (folder / "[red]cat" / "28.jpg").write_bytes(b"")
    assert run(folder) == 3
    printed = capsys.readouterr()
    assert "bad: [red]cat/29.png: not an image" in printed.out
    assert "bad: [red]cat/28.jpg: the file is empty" in printed.out
    assert printed.err.startswith("error: 2 images cannot be read | listed above | fix")
    assert run(folder, "--json") == 3
    printed = capsys.readouterr()
    assert len(json.loads(printed.out)["bad"]) == 2


def test_a_limit_that_cannot_be_is_usage(capsys):
    assert run("digits", "--limit", "5") == 2
    assert "`limit`" in capsys.readouterr().err


def test_names_that_are_not_utf8_print_in_a_plain_terminal(folder):
    os.rename(os.path.join(os.fsencode(folder), b"[red]cat"), os.path.join(os.fsencode(folder), b"ca\xfft"))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:backslashreplace", "LC_ALL": "C", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", "from nctransfer.cli import main; main()", "data", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ca\\xfft" in done.stdout
