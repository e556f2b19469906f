"""The command line: exit codes, one-line errors, and an answer without torch."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

import commands


@pytest.fixture
def run(monkeypatch, capsys):
    """A command in this process: its exit code and what it wrote."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words):
        capsys.readouterr()
        return subprocess.CompletedProcess(words, commands.run(words), *capsys.readouterr())

    return run


def start(*words, env=None):
    """The same as a process of its own."""
    command = [sys.executable, "-m", "nctransfer", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **(env or {})})


def test_help_and_import_leave_torch_alone():
    code = (
        "import sys, nctransfer, nctransfer.cli.app\n"
        "heavy = {'torch', 'timm', 'sklearn', 'matplotlib', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    answer = start("--help")
    assert answer.returncode == 0
    for verb in ("auto", "measure", "probe", "tune", "predict", "report", "data"):
        assert verb in answer.stdout


def make_folder(root, classes, count=6, size=12):
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (size, size), (60 * number, 5 * index, 90)).save(root / name / f"{index}.png")
    return root


SMALL = (
    "--model",
    "cifar_resnet20",
    "--weights",
    "random",
    "--image-size",
    16,
    "--layers",
    "layer3.0",
    "--device",
    "cpu",
)


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (("nonsense",), 2, ["No such command 'nonsense'"]),
        (("auto", "digits", "--nonsense"), 2, ["No such option"]),
        (
            ("auto", "digits", "--methods", "linear,magic"),
            2,
            ["magic", "known: linear, deep, layer, scl, loha, lora, full"],
        ),
        (("auto", "digits", "--epochs", "0"), 2, ["epochs must be greater than or equal to 1, got 0 | --epochs"]),
        (("auto", "digits", "--set", "epoch=3"), 2, ["unknown setting 'epoch'", "did you mean epochs"]),
        (("auto", "digits", "--set", "epochs"), 2, ["not an assignment", "--set key=value"]),
        (("auto", "digit"), 2, ["digit", "digits"]),
        (("auto", "digits", "--model", "resnet19"), 2, ["unknown network 'resnet19'", "resnet18"]),
        (("auto", "./nowhere"), 3, ["nowhere"]),
        (("auto", "digits", "--config", "nowhere.yaml"), 3, ["settings file not found | nowhere.yaml"]),
        (("auto", "digits", "--weights", "nowhere.pth", "--arch", "resnet18"), 3, ["weights file not found"]),
        (("predict", "nowhere", "x.png"), 4, ["no such run"]),
        (("report", "nowhere"), 3, ["nowhere"]),
    ],
)
def test_refusals(words, code, parts, run, tmp_path):
    answer = run(*words, *(["--out", tmp_path / "run"] if words[0] == "auto" else []))
    refused(answer, code, parts)
    assert list(tmp_path.iterdir()) == []  # a run that is refused leaves no folder behind


def test_a_device_that_is_not_there_is_refused(tmp_path):
    words = ("auto", "digits", *SMALL[:-2], "--device", "cuda", "--out", tmp_path / "run")
    answer = start(*words, env={"CUDA_VISIBLE_DEVICES": "", "COLUMNS": "160"})
    refused(answer, 6, ["no CUDA device", "--device auto or cpu"])
    assert list(tmp_path.iterdir()) == []


def refused(answer, code, parts):
    assert answer.returncode == code, answer.stderr
    assert answer.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in answer.stderr
    for part in parts:
        assert part in answer.stderr


def test_every_unreadable_image_is_listed_and_skipping_writes_it_down(run, tmp_path):
    data = make_folder(tmp_path / "images", ["<b>bold</b>", "$x$", "ünï"], count=12)
    (data / "ünï" / "0.png").write_bytes(b"not an image")
    whole = (data / "$x$" / "1.png").read_bytes()
    (data / "$x$" / "1.png").write_bytes(whole[: len(whole) // 2])
    stopped = run("probe", data, *SMALL, "--out", tmp_path / "run")
    assert stopped.returncode == 3, stopped.stderr
    assert "0.png" in stopped.stderr
    assert "1.png" in stopped.stderr
    skipped = run(
        "probe", data, *SMALL, "--out", tmp_path / "run2", "--on-bad-image", "skip", "--set", "skip_limit=0.2"
    )
    assert skipped.returncode == 0, skipped.stderr
    assert len((tmp_path / "run2" / "skipped.csv").read_text().splitlines()) == 3
    page = (tmp_path / "run2" / "report.html").read_text()
    assert "<b>bold</b>" not in page


def test_one_class_is_refused(run, tmp_path):
    answer = run("auto", make_folder(tmp_path / "images", ["only"]), *SMALL, "--out", tmp_path / "run")
    assert answer.returncode == 3
    assert "class" in answer.stderr


def test_a_pickle_with_code_in_it_is_not_run(run, tmp_path):
    import torch

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    torch.save({"weight": torch.ones(2), "extra": Evil()}, tmp_path / "evil.pth")
    answer = run("probe", "digits", "--weights", tmp_path / "evil.pth", "--arch", "resnet18", "--out", tmp_path / "run")
    assert answer.returncode == 4, answer.stderr
    assert "system" in answer.stderr
    assert not (tmp_path / "ran").exists()


def test_a_configuration_file_gives_way_to_options(run, tmp_path):
    (tmp_path / "run.yaml").write_text("epochs: 7\nseed: 3\nimage_size: 16\n")
    words = (
        "probe",
        "digits",
        *SMALL,
        "--config",
        tmp_path / "run.yaml",
        "--seed",
        4,
        "--limit",
        60,
        "--out",
        tmp_path / "r",
    )
    answer = run(*words)
    assert answer.returncode == 0, answer.stderr
    config = json.loads((tmp_path / "r" / "config.json").read_text())
    assert (config["epochs"], config["seed"]) == (7, 4)


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(run, tmp_path):
    answer = run("auto", "digits", *SMALL, "--limit", 60, "--out", tmp_path / "run", "--dry-run")
    assert answer.returncode == 0, answer.stderr
    assert "SCL fine-tuning" in answer.stdout
    assert "MiB" in answer.stdout
    assert not (tmp_path / "run").exists()


def test_measure_takes_a_network_and_a_data_set(run, tmp_path):
    words = ("measure", "--model", "cifar_resnet20", "--weights", "random", "--data", "digits", "--image-size", 16)
    answer = run(*words, "--limit", 100, "--layers", "layer1.0", "--json", "--plot", tmp_path / "plot.png")
    assert answer.returncode == 0, answer.stderr
    assert list(json.loads(answer.stdout)) == ["layer1.0", "penultimate"]
    assert (tmp_path / "plot.png").stat().st_size > 1000
    assert run("measure").returncode == 2
    assert run(*words, "--layers", "layer9").returncode == 2
