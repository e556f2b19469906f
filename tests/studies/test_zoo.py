"""The studies of released networks: what they make of layers whose order is known, and networks that are not here."""

import pytest

from nctransfer.errors import SetupError
from nctransfer.studies.layers import STUDY as LAYERS
from nctransfer.studies.layers import picked_elsewhere
from nctransfer.studies.scales import get_scale
from nctransfer.studies.sets import network_of
from nctransfer.studies.sources import STUDY as SOURCES
from nctransfer.studies.study import Outcome

MINI = get_scale("mini")


def outcome(layers):
    """Every network on every set has the layers that ``layers(network, place of the set)`` gives."""
    zoo = MINI.zoo
    values = {
        f"{network} | {title}": {"layers": layers(network, place)}
        for network in zoo.networks
        for place, title in enumerate(zoo.sets)
    }
    return Outcome(MINI, {0: values})


def layer(nc1, accuracy, dim=10, **more):
    row = {"name": "x", "dim": dim, "nc1": nc1, "nc1_null_mean": 9.0, "nc1_calibrated": nc1, "cdnv": 1 / nc1}
    return {**row, "class_separation": 0.5, "numerical_rank": 2.0, "probe_accuracy": accuracy, **more}


def verdicts(study, made):
    return {claim.statement: claim.verdict for claim in study.findings(made).claims}


def test_a_number_that_orders_the_layers_names_the_best():
    """NC1 falls as accuracy rises and CDNV rises with it; the last layer is the worst."""
    found = LAYERS.findings(
        outcome(lambda network, place: [layer(1.0, 0.9), layer(2.0, 0.8 + place / 1e3), layer(4.0, 0.7)])
    )
    words = {claim.statement: claim for claim in found.claims}
    assert words["The more collapsed a layer on downstream data, the better its probe (|ρ| of at least 0.5)"].mean == 1
    nearest = words["The layer of the smallest NC1 is at most 1 point behind the best layer"]
    assert nearest.verdict == "holds"
    assert nearest.effects == (0.0,) * 8
    assert words["NC1 names a better layer than CDNV"].mean == pytest.approx(0.2)
    assert words["NC1 names a better layer than depth (the last layer)"].verdict == "holds"
    assert "by data set" in nearest.statistic


def test_a_number_that_misleads_is_said_to():
    said = verdicts(LAYERS, outcome(lambda network, place: [layer(1.0, 0.7 + place / 1e4), layer(3.0, 0.9)]))
    assert said["The layer of the smallest NC1 is at most 1 point behind the best layer"] == "does not hold"
    assert said["NC1 names a better layer than depth (the last layer)"] == "does not hold"
    best = "The layer named by the number that was best on the other sets is at most 1 point behind the best layer"
    assert said[best] == "holds", "depth names it"


def test_a_layer_without_the_number_is_not_named():
    rows = [layer(2.0, 0.9), {**layer(1.0, 0.5), "nc1": None}]
    found = LAYERS.findings(outcome(lambda network, place: rows))
    claims = {claim.statement: claim for claim in found.claims}
    assert claims["The layer of the smallest NC1 is at most 1 point behind the best layer"].effects == (0.0,) * 8


def test_the_number_is_never_picked_on_the_set_that_judges_it():
    """Each number is perfect on one set and bad elsewhere; whoever picks on the same set sees no loss."""
    losses = {str(place): [0.0 if place == other else 0.1 + place / 100 for other in range(4)] for place in range(4)}
    chosen = picked_elsewhere(losses)
    assert all(losses[name][place] > 0 for place, name in enumerate(chosen))


def test_broad_and_narrow_sources_are_told_apart():
    zoo = MINI.zoo

    def layers(network, place):
        nc1, accuracy = (4.0 + place / 10, 0.5) if network in zoo.narrow else (1.0, 0.8 + place / 1e3)
        return [layer(9.0, 0.3), layer(nc1, accuracy)]

    said = verdicts(SOURCES, outcome(layers))
    assert said["A broad source leaves more collapse on downstream data than a narrow one"] == "holds"
    assert said["A broad source transfers better than a narrow one"] == "holds"


def test_a_network_that_is_not_here_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("NCTRANSFER_NETWORKS", str(tmp_path))
    assert network_of("resnet18") == "resnet18"
    with pytest.raises(SetupError, match=r"network mine is not here.*NCTRANSFER_NETWORKS"):
        network_of("file:mine")
    (tmp_path / "mine.safetensors").write_bytes(b"")
    with pytest.raises(SetupError, match="manifest"):
        network_of("file:mine")
    (tmp_path / "mine.json").write_text("{}")
    assert network_of("file:mine") == str(tmp_path / "mine.safetensors")
