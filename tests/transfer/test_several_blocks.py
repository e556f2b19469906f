"""Tuning several blocks at once: which they are, what of the network is cached, and the run from training to prediction."""

import copy
import json

import pytest
import torch
from torch.nn import functional

from nctransfer.errors import UsageError
from nctransfer.models import Cut, load_network
from nctransfer.transfer import METHODS, TransferSettings, TunedNetwork, auto, load_classifier, plan_run, predict, tune
from nctransfer.transfer.units import find_tuned

OPTIONS = {"epochs": 2, "lr": 0.01, "batch_size": 16, "device": "cpu", "feature_cache": False, "refit": False}
OPTIONS |= {"step_cost": False}


@pytest.fixture(scope="module")
def efficientnet():
    """Its blocks stand in stages, which are the candidates for tuning."""
    return load_network("tf_efficientnet_lite0", weights="random", image_size=32)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("blocks.4", ("blocks.4",)),
        (" blocks.6 , blocks.1.1", ("blocks.1.1", "blocks.6")),
        ("blocks.4,blocks.4.1,blocks.4", ("blocks.4",)),
        ("blocks.5+", ("blocks.5", "blocks.6")),
        ("blocks.5.2+", ("blocks.5.2", "blocks.5.3", "blocks.6")),
        ("blocks.0.0,blocks.6+", ("blocks.0.0", "blocks.6")),
        ("blocks.5.2+,blocks.4", ("blocks.4", "blocks.5.2", "blocks.5.3", "blocks.6")),
        ("conv_head", ("conv_head",)),
    ],
)
def test_names_of_blocks(efficientnet, text, found):
    assert find_tuned(efficientnet, text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blocks.4,blokcs.5", r"has no block 'blokcs.5' .--layer.; did you mean blocks.5"),
        ("blocks.99+", r"has no block 'blocks.99'"),
        (" , ", r"no block is named .--layer.; one of blocks.0"),
        ("blocks.4.0.bn1.drop", r"blocks.4.0.bn1.drop of .* has no parameters to tune"),
    ],
)
def test_names_that_are_no_blocks_are_refused(efficientnet, text, message):
    with pytest.raises(UsageError, match=message):
        find_tuned(efficientnet, text)


def test_the_frozen_part_is_cached_below_the_first_of_the_blocks(efficientnet):
    model = TunedNetwork(copy.deepcopy(efficientnet), METHODS["layer"], "blocks.6,blocks.2", 3).eval()
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert model.cut(images)
    with torch.no_grad():
        expected = Cut(model.network.encoder, "blocks.2").prefix(model.network.normalise(images))
    assert torch.equal(model.prefix(images), expected)
    running = {name for name, module in model.network.encoder.named_modules() if module in model.running_blocks(True)}
    assert running == {name for name in efficientnet.layers if int(name.split(".")[1]) >= 2}


def test_skip_connections_of_several_blocks_add_up(efficientnet):
    """Under A.2 each block has its own projection, and the classifier sees the penultimate features plus their sum."""
    names = ("blocks.2", "blocks.6")
    model = TunedNetwork(copy.deepcopy(efficientnet), METHODS["scl"], "blocks.2,blocks.6", 3).eval()
    for part in model.skip.parts:
        torch.nn.init.ones_(part.norm.weight)
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad(), model.network.taps(names) as taps:
        features = model.network(images)
        added = [
            functional.batch_norm(
                taps.features[name] @ part.project.weight.T, part.norm.running_mean, part.norm.running_var
            )
            for name, part in zip(names, model.skip.parts, strict=True)
        ]
        torch.testing.assert_close(model.penultimate(images), features + sum(added), rtol=1e-4, atol=1e-5)
        with_skips, without = model.with_and_without_skips(images)
        torch.testing.assert_close(without, model.classifier(features))
        torch.testing.assert_close(with_skips, model(images))


@pytest.fixture(scope="module")
def network():
    """Runs tune a copy of it; four of its layers are probed."""
    network = load_network("cifar_resnet20", weights="random", image_size=16)
    network.layers = ("layer1.0", "layer2.0", "layer3.1", "layer3.2")
    return network


@pytest.fixture(scope="module")
def several(network, striped_module, tmp_path_factory):
    out = tmp_path_factory.mktemp("several") / "run"
    return tune(striped_module, network, method="scl", layer=["layer2.0", "layer3.1+"], out=out, **OPTIONS)


@pytest.fixture(scope="module")
def striped_module():
    from tiny import striped_bundle

    return striped_bundle()


TUNED = ("layer2.0", "layer3.1", "layer3.2")


def test_a_run_tunes_the_blocks_and_nothing_else_of_the_network(several, network):
    pretrained = network.state_dict()
    after = several.models["scl"].network.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, pretrained[name])}
    blocks = {next((unit for unit in TUNED if name.startswith(f"encoder.{unit}.")), name) for name in changed}
    assert blocks == set(TUNED)


def test_the_record_holds_the_blocks_and_what_the_skips_do(several):
    row = several.record.methods["scl"]
    assert row.unit == "layer2.0, layer3.1+"
    assert row.skip_share > 0
    assert row.skip_accuracy_on == pytest.approx(row.val_accuracy)
    assert 0 <= row.skip_accuracy_off <= 1
    layers = json.loads((several.folder / "checkpoints" / "best.json").read_text())["classifier_layers"]
    assert {*TUNED, "layer1.0", "penultimate"} <= set(layers), "skips of the tuned blocks and of the others"
    assert "layer2.0, layer3.1+" in (several.folder / "report.html").read_text(encoding="utf-8")


def test_the_tuned_model_comes_back_with_its_blocks(several, striped_module, tmp_path):
    model, _, manifest = load_classifier(several.folder)
    assert model.units == TUNED == tuple(manifest["units"])
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(model(images), several.models["scl"](images))
    image = tmp_path / "one.png"
    striped_module.test.image(0).save(image)
    assert predict(several.folder, image)[0].label in striped_module.class_names


def test_the_run_is_taken_up_again(several, network, striped_module):
    options = {**OPTIONS, "out": several.folder, "resume": True}
    again = tune(striped_module, network, method="scl", layer="layer2.0,layer3.1+", **options)
    assert again.record.methods["scl"] == several.record.methods["scl"]
    with pytest.raises(UsageError, match="other settings: unit"):
        tune(striped_module, network, method="scl", layer="layer2.0", **options)


def test_the_export_gives_the_same_logits(several, tmp_path):
    from nctransfer.export import ExportSettings, export_run

    report = export_run(several.folder, ExportSettings(to="torchscript", images=8), out=tmp_path / "model.pt")
    assert report.same_predictions
    assert report.relative_difference < 1e-4


def test_auto_takes_the_blocks_for_its_methods(network, striped_module, tmp_path):
    options = {**OPTIONS, "methods": "layer,scl", "layers": "layer1.1"}
    run = auto(striped_module, network, layer="layer3.1+", out=tmp_path / "run", **options)
    assert {row.unit for row in run.record.methods.values()} == {"layer3.1+"}
    assert run.record.trials == ()
    assert [row.name for row in run.record.layers] == ["layer1.1", "layer3.1", "layer3.2", "penultimate"]


def test_a_plan_counts_what_a_run_would_do():
    settings = TransferSettings(
        data="digits",
        model="cifar_resnet20",
        weights="random",
        image_size=8,
        limit=60,
        methods=("linear", "layer", "scl", "full"),
    )
    settings = settings.model_copy(update={"feature_cache": False})
    lines = plan_run(settings).text().splitlines()
    blocks = len(load_network("cifar_resnet20", weights="random", image_size=8).units)
    assert "linear probe: fitted to features that are taken once" in lines
    assert [line.split(", then")[0] for line in lines if "trials" in line] == [f"layer fine-tuning: {blocks} trials"]
    assert any(line.startswith("full fine-tuning: ") and line.endswith(" epochs at 2 rates") for line in lines)
    named = plan_run(settings, unit="layer3.0+").text()
    assert "trials" not in named
    with pytest.raises(UsageError, match="no block 'layer9'"):
        plan_run(settings, "tune", unit="layer9+")
