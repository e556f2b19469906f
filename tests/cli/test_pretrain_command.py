"""``nctransfer pretrain``: its words reach the settings, its errors are one line with the right exit code."""

import json

import pytest

from commands import run

SMALL = (
    "pretrain digits --arch mlp --depth 2 --hidden 16 --image-size 8 --limit 60 --batch-size 20 --epochs 2 --device cpu"
)


def test_a_run_from_the_command_line(tmp_path, capsys):
    words = "--no-flip --padding 1 --head mlp --head-layers 3 --head-dim 6 --measure-layers --measure-every 1 --seed 3"
    code, said = run([*SMALL.split(), *words.split(), "--out", tmp_path / "run"]), capsys.readouterr()
    assert code == 0, said.err
    assert "epoch 2/2" in said.out
    assert "report.html" in said.out
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["kind"] == "pretrain"
    assert result["settings"]["augment_settings"]["flip"] is False
    assert result["settings"]["augment_settings"]["padding"] == 1
    assert result["settings"]["arch_arguments"] == {"depth": 2, "hidden": 16}
    assert result["seed"] == 3
    assert [layer["name"] for layer in result["layers"]] == ["blocks.0", "blocks.1", "penultimate"]
    assert run([*SMALL.split(), "--out", tmp_path / "run"]) == 2
    assert "not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        ("pretrain digits --arch resnet18x", 2, ["unknown network 'resnet18x'"]),
        ("pretrain digits --loss supcon --adversarial 8", 2, ["adversarial training is defined on class scores"]),
        ("pretrain digits --arch mlp --width 2", 2, ["takes no argument 'width'"]),
        ("pretrain digits --augment 9", 2, ["--augment", "got 9"]),
        ("pretrain digit", 2, ["digit", "digits"]),
        ("pretrain ./nowhere", 3, ["nowhere"]),
        ("pretrain digits --device cuda:7", 6, ["CUDA"]),
    ],
)
def test_errors_are_one_line_with_their_exit_code(tmp_path, words, code, parts, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    more = ["--device", "cpu"] if "device" not in words else []
    assert run([*words.split(), "--out", tmp_path / "run", *more]) == code
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    for part in parts:
        assert part in message
