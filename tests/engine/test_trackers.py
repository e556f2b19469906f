"""Where metrics go besides the file: the terminal, and trackers that may not be installed."""

import sys
import types

import pytest

from nctransfer.engine import TRACKERS, make_trackers
from nctransfer.errors import SetupError, UsageError

RECORD = {"epoch": 2, "step": 8, "train_loss": 0.5, "train_accuracy": 0.9, "nc1": 0.25, "layers": [{"name": "a"}]}


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_says_what_to_install(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SetupError, match=rf"{name} is not installed.*nctransfer\[tracking\]"):
        make_trackers((name,), tmp_path, {})


def test_an_unknown_tracker_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"unknown tracker 'tensorbord'.*tensorboard"):
        make_trackers(("tensorbord",), tmp_path, {})


def test_wandb_gets_the_numbers_of_each_epoch(tmp_path, monkeypatch):
    logged = []
    run = types.SimpleNamespace(
        log=lambda values, step: logged.append((step, values)), finish=lambda: logged.append("end")
    )
    fake = types.ModuleType("wandb")
    fake.init = lambda **options: logged.append(options["config"]) or run
    monkeypatch.setitem(sys.modules, "wandb", fake)
    (tracker,) = make_trackers(("wandb",), tmp_path, {"lr": 0.1})
    tracker(RECORD)
    tracker.close()
    assert logged == [{"lr": 0.1}, (2, {"train_loss": 0.5, "train_accuracy": 0.9, "nc1": 0.25}), "end"]


def test_mlflow_gets_the_numbers_of_each_epoch(tmp_path, monkeypatch):
    logged = []
    fake = types.ModuleType("mlflow")
    for name in ("set_tracking_uri", "set_experiment", "start_run", "log_params", "log_metrics", "end_run"):
        setattr(fake, name, lambda *values, name=name, **options: logged.append((name, values, options)))
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    (tracker,) = make_trackers(("mlflow",), tmp_path, {"lr": 0.1})
    tracker(RECORD)
    tracker.close()
    assert [name for name, _, _ in logged][-2:] == ["log_metrics", "end_run"]
    assert logged[0][1][0].startswith("file://")
    assert ("log_metrics", ({"train_loss": 0.5, "train_accuracy": 0.9, "nc1": 0.25},), {"step": 2}) in logged


def test_mlflow_itself_takes_plain_folders(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow (the extra `tracking`) is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "")  # put back after the test
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    (tracker,) = make_trackers(("mlflow",), tmp_path, {"lr": 0.1})
    tracker(RECORD)
    tracker.close()
    (written,) = (tmp_path / "mlruns").glob("*/*/metrics/nc1")
    assert written.read_text().split()[1:] == ["0.25", "2"]


def test_tensorboard_writes_into_the_run_folder(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard (the extra `tracking`) is not installed")
    (tracker,) = make_trackers(("tensorboard",), tmp_path, {})
    tracker(RECORD)
    tracker.close()
    assert list((tmp_path / "tensorboard").iterdir())
