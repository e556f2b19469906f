"""Options come from the settings: all of them, once, in whole sentences, and every one of the first release is kept."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from nctransfer.cli.app import app, main
from nctransfer.cli.generate import with_settings
from nctransfer.cli.options import collect
from nctransfer.errors import UsageError
from nctransfer.settings import Settings, build, facts_of, option
from nctransfer.studies import PaperSettings
from nctransfer.training import PretrainSettings
from nctransfer.transfer import TransferSettings

FIRST_RELEASE = json.loads((Path(__file__).parent / "options_of_0.1.0.json").read_text())
VERBS = [verb for verb in FIRST_RELEASE if verb]


def parameters(verb):
    command = typer.main.get_command(app)
    for word in verb.split():
        command = command.commands[word]
    return command.params


@pytest.mark.parametrize("verb", FIRST_RELEASE)
def test_every_verb_and_option_of_the_first_release_is_there(verb):
    words = {word for parameter in parameters(verb) for word in [*parameter.opts, *parameter.secondary_opts]}
    names = [parameter.name for parameter in parameters(verb) if parameter.param_type_name == "argument"]
    assert set(FIRST_RELEASE[verb]["options"]) <= words
    assert names == FIRST_RELEASE[verb]["arguments"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_help_text_is_a_sentence(verb):
    for parameter in parameters(verb):
        text = re.sub(r"\s*\\?\[default: .*\]$", "", parameter.help or "")
        assert re.fullmatch(r"[A-Za-z\[].*[.)]", text, re.S), f"{verb} {parameter.name}: {text!r}"
        assert not re.match(r"(Of|By|In|With|For|From|Over) ", text), f"{verb} {parameter.name}: {text!r}"


@pytest.mark.parametrize(
    ("verb", "model", "elsewhere"),
    [
        ("auto", TransferSettings, {"data", "model"}),
        ("tune", TransferSettings, {"data", "model", "methods"}),
        ("pretrain", PretrainSettings, set()),
        ("paper run", PaperSettings, set()),
    ],
)
def test_every_setting_is_an_option(verb, model, elsewhere):
    words = {word for parameter in parameters(verb) for word in parameter.opts}
    for name, facts in facts_of(model).items():
        for option_name in facts.parts or [facts.flag or name]:
            assert name in elsewhere or f"--{option_name.replace('_', '-')}" in words
        assert model.model_fields[name].description


class Small(Settings):
    """Settings of a made-up verb."""

    epochs: int = Field(3, ge=1, description="passes over the images")
    words: tuple[Literal["a", "b"], ...] = Field(("a",), description="Words.", json_schema_extra=option("Words"))
    nested: dict[str, int] = Field(
        default_factory=dict, json_schema_extra=option("Words", parts={"inner": (int, "An inner number.")})
    )
    size: int = Field(1 << 30, description="Memory.", json_schema_extra=option("Words", gib=True))
    sinks: tuple[str, ...] = Field(
        (), description="Where to.", json_schema_extra=option("Words", flag="sink", repeat=True)
    )
    fast: bool = Field(False, description="Be fast.")


def call(*words):
    """What a made-up verb is handed for these words, and the settings that follow."""
    seen = []
    small = typer.Typer()

    def verb(name: str, *, settings: dict) -> None:
        """A verb."""
        seen.append((name, settings))

    small.command()(with_settings(Small)(verb))
    answer = CliRunner().invoke(small, words)
    assert answer.exit_code == 0, answer.output
    [(name, given)] = seen
    assert name == "x"
    return given, build(Small, given, where="here")


def test_an_option_reaches_its_field_and_one_left_out_is_not_given():
    assert call("x") == ({}, Small())
    given, made = call("x", "--epochs", "5", "--words", "b,a", "--inner", "7", "--fast")
    assert given == {"epochs": 5, "words": "b,a", "inner": 7, "fast": True}
    assert (made.nested, made.words) == ({"inner": 7}, ("b", "a"))
    given, made = call("x", "--size", "0.5", "--sink", "a", "--sink", "b", "--no-fast")
    assert given == {"size": 1 << 29, "sink": ("a", "b"), "fast": False}
    assert made.size == 1 << 29
    assert made.sinks == ("a", "b")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"epoch": 3}, "unknown setting 'epoch'.*did you mean epochs"),
        ({"epochs": 0}, r"epochs must be greater than or equal to 1, got 0 \(--epochs\)"),
        ({"words": ["c"]}, r"unknown word 'c' \(--words\); known: a, b"),
        ({"inner": "many"}, r"inner must be a valid integer.*got 'many' \(--inner\)"),
        ({"nested.inner.deep": 1}, "unknown setting 'nested.inner.deep'"),
    ],
)
def test_an_invalid_value_names_the_option_and_what_it_takes(source, message):
    with pytest.raises(UsageError, match=message):
        build(Small, source, where="here")


def test_later_sources_win_and_parts_of_a_nested_value_join():
    made = build(Small, {"nested": {"inner": 1, "other": 2}, "epochs": 4}, {"inner": 3, "epochs": None}, where="here")
    assert (made.nested, made.epochs) == ({"inner": 3, "other": 2}, 4)


def test_yaml_options_and_assignments_in_that_order(tmp_path):
    (tmp_path / "run.yaml").write_text("epochs: 7\nmemory-limit: 0.5\npadding: 2\nlr: 0.3\nflip: false\n")
    sources = collect(PretrainSettings, {"epochs": 8, "lr": 0.2}, tmp_path / "run.yaml", ["lr=0.1", "tracker=[wandb]"])
    made = build(PretrainSettings, *sources, where="here")
    assert (made.epochs, made.lr, made.memory_limit, made.trackers) == (8, 0.1, 1 << 29, ("wandb",))
    assert (made.augment_settings.padding, made.augment_settings.flip) == (2, False)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["epochs"], ["'epochs' is not an assignment"]),
        (["epochs=["], ["'[' is not a YAML value"]),
        (["memory_limit=lots"], ["a number of GiB from 0 on is needed, got lots"]),
    ],
)
def test_a_broken_assignment_is_refused(words, parts):
    with pytest.raises(UsageError) as caught:
        collect(PretrainSettings, {}, None, words)
    assert all(part in str(caught.value) for part in parts)


def test_help_needs_no_torch():
    blocked = "torch", "numpy", "timm", "sklearn", "matplotlib", "pyarrow", "PIL"
    words = [["--version"], ["--help"], ["paper", "--help"], *([*verb.split(), "--help"] for verb in VERBS)]
    code = (
        f"import sys\nfor name in {blocked!r}: sys.modules[name] = None\n"
        "from nctransfer.cli import main\n"
        f"for words in {words!r}:\n"
        "    try:\n        main(words)\n"
        "    except SystemExit as left:\n        assert not left.code, (words, left.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage:") == len(words) - 1


def test_dry_runs_write_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = "pretrain digits --arch mlp --depth 2 --hidden 16 --image-size 8 --limit 60 --batch-size 20 --device cpu"
    expected = {
        f"{small} --epochs 3 --dry-run": ["10 classes", "parameters", "3 epochs of", "s each", "extrapolated"],
        "paper run figure5 --scale smoke --dry-run": ["figure5", "cells:", "data: digits, here", "estimated for"],
    }
    for words, parts in expected.items():
        with pytest.raises(SystemExit) as left:
            main(words.split())
        said = capsys.readouterr()
        assert left.value.code == 0, said.err
        assert [part for part in parts if part not in said.out] == []
    assert list(tmp_path.iterdir()) == []
