"""What a new user of pre-training ran into."""

from __future__ import annotations

import json
import shutil

import pytest

from nctransfer.cli import main
from nctransfer.report.svg import draw, logarithmic

SMALL = ["--arch", "mlp", "--depth", "2", "--hidden", "16", "--image-size", "8", "--no-flip", "--limit", "200"]


def command(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return stopped.value.code, said.out, said.err


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    out = tmp_path_factory.mktemp("new") / "run"
    with pytest.raises(SystemExit) as stopped:
        main(["pretrain", "digits", *SMALL, "--epochs", "1", "--adversarial", "8", "--out", str(out)])
    assert stopped.value.code == 0
    return out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--loss", "supcon", "--adversarial", "8"],
            "SupCon trains without any | --adversarial with --loss supcon | use",
        ),
        (["--arch", "resnet999"], "unknown network 'resnet999' | --arch"),
        (
            ["--temperature", "5"],
            "--temperature changes nothing here | --temperature | leave it out, or add --loss supcon",
        ),
        (["--kappa", "2"], "--kappa changes nothing here | --kappa | leave it out, or add --loss mse"),
        (["--loss", "mse", "--label-smoothing", "0.1"], "leave it out, or add --loss ce"),
        (["--head-layers", "3"], "leave it out, or add --head mlp"),
        (["--head-dim", "16"], "leave it out, or add --head linear or mlp"),
        (["--attack-steps", "3"], "leave it out, or add --adversarial EPS"),
    ],
)
def test_refusals_are_one_line_that_names_the_option(words, said, tmp_path, capsys):
    code, _, err = command(capsys, "pretrain", "digits", *words, "--out", tmp_path / "run")
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert "value error" not in err
    assert len(err) < 300


@pytest.mark.filterwarnings("default:SupCon at augmentation level 1:UserWarning")
def test_identical_views_are_warned_of_in_one_line(tmp_path, capsys):
    words = ["--loss", "supcon", "--augment", "1", "--epochs", "0", "--out", tmp_path / "run"]
    code, _, err = command(capsys, "pretrain", "digits", *SMALL, *words)
    assert code == 0
    assert "warning: SupCon at augmentation level 1 sees two identical views of every image\n" in err
    assert ".py" not in err
    assert "nearest class mean" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_robust_accuracy_stands_with_its_radius(pretrained):
    assert "within 8/255" in (pretrained / "report.html").read_text(encoding="utf-8").replace("8.00", "8")


def test_unfinished_run_is_not_called_an_unknown_network(pretrained, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(pretrained, broken)
    (broken / "checkpoints" / "final.safetensors").unlink()
    code, _, err = command(capsys, "measure", "--model", broken, "--data", "digits")
    assert code == 4
    assert "the run has no finished encoder" in err
    assert "--resume" in err


def test_prediction_with_an_encoder_says_to_tune_it(pretrained, capsys):
    code, _, err = command(capsys, "predict", pretrained, "digits")
    assert code == 4
    assert "nctransfer tune DATA --model" in err


@pytest.mark.parametrize(("seed", "said"), [("1", "use --seed 0"), ("0", "chosen on images that it knows")])
def test_tuning_on_the_source_is_said_to_know_the_images(pretrained, seed, said, tmp_path, capsys):
    words = ["--method", "linear", "--epochs", "1", "--limit", "100", "--seed", seed, "--out", tmp_path / "tuned"]
    code, _, err = command(capsys, "tune", "digits", "--model", pretrained, *words)
    assert code == 0
    assert said in " ".join(err.split())
    assert said in " ".join(json.loads((tmp_path / "tuned" / "result.json").read_text())["warnings"])


def test_short_logarithmic_axis_has_several_ticks():
    def paint(canvas):
        axes = canvas.add_subplot()
        axes.plot([1, 2], [9.8, 14.0])
        axes.set_yscale("log")
        logarithmic(axes.yaxis)

    drawing = draw("short", 3, 2, paint)
    assert sum(f">{value}<" in drawing for value in ("10", "11", "12", "13", "14")) >= 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "foo"], "unknown method 'foo' | --method | known: linear, deep, layer, scl, loha, lora, full"),
        (["--method", "layer", "--layer", "nope"], "has no block 'nope' | --layer | known: blocks.0, blocks.1"),
    ],
)
def test_tune_names_the_option_and_what_there_is(pretrained, words, said, tmp_path, capsys):
    code, _, err = command(capsys, "tune", "digits", "--model", pretrained, *words, "--out", tmp_path / "tuned")
    assert code == 2
    assert said in err
