"""Whole rankings at smoke size: columns, dropped candidates, rounds, and what comes out on the page."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import nctransfer
from nctransfer.cli.app import main
from nctransfer.data import bundle_from_arrays
from nctransfer.errors import DataError, UsageError
from nctransfer.metrics import measure
from nctransfer.models import build_small, load_network
from nctransfer.ranking import rank
from nctransfer.runs import load_run
from nctransfer.scores import prepare, score_all

COMMON = {"image_size": 16, "device": "cpu", "deep": 0}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NCTRANSFER_CACHE", str(tmp_path / "cache"))


def striped(number=120, classes=3, seed=0, noise=40):
    """Classes by brightness and direction of stripes, in noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % classes
    ramp = np.sin(np.arange(16) * (1 + labels[:, None]))[:, :, None] * 60
    images = 128 + ramp[..., None] + 10 * labels[:, None, None, None] + rng.normal(0, noise, (number, 16, 16, 3))
    return bundle_from_arrays(np.clip(images, 0, 255).astype(np.uint8), labels)


@pytest.fixture
def files(tmp_path):
    """Three weights files with manifests: two widths, and one of which a weight is NaN."""

    def write(name, width, spoil=False, **changes):
        torch.manual_seed(len(name))
        tensors = build_small("cifar_resnet20", width=width).state_dict()
        if spoil:
            tensors["conv1.weight"][0] = torch.nan
        tensors["fc.weight"] = torch.randn(4, int(64 * width))
        save_file(tensors, tmp_path / f"{name}.safetensors")
        manifest = {
            "arch": "cifar_resnet20",
            "arch_arguments": {"width": width},
            "image_size": 16,
            "mean": [0.5] * 3,
            "std": [0.25] * 3,
            "license": "CC0-1.0",
        }
        (tmp_path / f"{name}.json").write_text(json.dumps({**manifest, **changes}))
        return str(tmp_path / f"{name}.safetensors")

    return write


def test_a_ranking_from_end_to_end(files, tmp_path):
    models = [files("narrow", 0.25), files("wider", 0.5), files("broken", 0.5, spoil=True)]
    bundle = striped()
    cold = rank(bundle, models, out=tmp_path / "a", **COMMON)
    assert set(cold.order) == {"narrow", "wider"}
    assert [row.name for row in cold.record.dropped] == ["broken"]
    assert "NaN or infinite" in cold.record.dropped[0].reason
    assert cold.record.cost.features == "cold"
    warm = rank(bundle, models, out=tmp_path / "b", **COMMON)
    assert warm.record.cost.features == "warm"
    assert warm.rows[0].seconds_per_image is None
    for one, other in zip(cold.rows, warm.rows, strict=True):
        assert one.columns == other.columns
        assert one.model.license == "CC0-1.0"
    assert load_run(tmp_path / "a") == cold.record
    page = (tmp_path / "a" / "report.html").read_text()
    for words in ("Start from", "narrow", "wider", "broken", "NaN or infinite", "Under permuted labels", "CC0-1.0"):
        assert words in page


def test_a_run_that_stands_there_is_continued_by_resume_alone(files, tmp_path):
    models = [files("narrow", 0.25), files("wider", 0.5)]
    first = rank(striped(60), models, out=tmp_path / "a", **COMMON)
    with pytest.raises(UsageError, match="--resume"):
        rank(striped(60), models, out=tmp_path / "a", **COMMON)
    with pytest.raises(UsageError, match="other settings: seed"):
        rank(striped(60), models, out=tmp_path / "a", resume=True, seed=1, **COMMON)
    again = rank(striped(60), models, out=tmp_path / "a", resume=True, **COMMON)
    assert again.record.cost.features == "warm"
    assert [row.columns for row in again.rows] == [row.columns for row in first.rows]
    one, whole = first.record.cost, again.record.cost
    assert whole.total_seconds == pytest.approx(one.seconds + whole.seconds)
    assert "of it since it was last resumed" in (tmp_path / "a" / "report.html").read_text()


def test_a_dry_run_names_who_would_be_ranked_and_writes_nothing(files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    models = ",".join([files("narrow", 0.25), files("wider", 0.5), files("broken", 0.5, arch="mlp")])
    words = ["--image-size", "16", "--limit", "60", "--device", "cpu", "--validate", "1", "--budget", "30s"]
    with pytest.raises(SystemExit) as left:
        main(["rank", "digits", "--models", models, *words, "--dry-run"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert "digits, 60 training and validation images" in said
    assert "narrow: 0.02 M parameters" in said
    assert "broken: would be dropped:" in said
    assert "budget: 30 s" in said
    assert "then 2 networks tuned (full)" in said
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "cache").exists()


def test_columns_are_the_functions_of_the_other_rooms(files):
    bundle = striped()
    row = rank(bundle, [files("narrow", 0.25)], **COMMON).rows[0]
    network = load_network(files("narrow", 0.25), image_size=16).eval()
    labels, features = [], []
    for split in (bundle.train, bundle.validation):
        pixels = np.stack([np.asarray(split.image(index)) for index in range(len(split))]).transpose(0, 3, 1, 2)
        with torch.inference_mode():
            features.append(network(torch.from_numpy(pixels.copy())))
        labels.append(split.labels)
    features, labels = torch.cat(features), np.concatenate(labels)
    scores, collapse = score_all(features, labels), measure(features, labels, permutations=0)
    for name in ("log_me", "regularised_h_score", "sfda", "transrate", "gbc", "parc", "nearest_neighbours"):
        assert row.columns[name].value == pytest.approx(scores[name], rel=1e-3), name
    for name in ("nc1", "cdnv"):
        assert row.columns[name].value == pytest.approx(getattr(collapse, name), rel=1e-4), name
    assert row.columns["leep"].value <= 0
    assert row.images == len(labels)
    for name, value in row.columns.items():
        if value.low is not None:
            assert value.low <= value.value <= value.high, name
    assert row.columns["probe"].value > 0.6 > row.columns["probe"].null


def test_scores_share_what_labels_do_not_change():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 90)).astype(np.float32), np.arange(60) % 3
    samples = prepare(features, labels)
    whole = score_all(samples, None)
    permuted = rng.permutation(labels)
    shared, fresh = score_all(samples.relabelled(permuted), None), score_all(features, permuted)
    for name, value in fresh.items():
        assert shared[name] == (None if value is None else pytest.approx(value, rel=1e-9)), name
    assert samples.relabelled(permuted).spectrum is samples.spectrum
    rows = samples.rows(np.arange(60), most=90)  # all directions: a rotation
    for name in ("log_me", "h_score", "gbc", "transrate"):
        again = score_all(rows, None, only=[name])[name]
        scale = rows.features.shape[1] / 90 if name == "gbc" else 1
        if scale == 1:
            assert again == pytest.approx(whole[name], rel=1e-6), name


def test_noise_is_called_noise():
    rng = np.random.default_rng(0)
    bundle = bundle_from_arrays(rng.integers(0, 256, (120, 16, 16, 3), dtype=np.uint8), np.arange(120) % 2)
    row = rank(bundle, ["cifar_resnet20"], weights="random", **COMMON).rows[0]
    assert row.columns["probe"].flag == "at noise"
    assert row.columns["log_me"].flag == "at noise"


@pytest.mark.parametrize(
    ("counts", "dropped"),
    [
        ([40, 40], False),
        ([3, 3, 3, 3, 3, 3], False),
        ([30, 30, 1], False),
        ([1, 1, 1, 1, 1, 1, 1, 1], True),
    ],
)
def test_few_classes_few_images_and_single_ones(counts, dropped):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts)), counts)
    images = (rng.integers(0, 60, (len(labels), 16, 16, 3)) + 20 * labels[:, None, None, None]).astype(np.uint8)
    if dropped:
        with pytest.raises(DataError):
            rank(bundle_from_arrays(images, labels), ["cifar_resnet20"], weights="random", **COMMON)
        return
    held = (images, labels)
    bundle = bundle_from_arrays(images, labels, validation=held, test=held)
    found = rank(bundle, ["cifar_resnet20"], weights="random", **COMMON)
    assert found.order == ["cifar_resnet20"]
    assert 0 <= found.rows[0].columns["probe"].value <= 1
    assert any("one candidate alone" in warning for warning in found.record.warnings)


def test_missing_downloads_and_unknown_names_are_dropped_with_a_reason(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    found = rank(striped(), ["mlp", "resnet18d"], weights=None, **COMMON)
    assert found.order == ["mlp"]
    row = found.record.dropped[0]
    assert (row.name, row.kind) == ("resnet18d", "SetupError")
    assert "not on this machine" in row.reason
    with pytest.raises(UsageError, match="no candidate could be ranked: nonesuch"):
        rank(striped(), ["nonesuch"], **COMMON)


def test_twins_are_told(files):
    one = files("straight", 0.5)
    other = files("straighter", 0.5, mean=[0.1] * 3)
    torch.manual_seed(0)
    save_file(build_small("cifar_resnet20", width=0.5).state_dict(), one)
    torch.manual_seed(0)
    save_file(build_small("cifar_resnet20", width=0.5).state_dict(), other)
    found = rank(striped(), [one, other], **COMMON)
    assert any("have the same weights but pad, normalise" in warning for warning in found.record.warnings)


def test_a_budget_looks_at_few_images_first(files):
    models = [files(f"{'n' * number}et", 0.25) for number in range(1, 7)]
    found = rank(striped(600, noise=120), models, budget=4, **COMMON)
    first, last = found.record.rounds[0], found.record.rounds[-1]
    assert first.images < last.images == 480
    assert len(last.candidates) < len(models) or len(found.record.rounds) == 2
    assert {row.name for row in found.rows} == set(last.candidates)
    assert {row.kind for row in found.record.dropped} <= {"halving", "budget"}
    assert len(found.rows) + len(found.record.dropped) == 6


def test_known_accuracies_stand_beside(tmp_path):
    (tmp_path / "known.csv").write_text("model,accuracy\nmlp,0.5\ncifar_resnet20,0.9\n")
    found = rank(striped(), ["mlp", "cifar_resnet20"], weights="random", known=str(tmp_path / "known.csv"), **COMMON)
    assert {row.name: row.columns["known"].value for row in found.rows} == {"mlp": 0.5, "cifar_resnet20": 0.9}


@pytest.mark.slow
def test_tuning_says_whether_the_order_was_right(files, tmp_path):
    models = [files("narrow", 0.25), files("wider", 0.5), files("widest", 1.0)]
    found = nctransfer.rank(striped(), models, out=tmp_path / "r", top=1, methods="linear", epochs=1, **COMMON)
    rows = found.record.validation.rows
    assert [row.control for row in rows] == [False, True]
    assert rows[0].name == found.order[0]
    assert set(found.record.validation.foretold) >= {"probe", "log_me", "nc1", "parameters"}
    assert "Really tuned" in (tmp_path / "r" / "report.html").read_text()


@pytest.mark.slow
def test_the_verb_and_auto_that_ranks_first(tmp_path, capsys):
    words = ["digits", "--models", "cifar_resnet20,mlp", "--weights", "random", "--image-size", "16", "--limit", "60"]
    with pytest.raises(SystemExit) as left:
        main(["rank", *words, "--deep", "0", "--device", "cpu", "--out", str(tmp_path / "r")])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert "cifar_resnet20" in said
    assert f"report: {tmp_path / 'r' / 'report.html'}" in said
    with pytest.raises(SystemExit) as left:
        main(["auto", *words, "--methods", "linear", "--device", "cpu", "--out", str(tmp_path / "a")])
    assert left.value.code == 0
    assert load_run(tmp_path / "a" / "ranking").kind == "rank"
    assert load_run(tmp_path / "a" / "tuned").model.name == load_run(tmp_path / "a" / "ranking").best
