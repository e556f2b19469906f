"""Methods that the validation images cannot tell apart are judged on further folds."""

import copy
import dataclasses
import json

import pytest
import torch

from nctransfer.probes import fit_head
from nctransfer.transfer.again import train_again
from nctransfer.transfer.choose import Choice
from nctransfer.transfer.contest import decide, fold_bench
from nctransfer.transfer.desk import Desk
from nctransfer.transfer.features import measure_features
from nctransfer.transfer.methods import find_method
from nctransfer.transfer.settings import settings_from
from nctransfer.transfer.start import Start
from nctransfer.transfer.tuning import evaluate_method, fit_probe, train_method
from nctransfer.transfer.workbench import Workbench
from tiny import full_while_training, small_resnet

ASKED = {"data": "stripes", "epochs": 2, "augment": 1, "batch_size": 24, "device": "cpu", "step_cost": False}


@pytest.fixture(scope="module")
def network():
    return small_resnet()


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
    assert finished["full"].row.out_of_fold_images == int(judged.sum())
    assert finished["deep"].row.out_of_fold_images == len(held), "a probe is judged on all"

    finished["full"].held = before.clone()
    with Desk(tmp_path / "run", config, True, False) as desk:
        assert decide(bench, desk, finished) == verdict
    assert json.loads((tmp_path / "run" / "steps.json").read_text()) == steps, "nothing was trained again"


@pytest.mark.parametrize(
    ("wins", "losses", "errors", "more", "winner"),
    [(12, 0, 10, True, "full"), (0, 12, 10, True, "deep"), (2, 1, 10, False, "deep"), (2, 1, 0, True, "deep")],
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


def desk_of(folder):
    """A new run folder for the settings that all benches here share."""
    return Desk(folder / "run", {"verb": "auto", **settings_from(ASKED).model_dump()}, False, False)


def folds_in(desk):
    """The folds that were trained, as the ledger has them."""
    return sorted(desk.ledger.entries("fold/"))


@pytest.fixture
def three(bench, finished):
    """Layer fine-tuning beside the two: a twin of the full one in what is held out, trained at a block of its own."""
    row = finished["full"].row.model_copy(update={"unit": "layer3.0", "phrase": "layer fine-tuning"})
    model = bench.start.fresh(find_method("layer"), "layer3.0")
    return {**finished, "layer": dataclasses.replace(finished["full"], model=model, row=row)}


def test_tuned_networks_that_cannot_be_told_apart_are_trained_on_the_same_folds(bench, three, tmp_path):
    let_full_lead(bench, three, 12, 0)
    three["layer"].held = three["full"].held.clone()
    with desk_of(tmp_path) as desk:
        verdict = decide(bench, desk, three)
        folds = folds_in(desk)
    assert verdict.name in ("full", "layer")
    assert {"fold/full/1", "fold/layer/1"} <= set(folds)
    # A contest of two ends for both at once, so each was judged on what the other was judged on.
    assert torch.equal(three["full"].held >= 0, three["layer"].held >= 0)
    rates = {name: three[name].row.out_of_fold_accuracy for name in ("full", "layer")}
    assert rates[verdict.name] == max(rates.values())
    loser = "layer fine-tuning" if verdict.name == "full" else "full fine-tuning"
    assert verdict.why.startswith("It was best on held-out images: ")
    assert (f"{loser.capitalize()} cannot be told from it" in verdict.why) == (len(folds) == 8)


def test_a_tuned_network_just_behind_a_probe_is_given_further_folds(bench, finished, tmp_path):
    let_full_lead(bench, finished, 1, 2)
    with desk_of(tmp_path) as desk:
        decide(bench, desk, finished)
        assert folds_in(desk)


def test_folds_cost_no_more_than_thirty_passes_of_full_fine_tuning(bench, finished, tmp_path):
    let_full_lead(bench, finished, 0, 0)
    asked = copy.copy(bench)
    asked.epochs = 5_000 // len(bench.bundle.train)  # 30 passes over 400 images, as many as count at least, are 12,000
    with desk_of(tmp_path) as desk:
        for number in range(1, 5):
            rows = bench.probing.folds == number
            said = {"classes": finished["deep"].held[rows].tolist(), "losses": [0.1] * int(rows.sum())}
            desk.ledger.once(f"fold/full/{number}", lambda said=said: said)
        decide(asked, desk, finished)
    held = finished["full"].held >= 0
    used = [number for number in range(1, 5) if bool(held[bench.probing.folds == number].all())]
    assert used == [1, 2]


@pytest.fixture
def crowded(bench):
    """The same ground, where every further training runs out of memory."""
    found = copy.copy(bench)
    found.notes = []
    found.network = copy.deepcopy(bench.network)
    found.network.encoder.register_forward_hook(full_while_training)
    features = {"train": bench.train_features, "validation": bench.validation_features}
    found.start = Start(found.network, found.inputs, features=features.__getitem__, probing=lambda: bench.probing)
    return found


def test_a_fold_that_runs_out_of_memory_is_left_out_and_said(crowded, finished, tmp_path):
    let_full_lead(crowded, finished, 2, 1)
    with desk_of(tmp_path) as desk:
        verdict = decide(crowded, desk, finished)
        assert folds_in(desk) == []
    assert verdict.name == "deep"
    (note,) = crowded.notes
    assert note.startswith("fold 2 of 5 of full fine-tuning is left out, and so are those after it: out of memory")
    assert finished["full"].row.out_of_fold_accuracy is None


def test_a_last_training_that_runs_out_of_memory_leaves_the_first_one(crowded, finished, tmp_path):
    full = finished["full"]
    assert sum(full.row.mixture.values()) > 0
    with desk_of(tmp_path) as desk:
        kept = train_again(crowded, desk, "full", full, crowded)
        assert "again/full" not in desk.ledger
    assert kept.model is full.model
    (note,) = crowded.notes
    assert note.startswith("training the winner again with the validation images is left out: out of memory")
