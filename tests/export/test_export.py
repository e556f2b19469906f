"""Export: every format gives the run's logits, is described, is read without torch, and is refused where it would not."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import nctransfer
from nctransfer.cli import main
from nctransfer.errors import CheckpointError, DataError, ResourceError, SetupError, UsageError
from nctransfer.export import FORMATS, ExportSettings, export_run, find_exported, predict_exported
from nctransfer.export.formats import open_model, write_model
from nctransfer.transfer import METHOD_NAMES, load_classifier

pytest.importorskip("onnxruntime", reason="onnxruntime (the extra `onnx`) is not installed")
pytest.importorskip("onnxscript", reason="onnxscript (the extra `onnx`) is not installed")


SMALL = {
    "image_size": 16, "limit": 60, "epochs": 1, "lr": 1e-3, "augment": 1, "device": "cpu", "step_cost": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run: one block of a small network, and a skip connection."""
    return nctransfer.tune(
        "digits",
        "cifar_resnet20",
        method="scl",
        layer="layer3.0",
        layers=["layer3.0"],
        out=tmp_path_factory.mktemp("export") / "run",
        weights="random",
        **SMALL,
    ).folder


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A finished run of a method, each made once."""
    place = tmp_path_factory.mktemp("methods")

    def folder(method):
        if not (place / method).exists():
            nctransfer.tune(
                "digits",
                "cifar_resnet20",
                method=method,
                weights="random",
                layers=["layer3.0"],
                out=place / method,
                **SMALL,
            )
        return place / method

    return folder


@pytest.fixture(scope="module")
def exported(run):
    return export_run(run)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number, size in enumerate([(8, 8), (40, 25), (9, 200)]):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def test_it_agrees_with_the_run_and_says_so(run, exported):
    assert exported.path == run / "export" / "model.onnx"
    assert (exported.images, exported.source) == (100, "test images")
    assert exported.relative_difference <= 1e-4
    assert exported.same_predictions
    assert set(exported.milliseconds) == {1, 32}
    for part in ("largest difference", "MiB", "PyTorch", "same predictions"):
        assert part in exported.text()
    assert [path.name for path in exported.path.parent.iterdir() if path.name.startswith(".")] == []


def test_the_manifest_says_how_to_use_it(exported):
    manifest = json.loads((exported.path.with_suffix(".json")).read_text())
    assert manifest["class_names"] == [str(digit) for digit in range(10)]
    assert manifest["input_shape"] == ["batch", 3, 16, 16]
    assert manifest["preprocessing"]["crop_pct"] == 1.0
    assert (manifest["method"], manifest["unit"]) == ("scl", "layer3.0")
    assert manifest["compared"]["same_predictions"] is True


def test_the_model_card_names_what_it_stands_on(run, exported):
    card = exported.path.with_name("MODEL_CARD.md").read_text()
    for part in (
        "# cifar_resnet20 tuned on digits",
        "Pretrained weights: none; the network started from random weights",
        "Training data: _to be filled in by you_",
        "95 % interval",
        "SHA-256",
        f"softmax(logits / {load_classifier(run)[2]['temperature']:.6g}) gives calibrated probabilities",
    ):
        assert part in card
    assert "None" not in card


def test_prediction_needs_no_torch_and_gives_the_runs_probabilities(run, exported, photos):
    own = nctransfer.predict(run, photos, device="cpu")
    for named, raw in ((exported.path, False), (exported.path.parent, False), (exported.path, True)):
        expected = nctransfer.predict(run, photos, device="cpu", raw=raw)
        for ours, theirs in zip(expected, predict_exported(named, photos, raw=raw), strict=True):
            assert (ours.path, ours.label) == (theirs.path, theirs.label)
            assert ours.probability == pytest.approx(theirs.probability, abs=1e-5)
    code = (
        "import sys\nfor name in ('torch', 'timm', 'torchvision', 'accelerate'): sys.modules[name] = None\n"
        f"from nctransfer.cli import main; main(['predict', {str(exported.path)!r}, {str(photos)!r}, '--json'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [entry["label"] for entry in json.loads(done.stdout)] == [prediction.label for prediction in own]


@pytest.mark.slow
def test_the_licence_of_the_weights_is_filled_in(tmp_path):
    run = nctransfer.tune("digits", method="linear", layers=["blocks.6"], out=tmp_path / "run", **SMALL).folder
    export_run(run, ExportSettings(to="torchscript", images=2), out=tmp_path / "export" / "model.pt")
    assert "weights: apache-2.0" in (tmp_path / "export" / "MODEL_CARD.md").read_text().lower()


@pytest.mark.slow
@pytest.mark.parametrize("method", METHOD_NAMES)
@pytest.mark.parametrize("form", FORMATS)
def test_every_method_is_exported(method, form, tuned, tmp_path):
    report = export_run(tuned(method), ExportSettings(to=form), out=tmp_path / "model")
    assert report.relative_difference <= 1e-4
    assert report.same_predictions


@pytest.mark.parametrize("form", ["torchscript", "exported-program"])
def test_other_formats_agree_too(run, form, tmp_path):
    report = export_run(run, ExportSettings(to=form, images=8), out=tmp_path / "model.bin")
    assert report.relative_difference <= 1e-4
    assert report.same_predictions
    assert json.loads((tmp_path / "model.json").read_text())["to"] == form


def test_the_command_line(run, photos, capsys):
    with pytest.raises(SystemExit) as left:
        main(["export", str(run), "--to", "torchscript", "--images", "4"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert str(run / "export" / FORMATS["torchscript"]) in said
    assert "largest difference" in said
    with pytest.raises(SystemExit) as left:
        main(["export", str(run), "--to", "tflite"])
    assert left.value.code == 2
    assert "unknown to 'tflite' | --to | known: onnx, torchscript, exported-program" in capsys.readouterr().err


def test_a_model_that_differs_is_not_kept(run, tmp_path):
    with pytest.raises(ResourceError, match=r"differs from the run's: compared on 4 test images.*raise --tolerance"):
        export_run(run, ExportSettings(images=4, tolerance=1e-30), out=tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_stands_there_is_not_replaced_unasked(run, tmp_path):
    (tmp_path / "model.pt").write_text("mine")
    with pytest.raises(UsageError, match="--overwrite"):
        export_run(run, ExportSettings(to="torchscript", images=2), out=tmp_path / "model.pt")
    assert (tmp_path / "model.pt").read_text() == "mine"
    export_run(run, ExportSettings(to="torchscript", images=2), out=tmp_path / "model.pt", overwrite=True)


def test_a_folder_in_the_place_of_the_file_and_a_missing_package_are_refused(run, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"a folder stands where the file should be.*name a file"):
        export_run(run, ExportSettings(images=2), out=tmp_path, overwrite=True)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(SetupError, match=r"onnxscript is not installed.*nctransfer\[onnx\]"):
        export_run(run, ExportSettings(images=2), out=tmp_path / "new" / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_card_says_on_how_many_held_out_images_the_method_was_chosen(tuned, tmp_path):
    run = tuned("deep")
    row = nctransfer.load_run(run).best
    export_run(run, ExportSettings(to="torchscript", images=2), out=tmp_path / "model.pt")
    said = f"Held out: {row.out_of_fold_accuracy:.1%} of 60 training and validation images"
    assert said in (tmp_path / "MODEL_CARD.md").read_text()


class Moody(torch.nn.Module):
    """A network that takes one of two ways by the brightness of the images, or by a number of its own."""

    def __init__(self, looks=True):
        super().__init__()
        self.register_buffer("limit", torch.tensor(0.3))
        self.looks = looks
        self.body = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.head = torch.nn.Linear(4, 10)

    def forward(self, images):
        brightness = images.mean() if self.looks else self.limit
        return self.head(self.body(images * (2.0 if float(brightness) > 0.2 else 1.0)).mean((2, 3)))


@pytest.fixture(scope="module")
def moody(tmp_path_factory):
    out = tmp_path_factory.mktemp("moody") / "run"
    return nctransfer.tune("digits", Moody(), method="linear", layers=["body"], out=out, **SMALL).folder


@pytest.mark.parametrize("form", FORMATS)
def test_a_network_that_cannot_be_traced_is_refused_and_leaves_nothing(form, moody, capfd):
    before = sorted(moody.rglob("*"))
    capfd.readouterr()
    with pytest.raises(
        UsageError, match=rf"cannot be traced: its forward .* pixels.*--to {form}.*same for every"
    ) as said:
        export_run(moody, ExportSettings(to=form, images=4), module=Moody())
    assert "try --to" not in str(said.value)
    assert sorted(moody.rglob("*")) == before
    assert capfd.readouterr() == ("", "")


def test_a_setting_that_python_reads_from_a_buffer_can_be_traced(tmp_path):
    network = Moody(looks=False)
    write_model(network, torch.rand(2, 3, 4, 4), "torchscript", tmp_path / "model")
    images = torch.rand(5, 3, 4, 4)
    written = open_model("torchscript", tmp_path / "model")(images.numpy())
    assert written == pytest.approx(network(images).detach().numpy(), abs=1e-6)


@pytest.mark.parametrize("form", ["onnx", "exported-program"])
def test_another_format_is_named_where_it_may_do(form, tmp_path):
    class Private(torch.nn.Module):
        def forward(self, images):
            return torch.from_numpy(images.numpy()).float().flatten(1)

    with pytest.raises(UsageError, match=rf"cannot be traced: \w+.*--to {form}.*try --to"):
        write_model(Private(), torch.zeros(2, 3, 4, 4, dtype=torch.uint8), form, tmp_path / "model")


def test_missing_things_are_named(run, exported, photos, tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="no such run"):
        export_run(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"no exported ONNX model.*nctransfer export RUN"):
        predict_exported(tmp_path, photos)
    assert find_exported(run) is None
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(exported.path.read_bytes())
    with pytest.raises(CheckpointError, match="has no manifest"):
        predict_exported(copy, photos)
    manifest = json.loads(exported.path.with_suffix(".json").read_text())
    copy.with_suffix(".json").write_text(json.dumps({**manifest, "preprocessing": {}}))
    with pytest.raises(CheckpointError, match="damaged"):
        predict_exported(copy, photos)
    copy.with_suffix(".json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="no such image or folder"):
        predict_exported(copy, tmp_path / "none.png")
    copy.write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="not a sound ONNX file"):
        predict_exported(copy, photos)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SetupError, match=r"onnxruntime is not installed.*nctransfer\[onnx\]"):
        predict_exported(exported.path, photos)


def test_pixels_at_random_serve_where_the_data_is_gone(run, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(run, moved, ignore=shutil.ignore_patterns("export"))
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**config, "data": str(tmp_path / "gone")}))
    report = export_run(moved, ExportSettings(to="torchscript", images=4))
    assert report.source == "images of random pixels"
    assert report.same_predictions
