"""An ensemble of what a run trained: its weights, what it says, what it costs, and its way to disk and back."""

import json
import shutil

import numpy as np
import pytest
import torch

from nctransfer.errors import UsageError
from nctransfer.export import ExportSettings, export_run
from nctransfer.models import load_network
from nctransfer.settings import build
from nctransfer.transfer import auto, load_classifier, predict, probe
from nctransfer.transfer.pooling import choose_pool, pooled
from nctransfer.transfer.settings import settings_from

ASKED = {
    "refit": False,
    "methods": ["linear", "deep", "full"],
    "epochs": 2,
    "lr": 3e-3,
    "augment": 1,
    "device": "cpu",
    "step_cost": False,
}


def _network():
    torch.manual_seed(0)  # of the random weights
    return load_network("cifar_resnet20", weights="random", image_size=16)


def noisy(labels, classes, seed, noise=1.5):
    """Logits that point at the labels, with noise of their own."""
    random = np.random.default_rng(seed)
    one_hot = np.eye(classes)[labels.numpy()]
    return torch.from_numpy(2.0 * one_hot + noise * random.normal(size=one_hot.shape))


def test_the_pool_is_the_normalised_geometric_mean():
    random = torch.Generator().manual_seed(0)
    logits = {name: torch.randn(7, 4, generator=random) for name in "ab"}
    expected = logits["a"].double().softmax(1) ** 0.3 * logits["b"].double().softmax(1) ** 0.7
    expected /= expected.sum(1, keepdim=True)
    torch.testing.assert_close(pooled(logits, {"a": 0.3, "b": 0.7}).exp(), expected)
    moved = {"a": logits["a"] + 5.0, "b": logits["b"] - 2.0}
    torch.testing.assert_close(pooled(moved, {"a": 0.3, "b": 0.7}), pooled(logits, {"a": 0.3, "b": 0.7}))


def test_members_of_independent_mistakes_are_all_used_and_gain_on_new_images():
    labels = torch.arange(400) % 4
    logits = {f"m{seed}": noisy(labels, 4, seed) for seed in range(4)}
    pool = choose_pool(logits, labels)
    assert set(pool.weights) == set(logits)
    assert sum(pool.weights.values()) == pytest.approx(1.0)
    assert list(pool.weights.values()) == sorted(pool.weights.values(), reverse=True)
    alone = max(float((values.argmax(1) == labels).double().mean()) for values in logits.values())
    assert float((pool.held.argmax(1) == labels).double().mean()) > alone + 0.05


def test_weights_that_judge_an_image_were_chosen_without_it():
    """Members of pure noise promise something on the images that chose them, and nothing on others."""
    labels = torch.arange(60) % 3
    random = np.random.default_rng(0)
    logits = {f"n{number}": torch.from_numpy(3 * random.normal(size=(60, 3))) for number in range(60)}
    pool = choose_pool(logits, labels)
    chosen_on = float((pooled(logits, pool.weights).argmax(1) == labels).double().mean())
    assert chosen_on > 0.5  # chance is a third
    assert float((pool.held.argmax(1) == labels).double().mean()) < chosen_on - 0.15


def test_a_member_that_adds_nothing_gets_no_weight():
    labels = torch.arange(90) % 3
    good = noisy(labels, 3, 0, noise=0.3)
    assert choose_pool({"good": good, "bad": -good}, labels).weights == {"good": 1.0}
    with pytest.raises(UsageError, match="needs members"):
        choose_pool({}, labels)


@pytest.fixture(scope="module")
def run(striped, tmp_path_factory):
    """A run that was asked for an ensemble; whether one wins on so few images is left to them."""
    return auto(striped, _network(), out=tmp_path_factory.mktemp("ensemble") / "run", ensemble=True, **ASKED)


def test_a_run_says_what_an_ensemble_would_be_worth(run):
    said = run.record.left_out.get("ensemble") or run.methods["ensemble"]["why"]
    assert "members were" in said or "No second member" in said
    assert ("ensemble" in run.methods) == (run.best_method == "ensemble")


WEIGHTS = {"full": 0.5, "linear@layer2.0": 0.3, "deep": 0.2}


@pytest.fixture(scope="module")
def won(run, striped, tmp_path_factory):
    """The same run taken up where it had found that an ensemble of three wins: what was written down is followed."""
    folder = tmp_path_factory.mktemp("won") / "run"
    shutil.copytree(run.folder, folder)
    steps = json.loads((folder / "steps.json").read_text())
    steps["ensemble"] |= {
        "weights": WEIGHTS,
        "temperatures": {name: 1.0 + weight for name, weight in WEIGHTS.items()},
        "accuracies": dict.fromkeys(WEIGHTS, 0.5),
        "wins": True,
        "why": "Together, 3 members were better.",
    }
    (folder / "steps.json").write_text(json.dumps(steps))
    return auto(striped, _network(), out=folder, ensemble=True, resume=True, **ASKED)


def test_what_was_found_is_followed_and_the_record_says_what_it_costs(won):
    assert won.best_method == "ensemble"
    row, single = won.record.methods["ensemble"], next(row for row in won.record.methods.values() if row.passes == 1)
    assert {member.name: member.weight for member in row.members} == WEIGHTS
    assert row.passes == 2, "the probes share a pass, the tuned network takes its own"
    assert row.milliseconds > 0 < single.milliseconds
    parts = [won.models["ensemble"].frozen.encoder, *won.models["ensemble"].heads, won.models["full"]]
    assert row.total_parameters == sum(value.numel() for part in parts for value in part.parameters())
    assert row.why.startswith("Together, 3 members were better.")
    page = (won.folder / "report.html").read_text()
    for words in ("Ensemble of 3", "full (50", "Forward passes", "Milliseconds an image"):
        assert words in page, words


def test_it_says_what_its_members_say_together(won, striped):
    pixels = torch.from_numpy(np.stack([np.asarray(striped.test.image(row)) for row in range(9)]).transpose(0, 3, 1, 2))
    with torch.inference_mode():
        said = won.models["ensemble"](pixels)
        own = {name: won.models[name](pixels) for name in ("full", "deep")}
        network, head = won.models["deep"].network, won.models["ensemble"].heads[0]
        with network.taps(["layer2.0"]) as taps:
            network(pixels)
        own["linear@layer2.0"] = head(taps.features)
    tempered = {name: logits / (1.0 + WEIGHTS[name]) for name, logits in own.items()}
    torch.testing.assert_close(said.double(), pooled(tempered, WEIGHTS), atol=1e-5, rtol=1e-5)
    correct = (won.record.methods["ensemble"].test_accuracy or 0.0) * len(striped.test)
    assert correct == pytest.approx(round(correct))


def test_it_comes_back_from_disk_predicts_and_is_exported(won, striped, tmp_path):
    model, _, manifest = load_classifier(won.folder, module=_network().encoder)
    assert manifest["method"] == "ensemble"
    pixels = torch.from_numpy(np.asarray(striped.test.image(0)).transpose(2, 0, 1)[None].copy())
    with torch.inference_mode():
        assert torch.equal(model(pixels), won.models["ensemble"](pixels))
    striped.test.image(0).save(tmp_path / "one.png")
    (found,) = predict(won.folder, tmp_path / "one.png", device="cpu", raw=True, module=_network().encoder)
    with torch.inference_mode():
        assert found.probability == pytest.approx(float(model(pixels).softmax(1).max()), abs=1e-5)
    settings = build(ExportSettings, {"to": "torchscript", "images": 4}, where="export")
    report = export_run(won.folder, settings, module=_network().encoder)
    assert report.same_predictions


def test_verbs_that_compare_nothing_refuse(striped, tmp_path):
    with pytest.raises(UsageError, match="`probe` makes no ensemble"):
        probe(striped, _network(), out=tmp_path / "run", ensemble=True, device="cpu")
    with pytest.raises(UsageError, match="ask for it with --ensemble"):
        settings_from({"data": "x", "methods": ["linear", "ensemble"]})
