"""What a run takes over from its data: warnings, limits, ranges, fit; refused runs leave nothing behind."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from nctransfer.data import bundle_from_arrays
from nctransfer.engine import Watch
from nctransfer.errors import DataError, UsageError
from nctransfer.transfer import auto, load_classifier, predict, probe, tune
from nctransfer.transfer.grid import run_grid
from nctransfer.transfer.settings import settings_from

TINY = {"image_size": 16, "epochs": 1, "batch_size": 16, "device": "cpu", "augment": 1, "step_cost": False}
RANDOM = {"model": "cifar_resnet20", "weights": "random", "layers": ["layer3.0"], **TINY}


class Listening(Watch):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def colours(root, counts, size=(12, 12), mode="RGB"):
    """Noisy images whose colour is their class."""
    rng = np.random.default_rng(len(counts))
    for folder, num in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        shade = {"red": (220, 30, 30), "blue": (30, 30, 220)}[folder.split("/")[-1]]
        for index in range(num):
            pixels = np.clip(rng.normal(0, 20, (size[1], size[0], 3)) + shade, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).convert(mode).save(root / folder / f"{index:02d}.png")
    return root


@pytest.fixture
def folder(tmp_path):
    return colours(tmp_path / "images", {"train/red": 14, "train/blue": 14, "test/red": 5, "test/blue": 5})


def test_warnings_reach_the_watch_and_the_result(folder, tmp_path):
    shutil.copy(folder / "train/red/00.png", folder / "test/red/leak.png")
    (folder / "train/blue/broken.png").write_bytes(b"")
    watch = Listening()
    run = tune(folder, method="linear", out=tmp_path / "run", watch=watch, on_bad_image="skip", **RANDOM)
    stored = json.loads((run.folder / "result.json").read_text())["warnings"]
    for words in ("also stand in train", "were skipped: train/blue/broken.png", "too few to decide"):
        assert sum(words in note for note in stored) == 1
        assert sum(words in line and line.startswith("warning: ") for line in watch.said) == 1
    assert "broken.png" in (run.folder / "skipped.csv").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"data": "nowhere/at/all"}, DataError),
        ({"layers": ["no.such.layer"]}, UsageError),
        ({"model": "no_such_network"}, UsageError),
        ({"unit": "no.such.unit"}, UsageError),
        ({"image_range": "9,3"}, UsageError),
    ],
)
def test_a_refused_run_leaves_nothing_behind(folder, tmp_path, change, error):
    settings = {"data": str(folder), "methods": ["linear"], **RANDOM, **change}
    unit = settings.pop("unit", None)
    jobs = [settings_from(settings)], [settings_from(settings), settings_from(settings, {"seed": 1})]
    for number, several in enumerate(jobs):
        with pytest.raises(error):
            run_grid("tune", several, tmp_path / "runs" / f"out{number}", unit=unit)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_refused_run_does_not_cost_the_run_that_it_was_to_replace(folder, tmp_path):
    first = tune(folder, method="linear", out=tmp_path / "run", **RANDOM)
    before = {path.name: path.read_bytes() for path in first.folder.iterdir() if path.is_file()}
    with pytest.raises(DataError):
        tune("nowhere/at/all", method="linear", out=tmp_path / "run", overwrite=True, **RANDOM)
    assert {path.name: path.read_bytes() for path in first.folder.iterdir() if path.is_file()} == before
    assert (first.folder / "checkpoints" / "best.safetensors").is_file()
    again = tune(folder, method="linear", out=tmp_path / "run", overwrite=True, **{**RANDOM, "seed": 1})
    assert again.result["seed"] == 1
    assert not (first.folder / ".replaced").exists()


def test_other_data_are_not_resumed(folder, tmp_path):
    first = tune(folder, method="linear", out=tmp_path / "run", **RANDOM)
    result = (first.folder / "result.json").read_text()
    tune(folder, method="linear", out=tmp_path / "run", resume=True, **RANDOM)
    shutil.copy(folder / "train/red/00.png", folder / "test/red/-1.png")
    with pytest.raises(DataError, match="'red' in test: 1 images added"):
        tune(folder, method="linear", out=tmp_path / "run", resume=True, **RANDOM)
    assert json.loads((first.folder / "result.json").read_text())["methods"] == json.loads(result)["methods"]


@pytest.mark.slow
def test_a_grid_is_not_resumed_on_other_data(folder, tmp_path):
    settings = {"data": str(folder), "methods": ["linear"], **RANDOM}
    jobs = [settings_from(settings, {"seed": seed}) for seed in (0, 1)]
    run_grid("tune", jobs, tmp_path / "grid")
    shutil.rmtree(tmp_path / "grid" / "cifar_resnet20-seed1")
    (folder / "train/red/00.png").unlink()
    with pytest.raises(DataError, match="'red' in train: 1 removed"):
        run_grid("tune", jobs, tmp_path / "grid", resume=True)


def test_a_limit_of_a_bundle_is_kept(striped, small_network, tmp_path):
    run = probe(striped, small_network, out=tmp_path / "run", limit=21, **TINY)
    assert run.result["splits"]["train"] + run.result["splits"]["validation"] == 21
    assert json.loads((run.folder / "config.json").read_text())["limit"] == 21


def test_torch_data_sets_keep_to_what_is_asked_about_bad_images(small_network, tmp_path):
    class Holed:
        classes = ("even", "odd")

        def __len__(self):
            return 60

        def __getitem__(self, index):
            pixels = np.random.default_rng(index).integers(0, 256, (16, 16, 3), np.uint8)
            return (Image.fromarray(pixels) if index != 7 else None), index % 2

    with pytest.raises(DataError, match="1 of 60 images cannot be read"):
        probe((Holed(), None, None), small_network, out=tmp_path / "a", **TINY)
    with pytest.raises(DataError, match=r"more than the fraction of 0\.001"):
        probe((Holed(),), small_network, out=tmp_path / "a", on_bad_image="skip", skip_limit=0.001, **TINY)
    run = probe((Holed(),), small_network, out=tmp_path / "a", on_bad_image="skip", **TINY)
    assert sum(run.result["splits"].values()) == 59
    assert "train item 7" in (run.folder / "skipped.csv").read_text()


def test_prediction_names_all_bad_images_or_skips_them(folder, tmp_path):
    run = tune(folder, method="linear", out=tmp_path / "run", **RANDOM)
    new = colours(tmp_path / "new", {"red": 70})
    (new / "red" / "03.png").write_bytes(b"")
    (new / "red" / "69.png").write_bytes((new / "red" / "69.png").read_bytes()[:60])
    (new / "red" / "x.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    with pytest.raises(DataError, match=r"2 of 70 images cannot be read .*03\.png: the file is empty; .*69\.png"):
        predict(run.folder, new, device="cpu")
    watch = Listening()
    found = predict(run.folder, new, device="cpu", on_bad_image="skip", watch=watch)
    assert len(found) == 68
    assert {prediction.label for prediction in found} == {"red"}
    assert sum(line.startswith("warning: skipped") for line in watch.said) == 2
    assert any("x.heic" in line for line in watch.said)
    only = new / "red" / "03.png"
    with pytest.raises(DataError, match="1 of 1 images"):
        predict(run.folder, only, device="cpu", on_bad_image="skip")
    with pytest.raises(DataError, match="more than the limit of 20"):
        predict(run.folder, new / "red" / "05.png", device="cpu", pixel_limit=20)
    with pytest.raises(DataError, match="no such image"):
        predict(run.folder, tmp_path / ("x" * 4000), device="cpu")


@pytest.mark.slow
def test_prediction_uses_the_range_and_the_fit_of_the_run(tmp_path):
    root, rng = tmp_path / "deep", np.random.default_rng(0)
    for name, low in (("dim", 500), ("bright", 800)):
        (root / name).mkdir(parents=True)
        for index in range(16):
            values = rng.integers(low, low + 200, (12, 40)).astype(np.uint16)
            Image.fromarray(values).save(root / name / f"{index}.png")
    run = tune(root, method="linear", out=tmp_path / "run", fit="squish", **RANDOM)
    assert run.methods["linear"]["test_accuracy"] == 1
    manifest = load_classifier(run.folder)[2]
    assert manifest["fit"] == "squish"
    assert manifest["value_ranges"] == run.result["dataset"]["report"]["value_ranges"]
    assert manifest["value_ranges"]["16-bit"] == pytest.approx([500, 1000], abs=2)
    assert load_classifier(run.folder)[1].fit == "squish"
    for name in ("dim", "bright"):
        assert {prediction.label for prediction in predict(run.folder, root / name, device="cpu")} == {name}


@pytest.mark.slow
def test_wide_images_are_told_of_the_crop(tmp_path):
    root = colours(tmp_path / "wide", {"red": 10, "blue": 10}, size=(48, 16))
    told = tune(root, method="linear", out=tmp_path / "a", **RANDOM).result["warnings"]
    assert any("lose over 67% of their pixels to the centre crop" in note and "--fit squish" in note for note in told)
    quiet = tune(root, method="linear", out=tmp_path / "b", fit="pad", **RANDOM).result
    assert not any("crop" in note for note in quiet["warnings"])
    assert quiet["model"]["preprocess"]["fit"] == "pad"


def test_splits_of_a_bundle_cannot_be_drawn_again(tmp_path, small_network):
    images = np.zeros((40, 16, 16), np.uint8)
    bundle = bundle_from_arrays(images, np.arange(40) % 2)
    with pytest.raises(UsageError, match=r"test_fraction.* comes too late"):
        auto(bundle, small_network, out=tmp_path / "run", test_fraction=0.5, **TINY)
    assert not (tmp_path / "run").exists()
