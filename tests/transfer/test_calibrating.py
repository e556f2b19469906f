"""The temperature of a run: fitted on images held out, told by predict, left out on request, missing with a reason."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import minimize_scalar
from torch.nn import functional

import nctransfer
from nctransfer.cli import main
from nctransfer.data import bundle_from_arrays
from nctransfer.errors import CheckpointError
from nctransfer.transfer import load_classifier
from nctransfer.transfer.calibrating import Held, fit_calibration, judge_calibration


def test_the_temperature_minimises_log_loss_and_prior():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 4
    logits = 3 * torch.randn(40, 4, generator=generator).double() + 4 * functional.one_hot(labels, 4)
    oracle = minimize_scalar(
        lambda log_t: (
            float(functional.cross_entropy(logits / np.exp(log_t), labels, reduction="sum")) + log_t**2 / (2 * 0.5**2)
        ),
        bounds=(-4, 5),
        method="bounded",
        options={"xatol": 1e-8},
    )
    assert fit_calibration(logits, labels, tuple("abcd")).temperature == pytest.approx(np.exp(oracle.x), rel=1e-4)


def test_images_that_are_all_right_do_not_make_it_infinitely_sure():
    labels = torch.arange(12) % 2
    few = fit_calibration(functional.one_hot(labels, 2).double(), labels, ("a", "b")).temperature
    many = fit_calibration(
        functional.one_hot(labels, 2).double().repeat(50, 1), labels.repeat(50), ("a", "b")
    ).temperature
    assert 0.1 < many < few < 1.0


def test_images_that_also_chose_the_epoch_hardly_make_it_surer():
    names, labels = ("a", "b"), torch.arange(60) % 2
    right = 4 * functional.one_hot(labels, 2).double()
    wrong = torch.where((torch.arange(60) < 20)[:, None], -right, right)
    for logits in (right, wrong):
        free, tied = (fit_calibration(logits, labels, names, chose=chose).temperature for chose in (False, True))
        oracle = minimize_scalar(
            lambda log_t, logits=logits: (
                float(functional.cross_entropy(logits / np.exp(log_t), labels, reduction="sum"))
                + log_t**2 / (2 * (0.5 if log_t > 0 else 0.1) ** 2)
            ),
            bounds=(-4, 5),
            method="bounded",
            options={"xatol": 1e-9},
        )
        assert tied == pytest.approx(np.exp(oracle.x), rel=1e-4)
        assert (free < tied < 1.0) if logits is right else (free == tied > 1.0)
    # What one validation split judges was chosen on it; out-of-fold images were not.
    rows = torch.full((5, 2), torch.nan).double()
    split = Held.of(torch.cat([rows, right]), torch.cat([labels[:5], labels]), names)
    assert split.calibration == fit_calibration(right, labels, names, chose=True)
    assert Held.of(right, labels, names).calibration == fit_calibration(right, labels, names)


def test_rows_that_nobody_held_out_do_not_count():
    logits = torch.randn(30, 3, generator=torch.Generator().manual_seed(1)).double()
    labels = torch.arange(30) % 3
    unseen = torch.full((5, 3), torch.nan).double()
    found = Held.of(torch.cat([unseen, logits]), torch.cat([torch.zeros(5, dtype=torch.int64), labels]), tuple("abc"))
    assert found.classes.tolist() == [-1] * 5 + logits.argmax(1).tolist()
    assert found.calibration == fit_calibration(logits, labels, tuple("abc"))


def test_without_a_temperature_the_errors_stay_as_they_are():
    logits, labels = torch.eye(3).repeat(3, 1), torch.arange(9) % 3
    found = judge_calibration(fit_calibration(logits, labels, tuple("abc")), logits, labels)
    assert found.note == "only 9 held-out images, and a temperature needs 10"
    assert (found.ece_before, found.brier_before) == (found.ece_after, found.brier_after)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run on digits, and a photo."""
    folder = tmp_path_factory.mktemp("calibrated")
    options = {"weights": "random", "image_size": 8, "limit": 100, "layers": ["layer3.2"], "device": "cpu"}
    nctransfer.tune("digits", "cifar_resnet20", method="linear", out=folder / "run", step_cost=False, **options)
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(folder / "photo.png")
    return folder / "run"


def test_predict_divides_by_the_temperature_and_says_so(run, capsys):
    model, preprocess, manifest = load_classifier(run)
    row = nctransfer.load_run(run).best
    assert manifest["temperature"] == row.calibration.temperature
    assert manifest["calibration"] == f"fitted on {row.calibration.images} held-out images"
    photo = run.parent / "photo.png"
    with torch.inference_mode(), Image.open(photo) as image:
        logits = model(preprocess.pixels(image.convert("RGB"))[None]).double()[0]
    for raw, factor in ((False, manifest["temperature"]), (True, 1.0)):
        (found,) = nctransfer.predict(run, photo, device="cpu", raw=raw)
        assert found.probability == pytest.approx(float(torch.softmax(logits / factor, 0).max()), abs=1e-5)
        with pytest.raises(SystemExit):
            main(["predict", str(run), str(photo), "--json", *["--raw"] * raw])
        said = capsys.readouterr()
        printed = json.loads(said.out)[0]
        assert printed["probability"] == pytest.approx(found.probability, abs=1e-5)
        assert printed.get("logits") == found.logits
        if raw:
            assert list(found.logits) == manifest["class_names"]
            assert list(found.logits.values()) == pytest.approx(logits.tolist(), abs=1e-5)
        assert ("probabilities are raw" if raw else "probabilities are calibrated: temperature") in said.err


def test_the_table_of_raw_predictions_holds_the_logits(run, capsys):
    photo = run.parent / "photo.png"
    (raw,) = nctransfer.predict(run, photo, device="cpu", raw=True)
    with pytest.raises(SystemExit):
        main(["predict", str(run), str(photo), "--csv", "--raw"])
    (row,) = csv.DictReader(capsys.readouterr().out.splitlines())
    assert [row["path"], row["label"]] == [raw.path, raw.label]
    found = {name: float(row[f"logit {name}"]) for name in raw.logits}
    assert found == pytest.approx(raw.logits, rel=1e-4, abs=1e-4)


def test_a_run_from_before_there_was_a_temperature_predicts(run, tmp_path, capsys):
    folder = tmp_path / "old"
    shutil.copytree(run, folder)
    manifest = folder / "checkpoints" / "best.json"
    plain = json.loads(manifest.read_text())
    for key in ("temperature", "calibration"):
        del plain[key]
    manifest.write_text(json.dumps(plain))
    result = json.loads((folder / "result.json").read_text())
    for row in result["methods"].values():
        del row["calibration"]
    (folder / "result.json").write_text(json.dumps(result))
    photo = run.parent / "photo.png"
    with pytest.raises(SystemExit) as left:
        main(["predict", str(folder), str(photo), "--json"])
    said = capsys.readouterr()
    assert left.value.code == 0
    assert "probabilities are not calibrated: the run has no temperature" in said.err
    (raw,) = nctransfer.predict(run, photo, device="cpu", raw=True)
    assert json.loads(said.out)[0]["probability"] == pytest.approx(raw.probability)
    with pytest.raises(SystemExit) as left:
        main(["report", str(folder)])
    assert left.value.code == 0
    assert "How far to trust its probabilities" not in (folder / "report.html").read_text()


def test_a_temperature_that_is_no_number_is_refused(run, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(run, folder)
    manifest = folder / "checkpoints" / "best.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"temperature": 0}))
    with pytest.raises(CheckpointError, match="temperature must be a positive number, got 0"):
        nctransfer.predict(folder, run.parent / "photo.png", device="cpu")


def test_validation_images_of_one_class_give_a_sentence_and_lose_nothing(tmp_path, capsys):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (72, 8, 8), dtype=np.uint8), np.arange(72) % 2
    one = slice(0, 24, 2)
    bundle = bundle_from_arrays(
        images[24:48],
        labels[24:48],
        ["cat", "dog"],
        validation=(images[one], labels[one]),
        test=(images[48:], labels[48:]),
        check=False,
    )
    run = nctransfer.tune(
        bundle,
        "cifar_resnet20",
        method="linear",
        weights="random",
        image_size=8,
        layers=["layer3.2"],
        device="cpu",
        out=tmp_path / "run",
        step_cost=False,
    )
    assert run.record.best.calibration.note == "all 12 held-out images are of class cat"
    page = (tmp_path / "run" / "report.html").read_text()
    assert "no temperature could be fitted (all 12 held-out images are of class cat)" in page
    Image.fromarray(images[0]).save(tmp_path / "photo.png")
    with pytest.raises(SystemExit) as left:
        main(["predict", str(tmp_path / "run"), str(tmp_path / "photo.png")])
    assert left.value.code == 0
    assert "not calibrated: all 12 held-out images are of class cat" in capsys.readouterr().err
