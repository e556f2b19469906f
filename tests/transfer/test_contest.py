"""A tuned network that the validation images cannot tell from a probe is judged on further folds."""

import copy
import dataclasses
import json

import pytest
import torch

from nctransfer.models import load_network
from nctransfer.probes import fit_head
from nctransfer.transfer.choose import Choice
from nctransfer.transfer.contest import decide, fold_bench
from nctransfer.transfer.desk import Desk
from nctransfer.transfer.features import measure_features
from nctransfer.transfer.methods import find_method
from nctransfer.transfer.settings import settings_from
from nctransfer.transfer.tuning import evaluate_method, fit_probe, train_method
from nctransfer.transfer.workbench import Workbench

ASKED = {"data": "stripes", "epochs": 2, "augment": 1, "batch_size": 24, "device": "cpu", "step_cost": False}


@pytest.fixture(scope="module")
def network():
    return load_network("cifar_resnet20", weights="random", image_size=16)


@pytest.fixture(scope="module")
def bench(striped, network):
    return Workbench(settings_from(ASKED), bundle=striped, module=network)


@pytest.fixture(scope="module")
def trained(bench):
    """The deep probe and full fine-tuning, as a run has them when it comes to choosing."""
    before = measure_features(bench.train_features, bench.num_classes, permutations=0)[-1]
    probe, outcome, held = fit_probe(bench, find_method("deep"))
    choice = Choice(None, 0.003, "", (0.003, 0.001))
    tuned, trained = train_method(bench, "full", choice)
    return {
        "deep": evaluate_method(bench, probe, Choice(None, None, ""), outcome, before, held),
        "full": evaluate_method(bench, tuned, choice, trained, before),
    }


@pytest.fixture
def finished(trained):
    return {name: dataclasses.replace(tuned) for name, tuned in trained.items()}


def let_full_lead(bench, finished, wins, losses, errors=10):
    """Of the validation images full fine-tuning alone is right on ``wins``, the probe alone on ``losses``, both on the others."""
    targets = torch.cat([bench.train_features.labels, bench.validation_features.labels])
    num_train = len(bench.bundle.train)
    wrong = (targets + 1) % 3
    probe, tuned = targets.clone(), targets.clone()
    probe[num_train : num_train + wins] = wrong[num_train : num_train + wins]
    tuned[num_train + wins : num_train + wins + losses] = wrong[num_train + wins : num_train + wins + losses]
    tuned[:num_train] = -1
    probe[:errors] = wrong[:errors]
    finished["deep"].held, finished["full"].held = probe, tuned


def test_a_fold_holds_out_its_own_images_and_starts_without_them(bench):
    fold = fold_bench(bench, 2)
    joined = bench.bundle.train.joined(bench.bundle.validation)
    held = bench.probing.folds == 2
    names = [joined.identity(row) for row in held.nonzero().flatten().tolist()]
    assert [fold.bundle.validation.identity(row) for row in range(len(fold.bundle.validation))] == names
    trained_on = {fold.bundle.train.identity(row) for row in range(len(fold.bundle.train))}
    assert not trained_on & set(names)
    assert len(trained_on) + len(names) == len(joined)
    found, head = bench.probing.deep.joint, fold.probing.start_head(None, everything=True)
    features = {
        name: torch.cat([bench.train_features.features[name], bench.validation_features.features[name]])
        for name in head.layers
    }
    expected = fit_head(
        {name: columns[~held] for name, columns in features.items()},
        bench.probing.labels[~held],
        num_classes=3,
        strength=found.strength,
        scales=found.scales,
    )
    assert torch.equal(head.weight, expected.weight)
    assert (fold.epochs, fold.augmentation) == (bench.epochs, bench.augmentation)


def test_further_folds_are_trained_until_the_two_are_told_apart(bench, finished, tmp_path):
    let_full_lead(bench, finished, 2, 1)
    before = finished["full"].held.clone()
    config = {"verb": "auto", **bench.settings.model_dump()}
    with Desk(tmp_path / "run", config, False, False) as desk:
        verdict = decide(bench, desk, finished)
    steps = json.loads((tmp_path / "run" / "steps.json").read_text())
    folds = [key for key in steps if key.startswith("fold/full/")]
    held = finished["full"].held
    assert folds
    assert folds == [f"fold/full/{number}" for number in range(1, len(folds) + 1)]
    judged = torch.zeros(len(held), dtype=torch.bool)
    judged[len(bench.bundle.train) :] = True
    for number in range(1, len(folds) + 1):
        rows = bench.probing.folds == number
        assert held[rows].tolist() == steps[f"fold/full/{number}"]["classes"]
        judged |= rows
    assert torch.equal(held >= 0, judged)
    assert torch.equal(held[len(bench.bundle.train) :], before[len(bench.bundle.train) :])
    assert verdict.name in finished
    assert len(folds) == 4 or verdict.name == verdict.best
    right = float(
        (held == torch.cat([bench.train_features.labels, bench.validation_features.labels]))[judged].double().mean()
    )
    assert finished["full"].row.out_of_fold_accuracy == pytest.approx(right)

    finished["full"].held = before.clone()
    with Desk(tmp_path / "run", config, True, False) as desk:
        assert decide(bench, desk, finished) == verdict
    assert json.loads((tmp_path / "run" / "steps.json").read_text()) == steps, "nothing was trained again"


@pytest.mark.parametrize(
    ("wins", "losses", "errors", "more", "winner"),
    [(0, 0, 10, True, "deep"), (12, 0, 10, True, "full"), (2, 1, 10, False, "deep"), (2, 1, 0, True, "deep")],
)
def test_no_fold_is_trained_where_the_choice_is_clear_or_none_is_wanted(
    bench, finished, tmp_path, wins, losses, errors, more, winner
):
    asked = copy.copy(bench)
    asked.settings = settings_from({**ASKED, "more_folds": more})
    let_full_lead(bench, finished, wins, losses, errors)
    config = {"verb": "auto", **asked.settings.model_dump()}
    with Desk(tmp_path / "run", config, False, False) as desk:
        verdict = decide(asked, desk, finished)
        assert not [number for number in range(5) if f"fold/full/{number}" in desk.ledger]
    assert verdict.name == winner
    assert finished["full"].row.out_of_fold_accuracy is None
