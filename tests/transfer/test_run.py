"""Whole runs at smoke size: what stands in the result, resumption, overwriting, several seeds."""

import json
import re

import pytest
import torch
from PIL import Image

from nctransfer.data import bundle_from_torch
from nctransfer.errors import LockedError, ResourceError, UsageError
from nctransfer.runs import RunFolder
from nctransfer.transfer import auto, load_classifier, predict, probe, tune
from nctransfer.transfer.grid import run_grid
from nctransfer.transfer.settings import settings_from
from tiny import small_resnet

QUICK = {
    "epochs": 2,
    "batch_size": 16,
    "lr": 0.003,
    "augment": 2,
    "device": "cpu",
    "step_cost": False,
    "more_folds": False,
}
LAYERS = ["layer1.0", "layer2.0", "layer3.0"]


@pytest.fixture(scope="module")
def finished(striped, tmp_path_factory):
    out = tmp_path_factory.mktemp("auto") / "run"
    return auto(striped, small_resnet(), out=out, layers=LAYERS, **{**QUICK, "step_cost": True})


METHOD_KEYS = {
    "unit", "why", "test_accuracy", "test_accuracy_interval", "balanced_accuracy", "val_accuracy", "tuned_parameters",
    "total_parameters", "seconds", "seconds_per_step", "peak_memory_bytes", "nc1_before", "nc1_after", "learning_rate",
}  # fmt: skip


def test_the_result_holds_what_it_promises(finished):
    result = json.loads((finished.folder / "result.json").read_text())
    assert {"dataset", "model", "splits", "layers", "trials", "methods", "best_method", "seed", "versions"} <= set(
        result
    )
    assert sum(result["splits"].values()) == 150
    inner = [name for name in result["methods"] if name.startswith("linear@")]
    assert set(result["methods"]) == {"linear", "deep", "layer", "scl", "full", *inner}
    for row in result["methods"].values():
        assert set(row) >= METHOD_KEYS
        assert 0 <= row["test_accuracy_interval"][0] <= row["test_accuracy"] <= row["test_accuracy_interval"][1] <= 1
        assert row["tuned_parameters"] <= row["total_parameters"]
        assert row["seconds_per_step"] > 0
        assert row["peak_memory_bytes"] > row["step_memory_bytes"] >= 0
    assert result["methods"]["full"]["tuned_parameters"] == result["methods"]["full"]["total_parameters"]
    assert result["methods"]["linear"]["nc1_after"] == pytest.approx(
        result["methods"]["linear"]["nc1_before"], rel=1e-3
    )
    for layer in result["layers"]:
        assert {"name", "dim", "nc1", "cdnv", "numerical_rank", "probe_val_accuracy"} <= set(layer)
    assert [layer["name"] for layer in result["layers"]] == [*LAYERS, "penultimate"]
    best = max(row["val_accuracy"] for row in result["methods"].values())
    assert result["methods"][result["best_method"]]["val_accuracy"] >= best - 0.1  # one standard error of 24 images
    assert sum(map(sum, result["confusion"])) == result["splits"]["test"]
    page = (finished.folder / "report.html").read_text()
    assert "<svg" in page
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page)
    assert "default-src 'none'" in page


def test_the_winner_predicts_what_the_test_said(finished, striped, tmp_path):
    model, preprocess, manifest = load_classifier(finished.folder)
    images = torch.stack([preprocess.pixels(striped.test.image(i)) for i in range(len(striped.test))])
    with torch.inference_mode():
        predicted = model(images).argmax(1)
    accuracy = (predicted == torch.from_numpy(striped.test.labels)).float().mean().item()
    assert accuracy == pytest.approx(finished.methods[finished.best_method]["test_accuracy"])
    (tmp_path / "nested").mkdir()
    for index in range(3):
        striped.test.image(index).save(tmp_path / "nested" / f"é{index}.png")
    found = predict(finished.folder, tmp_path, device="cpu")
    assert [prediction.label for prediction in found] == [manifest["class_names"][predicted[i]] for i in range(3)]
    assert all(sum(p for _, p in prediction.ranking) == pytest.approx(1, abs=1e-5) for prediction in found)


def test_a_resumed_run_ends_with_the_same_result(finished, striped, tmp_path, small_network):
    kept = tmp_path / "run"
    options = {**QUICK, "methods": ["linear", "scl"], "layers": [small_network.units[1]]}
    whole = tune_pair(striped, small_network, kept, options)
    steps = json.loads((kept / "steps.json").read_text())
    del steps["method/scl"]
    (kept / "steps.json").write_text(json.dumps(steps))
    (kept / "result.json").unlink()
    again = auto(striped, small_network, out=kept, resume=True, **options)
    for name in ("linear", "scl"):
        assert again.methods[name]["test_accuracy"] == whole.methods[name]["test_accuracy"]
        assert again.methods[name]["history"] == whole.methods[name]["history"]
        assert again.methods[name]["nc1_after"] == whole.methods[name]["nc1_after"]


def tune_pair(bundle, network, out, options):
    return auto(bundle, network, out=out, **options)


def test_a_folder_that_is_not_empty_is_kept(striped, small_network, tmp_path):
    (tmp_path / "precious.txt").write_text("keep me")
    with pytest.raises(UsageError, match="not empty"):
        probe(striped, small_network, out=tmp_path)
    with pytest.raises(UsageError, match="holds no run"):
        probe(striped, small_network, out=tmp_path, overwrite=True)
    assert (tmp_path / "precious.txt").read_text() == "keep me"


def test_a_second_run_in_the_same_folder_is_told_who_works_there(striped, small_network, tmp_path):
    with RunFolder.create(tmp_path / "run", config={}), pytest.raises(LockedError, match=r"process \d+ on "):
        probe(striped, small_network, out=tmp_path / "run", resume=True)


def test_resuming_with_other_settings_is_refused(striped, small_network, tmp_path):
    probe(striped, small_network, out=tmp_path / "run", layers=[small_network.units[0]])
    with pytest.raises(UsageError, match="other settings: seed"):
        probe(striped, small_network, out=tmp_path / "run", layers=[small_network.units[0]], seed=1, resume=True)


def test_tune_takes_the_layer_it_is_given(striped, small_network, tmp_path):
    unit = small_network.units[-1]
    run = tune(striped, small_network, method="layer", layer=unit, out=tmp_path / "run", **QUICK)
    assert run.kind == "tune"
    assert run.methods["layer"]["unit"] == unit
    assert run.best.unit == unit
    assert not [trial for trial in run.trials if trial["purpose"] == "unit"]
    with pytest.raises(UsageError, match="no block 'layer9'"):
        tune(striped, small_network, method="layer", layer="layer9", out=tmp_path / "other", **QUICK)


def test_unaugmented_tuning_from_the_cache_matches_tuning_from_pixels(striped, small_network, tmp_path):
    unit = small_network.units[1]
    options = {**QUICK, "augment": 1, "lr": 0.001}
    cached = tune(striped, small_network, method="layer", layer=unit, out=tmp_path / "a", cache=True, **options)
    whole = tune(striped, small_network, method="layer", layer=unit, out=tmp_path / "b", cache=False, **options)
    losses = [[entry["train_loss"] for entry in run.methods["layer"]["history"][1:]] for run in (cached, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_loss_that_is_not_finite_stops_with_the_remedy(striped, small_network, tmp_path):
    with pytest.raises(ResourceError, match="smaller --lr") as caught:
        tune(striped, small_network, method="full", out=tmp_path / "run", **{**QUICK, "lr": 1e30})
    assert caught.value.exit_code == 5


def test_several_seeds_give_a_summary_and_a_new_seed_computes_only_itself(striped, tmp_path, monkeypatch):
    base = {"data": "digits", "model": "cifar_resnet20", "weights": "random", "image_size": 8, "limit": 60}
    jobs = [settings_from({**base, "seed": seed, "layers": ["penult"]}) for seed in (0, 1)]
    with pytest.raises(UsageError, match="no layer 'penult'"):
        run_grid("probe", jobs, tmp_path / "bad")
    jobs = [settings_from({**base, "seed": seed}) for seed in (0, 1, 2)]
    run_grid("probe", jobs[:2], tmp_path / "grid")
    before = (tmp_path / "grid" / "cifar_resnet20-seed0" / "result.json").stat().st_mtime_ns
    summary = run_grid("probe", jobs, tmp_path / "grid", resume=True)
    assert [run["seed"] for run in summary.runs] == [0, 1, 2]
    assert (tmp_path / "grid" / "cifar_resnet20-seed0" / "result.json").stat().st_mtime_ns == before
    assert (tmp_path / "grid" / "report.html").is_file()
    each = [run.cost.total_seconds for run in summary.record.runs]
    assert summary.record.cost.total_seconds == pytest.approx(sum(each))
    assert summary.record.cost.seconds < sum(each), "two of the three were finished before"


def test_torch_data_sets_and_modules_are_taken_as_they_are(tmp_path):
    class Squares(torch.utils.data.Dataset):
        classes = ("dark", "light")

        def __len__(self):
            return 40

        def __getitem__(self, index):
            if not 0 <= index < 40:
                raise IndexError(index)
            return Image.new("RGB", (12, 12), (40 + 3 * index,) * 3 if index % 2 else (index,) * 3), index % 2

    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, bias=False), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    run = probe((Squares(),), module, out=tmp_path / "run", image_size=12, layers=["0"])
    assert [layer["name"] for layer in run.layers] == ["0", "penultimate"]
    assert bundle_from_torch(Squares()).class_names == ("dark", "light")
